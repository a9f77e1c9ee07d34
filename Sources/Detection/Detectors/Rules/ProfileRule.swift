// Rules that keep a profile of each entity in place of a window. Entities come, go, are stored and parked as those of windows
// are (`SlidingEntities`); an event `within` or more behind is late, and one as far ahead of all before begins anew. Where the clock of an entity was wrong and it
// starts afresh, so does its profile, while a cool-down goes on.

/// What a rule keeps of each entity.
enum Profile: Sendable {
  case streak(Streak)
  case newValue(NewValue)
  case unusualHour(UnusualHour)
  case sequence(EventSequence)
  case travel(ImpossibleTravel)

  var layout: [ProfileWord] {
    switch self {
    case .streak(let profile): profile.layout
    case .newValue(let profile): profile.layout
    case .unusualHour(let profile): profile.layout
    case .sequence(let profile): profile.layout
    case .travel(let profile): profile.layout
    }
  }
}

/// A compiled profile.
struct ProfilePlan: Sendable {
  let kind: Profile
  /// Conditions on an event: bit c of `ProfileEvent.conditions` is the one at c.
  let conditions: [Expression]
  /// How many of them, from the first on, make an event one that the rule looks at; 0 where `when` and the values do.
  let deciding: Int
  /// The values that the profile accepts, of the first that a finding tells.
  let acceptedRange: ClosedRange<Double>?
}

extension SlidingRulePlan {
  /// The events that the rule looks at, and which meet each condition of its profile.
  func matches(_ batch: EventBatch, failures: inout Int) -> (rows: Bitmap, conditions: [Bitmap]) {
    let rows =
      when?.matches(batch.columns, count: batch.count, failures: &failures)
      ?? Bitmap(repeating: true, count: batch.count)
    guard let profile else { return (rows, []) }
    let conditions = profile.conditions.map {
      $0.matches(batch.columns, count: batch.count, selection: rows, failures: &failures)
    }
    guard profile.deciding > 0 else { return (rows, conditions) }
    return (conditions.dropFirst().prefix(profile.deciding - 1).reduce(conditions[0]) { $0 | $1 }, conditions)
  }
}

extension SlidingEntities {
  /// Takes in the events of a batch, in order.
  mutating func take(
    _ input: RuleInput, _ profile: ProfilePlan, _ plan: SlidingRulePlan, in batch: EventBatch,
    counts: inout DetectorCounts
  ) -> [Finding] {
    // Each kind has a loop of its own, in which nothing is looked up.
    let found =
      switch profile.kind {
      case .streak(let kind): take(input, kind, coolDown: plan.coolDown, counts: &counts)
      case .newValue(let kind): take(input, kind, coolDown: plan.coolDown, counts: &counts)
      case .unusualHour(let kind): take(input, kind, coolDown: plan.coolDown, counts: &counts)
      case .sequence(let kind): take(input, kind, coolDown: plan.coolDown, counts: &counts)
      case .travel(let kind): take(input, kind, coolDown: plan.coolDown, counts: &counts)
      }
    return found.map { found in
      plan.rule.finding(in: batch, row: found.row, score: found.score, range: profile.acceptedRange) {
        found.values[$0]
      }
    }
  }

  private struct Found {
    var row: Int
    var score: Double
    var values: [Scalar]
  }

  private mutating func take<Kind: EntityProfile>(
    _ input: RuleInput, _ kind: Kind, coolDown: Int64, counts: inout DetectorCounts
  ) -> [Found] {
    var kind = kind
    var found: [Found] = []
    let width = input.arguments.width
    for (ordinal, row) in input.rows.enumerated() {
      forget(watermark: input.watermarks[row])
      let first = ordinal * width
      let values = (
        width > 0 ? input.arguments.words[first] : 0, width > 1 ? input.arguments.words[first + 1] : 0
      )
      guard input.arguments.nulls[ordinal] == 0, kind.accepts(values, time: input.times[row]) else { continue }
      if let missing = input.keys.missing, missing[ordinal] {
        counts.withoutEntity += 1
        continue
      }
      let inserted = insert(
        input.keys.keys[ordinal], time: input.times[row], watermark: input.watermarks[row],
        believed: input.believed[row], staged: input.arguments, ordinal: ordinal)
      guard let slot = inserted else {
        counts.late += 1
        continue
      }
      var conditions: UInt8 = 0
      for (bit, condition) in input.conditions.enumerated() where condition[row] { conditions |= 1 << UInt8(bit) }
      let base = profiles.base(of: slot)
      let clock = entities[Int(slot)].clock
      let last = lastFinding(slot)
      let event = ProfileEvent(
        time: input.times[row], clock: clock, conditions: conditions, values: values, lastFinding: last)
      guard kind.take(event, in: &profiles.words, at: base) else { continue }
      if let last, clock.subtractingSaturated(coolDown) < last, !kind.isOver(profiles.words, at: base) { continue }
      noteFinding(slot, at: clock)
      kind.noteFinding(in: &profiles.words, at: base)
      found.append(Found(row: row, score: kind.score, values: kind.values(profiles.words, at: base)))
    }
    return found
  }
}
