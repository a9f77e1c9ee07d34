// Values that none of our columns can hold, in the words of a dead letter.

import Detection

/// What was expected and found where a value does not fit.
struct ArrowMisfit {
  let reason: DeadLetter.Reason
  let expected: String
  let found: String

  /// Bytes of a text quoted in a message.
  private static let quotedBytes = 24

  /// An unsigned integer beyond 2^63 - 1, or a time or duration that overflows as microseconds.
  init(number node: ArrowNode, _ row: Int) {
    reason = .outOfRange
    let one = row..<row + 1
    let time = "a time that 64 bits can count in microseconds"
    // The types of which some value overflows: dates of 32 bits, and 64 bits that count more than microseconds.
    switch node.field.type {
    case .integer:
      expected = "an integer of 64 bits"
      found = String(node.values(UInt64.self, one)[0])
    case .date32:
      expected = time
      found = "\(node.values(Int32.self, one)[0]) days"
    case .duration(let unit):
      expected = "a duration that 64 bits can count in microseconds"
      found = "\(node.values(Int64.self, one)[0]) \(unit)s"
    case .timestamp(let unit):
      expected = time
      found = "\(node.values(Int64.self, one)[0]) \(unit)s"
    case .date64:
      expected = time
      found = "\(node.values(Int64.self, one)[0]) milliseconds"
    default: preconditionFailure("a \(node.field.type) that does not fit")
    }
  }

  /// A nested value with more JSON text than an event may have.
  init(tooLarge: Void) {
    reason = .tooLarge
    expected = "JSON of at most \(Limits.maxEventBytes) bytes"
    found = "more"
  }

  /// Text or binary data that is not UTF-8.
  init(text bytes: UnsafeRawBufferPointer) {
    reason = .invalidUTF8
    expected = "UTF-8"
    let shown = String(decoding: ArrowJSON.hexadecimal(bytes.prefix(Self.quotedBytes)), as: UTF8.self)
    found = "the bytes \(shown)\(bytes.count > Self.quotedBytes ? "…" : "") (hexadecimal)"
  }

  static func isUTF8(_ bytes: UnsafeRawBufferPointer) -> Bool {
    // SAFETY: raw bytes may be read as bytes; the span does not outlive the call.
    (try? UTF8Span(validating: bytes.bindMemory(to: UInt8.self).span)) != nil
  }
}
