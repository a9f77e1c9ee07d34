// A stage of the product as a piece of work that can be repeated and timed, and that says whether its output was right.

/// Repeatable work over a fixed number of items.
public struct Stage: Sendable {
  /// The checks of one output; throws `WrongOutput`. Run outside the measured time.
  public typealias Check = () throws -> Void

  /// What is measured, in a few words.
  public let name: String
  /// Items that one run processes.
  public let count: Int
  /// What an item is: "events", "batches".
  public let items: String
  /// Does the work once and returns how to check what came out.
  public let run: @Sendable () async throws -> Check

  init(_ name: String, count: Int, items: String = "events", run: @escaping @Sendable () async throws -> Check) {
    self.name = name
    self.count = count
    self.items = items
    self.run = run
  }

  /// The least time of `runs` runs. Every output is checked.
  public func best(of runs: Int) async throws -> Duration {
    precondition(runs > 0, "the best of no runs")
    var best = Duration.seconds(1_000_000)
    for _ in 0..<runs {
      let start = ContinuousClock.now
      let check = try await run()
      best = min(best, ContinuousClock.now - start)
      try check()
    }
    return best
  }
}

/// An output that differs from its reference: a measurement of something that does not work means nothing.
public struct WrongOutput: Error, CustomStringConvertible {
  public let description: String
  public init(_ description: String) { self.description = description }
}

/// Throws unless both are equal.
func expect<T: Equatable>(_ what: String, _ found: T, _ expected: T) throws {
  if found != expected { throw WrongOutput("\(what): expected \(expected), found \(found)") }
}
