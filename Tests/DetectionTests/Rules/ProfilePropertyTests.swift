import TestKit
import Testing

@testable import Detection

/// Rules with a profile against their definition, over random streams.
@Suite("Profiles: random streams", .timeLimit(.minutes(15)))
struct ProfilePropertyTests {
  enum Kind: CaseIterable { case streak, newValue, unusualHour, sequence, travel }

  struct Case: Sendable, CustomTestStringConvertible {
    var kind: Kind
    var seed: UInt64
    var testDescription: String { "\(kind), seed \(seed)" }

    private var base: SlidingRulePropertyTests.Case { SlidingRulePropertyTests.Case(seed: seed) }

    /// Times of the base streams are some thousands apart: where hours count, each is so many microseconds.
    private var scale: Int64 {
      switch kind {
      case .streak, .newValue, .sequence: 1
      case .unusualHour: seed % 2 == 0 ? 500_000_000 : 30_000_000
      case .travel: 60_000_000
      }
    }

    var maxAhead: Int64 { base.maxAhead * scale }

    func stream(_ count: Int) -> RuleStream {
      let events = base.stream(count).events.map { event in
        var event = event
        event.time *= scale
        event.ahead = false
        return event
      }
      return RuleStream(marking: events, outOfOrder: seed % 2 == 0 ? 0 : 70 * scale, maxAhead: maxAhead)
    }

    var rule: (definition: RuleDefinition, reference: ProfileReference) {
      var random = SeededRandom(seed: seed &* 31 &+ 7)
      let within = scale * Int64.random(in: 1...200, using: &random)
      let coolDown: Int64? =
        random.chance(0.3) ? nil : random.chance(0.5) ? 0 : scale * .random(in: 1...300, using: &random)
      let learning = LearningDefinition(
        count: .random(in: 1...12, using: &random), time: random.chance(0.5) ? 0 : within / 2)
      var definition = RuleDefinition(
        name: "odd", severity: .high, per: [LocatedText(random.chance(0.5) ? "user" : "account")], coolDown: coolDown)
      switch kind {
      case .streak:
        let length = Int.random(in: 2...3, using: &random)
        definition.when = LocatedText("kind = 'login'")
        definition.within = within
        definition.profile = .streak(length: length, until: LocatedText("kind = 'logout'"))
        return (definition, .streak(length, within: within, coolDown: coolDown ?? within))
      case .newValue:
        let remember = random.chance(0.5) ? 32 : Int.random(in: 1...6, using: &random)
        let expire = 5 * within
        definition.when = LocatedText("kind <> 'other'")
        definition.profile = .newValue(
          of: LocatedText("n"), remember: remember, expire: expire, learning: learning)
        return (
          definition, .newValue(remember: remember, expire: expire, coolDown: coolDown ?? 0, learning: learning)
        )
      case .unusualHour:
        let share = Double.random(in: 0.01...0.2, using: &random)
        let halfLife = scale * Int64.random(in: 100...5_000, using: &random)
        definition.when = LocatedText("kind <> 'other'")
        definition.profile = .unusualHour(
          of: LocatedText("time"), share: share, halfLife: halfLife, untilLearned: LocatedText("kind = 'logout'"),
          learning: learning)
        return (
          definition,
          .unusualHour(
            share: share, halfLife: halfLife, coolDown: coolDown ?? ProfileDefinition.hourCoolDown, learning: learning)
        )
      case .sequence:
        definition.within = within
        definition.profile = .sequence(
          first: LocatedText("kind = 'login'"), then: LocatedText("kind = 'logout' OR n > 3"),
          without: LocatedText("n > 6"))
        return (definition, .sequence(within: within, coolDown: coolDown ?? within))
      case .travel:
        let (speed, distance) = (
          Double.random(in: 100...2_000, using: &random), Double.random(in: 0...900, using: &random)
        )
        definition.when = LocatedText("kind <> 'other'")
        definition.within = within
        definition.profile = .travel(
          latitude: LocatedText("n * 4e0"), longitude: LocatedText("n * 7e0"), speed: speed, distance: distance)
        return (definition, .travel(speed: speed, distance: distance, within: within, coolDown: coolDown ?? 0))
      }
    }

    func plan() throws -> SlidingRulePlan { try slidingPlan(rule.definition, ruleEvents(maxAhead: maxAhead)) }
  }

  static let cases = Kind.allCases.flatMap { kind in (0..<60).map { Case(kind: kind, seed: $0) } }

  @Test("findings are those of the definition, however the events are cut", arguments: cases)
  func definition(_ test: Case) throws {
    let stream = test.stream(400)
    let expected = test.rule.reference.run(stream)
    let plan = try test.plan()
    for batchSize in [1, 7, 400] {
      var counts = DetectorCounts()
      let found = try stream.findings(plan.makeDetector(), batchSize: batchSize, counts: &counts)
      #expect(found.map(\.row) == expected.rows)
      #expect(counts == expected.counts)
    }
  }

  @Test("each kind finds, and finds not, in many of the streams", arguments: Kind.allCases)
  func streamsSaySomething(_ kind: Kind) {
    let found = Self.cases.filter { $0.kind == kind }.map { $0.rule.reference.run($0.stream(400)).rows.count }
    #expect(found.filter { $0 > 3 }.count > 30, "\(kind): \(found)")
    #expect(found.allSatisfy { $0 < 250 }, "\(kind): \(found)")
  }

  @Test("through crashes, parked and read back, the findings are those of an uninterrupted run", arguments: cases)
  func crashes(_ test: Case) throws {
    let stream = test.stream(600)
    let plan = try test.plan()
    var expectedCounts = DetectorCounts()
    let expected = try stream.findings(plan.makeDetector(), batchSize: 600, counts: &expectedCounts).map(exactText)
    var random = SeededRandom(seed: test.seed ^ 0xFACADE)
    var detector = plan.makeDetector()
    var store = RuleStore()
    var counts = DetectorCounts()
    var (position, committed, committedCounts) = (0, 0, DetectorCounts())
    var found: [Int: String] = [:]
    var crashes = 0
    while position < stream.events.count {
      let end = min(position + Int.random(in: 1...25, using: &random), stream.events.count)
      detector.want(stream.batch(position..<end).0)
      let keys = detector.wantedKeys
      if !keys.isEmpty {
        try detector.unpark(keys.map { StateEntry(key: $0, value: try #require(store.entries[$0])) })
      }
      for finding in try stream.findings(detector, position..<end, counts: &counts) {
        if let earlier = found[finding.row] { #expect(earlier == exactText(finding), "replayed") }
        found[finding.row] = exactText(finding)
      }
      position = end
      if random.chance(0.5) {
        if random.chance(0.4) { detector.park() }
        store.apply(detector.takeChanges())
        (committed, committedCounts) = (position, counts)
      }
      if random.chance(0.2) && crashes < 40 {
        crashes += 1
        detector = plan.makeDetector()
        try detector.restore(from: store.sorted)
        (position, counts) = (committed, committedCounts)
      }
    }
    #expect(crashes > 3)
    #expect(found.sorted { $0.key < $1.key }.map(\.value) == expected)
    #expect(counts == expectedCounts)
  }

  @Test("an entity's findings are the same beside others and alone", arguments: cases)
  func partitions(_ test: Case) throws {
    let stream = test.stream(400)
    let plan = try test.plan()
    var counts = DetectorCounts()
    let expected = try stream.findings(plan.makeDetector(), batchSize: 50, counts: &counts).map(exactText)
    var found: [(row: Int, text: String)] = []
    for user in Set(stream.events.compactMap(\.user)) {
      let rows = stream.events.indices.filter { stream.events[$0].user == user }
      for finding in try stream.only(rows).findings(plan.makeDetector(), batchSize: 50, counts: &counts) {
        var finding = finding
        finding.row = rows[finding.row]
        found.append((finding.row, exactText(finding)))
      }
    }
    #expect(found.sorted { $0.row < $1.row }.map(\.text) == expected)
  }

  @Test("what is stored stays in proportion to what is held", arguments: Kind.allCases)
  func bounded(_ kind: Kind) throws {
    var test = Case(kind: kind, seed: 1)
    test.seed = 4
    let stream = test.stream(6_000)
    let plan = try test.plan()
    let detector = plan.makeDetector()
    var store = RuleStore()
    var counts = DetectorCounts()
    for start in stride(from: 0, to: 6_000, by: 3) {
      _ = try stream.findings(detector, start..<start + 3, counts: &counts)
      store.apply(detector.takeChanges())
    }
    #expect(detector.held.entities <= 41)
    #expect(store.bytes < 41 * plan.bytesPerEntity * 5, "\(store.bytes) bytes")
    let restored = plan.makeDetector()
    try restored.restore(from: store.sorted)
    #expect(restored.held == detector.held)
  }
}
