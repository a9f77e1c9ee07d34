// `model.json`: what scoring needs besides the trees of `model.onnx`, and the way between the two files and a fitted model.

import Detection
import Foundation
import Pipeline

/// What a version's `model.json` holds.
struct ModelDocument: Codable, Equatable {
  /// How a model of the user's own is run.
  struct External: Codable, Equatable {
    /// Names in the file; nil for the only input, and for the first output of floats.
    var input: String?
    var output: String?
    /// What it was imported with; the use case may say otherwise since.
    var threads: Int
    var provider: String
    /// Names of the columns, in their order.
    var features: [String]
  }

  var useCase: String
  var detector: String
  var type: String
  var version: String
  var plan: String
  var encoders: [String: FittedEncoder]
  var calibration: Calibration?
  var drift: DriftReference?
  /// For a forest; models of before it was kept have none.
  var usualContributions: UsualContributions?
  /// For an expected value.
  var entityQuantiles: EntityQuantiles?
  /// For a forest: rows that each tree was fitted on.
  var sampleSize: Int?
  /// For a model of the user's own.
  var external: External?
  /// SHA-256 of `model.onnx`.
  var modelHash: String

  enum CodingKeys: String, CodingKey {
    case detector, type, version, plan, encoders, calibration, drift, external
    case useCase = "use_case"
    case usualContributions = "usual_contributions"
    case entityQuantiles = "entity_quantiles"
    case sampleSize = "sample_size"
    case modelHash = "model_sha256"
  }
}

extension ModelDocument {
  static let expectationOutputs = ["mean", "quantile"]

  /// The two files of a trained model: trees as ONNX, and the rest.
  /// - Throws: `OperatingError` of kind `input` where the trees are none that could be read back.
  static func files(
    of model: FittedModel, useCase: String, features: [String]
  ) throws -> (trees: [UInt8], document: ModelDocument) {
    var document = ModelDocument(
      useCase: useCase, detector: model.detector, type: "", version: model.version, plan: model.plan,
      encoders: model.encoders, calibration: model.calibration, drift: model.drift,
      usualContributions: model.usualContributions, modelHash: "")
    let trees: [UInt8]
    func onnx(
      _ ensemble: TreeEnsemble, _ outputs: [String], _ transformation: TreeModel.Transformation
    ) throws -> [UInt8] {
      let count = ensemble.featureCount
      let names = features.count == count ? features : (0..<count).map { "feature \($0)" }
      return try TreeModel(
        name: model.detector, version: model.version, featureNames: names, outputNames: outputs, ensemble: ensemble,
        transformation: transformation
      ).serialized()
    }
    switch model.scorer {
    case .isolationForest(let forest):
      document.type = "isolation_forest"
      document.sampleSize = forest.sampleSize
      let norm = Double(forest.trees.roots.count) * IsolationForest.averagePathLength(of: forest.sampleSize)
      // Trees of a single row have no path lengths to take to a power; every score is 0.5 then.
      trees = try onnx(forest.trees, ["score"], norm > 0 ? .powerOfTwo(factor: -1 / norm) : .none)
    case .expectedValue(let expectation):
      document.type = "expected_value"
      document.entityQuantiles = expectation.quantiles
      trees = try onnx(expectation.trees, expectationOutputs, .expm1)
    case .external:
      throw OperatingError(.input, "the model of the detector \(model.detector) is a file: import it")
    }
    document.modelHash = SealedJSON.sha256(of: trees)
    return (trees, document)
  }

  /// The names of a plan's inputs, as its text has them: one `input <name> <type>…` a line.
  static func features(ofPlan text: String) -> [String] {
    text.split(separator: "\n").compactMap { line in
      let words = line.split(separator: " ", maxSplits: 2)
      return words.count > 1 && words[0] == "input" ? String(words[1]) : nil
    }
  }

  /// The fitted model that `model.onnx` and this document make.
  /// - Parameters:
  ///   - folder: for messages.
  ///   - definition: what the use case says now of a model of the user's own: its threads and provider count.
  /// - Throws: `OperatingError`: of kind `store` for what is wrong with the files, as `ONNXScorer` for one of the user's.
  func model(_ bytes: [UInt8], in folder: String, definition: ONNXDefinition? = nil) throws -> FittedModel {
    let scorer =
      if let external {
        FittedModel.Scorer.external(
          try ONNXScorer(
            model: bytes, name: "\(folder)/model.onnx", features: external.features,
            options: ONNXSession.Options(
              threads: definition?.threads ?? external.threads, provider: definition?.provider ?? external.provider,
              input: external.input, output: external.output)))
      } else {
        try trees(bytes, in: folder)
      }
    return FittedModel(
      detector: detector, version: version, plan: plan, encoders: encoders, scorer: scorer, calibration: calibration,
      drift: drift, usualContributions: usualContributions)
  }

  /// The trees of a trained model, as what scores with them.
  private func trees(_ bytes: [UInt8], in folder: String) throws -> FittedModel.Scorer {
    func damaged(_ reason: String) -> OperatingError { OperatingError(.store, "the model \(folder) \(reason)") }
    let trees: TreeModel
    do {
      trees = try TreeModel(parsing: bytes)
    } catch {
      throw OperatingError(.store, "\(folder)/model.onnx: \(error)")
    }
    guard trees.name == detector, trees.version == version else {
      throw damaged(
        "holds the trees of \(trees.name.prefix(60)), version \(trees.version.prefix(60)), beside a model.json of \(detector), version "
          + version)
    }
    switch type {
    case "isolation_forest":
      guard let sampleSize, sampleSize > 0, trees.ensemble.baseValues == [0] else {
        throw damaged("is no isolation forest: its trees or its sample size are another model's")
      }
      return .isolationForest(IsolationForest(trees: trees.ensemble, sampleSize: sampleSize))
    case "expected_value":
      guard trees.outputNames == Self.expectationOutputs, let entityQuantiles else {
        throw damaged("is no expected value: its trees or the quantiles of entities are another model's")
      }
      return .expectedValue(BoostedExpectation(trees: trees.ensemble, quantiles: entityQuantiles))
    default: throw damaged("is of the type `\(type.prefix(40))`, which this version of pulse does not know")
    }
  }
}
