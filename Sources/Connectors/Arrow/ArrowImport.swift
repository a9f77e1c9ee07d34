// From Arrow arrays to our columns. What the types become:
//
// | Arrow | column |
// |---|---|
// | integers, signed and unsigned | int; unsigned 64-bit also string or double, where that is asked for |
// | float16/32/64, decimals | double (decimals: the nearest double of integer / 10^scale) |
// | bool | bool |
// | text; binary; fixed-size binary | string; fixed-size as hexadecimal |
// | date, timestamp with or without zone | timestamp, microseconds UTC; nanoseconds are rounded down |
// | time of day, duration | int, microseconds |
// | struct, list, map | JSON text, with nested times as RFC 3339; any other type too where json is asked for |
// | null | a column of the type asked for, string otherwise, all null |
// | dictionary | as its values; strings stay dictionary-encoded where that is smaller |
//
// Invariants: those of Column and StringColumn (a null row holds the type's zero). A value that its column cannot hold
// (an unsigned integer beyond 2^63 - 1, a second count that overflows as microseconds, text or binary that is not UTF-8,
// any of these within a nested value, more JSON text than an event may have) is a misfit: null in the column, and noted, so
// that its row is not an event. Memory is proportional to the rows and their text, never to what a dictionary holds besides.

import Detection

/// Imports the arrays of one column.
struct ArrowImport {
  /// Why a column cannot be imported.
  enum Failure: Error {
    /// A type without counterpart among our columns.
    case unsupported
    /// More text than the limit.
    case tooLarge
  }

  /// The column's name.
  let name: String
  /// Whether all text is known to be UTF-8.
  let textIsUTF8: Bool
  /// Values that the column cannot hold, with their rows in it.
  private(set) var misfits: [ColumnMisfit] = []

  /// Bytes of text that the column may have; at most what its offsets can count, 4 GiB.
  private let textLimit: Int

  init(name: String, textIsUTF8: Bool, textLimit: Int) {
    self.name = name
    self.textIsUTF8 = textIsUTF8
    self.textLimit = textLimit
  }

  /// Rows `rows` of an array as a column of its own type, or of `requested` where the array leaves a choice.
  /// `present` marks the rows whose enclosing structs are not null; nil stands for all.
  mutating func column(
    _ node: ArrowNode, rows: Range<Int>, as requested: FieldType? = nil, present: Bitmap? = nil
  ) throws(Failure) -> Column {
    let valid = intersection(node.validity(rows), present)
    if let dictionary = node.dictionary {
      return try decoded(node, dictionary, rows: rows, as: requested, valid: valid)
    }
    if requested == .json, node.field.fieldType != .string { return try json(node, rows, valid) }
    switch node.field.type {
    case .null:
      return Self.nulls(requested?.valueType ?? .string, count: rows.count)
    case .bool:
      let bits = node.booleans(rows)
      return Column(.bool(valid.map { bits & $0 } ?? bits), validity: valid)
    case .integer(bytes: 8, signed: false) where requested?.valueType == .string:
      let numbers = node.values(UInt64.self, rows)
      return Column(.string(try strings(rows.count, valid) { String(numbers[$0]).utf8 }), validity: valid)
    case .integer(bytes: 8, signed: false) where requested == .double:
      var numbers = node.values(UInt64.self, rows).map { Double($0) }
      ArrowNumbers.zeroNulls(&numbers, valid)
      return Column(.double(numbers), validity: valid)
    case .integer, .timeOfDay, .duration:
      let (values, kept) = integers(node, rows, valid)
      return Column(.int(values), validity: kept)
    case .date32, .date64, .timestamp:
      let (values, kept) = integers(node, rows, valid)
      return Column(.timestamp(values), validity: kept)
    case .float, .decimal:
      return Column(.double(ArrowNumbers.doubles(node, rows, valid)), validity: valid)
    case .text where textIsUTF8:
      return Column(.string(try text(node, rows, valid)), validity: valid)
    case .text, .binary:
      // Files written before Parquet had a string type mark text as binary.
      return try checkedText(node, rows, valid)
    case .fixedBinary:
      let strings = try strings(rows.count, valid) { ArrowJSON.hexadecimal(node.bytes(rows.lowerBound + $0)) }
      return Column(.string(strings), validity: valid)
    case .structure, .list, .fixedList, .map:
      return try json(node, rows, valid)
    case .unsupported:
      throw .unsupported
    }
  }

  /// The rows as JSON text. A text column is not rendered: asked for as json, its text is JSON already.
  private mutating func json(_ node: ArrowNode, _ rows: Range<Int>, _ valid: Bitmap?) throws(Failure) -> Column {
    guard node.field.fieldType != nil else { throw .unsupported }
    var json = ArrowJSON(textIsUTF8: textIsUTF8)
    var found: [(row: Int, ArrowMisfit)] = []
    let strings = try strings(rows.count, valid) { row in
      let text = json.text(node, rows.lowerBound + row)
      guard let misfit = json.misfit else { return text }
      found.append((row, misfit))
      return []
    }
    return Column(.string(strings), validity: note(found, valid, count: rows.count))
  }

  /// Notes misfits; returns the rows that hold a value.
  private mutating func note(_ found: [(row: Int, ArrowMisfit)], _ valid: Bitmap?, count: Int) -> Bitmap? {
    guard !found.isEmpty else { return valid }
    var kept = valid ?? Bitmap(repeating: true, count: count)
    for (row, misfit) in found {
      kept[row] = false
      misfits.append(
        ColumnMisfit(
          row: row, column: name, reason: misfit.reason, expected: misfit.expected, found: misfit.found))
    }
    return kept
  }

  /// A column without any value.
  static func nulls(_ type: ValueType, count: Int) -> Column {
    let values: Column.Values =
      switch type {
      case .int: .int([Int64](repeating: 0, count: count))
      case .double: .double([Double](repeating: 0, count: count))
      case .bool: .bool(Bitmap(repeating: false, count: count))
      case .timestamp: .timestamp([Int64](repeating: 0, count: count))
      case .string: .string(StringColumn(offsets: [UInt32](repeating: 0, count: count + 1), bytes: []))
      }
    return Column(values, validity: Bitmap(repeating: false, count: count))
  }

  // MARK: - Integers and times

  private mutating func integers(_ node: ArrowNode, _ rows: Range<Int>, _ valid: Bitmap?) -> ([Int64], Bitmap?) {
    var (values, misfits) = ArrowNumbers.integers(node, rows)
    // Null rows may hold any bits.
    let found = misfits.filter { valid?[$0] ?? true }.map { ($0, ArrowMisfit(number: node, rows.lowerBound + $0)) }
    let kept = note(found, valid, count: rows.count)
    ArrowNumbers.zeroNulls(&values, kept)
    return (values, kept)
  }

  // MARK: - Strings

  /// Builds a plain column by asking for the bytes of every row that is not null.
  private func strings(
    _ count: Int, _ valid: Bitmap?, _ bytesOfRow: (Int) -> some Collection<UInt8>
  ) throws(Failure) -> StringColumn {
    var offsets: [UInt32] = [0]
    offsets.reserveCapacity(count + 1)
    var bytes: [UInt8] = []
    for row in 0..<count {
      if valid?[row] ?? true { bytes.append(contentsOf: bytesOfRow(row)) }
      guard bytes.count <= textLimit, let end = UInt32(exactly: bytes.count) else { throw .tooLarge }
      offsets.append(end)
    }
    return StringColumn(offsets: offsets, bytes: bytes)
  }

  /// Text value by value, which need not be UTF-8.
  private mutating func checkedText(_ node: ArrowNode, _ rows: Range<Int>, _ valid: Bitmap?) throws(Failure) -> Column {
    var found: [(row: Int, ArrowMisfit)] = []
    let strings = try strings(rows.count, valid) { row in
      let bytes = node.bytes(rows.lowerBound + row)
      if ArrowMisfit.isUTF8(bytes) { return bytes }
      found.append((row, ArrowMisfit(text: bytes)))
      // SAFETY: an empty buffer needs no memory.
      return UnsafeRawBufferPointer(start: nil, count: 0)
    }
    return Column(.string(strings), validity: note(found, valid, count: rows.count))
  }

  private func text(_ node: ArrowNode, _ rows: Range<Int>, _ valid: Bitmap?) throws(Failure) -> StringColumn {
    if node.field.type == .text(.small), let copied = try Self.copy(node, Int32.self, rows, valid) { return copied }
    if node.field.type == .text(.large), let copied = try Self.copy(node, Int64.self, rows, valid) { return copied }
    return try strings(rows.count, valid) { node.bytes(rows.lowerBound + $0) }
  }

  /// Copies offsets and bytes as they are; nil where null rows hold bytes, which have to be left out.
  private static func copy<Offset: FixedWidthInteger & BitwiseCopyable>(
    _ node: ArrowNode, _: Offset.Type, _ rows: Range<Int>, _ valid: Bitmap?
  ) throws(Failure) -> StringColumn? {
    guard !rows.isEmpty else { return StringColumn(offsets: [0], bytes: []) }
    let bounds = node.values(Offset.self, rows.lowerBound..<rows.upperBound + 1)
    let first = bounds[0]
    let end = bounds[rows.count]
    guard UInt32(exactly: end - first) != nil else { throw .tooLarge }
    if let valid {
      for (index, word) in (~valid).words.enumerated() where word != 0 {
        var nulls = word
        while nulls != 0 {
          let row = index << 6 + nulls.trailingZeroBitCount
          if bounds[row] != bounds[row + 1] { return nil }
          nulls &= nulls &- 1
        }
      }
    }
    // SAFETY: `bounds` and the new array both have `rows.count + 1` values, and all of them are written.
    let offsets = [UInt32](unsafeUninitializedCapacity: rows.count + 1) { buffer, count in
      for row in 0...rows.count { buffer[row] = UInt32(truncatingIfNeeded: bounds[row] &- first) }
      count = rows.count + 1
    }
    // SAFETY: the shim has checked that offsets ascend and end within the data buffer.
    let bytes = UnsafeRawBufferPointer(start: node.buffer(2).map { $0 + Int(first) }, count: Int(end - first))
    return StringColumn(offsets: offsets, bytes: [UInt8](bytes))
  }

  // MARK: - Dictionaries

  private mutating func decoded(
    _ node: ArrowNode, _ dictionary: ArrowNode, rows: Range<Int>, as requested: FieldType?, valid: Bitmap?
  ) throws(Failure) -> Column {
    let known = misfits.count
    // The entry of each row, none for null rows: they may hold any index.
    var indices = [Int](repeating: -1, count: rows.count)
    for row in indices.indices where valid?[row] ?? true { indices[row] = node.dictionaryIndex(rows.lowerBound + row) }
    let values: Column
    if dictionary.length > rows.count {
      values = try entries(of: dictionary, namedBy: &indices, as: requested)
    } else {
      values = try column(dictionary, rows: 0..<dictionary.length, as: requested)
    }
    // Of the entries' misfits, those that rows point to.
    let unfit = Dictionary(misfits[known...].map { ($0.row, $0) }, uniquingKeysWith: { first, _ in first })
    misfits.removeSubrange(known...)
    for row in 0..<(unfit.isEmpty ? 0 : rows.count) where indices[row] >= 0 {
      guard var misfit = unfit[indices[row]] else { continue }
      misfit.row = row
      misfits.append(misfit)
    }
    // A row is null by its own bitmap or because its entry is.
    let kept = Bitmap(count: rows.count) { row in
      indices[row] >= 0 && !values.isNull(indices[row])
    }
    func gather<Value>(_ from: [Value], _ zero: Value) -> [Value] {
      indices.indices.map { kept[$0] ? from[indices[$0]] : zero }
    }
    switch values.values {
    case .int(let from): return Column(.int(gather(from, 0)), validity: kept)
    case .timestamp(let from): return Column(.timestamp(gather(from, 0)), validity: kept)
    case .double(let from): return Column(.double(gather(from, 0)), validity: kept)
    case .bool(let from):
      let bits = Bitmap(count: rows.count) { kept[$0] && from[indices[$0]] }
      return Column(.bool(bits), validity: kept)
    case .string(let entries):
      // Null rows need an empty entry; one more at the end serves them all.
      let empty = UInt32(entries.entryCount)
      let codes = indices.indices.map { row in
        kept[row] ? UInt32(entries.entry(of: indices[row])) : empty
      }
      let offsets = entries.offsets + [UInt32(entries.bytes.count)]
      return Column(.string(StringColumn(offsets: offsets, bytes: entries.bytes, codes: codes)), validity: kept)
    }
  }

  /// The entries of a dictionary that rows name, in the order of their first use.
  /// - Parameter indices: the entry of each row, -1 for none; becomes its place among those returned.
  private mutating func entries(
    of dictionary: ArrowNode, namedBy indices: inout [Int], as requested: FieldType?
  ) throws(Failure) -> Column {
    let known = misfits.count
    var places: [Int: Int] = [:]
    var builder: ColumnBuilder?
    var found: [ColumnMisfit] = []
    var textBytes = 0
    for row in indices.indices where indices[row] >= 0 {
      let entry = indices[row]
      if let place = places[entry] {
        indices[row] = place
        continue
      }
      let one = try column(dictionary, rows: entry..<entry + 1, as: requested)
      let place = places.count
      for var misfit in misfits[known...] {
        misfit.row = place
        found.append(misfit)
      }
      misfits.removeSubrange(known...)
      places[entry] = place
      indices[row] = place
      if case .string(let text) = one.values { textBytes += text.bytes.count }
      guard textBytes <= textLimit else { throw .tooLarge }
      if builder == nil { builder = ColumnBuilder(one.type, capacity: indices.count) }
      builder?.append(one, rows: 0..<1)
    }
    misfits += found
    if let builder { return builder.finish() }
    return try column(dictionary, rows: 0..<0, as: requested)
  }
}
