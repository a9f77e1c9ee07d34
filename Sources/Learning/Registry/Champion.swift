// Which version scores from now on, and which ones did before.

public import Detection
public import Foundation
import Pipeline

/// `champion.json` of a detector.
public struct ChampionRecord: Codable, Sendable, Hashable {
  /// One change.
  public struct Change: Codable, Sendable, Hashable {
    public var version: String
    /// Microseconds since 1970-01-01 00:00 UTC; RFC 3339 in the file.
    public var at: Int64
    public var reason: String
    /// Whether it went back to this version: the one before the change is no longer to be gone back to.
    public var isRollback: Bool

    private enum CodingKeys: String, CodingKey {
      case version, at, reason
      case isRollback = "rollback"
    }

    init(version: String, at: Int64, reason: String, isRollback: Bool) {
      (self.version, self.at, self.reason, self.isRollback) = (version, at, reason, isRollback)
    }

    public init(from decoder: any Swift.Decoder) throws {
      let container = try decoder.container(keyedBy: CodingKeys.self)
      version = try container.decode(String.self, forKey: .version)
      at = try container.decode(TimeText.self, forKey: .at).time
      reason = try container.decode(String.self, forKey: .reason)
      isRollback = try container.decodeIfPresent(Bool.self, forKey: .isRollback) ?? false
    }

    public func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(version, forKey: .version)
      try container.encode(TimeText(at), forKey: .at)
      try container.encode(reason, forKey: .reason)
      if isRollback { try container.encode(true, forKey: .isRollback) }
    }
  }

  /// The champion.
  public var version: String
  /// Changes, oldest first; the last one made the champion.
  public var history: [Change]

  /// Changes that are kept.
  static let maxHistory = 1_000

  /// The champions before the present one that a rollback may go back to, the nearest last.
  var earlier: [String] {
    var line: [String] = []
    for change in history {
      if change.isRollback, let index = line.lastIndex(of: change.version) {
        line.removeSubrange((index + 1)...)
      } else if line.last != change.version {
        line.append(change.version)
      }
    }
    return line.dropLast()
  }

  /// What a rollback goes back to; nil where there is none.
  public var previous: String? { earlier.last }
}

extension ModelRegistry {
  /// The version that scores from now on; nil where none was promoted yet.
  public func champion(of detector: String) throws -> String? { try championRecord(of: detector)?.version }

  /// The champion with the changes that led to it.
  public func championRecord(of detector: String) throws -> ChampionRecord? {
    let path = try championPath(of: detector)
    guard let bytes = try RegistryFiles.read(path, limit: Bounds.manifest) else { return nil }
    return try SealedJSON.decode(
      ChampionRecord.self, bytes, path: path, remedy: "Promote a version: that writes the file anew")
  }

  /// The same, and nil for a damaged file: that says nothing which could be kept, and a promotion writes it anew.
  /// - Throws: `OperatingError` for one that a newer program wrote.
  func undamagedChampionRecord(of detector: String) throws -> ChampionRecord? {
    let bytes = try RegistryFiles.read(try championPath(of: detector), limit: Bounds.manifest)
    return bytes.map(SealedJSON.isWhole) == true ? try championRecord(of: detector) : nil
  }

  func championPath(of detector: String) throws -> String { "\(try path(of: detector))/\(File.champion)" }

  /// Makes a version the champion. A version that is it already stays it, without another entry in the history.
  /// - Parameter plan: the detector as the use case defines it now, which the version is to fit; nil where that is not
  ///   known.
  /// - Throws: `OperatingError` where there is no such version, its files are not whole, or it does not fit.
  public func promote(
    _ version: String, of detector: String, fitting plan: DetectorPlan? = nil, reason: String, at: Date
  ) throws {
    try RegistryFiles.locked(folder) {
      try verify(version, of: detector)
      try check(version, fits: plan)
      var record = try undamagedChampionRecord(of: detector)
      if record?.version == version { return }
      record = record ?? ChampionRecord(version: version, history: [])
      if let record { try write(record, version, of: detector, reason: reason, at: at, isRollback: false) }
    }
  }

  /// A version of a user's own model is checked when a run imports it: that takes a library which may not be here.
  private func check(_ version: String, fits plan: DetectorPlan?) throws {
    guard let plan, plan.definition.isTrained else { return }
    _ = try load(version, for: plan)
  }

  /// Makes the champion before the present one champion again; those that were removed since are passed over. Repeated,
  /// it goes further back.
  /// - Parameter plan: the detector as the use case defines it now, which the version is to fit; nil where that is not
  ///   known.
  /// - Returns: the champion now.
  /// - Throws: `OperatingError` of kind `input` where there is none to go back to, of kind `configuration` where it does
  ///   not fit.
  @discardableResult
  public func rollback(
    _ detector: String, fitting plan: DetectorPlan? = nil, at: Date, reason: String = "rollback"
  ) throws -> String {
    try RegistryFiles.locked(folder) {
      guard let record = try championRecord(of: detector) else {
        throw OperatingError(.input, "the detector \(detector) of \(useCase) has no champion to go back from")
      }
      let present = Set(try entries(of: detector).map(\.version))
      guard let version = record.earlier.last(where: { present.contains($0) && $0 != record.version }) else {
        throw OperatingError(
          .input,
          "the detector \(detector) of \(useCase) has no champion before \(record.version) to go back to. Promote a "
            + "version instead: \(present.sorted().joined(separator: ", "))")
      }
      try verify(version, of: detector)
      try check(version, fits: plan)
      try write(record, version, of: detector, reason: reason, at: at, isRollback: true)
      return version
    }
  }

  private func write(
    _ record: ChampionRecord, _ version: String, of detector: String, reason: String, at: Date, isRollback: Bool
  ) throws {
    var record = record
    record.version = version
    record.history.append(
      .init(version: version, at: at.microseconds, reason: reason, isRollback: isRollback))
    record.history.removeFirst(max(0, record.history.count - ChampionRecord.maxHistory))
    try RegistryFiles.replace(try championPath(of: detector), with: try SealedJSON.bytes(of: record, isPretty: true))
  }
}

extension Date {
  /// Microseconds since 1970-01-01 00:00 UTC.
  public var microseconds: Int64 {
    Int64(exactly: (timeIntervalSince1970 * 1e6).rounded()) ?? (timeIntervalSince1970 < 0 ? .min : .max)
  }
}
