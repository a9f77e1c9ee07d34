// What a run has done so far, for the progress line and the summary, and on to metrics. Updated once per batch.

public import Detection
import Synchronization

/// A partition of which nothing comes. That its windows are closed may be announced, and is taken back by the next event:
/// it is no result, and nothing that is stored depends on it.
public struct IdlePartition: Sendable, Hashable {
  /// Behind the last event.
  public var position: Position
  /// Windows that start up to then would close now if the input was at its end, microseconds; nil without events.
  public var windowsThrough: Int64?
}

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
    /// Partitions of which nothing has come for a while.
    public var idle: [PartitionID: IdlePartition] = [:]
    /// Breaks of the input that were accepted and put on record.
    public var gaps: [InputGap] = []
    /// Fields of the schema, by their index, of which no record of this run had a value; empty before the first batch.
    public var absentFields: Set<Int> = []
    /// Checkpoints that are durable, and what the longest of them and all together took.
    public var checkpoints = 0
    public var longestCheckpoint = Duration.zero
    public var checkpointTime = Duration.zero
    /// The most bytes that the state of all partitions took so far, as it is counted against `memory`.
    public var stateBytes = 0
    /// What the source last said of itself.
    public var source = SourceFigures()
    /// Events that earlier runs had processed.
    public var resumedRecords: Int { all.records - run.records }
  }

  private struct State: Sendable {
    var before: [PartitionID: Totals] = [:]
    var now: [PartitionID: Totals] = [:]
    /// What was processed of partitions in earlier assignments to this run.
    var earlier = Totals()
    var idle: [PartitionID: IdlePartition] = [:]
    var gaps: [InputGap] = []
    /// Nil before the first batch.
    var absentFields: Set<Int>?
    var eventTime = Int64.min
    var checkpoints = 0
    var longestCheckpoint = Duration.zero
    var checkpointTime = Duration.zero
    var stateBytes = 0
    var source = SourceFigures()
  }

  private let state = Mutex(State())
  private let metrics: RunMetrics
  private let own: UseCaseMetrics

  /// - Parameter own: the metrics of the use case's own.
  init(metrics: RunMetrics, own: [CompiledMetric] = []) {
    self.metrics = metrics
    self.own = UseCaseMetrics(own)
  }

  func start(_ partition: PartitionID, from totals: Totals) {
    state.withLock { state in
      if let before = state.before[partition], let now = state.now[partition] {
        state.earlier = state.earlier + (now - before)
      }
      state.before[partition] = totals
      state.now[partition] = totals
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
        state.idle[partition] = nil
        state.eventTime = max(state.eventTime, time)
      }
      return state.now[partition] ?? Totals()
    }
    metrics.noteBatch(totals.increase(over: before), bytes: bytes, of: processor)
    metrics.noteQueue(batches: waiting)
  }

  /// A batch has gone through its lane, as these pieces.
  func note(_ pieces: [StagedWork], behind stamp: BatchStamp) {
    for piece in pieces { own.add(piece.staged.metrics) }
    state.withLock { state in
      for piece in pieces {
        state.absentFields = state.absentFields?.intersection(piece.staged.absentFields) ?? piece.staged.absentFields
      }
    }
    metrics.noteProcessed(taking: .now - stamp.readAt)
  }

  /// What a batch found is stored.
  func noteStored(_ stamp: BatchStamp) {
    metrics.noteStored(stamp.records, taking: .now - stamp.readAt)
    if let newest = stamp.newest { metrics.noteStored(appendedAt: newest) }
  }

  /// The metrics of the use case's own, as this run has counted them.
  public var ownMetrics: [MetricTotals] { own.now }

  /// Nothing has come of a partition for a while.
  func noteIdle(_ processor: PartitionProcessor) {
    let idle = IdlePartition(position: processor.position, windowsThrough: processor.closingTime)
    state.withLock { $0.idle[processor.partition] = idle }
  }

  /// A partition is not this process's any more.
  func end(_ partition: PartitionID) { state.withLock { $0.idle[partition] = nil } }

  func noteGaps(_ gaps: [InputGap]) { state.withLock { $0.gaps += gaps } }

  /// Models of a detector were put on record; 0 says that there is a detector that may get one.
  func noteActivations(_ number: Int, of detector: String) { metrics.noteActivations(number, of: detector) }

  func noteCheckpoint(of partition: PartitionID, taking duration: Duration) {
    state.withLock { state in
      state.checkpoints += 1
      state.checkpointTime += duration
      state.longestCheckpoint = max(state.longestCheckpoint, duration)
    }
    metrics.noteCheckpoint(of: partition, taking: duration)
  }

  /// What the state of all partitions takes.
  func noteState(bytes: Int) {
    state.withLock { $0.stateBytes = max($0.stateBytes, bytes) }
    metrics.noteState(bytes: bytes)
  }

  /// What the source says of itself. One caller at a time.
  func note(_ figures: SourceFigures) {
    let before = state.withLock { state in
      defer { state.source = figures }
      return state.source
    }
    metrics.noteSource(figures, after: before)
  }

  public var snapshot: Snapshot {
    let state = state.withLock { $0 }
    var snapshot = Snapshot()
    snapshot.eventTime = state.eventTime
    snapshot.idle = state.idle
    snapshot.gaps = state.gaps
    snapshot.source = state.source
    snapshot.absentFields = state.absentFields ?? []
    (snapshot.checkpoints, snapshot.stateBytes) = (state.checkpoints, state.stateBytes)
    (snapshot.longestCheckpoint, snapshot.checkpointTime) = (state.longestCheckpoint, state.checkpointTime)
    snapshot.run = state.earlier
    for (partition, totals) in state.now {
      snapshot.all = snapshot.all + totals
      snapshot.run = snapshot.run + (totals - (state.before[partition] ?? Totals()))
    }
    return snapshot
  }
}
