// Accumulators that keep one of the values: min and max by the value, first and last by (event time, position).
// Folding in partition order makes the position implicit: of equal times the first one seen is the first and the last
// one seen the last; of equal times in several partitions, those of the earlier or later partition.

/// Which of the values is kept.
protocol Choice: Sendable {
  /// What is kept beside the value: its time where that decides, else nothing.
  associatedtype Time: KeptTime
  /// Whether it is the greatest or the last rather than the least or the first.
  static var isUpper: Bool { get }
}
enum Least: Choice {
  typealias Time = NoTime
  static var isUpper: Bool { false }
}
enum Greatest: Choice {
  typealias Time = NoTime
  static var isUpper: Bool { true }
}
enum First: Choice {
  typealias Time = EventTime
  static var isUpper: Bool { false }
}
enum Last: Choice {
  typealias Time = EventTime
  static var isUpper: Bool { true }
}

/// The time of a kept value, as far as it is needed.
protocol KeptTime: Sendable {
  static var decides: Bool { get }
  init(_ time: Int64)
  var time: Int64 { get }
  func encode(into writer: inout ByteWriter)
  init(from reader: inout ByteReader) throws(CodingError)
}

/// Takes no room.
struct NoTime: KeptTime {
  static var decides: Bool { false }
  init(_ time: Int64) {}
  var time: Int64 { 0 }
  func encode(into writer: inout ByteWriter) {}
  init(from reader: inout ByteReader) throws(CodingError) {}
}

struct EventTime: KeptTime {
  static var decides: Bool { true }
  let time: Int64
  init(_ time: Int64) { self.time = time }
  func encode(into writer: inout ByteWriter) { writer.write(signed: time) }
  init(from reader: inout ByteReader) throws(CodingError) { time = try reader.readSigned() }
}

/// A value that min, max, first and last keep.
protocol KeptValue: Sendable {
  /// The values of a column.
  associatedtype Values
  /// One of them, before it is kept.
  associatedtype Candidate
  static var code: UInt8 { get }
  static var zero: Self { get }
  static func values(of column: Column) -> Values
  static func candidate(_ values: Values, _ row: Int) -> Candidate
  /// The value as it was before it was kept.
  var candidate: Candidate { get }
  mutating func keep(_ candidate: Candidate)
  static func isLess(_ a: Candidate, than b: Candidate) -> Bool
  func encode(into writer: inout ByteWriter)
  static func decode(from reader: inout ByteReader) throws(CodingError) -> Self
  func scalar(_ type: ValueType) -> Scalar
  /// Whether it has an allocation of its own.
  static var isAllocated: Bool { get }
  /// Bytes of its own allocation.
  var allocatedBytes: Int { get }
}

extension KeptValue {
  static var isAllocated: Bool { false }
  var allocatedBytes: Int { 0 }
}

extension KeptValue where Values == [Self], Candidate == Self {
  @inline(__always)
  static func candidate(_ values: [Self], _ row: Int) -> Self { values[row] }
  @inline(__always)
  var candidate: Self { self }
  @inline(__always)
  mutating func keep(_ candidate: Self) { self = candidate }
}

/// Ints, timestamps and bools.
extension Int64: KeptValue {
  static var code: UInt8 { 0 }
  static func values(of column: Column) -> [Int64] { column.words }
  static func isLess(_ a: Int64, than b: Int64) -> Bool { a < b }
  func encode(into writer: inout ByteWriter) { writer.write(signed: self) }
  static func decode(from reader: inout ByteReader) throws(CodingError) -> Int64 { try reader.readSigned() }
  func scalar(_ type: ValueType) -> Scalar { Scalar(word: self, type) }
}

/// Doubles; NaN is greater than everything else, as in the reference database.
extension Double: KeptValue {
  static var code: UInt8 { 1 }
  static func values(of column: Column) -> [Double] { column.doubles }
  static func isLess(_ a: Double, than b: Double) -> Bool { a < b || (b.isNaN && !a.isNaN) }
  func encode(into writer: inout ByteWriter) { writer.write(double: self) }
  static func decode(from reader: inout ByteReader) throws(CodingError) -> Double { try reader.readDouble() }
  func scalar(_ type: ValueType) -> Scalar { .double(self) }
}

/// Strings, in the order of the bytes of their UTF-8.
struct KeptString: KeptValue {
  private var bytes: [UInt8] = []

  static var code: UInt8 { 2 }
  static var zero: KeptString { KeptString() }
  static func values(of column: Column) -> StringColumn { column.strings }
  static func candidate(_ values: StringColumn, _ row: Int) -> ArraySlice<UInt8> { values.bytes[values.range(of: row)] }
  var candidate: ArraySlice<UInt8> { bytes[...] }

  mutating func keep(_ candidate: ArraySlice<UInt8>) {
    bytes.removeAll(keepingCapacity: true)
    bytes.append(contentsOf: candidate)
  }

  static func isLess(_ a: ArraySlice<UInt8>, than b: ArraySlice<UInt8>) -> Bool { a.lexicographicallyPrecedes(b) }
  func encode(into writer: inout ByteWriter) { writer.write(blob: bytes) }
  static func decode(from reader: inout ByteReader) throws(CodingError) -> KeptString {
    var value = KeptString()
    value.bytes = Array(try reader.readString().utf8)
    return value
  }
  func scalar(_ type: ValueType) -> Scalar { .string(String(decoding: bytes, as: UTF8.self)) }
  static var isAllocated: Bool { true }
  var allocatedBytes: Int { Allocation.bytes(bytes.capacity) }
}

/// min, max, first or last.
struct Kept<Value: KeptValue, Kind: Choice>: Accumulator {
  static var tag: UInt8 { (Kind.Time.decides ? 16 : 8) + Value.code * 2 + (Kind.isUpper ? 1 : 0) }
  private var isSet = false
  private var time = Kind.Time(0)
  private var value = Value.zero

  init() {}

  @inline(__always)
  private mutating func add(_ candidate: Value.Candidate, at candidateTime: Int64) {
    guard !isSet || replaces(candidate, candidateTime) else { return }
    isSet = true
    time = Kind.Time(candidateTime)
    value.keep(candidate)
  }

  @inline(__always)
  private func replaces(_ candidate: Value.Candidate, _ candidateTime: Int64) -> Bool {
    if Kind.Time.decides { return Kind.isUpper ? candidateTime >= time.time : candidateTime < time.time }
    return Kind.isUpper
      ? Value.isLess(value.candidate, than: candidate) : Value.isLess(candidate, than: value.candidate)
  }

  @specialized(where Value == Int64, Kind == Least)
  @specialized(where Value == Int64, Kind == Greatest)
  @specialized(where Value == Int64, Kind == First)
  @specialized(where Value == Int64, Kind == Last)
  @specialized(where Value == Double, Kind == Least)
  @specialized(where Value == Double, Kind == Greatest)
  @specialized(where Value == Double, Kind == First)
  @specialized(where Value == Double, Kind == Last)
  @specialized(where Value == KeptString, Kind == Least)
  @specialized(where Value == KeptString, Kind == Greatest)
  @specialized(where Value == KeptString, Kind == First)
  @specialized(where Value == KeptString, Kind == Last)
  static func fold(_ column: Column, times: [Int64], _ entries: WindowEntries, into slots: inout [Self]) {
    let values = Value.values(of: column)
    var states = slots.mutableSpan
    for index in entries.rows.indices {
      let row = Int(entries.rows[index])
      let time = Kind.Time.decides ? times[row] : 0
      states[Int(entries.slots[index])].add(Value.candidate(values, row), at: time)
    }
  }

  mutating func merge(_ later: Self) {
    if later.isSet { add(later.value.candidate, at: later.time.time) }
  }

  @specialized(where Value == Int64, Kind == Least)
  @specialized(where Value == Int64, Kind == Greatest)
  @specialized(where Value == Int64, Kind == First)
  @specialized(where Value == Int64, Kind == Last)
  @specialized(where Value == Double, Kind == Least)
  @specialized(where Value == Double, Kind == Greatest)
  @specialized(where Value == Double, Kind == First)
  @specialized(where Value == Double, Kind == Last)
  mutating func encode(into writer: inout ByteWriter) {
    writer.write(bool: isSet)
    guard isSet else { return }
    time.encode(into: &writer)
    value.encode(into: &writer)
  }

  init(from reader: inout ByteReader) throws(CodingError) {
    isSet = try reader.readBool()
    guard isSet else { return }
    time = try Kind.Time(from: &reader)
    value = try Value.decode(from: &reader)
  }

  func result(of reading: AggregateReading, seconds: Double) -> AggregateValue {
    .scalar(isSet ? value.scalar(reading.type) : .null)
  }
  static var isAllocated: Bool { Value.isAllocated }
  var allocatedBytes: Int { value.allocatedBytes }
}
