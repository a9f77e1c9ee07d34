// Events in the body of a request: one, an array of them, `{"events": [...]}`, or one a line. They are taken apart as bytes,
// and each is what the decoder of events gets: numbers keep their digits, and what is wrong with one is said of that one.

import Detection
import HTTPTypes

/// The events of a body, undecoded.
struct EventBody: Sendable {
  /// In their order.
  var records: [[UInt8]]
  /// Whether it was one event and no list.
  var isSingle: Bool

  /// Events of one request at most.
  static let most = 10_000
  /// Bytes of a body at most, unpacked.
  static let mostBytes = 16 << 20
  static let lines = "application/x-ndjson"

  /// The forms that a body may have.
  static func content(example: String) -> [Endpoint.Content] {
    [
      .json(.anything, example: example), Endpoint.Content(lines, .anything),
      Endpoint.Content("application/ndjson", .anything),
    ]
  }

  /// - Parameter hasEnvelope: whether an object whose first member is `events` is a list; false where events have such a field.
  /// - Throws: `Problem` where the body is no list of JSON values, or has too many or none.
  init(_ body: [UInt8], type: String?, hasEnvelope: Bool) throws(Problem) {
    let type = (type ?? "application/json").prefix { $0 != ";" }.lowercased()
    if type.hasSuffix("ndjson") {
      records = try Self.lines(of: body)
      isSingle = false
    } else {
      var splitter = Splitter(body)
      let ranges = try splitter.events(hasEnvelope: hasEnvelope)
      records = ranges.list.map { Array(body[$0]) }
      isSingle = ranges.isSingle
    }
    guard !records.isEmpty else { throw Problem(.badRequest, "There are no events", "Send at least one.") }
  }

  /// The lines that are not blank, without their ends.
  private static func lines(of body: [UInt8]) throws(Problem) -> [[UInt8]] {
    var lines: [[UInt8]] = []
    var start = body.startIndex
    while start < body.endIndex {
      let end = body[start...].firstIndex(of: 0x0A) ?? body.endIndex
      let line = body[start..<end].last == 0x0D ? body[start..<end - 1] : body[start..<end]
      if line.contains(where: { !isSpace($0) }) {
        guard lines.count < most else { throw tooMany }
        lines.append(Array(line))
      }
      start = end + 1
    }
    return lines
  }

  /// Said as soon as it is known: what follows may be very much.
  fileprivate static var tooMany: Problem {
    Problem(.contentTooLarge, "There are too many events", "At most \(most) in one request.")
  }

  fileprivate static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
}

/// Finds where the values of a list begin and end. What stands within a value is the decoder's to judge: only brackets and
/// strings are looked at.
private struct Splitter {
  private let bytes: [UInt8]
  private var at = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  mutating func events(hasEnvelope: Bool) throws(Problem) -> (list: [Range<Int>], isSingle: Bool) {
    skipSpace()
    let found: (list: [Range<Int>], isSingle: Bool)
    if peek == UInt8(ascii: "[") {
      found = (try array(), false)
    } else if hasEnvelope, let list = try envelope() {
      found = (list, false)
    } else {
      found = ([try value()], true)
    }
    skipSpace()
    guard at == bytes.count else { throw wrong("something follows the events") }
    return found
  }

  private var peek: UInt8? { at < bytes.count ? bytes[at] : nil }

  private mutating func skipSpace() { while let byte = peek, EventBody.isSpace(byte) { at += 1 } }

  /// The list of `{"events": [...]}`; nil, and nothing passed over, where the body is another object.
  private mutating func envelope() throws(Problem) -> [Range<Int>]? {
    let start = at
    guard peek == UInt8(ascii: "{") else { return nil }
    at += 1
    skipSpace()
    let name = Array(#""events""#.utf8)
    guard bytes[at...].starts(with: name) else { return back(to: start) }
    at += name.count
    skipSpace()
    guard peek == UInt8(ascii: ":") else { return back(to: start) }
    at += 1
    skipSpace()
    guard peek == UInt8(ascii: "[") else { return back(to: start) }
    let list = try array()
    skipSpace()
    guard peek == UInt8(ascii: "}") else { throw wrong("expected `events` alone in the object") }
    at += 1
    return list
  }

  private mutating func back(to start: Int) -> [Range<Int>]? {
    at = start
    return nil
  }

  private mutating func array() throws(Problem) -> [Range<Int>] {
    at += 1
    var ranges: [Range<Int>] = []
    skipSpace()
    if peek == UInt8(ascii: "]") {
      at += 1
      return []
    }
    while true {
      guard ranges.count < EventBody.most else { throw EventBody.tooMany }
      ranges.append(try value())
      skipSpace()
      switch peek {
      case UInt8(ascii: ","): at += 1
      case UInt8(ascii: "]"):
        at += 1
        return ranges
      default: throw wrong("expected a comma or the end of the list behind event \(ranges.count - 1)")
      }
    }
  }

  private mutating func value() throws(Problem) -> Range<Int> {
    skipSpace()
    let start = at
    var depth = 0
    while let byte = peek {
      switch byte {
      case UInt8(ascii: "\""):
        try string()
        if depth == 0 { return start..<at }
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        depth += 1
        at += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        if depth == 0 { return try end(of: start) }
        depth -= 1
        at += 1
        if depth == 0 { return start..<at }
      case UInt8(ascii: ","):
        if depth == 0 { return try end(of: start) }
        at += 1
      default:
        if depth == 0, EventBody.isSpace(byte) { return try end(of: start) }
        at += 1
      }
    }
    guard depth == 0 else { throw wrong("it ends within an event") }
    return try end(of: start)
  }

  private func end(of start: Int) throws(Problem) -> Range<Int> {
    guard at > start else { throw wrong("expected an event at byte \(at)") }
    return start..<at
  }

  private mutating func string() throws(Problem) {
    at += 1
    while let byte = peek {
      at += byte == UInt8(ascii: "\\") ? 2 : 1
      if byte == UInt8(ascii: "\"") { return }
    }
    throw wrong("it ends within a string")
  }

  private func wrong(_ what: String) -> Problem {
    Problem(.badRequest, "The body is no JSON", "In the list of events: \(what).")
  }
}
