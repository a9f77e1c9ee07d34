// The command line as a person meets it: wrong usage is explained, lists have the promised fields, and what one command
// writes another one reads.

import Foundation
import TestKit
import Testing

@Suite("Command line")
struct CommandLineTests {
  @Test(
    "wrong usage ends with 64 and says what is wrong",
    arguments: [
      (["runn"], "runn"), (["run"], "--use-case"), (["run", "--use-case", "x", "--data", "d"], "--source"),
      (["run", "--use-case", "x", "--source", "y"], "--data"),
      (["run", "--use-case", "x", "--source", "y", "--data", "d", "--batch-size", "0"], "1 to 65536"),
      (["run", "--use-case", "x", "--source", "y", "--data", "d", "--batch-size", "many"], "batch-size"),
      (["run", "--use-case", "x", "--source", "y", "--data", "d", "--workers", "0"], "1 to 256"),
      (["run", "--use-case", "x", "--source", "y", "--data", "d", "--format", "xml"], "ndjson"),
      (["run", "--use-case", "x", "--source", "y", "--data", "d", "--checkpoint-interval", "0"], "0.01 to 3600"),
      (["run", "--use-case", "x", "--source", "y", "--data", "d", "--checkpoint-interval", "0.0001"], "0.01 to 3600"),
      (["run", "--use-case", "x", "--source", "y", "--data", "d", "--checkpoint-interval", "nan"], "0.01 to 3600"),
      (["run", "--use-case", "x", "--source", "y", "--data", "d", "--idle-timeout", "inf"], "0.001 to 1000000000"),
      (["run", "--use-case", "x", "--source", "y", "--data", "d", "--idle-timeout", "1e300"], "0.001 to 1000000000"),
      (["run", "--use-case", "x", "--source", "y", "--data", "d", "--idle-timeout", "0.0005"], "0.001 to 1000000000"),
      (["simulate", "redset", "--to", "-", "--speedup", "1e-300"], "0.001 to 1000000000"),
      (["simulate", "redset", "--to", "-", "--speedup", "inf"], "0.001 to 1000000000"),
      (["run", "--use-case", "x", "--source", "y", "--data", "d", "--idle-timeout", "-1"], "idle-timeout"),
      (["run", "--use-case", "x", "--source", "-", "--source", "y", "--data", "d"], "cannot be combined"),
      (["run", "--use-case", "x", "--source", "-", "--data", "d", "--follow"], "--follow"),
      (["run", "--use-case", "x", "--source", "y", "--data", "d", "--source-name", "n"], "--source-name"),
      (["rnu"], "did you mean `run`?"), (["anomalies", "--data", "d", "--limit", "-1"], "0 (all) or more"),
      (["run", "--use-case", "x", "--source", "y", "--data", "d", "--workers", "-1"], "1 to 256"),
      (["status", "--data", ""], "--data is empty"), (["run", "--use-case", "x", "--data", ""], "--data is empty"),
      (["run", "--use-case", "x", "--source", "y", "--data", "d", "--events", "5"], "simulator"),
      (["run", "--use-case", "x", "--source", "y", "--data", "d", "--seed", "5"], "simulator"),
      (["run", "--use-case", "x", "--source", "y", "--data", "d", "--idle-timeout", "5"], "--follow"),
      (["run", "--use-case", "x", "--source", "simulator", "--data", "d", "--format", "csv"], "--format"),
      (["run", "--use-case", "x", "--source", "y", "--data", "d", "--json", "--quiet"], "--quiet"),
      (["anomalies", "--data", "d", "--severity", "terrible"], "critical"),
      (["windows", "--data", "d", "--since", "yesterday"], "RFC 3339"),
      (["dead-letters", "--data", "d", "--reason", "malformd"], "malformed"),
      (["simulate", "redset", "--to", "-", "--events", "-5"], "events"), (["list", "planets"], "detectors"),
    ])
  func wrongUsage(_ arguments: [String], _ word: String) throws {
    try PulseCommand.run(arguments).expect(64, saying: "error", word)
  }

  @Test(
    "wrong usage shows how that command is used, in three lines, whoever finds it wrong",
    arguments: [
      (["runn"], "pulse <subcommand>", "pulse help"),
      (["run", "--use-case", "x", "--nothing"], "pulse run [<options>] --use-case <use-case>", "pulse help run"),
      // Found by the check of the options, and by the command when it runs.
      (["run", "--use-case", "x", "--workers", "0"], "pulse run [<options>] --use-case <use-case>", "pulse help run"),
      (["status"], "pulse status [", "pulse help status"),
      (["models", "list", "--nothing", "x"], "pulse models list", "pulse help models list"),
      (["models", "prune", "x", "--data", "d", "--keep", "-1"], "pulse models prune", "pulse help models prune"),
    ])
  func usage(_ arguments: [String], _ usage: String, _ help: String) throws {
    let folder = try TestFolder()
    let quoted = arguments.map { "'\($0)'" }.joined(separator: " ")
    let outcome = try PulseCommand.shell("$PULSE \(quoted)", in: folder)
    outcome.expect(64)
    let lines = outcome.errors.split(separator: "\n").map(String.init)
    #expect(lines.count == 3, "\(outcome)")
    #expect(lines.first?.hasPrefix("Error: ") == true, "\(outcome)")
    #expect(lines.dropFirst().first?.hasPrefix("Usage: \(usage)") == true, "\(outcome)")
    #expect(lines.last == "`\(help)` explains it.", "\(outcome)")
    try PulseCommand.run(Array(help.split(separator: " ").dropFirst()).map(String.init)).expect(0)
  }

  @Test(
    "a source is not named like a path, a hidden file or one of pulse's own",
    arguments: [
      "a/b", "..", "../up", ".hidden", "", "with space", "ümlaut", "line\nend", "stdin-1", "STDIN-7", "files",
      "simulator", "stdin", String(repeating: "x", count: 101),
    ])
  func sourceNames(_ name: String) throws {
    let folder = try Trail.folder()
    try Trail.run(folder, "-", more: ["--source-name", name], input: Trail.events(0..<10)).expect(
      64, saying: "--source-name")
    #expect(!FileManager.default.fileExists(atPath: folder / "data"))
  }

  @Test("a source may have a plain name")
  func plainSourceName() throws {
    let folder = try Trail.folder()
    try Trail.run(folder, "-", more: ["--source-name", "Feed_2.a-b"], input: Trail.events(0..<10)).expect(0)
  }

  @Test("messages that nobody reads stop nothing")
  func closedErrors() throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Trail.events(0..<10))
    let command = "$PULSE run --use-case trail --source events.ndjson --data"
    // A pipe whose reader has gone, a full device, and nothing at all.
    let setUp = "mkfifo gone; exec 7<>gone 8>gone 7<&-; "
    for (index, errors) in ["2>&8", "2>/dev/full", "2>&-"].enumerated() {
      let missing = try PulseCommand.shell(setUp + "$PULSE check none \(errors); echo $?; rm gone", in: folder)
      #expect(missing.output == "2\n", "\(errors): \(missing)")
      let run = try PulseCommand.shell(setUp + "\(command) d\(index) --quiet \(errors); echo $?; rm gone", in: folder)
      #expect(run.output == "0\n", "\(errors): \(run)")
    }
  }

  @Test("help explains every command")
  func help() throws {
    let commands = [
      "check", "infer", "run", "simulate", "test", "status", "anomalies", "windows", "dead-letters", "list",
    ]
    let help = try PulseCommand.run("--help")
    help.expect(0)
    for command in commands {
      #expect(help.output.contains("\n  \(command) "))
      let own = try PulseCommand.run(command, "--help")
      own.expect(0)
      #expect(own.output.contains("USAGE: pulse \(command)"))
    }
    for word in ["Exit codes", "1 a scenario of", "2 the use case", "64"] { #expect(help.output.contains(word)) }
  }

  @Test("options of connectors are known to help and completion, with their words")
  func connectorOptions() throws {
    let help = try PulseCommand.run("run", "--help").output
    let options = help.matches(of: /(?m)^  (--[a-z-]+)/).map { String($0.1) }
    #expect(Set(options).isSuperset(of: ["--use-case", "--follow", "--order", "--speedup", "--codec", "--accept-gap"]))
    #expect(Set(options).count == options.count, "\(options)")
    let words = help.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    #expect(words.contains("--order <name|natural|time> The order of the files that a glob matches"))
    #expect(
      words.contains(
        "How the input is written; automatic goes by content, then by name (default: automatic). [files, standard input]"
      ))
    #expect(words.contains("--follow/--no-follow") && !words.contains("--no-accept-gap"))
    for shell in ["bash", "zsh", "fish"] {
      let script = try PulseCommand.run("--generate-completion-script", shell).output
      for word in ["no-follow", "order", "speedup", "codec", "natural", "zstd"] {
        #expect(script.contains(word), "\(shell): \(word)")
      }
    }
  }

  @Test(
    "wrong options of connectors are said with what would be right",
    arguments: [
      (["--accept-gpa"], "Unknown option '--accept-gpa'. Did you mean '--accept-gap'?"),
      (["--no-accept-gap"], "Unknown option '--no-accept-gap'"), (["-q"], "Unknown option '-q'"),
      (["x"], "Unexpected argument 'x'"), (["--order"], "Missing value for '--order <name|natural|time>'"),
      (["--order", "nam"], "--order is not known: expected name, natural or time, found `nam`; did you mean name?"),
      (["--follow=yes"], "--follow"), (["--idle-timeout", "-1"], "--idle-timeout must be 0.001 to 1000000000 seconds"),
      (["--speedup", "2"], "--speedup needs the simulator as the source (--source simulator)"),
    ])
  func wrongConnectorOptions(_ options: [String], _ message: String) throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Trail.events(0..<10))
    try Trail.run(folder, "events.ndjson", more: options).expect(64, saying: message, "Usage: pulse")
  }

  @Test("the last of several options holds, and one that is taken back was not said")
  func lastOptionHolds() throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Trail.events(0..<10))
    let options = ["--follow", "--format", "csv", "--no-follow", "--format=ndjson", "--codec", "none"]
    try Trail.run(folder, "events.ndjson", more: options).expect(0)
  }

  @Test("an unknown use case is answered with the nearest name")
  func unknownUseCase() throws {
    let folder = try TestFolder()
    try folder.write("UseCases/redset/pipeline.yaml", Trail.pipeline)
    let name = { (command: String) in "$PULSE \(command)" }
    for command in [
      "check redsett", "test redsett", "simulate redsett --to -", "run --use-case redsett --source x --data d",
    ] {
      try PulseCommand.shell(name(command), in: folder).expect(2, saying: "redsett", "did you mean redset?")
    }
    #expect(!FileManager.default.fileExists(atPath: folder / "d"))
    try PulseCommand.shell(name("check UseCases"), in: folder).expect(2, saying: "no pipeline.yaml")
  }

  @Test("check reports every error at once, with its place and the nearest name")
  func brokenUseCase() throws {
    let folder = try Trail.folder { text in
      text.replacingOccurrences(of: "type: double, required", with: "type: duoble, required")
        .replacingOccurrences(of: "severity: high", with: "severity: hihg")
        .replacingOccurrences(of: "when: load > 80", with: "when: load >")
        .replacingOccurrences(of: "by: [host]", with: "by: [hots]")
        .replacingOccurrences(of: "retain: 30d}", with: "retian: 30d}")
    }
    let outcome = try PulseCommand.run("check", folder / "trail")
    outcome.expect(2, saying: "duoble", "double", "hihg", "high", "hots", "host", "retian", "retain")
    let places = outcome.errors.matches(of: /pipeline\.yaml:(\d+):(\d+)/)
    let lines = Trail.pipeline.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    for word in ["type: double, required", "severity: high", "when: load > 80", "by: [host]", "retain: 30d}"] {
      let line = (lines.firstIndex { $0.contains(word) } ?? -1) + 1
      #expect(places.contains { Int($0.output.1) == line }, "no error at line \(line)\n\(outcome)")
    }
    // The commands that need the use case say the same.
    try PulseCommand.run("test", folder / "trail").expect(2, saying: "duoble")
    try PulseCommand.run("check", PulseCommand.useCase("redset")).expect(0)
    try folder.write("none/pipeline.yaml", "")
    try PulseCommand.run("check", folder / "none").expect(2, saying: "pipeline.yaml")
    try folder.write("tabs/pipeline.yaml", "name: x\nevent:\n\t- {")
    try PulseCommand.run("check", folder / "tabs").expect(2, saying: "pipeline.yaml:3")
  }

  @Test("an empty input leaves empty lists, and a place to go on from")
  func emptyStore() throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", "")
    try Trail.run(folder, "events.ndjson").expect(0)
    for command in ["anomalies", "windows", "dead-letters"] {
      let json = try PulseCommand.run(command, "--data", folder / "data", "--json")
      json.expect(0)
      #expect(try json.rows().isEmpty)
      let text = try PulseCommand.run(command, "--data", folder / "data")
      text.expect(0)
      #expect(text.output.contains("No"), "\(text)")
    }
    // Which files there were is on record: what comes later is told from them.
    let status = try PulseCommand.run("status", "--data", folder / "data", "--json").rows()
    #expect(status.map { $0["records"] as? Int } == [0])
  }

  @Test(
    "a run that cannot begin leaves no data directory",
    arguments: [
      (["--use-case", "none", "--source", "events.ndjson"], 2),
      (["--use-case", "trail", "--source", "none.ndjson"], 3),
      (["--use-case", "trail", "--source", "none*.ndjson"], 3), (["--use-case", "trail", "--source", "other.csv"], 3),
      (["--use-case", "trail", "--source", "events.ndjson", "--source", "none.ndjson"], 3),
      (["--use-case", "trail", "--source", "events.ndjson", "--source", "none.ndjson", "--separate"], 3),
      (["--use-case", "trail", "--source", "simulator"], 2),
      (["--use-case", "trail", "--source", "-", "--format", "parquet"], 2),
      (["--use-case", "broken", "--source", "events.ndjson"], 2),
      (["--use-case", "trail", "--source", "events.ndjson", "--config", "broken.yaml"], 2),
      (["--use-case", "trail", "--source", "events.ndjson", "--serve", "--tokens", "none"], 2),
    ] as [([String], Int32)])
  func noDirectory(_ arguments: [String], _ code: Int32) throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Trail.events(0..<10))
    try folder.write("other.csv", "when,who\n1,2\n")
    try folder.write("broken/pipeline.yaml", "name: broken\n")
    try folder.write("broken.yaml", "store: [1]\n")
    let quoted = arguments.map { "'\($0)'" }.joined(separator: " ")
    let outcome = try PulseCommand.shell("$PULSE run \(quoted) --data deep/data", in: folder)
    outcome.expect(code)
    #expect(!FileManager.default.fileExists(atPath: folder / "deep"), "\(outcome)")
  }

  @Test("a declared field that no event has is named in the summary, and one that some have is not")
  func absentFields() throws {
    let folder = try Trail.folder {
      $0.replacing("note: {type: string}", with: "note: {type: string}\n    kind: {type: string, default: web}")
    }
    try folder.write("events.ndjson", Trail.events(0..<1_000))
    let summary = try Trail.run(folder, "events.ndjson").object()
    #expect(summary["absent_fields"] as? [String] == ["note", "kind"], "\(summary)")
    let events = try #require(summary["events"] as? Int)
    let notes = try #require(summary["notes"] as? [String])
    #expect(notes.count == 1 && notes[0].contains("the fields note and kind were absent from all \(events) events"))
    let named = Trail.event(1_000).replacing("}\n", with: #","note":"x"}"# + "\n")
    try folder.append("events.ndjson", named + Trail.events(1_001..<2_000))
    let arguments = Trail.arguments(folder, ["events.ndjson"]).filter { $0 != "--json" }
    let second = try PulseCommand.run(arguments)
    second.expect(0)
    #expect(second.output.contains("the field kind was absent from all 996 events: check the name"), "\(second)")
    // Nothing was read, so nothing is missing.
    #expect(try Trail.run(folder, "events.ndjson").object()["absent_fields"] as? [String] == [])
  }

  @Test("lists are newest first, as long as asked for, filtered, and have the promised fields")
  func lists() throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Trail.events(0..<20_000))
    let summary = try Trail.run(folder, "events.ndjson").object()
    #expect(Set(summary.keys).isSuperset(of: ["use_case", "records", "events", "seconds", "totals", "data"]))
    func rows(_ arguments: String...) throws -> [[String: Any]] {
      let outcome = try PulseCommand.run([arguments[0], "--data", folder / "data", "--json"] + arguments.dropFirst())
      outcome.expect(0)
      return try outcome.rows()
    }
    for (command, time) in [("anomalies", "event_time"), ("windows", "start"), ("dead-letters", "row")] {
      let all = try rows(command, "--limit", "0")
      #expect(try rows(command).count == 50)
      #expect(try rows(command, "--limit", "3").count == 3)
      #expect(all.count > 50)
      let order = all.map {
        ($0[time] as? String) ?? String(format: "%09d", (($0["position"] as? [String: Any])?["row"] as? Int) ?? 0)
      }
      #expect(order == order.sorted(by: >), "\(command) is not newest first")
      #expect(try rows(command, "--limit", "0", "--since", "2024-03-01").count == all.count)
      #expect(try rows(command, "--limit", "0", "--until", "2024-03-01").isEmpty)
    }
    let anomaly = try #require(try rows("anomalies", "--limit", "1").first)
    #expect(
      Set(anomaly.keys) == [
        "id", "use_case", "detector", "event_time", "key", "score", "severity", "reason", "position", "model",
        "explanation", "event",
      ])
    #expect((anomaly["event"] as? [String: Any])?["host"] as? String == anomaly["key"] as? String)
    let explanation = try #require(anomaly["explanation"] as? [String: Any])
    #expect(Set(explanation.keys) == ["contributions", "expected", "range", "clause"])
    #expect(
      try rows("anomalies", "--limit", "0", "--detector", "storm").allSatisfy { $0["severity"] as? String == "medium" })
    #expect(
      try rows("anomalies", "--limit", "0", "--severity", "high").allSatisfy { $0["detector"] as? String == "overload" }
    )
    #expect(try rows("anomalies", "--limit", "0", "--key", "h3").allSatisfy { $0["key"] as? String == "h3" })

    let window = try #require(try rows("windows", "--window", "minutes", "--limit", "1").first)
    #expect(
      Set(window.keys).isSuperset(of: ["use_case", "window", "start", "end", "closed", "host", "aggregates", "state"]))
    let aggregates = try #require(window["aggregates"] as? [String: Any])
    #expect(Set(aggregates.keys) == ["events", "load", "highest", "p90"])
    let classes = try #require(window["state"] as? [String: Int])
    #expect(Set(classes.keys) == ["busy", "calm"])
    #expect(classes.values.reduce(0, +) == aggregates["events"] as? Int)

    let letter = try #require(try rows("dead-letters", "--limit", "1").first)
    #expect(Set(letter.keys).isSuperset(of: ["use_case", "position", "stage", "reason", "field", "message", "length"]))
    #expect(letter["reason"] as? String == "missing" && letter["field"] as? String == "load", "\(letter)")
    let status = try #require(try rows("status").first)
    #expect(Set(status.keys).isSuperset(of: ["use_case", "position", "watermark", "records", "events", "windows"]))
    for what in ["detectors", "functions", "sources", "sinks"] {
      let entries = try PulseCommand.run("list", what, "--json").rows()
      #expect(!entries.isEmpty && entries.allSatisfy { ($0["name"] as? String)?.isEmpty == false })
    }
  }

  @Test("what infer writes passes check and reads the sample without a dead letter")
  func infer() throws {
    let folder = try TestFolder()
    try PulseCommand.run(
      "simulate", PulseCommand.useCase("redset"), "--events", "2000", "--to", folder / "queries.ndjson"
    ).expect(0)
    let hosts = (0..<500).map { "\(Trail.time($0)),\"h,\($0 % 7)\",\($0 % 100).5" }
    try folder.write("hosts.csv", "at,host,load\n" + hosts.joined(separator: "\n") + "\n")
    for (file, records) in [("queries.ndjson", 2000), ("hosts.csv", 500)] {
      let inferred = try PulseCommand.run("infer", folder / file)
      inferred.expect(0)
      try folder.write("\(file)-case/pipeline.yaml", inferred.output)
      try PulseCommand.run("check", folder / "\(file)-case").expect(0)
      let outcome = try PulseCommand.run(
        "run", "--use-case", folder / "\(file)-case", "--source", folder / file, "--data", folder / "\(file)-data",
        "--json")
      outcome.expect(0)
      #expect(try outcome.object()["events"] as? Int == records, "\(outcome)")
    }
    // Cells that are not separated by commas: infer says how, and run reads them so.
    for (file, mark, flag) in [("semicolons.csv", ";", ";"), ("tabs.csv", "\t", "tab"), ("tabs.tsv", "\t", "")] {
      let rows = (0..<100).map { [Trail.time($0), "\"h\(mark)\($0 % 7)\"", "\($0),5"].joined(separator: mark) }
      try folder.write(file, (["at", "host", "load"].joined(separator: mark)) + "\n" + rows.joined(separator: "\n"))
      let inferred = try PulseCommand.run("infer", folder / file)
      #expect(inferred.output.contains("--csv-delimiter '\(mark == ";" ? ";" : "tab")'"), "\(inferred)")
      try folder.write("\(file)-case/pipeline.yaml", inferred.output)
      let outcome = try PulseCommand.run(
        ["run", "--use-case", folder / "\(file)-case", "--source", folder / file, "--data", folder / "\(file)-data"]
          + ["--json"] + (flag.isEmpty ? [] : ["--csv-delimiter", flag]))
      outcome.expect(0)
      #expect(try outcome.object()["events"] as? Int == 100, "\(outcome)")
    }
    // What the first events do not show is not ruled out; a mark before the header and broken lines are passed over.
    let dirty = (0..<200).map { $0 % 50 == 9 ? "torn,5" : "\(Trail.time($0)),\($0 < 100 ? "a,5" : "b,-5")" }
    try folder.write("dirty.csv", "\u{FEFF}at,host,load\n" + dirty.joined(separator: "\n") + "\n")
    let inferred = try PulseCommand.run("infer", folder / "dirty.csv", "--limit", "90")
    inferred.expect(0)
    #expect(inferred.output.contains("records could not be read"), "\(inferred)")
    try folder.write("dirty-case/pipeline.yaml", inferred.output)
    let outcome = try PulseCommand.run(
      "run", "--use-case", folder / "dirty-case", "--source", folder / "dirty.csv", "--data", folder / "dirty-data",
      "--json")
    outcome.expect(0)
    #expect(try outcome.object()["events"] as? Int == 196, "\(outcome)")
    try PulseCommand.run("run", "--use-case", "x", "--source", "y", "--csv-delimiter", "::")
      .expect(64, saying: "csv-delimiter")
    try PulseCommand.run("infer", folder / "none.ndjson").expect(3, saying: "none.ndjson")
    try PulseCommand.run("infer", folder.path).expect(3, saying: "directory")
    try folder.write("empty.ndjson", "")
    #expect(try PulseCommand.run("infer", folder / "empty.ndjson").exitCode != 0)
  }

  @Test("the simulator repeats itself, and its labels name the events that were changed")
  func simulate() throws {
    let folder = try TestFolder()
    func simulate(_ seed: String, _ events: String, _ name: String) throws {
      try PulseCommand.run(
        "simulate", PulseCommand.useCase("redset"), "--events", events, "--seed", seed, "--to", folder / name,
        "--labels",
        folder / "\(name).labels"
      ).expect(0)
    }
    try simulate("7", "30000", "a")
    try simulate("7", "30000", "b")
    try simulate("8", "30000", "c")
    try simulate("7", "20000", "d")
    let events = folder.read("a")
    #expect(events == folder.read("b"))
    #expect(folder.read("a.labels") == folder.read("b.labels"))
    #expect(events != folder.read("c"))
    #expect(events.hasPrefix(folder.read("d")))
    let lines = events.split(separator: "\n")
    #expect(lines.count == 30_000)
    let labels = try folder.read("a.labels").split(separator: "\n").map { line in
      try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }
    #expect(labels.contains { $0["injected"] as? Bool == true })
    #expect(labels.contains { $0["injected"] as? Bool == false })
    for label in labels {
      let row = try #require(label["row"] as? Int)
      #expect(lines.indices.contains(row))
      // Events that are broken on purpose are labelled as well; they need not be JSON.
      if (label["kind"] as? String)?.hasPrefix("broken") == true { continue }
      let event = try #require(
        try JSONSerialization.jsonObject(with: Data(lines[row].utf8)) as? [String: Any])
      #expect(event["query_id"] as? Int == label["query_id"] as? Int)
      #expect(event["injected"] == nil && event["kind"] == nil)
      #expect(event["execution_duration_ms"] as? Double ?? 0 >= 60_000, "\(label)")
    }
    // Events and labels do not end up in one file.
    try FileManager.default.createSymbolicLink(atPath: folder / "link", withDestinationPath: folder / "a")
    for (to, labels) in [("a", "a"), ("a", "link"), ("new", "./new"), ("-", "-")] {
      let outcome = try PulseCommand.shell(
        "$PULSE simulate '\(PulseCommand.useCase("redset"))' --events 10 --to \(to) --labels \(labels)", in: folder)
      outcome.expect(64, saying: "--to", "--labels")
    }
    #expect(folder.read("a") == events)
    // Standard output is the same stream.
    let piped = try PulseCommand.run(
      "simulate", PulseCommand.useCase("redset"), "--events", "20000", "--seed", "7", "--to", "-")
    #expect(piped.output == folder.read("d"))
  }
}
