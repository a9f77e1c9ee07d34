// The values that an encoder knows, by their hash. Values themselves are not kept: a model holds no event data, and its
// size does not depend on the length of strings. Integers and booleans hash one to one; two strings of 65,536 share a
// 64-bit hash with a probability of about 1e-10, and would then share a number.

/// Number by hash: open addressing with linear probing.
struct ValueTable: Sendable, Hashable {
  /// A hash, and where its number lies; an empty slot has -1.
  private var hashes: [UInt64]
  private var places: [Int32]
  private let mask: Int

  var heldBytes: Int { hashes.heldBytes + places.heldBytes }

  /// - Parameter keys: distinct hashes; the number of a key is its index.
  init(_ keys: [UInt64]) {
    var size = 16
    while size < keys.count * 2 { size *= 2 }
    mask = size - 1
    hashes = [UInt64](repeating: 0, count: size)
    places = [Int32](repeating: -1, count: size)
    for (index, key) in keys.enumerated() {
      var slot = Int(truncatingIfNeeded: key) & mask
      while places[slot] >= 0 { slot = (slot + 1) & mask }
      hashes[slot] = key
      places[slot] = Int32(index)
    }
  }

  /// The index of a key; -1 when it is not there.
  @inline(__always)
  func index(of key: UInt64) -> Int {
    var slot = Int(truncatingIfNeeded: key) & mask
    while true {
      let place = places[slot]
      if place < 0 || hashes[slot] == key { return Int(place) }
      slot = (slot + 1) & mask
    }
  }
}

/// Values as hashes, the same on every machine and in every run.
public enum CategoryHash {
  /// Calls `body` with the ordinal and hash of each of some rows (nil: all) that is not null. Each entry of a dictionary
  /// that is smaller than the rows is hashed once.
  /// - Precondition: a column of strings, integers, timestamps or booleans.
  @inline(__always)
  public static func forEach(_ column: Column, rows: [Int]?, _ body: (_ ordinal: Int, _ hash: UInt64) -> Void) {
    let count = rows?.count ?? column.count
    func visit(_ hash: (Int) -> UInt64) {
      guard let validity = column.validity else {
        for ordinal in 0..<count { body(ordinal, hash(rows?[ordinal] ?? ordinal)) }
        return
      }
      for ordinal in 0..<count {
        let row = rows?[ordinal] ?? ordinal
        if validity[row] { body(ordinal, hash(row)) }
      }
    }
    switch column.values {
    case .int(let values), .timestamp(let values): visit { ValueHash.hash(word: UInt64(bitPattern: values[$0])) }
    case .bool(let bits): visit { ValueHash.hash(word: bits[$0] ? 1 : 0) }
    case .double(let values): visit { ValueHash.hash(word: ValueHash.word(of: values[$0])) }
    case .string(let strings):
      if let codes = strings.codes, strings.entryCount <= count {
        let entries = (0..<strings.entryCount).map { ValueHash.hash(strings.bytes, strings.range(ofEntry: $0)) }
        visit { entries[Int(codes[$0])] }
      } else {
        visit { ValueHash.hash(strings.bytes, strings.range(of: $0)) }
      }
    }
  }
}
