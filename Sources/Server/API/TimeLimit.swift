// Work that is given up where it takes too long.

/// That something took longer than it may.
struct TimeLimitPassed: Error {}

/// Runs something, and gives it up where it takes too long.
/// - Throws: `TimeLimitPassed`, or what it throws.
func withTimeLimit<Value: Sendable>(
  _ seconds: Double, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
  try await withThrowingTaskGroup(of: Value?.self) { group in
    group.addTask { try await body() }
    group.addTask {
      try await Task.sleep(for: .seconds(seconds))
      return nil
    }
    defer { group.cancelAll() }
    guard let first = try await group.next(), let value = first else { throw TimeLimitPassed() }
    return value
  }
}
