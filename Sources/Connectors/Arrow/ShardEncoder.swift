// Writes batches of history: a shard as an Arrow IPC file, a tail that does not yet fill one as bytes. Invariants: a
// shard that `write` has returned for is synced to the disk; its schema depends on names and column types alone; the
// bytes depend on the columns' values, the codec and the metadata, so equal history gives equal files.

import CArrow
public import Detection

/// Encodes columns in the Arrow IPC formats (arrow.apache.org/docs/format/Columnar.html), readable by pyarrow, polars,
/// Spark and others.
public struct ShardEncoder: Sendable {
  /// How the buffers of a batch are compressed.
  public enum Codec: Sendable, Hashable {
    case none
    case lz4
    /// Levels 1 (fast) to 22 (small).
    case zstd(level: Int)
  }

  /// The columns' names, in order.
  public let names: [String]
  /// Those of text columns that are written as a dictionary and a 32-bit index a row.
  public let dictionaries: Set<String>
  public let codec: Codec
  /// Key-value pairs of the schema, in order.
  let metadata: [(key: String, value: String)]

  /// - Precondition: at least one name, no name twice; a ZSTD level of 1 to 22.
  public init(
    names: [String], dictionaries: Set<String> = [], codec: Codec = .lz4, metadata: [(key: String, value: String)] = []
  ) {
    precondition(!names.isEmpty, "a shard has at least one column")
    precondition(Set(names).count == names.count, "two columns have the same name")
    if case .zstd(let level) = codec { precondition((1...22).contains(level), "ZSTD levels are 1 to 22") }
    self.names = names
    self.dictionaries = dictionaries
    self.codec = codec
    self.metadata = metadata
  }

  /// Writes one batch as an Arrow IPC file at `path` and syncs the file, not its folder. An existing file is
  /// overwritten in place; after an error no regular file remains. A full disk is `.system(ENOSPC)`.
  public func write(_ columns: [Column], to path: String) throws(ColumnarFileError) {
    try lending(columns, path: path) { schema, array, options, error in
      carrow_write_file(path, schema, array, options, error)
    }
  }

  /// The same as a Parquet file of one row group, for tools that read no Arrow IPC (DuckDB without extensions).
  public func writeParquet(_ columns: [Column], to path: String) throws(ColumnarFileError) {
    try lending(columns, path: path) { schema, array, options, error in
      carrow_write_parquet(path, schema, array, options, error)
    }
  }

  /// One batch as an Arrow IPC stream in memory.
  public func encodeTail(_ columns: [Column]) throws(ColumnarFileError) -> [UInt8] {
    var bytes = CArrowBytes()
    try lending(columns, path: "encoded batch") { schema, array, options, error in
      carrow_encode(schema, array, options, &bytes, error)
    }
    defer { carrow_bytes_free(&bytes) }
    // SAFETY: the shim owns `count` bytes at `data` until they are freed.
    return [UInt8](UnsafeRawBufferPointer(start: bytes.data, count: bytes.count))
  }

  /// The columns that `encodeTail` was given, strings one entry a row.
  public static func decodeTail(_ bytes: [UInt8]) throws(ColumnarFileError) -> [NamedColumn] {
    try decodeBatch(bytes).columns
  }

  /// The same with the metadata of the schema.
  static func decodeBatch(
    _ bytes: [UInt8]
  ) throws(ColumnarFileError) -> (columns: [NamedColumn], metadata: [String: String]) {
    let path = "encoded batch"
    var error = CArrowError()
    var schema = ArrowSchema()
    var array = ArrowArray()
    guard carrow_decode(bytes, bytes.count, &schema, &array, &error) == CARROW_OK else {
      throw ColumnarFileError(error, path: path)
    }
    defer {
      array.release(&array)
      schema.release(&schema)
    }
    let fields = ArrowField(schema)
    let selection = fields.children.enumerated().map { (name: $1.name, path: [$0], type: nil as FieldType?) }
    let columns = try ArrowBatch.columns(&array, schema: fields, selection, textIsUTF8: true, path: path).columns
    return (columns, metadata(of: schema))
  }

  /// The metadata of a schema: the number of pairs, then of each pair the length and the bytes of key and value; numbers
  /// are 32-bit, in the byte order of the machine (C Data Interface).
  private static func metadata(of schema: ArrowSchema) -> [String: String] {
    guard let bytes = schema.metadata else { return [:] }
    // SAFETY: the shim exported the schema, so the pointer leads to metadata in the format above, which says itself
    // where it ends; it is read before the schema is released, and texts are copied.
    let base = UnsafeRawPointer(bytes)
    var at = 0
    func number() -> Int {
      defer { at += 4 }
      return Int(base.loadUnaligned(fromByteOffset: at, as: Int32.self))
    }
    func text() -> String {
      let count = number()
      defer { at += count }
      // SAFETY: see above.
      return String(decoding: UnsafeRawBufferPointer(start: base + at, count: count), as: UTF8.self)
    }
    var pairs: [String: String] = [:]
    for _ in 0..<number() {
      let key = text()
      pairs[key] = text()
    }
    return pairs
  }

  private func lending(
    _ columns: [Column], path: String,
    _ body: (
      UnsafeMutablePointer<ArrowSchema>, UnsafeMutablePointer<ArrowArray>, UnsafePointer<CArrowWriteOptions>,
      UnsafeMutablePointer<CArrowError>
    ) -> CArrowCode
  ) throws(ColumnarFileError) {
    let export: ArrowExport
    do throws(ArrowExport.TooLarge) {
      export = try ArrowExport(names: names, columns: columns, dictionaries: dictionaries)
    } catch {
      let message = "column '\(error.column)' holds more than 2 GiB of text; write fewer rows at once"
      throw ColumnarFileError(.tooLarge, path: path, message: message)
    }
    var error = CArrowError()
    let code = withCStrings(metadata.map(\.key)) { keys in
      withCStrings(metadata.map(\.value)) { values in
        // SAFETY: the call that reads the options runs inside all four closures, and the shim copies the metadata. Keys
        // and values are equally many.
        keys.withUnsafeBufferPointer { keys in
          values.withUnsafeBufferPointer { values in
            var options = CArrowWriteOptions()
            (options.codec, options.level) = rawCodec
            options.metadata_keys = keys.baseAddress
            options.metadata_values = values.baseAddress
            options.metadata_count = keys.count
            return export.lend { schema, array in body(schema, array, &options, &error) }
          }
        }
      }
    }
    guard code == CARROW_OK else { throw ColumnarFileError(error, path: path) }
  }

  private var rawCodec: (CArrowCodec, Int32) {
    switch codec {
    case .none: (CARROW_CODEC_NONE, 0)
    case .lz4: (CARROW_CODEC_LZ4, 0)
    case .zstd(let level): (CARROW_CODEC_ZSTD, Int32(level))
    }
  }
}
