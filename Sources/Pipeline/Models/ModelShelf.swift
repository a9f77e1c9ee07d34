// The models that a run has at hand. Each version is read once, on a task of its own; one that cannot be used is said so
// once and tried again a minute later, because what it lacked may be there by then. Used by the reader's task alone.

import Detection
import Logging
import Synchronization

/// Loads models, checks that they fit, and keeps them.
final class ModelShelf {
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
  private let clock: () -> ContinuousClock.Instant
  private var places: [Name: Place] = [:]
  /// What was last said of a version.
  private var reported: [Name: String] = [:]
  private var knownChampions: [String: String] = [:]

  init(
    _ detectors: [DetectorPlan], provider: (any ModelProvider)?, patience: Duration, logger: Logger,
    clock: @escaping () -> ContinuousClock.Instant = { .now }
  ) {
    plans = Dictionary(uniqueKeysWithValues: detectors.map { ($0.name, $0) })
    self.provider = provider
    self.logger = logger
    self.patience = patience
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

  /// A model that was loaded.
  subscript(name: Name) -> LearnedDetector? {
    if case .ready(let model) = places[name] { return model }
    return nil
  }

  /// Whether a version can be used, waiting until it is loaded.
  /// - Throws: `CancellationError` where the run was cancelled meanwhile: then a failure says nothing of the model.
  func load(_ name: Name) async throws -> Bool {
    if places[name] == nil { start(name) }
    if case .loading(let load) = places[name] { try await settle(name, load) }
    return self[name] != nil
  }

  /// Whether a version is loaded and can be used; begins to load it where that has not been tried. Waits only for what is
  /// at hand.
  func isReady(_ name: Name) async throws -> Bool {
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
    return self[name] != nil
  }

  /// Lets go of models that are neither named nor champions.
  func keep(only names: Set<Name>) {
    let kept = names.union(knownChampions.map { Name(detector: $0.key, version: $0.value) })
    for (name, place) in places where !kept.contains(name) {
      if case .loading(let load) = place { load.cancel() }
      if case .refused = place { continue }
      places[name] = nil
    }
  }

  /// Gives up what is being loaded.
  func close() {
    for case .loading(let load) in places.values { load.cancel() }
  }

  private func start(_ name: Name) {
    guard let plan = plans[name.detector] else { preconditionFailure("\(name.detector) is no detector of the plan") }
    places[name] = .loading(Load(name.version, for: plan, from: provider))
  }

  private func settle(_ name: Name, _ load: Load) async throws {
    switch await load.outcome {
    case .success(let model):
      places[name] = .ready(model)
      reported[name] = nil
    case .failure(let error):
      try Task.checkCancellation()
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
