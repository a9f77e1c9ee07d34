import TestKit
import Testing

@testable import Detection

/// Rules by example.
@Suite struct SlidingRuleTests {
  static let logins = RuleDefinition(
    name: "high_frequency_login", severity: .medium, when: LocatedText("kind = 'login'"), per: [LocatedText("user")],
    within: 60, having: LocatedText("count(*) > 2"))

  private func rows(_ definition: RuleDefinition, _ events: [RuleEvent]) throws -> [Int] {
    var counts = DetectorCounts()
    let stream = RuleStream(events)
    return try stream.findings(slidingPlan(definition).makeDetector(), batchSize: 3, counts: &counts).map(\.row)
  }

  private func at(_ times: Int64...) -> [RuleEvent] { times.map { RuleEvent(time: $0, user: 1) } }

  @Test func `the window is open at its old end`() throws {
    #expect(try rows(Self.logins, at(0, 1, 60)) == [])
    #expect(try rows(Self.logins, at(1, 2, 60)) == [2])
    #expect(try rows(Self.logins, at(5, 5, 5)) == [2])
  }

  @Test func `one episode is one anomaly`() throws {
    #expect(try rows(Self.logins, at(0, 0, 0, 1, 2, 59)) == [2])
    #expect(try rows(Self.logins, at(0, 0, 0, 50, 60, 60)) == [2, 5], "the cool-down is over at its end")
    var always = Self.logins
    always.coolDown = 0
    #expect(try rows(always, at(0, 0, 0, 1)) == [2, 3])
    always.coolDown = 200
    #expect(try rows(always, at(0, 0, 0, 100, 100, 100, 199, 199, 199, 200)) == [2, 9])
  }

  @Test func `an event out of order counts while it is in the window`() throws {
    var counts = DetectorCounts()
    let stream = RuleStream(at(100, 90, 41, 40, 30), outOfOrder: 1000)
    let plan = try slidingPlan(Self.logins)
    #expect(try stream.findings(plan.makeDetector(), batchSize: 5, counts: &counts).map(\.row) == [2])
    #expect(counts.late == 2)
  }

  @Test func `only matching events of the same entity count`() throws {
    var events = at(0, 0, 0, 0)
    events[1].kind = "logout"
    events[2].user = 2
    #expect(try rows(Self.logins, events) == [])
    events.append(RuleEvent(time: 1, user: 1))
    #expect(try rows(Self.logins, events) == [4])
    events[3].user = nil
    #expect(try rows(Self.logins, events) == [], "no entity, no part")
  }

  @Test func `a time far ahead takes no part`() throws {
    var events = at(0, 0, 1_000_000, 1)
    events[2].ahead = true
    #expect(try rows(Self.logins, events) == [3])
  }

  @Test func `an entity is forgotten when the watermark has passed it, and not because its clock lags`() throws {
    // User 1 is an hour behind, but its events keep coming; user 2 moves the watermark.
    var events: [RuleEvent] = []
    for step in 0..<4 {
      events.append(RuleEvent(time: 4000 + Int64(step) * 10, user: 2))
      events.append(RuleEvent(time: 100 + Int64(step) * 10, user: 1))
    }
    #expect(try rows(Self.logins, events) == [4, 5])
    // Silence until the watermark has advanced by the window: what comes late then starts afresh.
    let silent = at(100, 101) + [RuleEvent(time: 161, user: 2), RuleEvent(time: 161, user: 3)] + at(102)
    #expect(try rows(Self.logins, silent) == [])
    let sooner = at(100, 101) + [RuleEvent(time: 160, user: 2), RuleEvent(time: 160, user: 3)] + at(102)
    #expect(try rows(Self.logins, sooner) == [4])
  }

  @Test func `a wrong time before the first watermark does not silence an entity`() throws {
    let broken = [RuleEvent(time: 900_000_000_000_000, user: 1, kind: "login")]
    let events = broken + (0..<200).map { RuleEvent(time: 1000 + $0, user: 1) }
    let stream = RuleStream(marking: events, outOfOrder: 0, maxAhead: 86_400_000_000)
    var counts = DetectorCounts()
    let found = try stream.findings(slidingPlan(Self.logins).makeDetector(), batchSize: 50, counts: &counts)
    #expect(found.first?.row == 9, "until there is a watermark, the events are behind the broken clock")
    #expect(counts.late == 6)
  }

  @Test func `what a wrong time left behind stays gone after a restart`() throws {
    // Three entities two days ahead share a segment with others; the first one's later life is forgotten again.
    let (minute, hour): (Int64, Int64) = (60_000_000, 3_600_000_000)
    var events = (1...3).map { RuleEvent(time: 48 * hour, user: Int64($0)) }
    events += [RuleEvent](repeating: RuleEvent(time: 0, user: 100), count: 97)
    events += [RuleEvent(time: minute, user: 1)]
    events += (2...4).map { RuleEvent(time: $0 * minute, user: 100) }
    events += [RuleEvent(time: 5 * minute, user: 1)]
    let stream = RuleStream(marking: events, outOfOrder: 0, maxAhead: 24 * hour)
    let plan = try slidingPlan(
      RuleDefinition(
        name: "any", severity: .low, per: [LocatedText("user")], within: minute, having: LocatedText("count(*) >= 1"),
        coolDown: 0))
    var detector = plan.makeDetector()
    var store = RuleStore()
    var counts = DetectorCounts()
    var found: [Finding] = []
    for rows in [0..<100, 100..<101, 101..<102, 102..<103, 103..<104, 104..<105] {
      found = try stream.findings(detector, rows, counts: &counts)
      store.apply(detector.takeChanges())
      detector = plan.makeDetector()
      try detector.restore(from: store.sorted)
    }
    #expect(found.map(\.row) == [104])
    #expect(counts.late == 0)
  }

  @Test func `a finding tells the numbers`() throws {
    var definition = Self.logins
    definition.reason = LocatedText(
      "{count(*)} logins of {user} within {within}, {{mean {avg(x)}, {distinct(kind)} kind}}")
    var events = at(0, 0, 0, 0, 0)
    for index in events.indices { events[index].x = Double(index) }
    let stream = RuleStream(events)
    var counts = DetectorCounts()
    let found = try stream.findings(slidingPlan(definition).makeDetector(), batchSize: 5, counts: &counts)
    #expect(
      found == [
        Finding(
          row: 2, detector: "high_frequency_login", score: 1.5, severity: .medium,
          reason: "3 logins of 1 within 60us, {mean 1, 1 kind}",
          explanation: Explanation(
            contributions: [.init(feature: "count(*)", value: .int(3), contribution: 1.5)], range: 0...2,
            clause: "count(*) > 2"))
      ])
    definition.reason = nil
    let plain = try stream.findings(slidingPlan(definition).makeDetector(), batchSize: 5, counts: &counts)
    #expect(plain.first?.reason == "count(*) = 3 within 60us for user = 1: count(*) > 2")
  }

  @Test(arguments: [
    ("sum(x) > 10", 25.0, 2.5, -Double.infinity, 10.0), ("sum(x) >= 10", 10, 1, -.infinity, 10.0.nextDown),
    ("avg(x) < 4", 1, 4, 4, .infinity), ("2.5 < max(x)", 5, 2, -.infinity, 2.5),
    ("sum(n) <= 10", 5, 2, 11, .infinity), ("min(n) >= 5", 10, 2, -.infinity, 4),
  ])
  func `the score is how far beyond the bound`(
    having: String, value: Double, score: Double, low: Double, high: Double
  ) throws {
    var definition = Self.logins
    definition.having = LocatedText(having)
    let stream = RuleStream([RuleEvent(time: 0, user: 1, x: value, n: Int64(value))])
    var counts = DetectorCounts()
    let found = try stream.findings(slidingPlan(definition).makeDetector(), batchSize: 1, counts: &counts)
    #expect(found.map(\.score) == [score])
    #expect(found.first?.explanation.range == low...high)
  }

  @Test(arguments: ["sum(x) > 1 AND count(*) > 0", "sum(x) + 1 > 2", "sum(x) > -1", "sum(x) > count(*)"])
  func `without a bound to compare with the score is one`(having: String) throws {
    var definition = Self.logins
    definition.having = LocatedText(having)
    let stream = RuleStream([RuleEvent(time: 0, user: 1, x: 70)])
    var counts = DetectorCounts()
    let found = try stream.findings(slidingPlan(definition).makeDetector(), batchSize: 1, counts: &counts)
    #expect(found.map(\.score) == [1])
  }

  @Test func `a sum beyond 64 bits is unknown, counted, and known again when it fits`() throws {
    var definition = Self.logins
    definition.having = LocatedText("sum(n) > 5")
    definition.coolDown = 0
    let events = [0, 10, 60, 70].map { RuleEvent(time: $0, user: 1, n: .max - 1) }
    var counts = DetectorCounts()
    let found = try RuleStream(events).findings(slidingPlan(definition).makeDetector(), batchSize: 1, counts: &counts)
    #expect(found.map(\.row) == [0])
    #expect(counts.failures == 3)
  }

  @Test func `a stateless rule finds every match and explains it`() throws {
    let definition = RuleDefinition(name: "large", severity: .high, when: LocatedText("x > 2 AND kind = 'login'"))
    let rule = try CompiledRule(definition, scope: Scope(RuleStream.columns), event: ruleEvents())
    guard case .stateless(let detector) = rule else {
      Issue.record("the rule has no state")
      return
    }
    let stream = RuleStream([1, 2.5, 3].map { RuleEvent(time: 0, user: 1, x: $0) })
    var findings: [Finding] = []
    detector.detect(in: stream.batch(0..<3).0, into: &findings)
    #expect(findings.map(\.row) == [1, 2] && findings.map(\.score) == [1, 1])
    #expect(findings[0].reason == "x > 2 AND kind = 'login': kind = login, x = 2.5")
    #expect(
      findings[0].explanation
        == Explanation(
          contributions: [
            .init(feature: "kind", value: .string("login"), contribution: 0.5),
            .init(feature: "x", value: .double(2.5), contribution: 0.5),
          ], clause: "x > 2 AND kind = 'login'"))
  }

  @Test func `a rule over single events cools down by entity`() throws {
    let definition = RuleDefinition(name: "large", severity: .high, when: LocatedText("x > 2"), coolDown: 100)
    let events = [0, 50, 99, 100, 150, 300].map { RuleEvent(time: $0, user: 1, x: 3) }
    let other = [RuleEvent(time: 60, user: 2, x: 3), RuleEvent(time: 61, user: 2, x: 1)]
    let plan = try slidingPlan(definition, ruleEvents(key: "user"))
    var counts = DetectorCounts()
    let stream = RuleStream(events[..<2] + other + events[2...])
    let detector = plan.makeDetector()
    let found = try stream.findings(detector, 0..<5, counts: &counts)
    var store = RuleStore()
    store.apply(detector.takeChanges())
    let restored = plan.makeDetector()
    try restored.restore(from: store.sorted)
    #expect(restored.held == (0, 2))
    #expect(try (found + stream.findings(restored, 5..<8, counts: &counts)).map(\.row) == [0, 2, 5, 7])
    #expect(found.first?.explanation.clause == "x > 2" && found.first?.reason == "x > 2: x = 3")
  }

  // MARK: Limits and damage

  @Test(arguments: [
    ("count(*) > 100", 28.0), ("sum(x) > 100", 36), ("distinct(kind) > 100 OR min(n) > 100 OR max(n) > 100", 140),
  ])
  func `what is held is counted, and told beforehand`(_ having: String, bytesPerEvent: Double) throws {
    let definition = RuleDefinition(
      name: "r", severity: .low, per: [LocatedText("user")], within: 1_000_000, having: LocatedText(having))
    let plan = try slidingPlan(definition)
    func held(_ entities: Int64, events: Int64) throws -> Double {
      let detector = plan.makeDetector()
      var counts = DetectorCounts()
      let stream = RuleStream(
        (0..<events).flatMap { round in
          (0..<entities).map { RuleEvent(time: round, user: $0, kind: "\(round)", x: 1, n: round) }
        })
      _ = try stream.findings(detector, batchSize: Int(entities), counts: &counts)
      return Double(detector.heldBytes)
    }
    let one = try held(3000, events: 1)
    let event = (try held(3000, events: 5) - one) / 12_000
    #expect(event >= bytesPerEvent && event < 1.8 * bytesPerEvent, "\(event)")
    #expect((0.6...1.6).contains(one / (3000 * Double(plan.bytesPerEntity))), "\(one) \(plan.bytesPerEntity)")
    #expect((0.6...1.6).contains(event / Double(plan.bytesPerEvent)), "\(event) \(plan.bytesPerEvent)")
  }

  @Test func `what leaves the window makes room`() throws {
    let detector = try slidingPlan(Self.logins).makeDetector()
    var counts = DetectorCounts()
    let stream = RuleStream((0..<5000).map { RuleEvent(time: $0 * 5, user: $0 % 100 < 3 ? $0 % 100 : $0 + 1000) })
    for start in stride(from: 0, to: 5000, by: 500) {
      _ = try stream.findings(detector, start..<start + 500, counts: &counts)
      _ = detector.takeChanges()
    }
    #expect(detector.held.entities <= 13)
    #expect(detector.heldBytes < 100_000)
  }

  @Test func `stored state that is damaged is refused and never traps`() throws {
    var definition = Self.logins
    definition.having = LocatedText("sum(x) > 2 AND distinct(kind) > 0 AND max(n) > 0")
    let plan = try slidingPlan(definition)
    let detector = plan.makeDetector()
    var counts = DetectorCounts()
    let events = (0..<40).map { RuleEvent(time: $0, user: $0 % 3, x: Double($0) * 0.1, n: $0 % 7 == 0 ? nil : $0) }
    _ = try RuleStream(events).findings(detector, batchSize: 40, counts: &counts)
    let changes = detector.takeChanges()
    let entry = try #require(changes.puts.first)
    let value = entry.value
    #expect(throws: CodingError.self) { try plan.makeDetector().restore(from: [StateEntry(key: [1], value: value)]) }
    #expect(throws: CodingError.self) { try plan.makeDetector().restore(from: [entry, entry]) }
    for end in 0..<value.count {
      #expect(throws: CodingError.self) {
        try plan.makeDetector().restore(from: [StateEntry(key: entry.key, value: Array(value[..<end]))])
      }
    }
    var random = SeededRandom(seed: 1)
    for _ in 0..<2000 {
      var damaged = value
      damaged[Int.random(in: 0..<value.count, using: &random)] = UInt8.random(in: .min ... .max, using: &random)
      let restored = plan.makeDetector()
      guard (try? restored.restore(from: [StateEntry(key: entry.key, value: damaged)])) != nil else { continue }
      _ = try? RuleStream(events).findings(restored, batchSize: 40, counts: &counts)
    }
  }
}
