// Tells all sinks of a data directory. Any number of processes may serve a directory; one of them tells: whoever has the lock
// `notifications.lock` in it. It is free again when that process ends, however it ends, and another one goes on where it
// stopped.

import Connectors
import Detection
import Foundation
import Logging
import Pipeline
import ServiceLifecycle

/// Tells the sinks of a data directory.
final class NotificationService: Service {
  let sinks: [NotificationSink]
  private let store: ServedStore
  private let signal: ChangeSignal
  private let clock: @Sendable () -> Int64
  private let logger: Logger

  /// Time between tries to become the one that tells.
  private static let patience = Duration.seconds(2)

  init(
    _ sinks: [NotificationSink], over store: ServedStore, wokenBy signal: ChangeSignal,
    clock: @escaping @Sendable () -> Int64, logger: Logger
  ) {
    (self.sinks, self.store, self.signal, self.clock, self.logger) = (sinks, store, signal, clock, logger)
  }

  /// Gives sinks that are new their place: what is committed from here on is told.
  func begin() async throws {
    for sink in sinks { try await Notifier.begin(sink, store.reader, store.actions) }
  }

  func run() async throws {
    try await cancelWhenGracefulShutdown {
      guard let lock = await self.lock() else { return }
      try await OutgoingHTTP.lend { client in
        await withTaskGroup(of: Void.self) { group in
          for sink in self.sinks {
            let notifier = Notifier(
              of: sink, from: self.store.reader, self.store.actions, wokenBy: self.signal, clock: self.clock,
              logger: self.logger)
            group.addTask { await notifier.run(by: client) }
          }
        }
      }
      withExtendedLifetime(lock) {}
    }
  }

  /// The right to tell.
  /// - Returns: nil where the task was cancelled first.
  private func lock() async -> ProcessLock? {
    var isSaid = false
    while !Task.isCancelled {
      let path = store.directory.path
      do { return try ProcessLock(path: path + "/notifications.lock") } catch {
        let holder = (error as? ProcessLock.Taken)?.holder
        if !isSaid, let holder {
          logger.info(
            "another process tells of findings, and this one goes on when it ends",
            metadata: ["data": "\(path)", "process": "\(holder)"])
        } else if !isSaid {
          logger.error("nobody is told of findings: \(error)", metadata: ["data": "\(path)"])
        }
        isSaid = true
        try? await Task.sleep(for: Self.patience)
      }
    }
    return nil
  }

  /// Whether it tells of what is in a data directory.
  func tells(of other: ServedStore) -> Bool { store === other }

  /// The name of the data directory.
  var data: String { (store.directory.path as NSString).lastPathComponent }

  /// What is kept of a sink, whichever process tells it.
  func state(of sink: NotificationSink) async throws -> NotificationState {
    try NotificationState(kept: try await store.actions.place(of: sink.outbox)?.kept ?? "")
  }
}
