// The distinct count: its error, its algebra and its bytes.

import TestKit
import Testing

@testable import Detection

@Suite struct HyperLogLogTests {
  private func bytes(_ sketch: HyperLogLog) -> [UInt8] {
    var writer = ByteWriter()
    sketch.encode(into: &writer)
    return writer.bytes
  }

  @Test func smallSetsAreExact() {
    var sketch = HyperLogLog()
    #expect(sketch.estimate == 0)
    #expect(sketch.isEmpty)
    for value in 0..<Int64(HyperLogLog.maxEntries) {
      sketch.add(value)
      sketch.add(value / 2)
      #expect(sketch.estimate == value + 1)
    }
    #expect(bytes(sketch).count < 4 * HyperLogLog.maxEntries)
  }

  /// The root mean square error of 60 sets of each size stays near the standard error, and the mean near zero.
  @Test(arguments: [1000, 3000, 10_000, 20_000, 100_000])
  func keepsItsErrorBound(_ count: Int) {
    var squares = 0.0
    var sum = 0.0
    let rounds = 60
    for round in 0..<rounds {
      var sketch = HyperLogLog()
      for value in 0..<count { sketch.add(Int64(round * 1_000_000 + value)) }
      let error = Double(sketch.estimate) / Double(count) - 1
      squares += error * error
      sum += error
    }
    #expect((squares / Double(rounds)).squareRoot() < 1.3 * HyperLogLog.standardError)
    #expect(abs(sum / Double(rounds)) < 3.5 * HyperLogLog.standardError / Double(rounds).squareRoot())
  }

  @Test func kindsOfValues() {
    var doubles = HyperLogLog()
    for value in [0, -0.0, .nan, -.nan, 1.5, -1.5, .infinity] { doubles.add(value) }
    #expect(doubles.estimate == 5)
    var strings = HyperLogLog()
    for value in ["", "a", "a", "b", "ä", String(repeating: "x", count: 100)] { strings.add(Array(value.utf8)) }
    #expect(strings.estimate == 5)
    var many = HyperLogLog()
    for value in 0..<50_000 { many.add(Array("user-\(value % 5000)".utf8)) }
    #expect(abs(Double(many.estimate) / 5000 - 1) < 4 * HyperLogLog.standardError)
  }

  @Test func valuesWhoseRankLiesBeyondTheEntry() {
    // Hashes with long runs of zeros after 12, after 26 and up to all bits.
    let hashes = (0..<64).map { UInt64(1) << $0 } + [0, 0xFFF0_0000_0000_0000]
    let filler = (0..<2000).map { ValueHash.hash(word: UInt64($0)) }
    var early = HyperLogLog()
    var late = HyperLogLog()
    for hash in hashes + filler { early.add(hash: hash) }
    for hash in filler + hashes { late.add(hash: hash) }
    #expect(early == late)
    #expect(bytes(early) == bytes(late))
  }

  @Test(arguments: 0..<12)
  func mergingIsAddingInAnyOrder(_ seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let size = [0, 5, 700, 768, 769, 800, 2000, 30_000][Int(seed % 8)]
    let values = (0..<size * 2).map { _ in Int64.random(in: 0...Int64(max(size, 1)), using: &random) }
    var whole = HyperLogLog()
    for value in values { whole.add(value) }
    var parts = [HyperLogLog](repeating: HyperLogLog(), count: 4)
    // Uneven, so that small sets meet large ones.
    for value in values.shuffled(using: &random) {
      parts[min(Int.random(in: 0..<4, using: &random), Int.random(in: 0..<8, using: &random))].add(value)
    }
    var merged = HyperLogLog()
    for part in parts.shuffled(using: &random) { merged.merge(part) }
    #expect(merged == whole)
    #expect(bytes(merged) == bytes(whole))
    var reader = ByteReader(bytes(whole))
    #expect(try HyperLogLog(from: &reader) == whole)
    #expect(reader.isAtEnd)
  }

  /// The bytes of a fixed set: another hash or layout would make stored sketches unreadable.
  @Test func theFormatIsFixed() {
    var sketch = HyperLogLog()
    for value in 1...3 as ClosedRange<Int64> { sketch.add(value) }
    #expect(bytes(sketch) == Self.threeIntegers)
  }
  private static let threeIntegers: [UInt8] = [
    3, 193, 169, 172, 232, 1, 128, 178, 252, 159, 7, 129, 144, 184, 50,
  ]

  @Test func damagedBytesAreAnError() throws {
    var random = SeededRandom(seed: 3)
    for count in [20, 5000] as [Int64] {
      var sketch = HyperLogLog()
      for value in 0..<count { sketch.add(value) }
      let good = bytes(sketch)
      for length in stride(from: 0, to: good.count, by: 7) {
        #expect(throws: CodingError.self) {
          var reader = ByteReader(Array(good.prefix(length)))
          _ = try HyperLogLog(from: &reader)
        }
      }
      for _ in 0..<2000 {
        var bad = good
        bad[Int.random(in: 0..<bad.count, using: &random)] = .random(in: 0...255, using: &random)
        var reader = ByteReader(bad)
        guard var read = try? HyperLogLog(from: &reader) else { continue }
        read.add(42 as Int64)
        read.merge(sketch)
        _ = read.estimate
      }
    }
    // No rank; a rank beyond the bits; the same 26 bits twice; a register's rank beyond the bits.
    for bad: [UInt8] in [
      [1, 0x40], [1, 0x68], [2, 0x41, 0x01], [0x81, 0x06] + [UInt8](repeating: 0xFF, count: 3072),
    ] {
      #expect(throws: CodingError.self) {
        var reader = ByteReader(bad)
        _ = try HyperLogLog(from: &reader)
      }
    }
  }
}
