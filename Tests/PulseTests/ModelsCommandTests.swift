// `pulse models` as a user types it: what it prints, what it refuses, and what it leaves on disk.

import Detection
import Foundation
import GRDB
import Learning
import TestKit
import Testing

@Suite("pulse models")
struct ModelsCommandTests {
  let folder: TestFolder
  var data: String { folder / "data" }

  init() throws { folder = try Trail.folder() }

  /// Runs a verb on the use case, by its name: the models below are of a detector that its folder does not define.
  func models(_ verb: String, _ arguments: String..., useCase: String? = nil) throws -> Outcome {
    try PulseCommand.run(["models", verb, useCase ?? "trail"] + arguments + ["--data", data])
  }

  var registry: ModelRegistry { ModelRegistry(folder: data + "/models", useCase: "trail") }

  /// Adds versions of a small forest, each older than the next.
  func add(_ versions: String..., detector: String = "odd") throws {
    for (index, version) in versions.enumerated() {
      let threshold = Float(50 + index)
      let forest = IsolationForest(
        trees: TreeEnsemble(
          nodes: [
            .init(feature: 0, threshold: threshold, left: 1, right: 2, value: 4, cover: 64), .init(value: 5, cover: 60),
            .init(value: 1, cover: 4),
          ], roots: [0], outputs: [0], baseValues: [0], featureCount: 1), sampleSize: 64)
      let scores = (0..<1_000).map { Double($0 + index) / 2_000 }
      let model = FittedModel(
        detector: detector, version: version, plan: "plan 1\ninput load double", scorer: forest,
        calibration: try Calibration.fit(scores: scores, budget: FalseAlarmBudget(.rate(0.05)), entityDays: 0))
      let checks = [
        GateReport.Check(name: "alarms", passed: index == 0, found: 2, bound: 1, message: "2 alarms of 1 at most")
      ]
      try registry.add(
        model,
        manifest: ModelManifest(
          useCase: "trail", detector: detector, type: "isolation_forest", version: version,
          created: 1_709_251_200_000_000 + Int64(index) * 1_000_000, rows: .init(train: 1_000 * (index + 1)),
          metrics: ["alarm_rate": 0.25 * Double(index + 1)], gate: GateReport(checks: checks)))
    }
  }

  @Test("help names the verbs, each with an example")
  func help() throws {
    let help = try PulseCommand.run("models", "--help")
    help.expect(0)
    for verb in ["list", "show", "diff", "promote", "rollback", "prune"] {
      #expect(help.output.contains("  \(verb) "), "\(help)")
      let own = try PulseCommand.run("models", verb, "--help")
      #expect(own.exitCode == 0 && own.output.contains("Example: pulse models \(verb) "), "\(own)")
    }
    #expect(try PulseCommand.run("--help").output.contains("models"))
  }

  @Test("where nothing was trained there is nothing to list")
  func empty() throws {
    let own = folder / "trail"
    try models("list", useCase: own).expect(4, saying: "there is no data directory")
    #expect(!FileManager.default.fileExists(atPath: data))
    try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: false)
    let list = try models("list", useCase: own)
    list.expect(0)
    #expect(list.output == "trail has no models yet: `pulse train` makes them.\n")
    #expect(try models("list", "--json", useCase: own).rows().isEmpty)
    try models("rollback", "odd", useCase: own).expect(
      64, saying: "no models of a detector `odd`", "`pulse train` makes them")
    let prune = try models("prune", useCase: own)
    #expect(prune.exitCode == 0 && prune.output == "0 removed, 0 kept.\n")
    #expect(!FileManager.default.fileExists(atPath: data + "/models"))
    try PulseCommand.run("models", "list", folder / "trail").expect(64, saying: "--data is missing")
  }

  @Test("wrong names are answered with the nearest ones")
  func wrongNames() throws {
    try add("day-1", "day-2")
    for (arguments, words) in [
      (["list", "trial"], "did you mean `trail`?"), (["list", "trail", "--detector", "old"], "did you mean `odd`?"),
      (["show", "trail", "od"], "did you mean `odd`?"), (["show", "trail", "odd", "day-11"], "did you mean `day-1`?"),
      (["diff", "trail", "odd", "day1", "day-2"], "did you mean `day-1`?"),
      (["diff", "trail", "odd", "day-1"], "has no champion: name a version"),
      (["show", "trail", "odd"], "has no champion: name a version"),
      (["promote", "trail", "odd", "day-22"], "did you mean `day-2`?"),
      (["promote", "trail", "odd", "../odd/day-1"], "has no version"),
      (["rollback", "trail", "odds"], "did you mean `odd`?"),
      (["prune", "trail", "--keep", "-1"], "--keep must be 0 or more"),
      (["prune", "trail", "--detector", "x"], "It has odd"),
    ] {
      let outcome = try PulseCommand.run(["models"] + arguments + ["--data", data])
      outcome.expect(64, saying: words)
      #expect(outcome.output.isEmpty)
    }
    try PulseCommand.run("models", "list", "nothing-like-it", "--data", data).expect(2, saying: "there is no use case")
    try models("rollback", "odd").expect(3, saying: "no champion to go back from")
  }

  @Test("a champion that is damaged or gone is named, and keeps nothing else from being seen")
  func lostChampion() throws {
    try add("day-1", "day-2")
    try add("day-1", detector: "other")
    try models("promote", "odd", "day-1").expect(0)
    let damagedModel = data + "/models/trail/odd/day-2/model.onnx"
    let whole = try Data(contentsOf: URL(fileURLWithPath: damagedModel))
    try Data().write(to: URL(fileURLWithPath: damagedModel))
    let rows = try models("list", "--json").rows()
    #expect(rows.map { ($0["error"] as? String)?.contains("model.onnx") } == [nil, true, nil], "\(rows)")
    #expect(try models("list").output.contains("damaged or missing: model.onnx"))
    try whole.write(to: URL(fileURLWithPath: damagedModel))
    try FileManager.default.removeItem(atPath: data + "/models/trail/odd/day-1")
    let gone = try models("list", "--json").rows()
    #expect(gone.map { $0["version"] as? String } == ["day-1", "day-2", "day-1"])
    #expect(gone[0]["champion"] as? Bool == true && (gone[0]["error"] as? String)?.contains("folder is gone") == true)
    #expect(try models("list").output.contains("its folder is gone"))
    try Data("{}".utf8).write(to: URL(fileURLWithPath: data + "/models/trail/odd/champion.json"))
    let damaged = try models("list")
    damaged.expect(0)
    for word in ["champion.json was damaged", "day-2", "other"] { #expect(damaged.output.contains(word), "\(damaged)") }
    // Any version may be the champion: none goes, while those of others do.
    let prune = try models("prune", "--keep", "0")
    prune.expect(0)
    #expect(prune.output.contains("removed other day-1") && prune.output.contains("unreadable champion"), "\(prune)")
    try models("rollback", "odd").expect(4, saying: "champion.json was damaged")
    try models("promote", "odd", "day-2").expect(0)
    #expect(try models("list", "--json").rows().map { $0["champion"] as? Bool } == [true])
  }

  @Test("what the use case as it is now does not define is not promoted")
  func misfit() throws {
    try add("day-1", "day-2")
    for version in ["day-1", "day-2"] { try models("promote", "odd", version).expect(0) }
    let own = folder / "trail"
    for verb in [["promote", "odd", "day-1"], ["rollback", "odd"]] {
      try PulseCommand.run(["models", verb[0], own] + verb.dropFirst() + ["--data", data])
        .expect(2, saying: "has no detector `odd` any more")
    }
    // A use case that cannot be read says nothing about what fits.
    try folder.append("trail/pipeline.yaml", "\nnonsense: 1\n")
    try PulseCommand.run("models", "promote", own, "odd", "day-1", "--data", data).expect(2, saying: "nonsense")
    #expect(try registry.champion(of: "odd") == "day-2")
  }

  @Test("versions are listed, shown, compared, promoted and rolled back")
  func verbs() throws {
    try add("day-1", "day-2", "day-3")
    let first = try models("promote", "odd", "day-1", "--reason", "the first")
    #expect(first.exitCode == 0 && first.output == "day-1 is the champion of odd.\n", "\(first)")
    let second = try models("promote", "odd", "day-2", "--json", useCase: "trail").object()
    #expect(second["champion"] as? String == "day-2" && second["before"] as? String == "day-1")
    #expect(try models("promote", "odd", "day-2").output == "day-2 is the champion of odd already.\n")
    let rows = try models("list", "--json").rows()
    #expect(rows.map { $0["version"] as? String } == ["day-1", "day-2", "day-3"])
    #expect(rows.map { $0["champion"] as? Bool } == [false, true, false])
    let manifest = try #require(rows[0]["manifest"] as? [String: Any])
    #expect(manifest["created"] as? String == "2024-03-01T00:00:00.000000Z")
    #expect((manifest["gate"] as? [String: Any])?["passed"] as? Bool == true)
    let list = try models("list")
    #expect(list.output.contains("not passed: 2 alarms of 1 at most") && list.output.contains("3,000"), "\(list)")

    let show = try models("show", "odd")
    #expect(show.output.hasPrefix("trail  odd  day-2  (champion)\n") && show.output.contains("the first"), "\(show)")
    let shown = try models("show", "odd", "day-1", "--json").object()
    let facts = try #require(shown["facts"] as? [String: Any])
    #expect(facts["nodes"] as? Int == 3 && facts["splits.load"] as? Int == 1 && facts["rows.train"] as? Int == 1_000)
    #expect(shown["champion"] as? Bool == false && (shown["history"] as? [Any])?.count == 2)

    let differences = try #require(
      try models("diff", "odd", "day-1", "--json").object()["differences"] as? [[String: Any]])
    let what = differences.compactMap { $0["what"] as? String }
    #expect(what.contains("metrics.alarm_rate") && what.contains("rows.train") && what.contains("threshold"), "\(what)")
    #expect(what.contains("gate") && !what.contains("trees") && !what.contains("type"), "\(what)")
    let diff = try models("diff", "odd", "day-1", "day-3")
    #expect(diff.output.contains("metrics.alarm_rate") && diff.output.contains("0.75"), "\(diff)")
    #expect(try models("diff", "odd", "day-2").output == "day-2 and day-2 do not differ.\n")

    let back = try models("rollback", "odd")
    #expect(back.exitCode == 0 && back.output == "day-1 is the champion of odd; before it was day-2.\n", "\(back)")
    try models("rollback", "odd").expect(3, saying: "no champion before day-1")
    // Damage is listed beside the rest, and never promoted.
    try Data("{}".utf8).write(to: URL(filePath: data + "/models/trail/odd/day-3/manifest.json"))
    let damaged = try models("list", "--json").rows()
    #expect(damaged.compactMap { $0["error"] as? String }.first?.contains("manifest.json was damaged") == true)
    try models("promote", "odd", "day-3").expect(4, saying: "manifest.json was damaged")
    #expect(try registry.champion(of: "odd") == "day-1")
  }

  @Test(
    "prune keeps the champion, the newest, what anomalies name and what a restarted run needs",
    arguments: [true, false])
  func prune(namesDetectors: Bool) throws {
    try folder.write("events.ndjson", Trail.events(0..<200))
    try Trail.run(folder, "events.ndjson").expect(0)
    let names = ["champion", "named", "before", "inforce", "behind", "needless", "new"]
    try add("champion", "named", "before", "inforce", "behind", "needless", "new")
    try add("inforce", "needless", detector: "other")
    try registry.promote("champion", of: "odd", reason: "", at: Date())
    try registry.promote("needless", of: "other", reason: "", at: Date())
    let database = try DatabaseQueue(path: data + "/pulse.sqlite")
    try database.write { database in
      try database.execute(
        sql: "UPDATE anomalies SET detector = 'odd', model = 'named' WHERE rowid = (SELECT min(rowid) FROM anomalies)")
      let hasColumn = try database.columns(in: "activations").contains { $0.name == "detector" }
      if namesDetectors, !hasColumn { try database.execute(sql: "ALTER TABLE activations ADD COLUMN detector TEXT") }
      // From the beginning two in turn; then the one in force at the checkpoint; then one from behind it on.
      for (version, offset) in [("before", 0), ("inforce", 10), ("behind", 1 << 40)] {
        try database.execute(
          sql: """
            INSERT INTO activations (use_case, source, partition, segment, offset, row, kind, version)
            SELECT use_case, source, partition, segment, ?, ?, 'model', ? FROM partitions
            """, arguments: [offset, offset, version])
      }
      if namesDetectors { try database.execute(sql: "UPDATE activations SET detector = 'odd' WHERE kind = 'model'") }
    }
    try database.close()
    let dry = try models("prune", "--keep", "1", "--dry-run", "--detector", "odd")
    let expected = namesDetectors ? ["before", "needless"] : ["needless"]
    #expect(dry.output.split(separator: "\n").dropLast() == expected.map { "would remove odd \($0)" }[...], "\(dry)")
    #expect(try registry.entries(of: "odd").count == names.count)
    let verdicts = try models("prune", "--keep", "1", "--json").rows()
    let removed = verdicts.filter { $0["removed"] as? Bool == true }
    #expect(
      removed.map { "\($0["detector"] ?? "") \($0["version"] ?? "")" }
        == expected.map { "odd \($0)" } + (namesDetectors ? ["other inforce"] : []))
    let kept = Set(names).subtracting(expected)
    #expect(Set(try registry.entries(of: "odd").map(\.version)) == kept)
    #expect(try models("prune", "--keep", "1").output.hasPrefix("0 removed"))
  }

  @Test("a full disk or a kill in the middle of a change leaves the champion as it was")
  func fullDisk() throws {
    try add("day-1", "day-2")
    try registry.promote("day-1", of: "odd", reason: "", at: Date())
    let before = try FileManager.default.subpathsOfDirectory(atPath: data + "/models").sorted()
    // A file may not grow: with the signal ignored a write fails, without it the process is killed there.
    let line = "cd data; ulimit -f 0; exec \"$PULSE\" models promote trail odd day-2 --data ."
    let failed = try PulseCommand.shell("(trap '' XFSZ; \(line)) 2>&1 | cat; exit ${PIPESTATUS[0]}", in: folder)
    #expect(failed.exitCode == 4, "\(failed)")
    #expect(failed.output.contains("cannot be written: File too large"), "\(failed)")
    #expect(try FileManager.default.subpathsOfDirectory(atPath: data + "/models").sorted() == before)
    let killed = try PulseCommand.shell("(\(line)) 2>&1 | cat; exit ${PIPESTATUS[0]}", in: folder)
    #expect(killed.exitCode == 128 + SIGXFSZ, "\(killed)")
    #expect(try registry.champion(of: "odd") == "day-1")
    try models("promote", "odd", "day-2").expect(0)
    #expect(try registry.champion(of: "odd") == "day-2")
  }
}
