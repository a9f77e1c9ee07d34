// The most frequent values: exact while there are few, within the stated bounds beyond, merged, stored and restored.

import TestKit
import Testing

@testable import Detection

@Suite struct TopCountsTests {
  private typealias Texts = TopCounts<CountedText>
  private typealias Words = TopCounts<CountedWord>

  private func bytes<Value>(_ state: TopCounts<Value>) -> [UInt8] {
    var (writer, state) = (ByteWriter(), state)
    state.encode(into: &writer)
    return writer.bytes
  }

  /// Folds values as one batch.
  private func add(_ values: [Int64], to state: inout Words) {
    var entries = WindowEntries()
    for row in values.indices { entries.append(row: row, slot: 0) }
    var slots = [state]
    Words.fold(Column(.int(values)), times: [], entries, into: &slots)
    state = slots[0]
  }

  private func state(_ values: [Int64]) -> Words {
    var state = Words()
    add(values, to: &state)
    return state
  }

  private func top<Value>(_ state: TopCounts<Value>, _ limit: Int, _ column: WindowTestColumn)
    -> [[Scalar]]
  {
    let call = windowTestCall(.topK, column, Double(limit)).call
    guard case .rows(["value", "count", "error"], let rows) = state.result(of: AggregateReading(call), seconds: 1)
    else { return [] }
    return rows
  }

  private func counts(_ values: [Int64]) -> [Int64: Int64] {
    Dictionary(values.map { ($0, 1) }, uniquingKeysWith: +)
  }

  /// Values from 0 to `distinct`, the small ones more often.
  private func skewed(_ count: Int, of distinct: Int, _ random: inout SeededRandom) -> [Int64] {
    (0..<count).map { _ in
      let (a, b) = (
        Double.random(in: 0..<1, using: &random), Double.random(in: 0..<1, using: &random)
      )
      return Int64(Double(distinct + 1) * a * a * b)
    }
  }

  @Test(
    "few values are counted exactly, however they are spread over partitions", arguments: 0..<12)
  func exact(_ seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let distinct = [1, 3, 100, Limits.topCounters][Int(seed % 4)]
    let values = skewed(3_000, of: distinct - 1, &random) + (0..<Int64(distinct))
    let expected = counts(values).sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(10)
      .map { [Scalar.int($0.key), .int($0.value), .int(0)] }
    #expect(top(state(values), 10, .number) == expected)
    var parts = [[Int64]](repeating: [], count: 3)
    for value in values { parts[Int.random(in: 0..<3, using: &random)].append(value) }
    for order in [[0, 1, 2], [2, 0, 1]] {
      var merged = Words()
      for part in order { merged.merge(state(parts[part])) }
      #expect(top(merged, 10, .number) == expected)
      #expect(merged.unseen == 0)
    }
  }

  /// The invariants that `TopCounts` states, for one state and for merged ones.
  private func expectBounds(_ state: Words, _ values: [Int64]) {
    let (known, most) = (counts(values), Int64(values.count / Limits.topCounters))
    var counted: Set<Scalar> = []
    for counter in state.counters {
      guard case .int(let value) = counter.value.scalar(.int) else { continue }
      counted.insert(.int(value))
      let count = known[value] ?? 0
      #expect(count <= counter.count && count >= counter.count - counter.error, "\(value)")
      #expect(counter.error <= most && counter.count >= state.unseen)
    }
    #expect(state.unseen <= most)
    for (value, count) in known where count > state.unseen {
      #expect(counted.contains(.int(value)), "\(value)")
    }
    #expect(state.counters.reduce(0) { $0 + $1.count } <= Int64(values.count))
  }

  @Test("many values are counted within the bounds, merged ones too", arguments: 0..<20)
  func bounds(_ seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let distinct = [Limits.topCounters + 1, 400, 2_000, 50_000][Int(seed % 4)]
    let values = skewed(20_000, of: distinct, &random) + (0..<Int64(Limits.topCounters + 1))
    expectBounds(state(values), values)
    var parts = [[Int64]](repeating: [], count: 4)
    // Uneven, so that states with few counters meet full ones.
    for value in values {
      parts[min(Int.random(in: 0..<4, using: &random), Int.random(in: 0..<40, using: &random))]
        .append(value)
    }
    var (merged, seen) = (Words(), [Int64]())
    for part in parts {
      merged.merge(state(part))
      seen += part
      expectBounds(merged, seen)
    }
    // Sessions go on counting in merged states.
    add(values, to: &merged)
    expectBounds(merged, seen + values)
  }

  @Test("batches and restarts change nothing", arguments: 0..<8)
  func cuts(_ seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let values = skewed(5_000, of: seed % 2 == 0 ? 200 : 3_000, &random)
    let whole = bytes(state(values))
    var (at, cut) = (0, Words())
    while at < values.count {
      let count = min(Int.random(in: 1...400, using: &random), values.count - at)
      add(Array(values[at..<at + count]), to: &cut)
      at += count
      guard Bool.random(using: &random) else { continue }
      var reader = ByteReader(bytes(cut))
      cut = try Words(from: &reader)
      #expect(reader.isAtEnd)
    }
    #expect(bytes(cut) == whole)
  }

  @Test("what SQL takes for equal is one value, and each type comes back as it is")
  func types() throws {
    func values(_ column: WindowTestColumn, _ events: [WindowTestEvent]) throws -> [[Scalar]] {
      let run = WindowTestRun(
        windowTestDefinition(size: 1_000, by: [], aggregates: [windowTestCall(.topK, column, 3)]))
      try run.add(events)
      try run.checkpoint()
      let result = try WindowResult.merge(run.parts, of: run.window)
      guard case .rows(_, let rows) = result.values[0] else { return [] }
      return rows
    }
    let doubles = [0, -0.0, .nan, -.nan, .nan, 1.5, nil].map { WindowTestEvent(time: 1, value: $0) }
    let found = try values(.value, doubles)
    #expect(
      found.map { "\($0)" } == [
        "[Detection.Scalar.double(nan), Detection.Scalar.int(3), Detection.Scalar.int(0)]",
        "[Detection.Scalar.double(0.0), Detection.Scalar.int(2), Detection.Scalar.int(0)]",
        "[Detection.Scalar.double(1.5), Detection.Scalar.int(1), Detection.Scalar.int(0)]",
      ])
    let texts = ["b", "a", "b", nil, "", "c"].map { WindowTestEvent(time: 1, name: $0) }
    #expect(
      try values(.name, texts) == [
        [.string("b"), .int(2), .int(0)], [.string(""), .int(1), .int(0)],
        [.string("a"), .int(1), .int(0)],
      ])
    #expect(try values(.name, [WindowTestEvent(time: 1, name: nil)]) == [])
  }

  @Test("of a string whole characters of the first 256 bytes count")
  func longTexts() {
    let long = String(repeating: "x", count: 255)
    var entries = WindowEntries()
    let texts = [long + "éa", long + "éb", long, long + "yz", long + "y"]
    for row in texts.indices { entries.append(row: row, slot: 0) }
    var slots = [Texts()]
    Texts.fold(Column(.string(StringColumn(texts))), times: [], entries, into: &slots)
    #expect(
      top(slots[0], 5, .name) == [
        [.string(long), .int(3), .int(0)], [.string(long + "y"), .int(2), .int(0)],
      ])
  }

  /// The bytes of a fixed state: another hash may come, the layout is what stored windows have.
  @Test func theFormatIsFixed() throws {
    #expect(bytes(state([5, -1, 5])) == [0, 2, 10, 2, 0, 1, 1, 0])
  }

  @Test func damagedBytesAreAnError() throws {
    var random = SeededRandom(seed: 3)
    for distinct in [20, 2_000] {
      let good = state(skewed(5_000, of: distinct, &random))
      let stored = bytes(good)
      for length in stride(from: 0, to: stored.count, by: 7) {
        #expect(throws: CodingError.self) {
          var reader = ByteReader(Array(stored.prefix(length)))
          _ = try Words(from: &reader)
        }
      }
      for _ in 0..<2_000 {
        var bad = stored
        bad[Int.random(in: 0..<bad.count, using: &random)] = .random(in: 0...255, using: &random)
        var reader = ByteReader(bad)
        guard var read = try? Words(from: &reader) else { continue }
        add([42, 43], to: &read)
        read.merge(good)
        _ = top(read, 5, .number)
      }
    }
    // A value twice; an error as large as its count; uncounted values beside free counters; too many counters.
    for bad: [UInt8] in [
      [0, 2, 10, 1, 0, 10, 1, 0], [0, 1, 10, 1, 1], [1, 1, 10, 1, 0], [0, 0x81, 2],
    ] {
      #expect(throws: CodingError.self) {
        var reader = ByteReader(bad)
        _ = try Words(from: &reader)
      }
    }
  }
}
