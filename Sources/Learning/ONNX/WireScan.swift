// A look over the bytes of an ONNX file before it is decoded: how many messages and strings would have to be made. A
// protobuf message of two bytes becomes an object of hundreds, so the size of a file alone does not bound memory.

import Detection
import Pipeline

/// Walks the fields of protobuf messages (developers.google.com/protocol-buffers, encoding) without keeping any.
struct WireScan {
  /// A message of the schema: which of its fields are messages, and which are repeated strings.
  indirect enum Message {
    case message(children: [UInt64: Message], strings: Set<UInt64> = [])

    static let leaf = Message.message(children: [:])
    static let model = message(children: [7: graph, 8: leaf, 14: leaf])
    static let graph = message(children: [1: node, 5: leaf, 11: value, 12: value])
    static let node = message(children: [5: attribute], strings: [1, 2])
    static let attribute = message(children: [:], strings: [9])
    static let value = message(children: [2: message(children: [1: message(children: [2: shape])])])
    static let shape = message(children: [1: leaf])
  }

  private let bytes: [UInt8]
  private(set) var messages = 0
  private(set) var strings = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// - Throws: `OperatingError` of kind `input` where the bytes are not protobuf, or hold more than a model does.
  mutating func check() throws(OperatingError) {
    try scan(bytes.startIndex..<bytes.endIndex, .model)
  }

  private mutating func scan(_ range: Range<Int>, _ message: Message) throws(OperatingError) {
    guard case .message(let children, let stringFields) = message else { return }
    messages += 1
    guard messages <= TreeModel.Bounds.messages else {
      throw OperatingError(.input, "more than \(TreeModel.Bounds.messages) parts, which no model of ours has")
    }
    var position = range.lowerBound
    while position < range.upperBound {
      let key = try varint(&position, range.upperBound)
      let length: UInt64
      switch key & 7 {
      case 0:
        _ = try varint(&position, range.upperBound)
        continue
      case 1: length = 8
      case 2: length = try varint(&position, range.upperBound)
      case 5: length = 4
      default: throw Self.damaged(position)
      }
      guard length <= UInt64(range.upperBound - position) else { throw Self.damaged(position) }
      let end = position + Int(length)
      if key & 7 == 2, let child = children[key >> 3] {
        try scan(position..<end, child)
      } else if key & 7 == 2, stringFields.contains(key >> 3) {
        strings += 1
        guard strings <= TreeModel.Bounds.nodes else {
          throw OperatingError(.input, "more than \(TreeModel.Bounds.nodes) nodes, which no model of ours has")
        }
      }
      position = end
    }
  }

  private func varint(_ position: inout Int, _ end: Int) throws(OperatingError) -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 64, by: 7) {
      guard position < end else { throw Self.damaged(position) }
      let byte = bytes[position]
      position += 1
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
    }
    throw Self.damaged(position)
  }

  private static func damaged(_ position: Int) -> OperatingError {
    OperatingError(.input, "damaged at byte \(position), or not an ONNX file")
  }
}
