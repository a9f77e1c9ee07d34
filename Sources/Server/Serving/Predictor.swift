// What a use case says of events that nobody stores: the same plan and the same models as a run, over the caller's events. What
// depends on earlier events cannot be said, and is named.

import Detection
import Learning
import Operations
import Pipeline
import Synchronization

/// Scores events of a use case with its champions.
final class Predictor: Sendable {
  /// A detector that took part.
  struct Participant: Sendable {
    var detector: String
    var type: String
    /// The version of its model; nil for a rule.
    var model: String?
  }

  /// A detector that did not, and why.
  struct Silent: Sendable {
    var detector: String
    var why: String
  }

  /// What scores now.
  struct Models: Sendable {
    var set: ModelSet
    /// Versions by detector, those among them that could not be used.
    var versions: [String: String]
    var silent: [Silent]
    /// When a model that could not be used is tried again.
    var until: ContinuousClock.Instant?
  }

  private static let patience = Duration.seconds(30)

  private let plan: Plan
  private let registry: RegistryModels
  private let models = Mutex<Models?>(nil)
  private let workers: [PredictionWorker]
  private let turn = Atomic(0)

  /// - Parameter workers: requests that are computed at the same time.
  init(_ plan: Plan, registry: ModelRegistry, workers: Int) {
    self.plan = plan
    // What is wrong with a champion is said in the answer.
    self.registry = RegistryModels(registry, plan: plan, report: { _ in })
    self.workers = (0..<max(1, workers)).map { _ in PredictionWorker(plan) }
  }

  /// What is wrong with records, by their index in ascending order.
  func problems(of records: [HandedRecord]) async -> [InvalidEvent] {
    await worker.problems(of: records)
  }

  /// Scores records.
  func predict(
    _ records: [[UInt8]], explaining: PredictionWorker.Explaining
  ) async throws -> (Prediction, Models) {
    let models = await current()
    return (try await worker.predict(records, models.set, explaining), models)
  }

  /// The model of a version, where it is a champion's.
  func model(_ version: String, of detector: String) async -> FittedModel? {
    let champion = await current().set[detector]?.model
    return champion?.version == version ? champion : nil
  }

  /// The detectors that score with such models.
  func participants(of models: Models) -> [Participant] {
    let versions = models.set.versions
    let learned = plan.detectors.compactMap { detector in
      versions[detector.name].map {
        Participant(detector: detector.name, type: detector.definition.type, model: $0)
      }
    }
    let rules = plan.rules.compactMap { rule -> Participant? in
      if case .stateless(let rule) = rule { Participant(detector: rule.name, type: "rule") } else { nil }
    }
    return learned + rules
  }

  private var worker: PredictionWorker {
    workers[(turn.add(1, ordering: .relaxed).newValue & Int.max) % workers.count]
  }

  /// The champions' models, read anew when a champion has changed.
  private func current() async -> Models {
    let versions = registry.champions()
    if let known = models.withLock({ $0 }), known.versions == versions, known.until.map({ $0 > .now }) ?? true {
      return known
    }
    var until: ContinuousClock.Instant?
    var made: [LearnedDetector] = []
    var silent: [Silent] = []
    for detector in plan.detectors {
      guard let version = versions[detector.name] else {
        silent.append(Silent(detector: detector.name, why: "it has no model yet"))
        continue
      }
      do {
        made.append(try LearnedDetector(detector, model: try await registry.load(version, of: detector.name)))
      } catch {
        silent.append(Silent(detector: detector.name, why: "its model \(version) cannot be used: \(error)"))
        until = .now + Self.patience
      }
    }
    for case .stateful(let rule) in plan.rules {
      silent.append(Silent(detector: rule.name, why: "it looks at earlier events too, and here are none"))
    }
    let now = Models(set: ModelSet(made), versions: versions, silent: silent, until: until)
    models.withLock { $0 = now }
    return now
  }
}

/// What was said of the events of a request.
struct Prediction: Sendable {
  /// What one detector says of one event.
  struct Verdict: Sendable {
    var detector: String
    /// 1 is the threshold.
    var score: Double
    var isAnomaly: Bool
    var severity: Severity
    var explanation: Explanation?
    var reason: String?
  }

  /// What is said of one event.
  struct Item: Sendable {
    var category: String?
    var verdicts: [Verdict] = []
    var invalid: InvalidEvent?
  }

  var items: [Item]
}

/// Decodes and scores one request after another, on a thread of its own: what computes for long keeps none from being answered.
actor PredictionWorker {
  private let thread = DedicatedThread(name: "pulse-predict")
  nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

  /// Scores of one request that are taken apart: each is looked at among all of its batch.
  static let mostExplained = 100

  /// Which scores are taken apart.
  enum Explaining: String, CaseIterable, Sendable {
    case none, anomalies, all
  }

  private let plan: Plan
  private let check: EventCheck

  init(_ plan: Plan) {
    self.plan = plan
    check = EventCheck(plan)
  }

  func problems(of records: [HandedRecord]) -> [InvalidEvent] { check.problems(of: records) }

  /// - Throws: `CancellationError` where nobody waits for it any more.
  func predict(_ records: [[UInt8]], _ models: ModelSet, _ explaining: Explaining) throws -> Prediction {
    var explained = 0
    let records = records.map { HandedRecord($0) }
    let staged = check.stage(records)
    var prediction = Prediction(items: records.map { _ in Prediction.Item() })
    for event in check.problems(staged, of: records) { prediction.items[event.index].invalid = event }
    let events = staged.events
    let place = events.positions.rows.map { Int($0) }
    if let column = plan.classColumn, let classes = plan.useCase.classification?.classes,
      case .int(let indices) = events.columns[column].values
    {
      for (row, index) in indices.enumerated() { prediction.items[place[row]].category = classes[Int(index)] }
    }
    for finding in staged.findings {
      prediction.items[place[finding.row]].verdicts.append(
        Prediction.Verdict(
          detector: finding.detector, score: finding.score, isAnomaly: true, severity: finding.severity,
          explanation: explaining == .none ? nil : finding.explanation, reason: finding.reason))
    }
    for detector in models.detectors {
      var failures = 0
      let raw = detector.rawScores(of: events, failures: &failures)
      if raw.rows.isEmpty { continue }
      for (row, score) in zip(raw.rows, raw.scores) where !score.isNaN {
        try Task.checkCancellation()
        let calibrated = detector.calibrated(score)
        var verdict = Prediction.Verdict(
          detector: detector.name, score: calibrated.score, isAnomaly: calibrated.isAlarm,
          severity: detector.plan.definition.severity)
        if explaining == .all || explaining == .anomalies && calibrated.isAlarm, explained < Self.mostExplained,
          let why = detector.explain(row: row, of: events)
        {
          explained += 1
          verdict.explanation = Explanation(contributions: why.fields, expected: why.expected, clause: why.clause)
          verdict.reason = why.reason
        }
        prediction.items[place[row]].verdicts.append(verdict)
      }
    }
    return prediction
  }
}
