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
