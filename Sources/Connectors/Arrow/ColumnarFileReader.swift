// Reads Parquet files, Arrow IPC files (Feather V2) and Arrow IPC streams into columns. Invariants: rows come in the
// order of the file; `position` counts the rows returned or skipped, so a reader opened anew that skips as many goes
// on with the same row; a batch depends on the file and the rows asked for, on nothing else.

import CArrow
public import Detection
import Foundation
import Pipeline

/// A columnar file being read by one owner. Not for concurrent use.
public final class ColumnarFileReader {
  /// The formats that are told apart by a file's first bytes.
  public enum Format: String, Sendable, Hashable {
    case parquet
    /// The Arrow IPC file format, also called Feather V2.
    case arrowFile = "arrow_file"
    case arrowStream = "arrow_stream"
  }

  /// A column that the file offers.
  public struct ColumnDescription: Sendable, Hashable {
    /// The column's name, or the dotted path of a struct's field.
    public let name: String
    /// The type its values are imported as.
    public let type: FieldType
  }

  /// A column to read.
  public struct Request: Sendable, Hashable {
    /// A column's name or the dotted path of a struct's field. A struct may also be asked for whole, as json.
    public let name: String
    /// The type it will be used as; decides only where the file leaves a choice (json for nested values, string or double
    /// for unsigned 64-bit integers, any type for a column of type null). The caller converts what still differs.
    public let type: FieldType?

    public init(_ name: String, as type: FieldType? = nil) {
      self.name = name
      self.type = type
    }
  }

  public let path: String
  public let format: Format
  /// Rows in the file; nil where only reading it would tell (an Arrow stream).
  public let rowCount: Int?
  /// Every column that can be read, structs taken apart into dotted paths, in the order of the file.
  public let columns: [ColumnDescription]
  /// Names of columns whose type has no counterpart (unions, run-end encoding, calendar intervals).
  public let unsupportedColumns: [String]
  /// Rows returned or skipped so far.
  public private(set) var position = 0
  /// Values of the batch returned last that their column cannot hold, and that are null in it: an unsigned integer
  /// beyond 2^63 - 1, a time that overflows as microseconds, text or binary data that is not UTF-8.
  public private(set) var misfits: [ColumnMisfit] = []

  private let handle: OpaquePointer
  /// What is left of the shim's last batch: its rows are handed on in several parts where their text is too much for one.
  private var pending: (batch: ArrowArray, next: Int)?
  /// Rows of a part that was not too much, and may be twice as many the next time.
  private var partRows = Int.max
  private let wholeSchema: ArrowField
  /// What `nextBatch` returns: the name, where it lies in the shim's batches, and the type asked for.
  private var selection: [(name: String, path: [Int], type: FieldType?)]
  /// The schema of the shim's batches: the file's, or the part of it that was selected.
  private var schema: ArrowField

  /// Opens a file and reads its schema. At most `batchRows` rows, of about `Limits.maxBatchBytes`, are decoded at once
  /// where the format allows that (Parquet); an Arrow file is decoded in the batches it was written in.
  public init(path: String, batchRows: Int = Limits.maxBatchRows) throws(ColumnarFileError) {
    precondition(batchRows > 0, "a batch has at least one row")
    var error = CArrowError()
    var opened: OpaquePointer?
    var limits = CArrowLimits(
      batch_rows: Int64(batchRows), batch_bytes: Int64(Limits.maxBatchBytes),
      memory_ratio: Int64(Limits.fileExpansion), least_memory: Int64(Limits.leastFileMemory),
      most_memory: Int64(Limits.mostFileMemory), footer_bytes: Int64(Limits.maxFooterBytes),
      columns: Int64(Limits.maxFileColumns))
    guard carrow_reader_open(path, &limits, &opened, &error) == CARROW_OK, let opened else {
      throw ColumnarFileError(error, path: path)
    }
    let schema: ArrowField
    do throws(ColumnarFileError) {
      schema = try Self.schema(of: opened, path: path)
    } catch {
      // The object is not complete yet, so its deinitializer would not run.
      carrow_reader_close(opened)
      throw error
    }
    handle = opened
    self.path = path
    self.schema = schema
    wholeSchema = schema
    format =
      switch carrow_reader_format(opened) {
      case CARROW_FORMAT_PARQUET: .parquet
      case CARROW_FORMAT_IPC_FILE: .arrowFile
      default: .arrowStream
      }
    let rows = carrow_reader_row_count(opened)
    rowCount = rows < 0 ? nil : Int(rows)
    let leaves = schema.leaves
    // Two columns may have one name; a name can mean only the first.
    var seen: Set<String> = []
    let named = leaves.filter { seen.insert($0.name).inserted }
    columns = named.compactMap { leaf in leaf.field.fieldType.map { ColumnDescription(name: leaf.name, type: $0) } }
    unsupportedColumns = named.filter { $0.field.fieldType == nil }.map(\.name)
    selection = named.filter { $0.field.fieldType != nil }.map { ($0.name, $0.path, nil) }
  }

  deinit {
    dropPending()
    carrow_reader_close(handle)
  }

  private func dropPending() {
    if var (batch, _) = pending { batch.release?(&batch) }
    pending = nil
  }

  /// Whether `name` can be read: a column, the dotted path of a struct's field, or a struct as a whole.
  public func hasColumn(_ name: String) -> Bool { wholeSchema.field(at: name)?.fieldType != nil }

  /// Restricts reading to these columns and starts again at the first row. Only they are decoded.
  /// - Throws: `noSuchColumn` where the file has no column of that name; `columns` tells which there are.
  public func select(_ requests: [Request]) throws(ColumnarFileError) {
    precondition(!requests.isEmpty, "at least one column must be read")
    var names: [String] = []
    for request in requests {
      guard let found = wholeSchema.path(to: request.name) else { throw noSuchColumn(request.name) }
      // Parquet reads a single field of a struct; the Arrow formats hold a struct's fields together.
      names.append(format == .parquet ? request.name : wholeSchema.children[found[0]].name)
    }
    var error = CArrowError()
    let code = withCStrings(names) { carrow_reader_select(handle, $0, names.count, &error) }
    guard code == CARROW_OK else { throw ColumnarFileError(error, path: path) }
    dropPending()
    position = 0
    schema = try Self.schema(of: handle, path: path)
    selection = []
    for request in requests {
      guard let found = schema.path(to: request.name) else { throw noSuchColumn(request.name) }
      selection.append((request.name, found, request.type))
    }
  }

  /// The next rows, at most `maxRows` of them, as the selected columns in the order of the selection (all columns
  /// where nothing was selected); nil at the end of the file. Fewer rows than asked for do not mean the end: there are
  /// fewer where their values would have more than `maxBytes` in the file's own form. A single row may have more.
  public func nextBatch(
    maxRows: Int, maxBytes: Int = Limits.maxBatchBytes
  ) throws(ColumnarFileError) -> [NamedColumn]? {
    precondition(maxRows > 0 && maxBytes > 0, "a batch has at least one row")
    if pending == nil {
      var error = CArrowError()
      var array = ArrowArray()
      guard carrow_reader_next(handle, Int64(maxRows), Int64(maxBytes), &array, &error) == CARROW_OK else {
        throw ColumnarFileError(error, path: path)
      }
      guard array.release != nil else { return nil }
      pending = (array, 0)
    }
    guard let (batch, first) = pending else { preconditionFailure("a batch is at hand") }
    let whole = Int(batch.length)
    let columns: [NamedColumn]
    let end: Int
    do throws(ColumnarFileError) {
      (columns, end) = try part(of: batch, from: first, atMost: min(maxRows, whole - first))
    } catch {
      dropPending()
      throw error
    }
    position += end - first
    if end == whole { dropPending() } else { pending?.next = end }
    return columns
  }

  /// Rows of a batch from one on: as many as their text allows, but one. Values may be shared within a batch, or be long in
  /// our form and not in the file's.
  /// - Returns: the columns, and where the next part begins.
  private func part(
    of batch: ArrowArray, from first: Int, atMost rows: Int
  ) throws(ColumnarFileError) -> (columns: [NamedColumn], end: Int) {
    var rows = min(rows, partRows)
    while true {
      var batch = batch
      let imported = try ArrowBatch.columns(
        &batch, rows: first..<first + rows, textLimit: rows > 1 ? Limits.maxBatchText : nil, schema: schema, selection,
        textIsUTF8: carrow_reader_text_is_utf8(handle) != 0, path: path)
      if let imported {
        misfits = imported.misfits
        partRows = rows > Int.max / 2 ? .max : rows * 2
        return (imported.columns, first + rows)
      }
      rows = max(1, rows / 8)
    }
  }

  /// Moves forward by `rows` rows, or to the end of the file, without decoding whole row groups and record batches
  /// that are passed over. Returns how many rows were skipped.
  @discardableResult
  public func skip(rows: Int) throws(ColumnarFileError) -> Int {
    precondition(rows >= 0, "a reader moves only forward")
    var rest = rows
    if let (batch, next) = pending {
      let dropped = min(rest, Int(batch.length) - next)
      rest -= dropped
      position += dropped
      if next + dropped == Int(batch.length) { dropPending() } else { pending?.next = next + dropped }
    }
    guard rest > 0 else { return rows }
    var error = CArrowError()
    var skipped: Int64 = 0
    guard carrow_reader_skip(handle, Int64(rest), &skipped, &error) == CARROW_OK else {
      throw ColumnarFileError(error, path: path)
    }
    position += Int(skipped)
    return rows - rest + Int(skipped)
  }

  private static func schema(of handle: OpaquePointer, path: String) throws(ColumnarFileError) -> ArrowField {
    var error = CArrowError()
    var schema = ArrowSchema()
    guard carrow_reader_schema(handle, &schema, &error) == CARROW_OK else {
      throw ColumnarFileError(error, path: path)
    }
    defer { schema.release(&schema) }
    return ArrowField(schema)
  }

  /// Columns that a message names.
  private static let namedColumns = 100

  private func noSuchColumn(_ name: String) -> ColumnarFileError {
    let shown = columns.prefix(Self.namedColumns).map { TerminalText.escaped($0.name) }.joined(separator: ", ")
    let more = columns.count > Self.namedColumns ? " and \(columns.count - Self.namedColumns) more" : ""
    return ColumnarFileError(
      .noSuchColumn, path: path, message: "no column '\(TerminalText.escaped(name))'; the file has: \(shown)\(more)")
  }
}

/// Takes apart one exported batch.
enum ArrowBatch {
  /// The selected columns of a whole batch, and the values that they cannot hold.
  static func columns(
    _ batch: UnsafePointer<ArrowArray>, schema: ArrowField,
    _ selection: [(name: String, path: [Int], type: FieldType?)], textIsUTF8: Bool, path: String
  ) throws(ColumnarFileError) -> (columns: [NamedColumn], misfits: [ColumnMisfit]) {
    let rows = 0..<Int(batch.pointee.length)
    guard
      let all = try columns(
        batch, rows: rows, textLimit: nil, schema: schema, selection, textIsUTF8: textIsUTF8, path: path)
    else { preconditionFailure("without a limit nothing is too much") }
    return all
  }

  /// The selected columns of some rows of a batch, and the values that they cannot hold.
  /// - Parameter textLimit: bytes of text beyond which there is no result; none where nil.
  static func columns(
    _ batch: UnsafePointer<ArrowArray>, rows chosen: Range<Int>, textLimit: Int?, schema: ArrowField,
    _ selection: [(name: String, path: [Int], type: FieldType?)], textIsUTF8: Bool, path: String
  ) throws(ColumnarFileError) -> (columns: [NamedColumn], misfits: [ColumnMisfit])? {
    // SAFETY: the caller releases the batch after this returns; columns hold copies, and no node leaves the function.
    let root = ArrowNode(batch, schema)
    var misfits: [ColumnMisfit] = []
    var columns: [NamedColumn] = []
    var textLeft = textLimit ?? Int.max
    for selected in selection {
      var node = root
      var rows = chosen
      var present: Bitmap?
      for index in selected.path {
        // A null struct makes its fields null, whatever they hold.
        present = intersection(present, node.validity(rows))
        rows = node.childRows(rows)
        node = node.child(index)
      }
      var importer = ArrowImport(name: selected.name, textIsUTF8: textIsUTF8, textLimit: min(textLeft, Int(UInt32.max)))
      do throws(ArrowImport.Failure) {
        let column = try importer.column(node, rows: rows, as: selected.type, present: present)
        columns.append(NamedColumn(selected.name, column))
        misfits += importer.misfits
        if case .string(let strings)? = columns.last?.column.values { textLeft -= strings.writtenOutBytes }
        if textLeft < 0 { return nil }
      } catch {
        switch error {
        case .unsupported:
          let message = "column '\(selected.name)' has a type that is not supported: \(node.field.type)"
          throw ColumnarFileError(.unsupported, path: path, message: message)
        case .tooLarge:
          if textLimit != nil { return nil }
          let message = "column '\(selected.name)' holds more than 4 GiB of text in one batch; read fewer rows at once"
          throw ColumnarFileError(.tooLarge, path: path, message: message)
        }
      }
    }
    return (columns, misfits)
  }
}

/// Calls `body` with the strings as C strings.
func withCStrings<Result>(_ strings: [String], _ body: ([UnsafePointer<CChar>?]) -> Result) -> Result {
  let copies = strings.map { strdup($0) }
  defer { for copy in copies { free(copy) } }
  // SAFETY: the copies live until the function returns.
  return body(copies.map { UnsafePointer($0) })
}
