// How a run works. Results depend on none of it but on what is put on record.

public import Detection
import Foundation
public import Metrics

extension Pipeline {
  /// How a run works; nothing but `closesInput`, which is put on record, changes its results.
  public struct Options: Sendable {
    /// Batches that are decoded and classified at the same time.
    public var workers: Int
    /// Bytes that the process may take, `Limits.leastMemory` at least. What does not fit ends the run.
    public var memory: Int
    /// Time between checkpoints.
    public var checkpointInterval: Duration
    /// Whether the end of the source is the end of the input, put on record: what waits is decided, every window closes.
    public var closesInput: Bool
    /// A partition of which nothing has come for so long is idle, whether or not its source says so.
    public var idleAfter: Duration
    /// A model that cannot be used is tried again after this time.
    public var modelPatience: Duration
    /// Where metrics go; nil: to what the program has installed.
    public var metrics: (any MetricsFactory)?
    /// Is told of every commit, for those who follow changes.
    public var changes: ChangeSignal?
    /// Seconds since 1970-01-01 00:00 UTC, for metrics only: how far behind the present events are. The system's clock
    /// unless another one is given.
    public var unixTime: @Sendable () -> Double

    public init(
      workers: Int, memory: Int = Limits.defaultMemory, checkpointInterval: Duration = .seconds(1),
      closesInput: Bool = false, idleAfter: Duration = .seconds(10), modelPatience: Duration = .seconds(60),
      metrics: (any MetricsFactory)? = nil, changes: ChangeSignal? = nil, unixTime: (@Sendable () -> Double)? = nil
    ) {
      precondition(workers > 0, "a pipeline needs a worker")
      self.workers = workers
      self.memory = memory
      self.checkpointInterval = checkpointInterval
      self.closesInput = closesInput
      self.idleAfter = idleAfter
      self.modelPatience = modelPatience
      self.metrics = metrics
      self.changes = changes
      self.unixTime = unixTime ?? { Date.now.timeIntervalSince1970 }
    }
  }
}
