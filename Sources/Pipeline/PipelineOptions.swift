// How a run works, none of which changes its results.

import Foundation
public import Metrics

extension Pipeline {
  /// How a run works; none of it changes its results.
  public struct Options: Sendable {
    /// Batches that are decoded and classified at the same time.
    public var workers: Int
    /// Time between checkpoints.
    public var checkpointInterval: Duration
    /// Where metrics go; nil: to what the program has installed.
    public var metrics: (any MetricsFactory)?
    /// Seconds since 1970-01-01 00:00 UTC, for metrics only: how far behind the present events are. The system's clock
    /// unless another one is given.
    public var unixTime: @Sendable () -> Double

    public init(
      workers: Int, checkpointInterval: Duration = .seconds(1), metrics: (any MetricsFactory)? = nil,
      unixTime: (@Sendable () -> Double)? = nil
    ) {
      precondition(workers > 0, "a pipeline needs a worker")
      self.workers = workers
      self.checkpointInterval = checkpointInterval
      self.metrics = metrics
      self.unixTime = unixTime ?? { Date.now.timeIntervalSince1970 }
    }
  }
}
