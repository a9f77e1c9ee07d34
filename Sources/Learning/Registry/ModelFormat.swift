// What the registry asks of a type of detector: how its models lie in a version's files.

import Detection

/// The way between what scores and the files of a version.
protocol ModelFormat: Sendable {
  associatedtype Scorer: ModelScorer
  /// What `model.json` holds for this type alone, beside what all models have. Members may be added; those that a version
  /// before did not write are optional.
  associatedtype Part: Codable & Sendable

  /// Whether a model can be read by its files alone; others need a library that may not be here.
  var isSelfContained: Bool { get }
  /// - Throws: `OperatingError` of kind `input` where the model is none that could be read back.
  func encode(_ scorer: Scorer, as name: ModelName) throws -> EncodedModel<Part>
  /// - Parameter parameters: what the use case says now; nil where it is not known.
  /// - Throws: `OperatingError` of kind `store` for what is wrong with the files.
  func decode(_ part: Part, _ file: ModelFile, for parameters: Scorer.Parameters?) throws -> Scorer
  /// What there is to say of a model, for people who compare two.
  /// - Parameter bytes: `model.onnx`.
  func facts(of part: Part, _ bytes: [UInt8]) throws -> [ModelFact]
}

/// A model as it is written.
struct EncodedModel<Part> {
  var part: Part
  /// `model.onnx`.
  var bytes: [UInt8]
}

/// What a model is called in its file.
struct ModelName {
  let detector: String
  let version: String
  /// Names of the columns, where the plan has them.
  let features: [String]

  /// Trees as an ONNX file.
  func onnx(
    _ ensemble: TreeEnsemble, outputs: [String], _ transformation: TreeModel.Transformation
  ) throws -> [UInt8] {
    let count = ensemble.featureCount
    return try TreeModel(
      name: detector, version: version,
      featureNames: features.count == count ? features : (0..<count).map { "feature \($0)" }, outputNames: outputs,
      ensemble: ensemble, transformation: transformation
    ).serialized()
  }
}

/// `model.onnx` of a version.
struct ModelFile {
  /// For messages.
  let folder: String
  let detector: String
  let version: String
  let bytes: [UInt8]

  func damaged(_ reason: String) -> OperatingError {
    OperatingError(.store, "the model \(folder) \(reason). \(ModelRegistry.remedy)")
  }

  /// The trees of the version.
  /// - Throws: `OperatingError` of kind `store` where they are not, or another's.
  func trees() throws -> TreeModel {
    let trees: TreeModel
    do {
      trees = try TreeModel(parsing: bytes)
    } catch {
      throw OperatingError(.store, "\(folder)/model.onnx: \(error). \(ModelRegistry.remedy)")
    }
    guard trees.name == detector, trees.version == version else {
      throw damaged(
        "holds the trees of \(trees.name.prefix(60)), version \(trees.version.prefix(60)), beside a model.json of "
          + "\(detector), version \(version)")
    }
    return trees
  }
}

extension ModelFormat {
  /// The detector type whose models these are.
  var type: String { Scorer.Parameters.descriptor.type }

  /// The same for a model of any type; nil for one of another.
  func encoding(_ scorer: any ModelScorer, as name: ModelName) throws -> EncodedModel<any Codable & Sendable>? {
    guard let scorer = scorer as? Scorer else { return nil }
    let encoded = try encode(scorer, as: name)
    return EncodedModel(part: encoded.part, bytes: encoded.bytes)
  }

  /// The same for what `part(from:)` has read.
  func scorer(
    _ part: (any Codable & Sendable)?, _ file: ModelFile, for parameters: (any DetectorParameters)?
  ) throws -> any ModelScorer {
    guard let part = part as? Part else { preconditionFailure("the part of another type than \(type)") }
    return try decode(part, file, for: parameters as? Scorer.Parameters)
  }

  /// The same for what `part(from:)` has read.
  func facts(ofPart part: (any Codable & Sendable)?, _ bytes: [UInt8]) throws -> [ModelFact] {
    try (part as? Part).map { try facts(of: $0, bytes) } ?? []
  }

  /// Reads what is of this type alone.
  func part(from decoder: any Swift.Decoder) throws -> any Codable & Sendable { try Part(from: decoder) }
}

extension [any ModelFormat] {
  /// The one of a detector type.
  func format(of type: String) -> (any ModelFormat)? { first { $0.type == type } }
}
