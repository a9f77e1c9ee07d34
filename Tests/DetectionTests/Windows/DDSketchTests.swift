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
    for exponent in [-1022, -1010, -3, 0, 1, 40, 1022] {
      for bin in 0..<DDSketch.octaveBins {
        let index = exponent * DDSketch.octaveBins + bin
        let value = DDSketch.value(of: index)
        #expect(DDSketch.index(of: value) == index)
      }
    }
    // Neighbouring doubles never go to a lower bin, also around the end of an octave.
    for exponent in Array(-3...3) + [-1023, -1022, -1021, 1023] {
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
    #expect(sketch.quantile(0.75) == .leastNonzeroMagnitude)
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

  /// Every magnitude that a double can have at once: nothing is given up for it.
  @Test func keepsItsErrorBoundOverAllDoubles() throws {
    var random = SeededRandom(seed: 11)
    for isFar in [true, false] {
      var values = (0..<30_000).map { _ -> Double in
        let bits = random.next() & 0xBFFF_FFFF_FFFF_FFFF
        let value = Double(bitPattern: isFar ? bits | (random.next() % 2) << 62 : bits)
        return value.isFinite ? value : .infinity
      }
      values += [.leastNonzeroMagnitude, -.leastNonzeroMagnitude, .greatestFiniteMagnitude, 0, .infinity, -.infinity]
      var parts = [DDSketch(), DDSketch()]
      for value in values { parts[Int.random(in: 0...1, using: &random)].add(value) }
      parts[0].merge(parts[1])
      var reader = ByteReader(bytes(parts[0]))
      let sketch = try DDSketch(from: &reader)
      #expect(reader.isAtEnd && sketch == parts[0] && sketch.count == UInt64(values.count))
      values.sort()
      for rank in stride(from: 0, to: values.count, by: 97) {
        let exact = values[rank]
        let estimate = try #require(sketch.quantile((Double(rank) + 0.5) / Double(values.count - 1)))
        // Where doubles lie further apart than that, it is the nearest one.
        let room = max(0.01 * abs(exact), 0.51 * exact.ulp)
        #expect(estimate == exact || abs(estimate - exact) <= room, "\(exact) \(estimate)")
      }
    }
  }

  /// The example of a report: nine decades on either side are far less than a double has.
  @Test func aMedianAmongHugeAndTinyValues() throws {
    var sketch = DDSketch()
    for step in -2000...2000 { sketch.add(step == 0 ? 0.37 : 0.37 * Double("1e\(step / 20)")!) }
    let median = try #require(sketch.quantile(0.5))
    #expect(abs(median - 0.37) <= 0.0037)
    let tenth = try #require(sketch.quantile(0.1))
    #expect(abs(tenth / 0.37e-80 - 1) <= 0.01)
  }

  /// The bytes of before, which did not say what the lowest of 2048 bins stands for: where it may matter, the quantile is
  /// not known; above it is right as ever, and so it stays when the sketch goes on, is merged and stored again.
  @Test func whatEarlierVersionsCollapsedIsNotKnown() throws {
    var writer = ByteWriter()
    writer.write(unsigned: 7)
    writer.write(unsigned: 0)
    for first in [-500, 0] {
      let bins = first == 0 ? 3 : DDSketch.earlierMaxBins
      writer.write(unsigned: UInt64(bins))
      for bin in 0..<bins {
        if bin == 0 { writer.write(signed: Int64(first)) } else { writer.write(unsigned: 2) }
        writer.write(unsigned: bin == 0 && bins > 3 ? 1000 : 1)
      }
    }
    var reader = ByteReader(writer.bytes)
    var old = try #require(try DDSketch.decode(32, from: &reader))
    #expect(reader.isAtEnd && old.count == 1000 + 2047 + 3 + 7)
    func check(_ sketch: DDSketch, below: Int, unknown: Int) {
      let last = Double(sketch.count - 1)
      func quantile(_ rank: Int) -> Double? { sketch.quantile((Double(rank) + 0.5) / last) }
      #expect(quantile(below - 1) == 0 && quantile(below) == nil && quantile(below + unknown - 1) == nil)
      #expect(quantile(below + unknown).map { DDSketch.index(of: $0) } == -498)
      #expect(sketch.quantile(1).map { DDSketch.index(of: $0) } == 2 * 2047 - 500)
    }
    check(old, below: 10, unknown: 1000)
    // A small value that comes now is somewhere among those of which it is not known.
    old.add(DDSketch.value(of: -4000))
    check(old, below: 10, unknown: 1001)
    var again = ByteReader(bytes(old))
    var restored = try #require(try DDSketch.decode(DDSketch.wideTag, from: &again))
    #expect(again.isAtEnd && restored == old)
    check(restored, below: 10, unknown: 1001)
    var fresh = DDSketch()
    fresh.add(DDSketch.value(of: -3000))
    fresh.merge(restored)
    restored.merge(DDSketch())
    check(fresh, below: 10, unknown: 1002)
    // Fewer bins have lost nothing.
    writer = ByteWriter()
    for value: UInt64 in [0, 0, 1, 0, 5, 0] { writer.write(unsigned: value) }
    reader = ByteReader(writer.bytes)
    #expect(try #require(try DDSketch.decode(32, from: &reader)).quantile(0) == DDSketch.value(of: 0))
    #expect(try DDSketch.decode(33, from: &reader) == nil)
    // Sketches are stored in the form of before as long as it says everything.
    func tag(_ values: [Double], _ start: DDSketch = DDSketch()) throws -> UInt8 {
      var sketch = start
      for value in values { sketch.add(value) }
      var writer = ByteWriter()
      sketch.encodeTagged(into: &writer)
      var reader = ByteReader(writer.bytes)
      let found = try reader.readByte()
      #expect(try DDSketch.decode(found, from: &reader) == sketch && reader.isAtEnd)
      return found
    }
    let many = (0..<DDSketch.earlierMaxBins).map { DDSketch.value(of: $0) }
    #expect(try tag([1, -2, 0, .nan, .infinity]) == 32 && tag(Array(many.dropLast())) == 32)
    #expect(try tag(many) == 34 && tag(many.map { -$0 }) == 34 && tag([.leastNonzeroMagnitude]) == 34)
    #expect(try tag([], old) == 34)
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
    for bad: [UInt8] in [[0, 0, 0, 1, 0, 0], [0, 0, 0, 2, 0, 1, 0, 1], [0, 0, 0, 1, 0xFF, 0xFF, 0x7F, 1]] {
      #expect(throws: CodingError.self) {
        var reader = ByteReader(bad + [0])
        _ = try DDSketch(from: &reader)
      }
    }
  }
}
