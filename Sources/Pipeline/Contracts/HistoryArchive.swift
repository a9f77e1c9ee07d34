// Reading history back: what training and batch work see of it. Only shards that a checkpoint lists are read, so nobody
// sees an event that was not committed, or one twice.

public import Detection

/// A shard that the store lists.
public struct ArchivedShard: Sendable, Hashable {
  public var partition: PartitionID
  /// `YYYY-MM-DD`; where it has events of several days, the last of them.
  public var day: String
  /// Ascending within partition and day.
  public var number: Int
  public var rows: Int
  /// Least and greatest event time, microseconds.
  public var firstTime: Int64
  public var lastTime: Int64
  /// Path relative to the data directory.
  public var path: String
  /// Size of the file; nil where that is not on record.
  public var bytes: Int64?

  public init(
    partition: PartitionID, day: String, number: Int, rows: Int, firstTime: Int64, lastTime: Int64, path: String,
    bytes: Int64? = nil
  ) {
    self.partition = partition
    self.day = day
    self.number = number
    self.rows = rows
    self.firstTime = firstTime
    self.lastTime = lastTime
    self.path = path
    self.bytes = bytes
  }
}

/// The stored history of one use case, read beside the run that writes it.
public protocol HistoryArchive: Sendable {
  /// How far event time has come in the partition that is furthest: the highest watermark, microseconds. Nil where
  /// nothing is stored.
  func latestTime() throws -> Int64?

  /// The shards that are listed now, by day, partition and number.
  func shards() throws -> [ArchivedShard]

  /// Reads the events of a shard, in order, in batches of at most `Limits.maxBatchRows`. One that has been removed with
  /// its day since it was listed has none.
  /// - Parameter schema: the fields to read. One that the shard does not have is null in every event.
  /// - Throws: `OperatingError` when the shard is not there, is damaged, or holds a field with another type; and what
  ///   `body` throws.
  func read(_ shard: ArchivedShard, schema: Schema, _ body: (EventBatch) throws -> Void) throws
}
