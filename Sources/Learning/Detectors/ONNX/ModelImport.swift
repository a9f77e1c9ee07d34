// Models that users bring are versions like any other: a copy is kept, so that what a stored anomaly was scored with can
// still be told when the file has changed.

public import Detection
public import Foundation

extension ModelRegistry {
  /// Imports the models that a use case's detectors of type `onnx` name, as they are now, and makes each the champion of
  /// its detector. What is there already is not written again, so this may be called whenever a run starts.
  ///
  /// - Parameters:
  ///   - directory: the folder of the use case, which the paths start from.
  ///   - configuration: hash of the use case, for the record.
  ///   - at: for the record.
  ///   - report: told of a detector whose model cannot be imported; where it does not throw the others go on.
  /// - Returns: the versions by detector.
  /// - Throws: `OperatingError`: of kind `configuration` where a file is not there or does not fit its detector,
  ///   `missing` without ONNX Runtime, `store` where the registry cannot be written to.
  @discardableResult
  public func importModels(
    of plan: Plan, from directory: String, configuration: String, at: Date,
    report: (_ detector: String, OperatingError) throws -> Void = { throw $1 }
  ) throws -> [String: String] {
    var versions: [String: String] = [:]
    for detector in plan.detectors {
      guard let definition = detector.definition.parameters as? ONNXDefinition else { continue }
      do {
        let version = try importModel(definition, of: detector, from: directory, configuration: configuration, at: at)
        try promote(version, of: detector.name, reason: "imported from \(definition.model.text)", at: at)
        versions[detector.name] = version
      } catch let error as OperatingError {
        try report(detector.name, error)
      }
    }
    return versions
  }

  /// Reads and loads the models that detectors of type `onnx` name, and keeps nothing.
  /// - Parameter report: told of a detector whose model cannot be checked, as without ONNX Runtime.
  /// - Throws: `OperatingError` of kind `configuration` where a file is not there or does not fit its detector.
  public static func checkModels(
    of plan: Plan, from directory: String, report: (_ detector: String, OperatingError) -> Void
  ) throws {
    for detector in plan.detectors {
      guard let definition = detector.definition.parameters as? ONNXDefinition else { continue }
      do {
        let (path, bytes) = try read(definition, of: detector, from: directory)
        try load(bytes, path: path, external(definition, of: detector))
      } catch let error as OperatingError where error.kind == .missing {
        report(detector.name, error)
      }
    }
  }

  private static func read(
    _ definition: ONNXDefinition, of detector: DetectorPlan, from directory: String
  ) throws -> (path: String, bytes: [UInt8]) {
    let path = directory == "." ? definition.model.text : "\(directory)/\(definition.model.text)"
    do {
      guard let bytes = try RegistryFiles.read(path, limit: Bounds.model) else {
        throw OperatingError(.configuration, "there is no such file")
      }
      return (path, bytes)
    } catch let error as OperatingError {
      throw OperatingError(
        .configuration, "the model \(path) of the detector \(detector.name) cannot be read: \(error)")
    }
  }

  private static func external(_ definition: ONNXDefinition, of detector: DetectorPlan) -> ONNXLearning.Part.External {
    ONNXLearning.Part.External(
      input: definition.input, output: definition.output, threads: definition.threads,
      provider: definition.provider, features: detector.features.names)
  }

  private static func load(_ bytes: [UInt8], path: String, _ external: ONNXLearning.Part.External) throws {
    _ = try ONNXScorer(
      model: bytes, name: path, features: external.features,
      options: ONNXSession.Options(
        threads: external.threads, provider: external.provider, input: external.input, output: external.output))
  }

  private func importModel(
    _ definition: ONNXDefinition, of detector: DetectorPlan, from directory: String, configuration: String, at: Date
  ) throws -> String {
    let (path, bytes) = try Self.read(definition, of: detector, from: directory)
    let hash = SealedJSON.sha256(of: bytes)
    // A version says which file scored and what it was given: another list of features makes another version of a file.
    let plain = "onnx-\(hash.prefix(12))"
    let planHash = SealedJSON.sha256(of: Array(detector.fingerprint.utf8))
    // A damaged copy is replaced: the file is at hand.
    var free: String?
    for version in [plain, "\(plain)-\(planHash.prefix(12))"] {
      let known = try? document(of: version, of: detector.name)
      let isOurs = known.map { $0.modelHash == hash && $0.plan == detector.fingerprint } ?? true
      guard isOurs else { continue }
      if known != nil, try damagedFiles(of: version, of: detector.name).isEmpty { return version }
      free = free ?? version
    }
    guard let version = free else {
      throw OperatingError(
        .store,
        "the versions \(plain) and \(plain)-\(planHash.prefix(12)) of the detector \(detector.name) do not hold the model "
          + "that their names say. Remove \(try self.path(of: detector.name))/\(plain)-\(planHash.prefix(12))")
    }
    let external = Self.external(definition, of: detector)
    let document = ModelDocument(
      useCase: useCase, detector: detector.name, type: detector.definition.type, version: version,
      plan: detector.fingerprint, modelHash: hash, part: ONNXLearning.Part(external: external))
    // Loaded before it is kept: what does not fit is refused with its own path.
    try Self.load(bytes, path: path, external)
    let manifest = ModelManifest(
      useCase: useCase, detector: detector.name, type: document.type, version: version, created: at.microseconds,
      configuration: configuration, importedFrom: path)
    try addUnlessThere(document, model: bytes, manifest: manifest)
    return version
  }

  /// Another process may have imported the same file meanwhile.
  private func addUnlessThere(_ document: ModelDocument, model: [UInt8], manifest: ModelManifest) throws {
    do {
      try add(document, model: model, manifest: manifest)
    } catch let error as OperatingError {
      guard let there = try? self.document(of: document.version, of: document.detector),
        there.modelHash == document.modelHash, there.plan == document.plan
      else { throw error }
    }
  }
}
