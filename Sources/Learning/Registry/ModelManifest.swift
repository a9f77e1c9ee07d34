// Where a version came from and what was measured of it: what people and comparisons read. Scoring needs none of it.

import Detection

/// What a new version was held against before it could become champion.
public struct GateReport: Codable, Sendable, Hashable {
  /// One comparison of the gate.
  public struct Check: Codable, Sendable, Hashable {
    public var name: String
    public var passed: Bool
    /// What was measured, and what it was held against.
    public var found: Double
    public var bound: Double
    /// A sentence with both.
    public var message: String

    public init(name: String, passed: Bool, found: Double, bound: Double, message: String) {
      self.name = name
      self.passed = passed
      self.found = found
      self.bound = bound
      self.message = message
    }
  }

  public var checks: [Check]

  public init(checks: [Check]) { self.checks = checks }

  /// Whether every check passed.
  public var passed: Bool { checks.allSatisfy(\.passed) }

  private enum CodingKeys: String, CodingKey { case passed, checks }

  public init(from decoder: any Swift.Decoder) throws {
    checks = try decoder.container(keyedBy: CodingKeys.self).decode([Check].self, forKey: .checks)
  }

  /// `passed` is written for those who read the file; it is not read back.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(passed, forKey: .passed)
    try container.encode(checks, forKey: .checks)
  }
}

/// What is on record about a version of a model.
public struct ModelManifest: Codable, Sendable, Hashable {
  /// Events that were used, by what for.
  public struct Rows: Codable, Sendable, Hashable {
    public var train: Int
    public var calibration: Int
    public var gate: Int

    public init(train: Int = 0, calibration: Int = 0, gate: Int = 0) {
      self.train = train
      self.calibration = calibration
      self.gate = gate
    }
  }

  /// Where the stretches of event time begin that were trained on, calibrated with and gated with, and where the last one
  /// ends; microseconds since 1970-01-01 00:00 UTC, RFC 3339 in the file.
  public struct Times: Sendable, Hashable {
    public var from: Int64
    public var calibration: Int64
    public var gate: Int64
    public var until: Int64

    public init(from: Int64, calibration: Int64, gate: Int64, until: Int64) {
      self.from = from
      self.calibration = calibration
      self.gate = gate
      self.until = until
    }
  }

  public var useCase: String
  public var detector: String
  /// Type of the detector, as in `DetectorCatalog`.
  public var type: String
  public var version: String
  /// When it was made, microseconds since 1970-01-01 00:00 UTC; RFC 3339 in the file.
  public var created: Int64
  /// Hash of the use case that it was trained under, as in `ConfigurationVersion`.
  public var configuration: String
  public var seed: UInt64
  /// Paths of the history shards that were read, relative to the data directory.
  public var shards: [String]
  public var rows: Rows
  /// Nil for a model that was not trained here.
  public var times: Times?
  /// What was measured, by name.
  public var metrics: [String: Double]
  /// Nil for a model that was not gated.
  public var gate: GateReport?
  /// The file that a model of the user's own came from.
  public var importedFrom: String?

  public init(
    useCase: String, detector: String, type: String, version: String, created: Int64, configuration: String = "",
    seed: UInt64 = 0, shards: [String] = [], rows: Rows = Rows(), times: Times? = nil, metrics: [String: Double] = [:],
    gate: GateReport? = nil, importedFrom: String? = nil
  ) {
    self.useCase = useCase
    self.detector = detector
    self.type = type
    self.version = version
    self.created = created
    self.configuration = configuration
    self.seed = seed
    self.shards = shards
    self.rows = rows
    self.times = times
    self.metrics = metrics
    self.gate = gate
    self.importedFrom = importedFrom
  }

  private enum CodingKeys: String, CodingKey {
    case detector, type, version, created, configuration, seed, shards, rows, times, metrics, gate
    case useCase = "use_case"
    case importedFrom = "imported_from"
  }

  public init(from decoder: any Swift.Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    useCase = try container.decode(String.self, forKey: .useCase)
    detector = try container.decode(String.self, forKey: .detector)
    type = try container.decode(String.self, forKey: .type)
    version = try container.decode(String.self, forKey: .version)
    created = try container.decode(TimeText.self, forKey: .created).time
    configuration = try container.decode(String.self, forKey: .configuration)
    seed = try container.decode(UInt64.self, forKey: .seed)
    shards = try container.decode([String].self, forKey: .shards)
    rows = try container.decode(Rows.self, forKey: .rows)
    times = try container.decodeIfPresent(Times.self, forKey: .times)
    metrics = try container.decode([String: Double].self, forKey: .metrics)
    gate = try container.decodeIfPresent(GateReport.self, forKey: .gate)
    importedFrom = try container.decodeIfPresent(String.self, forKey: .importedFrom)
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(useCase, forKey: .useCase)
    try container.encode(detector, forKey: .detector)
    try container.encode(type, forKey: .type)
    try container.encode(version, forKey: .version)
    try container.encode(TimeText(created), forKey: .created)
    try container.encode(configuration, forKey: .configuration)
    try container.encode(seed, forKey: .seed)
    try container.encode(shards, forKey: .shards)
    try container.encode(rows, forKey: .rows)
    try container.encodeIfPresent(times, forKey: .times)
    try container.encode(metrics, forKey: .metrics)
    try container.encodeIfPresent(gate, forKey: .gate)
    try container.encodeIfPresent(importedFrom, forKey: .importedFrom)
  }
}

extension ModelManifest.Times: Codable {
  private enum CodingKeys: String, CodingKey { case from, calibration, gate, until }

  public init(from decoder: any Swift.Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    func time(_ key: CodingKeys) throws -> Int64 { try container.decode(TimeText.self, forKey: key).time }
    self.init(
      from: try time(.from), calibration: try time(.calibration), gate: try time(.gate), until: try time(.until))
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(TimeText(from), forKey: .from)
    try container.encode(TimeText(calibration), forKey: .calibration)
    try container.encode(TimeText(gate), forKey: .gate)
    try container.encode(TimeText(until), forKey: .until)
  }
}

/// A time as RFC 3339 in a file.
struct TimeText: Codable {
  /// Microseconds since 1970-01-01 00:00 UTC.
  let time: Int64

  init(_ time: Int64) { self.time = min(max(time, Timestamp.range.lowerBound), Timestamp.range.upperBound) }

  init(from decoder: any Swift.Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let time = Timestamp.parse(text) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "`\(text.prefix(40))` is not a time")
    }
    self.time = time
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(Timestamp.format(time, alwaysMicroseconds: true))
  }
}
