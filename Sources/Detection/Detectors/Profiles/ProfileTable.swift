// The profiles of all entities of a rule, as words one after another, and how one is stored: how many words there are up to
// the last that is not zero, and of each: unsigned for counts, signed for integers and for times less the entity's clock,
// 8 bytes little-endian for bits.

/// Profiles by the slot of their entity.
struct ProfileTable: Sendable {
  /// What the words of a profile are; empty for a rule that keeps none.
  let layout: [ProfileWord]
  /// As many words a slot as the layout has.
  var words: [UInt64] = []

  init(layout: [ProfileWord]) { self.layout = layout }

  var isEmpty: Bool { layout.isEmpty }
  var heldBytes: Int { words.heldBytes }

  /// The place of a slot's first word.
  @inline(__always)
  func base(of slot: UInt32) -> Int { Int(slot) * layout.count }

  /// Adds the profile of a new entity behind the others.
  mutating func append() { for _ in layout { words.append(0) } }

  /// Makes the profile of a slot that of a new entity.
  mutating func clear(_ slot: UInt32) { for index in layout.indices { words[base(of: slot) + index] = 0 } }

  /// Sets a profile as it was stored.
  mutating func set(_ slot: UInt32, to profile: [UInt64]) {
    for (index, word) in profile.enumerated() { words[base(of: slot) + index] = word }
  }

  // MARK: Stored

  func encode(_ slot: UInt32, clock: Int64, into writer: inout ByteWriter) {
    if layout.isEmpty { return }
    let profile = words[base(of: slot)..<base(of: slot) + layout.count]
    let used = profile.lastIndex { $0 != 0 }.map { $0 - profile.startIndex + 1 } ?? 0
    writer.write(unsigned: UInt64(used))
    for (kind, word) in zip(layout, profile).prefix(used) {
      switch kind {
      case .count: writer.write(unsigned: word)
      case .integer: writer.write(signed: Int64(bitPattern: word))
      case .time: writer.write(signed: Int64(bitPattern: word) &- clock)
      case .bits: writer.write(double: Double(bitPattern: word))
      }
    }
  }

  /// - Throws: `CodingError` where a word is not what the layout says.
  func decode(clock: Int64, from reader: inout ByteReader) throws(CodingError) -> [UInt64] {
    if layout.isEmpty { return [] }
    let used = try reader.readCount(upTo: layout.count)
    var profile = [UInt64](repeating: 0, count: layout.count)
    for (index, kind) in layout.prefix(used).enumerated() {
      profile[index] =
        switch kind {
        case .count(let most): UInt64(try reader.readCount(upTo: most))
        case .integer(let most): UInt64(bitPattern: try Self.readInteger(from: &reader, upTo: most))
        case .time: UInt64(bitPattern: clock &+ (try reader.readSigned()))
        case .bits: try reader.readDouble().bitPattern
        }
    }
    return profile
  }

  private static func readInteger(from reader: inout ByteReader, upTo most: Int64) throws(CodingError) -> Int64 {
    let value = try reader.readSigned()
    guard (-most...most).contains(value) else { throw CodingError("a rule's profile has \(value), at most \(most)") }
    return value
  }
}
