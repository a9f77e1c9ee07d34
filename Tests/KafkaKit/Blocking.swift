// Waiting beside the threads that concurrent code runs on.

import Foundation

/// Runs what blocks on a thread of its own: those that tests run on are as many as the machine has cores, and other tests
/// need them meanwhile.
@discardableResult
public func blocking<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
  try await withCheckedThrowingContinuation { continuation in
    Thread { continuation.resume(with: Result { try body() }) }.start()
  }
}

/// Blocks the calling thread.
func pause(milliseconds: UInt32) { usleep(milliseconds * 1000) }
