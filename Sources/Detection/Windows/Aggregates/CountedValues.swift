// The values that `TopCounts` counts, by type. What SQL takes for equal is one value: the two zeros, all NaN.

/// A value with a counter.
protocol CountedValue: Sendable, Equatable {
  /// The rows of a column, before one of them gets a counter.
  associatedtype Source: CountedSource where Source.Value == Self
  /// Of `TopCounts` of such values.
  static var tag: UInt8 { get }
  static func isLess(_ a: Self, than b: Self) -> Bool
  var hash: UInt64 { get }
  /// Bytes of its own allocations.
  var allocatedBytes: Int { get }
  func encode(into writer: inout ByteWriter)
  init(from reader: inout ByteReader) throws(CodingError)
  /// - Parameter type: of the column.
  func scalar(_ type: ValueType) -> Scalar
}

extension CountedValue {
  var allocatedBytes: Int { 0 }
}

/// A column whose values are counted.
protocol CountedSource {
  associatedtype Value
  init(_ column: Column)
  func hash(_ row: Int) -> UInt64
  func isEqual(_ value: Value, _ row: Int) -> Bool
  func value(_ row: Int) -> Value
}

/// An int, timestamp or bool.
struct CountedWord: CountedValue {
  struct Source: CountedSource {
    private let words: [Int64]
    init(_ column: Column) { words = column.words }
    @inline(__always)
    func hash(_ row: Int) -> UInt64 { CountedWord(words[row]).hash }
    @inline(__always)
    func isEqual(_ value: CountedWord, _ row: Int) -> Bool { value.word == words[row] }
    func value(_ row: Int) -> CountedWord { CountedWord(words[row]) }
  }

  private let word: Int64

  private init(_ word: Int64) { self.word = word }

  static var tag: UInt8 { 40 }
  static func isLess(_ a: Self, than b: Self) -> Bool { a.word < b.word }
  var hash: UInt64 { ValueHash.hash(word: UInt64(bitPattern: word)) }
  func encode(into writer: inout ByteWriter) { writer.write(signed: word) }
  init(from reader: inout ByteReader) throws(CodingError) { word = try reader.readSigned() }
  func scalar(_ type: ValueType) -> Scalar { Scalar(word: word, type) }
}

/// A double: its bits, with one zero and one NaN.
struct CountedDouble: CountedValue {
  struct Source: CountedSource {
    private let values: [Double]
    init(_ column: Column) { values = column.doubles }
    @inline(__always)
    func hash(_ row: Int) -> UInt64 { CountedDouble(values[row]).hash }
    @inline(__always)
    func isEqual(_ value: CountedDouble, _ row: Int) -> Bool { value == CountedDouble(values[row]) }
    func value(_ row: Int) -> CountedDouble { CountedDouble(values[row]) }
  }

  private let bits: UInt64

  private init(_ value: Double) { bits = ValueHash.word(of: value) }

  static var tag: UInt8 { 41 }
  private var value: Double { Double(bitPattern: bits) }
  /// NaN is greater than everything else, as in the reference database.
  static func isLess(_ a: Self, than b: Self) -> Bool {
    a.value < b.value || (b.value.isNaN && !a.value.isNaN)
  }
  var hash: UInt64 { ValueHash.hash(word: bits) }
  func encode(into writer: inout ByteWriter) { writer.write(double: value) }
  init(from reader: inout ByteReader) throws(CodingError) {
    bits = ValueHash.word(of: try reader.readDouble())
  }
  func scalar(_ type: ValueType) -> Scalar { .double(value) }
}

/// The beginning of a string: its first `Limits.topValueBytes` bytes, less those of a character that would be cut.
struct CountedText: CountedValue {
  struct Source: CountedSource {
    private let strings: StringColumn
    /// Where each entry of the column begins and ends, as far as it counts, and its hash: found once, however many rows of
    /// the batch hold it.
    private let entries: [(range: Range<Int>, hash: UInt64)]

    init(_ column: Column) {
      let strings = column.strings
      self.strings = strings
      entries = (0..<strings.entryCount).map { entry in
        let range = CountedText.beginning(of: strings.bytes, strings.range(ofEntry: entry))
        return (range, ValueHash.hash(strings.bytes, range))
      }
    }

    @inline(__always)
    func hash(_ row: Int) -> UInt64 { entries[strings.entry(of: row)].hash }
    func isEqual(_ value: CountedText, _ row: Int) -> Bool {
      let range = entries[strings.entry(of: row)].range
      return value.bytes.count == range.count && value.bytes.elementsEqual(strings.bytes[range])
    }
    func value(_ row: Int) -> CountedText {
      CountedText(strings.bytes[entries[strings.entry(of: row)].range])
    }
  }

  private let bytes: [UInt8]

  private init(_ bytes: ArraySlice<UInt8>) { self.bytes = Array(bytes) }

  private static func beginning(of bytes: [UInt8], _ range: Range<Int>) -> Range<Int> {
    guard range.count > Limits.topValueBytes else { return range }
    var end = range.lowerBound + Limits.topValueBytes
    // The byte behind the end must begin a character.
    while end > range.lowerBound, bytes[end] & 0xC0 == 0x80 { end -= 1 }
    return range.lowerBound..<end
  }

  static var tag: UInt8 { 42 }
  static func isLess(_ a: Self, than b: Self) -> Bool { a.bytes.lexicographicallyPrecedes(b.bytes) }
  var hash: UInt64 { ValueHash.hash(bytes, bytes.indices) }
  var allocatedBytes: Int { Allocation.bytes(bytes.count) }
  func encode(into writer: inout ByteWriter) { writer.write(blob: bytes) }
  init(from reader: inout ByteReader) throws(CodingError) {
    bytes = Array(try reader.readString().utf8)
    guard bytes.count <= Limits.topValueBytes else {
      throw CodingError(
        "a counted text has \(bytes.count) bytes, at most \(Limits.topValueBytes) can be")
    }
  }
  func scalar(_ type: ValueType) -> Scalar { .string(String(decoding: bytes, as: UTF8.self)) }
}
