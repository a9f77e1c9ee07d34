// The quantile sketch: its error on several distributions, its algebra and its bytes.

import TestKit
import Testing

@testable import Detection

@Suite struct DDSketchTests {
  /// Seeded values of a named distribution.
  private static func values(_ name: String, _ count: Int, _ random: inout SeededRandom) -> [Double] {
    func uniform() -> Double { Double.random(in: 0..<1, using: &random) }
    // A sum of twelve uniforms: nearly normal, without mathematical functions.
    func normal() -> Double { (0..<12).reduce(-6) { sum, _ in sum + uniform() } }
    func power(_ exponent: Int) -> Double { (0..<abs(exponent)).reduce(1.0) { value, _ in value * 1.7 } }
    return (0..<count).map { _ in
      switch name {
      case "uniform": uniform() * 1000
      case "pareto": 1 / (1 - uniform())
      case "normal": normal() * 10
      case "integers": Double(Int.random(in: 0...50, using: &random))
      case "wide": power(Int.random(in: 0...50, using: &random)) * (1 + uniform())
      case "negative": -1 / (1 - uniform())
      case "tiny": Double.leastNormalMagnitude * (1 + uniform() * 1000)
      default: uniform() < 0.5 ? 0 : 3
      }
    }
  }

  @Test(arguments: ["uniform", "pareto", "normal", "integers", "wide", "negative", "tiny", "two"])
  func keepsItsErrorBound(_ name: String) throws {
    var random = SeededRandom(seed: 7)
    for count in [1, 2, 31, 32, 33, 100, 20_000] {
      let values = Self.values(name, count, &random)
      var sketch = DDSketch()
      for value in values { sketch.add(value) }
      #expect(sketch.count == UInt64(count))
      let sorted = values.sorted()
      for fraction in [0, 0.001, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1] {
        let exact = sorted[Int(fraction * Double(count - 1))]
        let estimate = try #require(sketch.quantile(fraction))
        #expect(abs(estimate - exact) <= 0.01 * abs(exact), "\(name) \(count) \(fraction)")
      }
    }
  }

  @Test func everyBinIsWithinTheBoundOfItsValue() {
    for exponent in [-1022, -3, 0, 1, 40, 1022] {
      for bin in 0..<DDSketch.octaveBins {
        let index = exponent * DDSketch.octaveBins + bin
        let value = DDSketch.value(of: index)
        #expect(DDSketch.index(of: value) == index)
      }
    }
    // Neighbouring doubles never go to a lower bin, also around the end of an octave.
    for exponent in -3...3 {
      let edge = Double(sign: .plus, exponent: exponent, significand: 1)
      #expect(DDSketch.index(of: edge) == exponent * DDSketch.octaveBins)
      #expect(DDSketch.index(of: edge.nextDown) == exponent * DDSketch.octaveBins - 1)
    }
  }

  @Test func extremesHaveTheirPlaces() throws {
    var sketch = DDSketch()
    #expect(sketch.quantile(0.5) == nil)
    sketch.add(.nan)
    #expect(sketch.quantile(0.5) == nil)
    #expect(sketch.notNumbers == 1)
    for value in [Double.infinity, -.infinity, 0, -0.0, .leastNonzeroMagnitude] { sketch.add(value) }
    #expect(sketch.quantile(0) == -.infinity)
    #expect(sketch.quantile(0.5) == 0)
    #expect(sketch.quantile(1) == .infinity)
    var finite = DDSketch()
    finite.add(.greatestFiniteMagnitude)
    let largest = try #require(finite.quantile(1))
    #expect(largest.isFinite && largest > 0.99 * .greatestFiniteMagnitude)
  }

  /// One absurd value costs one bin.
  @Test func anOutlierDoesNotSpoilTheRest() throws {
    var sketch = DDSketch()
    for value in [3, 1e300, 4, .infinity, 5, 1e-300, 6] as [Double] { sketch.add(value) }
    for (rank, exact) in [1e-300, 3, 4, 5, 6, 1e300].enumerated() {
      let estimate = try #require(sketch.quantile((Double(rank) + 0.5) / 6))
      #expect(abs(estimate - exact) <= 0.01 * exact)
    }
  }

  /// Beyond 2048 occupied bins the small magnitudes collapse and the large quantiles stay right, in any order.
  @Test func collapsesTheSmallest() throws {
    var random = SeededRandom(seed: 5)
    let count = 3000
    let values = (0..<count).map { DDSketch.value(of: $0 * 3 - 4000) }
    var sketch = DDSketch()
    for value in values { sketch.add(value) }
    for _ in 0..<3 {
      var parts = [DDSketch(), DDSketch()]
      for value in values.shuffled(using: &random) { parts[Int.random(in: 0...1, using: &random)].add(value) }
      parts[0].merge(parts[1])
      #expect(bytes(parts[0]) == bytes(sketch))
    }
    #expect(sketch.count == UInt64(count))
    for rank in [count - DDSketch.maxBins, count - 100, count - 1] {
      let estimate = try #require(sketch.quantile(Double(rank) / Double(count - 1)))
      #expect(abs(estimate - values[rank]) <= 0.01 * values[rank])
    }
    let low = try #require(sketch.quantile(0))
    #expect(abs(low - values[count - DDSketch.maxBins]) <= 0.01 * low)
    var reader = ByteReader(bytes(sketch))
    let restored = try DDSketch(from: &reader)
    #expect(restored == sketch)
  }

  private func bytes(_ sketch: DDSketch) -> [UInt8] {
    var copy = sketch
    var writer = ByteWriter()
    copy.encode(into: &writer)
    return writer.bytes
  }

  @Test(arguments: 0..<10)
  func mergingIsAddingInAnyOrder(_ seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let names = ["uniform", "pareto", "normal", "wide", "negative", "two"]
    let values = names.flatMap { Self.values($0, Int.random(in: 0...300, using: &random), &random) } + [.nan]
    var whole = DDSketch()
    for value in values { whole.add(value) }
    var parts = [DDSketch](repeating: DDSketch(), count: 5)
    for value in values.shuffled(using: &random) {
      let part = Int.random(in: 0..<5, using: &random)
      parts[part].add(value)
      if Int.random(in: 0..<100, using: &random) == 0 { _ = bytes(parts[part]) }
    }
    var merged = DDSketch()
    for part in parts.shuffled(using: &random) { merged.merge(part) }
    #expect(merged == whole)
    #expect(bytes(merged) == bytes(whole))
    var reader = ByteReader(bytes(whole))
    var restored = try DDSketch(from: &reader)
    #expect(reader.isAtEnd)
    #expect(bytes(restored) == bytes(whole))
    // A restored sketch goes on like the one that was stored.
    for value in values.prefix(40) {
      restored.add(value)
      whole.add(value)
    }
    #expect(bytes(restored) == bytes(whole))
  }

  @Test func damagedBytesAreAnError() throws {
    var random = SeededRandom(seed: 3)
    var sketch = DDSketch()
    for value in Self.values("normal", 200, &random) { sketch.add(value) }
    let good = bytes(sketch)
    for count in 0..<good.count {
      #expect(throws: CodingError.self) {
        var reader = ByteReader(Array(good.prefix(count)))
        _ = try DDSketch(from: &reader)
      }
    }
    // Whatever one byte becomes, reading either throws or gives a sketch that works.
    for _ in 0..<5000 {
      var bad = good
      bad[Int.random(in: 0..<bad.count, using: &random)] = .random(in: 0...255, using: &random)
      var reader = ByteReader(bad)
      guard var read = try? DDSketch(from: &reader) else { continue }
      _ = read.quantile(0.5)
      read.merge(read)
      _ = bytes(read)
    }
    for bad: [UInt8] in [[0, 0, 1, 0, 0], [0, 0, 2, 0, 1, 0, 1], [0, 0, 1, 0xFF, 0xFF, 0x7F, 1]] {
      #expect(throws: CodingError.self) {
        var reader = ByteReader(bad + [0])
        _ = try DDSketch(from: &reader)
      }
    }
  }
}
