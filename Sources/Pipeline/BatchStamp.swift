// When a batch was read, and how many records it has: what is told of the time from there to the store.

public import Metrics

/// What the time that a batch takes is told by.
struct BatchStamp: Sendable {
  var records: Int
  /// When the newest of its records was appended to the log that they are from, microseconds since 1970; nil where it is from
  /// none.
  var newest: Int64?
  /// When the source handed it over.
  var readAt = ContinuousClock.now
}

/// A timer of a back-end that takes the same duration for many events at once: once for a batch, weighted by its events.
public protocol WeightedTimer: TimerHandler {
  /// - Parameter duration: nanoseconds.
  func recordNanoseconds(_ duration: Int64, times count: Int)
}

extension Duration {
  /// Whole nanoseconds.
  public var nanoseconds: Int64 { components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000 }
}
