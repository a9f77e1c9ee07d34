// How the windows of a rule are stored. Format of a segment (key: its number, 8 bytes big-endian; value by `ByteWriter`):
//
//   version       byte, 1
//   next id       unsigned; above every id in the segment and in those before it
//   base          signed; times below are differences from it, wrapping
//   records       count, then for each entity: id, key low and high (unsigned), clock - base (signed), stamp - clock
//                 (unsigned), whether it had a finding (bool) and if so clock - last finding (unsigned)
//   entries       count, then for each: id of its entity, time - base (signed), null mask (unsigned), and of each
//                 argument that is kept and not null its value: signed for integers, 8 bytes for doubles, two
//                 unsigned for the identity of a string
//
// Reading. Segments may overlap: of several records of one id the one with the highest times is the latest, since an
// entity's times only ascend; of several ids of one key the highest is the latest, the others were forgotten. An entry
// counts if its entity's latest id is its own and its time lies in the window of that entity's clock. What this restores is
// what was held when the last segment was written, and possibly entities that had been forgotten when their time came,
// which are forgotten again before the next event is looked at. Nothing would forget again those that ended before their
// time (`EndedEntities`): their ids are stored under the key 0, as long as a segment from before their end is there.

extension SlidingEntities {
  private static let version: UInt8 = 1

  // MARK: Writing

  /// The segments written and deleted since the last call.
  mutating func takeChanges() -> StateChanges {
    var changes = StateChanges()
    let round = ledger.round(rewriting: ended.areMany(for: entryCount + entityCount))
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
      changes.puts.append((SegmentLedger.key(ledger.segments[Int(target)].number), encode(content)))
    }
    ledger.end(round, into: &changes)
    ended.takeChanges(
      oldestSegment: ledger.oldestNumber, nextID: nextID, key: SegmentLedger.key(0), into: &changes)
    return changes
  }

  private func encode(_ content: SegmentContent) -> [UInt8] {
    let (nodes, slots) = (content.entries, content.records)
    var writer = ByteWriter()
    let base = slots.first.map { entities[Int($0)].clock } ?? nodes.first.map { entries[Int($0)].time } ?? 0
    writer.write(byte: Self.version)
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
  mutating func restore(from stored: [(key: [UInt8], value: [UInt8])]) throws(CodingError) {
    self = SlidingEntities(
      within: within, horizon: horizon, maxAhead: maxAhead, plans: plans, holdsEntries: holdsEntries)
    var segments: [StoredSegment] = []
    for (key, value) in stored {
      guard let number = SegmentLedger.number(of: key) else {
        throw CodingError("the key of a rule's segment has \(key.count) bytes, expected 8")
      }
      if number == 0 {
        nextID = max(nextID, try ended.restore(from: value))
        continue
      }
      guard number > ledger.lastNumber else {
        throw CodingError("segment \(number) of a rule follows segment \(ledger.lastNumber)")
      }
      segments.append(try readRecords(of: value, as: ledger.place(number: number)))
    }
    var held = [SegmentContent](repeating: SegmentContent(), count: ledger.segments.count)
    for slot in finishEntities() { held[Int(entities[Int(slot)].segment)].records.append(slot) }
    let places = placesByID()
    for index in segments.indices {
      let nodes = try readEntries(of: &segments[index], places)
      held[Int(segments[index].segment)].entries = nodes
    }
    attachRestored()
    for stored in segments {
      ledger.fill(stored.segment, held[Int(stored.segment)], stored: stored.records + stored.entries)
    }
    ended.noteRestored(nextID: nextID)
  }

  /// A segment whose records have been read.
  private struct StoredSegment {
    var segment: UInt32
    var base: Int64
    /// Behind the records.
    var reader: ByteReader
    var records = 0
    var entries = 0
  }

  /// Where the entity of an id is.
  private struct Place {
    var id: UInt64
    var slot: UInt32
  }

  private mutating func readRecords(of bytes: [UInt8], as segment: UInt32) throws(CodingError) -> StoredSegment {
    var reader = ByteReader(bytes)
    let version = try reader.readByte()
    guard version == Self.version else {
      throw CodingError("a rule's segment has version \(version), expected \(Self.version)")
    }
    let mentioned = try reader.readUnsigned()
    nextID = max(nextID, mentioned)
    let base = try reader.readSigned()
    let records = try reader.readCount(upTo: reader.remaining)
    for _ in 0..<records {
      let id = try reader.readUnsigned()
      let key = EntityKey(low: try reader.readUnsigned(), high: try reader.readUnsigned())
      let clock = base &+ (try reader.readSigned())
      let stamp = clock &+ Int64(bitPattern: try reader.readUnsigned())
      var entity = Entity(key: key, id: id, clock: clock, stamp: stamp, lastFinding: nil, segment: segment)
      if try reader.readBool() { entity.lastFinding = clock &- Int64(bitPattern: try reader.readUnsigned()) }
      guard id < mentioned else { throw CodingError("a rule's segment has the id \(id) at or above \(mentioned)") }
      if !ended.contains(id) { restore(entity) }
    }
    return StoredSegment(segment: segment, base: base, reader: reader, records: records)
  }

  /// Where the entities are, ascending by id.
  private func placesByID() -> [Place] {
    var places = entities.indices.map { Place(id: entities[$0].id, slot: UInt32($0)) }
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
      let id = try stored.reader.readUnsigned()
      let time = stored.base &+ (try stored.reader.readSigned())
      let nulls = UInt32(try stored.reader.readCount(upTo: Int(UInt32.max)))
      words.removeAll(keepingCapacity: true)
      for (index, plan) in plans.enumerated() where plan.words > 0 {
        let isNull = nulls >> UInt32(index) & 1 == 1
        try readValue(plan, isNull: isNull, from: &stored.reader, into: &words)
      }
      guard let slot = Self.slot(of: id, in: places),
        time > entities[Int(slot)].clock.subtractingSaturated(within)
      else { continue }
      let entry = Entry(time: time, segment: stored.segment, nulls: nulls, slot: slot)
      nodes.append(restore(entry, words: words))
    }
    guard stored.reader.isAtEnd else {
      throw CodingError("a rule's segment has \(stored.reader.remaining) bytes too many")
    }
    return nodes
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
