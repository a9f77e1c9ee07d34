// A type of detector that only this test knows, as new folders would bring it: with its entries in the two catalogues it is
// read, compiled, trained, judged, stored, loaded, and finds and explains. Nothing else knows of it.

import Configuration
import Detection
import Foundation
import Pipeline
import Testing

@testable import Learning

/// Its folder in Detection: how far a number is from the mean.
private struct DistanceDefinition: DetectorParameters {
  static let descriptor = DetectorDescriptor(
    type: "distance", summary: "Finds numbers far from their mean.", isStateful: false, isLearned: true,
    parameters: [
      .init("features", "list of names", "The number."),
      .number("width", .positive, default: 3, "Standard deviations from which on an event is an anomaly."),
      .integer("least", 1...1_000, default: 10, "Rows that it is fitted to at least."),
    ] + [DetectorDescriptor.budget(default: "none")] + DetectorDescriptor.trained)

  var width = 3.0
  var least = 10

  init?(_ values: ParameterValues, report: (Diagnostic) -> Void) {
    guard let width = values.number("width"), let least = values.integer("least") else { return nil }
    guard width < Double(least) else {
      report(Diagnostic(location: values.location(of: "width"), message: "`width` is not below `least`"))
      return nil
    }
    (self.width, self.least) = (width, least)
  }

  func write(to members: inout CanonicalMembers) {
    members.add("width", width, unless: 3)
    members.add("least", least, unless: 10)
  }

  func fingerprint(entity: String, hasBudget: Bool) -> [String] { ["width \(width)"] }
}

private struct DistanceScorer: ModelScorer, Codable {
  var mean: Double
  var deviation: Double
  var featureCount: Int? { 1 }
  var heldBytes: Int { 8 }

  func scores(of rows: inout ScoringRows, for parameters: DistanceDefinition) -> [Double] {
    rows.matrix().column(0).map { abs(Double($0) - mean) / deviation / parameters.width }
  }

  func explanation(
    of rows: inout ScoringRows, raw: Double, threshold: Double?, for parameters: DistanceDefinition
  ) -> ScoreExplanation {
    ScoreExplanation(base: 0, byInput: [raw], expected: mean, reason: "far from the mean", lead: "for")
  }
}

/// Its folder in Learning.
private struct DistanceLearning: DetectorTrainer {
  let isSelfContained = true

  func encode(_ scorer: DistanceScorer, as name: ModelName) throws -> EncodedModel<DistanceScorer> {
    EncodedModel(part: scorer, bytes: Array("no trees".utf8))
  }

  func decode(_ part: DistanceScorer, _ file: ModelFile, for parameters: DistanceDefinition?) throws -> DistanceScorer {
    part
  }

  func facts(of part: DistanceScorer, _ bytes: [UInt8]) -> [ModelFact] {
    [ModelFact(name: "mean", value: .number(part.mean))]
  }

  func fit(
    _ rows: FittingRows, for parameters: DistanceDefinition, progress: (Double) throws -> Void
  ) throws -> DistanceScorer {
    let values = rows.matrix.column(0).map(Double.init)
    let mean = values.reduce(0, +) / Double(values.count)
    let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)
    return DistanceScorer(mean: mean, deviation: variance.squareRoot())
  }

  func checks(by gate: ModelGate, _ rows: GateRows, for parameters: DistanceDefinition) -> [GateReport.Check] {
    let greatest = rawScores(of: gate.candidate, rows, for: parameters).max() ?? 0
    return [GateReport.Check(name: "finite", passed: greatest.isFinite, found: greatest, bound: 0, message: "finite")]
  }
}

@Suite("A new type of detector", .timeLimit(.minutes(15)))
struct NewDetectorTests {
  private static let catalog = DetectorCatalog(
    learned: DetectorCatalog.standard.learned + [DistanceDefinition.self], rules: DetectorCatalog.standard.rules)
  private static let text = JobHistory.text.replacing(
    "detectors:\n",
    with: "detectors:\n  - {name: far, type: distance, features: [seconds], width: 2.5, severity: low}\n")

  private func check(_ parameters: String) -> [String] {
    let text = Self.text.replacing("width: 2.5", with: parameters)
    return UseCaseChecker.check(text: text, catalog: Self.catalog).diagnostics.map {
      $0.message + ($0.suggestion.map { " → \($0)" } ?? "")
    }
  }

  @Test("its keys are read, checked and listed by what it says of them")
  func section() throws {
    #expect(check("width: 2.5").isEmpty)
    #expect(check("wdith: 2") == ["unknown key `wdith` in the detector of type distance → width"])
    #expect(check("width: 0") == ["`width` is not in range"] && check("least: many") == ["`least` is not in range"])
    #expect(check("width: 11") == ["`width` is not below `least`"])
    #expect(UseCaseChecker.check(text: Self.text).diagnostics.map(\.message) == ["the detector type is not known"])
    #expect(Self.catalog.descriptors.map(\.type).contains("distance"))
    #expect(Self.catalog.descriptor(of: "distance")?.parameters[1].defaultValue == "3")
  }

  @Test("its canonical text reads back as the same use case, and its models depend on what it says")
  func text() throws {
    let plan = try #require(UseCaseChecker.check(text: Self.text, catalog: Self.catalog).plan)
    let canonical = plan.useCase.canonicalText
    #expect(canonical.contains(#"{"name": "far", "type": "distance", "width": 2.5, "features": ["seconds"]"#))
    let stored = try UseCaseChecker.plan(fromStored: canonical, catalog: Self.catalog)
    #expect(stored.useCase.canonicalText == canonical)
    #expect(
      stored.useCase.detectors[0].parameters as? DistanceDefinition == plan.useCase.detectors[0].parameters
        as? DistanceDefinition)
    #expect(plan.detectors[0].fingerprint.contains("detector distance\nwhen true\nwidth 2.5\ninput seconds double"))
  }

  @Test("it is trained, judged, stored, loaded, and finds and explains")
  func wholeWay() throws {
    let plan = try #require(UseCaseChecker.check(text: Self.text, catalog: Self.catalog).plan)
    let folder = TrainingFolder()
    let registry = ModelRegistry(
      folder: folder.path, useCase: "jobs", formats: LearningCatalog.entries + [DistanceLearning()])
    let history = JobHistory(days: 10)
    let trainer = try trainer(history, registry, plan: plan) { $0.detectors = ["far"] }
    let outcome = try #require(try trainer.train().first)
    #expect(outcome.result == .promoted, "\(outcome)")
    #expect(outcome.manifest?.type == "distance")
    #expect(outcome.manifest?.gate?.checks.map(\.name) == ["coverage", "finite"])

    let version = try #require(try registry.champion(of: "far"))
    #expect(try registry.facts(of: version, of: "far").byName["mean"] != nil)
    let model = try registry.load(version, for: plan.detectors[0])
    let scorer = try #require(model.scorer as? DistanceScorer)
    let detector = try LearnedDetector(plan.detectors[0], model: model)
    try history.read(history.shards()[0], schema: plan.schema) { batch in
      var (batch, failures) = (batch, 0)
      plan.extend(&batch, failures: &failures)
      let bound = scorer.mean + 2.5 * scorer.deviation
      let far = history.events.prefix(batch.count).indices.filter { history.events[$0].seconds >= bound }
      let output = detector.run(on: batch)
      #expect(!far.isEmpty && output.findings.map(\.row) == far && !output.drift.isEmpty)
      let finding = try #require(output.findings.first)
      #expect(finding.severity == .low && finding.explanation.expected == scorer.mean && finding.model == version)
      #expect(finding.reason.hasPrefix("far from the mean; for seconds = "))
      #expect(detector.explain(row: far[0], of: batch)?.raw == finding.score)
    }
    // A program that does not know the type says so.
    let stranger = #expect(throws: OperatingError.self) { try folder.registry.load(version, of: "far") }
    #expect(stranger?.description.contains("of the type `distance`, which this version of pulse does not know") == true)
  }
}
