// What wrong times leave behind in a rule goes when it is known that they are wrong: the state stays as large as the right
// events make it, and is the same at any cut and restart.

import TestKit
import Testing

@testable import Detection

private let second: Int64 = 1_000_000
private let hour = 3600 * second
private let day = 24 * hour
private let origin: Int64 = 1_772_000_000_000_000

@Suite struct RuleDiscardTests {
  private static func rule(having: String = "count(*) >= 2") throws -> SlidingRulePlan {
    try slidingPlan(
      RuleDefinition(
        name: "burst", severity: .medium, per: [LocatedText("user")], within: 60 * second,
        having: LocatedText(having), coolDown: 3600 * second))
  }

  /// Runs events through a watermark and a rule, as a partition does.
  private struct Runner {
    let watermark = Watermark(outOfOrder: 0, maxAhead: day)
    var detector: SlidingRule
    var store = RuleStore()
    var findings: [String] = []
    /// The most that was held and stored after any batch.
    var most = (entities: 0, events: 0, bytes: 0, segments: 0)
    private var seen = 0

    init(_ plan: SlidingRulePlan) { detector = plan.makeDetector() }

    mutating func take(_ events: [RuleEvent]) throws {
      let marks = watermark.mark(events.map(\.time))
      var waiting: [UInt64: [Int]] = [:]
      for event in marks.waiting { waiting[event.run, default: []].append(event.row) }
      var first = 0
      for decision in marks.decisions {
        try advance(events, marks, first..<decision.row)
        first = decision.row
        let (watermark, believed) = (marks.watermarks[first], marks.believed[first])
        switch decision.kind {
        // Events that wait are released with the batch that they came with: the streams here have no others.
        case .believed: break
        case .dismissed(_, heard: nil): break
        case .dismissed:
          detector.discard(
            beyond: self.watermark.latestHeard(believed: believed, watermark: watermark), believed: believed,
            watermark: watermark)
        case .opened:
          detector.discard(
            beyond: self.watermark.latestOpening(believed: believed, watermark: watermark), believed: believed,
            watermark: watermark)
        }
      }
      try advance(events, marks, first..<events.count)
      seen += events.count
      let held = detector.held
      most.entities = max(most.entities, held.entities)
      most.events = max(most.events, held.events)
    }

    private mutating func advance(_ events: [RuleEvent], _ marks: EventTimeMarks, _ rows: Range<Int>) throws {
      if rows.isEmpty { return }
      let (batch, _) = RuleStream(Array(events[rows])).batch(0..<rows.count)
      var found: [Finding] = []
      try detector.detect(in: batch, marks: marks.rows(rows), into: &found)
      findings += found.map { "\(seen + rows.lowerBound + $0.row)" }
    }

    mutating func store(restoring plan: SlidingRulePlan? = nil) throws {
      store.apply(detector.takeChanges())
      most.bytes = max(most.bytes, store.bytes)
      most.segments = max(most.segments, store.entries.count)
      guard let plan else { return }
      let held = detector.held
      detector = plan.makeDetector()
      try detector.restore(from: store.sorted)
      #expect(detector.held.entities >= held.entities)
      #expect(detector.takeChanges().isEmpty)
    }
  }

  /// One event a second of fifty users; once in two thousand, sixty events of new users agree on a time twenty days ahead.
  private static func events(_ rows: Range<Int>, users: Bool = true) -> [RuleEvent] {
    rows.map { row in
      let isWrong = row % 2000 >= 1900 && row % 2000 < 1960
      let time = origin + Int64(row) * second
      return RuleEvent(
        time: isWrong ? time + 20 * day : time, user: isWrong && users ? Int64(1_000_000 + row) : Int64(row % 50))
    }
  }

  @Test func `a million events with periodic liars leave nothing behind`() throws {
    let plan = try Self.rule()
    var runner = Runner(plan)
    var early = (entities: 0, bytes: 0)
    for start in stride(from: 0, to: 1_000_000, by: 4000) {
      try runner.take(Self.events(start..<start + 4000))
      try runner.store()
      if start == 100_000 { early = (runner.most.entities, runner.most.bytes) }
    }
    #expect(runner.most.entities <= early.entities + 60 && runner.most.entities < 300)
    #expect(runner.most.bytes < 2 * early.bytes && runner.most.bytes < 200_000, "\(runner.most)")
    #expect(runner.most.segments < 80)
  }

  @Test(arguments: [true, false])
  func `findings are the same at any cut and restart`(areNew: Bool) throws {
    let plan = try Self.rule()
    let events = Self.events(0..<20_000, users: areNew)
    var whole = Runner(plan)
    try whole.take(events)
    #expect(whole.findings.count > 200)
    var random = SeededRandom(seed: 7)
    for restarts in [false, true] {
      var runner = Runner(plan)
      var start = 0
      while start < events.count {
        let end = min(start + Int.random(in: 1...700, using: &random), events.count)
        try runner.take(Array(events[start..<end]))
        if restarts { try runner.store(restoring: random.chance(0.5) ? plan : nil) }
        start = end
      }
      #expect(runner.findings == whole.findings)
    }
  }

  @Test func `a cool-down goes on when what came after it is dropped`() throws {
    let plan = try Self.rule(having: "count(*) >= 25")
    var runner = Runner(plan)
    try runner.take((0..<30).map { RuleEvent(time: origin + Int64($0) * second, user: 1) })
    #expect(runner.findings == ["24"])
    // The same user is heard twenty days ahead, which is then contradicted.
    try runner.take((0..<30).map { RuleEvent(time: origin + 20 * day + Int64($0) * second, user: 1) })
    try runner.take((0..<40).map { RuleEvent(time: origin + Int64(30 + $0) * second, user: 2) })
    #expect(runner.findings.count == 2)
    try runner.take((0..<40).map { RuleEvent(time: origin + Int64(70 + $0) * second, user: 1) })
    #expect(runner.findings.count == 2, "within an hour of the first finding")
    try runner.take((0..<80).map { RuleEvent(time: origin + hour + Int64($0) * second, user: 1) })
    #expect(runner.findings.count == 3)
  }

  @Test(arguments: [1, 7, 1000])
  func `a cool-down goes on where an entity starts afresh in the batch of its finding`(size: Int) throws {
    // A clock that is set back by a quarter of an hour, and followed after a hundred events.
    let seconds: [Int64] = Array(0...3000) + Array(2100..<2400)
    let events = seconds.enumerated().map { row, at in
      RuleEvent(time: origin + at * second, user: row < 2000 ? 2 : 1)
    }
    var runner = Runner(try Self.rule(having: "count(*) >= 25"))
    for start in stride(from: 0, to: events.count, by: size) {
      try runner.take(Array(events[start..<min(start + size, events.count)]))
    }
    #expect(runner.findings == ["24", "2024"])
  }

  @Test func `what a checkpoint writes does not grow with what is held, where entities start afresh`() throws {
    let plan = try Self.rule()
    var random = SeededRandom(seed: 3)
    var runner = Runner(plan)
    // Ten thousand users within the window.
    try runner.take(
      (0..<20_000).map { RuleEvent(time: origin + Int64($0) * 2000, user: Int64($0 % 10_000)) })
    try runner.store()
    let now = origin + 40 * second
    var written: [Int] = []
    for round in 0..<40 {
      // One user is heard two days ahead, contradicted, and starts afresh.
      let user = Int64.random(in: 0..<10_000, using: &random)
      let base = now + Int64(round) * 20_000
      try runner.take((0..<110).map { _ in RuleEvent(time: base + 2 * day, user: user) }.dropLast(11))
      try runner.take((0..<40).map { RuleEvent(time: base + Int64($0), user: user) })
      let changes = runner.detector.takeChanges()
      written.append(changes.puts.reduce(0) { $0 + $1.value.count })
      runner.store.apply(changes)
    }
    #expect(written.sorted()[20] < runner.store.bytes / 20, "\(written)")
  }

  @Test func `stored ends of entities that cannot be read are refused`() throws {
    let plan = try Self.rule()
    var runner = Runner(plan)
    try runner.take((0..<100).map { RuleEvent(time: origin + Int64($0) * second / 5, user: 1 + Int64($0 % 50)) })
    try runner.store()
    try runner.take((0..<20).map { RuleEvent(time: origin + 20 * day + Int64($0) * second, user: 1) })
    try runner.store()
    try runner.take((0..<40).map { RuleEvent(time: origin + Int64(20 + $0) * second, user: 2) })
    try runner.store()
    let key = [UInt8](repeating: 0, count: 8)
    let value = try #require(runner.store.entries[key])
    for count in 0..<value.count {
      let entries = [StateEntry(key: key, value: Array(value.prefix(count)))]
      #expect(throws: CodingError.self) { try plan.makeDetector().restore(from: entries) }
    }
    #expect(throws: CodingError.self) {
      try plan.makeDetector().restore(from: [StateEntry(key: key, value: value + [0])])
    }
  }
}
