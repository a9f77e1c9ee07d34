// Work that waits for files, or computes for long, away from the threads that answer requests: those are as many as there are
// cores, and one that waits keeps all others from being answered.

import NIOPosix

/// Runs something on one of a few threads that may wait.
/// - Throws: what it throws; `CancellationError` where nobody wants it any more when its turn comes.
func blocking<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
  try await NIOThreadPool.singleton.runIfActive(body)
}
