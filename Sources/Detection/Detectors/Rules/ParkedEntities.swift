// Entities of a rule that are stored and not in memory. Where the memory of a run does not hold them all, those that have
// been quiet for longest are parked: a segment of their own gets all that is known of some of them, and only where it is
// stays. What comes of such an entity waits until the segment has been read back, so whether an entity was parked changes no
// result. A segment leaves unread when the time has come to forget all of its entities.
//
// An entity that comes back is taken out of its segment and gets a new identity: what segments hold of it under the old one
// does not count any more. Which records of a segment were taken out is stored beside it, in the checkpoint that has the
// entity anew.

/// Which entities are parked, and where.
struct ParkedEntities: Sendable {
  /// Entities of one segment: so few that one that comes back costs a page or two, so many that segments are few.
  static let perSegment = 128

  /// Which records of a segment were taken out.
  struct Taken: Sendable, Equatable {
    private var low: UInt64 = 0
    private var high: UInt64 = 0

    var count: Int { low.nonzeroBitCount + high.nonzeroBitCount }

    subscript(record: Int) -> Bool {
      get { (record < 64 ? low : high) >> UInt64(record & 63) & 1 == 1 }
      set {
        let bit: UInt64 = 1 << UInt64(record & 63)
        if record < 64 { low = newValue ? low | bit : low & ~bit } else { high = newValue ? high | bit : high & ~bit }
      }
    }

    func encode(into writer: inout ByteWriter) {
      writer.write(unsigned: low)
      writer.write(unsigned: high)
    }

    init() {}

    init(_ reader: inout ByteReader) throws(CodingError) {
      low = try reader.readUnsigned()
      high = try reader.readUnsigned()
    }
  }

  struct Segment: Sendable {
    /// Under which it is stored.
    var number: UInt64
    var records: Int
    var taken = Taken()
    /// The highest stamp of its entities.
    var stamp: Int64
    /// Whether something was taken out since the last checkpoint, and before that.
    var isChanged = false
    var isTakenStored = false

    /// Entities that are parked in it.
    var count: Int { records - taken.count }
  }

  /// By the ledger's index.
  private(set) var segments: [UInt32: Segment] = [:]
  private var places = ParkedPlaces()
  /// Segments without parked entities, which are still stored.
  private var leaving: [Segment] = []
  /// What is to be read back, by the numbers of segments.
  private var wanted: [UInt64: Wanted] = [:]

  var isEmpty: Bool { places.count == 0 }
  var count: Int { places.count }
  var heldBytes: Int { places.heldBytes + segments.heldBytes }

  /// Adds a segment, with the keys of its entities in the order of their records; nil for one that was taken out.
  mutating func add(_ segment: Segment, at index: UInt32, _ keys: [EntityKey?]) {
    // One that has none goes with the next checkpoint.
    guard segment.count > 0 else { return leaving.append(segment) }
    segments[index] = segment
    for key in keys { if let key { places.insert(key, index) } }
  }

  /// An entity leaves a segment: the record of it is taken out.
  mutating func take(_ record: Int, _ key: EntityKey, of index: UInt32) {
    guard var segment = segments[index] else { return }
    places.remove(key, index)
    segment.taken[record] = true
    segment.isChanged = true
    if segment.count == 0 { leaving.append(segment) }
    segments[index] = segment.count > 0 ? segment : nil
  }

  /// Takes out the segments all of whose entities have a stamp up to a bound, once that is an eighth of all: then looking
  /// at all is paid for by those that go.
  /// - Returns: the ledger's indices.
  mutating func takeForgotten(upTo bound: Int64) -> [UInt32] {
    let gone = segments.filter { $0.value.stamp <= bound }
    let freed = gone.values.reduce(0) { $0 + $1.count }
    guard freed > 0, freed * 8 >= count else { return [] }
    for (index, segment) in gone {
      segments[index] = nil
      leaving.append(segment)
    }
    places.keep { segments[$0] != nil }
    return gone.keys.sorted()
  }

  /// Adds what is to be stored of what was taken out since the last call.
  mutating func takeChanges(into changes: inout StateChanges) {
    for segment in leaving.sorted(by: { $0.number < $1.number }) where segment.isTakenStored {
      changes.deletes.append(Self.key(ofTaken: segment.number))
    }
    leaving = []
    let changed = segments.filter(\.value.isChanged).sorted { $0.value.number < $1.value.number }
    for (index, segment) in changed {
      var writer = ByteWriter()
      writer.write(byte: Self.version)
      segment.taken.encode(into: &writer)
      changes.puts.append(StateEntry(key: Self.key(ofTaken: segment.number), value: writer.bytes))
      segments[index]?.isChanged = false
      segments[index]?.isTakenStored = true
    }
  }

  // MARK: Stored

  private static let version: UInt8 = 1

  /// The key of what was taken out of a segment: that of the segment, and 1.
  private static func key(ofTaken number: UInt64) -> [UInt8] { SegmentLedger.key(number) + [1] }

  /// What was taken out of segments, by their numbers.
  static func taken(from stored: [StateEntry]) throws(CodingError) -> [UInt64: Taken] {
    var taken: [UInt64: Taken] = [:]
    for entry in stored where entry.key.count == 9 && entry.key.last == 1 {
      var reader = ByteReader(entry.value)
      let version = try reader.readByte()
      guard let number = SegmentLedger.number(of: Array(entry.key.prefix(8))), version == Self.version else {
        throw CodingError("what was taken out of a rule's segment has version \(version), expected \(Self.version)")
      }
      taken[number] = try Taken(&reader)
      guard reader.isAtEnd else {
        throw CodingError("what was taken out of a rule's segment has \(reader.remaining) bytes too many")
      }
    }
    return taken
  }

  // MARK: Reading back

  /// What may be in a segment and is needed.
  struct Wanted: Sendable {
    /// The ledger's index.
    var segment: UInt32
    var keys: Set<EntityKey> = []
  }

  /// Notes that an entity is needed, if it is parked.
  mutating func want(_ key: EntityKey) {
    places.forEach(key) { index in
      guard let number = segments[index]?.number else { return }
      wanted[number, default: Wanted(segment: index)].keys.insert(key)
    }
  }

  /// The numbers of the segments in which there may be something that is needed, ascending.
  var wantedNumbers: [UInt64] { wanted.keys.sorted() }

  /// What is needed of the segment with a number; nil where that is nothing.
  mutating func takeWanted(of number: UInt64) -> Wanted? { wanted.removeValue(forKey: number) }
}

/// In which segment an entity may be: a hash table with open addressing and linear probing that holds 32 bits of each key's
/// hash and a segment, so two entities may look alike; the records of segments have the keys. Invariant: at most three
/// quarters of the buckets are in use.
struct ParkedPlaces: Sendable {
  private static let empty = UInt64.max

  /// The segment above the hash.
  private var buckets: [UInt64] = []
  private(set) var count = 0

  var heldBytes: Int { buckets.heldBytes }

  private static func hash(_ key: EntityKey) -> UInt32 { UInt32(truncatingIfNeeded: TableHash.hash(key.low, key.high)) }

  private static func bucket(_ key: EntityKey, _ segment: UInt32) -> UInt64 {
    UInt64(segment) << 32 | UInt64(hash(key))
  }

  private func home(_ bucket: UInt64) -> Int { Int(UInt32(truncatingIfNeeded: bucket)) & (buckets.count - 1) }

  mutating func insert(_ key: EntityKey, _ segment: UInt32) {
    if (count + 1) * 4 > buckets.count * 3 { resize(to: max(16, buckets.count * 2), buckets) }
    place(Self.bucket(key, segment))
  }

  func forEach(_ key: EntityKey, _ body: (UInt32) -> Void) {
    if count == 0 { return }
    let hash = Self.hash(key)
    var index = home(UInt64(hash))
    while buckets[index] != Self.empty {
      if UInt32(truncatingIfNeeded: buckets[index]) == hash { body(UInt32(buckets[index] >> 32)) }
      index = (index + 1) & (buckets.count - 1)
    }
  }

  /// Removes an entity that is inside, or one that looks like it in the same segment.
  mutating func remove(_ key: EntityKey, _ segment: UInt32) {
    let mask = buckets.count - 1
    let bucket = Self.bucket(key, segment)
    var hole = home(bucket)
    while buckets[hole] != bucket {
      precondition(buckets[hole] != Self.empty, "the entity is not in the table")
      hole = (hole + 1) & mask
    }
    // What follows moves up if its home does not lie between the hole and itself.
    var next = (hole + 1) & mask
    while buckets[next] != Self.empty {
      if (next - home(buckets[next])) & mask >= (next - hole) & mask {
        buckets[hole] = buckets[next]
        hole = next
      }
      next = (next + 1) & mask
    }
    buckets[hole] = Self.empty
    count -= 1
  }

  /// Keeps what is in some segments.
  mutating func keep(_ isKept: (UInt32) -> Bool) {
    let kept = buckets.filter { $0 != Self.empty && isKept(UInt32($0 >> 32)) }
    var size = 16
    while (kept.count + 1) * 4 > size * 3 { size *= 2 }
    resize(to: size, kept)
  }

  private mutating func resize(to size: Int, _ content: [UInt64]) {
    buckets = [UInt64](repeating: Self.empty, count: size)
    count = 0
    for bucket in content where bucket != Self.empty { place(bucket) }
  }

  private mutating func place(_ bucket: UInt64) {
    var index = home(bucket)
    while buckets[index] != Self.empty { index = (index + 1) & (buckets.count - 1) }
    buckets[index] = bucket
    count += 1
  }
}
