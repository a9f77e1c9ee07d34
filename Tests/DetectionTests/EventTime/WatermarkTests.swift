// The watermark over streams as they come: gaps, broken clocks, sparse sources, several producers; and that neither cuts
// nor restarts change what it says.

import TestKit
import Testing

@testable import Detection

private let second: Int64 = 1_000_000
private let hour = 3600 * second
private let day = 24 * hour
private let origin: Int64 = 1_772_000_000_000_000

/// What became of the events of a stream.
struct StreamOutcome {
  let times: [Int64]
  let marks: EventTimeMarks
  /// Rows that waited and were believed, with the row that decided it.
  var believed: [Int: Int] = [:]
  var dismissed: Set<Int> = []
  var waiting: Set<Int> = []

  init(_ times: [Int64], _ watermark: Watermark, clockOf: [Int64]? = nil) {
    self.times = times
    marks = watermark.mark(times, clockOf: clockOf.map { Column(.int($0)) })
    var runs: [UInt64: [Int]] = [:]
    for event in marks.waiting { runs[event.run, default: []].append(event.row) }
    for decision in marks.decisions {
      switch decision.kind {
      case .believed(let run, _): for row in runs.removeValue(forKey: run) ?? [] { believed[row] = decision.row }
      case .dismissed(let run, _): dismissed.formUnion(runs.removeValue(forKey: run) ?? [])
      case .opened: break
      }
    }
    waiting = Set(runs.values.joined())
  }

  /// Rows of `rows` that are behind the watermark before them.
  func late(_ rows: some Sequence<Int>) -> [Int] { rows.filter { times[$0] < marks.watermarks[$0] } }

  /// Rows that rules see, at once or later.
  func isTaken(_ row: Int) -> Bool { !marks.doubtful[row] || believed[row] != nil }
}

@Suite struct WatermarkTests {
  private static func standard() -> Watermark { Watermark(outOfOrder: 0, maxAhead: day) }

  @Test func `it is known from the eighth event on`() {
    let watermark = Watermark(outOfOrder: 5 * second, maxAhead: day)
    let marks = watermark.mark((0..<10).map { origin + $0 * second })
    #expect(marks.watermarks.prefix(8).allSatisfy { $0 == .min })
    #expect(marks.watermarks[8] == origin + 2 * second && marks.watermarkAfter == origin + 4 * second)
    #expect(marks.doubtful.isEmpty && marks.decisions.isEmpty, "nothing was taken that has to go")
  }

  @Test func `forty events after a weekend count, though they are three days ahead`() {
    var times = (0..<200).map { origin + $0 * second }
    times += (0..<40).map { origin + 3 * day + $0 * second }
    let outcome = StreamOutcome(times, Self.standard())
    #expect((0..<240).allSatisfy(outcome.isTaken))
    // A handful waits; the others count at once.
    #expect(outcome.believed == Dictionary(uniqueKeysWithValues: (200..<207).map { ($0, 207) }))
    #expect(outcome.marks.watermarkAfter == origin + 199 * second, "what forty say closes no window")
    let more = StreamOutcome((40..<140).map { origin + 3 * day + $0 * second }, Self.after(times))
    #expect(more.marks.watermarkAfter == origin + 3 * day + 139 * second, "what a hundred say does")
  }

  private static func after(_ times: [Int64]) -> Watermark {
    let watermark = standard()
    _ = watermark.mark(times)
    return watermark
  }

  @Test(arguments: [0, 1, 2, 3, 7, 8, 100, 149])
  func `one clock two hours ahead makes nothing late`(at liar: Int) {
    var times = (0..<750).map { origin + Int64($0) * second }
    times[liar] += 2 * hour
    let outcome = StreamOutcome(times, Self.standard())
    #expect(outcome.late((0..<750).filter { $0 != liar }).isEmpty)
    #expect((0..<750).allSatisfy { $0 == liar || !outcome.marks.doubtful[$0] })
    if liar >= 7 { #expect(outcome.dismissed == [liar]) }
    #expect(outcome.marks.watermarkAfter == times[749])
    #expect(outcome.marks.believed[749] == times[749])
  }

  @Test(arguments: 0..<40)
  func `one event in twenty with a wrong time moves nothing`(_ seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var liars: Set<Int> = []
    let times = (0..<10_000).map { row -> Int64 in
      let now = origin + Int64(row) * second
      guard random.chance(0.05) else { return now }
      liars.insert(row)
      switch seed % 4 {
      case 0: return now + .random(in: 2 * 60 * second...day, using: &random)
      case 1: return now + .random(in: -365 * day...365 * day, using: &random)
      case 2: return now + 2 * hour
      default: return random.chance(0.5) ? 0 : 253_402_300_799_000_000
      }
    }
    let outcome = StreamOutcome(times, Self.standard())
    let right = (0..<10_000).filter { !liars.contains($0) }
    #expect(outcome.late(right).isEmpty)
    #expect(right.allSatisfy(outcome.isTaken))
    #expect(right.filter { outcome.marks.doubtful[$0] }.count < 100, "few right ones wait at all")
  }

  @Test(arguments: [2, 5, 10], 0..<5)
  func `a thousand events of a broken producer among others move nothing`(oneIn: Int, seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var left = 1000
    var broken: Set<Int> = []
    let times = (0..<12_000).map { row -> Int64 in
      let now = origin + Int64(row) * second
      guard row > 500, left > 0, Int.random(in: 0..<oneIn, using: &random) == 0 else { return now }
      left -= 1
      broken.insert(row)
      return now + 2 * hour
    }
    let outcome = StreamOutcome(times, Self.standard())
    #expect(outcome.late((0..<12_000).filter { !broken.contains($0) }).isEmpty)
    #expect(broken.count == 1000)
  }

  @Test func `fifty events of a broken producer in one piece close nothing`() {
    // Nothing tells them from a gap until the others speak again.
    var times = (0..<1000).map { origin + Int64($0) * second }
    for row in 300..<350 { times[row] += 2 * hour }
    let outcome = StreamOutcome(times, Self.standard())
    #expect(outcome.late((0..<1000).filter { !(300..<350).contains($0) }).isEmpty)
    #expect(outcome.marks.believed[349] == times[349] && outcome.marks.believed[400] == times[400])
  }

  @Test(arguments: 0..<5)
  func `a source of one event a day keeps its watermark`(_ seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let times = (0..<100).map { origin + $0 * day + .random(in: -hour...hour, using: &random) }
    let outcome = StreamOutcome(times, Self.standard())
    #expect(outcome.marks.doubtful.isEmpty && outcome.late(0..<100).isEmpty)
    #expect(outcome.marks.watermarkAfter == times[99])
  }

  @Test(arguments: 0..<10)
  func `waiting times as of a queue are believed at once`(_ seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var now = origin
    let times = (0..<20_000).map { _ -> Int64 in
      now += Int64(-180e6 * PortableLog.log(Double.random(in: 1e-12..<1, using: &random)))
      return now
    }
    let outcome = StreamOutcome(times, Self.standard())
    #expect(outcome.marks.doubtful.setCount < 40, "three minutes on average; the least reach is one")
    #expect(outcome.late(0..<20_000).isEmpty && (0..<20_000).allSatisfy(outcome.isTaken))
  }

  @Test func `twenty events a day, and a weekend`() {
    let week = (0..<100).map { origin + Int64($0) * 72 * 60 * second }
    let next = (0..<200).map { week[99] + 3 * day + Int64($0) * 72 * 60 * second }
    let outcome = StreamOutcome(week + next, Self.standard())
    #expect((0..<300).allSatisfy(outcome.isTaken) && outcome.late(0..<300).isEmpty)
    #expect(outcome.marks.watermarkAfter == next[199])
  }

  @Test(arguments: 0..<20)
  func `a gap is believed although one in twenty lies before and behind it`(_ seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var liars: Set<Int> = []
    let times = (0..<400).map { row -> Int64 in
      let now = origin + (row < 200 ? 0 : 3 * day) + Int64(row) * second
      guard random.chance(0.05) else { return now }
      liars.insert(row)
      return now + .random(in: 2 * 60 * second...day, using: &random)
    }
    let outcome = StreamOutcome(times, Self.standard())
    let right = (0..<400).filter { !liars.contains($0) }
    #expect(right.allSatisfy(outcome.isTaken), "what is believed later misses nothing")
    #expect(outcome.late(right).isEmpty)
    #expect(right.filter { $0 >= 200 && (outcome.believed[$0] ?? $0) >= 280 }.allSatisfy { $0 >= 280 })
  }

  @Test func `stragglers from before a gap do not keep it from being believed`() {
    var times = (0..<200).map { origin + Int64($0) * second }
    for row in 0..<300 { times.append(row % 15 == 7 ? origin + 150 * second : origin + 3 * day + Int64(row) * second) }
    let outcome = StreamOutcome(times, Self.standard())
    #expect((0..<500).allSatisfy(outcome.isTaken))
    #expect(outcome.marks.watermarkAfter == times[499])
  }

  @Test func `two producers an hour apart: the slow one is never late`() {
    let times = (0..<1000).map { row -> Int64 in origin + Int64(row) * second + (row % 2 == 0 ? 0 : hour) }
    let outcome = StreamOutcome(times, Self.standard())
    #expect(outcome.late(stride(from: 0, to: 1000, by: 2)).isEmpty)
    #expect(outcome.marks.outsideWindows.isEmpty, "both are in their windows")
    #expect(outcome.dismissed.count > 450, "but the fast one is in no rule, and is told")
  }

  @Test func `two producers an hour apart with clocks of their own`() {
    let times = (0..<1000).map { row -> Int64 in origin + Int64(row) * second + (row % 2 == 0 ? 0 : hour) }
    let watermark = Watermark(outOfOrder: 0, maxAhead: day, clockIdle: 600 * second)
    let outcome = StreamOutcome(times, watermark, clockOf: (0..<1000).map { Int64($0 % 2) })
    #expect(outcome.marks.doubtful.isEmpty && outcome.late(0..<1000).isEmpty)
    #expect(outcome.marks.watermarkAfter == times[998])
    // The slow one falls silent: after ten minutes of the other's steps nobody waits for it.
    let rest = (1000..<3000).map { origin + Int64($0) * second + hour }
    let alone = StreamOutcome(rest, watermark, clockOf: [Int64](repeating: 1, count: 2000))
    let moved = alone.marks.watermarks.firstIndex { $0 > times[998] }
    #expect(moved.map { (595...605).contains($0) } == true)
    #expect(alone.marks.watermarkAfter == rest[1999])
  }

  @Test func `a host whose clock is set forward does not silence the others`() {
    let times = (0..<4000).map { row -> Int64 in
      origin + Int64(row) * second + (row % 4 == 3 && row > 1000 ? 2 * hour : 0)
    }
    let watermark = Watermark(outOfOrder: 0, maxAhead: day, clockIdle: 600 * second)
    let outcome = StreamOutcome(times, watermark, clockOf: (0..<4000).map { Int64($0 % 4) })
    #expect(outcome.late(0..<4000).isEmpty)
    #expect((0..<4000).allSatisfy(outcome.isTaken))
    #expect(outcome.marks.watermarkAfter == times[3996], "the slowest of those that speak")
  }

  @Test func `a clock absurdly far ahead of the others is left out`() {
    let times = (0..<2000).map { row -> Int64 in
      row % 4 != 0 ? origin + Int64(row) * second : 253_402_300_000_000_000 + Int64(row) * day
    }
    let watermark = Watermark(outOfOrder: 0, maxAhead: day, clockIdle: 600 * second)
    let outcome = StreamOutcome(times, watermark, clockOf: (0..<2000).map { Int64($0 % 4) })
    #expect(outcome.marks.watermarkAfter == times[1997])
    #expect((1000..<2000).allSatisfy { ($0 % 4 == 0) == outcome.marks.outsideWindows[$0] })
  }

  @Test func `more clocks than there is room for share one`() {
    let count = Limits.maxClocks + 1000
    let watermark = Watermark(outOfOrder: 0, maxAhead: day, clockIdle: 600 * second)
    let times = (0..<2 * count).map { origin + Int64($0) * 1000 }
    let outcome = StreamOutcome(times, watermark, clockOf: (0..<2 * count).map { Int64($0 % count) })
    #expect(watermark.clocks.count == Limits.maxClocks && outcome.late(0..<2 * count).isEmpty)
  }

  @Test func `a clock that is set back: rules follow after a hundred events, windows stay closed`() {
    var times = (0..<300).map { origin + Int64($0) * second }
    times += (0..<300).map { origin - hour + Int64($0) * second }
    let outcome = StreamOutcome(times, Self.standard())
    #expect(outcome.marks.believed[398] == times[299] && outcome.marks.believed[399] == times[399])
    #expect(outcome.marks.believed[599] == times[599])
    #expect(outcome.marks.watermarkAfter == times[299] && outcome.marks.doubtful.isEmpty)
    // And forward again: a handful waits.
    let again = StreamOutcome((0..<50).map { origin + Int64(300 + $0) * second }, Self.after(times))
    #expect(again.marks.doubtful.setCount == 7 && (0..<50).allSatisfy(again.isTaken))
    #expect(again.marks.believed[49] == origin + 349 * second && again.marks.watermarkAfter == origin + 349 * second)
  }

  @Test func `what an offline device hands in at once changes nothing for others`() {
    var times = (0..<300).map { origin + Int64($0) * second }
    times += (0..<60).map { origin - 600 * second + Int64($0) * second }
    times += (300..<400).map { origin + Int64($0) * second }
    let outcome = StreamOutcome(times, Self.standard())
    #expect((0..<300).allSatisfy { outcome.marks.believed[$0] >= times[$0] })
    #expect((300..<360).allSatisfy { outcome.marks.believed[$0] == times[299] })
    #expect((0..<460).allSatisfy(outcome.isTaken) && outcome.marks.watermarkAfter == times[459])
  }

  @Test(arguments: [120, 300, 3600, 86_400])
  func `a source that becomes sparse loses nothing`(spacing: Int64) {
    var random = SeededRandom(seed: UInt64(spacing))
    var times = (0..<200).map { origin + Int64($0) * second }
    var now = times[199]
    for _ in 0..<400 {
      now += spacing * second * .random(in: 80...120, using: &random) / 100
      times.append(now)
    }
    let outcome = StreamOutcome(times, Self.standard())
    #expect((0..<600).allSatisfy(outcome.isTaken) && outcome.dismissed.isEmpty && outcome.late(0..<600).isEmpty)
    #expect(outcome.marks.doubtful.setCount < 20, "it is known after some steps")
    #expect(outcome.marks.watermarkAfter == now)
    let back = StreamOutcome((0..<500).map { now + Int64($0) * second }, Self.after(times))
    #expect(back.marks.doubtful.isEmpty && back.marks.watermarkAfter == now + 499 * second)
  }

  @Test func `a clock that runs fast does not take the front along`() {
    var fast = origin
    let times = (0..<3000).map { row -> Int64 in
      guard row % 10 == 9 else { return origin + Int64(row) * second }
      fast = max(fast, origin + Int64(row) * second) + 45 * second
      return fast
    }
    let outcome = StreamOutcome(times, Self.standard())
    let lead = (100..<3000).map { outcome.marks.watermarks[$0] - (origin + Int64($0) * second) }.max()
    #expect(lead.map { $0 < 300 * second } == true)
  }

  @Test func `a default timestamp in every fiftieth event holds nothing up`() {
    let times = (0..<1000).map { $0 % 50 == 0 ? 0 : origin + Int64($0) * second }
    let marks = Self.standard().mark(times)
    #expect(marks.watermarkAfter == times[999])
    #expect(marks.waiting == [.init(row: 1, run: 0)] && marks.decisions[0].row == 2)
    guard case .believed(run: 0, _) = marks.decisions[0].kind else { return #expect(Bool(false), "it is believed") }
  }

  @Test func `nothing waits for more than a thousand events`() {
    // Events far behind tell nothing; one ahead waits for an answer.
    let watermark = Self.after((0..<100).map { origin + Int64($0) * second })
    let times = [origin + 2 * hour] + (0..<2000).map { _ in origin - 30 * day }
    let outcome = StreamOutcome(times, watermark)
    let decision = outcome.marks.decisions.first
    #expect(decision.map { $0.row <= 1000 } == true && outcome.dismissed == [0])
  }

  @Test func `it never goes back`() {
    let watermark = Self.after((0..<100).map { origin + Int64($0) * second })
    let marks = watermark.mark([Int64](repeating: 0, count: 300) + (100..<108).map { origin + $0 * second })
    #expect(zip(marks.watermarks, marks.watermarks.dropFirst()).allSatisfy { $0 <= $1 })
    // Nobody followed the front for long, so a handful has to agree on its next steps.
    #expect(marks.watermarkAfter == origin + 107 * second && marks.doubtful.setCount == 7)
  }

  @Test func `the end of an input decides what waits`() {
    let few = Self.standard()
    let marks = few.mark([origin, origin + second, origin + 2 * hour])
    #expect(marks.watermarkAfter == .min && marks.doubtful.isEmpty)
    #expect(few.close() == [])
    #expect(few.current == origin + second, "of three, two agree")

    let gap = Self.after((0..<200).map { origin + Int64($0) * second })
    _ = gap.mark((0..<5).map { origin + 3 * day + Int64($0) * second })
    #expect(gap.close() == [.believed(run: 0, latest: origin + 3 * day + 4 * second + 32 * day)])
    // It is believed, as nothing speaks against it, but the next input need not follow it.
    #expect(gap.current == origin + 199 * second && gap.believed == origin + 3 * day + 4 * second)
    #expect(gap.closingTime == origin + 199 * second)
    #expect(gap.close() == [])
    _ = gap.mark((5..<8).map { origin + 3 * day + Int64($0) * second })
    #expect(gap.closingTime == origin + 3 * day + 7 * second, "a handful closes windows at the end")

    let liar = Self.after((0..<200).map { origin + Int64($0) * second })
    _ = liar.mark([origin + 2 * hour, origin + 200 * second])
    #expect(liar.close() == [.dismissed(run: 0, heard: nil)])
    #expect(liar.current == origin + 200 * second)
  }

  @Test func `edges of time do not overflow`() {
    let edges: [Int64] = [.min, .min + 1, -1, 0, 1, .max - 1, .max]
    var random = SeededRandom(seed: 1)
    for (outOfOrder, maxAhead) in [(Int64.max, Int64.max), (0, 0), (second, day)] {
      for idle in [nil, second] {
        let watermark = Watermark(outOfOrder: outOfOrder, maxAhead: maxAhead, clockIdle: idle)
        let times = (0..<3000).map { _ in edges.randomElement(using: &random)! }
        let marks = watermark.mark(times, clockOf: Column(.int(times.map { $0 & 3 })))
        #expect(zip(marks.watermarks, marks.watermarks.dropFirst()).allSatisfy { $0 <= $1 })
        _ = watermark.close()
      }
    }
  }

  // MARK: Cuts and restarts

  /// A stream of everything: gaps, disorder, broken clocks, steps back, other producers.
  private static func stream(_ random: inout SeededRandom) -> (times: [Int64], clocks: [Int64]) {
    var times: [Int64] = []
    var clocks: [Int64] = []
    var now = origin
    for _ in 0..<60 {
      switch Int.random(in: 0..<6, using: &random) {
      case 0: now += Int64.random(in: hour...9 * day, using: &random)
      case 1: now -= Int64.random(in: second...9 * hour, using: &random)
      default: break
      }
      let liars = [0, 0.05, 0.3].randomElement(using: &random)!
      let offset = Int64.random(in: -day...9 * day, using: &random)
      let spacing = [0, 1000, second, 60 * second].randomElement(using: &random)!
      for _ in 0..<Int.random(in: 1...150, using: &random) {
        now += Int64.random(in: 0...2 * spacing, using: &random)
        let host = Int64.random(in: 0..<5, using: &random)
        times.append(random.chance(liars) ? now + offset : now + Int64.random(in: -spacing...0, using: &random))
        clocks.append(host)
      }
    }
    return (times, clocks)
  }

  @Test(arguments: 0..<12, [false, true])
  func `neither cuts nor restarts change anything`(_ seed: UInt64, several: Bool) throws {
    var random = SeededRandom(seed: seed)
    let (times, clocks) = Self.stream(&random)
    func fresh() -> Watermark { Watermark(outOfOrder: 5, maxAhead: day, clockIdle: several ? 600 * second : nil) }
    let whole = fresh().mark(times, clockOf: Column(.int(clocks)))
    #expect(!whole.doubtful.isEmpty && whole.decisions.contains { $0.kind != .opened })
    for cut in [1, 7, 0] {
      var watermark = fresh()
      var stored: [[UInt8]: [UInt8]] = [:]
      var marks = EventTimeMarks(watermarks: [], watermarkAfter: .min)
      var outside: [Bool] = []
      var doubtful: [Bool] = []
      while marks.watermarks.count < times.count {
        let at = marks.watermarks.count
        let rows = at..<min(at + (cut == 0 ? Int.random(in: 1...50, using: &random) : cut), times.count)
        let part = watermark.mark(Array(times[rows]), clockOf: Column(.int(Array(clocks[rows]))))
        marks.watermarks += part.watermarks
        marks.believed += part.believed
        doubtful += rows.indices.map { part.doubtful[$0 - at] }
        outside += rows.indices.map { part.outsideWindows[$0 - at] }
        marks.waiting += part.waiting.map { .init(row: $0.row + at, run: $0.run) }
        marks.decisions += part.decisions.map { .init(row: $0.row + at, kind: $0.kind) }
        guard random.chance(0.2) else { continue }
        for put in watermark.takeChanges().puts { stored[put.key] = put.value }
        #expect(watermark.takeChanges().isEmpty)
        let entries = stored.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map {
          StateEntry(key: $0.key, value: $0.value)
        }
        let restored = fresh()
        try restored.restore(from: entries)
        #expect(restored.current == watermark.current && restored.takeChanges().isEmpty)
        watermark = restored
      }
      #expect(marks.watermarks == whole.watermarks && marks.believed == whole.believed)
      #expect(doubtful == times.indices.map { whole.doubtful[$0] })
      #expect(outside == times.indices.map { whole.outsideWindows[$0] })
      #expect(marks.waiting == whole.waiting && marks.decisions == whole.decisions)
    }
  }

  @Test func `a changed definition goes on where the old one stood`() throws {
    let old = Watermark(outOfOrder: 5 * second, maxAhead: day)
    _ = old.mark((0..<200).map { origin + $0 * 10 * second })
    let before = old.current
    let entries = old.takeChanges().puts
    for idle in [nil, 600 * second] {
      let new = Watermark(outOfOrder: 500 * second, maxAhead: day, clockIdle: idle)
      #expect(new.continues(old.stateFingerprint))
      try new.restore(from: entries)
      #expect(new.current == before)
      let times = (200..<400).map { origin + $0 * 10 * second }
      let marks = new.mark(times, clockOf: Column(.int(times.map { _ in 1 })))
      #expect(marks.watermarks[0] == before && marks.watermarkAfter == times[199] - 500 * second)
    }
  }

  @Test func `who tells the producers apart may change, again and again`() throws {
    var stored: [[UInt8]: [UInt8]] = [:]
    var reached = Int64.min
    for (round, field) in ["host", nil, "host", "region", nil, nil].enumerated() {
      let watermark = Watermark(
        outOfOrder: 0, maxAhead: day, clockIdle: field == nil ? nil : 600 * second, clockOf: field)
      let entries = stored.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map {
        StateEntry(key: $0.key, value: $0.value)
      }
      try watermark.restore(from: entries)
      #expect(watermark.current == reached)
      let times = (0..<300).map { origin + Int64(round * 300 + $0) * second }
      _ = watermark.mark(times, clockOf: Column(.int(times.map { $0 / second % 3 })))
      let changes = watermark.takeChanges()
      for key in changes.deletes { #expect(stored.removeValue(forKey: key) != nil) }
      for put in changes.puts { stored[put.key] = put.value }
      #expect(stored.count == (field == nil ? 2 : 4))
      reached = watermark.current
      #expect(reached >= times[297])
    }
  }

  @Test func `what cannot be read is refused`() throws {
    for idle in [nil, 600 * second] {
      let watermark = Watermark(outOfOrder: 0, maxAhead: day, clockIdle: idle)
      let times = (0..<150).map { origin + $0 * second } + [origin + 9 * day]
      _ = watermark.mark(times, clockOf: Column(.int(times.map { $0 & 1 })))
      let entries = watermark.takeChanges().puts
      for (index, entry) in entries.enumerated() {
        for count in 0..<entry.value.count {
          var damaged = entries
          damaged[index].value = Array(entry.value.prefix(count))
          #expect(throws: CodingError.self) { try watermark.restore(from: damaged) }
        }
      }
      #expect(throws: CodingError.self) { try watermark.restore(from: [StateEntry(key: [1], value: entries[0].value)]) }
      try watermark.restore(from: [])
      #expect(watermark.current == .min)
    }
  }
}

/// A logarithm for the tests' streams: exact enough, and the same everywhere.
private enum PortableLog {
  static func log(_ value: Double) -> Double {
    // ln(m · 2^e) = e · ln 2 + 2 · artanh((m - 1) / (m + 1))
    let ratio = (value.significand - 1) / (value.significand + 1)
    var term = ratio
    var sum = 0.0
    for power in stride(from: 1, to: 60, by: 2) {
      sum += term / Double(power)
      term *= ratio * ratio
    }
    return Double(value.exponent) * 0.6931471805599453 + 2 * sum
  }
}
