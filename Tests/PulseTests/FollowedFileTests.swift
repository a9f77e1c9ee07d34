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

  @Test(
    "the last line of a bounded run is read as it is; when it grows, its rest is no event", arguments: [false, true])
  func tornLine(follows: Bool) throws {
    let folder = try Trail.folder()
    let events = Trail.events(0..<101)
    // Cut within the last number, and a rest that would itself be a value: half of a line must not pass for one.
    try folder.write("events.ndjson", events.dropLast(3) + "")
    try Trail.run(folder, "events.ndjson").expect(0)
    #expect(try Stored(folder / "data").count("records") == 101)
    #expect(try Stored(folder / "data").deadLetters.count == 1)
    try folder.append("events.ndjson", Trail.event(7) + Trail.events(101..<200))
    let more = follows ? ["--follow", "--idle-timeout", "0.3"] : []
    for _ in 0..<2 { try Trail.run(folder, "events.ndjson", more: more).expect(0) }
    let letters = try PulseCommand.run("dead-letters", "--data", folder / "data", "--json", "--limit", "0").rows()
    #expect(letters.map { $0["reason"] as? String } == ["malformed", "malformed"])
    #expect((letters.first?["message"] as? String)?.contains("expected a line end") == true)
    let status = try #require(try PulseCommand.run("status", "--data", folder / "data", "--json").rows().first)
    #expect(status["events"] as? Int == 199)
    // A complete object without a line end is an event, and the line end that comes later changes nothing.
    try folder.write("whole.ndjson", Trail.events(0..<100).dropLast() + "")
    try Trail.run(folder, "whole.ndjson", data: "whole").expect(0)
    try folder.append("whole.ndjson", "\n" + Trail.events(100..<200))
    try Trail.run(folder, "whole.ndjson", data: "whole", more: more).expect(0)
    #expect(try Stored(folder / "whole").differences(from: Trail.undisturbed(Trail.events(0..<200))) == [])
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
    try running.wait().expect(3, saying: "truncated", "--reset", "--accept-gap")
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

  @Test("a list may name other files: what is new comes behind what was read, in any list")
  func changedLists() throws {
    let folder = try Trail.folder()
    try folder.write("a.ndjson", Trail.events(0..<500))
    try folder.write("b.ndjson", Trail.events(500..<1000))
    try folder.write("c.ndjson", Trail.events(1000..<1500))
    try Trail.run(folder, "a.ndjson", "b.ndjson").expect(0)
    let before = try Stored(folder / "data")
    // Nothing of these was not read.
    try Trail.run(folder, "b.ndjson", "a.ndjson").expect(0)
    try Trail.run(folder, "a.ndjson").expect(0)
    try Trail.run(folder, "a.ndjson", "b.ndjson", "a.ndjson").expect(2, saying: "twice")
    #expect(try Stored(folder / "data").differences(from: before) == [])

    // The last one may grow, and others may follow it.
    try folder.append("b.ndjson", Trail.events(1500..<1600))
    try Trail.run(folder, "a.ndjson", "b.ndjson", "c.ndjson").expect(0)
    try Trail.run(folder, "a.ndjson", "b.ndjson", "c.ndjson").expect(0)
    let stored = try Stored(folder / "data")
    try Trail.run(folder, "a.ndjson", "b.ndjson", "c.ndjson", data: "undisturbed").expect(0)
    #expect(try stored.differences(from: Stored(folder / "undisturbed")) == [])

    // A file that was read may not change, nor be another one, nor be named and gone.
    try folder.append("a.ndjson", Trail.event(1))
    try Trail.run(folder, "a.ndjson", "b.ndjson", "c.ndjson").expect(3, saying: "a.ndjson", "bytes", "--accept-gap")
    try folder.write("a.ndjson", Trail.events(1..<501))
    try Trail.run(folder, "a.ndjson", "b.ndjson", "c.ndjson").expect(3, saying: "a.ndjson")
    try FileManager.default.removeItem(atPath: folder / "a.ndjson")
    try Trail.run(folder, "a.ndjson", "b.ndjson", "c.ndjson").expect(3, saying: "a.ndjson", "not there any more")
    #expect(try Stored(folder / "data") == stored)
    // Left out of the list it was deleted on purpose.
    try folder.write("d.ndjson", Trail.events(1600..<2000))
    try Trail.run(folder, "b.ndjson", "c.ndjson", "d.ndjson").expect(0)
    #expect(try Stored(folder / "data").count("records") == 2000)
  }

  @Test("yesterday's file, then today's; then that one compressed, and tomorrow's")
  func dayByDay() throws {
    let folder = try Trail.folder()
    for day in 0..<3 { try folder.write("day\(day).ndjson", Trail.events(day * 1000..<(day + 1) * 1000)) }
    try Trail.run(folder, "day0.ndjson").expect(0)
    try Trail.run(folder, "day1.ndjson").expect(0)
    let expected = try Trail.undisturbed(Trail.events(0..<2000))
    let stored = try Stored(folder / "data")
    #expect(stored.windows == expected.windows && stored.totals == expected.totals)
    _ = try PulseCommand.shell("gzip day1.ndjson", in: folder)
    try Trail.run(folder, "day2.ndjson", "day1.ndjson.gz").expect(0, saying: "day1.ndjson.gz holds what was read as")
    #expect(try Stored(folder / "data").totals == Trail.undisturbed(Trail.events(0..<3000)).totals)
  }

  @Test("a list that leaves a file half read is refused, or accepted on record")
  func halfRead() throws {
    let folder = try Trail.folder()
    try folder.write("day0.ndjson", Trail.events(0..<1000))
    try Trail.run(folder, "day0.ndjson").expect(0)
    try folder.append("day0.ndjson", Trail.events(1000..<1100))
    try folder.write("day1.ndjson", Trail.events(1100..<2000))
    try Trail.run(folder, "day0.ndjson", more: ["--follow", "--idle-timeout", "0.3"]).expect(0)
    try folder.append("day0.ndjson", Trail.events(1100..<1101))
    try Trail.run(folder, "day1.ndjson").expect(3, saying: "day0.ndjson was read to byte", "--accept-gap")
    try Trail.run(folder, "day1.ndjson", more: ["--accept-gap"]).expect(0, saying: "a gap of the input was accepted")
    let status = try #require(try PulseCommand.run("status", "--data", folder / "data", "--json").rows().first)
    #expect(status["records"] as? Int == 2000)
    let gaps = try #require(status["accepted_gaps"] as? [String])
    #expect(gaps.count == 1 && gaps[0].contains("day0.ndjson"))
    #expect(try PulseCommand.run("status", "--data", folder / "data").output.contains("accepted gap"))
    try Trail.run(folder, "day1.ndjson").expect(0)
  }

  @Test("a truncated or rewritten file is accepted on purpose, with windows kept")
  func acceptedGap() throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Trail.events(0..<1000))
    try Trail.run(folder, "events.ndjson").expect(0)
    try folder.write("events.ndjson", Trail.events(1000..<1500))
    try Trail.run(folder, "events.ndjson").expect(3, saying: "events.ndjson", "--accept-gap")
    try Trail.run(folder, "events.ndjson", more: ["--accept-gap"]).expect(0)
    let stored = try Stored(folder / "data")
    let expected = try Trail.undisturbed(Trail.events(0..<1500))
    #expect(stored.windows == expected.windows && stored.totals == expected.totals)
    try Trail.run(folder, "-", more: ["--accept-gap"], input: "").expect(64, saying: "needs files")
  }

  @Test("killed before the first checkpoint, then rotated: all of both files is read, and nothing else is stored")
  func killedEarlyAndRotated() throws {
    let folder = try Trail.folder()
    try folder.write("b.ndjson", Trail.events(0..<2000))
    let running = try Trail.start(folder, "b.ndjson", more: ["--follow", "--checkpoint-interval", "3600"])
    let found = try poll {
      let listed = try PulseCommand.run("anomalies", "--data", folder / "data", "--json", "--limit", "0")
      return try listed.exitCode == 0 && listed.rows().count > 50
    }
    #expect(found)
    running.send(SIGKILL)
    _ = try running.wait()
    try folder.rename("b.ndjson", to: "b.ndjson.1")
    try folder.write("b.ndjson", Trail.events(2000..<2600))
    try Trail.run(folder, "b.ndjson", more: ["--follow", "--idle-timeout", "1"]).expect(0)
    let stored = try Stored(folder / "data")
    let expected = try Trail.undisturbed(Trail.events(0..<2600))
    #expect(stored.totals == expected.totals && stored.windows == expected.windows)
    #expect(stored.anomalies.count == expected.anomalies.count)
  }

  @Test("killed in the second file of a followed one before a checkpoint has it, then rotated to any name")
  func killedInSecondFile() throws {
    let folder = try Trail.folder()
    try folder.write("b.ndjson", Trail.events(0..<1000))
    let running = try Trail.start(folder, "b.ndjson", more: ["--follow", "--checkpoint-interval", "3600"])
    func anomalies() throws -> Int {
      let listed = try PulseCommand.run("anomalies", "--data", folder / "data", "--json", "--limit", "0")
      return try listed.exitCode == 0 ? listed.rows().count : 0
    }
    let first = try Trail.undisturbed(Trail.events(0..<1000)).anomalies.count
    let began = try poll { try anomalies() >= first }
    #expect(began)
    try folder.rename("b.ndjson", to: "b.ndjson.1")
    try folder.write("b.ndjson", Trail.events(1000..<2000))
    let went = try poll { try anomalies() > first + 20 }
    #expect(went)
    running.send(SIGKILL)
    _ = try running.wait()
    try folder.rename("b.ndjson", to: "kept-for-later")
    try folder.write("b.ndjson", Trail.events(2000..<2600))
    try Trail.run(folder, "b.ndjson", more: ["--follow", "--idle-timeout", "1"]).expect(0)
    let stored = try Stored(folder / "data")
    let expected = try Trail.undisturbed(Trail.events(0..<2600))
    #expect(stored.totals == expected.totals && stored.anomalies.count == expected.anomalies.count)
  }

  @Test("what a run found that read nothing is on record: the next one reads what was filled and rotated meanwhile")
  func nothingRead() throws {
    let folder = try Trail.folder()
    try folder.write("b.ndjson.1", Trail.events(5000..<5100))
    try folder.write("b.ndjson", "")
    try Trail.run(folder, "b.ndjson", more: ["--follow", "--idle-timeout", "0.3"]).expect(0)
    for turn in 0..<3 {
      if turn > 0 {
        for number in stride(from: turn, through: 1, by: -1) {
          try folder.rename("b.ndjson.\(number)", to: "b.ndjson.\(number + 1)")
        }
        try folder.rename("b.ndjson", to: "b.ndjson.1")
      }
      try folder.write("b.ndjson", Trail.events(turn * 500..<turn * 500 + 500))
    }
    try Trail.run(folder, "b.ndjson", more: ["--follow", "--idle-timeout", "1"]).expect(0)
    let (stored, expected) = (try Stored(folder / "data"), try Trail.undisturbed(Trail.events(0..<1500)))
    #expect(stored.totals == expected.totals && stored.windows == expected.windows)
    #expect(stored.anomalies.count == expected.anomalies.count)
  }

  @Test("a followed file that is replaced by its own grown copy is not read again")
  func replacedByCopy() throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Trail.events(0..<1985))
    try following(folder, until: 3963) {
      try folder.write("copy", Trail.events(0..<3963))
      try folder.rename("copy", to: "events.ndjson")
    }
    #expect(try Stored(folder / "data").differences(from: Trail.undisturbed(Trail.events(0..<3963))) == [])
  }

  @Test("rotated files and numbered parts are read in the order people mean; another order is said before and after")
  func orders() throws {
    let folder = try Trail.folder()
    try folder.write("app.log.2", Trail.events(0..<1000))
    try folder.write("app.log.1", Trail.events(1000..<2000))
    try folder.write("app.log", Trail.events(2000..<3000))
    let natural = try Trail.run(folder, "app.log*")
    natural.expect(0)
    #expect(!natural.errors.contains("back in time"))
    let notes = try #require(try natural.object()["notes"] as? [String])
    #expect(notes.allSatisfy { $0.hasPrefix("the field note was absent from all") }, "\(notes)")
    #expect(try Stored(folder / "data").totals == Trail.undisturbed(Trail.events(0..<3000)).totals)
    try Trail.run(folder, "app.log*", data: "time", more: ["--order", "time"]).expect(0)
    #expect(try Stored(folder / "time").totals == Stored(folder / "data").totals)
    let byName = try Trail.run(folder, "app.log*", data: "name", more: ["--order", "name"])
    byName.expect(0, saying: "the files go back in time", "--order")
    #expect((try byName.object()["notes"] as? [String])?.first?.contains("go back in time") == true)
    try Trail.run(folder, "app.log*", data: "other", more: ["--order", "size"]).expect(64)
  }

  @Test(
    "a hole that a crash of the writer left is one dead letter, and the line behind it is read",
    arguments: [300, 2 << 20])
  func hole(length: Int) throws {
    let folder = try Trail.folder()
    let zeroes = String(repeating: "\0", count: length)
    try folder.write("events.ndjson", Trail.events(0..<100) + zeroes + Trail.events(100..<200))
    for size in ["1", "4096"] {
      let data = "data-" + size
      let outcome = try Trail.run(folder, "events.ndjson", data: data, more: ["--batch-size", size])
      outcome.expect(0)
      #expect(try outcome.object()["events"] as? Int == 200)
      let letters = try PulseCommand.run("dead-letters", "--data", folder / data, "--json").rows()
      #expect(letters.count == 1 && letters[0]["length"] as? Int == length)
    }
  }

  @Test("a glob may find more files: they are read behind those it found before")
  func globs() throws {
    let folder = try Trail.folder()
    try folder.write("part-1.ndjson", Trail.events(0..<500))
    try folder.write("part-2.ndjson", Trail.events(500..<1000))
    try Trail.run(folder, "part-*.ndjson").expect(0)
    try folder.write("part-3.ndjson", Trail.events(1000..<1500))
    try Trail.run(folder, "part-*.ndjson").expect(0)
    try Trail.run(folder, "part-*.ndjson", data: "undisturbed").expect(0)
    #expect(try Stored(folder / "data").differences(from: Stored(folder / "undisturbed")) == [])
    try folder.write("part-0.ndjson", Trail.event(0))
    try Trail.run(folder, "part-*.ndjson").expect(0)
    #expect(try Stored(folder / "data").count("records") == 1501)
  }
}
