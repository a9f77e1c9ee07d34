// How the windows of a rule are stored. Format of a segment (key: its number, 8 bytes big-endian; value by `ByteWriter`):
//
//   version       byte, 1; 2 where its entities are parked
//   next id       unsigned; above every id in the segment and in those before it
//   base          signed; times below are differences from it, wrapping
//   records       count, then for each entity: id, key low and high (unsigned), clock - base (signed), stamp - clock
//                 (unsigned), whether it had a finding (bool) and if so clock - last finding (unsigned); of a rule
//                 with profiles then the profile (`ProfileTable`)
//   entries       count, then for each: id of its entity, time - base (signed), null mask (unsigned), and of each
//                 argument that is kept and not null its value: signed for integers, 8 bytes for doubles, two
//                 unsigned for the identity of a string
//
// A parked entity has all that is held of it in one segment, with others (`ParkedEntities`). Under the key of such a segment
// and 1 is what was taken out of it: version, byte, 1; two unsigned, a bit for each record.
//
// Reading. Segments may overlap: of several records of one id the one with the highest times is the latest, since an
// entity's times only ascend, and where they are equal that of the highest number; of several ids of one key the highest is
// the latest, the others were forgotten. An entry counts if its entity's latest id is its own and its time lies in the window
// of that entity's clock. An entity whose record in a segment of parked ones was not taken out is parked, and what segments
// before hold of it does not count; one that came back has another id. What this restores is what was held when the last
// segment was written, and possibly entities that had been forgotten when their time came, which are forgotten again before
// the next event is looked at. Nothing would forget again those that ended before their time (`EndedEntities`): their ids
// are stored under the key 0, as long as a segment from before their end is there.

extension SlidingEntities {
  private static let version: UInt8 = 1
  private static let parkedVersion: UInt8 = 2

  // MARK: Writing

  /// The segments written and deleted since the last call.
  /// - Parameter isParking: whether the quarter of the entities that has been quiet for longest leaves memory.
  mutating func takeChanges(parking isParking: Bool = false) -> StateChanges {
    var changes = StateChanges()
    if !parked.isEmpty, watermark != .min {
      for segment in parked.takeForgotten(upTo: watermark.subtractingSaturated(horizon)) { ledger.loseParked(segment) }
    }
    if isParking { park(into: &changes) }
    // What is parked would keep their ids, whatever is written again.
    let round = ledger.round(rewriting: parked.isEmpty && ended.areMany(for: entryCount + entityCount))
    var moved = SegmentContent()
    for source in round.sources {
      // Moving what is written keeps out what is listed twice: a node that was freed and used again.
      let content = ledger.segments[Int(source)].content
      for node in content.entries where move(node: node, from: source, to: SegmentLedger.moving) {
        moved.entries.append(node)
      }
      for slot in content.records where move(slot: slot, from: source, to: SegmentLedger.moving) {
        moved.records.append(slot)
      }
    }
    for content in moved.pieces(of: ledger.size) {
      let target = ledger.place()
      for node in content.entries { _ = move(node: node, from: SegmentLedger.moving, to: target) }
      for slot in content.records { _ = move(slot: slot, from: SegmentLedger.moving, to: target) }
      ledger.fill(target, content, stored: content.count)
      let number = ledger.segments[Int(target)].number
      changes.puts.append(StateEntry(key: SegmentLedger.key(number), value: encode(content)))
    }
    ledger.end(round, into: &changes)
    parked.takeChanges(into: &changes)
    ended.takeChanges(
      oldestSegment: ledger.oldestNumber, nextID: nextID, key: SegmentLedger.key(0), into: &changes)
    return changes
  }

  private mutating func park(into changes: inout StateChanges) {
    let all = parkable()
    let slots = all.prefix((all.count + 3) / 4)
    for start in stride(from: 0, to: slots.count, by: ParkedEntities.perSegment) {
      var content = SegmentContent(records: Array(slots[start...].prefix(ParkedEntities.perSegment)))
      let nodes = content.records.map { detach($0) }
      content.entries = nodes.flatMap(\.self)
      let target = ledger.place()
      let number = ledger.segments[Int(target)].number
      changes.puts.append(
        StateEntry(key: SegmentLedger.key(number), value: encode(content, version: Self.parkedVersion)))
      let parking = content.records.map { entities[Int($0)] }
      for (slot, nodes) in zip(content.records, nodes) { park(slot, nodes) }
      let stamp = parking.map(\.stamp).max() ?? .min
      parked.add(
        ParkedEntities.Segment(number: number, records: parking.count, stamp: stamp), at: target, parking.map(\.key))
      ledger.fill(target, parked: parking.count)
    }
    recycle()
  }

  private func encode(_ content: SegmentContent, version: UInt8 = SlidingEntities.version) -> [UInt8] {
    let (nodes, slots) = (content.entries, content.records)
    var writer = ByteWriter()
    let base = slots.first.map { entities[Int($0)].clock } ?? nodes.first.map { entries[Int($0)].time } ?? 0
    writer.write(byte: version)
    writer.write(unsigned: nextID)
    writer.write(signed: base)
    writer.write(unsigned: UInt64(slots.count))
    for slot in slots {
      let entity = entities[Int(slot)]
      writer.write(unsigned: entity.id)
      writer.write(unsigned: entity.key.low)
      writer.write(unsigned: entity.key.high)
      writer.write(signed: entity.clock &- base)
      writer.write(unsigned: UInt64(bitPattern: entity.stamp &- entity.clock))
      writer.write(bool: entity.lastFinding != nil)
      if let last = entity.lastFinding { writer.write(unsigned: UInt64(bitPattern: entity.clock &- last)) }
      profiles.encode(slot, clock: entity.clock, into: &writer)
    }
    writer.write(unsigned: UInt64(nodes.count))
    for node in nodes {
      let entry = entries[Int(node)]
      writer.write(unsigned: entities[Int(entry.slot)].id)
      writer.write(signed: entry.time &- base)
      writer.write(unsigned: UInt64(entry.nulls))
      for (index, plan) in plans.enumerated() where entry.nulls >> UInt32(index) & 1 == 0 {
        let value = value(of: node, plan)
        switch (plan.words, plan.type) {
        case (0, _): break
        case (2, _):
          writer.write(unsigned: value.low)
          writer.write(unsigned: value.high)
        case (_, .double): writer.write(double: Double(bitPattern: value.low))
        default: writer.write(signed: Int64(bitPattern: value.low))
        }
      }
    }
    return writer.bytes
  }

  // MARK: Reading

  /// Replaces everything by what the segments describe. Records first, each into its place, then entries; so what is held
  /// meanwhile is what a rule holds that has run, the segments, and where each id went.
  mutating func restore(from stored: [StateEntry]) throws(CodingError) {
    self = SlidingEntities(
      within: within, horizon: horizon, maxAhead: maxAhead, plans: plans, holdsEntries: holdsEntries,
      layout: profiles.layout)
    let taken = try ParkedEntities.taken(from: stored)
    var segments: [StoredSegment] = []
    for entry in stored where entry.key.count != 9 {
      guard let number = SegmentLedger.number(of: entry.key) else {
        throw CodingError("the key of a rule's segment has \(entry.key.count) bytes, expected 8 or 9")
      }
      if number == 0 {
        nextID = max(nextID, try ended.restore(from: entry.value))
        continue
      }
      guard number > ledger.lastNumber else {
        throw CodingError("segment \(number) of a rule follows segment \(ledger.lastNumber)")
      }
      let segment = try openSegment(entry.value, as: ledger.place(number: number))
      nextID = max(nextID, segment.nextID)
      if segment.isParked {
        try readParked(segment, number, taken[number])
      } else {
        segments.append(try readRecords(of: segment))
      }
    }
    var held = [SegmentContent](repeating: SegmentContent(), count: ledger.segments.count)
    for slot in finishEntities() { held[Int(entities[Int(slot)].segment)].records.append(slot) }
    let places = placesByID()
    for index in segments.indices {
      held[Int(segments[index].segment)].entries = try readEntries(of: &segments[index], places)
    }
    attach([UInt32](0..<UInt32(entries.count)))
    for stored in segments {
      ledger.fill(stored.segment, held[Int(stored.segment)], stored: stored.records + stored.entries)
    }
    ended.noteRestored(nextID: nextID)
  }

  /// Takes back what is wanted of a segment of parked entities.
  /// - Throws: `CodingError` where the segment is not the one that was written.
  mutating func unpark(_ number: UInt64, _ value: [UInt8]) throws(CodingError) {
    guard let wanted = parked.takeWanted(of: number), let segment = parked.segments[wanted.segment] else { return }
    var stored = try openSegment(value, as: wanted.segment)
    guard stored.isParked, stored.records == segment.records else {
      throw CodingError("segment \(number) of a rule is not the one in which entities were parked")
    }
    // The last ones come along, so that no segment is kept for them.
    let isForAll = (segment.count - wanted.keys.count) * 4 < ParkedEntities.perSegment
    var slots: [UInt64: UInt32] = [:]
    for record in 0..<stored.records {
      let entity = try readRecord(of: &stored)
      guard !segment.taken[record], isForAll || wanted.keys.contains(entity.key) else { continue }
      slots[entity.id] = unpark(entity, profile: stored.profile)
      parked.take(record, entity.key, of: wanted.segment)
    }
    ledger.loseParked(wanted.segment, slots.count)
    stored.entries = try stored.reader.readCount(upTo: stored.reader.remaining)
    var words: [UInt64] = []
    var nodes: [UInt32] = []
    for _ in 0..<stored.entries {
      let found = try readEntry(of: &stored, into: &words)
      guard let slot = slots[found.id] else { continue }
      let entry = Entry(time: found.time, segment: SegmentLedger.open, nulls: found.nulls, slot: slot)
      nodes.append(restore(entry, words: words))
      ledger.gain(entry: nodes[nodes.count - 1])
    }
    attach(nodes)
  }

  /// A segment that is being read.
  private struct StoredSegment {
    var segment: UInt32
    var base: Int64
    /// Above all ids in it.
    var nextID: UInt64
    var isParked: Bool
    var reader: ByteReader
    /// The profile of the record that was read last.
    var profile: [UInt64] = []
    var records = 0
    var entries = 0
  }

  /// Reads up to the records.
  private func openSegment(_ bytes: [UInt8], as segment: UInt32) throws(CodingError) -> StoredSegment {
    var reader = ByteReader(bytes)
    let version = try reader.readByte()
    guard version == Self.version || version == Self.parkedVersion else {
      throw CodingError("a rule's segment has version \(version), expected 1 or 2")
    }
    let mentioned = try reader.readUnsigned()
    let base = try reader.readSigned()
    let records = try reader.readCount(upTo: reader.remaining)
    return StoredSegment(
      segment: segment, base: base, nextID: mentioned, isParked: version == Self.parkedVersion, reader: reader,
      records: records)
  }

  private func readRecord(of stored: inout StoredSegment) throws(CodingError) -> Entity {
    let id = try stored.reader.readUnsigned()
    let key = EntityKey(low: try stored.reader.readUnsigned(), high: try stored.reader.readUnsigned())
    let clock = stored.base &+ (try stored.reader.readSigned())
    let stamp = clock &+ Int64(bitPattern: try stored.reader.readUnsigned())
    var entity = Entity(key: key, id: id, clock: clock, stamp: stamp, lastFinding: nil, segment: stored.segment)
    if try stored.reader.readBool() {
      entity.lastFinding = clock &- Int64(bitPattern: try stored.reader.readUnsigned())
    }
    stored.profile = try profiles.decode(clock: clock, from: &stored.reader)
    guard id < stored.nextID else {
      throw CodingError("a rule's segment has the id \(id) at or above \(stored.nextID)")
    }
    return entity
  }

  private mutating func readRecords(of segment: StoredSegment) throws(CodingError) -> StoredSegment {
    var stored = segment
    for _ in 0..<stored.records {
      let entity = try readRecord(of: &stored)
      if !ended.contains(entity.id) { restore(entity, profile: stored.profile) }
    }
    return stored
  }

  /// Takes up where entities are parked. What an earlier segment has of them does not count.
  private mutating func readParked(
    _ segment: StoredSegment, _ number: UInt64, _ taken: ParkedEntities.Taken?
  ) throws(CodingError) {
    guard segment.records <= ParkedEntities.perSegment else {
      throw CodingError("segment \(number) of a rule has \(segment.records) parked entities")
    }
    var stored = segment
    var found = ParkedEntities.Segment(number: number, records: stored.records, stamp: .min)
    found.taken = taken ?? found.taken
    found.isTakenStored = taken != nil
    var keys: [EntityKey?] = []
    for record in 0..<stored.records {
      let entity = try readRecord(of: &stored)
      if found.taken[record] || !supersede(by: entity) {
        found.taken[record] = true
        keys.append(nil)
      } else {
        found.stamp = max(found.stamp, entity.stamp)
        keys.append(entity.key)
      }
    }
    parked.add(found, at: segment.segment, keys)
    ledger.fill(segment.segment, parked: found.count)
  }

  /// Where the entity of an id is.
  private struct Place {
    var id: UInt64
    var slot: UInt32
  }

  /// Where the entities are, ascending by id.
  private func placesByID() -> [Place] {
    var places = entities.indices.filter { entities[$0].segment != Entry.noSegment }
      .map { Place(id: entities[$0].id, slot: UInt32($0)) }
    places.sort { $0.id < $1.id }
    return places
  }

  private static func slot(of id: UInt64, in places: [Place]) -> UInt32? {
    var (low, high) = (0, places.count)
    while low < high {
      let middle = (low + high) / 2
      if places[middle].id < id { low = middle + 1 } else { high = middle }
    }
    return low < places.count && places[low].id == id ? places[low].slot : nil
  }

  /// - Returns: the nodes of the entries that count, which are in no window yet.
  private mutating func readEntries(
    of stored: inout StoredSegment, _ places: [Place]
  ) throws(CodingError) -> [UInt32] {
    var nodes: [UInt32] = []
    var words: [UInt64] = []
    stored.entries = try stored.reader.readCount(upTo: stored.reader.remaining)
    for _ in 0..<stored.entries {
      let found = try readEntry(of: &stored, into: &words)
      guard let slot = Self.slot(of: found.id, in: places),
        found.time > entities[Int(slot)].clock.subtractingSaturated(within)
      else { continue }
      let entry = Entry(time: found.time, segment: stored.segment, nulls: found.nulls, slot: slot)
      nodes.append(restore(entry, words: words))
    }
    guard stored.reader.isAtEnd else {
      throw CodingError("a rule's segment has \(stored.reader.remaining) bytes too many")
    }
    return nodes
  }

  /// An entry as it is stored.
  private struct StoredEntry {
    var id: UInt64
    var time: Int64
    var nulls: UInt32
  }

  /// - Parameter words: receives the values of its arguments.
  private func readEntry(
    of stored: inout StoredSegment, into words: inout [UInt64]
  ) throws(CodingError) -> StoredEntry {
    let id = try stored.reader.readUnsigned()
    let time = stored.base &+ (try stored.reader.readSigned())
    let nulls = UInt32(try stored.reader.readCount(upTo: Int(UInt32.max)))
    words.removeAll(keepingCapacity: true)
    for (index, plan) in plans.enumerated() where plan.words > 0 {
      try readValue(plan, isNull: nulls >> UInt32(index) & 1 == 1, from: &stored.reader, into: &words)
    }
    return StoredEntry(id: id, time: time, nulls: nulls)
  }

  private func readValue(
    _ plan: ArgumentPlan, isNull: Bool, from reader: inout ByteReader, into words: inout [UInt64]
  ) throws(CodingError) {
    switch (plan.words, plan.type) {
    case _ where isNull: words.append(contentsOf: repeatElement(0, count: plan.words))
    case (2, _):
      words.append(try reader.readUnsigned())
      words.append(try reader.readUnsigned())
    case (_, .double): words.append(try reader.readDouble().bitPattern)
    default: words.append(UInt64(bitPattern: try reader.readSigned()))
    }
  }
}
