// The fitted versions of a use case's detectors on disk, and which of them is champion. A version is a folder that appears
// whole and never changes; the champion is one small file that is replaced. docs/models.md describes the files.

public import Detection
import Foundation

/// The models of one use case: `<folder>/<use case>/<detector>/<version>/`.
///
/// Any number of processes may read and write at once: writers take turns, readers never wait and never see half of
/// anything. Errors are `OperatingError`s: of kind `store` for files that are missing, damaged or newer than this program,
/// of kind `input` for versions that are not there.
public struct ModelRegistry: Sendable {
  /// Where all models lie: `<data directory>/models`.
  public let folder: String
  public let useCase: String
  /// The types of detectors whose models can be here.
  let formats: [any ModelFormat]

  /// Files of a version.
  enum File {
    static let model = "model.onnx"
    static let document = "model.json"
    static let manifest = "manifest.json"
    static let champion = "champion.json"
  }

  /// What a person can do about a version whose files are not what they should be.
  static let remedy =
    "Make another version the champion (pulse models promote, or rollback), restore the file, or train anew (pulse train)"

  /// Bytes of a file at most. With 256 encoders of 65,536 values `model.json` has about 400 MB.
  enum Bounds {
    static let document = 512 << 20
    static let manifest = 64 << 20
    /// A message of protobuf, and so an ONNX file, has fewer bytes.
    static let model = Int(Int32.max)
  }

  // MARK: - Looking

  /// Names of the detectors that have a version here, sorted.
  public func detectors() throws -> [String] {
    let root = "\(folder)/\(try Self.fileName(useCase, of: "use case"))"
    return try RegistryFiles.names(in: root).filter {
      !$0.hasPrefix(".") && RegistryFiles.isFolder("\(root)/\($0)")
    }
  }

  /// A version as it is found on disk: what is on record about it, or why that cannot be read.
  public struct Entry: Sendable {
    public let version: String
    public let manifest: Result<ModelManifest, OperatingError>

    public init(version: String, manifest: Result<ModelManifest, OperatingError>) {
      (self.version, self.manifest) = (version, manifest)
    }
  }

  /// All versions of a detector, oldest first (created, then name), those whose record cannot be read before them.
  public func entries(of detector: String) throws -> [Entry] {
    try versions(of: detector).map { try entry(of: $0, of: detector) }.inOrder
  }

  /// What is on record about a version, or why that cannot be read. Of its files the record alone is opened.
  public func entry(of version: String, of detector: String) throws -> Entry {
    do {
      return Entry(version: version, manifest: .success(try manifest(of: version, of: detector)))
    } catch let error as OperatingError {
      return Entry(version: version, manifest: .failure(error))
    }
  }

  /// Why a version cannot score, as far as its files tell; nil where they are whole.
  public func trouble(with version: String, of detector: String) -> OperatingError? {
    do {
      let damaged = try damagedFiles(of: version, of: detector).sorted()
      if damaged.isEmpty {
        _ = try document(of: version, of: detector)
        return nil
      }
      return OperatingError(
        .store,
        "damaged or missing: \(damaged.joined(separator: ", ")). Training over the same history, or importing it again, "
          + "restores it")
    } catch let error as OperatingError {
      return error
    } catch {
      return OperatingError(.store, "\(error)")
    }
  }

  /// What is on record about a version.
  public func manifest(of version: String, of detector: String) throws -> ModelManifest {
    let manifest = try read(File.manifest, ModelManifest.self, version, detector, limit: Bounds.manifest)
    try check(
      (manifest.useCase, manifest.detector, manifest.version), version, detector,
      in: "\(try path(of: detector, version))/\(File.manifest)")
    return manifest
  }

  /// Reads a version. The file and its parts are checked; whether it fits a use case's detector is said by
  /// `load(_:for:)` and `ModelSet`.
  public func load(_ version: String, of detector: String) throws -> FittedModel {
    try load(version, of: detector, parameters: nil)
  }

  /// Reads a version that is to score for a detector as the use case defines it now.
  /// - Throws: also an `OperatingError` of kind `configuration` where the model does not fit the detector.
  public func load(_ version: String, for plan: DetectorPlan) throws -> FittedModel {
    let model = try load(version, of: plan.name, parameters: plan.definition.parameters)
    do {
      _ = try LearnedDetector(plan, model: model)
    } catch {
      throw OperatingError(.configuration, error.description)
    }
    return model
  }

  private func load(
    _ version: String, of detector: String, parameters: (any DetectorParameters)?
  ) throws -> FittedModel {
    let files = try files(of: version, of: detector)
    return try files.document.model(
      files.model, in: try path(of: detector, version), formats: formats, for: parameters)
  }

  /// Checks that the files of a version are whole and belong together.
  func verify(_ version: String, of detector: String) throws {
    _ = try manifest(of: version, of: detector)
    let files = try files(of: version, of: detector)
    // What needs a library was checked when it came, and the library may be elsewhere.
    if formats.format(of: files.document.type)?.isSelfContained == false { return }
    _ = try files.document.model(files.model, in: try path(of: detector, version), formats: formats)
  }

  /// Whether there is a version of this name, in whatever state.
  public func contains(_ version: String, of detector: String) throws -> Bool {
    RegistryFiles.isFolder(try path(of: detector, version))
  }

  /// The files of a version that are missing or do not have the hash that they should have. A file of a newer program is
  /// not damaged.
  /// - Throws: `OperatingError` where a file cannot be read.
  func damagedFiles(of version: String, of detector: String) throws -> Set<String> {
    let folder = try path(of: detector, version)
    var damaged: Set<String> = []
    for (file, limit) in [(File.manifest, Bounds.manifest), (File.document, Bounds.document)] {
      let bytes = try RegistryFiles.read("\(folder)/\(file)", limit: limit)
      if bytes.map(SealedJSON.isWhole) != true { damaged.insert(file) }
    }
    guard !damaged.contains(File.document), let document = try? document(of: version, of: detector) else {
      return damaged
    }
    let bytes = try RegistryFiles.read("\(folder)/\(File.model)", limit: Bounds.model)
    if bytes.map(SealedJSON.sha256) != document.modelHash { damaged.insert(File.model) }
    return damaged
  }

  func files(of version: String, of detector: String) throws -> ModelDocument.Files {
    let document = try document(of: version, of: detector)
    let path = "\(try path(of: detector, version))/\(File.model)"
    guard let bytes = try RegistryFiles.read(path, limit: Bounds.model) else { throw missing(path) }
    guard SealedJSON.sha256(of: bytes) == document.modelHash else {
      throw OperatingError(
        .store,
        "\(path) was damaged or exchanged: it does not have the SHA-256 that \(File.document) names. \(Self.remedy)")
    }
    return ModelDocument.Files(document: document, model: bytes)
  }

  /// `model.json` of a version, checked.
  func document(of version: String, of detector: String) throws -> ModelDocument {
    let document = try read(File.document, ModelDocument.self, version, detector, limit: Bounds.document)
    try check(
      (document.useCase, document.detector, document.version), version, detector,
      in: "\(try path(of: detector, version))/\(File.document)")
    return document
  }

  /// What drift is measured against by a version; nil where it measures none. The trees are not read.
  public func drift(of version: String, of detector: String) throws -> DriftReference? {
    try document(of: version, of: detector).drift
  }

  // MARK: - Writing

  /// Adds a trained version: all of it or, with an error, nothing. A version of this name whose files are damaged is
  /// replaced; where that is the manifest of this very model alone, the model stays and gets the new one.
  /// - Throws: `OperatingError` of kind `input` where there is a whole version of this name, or the manifest is another
  ///   model's.
  public func add(_ model: FittedModel, manifest: ModelManifest) throws {
    let files = try ModelDocument.files(of: model, useCase: useCase, formats: formats)
    try add(files.document, model: files.model, manifest: manifest)
  }

  func add(_ document: ModelDocument, model: [UInt8], manifest: ModelManifest) throws {
    guard manifest.useCase == useCase, manifest.detector == document.detector, manifest.version == document.version,
      manifest.type == document.type
    else {
      throw OperatingError(
        .input,
        "the manifest of \(manifest.useCase)/\(manifest.detector) (\(manifest.type)), version \(manifest.version), does "
          + "not belong to the model of \(useCase)/\(document.detector) (\(document.type)), version \(document.version)"
      )
    }
    let root = try path(of: document.detector)
    let final = try path(of: document.detector, document.version)
    let files = [
      (File.model, model), (File.document, try SealedJSON.bytes(of: document, isPretty: false)),
      (File.manifest, try SealedJSON.bytes(of: manifest, isPretty: true)),
    ]
    try RegistryFiles.locked(folder) {
      try RegistryFiles.makeFolder(root)
      try removeLeftovers(in: root)
      if RegistryFiles.isFolder(final) {
        let damaged = try damagedFiles(of: document.version, of: document.detector)
        guard !damaged.isEmpty else {
          throw OperatingError(
            .input, "there is a version \(document.version) of the detector \(document.detector) already")
        }
        if damaged == [File.manifest], let kept = try? self.document(of: document.version, of: document.detector) {
          // Stored anomalies and the activation log name it: it does not become another model.
          guard kept.plan == document.plan, kept.modelHash == document.modelHash else {
            throw OperatingError(
              .store,
              "\(final)/\(File.manifest) is damaged, and the same training gives another model now (another version of a "
                + "library?). Restore the file, or remove the folder")
          }
          return try RegistryFiles.replace(
            "\(final)/\(File.manifest)", with: try SealedJSON.bytes(of: manifest, isPretty: true))
        }
        try removeFolder(of: document.version, final, in: root)
      }
      try RegistryFiles.publish(files, as: final, temporary: "\(root)/.\(document.version).\(getpid())")
    }
  }

  /// Removes a version.
  /// - Throws: `OperatingError` of kind `input` where it is the champion or not there.
  public func remove(_ version: String, of detector: String) throws {
    let root = try path(of: detector)
    let final = try path(of: detector, version)
    try RegistryFiles.locked(folder) {
      try removeLeftovers(in: root)
      guard RegistryFiles.isFolder(final) else { throw try unknown(version, of: detector) }
      guard try champion(of: detector) != version else {
        throw OperatingError(
          .input, "the version \(version) is the champion of the detector \(detector): promote another one first")
      }
      try removeFolder(of: version, final, in: root)
    }
  }

  /// Under another name a version is gone for readers, whatever happens to its files then.
  private func removeFolder(of version: String, _ path: String, in root: String) throws {
    let removed = "\(root)/.\(version).\(getpid())"
    try RegistryFiles.move(path, to: removed)
    try? FileManager.default.removeItem(atPath: removed)
  }

  /// Removes what a writer that was killed has left. Only while no other writes.
  private func removeLeftovers(in root: String) throws {
    for name in try RegistryFiles.names(in: root) where name.wholeMatch(of: /\..+\.[0-9]+/) != nil {
      try? FileManager.default.removeItem(atPath: "\(root)/\(name)")
    }
  }

  // MARK: - Names and places

  /// Where the versions of a detector lie.
  func path(of detector: String) throws -> String {
    "\(folder)/\(try Self.fileName(useCase, of: "use case"))/\(try Self.fileName(detector, of: "detector"))"
  }

  func path(of detector: String, _ version: String) throws -> String {
    let isName = version.wholeMatch(of: /[A-Za-z0-9_][A-Za-z0-9._-]{0,119}/) != nil
    guard isName, version != File.champion else {
      throw OperatingError(.input, "`\(version.prefix(60))` cannot be the name of a version")
    }
    return "\(try path(of: detector))/\(version)"
  }

  /// A name that leads nowhere but into its folder.
  private static func fileName(_ name: String, of what: String) throws -> String {
    let bytes = name.utf8
    guard let first = bytes.first, first != UInt8(ascii: "."), bytes.count < 200, !bytes.contains(0),
      !bytes.contains(UInt8(ascii: "/"))
    else { throw OperatingError(.input, "`\(name.prefix(60))` cannot be the name of a \(what) with models") }
    return name
  }

  private func read<Content: Decodable>(
    _ file: String, _ type: Content.Type, _ version: String, _ detector: String, limit: Int
  ) throws -> Content {
    let folder = try path(of: detector, version)
    let path = "\(folder)/\(file)"
    guard let bytes = try RegistryFiles.read(path, limit: limit) else {
      if RegistryFiles.isFolder(folder) { throw missing(path) }
      throw try unknown(version, of: detector)
    }
    let known = ModelDocument.formatsKey.map { [$0: formats] } ?? [:]
    return try SealedJSON.decode(type, bytes, path: path, remedy: Self.remedy, userInfo: known)
  }

  private func check(
    _ found: (useCase: String, detector: String, version: String), _ version: String, _ detector: String,
    in path: String
  ) throws {
    guard found == (useCase, detector, version) else {
      throw OperatingError(
        .store,
        "\(path) belongs to \(found.useCase.prefix(60))/\(found.detector.prefix(60)), version "
          + "\(found.version.prefix(60)); expected "
          + "\(useCase)/\(detector), version \(version). \(Self.remedy)")
    }
  }

  private func missing(_ path: String) -> OperatingError {
    OperatingError(.store, "\(path) is missing. \(Self.remedy)")
  }

  /// That a version is not there, with the nearest that is.
  func unknown(_ version: String, of detector: String) throws -> OperatingError {
    let known = try entries(of: detector).map(\.version)
    let near = nearest(to: version, among: known).map { "; did you mean `\($0)`?" } ?? "."
    let list = known.suffix(20).joined(separator: ", ") + (known.count > 20 ? ", …" : "")
    return OperatingError(
      .input,
      "the detector \(detector) of \(useCase) has no version `\(version.prefix(60))`\(near) It has "
        + (known.isEmpty ? "none" : list))
  }
}

extension [ModelRegistry.Entry] {
  /// Oldest first (created, then name), those whose record cannot be read before them.
  public var inOrder: [ModelRegistry.Entry] {
    func created(_ entry: ModelRegistry.Entry) -> Int64 { (try? entry.manifest.get().created) ?? .min }
    return sorted { (created($0), $0.version) < (created($1), $1.version) }
  }
}
