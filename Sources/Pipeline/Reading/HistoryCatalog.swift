// Which history there is. The files and their format are contracts of their own (`HistoryEncoder` writes, `HistoryArchive`
// reads): a catalogue may be in a database and the files in a folder or an object store.

public import Detection

/// What the store knows of history.
public protocol HistoryCatalog: Sendable {
  /// What checkpoints have listed of a use case.
  func listing(of useCase: String) async throws -> HistoryListing

  /// Rows that are in no shard yet, by partition, in order.
  func tails(of useCase: String) async throws -> [PartitionID: [HistoryTail]]
}

/// The history of a use case at one moment.
public struct HistoryListing: Sendable, Hashable {
  /// By day, partition and number.
  public var shards: [ArchivedShard]
  /// The highest watermark of the partitions, microseconds; nil where there is none.
  public var latestTime: Int64?

  public init(shards: [ArchivedShard] = [], latestTime: Int64? = nil) {
    self.shards = shards
    self.latestTime = latestTime
  }
}
