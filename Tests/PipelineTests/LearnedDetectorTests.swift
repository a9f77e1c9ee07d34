// Learned detectors in a plan: models that fit and that do not, findings with their reasons, explanations that add up,
// and drift that adds up however the events are cut.

import Configuration
import Detection
import Foundation
import Logging
import Synchronization
import TestKit
import Testing

@testable import Pipeline

private let text = """
  name: a
  event:
    time: t
    key: k
    fields:
      t: {type: timestamp, required: true, known_at: before_execution}
      k: {type: string, required: true, known_at: before_execution}
      ms: {type: double}
      scanned: {type: double}
      joins: {type: int, known_at: before_execution}
      cached: {type: bool, default: false}
  features:
    per_mb: ms / (scanned + 1)
    many: joins > 3
    hour: hour(t)
    key_code: {encoder: ordinal, of: k}
  classify: {into: c, cases: [{slow: ms > 1000}], else: other}
  detectors:
    - name: slow
      type: expected_value
      target: ms
      features: [joins, many, key_code, hour]
      when: NOT cached
      train_when: c = 'other'
      severity: high
    - {name: odd, type: isolation_forest, features: [per_mb, ms, hour], budget: {rate: 0.01}}
  rules:
    - {name: r, when: joins > 100}
  """

/// Two trees over `hour` 0, `joins` 1, `key_code` 2, `many` 3: the mean and the quantile of log1p(ms).
private let expectation = TreeEnsemble(
  nodes: [
    .init(feature: 1, threshold: 4.5, left: 1, right: 2, missingLeft: true, value: 5, cover: 100),
    .init(value: 4, cover: 75), .init(value: 8, cover: 25),
    .init(feature: 2, threshold: 1.5, left: 4, right: 5, missingLeft: false, value: 6, cover: 100),
    .init(value: 5, cover: 50), .init(value: 7, cover: 50),
  ], roots: [0, 3], outputs: [0, 1], baseValues: [0.5, 0.25], featureCount: 4)

/// A forest of two trees over `hour` 0, `ms` 1, `per_mb` 2.
private let forest = IsolationForest(
  trees: TreeEnsemble(
    nodes: [
      .init(feature: 1, threshold: 1000, left: 1, right: 2, value: 4, cover: 256),
      .init(feature: 2, threshold: 10, left: 3, right: 4, value: 6, cover: 255), .init(value: 1, cover: 1),
      .init(value: 8, cover: 200), .init(value: 3, cover: 55),
      .init(feature: 2, threshold: 50, left: 6, right: 7, value: 5, cover: 256),
      .init(value: 9, cover: 250), .init(value: 2, cover: 6),
    ], roots: [0, 5], outputs: [0, 0], baseValues: [0], featureCount: 3), sampleSize: 256)

private struct Event {
  var k = "x"
  var ms: Double? = 100
  var scanned: Double? = 5
  var joins: Int64? = 1
  var cached = false
  var time: Int64 = 0
}

/// A decoded batch with its raw form.
private func batch(_ events: [Event]) -> (DecodedBatch, RawBatch) {
  let partition = PartitionID(source: "test", number: 0)
  var positions = RecordPositions(segment: 0)
  for row in events.indices {
    positions.offsets.append(Int64(row))
    positions.rows.append(Int64(row))
  }
  let columns = [
    Column(.timestamp, events.map { .timestamp($0.time) }), Column(.string, events.map { .string($0.k) }),
    Column(.double, events.map { $0.ms.map(Scalar.double) ?? .null }),
    Column(.double, events.map { $0.scanned.map(Scalar.double) ?? .null }),
    Column(.int, events.map { $0.joins.map(Scalar.int) ?? .null }),
    Column(.bool, events.map { .bool($0.cached) }),
  ]
  let decoded = EventBatch(
    partition: partition, positions: positions, eventTimes: events.map(\.time), columns: columns)
  let raw = RawBatch(
    partition: partition, positions: positions, payload: .json(RecordBytes(events.map { _ in Array("{}".utf8) })),
    next: Position(segment: 0, offset: Int64(events.count), row: Int64(events.count)))
  return (DecodedBatch(events: decoded, deadLetters: []), raw)
}

private func derived(_ plan: Plan, _ events: [Event], models: ModelSet = .none) -> StagedBatch {
  let (decoded, raw) = batch(events)
  return plan.derive(decoded, from: raw, models: models)
}

@Suite(.timeLimit(.minutes(15))) struct LearnedDetectorTests {
  private let plan: Plan
  private let slow: FittedModel
  private let odd: FittedModel

  init() throws {
    let check = UseCaseChecker.check(text: text)
    plan = try #require(check.plan, "\(check.rendered)")
    var fitters = plan.detectors[0].features.makeFitters()
    let training = derived(plan, [Event(), Event(), Event(k: "y")]).events
    fitters.add(training)
    slow = FittedModel(
      detector: "slow", version: "v1", plan: plan.detectors[0].fingerprint, encoders: fitters.finish(),
      scorer: BoostedExpectation(trees: expectation))
    let scores = (0..<2_000).map { Double($0) / 2_500 }
    odd = FittedModel(
      detector: "odd", version: "v7", plan: plan.detectors[1].fingerprint, scorer: forest,
      calibration: try Calibration.fit(scores: scores, budget: FalseAlarmBudget(.rate(0.01)), entityDays: 0))
  }

  @Test func `the plan knows what detectors need`() throws {
    let detector = plan.detectors[0]
    #expect(detector.features.names == ["hour", "joins", "key_code", "many"])
    #expect(detector.features.inputs.map(\.fields) == [[0], [4], [1], [4]])
    #expect(plan.detectors[1].features.inputs.map(\.fields) == [[0], [2], [2, 3]])
    var failures = 0
    let events = derived(plan, [Event(), Event(cached: true), Event(ms: 5_000), Event(ms: nil)]).events
    #expect(detector.scoredRows(of: events, failures: &failures).setRows == [0, 2, 3])
    #expect(detector.trainingRows(of: events, failures: &failures).setRows == [0])
    #expect(detector.targets(of: events, rows: [0, 2]) == [100, 5_000])
    let entities = detector.entities(of: derived(plan, [Event(), Event(k: "y"), Event()]).events, rows: [0, 1, 2])
    #expect(entities[0] == entities[2] && entities[0] != entities[1])
  }

  @Test func `detectors without a model are silent`() {
    let staged = derived(plan, [Event(ms: 1e9), Event(joins: 101)])
    #expect(staged.findings.map(\.detector) == ["r"] && staged.drift.isEmpty)
  }

  @Test func `slow events are found with their reason`() throws {
    let models = try ModelSet([odd, slow], for: plan)
    #expect(models.detectors.map(\.name) == ["slow", "odd"] && models.versions == ["slow": "v1", "odd": "v7"])
    let events = [
      Event(ms: 59_999), Event(ms: 90_000), Event(k: "new", ms: 90_000), Event(ms: 90_000, cached: true),
      Event(ms: nil), Event(ms: 90_000, joins: 9),
    ]
    let found = derived(plan, events, models: models).findings.filter { $0.detector == "slow" }
    // Rows 1, 2 and 5 are at or above the floor; x is the most frequent key, so its code is 1.
    let expected = [expm1(5.25), expm1(5.25), expm1(8.5)]
    #expect(found.map(\.row) == [1, 2, 5])
    for (finding, expected) in zip(found, expected) {
      #expect(finding.score == max(90_000 / expected / 10, (90_000 - expected) / 120_000))
      #expect(finding.explanation.expected == expected && finding.model == "v1" && finding.severity == .high)
    }
    #expect(found[0].explanation.clause == "ratio")
    #expect(found[0].reason.hasPrefix("ms = 90000, expected 189.566: 474.768 times as much (ratio 10); expected from"))
    #expect(found[2].reason.contains("expected from joins = 9 (+3)"))
  }

  @Test func `explanations add up and go to the fields`() throws {
    let models = try ModelSet([odd, slow], for: plan)
    let events = derived(plan, [Event(), Event(ms: 2_000, scanned: 1), Event(ms: 90_000, joins: 9)]).events
    let forestDetector = try #require(models["odd"])
    let explanation = try #require(forestDetector.explain(row: 1, of: events))
    let total = explanation.inputs.reduce(explanation.base) { $0 + $1.contribution }
    #expect(abs(total - log2(explanation.raw)) < 1e-6)
    let credited = explanation.fields.reduce(explanation.base) { $0 + $1.contribution }
    #expect(abs(credited - log2(explanation.raw)) < 1e-6)
    #expect(explanation.inputs.map(\.input) == ["hour", "ms", "per_mb"])
    // Half of what `per_mb` added goes to each of its fields.
    let scanned = try #require(explanation.fields.first { $0.feature == "scanned" })
    #expect(abs(scanned.contribution - explanation.inputs[2].contribution / 2) < 1e-12)
    #expect(explanation.fields.map(\.feature) == ["ms", "scanned"] && explanation.fields[0].value == .double(2_000))
    let boosted = try #require(models["slow"]?.explain(row: 2, of: events))
    #expect(abs(boosted.inputs.reduce(boosted.base) { $0 + $1.contribution } - 8.5) < 1e-6)
    #expect(boosted.expected == expm1(8.5) && boosted.clause == "ratio")
    #expect(models["slow"]?.explain(row: 0, of: events)?.raw == 0)
  }

  @Test func `an event has its numbers at any row of any batch`() throws {
    let models = try ModelSet([odd, slow], for: plan)
    var random = SeededRandom(seed: 7)
    let keys = ["x", "y", "z"]
    let events = (0..<60).map { index -> Event in
      var event = Event(k: keys[index % 3], cached: index % 5 == 0, time: Int64(index) * 3_600_000_000)
      event.ms = pow(10, Double.random(in: 0..<6, using: &random))
      event.scanned = index % 7 == 0 ? nil : Double.random(in: 0..<100, using: &random)
      event.joins = index % 11 == 0 ? nil : Int64.random(in: 0..<12, using: &random)
      return event
    }
    let whole = derived(plan, events, models: models).findings
    #expect(whole.contains { $0.detector == "slow" } && whole.contains { $0.detector == "odd" })
    for finding in whole {
      let alone = derived(plan, [events[finding.row]], models: models).findings.first {
        $0.detector == finding.detector
      }
      var moved = try #require(alone)
      moved.row = finding.row
      #expect(moved == finding)
      let explained = models[finding.detector]?.explain(row: finding.row, of: derived(plan, events).events)
      #expect(explained?.score == finding.score && explained?.fields == finding.explanation.contributions)
      #expect(explained?.reason == finding.reason && explained?.row == finding.row)
    }
  }

  @Test func `forests alarm above their threshold only`() throws {
    let models = try ModelSet([odd], for: plan)
    let detector = try #require(models["odd"])
    var failures = 0
    let events = derived(plan, [Event(ms: 100), Event(ms: 100_000)]).events
    let raw = detector.rawScores(of: events, failures: &failures)
    #expect(raw.rows == [0, 1] && raw.scores[1] > raw.scores[0])
    let threshold = try #require(odd.calibration).threshold
    #expect(!detector.calibrated(threshold).isAlarm && detector.calibrated(threshold).score == 1)
    #expect(detector.calibrated(threshold.nextUp).isAlarm && detector.calibrated(threshold.nextUp).score > 1)
    let findings = derived(plan, [Event(ms: 100), Event(ms: 100_000)], models: models).findings
    #expect(findings.map(\.row) == [1])
    #expect(findings.first?.reason.hasPrefix("unlike other events: score 0.") == true)
    #expect(findings.first?.reason.contains("mostly for ms = 100000 (+") == true)
  }

  @Test func `models that do not fit are refused with the place`() throws {
    func refusal(_ change: (inout FittedModel) -> Void, _ base: FittedModel? = nil) -> String {
      var model = base ?? slow
      change(&model)
      do throws(ModelMismatch) {
        _ = try ModelSet([model], for: plan)
        return ""
      } catch { return error.description }
    }
    #expect(refusal { _ in } == "")
    #expect(refusal { $0.detector = "other" }.contains("no detector of this name"))
    let renamed = refusal { $0.plan = $0.plan.replacing("input joins int", with: "input joins double") }
    #expect(renamed.contains("the model has `input joins double`, the use case `input joins int`"), "\(renamed)")
    #expect(renamed.contains("line "))
    #expect(refusal { $0.plan += "\nmore" }.contains("the use case no such line"))
    #expect(refusal { $0.encoders = [:] }.contains("no encoder for `key_code`"))
    #expect(refusal { $0.scorer = forest }.contains("another type than expected_value"))
    #expect(refusal({ $0.calibration = nil }, odd).contains("not calibrated"))
    let narrow = TreeEnsemble(
      nodes: [.init(value: 1), .init(value: 2)], roots: [0, 1], outputs: [0, 1], baseValues: [0, 0], featureCount: 3)
    #expect(
      refusal { $0.scorer = BoostedExpectation(trees: narrow) }.contains(
        "3 features, the detector 4"))
    // A changed use case: the text differs where the definition does, and only there.
    let changes: [(String, String, String?)] = [
      ("joins > 3", "joins > 4", "feature many"), ("NOT cached", "cached", "when "),
      ("target: ms", "target: per_mb", "target "), ("encoder: ordinal", "encoder: frequency", "input key_code"),
      ("joins: {type: int,", "joins: {type: int, default: 1,", "field joins"), ("severity: high", "severity: low", nil),
      ("joins > 100", "joins > 99", nil), ("c = 'other'", "ms < 5", nil),
    ]
    for (old, new, line) in changes {
      let changed = try #require(UseCaseChecker.check(text: text.replacing(old, with: new)).plan)
      do throws(ModelMismatch) {
        _ = try ModelSet([slow], for: changed)
        #expect(line == nil, "\(old)")
      } catch {
        #expect(error.reason.contains("the model has `\(line ?? "nothing")"), "\(error)")
      }
    }
  }

  /// The use case with an external model over `joins` as its only detector, scored by `scorer`.
  private func external(_ scorer: any ExternalScorer) throws -> (plan: Plan, models: ModelSet) {
    var useCase = plan.useCase
    useCase.detectors = [
      DetectorDefinition(
        name: "mine", parameters: ONNXDefinition(model: LocatedText("model.onnx"), threshold: 3),
        features: [LocatedText("joins")])
    ]
    let own = try Plan(useCase)
    let model = FittedModel(
      detector: "mine", version: "file", plan: own.detectors[0].fingerprint, scorer: ExternalModel(scorer))
    return (own, try ModelSet([model], for: own))
  }

  @Test func `external models score what they can`() throws {
    struct Scorer: ExternalScorer {
      func scores(of matrix: FeatureMatrix) -> [Double] { matrix.column(0).map { $0 < 0 ? .nan : Double($0) } }
    }
    let (own, models) = try external(Scorer())
    let staged = derived(own, [Event(joins: 2), Event(joins: 3), Event(joins: -1), Event(joins: 6)], models: models)
    #expect(staged.findings.map(\.row) == [1, 3] && staged.findings.map(\.score) == [1, 2] && staged.failures == 1)
    #expect(staged.findings[0].reason == "score 3, threshold 3")
  }

  @Test func `no worker begins another batch once a model did not end`() async throws {
    final class Endless: ExternalScorer {
      let calls = Atomic(0)
      func scores(of matrix: FeatureMatrix) throws(LimitError) -> [Double] {
        calls.add(1, ordering: .relaxed)
        throw LimitError(subject: "mine", message: "it was ended after 60 s")
      }
    }
    let scorer = Endless()
    let (own, _) = try external(scorer)
    let model = FittedModel(
      detector: "mine", version: "v", plan: own.detectors[0].fingerprint, scorer: ExternalModel(scorer))
    let history = MemoryHistory()
    let pipeline = Pipeline(
      plan: own, version: ConfigurationVersion(identifier: "v", text: ""),
      source: MemorySource(
        (0..<200).map { Array(#"{"t":"2024-03-01T00:00:00Z","k":"x","joins":\#($0)}"#.utf8) }, batchSizes: [1]),
      store: MemoryStore(history), encoder: history, models: MemoryModels([model], champions: ["mine": "v"]),
      options: Pipeline.Options(workers: 2), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    let error = await #expect(throws: OperatingError.self) { try await pipeline.run() }
    #expect(error?.kind == .limit)
    // Each worker may be at one when the first one is found.
    #expect((1...2).contains(scorer.calls.load(ordering: .relaxed)))
  }

  @Test func `an external model that does not end ends the run before its batch counts`() async throws {
    struct Endless: ExternalScorer {
      func scores(of matrix: FeatureMatrix) throws(LimitError) -> [Double] {
        throw LimitError(subject: "mine", message: "it was ended after 60 s")
      }
    }
    let (own, models) = try external(Endless())
    let staged = derived(own, [Event(joins: 2)], models: models)
    #expect(staged.findings.isEmpty && staged.failures == 0)
    let trouble = try #require(staged.trouble)
    #expect((OperatingError.explaining(trouble) as? OperatingError)?.kind == .limit)
    var processor = try PartitionProcessor(plan: own, partition: PartitionID(source: "test", number: 0))
    #expect(throws: LimitError.self) {
      _ = try processor.process(
        StagedWork(staged: staged, records: 1, next: Position(segment: 0, offset: 1, row: 1)), now: .now)
    }
    #expect(processor.totals.records == 0)
  }
}

@Suite struct DriftTests {
  private let plan: Plan

  init() throws { plan = try #require(UseCaseChecker.check(text: text).plan) }

  private func normal(_ random: inout SeededRandom) -> Double {
    let (u, v) = (Double.random(in: 1e-12..<1, using: &random), Double.random(in: 0..<1, using: &random))
    return (-2 * log(u)).squareRoot() * cos(2 * .pi * v)
  }

  private func events(_ count: Int, day: Int64, shift: Double = 0, _ random: inout SeededRandom) -> [Event] {
    (0..<count).map { index in
      Event(
        ms: exp(5 + normal(&random) + shift), scanned: Double.random(in: 0..<1, using: &random) < 0.1 ? nil : 5,
        time: day * 86_400_000_000 + Int64(index) * 20_000_000)
    }
  }

  /// A forest's detector with bins of 20,000 training rows.
  private func models(_ random: inout SeededRandom) throws -> (ModelSet, DriftReference) {
    let detector = plan.detectors[1]
    let batch = derived(plan, events(20_000, day: 0, &random)).events
    let matrix = detector.features.matrix(of: batch)
    let scores = forest.scores(of: matrix)
    let reference = DriftReference.fit(plan: detector, matrix: matrix, scores: scores)
    let model = FittedModel(
      detector: "odd", version: "v1", plan: detector.fingerprint, scorer: forest,
      calibration: try Calibration.fit(scores: scores, budget: FalseAlarmBudget(.rate(0.01)), entityDays: 0),
      drift: reference)
    return (try ModelSet([model], for: plan), reference)
  }

  @Test func `days without change report nothing and a shift is reported within a day`() throws {
    var random = SeededRandom(seed: 3)
    let (models, reference) = try models(&random)
    // `hour` depends on the time alone.
    #expect(reference.inputs.map(\.name) == ["ms", "per_mb"])
    #expect(reference.inputs[1].counts.last ?? 0 > 1_000)
    for day in 1...20 {
      let counts = try #require(derived(plan, events(4_000, day: Int64(day), &random), models: models).drift.first)
      #expect(counts.day == Int64(day) && counts.rows == 4_000)
      let drifts = reference.stability(of: counts)
      #expect(drifts.map(\.name) == ["ms", "per_mb", "score"] && drifts.map(\.isScore) == [false, false, true])
      #expect(drifts.allSatisfy { !$0.isNotable && $0.index < 0.05 }, "\(drifts)")
    }
    let shifted = try #require(
      derived(plan, events(4_000, day: 30, shift: 1, &random), models: models).drift.first)
    let drifts = reference.stability(of: shifted)
    #expect(drifts[0].isNotable && drifts[0].index > 0.6 && drifts[0].index < 1.3, "\(drifts)")
    let few = try #require(derived(plan, events(1_999, day: 31, shift: 1, &random), models: models).drift.first)
    #expect(reference.stability(of: few).isEmpty)
  }

  @Test(arguments: [1, 7, 100])
  func `counts of batches add up by day`(_ size: Int) throws {
    var random = SeededRandom(seed: 5)
    let (models, reference) = try models(&random)
    let stream = events(150, day: 1, &random) + events(150, day: 2, &random)
    let mixed = stream.indices.map { stream[$0 % 2 == 0 ? $0 : stream.count - $0] }
    func total(_ batches: [[Event]]) -> [DriftCounts] {
      var days: [Int64: DriftCounts] = [:]
      for batch in batches {
        for counts in derived(plan, batch, models: models).drift {
          if days[counts.day] == nil { days[counts.day] = counts } else { days[counts.day]?.add(counts) }
        }
      }
      return days.values.sorted { $0.day < $1.day }
    }
    let whole = total([mixed])
    #expect(whole.map(\.day) == [1, 2] && whole.reduce(0) { $0 + $1.rows } == 300)
    #expect(whole.allSatisfy { day in day.inputs.allSatisfy { $0.reduce(0, +) == day.rows } })
    let cut = stride(from: 0, to: mixed.count, by: size).map { Array(mixed[$0..<min($0 + size, mixed.count)]) }
    #expect(total(cut) == whole)
    // Bins against counting value by value.
    let bins = reference.inputs[0]
    let values = mixed.filter { $0.time / 86_400_000_000 == 1 }.map { Float($0.ms ?? .nan) }
    var counts = [Int](repeating: 0, count: bins.edges.count + 2)
    for value in values { counts[bins.edges.count { value > $0 }] += 1 }
    #expect(whole[0].inputs[0] == counts)
  }

  @Test func `references are stored and wrong ones are refused`() throws {
    var random = SeededRandom(seed: 1)
    let (models, reference) = try models(&random)
    let data = try JSONEncoder().encode(reference)
    #expect(try JSONDecoder().decode(DriftReference.self, from: data) == reference)
    var model = try #require(models["odd"]).model
    model.drift?.inputs[0].counts.removeLast()
    #expect(throws: ModelMismatch.self) { try ModelSet([model], for: plan) }
    model.drift = reference
    model.drift?.inputs[0].name = "other"
    #expect(throws: ModelMismatch.self) { try ModelSet([model], for: plan) }
  }
}
