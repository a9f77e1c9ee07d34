// What a run has done so far, for the progress line, the summary and metrics. Updated once per batch.

import Detection
import Metrics
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
  private let events: Counter
  private let deadLetters: Counter
  private let anomalies: Counter
  private let checkpoints: Metrics.Timer

  init(useCase: String) {
    let dimensions = [("use_case", useCase)]
    events = Counter(label: "pulse_events_total", dimensions: dimensions)
    deadLetters = Counter(label: "pulse_dead_letters_total", dimensions: dimensions)
    anomalies = Counter(label: "pulse_anomalies_total", dimensions: dimensions)
    checkpoints = Metrics.Timer(label: "pulse_checkpoint_seconds", dimensions: dimensions)
  }

  func start(_ partition: PartitionID, from totals: Totals) {
    state.withLock {
      $0.before[partition] = totals
      $0.now[partition] = totals
    }
  }

  func update(_ processor: PartitionProcessor, _ results: Results, events count: Int) {
    let (partition, totals, time) = (processor.partition, processor.totals, processor.latestEventTime)
    state.withLock {
      $0.now[partition] = totals
      $0.eventTime = max($0.eventTime, time)
    }
    events.increment(by: count)
    deadLetters.increment(by: results.deadLetters.count)
    anomalies.increment(by: results.anomalies.count)
  }

  func noteCheckpoint(taking duration: Duration) {
    checkpoints.recordNanoseconds(
      duration.components.seconds * 1_000_000_000 + duration.components.attoseconds / 1_000_000_000)
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
