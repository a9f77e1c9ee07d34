// What is on record about the models of a use case: versions, facts, and in what two of them differ.

public import Detection
public import Learning

/// A version as it is found.
public struct ListedModel: Sendable {
  public let detector: String
  /// Nil where it is not known which version is champion.
  public let version: String?
  public let isChampion: Bool
  public let manifest: ModelManifest?
  /// Why it cannot score, or cannot be told.
  public let error: OperatingError?
}

/// What is on record about a version.
public struct ModelRecord: Sendable {
  public let version: String
  public let isChampion: Bool
  public let manifest: ModelManifest
  public let facts: [ModelFact]
  /// Changes of the detector's champion, oldest first.
  public let history: [ChampionRecord.Change]
}

/// A fact in which two versions differ; nil for one that has none.
public struct ModelDifference: Sendable {
  public let fact: String
  public let first: ModelFact.Value?
  public let second: ModelFact.Value?
}

/// Two versions, compared.
public struct ModelComparison: Sendable {
  public let first: String
  public let second: String
  public let differences: [ModelDifference]
}

extension ModelOperations {
  /// The versions of a detector, or of all, oldest first. What cannot be read is among them, with its reason.
  /// - Throws: `RequestError` where there is no such detector; `OperatingError`.
  public func versions(of detector: String?) throws -> [ListedModel] {
    if let detector { try check(detector: detector) }
    return try (detector.map { [$0] } ?? registry.detectors()).flatMap { try listed($0) }
  }

  private func listed(_ detector: String) throws -> [ListedModel] {
    try Self.listed(
      detector, champion: { try registry.champion(of: detector) }, try registry.entries(of: detector),
      trouble: { registry.trouble(with: $0, of: detector) })
  }

  /// The versions of a detector as a list has them.
  /// - Parameters:
  ///   - champion: which version scores.
  ///   - entries: all versions, in their order.
  ///   - trouble: why one whose record can be read cannot score; nil where it can.
  /// - Throws: what `champion` throws that is no `OperatingError`.
  public static func listed(
    _ detector: String, champion: () throws -> String?, _ entries: [ModelRegistry.Entry],
    trouble: (String) -> OperatingError?
  ) throws -> [ListedModel] {
    var rows: [ListedModel] = []
    func add(_ version: String?, isChampion: Bool, _ manifest: ModelManifest? = nil, _ error: OperatingError? = nil) {
      rows.append(
        ListedModel(detector: detector, version: version, isChampion: isChampion, manifest: manifest, error: error))
    }
    var known: String?
    do { known = try champion() } catch let error as OperatingError {
      add(nil, isChampion: true, nil, error)
    }
    if let known, !entries.contains(where: { $0.version == known }) {
      let error = OperatingError(.store, "its folder is gone: restore it, or promote another version")
      add(known, isChampion: true, nil, error)
    }
    for entry in entries {
      let isChampion = entry.version == known
      switch entry.manifest {
      case .success(let manifest):
        add(entry.version, isChampion: isChampion, manifest, trouble(entry.version))
      case .failure(let error): add(entry.version, isChampion: isChampion, nil, error)
      }
    }
    return rows
  }

  /// What is on record about a version, the champion unless named.
  /// - Throws: `RequestError` where there is none; `OperatingError` where it cannot be read.
  public func record(of version: String?, of detector: String) throws -> ModelRecord {
    let version = try versionOrChampion(version, of: detector)
    let champion = try? registry.championRecord(of: detector)
    return ModelRecord(
      version: version, isChampion: champion?.version == version,
      manifest: try registry.manifest(of: version, of: detector), facts: try registry.facts(of: version, of: detector),
      history: champion?.history ?? [])
  }

  /// In what two versions differ, the second being the champion unless named.
  /// - Throws: `RequestError` where there is none of a name; `OperatingError` where one cannot be read.
  public func compare(_ first: String, with second: String?, of detector: String) throws -> ModelComparison {
    try check(version: first, of: detector)
    let second = try versionOrChampion(second, of: detector)
    let facts = try registry.facts(of: first, of: detector)
    let others = try registry.facts(of: second, of: detector)
    let (names, values) = (Set(facts.map(\.name)), others.byName)
    let changed = facts.filter { values[$0.name] != $0.value }.map {
      ModelDifference(fact: $0.name, first: $0.value, second: values[$0.name])
    }
    let added = others.filter { !names.contains($0.name) }.map {
      ModelDifference(fact: $0.name, first: nil, second: $0.value)
    }
    return ModelComparison(first: first, second: second, differences: changed + added)
  }
}
