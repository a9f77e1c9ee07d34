// What the users of other systems have: each system with a use case like theirs, events of which the numbers are known, and
// the requests that its documentation shows.

import Detection
import HTTPTypes
import Testing

@testable import Server

/// A request as it is documented, and what comes of it here.
struct ReplacedRequest: Sendable, CustomStringConvertible {
  var method: HTTPRequest.Method
  var target: String
  var body: String
  var status: Int
  /// Places in the answer that are there: `items/0/score`.
  var keys: [String]
  /// Places with what they hold; behind `#` it is how many there are.
  var figures: [String: JSONValue]

  var description: String { "\(method.rawValue) \(target)" }

  static func get(
    _ target: String, _ status: Int = 200, has keys: String..., where figures: [String: JSONValue] = [:]
  ) -> ReplacedRequest {
    ReplacedRequest(method: .get, target: target, body: "", status: status, keys: keys, figures: figures)
  }

  static func post(
    _ target: String, _ body: String, _ status: Int = 200, has keys: String..., where figures: [String: JSONValue] = [:]
  ) -> ReplacedRequest {
    ReplacedRequest(method: .post, target: target, body: body, status: status, keys: keys, figures: figures)
  }

  /// What is done in another way.
  static func elsewhere(_ target: String, _ body: String) -> ReplacedRequest {
    .post(target, body, 410, has: "detail", where: ["title": .string("It is done in another way here")])
  }
}

enum ReplacedSystem: String, CaseIterable, Sendable {
  case queryWatch, configuredUseCases, pipelineToolkit, userSignals

  /// A server with what the system had.
  func served() async throws -> ServedFixture {
    switch self {
    case .queryWatch: try await ServedFixture()
    case .configuredUseCases:
      try await ServedFixture { try await ServedFixture.run(Self.trips, over: Self.tripEvents, in: $0) }
    case .pipelineToolkit:
      try await ServedFixture { try await ServedFixture.run(Self.toolkit, over: Self.toolkitEvents, in: $0) }
    case .userSignals:
      try await ServedFixture { try await ServedFixture.run(Self.signals, over: Self.signalEvents, in: $0) }
    }
  }

  var requests: [ReplacedRequest] {
    switch self {
    case .queryWatch: Self.queryWatchRequests
    case .configuredUseCases: Self.tripRequests
    case .pipelineToolkit: Self.toolkitRequests
    case .userSignals: Self.signalRequests
    }
  }

  // MARK: Query watch

  private static let queryWatchRequests: [ReplacedRequest] =
    [
      .get(
        "/api/status", has: "components/0/state", "records_per_second", "lag_seconds",
        where: ["use_case": .string("redset"), "records": .integer(30_000)]),
      .get("/api/instances", has: "series/0/name", "series/0/severe", "series/0/values/0", "rule/factor"),
      .get("/api/instances/critical", has: "series", "rule/least_severe"),
      .get("/api/metrics?ids=", has: "series/0/values/0", where: ["step": .integer(1_800)]),
      .get("/api/metrics?ids=3,7", has: "series/0/label", "series/0/total", "series/0/previous"),
      .get("/api/classification/chart?ids=3,7", has: "series/0/name", "series/0/values/0"),
      .get(
        "/api/classification/table?ids=3,7", has: "items/0/share", where: ["items/0/name": .string("network_bound")]),
      .get("/api/anomalies?ids=3,7", has: "items", "total", "next"),
      .get("/api/critical/types?ids=3,7", has: "items"),
    ]
    + ["cpu_bound", "io_bound", "network_bound", "queue_wlm_bound", "normal"].map { name in
      .get(
        "/api/recommendations/\(name)", has: "markdown", where: ["problem": .string(name), "kind": .string("class")])
    }

  // MARK: Use cases as configuration

  private static let trips = """
    name: nyc_taxi
    event:
      time: at
      fields:
        at: {type: timestamp, required: true}
        trip_duration: {type: double, required: true, min: 0}
        trip_distance: {type: double, required: true, min: 0}
        fare_amount: {type: double, required: true}
        total_amount: {type: double, required: true}
    rules:
      - {name: long_trip, severity: medium, when: trip_duration > 1500}
      - {name: fare_discrepancy, severity: high, when: total_amount < fare_amount}
    """

  /// A trip a minute.
  private static let tripEvents = (0..<100).map { index in
    let time = Timestamp.formatWithinRange((1_709_287_200 + Int64(index) * 60) * 1_000_000)
    return #"{"at":"\#(time)","trip_duration":\#(600 + index),"trip_distance":2.5,"fare_amount":9.5,"total_amount":12}"#
  }

  private static let tripRequests: [ReplacedRequest] = [
    .post(
      "/predict", #"{"trip_duration": 1800.0, "trip_distance": 5.2, "fare_amount": 15.50, "total_amount": 18.50}"#,
      has: "items/0/score", "items/0/verdicts/0/reason", "silent",
      where: [
        "items/#": .integer(1), "items/0/is_anomaly": .bool(true), "items/0/severity": .string("medium"),
        "items/0/verdicts/0/detector": .string("long_trip"),
      ]),
    // Types and rules by context, with the place of what is wrong.
    .post(
      "/predict", #"{"trip_duration": -1, "trip_distance": 5.2, "fare_amount": 15.50, "total_amount": 18.50}"#, 422,
      has: "detail", where: ["errors/0/place": .string("/0/trip_duration")]),
    .post("/predict", #"{"trip_duration": "long", "trip_distance": 5.2}"#, 422, has: "errors/0/message"),
    .get("/health", where: ["status": .string("ok")]), .get("/schema", has: "properties/trip_duration/minimum"),
    .get("/docs"), .get("/metrics"),
  ]

  // MARK: A toolkit for pipelines

  private static let toolkit = """
    name: toolkit
    event:
      time: at
      key: metric_name
      fields:
        at: {type: timestamp, required: true, format: seconds}
        metric_name: {type: string, required: true}
        value: {type: double, required: true}
        group_by: {type: string}
    detectors:
      - {name: outlier, type: isolation_forest, features: [value], budget: {rate: 0.01}}
    windows:
      - name: per_metric
        type: tumbling
        size: 1m
        by: [metric_name]
        aggregates: {mean: avg(value), least: min(value), most: max(value), deviation: stddev(value)}
    dashboard:
      figures:
        - {name: events, label: Events, count: events}
        - {name: mean, label: Mean, mean: mean}
    """

  /// Ten minutes; each second one of `cpu`, and every other second one of `a,b%`, whose name a list has to escape.
  private static let toolkitEvents = (0..<600).flatMap { second in
    let time = 1_709_287_200 + second
    return [#"{"at":\#(time),"metric_name":"cpu","value":\#(second % 2 == 0 ? 40 : 60)}"#]
      + (second % 2 == 0 ? [#"{"at":\#(time),"metric_name":"a,b%","value":1,"group_by":"host"}"#] : [])
  }

  private static let toolkitRequests: [ReplacedRequest] = [
    .post(
      "/pipeline/aggregate", #"{"metric_name": "cpu", "value": 42.5, "group_by": "host"}"#, 202, has: "waiting",
      where: ["accepted": .integer(1), "repeated": .bool(false), "rejected/#": .integer(0)]),
    .post("/pipeline/aggregate", #"{"metric_name": "cpu"}"#, 422, where: ["errors/0/place": .string("/0/value")]),
    .get(
      "/pipeline/stats/cpu", has: "from", "to",
      where: [
        "series/0/name": .string("events"), "series/0/total": .integer(600), "series/1/total": .integer(50),
      ]),
    .get("/pipeline/stats/a%2Cb%25", where: ["series/0/total": .integer(300), "series/1/total": .integer(1)]),
    .get(
      "/pipeline/all-stats", has: "items/0/start", "items/0/aggregates/mean", "items/0/aggregates/deviation",
      where: ["items/#": .integer(20)]),
    .post(
      "/pipeline/ml/train",
      #"{"model_name": "outlier", "model_type": "isolation_forest", "feature_keys": ["value"]}"#, 409, has: "detail"),
    .post("/pipeline/ml/train", #"{"model_type": "isolation_forest"}"#, 422, has: "errors/0/message"),
    .elsewhere("/pipeline/ml/predict", #"{"model_name": "outlier", "features": [[42.5]]}"#),
    .get(
      "/pipeline/ml/models", has: "items/0/versions",
      where: ["items/#": .integer(1), "items/0/detector": .string("outlier")]),
    .elsewhere(
      "/pipeline/spark/process",
      #"{"events": [{"value": 1}], "operation": "time_window_metrics", "window_minutes": 5}"#),
    .get("/pipeline/spark/status", has: "components/0/state", where: ["records": .integer(900)]),
  ]

  // MARK: User signals

  private static let signals = """
    name: user_signals
    event:
      time: timestamp
      key: user_id
      fields:
        user_id: {type: int, required: true}
        type: {type: string, required: true}
        timestamp: {type: timestamp, required: true, format: milliseconds}
        amount: {type: double}
    rules:
      - {name: large_purchase, severity: high, when: amount > 1000}
      - {name: purchase, severity: low, when: amount <= 1000}
    windows:
      - {name: hours, type: tumbling, size: 1h, by: [user_id], aggregates: {n: count(*)}}
    """

  /// Two hours from 2022 on, a signal a minute: of two users in turn. Of the first one each fifth is a purchase, and each
  /// other of those is large.
  private static let signalEvents = (0..<120).map { minute in
    let head = #"{"user_id":\#(minute % 2 == 0 ? 123 : 7),"timestamp":\#(1_640_995_200_000 + minute * 60_000),"type":"#
    return head + (minute % 10 == 0 ? #""purchase","amount":\#(minute % 20 == 0 ? 1500 : 20)}"# : #""login"}"#)
  }

  private static let signalRequests: [ReplacedRequest] = [
    .get(
      "/signals?page=1&size=50&user_id=123&signal_type=login&start_timestamp=1640995200000", has: "items/0/time",
      where: [
        "items/#": .integer(48), "page": .integer(1), "size": .integer(50), "items/0/event/user_id": .integer(123),
      ]),
    .get("/signals?page=2&size=50", where: ["items/#": .integer(50), "page": .integer(2)]),
    .get("/signals?start_timestamp=1640998800000&end_timestamp=1640999400000", where: ["items/#": .integer(10)]),
    .get(
      "/anomalies?page=1&size=50&severity=high", has: "items/0/reason",
      where: ["items/#": .integer(6), "total": .integer(6), "items/0/detector": .string("large_purchase")]),
    .get(
      "/users/123/anomalies", has: "items/0/event",
      where: ["items/#": .integer(12), "items/0/key": .string("123")]),
    .get("/users/7/anomalies", where: ["items/#": .integer(0)]),
    .get(
      "/metrics?hours=24", has: "from", where: ["series/0/name": .string("events"), "series/0/total": .integer(120)]),
    .get("/health", where: ["status": .string("ok")]), .get("/docs"), .get("/metrics"),
    .elsewhere("/configure", #"{"signals_per_second": 2000, "burst_mode": true}"#),
    .elsewhere("/burst", #"{"duration_seconds": 60, "multiplier": 5}"#),
  ]
}
