// A rule over an entity's recent events: it counts, adds up or compares what the entity did within a span of event time
// that ends at its newest event, and finds the event that makes its condition true. After a finding the entity cools down
// in event time, so that one episode is one anomaly.
//
// The event time of a finding is the entity's clock when the event was taken in; the entity is cooling down while its
// clock is before that plus the cool-down. An event that came out of order but still falls into the window counts, and
// the condition is then evaluated as of the clock. The exact definitions stand in `SlidingEntities.swift`.

/// A compiled rule with state: what every partition's detector shares.
public struct SlidingRulePlan: Sendable {
  let rule: RuleHead
  let when: Expression?
  /// Columns that make the entity.
  let per: [Int]
  let within: Int64
  let coolDown: Int64
  /// How far beyond the watermark the clock of an entity is out of the ordinary, microseconds.
  let maxAhead: Int64
  /// Whether all events of an entity carry the same clock (`clock_of` is in `per`).
  let hasOwnClock: Bool
  /// Condition over the aggregates in `aggregates`, in the order of its own; nil finds every event.
  let having: Expression?
  /// The aggregates of the condition, then those that only the reason names.
  let aggregates: [AggregatePlan]
  /// How many of them are the condition's.
  let conditionAggregates: Int
  let arguments: [Expression]
  let argumentPlans: [ArgumentPlan]
  /// The aggregate the bound is about is the first.
  let bound: HavingBound?
  let fingerprint: String
  /// What it keeps of an entity in place of a window.
  var profile: ProfilePlan?

  /// Name of the rule.
  public var name: String { rule.name }

  /// The columns the rule reads, by index in the batch.
  public var columns: Set<Int> {
    (arguments + (profile?.conditions ?? [])).reduce(into: rule.columns.union(when?.columns ?? []).union(per)) {
      $0.formUnion($1.columns)
    }
  }

  /// Bytes that it holds for an entity with one event in its window, nearly.
  public var bytesPerEntity: Int {
    if let profile { return SlidingEntities.bytesPerEntity([]) + 8 * profile.kind.layout.count }
    return SlidingEntities.bytesPerEntity(argumentPlans) + (aggregates.isEmpty ? 0 : bytesPerEvent)
  }

  /// Bytes that it holds for each further event, nearly.
  public var bytesPerEvent: Int { aggregates.isEmpty ? 0 : SlidingEntities.bytesPerEvent(argumentPlans) }

  /// Whether it tells entities apart.
  public var isKeyed: Bool { !per.isEmpty }

  /// A detector for one partition, with no events yet.
  public func makeDetector() -> SlidingRule { SlidingRule(self) }
}

/// A rule with state, in one partition.
public final class SlidingRule: StatefulDetector, Parkable {
  private let plan: SlidingRulePlan
  private var entities: SlidingEntities
  private var isToPark = false

  init(_ plan: SlidingRulePlan) {
    self.plan = plan
    entities = SlidingEntities(
      within: plan.within, horizon: max(plan.within, plan.coolDown), maxAhead: plan.maxAhead,
      plans: plan.profile == nil ? plan.argumentPlans : [], holdsEntries: !plan.aggregates.isEmpty,
      layout: plan.profile?.kind.layout ?? [])
  }

  public var name: String { plan.rule.name }
  public var stateName: String { Self.statePrefix + plan.rule.name }
  /// What the names of the state spaces of rules begin with; the name of the rule follows.
  public static let statePrefix = "rule/"
  public var stateFingerprint: String { plan.fingerprint }

  /// Events and entities held: for metrics.
  var held: (events: Int, entities: Int) { (entities.entryCount, entities.entityCount) }

  public var heldBytes: Int { entities.heldBytes }

  public func discard(beyond bound: Int64, believed: Int64, watermark: Int64) {
    entities.discard(beyond: bound, believed: believed, watermark: watermark)
  }

  public func takeChanges() -> StateChanges {
    defer { isToPark = false }
    return entities.takeChanges(parking: isToPark)
  }

  public func restore(from entries: [StateEntry]) throws { try entities.restore(from: entries) }

  public var isFull: Bool { entities.isFull }

  public var hasParked: Bool { !entities.parked.isEmpty }

  public func park() { isToPark = true }

  public func want(_ batch: EventBatch) {
    guard !entities.parked.isEmpty else { return }
    var failures = 0
    var rows: [Int] = []
    plan.matches(batch, failures: &failures).rows.forEachSet { rows.append($0) }
    for key in EntityKeys(plan.per.map { batch.columns[$0] }, rows: rows).keys { entities.parked.want(key) }
  }

  public var wantedKeys: [[UInt8]] { entities.parked.wantedNumbers.map { SegmentLedger.key($0) } }

  public func unpark(_ entries: [StateEntry]) throws {
    for entry in entries {
      guard let number = SegmentLedger.number(of: entry.key) else { continue }
      try entities.unpark(number, entry.value)
    }
    guard entities.parked.wantedNumbers.isEmpty else {
      throw CodingError("segment \(entities.parked.wantedNumbers[0]) of the rule \(name) is not in the store")
    }
  }

  public func detect(
    in batch: EventBatch, marks: EventTimeMarks, into findings: inout [Finding], counts: inout DetectorCounts
  ) throws {
    precondition(marks.doubtful.count == batch.count, "the marks are not those of the batch")
    let input = RuleInput(plan, batch, marks, counts: &counts)
    guard !input.rows.isEmpty else { return }
    if let profile = plan.profile {
      findings += entities.take(input, profile, plan, in: batch, counts: &counts)
      entities.recycle()
      return
    }
    var outcome = RuleOutcome(plan.aggregates, capacity: input.rows.count)
    entities.take(input, into: &outcome, counts: &counts)
    report(outcome, in: batch, into: &findings, counts: &counts)
    entities.recycle()
  }

  /// Turns the events after which the condition holds into findings, in order, unless their entity is cooling down.
  private func report(
    _ outcome: RuleOutcome, in batch: EventBatch, into findings: inout [Finding], counts: inout DetectorCounts
  ) {
    let columns = outcome.results.map(\.column)
    let count = outcome.events.count
    let matches =
      plan.having?.matches(Array(columns.prefix(plan.conditionAggregates)), count: count, failures: &counts.failures)
      ?? Bitmap(repeating: true, count: count)
    matches.forEachSet { ordinal in
      let event = outcome.events[ordinal]
      if let last = entities.lastFinding(event.slot) {
        guard event.clock.subtractingSaturated(plan.coolDown) >= last else { return }
      }
      entities.noteFinding(event.slot, at: event.clock)
      let score = plan.bound.map { $0.score(Self.number(columns[0][ordinal])) } ?? 1
      findings.append(
        plan.rule.finding(in: batch, row: event.row, score: score, range: plan.bound?.acceptedRange) {
          columns[$0][ordinal]
        })
    }
  }

  private static func number(_ value: Scalar) -> Double {
    switch value {
    case .int(let value), .timestamp(let value): Double(value)
    case .double(let value): value
    case .null, .bool, .string: 0
    }
  }
}

/// The events of a batch that a rule looks at, column by column.
struct RuleInput: Sendable {
  /// Rows that meet `when` and whose time is not in doubt, ascending.
  let rows: [Int]
  let keys: EntityKeys
  let arguments: StagedArguments
  /// The conditions of a profile, over all rows.
  let conditions: [Bitmap]
  let times: [Int64]
  let watermarks: [Int64]
  let believed: [Int64]

  init(_ plan: SlidingRulePlan, _ batch: EventBatch, _ marks: EventTimeMarks, counts: inout DetectorCounts) {
    var failures = 0
    let (matches, conditions) = plan.matches(batch, failures: &failures)
    // Those of events that have waited were counted when they came.
    if !marks.areReleased { counts.failures += failures }
    let certain = matches.subtracting(marks.doubtful)
    if !marks.dismissed.isEmpty {
      let left = (matches & marks.dismissed).setCount
      if marks.areUndecided { counts.undecided += left } else { counts.ahead += left }
    }
    var rows: [Int] = []
    rows.reserveCapacity(certain.setCount)
    certain.forEachSet { rows.append($0) }
    self.rows = rows
    keys = EntityKeys(plan.per.map { batch.columns[$0] }, rows: rows)
    var columns: [Column] = []
    if !rows.isEmpty {
      columns = plan.arguments.map {
        $0.evaluate(batch.columns, count: batch.count, selection: certain, failures: &counts.failures)
      }
    }
    arguments = StagedArguments(columns, plans: plan.argumentPlans, rows: rows)
    self.conditions = conditions
    times = batch.eventTimes
    watermarks = marks.watermarks
    believed = plan.hasOwnClock ? marks.ownBelieved ?? marks.believed : marks.believed
  }
}

/// What became of the events of a batch that were taken in.
struct RuleOutcome: Sendable {
  struct Event: Sendable {
    var row: Int
    var slot: UInt32
    /// The entity's clock after the event.
    var clock: Int64
  }

  var events: [Event] = []
  /// One result per event and aggregate.
  var results: [AggregateResults]

  init(_ aggregates: [AggregatePlan], capacity: Int) {
    results = aggregates.map { AggregateResults($0, capacity: capacity) }
    events.reserveCapacity(capacity)
  }
}

extension SlidingEntities {
  /// Takes in the events of a batch, in order.
  mutating func take(_ input: RuleInput, into outcome: inout RuleOutcome, counts: inout DetectorCounts) {
    for (ordinal, row) in input.rows.enumerated() {
      forget(watermark: input.watermarks[row])
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
      outcome.events.append(RuleOutcome.Event(row: row, slot: slot, clock: entities[Int(slot)].clock))
      for index in outcome.results.indices {
        outcome.results[index].append(self, slot: Int(slot), failures: &counts.failures)
      }
    }
  }
}
