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

/// The numbers behind the figures of a use case.
final class FigureCache: Sendable {
  /// The state under the lock; see the types for what they hold.
  struct Content: Sendable {
    var windows: WindowSeries
    var anomalies = AnomalySeries()
    /// How far the changes of the store are in it; nil before it was read.
    var cursor: ChangeCursor?
    /// Why it could not be read, or not be brought up to date.
    var trouble: String?
    /// Up to when closed windows say everything: the end of the last of them, microseconds.
    var dataUntil: Int64?
  }

  let useCase: String
  private let window: CompiledWindow?
  private let content: Mutex<Content>
  /// How far back windows and anomalies are kept, behind the newest: twice a week, for the week before.
  private static let reach: Int64 = 15 * Timestamp.microsecondsPerDay

  init(useCase: String, window: CompiledWindow?, _ dashboard: DashboardDefinition) {
    self.useCase = useCase
    self.window = window
    content = Mutex(Content(windows: WindowSeries(window, dashboard)))
  }

  /// The numbers as they are now. What follows the store goes on meanwhile, and copies what it changes.
  /// - Throws: `Problem` while it has not been read.
  var now: Content {
    get throws {
      let content = content.withLock { $0 }
      guard content.cursor != nil else {
        throw Problem(
          .serviceUnavailable, "Figures are being read",
          content.trouble ?? "The server has just started: figures will be there in some seconds.",
          headers: [.retryAfter: "2"])
      }
      return content
    }
  }

  var isReady: Bool { content.withLock { $0.cursor != nil } }

  var dataUntil: Int64? { content.withLock { $0.dataUntil } }

  /// Marks anomalies as ones that lists and counts leave out, in place of those that were.
  func hide(_ ids: Set<String>) { content.withLock { $0.anomalies.hide(ids) } }

  /// Has the next look read everything anew.
  func forget() { content.withLock { $0.cursor = nil } }

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
      var changes = try await reader.read { try await self.follow($0) }
      changes.cursor = content.withLock { content in
        content.trouble = nil
        return content.cursor
      }
      return changes
    } catch {
      content.withLock { $0.trouble = "\(error)" }
      throw error
    }
  }

  private func follow(_ snapshot: any ResultSnapshot) async throws -> Changes {
    guard var cursor = content.withLock({ $0.cursor }) else {
      try await load(snapshot)
      return Changes(hasChanged: true, isReset: true)
    }
    var changes = Changes()
    while true {
      let page = try await snapshot.changes(since: cursor, of: useCase, limit: 500)
      if page.changes.contains(where: { if case .reset = $0.content { true } else { false } }) {
        try await load(snapshot)
        return Changes(hasChanged: true, isReset: true)
      }
      changes.hasChanged = try await apply(page.changes, snapshot) || changes.hasChanged
      let told = page.changes.filter(\.isOfAnomaly)
      // Too many to be told one by one: whoever watches reads them as a list.
      if changes.anomalies.count + told.count > Self.mostTold { changes.isReset = true }
      changes.anomalies = changes.isReset ? [] : changes.anomalies + told
      cursor = page.next
      content.withLock { [cursor] in $0.cursor = cursor }
      if !page.hasMore { break }
    }
    return changes
  }

  /// Anomalies of one look that are told one by one.
  private static let mostTold = 500

  /// Reads what there is, in place of what was known.
  private func load(_ snapshot: any ResultSnapshot) async throws {
    let cursor = try await snapshot.latestChange(of: useCase)
    var fresh = content.withLock { Content(windows: $0.windows.emptied) }
    var filter = ResultFilter()
    filter.useCase = useCase
    filter.limit = 0
    var newest: Int64?
    if let window {
      var windows = filter
      windows.name = window.definition.name
      // The newest come first: what lies too far behind them ends the reading.
      do {
        try await snapshot.forEachWindow(windows) { row in
          if newest == nil { newest = row.start }
          if let newest, row.start < newest - Self.reach { throw Enough() }
          fresh.note(row)
        }
      } catch is Enough {}
    }
    var latest: Int64?
    do {
      try await snapshot.forEachAnomaly(filter) { anomaly in
        if latest == nil { latest = anomaly.eventTime }
        if anomaly.eventTime < max(newest ?? .min, latest ?? .min) - Self.reach { throw Enough() }
        fresh.anomalies.add(anomaly)
      }
    } catch is Enough { fresh.anomalies.isWhole = false }
    fresh.anomalies.settle()
    fresh.cursor = cursor
    content.withLock { content in
      fresh.anomalies.hide(content.anomalies.hidden)
      content = fresh
    }
  }

  /// Ends a list before its end.
  private struct Enough: Error {}

  private func apply(_ changes: [ResultChange], _ snapshot: any ResultSnapshot) async throws -> Bool {
    var starts: Set<Int64> = []
    var hasChanged = false
    content.withLock { content in
      for change in changes {
        switch change.content {
        case .anomaly(let anomaly):
          content.anomalies.add(anomaly)
          hasChanged = true
        case .retraction(.anomaly(let id)):
          content.anomalies.remove(id.description)
          hasChanged = true
        case .window(let part) where part.identity.window == window?.definition.name:
          if content.windows.isNew(part) { content.note(part) } else { starts.insert(part.identity.start) }
          hasChanged = true
        case .retraction(.window(let id)) where id.window == window?.definition.name: starts.insert(id.start)
        case .window, .retraction, .deadLetter, .reset: break
        }
      }
      content.anomalies.settle()
      if let until = content.dataUntil { content.forget(before: until - Self.reach) }
    }
    for start in starts.sorted() { try await readAgain(start, snapshot) }
    return hasChanged
  }

  /// Takes all windows of a start from the store.
  private func readAgain(_ start: Int64, _ snapshot: any ResultSnapshot) async throws {
    var filter = ResultFilter()
    (filter.useCase, filter.name, filter.limit) = (useCase, window?.definition.name, 0)
    (filter.from, filter.to) = (start, start + 1)
    let rows = try await snapshot.windows(filter)
    content.withLock { content in
      content.windows.remove(start)
      for row in rows { content.note(row) }
    }
  }
}

extension FigureCache.Content {
  fileprivate mutating func note(_ row: StoredWindow) {
    guard row.closed else { return }
    windows.add(start: row.start, by: row.by, events: row.events, aggregates: row.aggregates, classes: row.classes)
    dataUntil = max(dataUntil ?? row.end, row.end)
  }

  fileprivate mutating func note(_ part: StoredWindowPart) {
    windows.add(
      start: part.identity.start, by: part.by, events: part.events, aggregates: part.aggregates, classes: part.classes)
    dataUntil = max(dataUntil ?? part.end, part.end)
  }

  fileprivate mutating func forget(before time: Int64) {
    windows.forget(before: time)
    anomalies.forget(before: time)
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
