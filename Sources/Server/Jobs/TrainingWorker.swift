// Carries out trainings that people ask for over the API, one at a time. A job outlives the server that took it: its lease
// ends, and the next server takes it again.

import Connectors
import Detection
import Foundation
import Logging
import Pipeline
import ServiceLifecycle
import Synchronization

/// Takes training jobs of the stores that are served.
final class TrainingWorker: Service {
  private let catalog: ServedCatalog
  private let live: LiveHub
  private let trainer: any Trainer
  private let clock: @Sendable () -> Int64
  private let logger: Logger
  private let name = "\(ProcessInfo.processInfo.hostName):\(ProcessInfo.processInfo.processIdentifier)-\(UUID())"

  /// How long nothing is heard of a worker before another one takes its job, microseconds.
  static let lease: Int64 = 30_000_000
  /// Time between looks for jobs, and between reports.
  private static let interval = Duration.milliseconds(500)

  init(
    _ catalog: ServedCatalog, live: LiveHub, trainer: any Trainer, clock: @escaping @Sendable () -> Int64,
    logger: Logger
  ) {
    self.catalog = catalog
    self.live = live
    self.trainer = trainer
    self.clock = clock
    self.logger = logger
  }

  func run() async throws {
    await cancelWhenGracefulShutdown {
      while !Task.isCancelled {
        for store in self.catalog.stores {
          do { try await self.work(on: store) } catch {
            if !Task.isCancelled {
              self.logger.error("jobs of \(store.directory.path) could not be looked at: \(error)")
            }
          }
        }
        try? await Task.sleep(for: Self.interval)
      }
    }
  }

  /// Carries out a job of a store, where one waits.
  func work(on store: ServedStore) async throws {
    let now = clock()
    let claimed = try await store.actions.claimJob(
      [TrainingJob.kind], worker: name, at: now, until: now + Self.lease)
    guard let claimed else { return }
    guard let job = TrainingJob(claimed),
      let folder = catalog.all.first(where: { $0.name == job.useCase && $0.store === store })?.folder
    else {
      let why = "the folder of the use case was not found by the server: train it with `pulse train`"
      return try await end(claimed, of: store, as: .failed, why)
    }
    try await tell(claimed.number, of: store)
    let request = TrainingRequest(
      useCase: job.useCase, folder: folder, directory: store.directory, detectors: job.detectors, promotes: job.promotes
    )
    let (ending, message) = await carryOut(request, claimed, of: store)
    // Where the server stops, somebody else takes it when the lease has ended.
    if Task.isCancelled { return }
    try await end(claimed, of: store, as: ending, message)
  }

  /// - Returns: how it ended, and what is to be said of it.
  private func carryOut(
    _ request: TrainingRequest, _ job: Job, of store: ServedStore
  ) async -> (Job.Ending, String) {
    let standing = Standing()
    return await withTaskGroup(of: TrainingResult?.self) { group in
      group.addTask { [trainer] in
        await trainer.train(request) { share in standing.progress.withLock { $0 = share } }
      }
      group.addTask {
        while (try? await Task.sleep(for: Self.interval)) != nil {
          let share = standing.progress.withLock { $0 }
          let asked = try? await store.actions.reportProgress(
            of: job.number, worker: self.name, progress: share, until: self.clock() + Self.lease)
          try? await self.tell(job.number, of: store)
          guard let asked, asked != .running else { continue }
          standing.wasCancelled.withLock { $0 = true }
          return nil
        }
        return nil
      }
      let first = await group.next() ?? nil
      group.cancelAll()
      var result = first
      while let next = await group.next() { result = result ?? next }
      // One that had ended when it was given up has done what it says.
      if standing.wasCancelled.withLock({ $0 }), result?.isComplete != true { return (.cancelled, "it was given up") }
      guard let result else { return (.failed, "it ended without a result") }
      return (result.isComplete ? .finished : .failed, result.message)
    }
  }

  private func end(_ job: Job, of store: ServedStore, as ending: Job.Ending, _ message: String) async throws {
    _ = try await store.actions.finishJob(
      job.number, worker: name, as: ending, outcome: JSONText.string(message), at: clock())
    logger.info("a training that was asked for has ended: \(message)", metadata: ["state": "\(ending.rawValue)"])
    try await tell(job.number, of: store)
  }

  /// Tells those who watch how a job stands.
  private func tell(_ number: Int64, of store: ServedStore) async throws {
    guard let job = try await store.actions.job(number).flatMap({ TrainingJob($0) }) else { return }
    live.tell(LiveEvent(kind: "progress", data: job.json), of: job.useCase)
  }
}

/// How far a training is, and whether it is to be given up.
private final class Standing: Sendable {
  let progress = Mutex(0.0)
  let wasCancelled = Mutex(false)
}
