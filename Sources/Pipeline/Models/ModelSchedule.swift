// Which models score which events, decided by the reader before a batch is handed out. A change is on record, durably,
// before the first event that it applies to is handed over; what was handed over before lies before its position. So
// the activation log and the input together say which model scored what, whatever the timing was.

import Detection
import Logging

/// Records of one partition with the models that score them.
struct ScoredPiece: Sendable {
  var raw: RawBatch
  var models: ModelSet
}

/// The models of all partitions of a run. Used by the reader's task alone, once for each batch.
final class ModelSchedule {
  private let plan: Plan
  private let store: any Store
  private let logger: Logger
  private let shelf: ModelShelf
  /// Where partitions continue; others start at their beginning.
  private let resumed: [PartitionID: Position]
  private let progress: RunProgress
  private var timelines: [PartitionID: ModelTimeline] = [:]

  /// - Parameters:
  ///   - provider: where models come from; nil: from nowhere.
  ///   - resumed: the positions of the last checkpoints.
  ///   - patience: a model that cannot be used is tried again after this time.
  ///   - progress: is told of each activation that was recorded.
  init(
    _ plan: Plan, _ provider: (any ModelProvider)?, _ store: any Store, resumed: [PartitionID: Position],
    patience: Duration, _ progress: RunProgress, _ logger: Logger
  ) {
    self.plan = plan
    self.store = store
    self.resumed = resumed
    self.logger = logger
    self.progress = progress
    shelf = ModelShelf(plan.detectors, provider: provider, patience: patience, logger: logger)
    for detector in plan.detectors { progress.noteActivations(0, of: detector.name) }
  }

  /// The batch with its models, in several pieces where a model takes over inside it.
  /// - Throws: where an activation cannot be recorded.
  func pieces(of raw: RawBatch) async throws -> [ScoredPiece] {
    guard let first = raw.first else { return [ScoredPiece(raw: raw, models: .none)] }
    try await prepare(raw.partition, at: first)
    guard let timeline = timelines[raw.partition] else { preconditionFailure("a partition that is read was prepared") }
    var parts: [RawBatch] = []
    var rest = raw
    for position in timeline.changes(behind: first) {
      guard let (before, behind) = rest.split(at: position) else { continue }
      parts.append(before)
      rest = behind
    }
    return (parts + [rest]).map { ScoredPiece(raw: $0, models: models(timeline, at: $0.first ?? first)) }
  }

  /// No more batches will come.
  func close() { shelf.close() }

  /// Brings a partition's timeline up to date for events from `position` on.
  private func prepare(_ partition: PartitionID, at position: Position) async throws {
    if timelines[partition] == nil { try await open(partition) }
    timelines[partition]?.pass(position)
    let champions = shelf.champions()
    for detector in plan.detectors {
      let name = detector.name
      guard let champion = champions[name], champion != timelines[partition]?.latest(of: name),
        try await shelf.isReady(ModelShelf.Name(detector: name, version: champion))
      else { continue }
      try await activate(champion, of: name, in: partition, from: position)
    }
  }

  private func models(_ timeline: ModelTimeline, at position: Position) -> ModelSet {
    ModelSet(
      plan.detectors.compactMap { detector in
        guard let version = timeline.version(of: detector.name, at: position) else { return nil }
        guard let model = shelf[ModelShelf.Name(detector: detector.name, version: version)] else {
          preconditionFailure("the model \(version) of \(detector.name) is on record and not loaded")
        }
        return model
      })
  }

  // MARK: - Activations

  /// A partition begins: what the log says from here on is loaded, or something else is put on record.
  private func open(_ partition: PartitionID) async throws {
    let position = resumed[partition] ?? .start
    var timeline = ModelTimeline(try await store.activations(useCase: plan.useCase.name, partition: partition))
    timeline.pass(position)
    let champions = shelf.champions()
    var choices: [(detector: String, version: String)] = []
    for detector in plan.detectors {
      let champion = champions[detector.name]
      if let version = try await choice(of: detector.name, champion: champion, timeline) {
        choices.append((detector.name, version))
      }
    }
    timelines[partition] = timeline
    for (detector, version) in choices { try await activate(version, of: detector, in: partition, from: position) }
  }

  /// The version to be activated where a partition begins; nil where the log stands.
  private func choice(
    of detector: String, champion: String?, _ timeline: ModelTimeline
  ) async throws -> String? {
    func isUsable(_ version: String) async throws -> Bool {
      try await shelf.load(ModelShelf.Name(detector: detector, version: version))
    }
    if let champion, champion != timeline.latest(of: detector), try await isUsable(champion) { return champion }
    var usable: String?
    var isComplete = true
    for version in timeline.versions(of: detector) {
      if try await isUsable(version) { usable = version } else { isComplete = false }
    }
    return isComplete ? nil : usable ?? ModelTimeline.silent
  }

  private func activate(
    _ version: String, of detector: String, in partition: PartitionID, from position: Position
  ) async throws {
    try await store.activate(
      Activation(partition: partition, from: position, kind: .model, detector: detector, version: version),
      useCase: plan.useCase.name, text: nil)
    let before = timelines[partition]?.latest(of: detector)
    timelines[partition]?.activate(version, of: detector, from: position)
    progress.noteActivations(1, of: detector)
    let metadata: Logger.Metadata = [
      "partition": "\(partition.source)/\(partition.number)", "detector": "\(detector)", "version": "\(version)",
      "before": "\(before ?? "none")",
    ]
    if version == ModelTimeline.silent {
      logger.warning("no model is left for a detector: it finds nothing until one is promoted", metadata: metadata)
    } else {
      // The first model of a new partition is nothing to report.
      logger.log(level: position == .start ? .info : .notice, "a model scores from here on", metadata: metadata)
    }
    forgetUnneeded()
  }

  /// Lets go of models that no partition needs any more.
  private func forgetUnneeded() {
    var names: Set<ModelShelf.Name> = []
    for timeline in timelines.values {
      for detector in plan.detectors {
        for version in timeline.versions(of: detector.name) {
          names.insert(ModelShelf.Name(detector: detector.name, version: version))
        }
      }
    }
    shelf.keep(only: names)
  }
}
