// The only thing that moves through the pipeline: a columnar run of events of one partition, in partition order.

/// Events of one partition as columns.
public struct EventBatch: Sendable {
  public let partition: PartitionID
  /// Positions of the events, ascending; one segment.
  public let positions: RecordPositions
  /// Event time of each event, microseconds since 1970-01-01 00:00 UTC; never null.
  public let eventTimes: [Int64]
  /// The schema's fields in their order, then whatever later stages derive (features, the class). All of `count` rows.
  public private(set) var columns: [Column]

  /// - Precondition: every column, the positions and the times have the same number of rows.
  public init(partition: PartitionID, positions: RecordPositions, eventTimes: [Int64], columns: [Column]) {
    precondition(positions.count == eventTimes.count, "positions and times differ in length")
    precondition(columns.allSatisfy { $0.count == eventTimes.count }, "a column differs in length")
    self.partition = partition
    self.positions = positions
    self.eventTimes = eventTimes
    self.columns = columns
  }

  public var count: Int { eventTimes.count }

  /// Adds a derived column behind the others.
  public mutating func append(_ column: Column) {
    precondition(column.count == count, "a derived column differs in length")
    columns.append(column)
  }
}
