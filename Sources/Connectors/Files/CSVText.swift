// The little of CSV that a reader must know to find where records end and what the columns are called. RFC 4180 with
// line feeds allowed as line ends; fields are taken apart by the decoder.

import Detection
import Foundation

/// Where a CSV line leaves its reader.
///
/// SAFETY: bytes are lent for the time of a call and only searched; what is kept of them is copied.
enum CSVText {
  private static let quote = UInt8(ascii: "\"")

  private enum State { case fieldStart, plain, quoted, quoteInQuoted }

  /// Whether a quoted field is still open at the end of a line. A quote opens a field only as its first character;
  /// elsewhere it stands for itself, and a doubled one within quotes does too.
  static func isOpen(after line: UnsafeRawBufferPointer, from isOpen: Bool, _ delimiter: CSVDelimiter) -> Bool {
    var isOpen = isOpen
    var index = 0
    while let found = firstQuote(in: line, from: index) {
      index = found + 1
      if !isOpen {
        isOpen = found == 0 || line[found - 1] == delimiter.byte
      } else if index < line.count && line[index] == quote {
        index += 1
      } else {
        isOpen = false
      }
    }
    return isOpen
  }

  private static func firstQuote(in line: UnsafeRawBufferPointer, from index: Int) -> Int? {
    // SAFETY: the search begins and ends within the buffer.
    guard index < line.count, let start = line.baseAddress,
      let found = memchr(start + index, Int32(quote), line.count - index)
    else { return nil }
    return UnsafeRawPointer(found) - start
  }

  /// The fields of one record, unquoted; nil where they are not UTF-8.
  static func fields(of record: UnsafeRawBufferPointer, _ delimiter: CSVDelimiter) -> [String]? {
    let separator = delimiter.byte
    var fields: [[UInt8]] = [[]]
    var state: State = .fieldStart
    for byte in record {
      let last = fields.count - 1
      switch (state, byte) {
      case (.fieldStart, quote): state = .quoted
      case (.fieldStart, separator), (.plain, separator), (.quoteInQuoted, separator):
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
