// Files that change: one that grows while it is followed, rotation, truncation, and lists of files that are not the same
// on the next run.

import Foundation
import TestKit
import Testing

@Suite("Files that change")
struct FollowedFileTests {
  private static let follow = ["--follow", "--checkpoint-interval", "0.1"]

  /// Waits until a checkpoint has `count` records.
  private func waitForRecords(_ count: Int, in folder: TestFolder, at: SourceLocation = #_sourceLocation) throws {
    let reached = try poll { try Trail.records(folder) >= count }
    #expect(reached, "\(count) records were not reached", sourceLocation: at)
  }

  /// Follows `events.ndjson`, on which `change` works meanwhile, until `count` records are stored; then ends it.
  private func following(_ folder: TestFolder, until count: Int, _ change: () throws -> Void) throws {
    let running = try Trail.start(folder, "events.ndjson", more: Self.follow)
    try waitForRecords(1, in: folder)
    try change()
    try waitForRecords(count, in: folder)
    running.send(SIGTERM)
    try running.wait().expect(0)
  }

  @Test("a file that grows while it is followed, also by half lines")
  func growing() throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Trail.events(0..<1000))
    try following(folder, until: 2000) {
      let more = Trail.events(1000..<2000)
      var rest = Substring(more)
      while !rest.isEmpty {
        try folder.append("events.ndjson", String(rest.prefix(9973)))
        rest = rest.dropFirst(9973)
        usleep(20_000)
      }
    }
    #expect(try Stored(folder / "data").differences(from: Trail.undisturbed(Trail.events(0..<2000))) == [])
  }

  @Test("a line that is not finished waits for its end, also over a restart")
  func halfLine() throws {
    let folder = try Trail.folder()
    let events = Trail.events(0..<500)
    try folder.write("events.ndjson", String(events.prefix(events.count - 20)))
    try Trail.run(folder, "events.ndjson", more: ["--follow", "--idle-timeout", "0.3"]).expect(0)
    #expect(try Stored(folder / "data").count("records") == 499)
    try folder.append("events.ndjson", String(events.suffix(20)))
    try Trail.run(folder, "events.ndjson", more: ["--follow", "--idle-timeout", "0.3"]).expect(0)
    #expect(try Stored(folder / "data").differences(from: Trail.undisturbed(events)) == [])
  }

  @Test("a file that is rotated while it is followed, and again while nothing runs")
  func rotated() throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Trail.events(0..<1000))
    try following(folder, until: 2500) {
      try folder.rename("events.ndjson", to: "events.ndjson.1")
      // The writer still has the old file open.
      try folder.append("events.ndjson.1", Trail.events(1000..<1500))
      try folder.write("events.ndjson", Trail.events(1500..<2500))
    }
    try folder.append("events.ndjson", Trail.events(2500..<3000))
    try folder.rename("events.ndjson", to: "events.ndjson.2")
    try folder.write("events.ndjson", Trail.events(3000..<4000))
    for _ in 0..<2 { try Trail.run(folder, "events.ndjson", more: ["--follow", "--idle-timeout", "1"]).expect(0) }
    let stored = try Stored(folder / "data")
    let expected = try Trail.undisturbed(Trail.events(0..<4000))
    // Positions name the file, so only they differ.
    #expect(stored.windows == expected.windows)
    #expect(stored.totals == expected.totals)
    #expect(stored.anomalies.count == expected.anomalies.count)
    #expect(stored.deadLetters.count == expected.deadLetters.count)
  }

  @Test("a file that is truncated while it is followed stops the run, and what was read is kept")
  func truncated() throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Trail.events(0..<1000))
    let running = try Trail.start(folder, "events.ndjson", more: Self.follow)
    try waitForRecords(1000, in: folder)
    truncate(folder / "events.ndjson", 100)
    try running.wait().expect(3, saying: "truncated", "--reset")
    let expected = try Trail.undisturbed(Trail.events(0..<1000))
    #expect(try Stored(folder / "data").differences(from: expected) == [])
    // It is refused again, with nothing changed, until the user decides.
    try Trail.run(folder, "events.ndjson", more: Self.follow).expect(3, saying: "events.ndjson")
    #expect(try Stored(folder / "data").differences(from: expected) == [])
    try folder.write("events.ndjson", Trail.events(500..<1500))
    try Trail.run(folder, "events.ndjson").expect(3, saying: "events.ndjson")
    try Trail.run(folder, "events.ndjson", more: ["--reset"]).expect(0)
    #expect(try Stored(folder / "data").differences(from: Trail.undisturbed(Trail.events(500..<1500))) == [])
  }

  @Test("a list of files may only be extended at its end")
  func changedLists() throws {
    let folder = try Trail.folder()
    try folder.write("a.ndjson", Trail.events(0..<500))
    try folder.write("b.ndjson", Trail.events(500..<1000))
    try folder.write("c.ndjson", Trail.events(1000..<1500))
    try Trail.run(folder, "a.ndjson", "b.ndjson").expect(0)
    let before = try Stored(folder / "data")
    try Trail.run(folder, "b.ndjson", "a.ndjson").expect(3, saying: "list of files has changed", "--reset")
    try Trail.run(folder, "a.ndjson").expect(3, saying: "list of files has changed")
    try Trail.run(folder, "b.ndjson", "c.ndjson").expect(3, saying: "list of files has changed")
    try Trail.run(folder, "c.ndjson", "a.ndjson", "b.ndjson").expect(3, saying: "list of files has changed")
    try Trail.run(folder, "a.ndjson", "b.ndjson", "a.ndjson").expect(2, saying: "twice")
    #expect(try Stored(folder / "data") == before)

    // The last one may grow, and others may follow it.
    try folder.append("b.ndjson", Trail.events(1500..<1600))
    try Trail.run(folder, "a.ndjson", "b.ndjson", "c.ndjson").expect(0)
    try Trail.run(folder, "a.ndjson", "b.ndjson", "c.ndjson").expect(0)
    let stored = try Stored(folder / "data")
    try Trail.run(folder, "a.ndjson", "b.ndjson", "c.ndjson", data: "undisturbed").expect(0)
    #expect(try stored.differences(from: Stored(folder / "undisturbed")) == [])

    // A file in the middle may not change, nor be gone, nor be another one.
    try folder.append("a.ndjson", Trail.event(1))
    try Trail.run(folder, "a.ndjson", "b.ndjson", "c.ndjson").expect(3, saying: "a.ndjson", "bytes")
    try folder.write("a.ndjson", Trail.events(1..<501))
    try Trail.run(folder, "a.ndjson", "b.ndjson", "c.ndjson").expect(3, saying: "a.ndjson")
    try FileManager.default.removeItem(atPath: folder / "a.ndjson")
    try Trail.run(folder, "a.ndjson", "b.ndjson", "c.ndjson").expect(3, saying: "a.ndjson", "not there any more")
    #expect(try Stored(folder / "data") == stored)
  }

  @Test("a glob may find more files, behind those it found before")
  func globs() throws {
    let folder = try Trail.folder()
    try folder.write("part-1.ndjson", Trail.events(0..<500))
    try folder.write("part-2.ndjson", Trail.events(500..<1000))
    try Trail.run(folder, "part-*.ndjson").expect(0)
    try folder.write("part-3.ndjson", Trail.events(1000..<1500))
    try Trail.run(folder, "part-*.ndjson").expect(0)
    try Trail.run(folder, "part-*.ndjson", data: "undisturbed").expect(0)
    #expect(try Stored(folder / "data").differences(from: Stored(folder / "undisturbed")) == [])
    try folder.write("part-0.ndjson", Trail.events(0..<1))
    try Trail.run(folder, "part-*.ndjson").expect(3, saying: "list of files has changed", "part-0.ndjson")
  }
}
