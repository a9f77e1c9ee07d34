// What is known of the versions of models, read once: lists and lights ask for it again and again, and a version's files do not
// change. Records are small and read when they are asked for. Whether a version can score, and what its trees split on, takes
// reading its model: that is done behind requests, a version at a time, and kept.

import Detection
import Foundation
import Learning
import Operations
import Synchronization

/// The versions of a use case's learned detectors.
final class ModelCatalog: Sendable {
  /// A version in a list.
  struct Version: Sendable {
    var listed: ListedModel
    /// Its record as JSON; nil where there is none.
    var manifest: String?
    /// Which share of the splits of its trees tests which input; nil where its model was not looked at yet.
    var splits: [Split]?
  }

  struct Split: Sendable, Hashable {
    var name: String
    var share: Double
  }

  /// What its model says of a version.
  private struct Finding: Sendable {
    var error: OperatingError?
    var splits: [Split]
    /// When trouble is looked at again: it may have been the moment's.
    var until: ContinuousClock.Instant?
  }

  private struct Known: Sendable {
    /// Nil where it has no name of a version.
    var mark: VersionMark?
    var entry: ModelRegistry.Entry
    var manifest: String?
    var finding: Finding?
  }

  private struct Champion: Sendable {
    var mark: FileMark?
    var record: ChampionRecord?
  }

  private struct Reference: Sendable {
    var version: String
    var mark: VersionMark
    var drift: DriftReference?
  }

  private struct State: Sendable {
    var versions: [String: [String: Known]] = [:]
    var champions: [String: Champion] = [:]
    var references: [String: Reference] = [:]
  }

  let registry: ModelRegistry
  private let state = Mutex(State())
  /// Versions of a detector that are looked at beside its champion: the newest, as lists show them.
  static let mostLookedAt = 10
  private static let patience = Duration.seconds(60)

  init(_ registry: ModelRegistry) { self.registry = registry }

  // MARK: Records

  /// All versions of a detector with their records, in their order. Of files that were seen before none is opened, of others
  /// the record alone.
  /// - Throws: `OperatingError` where the folder cannot be read.
  func entries(of detector: String) throws -> [ModelRegistry.Entry] { try known(of: detector).map(\.entry).inOrder }

  private func known(of detector: String) throws -> [Known] {
    let before = state.withLock { $0.versions[detector] } ?? [:]
    var now: [String: Known] = [:]
    for version in try registry.versions(of: detector) {
      let mark: VersionMark
      do { mark = try registry.mark(of: version, of: detector) } catch let error as OperatingError {
        // A folder whose name is none of a version.
        now[version] = Known(mark: nil, entry: ModelRegistry.Entry(version: version, manifest: .failure(error)))
        continue
      }
      if let known = before[version], known.mark == mark {
        now[version] = known
        continue
      }
      let entry = try registry.entry(of: version, of: detector)
      var known = Known(mark: mark, entry: entry)
      if case .success(let manifest) = entry.manifest { known.manifest = Self.json(manifest) }
      now[version] = known
    }
    let kept = now.filter { if case .success = $0.value.entry.manifest { true } else { false } }
    state.withLock { state in
      // What was found of a model meanwhile stays.
      state.versions[detector] = kept.mapValues { known in
        guard let other = state.versions[detector]?[known.entry.version], other.mark == known.mark else { return known }
        return other
      }
    }
    return Array(now.values)
  }

  /// Numbers that are not finite are words, as `--json` has them.
  private static func json(_ manifest: ModelManifest) -> String? {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    return (try? encoder.encode(manifest)).map { String(decoding: $0, as: UTF8.self) }
  }

  /// The champion with the changes that led to it; nil where there is none.
  /// - Throws: `OperatingError` where that cannot be read.
  func champion(of detector: String) throws -> ChampionRecord? {
    let mark = try registry.championMark(of: detector)
    if let known = state.withLock({ $0.champions[detector] }), known.mark == mark { return known.record }
    let record = try registry.championRecord(of: detector)
    state.withLock { $0.champions[detector] = Champion(mark: mark, record: record) }
    return record
  }

  /// The versions of a detector as a list has them, oldest first. What is wrong with one is what its record and the names of
  /// its files say, and what was found when its model was looked at.
  /// - Throws: `OperatingError` where the folder cannot be read.
  func list(of detector: String) throws -> [Version] {
    let known = try known(of: detector)
    let byVersion = Dictionary(known.map { ($0.entry.version, $0) }, uniquingKeysWith: { first, _ in first })
    let listed = try ModelOperations.listed(
      detector, champion: { try champion(of: detector)?.version }, known.map(\.entry).inOrder,
      trouble: { byVersion[$0].flatMap(Self.trouble) })
    return listed.map { one in
      let known = one.version.flatMap { byVersion[$0] }
      return Version(listed: one, manifest: known?.manifest, splits: known?.finding?.splits)
    }
  }

  private static func trouble(_ known: Known) -> OperatingError? {
    let missing = known.mark?.missing ?? []
    guard missing.isEmpty else {
      return OperatingError(
        .store,
        "missing: \(missing.joined(separator: ", ")). Training over the same history, or importing it again, restores it"
      )
    }
    return known.finding?.error
  }

  /// What drift is measured against by a version; nil where it measures none, or that cannot be read.
  func drift(of version: String, of detector: String) -> DriftReference? {
    guard let mark = try? registry.mark(of: version, of: detector) else { return nil }
    if let known = state.withLock({ $0.references[detector] }), known.version == version, known.mark == mark {
      return known.drift
    }
    guard let drift = try? registry.drift(of: version, of: detector) else { return nil }
    state.withLock { $0.references[detector] = Reference(version: version, mark: mark, drift: drift) }
    return drift
  }

  // MARK: Models

  /// Reads the model of one version that nobody has looked at yet: of champions first, then of the newest. It may block.
  /// - Returns: whether there was one.
  func lookAtNext(of detectors: [String]) -> Bool {
    for detector in detectors {
      guard let entries = try? entries(of: detector) else { continue }
      let champion = (try? champion(of: detector))?.version
      let newest = entries.suffix(Self.mostLookedAt).reversed().map(\.version)
      for version in [champion].compactMap({ $0 }) + newest {
        let known = state.withLock { $0.versions[detector]?[version] }
        guard let known, known.finding.map({ $0.until.map { $0 <= .now } ?? false }) ?? true else { continue }
        let finding = look(at: version, of: detector)
        state.withLock { state in
          // Of files that were exchanged meanwhile it says nothing.
          guard state.versions[detector]?[version]?.mark == known.mark else { return }
          state.versions[detector]?[version]?.finding = finding
        }
        return true
      }
    }
    return false
  }

  private func look(at version: String, of detector: String) -> Finding {
    if let error = registry.trouble(with: version, of: detector) {
      return Finding(error: error, splits: [], until: .now + Self.patience)
    }
    let prefix = "splits."
    let splits = ((try? registry.facts(of: version, of: detector)) ?? []).compactMap { fact -> Split? in
      guard fact.name.hasPrefix(prefix), case .number(let share) = fact.value else { return nil }
      return Split(name: String(fact.name.dropFirst(prefix.count)), share: share)
    }
    return Finding(error: nil, splits: splits, until: nil)
  }
}
