// The operator by hand-computed examples: which windows an event belongs to, when it is late, when a window closes.

import Testing

@testable import Detection

@Suite struct WindowOperatorTests {
  /// Start, key, events and whether it is closed, of the windows that are not key 0's.
  private func summary(_ run: WindowTestRun) -> [String] {
    run.parts.filter { $0.by != [.int(0)] }.map { part in
      "\(part.start)..<\(part.end) \(part.events)\(part.closed ? " closed" : "")"
    }
  }

  /// Watermark at 0, then the given times.
  private func run(_ window: CompiledWindow, _ times: [Int64]) throws -> WindowTestRun {
    let run = WindowTestRun(window)
    try run.add(windowTestStart(at: 0))
    try run.add(times.map { WindowTestEvent(time: $0) })
    try run.checkpoint()
    return run
  }

  @Test func latenessIsJudgedByTheWatermarkBeforeTheEvent() throws {
    let window = windowTestDefinition(size: 10, lateness: 5)
    // The watermark before the second event is 14: end 10 + 5 > 14. Before the third it is 15: late, to the point.
    let run = try run(window, [14, 9, 15, 9, 9])
    #expect(summary(run) == ["0..<10 1 closed", "10..<20 2"])
    #expect(run.late == [103, 104])
    #expect(run.windows.missedWindows == 2)
    #expect(run.windows.openCount == 1)
  }

  @Test func anEventThatMissesSomeOfItsWindowsIsLate() throws {
    // Ten windows hold each time. The watermark before the second event is 95: of its ten windows, which end at 60 to
    // 150, four have closed; before the third it is 140, and nine of its windows, which end at 60 to 140, have.
    let run = try run(windowTestDefinition(size: 100, every: 10), [95, 55, 140, 55, 140])
    #expect(run.late == [101, 103])
    #expect(run.windows.missedWindows == 4 + 9)
    #expect(summary(run).contains("50..<150 5"))
  }

  @Test func anEventWithinTheLatenessRevisesItsWindow() throws {
    let run = WindowTestRun(windowTestDefinition(size: 10, lateness: 5))
    try run.add(windowTestStart(at: 0) + [WindowTestEvent(time: 3), WindowTestEvent(time: 12)])
    try run.checkpoint()
    #expect(summary(run) == ["0..<10 1", "10..<20 1"])
    try run.add([WindowTestEvent(time: 4)])
    try run.checkpoint()
    #expect(summary(run) == ["0..<10 2", "10..<20 1"])
    #expect(run.late.isEmpty)
  }

  @Test func aWindowClosesAtItsEndPlusLateness() throws {
    var run = try run(windowTestDefinition(size: 10, lateness: 5), [1, 14])
    #expect(summary(run) == ["0..<10 1", "10..<20 1"])
    run = try self.run(windowTestDefinition(size: 10, lateness: 5), [1, 15])
    #expect(summary(run) == ["0..<10 1 closed", "10..<20 1"])
    #expect(run.windows.takeClosed().isEmpty)
  }

  @Test func aWindowThatWasClosedStaysClosedUnderMoreLateness() throws {
    let first = try run(windowTestDefinition(size: 10, lateness: 5), [1, 15])
    let open = first.parts.filter { !$0.closed && $0.by != [.int(0)] }
    let windows = WindowOperator(windowTestDefinition(size: 10, lateness: 100))
    try windows.restore(parts: open, closedThrough: 0)
    let batch = windowTestBatch([WindowTestEvent(time: 2), WindowTestEvent(time: 11)])
    var failures = 0
    let marks = EventTimeMarks(watermarks: [15, 15], watermarkAfter: 15)
    let late = windows.add(batch, marks: marks, failures: &failures)
    #expect(late?[0] == true && late?[1] == false)
    #expect(windows.takeClosed().isEmpty && windows.openWindows.map(\.part.start) == [10])
  }

  @Test func anEventOnTheBoundaryBelongsToTheNextWindow() throws {
    let run = try run(windowTestDefinition(size: 10, lateness: 100), [9, 10, 19, 20])
    #expect(summary(run) == ["0..<10 1", "10..<20 2", "20..<30 1"])
  }

  @Test func slidingWindowsOverlap() throws {
    let run = try run(windowTestDefinition(size: 30, every: 10, lateness: 100), [25])
    #expect(summary(run) == ["0..<30 1", "10..<40 1", "20..<50 1"])
    // A size that is no multiple of the distance: 7 lies in 5..<12 and 0..<7 ends before it, 6 lies in both.
    let uneven = try self.run(windowTestDefinition(size: 7, every: 5, lateness: 100), [6, 7])
    #expect(summary(uneven) == ["0..<7 1", "5..<12 2"])
  }

  @Test func anEventIsTakenByTheWindowsThatAreOpen() throws {
    let run = try run(windowTestDefinition(size: 20, every: 10), [40, 25, 29, 10, 15])
    // Before 25 the watermark is 40: 10..<30 and 20..<40 have closed, both by ≤; so for 29 and the rest.
    #expect(summary(run) == ["30..<50 1", "40..<60 1"])
    #expect(run.late == [101, 102, 103, 104])
    let partly = try self.run(windowTestDefinition(size: 20, every: 10), [35, 25])
    #expect(summary(partly) == ["20..<40 2", "30..<50 1"])
    #expect(partly.late == [101], "10..<30 has closed")
    #expect(partly.windows.missedWindows == 1)
  }

  @Test func eventsBetweenSparseWindowsBelongToNone() throws {
    let run = try run(windowTestDefinition(size: 2, every: 10), [1, 2, 9, 11, 100, 5])
    #expect(summary(run) == ["0..<2 1 closed", "10..<12 1 closed", "100..<102 1"])
    #expect(run.late.isEmpty)
  }

  @Test func timesBefore1970() throws {
    let run = WindowTestRun(windowTestDefinition(size: 10, lateness: 0))
    try run.add(windowTestStart(at: -100) + [-21, -20, -11, -10, -1, 0].map { WindowTestEvent(time: $0) })
    try run.checkpoint()
    #expect(
      summary(run) == [
        "-30..<-20 1 closed", "-20..<-10 2 closed", "-10..<0 2 closed", "0..<10 1",
      ])
  }

  @Test func theYear9999IsInNoWindow() throws {
    let far: Int64 = 253_402_300_799_999_999
    let run = WindowTestRun(windowTestDefinition(size: 60_000_000), maxAhead: 86_400_000_000)
    try run.add(windowTestStart(at: 1_700_000_000_000_000))
    try run.add([far, 1_700_000_001_000_000, 1_700_000_002_000_000].map { WindowTestEvent(time: $0) })
    try run.checkpoint()
    #expect(run.late.isEmpty)
    #expect(
      summary(run) == ["1699999980000000..<1700000040000000 2"])
  }

  @Test func theYear1970FirstMakesNothingLate() throws {
    let run = WindowTestRun(windowTestDefinition(size: 60_000_000), maxAhead: 86_400_000_000)
    let now: Int64 = 1_700_000_000_000_000
    try run.add([WindowTestEvent(time: 0)] + (0..<99).map { WindowTestEvent(time: now + $0) })
    try run.add((0..<200).map { WindowTestEvent(time: now + 100 + $0) })
    try run.checkpoint()
    #expect(run.late.isEmpty)
    // The second event waits for the third, and is taken in by whoever feeds the operator.
    #expect(summary(run) == ["0..<60000000 1 closed", "1699999980000000..<1700000040000000 298"])
  }

  @Test func timeGoingBackwardsIsLateAndCounted() throws {
    let run = WindowTestRun(windowTestDefinition(size: 10, lateness: 20))
    try run.add(windowTestStart(at: 1000) + (0..<100).map { WindowTestEvent(time: 1000 - $0) })
    try run.checkpoint()
    // Closed at 1000: ends up to 980. The events 980...1000 are on time for windows 970 (end 980, no), 980, 990, 1000.
    #expect(summary(run) == ["980..<990 10", "990..<1000 10", "1000..<1010 1"])
    #expect(run.windows.missedWindows == 79)
  }

  @Test func aSumBeyond64BitsIsCountedWhenItsWindowCloses() throws {
    let window = windowTestDefinition(
      size: 10, aggregates: [windowTestCall(.sum, .number), windowTestCall(.avg, .number)])
    for cut in [1, 5] {
      let windows = WindowOperator(window)
      let events = [.max, .max, -1, 1, 1].enumerated().map {
        WindowTestEvent(time: $0.offset < 3 ? 1 : $0.offset == 3 ? 12 : 30, number: $0.element)
      }
      var failures = 0
      for start in stride(from: 0, to: 5, by: cut) {
        let marks = EventTimeMarks(
          watermarks: (start..<start + cut).map { $0 == 0 ? .min : events[$0 - 1].time },
          watermarkAfter: events[start + cut - 1].time)
        _ = windows.add(windowTestBatch(events[start..<start + cut]), marks: marks, failures: &failures)
      }
      #expect(failures == 1)
      #expect(windows.takeClosed().count == 2)
    }
  }

  @Test func whatIsHeldIsCounted() throws {
    func held(_ windows: Int, keyLength: Int, aggregates: [WindowAggregate]) throws -> Int {
      let run = WindowTestRun(windowTestDefinition(size: 10, by: [.name], aggregates: aggregates))
      let empty = run.windows.heldBytes
      try run.add(
        (0..<windows).map {
          WindowTestEvent(
            time: 0, name: "\($0)" + String(repeating: "x", count: keyLength), value: Double($0), number: Int64($0))
        })
      return run.windows.heldBytes - empty
    }
    let count = [windowTestCall(.count)]
    let few = try held(100, keyLength: 1, aggregates: count)
    #expect((80...400).contains(try held(4000, keyLength: 1, aggregates: count) / 4000))
    #expect(try held(100, keyLength: 3001, aggregates: count) - few == 300_000)
    // What sketches and strings have allocated counts as well.
    let last = try held(100, keyLength: 5000, aggregates: count + [windowTestCall(.last, .name)])
    #expect(last - (try held(100, keyLength: 5000, aggregates: count)) > 500_000)
    #expect(try held(100, keyLength: 1, aggregates: count + [windowTestCall(.quantile, .value, 0.5)]) > few + 5_000)
  }

  @Test func whatHasClosedIsHeldUntilItIsTaken() throws {
    let window = windowTestDefinition(size: 10, by: [.name], aggregates: [windowTestCall(.last, .name)])
    let run = WindowTestRun(window)
    try run.add(windowTestStart(at: 0))
    try run.checkpoint()
    let empty = run.windows.heldBytes
    let long = String(repeating: "x", count: 10_000)
    try run.add((0..<20).map { WindowTestEvent(time: 11, name: "\($0)" + long) } + [WindowTestEvent(time: 100)])
    #expect(run.windows.openCount == 1)
    #expect(run.windows.heldBytes - empty > 400_000, "keys and the strings that are kept")
    try run.checkpoint()
    #expect(run.windows.heldBytes - empty < 40_000)
    #expect(run.parts.count { $0.closed } == 21)
  }

  @Test func nothingIsLateOrClosedBeforeTheWatermarkIsKnown() throws {
    let run = WindowTestRun(windowTestDefinition(size: 10))
    try run.add((0..<7).reversed().map { WindowTestEvent(time: $0 * 10) })
    try run.checkpoint()
    #expect(run.late.isEmpty)
    #expect(run.windows.openCount == 7)
    #expect(run.parts.allSatisfy { !$0.closed })
  }

  @Test func theEdgesOfTimeDoNotOverflow() throws {
    for window in [
      windowTestDefinition(size: 10, lateness: .max), windowTestDefinition(size: 1 << 59, every: 1 << 55),
    ] {
      let run = WindowTestRun(window)
      try run.add([Int64.min, .min + 1, -1, 0, 1, .max - 1, .max].map { WindowTestEvent(time: $0) })
      try run.add([Int64](repeating: .max, count: 300).map { WindowTestEvent(time: $0) })
      try run.checkpoint()
      // The clock opens at the earliest times. With the support of a hundred of the greatest, the first of which is the
      // sixth event, the watermark moves to them; then all is late. Those that wait before are taken in by whoever feeds.
      #expect(run.parts.allSatisfy { $0.closed })
      #expect(run.late == Array(105..<307))
      #expect(run.parts.map(\.events).max() == 93)
    }
  }

  @Test func retentionFollowsTheWatermarkAndSparesOpenWindows() {
    let window = windowTestDefinition(size: 10, lateness: 5, retain: 100)
    #expect(window.expired(before: .min) == nil)
    #expect(window.expired(before: 1000) == 900)
    #expect(window.expired(before: .min + 1) == .min)
    #expect(windowTestDefinition(size: 10, lateness: 5, retain: 3).expired(before: 1000) == 985)
    #expect(windowTestDefinition(size: 10).expired(before: 1000) == nil)
  }

  @Test func refusesPartsThatAreNotItsOwn() throws {
    let run = try run(windowTestDefinition(size: 10, lateness: 100), [1])
    let part = try #require(run.parts.last)
    let other = windowTestDefinition(
      size: 10, lateness: 100, aggregates: [windowTestCall(.count), windowTestCall(.sum, .value)])
    #expect(throws: CodingError.self) { try WindowOperator(other).restore(parts: [part]) }
    func changed(_ change: (inout WindowPart) -> Void) -> WindowPart {
      var copy = part
      change(&copy)
      return copy
    }
    let bad = [
      changed { $0.window = "another" }, changed { $0.start += 1 }, changed { $0.end += 10 },
      changed { $0.closed = true }, changed { $0.by = [] }, changed { $0.by = [.string("a")] },
      changed { $0.events = -1 }, changed { $0.state[0] = 9 }, changed { $0.state.append(0) },
      changed { $0.state.removeLast() }, changed { $0.state = [] },
    ]
    for part in bad {
      #expect(throws: CodingError.self) { try WindowOperator(run.window).restore(parts: [part]) }
    }
    #expect(throws: CodingError.self) { try WindowOperator(run.window).restore(parts: [part, part]) }
    try WindowOperator(run.window).restore(parts: [part])
  }
}
