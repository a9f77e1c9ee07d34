// Rules with a profile by example: what they find, what they say, and what a change of the rule leaves of their state.

import TestKit
import Testing

@testable import Detection

private let minute: Int64 = 60_000_000
private let hour = 60 * minute
private let day = 24 * hour
private let origin: Int64 = 1_772_323_200_000_000  // 2026-03-01

@Suite("Profiles")
struct ProfileRuleTests {
  private static func rule(_ profile: ProfileDefinition, _ change: (inout RuleDefinition) -> Void = { _ in })
    -> RuleDefinition
  {
    var definition = RuleDefinition(
      name: "odd", severity: .high, per: [LocatedText("user")], within: nil, profile: profile)
    change(&definition)
    return definition
  }

  private static let streak = rule(.streak(length: 3, until: LocatedText("kind = 'ok'"))) {
    $0.when = LocatedText("kind = 'bad'")
    $0.within = hour
  }
  private static let newValue = rule(
    .newValue(
      of: LocatedText("kind"), remember: 3, expire: 90 * day, learning: LearningDefinition(count: 2, time: day)))
  private static let unusualHour = rule(
    .unusualHour(
      of: LocatedText("time"), share: 0.02, halfLife: 30 * day, untilLearned: LocatedText("hour(time) BETWEEN 2 AND 4"),
      learning: ProfileDefinition.hourLearning))
  private static let sequence = rule(
    .sequence(
      first: LocatedText("kind = 'login'"), then: LocatedText("kind = 'export'"), without: LocatedText("kind = 'code'"))
  ) { $0.within = 10 * minute }
  private static let travel = rule(
    .travel(latitude: LocatedText("x"), longitude: LocatedText("n * 1e0"), speed: 900, distance: 100)
  ) { $0.within = day }
  private static let all = [streak, newValue, unusualHour, sequence, travel]

  private func found(_ definition: RuleDefinition, _ events: [RuleEvent]) throws -> [Finding] {
    var counts = DetectorCounts()
    return try RuleStream(events, outOfOrder: day).findings(
      slidingPlan(definition, ruleEvents(maxAhead: 30 * day)).makeDetector(), batchSize: 5, counts: &counts)
  }

  private func events(_ kinds: [String], every step: Int64 = minute) -> [RuleEvent] {
    kinds.enumerated().map { RuleEvent(time: origin + Int64($0.offset) * step, user: 1, kind: $0.element) }
  }

  // MARK: Streaks

  @Test("a streak is found once, and again when it was broken")
  func streaks() throws {
    let found = try found(
      Self.streak, events(["bad", "bad", "other", "bad", "bad", "bad", "ok", "bad", "bad", "bad", "ok", "bad", "bad"]))
    #expect(found.map(\.row) == [3, 9])
    #expect(
      found[0].reason == "3 in a row for user = 1, at most 2 expected: kind = 'bad', none with kind = 'ok' between")
    #expect(found[0].explanation.clause == "3 in a row: kind = 'bad'; until kind = 'ok'")
    #expect(found[0].explanation.range == 0...2 && found[0].score == 1)
    #expect(
      found[0].explanation.contributions.map(\.value) == [.int(3), .timestamp(origin)])
  }

  @Test("a streak that goes on is found again behind its cool-down, with its length")
  func longStreak() throws {
    var definition = Self.streak
    definition.coolDown = 5 * minute
    definition.reason = LocatedText("{streak} failures of {user} within {within} since {since}")
    let found = try found(definition, events([String](repeating: "bad", count: 9)))
    #expect(found.map(\.row) == [2, 7] && found[1].score == 8.0 / 3)
    #expect(found[1].reason == "8 failures of 1 within 1h since 2026-03-01T00:05:00Z")
  }

  @Test("events too far apart are no streak, and a break that comes late breaks")
  func streakOutOfOrder() throws {
    #expect(try found(Self.streak, events(["bad", "bad", "bad"], every: 30 * minute)).isEmpty)
    #expect(try found(Self.streak, events(["bad", "bad", "bad"], every: 29 * minute)).count == 1)
    var late = events(["bad", "bad", "ok", "bad", "bad"])
    late[2].time = origin + minute / 2
    #expect(try found(Self.streak, late).map(\.row) == [4], "the first is gone, the second is left")
    late = events(["bad", "ok", "bad", "bad", "bad"])
    late[2].time = origin
    #expect(try found(Self.streak, late).isEmpty, "the third comes too late for what was broken")
  }

  // MARK: New values

  @Test("a value is new once, after enough was learned")
  func newValues() throws {
    let found = try found(Self.newValue, events(["a", "b", "a", "c", "c", "a"], every: 12 * hour))
    #expect(found.map(\.row) == [3])
    #expect(found[0].reason == "kind = c is new for user = 1, of whom 2 others are known")
    #expect(found[0].explanation.contributions.map(\.value) == [.string("c"), .int(2)])
  }

  @Test("what was seen longest ago is forgotten first, and in its time")
  func forgottenValues() throws {
    let found = try found(
      Self.newValue, events(["a", "b", "a", "c", "d", "a", "b", "d", "a"], every: day))
    #expect(found.map { String($0.reason.prefix(8)) } == ["kind = c", "kind = d", "kind = b"])
    let expired =
      events(["a", "b"], every: day) + [
        RuleEvent(time: origin + 80 * day, user: 1, kind: "a"), RuleEvent(time: origin + 91 * day, user: 1, kind: "b"),
        RuleEvent(time: origin + 92 * day, user: 1, kind: "a"),
      ]
    #expect(try self.found(Self.newValue, expired).map(\.row) == [3])
  }

  // MARK: Hours

  /// Active from 9 to 17 on so many days, with a burst at nine.
  private func office(_ days: Int64) -> [RuleEvent] {
    (0..<days).flatMap { day in
      (0..<12).map { RuleEvent(time: origin + day * 24 * hour + 9 * hour + max(0, $0 - 3) * hour, user: 1) }
    }
  }

  @Test("an hour is unusual for who is never active then")
  func unusualHours() throws {
    let night = origin + 20 * day + 3 * hour
    let found = try found(
      Self.unusualHour,
      office(20) + [
        RuleEvent(time: night, user: 1), RuleEvent(time: night + minute, user: 1),
        RuleEvent(time: night + 15 * hour, user: 1), RuleEvent(time: night + 20 * hour, user: 1),
      ])
    #expect(found.map(\.row) == [240, 243], "six in the evening is near five, eleven is not; the burst counts once")
    #expect(
      found[0].reason
        == "hour 3 is unusual for user = 1: a share of 0, at least 0.02 expected; usual hours: 9:00 to 17:59")
    #expect(found[0].score == 10 && found[0].explanation.range == 0.02...1)
  }

  @Test("until enough is known, the condition decides; then the hours of the entity do")
  func hoursOfOthers() throws {
    var nights = (0..<30).flatMap { day in
      (0..<6).map { RuleEvent(time: origin + day * 24 * hour + $0 * hour, user: 1) }
    }
    var found = try found(Self.unusualHour, nights)
    #expect(found.map(\.row).allSatisfy { $0 < 48 } && found.first?.row == 2)
    #expect(found[0].reason.hasSuffix("usual hours: not known yet"))
    nights.append(RuleEvent(time: origin + 30 * day + 13 * hour, user: 1))
    found = try self.found(Self.unusualHour, nights)
    #expect(found.last?.row == 180)
  }

  @Test("what was long ago counts less: hours that have changed become usual")
  func newHours() throws {
    let late = (0..<60).map { RuleEvent(time: origin + 30 * day + $0 * 24 * hour + 23 * hour, user: 1) }
    let found = try found(Self.unusualHour, office(30) + late).map { $0.row - 360 }
    #expect(found.first == 0 && found.count > 3 && found.count < 15 && found == Array(0..<found.count), "\(found)")
  }

  // MARK: Sequences

  @Test("one event behind another, and none between")
  func sequences() throws {
    func rows(_ kinds: [String]) throws -> [Int] { try self.found(Self.sequence, events(kinds)).map(\.row) }
    #expect(try rows(["login", "export"]) == [1])
    #expect(try rows(["login", "code", "export"]).isEmpty)
    #expect(try rows(["code", "login", "other", "export", "export"]) == [3])
    #expect(try rows(["export", "login"]).isEmpty)
    #expect(try self.found(Self.sequence, events(["login", "export"], every: 10 * minute)).isEmpty)
    var late = events(["export", "login"])
    late[1].time = origin - minute
    let found = try self.found(Self.sequence, late)
    #expect(found.map(\.row) == [1])
    #expect(
      found[0].reason
        == "kind = 'export', 1m after kind = 'login', for user = 1, without kind = 'code' between, within 10m")
  }

  // MARK: Travel

  @Test("two places that nobody can reach in time")
  func journeys() throws {
    func at(_ time: Int64, _ latitude: Double, _ longitude: Int64) -> RuleEvent {
      RuleEvent(time: origin + time, user: 1, x: latitude, n: longitude)
    }
    // Berlin, New York after an hour and after nine, close to Berlin, and a latitude that is none.
    let found = try found(
      Self.travel,
      [at(0, 52.52, 13), at(hour, 40.71, -74), at(8 * hour, 52.52, 13), at(8 * hour, 52.2, 14), at(9 * hour, 91, 0)])
    #expect(found.map(\.row) == [1, 2])
    #expect(found[0].reason == "6360 km in 1h for user = 1: 6360 km/h, at most 900 expected", "\(found[0].reason)")
    #expect(found[1].explanation.range == 0...900 && (1.0...1.02).contains(found[1].score), "\(found[1].score)")
    // Distances of the reference: Paris to London and half around the equator, kilometres.
    #expect(abs(ImpossibleTravel.distance(48.8566, 2.3522, 51.5074, -0.1278) - 343.6) < 0.5)
    #expect(abs(ImpossibleTravel.distance(0, 0, 0, 180) - 20_015) < 1)
  }

  // MARK: State

  @Test("what only decides about findings may change, what is stored may not", arguments: all)
  func fingerprint(_ definition: RuleDefinition) throws {
    func fingerprint(_ change: (inout RuleDefinition) -> Void) throws -> String {
      var definition = definition
      change(&definition)
      return try slidingPlan(definition).makeDetector().stateFingerprint
    }
    let original = try fingerprint { _ in }
    #expect(try fingerprint { $0.severity = .critical } == original)
    #expect(try fingerprint { $0.reason = LocatedText("{user} again") } == original)
    #expect(try fingerprint { $0.coolDown = 61 } != original)
    #expect(try fingerprint { $0.per = [LocatedText("account")] } != original)
    let changed = try fingerprint { definition in
      switch definition.profile {
      case .streak(let length, let until): definition.profile = .streak(length: length + 1, until: until)
      case .newValue(let of, let remember, let expire, let learning):
        definition.profile = .newValue(of: of, remember: remember + 1, expire: expire, learning: learning)
      case .unusualHour(let of, let share, let halfLife, let condition, let learning):
        definition.profile = .unusualHour(
          of: of, share: share, halfLife: halfLife * 2, untilLearned: condition, learning: learning)
      case .sequence(let first, let then, _):
        definition.profile = .sequence(first: first, then: then, without: nil)
      case .travel(let latitude, _, let speed, let distance):
        definition.profile = .travel(latitude: latitude, longitude: LocatedText("x"), speed: speed, distance: distance)
      case nil: break
      }
    }
    #expect(changed != original)
    let other = LearningDefinition(count: 99, time: day)
    #expect(
      try fingerprint { definition in
        switch definition.profile {
        case .newValue(let of, let remember, let expire, _):
          definition.profile = .newValue(of: of, remember: remember, expire: expire, learning: other)
        case .unusualHour(let of, _, let halfLife, _, _):
          definition.profile = .unusualHour(
            of: of, share: 0.5, halfLife: halfLife, untilLearned: nil, learning: other)
        case .travel(let latitude, let longitude, _, _):
          definition.profile = .travel(latitude: latitude, longitude: longitude, speed: 1, distance: 2)
        default: break
        }
      } == original)
  }

  @Test("what is held is told beforehand, and goes when it is forgotten", arguments: all)
  func heldBytes(_ definition: RuleDefinition) throws {
    let plan = try slidingPlan(definition, ruleEvents(maxAhead: 30 * day))
    let detector = plan.makeDetector()
    var counts = DetectorCounts()
    let kinds = ["bad", "login"]
    let events = (0..<3_000).map { RuleEvent(time: origin, user: $0, kind: kinds[Int($0) % 2], x: 1, n: 1) }
    let later = RuleEvent(time: origin + 10_000 * day, user: 0, kind: "bad", x: 1, n: 1)
    let (end, bad) = (RuleEvent(time: later.time, user: 1, kind: "login", x: 1, n: 1), later)
    let stream = RuleStream(events + [bad, end, bad, end])
    _ = try stream.findings(detector, 0..<3_000, counts: &counts)
    let entities = detector.held.entities
    #expect(entities == (plan.profile!.deciding > 0 ? 1_500 : 3_000))
    let estimate = Double(entities * plan.bytesPerEntity)
    #expect((0.6...2).contains(Double(detector.heldBytes) / estimate), "\(detector.heldBytes) \(estimate)")
    _ = try stream.findings(detector, 3_000..<3_004, counts: &counts)
    #expect(detector.held.entities <= 2)
  }

  @Test("stored state that is damaged is refused and never traps", arguments: all)
  func damaged(_ definition: RuleDefinition) throws {
    let plan = try slidingPlan(definition, ruleEvents(maxAhead: 30 * day))
    let kinds = ["bad", "ok", "login", "export", "code"]
    let events = (0..<60).map {
      RuleEvent(time: origin + $0 * 50 * minute, user: $0 % 3, kind: kinds[Int($0) % 5], x: Double($0), n: $0)
    }
    let detector = plan.makeDetector()
    var counts = DetectorCounts()
    _ = try RuleStream(events).findings(detector, batchSize: 60, counts: &counts)
    let entry = try #require(detector.takeChanges().puts.first)
    for end in 0..<entry.value.count {
      #expect(throws: CodingError.self) {
        try plan.makeDetector().restore(from: [StateEntry(key: entry.key, value: Array(entry.value[..<end]))])
      }
    }
    var random = SeededRandom(seed: 1)
    for _ in 0..<2000 {
      var damaged = entry.value
      damaged[Int.random(in: 0..<damaged.count, using: &random)] = UInt8.random(in: .min ... .max, using: &random)
      let restored = plan.makeDetector()
      guard (try? restored.restore(from: [StateEntry(key: entry.key, value: damaged)])) != nil else { continue }
      _ = try? RuleStream(events).findings(restored, batchSize: 60, counts: &counts)
    }
  }

  // MARK: Mistakes

  @Test("a rule with a profile that is wrong says so at its place")
  func mistakes() {
    func messages(_ definition: RuleDefinition) -> [String] {
      do throws(Diagnostics) {
        _ = try CompiledRule(
          definition, scope: Scope(RuleStream.columns), event: ruleEvents(key: "user", partitionedBy: "account"))
        return []
      } catch {
        return error.all.map(\.message)
      }
    }
    let partitions = "the events of one entity may lie in several partitions"
    #expect(messages(Self.streak) == [partitions])
    func fixed(_ definition: RuleDefinition, _ change: (inout RuleDefinition) -> Void) -> [String] {
      var definition = definition
      definition.per = [LocatedText("account")]
      change(&definition)
      return messages(definition)
    }
    for definition in Self.all { #expect(fixed(definition) { _ in }.isEmpty) }
    #expect(fixed(Self.streak) { $0.within = nil } == ["`streak` without `within`"])
    #expect(fixed(Self.streak) { $0.when = nil } == ["`streak` without `when`"])
    #expect(fixed(Self.newValue) { $0.per = [] } == ["`new` without `per`"])
    #expect(fixed(Self.sequence) { $0.when = LocatedText("x > 1") } == ["`when` does not apply to a sequence"])
    #expect(fixed(Self.travel) { $0.reason = LocatedText("{sped_kmh}") } == ["unknown name `sped_kmh` in `reason`"])
    #expect(
      fixed(Self.newValue) {
        $0.profile = .newValue(of: LocatedText("kid"), remember: 1, expire: 1, learning: ProfileDefinition.hourLearning)
      }.count == 1)
    #expect(
      fixed(Self.unusualHour) {
        $0.profile = .unusualHour(
          of: LocatedText("x"), share: 0.1, halfLife: 1, untilLearned: LocatedText("x"),
          learning: ProfileDefinition.hourLearning)
      }.count == 2)
  }
}
