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
    let dead = ledger.dead
    let merged = ended.areMany(for: entryCount + entityCount) ? ledger.live : ledger.worthMerging
    for segment in dead + merged { changes.deletes.append(Self.key(ledger.segments[Int(segment)].number)) }

    let sources = [SegmentLedger.open] + merged
    if sources.contains(where: { ledger.segments[Int($0)].live > 0 }) {
      let target = ledger.place()
      var nodes: [UInt32] = []
      var slots: [UInt32] = []
      for source in sources {
        // Moving what is written keeps out what is listed twice: a node that was freed and used again.
        let segment = ledger.segments[Int(source)]
        for node in segment.nodes where move(node: node, from: source, to: target) { nodes.append(node) }
        for slot in segment.slots where move(slot: slot, from: source, to: target) { slots.append(slot) }
      }
      ledger.fill(target, nodes: nodes, slots: slots, stored: nodes.count + slots.count)
      let number = ledger.segments[Int(target)].number
      changes.puts.append((key: Self.key(number), value: encode(nodes: nodes, slots: slots)))
    }
    for segment in sources + dead { ledger.clear(segment) }
    ended.takeChanges(oldestSegment: ledger.oldestNumber, nextID: nextID, key: Self.key(0), into: &changes)
    return changes
  }

  private static func key(_ number: UInt64) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: number >> UInt64(56 - 8 * $0)) }
  }

  private func encode(nodes: [UInt32], slots: [UInt32]) -> [UInt8] {
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

  /// Replaces everything by what the segments describe.
  mutating func restore(from stored: [(key: [UInt8], value: [UInt8])]) throws(CodingError) {
    self = SlidingEntities(
      within: within, horizon: horizon, maxAhead: maxAhead, plans: plans, holdsEntries: holdsEntries)
    var contents = SegmentContents()
    for (key, value) in stored {
      guard key.count == 8 else { throw CodingError("the key of a rule's segment has \(key.count) bytes, expected 8") }
      let number = key.reduce(0) { $0 << 8 | UInt64($1) }
      if number == 0 {
        nextID = max(nextID, try ended.restore(from: value))
        continue
      }
      guard number > ledger.lastNumber else {
        throw CodingError("segment \(number) of a rule follows segment \(ledger.lastNumber)")
      }
      try decode(value, as: ledger.place(number: number), into: &contents)
    }
    contents.records = contents.records.filter { !ended.contains($0.key) }
    rebuild(contents)
    ended.noteRestored(nextID: nextID)
  }

  /// What was read from all segments.
  private struct SegmentContents {
    /// The latest record of each id.
    var records: [UInt64: Entity] = [:]
    /// Entries, and the id of the entity of each; the slot is not known yet.
    var entries: [(entry: Entry, id: UInt64)] = []
    var words: [UInt64] = []
    /// Entries and records read, by segment index.
    var stored: [UInt32: Int] = [:]
  }

  private mutating func decode(
    _ bytes: [UInt8], as segment: UInt32, into contents: inout SegmentContents
  ) throws(CodingError) {
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
      if let other = contents.records[id], !entity.isNoEarlier(than: other) { continue }
      contents.records[id] = entity
    }
    let count = try reader.readCount(upTo: reader.remaining)
    for _ in 0..<count {
      let id = try reader.readUnsigned()
      let time = base &+ (try reader.readSigned())
      let nulls = UInt32(try reader.readCount(upTo: Int(UInt32.max)))
      contents.entries.append((Entry(time: time, segment: segment, nulls: nulls, slot: 0), id))
      for (index, plan) in plans.enumerated() where plan.words > 0 {
        let isNull = nulls >> UInt32(index) & 1 == 1
        try readValue(plan, isNull: isNull, from: &reader, into: &contents.words)
      }
    }
    guard reader.isAtEnd else { throw CodingError("a rule's segment has \(reader.remaining) bytes too many") }
    contents.stored[segment] = records + count
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

  private mutating func rebuild(_ contents: SegmentContents) {
    var latest: [EntityKey: UInt64] = [:]
    for (id, entity) in contents.records { latest[entity.key] = max(id, latest[entity.key] ?? 0) }
    var slotOfID: [UInt64: UInt32] = [:]
    var held: [UInt32: (nodes: [UInt32], slots: [UInt32])] = [:]
    for id in contents.records.keys.sorted() {
      guard let entity = contents.records[id], latest[entity.key] == id else { continue }
      let slot = restore(entity)
      slotOfID[id] = slot
      held[entity.segment, default: ([], [])].slots.append(slot)
    }
    let order = contents.entries.indices.sorted { contents.entries[$0].entry.time < contents.entries[$1].entry.time }
    for index in order {
      var (entry, id) = contents.entries[index]
      guard let slot = slotOfID[id] else { continue }
      guard entry.time > entities[Int(slot)].clock.subtractingSaturated(within) else { continue }
      entry.slot = slot
      let node = restore(entry, words: contents.words[index * width..<(index + 1) * width])
      held[entry.segment, default: ([], [])].nodes.append(node)
    }
    for (segment, stored) in contents.stored {
      let (nodes, slots) = held[segment] ?? ([], [])
      ledger.fill(segment, nodes: nodes, slots: slots, stored: stored)
    }
  }
}

extension Entity {
  /// Whether this record was written no earlier than another of the same id: its times only ascend.
  fileprivate func isNoEarlier(than other: Entity) -> Bool {
    (clock, stamp, lastFinding ?? .min) >= (other.clock, other.stamp, other.lastFinding ?? .min)
  }
}
