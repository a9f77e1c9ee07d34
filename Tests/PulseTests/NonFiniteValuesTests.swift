// Infinity and NaN are values, NULL is none: every command and the store tell them apart, and finite numbers stay numbers
// for SQL.

import Foundation
import GRDB
import TestKit
import Testing

@Suite("Numbers that are not finite")
struct NonFiniteValuesTests {
  private static let pipeline = """
    name: ratios
    event:
      time: at
      key: user
      fields:
        at: {type: timestamp, required: true, format: seconds}
        user: {type: string, required: true}
        x: {type: double}
        y: {type: double}
    features:
      ratio: x / y
    rules:
      - {name: steep, per: user, within: 1m, having: sum(ratio) > 10, reason: 'a sum of {sum(ratio)}'}
      - {name: flat, per: user, within: 1m, having: min(ratio) < -10}
    windows:
      - name: minutes
        type: tumbling
        size: 1m
        by: [user]
        aggregates:
          total: sum(ratio)
          none: sum(y * NULL)
          whole: sum(x)
          half: 'quantile(ratio, 0.5)'
          spread: stddev(ratio)
    """

  private static let events = """
    {"at": 1700000000, "user": "up", "x": 1, "y": 0}
    {"at": 1700000001, "user": "up", "x": 2.5, "y": 1}
    {"at": 1700000002, "user": "down", "x": -1, "y": 0}
    {"at": 1700000003, "user": "both", "x": 1, "y": 0}
    {"at": 1700000004, "user": "both", "x": -1, "y": 0}
    {"at": 1700000005, "user": "huge", "x": 1e308, "y": 1}
    {"at": 1700000006, "user": "huge", "x": 1e308, "y": 1}

    """

  @Test("are words in JSON, and NULL is null")
  func words() throws {
    let folder = try TestFolder()
    try folder.write("UseCases/ratios/pipeline.yaml", Self.pipeline)
    try folder.write("events.ndjson", Self.events)
    try PulseCommand.shell("$PULSE run --use-case ratios --source events.ndjson --data data --quiet", in: folder)
      .expect(0)
    let windows = try PulseCommand.run("windows", "--data", folder / "data", "--json").rows()
    var found: [String: [String: Any]] = [:]
    for window in windows {
      found[try #require(window["user"] as? String)] = window["aggregates"] as? [String: Any]
    }
    #expect(found.mapValues { $0["total"] as? String } == ["up": "inf", "down": "-inf", "both": "nan", "huge": "inf"])
    #expect(found.values.allSatisfy { $0["none"] is NSNull })
    #expect(found["up"]?["whole"] as? Double == 3.5 && found["down"]?["whole"] as? Double == -1)
    #expect(found["down"]?["half"] as? String == "-inf" && found["down"]?["spread"] is NSNull)
    #expect(found["both"]?["spread"] as? String == "nan" && (found["huge"]?["half"] as? Double ?? 0) > 0.99e308)
    let table = try PulseCommand.run("windows", "--data", folder / "data")
    #expect(table.output.contains("total=inf") && table.output.contains("none=null"))

    let anomalies = try PulseCommand.run("anomalies", "--data", folder / "data", "--json").rows()
    let steep = try #require(anomalies.first { $0["detector"] as? String == "steep" && $0["key"] as? String == "up" })
    #expect((steep["reason"] as? String)?.contains("inf") == true && steep["score"] as? Double == 1e9)
    let explanation = try #require(steep["explanation"] as? [String: Any])
    let parts = try #require(explanation["contributions"] as? [[String: Any]])
    #expect(parts.contains { $0["value"] as? String == "inf" }, "\(explanation)")
    #expect(explanation["range"] as? [AnyHashable] == ["-inf", 10.0], "\(explanation)")

    // SQL has windows that have closed.
    let close = "$PULSE run --use-case ratios --source events.ndjson --data data --quiet --close"
    try PulseCommand.shell(close, in: folder).expect(0)
    try DatabaseQueue(path: folder / "data/pulse.sqlite").read { database in
      let rows = try Row.fetchAll(
        database,
        sql: """
          SELECT by_values ->> 'user' AS user, typeof(aggregates ->> 'whole') AS type, aggregates ->> 'whole' AS whole,
            aggregates ->> 'total' AS total, aggregates ->> 'none' AS none FROM windows
          """)
      #expect(rows.count == 4 && rows.allSatisfy { ($0["none"] as String?) == nil })
      #expect(rows.allSatisfy { $0["type"] == ($0["user"] == "huge" ? "text" : "real") })
      #expect(try #require(rows.first { $0["user"] == "up" })["total"] == "inf")
      #expect(try #require(rows.first { $0["user"] == "down" })["whole"] == -1.0)
    }
  }
}
