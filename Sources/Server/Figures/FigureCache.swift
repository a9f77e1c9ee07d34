// What figures, classes, detectors and entities over time are made of: of each closed window its events, classes and the
// aggregates that figures need, and of each anomaly its time, entity, detector and severity. It is read from the store once and
// follows its changes; a question then adds up numbers in memory, however much is stored.
//
// Windows are kept by their start and entity, merged over partitions by the store. A window that comes again (another
// partition closed its part, or it was put right) is read again from there, so nothing is counted twice.

import Detection
import Foundation
import HTTPTypes
import Pipeline
import Synchronization

/// What the figures of a use case may take; beyond, the oldest go.
struct FigureBounds: Sendable {
  /// Bytes of windows: an entity's window takes 12 and 8 for each class and aggregate.
  var windowBytes = 128 << 20
  /// Anomalies: each takes some 150 bytes.
  var anomalies = 2_000_000
  /// How far back, behind the newest, microseconds: twice a week, for the week before, and a day.
  var reach: Int64 = 15 * Timestamp.microsecondsPerDay
}

/// The numbers behind the figures of a use case.
final class FigureCache: Sendable {
  /// What questions are asked of.
  struct Content: Sendable {
    var windows: WindowSeries
    var anomalies: AnomalySeries
    /// Conditions, by detector, in the order of the bits of what meets them.
    var conditions: [String: [String]]

    /// From when on everything is known, microseconds.
    var knownFrom: Int64 { max(windows.knownFrom, anomalies.knownFrom) }
  }

  fileprivate struct State: Sendable {
    var windows: WindowSeries
    var anomalies: AnomalyBook
    var conditions: AnomalyConditions?
    /// How far the changes of the store are in it; nil before it was read.
    var cursor: ChangeCursor?
    /// Why it could not be read, or not be brought up to date.
    var trouble: String?
    /// The end of the last closed window, microseconds.
    var windowsUntil: Int64?
    /// Up to when events were read, microseconds; nil where windows tell.
    var eventsUntil: Int64?

    var dataUntil: Int64? { windowsUntil ?? eventsUntil }
  }

  let useCase: String
  private let window: CompiledWindow?
  private let state: Mutex<State>
  private let bounds: FigureBounds
  private let conditions: @Sendable () -> AnomalyConditions?

  /// - Parameter conditions: what is counted of anomalies beside what they are; asked at each look at the store.
  init(
    useCase: String, window: CompiledWindow?, _ dashboard: DashboardDefinition, bounds: FigureBounds = FigureBounds(),
    conditions: @escaping @Sendable () -> AnomalyConditions? = { nil }
  ) {
    self.useCase = useCase
    self.window = window
    self.bounds = bounds
    self.conditions = conditions
    state = Mutex(
      State(
        windows: WindowSeries(window, dashboard, mostBytes: bounds.windowBytes),
        anomalies: AnomalyBook(of: useCase, most: bounds.anomalies)))
  }

  /// The numbers as they are now. What follows the store goes on meanwhile, and copies the row or bucket that it changes.
  /// - Throws: `Problem` while it has not been read.
  var now: Content {
    get throws {
      let (content, trouble) = state.withLock { state in
        let content =
          state.cursor == nil
          ? nil
          : Content(
            windows: state.windows, anomalies: state.anomalies.series, conditions: state.conditions?.texts ?? [:])
        return (content, state.trouble)
      }
      guard let content else {
        throw Problem(
          .serviceUnavailable, "Figures are being read",
          trouble ?? "The server has just started: figures will be there in some seconds.",
          headers: [.retryAfter: "2"])
      }
      return content
    }
  }

  var isReady: Bool { state.withLock { $0.cursor != nil } }

  /// Up to when closed windows say everything; where none has closed, or the use case has none, the minute up to which events
  /// were read. Nil where none was.
  var dataUntil: Int64? { state.withLock { $0.dataUntil } }

  /// How many anomalies a list has, by what is known of them; nil where that does not reach far enough.
  /// - Parameters:
  ///   - said: whether the list has those of which something was said, by their ids.
  ///   - others: whether it has those of which nothing was said.
  func count(_ filter: ResultFilter, said: [String: Bool], others: Bool) -> Int? {
    let (series, rows) = state.withLock { state in
      (state.cursor == nil ? nil : state.anomalies.series, state.anomalies.rows(of: said.keys))
    }
    return series?.count(filter, said: rows.map { ($0.value, said[$0.key] ?? others) }, others: others)
  }

  /// Marks anomalies as ones that lists and counts leave out, in place of those that were.
  func hide(_ ids: Set<String>) { state.withLock { $0.anomalies.hide(ids) } }

  /// Has the next look read everything anew.
  func forget() { state.withLock { $0.cursor = nil } }

  // MARK: Following the store

  /// What a look at the store has brought.
  struct Changes: Sendable {
    /// Whether any figure is another one.
    var hasChanged = false
    /// Whether too much has changed to be told: what was known before is not to be relied on.
    var isReset = false
    /// Anomalies that are new or say something else, and those that were retracted, in their order.
    var anomalies: [ResultChange] = []
    /// Behind all of it.
    var cursor: ChangeCursor?
  }

  /// Brings it up to date with the store.
  func follow(_ reader: any ResultReader) async throws -> Changes {
    do {
      var changes = try await reader.read { snapshot in
        var changes = try await self.follow(snapshot)
        if try await self.lookAtEventTime(snapshot) { changes.hasChanged = true }
        return changes
      }
      changes.cursor = state.withLock { state in
        state.trouble = nil
        return state.cursor
      }
      return changes
    } catch {
      state.withLock { $0.trouble = "\(error)" }
      throw error
    }
  }

  private func follow(_ snapshot: any ResultSnapshot) async throws -> Changes {
    let conditions = conditions()
    let known = state.withLock { $0.conditions?.texts == conditions?.texts ? $0.cursor : nil }
    guard var cursor = known else {
      try await load(snapshot, conditions)
      return Changes(hasChanged: true, isReset: true)
    }
    var changes = Changes()
    while true {
      let page = try await snapshot.changes(since: cursor, of: useCase, limit: 500)
      if page.changes.contains(where: { if case .reset = $0.content { true } else { false } }) {
        try await load(snapshot, conditions)
        return Changes(hasChanged: true, isReset: true)
      }
      changes.hasChanged = try await apply(page.changes, snapshot, conditions) || changes.hasChanged
      let told = page.changes.filter(\.isOfAnomaly)
      // Too many to be told one by one: whoever watches reads them as a list.
      if changes.anomalies.count + told.count > Self.mostTold { changes.isReset = true }
      changes.anomalies = changes.isReset ? [] : changes.anomalies + told
      cursor = page.next
      state.withLock { [cursor] in $0.cursor = cursor }
      if !page.hasMore { break }
    }
    return changes
  }

  /// Notes up to when events were read where no window tells.
  /// - Returns: whether that is another time than before.
  private func lookAtEventTime(_ snapshot: any ResultSnapshot) async throws -> Bool {
    guard state.withLock({ $0.windowsUntil }) == nil else {
      state.withLock { $0.eventsUntil = nil }
      return false
    }
    let watermarks = try await snapshot.status(of: useCase, counting: false).compactMap(\.watermark)
    return state.withLock { state in
      // What was found may lie before the watermark of its partition has come there.
      let last = [watermarks.max(), state.anomalies.series.lastTime].compactMap(\.self).max()
      let minute: Int64 = 60_000_000
      let until = last.map { $0.subtractingSaturated(($0 % minute + minute) % minute).addingSaturated(minute) }
      defer { state.eventsUntil = until }
      return state.eventsUntil != until
    }
  }

  /// Anomalies of one look that are told one by one.
  private static let mostTold = 500

  /// Anomalies whose conditions are looked at together.
  private static let together = 2_048

  /// Reads what there is, in place of what was known. What was known is there until then.
  private func load(_ snapshot: any ResultSnapshot, _ conditions: AnomalyConditions?) async throws {
    let cursor = try await snapshot.latestChange(of: useCase)
    var fresh = State(
      windows: state.withLock { $0.windows.emptied }, anomalies: AnomalyBook(of: useCase, most: bounds.anomalies),
      conditions: conditions, cursor: cursor)
    var filter = ResultFilter()
    filter.useCase = useCase
    filter.limit = 0
    var newest: Int64?
    if let window {
      var windows = filter
      windows.name = window.definition.name
      // The newest come first: what lies too far behind them, or is too much, ends the reading.
      do {
        try await snapshot.forEachWindow(windows) { row in
          let last = newest ?? row.start
          newest = last
          if row.start < last.subtractingSaturated(bounds.reach) {
            fresh.windows.isKnown(from: last.subtractingSaturated(bounds.reach))
            throw Enough()
          }
          if fresh.windows.isFull {
            fresh.windows.dropCutOff()
            throw Enough()
          }
          fresh.note(row)
        }
      } catch is Enough {}
      fresh.windows.settle()
    }
    var latest: Int64?
    var waiting: [StoredAnomaly] = []
    do {
      try await snapshot.forEachAnomaly(filter) { anomaly in
        let last = max(newest ?? .min, latest ?? anomaly.eventTime)
        latest = last
        if anomaly.eventTime < last.subtractingSaturated(bounds.reach)
          || fresh.anomalies.count + waiting.count >= bounds.anomalies
        {
          fresh.anomalies.isKnown(from: anomaly.eventTime.addingSaturated(1))
          throw Enough()
        }
        waiting.append(anomaly)
        if waiting.count == Self.together {
          fresh.add(waiting)
          waiting = []
        }
      }
    } catch is Enough {}
    fresh.add(waiting)
    fresh.anomalies.settle()
    state.withLock { [fresh] state in
      let (hidden, until) = (state.anomalies.hidden, state.eventsUntil)
      state = fresh
      state.eventsUntil = until
      state.anomalies.hide(hidden)
    }
  }

  /// Ends a list before its end.
  private struct Enough: Error {}

  private func apply(
    _ changes: [ResultChange], _ snapshot: any ResultSnapshot, _ conditions: AnomalyConditions?
  ) async throws -> Bool {
    let anomalies = changes.compactMap { if case .anomaly(let anomaly) = $0.content { anomaly } else { nil } }
    var matches = (conditions?.matches(anomalies) ?? [UInt64](repeating: 0, count: anomalies.count))[...]
    var starts: Set<Int64> = []
    var hasChanged = false
    state.withLock { state in
      for change in changes {
        switch change.content {
        case .anomaly(let anomaly):
          state.anomalies.add(anomaly, matches: matches.removeFirst())
          hasChanged = true
        case .retraction(.anomaly(let retracted)):
          state.anomalies.remove(retracted.identity)
          hasChanged = true
        case .window(let part) where part.identity.window == window?.definition.name:
          if state.windows.isNew(part) { state.note(part) } else { starts.insert(part.identity.start) }
          hasChanged = true
        case .retraction(.window(let id)) where id.window == window?.definition.name: starts.insert(id.start)
        case .window, .retraction, .deadLetter, .reset: break
        }
      }
      if let until = state.dataUntil { state.forget(before: until.subtractingSaturated(bounds.reach)) }
      state.settle()
    }
    for start in starts.sorted() { try await readAgain(start, snapshot) }
    return hasChanged
  }

  /// Takes all windows of a start from the store.
  private func readAgain(_ start: Int64, _ snapshot: any ResultSnapshot) async throws {
    var filter = ResultFilter()
    (filter.useCase, filter.name, filter.limit) = (useCase, window?.definition.name, 0)
    (filter.from, filter.to) = (start, start.addingSaturated(1))
    let rows = try await snapshot.windows(filter)
    state.withLock { state in
      // What was let go of stays away.
      if start < state.windows.knownFrom { return }
      state.windows.remove(start)
      for row in rows { state.note(row) }
      state.windows.settle()
    }
  }
}

extension FigureCache.State {
  fileprivate mutating func note(_ row: StoredWindow) {
    guard row.closed else { return }
    windows.add(start: row.start, by: row.by, events: row.events, aggregates: row.aggregates, classes: row.classes)
    windowsUntil = max(windowsUntil ?? row.end, row.end)
  }

  fileprivate mutating func note(_ part: StoredWindowPart) {
    windows.add(
      start: part.identity.start, by: part.by, events: part.events, aggregates: part.aggregates, classes: part.classes)
    windowsUntil = max(windowsUntil ?? part.end, part.end)
  }

  fileprivate mutating func add(_ found: [StoredAnomaly]) {
    let matches = conditions?.matches(found) ?? [UInt64](repeating: 0, count: found.count)
    for (anomaly, matches) in zip(found, matches) { anomalies.add(anomaly, matches: matches) }
  }

  fileprivate mutating func forget(before time: Int64) {
    windows.forget(before: time)
    anomalies.forget(before: time)
  }

  fileprivate mutating func settle() {
    windows.settle()
    anomalies.settle()
  }
}

extension ResultChange {
  /// Whether it is about an anomaly.
  var isOfAnomaly: Bool {
    switch content {
    case .anomaly, .retraction(.anomaly): true
    case .window, .deadLetter, .reset, .retraction: false
    }
  }
}
