// The metrics of a whole run, as a monitoring system is given them.

import Configuration
import Detection
import Logging
import Metrics
import MetricsTestKit
import TestKit
import Testing

@testable import Pipeline

@Suite("Metrics", .timeLimit(.minutes(15)))
struct RunMetricsTests {
  private static let pipeline = """
    name: metered
    event:
      time: at
      max_ahead: 1h
      fields:
        at: {type: timestamp, required: true, format: seconds}
        note: {type: string}
    features: {number: CAST(note AS BIGINT)}
    rules:
      - {name: big, when: number > 1000}
    windows:
      - {name: minutes, type: tumbling, size: 1m, aggregates: {n: count(*)}}
    """

  /// 200 events a second apart; then one that is late, one that is far ahead, two that fail and two findings.
  private static let records: [[UInt8]] = {
    let start = 1_700_000_000
    var lines = (0..<200).map { #"{"at": \#(start + $0), "note": "\#($0)"}"# }
    lines.append(#"{"at": \#(start - 600), "note": "1"}"#)
    lines.append(#"{"at": \#(start + 900_000), "note": "1"}"#)
    lines += ["{broken", #"{"note": "1"}"#]
    lines += ["x", "99999999999999999999"].map { #"{"at": \#(start + 200), "note": "\#($0)"}"# }
    lines += (0..<4).map { _ in #"{"at": \#(start + 200), "note": "1"}"# }
    lines += [#"{"at": \#(start + 201), "note": "1001"}"#, #"{"at": \#(start + 202), "note": "1002"}"#]
    return lines.map { Array($0.utf8) }
  }()

  private static func pipeline(
    over source: any Source, into metrics: TestMetrics, unixTime: Double = 1_700_000_302
  ) throws -> Pipeline {
    let check = UseCaseChecker.check(text: pipeline)
    let plan = try #require(check.plan, "\(check.rendered)")
    let history = MemoryHistory()
    return Pipeline(
      plan: plan, version: ConfigurationVersion(plan.useCase, text: pipeline), source: source,
      store: MemoryStore(history), encoder: history,
      options: Pipeline.Options(
        workers: 2, checkpointInterval: .milliseconds(1), metrics: metrics, unixTime: { unixTime }),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
  }

  @Test("what a source says of itself are gauges, and counters by how much it has grown")
  func sourceFigures() async throws {
    let metrics = TestMetrics()
    let (first, second) = (MemorySource.partition(0), MemorySource.partition(1))
    let end = ScriptedSource.Gate()
    let source = ScriptedSource([Self.records], [.assign(0), .batch(0, rows: 300), .until(end)])
    var figures = SourceFigures()
    figures.lag = [first: 700, second: 30]
    figures.rebalances = 1
    figures.passedOver = ["tombstone": 2, "empty": 0]
    figures.fetchedBytes = 4_096
    figures.connection = SourceFigures.Connection(isUp: false, since: 5, error: "refused")
    source.tell(figures)
    let pipeline = try Self.pipeline(over: source, into: metrics)
    async let run: Void = pipeline.run()
    func gauge(_ name: String, _ labels: (String, String)...) -> Double? {
      try? metrics.expectGauge("pulse_source_\(name)", [("use_case", "metered")] + labels).lastValue
    }
    func counter(_ name: String, _ labels: (String, String)...) -> Int64? {
      try? metrics.expectCounter("pulse_source_\(name)_total", [("use_case", "metered")] + labels).totalValue
    }
    func wait(until condition: () -> Bool) async throws {
      let limit = ContinuousClock.now + .seconds(60)
      while !condition(), ContinuousClock.now < limit { try await Task.sleep(for: .milliseconds(2)) }
    }
    try await wait { pipeline.progress.snapshot.source == figures }
    try await wait { counter("records_passed_over", ("kind", "empty")) != nil }
    #expect(gauge("lag_records", ("partition", "memory/0")) == 700)
    #expect(gauge("lag_records", ("partition", "memory/1")) == 30)
    #expect(gauge("fetched_bytes") == 4_096 && gauge("connected") == 0)
    #expect(counter("rebalances") == 1 && counter("records_passed_over", ("kind", "tombstone")) == 2)
    #expect(counter("records_passed_over", ("kind", "empty")) == 0)
    // The second partition is given to somebody else.
    figures.lag = [first: 5]
    (figures.rebalances, figures.passedOver["tombstone"]) = (3, 9)
    figures.connection = SourceFigures.Connection(isUp: true, since: 6)
    source.tell(figures)
    end.open()
    try await run
    #expect(gauge("lag_records", ("partition", "memory/0")) == 5)
    #expect(gauge("lag_records", ("partition", "memory/1")) == 0)
    #expect(gauge("connected") == 1)
    #expect(counter("rebalances") == 3 && counter("records_passed_over", ("kind", "tombstone")) == 9)
    // A source that knows nothing of itself has none of them.
    let others = TestMetrics()
    try await Self.pipeline(over: MemorySource(Self.records, batchSizes: [64]), into: others).run()
    #expect(!others.counters.contains { $0.label.contains("_source_") })
    #expect(!others.recorders.contains { $0.label.contains("_source_") })
    #expect(!others.timers.contains { $0.label.contains("_source_") })
  }

  /// One batch of records that lie in a log since a time.
  private final class LogSource: Source {
    let name = "memory"
    private let source = MemorySource(Array(RunMetricsTests.records.prefix(3)), batchSizes: [3])

    func next() async throws -> SourceEvent {
      let event = try await source.next()
      guard case .batch(let batch) = event else { return event }
      let times: [Int64?] = [1_700_000_290_000_000, 1_700_000_300_000_000, nil]
      return .batch(
        RawBatch(
          partition: batch.partition, positions: batch.positions, payload: batch.payload,
          envelopes: RecordEnvelopes(times.map { RecordEnvelope(timestamp: $0) }), next: batch.next))
    }

    func resume(_ partition: PartitionID, at point: ResumePoint?) async throws -> [InputGap] {
      try await source.resume(partition, at: point)
    }

    func release(_ partition: PartitionID) async { await source.release(partition) }
    func checkpointState(of partition: PartitionID, at position: Position) -> [UInt8] { [] }
    func stop() { source.stop() }
  }

  @Test("the time from the log to the store is that of the newest record of a batch, once a batch")
  func sourceLatency() async throws {
    let metrics = TestMetrics()
    try await Self.pipeline(over: LogSource(), into: metrics).run()
    let timer = try metrics.expectTimer("pulse_source_latency_seconds", [("use_case", "metered")])
    #expect(timer.values == [2_000_000_000])
    // A clock that is behind that of the log makes no time that is negative.
    let early = TestMetrics()
    try await Self.pipeline(over: LogSource(), into: early, unixTime: 1_700_000_295).run()
    #expect(try early.expectTimer("pulse_source_latency_seconds", [("use_case", "metered")]).values == [0])
  }

  @Test("counters and gauges say what the run did")
  func run() async throws {
    let metrics = TestMetrics()
    let pipeline = try Self.pipeline(over: MemorySource(Self.records, batchSizes: [64, 10]), into: metrics)
    try await pipeline.run()

    func counter(_ name: String, _ labels: (String, String)...) throws -> Int64 {
      try metrics.expectCounter("pulse_\(name)_total", [("use_case", "metered")] + labels).totalValue
    }
    let bytes = Self.records.reduce(0) { $0 + $1.count }
    #expect(try counter("records") == 212)
    #expect(try counter("events") == 210)
    #expect(try (Int64(bytes)...Int64(bytes + 212)).contains(counter("read_bytes")))
    #expect(try counter("late_events", ("window", "minutes")) == 1)
    #expect(try counter("ahead_events") == 1)
    #expect(try counter("expression_failures") == 2)
    #expect(try counter("anomalies", ("detector", "big")) == 2)
    #expect(try counter("dead_letters", ("stage", "decode"), ("reason", "malformed")) == 1)
    #expect(try counter("dead_letters", ("stage", "validate"), ("reason", "missing")) == 1)
    #expect(pipeline.progress.snapshot.all.expressionFailures == 2)

    func gauge(_ name: String, _ labels: (String, String)...) throws -> Double? {
      try metrics.expectGauge("pulse_\(name)", [("use_case", "metered")] + labels).lastValue
    }
    let partition = ("partition", "memory/0")
    #expect(try gauge("event_timestamp_seconds", partition) == 1_700_000_202)
    #expect(try gauge("event_lag_seconds", partition) == 1_700_000_302 - 1_700_000_202)
    #expect(try gauge("watermark_timestamp_seconds", partition) == 1_700_000_202)
    #expect(try gauge("checkpoint_timestamp_seconds", partition) == 1_700_000_302)
    #expect(try gauge("queue_batches") == 0)
    let checkpoints = try metrics.expectTimer("pulse_checkpoint_duration_seconds", [("use_case", "metered")])
    #expect(!checkpoints.values.isEmpty)
    // Once a batch: 64, 10, 64, 10, 64 records; what a batch takes until it is done with, and until it is stored.
    for name in ["batch_duration", "event_latency"] {
      let timer = try metrics.expectTimer("pulse_\(name)_seconds", [("use_case", "metered")])
      #expect(timer.values.count == 5 && timer.values.allSatisfy { $0 > 0 }, "\(name): \(timer.values)")
    }
  }
}
