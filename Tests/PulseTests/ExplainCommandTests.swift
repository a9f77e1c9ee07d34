// `pulse explain`: the numbers that were stored, by the model and under the use case that were in force.

import Foundation
import TestKit
import Testing

@Suite("pulse explain", .enabled(if: Need.lightGBM, "needs LightGBM"))
struct ExplainCommandTests {
  private func explain(_ id: String, _ folder: TestFolder, _ more: String...) throws -> Outcome {
    try PulseCommand.run(["explain", id, "--data", folder / "data"] + more)
  }

  /// Events, a training, and more events that its models score.
  private func scored(_ edit: (String) -> String = { $0 }) throws -> TestFolder {
    let folder = try Jobs.folder(Jobs.events(0..<4_000), edit)
    try Jobs.run(folder)
    try Jobs.train(folder).expect(0)
    try folder.append("events.ndjson", Jobs.events(4_000..<6_000))
    try Jobs.run(folder)
    return folder
  }

  /// That scoring the event again gives every number that was stored, to the last bit.
  private func expectSame(
    _ anomaly: [String: Any], _ folder: TestFolder, at: SourceLocation = #_sourceLocation
  ) throws {
    let id = try #require(anomaly["id"] as? String)
    let outcome = try explain(id, folder, "--json")
    outcome.expect(0, at: at)
    let found = try outcome.object()
    let stored = try #require(anomaly["explanation"] as? [String: Any])
    for (name, value) in [
      ("score", anomaly["score"]), ("stored_score", anomaly["score"]), ("expected", stored["expected"]),
    ] { #expect(found[name] as? Double == value as? Double, "\(id) \(name)", sourceLocation: at) }
    for (name, value) in [("reason", anomaly["reason"]), ("model", anomaly["model"]), ("clause", stored["clause"])] {
      #expect(found[name] as? String == value as? String, "\(id) \(name)", sourceLocation: at)
    }
    func credit(_ parts: Any?, _ name: String) -> [String] {
      (parts as? [[String: Any]] ?? []).map { "\($0[name] ?? "") \($0["contribution"] as? Double ?? .nan)" }
    }
    let fields = credit(found["fields"], "name")
    let kept = credit(stored["contributions"], "feature")
    #expect(!kept.isEmpty && Array(fields.prefix(kept.count)) == kept, "\(id)", sourceLocation: at)
    let text = try explain(id, folder)
    text.expect(0, at: at)
    #expect(text.output.contains(", as stored\n") && text.output.contains(anomaly["reason"] as? String ?? "-"))
  }

  @Test("a key with control characters does not reach the terminal")
  func hostileKey() throws {
    let folder = try Jobs.folder(
      Jobs.events(0..<300).replacing("\"team\":\"t2\"", with: "\"team\":\"\\u001b[31m\\nred\\u202e\""))
    try Jobs.run(folder)
    let anomalies = try Jobs.anomalies(folder, of: "endless")
    let hostile = try #require(anomalies.first { ($0["key"] as? String)?.contains("red") == true })
    let outcome = try explain(try #require(hostile["id"] as? String), folder)
    outcome.expect(0)
    let listed = try PulseCommand.run("anomalies", "--data", folder / "data")
    for text in [outcome.output, listed.output] {
      #expect(!text.contains("\u{1b}") && !text.contains("\u{202e}"), "\(text)")
    }
  }

  @Test("both detectors give what was stored, a rule says what it saw")
  func same() throws {
    let folder = try scored()
    for detector in ["slow", "odd"] {
      let anomalies = try Jobs.anomalies(folder, of: detector)
      #expect(anomalies.count >= 3, "\(detector)")
      for anomaly in anomalies.prefix(3) { try expectSame(anomaly, folder) }
    }
    let rule = try #require(try Jobs.anomalies(folder, of: "endless").first)
    let id = try #require(rule["id"] as? String)
    let outcome = try explain(id, folder)
    outcome.expect(0)
    #expect(outcome.output.contains("A rule found it") && outcome.output.contains(rule["reason"] as? String ?? "-"))
    let object = try explain(id, folder, "--json").object()
    #expect(object["score"] as? Double == rule["score"] as? Double && object["id"] as? String == id)
  }

  @Test("the use case on record counts, whatever has become of it since")
  func changedUseCase() throws {
    let folder = try scored()
    let before = try ["slow", "odd"].map { try #require(try Jobs.anomalies(folder, of: $0).first) }
    // Other inputs, other bounds; then no detector at all.
    for change in [
      Jobs.pipeline.replacing("[kind_code, size], floor: 100, ratio: 10", with: "[size], floor: 1, ratio: 3")
        .replacing("[seconds, size]", with: "[seconds]"),
      Jobs.pipeline.replacing(/(?s)features:.*rules:/, with: "rules:"),
    ] {
      try folder.write("jobs/pipeline.yaml", change)
      try folder.append("events.ndjson", Jobs.events(6_000..<6_200))
      try Jobs.run(folder)
      for anomaly in before { try expectSame(anomaly, folder) }
    }
    try FileManager.default.removeItem(atPath: folder / "jobs")
    for anomaly in before { try expectSame(anomaly, folder) }
  }

  @Test("a version that is damaged or gone, and ids that name nothing")
  func trouble() throws {
    let folder = try scored()
    let anomaly = try #require(try Jobs.anomalies(folder, of: "slow").first)
    let id = try #require(anomaly["id"] as? String)
    let version = try #require(anomaly["model"] as? String)
    // What an anomaly names is not pruned.
    try Jobs.train(folder, "--seed", "2", "--detector", "slow").expect(0)
    try PulseCommand.run("models", "prune", folder / "jobs", "--keep", "0", "--data", folder / "data").expect(0)
    try expectSame(anomaly, folder)
    for wrong in ["nothing", "jobs.files.0.0-1.slow", id + "er", "jobs." + id, String(repeating: "x", count: 9_000)] {
      try explain(wrong, folder).expect(64, saying: "has no anomaly", "pulse anomalies --json")
    }
    let place = "data/models/jobs/slow/\(version)"
    try folder.append(place + "/model.onnx", "x")
    try explain(id, folder).expect(4, saying: "model.onnx was damaged or exchanged")
    try folder.append(place + "/model.json", " ")
    try explain(id, folder, "--json").expect(4, saying: "model.json was damaged")
    try FileManager.default.removeItem(atPath: folder / place)
    try explain(id, folder).expect(3, saying: "has no version `\(version)`")
    try PulseCommand.run("explain", id, "--data", folder / "nowhere").expect(4, saying: "there is no store")
  }
}
