// The watermark of one partition: how far event time has come, as a function of the events alone and of their order.
// Invariants: it never goes back; what it says before an event depends only on earlier events, so cutting the events
// into batches differently changes nothing; no time, however absurd, overflows it.
//
// - It is unknown (`Int64.min`) until the clock of the partition has opened (see `EventClock`): nothing is late, no window
//   closes. From then on it is the front of the clock less `outOfOrder`.
// - Where a field says whose clock an event carries, each value of it has a clock of its own, and the watermark follows the
//   slowest of those that still speak. It is unknown for the first `Limits.watermarkAgreement` events of the partition,
//   so that a slow clock is among those that have spoken. A clock falls silent when the others have come `clockIdle`
//   further since its last event. How far they have come is the most that any of them has advanced step by step. Jumps, and
//   steps far above the common one (a running median), do not count: a host whose clock is set forward or runs wild would
//   make all others silent.
// - A changed definition applies from where the watermark stands on: until the new rule has caught up, it stays there.

/// Assigns the watermark before each event of a partition.
public final class Watermark: Stateful {
  /// What is known of a clock among others.
  struct Place: Sendable, Hashable {
    /// How far it has advanced step by step, on the scale of `progress`.
    var progress: Int64
    /// `progress` of the partition at its last event.
    var spokeAt: Int64
    /// Its entry in the heap is the one with this number; nil while it has none.
    var heapEntry: UInt64?
    var isChanged = true
  }

  let settings: EventClockSettings
  /// The field that says whose clock a time is.
  let clockOf: String?
  /// Event time without a word from a clock after which nobody waits for it, microseconds; nil where the partition has
  /// one clock.
  let clockIdle: Int64?

  var clocks: [EventClock] = []
  // Of several clocks, by index; the key is the encoded value of the field.
  var places: [Place] = []
  var keys: [[UInt8]] = []
  private var indices: [[UInt8]: Int] = [:]
  /// Clocks that speak, by their fronts.
  private var slowest = StampHeap()
  private var nextHeapEntry: UInt64 = 0
  /// How far the partition has come.
  var progress: Int64 = 0
  /// The running median of the steps of all clocks.
  var commonStep: Int64 = 0
  /// Events of the partition, counted up to `Limits.watermarkAgreement`.
  var seen = 0
  /// The latest time that any open clock believes.
  private var lead = Int64.min

  var nextRun: UInt64 = 0
  var lastTaken: [[UInt8]: [UInt8]] = [:]
  /// Stored clocks that are to go.
  var staleKeys: [[UInt8]] = []
  /// Whether what was restored was written by an earlier version.
  public internal(set) var isConverted = false

  /// The watermark after the last event: microseconds, `Int64.min` while it is not yet known.
  public internal(set) var current = Int64.min

  /// - Parameters:
  ///   - outOfOrder: how far the watermark trails the front, microseconds, not negative.
  ///   - maxAhead: how far beyond the watermark an event in doubt counts in its windows, microseconds, not negative.
  ///   - clockIdle: where events carry the clocks of several producers, the event time without a word from one after which
  ///     the watermark does not wait for it, microseconds, positive.
  ///   - clockOf: the name of the field that tells the producers apart, part of the stored state.
  public init(outOfOrder: Int64, maxAhead: Int64, clockIdle: Int64? = nil, clockOf: String? = nil) {
    precondition(outOfOrder >= 0 && maxAhead >= 0, "the watermark cannot lead its events or refuse all of them")
    precondition(clockIdle ?? 1 > 0, "a clock cannot be silent at its own event")
    settings = EventClockSettings(
      outOfOrder: outOfOrder, maxAhead: maxAhead,
      settling: clockIdle == nil ? Limits.watermarkAgreement : Limits.clockAgreement)
    self.clockIdle = clockIdle
    self.clockOf = clockIdle == nil ? nil : clockOf ?? ""
    if clockIdle == nil { clocks = [EventClock()] }
  }

  /// The watermark of an event definition.
  public convenience init(_ event: EventDefinition) {
    self.init(
      outOfOrder: event.outOfOrder, maxAhead: event.maxAhead,
      clockIdle: event.clockOf == nil ? nil : event.clockIdle,
      clockOf: event.clockOf.map { event.schema.fields[$0].name })
  }

  /// Takes the next events of the partition, in their order.
  /// - Parameters:
  ///   - eventTimes: microseconds since 1970-01-01 00:00 UTC; any value.
  ///   - clockOf: whose clock each time is; not looked at where the partition has one clock.
  public func mark(_ eventTimes: [Int64], clockOf: Column? = nil) -> EventTimeMarks {
    var marking = Marking(eventTimes.count)
    if clockIdle == nil {
      markOne(eventTimes, &marking)
    } else if let clockOf, !eventTimes.isEmpty {
      markSeveral(eventTimes, clockOf, &marking)
    }
    return marking.finish(watermarkAfter: current)
  }

  private func markOne(_ eventTimes: [Int64], _ marking: inout Marking) {
    // Copies and a clock that is taken out: exclusive access to a class is checked at every use.
    var clock = clocks.removeLast()
    var now = current
    var run = nextRun
    let settings = settings
    for (row, time) in eventTimes.enumerated() {
      marking.watermarks.append(now)
      let judgement = clock.take(time, settings, nextRun: &run, into: &marking.pending)
      marking.note(judgement, row, time, beyond: now == .min ? clock.front : now, settings)
      marking.believed.append(clock.believed)
      if clock.isOpen { now = max(now, Self.watermark(of: clock.front, settings)) }
    }
    current = now
    nextRun = run
    clocks.append(clock)
  }

  /// The end of the input: whatever is in doubt is decided.
  /// - Returns: the decisions, as of the end.
  public func close() -> [EventTimeMarks.Decision.Kind] {
    var decisions: [EventClock.Decision] = []
    for index in clocks.indices {
      clocks[index].close(settings, into: &decisions)
      guard clockIdle != nil else { continue }
      places[index].isChanged = true
      enter(index)
    }
    let front = clockIdle == nil ? clocks[0].isOpen ? clocks[0].front : nil : slowestFront()
    if let front { current = max(current, Self.watermark(of: front, settings)) }
    lead = latestBelieved()
    // In the order in which the runs began, whatever the order of clocks is.
    let kinds = decisions.map(EventTimeMarks.Decision.Kind.init)
    return kinds.enumerated().sorted { ($0.element.run, $0.offset) < ($1.element.run, $1.offset) }.map(\.element)
  }

  /// The time up to which windows close at the end of an input; `Int64.min` without events. Clocks that are absurdly far
  /// ahead of the watermark do not count.
  public var closingTime: Int64 {
    clocks.reduce(.min) { $1.isOpen && !isAbsurd($1.front) ? max($0, $1.closingTime) : $0 }
  }

  private func isAbsurd(_ time: Int64) -> Bool {
    clockIdle != nil && current != .min && time > current.addingSaturated(settings.absurd)
  }

  @inline(__always)
  private static func watermark(of front: Int64, _ settings: EventClockSettings) -> Int64 {
    // `Int64.min` stays reserved for "unknown".
    max(front.subtractingSaturated(settings.outOfOrder), .min + 1)
  }

  // MARK: Several clocks

  private func markSeveral(_ eventTimes: [Int64], _ clockOf: Column, _ marking: inout Marking) {
    let groups = WindowGroups([clockOf])
    var known = [Int](repeating: -1, count: groups.count)
    var key: [UInt8] = []
    for (row, time) in eventTimes.enumerated() {
      let group = Int(groups.codes[row])
      if known[group] < 0 {
        WindowKeys.write([clockOf], row, into: &key)
        known[group] = index(of: key)
      }
      let index = known[group]
      marking.watermarks.append(current)
      let before = (isOpen: clocks[index].isOpen, front: clocks[index].front, horizon: clocks[index].horizon)
      let believed = clocks[index].believed
      let judgement = clocks[index].take(time, settings, nextRun: &nextRun, into: &marking.pending)
      let clock = clocks[index]
      speak(index, steppingBy: before.isOpen && time <= before.horizon ? clock.front - before.front : 0)
      if clock.front < before.front || places[index].heapEntry == nil { enter(index) }
      if seen < Limits.watermarkAgreement { seen += 1 }
      if seen == Limits.watermarkAgreement, let front = slowestFront() {
        let isFirst = current == .min
        current = max(current, Self.watermark(of: front, settings))
        if isFirst { lead = latestBelieved() }
      }
      if clock.isOpen {
        if before.isOpen && believed == lead && clock.believed < believed {
          lead = latestBelieved()
        } else if !isAbsurd(clock.believed) {
          lead = max(lead, clock.believed)
        }
      }
      // A clock that is absurdly far ahead of the others would open windows that they never close.
      if judgement == .taken, current != .min, time > current.addingSaturated(settings.absurd) { marking.dismiss(row) }
      marking.note(judgement, row, time, beyond: current == .min ? clock.front : current, settings)
      marking.believed.append(lead == .min ? .max : lead)
    }
  }

  /// The clock of a value, a new one for a new value.
  private func index(of key: [UInt8]) -> Int {
    if let known = indices[key] { return known }
    // The last one is for whoever comes when there are too many.
    let key = clocks.count < Limits.maxClocks - 1 ? key : []
    if let shared = indices[key] { return shared }
    append(EventClock(), Place(progress: progress, spokeAt: progress), key: key)
    return clocks.count - 1
  }

  private func append(_ clock: EventClock, _ place: Place, key: [UInt8]) {
    indices[key] = clocks.count
    clocks.append(clock)
    places.append(place)
    keys.append(key)
  }

  /// Notes that a clock has spoken and by how much it has advanced.
  private func speak(_ index: Int, steppingBy step: Int64) {
    places[index].isChanged = true
    // One that comes back starts where the others are.
    if isSilent(index) { places[index].progress = progress }
    if step > 0 {
      let usual = commonStep.multipliedReportingOverflow(by: Limits.commonStepReach)
      if usual.overflow || step <= max(usual.partialValue, Limits.leastClockReach) {
        places[index].progress = places[index].progress.addingSaturated(step)
        progress = max(progress, places[index].progress)
      }
      if step > commonStep {
        commonStep = commonStep == 0 ? step : min(step, commonStep.addingSaturated(commonStep >> 2).addingSaturated(1))
      } else {
        commonStep -= commonStep >> 2
      }
    }
    places[index].spokeAt = progress
  }

  private func isSilent(_ index: Int) -> Bool {
    progress.subtractingSaturated(places[index].spokeAt) >= clockIdle ?? .max
  }

  private func enter(_ index: Int) {
    slowest.insert(stamp: clocks[index].front, slot: UInt32(index), id: nextHeapEntry)
    places[index].heapEntry = nextHeapEntry
    nextHeapEntry += 1
  }

  /// The front of the slowest clock that speaks.
  private func slowestFront() -> Int64? {
    while let top = slowest.top {
      let index = Int(top.slot)
      if places[index].heapEntry != top.id {
        slowest.removeTop()
      } else if isSilent(index) {
        slowest.removeTop()
        places[index].heapEntry = nil
      } else if clocks[index].front > top.stamp {
        slowest.replaceTop(stamp: clocks[index].front)
      } else {
        return top.stamp
      }
    }
    return nil
  }

  private func latestBelieved() -> Int64 {
    clocks.reduce(.min) { $1.isOpen && !isAbsurd($1.believed) ? max($0, $1.believed) : $0 }
  }

  /// Takes up restored clocks.
  func restoreClocks(_ restored: [(clock: EventClock, place: Place, key: [UInt8])]) {
    clocks = []
    places = []
    keys = []
    indices = [:]
    slowest = StampHeap()
    for entry in restored {
      append(entry.clock, entry.place, key: entry.key)
      if clockIdle != nil { enter(clocks.count - 1) }
    }
    lead = latestBelieved()
  }
}

/// Marks as they are made.
private struct Marking {
  var watermarks: [Int64] = []
  var believed: [Int64] = []
  /// Decisions of the event at hand.
  var pending: [EventClock.Decision] = []
  private var doubtful: Bitmap
  private var outsideWindows: Bitmap
  private var dismissed: Bitmap
  private var waiting: [EventTimeMarks.Waiting] = []
  private var decisions: [EventTimeMarks.Decision] = []

  init(_ count: Int) {
    watermarks.reserveCapacity(count)
    believed.reserveCapacity(count)
    doubtful = Bitmap(repeating: false, count: count)
    outsideWindows = doubtful
    dismissed = doubtful
  }

  @inline(__always)
  mutating func note(
    _ judgement: EventClock.Judgement, _ row: Int, _ time: Int64, beyond watermark: Int64,
    _ settings: EventClockSettings
  ) {
    if case .waits(let run) = judgement {
      doubtful[row] = true
      if time > watermark.addingSaturated(settings.maxAhead) { outsideWindows[row] = true }
      waiting.append(EventTimeMarks.Waiting(row: row, run: run))
    }
    guard !pending.isEmpty else { return }
    decisions += pending.map { EventTimeMarks.Decision(row: row, kind: .init($0)) }
    pending.removeAll(keepingCapacity: true)
  }

  /// Leaves an event out of everything.
  mutating func dismiss(_ row: Int) {
    doubtful[row] = true
    outsideWindows[row] = true
    dismissed[row] = true
  }

  func finish(watermarkAfter: Int64) -> EventTimeMarks {
    var marks = EventTimeMarks(
      watermarks: watermarks, believed: believed, doubtful: doubtful, outsideWindows: outsideWindows,
      watermarkAfter: watermarkAfter)
    marks.waiting = waiting
    marks.decisions = decisions
    marks.dismissed = dismissed
    if !decisions.isEmpty {
      var ended: Set<UInt64> = []
      for decision in decisions {
        if case .dismissed(let run, wasHeard: false) = decision.kind { ended.insert(run) }
      }
      for event in waiting where ended.contains(event.run) { marks.dismissed[event.row] = true }
    }
    return marks
  }
}

extension EventTimeMarks.Decision.Kind {
  /// The run it is about; the greatest number where it is about a clock.
  fileprivate var run: UInt64 {
    switch self {
    case .believed(let run), .dismissed(let run, _): run
    case .opened: .max
    }
  }

  init(_ decision: EventClock.Decision) {
    switch decision {
    case .believed(let run): self = .believed(run: run)
    case .dismissed(let run, let wasHeard): self = .dismissed(run: run, wasHeard: wasHeard)
    case .opened: self = .opened
    }
  }
}

// MARK: - Progress

extension Watermark {
  /// How far event time has come: the highest event time that is believed, microseconds; `Int64.min` without events.
  public var reached: Int64 {
    let open = clocks.filter(\.isOpen)
    return (open.isEmpty ? clocks : open).reduce(.min) { max($0, $1.front) }
  }

  /// The latest start of a window that may stand, microseconds: beyond lies only what was taken in error.
  /// - Parameter believed: the latest time that is believed.
  public func latestStart(believed: Int64) -> Int64 { believed.addingSaturated(settings.absurd) }

  /// The runs of events in doubt.
  public var runs: Set<UInt64> { Set(clocks.flatMap { $0.runs.map(\.id) }) }

  /// The latest time that is believed after the last event; `Int64.max` while it is not yet known.
  public var believed: Int64 {
    let believed = latestBelieved()
    return believed == .min ? .max : believed
  }
}

extension Int64 {
  /// The sum, or the nearest bound if it overflows.
  @inline(__always)
  func addingSaturated(_ other: Int64) -> Int64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? (other < 0 ? .min : .max) : sum
  }

  /// The difference, or the nearest bound if it overflows.
  @inline(__always)
  func subtractingSaturated(_ other: Int64) -> Int64 {
    let (difference, overflow) = subtractingReportingOverflow(other)
    return overflow ? (other < 0 ? .max : .min) : difference
  }
}
