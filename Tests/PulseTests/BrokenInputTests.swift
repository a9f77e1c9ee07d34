// Input that is broken in every way that input is: each gives a clear error or a dead letter, and what is good is kept.

import Foundation
import TestKit
import Testing

@Suite("Broken input")
struct BrokenInputTests {
  @Test("a file that is not there, or is a directory, stops the run before anything is stored")
  func notAFile() throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Trail.events(0..<100))
    try Trail.run(folder, "none.ndjson").expect(3, saying: "no file", "none.ndjson")
    try Trail.run(folder, "trail").expect(3, saying: "is a directory", "expected a file")
    try Trail.run(folder, "*.csv").expect(3, saying: "no file matches")
    try Trail.run(folder, "events.ndjson", "none.ndjson").expect(3, saying: "none.ndjson")
    #expect(!FileManager.default.fileExists(atPath: folder / "data"))
    try Trail.run(folder, "events.ndjson").expect(0)
    #expect(try Stored(folder / "data").differences(from: Trail.undisturbed(Trail.events(0..<100))) == [])
  }

  @Test(
    "a file that may not be read", .enabled(if: Need.unprivileged != nil, "needs setpriv and a command all may run"))
  func unreadable() throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Trail.events(0..<100))
    for name in ["", "data"] {
      try FileManager.default.createDirectory(atPath: folder / name, withIntermediateDirectories: true)
      chmod(folder / name, 0o777)
    }
    chmod(folder / "events.ndjson", 0)
    let command = try #require(Need.unprivileged) + [PulseCommand.path] + Trail.arguments(folder, ["events.ndjson"])
    try RunningCommand(command).wait().expect(3, saying: "events.ndjson", "cannot be opened", "permission denied")
    chmod(folder / "events.ndjson", 0o644)
    try RunningCommand(command).wait().expect(0)
    #expect(try Stored(folder / "data").differences(from: Trail.undisturbed(Trail.events(0..<100))) == [])
  }

  @Test("an empty file, and one without a last line end")
  func emptyFile() throws {
    let folder = try Trail.folder()
    try folder.write("empty.ndjson", "")
    let outcome = try Trail.run(folder, "empty.ndjson")
    outcome.expect(0)
    #expect(try outcome.object()["records"] as? Int == 0)
    // It may grow, and it may be read together with others.
    try folder.write("more.ndjson", String(Trail.events(0..<100).dropLast()))
    try Trail.run(folder, "empty.ndjson", "more.ndjson").expect(0)
    #expect(try Stored(folder / "data").count("records") == 100)
    for name in ["empty.csv", "empty.parquet"] {
      try folder.write(name, "")
      try Trail.run(folder, name, data: name + "-data").expect(0)
    }
  }

  @Test("a CSV file without a required column is refused before anything is read, with the nearest name there is")
  func missingColumns() throws {
    let folder = try Trail.folder()
    let rows = (0..<10).map { "\(Trail.time($0)),h1,5" }.joined(separator: "\n") + "\n"
    try folder.write("good.csv", "at,host,load\n" + rows)
    try folder.write("bad.csv", "at,hots,note\n" + rows)
    for source in [["bad.csv"], ["good.csv", "bad.csv"]] {
      let outcome = try PulseCommand.run(Trail.arguments(folder, source))
      outcome.expect(3, saying: "bad.csv has 3 columns, and not 'host' (did you mean 'hots'?), 'load', which")
      #expect(!FileManager.default.fileExists(atPath: folder / "data"))
    }
    try folder.write("semicolons.csv", "at;host;load\n" + rows.replacingOccurrences(of: ",", with: ";"))
    try Trail.run(folder, "semicolons.csv").expect(3, saying: "'at'", "'host'", "--csv-delimiter ';'")
    // Without a header the first line is data, which no message quotes.
    try folder.write("bare.csv", rows)
    let bare = try Trail.run(folder, "bare.csv")
    bare.expect(3, saying: "its first line must name the columns")
    #expect(!bare.errors.contains("2024-03-01"))
    try Trail.run(folder, "-", more: ["--format", "csv"], input: "at,hots,load\n" + rows).expect(3, saying: "'hots'?")
    // A header that is not finished may still become right; a byte order mark is not part of a name.
    try folder.write("growing.csv", "\u{FEFF}at,ho")
    let follow = ["--follow", "--idle-timeout", "0.3"]
    try Trail.run(folder, "growing.csv", more: follow).expect(0)
    try folder.append("growing.csv", "st,load\n" + rows)
    try Trail.run(folder, "growing.csv", more: follow).expect(0)
    #expect(try Stored(folder / "data").count("records") == 10)
  }

  @Test("broken events become dead letters with their reason and their bytes; the others are kept")
  func brokenEvents() throws {
    let folder = try Trail.folder()
    let deep = String(repeating: "[", count: 100_000)
    let broken: [(bytes: [UInt8], reason: String)] = [
      (Array(#"{"at":"2024-03-01T11:00:00Z","host":"h1","load":"#.utf8), "malformed"),
      (
        Array("{\"at\":\"2024-03-01T11:00:00Z\",\"host\":\"h".utf8) + [0xff, 0xfe] + Array("\",\"load\":1}".utf8),
        "invalid_utf8"
      ),
      (Array(#"{"at":"2024-03-01T11:00:00Z","host":"h1","load":1,"note":\#(deep)"#.utf8), "too_deep"),
      (Array(#"{"at":"2024-03-01T11:00:00Z","host":"h1","load":1,"load":2}"#.utf8), "duplicate_key"),
      (Array("[1,2,3]".utf8), "not_an_object"),
      (Array("\"text\"".utf8), "not_an_object"),
      (Array(#"{"at":"2024-03-01T11:00:00Z","host":"h1","load":NaN}"#.utf8), "malformed"),
      (Array(#"{"at":"2024-03-01T11:00:00Z","host":"h1","load":Infinity}"#.utf8), "malformed"),
      (Array(#"{"at":"2024-03-01T11:00:00Z","host":"h1","load":1e999}"#.utf8), ""),
      (Array(#"{"at":"2024-03-01T11:00:00Z","host":"h1","load":"NaN"}"#.utf8), "wrong_type"),
      (Array(#"{"at":"2024-03-01T11:00:00Z","host":"h1","load":-1}"#.utf8), "out_of_range"),
      (Array(#"{"at":"2024-03-01T11:00:00Z","load":1}"#.utf8), "missing"),
      (Array(#"{"at":"the first of March","host":"h1","load":1}"#.utf8), "invalid_timestamp"),
      (
        Array(#"{"at":"2024-03-01T11:00:00Z","host":"\#(String(repeating: "h", count: 41))","load":1}"#.utf8),
        "too_long"
      ),
      ([0, 0, 0], "malformed"),
      (Array(#"{"at":"2024-03-01T11:00:00Z","host":"\ud800","load":1}"#.utf8), ""),
    ]
    var input = Data()
    for (index, event) in broken.enumerated() {
      input += Data(Trail.event(index).utf8) + Data(event.bytes) + Data("\n".utf8)
    }
    input += Data(Trail.event(broken.count).utf8)
    try folder.write("events.ndjson", input)
    let outcome = try Trail.run(folder, "events.ndjson")
    outcome.expect(0)
    #expect(try outcome.object()["events"] as? Int == broken.count + 1)
    let letters = try PulseCommand.run("dead-letters", "--data", folder / "data", "--json", "--limit", "0").rows()
    #expect(letters.count == broken.count)
    for (letter, event) in zip(letters.reversed(), broken) {
      let reason = letter["reason"] as? String
      #expect(event.reason.isEmpty || reason == event.reason, "\(letter)")
      #expect((letter["message"] as? String)?.isEmpty == false)
      #expect(letter["length"] as? Int == event.bytes.count)
      let coded = (letter["raw_base64"] as? String).flatMap { Data(base64Encoded: $0) }
      #expect((coded ?? (letter["raw"] as? String).map { Data($0.utf8) }) == Data(event.bytes), "\(letter)")
    }
  }

  @Test("a line of a gigabyte becomes a dead letter in bounded memory")
  func hugeLine() throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Trail.events(0..<100) + #"{"host":"h1","note":""#)
    // A hole: a gigabyte of zeroes that takes no room on the disk.
    truncate(folder / "events.ndjson", 1 << 30)
    try folder.append("events.ndjson", "\n" + Trail.events(100..<200))
    let outcome = try Trail.run(folder, "events.ndjson", timeout: 120)
    outcome.expect(0)
    #expect(outcome.peakMegabytes > 1 && outcome.peakMegabytes < 300, "\(outcome.peakMegabytes) MB")
    let stored = try Stored(folder / "data")
    #expect(stored.count("records") == 201)
    let letters = try PulseCommand.run(
      "dead-letters", "--data", folder / "data", "--json", "--reason", "too_large"
    ).rows()
    #expect(letters.count == 1)
    #expect(letters.first?["length"] as? Int ?? 0 > 1_000_000_000)
    #expect((letters.first?["sha256"] as? String)?.count == 64)
    try Trail.run(folder, "events.ndjson", timeout: 120).expect(0)
    #expect(try Stored(folder / "data") == stored)
  }

  @Test("events of nearly a megabyte are read in bounded memory")
  func largeEvents() throws {
    let folder = try Trail.folder()
    var random = SeededRandom(seed: 1)
    let text = (0..<2_000_000).map { _ in UInt8.random(in: 0x61...0x7A, using: &random) }
    let count = 700
    let path = folder / "events.ndjson"
    #expect(FileManager.default.createFile(atPath: path, contents: nil))
    let file = try #require(FileHandle(forWritingAtPath: path))
    for index in 0..<count {
      // Lengths differ, as those of events do: then freed blocks do not fit the next ones.
      let start = Int.random(in: 0..<1_000_000, using: &random)
      let note = text[start..<start + Int.random(in: 700_000...1_000_000, using: &random)]
      let beginning = Trail.events(index..<index + 1).dropLast(2) + #","note":""#
      try file.write(contentsOf: Data(beginning.utf8) + Data(note) + Data("\"}\n".utf8))
    }
    try file.close()
    let outcome = try Trail.run(folder, "events.ndjson", timeout: 240)
    outcome.expect(0)
    #expect(try outcome.object()["records"] as? Int == count)
    #expect(outcome.peakMegabytes > 50 && outcome.peakMegabytes < 600, "\(outcome.peakMegabytes) MB")
  }

  @Test("a truncated or damaged Parquet file", .enabled(if: Need.python != nil, "needs pyarrow: run make setup"))
  func truncatedParquet() throws {
    let folder = try Trail.folder()
    _ = try Need.python(
      """
      import sys, datetime, pyarrow as pa, pyarrow.parquet as pq
      n = 20000
      t0 = datetime.datetime(2024, 3, 1, 11)
      t = pa.table({'at': pa.array([t0 + datetime.timedelta(seconds=i) for i in range(n)], pa.timestamp('us')),
                    'host': ['h%d' % (i % 7) for i in range(n)], 'load': [float(i % 100) for i in range(n)]})
      pq.write_table(t, sys.argv[1], row_group_size=4000, compression='NONE', use_dictionary=False)
      """, folder / "whole.parquet")
    let whole = try #require(FileManager.default.contents(atPath: folder / "whole.parquet"))
    try folder.write("events.parquet", whole.prefix(whole.count - 1000))
    let cut = try Trail.run(folder, "events.parquet")
    cut.expect(3, saying: "events.parquet")
    // A page in the middle is overwritten: what lies before it is kept.
    var damaged = whole
    damaged.replaceSubrange(whole.count / 2..<whole.count / 2 + 20_000, with: Data(repeating: 0xee, count: 20_000))
    try folder.write("damaged.parquet", damaged)
    let outcome = try Trail.run(folder, "damaged.parquet", data: "damaged", more: ["--batch-size", "500"])
    outcome.expect(3, saying: "damaged.parquet")
    let kept = try Stored(folder / "damaged").count("records")
    #expect((4000...10_000).contains(kept), "\(kept) records before the damage\n\(outcome)")
    try Trail.run(folder, "whole.parquet").expect(0)
    #expect(try Stored(folder / "data").count("records") == 20_000)
  }

  @Test("time that goes backwards, and one event from the year 9999")
  func strangeTimes() throws {
    let folder = try Trail.folder()
    let future = #"{"at":"9999-12-31T23:59:59Z","host":"h1","load":1}"# + "\n"
    let past = #"{"at":"1970-01-01T00:00:01Z","host":"h1","load":1}"# + "\n"
    try folder.write(
      "events.ndjson",
      Trail.events(0..<2000) + future + past + Trail.events(2000..<4000) + Trail.events(0..<500)
        + Trail.events(4000..<6000))
    let outcome = try Trail.run(folder, "events.ndjson")
    outcome.expect(0)
    let stored = try Stored(folder / "data")
    let totals = try #require(try outcome.object()["totals"] as? [String: Any])
    #expect(totals["ahead_events"] as? Int == 1)
    // The second half hour is 500 events late, two of them broken, beside the one of 1970.
    #expect((totals["late_events"] as? [String: Int])?["minutes"] == 499, "\(outcome)")
    #expect(totals["records"] as? Int == 6502)
    // Everything is kept in history but the event of 1970, which is older than history is kept; the watermark, and with
    // it retention, is that of the ordinary events.
    #expect(stored.count("history_rows") == 6502 - 26 - 1)
    let status = try PulseCommand.run("status", "--data", folder / "data", "--json").rows()
    #expect((status.first?["watermark"] as? String)?.hasPrefix("2024-03-01T11:49") == true, "\(status)")
    // Windows of the ordinary events are those of a run without the strange ones.
    let ordinary = try Trail.undisturbed(Trail.events(0..<6000))
    let minutes = { (stored: Stored) in stored.windows.filter { $0.contains("\"minutes\"") && $0.contains("2024-") } }
    #expect(minutes(stored) == minutes(ordinary))
  }

  @Test(
    "not a number and infinity in a Parquet column are stored without harm",
    .enabled(if: Need.python != nil, "needs pyarrow: run make setup"))
  func notANumber() throws {
    let folder = try Trail.folder { $0.replacingOccurrences(of: ", min: 0, max: 1000", with: "") }
    _ = try Need.python(
      """
      import sys, datetime, pyarrow as pa, pyarrow.parquet as pq
      t0 = datetime.datetime(2024, 3, 1, 11)
      loads = [1.0, float('nan'), float('inf'), float('-inf'), 2.0, 99.0]
      pq.write_table(pa.table({'at': pa.array([t0] * 6, pa.timestamp('us')), 'host': ['h1'] * 6, 'load': loads}), sys.argv[1])
      """, folder / "events.parquet")
    let outcome = try Trail.run(folder, "events.parquet")
    outcome.expect(0)
    let totals = try #require(try outcome.object()["totals"] as? [String: Any])
    #expect(totals["records"] as? Int == 6)
    // Whatever was stored of them is JSON: every list parses.
    let stored = try Stored(folder / "data")
    #expect(stored.deadLetters.count + stored.count("events") == 6, "\(stored)")
    #expect(!stored.windows.isEmpty)
  }
}
