// `pulse check --data`: what is whole is found whole, and damage of each kind is found, by it and where it can be quick by
// the next run.

import Foundation
import GRDB
import TestKit
import Testing

@Suite("pulse check --data")
struct CheckDataTests {
  private static func folder() throws -> TestFolder {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Trail.events(0..<8_000))
    try Trail.run(folder, "events.ndjson").expect(0)
    return folder
  }

  private static func change(_ folder: TestFolder, _ sql: String) throws {
    try DatabaseQueue(path: folder / "data/pulse.sqlite").write { try $0.execute(sql: sql) }
  }

  @Test("what is whole, also beside a run, and the report as JSON")
  func whole() throws {
    let folder = try Self.folder()
    let check = try PulseCommand.run("check", "--data", folder / "data", "--json")
    check.expect(0)
    let rows = try check.rows()
    #expect(rows.compactMap { $0["what"] as? String } == ["database", "state", "history", "models"])
    #expect(rows.allSatisfy { ($0["problems"] as? [String]) == [] })
    #expect(rows.map { $0["checked"] as? Int ?? -1 }[1...] == [1, 1, 0])
    let running = try Trail.start(folder, "events.ndjson", more: ["--follow"])
    try folder.append("events.ndjson", Trail.events(8_000..<8_010))
    #expect(try poll { try Trail.records(folder) == 8_010 })
    let table = try PulseCommand.run("check", "--data", folder / "data")
    table.expect(0)
    #expect(table.output.contains("partitions"))
    running.send(SIGTERM)
    try running.wait().expect(0)
    try PulseCommand.run("check", folder / "trail").expect(0)
    try PulseCommand.run("check").expect(64)
    try PulseCommand.run("check", folder / "trail", "--data", folder / "data").expect(64)
    try PulseCommand.run("check", "--data", folder / "nowhere").expect(4, saying: "no store")
  }

  @Test("a page of a table or index that was overwritten is found, by the next run as well", arguments: [0, 0x5a])
  func pages(byte: Int) throws {
    let folder = try Self.folder()
    let path = folder / "data/pulse.sqlite"
    // The pages that structure is read from: roots of every table and index of the store that has rows.
    let (size, roots) = try DatabaseQueue(path: path).read { database in
      (
        try Int.fetchOne(database, sql: "PRAGMA page_size") ?? 4096,
        try Int.fetchAll(
          database, sql: "SELECT rootpage FROM sqlite_master WHERE tbl_name IN ('anomalies', 'window_parts', 'state')")
      )
    }
    #expect(roots.count > 6)
    let whole = try Data(contentsOf: URL(fileURLWithPath: path))
    for root in roots {
      var damaged = whole
      damaged.replaceSubrange((root - 1) * size..<root * size, with: Data(repeating: UInt8(byte), count: size))
      try damaged.write(to: URL(fileURLWithPath: path))
      for name in ["-wal", "-shm"] { unlink(path + name) }
      let check = try PulseCommand.run("check", "--data", folder / "data")
      check.expect(4, saying: "problem", "copy the directory", "from a backup", "another --data")
      #expect(check.output.contains("database"), "\(check)")
      #expect(!(check.output + check.errors).contains("pulse check"), "\(check)")
      try Trail.run(folder, "events.ndjson").expect(4, saying: "damaged", "pulse check --data")
    }
    // A file that is no database at all is a finding, too, beside what can be looked at.
    var headless = whole
    headless.replaceSubrange(0..<size, with: Data(repeating: UInt8(byte), count: size))
    try headless.write(to: URL(fileURLWithPath: path))
    for name in ["-wal", "-shm"] { unlink(path + name) }
    let check = try PulseCommand.run("check", "--data", folder / "data", "--json")
    check.expect(4, saying: "1 problem in", "from a backup", "another --data")
    #expect(!check.errors.contains("pulse check") && !check.errors.contains("--reset"), "\(check)")
    #expect(try check.rows().compactMap { $0["what"] as? String } == ["database", "models"], "\(check)")
    try whole.write(to: URL(fileURLWithPath: path))
    try PulseCommand.run("check", "--data", folder / "data").expect(0)
  }

  @Test("state, files and counts that are not what they were")
  func rows() throws {
    let folder = try Self.folder()
    func expect(_ word: String, at: SourceLocation = #_sourceLocation) throws {
      let check = try PulseCommand.run("check", "--data", folder / "data", "--json")
      check.expect(4, at: at)
      #expect(check.output.contains(word), "\(check)", sourceLocation: at)
      try Trail.run(folder, "events.ndjson", more: ["--reset"]).expect(0)
      try PulseCommand.run("check", "--data", folder / "data").expect(0, at: at)
    }
    try Self.change(folder, "UPDATE state SET value = x'ffff' WHERE space = 'rule/storm'")
    try expect("trail, files/0")
    try Self.change(folder, "UPDATE state SET value = x'09' WHERE space GLOB 'window/*' AND key = x'0000000000000000'")
    try expect("the head of open windows")
    try Self.change(folder, "UPDATE state SET value = x'09' WHERE space GLOB 'window/*' AND key > x'0000000000000000'")
    try expect("a segment of windows")
    try Self.change(folder, "UPDATE partitions SET totals = '{'")
    try expect("damaged")
    let day = folder / "data/history/trail/day=2024-03-01"
    let name = try #require(try FileManager.default.contentsOfDirectory(atPath: day).first)
    try FileManager.default.removeItem(atPath: "\(day)/\(name)")
    try expect("history shard")
    let file = try #require(FileHandle(forWritingAtPath: "\(day)/\(name)"))
    try file.truncate(atOffset: 1_000)
    try file.close()
    try expect("cannot be read")
    try Self.change(folder, "UPDATE history_shards SET rows = rows + 1")
    try expect("are on record")
    try folder.write("data/models/trail/odd/v1/manifest.json", "{}")
    let check = try PulseCommand.run("check", "--data", folder / "data")
    check.expect(4, saying: "1 problem")
    #expect(check.output.contains("trail/odd/v1"), "\(check)")
  }
}
