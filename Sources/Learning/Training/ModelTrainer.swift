// Training as one run over stored history: read, fit encoders, read again, fit models, calibrate, judge, store. It
// changes nothing but the registry, and that only at its end: whatever happens before leaves the models in use alone.

import Crypto
public import Detection
public import Foundation
public import Pipeline

/// How far a training has come.
public struct TrainingProgress: Sendable, Hashable {
  /// What is being done: "reading history", "fitting slow_query".
  public var step: String
  /// Share of the whole that is done, 0 to 1, by the time that steps usually take.
  public var share: Double
}

/// What became of one detector's training.
public struct TrainingOutcome: Sendable, Hashable {
  public enum Result: Sendable, Hashable {
    /// It passed the gate and is the champion now.
    case promoted
    /// It passed the gate; promotion was not asked for.
    case passed
    /// It was stored and is not used.
    case refused
    /// This very version is there already: nothing has changed since it was trained.
    case unchanged
    /// No model came about.
    case failed
  }

  public var detector: String
  public var result: Result
  /// The version; nil where there is none.
  public var version: String?
  /// The judgement, or why no model came about, in sentences.
  public var message: String
  public var manifest: ModelManifest?
  /// For a failure that is not the history's: the kind of error it was.
  public var error: OperatingError.Kind?
}

/// Trains the detectors of a use case from its stored history.
public struct ModelTrainer {
  public struct Options: Sendable {
    /// Detectors to train; nil for all that can be.
    public var detectors: Set<String>?
    public var seed: UInt64 = 1
    /// Threads that grow trees.
    public var threads = 1
    /// Whether a candidate that passes becomes the champion.
    public var promotes = true
    /// Bytes of rows that are held at most, in memory.
    public var maxBytes = 4 << 30

    public init() {}
  }

  let plan: Plan
  let configuration: ConfigurationVersion
  let archive: any HistoryArchive
  let registry: ModelRegistry
  let options: Options

  public init(
    plan: Plan, configuration: ConfigurationVersion, archive: any HistoryArchive, registry: ModelRegistry,
    options: Options = Options()
  ) {
    self.plan = plan
    self.configuration = configuration
    self.archive = archive
    self.registry = registry
    self.options = options
  }

  /// Trains and stores candidates, and promotes those that pass.
  /// - Parameters:
  ///   - progress: called now and then; what it throws ends the training, and the model in work is not stored.
  /// - Throws: `OperatingError` where there is no history to learn from or it cannot be read. What concerns one detector
  ///   is an outcome: one that needs a library which is not there keeps no other from being trained.
  public func train(
    now: Date = .now, progress: (TrainingProgress) throws -> Void = { _ in }
  ) throws -> [TrainingOutcome] {
    let detectors = try chosenDetectors()
    let definition = plan.useCase.training
    let listed = try archive.shards()
    guard let latest = try archive.latestTime() else {
      throw noHistory(
        listed.isEmpty
          ? "nothing is stored of it yet"
          : "there are fewer events than event time is believed from (\(Limits.clockOpening))")
    }
    guard let window = TrainingWindow(listed, until: latest, length: definition.history) else {
      throw noHistory(
        "no history file has events of the last \(definition.history / Timestamp.microsecondsPerDay) days")
    }
    let shards = listed.filter { $0.lastTime >= window.from && $0.firstTime < window.until }
    let version = name(window, shards)
    var outcomes: [TrainingOutcome] = []
    var trainings: [DetectorTraining] = []
    for detector in detectors {
      // One whose files are damaged is trained again: that restores it.
      do {
        if let outcome = try again(detector.name, version, now) {
          outcomes.append(outcome)
        } else {
          trainings.append(
            DetectorTraining(
              detector, by: try trainer(of: detector), version: version, champion: champion(of: detector)))
        }
      } catch let error as OperatingError { outcomes.append(Self.failed(detector.name, error)) }
    }
    if trainings.isEmpty { return outcomes }
    let total = shards.reduce(0) { $0 + $1.rows }
    try checkMemory(rows: TrainingSample.rows(of: total, wanted: definition.maxRows), trainings)
    try read(shards, window, total, into: &trainings, progress)
    let part = 0.7 / Double(trainings.count)
    for index in trainings.indices {
      do {
        // Taken out: its rows are let go as soon as they have been used.
        outcomes.append(
          try finish(trainings.removeFirst(), window, shards, now) { step, share in
            do { try progress(TrainingProgress(step: step, share: 0.3 + part * (Double(index) + share))) } catch {
              throw Stop(reason: error)
            }
          })
      } catch let stop as Stop { throw stop.reason }
    }
    try progress(TrainingProgress(step: "done", share: 1))
    return outcomes
  }

  /// What `progress` threw: it ends the training, whatever kind of error it is.
  private struct Stop: Error { var reason: any Error }

  // MARK: What to train

  private func chosenDetectors() throws -> [DetectorPlan] {
    let trainable = plan.detectors.filter(\.definition.isTrained)
    guard let chosen = options.detectors else {
      guard !trainable.isEmpty else {
        throw OperatingError(
          .configuration, "the use case \(plan.useCase.name) has no detector that is trained (`detectors:`)")
      }
      return trainable
    }
    let names = trainable.map(\.name)
    if let unknown = chosen.sorted().first(where: { !names.contains($0) }) {
      let near = nearest(to: unknown, among: names).map { "; did you mean `\($0)`?" } ?? ""
      throw OperatingError(
        .configuration, "the use case \(plan.useCase.name) has no detector `\(unknown)` that is trained\(near)")
    }
    return trainable.filter { chosen.contains($0.name) }
  }

  /// What fits models of the detector's type.
  private func trainer(of detector: DetectorPlan) throws -> any DetectorTrainer {
    let type = detector.definition.type
    guard let trainer = registry.formats.format(of: type) as? any DetectorTrainer else {
      throw OperatingError(.configuration, "detectors of type \(type) are not trained here")
    }
    return trainer
  }

  /// What becomes of a training whose version is there already: it is promoted where that is still to do, because the
  /// process was ended before, or promotion had not been asked for.
  /// - Returns: nil where it is not there, or not whole.
  private func again(_ detector: String, _ version: String, _ now: Date) throws -> TrainingOutcome? {
    guard try registry.contains(version, of: detector),
      try registry.damagedFiles(of: version, of: detector).isEmpty
    else { return nil }
    let manifest = try registry.manifest(of: version, of: detector)
    let record = try registry.undamagedChampionRecord(of: detector)
    let wasChampion = record?.history.contains { $0.version == version } ?? false
    guard options.promotes, manifest.gate?.passed == true, !wasChampion else {
      return TrainingOutcome(
        detector: detector, result: .unchanged, version: version,
        message: "the history and the use case are those of version \(version)")
    }
    try registry.promote(version, of: detector, reason: "passed the gate after training", at: now)
    return TrainingOutcome(
      detector: detector, result: .promoted, version: version,
      message: "it was trained before and had passed the gate", manifest: manifest)
  }

  /// The model in use, where it fits the use case as it is now: it is compared on its own terms or not at all.
  private func champion(of detector: DetectorPlan) -> FittedModel? {
    guard let version = try? registry.champion(of: detector.name),
      let model = try? registry.load(version, of: detector.name),
      (try? LearnedDetector(detector, model: model, isCalibrated: false)) != nil
    else { return nil }
    return model
  }

  /// How models are fitted, calibrated and judged. Raised when the same history would give another model.
  static let method = 2

  /// The day that history reaches, and what the model is a function of as a hash: the same training has the same name.
  private func name(_ window: TrainingWindow, _ shards: [ArchivedShard]) -> String {
    var text = "\(Self.method) \(configuration.identifier) \(options.seed) \(window.from) \(window.until)\n"
    for shard in shards { text += "\(shard.path) \(shard.rows)\n" }
    let hash = SHA256.hash(data: Data(text.utf8)).prefix(4).map { String(format: "%02x", $0) }.joined()
    return Timestamp.day(of: window.until - 1).replacing("-", with: "") + "-" + hash
  }

  private func noHistory(_ reason: String) -> OperatingError {
    OperatingError(
      .input,
      "the use case \(plan.useCase.name) has no history to learn from: \(reason). Run it over events first (pulse run)")
  }

  /// Refuses what would not fit into memory before it is read.
  private func checkMemory(rows: Int, _ trainings: [DetectorTraining]) throws {
    // Of every detector the parts wait; of the one at work they are joined, the rows to learn from are chosen, and
    // LightGBM keeps a byte per value beside them. Times, targets, entities and marks take 40 bytes a row.
    let widths = trainings.map(\.plan.features.inputs.count)
    let bytes = rows * (widths.reduce(0) { $0 + $1 * 4 + 40 } + (widths.max() ?? 0) * 9)
    guard bytes > options.maxBytes else { return }
    throw OperatingError(
      .limit,
      "training on \(rows) rows takes about \(bytes >> 20) MB of memory, at most \(options.maxBytes >> 20) MB are "
        + "allowed: lower `training: {max_rows: …}` or raise --max-memory")
  }

  // MARK: Reading

  /// Reads history twice: for the encoders, and for what the models see, which needs the encoders.
  private func read(
    _ shards: [ArchivedShard], _ window: TrainingWindow, _ total: Int, into trainings: inout [DetectorTraining],
    _ progress: (TrainingProgress) throws -> Void
  ) throws {
    let fits = trainings.contains { $0.plan.features.inputs.contains { $0.encoder != nil } }
    for pass in fits ? [0, 1] : [1] {
      var sample = TrainingSample(of: total, wanted: plan.useCase.training.maxRows)
      var done = 0
      for shard in shards {
        try progress(
          TrainingProgress(
            step: pass == 0 ? "reading history" : "making features",
            share: (Double(pass) + Double(done) / Double(total)) * 0.15))
        var seen = 0
        try readUnlessRemoved(shard) { batch in
          seen += batch.count
          var kept = batch.filtered(sample.next(batch.eventTimes, window))
          var failures = 0
          plan.extend(&kept, failures: &failures)
          for index in trainings.indices {
            if pass == 0 {
              trainings[index].learnEncoders(kept, window)
            } else {
              trainings[index].collect(kept, window)
              trainings[index].countEntityDays(batch, kept, window)
            }
          }
        }
        // Both passes see the same events of the shards that are there.
        sample.skip(max(0, shard.rows - seen))
        done += shard.rows
      }
      if pass == 0 { for index in trainings.indices { trainings[index].finishEncoders() } }
    }
  }

  /// Reads a shard, unless the run has removed it since it was listed: its day is too old then.
  private func readUnlessRemoved(_ shard: ArchivedShard, _ body: (EventBatch) throws -> Void) throws {
    do { try archive.read(shard, schema: plan.schema, body) } catch let error as OperatingError {
      guard try !archive.shards().contains(where: { $0.path == shard.path }) else { throw error }
    }
  }

  // MARK: Fitting

  private func finish(
    _ training: consuming DetectorTraining, _ window: TrainingWindow, _ shards: [ArchivedShard], _ now: Date,
    _ progress: (String, Double) throws -> Void
  ) throws -> TrainingOutcome {
    let detector = training.plan.name
    let type = training.plan.definition.type
    let fitted: DetectorTraining.Fitted
    do {
      fitted = try training.fit(
        seed: options.seed, threads: options.threads, window: window,
        leastSpan: plan.useCase.training.history / Limits.trainingCoverage, progress)
    } catch let failure as DetectorTraining.Failure {
      return TrainingOutcome(detector: detector, result: .failed, version: nil, message: failure.message)
    } catch let error as OperatingError {
      return Self.failed(detector, error)
    }
    do {
      return try store(fitted, type: type, window, shards, now)
    } catch let error as OperatingError {
      return Self.failed(detector, error)
    }
  }

  private static func failed(_ detector: String, _ error: OperatingError) -> TrainingOutcome {
    TrainingOutcome(
      detector: detector, result: .failed, version: nil, message: error.description, error: error.kind)
  }

  /// Stores a judged candidate, and promotes one that passed.
  private func store(
    _ fitted: DetectorTraining.Fitted, type: String, _ window: TrainingWindow, _ shards: [ArchivedShard], _ now: Date
  ) throws -> TrainingOutcome {
    let (detector, version) = (fitted.model.detector, fitted.model.version)
    let manifest = ModelManifest(
      useCase: plan.useCase.name, detector: detector, type: type, version: version, created: now.microseconds,
      configuration: configuration.identifier, seed: options.seed,
      shards: shards.map(\.path),
      rows: .init(
        train: fitted.rows[.training] ?? 0, calibration: fitted.rows[.calibration] ?? 0,
        gate: fitted.rows[.gate] ?? 0),
      times: .init(from: window.from, calibration: window.calibration, gate: window.gate, until: window.until),
      metrics: fitted.metrics, gate: fitted.report)
    try registry.add(fitted.model, manifest: manifest)
    let reasons = fitted.report.checks.filter { !$0.passed }.map(\.message).joined(separator: "; ")
    guard fitted.report.passed else {
      return TrainingOutcome(
        detector: detector, result: .refused, version: version, message: reasons, manifest: manifest)
    }
    let message = fitted.report.checks.map(\.message).joined(separator: "; ")
    if options.promotes {
      try registry.promote(version, of: detector, reason: "passed the gate after training", at: now)
    }
    return TrainingOutcome(
      detector: detector, result: options.promotes ? .promoted : .passed, version: version, message: message,
      manifest: manifest)
  }
}
