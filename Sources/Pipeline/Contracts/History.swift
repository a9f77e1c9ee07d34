// History: every event with its class, as columns, by day of event time. Rows wait in memory until they fill a shard;
// what waits travels in the checkpoint, so nothing depends on when a shard was full. Sealing at an exact number of rows
// makes the shards, like the rows, a function of the input, whatever the batch size.

public import Detection

/// Names and types of the columns of history rows.
public struct HistoryLayout: Sendable, Hashable {
  public var columns: [Column]

  public struct Column: Sendable, Hashable {
    public var name: String
    public var type: ValueType
    public init(name: String, type: ValueType) {
      self.name = name
      self.type = type
    }
  }

  public init(columns: [Column]) { self.columns = columns }
}

/// Rows on their way to a shard.
public struct HistoryRows: Sendable {
  public var layout: HistoryLayout
  public var columns: [Column]

  public init(layout: HistoryLayout, columns: [Column]) {
    self.layout = layout
    self.columns = columns
  }

  public var count: Int { columns.first?.count ?? 0 }
}

/// Rows that a checkpoint added and that are not in a shard, encoded.
public struct HistoryTail: Sendable, Hashable {
  /// Rows of one day, in the order of the partition.
  public struct DayRows: Sendable, Hashable {
    /// `YYYY-MM-DD`.
    public var day: String
    public var rows: Int

    public init(day: String, rows: Int) {
      self.day = day
      self.rows = rows
    }
  }

  /// Ascending within the partition, from 0.
  public var number: Int
  /// Which rows belong to which day, in the order of the rows. A day may stand there several times.
  public var days: [DayRows]
  /// Self-describing bytes in the format of the encoder.
  public var bytes: [UInt8]

  public init(number: Int, days: [DayRows], bytes: [UInt8]) {
    self.number = number
    self.days = days
    self.bytes = bytes
  }

  public var rows: Int { days.reduce(0) { $0 + $1.rows } }
}

/// A shard that is written and synced under a temporary name and becomes visible by the checkpoint that lists it.
public struct HistoryShard: Sendable, Hashable {
  /// `YYYY-MM-DD`; where it has rows of several days, the last of them.
  public var day: String
  /// Ascending within partition and `day`, from 0.
  public var number: Int
  public var rows: Int
  public var bytes: Int64
  /// Least and greatest event time, microseconds.
  public var firstTime: Int64
  public var lastTime: Int64
  /// Paths relative to the data directory.
  public var temporaryPath: String
  public var path: String

  public init(
    day: String, number: Int, rows: Int, bytes: Int64, firstTime: Int64, lastTime: Int64, temporaryPath: String,
    path: String
  ) {
    self.day = day
    self.number = number
    self.rows = rows
    self.bytes = bytes
    self.firstTime = firstTime
    self.lastTime = lastTime
    self.temporaryPath = temporaryPath
    self.path = path
  }
}

/// The part of a checkpoint that concerns history.
public struct HistoryChanges: Sendable {
  public var sealed: [HistoryShard] = []
  /// Tails to store: new ones, and those that take the place of the one of their number because rows have gone.
  public var tails: [HistoryTail] = []
  /// Numbers of the tails that go: their rows are in shards.
  public var droppedTails: [Int] = []
  /// Days before this one are removed; nil keeps everything.
  public var keepFrom: String?

  public init() {}
}

/// Writes history rows in some columnar format and keeps the files they are in. Every call may block: during a run they
/// are made on the thread of `HistoryWriter`.
public protocol HistoryEncoder: Sendable {
  /// Writes a complete shard and syncs it and its directory.
  /// - Parameters:
  ///   - partition: whose rows they are; every row of a shard says so.
  ///   - path: relative to the data directory.
  /// - Returns: the size of the file in bytes.
  func writeShard(_ rows: HistoryRows, of partition: PartitionID, to path: String) throws -> Int64
  /// Rows of a partition as self-describing bytes for a checkpoint.
  func encodeTail(_ rows: HistoryRows, of partition: PartitionID) throws -> [UInt8]
  /// The rows that `encodeTail` was given.
  func decodeTail(_ bytes: [UInt8]) throws -> HistoryRows
  /// Gives shards of a committed checkpoint their final names, durably. Repeating it is harmless.
  func publish(_ shards: [HistoryShard]) throws
  /// Removes shards that the store no longer lists.
  /// - Parameter paths: relative to the data directory; missing files are fine.
  func remove(_ paths: [String]) throws
}
