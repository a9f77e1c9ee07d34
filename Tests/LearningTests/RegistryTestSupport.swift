// What the tests of the registry share: a use case with a forest and an expected value, models of it, and folders of their
// own.

import Configuration
import Detection
import Foundation
import Learning
import TestKit
import Testing

@testable import Pipeline

/// A folder that goes away with the test.
final class RegistryFolder {
  let path = FileManager.default.temporaryDirectory.path + "/registry-\(UUID().uuidString)"
  init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
  deinit { try? FileManager.default.removeItem(atPath: path) }

  func registry(_ useCase: String = "shop") -> ModelRegistry {
    ModelRegistry(folder: path + "/models", useCase: useCase)
  }
  func version(_ detector: String, _ version: String) -> String { "\(path)/models/shop/\(detector)/\(version)" }

  /// Everything below the models' folder but the lock, as relative paths.
  var names: [String] {
    let all = FileManager.default.enumerator(atPath: path + "/models")?.allObjects as? [String] ?? []
    return all.filter { $0 != ".lock" }.sorted()
  }
}

/// The use case `shop` and models of its detectors.
struct Shop {
  static let text = """
    name: shop
    event:
      time: t
      key: k
      fields:
        t: {type: timestamp, required: true, known_at: before_execution}
        k: {type: string, required: true, known_at: before_execution}
        ms: {type: double}
        joins: {type: int, known_at: before_execution}
    features:
      key_code: {encoder: ordinal, of: k}
      key_share: {encoder: frequency, of: k}
      joins_scaled: {encoder: scale, of: joins}
      ms_clipped: {encoder: clip, of: ms}
    detectors:
      - name: slow
        type: expected_value
        target: ms
        features: [joins, joins_scaled, key_code, key_share]
        floor: 1000
        misrank: {actual: 0.9, expected: 0.8, min_rows: 20}
      - {name: odd, type: isolation_forest, features: [ms, ms_clipped, joins], budget: {rate: 0.01}}

    """

  let plan: Plan
  let events: EventBatch
  /// A fitted model of each detector.
  let slow: FittedModel
  let odd: FittedModel

  init(seed: UInt64 = 1, version: String = "v1") throws {
    plan = try Self.plan(Self.text)
    events = Self.events(plan, seed: seed)
    slow = try Self.slow(plan, events, seed: seed, version: version)
    odd = try Self.odd(plan, events, seed: seed, version: version)
  }

  static func plan(_ text: String) throws -> Plan {
    let check = UseCaseChecker.check(text: text)
    return try #require(check.plan, "\(check.rendered)")
  }

  /// 1,000 events of five keys.
  static func events(_ plan: Plan, seed: UInt64) -> EventBatch {
    var generator = SeededRandom(seed: seed)
    let records = (0..<1_000).map { index -> String in
      let ms = exp(Double(generator.normal()) * 2 + 6)
      let time = Timestamp.format(Int64(index) * 60_000_000)
      let joins = index % 13 == 0 ? "null" : "\(Int.random(in: 0..<9, using: &generator))"
      return #"{"t":"\#(time)","k":"k\#(index % 5)","ms":\#(index % 17 == 0 ? "null" : "\(ms)"),"joins":\#(joins)}"#
    }
    return derived(plan, records).events
  }

  static func derived(_ plan: Plan, _ records: [String], models: ModelSet = .none) -> StagedBatch {
    let rows = records.indices.map { Int64($0) }
    let raw = RawBatch(
      partition: PartitionID(source: "test", number: 0),
      positions: RecordPositions(segment: 0, offsets: rows, rows: rows),
      payload: .json(RecordBytes(records.map { Array($0.utf8) })),
      next: Position(segment: 0, offset: Int64(records.count), row: Int64(records.count)))
    return plan.derive(Decoder(schema: plan.schema).decode(raw), from: raw, models: models)
  }

  private static func matrix(
    _ detector: DetectorPlan, _ events: EventBatch
  ) -> (encoders: [String: FittedEncoder], matrix: FeatureMatrix) {
    var fitters = detector.features.makeFitters()
    fitters.add(events)
    let encoders = fitters.finish()
    return (encoders, detector.features.matrix(of: events, encoders: encoders))
  }

  static func slow(_ plan: Plan, _ events: EventBatch, seed: UInt64, version: String) throws -> FittedModel {
    let detector = try #require(plan.detectors.first { $0.name == "slow" })
    let (encoders, matrix) = matrix(detector, events)
    let trees = TreeEnsemble.random(
      trees: 20, depth: 5, features: matrix.columnCount, outputs: 2, leaf: -0.2...0.4, seed: seed)
    let rows = Array(0..<events.count)
    let targets = detector.targets(of: events, rows: rows)
    guard let definition = detector.definition.parameters as? ExpectedValueDefinition, let misrank = definition.misrank
    else {
      throw RegistryTestError()
    }
    let quantiles = EntityQuantiles.fit(
      entities: detector.entities(of: events, rows: rows), actual: targets, expected: targets.map { $0 / 3 },
      misrank: misrank)
    #expect(quantiles.count == 5)
    let scorer = BoostedExpectation(trees: trees, quantiles: quantiles)
    return FittedModel(
      detector: "slow", version: version, plan: detector.fingerprint, encoders: encoders,
      scorer: scorer,
      drift: DriftReference.fit(plan: detector, matrix: matrix, scores: scorer.predict(matrix).means))
  }

  static func odd(_ plan: Plan, _ events: EventBatch, seed: UInt64, version: String) throws -> FittedModel {
    let detector = try #require(plan.detectors.first { $0.name == "odd" })
    let (encoders, matrix) = matrix(detector, events)
    let forest = IsolationForest.fit(matrix, treeCount: 20, sampleSize: 64, seed: seed)
    let scores = forest.scores(of: matrix)
    return FittedModel(
      detector: "odd", version: version, plan: detector.fingerprint, encoders: encoders,
      scorer: forest,
      calibration: try Calibration.fit(scores: scores, budget: FalseAlarmBudget(.rate(0.01)), entityDays: 0),
      drift: DriftReference.fit(plan: detector, matrix: matrix, scores: scores))
  }

  /// A manifest with everything in it.
  func manifest(_ model: FittedModel, created: Int64 = 1_700_000_000_123_456) -> ModelManifest {
    ModelManifest(
      useCase: "shop", detector: model.detector, type: model.detector == "slow" ? "expected_value" : "isolation_forest",
      version: model.version, created: created, configuration: "abc", seed: .max, shards: ["history/shop/a.arrow"],
      rows: .init(train: 700, calibration: 200, gate: 100), times: .init(from: 0, calibration: 1, gate: 2, until: 3),
      metrics: ["rate": 0.1 + 0.2, "none": .infinity],
      gate: GateReport(checks: [.init(name: "rate", passed: true, found: 0.1, bound: 0.2, message: "0.1 of 0.2")]))
  }
}

/// A test cannot go on.
struct RegistryTestError: Error {}
