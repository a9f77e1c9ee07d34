// Which models score which events of a partition, decided before a batch is handed out. A change is on record, durably,
// before the first event that it applies to is handed over; what was handed over before lies before its position. So
// the activation log and the input together say which model scored what, whatever the timing was.

import Detection
import Logging

/// Records of one partition with the models that score them.
struct ScoredPiece: Sendable {
  var raw: RawBatch
  var models: ModelSet
}

/// The models of one partition. Used by its lane's dispatcher alone, once for each batch.
final class ModelSchedule {
  private let plan: Plan
  private let claim: Claim
  private let store: any Store
  private let shelf: ModelShelf
  private let logger: Logger
  private let noteActivation: @Sendable (_ detector: String) -> Void
  private var timeline: ModelTimeline
  /// What is to be put on record before the first batch: one that nothing comes of leaves no trace.
  private var due: [(detector: String, version: String)] = []
  private var start: Position?
  /// What the timeline names, loaded.
  private var models: [ModelShelf.Name: LearnedDetector] = [:]

  /// - Parameters:
  ///   - log: the activations of the partition.
  ///   - shelf: the models of the run.
  ///   - noteActivation: is told of each activation that was recorded.
  init(
    _ plan: Plan, _ claim: Claim, _ log: [Activation], _ store: any Store, _ shelf: ModelShelf,
    _ logger: Logger, noteActivation: @escaping @Sendable (_ detector: String) -> Void
  ) {
    self.plan = plan
    self.claim = claim
    self.store = store
    self.shelf = shelf
    self.logger = logger
    self.noteActivation = noteActivation
    timeline = ModelTimeline(log)
  }

  /// What the log says from `position` on is loaded, or something else that is put on record with the first batch.
  func prepare(from position: Position) async throws {
    timeline.pass(position)
    let champions = await shelf.champions()
    for detector in plan.detectors {
      if let version = try await choice(of: detector.name, champion: champions[detector.name]) {
        due.append((detector.name, version))
      }
    }
    start = position
  }

  private func begin() async throws {
    guard let start else { return }
    self.start = nil
    for (detector, version) in due { try await activate(version, of: detector, from: start) }
    await keepNeeded()
  }

  /// The batch with its models, in several pieces where a model takes over inside it.
  /// - Throws: where an activation cannot be recorded.
  func pieces(of raw: RawBatch) async throws -> [ScoredPiece] {
    guard let first = raw.first else { return [ScoredPiece(raw: raw, models: .none)] }
    try await begin()
    timeline.pass(first)
    let latest = plan.detectors.map { (detector: $0.name, version: timeline.latest(of: $0.name)) }
    for name in try await shelf.newChampions(besides: latest, for: claim.partition) {
      try await activate(name.version, of: name.detector, from: first)
      await keepNeeded()
    }
    var parts: [RawBatch] = []
    var rest = raw
    for position in timeline.changes(behind: first) {
      guard let split = rest.split(at: position) else { continue }
      parts.append(split.before)
      rest = split.behind
    }
    return (parts + [rest]).map { ScoredPiece(raw: $0, models: models(at: $0.first ?? first)) }
  }

  /// The partition needs no models any more.
  func close() async { await shelf.keep([], for: claim.partition) }

  private func models(at position: Position) -> ModelSet {
    ModelSet(
      plan.detectors.compactMap { detector in
        guard let version = timeline.version(of: detector.name, at: position) else { return nil }
        guard let model = models[ModelShelf.Name(detector: detector.name, version: version)] else {
          preconditionFailure("the model \(version) of \(detector.name) is on record and not loaded")
        }
        return model
      })
  }

  // MARK: - Activations

  /// The version to be activated where the partition is resumed; nil where the log stands.
  private func choice(of detector: String, champion: String?) async throws -> String? {
    func isUsable(_ version: String) async throws -> Bool {
      try await shelf.load(ModelShelf.Name(detector: detector, version: version), for: claim.partition)
    }
    if let champion, champion != timeline.latest(of: detector), try await isUsable(champion) { return champion }
    var usable: String?
    var isComplete = true
    for version in timeline.versions(of: detector) {
      if try await isUsable(version) { usable = version } else { isComplete = false }
    }
    return isComplete ? nil : usable ?? ModelTimeline.silent
  }

  private func activate(_ version: String, of detector: String, from position: Position) async throws {
    let partition = claim.partition
    try await store.activate(
      Activation(partition: partition, from: position, kind: .model, detector: detector, version: version),
      under: claim, text: nil)
    let before = timeline.latest(of: detector)
    timeline.activate(version, of: detector, from: position)
    noteActivation(detector)
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
  }

  /// Takes the models that the timeline names from the shelf, and lets go of those that it does not name any more.
  private func keepNeeded() async {
    var names: Set<ModelShelf.Name> = []
    for detector in plan.detectors {
      for version in timeline.versions(of: detector.name) {
        names.insert(ModelShelf.Name(detector: detector.name, version: version))
      }
    }
    models = await shelf.keep(names, for: claim.partition)
  }
}
