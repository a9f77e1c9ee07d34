// Files to samples: NDJSON, CSV and columns. Not on the path of an event: clarity goes before speed.

public import Detection
internal import Foundation

extension EventSample {
  /// The sample of NDJSON text: one object a line, blank lines skipped, at most `limit` events. A line that is not an
  /// object is counted; a byte order mark is passed over.
  public init(ndjson text: String, limit: Int = 10_000) {
    self.init(origin: .json)
    let lines = Self.withoutMark(text).split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }
    for (index, line) in lines.enumerated() where !line.allSatisfy(\.isWhitespace) {
      guard events < limit else { break }
      let parsed = try? JSONSerialization.jsonObject(with: Data(line.utf8))
      guard let object = parsed as? [String: Any] else {
        skipRecord(line: index + 1)
        continue
      }
      beginEvent()
      observe(object, under: [], text: String(line))
    }
  }

  private static func withoutMark(_ text: String) -> Substring {
    text.unicodeScalars.first == "\u{FEFF}" ? Substring(text.unicodeScalars.dropFirst()) : text[...]
  }

  /// Takes an object apart. Keys come in the order in which the text names them.
  private mutating func observe(_ object: [String: Any], under path: [String], text: String) {
    let places = object.keys.map { key in
      (key, text.range(of: "\"\(key)\"").map { text.distance(from: text.startIndex, to: $0.lowerBound) } ?? .max)
    }
    for (key, _) in places.sorted(by: { ($0.1, $0.0) < ($1.1, $1.0) }) {
      guard let value = object[key] else { continue }
      let inner = path + [key]
      if let nested = value as? [String: Any], !nested.isEmpty, inner.count < 8 {
        observe(nested, under: inner, text: text)
      } else {
        observe(inner, Self.value(of: value))
      }
    }
  }

  private static func value(of value: Any) -> ObservedValue {
    switch value {
    case is NSNull: .null
    case let text as String: .string(text)
    case let number as NSNumber:
      switch UInt8(bitPattern: number.objCType.pointee) {
      case UInt8(ascii: "c"), UInt8(ascii: "B"): .bool(number.boolValue)
      case UInt8(ascii: "d"), UInt8(ascii: "f"): .double(number.doubleValue)
      case UInt8(ascii: "Q"): Int64(exactly: number.uint64Value).map { .int($0) } ?? .double(number.doubleValue)
      default: .int(number.int64Value)
      }
    default: .json
    }
  }

  /// The sample of CSV text (RFC 4180) whose first record names the columns. An empty value is null. A record with
  /// another number of values is counted as unreadable; a byte order mark is passed over.
  /// - Parameter delimiter: nil goes by the header.
  public init(csv text: String, delimiter: CSVDelimiter? = nil, limit: Int = 10_000) {
    self.init(origin: .csv)
    let text = Self.withoutMark(text)
    let delimiter = delimiter ?? CSVDelimiter(header: text)
    self.delimiter = delimiter
    var records = CSVRecords(text, delimiter)
    guard let header = records.next() else { return }
    while events < limit, let record = records.next() {
      guard record.count == header.count else {
        if record != [""] { skipRecord(line: records.firstLine) }
        continue
      }
      beginEvent()
      var names: Set<String> = []
      // Of columns with equal names the first counts.
      for (name, value) in zip(header, record) where names.insert(name).inserted {
        observe([name], value.isEmpty ? .null : .string(value))
      }
    }
  }

  /// The sample of columns of a columnar file.
  public init(columns: [NamedColumn], limit: Int = 10_000) {
    self.init(origin: .columns)
    append(columns: columns, limit: limit)
  }

  /// Notes the type that a columnar file itself gives a column, which counts where the sample holds nothing of it.
  public mutating func declare(_ name: String, as type: FieldType) { change([name]) { $0.declared = type } }

  /// Adds the next batch of a columnar file, up to `limit` events in all.
  /// - Parameter misfits: the values of the batch that its columns cannot hold.
  public mutating func append(columns: [NamedColumn], misfits: [ColumnMisfit] = [], limit: Int) {
    let rows = min(limit - events, columns.first?.column.count ?? 0)
    for named in columns {
      change([named.name]) { $0.declared = $0.declared ?? Self.type(of: named.column) }
    }
    for row in 0..<rows {
      beginEvent()
      for named in columns { observe([named.name], Self.value(of: named.column[row])) }
    }
    for misfit in misfits where misfit.row < rows { change([misfit.column]) { $0.observe(misfit) } }
  }

  private static func type(of column: Column) -> FieldType {
    switch column.type {
    case .int: .int
    case .double: .double
    case .bool: .bool
    case .string: .string
    case .timestamp: .timestamp(.automatic)
    }
  }

  private static func value(of scalar: Scalar) -> ObservedValue {
    switch scalar {
    case .null: .null
    case .int(let value): .int(value)
    case .double(let value): .double(value)
    case .bool(let value): .bool(value)
    case .string(let value): .string(value)
    case .timestamp(let value): .timestamp(value)
    }
  }
}

/// The records of CSV text by RFC 4180: quotes around values that hold delimiters, quotes or line ends, quotes doubled. A
/// quote that is not closed within the largest event costs its line, as when the file is read.
private struct CSVRecords {
  private let bytes: [UInt8]
  private let separator: UInt8
  private var offset = 0
  private var line = 1
  /// The line that the last record began with, from 1.
  private(set) var firstLine = 1

  init(_ text: Substring, _ delimiter: CSVDelimiter) {
    bytes = Array(text.utf8)
    separator = delimiter.byte
  }

  mutating func next() -> [String]? {
    guard offset < bytes.count else { return nil }
    let start = offset
    firstLine = line
    if let record = record(endingBy: start + Limits.maxEventBytes) { return record }
    line = firstLine + 1
    offset = bytes[start...].firstIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? bytes.count
    return []
  }

  /// The record at `offset`; nil if a quote of it is not closed before `limit`.
  private mutating func record(endingBy limit: Int) -> [String]? {
    var record: [String] = []
    var value: [UInt8] = []
    var quoted = false
    while offset < bytes.count {
      if quoted, offset >= limit { break }
      let byte = bytes[offset]
      offset += 1
      if byte == UInt8(ascii: "\n") { line += 1 }
      if quoted {
        if byte != UInt8(ascii: "\"") {
          value.append(byte)
        } else if offset < bytes.count, bytes[offset] == UInt8(ascii: "\"") {
          value.append(byte)
          offset += 1
        } else {
          quoted = false
        }
      } else if byte == UInt8(ascii: "\""), value.isEmpty {
        quoted = true
      } else if byte == separator {
        record.append(String(decoding: value, as: UTF8.self))
        value = []
      } else if byte == UInt8(ascii: "\n") {
        break
      } else {
        value.append(byte)
      }
    }
    if quoted { return nil }
    if value.last == UInt8(ascii: "\r") { value.removeLast() }
    record.append(String(decoding: value, as: UTF8.self))
    return record
  }
}
