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
    var bytes: [UInt8] = []
    append(root, batch, row, to: &bytes)
    return String(decoding: bytes, as: UTF8.self)
  }

  private func append(_ nodes: [Node], _ batch: EventBatch, _ row: Int, to bytes: inout [UInt8]) {
    bytes.append(UInt8(ascii: "{"))
    for (index, node) in nodes.enumerated() {
      if index > 0 { bytes.append(UInt8(ascii: ",")) }
      bytes.appendJSON(string: node.key)
      bytes.append(UInt8(ascii: ":"))
      if let field = node.field, node.children.isEmpty || !batch.columns[field].isNull(row) {
        let value = batch.columns[field][row]
        if schema.fields[field].type == .json, case .string(let raw) = value {
          bytes.append(contentsOf: raw.utf8)
        } else {
          bytes.appendJSON(value)
        }
      } else {
        append(node.children, batch, row, to: &bytes)
      }
    }
    bytes.append(UInt8(ascii: "}"))
  }
}
