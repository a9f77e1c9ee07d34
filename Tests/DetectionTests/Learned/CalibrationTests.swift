// Thresholds from budgets: on scores whose distribution is known, on ties, and where there is too little to count.

import Foundation
import TestKit
import Testing

@testable import Detection

@Suite struct CalibrationTests {
  private func exponentials(_ count: Int, seed: UInt64) -> [Double] {
    var random = SeededRandom(seed: seed)
    return (0..<count).map { _ in -log(1 - Double.random(in: 0..<1, using: &random)) }
  }

  @Test(arguments: [1, 2, 3, 4, 5])
  func `the rate holds on scores that were not calibrated on`(_ seed: UInt64) throws {
    let budget = FalseAlarmBudget(.rate(0.01))
    let calibration = try Calibration.fit(scores: exponentials(50_000, seed: seed), budget: budget, entityDays: 0)
    #expect(calibration.alarms == 499 && calibration.rows == 50_000 && !calibration.isOutOfReach)
    let alarms = exponentials(50_000, seed: seed + 100).count { $0 > calibration.threshold }
    #expect((400...600).contains(alarms), "\(alarms)")
  }

  /// Over many calibrations the mean rate is the budget's, and never above it but for chance.
  @Test func `small budgets are kept on average`() throws {
    let budget = FalseAlarmBudget(.rate(0.0105))
    var mean = 0.0
    for seed in 0..<400 {
      let calibration = try Calibration.fit(
        scores: exponentials(1_000, seed: UInt64(seed)), budget: budget, entityDays: 0)
      mean += exp(-calibration.threshold) / 400
    }
    // The tenth highest of 1,000: exceeded at 10 / 1001 on average, with a standard error of 0.00016.
    #expect(abs(mean - 10.0 / 1_001) < 0.0005, "\(mean)")
  }

  @Test func `ties at the threshold do not alarm`() throws {
    let scores = Array(repeating: 1.0, count: 500) + Array(repeating: 0.25, count: 9_500) + [3, 4, 5]
    let calibration = try Calibration.fit(scores: scores, budget: FalseAlarmBudget(.rate(0.01)), entityDays: 0)
    #expect(calibration.threshold == 1 && calibration.alarms == 3)
    #expect(calibration.calibrated(1) == 1 && calibration.calibrated(3) == 3 && calibration.calibrated(0.5) == 0.5)
    #expect(calibration.calibrated((1.0).nextUp) > 1)
    let constant = try Calibration.fit(
      scores: Array(repeating: 0.5, count: 10_000), budget: FalseAlarmBudget(.rate(0.01)), entityDays: 0)
    #expect(constant.alarms == 0 && constant.calibrated(0.5) == 1)
  }

  @Test func `a count per entity and day becomes a rate`() throws {
    let scores = exponentials(10_000, seed: 9)
    let calibration = try Calibration.fit(scores: scores, budget: FalseAlarmBudget(.perEntityAndDay(2)), entityDays: 50)
    #expect(calibration.rate == 0.01)
    #expect(calibration == (try Calibration.fit(scores: scores, budget: FalseAlarmBudget(.rate(0.01)), entityDays: 0)))
  }

  @Test func `the floor bounds what can be reached`() throws {
    let scores = Array(repeating: 0.0, count: 9_900) + (1...100).map { Double($0) / 10 }
    let calibration = try Calibration.fit(scores: scores, budget: FalseAlarmBudget(.rate(0.05)), entityDays: 0)
    #expect(calibration.isOutOfReach && calibration.reachableRate == 0.01 && calibration.alarms == 100)
    #expect(calibration.calibrated(0) < 1 && calibration.calibrated(0.1) > 1)
    #expect(calibration.calibrated(1e300) == Limits.maxRuleScore)
  }

  @Test func `too few alarms are refused with what would help`() {
    let scores = exponentials(5_000, seed: 1)
    #expect(throws: Calibration.Problem.tooFewAlarms(expected: 5, rows: 5_000, rowsNeeded: 10_000)) {
      try Calibration.fit(scores: scores, budget: FalseAlarmBudget(.rate(0.001)), entityDays: 0)
    }
    #expect(throws: Calibration.Problem.noRows) {
      try Calibration.fit(scores: [], budget: FalseAlarmBudget(.rate(0.1)), entityDays: 0)
    }
    #expect(throws: Calibration.Problem.self) {
      try Calibration.fit(scores: scores, budget: FalseAlarmBudget(.perEntityAndDay(1)), entityDays: 0)
    }
    let reason = Calibration.Problem.tooFewAlarms(expected: 5, rows: 5_000, rowsNeeded: 10_000).description
    #expect(reason.contains("10000 events") && reason.contains("tail: pareto"))
  }

  /// The logarithm of the scores has a heavy tail (a power law), a light one, or a bounded one as a forest's. A budget of
  /// two alarms in calibration is kept on average.
  @Test(arguments: ["power", "light", "bounded"])
  func `a tail reaches beyond what was counted`(_ shape: String) throws {
    // The score exceeded with a probability.
    func score(_ probability: Double) -> Double {
      switch shape {
      case "power": pow(probability, -0.8)
      case "light": exp(2 * (1 - pow(probability, 0.25)))
      default: 1 - 0.7 * pow(probability, 0.4)
      }
    }
    let budget = FalseAlarmBudget(.rate(0.0002), fitsTail: true)
    var (mean, refused) = (0.0, 0)
    for seed in 0..<40 {
      var random = SeededRandom(seed: UInt64(seed))
      let scores = (0..<10_000).map { _ in score(1 - Double.random(in: 0..<1, using: &random)) }
      guard let calibration = try? Calibration.fit(scores: scores, budget: budget, entityDays: 0) else {
        refused += 1
        continue
      }
      #expect(calibration.tail != nil)
      // The rate that the threshold has in truth, by bisection of the falling score.
      var (low, high) = (1e-12, 1.0)
      for _ in 0..<100 {
        let middle = (low * high).squareRoot()
        if score(middle) > calibration.threshold { low = middle } else { high = middle }
      }
      mean += low
    }
    // One in 20 samples does not look like what it was drawn from, and then rarely with half as many scores.
    #expect(refused <= 2)
    mean /= Double(40 - refused)
    // The mean of 40 has a standard error of about 0.14 of the budget; the fit is known to be a fifth above it.
    #expect(mean > 0.0002 * 0.75 && mean < 0.0002 * 1.6, "\(mean)")
  }

  /// A forest scores ordinary events, and a rare kind of them much higher. Where one kind gives way to the other is no
  /// tail; among the rare ones alone there is one.
  @Test(arguments: [20, 60, 120, 180]) func `scores of two kinds of events are no tail`(_ rare: Int) {
    var (accepted, mean) = (0, 0.0)
    for seed in 0..<20 {
      var random = SeededRandom(seed: UInt64(seed))
      let usual = (0..<20_000).map { _ in 0.35 + 0.1 * pow(Double.random(in: 0..<1, using: &random), 4) }
      let odd = (0..<rare).map { _ in 0.7 - 0.1 * Double.random(in: 0..<1, using: &random).squareRoot() }
      let budget = FalseAlarmBudget(.rate(0.0001), fitsTail: true)
      guard let fit = try? Calibration.fit(scores: usual + odd, budget: budget, entityDays: 0) else { continue }
      accepted += 1
      let share = pow(max(0.7 - fit.threshold, 0) / 0.1, 2) * Double(rare) / Double(20_000 + rare)
      #expect(share < 0.0001 * 5, "\(share) with \(rare) rare events, seed \(seed)")
      mean += share
    }
    if rare < 50 { return #expect(accepted == 0) }
    mean /= Double(max(1, accepted))
    #expect(accepted >= 10 && mean > 0.0001 / 2 && mean < 0.0001 * 2, "\(mean) on average of \(accepted)")
  }

  @Test func `a tail that says nothing is refused`() {
    let budget = FalseAlarmBudget(.rate(0.000_001), fitsTail: true)
    func refuses(_ scores: [Double]) -> Bool {
      do throws(Calibration.Problem) {
        _ = try Calibration.fit(scores: scores, budget: budget, entityDays: 0)
        return false
      } catch {
        if case .noTail = error { return true }
        return false
      }
    }
    #expect(refuses(exponentials(20_000, seed: 1)))  // 0.02 alarms expected
    #expect(refuses(Array(repeating: 0.5, count: 200_000)))  // no differences
    #expect(refuses(Array(repeating: 0, count: 200_000) + [1, 2, 3]))  // hardly any score
  }

  @Test func `a budget per entity and day counts parts of days, and has a limit`() throws {
    let scores = exponentials(10_000, seed: 4)
    let budget = FalseAlarmBudget(.perEntityAndDay(200))
    #expect(try Calibration.fit(scores: scores, budget: budget, entityDays: 1.35).rate == 0.027)
    #expect(throws: Calibration.Problem.tooManyAlarms(rate: 0.12)) {
      try Calibration.fit(scores: scores, budget: budget, entityDays: 6)
    }
  }

  @Test func `calibrations are stored exactly`() throws {
    let calibration = try Calibration.fit(
      scores: exponentials(3_000, seed: 2), budget: FalseAlarmBudget(.rate(0.001), fitsTail: true), entityDays: 0)
    let data = try JSONEncoder().encode(calibration)
    #expect(try JSONDecoder().decode(Calibration.self, from: data) == calibration)
  }
}
