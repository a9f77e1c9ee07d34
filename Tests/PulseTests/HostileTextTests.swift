// Text from outside on its way to a terminal: names of columns and files, values of events, the environment and what was
// typed hold characters that a terminal obeys, and none of them gets there.

import Detection
import Foundation
import Pipeline
import TestKit
import Testing

@Suite("Hostile text")
struct HostileTextTests {
  /// Clears the screen, sets the title, is a C1 command, turns text around, ends a line.
  static let evil = "x\u{1B}[2J\u{1B}]0;t\u{7}\u{9B}31m\u{202E}\u{2028}\u{200F}\u{61C}\u{7F}y"

  /// Everything printed, without a character that drives a terminal.
  private func expectHarmless(_ outcome: Outcome, _ at: Testing.SourceLocation = #_sourceLocation) {
    for text in [outcome.output, outcome.errors] {
      let found = text.unicodeScalars.filter { TerminalText.isUnsafe($0) && $0 != "\n" && $0 != "\t" }
      #expect(found.isEmpty, "\(found.map { String($0.value, radix: 16) }): \(outcome)", sourceLocation: at)
    }
  }

  private func json(_ text: String) throws -> String {
    String(decoding: try JSONEncoder().encode(text), as: UTF8.self)
  }

  @Test("a CSV header is suggested without its commands, and ends no line of ours")
  func suggestions() throws {
    let folder = try Trail.folder()
    let row = "2024-03-01T00:00:00Z,h1,5\n"
    try folder.write("e.csv", "at,host\u{1B},load\n" + row)
    let outcome = try Trail.run(folder, "e.csv")
    outcome.expect(3, saying: "'host' (did you mean 'host\\u{1b}'?)")
    expectHarmless(outcome)
    try folder.write("e.csv", "at,\"ho\nst\u{9B}\",load\n" + row)
    let lines = try Trail.run(folder, "e.csv")
    lines.expect(3, saying: "did you mean 'ho\\u{a}st\\u{9b}'?")
    expectHarmless(lines)
    expectHarmless(try Trail.run(folder, "none\u{1B}[2J.csv"))
    expectHarmless(try PulseCommand.run("infer", folder / "none\u{1B}[2J\u{202E}.csv"))
  }

  @Test("values of events are listed, explained and printed as JSON without their commands, and come back whole")
  func values() throws {
    let folder = try Trail.folder()
    let evil = Self.evil
    let host = try json(evil)
    try folder.write(
      "e.ndjson",
      #"{"at":"2024-03-01T00:00:00Z","host":\#(host),"load":99,"note":\#(host)}"# + "\n"
        + #"{"at":"2024-03-01T00:00:01Z","host":\#(host),"load":-1}"# + "\n" + "\(evil)\n")
    let run = try Trail.run(folder, "e.ndjson")
    run.expect(0)
    expectHarmless(run)
    for command in ["anomalies", "dead-letters", "windows", "status"] {
      for more in [[], ["--json"]] {
        let outcome = try PulseCommand.run([command, "--data", folder / "data"] + more)
        outcome.expect(0)
        expectHarmless(outcome)
        if command == "anomalies", let row = more.isEmpty ? nil : try outcome.rows().first {
          #expect(row["key"] as? String == evil)
          let id = try #require(row["id"] as? String)
          for flags in [[], ["--json"]] {
            let explained = try PulseCommand.run(["explain", id, "--data", folder / "data"] + flags)
            explained.expect(0)
            expectHarmless(explained)
          }
        }
      }
    }
    let keyed = try PulseCommand.run("anomalies", "--data", folder / "data", "--key", evil)
    keyed.expect(0)
    expectHarmless(keyed)
  }

  @Test("what was typed, the environment and configuration files are repeated without commands")
  func configuration() throws {
    let folder = try Trail.folder()
    let evil = Self.evil
    try folder.write("e.ndjson", Trail.events(0..<10))
    for arguments in [
      ["anomalies", "--\(evil)"], [evil], ["list", evil], ["check", evil],
      ["explain", evil, "--data", folder / "data"],
      ["anomalies", "--data", evil], ["anomalies", "--data", folder / "data", "--limit", evil],
      ["test", folder / evil],
      ["models", "list", evil, "--data", folder.path], ["run", "--source", evil, "--use-case", folder / "trail"],
      ["anomalies", "--data", folder / "data", "--detector", evil], ["simulate", evil, "--to", "-"],
    ] {
      let outcome = try PulseCommand.run(arguments)
      #expect(outcome.exitCode != 0, "\(arguments)")
      expectHarmless(outcome)
    }
    let environment = try PulseCommand.run(
      "run", "--use-case", folder / "trail", environment: ["PULSE__SOURCE__\(evil)": evil, "PULSE__WORKERS": evil])
    #expect(environment.exitCode != 0)
    expectHarmless(environment)
    try folder.write("bad/pipeline.yaml", Trail.pipeline.replacing("severity: high", with: "severity: \(evil)"))
    try folder.write("evil/pipeline.yaml", Trail.pipeline.replacing("when: load > 95", with: "when: lo\u{202E}ad > 95"))
    try folder.write("pulse.yaml", "source: {paths: [\"\(evil)\"]}\nstore: {path: data}\n\(evil): 1\n")
    for arguments in [
      ["check", folder / "bad"], ["check", folder / "evil"],
      ["run", "--use-case", folder / "trail", "--config", folder / "pulse.yaml"],
    ] {
      let outcome = try PulseCommand.run(arguments)
      outcome.expect(2)
      expectHarmless(outcome)
    }
    // Help is as it was.
    let help = try PulseCommand.run("run", "--help")
    help.expect(0)
    #expect(help.output.contains("OPTIONS:") && help.errors.isEmpty)
    try PulseCommand.run("--version").expect(0)
    try PulseCommand.run("anomalies", "--nothing").expect(64, saying: "Unknown option", "Usage:")
  }

  @Test("a draft of a use case from hostile names is YAML that holds them, and nothing of them is read as YAML")
  func drafts() throws {
    let folder = try TestFolder()
    let names = [Self.evil, "a\nrules: [{name: forged}]", "it's \"quoted\"", "select", "time\u{202E}", "#c", "k: v"]
    let fields = try names.enumerated().map { "\(try json($1)):\($0)" }.joined(separator: ",")
    let times = try ["t\nname: forged", "u\u{1B}[2J"].map { "\(try json($0)):\"2024-03-01T00:00:0" }
    let lines = (0..<9).map { second in
      "{\"at\":\"2024-03-01T00:00:0\(second)Z\",\(times.map { $0 + "\(second)Z\"" }.joined(separator: ",")),\(fields)}"
    }
    try folder.write("e.ndjson", lines.joined(separator: "\n") + "\n")
    let outcome = try PulseCommand.run("infer", folder / "e.ndjson", "--name", "draft")
    outcome.expect(0)
    expectHarmless(outcome)
    #expect(!outcome.output.contains("\nname: forged") && !outcome.output.contains("\nrules:"))
    try folder.write("draft/pipeline.yaml", outcome.output)
    try PulseCommand.run("check", folder / "draft").expect(0)
  }
}
