// An event as JSON again, for results. Nested fields become nested objects as they were in the input, fields stand in the
// order of the schema, numbers that are not finite are words, timestamps RFC 3339 in UTC, json fields as they were.

/// Renders events of a schema as JSON objects.
public struct EventRenderer: Sendable {
  /// A key of an object: a field, an object of further keys, or both where a json field has declared parts.
  private struct Node: Sendable {
    var key: String
    var field: Int?
    var children: [Node] = []
  }

  private let schema: Schema
  private let root: [Node]

  public init(schema: Schema) {
    self.schema = schema
    var root: [Node] = []
    for (index, field) in schema.fields.enumerated() { Self.add(field.path[...], index, to: &root) }
    self.root = root
  }

  private static func add(_ path: ArraySlice<String>, _ field: Int, to nodes: inout [Node]) {
    guard let key = path.first else { return }
    let rest = path.dropFirst()
    let index = nodes.firstIndex { $0.key == key } ?? nodes.count
    if index == nodes.count { nodes.append(Node(key: key)) }
    if rest.isEmpty {
      nodes[index].field = nodes[index].field ?? field
    } else {
      add(rest, field, to: &nodes[index].children)
    }
  }

  /// The event of a row: all fields of the schema, null ones included.
  /// - Precondition: the first columns of the batch are the schema's fields.
  public func json(of batch: EventBatch, row: Int) -> String {
    var text = ""
    append(root, batch, row, to: &text)
    return text
  }

  private func append(_ nodes: [Node], _ batch: EventBatch, _ row: Int, to text: inout String) {
    text += "{"
    for (index, node) in nodes.enumerated() {
      if index > 0 { text += "," }
      JSONText.append(string: node.key, to: &text)
      text += ":"
      if let field = node.field, node.children.isEmpty || !batch.columns[field].isNull(row) {
        let value = batch.columns[field][row]
        if schema.fields[field].type == .json, case .string(let raw) = value {
          text += raw
        } else {
          JSONText.append(value, to: &text)
        }
      } else {
        append(node.children, batch, row, to: &text)
      }
    }
    text += "}"
  }
}

extension Double {
  /// The number as JSON: the shortest decimal that reads back as the same double, in one of the forms `0.1` and `1e-05`.
  /// JSON has no number for what is not finite; that is one of the strings `"inf"`, `"-inf"` and `"nan"`, the words that
  /// a cast to VARCHAR gives, so that it is not taken for NULL.
  public var json: String {
    isFinite ? description : isNaN ? "\"nan\"" : self < 0 ? "\"-inf\"" : "\"inf\""
  }
}

/// Values as JSON text.
enum JSONText {
  static func append(_ scalar: Scalar, to text: inout String) {
    switch scalar {
    case .null: text += "null"
    case .int(let value): text += String(value)
    case .double(let value): text += value.json
    case .bool(let value): text += value ? "true" : "false"
    case .string(let value): append(string: value, to: &text)
    case .timestamp(let value): text += "\"" + Timestamp.format(value) + "\""
    }
  }

  static func append(string: String, to text: inout String) {
    text += "\""
    for scalar in string.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      case "\0"..."\u{1F}":
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }
}
