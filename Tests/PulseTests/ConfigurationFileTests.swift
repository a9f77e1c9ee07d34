// Where a use case runs: pulse.yaml, the environment and the flags as a person uses them together.

import Foundation
import TestKit
import Testing

@Suite("pulse.yaml")
struct ConfigurationFileTests {
  private static let file = """
    source: {paths: [events.ndjson]}
    store: {path: here}
    history: {retain: 1d}
    workers: 1

    """

  private func folder() throws -> TestFolder {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Trail.events(0..<1000))
    return folder
  }

  private func records(_ outcome: Outcome) throws -> Int? {
    outcome.expect(0)
    return try outcome.rows().first?["records"] as? Int
  }

  @Test("of the current directory: run and the lists need no more than the use case")
  func currentDirectory() throws {
    let folder = try folder()
    try folder.write("pulse.yaml", Self.file)
    try PulseCommand.shell("$PULSE run --use-case trail --quiet", in: folder).expect(0)
    #expect(try records(PulseCommand.shell("$PULSE status --json", in: folder)) == 1000)
    for command in ["anomalies", "windows", "dead-letters"] {
      let here = try PulseCommand.shell("$PULSE \(command) --json", in: folder)
      #expect(try !here.rows().isEmpty)
      #expect(try PulseCommand.run(command, "--json", "--data", folder / "here").output == here.output)
    }
  }

  @Test("flags go before the environment, that before the file that --config names")
  func precedence() throws {
    let folder = try folder()
    try folder.write("conf/prod.yaml", Self.file)
    try folder.write("few.ndjson", Trail.events(0..<10))
    let run = "$PULSE run --use-case trail --config conf/prod.yaml --quiet"
    try PulseCommand.shell("PULSE__STORE__PATH=there \(run)", in: folder).expect(0)
    #expect(try records(PulseCommand.run("status", "--json", "--data", folder / "there")) == 1000)
    let both = "PULSE__STORE__PATH=there PULSE__SOURCE__PATHS=none.ndjson"
    try PulseCommand.shell("\(both) \(run) --data flag --source few.ndjson", in: folder).expect(0)
    let status = "$PULSE status --json --config conf/prod.yaml"
    #expect(try records(PulseCommand.shell("PULSE__STORE__PATH=there \(status) --data flag", in: folder)) == 10)
    #expect(try records(PulseCommand.shell("PULSE__STORE__PATH=there \(status)", in: folder)) == 1000)
    try PulseCommand.shell(status, in: folder).expect(4, saying: "here")
  }

  @Test("what is wrong is said with file, place and the nearest name, or with the variable")
  func errors() throws {
    let folder = try folder()
    let run = "$PULSE run --use-case trail --source events.ndjson --data d"
    try folder.write("pulse.yaml", "source:\n  pahts: [a]\nkafka: {brokers: x}\nbatch_size: many\n")
    try PulseCommand.shell(run, in: folder).expect(
      2, saying: "pulse.yaml:2:3", "did you mean `paths`?", "pulse.yaml:3:1", "`source: {type: kafka, …}`",
      "pulse.yaml:4:13", "expected a whole number", "found `many`", "3 errors")
    #expect(!FileManager.default.fileExists(atPath: folder / "d"))
    try PulseCommand.shell("$PULSE status", in: folder).expect(2, saying: "pulse.yaml:2:3")
    try PulseCommand.shell("$PULSE run --use-case trail --config none.yaml", in: folder)
      .expect(2, saying: "none.yaml", "no such file")
    try folder.write("pulse.yaml", "# nothing\n")
    try PulseCommand.shell("PULSE__STORE__PAHT=x \(run)", in: folder)
      .expect(2, saying: "environment", "PULSE__STORE__PAHT", "did you mean `PULSE__STORE__PATH`?")
    try PulseCommand.shell("$PULSE run --use-case trail", in: folder).expect(64, saying: "--source")
    try PulseCommand.shell("$PULSE run --use-case trail --source events.ndjson", in: folder)
      .expect(64, saying: "--data")
    try PulseCommand.shell("$PULSE status", in: folder).expect(64, saying: "--data")
    try folder.write("pulse.yaml", "source: {type: stdin}\n")
    try PulseCommand.shell("$PULSE run --use-case trail --data d --follow < events.ndjson", in: folder)
      .expect(64, saying: "--follow")
  }

  @Test("history is kept as long as pulse.yaml says, without being another use case")
  func history() throws {
    let folder = try folder()
    // Three days of event time, two events a second.
    let days = [0, 172_800, 345_600].map { Trail.events($0..<($0 + 1000)) }.joined()
    try folder.write("events.ndjson", days)
    try folder.write("pulse.yaml", Self.file.replacing("workers: 1", with: "checkpoint: {interval: 10ms}"))
    try PulseCommand.shell("$PULSE run --use-case trail --quiet", in: folder).expect(0)
    // The first day is out of reach of the last one by then.
    try PulseCommand.shell("$PULSE run --use-case trail --quiet", in: folder).expect(0)
    let kept = try FileManager.default.contentsOfDirectory(atPath: folder / "here/history/trail").sorted()
    #expect(kept == ["day=2024-03-02", "day=2024-03-03"], "\(kept)")
    let version = { (data: String) in
      try PulseCommand.run("status", "--json", "--data", folder / data).rows().first?["version"] as? String
    }
    try Trail.run(folder, "events.ndjson", data: "plain").expect(0)
    #expect(try version("here") == version("plain"))
  }
}
