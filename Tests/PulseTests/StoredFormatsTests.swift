// What is stored today is read tomorrow: data directories that earlier versions left in the middle of an input, killed,
// are listed and continued to the same results; what a newer version wrote is refused with a sentence that says so.
// Fixtures/README.md says how they were made.

import CrashKit
import Foundation
import GRDB
import TestKit
import Testing

@Suite("Stored formats")
struct StoredFormatsTests {
  private static let fixtures = PulseCommand.package + "/Tests/PulseTests/Fixtures"

  /// Stores that this version would have left alike, but for formats.
  private static let current: Set<String> = ["store-5", "store-6", "store-6-history-2", "store-7"]

  /// A folder with a copy of a stored data directory as `data`.
  private static func copy(_ store: String) throws -> TestFolder {
    let folder = try TestFolder()
    try FileManager.default.copyItem(atPath: "\(fixtures)/\(store)", toPath: folder / "data")
    return folder
  }

  private static func run(_ folder: TestFolder, into data: String = "data") throws -> Outcome {
    try PulseCommand.shell(
      """
      "$PULSE" run --use-case '\(fixtures)/UseCase' --source - --source-name events --data \(data) --quiet \
        < '\(fixtures)/events.ndjson'
      """, in: folder)
  }

  @Test(
    "a store of an earlier version is read and continued",
    arguments: ["store-1", "store-2", "store-3", "store-4", "store-5", "store-6", "store-6-history-2", "store-7"])
  func continued(_ store: String) throws {
    let folder = try Self.copy(store)
    let status = try PulseCommand.run("status", "--data", folder / "data", "--json").rows()
    #expect(status.first?["records"] as? Int == 250)
    #expect(status.first?["history_rows"] as? Int == 241)
    let windows = try PulseCommand.run("windows", "--data", folder / "data", "--json", "--limit", "0").rows()
    // The watermark begins with the eighth event since, so that of two windows the only events are late.
    #expect(windows.count == (Self.current.contains(store) ? 209 : 211))
    #expect(windows.filter { $0["closed"] as? Bool == false }.count == 8)
    for window in windows {
      let aggregates = try #require(window["aggregates"] as? [String: Any])
      #expect(aggregates["n"] as? Int == window["events"] as? Int)
    }
    for command in ["anomalies", "dead-letters"] {
      let all = try PulseCommand.run(command, "--data", folder / "data", "--json", "--limit", "0").rows()
      let few = try PulseCommand.run(command, "--data", folder / "data", "--json", "--limit", "5").rows()
      #expect(all.count > 5 && few.count == 5)
    }
    try Self.run(folder).expect(0)
    try Self.run(folder, into: "whole").expect(0)
    let whole = try StoredResults(dataDirectory: folder / "whole")
    #expect(whole.tables["window_parts"]?.count ?? 0 > 300)
    // The watermark began with the hundredth event, now with the eighth: some of the first hundred are late, and their dead
    // letters carry it. Before version
    // 3 an event that missed some of its sliding windows was not counted as late, nor marked in history, and a quantile could
    // lie beyond the least and greatest value of its window.
    var changed: Set<String> = ["partitions", "history", "window_parts", "dead_letters"]
    let letters = """
      SELECT segment, offset, row, watermark, stage, reason, field, message, hex(raw), length FROM dead_letters
      WHERE offset > 8000 ORDER BY offset
      """
    let found = try StoredResults.rows(of: letters, dataDirectory: folder / "data")
    let wanted = try StoredResults.rows(of: letters, dataDirectory: folder / "whole")
    #expect(!found.isEmpty && found == wanted)
    if !["store-1", "store-2"].contains(store) {
      let later = """
        SELECT window, start, by_key, closed, state FROM window_parts WHERE start >= 1709172000000000 ORDER BY 1, 2, 3
        """
      let rows = try StoredResults.rows(of: later, dataDirectory: folder / "data")
      let expected = try StoredResults.rows(of: later, dataDirectory: folder / "whole")
      #expect(rows.count > 200 && rows == expected)
    }
    if Self.current.contains(store) { changed = [] }
    // What a model that is gone saw of the events remains, and that it had scored.
    if store == "store-4" { changed.formUnion(["drift", "models"]) }
    let query = "SELECT detector, version, rows, counts FROM drift"
    #expect(
      try StoredResults.rows(of: query, dataDirectory: folder / "data")
        == (store == "store-4" ? [#"former|v1|250|{"inputs":[[100,140,10]],"score":[200,50,0]}"#] : []))
    #expect(try StoredResults(dataDirectory: folder / "data").differences(from: whole, except: changed) == [])
    // Rows that waited in tails of format 1 are in files of format 2.
    let files = (FileManager.default.enumerator(atPath: folder / "data/history")?.allObjects as? [String] ?? [])
      .filter { $0.hasSuffix(".arrow") }
    #expect(files.count == 3)
    for file in files {
      let bytes = try Data(contentsOf: URL(fileURLWithPath: folder / "data/history/" + file))
      #expect(bytes.firstRange(of: Data("_partition".utf8)) != nil, "\(file)")
    }
    // What an earlier version had stored are changes too: each result that is there has a number of its own.
    let numbers = """
      SELECT change FROM anomalies UNION ALL SELECT change FROM dead_letters
      UNION ALL SELECT change FROM window_parts WHERE closed = 1 UNION ALL SELECT change FROM retractions
      """
    let changes = try StoredResults.rows(of: numbers, dataDirectory: folder / "data").map { Int64($0) ?? 0 }
    let last = try StoredResults.rows(of: "SELECT changes FROM claims", dataDirectory: folder / "data")
    #expect(changes.count > 200 && Set(changes).count == changes.count)
    #expect((changes.min() ?? 0) >= 1 && last.count == 1 && (changes.max() ?? 0) <= Int64(last[0]) ?? 0)
  }

  @Test(
    "state of a newer version is refused",
    arguments: [
      (
        "window_parts SET state = CAST(x'09' || substr(state, 2) AS BLOB) WHERE closed = 0", "window state of version 9"
      ),
      (
        "state SET value = CAST(x'09' || substr(value, 2) AS BLOB) WHERE space = 'rule/burst'",
        "a rule's segment has version 9"
      ),
      (
        "state SET value = CAST(x'09' || substr(value, 2) AS BLOB) WHERE space = 'watermark'",
        "the watermark has version 9"
      ),
      (
        // In the metadata of an Arrow schema the text of the value ends seven bytes before that of the key.
        """
        history_tails SET bytes = CAST(substr(bytes, 1, instr(bytes, CAST('pulse.format' AS BLOB)) - 9) || '9' ||
          substr(bytes, instr(bytes, CAST('pulse.format' AS BLOB)) - 7) AS BLOB)
        """, "a history tail: its version is 9"
      ),
      (
        "partitions SET source_state = CAST(x'09' || substr(source_state, 2) AS BLOB)",
        "standard input cannot be used: its version is 9"
      ),
    ])
  func newerState(_ change: String, _ message: String) throws {
    let folder = try Self.copy("store-2")
    try DatabaseQueue(path: folder / "data/pulse.sqlite").write { database in
      try database.execute(sql: "UPDATE " + change)
      try #require(database.changesCount > 0)
    }
    try Self.run(folder).expect(message.hasPrefix("standard input") ? 3 : 4, saying: message, "expected 1", "--reset")
  }

  @Test("a history file of each version holds the events it was written from, and says its version", arguments: 1...2)
  func historyFile(_ version: Int) throws {
    let path = Self.fixtures + "/history-\(version).arrow"
    #expect(try Data(contentsOf: URL(fileURLWithPath: path)).firstRange(of: Data("pulse.format".utf8)) != nil)
    let folder = try TestFolder()
    let run = try PulseCommand.run(
      "run", "--use-case", Self.fixtures + "/UseCase", "--source", path, "--data", folder / "data", "--json")
    run.expect(0)
    let totals = try #require(try run.object()["totals"] as? [String: Any])
    #expect(totals["events"] as? Int == 50 && totals["records"] as? Int == 50)
  }

  @Test("tables of a newer version are refused, by what writes and by what reads")
  func newerTables() throws {
    let folder = try Self.copy("store-2")
    try DatabaseQueue(path: folder / "data/pulse.sqlite").write {
      try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('99')")
    }
    let words = "written by a newer version of pulse: its tables have version 99"
    try Self.run(folder).expect(4, saying: words)
    try PulseCommand.run("status", "--data", folder / "data").expect(4, saying: words)
  }
}
