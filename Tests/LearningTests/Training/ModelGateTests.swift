// The gate: planted bad candidates are refused, a better one passes.

import Detection
import Foundation
import Pipeline
import TestKit
import Testing

@testable import Learning

/// A candidate and the held-out events it is judged by.
private struct Trial {
  var training: DetectorTraining
  var window: TrainingWindow
  var fitted: DetectorTraining.Fitted

  init(_ detector: String, _ history: JobHistory, champion: FittedModel? = nil, seed: UInt64 = 1) throws {
    let plan = try JobHistory.plan()
    let detectorPlan = try #require(plan.detectors.first { $0.name == detector })
    let window = try #require(
      TrainingWindow(history.shards(), until: history.latestTime()!, length: plan.useCase.training.history))
    var training = DetectorTraining(
      detectorPlan, by: try trainer(of: detectorPlan), version: "v", champion: champion)
    for pass in 0..<2 {
      for shard in history.shards() {
        try history.read(shard, schema: plan.schema) { batch in
          var batch = batch
          var failures = 0
          plan.extend(&batch, failures: &failures)
          if pass == 0 { training.learnEncoders(batch, window) } else { training.collect(batch, window) }
        }
      }
      if pass == 0 { training.finishEncoders() }
    }
    (self.window, self.training) = (window, training)
    fitted = try training.fit(
      seed: seed, threads: 1, window: window, leastSpan: plan.useCase.training.history / Limits.trainingCoverage
    ) { _, _ in }
  }
}

/// History in which what was learned from is wrong in some way, while the newest events are as they are.
private func changed(_ history: JobHistory, _ change: (inout [JobHistory.Event]) -> Void) -> JobHistory {
  var history = history
  let cut = history.events.count * 7 / 10
  var old = Array(history.events[..<cut])
  change(&old)
  history.events.replaceSubrange(..<cut, with: old)
  return history
}

@Suite struct ModelGateTests {
  private let history = JobHistory(days: 10)

  private func failed(_ report: GateReport) -> Set<String> { Set(report.checks.filter { !$0.passed }.map(\.name)) }

  @Test(arguments: ["slow", "odd"]) func `a good first candidate passes, and one as good against it`(detector: String)
    throws
  {
    let first = try Trial(detector, history)
    #expect(first.fitted.report.passed, "\(first.fitted.report)")
    let second = try Trial(detector, history, champion: first.fitted.model, seed: 9)
    #expect(second.fitted.report.passed, "\(second.fitted.report)")
  }

  @Test func `a permuted target is refused, with a champion and without`() throws {
    let good = try Trial("slow", history)
    let bad = changed(history) { events in
      var random = SeededRandom(seed: 5)
      let seconds = events.map(\.seconds).shuffled(using: &random)
      for index in events.indices { events[index].seconds = seconds[index] }
    }
    let alone = try Trial("slow", bad).fitted.report
    #expect(failed(alone).contains("planted_faults"), "\(alone)")
    let compared = try Trial("slow", bad, champion: good.fitted.model).fitted.report
    #expect(failed(compared).isSuperset(of: ["champion_loss", "planted_faults"]), "\(compared)")
  }

  @Test func `an hour of events is refused, with a champion and without`() throws {
    let good = try Trial("slow", history)
    for detector in ["slow", "odd"] {
      let short = JobHistory(days: 1.0 / 24, perDay: 480_000, seed: 3)
      let report = try Trial(detector, short, champion: detector == "slow" ? good.fitted.model : nil).fitted.report
      #expect(failed(report).contains("coverage"), "\(report)")
    }
  }

  @Test(arguments: ["slow", "odd"]) func `swapped columns are refused`(detector: String) throws {
    let good = try Trial(detector, history)
    var candidate = good.fitted.model
    candidate.scorer = swappingFeatures(candidate.scorer)
    let report = try judge(candidate, of: good, champion: good.fitted.model)
    #expect(!report.passed, "\(report)")
  }

  @Test(arguments: ["slow", "odd"]) func `a constant score is refused, with a champion and without`(detector: String)
    throws
  {
    let good = try Trial(detector, history)
    var candidate = good.fitted.model
    candidate.scorer = constant(candidate.scorer)
    for champion in [nil, good.fitted.model] {
      let report = try judge(candidate, of: good, champion: champion)
      #expect(failed(report).contains("planted_faults"), "\(report)")
    }
  }

  @Test func `an encoder that is off by one is refused`() throws {
    let good = try Trial("slow", history)
    var candidate = good.fitted.model
    // The codes of kinds, in the order of their frequency, each moved by one place.
    let plan = try JobHistory.plan()
    var fitter = EncoderFitter(.ordinal)
    let counts = [("copy", 4), ("vacuum", 5), ("scan", 3), ("join", 2), ("sort", 1)]
    let names = counts.flatMap { name, count in [String](repeating: name, count: count) }
    fitter.add(Column(.string(StringColumn(names))))
    candidate.encoders["kind_code"] = fitter.finish()
    #expect(plan.detectors[0].features.names.contains("kind_code"))
    let shifted = try Trial("slow", history, champion: good.fitted.model)
    let report = try judge(candidate, of: shifted, champion: good.fitted.model, rebuilding: history)
    #expect(failed(report).contains("champion_loss"), "\(report)")
  }

  @Test func `a better candidate passes where the champion is a poor one`() throws {
    let poor = changed(history) { events in
      var random = SeededRandom(seed: 5)
      let seconds = events.map(\.seconds).shuffled(using: &random)
      for index in events.indices { events[index].seconds = seconds[index] }
    }
    let champion = try Trial("slow", poor).fitted.model
    let better = try Trial("slow", history, champion: champion).fitted.report
    #expect(better.passed, "\(better)")
  }

  /// Judges another candidate by the held-out events of a trial.
  private func judge(
    _ candidate: FittedModel, of trial: Trial, champion: FittedModel?, rebuilding history: JobHistory? = nil
  ) throws -> GateReport {
    let plan = trial.training.plan
    var rows = try #require(trial.training.rows[.gate])
    var matrix = rows.takeMatrix(of: plan)
    let championMatrix = matrix
    if let history {
      // The candidate's own encoders make its matrix.
      let useCase = try JobHistory.plan()
      var parts: [FeatureMatrix] = []
      for shard in history.shards() {
        try history.read(shard, schema: useCase.schema) { batch in
          var batch = batch
          var failures = 0
          useCase.extend(&batch, failures: &failures)
          let chosen = batch.eventTimes.indices.filter { trial.window.part(of: batch.eventTimes[$0]) == .gate }
          if !chosen.isEmpty {
            parts.append(plan.features.matrix(of: batch, rows: chosen, encoders: candidate.encoders))
          }
        }
      }
      matrix = FeatureMatrix(joining: parts)
    }
    return ModelGate(
      plan: plan, candidate: candidate, champion: champion, learned: nil, span: JobHistory.day * 7,
      leastSpan: JobHistory.day, seed: 1
    ).judge(
      GateRows(events: rows, matrix: matrix, championMatrix: champion == nil ? nil : championMatrix),
      by: try trainer(of: plan))
  }
}

/// What fits models of a detector.
private func trainer(of plan: DetectorPlan) throws -> any DetectorTrainer {
  try #require(LearningCatalog.entries.format(of: plan.definition.type) as? any DetectorTrainer)
}

/// The same trees, each test made of the next feature.
private func swappingFeatures(_ scorer: any ModelScorer) -> any ModelScorer {
  mapTrees(scorer) { trees in
    var trees = trees
    for index in trees.nodes.indices where !trees.nodes[index].isLeaf {
      trees.nodes[index].feature = (trees.nodes[index].feature + 1) % Int32(trees.featureCount)
    }
    return trees
  }
}

/// Trees of one leaf each.
private func constant(_ scorer: any ModelScorer) -> any ModelScorer {
  mapTrees(scorer) { trees in
    var trees = trees
    for index in trees.nodes.indices { trees.nodes[index].value = 5 }
    return trees
  }
}

private func mapTrees(_ scorer: any ModelScorer, _ change: (TreeEnsemble) -> TreeEnsemble) -> any ModelScorer {
  if let forest = scorer as? IsolationForest {
    return IsolationForest(trees: change(forest.trees), sampleSize: forest.sampleSize)
  }
  if let expectation = scorer as? BoostedExpectation {
    return BoostedExpectation(trees: change(expectation.trees), quantiles: expectation.quantiles)
  }
  return scorer
}

@Suite struct QualityTests {
  @Test func `planted faults are as large as the events they stand beside`() {
    var random = SeededRandom(seed: 1)
    let targets = (0..<5_000).map { _ in Double(exp(2 * random.normal() + 5)) }
    let planted = PlantedFaults.targets(targets, learned: Array(0..<5_000), floor: 10_000, seed: 3)
    #expect(planted.faulty.count > 90 && planted.faulty.map(\.target) == planted.ordinary.map(\.target))
    #expect(planted.faulty.allSatisfy { (10...100).contains($0.target / targets[$0.row]) })
    #expect(planted.ordinary.allSatisfy { $0.target == targets[$0.row] })
    #expect(PlantedFaults.targets([], learned: [], floor: 1, seed: 1).faulty.isEmpty)
  }

  @Test func `area under the curve`() {
    #expect(Quality.areaUnderCurve(faulty: [2, 3], ordinary: [0, 1]) == 1)
    #expect(Quality.areaUnderCurve(faulty: [0, 1], ordinary: [2, 3]) == 0)
    #expect(Quality.areaUnderCurve(faulty: [1, 1], ordinary: [1, 1, 1]) == 0.5)
    #expect(Quality.areaUnderCurve(faulty: [1, 3], ordinary: [1, 2]) == 0.625)
    #expect(Quality.areaUnderCurve(faulty: [], ordinary: [1]) == 0.5)
    #expect(Quality.pairedArea(faulty: [1, 9, 5], ordinary: [0, 8, 5]) == 2.5 / 3)
    #expect(Quality.pairedArea(faulty: [], ordinary: []) == 0.5)
  }

  @Test func `pinball loss`() {
    // 0.9 * 2 below, 0.1 * 3 above, none where equal.
    let loss = Quality.pinballLoss([1, 5, 4], [3, 2, 4], level: 0.9)
    #expect(abs(loss - (0.9 * 2 + 0.1 * 3) / 3) < 1e-12)
  }

  @Test func `an entity's own quantile, or that of all`() {
    let entities: [UInt64?] = [UInt64?](repeating: 1, count: 30) + [2, nil]
    let values = (0..<30).map(Double.init) + [100, 200]
    let baseline = EntityBaseline(entities: entities, logarithms: values, level: 0.9)
    #expect(baseline.predict([1, 2, nil]) == [27, 28, 28])
  }
}
