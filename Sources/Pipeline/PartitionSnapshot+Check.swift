// Whether what is stored of a partition can be continued, without continuing it.

public import Detection

extension PartitionSnapshot {
  /// Reads windows, state of rules, watermark, drift and history tails as a restart would.
  /// - Parameter plan: the use case that ran last.
  /// - Throws: `CodingError` and what `decode` throws where something cannot be read.
  public func check(
    as partition: PartitionID, of plan: Plan, decoding decode: (HistoryTail) throws -> HistoryRows
  ) throws {
    var processor = try PartitionProcessor(plan: plan, partition: partition)
    _ = try processor.restore(self, now: .now, decoding: decode)
  }
}
