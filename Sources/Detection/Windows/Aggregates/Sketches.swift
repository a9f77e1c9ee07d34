// The sketches as accumulators: all quantiles of one argument share a DDSketch.

extension DDSketch: NumberAccumulator {
  static var tag: UInt8 { 32 }
  static var isAllocated: Bool { true }
  /// A sketch that the form of earlier versions cannot hold, or not without leaving open what it has lost.
  static var wideTag: UInt8 { 34 }

  /// In the form of earlier versions where that says everything, which is nearly always: a state that they stored is then
  /// the one that this version would have stored.
  mutating func encodeTagged(into writer: inout ByteWriter) {
    let fits = fitsEarlierForm
    writer.write(byte: fits ? Self.tag : Self.wideTag)
    encode(into: &writer, isEarlier: fits)
  }

  static func decode(_ tag: UInt8, from reader: inout ByteReader) throws(CodingError) -> DDSketch? {
    guard tag == Self.tag || tag == wideTag else { return nil }
    return try DDSketch(from: &reader, isEarlier: tag == Self.tag)
  }

  mutating func settle() { sortIn() }

  func result(of reading: AggregateReading, seconds: Double) -> AggregateValue {
    guard let fraction = reading.fraction else { preconditionFailure("a quantile needs a fraction") }
    return .scalar(quantile(fraction).map { .double($0) } ?? .null)
  }
}

extension HyperLogLog: Accumulator {
  static var tag: UInt8 { 33 }
  static var isAllocated: Bool { true }

  static func fold(_ column: Column, times: [Int64], _ entries: WindowEntries, into slots: inout [Self]) {
    var states = slots.mutableSpan
    switch column.values {
    case .double(let values):
      for index in entries.rows.indices {
        states[Int(entries.slots[index])].add(values[Int(entries.rows[index])])
      }
    case .int, .timestamp, .bool:
      let values = column.words
      for index in entries.rows.indices {
        states[Int(entries.slots[index])].add(values[Int(entries.rows[index])])
      }
    case .string(let values):
      // Each stored string is hashed once, however many rows of the batch hold it.
      let hashes = (0..<values.entryCount).map { ValueHash.hash(values.bytes, values.range(ofEntry: $0)) }
      for index in entries.rows.indices {
        states[Int(entries.slots[index])].add(hash: hashes[values.entry(of: Int(entries.rows[index]))])
      }
    }
  }

  func result(of reading: AggregateReading, seconds: Double) -> AggregateValue { .scalar(.int(estimate)) }
}
