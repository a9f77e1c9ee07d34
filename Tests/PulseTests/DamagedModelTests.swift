// Models that are not what they should be: said once, and the stream goes on with what it had.

import Foundation
import TestKit
import Testing

@testable import Learning

@Suite("Damaged models", .enabled(if: Need.lightGBM, "needs LightGBM"))
struct DamagedModelTests {
  enum Damage: String, CaseIterable {
    case champion, record, trees, ofAnotherUseCase, newer, gone
  }

  /// Events that models of both detectors have scored; returns the version.
  private func scored() throws -> (folder: TestFolder, version: String) {
    let folder = try Jobs.folder(Jobs.events(0..<4_000))
    try Jobs.run(folder)
    try Jobs.train(folder).expect(0)
    try folder.append("events.ndjson", Jobs.events(4_000..<5_000))
    try Jobs.run(folder)
    return (folder, try #require(try Jobs.versions(folder)["odd"]?.first))
  }

  /// Changes a file that ends with its own hash, so that the hash is right.
  private func rewrite(_ path: String, _ edit: (String) -> String) throws {
    let text = try String(contentsOfFile: path, encoding: .utf8)
    let tail = SealedJSON.seal(of: []).count
    let content = Array(edit(String(decoding: Array(text.utf8).dropLast(tail), as: UTF8.self)).utf8)
    try Data(content + SealedJSON.seal(of: content[...])).write(to: URL(fileURLWithPath: path))
  }

  /// Harms the forest, and says which words the log should have.
  private func harm(_ damage: Damage, _ folder: TestFolder, _ version: String) throws -> String {
    let place = "data/models/jobs/odd/\(version)"
    switch damage {
    case .champion:
      try folder.write("data/models/jobs/odd/champion.json", "{}")
      return "odd/champion.json was damaged"
    case .record:
      try folder.append(place + "/model.json", " ")
      return "odd/\(version)/model.json was damaged"
    case .trees:
      try folder.append(place + "/model.onnx", " ")
      return "odd/\(version)/model.onnx was damaged or exchanged"
    case .newer:
      try rewrite(folder / (place + "/model.json")) { $0.replacing("\"format\":1", with: "\"format\":2") }
      return "was written by a newer version of pulse: its format is 2"
    case .ofAnotherUseCase:
      for name in ["model.json", "manifest.json"] {
        try rewrite(folder / (place + "/" + name)) { $0.replacing("\"jobs\"", with: "\"works\"") }
      }
      return "belongs to works/odd"
    case .gone:
      try FileManager.default.removeItem(atPath: folder / place)
      return "has no version `\(version)`"
    }
  }

  @Test("a run begins with a damaged model", arguments: Damage.allCases)
  func atStart(_ damage: Damage) throws {
    let (folder, version) = try scored()
    let words = try harm(damage, folder, version)
    let before = try Jobs.anomalies(folder, of: "odd").count
    try folder.append("events.ndjson", Jobs.events(5_000..<6_500))
    let outcome = try Jobs.run(folder, "--batch-size", "100")
    #expect(outcome.errors.components(separatedBy: words).count == 2, "\(damage): \(outcome)")
    // Without the champion's file the log still says which model there was; without the model there is none.
    let after = try Jobs.anomalies(folder, of: "odd").count
    #expect(damage == .champion ? after > before : after == before, "\(damage): \(before), \(after)")
    let isSilent = outcome.errors.contains("no model is left for a detector")
    #expect(isSilent == (damage != .champion), "\(damage): \(outcome)")
    // The rest of the stream is what it is without the damage.
    let healthy = try Jobs.folder(Jobs.events(0..<4_000))
    try Jobs.run(healthy)
    try Jobs.train(healthy).expect(0)
    try healthy.write("events.ndjson", Jobs.events(0..<6_500))
    try Jobs.run(healthy)
    for detector in ["slow", "endless"] {
      let found = try Jobs.anomalies(folder, of: detector).map { $0["id"] as? String }
      let expected = try Jobs.anomalies(healthy, of: detector).map { $0["id"] as? String }
      #expect(found == expected && !found.isEmpty, "\(damage) \(detector)")
    }
    // It is said again when the next run meets it, and another version takes over.
    if damage == .champion { try FileManager.default.removeItem(atPath: folder / "data/models/jobs/odd/champion.json") }
    try Jobs.train(folder, "--seed", "2", "--detector", "odd").expect(0)
    try folder.append("events.ndjson", Jobs.events(6_500..<7_500))
    let healed = try Jobs.run(folder)
    #expect(healed.errors.contains("a model scores from here on"), "\(damage): \(healed)")
    #expect(try Jobs.anomalies(folder, of: "odd").count > after, "\(damage)")
  }

  @Test("a model is damaged while a run has it", arguments: Damage.allCases)
  func whileRunning(_ damage: Damage) throws {
    let (folder, version) = try scored()
    let live = try LiveJobs(folder, 0..<5_000, "--no-train")
    try live.settle()
    try live.append(until: 5_100)
    let before = try Jobs.anomalies(folder, of: "odd").count
    let words = try harm(damage, folder, version)
    // Two are seen while it runs: what says which model scores, and that its folder is not there.
    let said = [Damage.champion: words, .gone: "is gone from"][damage]
    if let said { try live.append(until: 5_400, seeing: said) }
    try live.append(until: 6_500)
    // What it has in memory it goes on with.
    #expect(try Jobs.anomalies(folder, of: "odd").count > before, "\(damage)")
    try live.stop()
    #expect(live.count(of: " error ") == (said == nil ? 0 : 1), "\(damage): \(live.process.errors)")
  }
}

@Suite("Models that a user brings")
struct OwnModelTests {
  private static let pipeline = """
    name: lab
    event:
      time: t
      fields:
        t: {type: timestamp, required: true, format: seconds}
        a: {type: double}
        b: {type: double}
        c: {type: double}
        d: {type: double}
    rules:
      - {name: large, when: a > 2}
    detectors:
      - {name: mine, type: onnx, model: model.onnx, features: [a, b, c, d], threshold: 0.3}

    """
  private static let missing = ["PULSE_ONNXRUNTIME_LIBRARY": "/nowhere/libonnxruntime.so"]

  private func folder(model: Bool = true) throws -> TestFolder {
    let folder = try TestFolder()
    try folder.write("lab/pipeline.yaml", Self.pipeline)
    if model { try copy(to: folder) }
    try folder.write("events.ndjson", Self.events(0..<500))
    return folder
  }

  private func copy(to folder: TestFolder) throws {
    let fixture = PulseCommand.package + "/Tests/LearningTests/Fixtures/scikit_classifier.onnx"
    try folder.write("lab/model.onnx", try Data(contentsOf: URL(fileURLWithPath: fixture)))
  }

  private static func events(_ range: Range<Int>) -> String {
    range.map { index in
      var random = SeededRandom(seed: UInt64(index))
      let values = "abcd".map { "\"\($0)\":\(Double.random(in: -3...3, using: &random))" }.joined(separator: ",")
      return "{\"t\":\(1_709_251_200 + index),\(values)}\n"
    }.joined()
  }

  private func run(_ folder: TestFolder, environment: [String: String] = [:]) throws -> Outcome {
    try PulseCommand.run(
      [
        "run", "--use-case", folder / "lab", "--source", folder / "events.ndjson", "--data", folder / "data", "--json",
        "--batch-size", "50",
      ], environment: environment)
  }

  @Test("without ONNX Runtime the other detectors work")
  func noLibrary() throws {
    let folder = try folder()
    let outcome = try run(folder, environment: Self.missing)
    outcome.expect(0, saying: "the model of the detector mine was not imported: ONNX Runtime was not found")
    #expect(outcome.errors.components(separatedBy: "ONNX Runtime was not found").count == 2, "\(outcome)")
    #expect(try Jobs.anomalies(folder, of: "large").isEmpty == false)
    #expect(try Jobs.anomalies(folder, of: "mine").isEmpty)
  }

  @Test("where there is nothing to train, no training begins", .enabled(if: Need.onnxRuntime, "needs ONNX Runtime"))
  func nothingToTrain() throws {
    let folder = try folder()
    let outcome = try PulseCommand.run([
      "run", "--use-case", folder / "lab", "--source", folder / "events.ndjson", "--data", folder / "data", "--json",
      "--train",
    ])
    outcome.expect(0)
    #expect(!outcome.errors.contains("training"), "\(outcome)")
  }

  @Test("a file that is not there or holds no model is refused before anything runs")
  func noModel() throws {
    let folder = try folder(model: false)
    let check = ["check", folder / "lab"]
    try run(folder).expect(2, saying: "model.onnx of the detector mine cannot be read: there is no such file")
    #expect(!FileManager.default.fileExists(atPath: folder / "data"))
    try PulseCommand.run(check).expect(2, saying: "there is no such file")
    try folder.write("lab/model.onnx", "this is no model")
    let unchecked = try PulseCommand.run(check, environment: Self.missing)
    unchecked.expect(0, saying: "the model of the detector mine was not checked: ONNX Runtime was not found")
    #expect(unchecked.output.contains("1 rules, 1 detectors"), "\(unchecked)")
    guard Need.onnxRuntime else { return }
    try run(folder).expect(2, saying: "model.onnx")
    try PulseCommand.run(check).expect(2, saying: "model.onnx")
    try copy(to: folder)
    try PulseCommand.run(check).expect(0)
  }

  @Test(
    "a stream that had the model goes on with it when the file is gone, and without it when the library is",
    .enabled(if: Need.onnxRuntime, "needs ONNX Runtime"))
  func goesOn() throws {
    let folder = try folder()
    try run(folder).expect(0)
    let first = try Jobs.anomalies(folder, of: "mine")
    #expect(!first.isEmpty)
    let id = try #require(first.first?["id"] as? String)
    let explained = try PulseCommand.run("explain", id, "--data", folder / "data", "--json").object()
    #expect(explained["score"] as? Double == first.first?["score"] as? Double)
    #expect(explained["reason"] as? String == first.first?["reason"] as? String)

    try FileManager.default.removeItem(atPath: folder / "lab/model.onnx")
    try folder.append("events.ndjson", Self.events(500..<1_000))
    let gone = try run(folder)
    gone.expect(0, saying: "the model of the detector mine was not imported", "there is no such file")
    let second = try Jobs.anomalies(folder, of: "mine")
    #expect(second.count > first.count)

    try copy(to: folder)
    try folder.append("events.ndjson", Self.events(1_000..<1_500))
    let missing = try run(folder, environment: Self.missing)
    missing.expect(0, saying: "a model cannot be used", "ONNX Runtime was not found")
    #expect(missing.errors.components(separatedBy: "ONNX Runtime was not found").count == 2, "\(missing)")
    #expect(try Jobs.anomalies(folder, of: "mine").count == second.count)
    try PulseCommand.run(
      ["explain", id, "--data", folder / "data"], environment: Self.missing
    ).expect(6, saying: "ONNX Runtime was not found")

    try folder.append("events.ndjson", Self.events(1_500..<2_000))
    try run(folder).expect(0, saying: "a model scores from here on")
    #expect(try Jobs.anomalies(folder, of: "mine").count > second.count)
  }
}
