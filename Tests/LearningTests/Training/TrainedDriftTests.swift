// Drift against what training looked like: days without a change report nothing, a shift is reported on its day.

import Detection
import Foundation
import Pipeline
import TestKit
import Testing

@testable import Learning

@Suite struct TrainedDriftTests {
  /// Days on which something is notable, and by what name.
  private func notable(_ days: [DriftCounts], _ reference: DriftReference) -> [(day: Int64, names: Set<String>)] {
    days.map { day in (day.day, Set(reference.stability(of: day).filter(\.isNotable).map(\.name))) }
      .filter { !$0.1.isEmpty }
  }

  private static func deviation(_ values: [Double]) -> Double {
    let mean = values.reduce(0, +) / Double(values.count)
    return (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)).squareRoot()
  }

  /// Jobs whose logarithm of seconds is normal, shifted by so many standard deviations of 1.5.
  private static func gaussian(days: Double, from: Double, seed: UInt64, shift: Double = 0, perDay: Int = 2_500)
    -> JobHistory
  {
    var history = JobHistory(days: days, from: from, perDay: perDay, seed: seed)
    var random = SeededRandom(seed: seed &+ 77)
    for index in history.events.indices {
      history.events[index].seconds = exp(8 + 1.5 * (Double(random.normal()) + shift))
    }
    return history
  }

  @Test func `a normal feature`() throws {
    let plan = try JobHistory.plan()
    let trained = try Self.gaussian(days: 10, from: 0, seed: 1).train(plan)
    let model = try #require(trained.models["odd"], "\(trained.outcomes)")
    let reference = try #require(model.drift)
    // The hour is of the calendar, and the code of a kind counts as a feature.
    #expect(reference.inputs.map(\.name) == ["kind_code", "log_seconds", "size"])
    let quiet = try Self.gaussian(days: 20, from: 10, seed: 2).scored(model, plan).drift
    #expect(quiet.count == 20 && quiet.allSatisfy { !reference.stability(of: $0).isEmpty })
    #expect(notable(quiet, reference).isEmpty, "\(notable(quiet, reference))")
    for shift in [1.0, -1] {
      let shifted = try Self.gaussian(days: 1, from: 30, seed: 3, shift: shift).scored(model, plan).drift
      #expect(shifted.count == 1 && notable(shifted, reference).first?.names.contains("log_seconds") == true)
      #expect(notable(shifted, reference).first?.names.isDisjoint(with: ["size", "kind_code"]) == true)
    }
    // Half a day of it is too little to say anything.
    let few = try Self.gaussian(days: 1, from: 30, seed: 3, shift: 1, perDay: 1_999).scored(model, plan).drift
    #expect(few.map(\.rows) == [1_999] && few.allSatisfy { reference.stability(of: $0).isEmpty })
  }

  @Test func `values below all that training saw, and categories it did not see`() throws {
    let plan = try JobHistory.plan()
    var history = JobHistory(days: 10)
    for index in history.events.indices { history.events[index].size = 7 }
    let model = try #require(try history.train(plan).models["odd"])
    let reference = try #require(model.drift)
    for (change, name) in [
      ({ (event: inout JobHistory.Event) in event.size = 6 }, "size"), ({ $0.size = 8 }, "size"),
      ({ $0.kind = "new" }, "kind_code"),
    ] {
      var later = JobHistory(days: 1, from: 10, seed: 2)
      for index in later.events.indices {
        later.events[index].size = 7
        change(&later.events[index])
      }
      let days = try later.scored(model, plan).drift
      #expect(notable(days, reference).first?.names.contains(name) == true, "\(name)")
    }
  }

  @Test func `simulated queries`() throws {
    // A budget that the few events of this test can be calibrated for.
    let plan = try SimulatedHistory.plan { $0 = $0.replacing("budget: {rate: 0.001}", with: "budget: {rate: 0.01}") }
    let history = try SimulatedHistory(days: 31, perDay: 4_500, seed: 4, plan: plan)
    let trained = try history.days(0..<10).train(plan)
    let duration = try #require(plan.schema.fields.firstIndex { $0.name == "execution_duration_ms" })
    let step = exp(Self.deviation(history.days(0..<10).numbers(duration).map { log(max($0, 0) + 1) }))
    let detectors: [(String, String?)] = [("outlier", "log_execution"), ("slow_query", nil)]
    for (name, input) in detectors {
      let model = try #require(trained.models[name], "\(trained.outcomes)")
      let reference = try #require(model.drift)
      #expect(!reference.inputs.map(\.name).contains { $0.hasPrefix("arrival_") })
      let quiet = try history.days(10..<30).scored(model, plan).drift
      #expect(quiet.count == 20 && quiet.allSatisfy { !reference.stability(of: $0).isEmpty }, "\(quiet.map(\.rows))")
      #expect(notable(quiet, reference).isEmpty, "\(name): \(notable(quiet, reference))")
      guard let input else { continue }
      let shifted = try history.days(30..<31).multiplying(duration, by: step).scored(model, plan).drift
      #expect(notable(shifted, reference).first?.names.contains(input) == true, "\(notable(shifted, reference))")
    }
  }
}
