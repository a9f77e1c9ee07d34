// The registry as a run sees it: which versions are champions now, looked up for every batch, and their models.

public import Detection
import Foundation
public import Pipeline
import Synchronization

/// The champions of a use case's learned detectors, followed while other processes train and promote.
public final class RegistryModels: ModelProvider {
  /// A promotion is noticed within this time.
  static let interval = Duration.milliseconds(500)

  private struct State {
    var lastLook: ContinuousClock.Instant?
    var files: [String: FileMark] = [:]
    var champions: [String: String] = [:]
    /// Champions whose files were seen.
    var present: [String: String] = [:]
    /// What was last said of files that cannot be read, or are gone.
    var reported: [String: OperatingError] = [:]
  }

  private let registry: ModelRegistry
  private let detectors: [String: DetectorPlan]
  private let clock: @Sendable () -> ContinuousClock.Instant
  private let report: @Sendable (OperatingError) -> Void
  private let state = Mutex(State())
  private let loader: Loader

  /// - Parameter report: told once of each champion file that cannot be read, and of files that are gone; what was known
  ///   before stays.
  public convenience init(
    _ registry: ModelRegistry, plan: Plan, report: @escaping @Sendable (OperatingError) -> Void
  ) {
    self.init(registry, plan: plan, clock: { .now }, report: report)
  }

  init(
    _ registry: ModelRegistry, plan: Plan, clock: @escaping @Sendable () -> ContinuousClock.Instant,
    report: @escaping @Sendable (OperatingError) -> Void
  ) {
    self.registry = registry
    self.clock = clock
    self.report = report
    detectors = Dictionary(uniqueKeysWithValues: plan.detectors.map { ($0.name, $0) })
    loader = Loader(registry)
  }

  /// The champions by detector; detectors without one are left out. Looks at the files at most twice a second, and reads
  /// only those that changed.
  public func champions() -> [String: String] {
    state.withLock { state in
      let now = clock()
      if let last = state.lastLook, now - last < Self.interval { return state.champions }
      state.lastLook = now
      for name in detectors.keys.sorted() { look(at: name, &state) }
      return state.champions
    }
  }

  private func look(at detector: String, _ state: inout State) {
    do {
      let path = try registry.championPath(of: detector)
      let found = FileMark(path)
      // Nobody goes back to having no champion: the file was removed. What scores goes on with its model.
      if found == nil, let champion = state.champions[detector] {
        throw OperatingError(
          .store,
          "\(path) is gone: the detector \(detector) goes on with \(champion) until the run ends. Restore the models, or "
            + "promote a version")
      }
      if found != state.files[detector] {
        state.champions[detector] = try registry.champion(of: detector)
        // Last: a file that cannot be read is looked at again. It may be the moment's trouble, not the file's.
        state.files[detector] = found
        state.reported[detector] = nil
      }
      try lookForFiles(of: detector, &state)
    } catch {
      let trouble =
        error as? OperatingError
        ?? OperatingError(.store, "the champion of the detector \(detector) cannot be read: \(error)")
      if state.reported[detector] != trouble { report(trouble) }
      state.reported[detector] = trouble
    }
  }

  /// A model that is loaded scores without its files, but another run does not find it.
  private func lookForFiles(of detector: String, _ state: inout State) throws {
    guard let champion = state.champions[detector] else { return }
    if try registry.contains(champion, of: detector) {
      state.present[detector] = champion
      state.reported[detector] = nil
    } else if state.present[detector] == champion {
      throw OperatingError(
        .store,
        "the model \(champion) of the detector \(detector) is gone from \(registry.folder): it scores until the run ends, "
          + "and the next one will not find it. Restore its folder, or promote another version")
    }
  }

  /// Reads a version on a thread of its own, one at a time, and checks that it fits the use case's detector.
  public func load(_ version: String, of detector: String) async throws -> FittedModel {
    guard let plan = detectors[detector] else {
      throw OperatingError(.configuration, "the use case \(registry.useCase) has no detector \(detector)")
    }
    return try await loader.load(version, for: plan)
  }

  /// Reading is blocking and long: it keeps no thread from batches.
  private actor Loader {
    private let registry: ModelRegistry
    private let thread = DedicatedThread(name: "pulse-models")

    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    init(_ registry: ModelRegistry) { self.registry = registry }

    func load(_ version: String, for plan: DetectorPlan) throws -> FittedModel {
      try registry.load(version, for: plan)
    }
  }
}
