// Trouble with what is written: no room, no right, somebody else at it, or not what it should be.

import Foundation
import TestKit
import Testing

@Suite("Trouble with the store")
struct StoreTroubleTests {
  /// Notes that do not compress, so that history is as large as its input.
  private func events(_ count: Int) -> String {
    var text = ""
    for index in 0..<count {
      var note = ""
      for part in 1...4 {
        let number = UInt64(index) * 4 + UInt64(part)
        note += String(number &* 0x9e37_79b9_7f4a_7c15, radix: 36)
      }
      text += String(Trail.event(index).dropLast(2)) + ",\"note\":\"" + note + "\"}\n"
    }
    return text
  }

  /// Fills the disk, makes room, runs again: nothing is lost or doubled.
  private func fillDisk(_ size: String, _ events: String, _ options: [String], at: SourceLocation = #_sourceLocation)
    throws
  {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", events)
    let disk = try MemoryDisk(on: folder / "data", size: size)
    try Trail.run(folder, "events.ndjson", more: options).expect(4, saying: "free some space", at: at)
    // It stays in trouble as long as there is no room, and what it has can be read.
    try Trail.run(folder, "events.ndjson", more: options).expect(4, saying: "free some space", at: at)
    try PulseCommand.run("status", "--data", folder / "data", "--json").expect(0, at: at)
    try disk.remount("size=500m")
    try Trail.run(folder, "events.ndjson", more: options).expect(0, at: at)
    let stored = try Stored(folder / "data")
    #expect(try stored.differences(from: Trail.undisturbed(events)) == [], sourceLocation: at)
    disk.unmount()
  }

  @Test("the disk is full when the store grows", .enabled(if: Need.mounting, "needs the right to mount a file system"))
  func diskFullForStore() throws {
    try fillDisk("3m", Trail.events(0..<60_000), ["--checkpoint-interval", "0.05", "--batch-size", "1000"])
  }

  @Test("the disk is full when history grows", .enabled(if: Need.mounting, "needs the right to mount a file system"))
  func diskFullForHistory() throws {
    // A single checkpoint at the end: before it, shards are all that is written.
    let folder = try Trail.folder { text in
      text.replacing(/(?s)rules:.*history:/, with: "history:")
    }
    let events = events(70_000)
    try folder.write("events.ndjson", events)
    let disk = try MemoryDisk(on: folder / "data", size: "2m")
    let options = ["--checkpoint-interval", "3600"]
    let outcome = try Trail.run(folder, "events.ndjson", more: options)
    outcome.expect(4, saying: "history cannot be written", "no space left")
    #expect(outcome.errors.components(separatedBy: "history/trail/").count == 2, "the path is there twice: \(outcome)")
    #expect(!outcome.errors.contains(".."), "\(outcome)")
    #expect(!outcome.errors.contains("crashed"), "\(outcome)")
    try disk.remount("size=500m")
    try Trail.run(folder, "events.ndjson", more: options).expect(0)
    try Trail.run(folder, "events.ndjson", data: "undisturbed", more: options).expect(0)
    #expect(try Stored(folder / "data").differences(from: Stored(folder / "undisturbed")) == [])
    // Nothing of the failed attempt is left.
    let count = { (data: String) in
      (FileManager.default.enumerator(atPath: folder / (data + "/history"))?.allObjects as? [String] ?? []).sorted()
    }
    #expect(count("data") == count("undisturbed"))
    disk.unmount()
  }

  @Test("a read-only file system", .enabled(if: Need.mounting, "needs the right to mount a file system"))
  func readOnly() throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Trail.events(0..<1000))
    let disk = try MemoryDisk(on: folder / "data", size: "100m")
    try disk.remount("ro")
    try Trail.run(folder, "events.ndjson").expect(4, saying: "data directory", "not writable")
    try disk.remount("rw")
    try Trail.run(folder, "events.ndjson").expect(0)
    let stored = try Stored(folder / "data")
    try disk.remount("ro")
    try folder.append("events.ndjson", Trail.events(1000..<2000))
    try Trail.run(folder, "events.ndjson").expect(4, saying: "not writable")
    try disk.remount("rw")
    #expect(try Stored(folder / "data") == stored)
    try Trail.run(folder, "events.ndjson").expect(0)
    #expect(try Stored(folder / "data").differences(from: Trail.undisturbed(Trail.events(0..<2000))) == [])
    disk.unmount()
  }

  /// What the reading commands print.
  private func lists(_ data: String, user: [String] = [], at: SourceLocation = #_sourceLocation) throws -> [String] {
    try ["status", "anomalies", "windows", "dead-letters"].map { command in
      let outcome = try RunningCommand(user + [PulseCommand.path, command, "--data", data, "--json"]).wait()
      outcome.expect(0, at: at)
      return outcome.output
    }
  }

  /// A folder with a run in `data`, and what is in it.
  private func stored(_ folder: TestFolder) throws -> [String] {
    try folder.write("events.ndjson", Trail.events(0..<1000))
    try Trail.run(folder, "events.ndjson").expect(0)
    return try lists(folder / "data")
  }

  @Test(
    "a store on a read-only file system can be read, after a run that ended and after one that was killed",
    .enabled(if: Need.mounting, "needs the right to mount a file system"))
  func readingReadOnly() throws {
    let folder = try Trail.folder()
    let disk = try MemoryDisk(on: folder / "data", size: "100m")
    let expected = try stored(folder)
    for name in ["-wal", "-shm"] { unlink(folder / "data/pulse.sqlite\(name)") }
    try disk.remount("ro")
    #expect(try lists(folder / "data") == expected)
    try disk.remount("rw")
    try folder.write("events.ndjson", Trail.events(0..<2000))
    let running = try Trail.start(folder, "events.ndjson", more: ["--follow"])
    let reached = try poll { try Trail.records(folder) == 2000 }
    #expect(reached)
    running.send(SIGKILL)
    _ = try running.wait()
    // Its log is there, with the file that goes with it.
    try disk.remount("ro")
    let killed = try lists(folder / "data")
    try disk.remount("rw")
    #expect(try lists(folder / "data") == killed && killed != expected)
    disk.unmount()
  }

  @Test(
    "a log that cannot be read is not passed over",
    .enabled(if: Need.mounting, "needs the right to mount a file system"))
  func logOnReadOnly() throws {
    let folder = try Trail.folder()
    let disk = try MemoryDisk(on: folder / "data", size: "100m")
    try folder.write("events.ndjson", Trail.events(0..<1000))
    let running = try Trail.start(folder, "events.ndjson", more: ["--follow"])
    let reached = try poll { try Trail.records(folder) == 1000 }
    #expect(reached)
    running.send(SIGKILL)
    _ = try running.wait()
    unlink(folder / "data/pulse.sqlite-shm")
    try disk.remount("ro")
    try PulseCommand.run("status", "--data", folder / "data").expect(
      4, saying: "did not end in order", "pulse.sqlite-wal", "read a copy")
    try disk.remount("rw")
    try PulseCommand.run("status", "--data", folder / "data").expect(0)
    disk.unmount()
  }

  @Test(
    "a store in a directory that this user may only read can be read",
    .enabled(if: Need.unprivileged != nil, "needs setpriv and a command all may run"))
  func readingNotPermitted() throws {
    let folder = try Trail.folder()
    let expected = try stored(folder)
    for name in ["-wal", "-shm"] { unlink(folder / "data/pulse.sqlite\(name)") }
    chmod(folder.path, 0o755)
    chmod(folder / "data", 0o555)
    let user = try #require(Need.unprivileged)
    #expect(try lists(folder / "data", user: user) == expected)
    chmod(folder / "data", 0o755)
  }

  @Test(
    "a directory that this user may not write to",
    .enabled(if: Need.unprivileged != nil, "needs setpriv and a command all may run"))
  func notPermitted() throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Trail.events(0..<10))
    try FileManager.default.createDirectory(atPath: folder / "data", withIntermediateDirectories: true)
    chmod(folder.path, 0o755)
    chmod(folder / "data", 0o555)
    let user = try #require(Need.unprivileged)
    for (data, word) in [("data", "not writable"), ("data/below", "cannot be created")] {
      let outcome = try RunningCommand(
        user + [PulseCommand.path] + Trail.arguments(folder, ["events.ndjson"], data: data)
      ).wait()
      outcome.expect(4, saying: "data directory", word)
    }
    chmod(folder / "data", 0o755)
  }

  @Test("a data directory that is a file, and a store that is none")
  func notAStore() throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Trail.events(0..<10))
    try folder.write("data", "")
    try Trail.run(folder, "events.ndjson").expect(4, saying: "data directory")
    try folder.write("other/pulse.sqlite", String(repeating: "this is not a database. ", count: 1000))
    try Trail.run(folder, "events.ndjson", data: "other").expect(4, saying: "damaged")
    for command in ["status", "anomalies", "windows", "dead-letters"] {
      try PulseCommand.run(command, "--data", folder / "other").expect(4, saying: "pulse.sqlite")
      try PulseCommand.run(command, "--data", folder / "nowhere").expect(4, saying: "no store", "pulse run")
    }
  }

  @Test("two runs on one data directory: the second is refused, the first goes on")
  func twoProcesses() throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Trail.events(0..<1000))
    let first = try Trail.start(folder, "events.ndjson", more: ["--follow", "--checkpoint-interval", "0.1"])
    _ = try poll { try Trail.records(folder) >= 0 }
    try Trail.run(folder, "events.ndjson").expect(4, saying: "in use by process \(first.identifier)")
    try Trail.run(folder, "events.ndjson", more: ["--reset"]).expect(4, saying: "in use by process")
    try folder.append("events.ndjson", Trail.events(1000..<1500))
    _ = try poll { try Trail.records(folder) == 1500 }
    first.send(SIGTERM)
    try first.wait().expect(0)
    try Trail.run(folder, "events.ndjson").expect(0)
    #expect(try Stored(folder / "data").differences(from: Trail.undisturbed(Trail.events(0..<1500))) == [])
  }

  @Test(
    "files that are deleted or renamed let no second run in, and a killed run keeps none out",
    arguments: [["pulse.lock"], ["pulse.lock", "pulse.sqlite", "pulse.sqlite-wal", "pulse.sqlite-shm"]])
  func lockIsGone(files: [String]) throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Trail.events(0..<1000))
    let first = try Trail.start(folder, "events.ndjson", more: ["--follow", "--checkpoint-interval", "0.1"])
    #expect(try poll { try Trail.records(folder) == 1000 })
    for file in files { rename(folder / "data/\(file)", folder / "data/\(file).away") }
    try Trail.run(folder, "events.ndjson").expect(4, saying: "in use by process")
    try Trail.run(folder, "events.ndjson", more: ["--reset"]).expect(4, saying: "in use by process")
    // The directory under another name is the same directory.
    symlink(folder / "data", folder / "other")
    try Trail.run(folder, "events.ndjson", data: "other").expect(4, saying: "in use by process")
    for file in files { rename(folder / "data/\(file).away", folder / "data/\(file)") }
    try PulseCommand.run("status", "--data", folder / "data").expect(0)
    first.send(SIGKILL)
    _ = try first.wait()
    try Trail.run(folder, "events.ndjson").expect(0)
    #expect(try Stored(folder / "data").differences(from: Trail.undisturbed(Trail.events(0..<1000))) == [])
  }

  @Test("a shard of history that is gone is missed, not passed over")
  func shardIsGone() throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Trail.events(0..<1000))
    try Trail.run(folder, "events.ndjson").expect(0)
    let day = folder / "data/history/trail/day=2024-03-01"
    let shards = try FileManager.default.contentsOfDirectory(atPath: day)
    #expect(shards.count == 1)
    try FileManager.default.removeItem(atPath: day + "/" + (shards.first ?? ""))
    try Trail.run(folder, "events.ndjson").expect(4, saying: "history shard", "--reset")
    try Trail.run(folder, "events.ndjson", more: ["--reset"]).expect(0)
    #expect(try Stored(folder / "data").differences(from: Trail.undisturbed(Trail.events(0..<1000))) == [])
  }

  @Test("--reset removes what one use case has stored, and nothing else")
  func reset() throws {
    let folder = try Trail.folder()
    try folder.write("other/pipeline.yaml", Trail.pipeline.replacingOccurrences(of: "name: trail", with: "name: other"))
    try folder.write("events.ndjson", Trail.events(0..<1000))
    try Trail.run(folder, "events.ndjson").expect(0)
    try PulseCommand.run(
      "run", "--use-case", folder / "other", "--source", folder / "events.ndjson", "--data", folder / "data", "--quiet"
    ).expect(0)
    let both = try Stored(folder / "data")
    try Trail.run(folder, "events.ndjson", more: ["--reset"]).expect(0)
    #expect(try Stored(folder / "data") == both)
    try folder.write("events.ndjson", Trail.events(100..<300))
    try Trail.run(folder, "events.ndjson", more: ["--reset"]).expect(0)
    let rows = try PulseCommand.run("status", "--data", folder / "data", "--json").rows()
    let records = Dictionary(
      uniqueKeysWithValues: rows.map { ($0["use_case"] as? String ?? "", $0["records"] as? Int) })
    #expect(records == ["trail": 200, "other": 1000])
  }

  @Test("--reset removes nothing where there is nothing to start over with")
  func resetOfNothing() throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Trail.events(0..<1000))
    try Trail.run(folder, "events.ndjson").expect(0)
    let stored = try Stored(folder / "data")
    try folder.write("broken.parquet", "PAR1 and no more")
    for (source, more, code) in [
      ("event.ndjson", [], 3), ("*.csv", [], 3), ("trail", [], 3), ("broken.parquet", [], 3),
      ("simulator", [], 2), ("-", ["--format", "parquet"], 2),
    ] as [(String, [String], Int32)] {
      let arguments = ["run", "--use-case", folder / "trail", "--data", folder / "data", "--reset", "--source"]
      let path = ["-", "simulator"].contains(source) ? source : folder / source
      try PulseCommand.run(arguments + [path] + more).expect(code)
      #expect(try Stored(folder / "data") == stored, "\(source)")
    }
    let shards = FileManager.default.enumerator(atPath: folder / "data/history")?.allObjects as? [String] ?? []
    #expect(shards.contains { $0.hasSuffix(".arrow") })
  }

  @Test("a damaged row of the store is named as such", .enabled(if: Need.python != nil, "needs Python"))
  func damagedRow() throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Trail.events(0..<1000))
    func damage(_ sql: String) throws {
      try Trail.run(folder, "events.ndjson", more: ["--reset"]).expect(0)
      _ = try Need.python(
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()",
        folder / "data/pulse.sqlite", sql)
    }
    try damage("UPDATE partitions SET totals = '{\"events\": \"many\"'")
    try Trail.run(folder, "events.ndjson").expect(4, saying: "damaged")
    try PulseCommand.run("status", "--data", folder / "data").expect(4, saying: "damaged")
    try damage("UPDATE partitions SET totals = '{\"events\": \"many\"}'")
    try PulseCommand.run("status", "--data", folder / "data", "--json").expect(4, saying: "damaged")
    try damage("UPDATE state SET value = x'01ff' WHERE space GLOB 'window/*'")
    try Trail.run(folder, "events.ndjson").expect(4, saying: "--reset")
    try PulseCommand.run("windows", "--data", folder / "data").expect(4, saying: "damaged")
    try damage("UPDATE state SET value = x'ffff'")
    try Trail.run(folder, "events.ndjson").expect(4, saying: "--reset")
    try damage("UPDATE partitions SET source_state = x'09'")
    try Trail.run(folder, "events.ndjson").expect(4, saying: "list of files", "--reset")
  }
}
