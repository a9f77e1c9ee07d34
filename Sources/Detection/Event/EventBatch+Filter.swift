// Keeping some rows of a batch. Used where events leave the pipeline as dead letters; rare, so clarity goes before speed,
// except that a batch of which every row stays is handed back as it is.

extension EventBatch {
  /// The events whose bit is set, in order.
  /// - Precondition: `keep` has a bit per event.
  public func filtered(_ keep: Bitmap) -> EventBatch {
    precondition(keep.count == count, "the rows to keep differ in length")
    if keep.isFull { return self }
    return EventBatch(
      partition: partition, positions: positions.filtered(keep), eventTimes: eventTimes.filtered(keep),
      columns: columns.map { $0.filtered(keep) })
  }
}

extension EventBatch {
  /// A range of rows, at the cost of these alone.
  public func rows(_ range: Range<Int>) -> EventBatch {
    var positions = RecordPositions(segment: positions.segment)
    positions.offsets = Array(self.positions.offsets[range])
    positions.rows = Array(self.positions.rows[range])
    return EventBatch(
      partition: partition, positions: positions, eventTimes: Array(eventTimes[range]),
      columns: columns.map { $0.rows(range) })
  }
}

extension Column {
  /// A range of rows. A dictionary of strings stays as it is.
  func rows(_ range: Range<Int>) -> Column {
    let values: Values =
      switch self.values {
      case .int(let values): .int(Array(values[range]))
      case .double(let values): .double(Array(values[range]))
      case .timestamp(let values): .timestamp(Array(values[range]))
      case .bool(let values): .bool(values.rows(range))
      case .string(let values): .string(values.rows(range))
      }
    return Column(values, validity: validity?.rows(range))
  }
}

extension StringColumn {
  /// A range of rows.
  func rows(_ range: Range<Int>) -> StringColumn {
    if let codes { return StringColumn(offsets: offsets, bytes: bytes, codes: Array(codes[range])) }
    let first = offsets[range.lowerBound]
    return StringColumn(
      offsets: offsets[range.lowerBound...range.upperBound].map { $0 - first },
      bytes: Array(bytes[Int(first)..<Int(offsets[range.upperBound])]))
  }
}

extension RecordPositions {
  /// The positions of the set rows.
  func filtered(_ keep: Bitmap) -> RecordPositions {
    RecordPositions(segment: segment, offsets: offsets.filtered(keep), rows: rows.filtered(keep))
  }
}

extension Column {
  /// The set rows. A dictionary of strings stays as it is.
  func filtered(_ keep: Bitmap) -> Column {
    let values: Values =
      switch self.values {
      case .int(let values): .int(values.filtered(keep))
      case .double(let values): .double(values.filtered(keep))
      case .timestamp(let values): .timestamp(values.filtered(keep))
      case .bool(let values): .bool(values.filtered(keep))
      case .string(let values): .string(values.filtered(keep))
      }
    return Column(values, validity: validity?.filtered(keep))
  }
}

extension Bitmap {
  /// The bits of the set rows of `keep`, closed up.
  func filtered(_ keep: Bitmap) -> Bitmap {
    var result = Bitmap(repeating: false, count: keep.setCount)
    var next = 0
    keep.forEachSet { row in
      if self[row] { result[next] = true }
      next += 1
    }
    return result
  }
}

extension StringColumn {
  /// The set rows.
  func filtered(_ keep: Bitmap) -> StringColumn {
    if let codes { return StringColumn(offsets: offsets, bytes: bytes, codes: codes.filtered(keep)) }
    var offsets: [UInt32] = [0]
    offsets.reserveCapacity(keep.setCount + 1)
    var bytes: [UInt8] = []
    keep.forEachSet { row in
      bytes.append(contentsOf: self.bytes[range(of: row)])
      offsets.append(UInt32(bytes.count))
    }
    return StringColumn(offsets: offsets, bytes: bytes)
  }
}

extension Array {
  /// The elements of the set rows.
  fileprivate func filtered(_ keep: Bitmap) -> [Element] {
    var result: [Element] = []
    result.reserveCapacity(keep.setCount)
    keep.forEachSet { result.append(self[$0]) }
    return result
  }
}
