// Accumulators that keep one of the values: min and max by the value, first and last by (event time, position).
// Folding in partition order makes the position implicit: of equal times the first one seen is the first and the last
// one seen the last; of equal times in several partitions, those of the earlier or later partition.

/// Which end of an order is kept.
protocol End: Sendable {
  static var isUpper: Bool { get }
}
/// The least or the first.
enum Lower: End { static var isUpper: Bool { false } }
/// The greatest or the last.
enum Upper: End { static var isUpper: Bool { true } }

/// A value of fixed size that min, max, first and last keep.
protocol KeptValue: Sendable {
  static var code: UInt8 { get }
  static var zero: Self { get }
  static func values(of column: Column) -> [Self]
  func isLess(than other: Self) -> Bool
  func encode(into writer: inout ByteWriter)
  static func decode(from reader: inout ByteReader) throws(CodingError) -> Self
  func scalar(_ type: ValueType) -> Scalar
}

/// Ints, timestamps and bools.
extension Int64: KeptValue {
  static var code: UInt8 { 0 }
  static func values(of column: Column) -> [Int64] { column.words }
  func isLess(than other: Int64) -> Bool { self < other }
  func encode(into writer: inout ByteWriter) { writer.write(signed: self) }
  static func decode(from reader: inout ByteReader) throws(CodingError) -> Int64 { try reader.readSigned() }
  func scalar(_ type: ValueType) -> Scalar { Scalar(word: self, type) }
}

/// Doubles; NaN is greater than everything else, as in the reference database.
extension Double: KeptValue {
  static var code: UInt8 { 1 }
  static func values(of column: Column) -> [Double] { column.doubles }
  func isLess(than other: Double) -> Bool { self < other || (other.isNaN && !isNaN) }
  func encode(into writer: inout ByteWriter) { writer.write(double: self) }
  static func decode(from reader: inout ByteReader) throws(CodingError) -> Double { try reader.readDouble() }
  func scalar(_ type: ValueType) -> Scalar { .double(self) }
}

/// min or max of numbers.
struct Extreme<Value: KeptValue, Side: End>: Accumulator {
  static var tag: UInt8 { 8 + Value.code * 2 + (Side.isUpper ? 1 : 0) }
  private var isSet = false
  private var value = Value.zero

  init() {}

  @inline(__always)
  private mutating func add(_ candidate: Value) {
    if !isSet || (Side.isUpper ? value.isLess(than: candidate) : candidate.isLess(than: value)) {
      isSet = true
      value = candidate
    }
  }

  @specialized(where Value == Int64, Side == Lower)
  @specialized(where Value == Int64, Side == Upper)
  @specialized(where Value == Double, Side == Lower)
  @specialized(where Value == Double, Side == Upper)
  static func fold(_ column: Column, times: [Int64], _ entries: WindowEntries, into slots: inout [Self]) {
    let values = Value.values(of: column)
    var states = slots.mutableSpan
    for index in entries.rows.indices { states[Int(entries.slots[index])].add(values[Int(entries.rows[index])]) }
  }

  mutating func merge(_ later: Self) {
    if later.isSet { add(later.value) }
  }

  @specialized(where Value == Int64, Side == Lower)
  @specialized(where Value == Int64, Side == Upper)
  @specialized(where Value == Double, Side == Lower)
  @specialized(where Value == Double, Side == Upper)
  mutating func encode(into writer: inout ByteWriter) {
    writer.write(bool: isSet)
    if isSet { value.encode(into: &writer) }
  }

  init(from reader: inout ByteReader) throws(CodingError) {
    isSet = try reader.readBool()
    if isSet { value = try Value.decode(from: &reader) }
  }

  func result(of call: AggregateCall, seconds: Double) -> Scalar { isSet ? value.scalar(call.type) : .null }
}

/// first or last of numbers.
struct Kept<Value: KeptValue, Side: End>: Accumulator {
  static var tag: UInt8 { 16 + Value.code * 2 + (Side.isUpper ? 1 : 0) }
  private var isSet = false
  private var time: Int64 = 0
  private var value = Value.zero

  init() {}

  @inline(__always)
  private mutating func add(_ candidate: Value, at candidateTime: Int64) {
    if !isSet || (Side.isUpper ? candidateTime >= time : candidateTime < time) {
      isSet = true
      time = candidateTime
      value = candidate
    }
  }

  @specialized(where Value == Int64, Side == Lower)
  @specialized(where Value == Int64, Side == Upper)
  @specialized(where Value == Double, Side == Lower)
  @specialized(where Value == Double, Side == Upper)
  static func fold(_ column: Column, times: [Int64], _ entries: WindowEntries, into slots: inout [Self]) {
    let values = Value.values(of: column)
    var states = slots.mutableSpan
    for index in entries.rows.indices {
      let row = Int(entries.rows[index])
      states[Int(entries.slots[index])].add(values[row], at: times[row])
    }
  }

  mutating func merge(_ later: Self) {
    if later.isSet { add(later.value, at: later.time) }
  }

  @specialized(where Value == Int64, Side == Lower)
  @specialized(where Value == Int64, Side == Upper)
  @specialized(where Value == Double, Side == Lower)
  @specialized(where Value == Double, Side == Upper)
  mutating func encode(into writer: inout ByteWriter) {
    writer.write(bool: isSet)
    guard isSet else { return }
    writer.write(signed: time)
    value.encode(into: &writer)
  }

  init(from reader: inout ByteReader) throws(CodingError) {
    isSet = try reader.readBool()
    guard isSet else { return }
    time = try reader.readSigned()
    value = try Value.decode(from: &reader)
  }

  func result(of call: AggregateCall, seconds: Double) -> Scalar { isSet ? value.scalar(call.type) : .null }
}

/// min or max of strings, by the bytes of their UTF-8.
struct StringExtreme<Side: End>: Accumulator {
  static var tag: UInt8 { Side.isUpper ? 13 : 12 }
  private var isSet = false
  private var value: [UInt8] = []

  init() {}

  private mutating func add(_ bytes: ArraySlice<UInt8>) {
    if !isSet || (Side.isUpper ? value.lexicographicallyPrecedes(bytes) : bytes.lexicographicallyPrecedes(value)) {
      isSet = true
      value.removeAll(keepingCapacity: true)
      value.append(contentsOf: bytes)
    }
  }

  @specialized(where Side == Lower)
  @specialized(where Side == Upper)
  static func fold(_ column: Column, times: [Int64], _ entries: WindowEntries, into slots: inout [Self]) {
    let values = column.strings
    for index in entries.rows.indices {
      slots[Int(entries.slots[index])].add(values.bytes[values.range(of: Int(entries.rows[index]))])
    }
  }

  mutating func merge(_ later: Self) {
    if later.isSet { add(later.value[...]) }
  }

  mutating func encode(into writer: inout ByteWriter) {
    writer.write(bool: isSet)
    if isSet { writer.write(blob: value) }
  }

  init(from reader: inout ByteReader) throws(CodingError) {
    isSet = try reader.readBool()
    if isSet { value = Array(try reader.readString().utf8) }
  }

  func result(of call: AggregateCall, seconds: Double) -> Scalar {
    isSet ? .string(String(decoding: value, as: UTF8.self)) : .null
  }
}

/// first or last of strings.
struct StringKept<Side: End>: Accumulator {
  static var tag: UInt8 { Side.isUpper ? 21 : 20 }
  private var isSet = false
  private var time: Int64 = 0
  private var value: [UInt8] = []

  init() {}

  private mutating func add(_ bytes: ArraySlice<UInt8>, at candidateTime: Int64) {
    if !isSet || (Side.isUpper ? candidateTime >= time : candidateTime < time) {
      isSet = true
      time = candidateTime
      value.removeAll(keepingCapacity: true)
      value.append(contentsOf: bytes)
    }
  }

  @specialized(where Side == Lower)
  @specialized(where Side == Upper)
  static func fold(_ column: Column, times: [Int64], _ entries: WindowEntries, into slots: inout [Self]) {
    let values = column.strings
    for index in entries.rows.indices {
      let row = Int(entries.rows[index])
      slots[Int(entries.slots[index])].add(values.bytes[values.range(of: row)], at: times[row])
    }
  }

  mutating func merge(_ later: Self) {
    if later.isSet { add(later.value[...], at: later.time) }
  }

  mutating func encode(into writer: inout ByteWriter) {
    writer.write(bool: isSet)
    guard isSet else { return }
    writer.write(signed: time)
    writer.write(blob: value)
  }

  init(from reader: inout ByteReader) throws(CodingError) {
    isSet = try reader.readBool()
    guard isSet else { return }
    time = try reader.readSigned()
    value = Array(try reader.readString().utf8)
  }

  func result(of call: AggregateCall, seconds: Double) -> Scalar {
    isSet ? .string(String(decoding: value, as: UTF8.self)) : .null
  }
}
