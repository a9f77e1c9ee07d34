// Real input: the sample of New York's yellow taxis, with the counts that UseCases/nyc-taxi/README.md derives by SQL.

import Foundation
import TestKit
import Testing

@Suite("Taxi trips of New York")
struct TaxiTests {
  private static let file: String? = {
    let below = "/shared/data/nyc-taxi/yellow_2018_2019_sample.parquet"
    let path = URL(fileURLWithPath: PulseCommand.package).deletingLastPathComponent().path + below
    return FileManager.default.fileExists(atPath: path) ? path : nil
  }()

  @Test("the inferred use case reads them", .enabled(if: Self.file != nil, "the sample of taxi trips is not there"))
  func inferred() throws {
    let folder = try TestFolder()
    let inferred = try PulseCommand.run("infer", try #require(Self.file))
    inferred.expect(0)
    try folder.write("case/pipeline.yaml", inferred.output)
    let outcome = try PulseCommand.run(
      "run", "--use-case", folder / "case", "--source", try #require(Self.file), "--data", folder / "data", "--json",
      timeout: 120)
    outcome.expect(0)
    #expect(try outcome.object()["events"] as? Int ?? 0 > 239_759, "less than 99.9 %: \(outcome)")
  }

  @Test("the published counts", .enabled(if: Self.file != nil, "the sample of taxi trips is not there"))
  func counts() throws {
    let folder = try TestFolder()
    let outcome = try PulseCommand.run(
      "run", "--use-case", PulseCommand.useCase("nyc-taxi"), "--source", try #require(Self.file), "--data",
      folder / "data", "--json", timeout: 120)
    outcome.expect(0)
    let totals = try #require(try outcome.object()["totals"] as? [String: Any])
    #expect(totals["records"] as? Int == 239_999)
    #expect(totals["events"] as? Int == 239_985)
    #expect((totals["dead_letters"] as? [String: Int])?.values.reduce(0, +) == 14)
    #expect(
      totals["anomalies"] as? [String: Int] == [
        "negative_fare": 308, "absurd_fare": 59, "impossible_speed": 173, "impossible_distance": 3,
        "meter_left_running": 538, "refunds_in_zone": 5,
      ])
    #expect(
      totals["classes"] as? [String: Int] == [
        "jfk": 5968, "newark": 534, "suburban": 186, "negotiated": 1204, "metered": 232_093,
      ])
    let letters = try PulseCommand.run("dead-letters", "--data", folder / "data", "--json", "--limit", "0").rows()
    #expect(
      letters.count { $0["reason"] as? String == "out_of_range" && $0["field"] as? String == "trip_distance" } == 12)
    #expect(letters.count { $0["reason"] as? String == "failed_check" } == 2)
    let status = try PulseCommand.run("status", "--data", folder / "data", "--json").rows()
    #expect(status.first?["windows"] as? Int == 195_673)
    #expect(status.first?["history_rows"] as? Int == 239_985)
    let days = try FileManager.default.contentsOfDirectory(atPath: folder / "data/history/nyc-taxi")
    #expect(days.count == 730)
    try expectKnownWindow(folder)
  }

  @Test("the forest finds the absurd fares", .enabled(if: Self.file != nil, "the sample of taxi trips is not there"))
  func absurdFares() throws {
    let folder = try TestFolder()
    let file = try #require(Self.file)
    func run(_ arguments: String...) throws {
      try PulseCommand.run(
        ["run", "--use-case", PulseCommand.useCase("nyc-taxi"), "--source", file, "--data", folder / "data", "--quiet"]
          + arguments, timeout: 120
      ).expect(0)
    }
    try run()
    let training = try PulseCommand.run(
      "train", PulseCommand.useCase("nyc-taxi"), "--data", folder / "data", "--json", timeout: 120)
    training.expect(0)
    let outcome = try #require((try training.object()["outcomes"] as? [[String: Any]])?.first)
    #expect(outcome["result"] as? String == "promoted", "\(training)")
    // Models stay, so that all trips are scored with the one of 2019.
    try run("--reset")
    let anomalies = try PulseCommand.run(
      "anomalies", "--data", folder / "data", "--detector", "unusual_trip", "--limit", "0", "--json"
    ).rows().sorted { ($0["score"] as? Double ?? 0) > ($1["score"] as? Double ?? 0) }
    func fare(_ anomaly: [String: Any]) -> Double {
      (anomaly["event"] as? [String: Any])?["fare_amount"] as? Double ?? 0
    }
    // A budget of one in a thousand of 239,985 trips.
    #expect((100...400).contains(anomalies.count))
    for absurd in [429_490.2, 3_004] {
      let rank = try #require(anomalies.firstIndex { fare($0) == absurd }, "\(absurd) is no anomaly")
      #expect(rank < 10, "\(absurd) is number \(rank + 1)")
      let explanation = try #require(anomalies[rank]["explanation"] as? [String: Any])
      let first = (explanation["contributions"] as? [[String: Any]])?.first?["feature"] as? String
      #expect(first == "fare_amount", "\(anomalies[rank])")
      #expect((anomalies[rank]["reason"] as? String)?.contains("mostly for fare_amount") == true)
    }
  }

  /// LaGuardia, one morning.
  private func expectKnownWindow(_ folder: TestFolder) throws {
    let rows = try PulseCommand.run(
      "windows", "--data", folder / "data", "--json", "--limit", "0", "--since", "2018-11-27T10:00:00Z", "--until",
      "2018-11-27T11:00:00Z"
    ).rows()
    let window = try #require(rows.first { $0["pickup_location_id"] as? Int == 138 }, "\(rows.count) windows")
    let aggregates = try #require(window["aggregates"] as? [String: Any])
    let values = aggregates.values.compactMap { $0 as? Double }
    for expected in [7, 264, 45, 2559.142857, 6] {
      #expect(values.contains { abs($0 - expected) < 1e-6 }, "\(expected) is not in \(aggregates)")
    }
  }
}
