// What a server serves: the use cases of some data directories. Which there are can change while it goes on: a run begins
// one, or brings a new definition.

import Configuration
import Connectors
import Detection
import Logging
import Operations
import Pipeline
import Synchronization

/// The use cases that are served.
final class ServedCatalog: Sendable {
  let stores: [ServedStore]
  private let useCases = Mutex<[String: ServedUseCase]>([:])
  /// Folders of use cases that are not found by their names.
  private let folders: [String: String]
  private let logger: Logger

  /// - Parameter folders: of use cases that a run of this process was given: they need not be found by their names, and are
  ///   served in the first of the stores before anything is stored of them.
  init(_ stores: [ServedStore], folders: [String: String] = [:], logger: Logger) {
    self.stores = stores
    self.folders = folders
    self.logger = logger
  }

  /// Those that are known, by name.
  var all: [ServedUseCase] { useCases.withLock { $0.values.sorted { $0.name < $1.name } } }

  /// The use case of a call.
  /// - Throws: `Problem` where there is none that the caller may see.
  func useCase(of call: Call) throws(Problem) -> ServedUseCase {
    try useCase(call.path("use_case"), for: call.caller)
  }

  func useCase(_ name: String, for caller: Principal) throws(Problem) -> ServedUseCase {
    let visible = all.filter { caller.maySee($0.name) }
    guard let found = visible.first(where: { $0.name == name }) else {
      throw .unknown("use case", name, among: visible.map(\.name))
    }
    return found
  }

  /// Looks for use cases that are new, or defined anew.
  func refresh() async {
    for store in stores {
      do {
        for name in try await store.reader.read({ try await $0.useCases() }) { try await refresh(name, in: store) }
      } catch { logger.error("the data directory \(store.directory.path) could not be read: \(error)") }
    }
    for (name, folder) in folders where useCases.withLock({ $0[name] == nil }) {
      guard let store = stores.first, let loaded = try? LoadedUseCase(folder) else { continue }
      let served = ServedUseCase(
        name: name, in: store, plan: loaded.plan, text: loaded.version.text, folder: loaded.location.directory)
      useCases.withLock { $0[name] = served }
    }
  }

  private func refresh(_ name: String, in store: ServedStore) async throws {
    let known = useCases.withLock { $0[name] }
    if let known, known.store !== store {
      // Two directories with one use case: that of the first one is served, as it was said when it began.
      return
    }
    // What the run of this process has read stays what it runs by, whatever becomes of the file.
    if known != nil, folders[name] != nil { return }
    let (plan, text, folder) = try await definition(of: name, in: store)
    if let known, known.text == text { return }
    let served = ServedUseCase(name: name, in: store, plan: plan, text: text, folder: folder)
    useCases.withLock { $0[name] = served }
  }

  /// The definition in the folder of the use case, or the one that ran last.
  private func definition(
    of name: String, in store: ServedStore
  ) async throws -> (plan: Plan, text: String, folder: String?) {
    if let loaded = try? LoadedUseCase(folders[name] ?? name), loaded.plan.useCase.name == name {
      return (loaded.plan, loaded.version.text, loaded.location.directory)
    }
    guard let text = try await store.reader.read({ try await $0.configuration(of: name) }) else {
      throw OperatingError(.store, "the store has no definition of the use case \(name)")
    }
    return (try UseCaseChecker.plan(fromStored: text), text, nil)
  }
}
