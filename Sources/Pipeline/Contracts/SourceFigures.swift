// What a source knows of itself beside its records: how far it is behind, whether what it reads from answers.

public import Detection

/// Figures of a source at a moment, for metrics and status. Nothing that is stored depends on them. Counts are of this process
/// and never fall.
public struct SourceFigures: Sendable, Hashable {
  /// Whether what the source reads from can be reached.
  public struct Connection: Sendable, Hashable {
    public var isUp: Bool
    /// When that began, microseconds since 1970-01-01 00:00 UTC.
    public var since: Int64
    /// Why it cannot be reached, in the words of whoever tried; nil where nobody has said so.
    public var error: String?

    public init(isUp: Bool, since: Int64, error: String? = nil) {
      self.isUp = isUp
      self.since = since
      self.error = error
    }
  }

  /// Records that are there and were not handed over, by partition of this process; without those of which it is not known.
  public var lag: [PartitionID: Int] = [:]
  /// Bytes of records that were fetched and not handed over; nil where nothing is fetched ahead, or it is not known.
  public var fetchedBytes: Int?
  /// How often partitions were given out anew among the processes of a group; nil for a source without one.
  public var rebalances: Int?
  /// Records that were passed over and are no dead letters, by kind. A kind is there from the beginning.
  public var passedOver: [String: Int] = [:]
  /// Nil for a source that has none, or has not tried yet.
  public var connection: Connection?

  public init() {}
}
