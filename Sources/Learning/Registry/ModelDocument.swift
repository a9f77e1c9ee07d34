// `model.json`: what scoring needs besides `model.onnx`, and the way between the two files and a fitted model.

import Detection
import Foundation

/// What a version's `model.json` holds.
struct ModelDocument: Codable {
  var useCase: String
  var detector: String
  var type: String
  var version: String
  var plan: String
  var encoders: [String: FittedEncoder]
  var calibration: Calibration?
  var drift: DriftReference?
  /// Models of before it was kept have none.
  var usualContributions: UsualContributions?
  /// SHA-256 of `model.onnx`.
  var modelHash: String
  /// What models of this type have alone, as further members of the same object; nil for a type that is not known.
  var part: (any Codable & Sendable)?

  enum CodingKeys: String, CodingKey {
    case detector, type, version, plan, encoders, calibration, drift
    case useCase = "use_case"
    case usualContributions = "usual_contributions"
    case modelHash = "model_sha256"
  }

  /// The types that are known, for decoding.
  static let formatsKey = CodingUserInfoKey(rawValue: "formats")

  init(
    useCase: String, detector: String, type: String, version: String, plan: String,
    encoders: [String: FittedEncoder] = [:], modelHash: String, part: any Codable & Sendable
  ) {
    self.useCase = useCase
    self.detector = detector
    self.type = type
    self.version = version
    self.plan = plan
    self.encoders = encoders
    self.modelHash = modelHash
    self.part = part
  }

  init(from decoder: any Swift.Decoder) throws {
    let members = try decoder.container(keyedBy: CodingKeys.self)
    useCase = try members.decode(String.self, forKey: .useCase)
    detector = try members.decode(String.self, forKey: .detector)
    type = try members.decode(String.self, forKey: .type)
    version = try members.decode(String.self, forKey: .version)
    plan = try members.decode(String.self, forKey: .plan)
    encoders = try members.decode([String: FittedEncoder].self, forKey: .encoders)
    calibration = try members.decodeIfPresent(Calibration.self, forKey: .calibration)
    drift = try members.decodeIfPresent(DriftReference.self, forKey: .drift)
    usualContributions = try members.decodeIfPresent(UsualContributions.self, forKey: .usualContributions)
    modelHash = try members.decode(String.self, forKey: .modelHash)
    let formats = Self.formatsKey.flatMap { decoder.userInfo[$0] as? [any ModelFormat] } ?? []
    part = try formats.format(of: type)?.part(from: decoder)
  }

  func encode(to encoder: any Encoder) throws {
    var members = encoder.container(keyedBy: CodingKeys.self)
    try members.encode(useCase, forKey: .useCase)
    try members.encode(detector, forKey: .detector)
    try members.encode(type, forKey: .type)
    try members.encode(version, forKey: .version)
    try members.encode(plan, forKey: .plan)
    try members.encode(encoders, forKey: .encoders)
    try members.encodeIfPresent(calibration, forKey: .calibration)
    try members.encodeIfPresent(drift, forKey: .drift)
    try members.encodeIfPresent(usualContributions, forKey: .usualContributions)
    try members.encode(modelHash, forKey: .modelHash)
    try part?.encode(to: encoder)
  }
}

extension ModelDocument {
  /// The two files of a version.
  struct Files {
    var document: ModelDocument
    /// `model.onnx`.
    var model: [UInt8]
  }

  /// The two files of a trained model.
  /// - Throws: `OperatingError` of kind `input` where the model is none that could be read back.
  static func files(of model: FittedModel, useCase: String, formats: [any ModelFormat]) throws -> Files {
    let name = ModelName(
      detector: model.detector, version: model.version, features: features(ofPlan: model.plan))
    for format in formats {
      guard let encoded = try format.encoding(model.scorer, as: name) else { continue }
      var document = ModelDocument(
        useCase: useCase, detector: model.detector, type: format.type, version: model.version, plan: model.plan,
        encoders: model.encoders, modelHash: SealedJSON.sha256(of: encoded.bytes), part: encoded.part)
      document.calibration = model.calibration
      document.drift = model.drift
      document.usualContributions = model.usualContributions
      return Files(document: document, model: encoded.bytes)
    }
    throw OperatingError(.input, "models like that of the detector \(model.detector) are not kept in files")
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
  ///   - parameters: what the use case says now, which may decide how a model is run; nil where it is not known.
  /// - Throws: `OperatingError`: of kind `store` for what is wrong with the files.
  func model(
    _ bytes: [UInt8], in folder: String, formats: [any ModelFormat], for parameters: (any DetectorParameters)? = nil
  ) throws -> FittedModel {
    let file = ModelFile(folder: folder, detector: detector, version: version, bytes: bytes)
    guard let format = formats.format(of: type) else {
      throw file.damaged("is of the type `\(type.prefix(40))`, which this version of pulse does not know")
    }
    return FittedModel(
      detector: detector, version: version, plan: plan, encoders: encoders,
      scorer: try format.scorer(part, file, for: parameters), calibration: calibration, drift: drift,
      usualContributions: usualContributions)
  }
}
