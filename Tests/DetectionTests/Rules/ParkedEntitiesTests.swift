import TestKit
import Testing

@testable import Detection

/// Entities that leave memory and come back change no result.
@Suite("Parked entities", .timeLimit(.minutes(15)))
struct ParkedEntitiesTests {
  /// Reads back what events need, as a lane does.
  private func readBack(_ detector: SlidingRule, _ batch: EventBatch, from store: RuleStore) throws -> Int {
    detector.want(batch)
    let keys = detector.wantedKeys
    if keys.isEmpty { return 0 }
    try detector.unpark(keys.map { StateEntry(key: $0, value: try #require(store.entries[$0])) })
    return keys.count
  }

  @Test("random streams find the same, through crashes", arguments: SlidingRulePropertyTests.cases)
  func sameFindings(_ test: SlidingRulePropertyTests.Case) throws {
    let stream = test.stream(600)
    let plan = try slidingPlan(test.rule.definition, ruleEvents(maxAhead: test.maxAhead))
    var expectedCounts = DetectorCounts()
    let expected = try stream.findings(plan.makeDetector(), batchSize: 600, counts: &expectedCounts).map(exactText)
    var random = SeededRandom(seed: test.seed ^ 0xFACADE)
    var detector = plan.makeDetector()
    var store = RuleStore()
    var counts = DetectorCounts()
    var (position, committed, committedCounts) = (0, 0, DetectorCounts())
    var found: [Int: String] = [:]
    var (crashes, read) = (0, 0)
    while position < stream.events.count {
      let end = min(position + Int.random(in: 1...25, using: &random), stream.events.count)
      read += try readBack(detector, stream.batch(position..<end).0, from: store)
      for finding in try stream.findings(detector, position..<end, counts: &counts) {
        if let earlier = found[finding.row] { #expect(earlier == exactText(finding), "replayed") }
        found[finding.row] = exactText(finding)
      }
      position = end
      if random.chance(0.5) {
        if random.chance(0.7) { detector.park() }
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
    if !test.isNear { #expect(read > 0, "nothing was parked and needed again") }
  }

  /// A rule with an event in the window of each of many users.
  private func many(_ users: Int) throws -> (plan: SlidingRulePlan, stream: RuleStream) {
    let definition = RuleDefinition(
      name: "busy", severity: .low, per: [LocatedText("user")], within: 10_000_000, having: LocatedText("count(*) >= 2")
    )
    let events = (0..<users).map { RuleEvent(time: 1000 + Int64($0), user: Int64($0), x: Double($0)) }
    return (try slidingPlan(definition), RuleStream(events + events.prefix(users / 10)))
  }

  /// The same, behind those events, with all of its entities parked.
  private func allParked(
    _ users: Int
  ) throws -> (stream: RuleStream, detector: SlidingRule, store: RuleStore, counts: DetectorCounts) {
    let (plan, stream) = try many(users)
    let detector = plan.makeDetector()
    var (store, counts) = (RuleStore(), DetectorCounts())
    _ = try stream.findings(detector, 0..<users, counts: &counts)
    detector.park()
    store.apply(detector.takeChanges())
    return (stream, detector, store, counts)
  }

  @Test("what is parked leaves memory for others, and a restart does not bring it back into memory")
  func bytes() throws {
    let (plan, stream) = try many(50_000)
    let detector = plan.makeDetector()
    var store = RuleStore()
    var counts = DetectorCounts()
    _ = try stream.findings(detector, 0..<20_000, counts: &counts)
    store.apply(detector.takeChanges())
    let held = detector.heldBytes
    #expect(detector.isFull)
    for start in stride(from: 20_000, to: 50_000, by: 1000) {
      if detector.isFull {
        detector.park()
        store.apply(detector.takeChanges())
        #expect(!detector.isFull)
      }
      _ = try stream.findings(detector, start..<start + 1000, counts: &counts)
    }
    #expect(detector.held.entities == 50_000)
    store.apply(detector.takeChanges())
    #expect(detector.heldBytes < held * 2, "\(detector.heldBytes) after \(held)")
    let restored = plan.makeDetector()
    try restored.restore(from: store.sorted)
    #expect(restored.held.entities == 50_000)
    #expect(restored.heldBytes < detector.heldBytes)
    // Those that were quiet for longest come again.
    let again = 50_000..<55_000
    #expect(try readBack(restored, stream.batch(again).0, from: store) > 0)
    #expect(try stream.findings(restored, again, counts: &counts).count == 5000)
  }

  @Test("segments of parked entities leave the store when all of them are forgotten, and with the last that comes back")
  func segments() throws {
    let (stream, detector, kept, counted) = try allParked(2000)
    var (store, counts) = (kept, counted)
    func parked() -> Int { store.entries.values.count { $0.first == 2 } }
    #expect(parked() == 4)
    _ = try readBack(detector, stream.batch(2000..<2200).0, from: store)
    _ = try stream.findings(detector, 2000..<2200, counts: &counts)
    for _ in 0..<2 { store.apply(detector.takeChanges()) }
    // All of the first, and some of the second, of which it is stored which.
    #expect(parked() == 3)
    #expect(store.entries.keys.count { $0.count == 9 } == 1)
    let late = RuleStream([RuleEvent(time: 50_000_000, user: 1), RuleEvent(time: 50_000_001, user: 1)])
    _ = try late.findings(detector, 0..<2, counts: &counts)
    store.apply(detector.takeChanges())
    store.apply(detector.takeChanges())
    #expect(detector.held.entities == 1)
    #expect(store.entries.count <= 2)
  }

  @Test("a segment that lacks what was parked in it is refused")
  func damaged() throws {
    let (stream, detector, store, _) = try allParked(2000)
    detector.want(stream.batch(2000..<2001).0)
    #expect(throws: CodingError.self) { try detector.unpark([]) }
    let other = try #require(store.sorted.last)
    let key = try #require(detector.wantedKeys.first)
    #expect(throws: CodingError.self) { try detector.unpark([StateEntry(key: key, value: other.value)]) }
  }
}
