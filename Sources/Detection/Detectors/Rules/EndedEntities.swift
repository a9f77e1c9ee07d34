// Entities of a rule that ended before their time, because their clock was not to be believed. What is stored of them would
// bring them back after a restart, so their ids are stored until nothing from before their end is left. Invariant: an id is
// here as long as a segment may hold a record of it. Format of the value:
//
//   version   byte, 1
//   ids       count, then of each, ascending: unsigned, the id; unsigned, the number of the last segment that may hold it
//
// Cost: where there are many, all that is live is written again in one segment, which is paid for by what has ended.

/// The stored entities of a rule that ended before their time.
struct EndedEntities: Sendable {
  private static let version: UInt8 = 1

  /// By id: the number of the last segment that may hold a record of the entity.
  private var segments: [UInt64: UInt64] = [:]
  /// Entities with a lower id may be stored.
  private var firstUnstored: UInt64 = 0
  private var isChanged = false
  private var isStored = false

  var heldBytes: Int { segments.heldBytes }

  func contains(_ id: UInt64) -> Bool { segments[id] != nil }

  /// Whether it is time to write all that is live again.
  func areMany(for live: Int) -> Bool { segments.count > max(64, live / 8) }

  /// An entity has ended. One that was never stored leaves nothing behind.
  mutating func note(_ id: UInt64, _ lastSegment: UInt64) {
    guard id < firstUnstored else { return }
    segments[id] = lastSegment
    isChanged = true
  }

  /// Adds what is to be stored.
  /// - Parameters:
  ///   - oldestSegment: the lowest number of a segment that is stored now.
  ///   - nextID: the next new entity's; those before may be stored now.
  mutating func takeChanges(oldestSegment: UInt64?, nextID: UInt64, key: [UInt8], into changes: inout StateChanges) {
    firstUnstored = nextID
    let count = segments.count
    if count > 0 { segments = segments.filter { $0.value >= oldestSegment ?? .max } }
    guard isChanged || segments.count != count else { return }
    isChanged = false
    guard !segments.isEmpty else {
      if isStored { changes.deletes.append(key) }
      isStored = false
      return
    }
    var writer = ByteWriter()
    writer.write(byte: Self.version)
    writer.write(unsigned: UInt64(segments.count))
    for (id, segment) in segments.sorted(by: { $0.key < $1.key }) {
      writer.write(unsigned: id)
      writer.write(unsigned: segment)
    }
    changes.puts.append(StateEntry(key: key, value: writer.bytes))
    isStored = true
  }

  /// - Returns: an id above all that are here.
  mutating func restore(from bytes: [UInt8]) throws(CodingError) -> UInt64 {
    var reader = ByteReader(bytes)
    let version = try reader.readByte()
    guard version == Self.version else {
      throw CodingError("the ended entities of a rule have version \(version), expected \(Self.version)")
    }
    for _ in 0..<(try reader.readCount(upTo: reader.remaining)) {
      let id = try reader.readUnsigned()
      guard id < .max else { throw CodingError("the ended entities of a rule have an id that is none") }
      segments[id] = try reader.readUnsigned()
    }
    guard reader.isAtEnd else {
      throw CodingError("the ended entities of a rule have \(reader.remaining) bytes too many")
    }
    isStored = true
    return (segments.keys.max() ?? 0) + 1
  }

  /// All that was stored has been read.
  mutating func noteRestored(nextID: UInt64) { firstUnstored = nextID }
}
