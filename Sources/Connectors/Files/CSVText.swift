// The little of CSV that a reader must know to find where records end and what the columns are called. RFC 4180 with
// line feeds allowed as line ends; fields are taken apart by the decoder.

/// Where a CSV line leaves its reader.
enum CSVText {
  private static let quote = UInt8(ascii: "\"")
  private static let comma = UInt8(ascii: ",")

  private enum State { case fieldStart, plain, quoted, quoteInQuoted }

  /// Whether a quoted field is still open at the end of a line. A quote opens a field only as its first character;
  /// elsewhere it stands for itself, and a doubled one within quotes does too.
  static func isOpen(after line: UnsafeRawBufferPointer, from isOpen: Bool) -> Bool {
    var state: State = isOpen ? .quoted : .fieldStart
    for byte in line {
      switch state {
      case .fieldStart: state = byte == quote ? .quoted : byte == comma ? .fieldStart : .plain
      case .plain: if byte == comma { state = .fieldStart }
      case .quoted: if byte == quote { state = .quoteInQuoted }
      case .quoteInQuoted: state = byte == quote ? .quoted : byte == comma ? .fieldStart : .plain
      }
    }
    return state == .quoted
  }

  /// The fields of one record, unquoted; nil where they are not UTF-8.
  static func fields(of record: UnsafeRawBufferPointer) -> [String]? {
    var fields: [[UInt8]] = [[]]
    var state: State = .fieldStart
    for byte in record {
      let last = fields.count - 1
      switch (state, byte) {
      case (.fieldStart, quote): state = .quoted
      case (.fieldStart, comma), (.plain, comma), (.quoteInQuoted, comma):
        fields.append([])
        state = .fieldStart
      case (.quoted, quote): state = .quoteInQuoted
      case (.quoted, _): fields[last].append(byte)
      case (.quoteInQuoted, quote):
        fields[last].append(byte)
        state = .quoted
      default:
        fields[last].append(byte)
        state = .plain
      }
    }
    var names: [String] = []
    for field in fields {
      guard let name = String(validating: field, as: UTF8.self) else { return nil }
      names.append(name)
    }
    return names
  }
}
