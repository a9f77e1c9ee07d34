// Where a partition stands, as a reader sees it.

public import Detection

/// What is stored of a partition.
public struct PartitionStatus: Sendable {
  public var useCase: String
  public var partition: PartitionID
  public var position: Position
  public var watermark: Int64?
  /// Of all runs, whether or not it is still stored.
  public var totals: Totals
  /// Anomalies that are stored, by detector: those found less those that `results: {retain: …}` has removed.
  public var storedAnomalies: [String: Int] = [:]
  public var storedDeadLetters = 0
  public var openWindows = 0
  public var windows = 0
  public var shards = 0
  public var shardRows = 0
  public var shardBytes: Int64 = 0
  public var waitingRows = 0
  /// Version of the configuration in force.
  public var version: String?
  /// The version that scores now, by detector; those without one are left out.
  public var models: [String: String] = [:]
  /// Breaks of the input that were accepted, in the order in which they were, a sentence each.
  public var gaps: [String] = []
  /// Days on which events of the use case did not look as they did in training, whatever the partition; empty unless it
  /// was asked for.
  public var drift: [NotableDrift] = []

  public init(useCase: String, partition: PartitionID, position: Position, watermark: Int64?, totals: Totals) {
    self.useCase = useCase
    self.partition = partition
    self.position = position
    self.watermark = watermark
    self.totals = totals
  }

  /// One input of a model, or its score, on a day.
  public struct NotableDrift: Sendable {
    public var detector: String
    public var version: String
    /// Days since 1970-01-01 UTC.
    public var day: Int64
    public var drift: Drift

    public init(detector: String, version: String, day: Int64, drift: Drift) {
      (self.detector, self.version, self.day, self.drift) = (detector, version, day, drift)
    }

    /// `YYYY-MM-DD`.
    public var date: String { Timestamp.day(of: day * Timestamp.microsecondsPerDay) }

    var json: String {
      JSONText.object([
        ("detector", JSONText.string(detector)), ("version", JSONText.string(version)),
        ("day", JSONText.string(date)), ("name", JSONText.string(drift.name)), ("index", JSONText.number(drift.index)),
      ])
    }
  }

  /// The status as a JSON object.
  public var json: String {
    func counts(_ counts: [String: Int]) -> String {
      JSONText.object(counts.sorted { $0.key < $1.key }.map { ($0.key, .int(Int64($0.value))) })
    }
    let members: [(String, String)] = [
      ("use_case", JSONText.string(useCase)), ("position", position.json(in: partition)),
      ("watermark", watermark.map(JSONText.time) ?? "null"),
      ("version", JSONText.optional(version)), ("records", String(totals.records)),
      ("events", String(totals.events)), ("classes", counts(totals.classes)), ("anomalies", counts(totals.anomalies)),
      ("stored_anomalies", counts(storedAnomalies)), ("dead_letters", counts(totals.deadLetters)),
      ("stored_dead_letters", String(storedDeadLetters)), ("late_events", counts(totals.lateEvents)),
      ("rule_skips", counts(totals.ruleSkips)), ("ahead_events", String(totals.aheadEvents)),
      ("undecided_events", String(totals.undecidedEvents)), ("waiting_events", String(totals.waitingEvents)),
      ("expression_failures", String(totals.expressionFailures)),
      ("windows", String(windows)), ("open_windows", String(openWindows)), ("history_shards", String(shards)),
      ("history_rows", String(shardRows + waitingRows)), ("history_bytes", String(shardBytes)),
      ("models", JSONText.object(models.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })),
      ("drift", JSONText.array(drift.map(\.json))), ("accepted_gaps", JSONText.array(gaps.map { JSONText.string($0) })),
    ]
    return JSONText.object(members)
  }
}

extension [DriftCounts] {
  /// The counts of all partitions together.
  /// - Precondition: those of one detector, version and day follow each other.
  public func addedUp() -> [DriftCounts] {
    var days: [DriftCounts] = []
    for row in self {
      if let last = days.last, (last.detector, last.version, last.day) == (row.detector, row.version, row.day) {
        // Where a version was replaced by hand its bins may be others in another partition: these are left out.
        if last.hasBins(of: row) { days[days.count - 1].add(row) }
      } else {
        days.append(row)
      }
    }
    return days
  }
}
