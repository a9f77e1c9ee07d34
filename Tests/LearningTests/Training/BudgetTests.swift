// False-alarm budgets on days that training did not see. scripts/false-alarms measures the same on a larger scale.

import Detection
import Foundation
import Pipeline
import TestKit
import Testing

@testable import Learning

@Suite struct BudgetTests {
  /// The detectors of the test use case, each once for every budget.
  private static func plan(_ budgets: [(name: String, type: String, budget: String)]) throws -> Plan {
    let detectors = try #require(JobHistory.text.range(of: "detectors:"))
    var text = JobHistory.text[..<detectors.lowerBound] + "detectors:\n"
    for (name, type, budget) in budgets {
      let definition =
        switch type {
        case "forest": "type: isolation_forest, features: [log_seconds, size, hour, kind_code]"
        case "tied": "type: isolation_forest, features: [large]"
        default:
          "type: expected_value, target: seconds, features: [kind_code, size, large, hour], train_when: NOT is_test, "
            + "floor: 20000, delta: 500000, trees: 60"
        }
      text += "  - {name: \(name), \(definition), budget: {\(budget)}}\n"
    }
    return try JobHistory.plan(String(text) + "training: {schedule: daily, history: 14d, max_rows: 60000}\n")
  }

  private static let history = JobHistory(days: 10, perDay: 12_000, seed: 1)
  /// Six days behind, five teams each.
  private static let unseen = JobHistory(days: 6, from: 10, perDay: 12_000, seed: 2)

  @Test func `a budget is kept on unseen days`() throws {
    let budgets = [
      (name: "forest_rate", type: "forest", budget: "rate: 0.01"),
      (name: "forest_daily", type: "forest", budget: "per_entity_per_day: 24"),
      (name: "slow_rate", type: "slow", budget: "rate: 0.01"),
      (name: "slow_daily", type: "slow", budget: "per_entity_per_day: 24"),
    ]
    let plan = try Self.plan(budgets)
    let trained = try Self.history.train(plan)
    for (name, _, budget) in budgets {
      let model = try #require(trained.models[name], "\(trained.outcomes.map(\.message))")
      let scored = try Self.unseen.scored(model, plan)
      // 0.01 of 72,000 events, and 24 for each of 5 teams on each of 6 days.
      let expected = 720.0
      #expect(scored.rows == 72_000)
      let ratio = Double(scored.findings.count) / expected
      #expect((0.8...1.2).contains(ratio), "\(name), \(budget): \(scored.findings.count) alarms, expected \(expected)")
    }
  }

  @Test func `a budget beyond the floor gets what can be reached, and says so`() throws {
    let plan = try Self.plan([(name: "slow", type: "slow", budget: "rate: 0.1")])
    let trained = try Self.history.train(plan)
    let calibration = try #require(trained.models["slow"]?.calibration)
    #expect(calibration.isOutOfReach && calibration.reachableRate < 0.05)
    #expect(trained.outcomes[0].manifest?.metrics["reachable_rate"] == calibration.reachableRate)
    let scored = try Self.unseen.scored(try #require(trained.models["slow"]), plan)
    let ratio = Double(scored.findings.count) / (calibration.reachableRate * Double(scored.rows))
    #expect((0.8...1.2).contains(ratio), "\(scored.findings.count) alarms, \(ratio) of those to be expected")
  }

  @Test func `scores that tie at the threshold do not alarm`() throws {
    // A feature with two values gives two scores: half of all events would be alarms, or none.
    let plan = try Self.plan([(name: "odd", type: "tied", budget: "rate: 0.01")])
    let trained = try Self.history.train(plan)
    let scored = try Self.unseen.scored(try #require(trained.models["odd"]), plan)
    #expect(scored.rows == 72_000 && scored.findings.isEmpty)
  }

  @Test func `a budget that expects too few alarms is refused, unless a tail may be fitted`() throws {
    // Of 18,000 events for calibration 5.4.
    let plan = try Self.plan([
      (name: "odd", type: "forest", budget: "rate: 0.0003"),
      (name: "odd_tail", type: "forest", budget: "rate: 0.0003, tail: pareto"),
    ])
    let trained = try Self.history.train(plan)
    #expect(trained.outcomes.map(\.result) == [.failed, .passed], "\(trained.outcomes.map(\.message))")
    #expect(trained.outcomes[0].message.contains("at least 10"), "\(trained.outcomes[0].message)")
    let scored = try Self.unseen.scored(try #require(trained.models["odd_tail"]), plan)
    // 21.6 are expected; the exact 95 % interval of a Poisson distribution.
    #expect((13...31).contains(scored.findings.count), "\(scored.findings.count) alarms")
  }

  @Test func `calibration keeps more events than its share of those wanted`() throws {
    #expect(TrainingSample.rows(of: 1_000, wanted: 2_000) == 1_000)
    #expect(TrainingSample.rows(of: 10_000_000, wanted: 400_000) == 540_000)
    var sample = TrainingSample(of: 10_000, wanted: 4_000)
    let shard = ArchivedShard(
      partition: PartitionID(source: "s", number: 0), day: "", number: 0, rows: 10_000, firstTime: 0, lastTime: 9_999,
      path: "")
    let window = try #require(TrainingWindow([shard], until: 9_999, length: 10_000))
    let times = (0..<10_000).map { Int64($0) }
    let kept = sample.next(times, window)
    func count(_ part: TrainingWindow.Part) -> Int { kept.setRows.count { window.part(of: times[$0]) == part } }
    for (part, expected) in [(TrainingWindow.Part.training, 2_800), (.calibration, 1_500), (.gate, 600)] {
      #expect(abs(count(part) - expected) <= 1, "\(part): \(count(part))")
    }
  }

  @Test func `entities are counted on whole days`() throws {
    let day = JobHistory.day
    // From noon of day 0 to the end of day 9: the last whole week is counted. Calibration is 36 hours.
    var window = try #require(
      TrainingWindow(
        [
          ArchivedShard(
            partition: PartitionID(source: "s", number: 0), day: "", number: 0, rows: 1_000, firstTime: day / 2,
            lastTime: 10 * day - 1, path: "")
        ], until: 10 * day, length: 20 * day))
    window.calibration = 7 * day + 18 * day / 24
    window.gate = 9 * day + 6 * day / 24
    var days = EntityDays(window)
    #expect(!days.counts(3 * day - 1) && days.counts(3 * day) && days.counts(10 * day - 1))
    // Each of four entities has an event every three hours.
    for hour in stride(from: 0, to: Int64(240), by: 3) {
      let time = hour * day / 24
      if days.counts(time) { days.add(entities: [101, 102, 103, 104], times: [time, time, time, time]) }
      if window.part(of: time) == .calibration { days.keep(4) }
    }
    // A day and a half of four entities, not three days.
    #expect(abs(days.sampled - 6) < 0.01, "\(days.sampled)")
    // Without a whole day: the part that calibration is of its day.
    window.from = 7 * day + day / 24
    window.calibration = 7 * day + 12 * day / 24
    window.gate = 7 * day + 18 * day / 24
    window.until = 7 * day + 23 * day / 24
    // Before 1970 days count downwards.
    var early = window
    (early.from, early.calibration, early.gate, early.until) = (-10 * day, -4 * day, -2 * day, 0)
    var old = EntityDays(early)
    old.add(entities: [1, 2], times: [-3 * day, -3 * day])
    old.keep(2)
    #expect(old.sampled == 2)
    var hours = EntityDays(window)
    hours.add(entities: [1, 2, 3, 4], times: [Int64](repeating: window.calibration, count: 4))
    hours.keep(4)
    #expect(hours.sampled == 1)
  }
}
