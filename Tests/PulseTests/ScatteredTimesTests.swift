// Event times all over the calendar: few files, a restart within the memory of a run, and every row once for whoever reads
// the folders.

import Foundation
import GRDB
import TestKit
import Testing

@Suite("Scattered event times")
struct ScatteredTimesTests {
  private static let pipeline = """
    name: trail
    event:
      time: at
      key: host
      out_of_order: 5s
      max_ahead: 1h
      fields:
        at:   {type: timestamp, required: true}
        host: {type: string, required: true}
        row:  {type: int, required: true}

    """

  private static func folder() throws -> TestFolder {
    let folder = try TestFolder()
    try folder.write("trail/pipeline.yaml", pipeline)
    return folder
  }

  /// One event a day.
  private static func events(_ range: Range<Int>) -> String {
    let start = Date(timeIntervalSince1970: 0)
    return range.map { row in
      let time = start.addingTimeInterval(Double(row) * 86_400 + Double(row % 86_000))
      return #"{"at":"\#(time.ISO8601Format())","host":"h\#(row % 7)","row":\#(row)}"#
    }.joined(separator: "\n") + "\n"
  }

  private static func files(_ folder: TestFolder) -> [String] {
    (FileManager.default.enumerator(atPath: folder / "data/history")?.allObjects as? [String] ?? [])
      .filter { $0.hasSuffix(".arrow") }
  }

  @Test("ten thousand days: a killed run starts again in the memory that it had, and leaves one file")
  func restart() throws {
    let folder = try Self.folder()
    try folder.write("events.ndjson", Self.events(0..<9_000))
    let running = try Trail.start(folder, "events.ndjson", more: ["--follow", "--checkpoint-interval", "0.2"])
    #expect(try poll { try Trail.records(folder) == 9_000 })
    try folder.append("events.ndjson", Self.events(9_000..<10_000))
    #expect(try poll { try Trail.records(folder) == 10_000 })
    running.send(SIGKILL)
    let before = try running.wait()
    let again = try Trail.run(folder, "events.ndjson")
    again.expect(0)
    #expect(
      again.peakMegabytes < before.peakMegabytes + 60, "\(again.peakMegabytes) MB, \(before.peakMegabytes) before")
    #expect(Self.files(folder).count == 1)
    try PulseCommand.run("check", "--data", folder / "data").expect(0)
  }

  @Test("a store that an earlier version left with a file's worth of days in its tails is continued")
  func earlierTails() throws {
    let folder = try Self.folder()
    try folder.write("events.ndjson", Self.events(0..<3_000))
    let running = try Trail.start(folder, "events.ndjson", more: ["--follow", "--checkpoint-interval", "0.2"])
    #expect(try poll { try Trail.records(folder) == 3_000 })
    running.send(SIGKILL)
    _ = try running.wait()
    // That version had the rows of a tail by day: each day once.
    let days = try DatabaseQueue(path: folder / "data/pulse.sqlite").read {
      try String.fetchAll($0, sql: "SELECT days FROM history_tails")
    }
    let counts = try days.map { try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [[Any]] ?? [] }
    #expect(counts.joined().reduce(0) { $0 + (($1.last as? Int) ?? 0) } == 3_000)
    try folder.append("events.ndjson", Self.events(3_000..<3_500))
    try Trail.run(folder, "events.ndjson").expect(0)
    #expect(
      try PulseCommand.run("status", "--data", folder / "data", "--json").rows().first?["history_rows"] as? Int == 3_500
    )
    #expect(Self.files(folder).count == 1)
  }

  @Test(
    "whoever reads the folders finds every row once", .enabled(if: Need.python != nil, "needs pyarrow: run make setup"))
  func reading() throws {
    let folder = try Self.folder()
    let many = (0..<300).map { #"{"at":"2024-03-01T00:00:00Z","host":"h","row":\#($0 + 500)}"# }.joined(separator: "\n")
    try folder.write("events.ndjson", Self.events(0..<500) + many + "\n")
    try Trail.run(folder, "events.ndjson").expect(0)
    let output = try Need.python(
      """
      import sys, pyarrow.dataset as ds, pyarrow.compute as pc
      table = ds.dataset(sys.argv[1], format="ipc", partitioning="hive").to_table()
      print(sorted(table["row"].to_pylist()) == list(range(800)), len(set(table["row"].to_pylist())))
      print(sorted(set(str(d) for d in table["day"].to_pylist())))
      print(table.filter(pc.is_null(table["day"])).num_rows)
      """, folder / "data/history/trail")
    #expect(output == "True 800\n['2024-03-01', 'None']\n500\n", "\(output)")
  }
}
