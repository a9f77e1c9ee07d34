// What a checkpoint keeps of the watermark: one entry for the partition and one for each clock. The format is described in
// docs/state.md.

extension Watermark {
  private static let version: UInt8 = 5
  private static let stateKey = Array("watermark".utf8)
  private static let clockPrefix = Array("clock".utf8)

  public var stateName: String { "watermark" }
  /// A clock has its runs, places in the orders of the directory, and what was stored of it last.
  public var heldBytes: Int { clocks.heldBytes + several.places.count * 256 + lastTaken.count * 256 }

  /// Without the definition: event time does not go back because the use case has changed.
  public var stateFingerprint: String { "watermark \(Self.version)" }

  /// Version 1 belonged to a definition; under the same one it continues.
  public func continues(_ fingerprint: String) -> Bool {
    let first =
      "watermark 1: out of order \(settings.outOfOrder), ahead \(settings.maxAhead), agreement 100"
    return [stateFingerprint, "watermark 4", "watermark 3", "watermark 2", first].contains(fingerprint)
  }

  public func takeChanges() -> StateChanges {
    var changes = StateChanges()
    func put(_ key: [UInt8], _ value: [UInt8]) {
      guard lastTaken[key] != value else { return }
      lastTaken[key] = value
      changes.puts.append(StateEntry(key: key, value: value))
    }
    if clockIdle == nil {
      if let clock = clocks.first, clock != EventClock() { put(Self.clockPrefix, Self.encoded(clock)) }
    } else {
      for index in several.takeChanged() {
        let key = Self.clockPrefix + several.keys[index]
        changes.puts.append(StateEntry(key: key, value: Self.encoded(clocks[index], several.places[index])))
      }
    }
    if !changes.isEmpty || current != .min { put(Self.stateKey, encodedPartition()) }
    if !staleKeys.isEmpty {
      let deletes = Set(staleKeys.map { Self.clockPrefix + $0 }).subtracting(changes.puts.map(\.key))
      changes.deletes = deletes.sorted { $0.lexicographicallyPrecedes($1) }
      staleKeys = []
    }
    changes.puts.sort { $0.key.lexicographicallyPrecedes($1.key) }
    return changes
  }

  public func restore(from entries: [StateEntry]) throws {
    current = .min
    nextRun = 0
    events = 0
    newcomers = EventClock()
    several = ClockDirectory()
    lastTaken = [:]
    staleKeys = []
    isConverted = false
    var storedClockOf = clockOf
    var restored: [(clock: EventClock, place: ClockDirectory.Place, key: [UInt8])] = []
    for entry in entries {
      var reader = ByteReader(entry.value)
      let version = try reader.readByte()
      if entry.key == Self.stateKey, version == 1 || version == 2 {
        let clock = try earlierClock(&reader, version)
        if clockIdle == nil { restored.append((clock, ClockDirectory.Place(progress: 0, spokeAt: 0), [])) }
        if clock.isOpen { current = max(current, clock.front.subtractingSaturated(settings.outOfOrder), .min + 1) }
        storedClockOf = nil
        isConverted = true
      } else if !(3...Self.version).contains(version) {
        throw CodingError("the watermark has version \(version), expected 1 to \(Self.version)")
      } else if entry.key == Self.stateKey {
        current = try reader.readSigned()
        nextRun = try reader.readUnsigned()
        storedClockOf = try reader.readBool() ? try reader.readString() : nil
        several.progress = try reader.readSigned()
        several.commonStep = try reader.readSigned()
        guard several.commonStep >= 0 else { throw CodingError("the watermark's common step is negative") }
        events = try reader.readUnsigned()
        if version > 3, try reader.readBool() {
          guard try reader.readByte() == version else { throw CodingError("the watermark has clocks of two versions") }
          (newcomers, several.newcomers) = try clock(&reader, version)
        }
        if version == Self.version { lastTaken[entry.key] = entry.value }
      } else if entry.key.starts(with: Self.clockPrefix) {
        var (clock, place) = try clock(&reader, version)
        let stored = Array(entry.key.dropFirst(Self.clockPrefix.count))
        let key = ClockDirectory.bounded(stored)
        if key != stored { staleKeys.insert(stored) }
        place.isChanged = version != Self.version
        place.isStored = key == stored
        restored.append((clock, place, key))
        if clockIdle == nil, version == Self.version { lastTaken[entry.key] = entry.value }
      } else {
        throw CodingError("the watermark's entry has an unknown key")
      }
      guard reader.isAtEnd else { throw CodingError("the watermark has \(reader.remaining) bytes too many") }
    }
    guard restored.count <= maxClocks else { throw CodingError("the watermark has \(restored.count) clocks") }
    // Whose clocks they are has changed: they start anew, and the watermark stays where it is.
    if storedClockOf != clockOf {
      let stored = entries.map(\.key).filter { $0.starts(with: Self.clockPrefix) }
      staleKeys = Set(stored.map { Array($0.dropFirst(Self.clockPrefix.count)) })
      restored = []
    }
    if clockIdle == nil && restored.count != 1 {
      guard restored.isEmpty else { throw CodingError("the watermark has \(restored.count) clocks, expected one") }
      restored = [(EventClock(), ClockDirectory.Place(progress: 0, spokeAt: 0), [])]
    }
    restoreClocks(restored)
  }

  private func encodedPartition() -> [UInt8] {
    var writer = ByteWriter()
    writer.write(byte: Self.version)
    writer.write(signed: current)
    writer.write(unsigned: nextRun)
    writer.write(bool: clockOf != nil)
    if let clockOf { writer.write(string: clockOf) }
    writer.write(signed: several.progress)
    writer.write(signed: several.commonStep)
    writer.write(unsigned: events)
    writer.write(bool: clockIdle != nil)
    return writer.bytes + (clockIdle == nil ? [] : Self.encoded(newcomers, several.newcomers))
  }

  private static func encoded(_ clock: EventClock, _ place: ClockDirectory.Place? = nil) -> [UInt8] {
    var writer = ByteWriter()
    writer.write(byte: version)
    writer.write(bool: clock.isOpen)
    writer.write(unsigned: UInt64(clock.opening.count))
    for time in clock.opening { writer.write(signed: time) }
    writer.write(signed: clock.front)
    writer.write(signed: clock.steps.value)
    writer.write(unsigned: clock.seen)
    writer.write(unsigned: UInt64(clock.hearing))
    writer.write(unsigned: UInt64(clock.calm))
    writer.write(unsigned: UInt64(clock.behind))
    writer.write(signed: clock.lastBehind)
    writer.write(signed: clock.highestBehind)
    writer.write(unsigned: UInt64(clock.runs.count))
    for run in clock.runs {
      writer.write(unsigned: run.id)
      writer.write(signed: run.low)
      writer.write(signed: run.high)
      writer.write(signed: run.steps.value)
      writer.write(unsigned: UInt64(run.support))
      writer.write(unsigned: UInt64(run.members))
      writer.write(unsigned: UInt64(run.contradictions))
      writer.write(unsigned: UInt64(run.times.count))
      for time in run.times { writer.write(signed: time) }
      writer.write(unsigned: run.began)
      writer.write(unsigned: run.beganAt)
      writer.write(bool: run.isHeard)
    }
    writer.write(bool: place != nil)
    if let place {
      writer.write(signed: place.progress)
      writer.write(signed: place.spokeAt)
      writer.write(unsigned: place.lastEvent)
    }
    return writer.bytes
  }

  private func clock(_ reader: inout ByteReader, _ version: UInt8) throws -> (EventClock, ClockDirectory.Place) {
    var clock = EventClock()
    clock.isOpen = try reader.readBool()
    for _ in 0..<(try reader.readCount(upTo: Limits.clockOpening - 1)) { clock.opening.append(try reader.readSigned()) }
    clock.front = try reader.readSigned()
    clock.steps.value = try reader.readSigned()
    guard clock.steps.value >= 0 else { throw CodingError("a clock's usual step is negative") }
    clock.seen = try reader.readUnsigned()
    clock.hearing = max(try reader.readCount(upTo: Limits.watermarkAgreement), Limits.clockHearing)
    clock.calm = try reader.readCount(upTo: Limits.clockPatience)
    clock.behind = try reader.readCount(upTo: Limits.clockStepBack)
    clock.lastBehind = try reader.readSigned()
    clock.highestBehind = try reader.readSigned()
    for _ in 0..<(try reader.readCount(upTo: Limits.clockRuns + 1)) {
      var run = DoubtfulRun(
        id: try reader.readUnsigned(), low: try reader.readSigned(), high: try reader.readSigned(),
        steps: UsualStep(value: try reader.readSigned()), times: [], began: 0)
      guard run.steps.value >= 0 else { throw CodingError("a run's usual step is negative") }
      run.support = try reader.readCount(upTo: 1 << 40)
      run.members = version > 4 ? try reader.readCount(upTo: 1 << 40) : run.support
      run.contradictions = try reader.readCount(upTo: 1 << 40)
      for _ in 0..<(try reader.readCount(upTo: Limits.learnedSupport)) { run.times.append(try reader.readSigned()) }
      run.began = try reader.readUnsigned()
      if version > 3 { run.beganAt = try reader.readUnsigned() }
      run.isHeard = try reader.readBool()
      clock.runs.append(run)
    }
    var place = ClockDirectory.Place(progress: 0, spokeAt: 0)
    if try reader.readBool() {
      place.progress = try reader.readSigned()
      place.spokeAt = try reader.readSigned()
      if version > 3 { place.lastEvent = try reader.readUnsigned() }
    }
    clock.restoreDerived(settings)
    return (clock, place)
  }

  /// The clock of versions 1 and 2: whether it had started, its highest time, and up to 99 times that waited for their
  /// start or for a jump. Those of a jump are let go: no event of theirs was kept.
  private func earlierClock(_ reader: inout ByteReader, _ version: UInt8) throws -> EventClock {
    let isStarted = try reader.readBool()
    let highest = try reader.readSigned()
    if version > 1 { current = try reader.readSigned() }
    var times: [Int64] = []
    for _ in 0..<(try reader.readCount(upTo: 99)) { times.append(try reader.readSigned()) }
    if version > 1 { _ = try reader.readCount(upTo: 100) }
    var clock = EventClock()
    if isStarted {
      clock.isOpen = true
      clock.front = highest
      // What was believed at once until now: the usual step is learned within some hundred events.
      clock.steps.value = settings.maxAhead / Limits.clockReach
      clock.restoreDerived(settings)
    } else {
      var decisions: [EventClock.Decision] = []
      var run: UInt64 = 0
      for time in times { _ = clock.take(time, settings, nextRun: &run, into: &decisions) }
      clock.runs = []
      clock.restoreDerived(settings)
    }
    return clock
  }
}
