// Work that waits for files, or computes for long, away from the threads that answer requests: those are as many as there are
// cores, and one that waits keeps all others from being answered.

import NIOPosix
import Synchronization

/// Runs something on one of a few threads that may wait. What takes long asks `checkIsWanted()` now and then.
/// - Throws: what it throws; `CancellationError` where nobody wants it any more when its turn comes.
func blocking<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
  let wanted = Wanted()
  return try await withTaskCancellationHandler {
    try await NIOThreadPool.singleton.runIfActive { try Wanted.$current.withValue(wanted, operation: body) }
  } onCancel: {
    wanted.isCancelled.store(true, ordering: .relaxed)
  }
}

/// Ends work that nobody wants any more: the thread that it runs on belongs to no task, and knows nothing of its end.
/// - Throws: `CancellationError`.
func checkIsWanted() throws {
  try Task.checkCancellation()
  if Wanted.current?.isCancelled.load(ordering: .relaxed) == true { throw CancellationError() }
}

/// Whether somebody waits for what a thread computes.
private final class Wanted: Sendable {
  @TaskLocal static var current: Wanted?
  let isCancelled = Atomic(false)
}
