// What the commands that list results do with odd names, values, times and amounts.

import CrashKit
import Foundation
import TestKit
import Testing

@Suite("Listing results")
struct ListingTests {
  @Test("a name that nothing stored has is answered with the nearest one and what there is")
  func unknownNames() throws {
    let folder = try Trail.folder { text in
      text.replacingOccurrences(
        of: "windows:", with: "  - {name: never, severity: low, when: load > 2000}\nwindows:")
    }
    try folder.write("events.ndjson", Trail.events(0..<1000))
    try Trail.run(folder, "events.ndjson").expect(0)
    for (arguments, near) in [
      (["anomalies", "--detector", "overlaod"], "overload"), (["windows", "--window", "minute"], "minutes"),
      (["anomalies", "--use-case", "trial"], "trail"), (["windows", "--use-case", "trial"], "trail"),
      (["dead-letters", "--use-case", "trial"], "trail"), (["status", "--use-case", "trial"], "trail"),
    ] {
      for more in [[], ["--json"]] {
        let outcome = try PulseCommand.run(arguments + ["--data", folder / "data"] + more)
        outcome.expect(64, saying: arguments[2], "did you mean `\(near)`?", "It has ")
        #expect(outcome.output.isEmpty)
      }
    }
    // A far one is told what there is; a known one that found nothing is no mistake.
    try PulseCommand.run("windows", "--data", folder / "data", "--window", "foo")
      .expect(64, saying: "minutes, quarters")
    for more in [["--detector", "never"], ["--detector", "overload", "--key", "nobody"]] {
      let outcome = try PulseCommand.run(["anomalies", "--data", folder / "data"] + more)
      outcome.expect(0)
      #expect(outcome.output == "No anomalies match.\n")
    }
  }

  @Test("a long value neither floods the tables nor the summary; --json has it whole")
  func longValues() throws {
    let folder = try Trail.folder { $0.replacingOccurrences(of: ", max_length: 40", with: "") }
    let long = String(repeating: "e\u{301}x", count: 60_000)
    let lines = (0..<20).map { #"{"at":"\#(Trail.time($0))","host":"\#(long)","load":99}"# }
    try folder.write("events.ndjson", lines.joined(separator: "\n") + "\n")
    let arguments = Trail.arguments(folder, ["events.ndjson"]).filter { $0 != "--json" }
    let run = try PulseCommand.run(arguments)
    run.expect(0)
    let lists = try ["anomalies", "windows", "dead-letters"].map { command in
      try PulseCommand.run(command, "--data", folder / "data", "--limit", "5")
    }
    for outcome in [run] + lists {
      outcome.expect(0)
      for line in outcome.output.split(separator: "\n") { #expect(line.count < 700, "\(line.count) characters") }
    }
    #expect(run.output.contains("e\u{301}x") && run.output.contains("…"))
    let anomaly = try PulseCommand.run("anomalies", "--data", folder / "data", "--limit", "1", "--json").rows().first
    #expect(anomaly?["key"] as? String == long)
  }

  @Test("a list of the most frequent values is stored for SQL, listed as JSON and printed")
  func mostFrequent() throws {
    let folder = try Trail.folder {
      $0.replacingOccurrences(of: "hosts: distinct(host)", with: "top: 'top_k(host, 2)'")
    }
    let events = Trail.events(0..<200)
    try folder.write("events.ndjson", events)
    // SQL has windows that have closed.
    try Trail.run(folder, "events.ndjson", more: ["--close"]).expect(0)
    let hosts = events.split(separator: "\n").compactMap { line in
      line.split(separator: "\"").first { $0.hasPrefix("h") && $0.count == 2 }
    }
    let most = Dictionary(hosts.map { (String($0), 1) }, uniquingKeysWith: +)
      .sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(2)
    let json = try PulseCommand.run("windows", "--data", folder / "data", "--window", "quarters", "--json").rows()
    let aggregates = try #require(json.first?["aggregates"] as? [String: Any])
    let top = try #require(aggregates["top"] as? [[String: Any]])
    #expect(top.map { $0["value"] as? String } == most.map(\.key))
    #expect(top.map { $0["count"] as? Int } == most.map(\.value) && top.allSatisfy { $0["error"] as? Int == 0 })
    let table = try PulseCommand.run("windows", "--data", folder / "data", "--window", "quarters")
    let printed = most.map { "value=\($0.key) count=\($0.value) error=0" }.joined(separator: ", ")
    #expect(table.output.contains("top=[\(printed)]"), "\(table)")
    let query = """
      SELECT t.value ->> 'value', t.value ->> 'count' FROM windows, json_each(aggregates -> 'top') t
      WHERE window = 'quarters' ORDER BY start DESC, t.key LIMIT 2
      """
    #expect(
      try StoredResults.rows(of: query, dataDirectory: folder / "data") == most.map { "\($0.key)|\($0.value)" })
  }

  @Test("times in the table of windows are written as times")
  func timesInWindows() throws {
    let folder = try Trail.folder { text in
      text.replacingOccurrences(of: "aggregates: {events: count(*), load", with: "aggregates: {latest: max(at), load")
    }
    try folder.write("events.ndjson", Trail.events(0..<200))
    try Trail.run(folder, "events.ndjson").expect(0)
    let outcome = try PulseCommand.run("windows", "--data", folder / "data", "--window", "minutes")
    outcome.expect(0)
    #expect(outcome.output.contains("latest=2024-03-01T11:01:39Z"), "\(outcome)")
    #expect(outcome.output.contains("host=h"), "\(outcome)")
  }

  @Test("an absurd event time is not how far a run has come, and no time is written that RFC 3339 cannot say")
  func absurdTimes() throws {
    let folder = try Trail.folder()
    let absurd = #"{"at":"9999-12-31T23:59:59Z","host":"h1","load":1}"# + "\n"
    for (count, reached) in [(50, "2024-03-01T11:00:24Z"), (400, "2024-03-01T11:03:19Z")] {
      try folder.write("\(count).ndjson", absurd + Trail.events(0..<count) + absurd)
      let summary = try Trail.run(folder, "\(count).ndjson", data: "\(count)").object()
      #expect(summary["event_time"] as? String == reached)
    }
    let windows = try PulseCommand.run("windows", "--data", folder / "50", "--json", "--limit", "0").rows()
    let ends = windows.compactMap { $0["end"] as? String }
    #expect(ends.count > 3 && ends.allSatisfy { $0.hasPrefix("2024") }, "an absurd time has no window")
    // Until eight events have come, everything is taken as it comes.
    try folder.write("few.ndjson", absurd + Trail.events(0..<3))
    try Trail.run(folder, "few.ndjson", data: "few").expect(0)
    let few = try PulseCommand.run("windows", "--data", folder / "few", "--json", "--limit", "0").rows()
    #expect(few.contains { $0["end"] as? String == "9999-12-31T23:59:59.999999Z" })
    let text = try PulseCommand.run("windows", "--data", folder / "few")
    #expect(text.output.contains("9999-12-31T23:59:00Z"), "\(text)")
  }

  @Test("status tells what was found from what is still stored")
  func retainedResults() throws {
    let folder = try Trail.folder { $0 + "results: {retain: 1m}\n" }
    try folder.write("events.ndjson", Trail.events(0..<4000))
    try Trail.run(folder, "events.ndjson").expect(0)
    func count(_ command: String) throws -> Int {
      try PulseCommand.run(command, "--data", folder / "data", "--json", "--limit", "0").rows().count
    }
    let status = try #require(try PulseCommand.run("status", "--data", folder / "data", "--json").rows().first)
    let found = (status["anomalies"] as? [String: Int])?.values.reduce(0, +) ?? 0
    let stored = (status["stored_anomalies"] as? [String: Int])?.values.reduce(0, +) ?? 0
    let (anomalies, letters) = (try count("anomalies"), try count("dead-letters"))
    #expect(stored == anomalies && stored < found && stored > 0)
    #expect(status["stored_dead_letters"] as? Int == letters && letters < 16)
    let text = try PulseCommand.run("status", "--data", folder / "data").output
    #expect(text.contains("(found in all: \(found), stored: \(stored))"), "\(text)")
    #expect(text.contains("(found in all: 16, stored: \(letters))"), "\(text)")
  }

  @Test("all dead letters at once take the memory of one")
  func streaming() throws {
    let folder = try Trail.folder()
    let letter = Data(repeating: UInt8(ascii: "x"), count: 1_000_000) + Data("\n".utf8)
    var input = Data()
    for _ in 0..<100 { input += letter }
    try folder.write("events.ndjson", input)
    try Trail.run(folder, "events.ndjson").expect(0)
    let all = try PulseCommand.run("dead-letters", "--data", folder / "data", "--limit", "0", "--json")
    all.expect(0)
    #expect(try all.rows().count == 100)
    #expect(all.peakMegabytes < 150, "\(all.peakMegabytes) MB")
  }

  @Test("an empty file is a store in which nothing has run")
  func emptyFile() throws {
    let folder = try TestFolder()
    try folder.write("empty/pulse.sqlite", "")
    let status = try PulseCommand.run("status", "--data", folder / "empty")
    status.expect(0)
    #expect(status.output.contains("Nothing has run"))
    for command in ["anomalies", "windows", "dead-letters"] {
      let outcome = try PulseCommand.run(command, "--data", folder / "empty", "--json")
      outcome.expect(0)
      #expect(try outcome.rows().isEmpty)
    }
  }

  @Test("compressed standard input is told how it is unpacked on the way")
  func compressedInput() throws {
    let folder = try Trail.folder()
    let outcome = try PulseCommand.shell(
      "printf '\\037\\213\\010\\000' | $PULSE run --use-case trail --source - --data data", in: folder)
    outcome.expect(3, saying: "compressed (gzip)", "| zcat | pulse run")
    #expect(!outcome.errors.contains("zcat standard input"), "\(outcome)")
  }

  @Test("a draft of a use case is inferred from a compressed file, by the name inside")
  func compressedSample() throws {
    let folder = try TestFolder()
    try folder.write("packed.ndjson", Trail.events(0..<50))
    let plain = try PulseCommand.shell("$PULSE infer packed.ndjson && gzip packed.ndjson", in: folder)
    let packed = try PulseCommand.shell("$PULSE infer packed.ndjson.gz", in: folder)
    let piped = try PulseCommand.shell("zcat packed.ndjson.gz | $PULSE infer --name packed /dev/stdin", in: folder)
    for outcome in [plain, packed, piped] { outcome.expect(0) }
    #expect(plain.output.contains("name: packed\n"), "\(plain)")
    #expect(packed.output == plain.output.replacing("packed.ndjson", with: "packed.ndjson.gz"))
    #expect(piped.output == plain.output.replacing("packed.ndjson", with: "stdin"))
  }

  @Test("a data directory that cannot be made says why in the words of the system")
  func reasons() throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Trail.events(0..<10))
    try folder.write("file", "")
    let outcome = try Trail.run(folder, "events.ndjson", data: "file/data")
    outcome.expect(4, saying: "cannot be created: Not a directory.")
    try PulseCommand.run("infer", folder.path).expect(3, saying: "directory")
  }
}
