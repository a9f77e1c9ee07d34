// What /metrics answers: the text, its bound, requests by route, and what is read of the store.

import Detection
import Foundation
import HTTPTypes
import Metrics
import Pipeline
import Testing

@testable import Server

/// Series of an answer, by name and labels as they are written.
struct Scraped {
  let values: [String: Double]
  let text: String

  init(_ text: String) {
    self.text = text
    values = Dictionary(
      text.split(separator: "\n").filter { !$0.hasPrefix("#") }.compactMap { line in
        line.lastIndex(of: " ").flatMap { place in
          Double(line[line.index(after: place)...].replacing("+Inf", with: "inf")).map { (String(line[..<place]), $0) }
        }
      }, uniquingKeysWith: { $1 })
  }

  subscript(series: String) -> Double? { values[series] }
}

@Suite("Metrics for Prometheus", .timeLimit(.minutes(15)))
struct MetricTests {
  @Test("the text of both formats")
  func text() {
    let registry = MetricRegistry()
    Counter(label: "jobs.done", dimensions: [("kind", "a\"b\\c\nd")], factory: registry).increment(by: 3)
    Gauge(label: "level", dimensions: [("z", "1"), ("a", "2")], factory: registry).record(0.25)
    Gauge(label: "silent", factory: registry).destroy()
    Gauge(label: "unbounded", factory: registry).record(-Double.infinity)
    let page = MetricPage(registry.families, refused: registry.refused)
    let dropped = "# HELP pulse_metric_series_dropped \(MetricHelp.text(of: MetricPage.droppedName))\n"
    let rest = "\(dropped)# TYPE pulse_metric_series_dropped gauge\npulse_metric_series_dropped 0\n"
    #expect(
      page.text(.text) == #"""
        # HELP jobs_done_total jobs done total
        # TYPE jobs_done_total counter
        jobs_done_total{kind="a\"b\\c\nd"} 3
        # HELP level level
        # TYPE level gauge
        level{a="2",z="1"} 0.25
        # HELP unbounded unbounded
        # TYPE unbounded gauge
        unbounded -Inf

        """# + rest)
    let open = page.text(.openMetrics)
    #expect(open.contains("# TYPE jobs_done counter\njobs_done_total{") && open.hasSuffix("dropped 0\n# EOF\n"))
  }

  @Test("a duration counts for as many events as it is of, in buckets that add up")
  func durations() throws {
    let registry = MetricRegistry()
    let timer = registry.makeTimer(label: "pulse_event_latency_seconds", dimensions: [])
    let weighted = try #require(timer as? any WeightedTimer)
    weighted.recordNanoseconds(3_000_000, times: 4_096)
    weighted.recordNanoseconds(700_000_000, times: 10)
    timer.recordNanoseconds(-5)
    timer.recordNanoseconds(.max)
    weighted.recordNanoseconds(1, times: 0)
    let page = Scraped(MetricPage(registry.families, refused: 0).text(.text))
    func bucket(_ bound: String) -> Double? { page["pulse_event_latency_seconds_bucket{le=\"\(bound)\"}"] }
    #expect(bucket("0.001") == 1 && bucket("0.002") == 1 && bucket("0.005") == 4_097 && bucket("0.5") == 4_097)
    #expect(bucket("1.0") == 4_107 && bucket("30.0") == 4_107 && bucket("+Inf") == 4_108)
    #expect(page["pulse_event_latency_seconds_count"] == 4_108)
    let sum = try #require(page["pulse_event_latency_seconds_sum"])
    #expect(abs(sum - (4_096 * 0.003 + 7 + Double(Int64.max) / 1e9)) < 1e-3 * sum)
  }

  @Test("however much is recorded, an answer has 2,000 series, and says how many it leaves out")
  func bound() {
    let registry = MetricRegistry()
    for number in 0..<3_000 {
      Counter(label: "pulse_events_total", dimensions: [("use_case", "u\(number)")], factory: registry).increment()
    }
    // Another type of the same name has no place.
    Gauge(label: "pulse_events_total", factory: registry).record(1)
    var families = MetricFamilies()
    for number in 0..<100 { families.add("pulse_build_info", .gauge, [("version", "\(number)")], 1) }
    for family in registry.families { families.add(family) }
    let page = Scraped(MetricPage(families.all, refused: registry.refused).text(.text))
    #expect(page.values.count == MetricPage.mostSeries)
    #expect(page[MetricPage.droppedName] == Double(3_000 + 1 + 100 + 1 - MetricPage.mostSeries))
    // A histogram is left out as a whole.
    let wide = MetricFamily(
      name: "wide", kind: .histogram, help: "h",
      series: [
        .init(labels: [], content: .histogram(HistogramContent(bounds: [1, 2], counts: [1, 1, 1], sum: 3)))
      ])
    let full = MetricPage(families.all.map { $0 } + [wide], refused: 0).text(.text)
    #expect(!full.contains("wide"))
  }

  @Test("OpenMetrics is answered to whoever asks for it")
  func formats() async throws {
    let served = try await ServedFixture(events: 2_000)
    let plain = try await served.get("/metrics")
    #expect(plain.headers[.contentType] == "text/plain; version=0.0.4; charset=utf-8")
    #expect(plain.headers[.cacheControl] == "no-store" && plain.headers[.vary]?.contains("Accept") == true)
    let prometheus =
      "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,*/*;q=0.1"
    let open = try await served.get("/metrics", [.accept: prometheus])
    #expect(open.headers[.contentType]?.hasPrefix("application/openmetrics-text; version=1.0.0") == true)
    #expect(open.text.hasSuffix("# EOF\n"))
    let refused = try await served.get("/metrics", [.accept: "application/openmetrics-text; q=0, text/plain"])
    #expect(!refused.text.contains("# EOF"))
  }

  @Test("requests are counted by route, and addresses that are none together")
  func requests() async throws {
    let served = try await ServedFixture(events: 2_000)
    _ = try await served.get("/api/v1/use-cases/redset/anomalies?limit=1")
    _ = try await served.get("/api/v1/use-cases/redset/anomalies?limit=x")
    _ = try await served.get("/api/v1/use-cases/nothing/anomalies")
    for number in 0..<50 { _ = try await served.get("/api/v2/\(number)/secret/x/y/z") }
    _ = try await served.ask(.put, "/api/v1/use-cases")
    _ = try await served.ask(.init("BREW")!, "/pot/\(UUID().uuidString)/of/tea/a/b")
    _ = try await served.ask(.head, "/healthz")
    let page = Scraped(try await served.get("/metrics").text)
    func count(_ route: String, _ method: String, _ status: String) -> Double? {
      page["pulse_http_requests_total{method=\"\(method)\",route=\"\(route)\",status=\"\(status)\"}"]
    }
    let anomalies = "/api/v1/use-cases/{use_case}/anomalies"
    #expect(count(anomalies, "GET", "2xx") == 1 && count(anomalies, "GET", "4xx") == 2)
    #expect(count("unknown", "GET", "4xx") == 50 && count("unknown", "PUT", "4xx") == 1)
    #expect(count("unknown", "other", "4xx") == 1 && count("/healthz", "HEAD", "2xx") == 1)
    #expect(!page.text.contains("secret") && !page.text.contains("BREW"))
    let labels = "method=\"GET\",route=\"\(anomalies)\",status=\"4xx\""
    #expect(page["pulse_http_request_duration_seconds_count{\(labels)}"] == 2)
    #expect(page["pulse_http_request_duration_seconds_bucket{\(labels),le=\"+Inf\"}"] == 2)
  }

  @Test("what the store holds is told, with what people said of it")
  func stored() async throws {
    let served = try await ServedFixture()
    let stored = try await served.stored()
    let groups = Dictionary(grouping: stored) { AnomalyID.parts(of: $0)?.detector ?? "" }
    let (judged, ids) = try #require(groups.filter { $0.value.count > 2 }.min { $0.key < $1.key })
    for (id, verdict) in zip(ids, ["confirmed", "confirmed", "false_alarm"]) {
      let address = "/api/v1/use-cases/redset/anomalies/\(ServedFixture.escaped(id))/feedback"
      #expect(try await served.post(address, #"{"verdict":"\#(verdict)"}"#).status == 200)
    }
    let page = Scraped(try await served.get("/metrics").text)
    let status = try await served.services.live.status(of: served.served)
    #expect(page["pulse_store_up{use_case=\"redset\"}"] == 1)
    #expect(page["pulse_stored_records_total{use_case=\"redset\"}"] == Double(status.records))
    // It is there before the first of them.
    #expect(page["pulse_stored_unusable_records_total{use_case=\"redset\"}"] == Double(status.deadLetters))
    for detector in ["large_spill", "queue_storm", "repeated_aborts", "slow_query", "outlier"] {
      let found = page["pulse_stored_anomalies_total{use_case=\"redset\",detector=\"\(detector)\"}"]
      #expect(found == Double(stored.count { $0.hasSuffix(".\(detector)") }), "\(detector)")
    }
    let watermark = try #require(status.watermark)
    #expect(page["pulse_stored_watermark_timestamp_seconds{use_case=\"redset\"}"] == Double(watermark) / 1e6)
    // Its times are made up: there is no lag.
    #expect(page["pulse_lag_seconds{use_case=\"redset\"}"] == nil)
    for component in status.components {
      let states = UseCaseStatus.State.allCases.map {
        page["pulse_component_state{use_case=\"redset\",component=\"\(component.name)\",state=\"\($0.rawValue)\"}"]
      }
      #expect(states == UseCaseStatus.State.allCases.map { $0 == component.state ? 1 : 0 })
    }
    let labels = "use_case=\"redset\",detector=\"\(judged)\""
    #expect(page["pulse_feedback_findings{\(labels),verdict=\"confirmed\"}"] == 2)
    #expect(page["pulse_feedback_precision_ratio{\(labels)}"] == 2.0 / 3)
    #expect(page["pulse_training_interval_seconds{use_case=\"redset\"}"] == 86_400)
  }

  @Test("a token of another use case learns nothing of this one")
  func access() async throws {
    let token = String(repeating: "t", count: 40)
    let served = try await ServedFixture(
      events: 2_000, tokens: "shop read \(token) shop", isLocal: false, isReadingClosed: true)
    Counter(
      label: "pulse_records_total", dimensions: [("use_case", "redset")], factory: served.services.metrics
    ).increment()
    #expect(try await served.get("/metrics").status == 401)
    let page = try await served.get("/metrics", [.authorization: "Bearer \(token)"])
    #expect(page.status == 200 && page.text.contains("pulse_build_info") && !page.text.contains("redset"))
  }

  @Test("each metric has a line of its page")
  func documented() throws {
    let page = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("docs/metrics.md")
    let text = try String(contentsOf: page, encoding: .utf8)
    for name in MetricHelp.texts.keys { #expect(text.contains("`\(name)`"), "\(name)") }
  }

  @Test(
    "figures of the process",
    .enabled(if: FileManager.default.fileExists(atPath: "/proc/self/stat"), "needs /proc, which is not there"))
  func process() throws {
    let families = ProcessFigures.families()
    func value(_ name: String) -> Double? {
      guard case .value(let value)? = families.first(where: { $0.name == name })?.series.first?.content else {
        return nil
      }
      return value
    }
    let (memory, time) = (value("process_resident_memory_bytes"), value("process_cpu_seconds_total"))
    #expect(memory ?? 0 > 1e6 && time ?? 0 > 0)
    let start = try #require(value("process_start_time_seconds"))
    #expect((0..<86_400).contains(Date().timeIntervalSince1970 - start))
    let (open, most) = (value("process_open_fds") ?? 0, value("process_max_fds") ?? 0)
    #expect(open >= 3 && open <= most)
    for family in families { #expect(MetricHelp.texts[family.name] != nil, "\(family.name)") }
  }
}
