// Cutting a batch of records in two. Rare (where another model takes over), so clarity goes before speed; bytes are
// shared, not copied.

/// A batch in two parts.
public struct SplitBatch: Sendable {
  /// The records before a position.
  public var before: RawBatch
  /// Those at or behind it.
  public var behind: RawBatch
}

extension RawBatch {
  /// The position of the first record, oversized ones included; nil for a batch without any.
  public var first: Position? {
    let positions = [positions.count > 0 ? positions[0] : nil, oversized.map(\.position).min()]
    return positions.compactMap(\.self).min()
  }

  /// Two batches in place of this one: the records before `position`, and those at or behind it.
  /// - Returns: nil where all records lie on one side.
  public func split(at position: Position) -> SplitBatch? {
    let count = (0..<positions.count).partitionPoint { positions[$0] < position }
    let letters = (
      before: oversized.filter { $0.position < position }, behind: oversized.filter { $0.position >= position }
    )
    guard count + letters.before.count > 0, count < positions.count || !letters.behind.isEmpty else { return nil }
    let behind = RawBatch(
      partition: partition, positions: positions.part(count..<positions.count),
      payload: payload.part(count..<positions.count), oversized: letters.behind,
      misfits: misfits.filter { $0.row >= count }.map { $0.moved(by: -count) },
      envelopes: envelopes?.part(count..<positions.count), next: next)
    let before = RawBatch(
      partition: partition, positions: positions.part(0..<count), payload: payload.part(0..<count),
      oversized: letters.before, misfits: misfits.filter { $0.row < count }, envelopes: envelopes?.part(0..<count),
      next: behind.first ?? next)
    return SplitBatch(before: before, behind: behind)
  }
}

extension ColumnMisfit {
  fileprivate func moved(by rows: Int) -> ColumnMisfit {
    var moved = self
    moved.row += rows
    return moved
  }
}

extension RawBatch.Payload {
  fileprivate func part(_ rows: Range<Int>) -> RawBatch.Payload {
    switch self {
    case .json(let records): .json(records.part(rows))
    case .csv(let records, let header, let delimiter): .csv(records.part(rows), header: header, delimiter: delimiter)
    case .columns(let columns): .columns(columns.map { NamedColumn($0.name, $0.column.gathered(Array(rows))) })
    }
  }
}

extension RecordBytes {
  /// Some of the records, in the same buffer.
  public func part(_ records: Range<Int>) -> RecordBytes {
    RecordBytes(bytes: bytes, starts: Array(starts[records]), ends: Array(ends[records]))
  }
}

extension RecordPositions {
  fileprivate func part(_ records: Range<Int>) -> RecordPositions {
    RecordPositions(segment: segment, offsets: Array(offsets[records]), rows: Array(rows[records]))
  }
}

extension Range<Int> {
  /// The first element that does not meet `condition`, which those before it meet; the upper bound if all do.
  fileprivate func partitionPoint(_ condition: (Int) -> Bool) -> Int {
    var (low, high) = (lowerBound, upperBound)
    while low < high {
      let middle = low + (high - low) / 2
      if condition(middle) { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
