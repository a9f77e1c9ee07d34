// The watermark of one partition: how far event time has come, as a function of the events alone and of their order.
// Invariants: it never goes back; what it says before an event depends only on earlier events, so cutting the events
// into batches differently changes nothing; no time, however absurd, overflows it.
//
// - A changed `outOfOrder` or `maxAhead` applies from where it stands on: until the new rule has caught up, it stays there.
// - It is unknown (`Int64.min`) before each of the first `Limits.watermarkAgreement` events: nothing is late, no event
//   is ahead, no window closes. With the last of them it starts at their minimum, and they are replayed in their order
//   by the rule below. An input that ends earlier never gets a watermark.
// - Then it is the highest believed event time less `outOfOrder`. A time is believed unless it lies above the highest
//   believed one and more than `maxAhead` beyond the watermark; such an event is ahead.
// - `Limits.watermarkAgreement` consecutive events that are all ahead are a jump of the source rather than a broken
//   clock: with the last of them the watermark starts again at their minimum and replays them, as at the beginning.
//   Every other event ends such a run.

/// Assigns the watermark before each event of a partition.
public final class Watermark: Stateful {
  private static let version: UInt8 = 2
  private static let stateKey = Array("watermark".utf8)

  private let outOfOrder: Int64
  private let maxAhead: Int64

  private var isStarted = false
  /// Highest believed event time; meaningful once started.
  private var highest = Int64.min
  /// Times beyond this one are ahead.
  private var horizon = Int64.max
  /// Before the start the first events; afterwards the run of events ahead. Fewer than `watermarkAgreement`.
  private var run: [Int64] = []
  private var lastTaken: [UInt8]

  /// The watermark after the last event: microseconds, `Int64.min` while it is not yet known.
  public private(set) var current = Int64.min

  /// - Parameters:
  ///   - outOfOrder: how far the watermark trails the highest event time, microseconds, not negative.
  ///   - maxAhead: how far beyond the watermark a time is believed, microseconds, not negative. If it is not above
  ///     `outOfOrder`, the watermark moves only by agreement.
  public init(outOfOrder: Int64, maxAhead: Int64) {
    precondition(outOfOrder >= 0 && maxAhead >= 0, "the watermark cannot lead its events or refuse all of them")
    self.outOfOrder = outOfOrder
    self.maxAhead = maxAhead
    lastTaken = []
    lastTaken = encoded()
  }

  /// The watermark of an event definition.
  public convenience init(_ event: EventDefinition) {
    self.init(outOfOrder: event.outOfOrder, maxAhead: event.maxAhead)
  }

  /// Takes the next events of the partition, in their order.
  /// - Parameter eventTimes: microseconds since 1970-01-01 00:00 UTC; any value.
  public func mark(_ eventTimes: [Int64]) -> EventTimeMarks {
    var watermarks: [Int64] = []
    watermarks.reserveCapacity(eventTimes.count)
    var ahead = Bitmap(repeating: false, count: eventTimes.count)
    for (row, time) in eventTimes.enumerated() {
      watermarks.append(current)
      if !isStarted {
        run.append(time)
        if run.count == Limits.watermarkAgreement { startFromRun() }
      } else if observe(time) {
        ahead[row] = true
        if run.count == Limits.watermarkAgreement { startFromRun() }
      }
    }
    return EventTimeMarks(watermarks: watermarks, ahead: ahead, watermarkAfter: current)
  }

  /// Moves the watermark, or notes that the event is ahead and returns true.
  @inline(__always)
  private func observe(_ time: Int64) -> Bool {
    if time > highest {
      if time > horizon {
        run.append(time)
        return true
      }
      believe(time)
    }
    if !run.isEmpty { run.removeAll(keepingCapacity: true) }
    return false
  }

  /// Starts (again) at the minimum of the run and replays it. The minimum itself is believed and ends the run that the
  /// replay may build up before it, so the replay cannot start another one.
  private func startFromRun() {
    let times = run
    run.removeAll(keepingCapacity: true)
    isStarted = true
    believe(times.min() ?? highest)
    for time in times { _ = observe(time) }
  }

  private func believe(_ time: Int64) {
    highest = time
    // `Int64.min` stays reserved for "unknown". A watermark restored from another definition may be further.
    current = max(time.subtractingSaturated(outOfOrder), .min + 1, current)
    horizon = current.addingSaturated(maxAhead)
  }
}

// MARK: - Progress

extension Watermark {
  /// How far event time has come: the highest event time that is believed, microseconds. Before the watermark is known
  /// the highest of the first events that lies no more than `maxAhead` beyond their median; `Int64.min` without events.
  public var reached: Int64 {
    if isStarted { return highest }
    guard !run.isEmpty else { return .min }
    let bound = run.sorted()[run.count / 2].addingSaturated(maxAhead)
    return run.reduce(.min) { $1 <= bound ? max($0, $1) : $0 }
  }
}

// MARK: - State

extension Watermark {
  public var stateName: String { "watermark" }

  /// Without the definition: event time does not go back because the use case has changed.
  public var stateFingerprint: String { "watermark \(Self.version)" }

  /// One entry that holds everything, when it changed.
  public func takeChanges() -> StateChanges {
    let value = encoded()
    guard value != lastTaken else { return StateChanges() }
    lastTaken = value
    return StateChanges(puts: [(key: Self.stateKey, value: value)])
  }

  public func restore(from entries: [(key: [UInt8], value: [UInt8])]) throws {
    guard entries.count <= 1 else { throw CodingError("the watermark has \(entries.count) entries, expected one") }
    var isStarted = false
    var highest = Int64.min
    var reached = Int64.min
    var run: [Int64] = []
    if let entry = entries.first {
      guard entry.key == Self.stateKey else { throw CodingError("the watermark's entry has an unknown key") }
      var reader = ByteReader(entry.value)
      let version = try reader.readByte()
      guard version == Self.version else {
        throw CodingError("the watermark has version \(version), expected \(Self.version)")
      }
      isStarted = try reader.readBool()
      highest = try reader.readSigned()
      reached = try reader.readSigned()
      for _ in 0..<(try reader.readCount(upTo: Limits.watermarkAgreement - 1)) { run.append(try reader.readSigned()) }
      guard reader.isAtEnd else { throw CodingError("the watermark has \(reader.remaining) bytes too many") }
    }
    self.isStarted = isStarted
    current = reached
    horizon = .max
    self.highest = .min
    if isStarted { believe(highest) }
    self.run = run
    lastTaken = encoded()
  }

  private func encoded() -> [UInt8] {
    var writer = ByteWriter()
    writer.write(byte: Self.version)
    writer.write(bool: isStarted)
    writer.write(signed: highest)
    writer.write(signed: current)
    writer.write(unsigned: UInt64(run.count))
    for time in run { writer.write(signed: time) }
    return writer.bytes
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
