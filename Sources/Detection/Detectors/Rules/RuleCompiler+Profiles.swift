// From what a use case says about a rule with a profile to something that runs.

extension ProfileDefinition {
  /// What a reason can name beside fields and features.
  var valueNames: [String] {
    switch self {
    case .streak: Streak.valueNames
    case .newValue: NewValue.valueNames
    case .unusualHour: UnusualHour.valueNames
    case .sequence: EventSequence.valueNames
    case .travel: ImpossibleTravel.valueNames
    }
  }

  /// The key by which a rule of this kind is known.
  var key: String {
    switch self {
    case .streak: "streak"
    case .newValue: "new"
    case .unusualHour: "unusual_hour"
    case .sequence: "first"
    case .travel: "travel"
    }
  }
}

extension RuleCompiler {
  /// What a kind is made of, its expressions compiled.
  private struct Parts {
    var kind: Profile
    var conditions: [Expression?] = []
    var isDeciding = false
    var values: [Expression?] = []
    var acceptedRange: ClosedRange<Double>?
    /// How long an entity without events is remembered.
    var within: Int64
    var coolDown: Int64
    /// The condition as it is written, and all that stored state depends on.
    var clause: String
    var stored: String
  }

  mutating func compile(_ profile: ProfileDefinition) -> CompiledRule? {
    if definition.per.isEmpty {
      report("`\(profile.key)` without `per`", at: definition.location, expected: "the fields that make an entity")
    }
    let per = definition.per.isEmpty ? [] : entity()
    let parts = parts(of: profile)
    let template = template(isSliding: false) { $0.usualTemplate(profile, per: per) }
    guard diagnostics.isEmpty, let parts else { return nil }
    let conditions = parts.conditions.compactMap(\.self)
    let values = parts.values.compactMap(\.self)
    // Of a string only what tells it from others is needed, and a word of that.
    var plans = values.map { ArgumentPlan(type: $0.type, uses: .distinct) }
    for index in plans.indices.dropFirst() { plans[index].offset = plans[index - 1].offset + plans[index - 1].words }
    let isStreak = if case .streak = profile { true } else { false }
    let when = isStreak ? nil : definition.when.flatMap { expression($0) }
    guard diagnostics.isEmpty else { return nil }
    let head = RuleHead(
      name: definition.name, severity: definition.severity, clause: parts.clause, template: template,
      evidence: evidence(profile))
    var plan = SlidingRulePlan(
      rule: head, when: when, per: per, within: parts.within, coolDown: parts.coolDown, maxAhead: event.maxAhead,
      hasOwnClock: event.clockOf.map(per.contains) ?? false, having: nil, aggregates: [], conditionAggregates: 0,
      arguments: values, argumentPlans: plans, bound: nil, fingerprint: fingerprint(parts.stored, per, parts.coolDown))
    plan.profile = ProfilePlan(
      kind: parts.kind, conditions: conditions, deciding: parts.isDeciding ? conditions.count : 0,
      acceptedRange: parts.acceptedRange)
    return .stateful(plan)
  }

  // MARK: Kinds

  private mutating func parts(of profile: ProfileDefinition) -> Parts? {
    switch profile {
    case .streak(let length, let until): streak(length, until)
    case .newValue(let of, let remember, let expire, let learning): newValue(of, remember, expire, learning)
    case .unusualHour(let of, let share, let halfLife, let untilLearned, let learning):
      unusualHour(of, share, halfLife, untilLearned, learning)
    case .sequence(let first, let then, let without): sequence(first, then, without)
    case .travel(let latitude, let longitude, let speed, let distance): travel(latitude, longitude, speed, distance)
    }
  }

  private mutating func streak(_ length: Int, _ until: LocatedText) -> Parts? {
    guard let within = within(of: "streak"), let when = definition.when else {
      if definition.when == nil {
        report("`streak` without `when`", at: definition.location, expected: "a condition on the events that count")
      }
      return nil
    }
    return Parts(
      kind: .streak(Streak(length: length, within: within)), conditions: [expression(when), expression(until)],
      isDeciding: true, acceptedRange: 0...Double(length - 1), within: within,
      coolDown: definition.coolDown ?? within,
      clause: "\(length) in a row: \(when.text); until \(until.text)",
      stored: "streak \(length), when \(when.text), until \(until.text), within \(within)")
  }

  private mutating func newValue(
    _ of: LocatedText, _ remember: Int, _ expire: Int64, _ learning: LearningDefinition
  ) -> Parts? {
    let value = expression(of, expected: nil)
    return Parts(
      kind: .newValue(NewValue(remember: remember, expire: expire, learning: learning)), values: [value],
      within: expire, coolDown: definition.coolDown ?? 0, clause: "new \(of.text)",
      stored: "new \(of.text) \(value?.type.rawValue ?? ""), remember \(remember), expire \(expire), \(whenText)")
  }

  private mutating func unusualHour(
    _ of: LocatedText, _ share: Double, _ halfLife: Int64, _ untilLearned: LocatedText?, _ learning: LearningDefinition
  ) -> Parts? {
    Parts(
      kind: .unusualHour(UnusualHour(share: share, halfLife: halfLife, learning: learning)),
      conditions: untilLearned.map { [expression($0)] } ?? [], values: [expression(of, expected: .timestamp)],
      acceptedRange: share...1, within: halfLife.multipliedSaturated(by: UnusualHour.lifetime),
      coolDown: definition.coolDown ?? ProfileDefinition.hourCoolDown,
      clause: "hour of \(of.text) with a share below \(share)",
      stored: "unusual hour \(of.text), half-life \(halfLife), \(whenText)")
  }

  private mutating func sequence(_ first: LocatedText, _ then: LocatedText, _ without: LocatedText?) -> Parts? {
    guard let within = within(of: "first") else { return nil }
    if let when = definition.when {
      report("`when` does not apply to a sequence", at: when.location, expected: "it in `first` and `then`")
    }
    let breaks = without.map { [expression($0)] } ?? []
    let without = without.map { " without \($0.text)" } ?? ""
    return Parts(
      kind: .sequence(EventSequence(within: within)), conditions: [expression(first), expression(then)] + breaks,
      isDeciding: true, within: within, coolDown: definition.coolDown ?? within,
      clause: "\(first.text), then \(then.text)\(without)",
      stored: "first \(first.text), then \(then.text),\(without) within \(within)")
  }

  private mutating func travel(
    _ latitude: LocatedText, _ longitude: LocatedText, _ speed: Double, _ distance: Double
  ) -> Parts? {
    guard let within = within(of: "travel") else { return nil }
    return Parts(
      kind: .travel(ImpossibleTravel(speed: speed, distance: distance)),
      values: [expression(latitude, expected: .double), expression(longitude, expected: .double)],
      acceptedRange: 0...speed, within: within, coolDown: definition.coolDown ?? 0,
      clause: "further than \(distance) km, faster than \(speed) km/h",
      stored: "travel \(latitude.text), \(longitude.text), within \(within), \(whenText)")
  }

  private mutating func within(of key: String) -> Int64? {
    if let within = definition.within, within > 0 { return within }
    report("`\(key)` without `within`", at: definition.location, expected: "how long ago an event still counts")
    return nil
  }

  private var whenText: String { "when \(definition.when?.text ?? "true")" }

  // MARK: What people read

  private func evidence(_ profile: ProfileDefinition) -> [RuleHead.Evidence] {
    var evidence: [RuleHead.Evidence] = []
    if case .newValue(let of, _, _, _) = profile {
      evidence = read(by: of, expected: nil).map { .column($0, name: columns[$0].name) }
    }
    return evidence + profile.valueNames.enumerated().map { .aggregate($0.offset, text: $0.element) }
  }

  private func usualTemplate(_ profile: ProfileDefinition, per: [Int]) -> ReasonTemplate {
    func list(_ columns: [Int]) -> [ReasonTemplate.Piece] {
      columns.enumerated().flatMap { index, column -> [ReasonTemplate.Piece] in
        [.text("\(index == 0 ? "" : ", ")\(self.columns[column].name) = "), .column(column)]
      }
    }
    let entity = list(per)
    let within = definition.within.map { DurationText.format($0) } ?? ""
    let pieces: [ReasonTemplate.Piece]
    switch profile {
    case .streak(let length, let until):
      pieces =
        [.aggregate(0), .text(" in a row for ")] + entity
        + [.text(", at most \(length - 1) expected: \(definition.when?.text ?? ""), none with \(until.text) between")]
    case .newValue(let of, _, _, _):
      pieces =
        list(read(by: of, expected: nil)) + [.text(" is new for ")] + entity + [
          .text(", of whom "), .aggregate(0), .text(" others are known"),
        ]
    case .unusualHour(_, let share, _, _, _):
      pieces =
        [.text("hour "), .aggregate(1), .text(" is unusual for ")] + entity
        + [.text(": a share of "), .aggregate(0), .text(", at least \(share) expected; usual hours: "), .aggregate(2)]
    case .sequence(let first, let then, let without):
      pieces =
        [.text("\(then.text), "), .aggregate(0), .text(" after \(first.text), for ")] + entity
        + [.text((without.map { ", without \($0.text) between" } ?? "") + ", within \(within)")]
    case .travel(_, _, let speed, _):
      pieces =
        [.aggregate(1), .text(" km in "), .aggregate(2), .text(" for ")] + entity
        + [.text(": "), .aggregate(0), .text(" km/h, at most \(RuleText.number(speed)) expected")]
    }
    return ReasonTemplate(pieces: pieces)
  }

  /// What only decides about findings may change: how much must be learned, shares, speeds.
  private func fingerprint(_ stored: String, _ per: [Int], _ coolDown: Int64) -> String {
    let entity = per.map { "\(columns[$0].name) \(columns[$0].type.rawValue)" }
    return "profile 1: \(stored), per \(entity), cool down \(coolDown)"
  }
}
