// Open windows in segments: whatever comes, closes and is discarded, and wherever an operator is restarted, what is stored is
// what is open; and a checkpoint costs what changed.

import TestKit
import Testing

@testable import Detection

@Suite("Stored open windows", .timeLimit(.minutes(15)))
struct StoredOpenWindowsTests {
  /// Events of some keys within windows of 100 from a start on.
  private static func events(
    _ count: Int, from start: Int64, keys: Int64, _ random: inout SeededRandom
  ) -> [WindowTestEvent] {
    (0..<count).map { _ in
      let key = Int64.random(in: 0..<keys, using: &random)
      return WindowTestEvent(
        time: start + Int64.random(in: 0..<400, using: &random), key: key, name: "n\(key)", value: Double(key) / 3,
        number: key)
    }
  }

  @Test("what was discarded or has closed never comes back", arguments: 0..<8)
  func discards(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let by: [WindowTestColumn] = seed % 2 == 0 ? [.key] : [.name, .number]
    let window = windowTestDefinition(
      size: 100, every: seed % 3 == 0 ? 50 : nil, by: by,
      aggregates: [windowTestCall(.sum, .value), windowTestCall(.last, .name)])
    let run = WindowTestRun(window)
    let reference = WindowTestRun(window)
    var now: Int64 = 0
    var (discarded, restarts) = (0, 0)
    for round in 0..<150 {
      let events = Self.events(Int.random(in: 0..<60, using: &random), from: now, keys: 40, &random)
      for one in [run, reference] { try one.add(events) }
      if Int.random(in: 0..<4, using: &random) == 0 {
        let bound = now + Int64.random(in: -50...300, using: &random)
        let before = run.windows.openCount
        for one in [run, reference] { one.windows.discard(startingAfter: bound) }
        discarded += before - run.windows.openCount
      }
      if Int.random(in: 0..<3, using: &random) == 0 { now += Int64.random(in: 0..<120, using: &random) }
      if Bool.random(using: &random) {
        try run.checkpoint()
        if Bool.random(using: &random) {
          try run.restart()
          restarts += 1
        }
      }
      let (a, b) = (run.windows.openWindows.map(\.part), reference.windows.openWindows.map(\.part))
      try #require(a == b, "round \(round): \(a.count) instead of \(b.count) open windows")
    }
    for one in [run, reference] { try one.checkpoint() }
    #expect(run.parts == reference.parts)
    #expect(discarded > 100 && restarts > 20)
  }

  @Test("many discards, each of later windows than the one before, are written off")
  func manyDiscards() throws {
    var random = SeededRandom(seed: 5)
    // The watermark stays far behind.
    let run = WindowTestRun(windowTestDefinition(size: 100), outOfOrder: 1 << 40, maxAhead: 1 << 50)
    for round: Int64 in 0..<200 {
      // Each window stays in a segment with one that is open for ever.
      try run.add([
        WindowTestEvent(time: -50 - round * 100, key: round), WindowTestEvent(time: 1_000 + round * 100, key: round),
      ])
      try run.checkpoint()
      run.windows.discard(startingAfter: 900 + round * 100)
      try run.checkpoint()
      if Int.random(in: 0..<10, using: &random) == 0 { try run.restart() }
      try #require(run.parts.count { !$0.closed } == Int(round) + 1)
      let head = try WindowSpaceHead(from: try #require(run.entries[WindowSpace.headKey]))
      #expect(head.discards.count <= WindowSpaceHead.maxDiscards + 1)
    }
  }

  @Test("a checkpoint writes what changed, and what is stored stays in proportion to what is open")
  func bytesFollowChanges() throws {
    let (windows, changed): (Int64, Int64) = (60_000, 600)
    let run = WindowTestRun(windowTestDefinition(size: 1_000, aggregates: [windowTestCall(.sum, .value)]))
    try run.add((0..<windows).map { WindowTestEvent(time: 0, key: $0, value: 1) })
    try run.checkpoint()
    let all = run.writtenBytes
    #expect(all < 40 * Int(windows), "\(all) bytes")
    let segment = (all / run.entries.count) * 3 / 2
    var total = 0
    for round: Int64 in 0..<60 {
      try run.add((0..<changed).map { WindowTestEvent(time: 1, key: ($0 &* 7_919 &+ round &* 104_729) % windows) })
      try run.checkpoint(comparing: round % 20 == 19)
      #expect(run.writtenBytes <= all / 100 + segment, "round \(round): \(run.writtenBytes) of \(all)")
      total += run.writtenBytes
    }
    #expect(total < 60 * all / 100 * 4, "\(total) bytes in all, \(all) bytes of windows")
    try run.restart()
    #expect(run.windows.openCount == Int(windows))
    // Without changes merging ends.
    for _ in 0..<50 { try run.checkpoint(comparing: false) }
    #expect(run.writtenBytes == 0)
    try run.checkpoint()
    let stored = run.entries.values.reduce(0) { $0 + $1.count }
    #expect(stored <= 4 * all + segment, "\(stored) bytes for \(all)")
  }

  @Test("a watermark that jumps closes a hundred thousand windows, and nothing is left of them")
  func jump() throws {
    let run = WindowTestRun(windowTestDefinition(size: 100))
    try run.add(windowTestStart(at: 0) + (1...100_000).map { WindowTestEvent(time: 50, key: $0) })
    try run.checkpoint()
    #expect(run.entries.count > 2 && run.windows.openCount == 100_001)
    try run.restart()
    try run.add([WindowTestEvent(time: 1_000_000, key: 7)])
    try run.checkpoint()
    #expect(run.parts.count { $0.closed } == 100_001 && run.windows.openCount == 1)
    #expect(run.entries.count == 2)
    try run.restart()
    #expect(run.windows.openCount == 1)
    try run.add([WindowTestEvent(time: 1_000_001, key: 7), WindowTestEvent(time: 60, key: 8)])
    try run.checkpoint()
    #expect(run.parts.filter { !$0.closed }.map(\.events) == [2] && run.late.count == 1)
  }

  @Test("a segment of long states is bounded, and they are not written again for ever")
  func longStates() throws {
    let long = String(repeating: "x", count: 300_000)
    let run = WindowTestRun(windowTestDefinition(size: 1_000, aggregates: [windowTestCall(.last, .name)]))
    for round: Int64 in 0..<12 {
      try run.add((0..<9).map { WindowTestEvent(time: 1, key: round * 9 + $0, name: $0 == 0 ? long : "a") })
      try run.checkpoint()
    }
    for _ in 0..<20 { try run.checkpoint() }
    #expect(run.writtenBytes == 0)
    #expect(run.entries.values.allSatisfy { $0.count < 3 << 20 })
    try run.restart()
    #expect(run.windows.openCount == 108)
  }

  @Test("windows that were stored one by one become segments")
  func parts() throws {
    var random = SeededRandom(seed: 11)
    let run = WindowTestRun(windowTestDefinition(size: 100, by: [.name], aggregates: windowTestEveryCall))
    try run.add(Self.events(300, from: 0, keys: 30, &random))
    try run.checkpoint()
    let open = run.parts.filter { !$0.closed }
    let moved = WindowOperator(run.window)
    try moved.restore(parts: open)
    let changes = moved.takeStateChanges()
    let entries = changes.changes.puts + changes.segments
    let stored = try StoredOpenWindows(entries, of: "test")
    #expect(Set(stored.parts.map { "\($0)" }) == Set(open.map { "\($0)" }) && !open.isEmpty)
    #expect(stored.head.byNames == ["name"] && stored.head.size == 100)
    let again = moved.takeStateChanges()
    #expect(again.changes.isEmpty && Array(again.segments).isEmpty)
  }

  @Test("damage is an error or harmless")
  func damage() throws {
    var random = SeededRandom(seed: 3)
    let run = WindowTestRun(windowTestDefinition(size: 100, by: [.name, .key]))
    try run.add(Self.events(200, from: 0, keys: 30, &random))
    try run.checkpoint()
    var refused = 0
    for _ in 0..<400 {
      var entries = run.sortedEntries
      let entry = Int.random(in: 0..<entries.count, using: &random)
      let at = entries[entry].value.indices.randomElement(using: &random) ?? 0
      switch Int.random(in: 0..<3, using: &random) {
      case 0: entries[entry].value[at] = .random(in: 0...255, using: &random)
      case 1: entries[entry].value.removeSubrange(at...)
      default: entries[entry].value.insert(.random(in: 0...255, using: &random), at: at)
      }
      let windows = WindowOperator(run.window)
      do { try windows.restore(from: entries) } catch {
        refused += 1
        continue
      }
      _ = windows.takeStateChanges()
    }
    #expect(refused > 200)
    #expect(throws: CodingError.self) { try WindowOperator(run.window).restore(from: [run.sortedEntries[1]]) }
    #expect(throws: CodingError.self) {
      try WindowOperator(run.window).restore(from: run.sortedEntries + [run.sortedEntries[1]])
    }
  }
}
