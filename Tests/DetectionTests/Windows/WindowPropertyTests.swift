// The guarantee: stored windows are a function of the events, whatever the batches and restarts; and they are the ones
// a direct implementation of the definition gives.

import TestKit
import Testing

@testable import Detection

@Suite struct WindowPropertyTests {
  private static func events(_ random: inout SeededRandom) -> [WindowTestEvent] {
    var now = Int64.random(in: -2000...2000, using: &random)
    return (0..<1500).map { _ in
      now += Int64.random(in: 0...3, using: &random)
      if Int.random(in: 0..<200, using: &random) == 0 { now += 100 }
      var event = WindowTestEvent(time: now + Int64.random(in: -60...20, using: &random))
      if Int.random(in: 0..<100, using: &random) == 0 { event.time += 1_000_000 }
      event.key = Int.random(in: 0..<10, using: &random) == 0 ? nil : Int64.random(in: 0...4, using: &random)
      event.name = Int.random(in: 0..<10, using: &random) == 0 ? nil : "n\(Int.random(in: 0..<4, using: &random))"
      event.value = Int.random(in: 0..<10, using: &random) == 0 ? nil : Double.random(in: -10...1000, using: &random)
      event.number = Int64.random(in: -5...5, using: &random)
      event.category = Int.random(in: 0..<3, using: &random)
      return event
    }
  }

  private static let definitions = [
    windowTestDefinition(size: 50, lateness: 20, aggregates: windowTestEveryCall),
    windowTestDefinition(size: 60, every: 20, lateness: 10, by: [.name], aggregates: windowTestEveryCall),
    windowTestDefinition(size: 50, every: 30, by: [.key, .name, .value], aggregates: [windowTestCall(.sum, .value)]),
    windowTestDefinition(size: 500, by: [], aggregates: windowTestEveryCall),
    windowTestDefinition(size: 50, by: [.value], aggregates: [windowTestCall(.count)]),
  ]

  @Test(arguments: 0..<definitions.count, 0..<3)
  func cutsAndRestartsChangeNothing(_ definition: Int, _ seed: UInt64) throws {
    let window = Self.definitions[definition]
    var random = SeededRandom(seed: seed)
    let events = Self.events(&random)
    var expected: [WindowPart] = []
    var late: [Int] = []
    for (round, cut) in [events.count, 1, 7, 0, 0].enumerated() {
      let run = WindowTestRun(window, outOfOrder: 15, maxAhead: 1000)
      var at = 0
      while at < events.count {
        let count = min(cut == 0 ? Int.random(in: 1...300, using: &random) : cut, events.count - at)
        try run.add(events[at..<at + count], dictionary: Bool.random(using: &random))
        at += count
        if round > 0, Int.random(in: 0..<5, using: &random) == 0 {
          try run.checkpoint()
          if Bool.random(using: &random) { try run.restart() }
        }
      }
      try run.checkpoint()
      if round == 0 {
        expected = run.parts
        late = run.late
        #expect(expected.contains { $0.closed } && expected.contains { !$0.closed })
        #expect(!late.isEmpty || window.definition.size == 500)
      }
      #expect(run.parts.count == expected.count)
      #expect(zip(run.parts, expected).prefix { $0 == $1 }.count == expected.count, "cut \(cut)")
      #expect(run.late == late)
    }
  }

  /// Every event belongs to all windows that hold its time and have not closed, by brute force.
  @Test(arguments: 0..<definitions.count, 0..<3)
  func matchesTheDefinition(_ definition: Int, _ seed: UInt64) throws {
    let window = Self.definitions[definition]
    let shape = window.definition
    var random = SeededRandom(seed: seed &+ 100)
    let events = Self.events(&random)
    let marks = Watermark(outOfOrder: 15, maxAhead: 1000).mark(events.map(\.time))
    var members: [String: [WindowTestEvent]] = [:]
    var late: [Int] = []
    var missed: Int64 = 0
    for (row, event) in events.enumerated() where !marks.outsideWindows[row] {
      let by = window.by.map { value -> Scalar in
        switch value.name {
        case "key": event.key.map { .int($0) } ?? .null
        case "name": event.name.map { .string($0) } ?? .null
        default: event.value.map { .double($0) } ?? .null
        }
      }
      let starts = (event.time - shape.size + 1...event.time).filter { $0 % shape.every == 0 }
      let taking = starts.filter { $0 + shape.size + shape.allowedLateness > marks.watermarks[row] }
      for start in taking { members["\(start) \(by)", default: []].append(event) }
      if taking.count < starts.count { late.append(row) }
      missed += Int64(starts.count - taking.count)
    }
    let run = WindowTestRun(window, outOfOrder: 15, maxAhead: 1000)
    try run.add(events)
    try run.checkpoint()
    #expect(run.late == late)
    #expect(run.windows.missedWindows == missed)
    #expect(Set(run.stored.keys) == Set(members.keys))
    for (key, part) in run.stored {
      let inside = members[key] ?? []
      #expect(part.events == Int64(inside.count))
      #expect(part.closed == (part.end + shape.allowedLateness <= marks.watermarkAfter))
      let result = try WindowResult.merge([part], of: window)
      #expect(
        result.classCounts.map(\.count)
          == (0..<3).map { category in
            Int64(inside.count { $0.category == category })
          })
      let values = windowTestScalars(result)
      if let sum = values["sum(value)"] {
        let present = inside.compactMap(\.value)
        #expect(sum == (present.isEmpty ? .null : .double(present.reduce(0, +))))
      }
      if let least = values["min(number)"] { #expect(least == .int(inside.map(\.number).min() ?? 0)) }
      if let names = values["distinct(name)"] { #expect(names == .int(Int64(Set(inside.compactMap(\.name)).count))) }
      if let last = values["last(number)"] {
        let latest = inside.map(\.time).max()
        #expect(last == .int(inside.last { $0.time == latest }?.number ?? 0))
      }
    }
  }

  @Test func keysThatSQLGroupsTogetherAreOne() throws {
    for by in [[WindowTestColumn.value], [.value, .key]] {
      let run = WindowTestRun(windowTestDefinition(size: 10, by: by))
      try run.add([0, -0.0, .nan, -.nan, nil, nil, 1].map { WindowTestEvent(time: 1, value: $0) })
      try run.checkpoint()
      #expect(run.parts.map(\.events).sorted() == [1, 2, 2, 2])
      try run.restart()
      #expect(run.windows.openCount == 4)
      try run.add([0, .nan, nil].map { WindowTestEvent(time: 2, value: $0) })
      try run.checkpoint()
      #expect(run.parts.map(\.events).sorted() == [1, 3, 3, 3])
    }
  }

  /// Whatever a byte of stored state becomes, reading it either throws or gives windows that go on and can be read.
  @Test(arguments: 0..<2)
  func damagedStateIsAnErrorOrHarmless(_ definition: Int) throws {
    let window = Self.definitions[definition]
    var random = SeededRandom(seed: 9)
    let events = Array(Self.events(&random).prefix(400))
    let run = WindowTestRun(window)
    try run.add(events)
    try run.checkpoint()
    let parts = run.parts.filter { !$0.closed }
    var failures = 0
    var refused = 0
    for _ in 0..<400 {
      guard var part = parts.randomElement(using: &random) else { break }
      let at = part.state.indices.randomElement(using: &random) ?? 0
      part.state[at] = Bool.random(using: &random) ? 0xFF : .random(in: 0...255, using: &random)
      let windows = WindowOperator(window)
      do { try windows.restore(parts: [part]) } catch {
        refused += 1
        continue
      }
      let batch = windowTestBatch(events.suffix(50))
      let marks = EventTimeMarks(
        watermarks: [Int64](repeating: .min, count: 50), watermarkAfter: .max)
      _ = windows.add(batch, marks: marks, failures: &failures)
      for changed in windows.takeClosed() { _ = try WindowResult.merge([changed.part, changed.part], of: window) }
    }
    #expect(refused > 0)
  }
}
