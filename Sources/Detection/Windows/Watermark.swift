// The watermark of one partition: how far event time has come, as a function of the events alone and of their order.
// Invariants: it never goes back; what it says before an event depends only on earlier events, so cutting the events
// into batches differently changes nothing; no time, however absurd, overflows it.
//
// - A changed `outOfOrder` or `maxAhead` applies from where it stands on: until the new rule has caught up, it stays there.
// - It is unknown (`Int64.min`) before each of the first `Limits.watermarkAgreement` events: nothing is late, no event
//   is ahead, no window closes. With the last of them it starts at the minimum of those that agree, and they are replayed
//   in their order by the rule below. Those that agree are the most times of which neighbours, sorted, lie at most
//   `maxAhead` apart; of several such groups of one size the earliest. An input that ends earlier never gets a watermark.
// - Then it is the highest believed event time less `outOfOrder`. A time is believed unless it lies above the highest
//   believed one and more than `maxAhead` beyond the watermark; such an event is ahead.
// - Events ahead that agree with each other are a jump of the source rather than broken clocks. A run of them grows by an
//   event ahead within `maxAhead` of the one that joined it last. Another event ahead contradicts it, and so does an event
//   that is not ahead, unless it lies more than `maxAhead` behind the watermark: such a time (a default such as
//   1970-01-01, or a straggler) does not tell what time it is now. When more than one event contradicts for each
//   `Limits.watermarkContradiction` in the run, the run ends, and an event ahead begins the next one. When
//   `Limits.watermarkAgreement` events are in it, the watermark starts again at their minimum (if what was believed
//   meanwhile is not beyond it) and replays them.

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
  /// Events that contradict the run.
  private var contradictions = 0
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
        if run.count == Limits.watermarkAgreement { startFromRun(at: Self.startOfAgreement(run, within: maxAhead)) }
      } else if observe(time) {
        ahead[row] = true
        if run.count == Limits.watermarkAgreement { startFromRun(at: max(run.min() ?? highest, highest)) }
      }
    }
    return EventTimeMarks(watermarks: watermarks, ahead: ahead, watermarkAfter: current)
  }

  /// Moves the watermark, or notes that the event is ahead and returns true.
  @inline(__always)
  private func observe(_ time: Int64) -> Bool {
    if time > highest {
      if time > horizon {
        join(time)
        return true
      }
      believe(time)
    }
    if !run.isEmpty, time >= current.subtractingSaturated(maxAhead) { contradict() }
    return false
  }

  /// Adds a time ahead to the run, or begins the next run with it when it is one contradiction too many.
  private func join(_ time: Int64) {
    if let last = run.last, time > last.addingSaturated(maxAhead) || time < last.subtractingSaturated(maxAhead) {
      contradict()
      if !run.isEmpty { return }
    }
    run.append(time)
  }

  private func contradict() {
    contradictions += 1
    if contradictions * Limits.watermarkContradiction > run.count { endRun() }
  }

  private func endRun() {
    run.removeAll(keepingCapacity: true)
    contradictions = 0
  }

  /// Starts (again) at one of the run's times and replays it. That time itself is believed and does not join the run that
  /// the replay may build up, so the replay cannot start another one.
  private func startFromRun(at start: Int64) {
    let times = run
    endRun()
    isStarted = true
    believe(start)
    for time in times { _ = observe(time) }
  }

  /// The earliest time of the largest group of times of which neighbours lie at most `distance` apart.
  private static func startOfAgreement(_ times: [Int64], within distance: Int64) -> Int64 {
    let sorted = times.sorted()
    var (best, bestCount, first) = (0, 0, 0)
    for index in sorted.indices {
      if index > 0, sorted[index] > sorted[index - 1].addingSaturated(distance) { first = index }
      if index - first + 1 > bestCount { (best, bestCount) = (first, index - first + 1) }
    }
    return sorted[best]
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

  /// Version 1 belonged to a definition; under the same one it continues.
  public func continues(_ fingerprint: String) -> Bool {
    let first =
      "watermark 1: out of order \(outOfOrder), ahead \(maxAhead), agreement \(Limits.watermarkAgreement)"
    return fingerprint == stateFingerprint || fingerprint == first
  }

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
    var version = Self.version
    var contradictions = 0
    if let entry = entries.first {
      guard entry.key == Self.stateKey else { throw CodingError("the watermark's entry has an unknown key") }
      var reader = ByteReader(entry.value)
      version = try reader.readByte()
      guard (1...Self.version).contains(version) else {
        throw CodingError("the watermark has version \(version), expected 1 to \(Self.version)")
      }
      isStarted = try reader.readBool()
      highest = try reader.readSigned()
      // In version 1 it was always the highest believed time less the disorder.
      if version > 1 { reached = try reader.readSigned() }
      for _ in 0..<(try reader.readCount(upTo: Limits.watermarkAgreement - 1)) { run.append(try reader.readSigned()) }
      if version > 1 { contradictions = try reader.readCount(upTo: Limits.watermarkAgreement) }
      guard reader.isAtEnd else { throw CodingError("the watermark has \(reader.remaining) bytes too many") }
    }
    self.isStarted = isStarted
    current = reached
    horizon = .max
    self.highest = .min
    if isStarted { believe(highest) }
    self.run = run
    self.contradictions = contradictions
    // What an earlier version wrote is written anew: the store forgets it with its fingerprint.
    lastTaken = version == Self.version ? encoded() : []
  }

  private func encoded() -> [UInt8] {
    var writer = ByteWriter()
    writer.write(byte: Self.version)
    writer.write(bool: isStarted)
    writer.write(signed: highest)
    writer.write(signed: current)
    writer.write(unsigned: UInt64(run.count))
    for time in run { writer.write(signed: time) }
    writer.write(unsigned: UInt64(contradictions))
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
