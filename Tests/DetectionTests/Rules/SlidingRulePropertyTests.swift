import TestKit
import Testing

@testable import Detection

/// Sliding rules against their definition, over random streams.
@Suite struct SlidingRulePropertyTests {
  struct Case: Sendable, CustomStringConvertible {
    var seed: UInt64
    var description: String { "seed \(seed)" }

    /// In every third case few times are beyond belief for long: the watermark comes near them while the stream lasts.
    var isNear: Bool { seed % 3 == 0 }
    var maxAhead: Int64 { isNear ? 600 : 10_000 }

    /// Times with ties, disorder, silence, an entity whose clock lags, nulls, and values of all sizes.
    func stream(_ count: Int) -> RuleStream {
      var random = SeededRandom(seed: seed)
      let disorder = random.chance(0.7) ? Int64.random(in: 1...150, using: &random) : 0
      let users = isNear ? 40 : Int64.random(in: 1...8, using: &random)
      let sizes = Int.random(in: 0..<7, using: &random)
      var now: Int64 = 1000
      let events = (0..<count).map { row in
        now += random.chance(0.4) ? 0 : Int64.random(in: 0...20, using: &random)
        if random.chance(0.01) { now += Int64.random(in: 50...400, using: &random) }
        let user = Int64.random(in: 0..<users, using: &random)
        var time = now
        if disorder > 0 && random.chance(0.3) { time -= Int64.random(in: 0...disorder, using: &random) }
        if user == 3 { time = time / 2 - 500 }
        let ahead = random.chance(row < 100 ? isNear ? 0.3 : 0.1 : 0.02)
        let distance = isNear ? maxAhead + .random(in: 1...900, using: &random) : 100_000
        let kind = ["login", "other", "logout"][Int.random(in: 0..<3, using: &random)]
        return RuleEvent(
          time: ahead ? time + distance : time, user: random.chance(0.03) ? nil : user,
          kind: random.chance(0.03) ? nil : kind,
          x: random.chance(0.1) ? nil : ExactSumsTests.random(&random, kind: sizes),
          n: random.chance(0.1)
            ? nil : random.chance(0.05) ? .max - 3 : Int64.random(in: -9...9, using: &random))
      }
      return RuleStream(marking: events, outOfOrder: random.chance(0.5) ? 0 : disorder / 2, maxAhead: maxAhead)
    }

    var rule: (definition: RuleDefinition, reference: RuleReference) {
      var random = SeededRandom(seed: seed &* 31 &+ 7)
      let within = Int64.random(in: 1...120, using: &random)
      let coolDown: Int64? = random.chance(0.3) ? nil : random.chance(0.5) ? 0 : .random(in: 1...300, using: &random)
      let limit = random.chance(0.5) ? 1 : Int.random(in: 2...6, using: &random)
      let having = "count(*) >= \(limit)" + RuleReference.having.dropFirst("count(*) >= LIMIT".count)
      let definition = RuleDefinition(
        name: "busy", severity: .high, when: LocatedText("kind <> 'other'"),
        per: [LocatedText(random.chance(0.5) ? "user" : "account")], within: within, having: LocatedText(having),
        coolDown: coolDown, reason: LocatedText("{user} did {count(*)}, {sum(x)} within {within}"))
      let reference = RuleReference(within: within, coolDown: coolDown ?? within) {
        $0.count >= limit
      }
      return (definition, reference)
    }
  }

  static let cases = (0..<60).map { Case(seed: $0) }

  @Test(arguments: cases)
  func `findings are those of the definition, however the events are cut`(_ test: Case) throws {
    let stream = test.stream(400)
    let (definition, reference) = test.rule
    let expected = reference.run(stream)
    let plan = try slidingPlan(definition, ruleEvents(maxAhead: test.maxAhead))
    for batchSize in [1, 7, 400] {
      var counts = DetectorCounts()
      let found = try stream.findings(plan.makeDetector(), batchSize: batchSize, counts: &counts)
      #expect(found.map(\.row) == expected.findings.map(\.row))
      #expect(counts == expected.counts)
      for (finding, expected) in zip(found, expected.findings) {
        let values = finding.explanation.contributions.map { contribution in
          switch contribution.value {
          case .double(let value): "\(value.bitPattern)"
          default: "\(contribution.value)"
          }
        }
        #expect(values == expected.aggregates.values, "row \(finding.row)")
      }
    }
  }

  @Test(arguments: cases)
  func `after crashes the findings are those of an uninterrupted run`(_ test: Case) throws {
    let stream = test.stream(600)
    let plan = try slidingPlan(test.rule.definition, ruleEvents(maxAhead: test.maxAhead))
    var counts = DetectorCounts()
    let expected = try stream.findings(plan.makeDetector(), batchSize: 600, counts: &counts).map(exactText)
    var random = SeededRandom(seed: test.seed ^ 0xC0FFEE)
    var detector = plan.makeDetector()
    var store = RuleStore()
    var (position, committed) = (0, 0)
    var found: [Int: String] = [:]
    var crashes = 0
    while position < stream.events.count {
      let end = min(position + Int.random(in: 1...25, using: &random), stream.events.count)
      for finding in try stream.findings(detector, position..<end, counts: &counts) {
        if let earlier = found[finding.row] { #expect(earlier == exactText(finding), "replayed") }
        found[finding.row] = exactText(finding)
      }
      position = end
      if random.chance(0.4) {
        store.apply(detector.takeChanges())
        committed = position
      }
      if random.chance(0.3) && crashes < 40 {
        crashes += 1
        detector = plan.makeDetector()
        try detector.restore(from: store.sorted)
        position = committed
      }
    }
    #expect(crashes > 3)
    #expect(found.sorted { $0.key < $1.key }.map(\.value) == expected)
  }

  @Test func `what is stored stays in proportion to what is held`() throws {
    // Ten thousand checkpoints of a stream in which each window holds a few events.
    var random = SeededRandom(seed: 5)
    let definition = RuleDefinition(
      name: "busy", severity: .low, per: [LocatedText("user")], within: 2000, having: LocatedText("sum(x) > 1000000"))
    var now: Int64 = 0
    let stream = RuleStream(
      (0..<30_000).map { _ in
        now += Int64.random(in: 0...10, using: &random)
        return RuleEvent(time: now, user: .random(in: 0..<50, using: &random), x: 1.5)
      })
    let detector = try slidingPlan(definition).makeDetector()
    var store = RuleStore()
    var written = 0
    var counts = DetectorCounts()
    for start in stride(from: 0, to: stream.events.count, by: 3) {
      _ = try stream.findings(detector, start..<start + 3, counts: &counts)
      let changes = detector.takeChanges()
      written += changes.puts.reduce(0) { $0 + $1.value.count }
      store.apply(changes)
      if start % 999 == 0 {
        let held = detector.held
        #expect(store.entries.count <= 40, "segments")
        #expect(store.bytes < 60 * (held.events + held.entities) * 4, "bytes for \(held)")
        let restored = try slidingPlan(definition).makeDetector()
        try restored.restore(from: store.sorted)
        #expect(restored.held == held)
      }
    }
    #expect(written < 400 * 30_000, "\(written) bytes written")
    print("30,000 events, 10,000 checkpoints: \(written / 30_000) bytes written per event, \(store.bytes) kept")
  }
}
