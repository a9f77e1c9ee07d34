// The models that a run has at hand, for all of its partitions. Each version is read once, on a task of its own; one that
// cannot be used is said so once and tried again a minute later, because what it lacked may be there by then.

import Detection
import Logging
import Synchronization

/// Loads models, checks that they fit, and keeps them.
actor ModelShelf {
  /// One version of one detector.
  struct Name: Hashable {
    var detector: String
    var version: String
  }

  private enum Place {
    case loading(Load)
    case ready(LearnedDetector)
    case refused(at: ContinuousClock.Instant)
  }

  private let plans: [String: DetectorPlan]
  private let provider: (any ModelProvider)?
  private let logger: Logger
  /// A version that cannot be used is tried again after this time.
  private let patience: Duration
  private let clock: @Sendable () -> ContinuousClock.Instant
  private var places: [Name: Place] = [:]
  /// What was last said of a version.
  private var reported: [Name: String] = [:]
  private var knownChampions: [String: String] = [:]
  /// What partitions need.
  private var needed: [PartitionID: Set<Name>] = [:]
  /// Is told what the models at hand take, in bytes.
  private let noteBytes: @Sendable (Int) -> Void
  private var isClosed = false
  private var isStopped = false

  init(
    _ detectors: [DetectorPlan], provider: (any ModelProvider)?, patience: Duration, logger: Logger,
    clock: @escaping @Sendable () -> ContinuousClock.Instant = { .now },
    noting noteBytes: @escaping @Sendable (Int) -> Void = { _ in }
  ) {
    plans = Dictionary(uniqueKeysWithValues: detectors.map { ($0.name, $0) })
    self.provider = provider
    self.logger = logger
    self.patience = patience
    self.noteBytes = noteBytes
    self.clock = clock
  }

  /// The version each detector should score with from now on. One that has become champion again is given another
  /// chance.
  func champions() -> [String: String] {
    guard let champions = provider?.champions(), champions != knownChampions else { return knownChampions }
    for (detector, version) in champions where knownChampions[detector] != version {
      let name = Name(detector: detector, version: version)
      if case .refused = places[name] { places[name] = nil }
      reported[name] = nil
    }
    knownChampions = champions
    return champions
  }

  /// The champions that can be used, of detectors for which another version scores in a partition.
  /// - Parameter latest: what scores now, by detector; nil where nothing does.
  func newChampions(
    besides latest: [(detector: String, version: String?)], for partition: PartitionID
  ) async throws -> [Name] {
    let champions = champions()
    var names: [Name] = []
    for (detector, version) in latest {
      guard let champion = champions[detector], champion != version else { continue }
      let name = Name(detector: detector, version: champion)
      if try await isReady(name, for: partition) { names.append(name) }
    }
    return names
  }

  /// A model that was loaded.
  private func model(_ name: Name) -> LearnedDetector? {
    if case .ready(let model) = places[name] { return model }
    return nil
  }

  /// Whether a version can be used, waiting until it is loaded. It is kept until `keep` says otherwise.
  /// - Throws: `CancellationError` where the run has ended meanwhile, or is to end: then that the model is not there says
  ///   nothing of it.
  func load(_ name: Name, for partition: PartitionID) async throws -> Bool {
    if isClosed { throw CancellationError() }
    needed[partition, default: []].insert(name)
    if places[name] == nil { start(name) }
    if case .loading(let load) = places[name] { try await settle(name, load) }
    if model(name) != nil { return true }
    if isStopped { throw CancellationError() }
    return false
  }

  /// Whether a version is loaded and can be used; begins to load it where that has not been tried. Waits only for what is
  /// at hand.
  func isReady(_ name: Name, for partition: PartitionID) async throws -> Bool {
    if isClosed { throw CancellationError() }
    needed[partition, default: []].insert(name)
    switch places[name] {
    case nil: start(name)
    case .refused(let time) where clock() - time >= patience: start(name)
    case .loading, .refused, .ready: break
    }
    if case .loading(let load) = places[name],
      load.isDone || provider?.isAtHand(name.version, of: name.detector) == true
    {
      try await settle(name, load)
    }
    return model(name) != nil
  }

  /// What a partition needs from now on. Models that no partition needs and that are no champions are let go.
  /// - Returns: those of `names` that are loaded.
  @discardableResult
  func keep(_ names: Set<Name>, for partition: PartitionID) -> [Name: LearnedDetector] {
    needed[partition] = names.isEmpty ? nil : names
    let champions = knownChampions.map { Name(detector: $0.key, version: $0.value) }
    let kept = needed.values.reduce(into: Set(champions)) { $0.formUnion($1) }
    for (name, place) in places where !kept.contains(name) {
      if case .loading(let load) = place { load.cancel() }
      if case .refused = place { continue }
      places[name] = nil
    }
    noteMemory()
    return names.reduce(into: [:]) { $0[$1] = model($1) }
  }

  /// Gives up what is being loaded: nobody needs it any more.
  func close() {
    isClosed = true
    for case .loading(let load) in places.values { load.cancel() }
  }

  /// The run is to end in order: nothing more is loaded, and nobody waits for what is being loaded. Lanes that have batches
  /// under way finish those with the models that they have.
  func stop() {
    isStopped = true
    for case .loading(let load) in places.values { load.cancel() }
  }

  private func noteMemory() {
    let bytes = places.values.reduce(0) { sum, place in
      if case .ready(let model) = place { sum + model.heldBytes } else { sum }
    }
    noteBytes(bytes)
  }

  private func start(_ name: Name) {
    if isStopped { return }
    guard let plan = plans[name.detector] else { preconditionFailure("\(name.detector) is no detector of the plan") }
    places[name] = .loading(Load(name.version, for: plan, from: provider))
  }

  private func settle(_ name: Name, _ load: Load) async throws {
    let outcome = await load.outcome
    if isClosed { throw CancellationError() }
    // Another partition may have come first.
    guard case .loading = places[name] else { return }
    switch outcome {
    case .success(let model):
      places[name] = .ready(model)
      reported[name] = nil
      noteMemory()
    case .failure(let error):
      try Task.checkCancellation()
      // Given up, or as good as that.
      if isStopped {
        places[name] = nil
        return
      }
      places[name] = .refused(at: clock())
      let reason = "\(error)"
      if reported.updateValue(reason, forKey: name) == reason { return }
      logger.error(
        "a model cannot be used; it is left out, and tried again every minute while it is the champion",
        metadata: ["detector": "\(name.detector)", "version": "\(name.version)", "reason": "\(reason)"])
    }
  }
}

/// A version being read.
private struct Load {
  private final class Flag: Sendable {
    let isSet = Atomic(false)
  }

  private let task: Task<Result<LearnedDetector, any Error>, Never>
  private let done: Flag

  init(_ version: String, for plan: DetectorPlan, from provider: (any ModelProvider)?) {
    let done = Flag()
    self.done = done
    // Less urgent than the batches that are scored meanwhile.
    task = Task(priority: .utility) {
      let outcome = await Self.outcome(version, for: plan, from: provider)
      done.isSet.store(true, ordering: .releasing)
      return outcome
    }
  }

  /// Whether the outcome is there without waiting.
  var isDone: Bool { done.isSet.load(ordering: .acquiring) }

  var outcome: Result<LearnedDetector, any Error> { get async { await task.value } }

  func cancel() { task.cancel() }

  private static func outcome(
    _ version: String, for plan: DetectorPlan, from provider: (any ModelProvider)?
  ) async -> Result<LearnedDetector, any Error> {
    do {
      guard let provider else { throw OperatingError(.missing, "this run was given no models") }
      let model = try await provider.load(version, of: plan.name)
      // Findings name the model's version, and the activation log this one.
      if model.version != version {
        throw ModelMismatch(
          detector: plan.name, version: version, reason: "it says that it is version \(model.version)")
      }
      return .success(try LearnedDetector(plan, model: model))
    } catch { return .failure(error) }
  }
}
