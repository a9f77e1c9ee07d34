// Our columns as an Arrow struct array of the C Data Interface. Invariants: numbers, bitmaps and bytes are lent, not
// copied; the structs are valid only inside the closure, and nothing the callee does can free what is Swift's. The
// types depend on the column's type and on what the caller asks for, never on how strings happen to be encoded, so all
// shards have one schema: int64, float64, bool, utf8 (32-bit offsets), a dictionary of these with int32 indices, and
// timestamp[us, UTC], all nullable.

import CArrow
import Detection

/// Lends columns to C code.
struct ArrowExport {
  /// A column holds more text than 32-bit offsets can reach.
  struct TooLarge: Error {
    let column: String
  }

  private let names: [String]
  /// The columns, with codes where a dictionary is asked for, else one entry a row.
  private let columns: [Column]
  private let rows: Int

  /// - Parameter dictionaries: names of text columns that become dictionaries.
  /// - Precondition: as many names as columns, at least one, all of one length.
  init(names: [String], columns: [Column], dictionaries: Set<String> = []) throws(TooLarge) {
    precondition(names.count == columns.count && !columns.isEmpty, "every column needs a name")
    rows = columns[0].count
    self.names = names
    var expanded: [Column] = []
    for (name, column) in zip(names, columns) {
      precondition(column.count == columns[0].count, "columns of different lengths")
      guard let written = dictionaries.contains(name) ? Self.coded(column) : Self.plain(column) else {
        throw TooLarge(column: name)
      }
      expanded.append(written)
    }
    self.columns = expanded
  }

  /// The column with its strings one entry a row; nil where they exceed 2^31 - 1 bytes.
  private static func plain(_ column: Column) -> Column? {
    guard case .string(let strings) = column.values else { return column }
    guard let codes = strings.codes else { return Int32(exactly: strings.bytes.count) == nil ? nil : column }
    var total = 0
    var offsets: [UInt32] = [0]
    offsets.reserveCapacity(codes.count + 1)
    for row in codes.indices {
      total += strings.range(of: row).count
      guard Int32(exactly: total) != nil else { return nil }
      offsets.append(UInt32(total))
    }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(total)
    for row in codes.indices { bytes.append(contentsOf: strings.bytes[strings.range(of: row)]) }
    return Column(.string(StringColumn(offsets: offsets, bytes: bytes)), validity: column.validity)
  }

  /// The column with a code a row; nil where its entries exceed 2^31 - 1 bytes.
  private static func coded(_ column: Column) -> Column? {
    guard case .string(let strings) = column.values else { preconditionFailure("only text makes a dictionary") }
    guard Int32(exactly: strings.bytes.count) != nil, Int32(exactly: strings.entryCount) != nil else { return nil }
    if strings.codes != nil { return column }
    let codes = Array(0..<UInt32(strings.entryCount))
    return Column(
      .string(StringColumn(offsets: strings.offsets, bytes: strings.bytes, codes: codes)), validity: column.validity)
  }

  /// Calls `body` with the columns as structs, which it may release but not keep.
  func lend<Result>(
    _ body: (UnsafeMutablePointer<ArrowSchema>, UnsafeMutablePointer<ArrowArray>) -> Result
  ) -> Result {
    withBuffers(of: columns[...], lent: []) { withStructs($0, body) }
  }

  // MARK: - Buffers

  private struct Lent {
    let format: StaticString
    let nullCount: Int
    /// SAFETY: lent by the closures of `withBuffers`, inside which every value of this type lives and dies.
    let buffers: [UnsafeRawPointer?]
    /// Boundaries and bytes of the entries of a dictionary; the format and the buffers are then those of the indices.
    var entries: Entries?
  }

  private struct Entries {
    let count: Int
    /// SAFETY: as the buffers above.
    let buffers: [UnsafeRawPointer?]
  }

  /// Opens the storage of one column after another, so that all of it is lent while `body` runs.
  private func withBuffers<Result>(of rest: ArraySlice<Column>, lent: [Lent], _ body: ([Lent]) -> Result) -> Result {
    guard let column = rest.first else { return body(lent) }
    func next(
      _ format: StaticString, _ validity: UnsafeRawPointer?, _ buffers: UnsafeRawPointer?..., entries: Entries? = nil
    ) -> Result {
      let nullCount = column.validity.map { rows - $0.setCount } ?? 0
      let this = Lent(format: format, nullCount: nullCount, buffers: [validity] + buffers, entries: entries)
      return withBuffers(of: rest.dropFirst(), lent: lent + [this], body)
    }
    // SAFETY: the recursion and `body` run inside the closures, and `self` holds the arrays unchanged for as long. Each
    // has `rows` values (`rows + 1` offsets that end within the bytes), as `Column` and the initializer check.
    return Self.withWords(column.validity) { validity in
      switch column.values {
      case .int(let values): values.withUnsafeBytes { next("l", validity, $0.baseAddress) }
      case .timestamp(let values): values.withUnsafeBytes { next("tsu:UTC", validity, $0.baseAddress) }
      case .double(let values): values.withUnsafeBytes { next("g", validity, $0.baseAddress) }
      case .bool(let values): Self.withWords(values) { next("b", validity, $0) }
      case .string(let strings):
        // SAFETY: as above; of a dictionary the codes are the rows, and all are below the number of entries. Offsets and
        // codes are at most 2^31 - 1, so their bits read the same as signed integers.
        strings.offsets.withUnsafeBytes { offsets in
          strings.bytes.withUnsafeBytes { bytes in
            guard let codes = strings.codes else { return next("u", validity, offsets.baseAddress, bytes.baseAddress) }
            let buffers = [nil, offsets.baseAddress, bytes.baseAddress]
            let entries = Entries(count: strings.entryCount, buffers: buffers)
            return codes.withUnsafeBytes { next("i", validity, $0.baseAddress, entries: entries) }
          }
        }
      }
    }
  }

  private static func withWords<Result>(_ bitmap: Bitmap?, _ body: (UnsafeRawPointer?) -> Result) -> Result {
    guard let bitmap else { return body(nil) }
    // SAFETY: used inside the closure only; the words hold all bits of the bitmap.
    return bitmap.words.withUnsafeBytes { body($0.baseAddress) }
  }

  // MARK: - Structs

  private func withStructs<Result>(
    _ lent: [Lent], _ body: (UnsafeMutablePointer<ArrowSchema>, UnsafeMutablePointer<ArrowArray>) -> Result
  ) -> Result {
    // SAFETY: everything allocated here is freed after `body`, which is the contract of the shim: structs passed in
    // are consumed when the call returns, and their release callbacks below free nothing. A column has one schema, one
    // array and at most three buffers, and as much again for the entries of a dictionary, which stand behind those of all
    // columns; the last place of the tables is the batch's own.
    let places = 2 * lent.count
    let schemas = UnsafeMutablePointer<ArrowSchema>.allocate(capacity: places + 1)
    let arrays = UnsafeMutablePointer<ArrowArray>.allocate(capacity: places + 1)
    let schemaTable = UnsafeMutablePointer<UnsafeMutablePointer<ArrowSchema>?>.allocate(capacity: lent.count)
    let arrayTable = UnsafeMutablePointer<UnsafeMutablePointer<ArrowArray>?>.allocate(capacity: lent.count)
    let bufferTable = UnsafeMutablePointer<UnsafeRawPointer?>.allocate(capacity: 3 * places + 1)
    let nameBytes = names.map { name in Self.cString(name) }
    defer {
      for name in nameBytes { name.deallocate() }
      bufferTable.deallocate()
      arrayTable.deallocate()
      schemaTable.deallocate()
      arrays.deallocate()
      schemas.deallocate()
    }
    for (index, column) in lent.enumerated() {
      let buffers = bufferTable + 3 * index
      for (number, buffer) in column.buffers.enumerated() { (buffers + number).initialize(to: buffer) }
      var schema = Self.schema(column.format, name: nameBytes[index])
      var array = Self.array(
        rows: rows, nulls: column.nullCount, buffers: buffers, bufferCount: column.buffers.count)
      if let entries = column.entries {
        let place = lent.count + index
        let buffers = bufferTable + 3 * place
        for (number, buffer) in entries.buffers.enumerated() { (buffers + number).initialize(to: buffer) }
        (schemas + place).initialize(to: Self.schema("u", name: nil))
        (arrays + place).initialize(to: Self.array(rows: entries.count, nulls: 0, buffers: buffers, bufferCount: 3))
        schema.dictionary = schemas + place
        array.dictionary = arrays + place
      }
      (schemas + index).initialize(to: schema)
      (arrays + index).initialize(to: array)
      (schemaTable + index).initialize(to: schemas + index)
      (arrayTable + index).initialize(to: arrays + index)
    }
    // The batch is a struct without nulls: one buffer, its absent bitmap.
    let noBitmap = bufferTable + 3 * places
    noBitmap.initialize(to: nil)
    var schema = Self.schema("+s", name: nil)
    schema.n_children = Int64(lent.count)
    schema.children = schemaTable
    var array = Self.array(rows: rows, nulls: 0, buffers: noBitmap, bufferCount: 1)
    array.n_children = Int64(lent.count)
    array.children = arrayTable
    (schemas + places).initialize(to: schema)
    (arrays + places).initialize(to: array)
    return body(schemas + places, arrays + places)
  }

  private static func schema(_ format: StaticString, name: UnsafePointer<CChar>?) -> ArrowSchema {
    // SAFETY: a literal's bytes live as long as the program and end with a zero.
    let format = UnsafeRawPointer(format.utf8Start).assumingMemoryBound(to: CChar.self)
    var schema = ArrowSchema()
    schema.format = format
    schema.name = name
    schema.flags = Int64(ARROW_FLAG_NULLABLE)
    // The specification asks for nothing but clearing the field of a struct that owns nothing.
    schema.release = { $0?.pointee.release = nil }
    return schema
  }

  private static func array(
    rows: Int, nulls: Int, buffers: UnsafeMutablePointer<UnsafeRawPointer?>, bufferCount: Int
  ) -> ArrowArray {
    var array = ArrowArray()
    array.length = Int64(rows)
    array.null_count = Int64(nulls)
    array.n_buffers = Int64(bufferCount)
    array.buffers = buffers
    array.release = { $0?.pointee.release = nil }
    return array
  }

  private static func cString(_ text: String) -> UnsafeMutablePointer<CChar> {
    let bytes = text.utf8CString
    // SAFETY: the caller deallocates the copy, of which every byte is initialized, the closing zero included.
    let copy = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
    for (index, byte) in bytes.enumerated() { (copy + index).initialize(to: byte) }
    return copy
  }
}
