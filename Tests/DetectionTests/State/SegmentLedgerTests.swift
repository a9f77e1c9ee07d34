// A keyed state in segments against a dictionary: whatever changes, and wherever it is read back, what the stored segments
// say is what there is; and no checkpoint and no restart costs more than it may.

import TestKit
import Testing

@testable import Detection

/// A state with a record a key and any number of entries, kept in segments of at most `size`.
private struct SegmentedState {
  struct Record {
    var key: Int
    var value: Int
    var segment: UInt32
  }

  private(set) var ledger: SegmentLedger
  private(set) var records: [Record] = []
  /// Of each entry the segment; nil where it has gone.
  private(set) var entries: [UInt32?] = []
  private var slots: [Int: UInt32] = [:]
  /// What is stored: of each segment its records and entries.
  private(set) var stored: [[UInt8]: (records: [(key: Int, value: Int)], entries: [UInt32])] = [:]
  private(set) var rewritten = 0

  init(size: Int) { ledger = SegmentLedger(size: size) }

  var live: Int { slots.count + entries.count { $0 != nil } }

  mutating func set(_ key: Int, _ value: Int) {
    guard let slot = slots[key] else {
      slots[key] = UInt32(records.count)
      ledger.gain(record: UInt32(records.count))
      records.append(Record(key: key, value: value, segment: SegmentLedger.open))
      return
    }
    records[Int(slot)].value = value
    let segment = records[Int(slot)].segment
    if segment == SegmentLedger.open { return }
    ledger.lose(segment)
    records[Int(slot)].segment = SegmentLedger.open
    ledger.gain(record: slot)
  }

  mutating func addEntry() {
    ledger.gain(entry: UInt32(entries.count))
    entries.append(SegmentLedger.open)
  }

  mutating func removeEntry(_ index: Int) {
    guard let segment = entries[index] else { return }
    ledger.lose(segment)
    entries[index] = nil
  }

  mutating func checkpoint(rewriting: Bool = false) -> (new: Int, written: Int) {
    let new = ledger.segments[0].live
    let round = ledger.round(rewriting: rewriting)
    var moved = SegmentContent()
    for source in round.sources {
      let content = ledger.segments[Int(source)].content
      for entry in content.entries where entries[Int(entry)] == source {
        entries[Int(entry)] = SegmentLedger.moving
        moved.entries.append(entry)
      }
      for slot in content.records where records[Int(slot)].segment == source {
        records[Int(slot)].segment = SegmentLedger.moving
        moved.records.append(slot)
      }
    }
    for content in moved.pieces(of: ledger.size) {
      let target = ledger.place()
      for entry in content.entries { entries[Int(entry)] = target }
      for slot in content.records { records[Int(slot)].segment = target }
      ledger.fill(target, content, stored: content.count)
      let key = SegmentLedger.key(ledger.segments[Int(target)].number)
      stored[key] = (content.records.map { (records[Int($0)].key, records[Int($0)].value) }, content.entries)
    }
    var changes = StateChanges()
    ledger.end(round, into: &changes)
    for key in changes.deletes { stored[key] = nil }
    return (new, moved.count)
  }

  /// What the segments say, read in the order of their keys.
  var restored: (values: [Int: Int], entries: Set<UInt32>, read: Int) {
    var (values, entries, read) = ([Int: Int](), Set<UInt32>(), 0)
    for (_, segment) in stored.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      for record in segment.records { values[record.key] = record.value }
      entries.formUnion(segment.entries)
      read += segment.records.count + segment.entries.count
    }
    return (values, entries, read)
  }
}

@Suite("Segments", .timeLimit(.minutes(15)))
struct SegmentLedgerTests {
  @Test("what is stored is what there is, in bounded steps", arguments: 0..<12)
  func randomChanges(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let size = [4, 32, 256][Int(seed % 3)]
    var state = SegmentedState(size: size)
    var expected: [Int: Int] = [:]
    let keys = [20, 300, 2_000][Int.random(in: 0..<3, using: &random)]
    var oldest = 0
    for round in 0..<200 {
      for _ in 0..<Int.random(in: 0...[3, 40, 200][Int.random(in: 0..<3, using: &random)], using: &random) {
        let key = Int.random(in: 0..<keys, using: &random)
        expected[key] = round
        state.set(key, round)
        state.addEntry()
      }
      // Entries go in about the order in which they came.
      while state.entries.count - oldest > keys, Int.random(in: 0..<50, using: &random) > 0 {
        state.removeEntry(oldest)
        oldest += 1
      }
      if !state.entries.isEmpty { state.removeEntry(Int.random(in: 0..<state.entries.count, using: &random)) }
      let (new, written) = state.checkpoint(rewriting: round % 97 == 96)
      if round % 97 != 96 { #expect(written <= new + max(size, new), "round \(round): \(written) for \(new)") }
      let restored = state.restored
      try #require(restored.values == expected)
      let live = Set(state.entries.indices.filter { state.entries[$0] != nil }.map { UInt32($0) })
      try #require(restored.entries.isSuperset(of: live))
      #expect(state.stored.values.allSatisfy { $0.records.count + $0.entries.count <= size })
    }
    // Some rounds without changes merge what is left to be merged.
    for _ in 0..<200 { _ = state.checkpoint() }
    #expect(state.restored.read <= 4 * state.live + size, "\(state.restored.read) of \(state.live)")
    #expect(state.stored.count <= 16 * state.live / size + 8 * 12, "\(state.stored.count) segments")
  }

  @Test func contentIsCutIntoPieces() {
    let content = SegmentContent(entries: [1, 2, 3], records: [7, 8])
    let pieces = content.pieces(of: 2)
    #expect(pieces.map(\.records) == [[7, 8], [], []] && pieces.map(\.entries) == [[], [1, 2], [3]])
    #expect(SegmentContent().pieces(of: 2).isEmpty)
    #expect(content.pieces(of: 3).map(\.entries) == [[1], [2, 3]])
  }

  @Test func keysOfSegments() {
    let key: [UInt8] = [0, 0, 0, 0, 0, 0, 1, 2]
    #expect(SegmentLedger.key(258) == key && SegmentLedger.number(of: key) == 258)
    #expect(SegmentLedger.number(of: [1]) == nil)
  }
}
