// Nested values as JSON text (RFC 8259), for fields of type json. Invariant: the text is one valid JSON value; equal
// values give equal text. Times are RFC 3339 in UTC with microseconds, decimals and floats are numbers (words where not
// finite, see `Double.json`), binary is hexadecimal, a map is an object whose keys are the texts of its keys. What has more
// text than an event may have is not written to its end, and is a misfit.

import Detection

/// Writes rows of Arrow arrays as JSON.
struct ArrowJSON {
  /// Whether all text is known to be UTF-8.
  let textIsUTF8: Bool
  /// The first value of the last row that JSON text cannot say; the text is of no use then.
  private(set) var misfit: ArrowMisfit?
  private var output: [UInt8] = []

  init(textIsUTF8: Bool) { self.textIsUTF8 = textIsUTF8 }

  /// The JSON text of one row.
  mutating func text(_ node: ArrowNode, _ row: Int) -> [UInt8] {
    output.removeAll(keepingCapacity: true)
    misfit = nil
    append(node, row)
    return output
  }

  /// Lowercase hexadecimal digits of bytes.
  static func hexadecimal(_ bytes: some Sequence<UInt8>) -> [UInt8] {
    let digits = Array("0123456789abcdef".utf8)
    return bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
  }

  /// Whether there is as much text as an event may have. What is not written does not cost: a value may name another any
  /// number of times.
  private var isFull: Bool { output.count > Limits.maxEventBytes }

  private mutating func append(_ node: ArrowNode, _ row: Int) {
    if isFull { return note(ArrowMisfit(tooLarge: ())) }
    guard node.isValid(row) else { return append("null") }
    if let dictionary = node.dictionary { return append(dictionary, node.dictionaryIndex(row)) }
    let one = row..<row + 1
    switch node.field.type {
    case .null, .unsupported:
      append("null")
    case .bool:
      append(node.boolean(row) ? "true" : "false")
    case .integer(bytes: 8, signed: false):
      append("\(node.values(UInt64.self, one)[0])")
    case .integer, .timeOfDay, .duration:
      let (values, misfits) = ArrowNumbers.integers(node, one)
      append("\(values[0])")
      if !misfits.isEmpty { note(ArrowMisfit(number: node, row)) }
    case .date32, .date64, .timestamp:
      let (values, misfits) = ArrowNumbers.integers(node, one)
      append("\"\(Timestamp.format(values[0], alwaysMicroseconds: true))\"")
      if !misfits.isEmpty { note(ArrowMisfit(number: node, row)) }
    case .float, .decimal:
      let value = ArrowNumbers.doubles(node, one, nil)[0]
      append(value.json)
    case .text:
      let bytes = node.bytes(row)
      append(quoted: bytes)
      if !textIsUTF8, !ArrowMisfit.isUTF8(bytes) { note(ArrowMisfit(text: bytes)) }
    case .binary, .fixedBinary:
      append("\"")
      output.append(contentsOf: Self.hexadecimal(node.bytes(row)))
      append("\"")
    case .structure:
      appendObject(node, row)
    case .list, .fixedList:
      appendSequence("[", node.elements(row), "]") { json, element in json.append(node.child(0), element) }
    case .map:
      let entries = node.child(0)
      appendSequence("{", node.elements(row), "}") { json, entry in
        json.append(key: entries.child(0), entry + entries.offset)
        json.append(":")
        json.append(entries.child(1), entry + entries.offset)
      }
    }
  }

  private mutating func appendObject(_ node: ArrowNode, _ row: Int) {
    appendSequence("{", 0..<node.field.children.count, "}") { json, index in
      json.append(quoted: node.field.children[index].name.utf8)
      json.append(":")
      json.append(node.child(index), row + node.offset)
    }
  }

  private mutating func appendSequence(
    _ open: String, _ indices: Range<Int>, _ close: String, _ element: (inout ArrowJSON, Int) -> Void
  ) {
    append(open)
    for index in indices {
      if isFull {
        note(ArrowMisfit(tooLarge: ()))
        break
      }
      if index > indices.lowerBound { append(",") }
      element(&self, index)
    }
    append(close)
  }

  /// A map's key: JSON allows only strings there.
  private mutating func append(key node: ArrowNode, _ row: Int) {
    var rendered = ArrowJSON(textIsUTF8: textIsUTF8)
    let text = rendered.text(node, row)
    if let misfit = rendered.misfit { note(misfit) }
    if text.first == UInt8(ascii: "\"") { return output.append(contentsOf: text) }
    append(quoted: text)
  }

  private mutating func note(_ misfit: ArrowMisfit) {
    if self.misfit == nil { self.misfit = misfit }
  }

  private mutating func append(_ text: String) { output.append(contentsOf: text.utf8) }

  private mutating func append(quoted bytes: some Sequence<UInt8>) {
    output.append(UInt8(ascii: "\""))
    for byte in bytes {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        output.append(UInt8(ascii: "\\"))
        output.append(byte)
      case 0x0A: append("\\n")
      case 0x0D: append("\\r")
      case 0x09: append("\\t")
      case 0..<0x20:
        append("\\u00")
        output.append(contentsOf: Self.hexadecimal(CollectionOfOne(byte)))
      default: output.append(byte)
      }
    }
    output.append(UInt8(ascii: "\""))
  }
}
