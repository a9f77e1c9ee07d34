// Accumulators of numbers: count, sum, avg, rate, stddev. Sums of integers are kept in 128 bits, so they are exact in
// whatever order; sums of doubles are a plain fold in partition order, and of partitions in their order.

/// Number of values that are not NULL.
struct CountState: Accumulator {
  static var tag: UInt8 { 1 }
  private var count: Int64 = 0

  init() {}

  static func fold(_ column: Column, times: [Int64], _ entries: WindowEntries, into slots: inout [Self]) {
    var states = slots.mutableSpan
    for slot in entries.slots { states[Int(slot)].count += 1 }
  }

  mutating func merge(_ later: Self) { count = count.addingSaturated(later.count) }
  mutating func encode(into writer: inout ByteWriter) { writer.write(unsigned: UInt64(count)) }
  init(from reader: inout ByteReader) throws(CodingError) { count = try reader.readTally() }

  func result(of reading: AggregateReading, seconds: Double) -> AggregateValue {
    .scalar(reading.function == .rate ? .double(Double(count) / seconds) : .int(count))
  }
}

/// Sum and number of integers.
struct IntegerSum: Accumulator {
  static var tag: UInt8 { 2 }
  private var count: Int64 = 0
  private var total: Int128 = 0

  init() {}

  static func fold(_ column: Column, times: [Int64], _ entries: WindowEntries, into slots: inout [Self]) {
    let values = column.words
    var states = slots.mutableSpan
    for index in entries.rows.indices {
      let slot = Int(entries.slots[index])
      states[slot].count += 1
      states[slot].total += Int128(values[Int(entries.rows[index])])
    }
  }

  mutating func merge(_ later: Self) {
    count = count.addingSaturated(later.count)
    total &+= later.total
  }

  /// Count, high and low half of the total.
  mutating func encode(into writer: inout ByteWriter) {
    writer.write(unsigned: UInt64(count))
    writer.write(signed: Int64(truncatingIfNeeded: total >> 63))
    writer.write(unsigned: UInt64(truncatingIfNeeded: total & Int128(Int64.max)))
  }

  init(from reader: inout ByteReader) throws(CodingError) {
    count = try reader.readTally()
    let high = try reader.readSigned()
    let low = try reader.readCount(upTo: .max)
    total = Int128(high) << 63 | Int128(low)
    guard total.magnitude <= UInt128(count) << 63 else { throw CodingError("a sum of \(count) integers is too large") }
  }

  var overflows: Bool { Int64(exactly: total) == nil }

  /// The sum is NULL where it does not fit into 64 bits.
  func result(of reading: AggregateReading, seconds: Double) -> AggregateValue {
    if count == 0 { return .scalar(.null) }
    if reading.function == .avg { return .scalar(.double(Double(total) / Double(count))) }
    return .scalar(Int64(exactly: total).map { .int($0) } ?? .null)
  }
}

/// Sum and number of doubles.
struct DoubleSum: Accumulator {
  static var tag: UInt8 { 3 }
  private var count: Int64 = 0
  private var total = 0.0

  init() {}

  static func fold(_ column: Column, times: [Int64], _ entries: WindowEntries, into slots: inout [Self]) {
    let values = column.doubles
    var states = slots.mutableSpan
    for index in entries.rows.indices {
      let slot = Int(entries.slots[index])
      states[slot].count += 1
      states[slot].total += values[Int(entries.rows[index])]
    }
  }

  mutating func merge(_ later: Self) {
    count = count.addingSaturated(later.count)
    total += later.total
  }

  mutating func encode(into writer: inout ByteWriter) {
    writer.write(unsigned: UInt64(count))
    writer.write(double: total)
  }

  init(from reader: inout ByteReader) throws(CodingError) {
    count = try reader.readTally()
    total = try reader.readDouble()
  }

  func result(of reading: AggregateReading, seconds: Double) -> AggregateValue {
    if count == 0 { return .scalar(.null) }
    return .scalar(.double(reading.function == .avg ? total / Double(count) : total))
  }
}

/// Mean and sum of squared deviations. Welford: "Note on a method for calculating corrected sums of squares and
/// products", Technometrics 4 (3), 1962; merged by Chan, Golub, LeVeque: "Updating formulae and a pairwise algorithm
/// for computing sample variances", 1979.
struct Moments: NumberAccumulator {
  static var tag: UInt8 { 4 }
  private var count: Int64 = 0
  private var mean = 0.0
  private var squares = 0.0

  init() {}

  @inline(__always)
  mutating func add(_ value: Double) {
    count += 1
    let distance = value - mean
    mean += distance / Double(count)
    squares += distance * (value - mean)
  }

  mutating func merge(_ later: Self) {
    if later.count == 0 { return }
    if count == 0 {
      self = later
      return
    }
    let total = count.addingSaturated(later.count)
    let distance = later.mean - mean
    squares += later.squares + distance * distance * Double(count) * Double(later.count) / Double(total)
    mean += distance * Double(later.count) / Double(total)
    count = total
  }

  mutating func encode(into writer: inout ByteWriter) {
    writer.write(unsigned: UInt64(count))
    writer.write(double: mean)
    writer.write(double: squares)
  }

  init(from reader: inout ByteReader) throws(CodingError) {
    count = try reader.readTally()
    mean = try reader.readDouble()
    squares = try reader.readDouble()
  }

  /// The standard deviation of a sample, NULL for fewer than two values, as in SQL.
  func result(of reading: AggregateReading, seconds: Double) -> AggregateValue {
    .scalar(count < 2 ? .null : .double((squares / Double(count - 1)).squareRoot()))
  }
}
