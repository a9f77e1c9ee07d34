// Models that users bring, from the use case's folder to findings: imported once, scored as where they come from, and
// refused with the names there are.

import Detection
import Foundation
import Pipeline
import Testing

@testable import Learning

@Suite("Models of users in the registry", .needsONNXRuntime)
struct ModelImportTests {
  let folder: RegistryFolder
  let registry: ModelRegistry
  let useCase: String

  init() throws {
    folder = try RegistryFolder()
    registry = folder.registry("lab")
    useCase = folder.path + "/lab"
    try FileManager.default.createDirectory(atPath: useCase + "/models", withIntermediateDirectories: true)
    for name in ["scikit_classifier.onnx", "scikit_forest.onnx", "scikit_maps.onnx"] {
      try Data(try Fixture.bytes(name)).write(to: URL(filePath: useCase + "/models/" + name))
    }
  }

  func plan(_ model: String, _ more: String = "", features: String = "d, c, b, a") throws -> Plan {
    try Shop.plan(
      """
      name: lab
      event:
        time: t
        fields:
          t: {type: timestamp, required: true}
          a: {type: double}
          b: {type: double}
          c: {type: double}
          d: {type: double}
      detectors:
        - {name: mine, type: onnx, model: \(model), features: [\(features)]\(more)}

      """)
  }

  @discardableResult
  func importModels(_ plan: Plan) throws -> String {
    let versions = try registry.importModels(
      of: plan, from: useCase, configuration: "abc", at: Date(timeIntervalSince1970: 1))
    return try #require(versions["mine"])
  }

  func refusal(_ plan: Plan) throws -> OperatingError {
    try #require(throws: OperatingError.self) { try importModels(plan) }
  }

  func records(_ expected: ONNXSessionTests.Expected) -> [String] {
    expected.rows.map { row in
      let values = zip("abcd", row).map { name, value in
        #""\#(name)":\#(value.map { "\(Double($0))" } ?? "null")"#
      }
      return #"{"t":"2024-03-01T00:00:00Z",\#(values.joined(separator: ","))}"#
    }
  }

  @Test("a pipeline of scikit-learn scores the events of a use case as it does there", arguments: [1, 7, 32])
  func scikitPipelines(batch size: Int) throws {
    let expected = try ONNXSessionTests.Expected.load()
    // The probability of the second class; and the score of a forest, from the only output of floats.
    for (more, scores) in [
      ("models/scikit_classifier.onnx", expected.probabilities.map { $0[1] }),
      ("models/scikit_forest.onnx", expected.scores),
    ] {
      let plan = try plan(more, ", threshold: -1000")
      let version = try importModels(plan)
      let model = try registry.load(version, for: plan.detectors[0])
      let models = try ModelSet([model], for: plan)
      let records = records(expected)
      var found: [Double] = []
      for start in stride(from: 0, to: records.count, by: size) {
        let rows = Array(records[start..<min(start + size, records.count)])
        let findings = Shop.derived(plan, rows, models: models).findings
        #expect(findings.map(\.row) == Array(rows.indices) && findings.allSatisfy { $0.model == version })
        // A threshold of 0 or below: 1 + raw - threshold.
        found += findings.map { $0.score - 1_001 }
      }
      expectClose(found, scores, "\(more) in batches of \(size)")
    }
  }

  @Test("events at or above the threshold are found, with the probability by it")
  func threshold() throws {
    let expected = try ONNXSessionTests.Expected.load()
    let plan = try plan("models/scikit_classifier.onnx", ", threshold: 0.75, output: probabilities, input: X")
    let models = try ModelSet([try registry.load(try importModels(plan), for: plan.detectors[0])], for: plan)
    let findings = Shop.derived(plan, records(expected), models: models).findings
    let rows = expected.probabilities.indices.filter { expected.probabilities[$0][1] >= 0.75 }
    #expect(findings.map(\.row) == rows && rows.count > 3 && rows.count < expected.rows.count)
    expectClose(findings.map(\.score), rows.map { expected.probabilities[$0][1] / 0.75 }, "scores")
  }

  @Test("a file is imported once; another file or definition is another version")
  func versions() throws {
    let classifier = try plan("models/scikit_classifier.onnx")
    let hash = SealedJSON.sha256(of: try Fixture.bytes("scikit_classifier.onnx"))
    let first = try importModels(classifier)
    #expect(first == "onnx-\(hash.prefix(12))")
    #expect(try importModels(classifier) == first)
    #expect(try registry.entries(of: "mine").count == 1)
    let manifest = try registry.manifest(of: first, of: "mine")
    #expect(manifest.importedFrom == useCase + "/models/scikit_classifier.onnx" && manifest.created == 1_000_000)
    #expect(
      try registry.championRecord(of: "mine")?.history.map(\.reason) == ["imported from models/scikit_classifier.onnx"])
    // The same file with another output is another model, whose name says so.
    let labels = try plan("models/scikit_classifier.onnx", ", output: label")
    let second = try importModels(labels)
    #expect(second.hasPrefix(first + "-") && second != first)
    #expect(try importModels(labels) == second && registry.champion(of: "mine") == second)
    #expect(throws: OperatingError.self) { try registry.load(first, for: labels.detectors[0]) }
    _ = try registry.load(second, for: labels.detectors[0])
    // Threads are not what a model is.
    let threads = try plan("models/scikit_classifier.onnx", ", threads: 2, threshold: 3")
    #expect(try importModels(threads) == first && registry.champion(of: "mine") == first)
    _ = try registry.load(first, for: threads.detectors[0])
    // The copy scores when the file is gone, a new one takes its place at the next import.
    try FileManager.default.removeItem(atPath: useCase + "/models/scikit_classifier.onnx")
    _ = try registry.load(first, of: "mine")
    #expect(try refusal(classifier).description.contains("scikit_classifier.onnx of the detector mine cannot be read"))
    let forest = try importModels(try plan("models/scikit_forest.onnx"))
    #expect(try registry.champion(of: "mine") == forest && registry.entries(of: "mine").count == 3)
    #expect(try registry.rollback("mine", at: Date(timeIntervalSince1970: 2)) == first)
  }

  @Test("a damaged copy is replaced from the file")
  func damagedCopy() throws {
    let classifier = try plan("models/scikit_classifier.onnx")
    let version = try importModels(classifier)
    for file in ["model.onnx", "model.json", "manifest.json"] {
      let copy = folder.path + "/models/lab/mine/\(version)/\(file)"
      try Data("?".utf8).write(to: URL(filePath: copy))
      #expect(try importModels(classifier) == version)
      _ = try registry.load(version, for: classifier.detectors[0])
    }
    #expect(try registry.entries(of: "mine").count == 1)
    // Another definition does not take over what another one's version has left.
    try Data("?".utf8).write(to: URL(filePath: folder.path + "/models/lab/mine/\(version)/manifest.json"))
    let labels = try plan("models/scikit_classifier.onnx", ", output: label")
    let second = try importModels(labels)
    #expect(second != version)
    _ = try registry.load(second, for: labels.detectors[0])
  }

  @Test("what does not fit is refused when it is imported, with the names there are, and leaves nothing")
  func refusals() throws {
    let classifier = "models/scikit_classifier.onnx"
    for (model, more, features, words) in [
      (classifier, ", output: score", "a, b, c, d", "has no output 'score'; it has: 'label' int64"),
      (classifier, ", input: Y", "a, b, c, d", "has no input 'Y'; it has: 'X' float [any, 4]"),
      (classifier, "", "a, b, c", "for the 3 features of the detector"),
      (classifier, ", provider: CUDA", "a, b, c, d", "it has: cpu"),
      ("models/scikit_maps.onnx", ", output: output_probability", "a, b, c, d", "zipmap"),
      ("models", "", "a, b, c, d", "is not a file"), ("none.onnx", "", "a, b, c, d", "there is no such file"),
    ] {
      let error = try refusal(try plan(model, more, features: features))
      #expect(error.kind == .configuration && error.description.contains(words), "\(error)")
      #expect(error.description.contains(useCase + "/" + model), "\(error)")
    }
    try Data("not a model".utf8).write(to: URL(filePath: useCase + "/bad.onnx"))
    #expect(try refusal(try plan("bad.onnx")).description.contains("bad.onnx could not be loaded"))
    #expect(folder.names.isEmpty)
  }

  @Test("a damaged copy is refused")
  func damage() throws {
    let plan = try plan("models/scikit_forest.onnx")
    let version = try importModels(plan)
    let path = folder.path + "/models/lab/mine/\(version)/model.onnx"
    var bytes = try Data(contentsOf: URL(filePath: path))
    bytes[bytes.count / 2] ^= 4
    try bytes.write(to: URL(filePath: path))
    let error = try #require(throws: OperatingError.self) { try registry.load(version, for: plan.detectors[0]) }
    #expect(error.kind == .store && error.description.contains("damaged or exchanged"))
  }
}
