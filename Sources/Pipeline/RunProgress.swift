// What a run has done so far, for the progress line and the summary, and on to metrics. Updated once per batch.

import Detection
import Synchronization

/// A view of a running pipeline, safe to read from any thread.
public final class RunProgress: Sendable {
  /// A moment of the run.
  public struct Snapshot: Sendable {
    /// Counts of this run alone.
    public var run = Totals()
    /// Counts of all runs on this data directory.
    public var all = Totals()
    /// Highest event time that is believed (see `Watermark`), microseconds; `Int64.min` before the first event.
    public var eventTime = Int64.min
    /// Events that earlier runs had processed.
    public var resumedRecords: Int { all.records - run.records }
  }

  private struct State: Sendable {
    var before: [PartitionID: Totals] = [:]
    var now: [PartitionID: Totals] = [:]
    var eventTime = Int64.min
  }

  private let state = Mutex(State())
  private let metrics: RunMetrics

  init(metrics: RunMetrics) { self.metrics = metrics }

  func start(_ partition: PartitionID, from totals: Totals) {
    state.withLock {
      $0.before[partition] = totals
      $0.now[partition] = totals
    }
  }

  /// A batch has gone through its lane.
  /// - Parameters:
  ///   - bytes: of the records it was read from.
  ///   - waiting: batches that have been read and not come that far.
  func update(_ processor: PartitionProcessor, bytes: Int, waiting: Int) {
    let (partition, totals, time) = (processor.partition, processor.totals, processor.latestEventTime)
    let before = state.withLock { state in
      defer {
        state.now[partition] = totals
        state.eventTime = max(state.eventTime, time)
      }
      return state.now[partition] ?? Totals()
    }
    metrics.noteBatch(totals.increase(over: before), bytes: bytes, of: processor)
    metrics.noteQueue(batches: waiting)
  }

  /// Models of a detector were put on record; 0 says that there is a detector that may get one.
  func noteActivations(_ number: Int, of detector: String) { metrics.noteActivations(number, of: detector) }

  func noteCheckpoint(of partition: PartitionID, taking duration: Duration) {
    metrics.noteCheckpoint(of: partition, taking: duration)
  }

  public var snapshot: Snapshot {
    let state = state.withLock { $0 }
    var snapshot = Snapshot()
    snapshot.eventTime = state.eventTime
    for (partition, totals) in state.now {
      snapshot.all = snapshot.all + totals
      snapshot.run = snapshot.run + (totals - (state.before[partition] ?? Totals()))
    }
    return snapshot
  }
}
