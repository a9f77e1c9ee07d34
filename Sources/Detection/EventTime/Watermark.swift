// The watermark of one partition: how far event time has come, as a function of the events alone and of their order.
// Invariants: it never goes back; what it says before an event depends only on earlier events, so cutting the events
// into batches differently changes nothing; no time, however absurd, overflows it.
//
// - It is unknown (`Int64.min`) until the clock of the partition has opened (see `EventClock`): nothing is late, no window
//   closes. From then on it is the front of the clock less `outOfOrder`.
// - Where a field says whose clock an event carries, each value of it has a clock of its own, and the watermark follows the
//   slowest of those that still speak (see `Watermark+Clocks.swift`).
// - A changed definition applies from where the watermark stands on: until the new rule has caught up, it stays there.

/// Assigns the watermark before each event of a partition.
public final class Watermark: Stateful {
  let settings: EventClockSettings
  /// The field that says whose clock a time is.
  let clockOf: String?
  /// Event time without a word from a clock after which nobody waits for it, microseconds; nil where the partition has
  /// one clock.
  let clockIdle: Int64?
  /// How many clocks there is room for.
  let maxClocks: Int

  var clocks: [EventClock] = []
  /// What several clocks have beside.
  var several = ClockDirectory()
  /// The events of clocks that have not opened.
  var newcomers = EventClock()
  /// Events of the partition; counted where it has several clocks.
  var events: UInt64 = 0

  var nextRun: UInt64 = 0
  var lastTaken: [[UInt8]: [UInt8]] = [:]
  /// Stored clocks that are to go.
  var staleKeys: Set<[UInt8]> = []
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
  ///   - maxClocks: how many clocks are told apart, the one that is shared included; at least two.
  public init(
    outOfOrder: Int64, maxAhead: Int64, clockIdle: Int64? = nil, clockOf: String? = nil,
    maxClocks: Int = Limits.maxClocks
  ) {
    precondition(outOfOrder >= 0 && maxAhead >= 0, "the watermark cannot lead its events or refuse all of them")
    precondition(clockIdle ?? 1 > 0, "a clock cannot be silent at its own event")
    settings = EventClockSettings(
      outOfOrder: outOfOrder, maxAhead: maxAhead,
      settling: clockIdle == nil ? Limits.watermarkAgreement : Limits.clockAgreement)
    precondition(maxClocks > 1, "one clock is shared, and one at least is not")
    self.clockIdle = clockIdle
    self.maxClocks = maxClocks
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
    return marking.finish(watermarkAfter: current, absurdlyAhead: absurdlyAhead)
  }

  /// How far beyond the watermark an event is left out whatever its own clock says, microseconds; nil where the partition
  /// has one clock.
  public var absurdlyAhead: Int64? { clockIdle == nil ? nil : settings.absurd }

  /// The latest time that is taken at the watermark, microseconds.
  public var latestTaken: Int64 {
    clockIdle == nil || current == .min ? .max : current.addingSaturated(settings.absurd)
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
    if clockIdle == nil {
      clocks[0].close(settings, into: &decisions)
      if clocks[0].isOpen { current = max(current, Self.watermark(of: clocks[0].front, settings)) }
    } else {
      closeSeveral(into: &decisions)
    }
    // In the order in which the runs began, whatever the order of clocks is.
    let kinds = decisions.map(EventTimeMarks.Decision.Kind.init)
    return kinds.enumerated().sorted { ($0.element.run, $0.offset) < ($1.element.run, $1.offset) }.map(\.element)
  }

  /// The time up to which windows close at the end of an input; `Int64.min` without events. Clocks that are absurdly far
  /// ahead of the watermark do not count.
  public var closingTime: Int64 {
    clocks.reduce(.min) { $1.isOpen && !isAbsurd($1.front) ? max($0, $1.closingTime) : $0 }
  }

  func isAbsurd(_ time: Int64) -> Bool {
    time > latestTaken
  }

  @inline(__always)
  static func watermark(of front: Int64, _ settings: EventClockSettings) -> Int64 {
    // `Int64.min` stays reserved for "unknown".
    max(front.subtractingSaturated(settings.outOfOrder), .min + 1)
  }
}

/// Marks as they are made.
struct Marking {
  var watermarks: [Int64] = []
  var believed: [Int64] = []
  /// Of several clocks.
  var ownBelieved: [Int64] = []
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

  func finish(watermarkAfter: Int64, absurdlyAhead: Int64?) -> EventTimeMarks {
    var marks = EventTimeMarks(
      watermarks: watermarks, believed: believed, doubtful: doubtful, outsideWindows: outsideWindows,
      watermarkAfter: watermarkAfter)
    if let absurdlyAhead {
      marks.ownBelieved = ownBelieved
      marks.absurdlyAhead = absurdlyAhead
    }
    marks.waiting = waiting
    marks.decisions = decisions
    marks.dismissed = dismissed
    return marks
  }
}

extension EventTimeMarks.Decision.Kind {
  /// The run it is about; the greatest number where it is about a clock.
  fileprivate var run: UInt64 {
    switch self {
    case .believed(let run, _), .dismissed(let run, _): run
    case .opened: .max
    }
  }

  init(_ decision: EventClock.Decision) {
    switch decision {
    case .believed(let run, let latest): self = .believed(run: run, latest: latest)
    case .dismissed(let run, let heard): self = .dismissed(run: run, heard: heard)
    case .opened: self = .opened
    }
  }
}

// MARK: - Progress

extension Watermark {
  /// How far event time has come: the highest event time that is believed, microseconds; `Int64.min` without events.
  public var reached: Int64 {
    if clockIdle == nil { return clocks[0].front }
    return several.lead == .min ? several.latestFront : several.lead
  }

  /// The time beyond which nothing may stand in rules and windows that was taken before a clock opened, microseconds.
  /// - Parameters:
  ///   - believed: the latest time that is believed.
  ///   - watermark: the watermark then.
  public func latestOpening(believed: Int64, watermark: Int64) -> Int64 {
    max(believed, watermark).addingSaturated(settings.absurd)
  }

  /// The time beyond which nothing may stand in rules and windows when something that was heard is dismissed, microseconds.
  public func latestHeard(believed: Int64, watermark: Int64) -> Int64 {
    max(believed, watermark.addingSaturated(settings.maxAhead))
  }

  /// The runs of events in doubt.
  public var runs: Set<UInt64> { Set(clocks.flatMap { $0.runs.map(\.id) }) }

  /// The latest time that is believed after the last event; `Int64.max` while it is not yet known.
  public var believed: Int64 {
    if clockIdle == nil { return clocks[0].believed }
    return several.lead == .min ? .max : several.lead
  }
}
