// What people do with the models of a use case: promote a version, go back, remove what nothing needs.

import Configuration
public import Connectors
public import Detection
public import Foundation
public import Learning

/// A champion that was changed.
public struct ChampionChange: Sendable, Hashable {
  public let useCase: String
  public let detector: String
  /// The version that scores from now on.
  public let champion: String
  /// The one before; nil where there was none, or it cannot be read.
  public let before: String?
}

/// What becomes of a version when versions are removed.
public struct PruneVerdict: Sendable, Hashable {
  public let detector: String
  public let version: String
  public let isRemoved: Bool
  /// Why it stays, or that nothing needs it.
  public let reason: String
}

/// A version of a model that something stored names.
public struct NamedModel: Sendable, Hashable {
  /// Nil where any detector may have it.
  public let detector: String?
  public let version: String

  public init(detector: String?, version: String) {
    self.detector = detector
    self.version = version
  }
}

/// The models of one use case in a data directory.
public struct ModelOperations: Sendable {
  public let registry: ModelRegistry
  public let directory: DataDirectory
  /// What was asked for: a directory or name.
  private let argument: String

  /// - Parameter useCase: a directory, or the name of one under `UseCases/` or in the data directory.
  /// - Throws: `OperatingError` where there is no such directory; `RequestError` or `UseCaseNotFound` where there is no such
  ///   use case.
  public init(of useCase: String, in directory: DataDirectory) throws {
    guard FileManager.default.fileExists(atPath: directory.path) else {
      throw OperatingError(.store, "there is no data directory \(directory.path). Check --data")
    }
    argument = useCase
    self.directory = directory
    registry = ModelRegistry(folder: directory.modelsPath, useCase: try Self.name(of: useCase, in: directory))
  }

  /// One that has models, or that of a use case that can be found.
  private static func name(of useCase: String, in directory: DataDirectory) throws -> String {
    let known = ((try? FileManager.default.contentsOfDirectory(atPath: directory.modelsPath)) ?? [])
      .filter { !$0.hasPrefix(".") }.sorted()
    if known.contains(useCase) { return useCase }
    do { return try LoadedUseCase(useCase).plan.useCase.name } catch let error as UseCaseNotFound {
      guard let near = nearest(to: useCase, among: known) else { throw error }
      throw RequestError(
        "\(directory.modelsPath) has no use case `\(RequestError.shortened(useCase))`; did you mean `\(near)`? It has "
          + known.joined(separator: ", "))
    }
  }

  /// The detector as the use case defines it now; nil where the use case is only known by its models.
  /// - Throws: `OperatingError` where the use case does not have it any more.
  public func detector(_ name: String) throws -> DetectorPlan? {
    let plan: Plan
    do { plan = try LoadedUseCase(argument).plan } catch is UseCaseNotFound { return nil }
    guard let detector = plan.detectors.first(where: { $0.name == name }) else {
      throw OperatingError(.configuration, "the use case \(plan.useCase.name) has no detector `\(name)` any more")
    }
    return detector
  }

  // MARK: Names

  /// - Throws: `RequestError` with the nearest name.
  public func check(detector: String) throws {
    try check(
      detector, among: try registry.detectors(), "\(registry.useCase) has no models of a detector",
      none: "`pulse train` makes them")
  }

  /// - Throws: `RequestError` with the nearest name.
  public func check(version: String, of detector: String) throws {
    try check(detector: detector)
    let versions = try registry.entries(of: detector).map(\.version)
    try check(version, among: versions, "the detector \(detector) has no version", none: "`pulse train` makes one")
  }

  private func check(_ name: String, among known: [String], _ what: String, none: String) throws {
    if known.contains(name) { return }
    throw RequestError.unknown(name, among: known, what, none: none, nearest: nearest(to: name, among: known))
  }

  /// The version named, or the champion.
  /// - Throws: `RequestError` where there is none.
  public func versionOrChampion(_ version: String?, of detector: String) throws -> String {
    if let version {
      try check(version: version, of: detector)
      return version
    }
    try check(detector: detector)
    guard let champion = try registry.champion(of: detector) else {
      throw RequestError("the detector \(detector) has no champion: name a version")
    }
    return champion
  }

  // MARK: Changing

  /// Makes a version the champion, whatever its gate said.
  /// - Throws: `RequestError` where there is none of the name; `OperatingError` where it does not fit.
  public func promote(_ version: String, of detector: String, reason: String, at time: Date) throws -> ChampionChange {
    try check(version: version, of: detector)
    let before = try? registry.champion(of: detector)
    try registry.promote(version, of: detector, fitting: try self.detector(detector), reason: reason, at: time)
    return ChampionChange(useCase: registry.useCase, detector: detector, champion: version, before: before)
  }

  /// Makes the champion before the present one champion again.
  /// - Throws: `RequestError`; `OperatingError` where there is none to go back to, or it does not fit.
  public func rollback(_ detector: String, reason: String, at time: Date) throws -> ChampionChange {
    try check(detector: detector)
    let before = try registry.champion(of: detector)
    let champion = try registry.rollback(detector, fitting: try self.detector(detector), at: time, reason: reason)
    return ChampionChange(useCase: registry.useCase, detector: detector, champion: champion, before: before)
  }

  /// Removes versions that nothing needs: neither champion, nor one of the newest, nor named by what is stored.
  /// - Parameters:
  ///   - detector: only of this one.
  ///   - keep: how many of the newest stay.
  ///   - named: what is stored.
  ///   - isTried: whether it is only said what would be removed.
  public func prune(
    detector: String?, keep: Int, named: Set<NamedModel>, isTried: Bool
  ) throws -> [PruneVerdict] {
    if let detector { try check(detector: detector) }
    let verdicts = try (detector.map { [$0] } ?? registry.detectors()).flatMap {
      try self.verdicts(on: $0, keep: keep, named: named)
    }
    if !isTried {
      for verdict in verdicts where verdict.isRemoved { try registry.remove(verdict.version, of: verdict.detector) }
    }
    return verdicts
  }

  private func verdicts(on detector: String, keep: Int, named: Set<NamedModel>) throws -> [PruneVerdict] {
    let entries = try registry.entries(of: detector)
    let newest = Set(entries.suffix(keep).map(\.version))
    let champion: String?
    do { champion = try registry.champion(of: detector) } catch let error as OperatingError {
      // Any of them may be it.
      return entries.map {
        PruneVerdict(
          detector: detector, version: $0.version, isRemoved: false, reason: "unreadable champion: \(error)")
      }
    }
    return entries.map { entry in
      let version = entry.version
      let isNamed = named.contains { $0.version == version && ($0.detector == nil || $0.detector == detector) }
      let reason = reason(entry, champion: champion, newest: newest, isNamed: isNamed)
      return PruneVerdict(
        detector: detector, version: version, isRemoved: reason == nil, reason: reason ?? "nothing needs it")
    }
  }

  /// Why a version stays; nil where nothing needs it.
  private func reason(
    _ entry: ModelRegistry.Entry, champion: String?, newest: Set<String>, isNamed: Bool
  ) -> String? {
    if entry.version == champion { return "the champion" }
    if newest.contains(entry.version) { return "one of the newest" }
    if isNamed { return "the store names it" }
    if case .failure(let error) = entry.manifest { return "unreadable: \(error)" }
    return nil
  }
}
