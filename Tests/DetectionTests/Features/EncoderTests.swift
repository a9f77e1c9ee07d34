// Encoders against fitting by brute force: what a training row gets is what all the other rows would give it.

import Foundation
import TestKit
import Testing

@testable import Detection

private func strings(_ values: [String?]) -> Column {
  Column(.string, values.map { $0.map(Scalar.string) ?? .null })
}

private func doubles(_ values: [Double?]) -> Column {
  Column(.double, values.map { $0.map(Scalar.double) ?? .null })
}

private func fit(_ kind: EncoderKind, _ column: Column, rows: [Int]? = nil) -> FittedEncoder {
  var fitter = EncoderFitter(kind)
  fitter.add(column, rows: rows)
  return fitter.finish()
}

/// Equal, or both NaN.
private func same(_ a: [Float], _ b: [Float]) -> Bool {
  a.count == b.count && zip(a, b).allSatisfy { $0 == $1 || ($0.isNaN && $1.isNaN) }
}

@Suite struct EncoderTests {
  private let letters = ["a", "b", "a", nil, "c", "a", "b", "d"]

  @Test func `frequency counts per million rows and leaves the row out`() {
    let encoder = fit(.frequency, strings(letters))
    #expect(encoder.knownValues == 4)
    let live = encoder.values(of: strings(["a", "b", "c", "new", nil]))
    #expect(same(live, [375_000, 250_000, 125_000, 0, .nan]))
    let left = encoder.values(of: strings(letters), leavingOneOut: true)
    let seventh = Float(1.0 / 7 * 1e6)
    let twoSevenths = Float(2.0 / 7 * 1e6)
    #expect(same(left, [twoSevenths, seventh, twoSevenths, .nan, 0, twoSevenths, seventh, 0]))
  }

  @Test(arguments: [EncoderKind.frequency, .frequencyBucket(rareBelow: 3_000, commonFrom: 30_000)], [1, 2, 3])
  func `a left-out value is what the other rows give`(_ kind: EncoderKind, _ seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let values: [String?] = (0..<300).map { _ in
      random.chance(0.05) ? nil : "v\(Int(pow(300, Double.random(in: 0..<1, using: &random))))"
    }
    let column = strings(values)
    let left = fit(kind, column).values(of: column, leavingOneOut: true)
    for row in values.indices {
      let others = fit(kind, column, rows: values.indices.filter { $0 != row })
      #expect(same([left[row]], others.values(of: column, rows: [row])), "row \(row) of seed \(seed)")
    }
  }

  @Test func `ordinals go by falling counts and an only occurrence is unseen while fitting`() {
    let encoder = fit(.ordinal, strings(letters))
    let live = encoder.values(of: strings(["a", "b", "z", nil]))
    #expect(same(live, [1, 2, 0, .nan]))
    #expect(Set(encoder.values(of: strings(["c", "d"]))) == [3, 4])
    let left = encoder.values(of: strings(letters), leavingOneOut: true)
    #expect(same(left, [1, 2, 1, .nan, 0, 1, 2, 0]))
  }

  @Test func `buckets meet their bounds`() {
    // 1,000 rows: a value with n occurrences has n * 1000 per million.
    let values = Array(repeating: "ten", count: 10) + Array(repeating: "nine", count: 9) + ["one"]
    let column = strings(values + Array(repeating: "many", count: 100) + Array(repeating: "rest", count: 880))
    let encoder = fit(.frequencyBucket(rareBelow: 10_000, commonFrom: 100_000), column)
    #expect(encoder.values(of: strings(["ten", "nine", "one", "many", "rest", "none"])) == [2, 1, 1, 3, 3, 0])
  }

  @Test func `integers and booleans have categories too and dictionaries change nothing`() {
    let numbers = Column(.int, [5, 5, -1, 7].map { .int($0) })
    #expect(fit(.ordinal, numbers).values(of: Column(.int, [.int(5), .int(6)])) == [1, 0])
    let bits = Column(.bool, [true, true, false].map { .bool($0) })
    #expect(fit(.ordinal, bits).values(of: bits) == [1, 1, 2])
    let plain = strings(["x", "yy", "x", "x"])
    let coded = Column(
      .string(StringColumn(offsets: [0, 1, 3], bytes: [120, 121, 121], codes: [0, 1, 0, 0])))
    #expect(fit(.frequency, plain) == fit(.frequency, coded))
    #expect(fit(.frequency, plain).values(of: coded) == fit(.frequency, plain).values(of: plain))
    #expect(fit(.frequency, plain).values(of: coded, rows: [1]) == fit(.frequency, plain).values(of: plain, rows: [1]))
  }

  @Test func `the order of rows and batches means nothing`() {
    var random = SeededRandom(seed: 4)
    let values: [String?] = (0..<500).map { _ in "v\(Int.random(in: 0..<80, using: &random))" }
    let amounts: [Double?] = values.map { _ in Double.random(in: 0..<9, using: &random) }
    for kind in [EncoderKind.frequency, .ordinal, .clip(lower: 0.1, upper: 0.9), .scale] {
      let column = kind.isCategorical ? strings(values) : doubles(amounts)
      let shuffled = values.indices.shuffled(using: &random)
      var fitter = EncoderFitter(kind)
      fitter.add(column, rows: Array(shuffled[..<123]))
      fitter.add(column, rows: Array(shuffled[123...]))
      #expect(fitter.finish() == fit(kind, column))
    }
  }

  @Test func `the most frequent values are kept and the others are not seen`() {
    let bound = Limits.maxEncodedValues
    let values = (0..<bound + 500).map { Scalar.int(Int64($0)) }
    let often = (bound..<bound + 500).map { Scalar.int(Int64($0)) }
    let encoder = fit(.frequency, Column(.int, values + often))
    #expect(encoder.knownValues == bound)
    #expect(encoder.values(of: Column(.int, often)).allSatisfy { $0 > 0 })
    let all = encoder.values(of: Column(.int, values))
    #expect(all.count { $0 == 0 } == 500)
    #expect(fit(.frequency, Column(.int, (often + values).reversed())) == encoder)
  }

  @Test func `clipping and scaling`() {
    let values: [Double?] = (0...100).map { Double($0) } + [nil, .infinity]
    let clip = fit(.clip(lower: 0.1, upper: 0.9), doubles(values))
    #expect(same(clip.values(of: doubles([-5, 9, 10, 50, 95, .infinity, nil])), [10, 10, 10, 50, 90, 90, .nan]))
    let scale = fit(.scale, doubles([1, 3, nil]))
    #expect(same(scale.values(of: doubles([1, 2, 5, nil])), [-1, 0, 3, .nan]))
    // What never varies, and what is never there, stays a number or missing.
    #expect(fit(.scale, doubles([4, 4])).values(of: doubles([4, 6])) == [0, 2])
    for kind in [EncoderKind.scale, .clip(lower: 0, upper: 1)] {
      let none = fit(kind, doubles([nil, nil]))
      #expect(same(none.values(of: doubles([7, nil])), [7, .nan]))
    }
    let huge = fit(.scale, doubles([-1e308, 1e308]))
    #expect(huge.values(of: doubles([0])) == [0])
  }

  @Test func `stored encoders read back and wrong ones are refused`() throws {
    let kinds: [(EncoderKind, Column)] = [
      (.frequency, strings(letters)), (.ordinal, strings(letters)), (.scale, doubles([1, 2.5])),
      (.frequencyBucket(rareBelow: 1, commonFrom: 2), strings(letters)), (.clip(lower: 0, upper: 1), doubles([nil])),
    ]
    for (kind, column) in kinds {
      let encoder = fit(kind, column)
      let data = try JSONEncoder().encode(encoder)
      #expect(try JSONDecoder().decode(FittedEncoder.self, from: data) == encoder)
    }
    let text = try #require(
      String(bytes: try JSONEncoder().encode(fit(.frequency, strings(["a", "a", "b"]))), encoding: .utf8))
    for (old, new) in [("[2,1]", "[2]"), ("[2,1]", "[2,0]"), ("[2,1]", "[9,1]"), ("\"frequency\"", "\"scale\"")] {
      let broken = text.replacing(old, with: new)
      #expect(broken != text)
      #expect(throws: DecodingError.self) {
        try JSONDecoder().decode(FittedEncoder.self, from: Data(broken.utf8))
      }
    }
  }
}

@Suite struct FeaturePlanTests {
  private func batch(_ columns: [Column]) -> EventBatch {
    let count = columns[0].count
    return EventBatch(
      partition: PartitionID(source: "test", number: 0),
      positions: RecordPositions(
        segment: 0, offsets: (0..<count).map { Int64($0) }, rows: (0..<count).map { Int64($0) }),
      eventTimes: (0..<count).map { Int64($0) }, columns: columns)
  }

  @Test func `columns become Float32 in the order of their names`() {
    let batch = batch([
      Column(.int, [.int(16_777_217), .null, .int(-3)]), Column(.double, [.double(0.1), .double(1e300), .null]),
      Column(.bool, [.bool(true), .null, .bool(false)]), strings(["a", "b", "a"]),
    ])
    let plan = FeaturePlan([
      .init(name: "z", column: 0, type: .int, fields: [0]), .init(name: "b", column: 1, type: .double, fields: [1]),
      .init(name: "a", column: 2, type: .bool, fields: [2]),
      .init(name: "k", column: 3, type: .string, encoder: .ordinal, fields: [3]),
    ])
    var fitters = plan.makeFitters()
    fitters.add(batch)
    let encoders = fitters.finish()
    #expect(encoders.keys.sorted() == ["k"])
    let matrix = plan.matrix(of: batch, encoders: encoders)
    #expect(matrix.names == ["a", "b", "k", "z"])
    #expect(same(Array(matrix.column(0)), [1, .nan, 0]))
    #expect(same(Array(matrix.column(1)), [Float(0.1), .infinity, .nan]))
    #expect(same(Array(matrix.column(2)), [1, 2, 1]))
    #expect(same(Array(matrix.column(3)), [16_777_216, .nan, -3]))
    let some = plan.matrix(of: batch, rows: [0, 2], encoders: encoders, leavingOneOut: true)
    #expect(same(Array(some.column(2)), [1, 1]) && same(Array(some.column(0)), [1, 0]))
    #expect(same(Array(some.column(1)), [Float(0.1), .nan]) && same(Array(some.column(3)), [16_777_216, -3]))
    #expect(same(matrix.rows([2, 0]).values, [0, 1, .nan, Float(0.1), 1, 1, -3, 16_777_216]))
    #expect(same(FeatureMatrix(joining: [some, some.rows([1])]).row(2), [0, .nan, 1, -3]))
    #expect(plan.matrix(of: batch, rows: [], encoders: encoders).rowCount == 0)
  }
}
