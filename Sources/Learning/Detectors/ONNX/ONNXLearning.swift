// What is stored of a model of the user's own. It is imported, and never trained.

import Detection

/// The user's file beside how it is run.
struct ONNXLearning: ModelFormat {
  typealias Scorer = ExternalModel

  /// What `model.json` has of a model of the user's own alone.
  struct Part: Codable, Sendable {
    /// How it is run.
    struct External: Codable, Sendable {
      /// Names in the file; nil for the only input, and for the first output of floats.
      var input: String?
      var output: String?
      /// What it was imported with; the use case may say otherwise since.
      var threads: Int
      var provider: String
      /// Names of the columns, in their order.
      var features: [String]
    }

    var external: External?
  }

  /// It scores in ONNX Runtime.
  let isSelfContained = false

  func encode(_ model: ExternalModel, as name: ModelName) throws -> EncodedModel<Part> {
    throw OperatingError(.input, "the model of the detector \(name.detector) is a file: import it")
  }

  /// The threads and the provider that the use case names now count.
  /// - Throws: also as `ONNXScorer`.
  func decode(_ part: Part, _ file: ModelFile, for parameters: ONNXDefinition?) throws -> ExternalModel {
    guard let external = part.external else {
      throw file.damaged("is no model of the user's own: its model.json does not say how it is run")
    }
    return ExternalModel(
      try ONNXScorer(
        model: file.bytes, name: "\(file.folder)/model.onnx", features: external.features,
        options: ONNXSession.Options(
          threads: parameters?.threads ?? external.threads, provider: parameters?.provider ?? external.provider,
          input: external.input, output: external.output)))
  }

  /// What the file holds is the user's.
  func facts(of part: Part, _ bytes: [UInt8]) -> [ModelFact] { [] }
}
