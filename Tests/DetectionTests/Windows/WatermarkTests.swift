// The watermark by hand-computed examples, against a direct implementation of its definition, over cuts and restarts.

import TestKit
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

  @Test func jumpsOnlyWhenAHundredEventsAgree() {
    let watermark = Watermark(outOfOrder: 0, maxAhead: 100)
    _ = watermark.mark([Int64](repeating: 0, count: 100))
    var marks = watermark.mark([Int64](repeating: 5000, count: 19) + [1, 2])
    #expect(marks.watermarkAfter == 2)
    #expect(marks.ahead.setCount == 19)
    // Two events of the old time are too many for nineteen. The run begins anew; one of it is from the year 9999, which
    // does not count, and one is of the old time.
    marks = watermark.mark([5007] + [Int64](repeating: 5001, count: 50) + [253_402_300_799_000_000])
    marks = watermark.mark([Int64](repeating: 5001, count: 48) + [3])
    #expect(marks.watermarkAfter == 3)
    marks = watermark.mark([5003])
    #expect(marks.watermarks == [3])
    #expect(marks.ahead[0])
    #expect(marks.watermarkAfter == 5007)
  }

  @Test func timesThatDoNotAgreeMoveNothing() {
    var random = SeededRandom(seed: 3)
    let watermark = Watermark(outOfOrder: 0, maxAhead: 86_400_000_000)
    _ = watermark.mark([Int64](repeating: 1_772_000_000_000_000, count: 100))
    let garbage = (0..<10_000).map { _ in
      Int64.random(in: 4_102_444_800_000_000...253_402_300_799_000_000, using: &random)
    }
    let marks = watermark.mark(garbage)
    #expect(marks.watermarkAfter == 1_772_000_000_000_000)
    #expect(marks.ahead.setCount == 10_000)
  }

  @Test(arguments: [1, 50])
  func aDefaultTimestampHoldsNothingUp(firstReal: Int) {
    // Every fiftieth event says 1970, from the beginning on; in the second case after a whole run of them.
    let origin: Int64 = 1_772_000_000_000_000
    let times = (0..<1000).map { $0 % 50 == 0 || $0 < firstReal * 2 ? 0 : origin + Int64($0) * 1_000_000 }
    let watermark = Watermark(outOfOrder: 0, maxAhead: 86_400_000_000)
    let marks = watermark.mark(times)
    #expect(marks.watermarkAfter == origin + 999_000_000)
    #expect(marks.ahead.setCount == (firstReal == 1 ? 0 : 100))
  }

  @Test func stragglersDoNotHoldUpAJump() {
    // Behind a gap, every third event is from long before it.
    let watermark = Watermark(outOfOrder: 0, maxAhead: 100)
    _ = watermark.mark([Int64](repeating: 1000, count: 100))
    let marks = watermark.mark((0..<148).map { $0 % 3 == 2 ? 899 : 5000 })
    #expect(marks.watermarkAfter == 1000)
    #expect(watermark.mark([899, 5000]).watermarkAfter == 5000)
    // Those that are not far behind still tell the old time.
    let mixed = Watermark(outOfOrder: 0, maxAhead: 100)
    _ = mixed.mark([Int64](repeating: 1000, count: 100))
    #expect(mixed.mark((0..<900).map { $0 % 3 == 2 ? 900 : 5000 }).watermarkAfter == 1000)
  }

  @Test func aSparseSourceIsBelievedAfterAGap() {
    // Twenty events a day, a weekend, and then a hundred events that span five days.
    let watermark = Watermark(outOfOrder: 0, maxAhead: 100)
    _ = watermark.mark((0..<100).map { Int64($0) * 5 })
    let marks = watermark.mark((0..<100).map { 1000 + Int64($0) * 5 })
    #expect(marks.watermarkAfter == 1495)
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

  /// The definition, one event at a time.
  private static func reference(_ times: [Int64], outOfOrder: Int64, maxAhead: Int64) -> (marks: [Int64], ahead: [Bool])
  {
    var marks: [Int64] = []
    var ahead: [Bool] = []
    var highest: Int64?
    // The run, as what joined it and what contradicted it.
    var run: [(time: Int64, joins: Bool)] = []
    var joined: [Int64] { run.filter(\.joins).map(\.time) }
    func start(_ times: [Int64], at time: Int64) {
      highest = time
      run = []
      for time in times { _ = take(time) }
    }
    func note(_ time: Int64, joins: Bool) {
      run.append((time, joins))
      if (run.count - joined.count) * 10 > joined.count { run = [] }
    }
    func take(_ time: Int64) -> Bool {
      guard let high = highest else { return false }
      if time > high, time - (high - outOfOrder) > maxAhead {
        if let last = joined.last, abs(time - last) > maxAhead {
          note(time, joins: false)
        } else {
          note(time, joins: true)
        }
        if run.isEmpty { note(time, joins: true) }
        return true
      }
      highest = max(high, time)
      if !run.isEmpty, time >= highest! - outOfOrder - maxAhead { note(time, joins: false) }
      return false
    }
    func largestGroup(_ times: [Int64]) -> [Int64] {
      var groups: [[Int64]] = []
      for time in times.sorted() {
        if let last = groups.last?.last, time - last <= maxAhead {
          groups[groups.count - 1].append(time)
        } else {
          groups.append([time])
        }
      }
      return groups.first { group in groups.allSatisfy { $0.count <= group.count } }!
    }
    for (index, time) in times.enumerated() {
      marks.append(highest.map { $0 - outOfOrder } ?? .min)
      ahead.append(take(time))
      if index == 99 { start(Array(times[..<100]), at: largestGroup(Array(times[..<100]))[0]) }
      if joined.count == 100 { start(joined, at: max(highest!, joined.min()!)) }
    }
    return (marks, ahead)
  }

  /// A stream with disorder, far events and jumps; long runs of far events around the hundred.
  private static func stream(_ random: inout SeededRandom) -> [Int64] {
    var times: [Int64] = []
    var now = Int64.random(in: -1000...1000, using: &random)
    for _ in 0..<40 {
      switch Int.random(in: 0..<4, using: &random) {
      case 0: now += Int64.random(in: 200...3000, using: &random)
      case 1:
        // Around the hundred, some of them disagreeing with the others, some telling the old time or a far older one.
        let spread = Int64.random(in: 110...400, using: &random)
        let strays = Int.random(in: 5...200, using: &random)
        times += (0..<Int.random(in: 95...115, using: &random)).map { _ in
          switch Int.random(in: 0..<strays, using: &random) {
          case 0: now + 1_000_000
          case 1: now + .random(in: -30...50, using: &random)
          case 2: now - 5000
          default: now + .random(in: 100...spread, using: &random)
          }
        }
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
    var random = SeededRandom(seed: seed)
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
