// The watermark by hand-computed examples, against a direct implementation of its definition, over cuts and restarts.

import Testing

@testable import Detection

@Suite struct WatermarkTests {
  @Test func startsAtMinimumOfTheFirstHundredAndReplaysThem() {
    let watermark = Watermark(outOfOrder: 5, maxAhead: 1000)
    // 100 ascending times in which one comes from far ahead.
    var times = (0..<100).map { Int64($0) + 50 }
    times[30] = 253_402_300_799_000_000
    let marks = watermark.mark(times + [150, 10, 151])
    #expect(marks.watermarks[..<100].allSatisfy { $0 == .min })
    #expect(marks.ahead.setCount == 0)
    #expect(marks.watermarks[100...] == [144, 145, 145])
    #expect(marks.watermarkAfter == 146)
  }

  @Test func unknownBelowAHundredEvents() {
    let watermark = Watermark(outOfOrder: 0, maxAhead: 10)
    let marks = watermark.mark((0..<99).map { Int64($0) * 1_000_000 })
    #expect(marks.watermarkAfter == .min)
    #expect(marks.ahead.isEmpty)
    #expect(watermark.current == .min)
  }

  @Test func absurdTimesAreNotReached() {
    let watermark = Watermark(outOfOrder: 5, maxAhead: 1000)
    #expect(watermark.reached == .min)
    let absurd: Int64 = 253_402_300_799_000_000
    _ = watermark.mark([absurd] + (0..<50).map { Int64($0) } + [absurd])
    #expect(watermark.reached == 49)
    _ = watermark.mark((50..<200).map { Int64($0) } + [absurd])
    #expect(watermark.reached == 199)
  }

  @Test func boundOfAheadIsInclusive() {
    let watermark = Watermark(outOfOrder: 10, maxAhead: 100)
    _ = watermark.mark([Int64](repeating: 1000, count: 100))  // watermark 990
    let marks = watermark.mark([1091, 1090, 1181, 1180])
    #expect((0..<4).map { marks.ahead[$0] } == [true, false, true, false])
    #expect(marks.watermarks == [990, 990, 1080, 1080])
    #expect(marks.watermarkAfter == 1170)
  }

  @Test func jumpsOnlyWhenAHundredConsecutiveEventsAgree() {
    let watermark = Watermark(outOfOrder: 0, maxAhead: 100)
    _ = watermark.mark([Int64](repeating: 0, count: 100))
    var marks = watermark.mark([Int64](repeating: 5000, count: 99) + [1])
    #expect(marks.watermarkAfter == 1)
    #expect(marks.ahead.setCount == 99)
    // The run begins anew; one of the hundred is from the year 9999 and stays unbelieved.
    marks = watermark.mark([5007, 253_402_300_799_000_000] + [Int64](repeating: 5001, count: 97))
    #expect(marks.watermarkAfter == 1)
    marks = watermark.mark([5003])
    #expect(marks.watermarks == [1])
    #expect(marks.ahead[0])
    #expect(marks.watermarkAfter == 5007)
  }

  @Test func neverGoesBack() {
    let watermark = Watermark(outOfOrder: 0, maxAhead: 1000)
    _ = watermark.mark([Int64](repeating: 500, count: 100))
    let marks = watermark.mark([Int64](repeating: -1_000_000, count: 300) + [501])
    #expect(marks.watermarkAfter == 501)
    #expect(marks.ahead.isEmpty)
  }

  @Test func aChangedDefinitionGoesOnWhereTheOldOneStood() throws {
    let old = Watermark(outOfOrder: 5, maxAhead: 1000)
    _ = old.mark((0..<200).map { Int64($0) * 10 })
    #expect(old.current == 1985)
    let entries = old.takeChanges().puts
    let new = Watermark(outOfOrder: 500, maxAhead: 1000)
    #expect(new.stateFingerprint == old.stateFingerprint)
    try new.restore(from: entries)
    #expect(new.current == 1985)
    let marks = new.mark([2000, 2400, 2600])
    #expect(marks.watermarks == [1985, 1985, 1985])
    #expect(marks.watermarkAfter == 2100)
    let again = Watermark(outOfOrder: 500, maxAhead: 1000)
    try again.restore(from: new.takeChanges().puts)
    #expect(again.current == 2100)
  }

  @Test func edgesOfTimeDoNotOverflow() {
    for edge in [Int64.min, Int64.max] {
      let watermark = Watermark(outOfOrder: .max, maxAhead: .max)
      _ = watermark.mark([Int64](repeating: edge, count: 100) + [.max, .min, 0])
      #expect(watermark.current > .min)
      let tight = Watermark(outOfOrder: 0, maxAhead: 0)
      _ = tight.mark([Int64](repeating: edge, count: 100) + [Int64](repeating: .max, count: 250))
      #expect(tight.current == .max)
    }
  }

  @Test func aBoundBelowTheDisorderMovesByAgreement() {
    let watermark = Watermark(outOfOrder: 100, maxAhead: 10)
    _ = watermark.mark([Int64](repeating: 0, count: 100))
    _ = watermark.mark([Int64](repeating: 50, count: 100))
    #expect(watermark.current == -50)
  }

  /// The definition, one event at a time, with the whole past at hand.
  private static func reference(_ times: [Int64], outOfOrder: Int64, maxAhead: Int64) -> (marks: [Int64], ahead: [Bool])
  {
    var marks: [Int64] = []
    var ahead: [Bool] = []
    var highest: Int64?
    var agreeing: [Int64] = []
    func start(_ hundred: [Int64]) {
      highest = hundred.min()
      agreeing = []
      for time in hundred { _ = take(time) }
    }
    func take(_ time: Int64) -> Bool {
      guard let high = highest else { return false }
      if time > high, time - (high - outOfOrder) > maxAhead {
        agreeing.append(time)
        return true
      }
      agreeing = []
      highest = max(high, time)
      return false
    }
    for (index, time) in times.enumerated() {
      marks.append(highest.map { $0 - outOfOrder } ?? .min)
      ahead.append(take(time))
      if index == 99 { start(Array(times[..<100])) }
      if agreeing.count == 100 { start(agreeing) }
    }
    return (marks, ahead)
  }

  /// A stream with disorder, far events and jumps; long runs of far events around the hundred.
  private static func stream(_ random: inout WindowTestRandom) -> [Int64] {
    var times: [Int64] = []
    var now = Int64.random(in: -1000...1000, using: &random)
    for _ in 0..<40 {
      switch Int.random(in: 0..<4, using: &random) {
      case 0: now += Int64.random(in: 200...3000, using: &random)
      case 1:
        times += (0..<Int.random(in: 95...105, using: &random)).map { _ in now + .random(in: 90...400, using: &random) }
      default: break
      }
      for _ in 0..<Int.random(in: 1...60, using: &random) {
        now += Int64.random(in: 0...3, using: &random)
        times.append(now + Int64.random(in: -20...20, using: &random))
        if Int.random(in: 0..<50, using: &random) == 0 { times.append(now + 1_000_000) }
      }
    }
    return times
  }

  @Test(arguments: 0..<20)
  func matchesItsDefinitionHoweverCutAndRestarted(_ seed: UInt64) throws {
    var random = WindowTestRandom(seed: seed)
    let times = Self.stream(&random)
    let expected = Self.reference(times, outOfOrder: 10, maxAhead: 100)
    for cut in [1, 7, 0, times.count] {
      var watermark = Watermark(outOfOrder: 10, maxAhead: 100)
      var stored: [(key: [UInt8], value: [UInt8])] = []
      var marks: [Int64] = []
      var ahead: [Bool] = []
      var at = 0
      while at < times.count {
        let count = min(cut == 0 ? Int.random(in: 1...50, using: &random) : cut, times.count - at)
        let result = watermark.mark(Array(times[at..<at + count]))
        marks += result.watermarks
        ahead += (0..<count).map { result.ahead[$0] }
        at += count
        if Int.random(in: 0..<4, using: &random) == 0 {
          let changes = watermark.takeChanges()
          if !changes.isEmpty { stored = changes.puts }
          #expect(watermark.takeChanges().isEmpty)
          let restored = Watermark(outOfOrder: 10, maxAhead: 100)
          try restored.restore(from: stored)
          #expect(restored.current == watermark.current)
          #expect(restored.takeChanges().isEmpty)
          watermark = restored
        }
      }
      // The first difference rather than thousands of numbers.
      let same = zip(zip(marks, ahead), zip(expected.marks, expected.ahead)).prefix { $0 == $1 }
      #expect(same.count == times.count, "cut \(cut)")
    }
    #expect(expected.ahead.contains(true))
  }

  @Test func refusesStateThatCannotBeRead() throws {
    let watermark = Watermark(outOfOrder: 0, maxAhead: 10)
    _ = watermark.mark((0..<150).map { Int64($0) })
    let entry = try #require(watermark.takeChanges().puts.first)
    for count in 0..<entry.value.count {
      #expect(throws: CodingError.self) {
        try watermark.restore(from: [(key: entry.key, value: Array(entry.value.prefix(count)))])
      }
    }
    #expect(throws: CodingError.self) { try watermark.restore(from: [(key: [1], value: entry.value)]) }
    #expect(throws: CodingError.self) { try watermark.restore(from: [entry, entry]) }
    try watermark.restore(from: [])
    #expect(watermark.current == .min)
  }
}
