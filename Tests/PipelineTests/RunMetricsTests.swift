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

  @Test("counters and gauges say what the run did")
  func run() async throws {
    let check = UseCaseChecker.check(text: Self.pipeline)
    let plan = try #require(check.plan, "\(check.rendered)")
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let metrics = TestMetrics()
    let history = MemoryHistory()
    let pipeline = Pipeline(
      plan: plan, version: ConfigurationVersion(plan.useCase, text: Self.pipeline),
      source: MemorySource(Self.records, batchSizes: [64, 10]), store: MemoryStore(history), encoder: history,
      options: Pipeline.Options(
        workers: 2, checkpointInterval: .milliseconds(1), metrics: metrics, unixTime: { 1_700_000_302 }),
      logger: logger)
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
