// What a monitoring system sees of a run. Names, units and labels are described in docs/metrics.md. Everything is
// recorded once per batch or checkpoint, never per event, and no label holds an entity.

import Detection
import Metrics
import Synchronization

/// The metrics of one use case. Counts are of this process: what a restart reads again is counted again.
final class RunMetrics: Sendable {
  /// A metric and its labels beside the use case.
  private struct Identity: Hashable {
    var name: String
    var labels: [String]
  }

  private struct State: Sendable {
    var counters: [Identity: Counter] = [:]
    var gauges: [Identity: Gauge] = [:]
    var timers: [Identity: Metrics.Timer] = [:]
  }

  private let useCase: String
  private let factory: any MetricsFactory
  private let unixTime: @Sendable () -> Double
  private let processing: any TimerHandler
  private let latency: any TimerHandler
  private let state = Mutex(State())

  /// - Parameters:
  ///   - factory: of the metrics; nil takes what the program has installed.
  ///   - unixTime: seconds since 1970-01-01 00:00 UTC.
  init(useCase: String, factory: (any MetricsFactory)?, unixTime: @escaping @Sendable () -> Double) {
    self.useCase = useCase
    let factory = factory ?? MetricsSystem.factory
    self.factory = factory
    self.unixTime = unixTime
    (processing, latency) = (
      factory.makeTimer(label: "pulse_batch_duration_seconds", dimensions: [("use_case", useCase)]),
      factory.makeTimer(label: "pulse_event_latency_seconds", dimensions: [("use_case", useCase)])
    )
    // What usually stays at zero is there from the beginning, so that an alert on it can be written.
    for name in ["events", "records", "read_bytes", "ahead_events", "undecided_events", "expression_failures"] {
      count(name, 0)
    }
  }

  /// A batch has gone through its lane.
  /// - Parameters:
  ///   - change: what it added to the counts.
  ///   - bytes: of the records it was read from.
  func noteBatch(_ change: Totals, bytes: Int, of processor: PartitionProcessor) {
    count("records", change.records)
    count("events", change.events)
    count("read_bytes", bytes)
    count("ahead_events", change.aheadEvents)
    count("undecided_events", change.undecidedEvents)
    count("expression_failures", change.expressionFailures)
    for (window, number) in change.lateEvents { count("late_events", number, [("window", window)]) }
    for (name, number) in change.anomalies { count("anomalies", number, [("detector", name)]) }
    for (name, number) in change.deadLetters {
      let parts = name.split(separator: "/").map(String.init)
      count("dead_letters", number, [("stage", parts[0]), ("reason", parts[parts.count - 1])])
    }
    for (name, number) in change.ruleSkips {
      let parts = name.split(separator: "/").map(String.init)
      count("rule_skips", number, [("detector", parts[0]), ("reason", parts[parts.count - 1])])
    }
    let partition = [("partition", Self.name(processor.partition))]
    if processor.latestEventTime != .min {
      let time = Double(processor.latestEventTime) / 1e6
      record("event_timestamp_seconds", time, partition)
      record("event_lag_seconds", unixTime() - time, partition)
    }
    record("waiting_events", Double(processor.totals.waitingEvents), partition)
    if processor.watermarkTime != .min {
      record("watermark_timestamp_seconds", Double(processor.watermarkTime) / 1e6, partition)
    }
  }

  /// A model scores from now on; 0 says that there is a detector that may get one.
  func noteActivations(_ number: Int, of detector: String) {
    count("model_activations", number, [("detector", detector)])
  }

  /// How many batches have been read and not gone through their lane yet.
  func noteQueue(batches: Int) { record("queue_batches", Double(batches), []) }

  /// What the state of all partitions takes.
  func noteState(bytes: Int) { record("state_bytes", Double(bytes), []) }

  /// A batch has gone through its lane.
  /// - Parameter duration: since it was read.
  func noteProcessed(taking duration: Duration) { processing.recordNanoseconds(duration.nanoseconds) }

  /// What was found in a batch is stored.
  /// - Parameters:
  ///   - records: of the batch: each of them has taken as long.
  ///   - duration: since it was read.
  func noteStored(_ records: Int, taking duration: Duration) {
    if let latency = latency as? any WeightedTimer {
      latency.recordNanoseconds(duration.nanoseconds, times: records)
    } else {
      latency.recordNanoseconds(duration.nanoseconds)
    }
  }

  /// What was found in a batch is stored.
  /// - Parameter time: when its newest record was appended to the log that it is from, microseconds since 1970, by the clock of
  ///   whoever did that: one that is ahead of ours makes no duration.
  func noteStored(appendedAt time: Int64) {
    let seconds = max(0, unixTime() - Double(time) / 1e6)
    timer("source_latency_seconds").recordNanoseconds(Int64(seconds * 1e9))
  }

  /// What the source says of itself.
  /// - Parameter before: what it said the last time.
  func noteSource(_ figures: SourceFigures, after before: SourceFigures) {
    for (partition, records) in figures.lag {
      record("source_lag_records", Double(records), [("partition", Self.name(partition))])
    }
    // What is another process's now is not behind here.
    for partition in before.lag.keys where figures.lag[partition] == nil {
      record("source_lag_records", 0, [("partition", Self.name(partition))])
    }
    if let bytes = figures.fetchedBytes { record("source_fetched_bytes", Double(bytes), []) }
    if let connection = figures.connection { record("source_connected", connection.isUp ? 1 : 0, []) }
    if let rebalances = figures.rebalances { count("source_rebalances", rebalances - (before.rebalances ?? 0)) }
    for (kind, number) in figures.passedOver {
      count("source_records_passed_over", number - (before.passedOver[kind] ?? 0), [("kind", kind)])
    }
  }

  /// A checkpoint is durable.
  func noteCheckpoint(of partition: PartitionID, taking duration: Duration) {
    timer("checkpoint_duration_seconds").recordNanoseconds(duration.nanoseconds)
    record("checkpoint_timestamp_seconds", unixTime(), [("partition", Self.name(partition))])
  }

  private static func name(_ partition: PartitionID) -> String { "\(partition.source)/\(partition.number)" }

  private func count(_ name: String, _ number: Int, _ labels: [(String, String)] = []) {
    let identity = Identity(name: name, labels: labels.map(\.1))
    let counter = state.withLock { state in
      if let known = state.counters[identity] { return known }
      let made = Counter(label: "pulse_\(name)_total", dimensions: dimensions(labels), factory: factory)
      state.counters[identity] = made
      return made
    }
    counter.increment(by: number)
  }

  private func record(_ name: String, _ value: Double, _ labels: [(String, String)]) {
    let identity = Identity(name: name, labels: labels.map(\.1))
    let gauge = state.withLock { state in
      if let known = state.gauges[identity] { return known }
      let made = Gauge(label: "pulse_\(name)", dimensions: dimensions(labels), factory: factory)
      state.gauges[identity] = made
      return made
    }
    gauge.record(value)
  }

  private func timer(_ name: String) -> Metrics.Timer {
    let identity = Identity(name: name, labels: [])
    return state.withLock { state in
      if let known = state.timers[identity] { return known }
      let made = Metrics.Timer(label: "pulse_\(name)", dimensions: dimensions([]), factory: factory)
      state.timers[identity] = made
      return made
    }
  }

  private func dimensions(_ labels: [(String, String)]) -> [(String, String)] { [("use_case", useCase)] + labels }
}
