// Models that users bring: what scikit-learn exports scores as in scikit-learn, and what does not fit is refused when it
// is loaded.

import Detection
import Foundation
import Pipeline
import Testing

@testable import Learning

@Suite("ONNX models of users", .needsONNXRuntime)
struct ONNXSessionTests {
  /// Rows, and what scikit-learn says to them (Fixtures/make_fixtures.py).
  struct Expected: Decodable {
    let rows: [[Float?]]
    let scores: [Double]
    let labels: [Double]
    let probabilities: [[Double]]

    static func load() throws -> Expected {
      try JSONDecoder().decode(Expected.self, from: Data(try Fixture.bytes("scikit_expected.json")))
    }

    var matrix: [Float] { rows.joined().map { $0 ?? .nan } }
  }

  func session(_ file: String, features: Int = 4, _ options: ONNXSession.Options = .init()) throws -> ONNXSession {
    try ONNXSession(
      model: try Fixture.bytes(file), name: file, featureCount: features, options: options, library: try .open())
  }

  func refusal(_ file: String, features: Int = 4, _ options: ONNXSession.Options = .init()) throws -> String {
    try #require(throws: OperatingError.self) { _ = try session(file, features: features, options) }.description
  }

  @Test("pipelines exported with skl2onnx score as in scikit-learn", arguments: [1, 2])
  func scikitPipelines(threads: Int) throws {
    let expected = try Expected.load()
    let forest = try session("scikit_forest.onnx", .init(threads: threads))
    #expect(forest.width == 1)
    expectClose(try forest.run(expected.matrix).map(Double.init), expected.scores, "scores")
    let labels = try session("scikit_forest.onnx", .init(threads: threads, output: "label"))
    #expect(try labels.run(expected.matrix).map(Double.init) == expected.labels)
    let classifier = try session("scikit_classifier.onnx", .init(threads: threads))
    #expect(classifier.width == 2)
    expectClose(
      try classifier.run(expected.matrix).map(Double.init), Array(expected.probabilities.joined()), "probabilities")
    #expect(try classifier.run([]) == [])
  }

  @Test("one session serves several threads at once")
  func concurrentRuns() async throws {
    let expected = try Expected.load()
    let session = try session("scikit_forest.onnx")
    let alone = try session.run(expected.matrix)
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for _ in 0..<8 {
        group.addTask { try (0..<50).allSatisfy { _ in try session.run(expected.matrix) == alone } }
      }
      for try await same in group { #expect(same) }
    }
  }

  @Test("names, shapes and types that do not fit are refused with what was expected and found")
  func refusals() throws {
    #expect(try refusal("scikit_forest.onnx", features: 5).contains("'X' float [any, 4]; expected one input of float"))
    let unknownOutput = try refusal("scikit_forest.onnx", .init(output: "score"))
    #expect(unknownOutput.contains("it has: 'label' int64 [any, 1]; 'scores'"))
    #expect(try refusal("scikit_maps.onnx", .init(output: "output_probability")).contains("zipmap"))
    #expect(try refusal("scikit_forest.onnx", .init(provider: "CUDA")).contains("'CUDA'; it has: cpu"))
    #expect(try refusal("scikit_forest.onnx", .init(provider: "%s%n")).contains("it has: cpu"))
    #expect(try refusal("scikit_forest.onnx", .init(threads: 0)).contains("threads: 1 to 1024"))
    #expect(try refusal("make_fixtures.py").contains("could not be loaded"))
    let error = try #require(throws: OperatingError.self) {
      _ = try ONNXSession(model: [], name: "empty.onnx", featureCount: 4, library: try .open())
    }
    #expect(error.description.contains("empty.onnx could not be loaded"))
    #expect(try session("scikit_forest.onnx", .init(provider: "CPU")).width == 1)
  }

  @Test("a model that does not end is ended, with a sentence and without a score", arguments: [1, 2])
  func endless(threads: Int) throws {
    var options = ONNXSession.Options(threads: threads)
    options.runTime = .milliseconds(200)
    let start = ContinuousClock.now
    let session = try session("endless.onnx", options)
    let error = try #require(throws: OperatingError.self) { try session.run([1, 2, 3, 4]) }
    #expect(error.kind == .limit && error.description.contains("endless.onnx was ended after"))
    // More rows may take longer; the session is as good as before.
    #expect(throws: OperatingError.self) { try session.run([1, 2, 3, 4]) }
    // Far from the loop's end, and as far from a machine that is busy.
    #expect(ContinuousClock.now - start < .seconds(60))
  }

  @Test("a scorer gives no score, and no missing one, where its model does not end")
  func endlessScorer() throws {
    var options = ONNXSession.Options()
    options.runTime = .milliseconds(100)
    let scorer = try ONNXScorer(
      model: try Fixture.bytes("endless.onnx"), name: "endless.onnx", features: ["a", "b", "c", "d"], options: options)
    let matrix = FeatureMatrix(rows: [[1, 2, 3, 4], [5, 6, 7, 8]])
    let error = try #require(throws: LimitError.self) { try scorer.scores(of: matrix) }
    #expect(error.description.contains("was ended after"))
  }

  @Test("runs that end before their time are not ended, however many there are")
  func shortRuns() throws {
    var options = ONNXSession.Options()
    options.runTime = .milliseconds(500)
    let expected = try Expected.load()
    let session = try session("scikit_forest.onnx", options)
    let alone = try session.run(expected.matrix)
    let start = ContinuousClock.now
    while ContinuousClock.now - start < .milliseconds(1_200) { #expect(try session.run(expected.matrix) == alone) }
  }

  @Test("loading that takes too long is given up")
  func slowLoading() throws {
    var options = ONNXSession.Options()
    options.loadTime = .zero
    let refusal = try refusal("scikit_forest.onnx", options)
    #expect(refusal.contains("could not be loaded within 0 s"))
  }

  @Test("the library says its version")
  func version() throws {
    #expect(try ONNXRuntimeLibrary.open().version.split(separator: ".").count >= 2)
  }
}
