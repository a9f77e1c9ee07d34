// What events of a use case have to look like, as JSON Schema: what the decoder checks, as far as that language can say it.

import Detection

/// The JSON Schema of events.
enum EventSchema {
  static func json(of plan: Plan) -> String {
    var tree = Node()
    for field in plan.schema.fields { tree.insert(field, at: field.path[...]) }
    let isClosed = plan.schema.unknownFields == .reject
    var members = [
      ("$schema", JSONText.string("https://json-schema.org/draft/2020-12/schema")),
      ("title", JSONText.string(plan.useCase.name)),
    ]
    members += tree.members(isClosed: isClosed)
    return JSONText.object(members)
  }

  /// A field, or an object with fields in it.
  private struct Node {
    var field: Field?
    var children: [(name: String, node: Node)] = []

    mutating func insert(_ field: Field, at path: ArraySlice<String>) {
      guard let name = path.first else {
        self.field = field
        return
      }
      let index = children.firstIndex { $0.name == name } ?? children.count
      if index == children.count { children.append((name, Node())) }
      children[index].node.insert(field, at: path.dropFirst())
    }

    /// Whether an event without it is refused.
    var isRequired: Bool { field?.required ?? children.contains { $0.node.isRequired } }

    func members(isClosed: Bool) -> [(String, String)] {
      if let field { return EventSchema.members(of: field) }
      let properties = children.map { ($0.name, JSONText.object($0.node.members(isClosed: isClosed))) }
      let required = children.filter(\.node.isRequired).map { JSONText.string($0.name) }
      var members = [("type", JSONText.string("object")), ("properties", JSONText.object(properties))]
      if !required.isEmpty { members.append(("required", JSONText.array(required))) }
      members.append(("additionalProperties", isClosed ? "false" : "true"))
      return members
    }
  }

  private static func members(of field: Field) -> [(String, String)] {
    var members: [(String, String)] = []
    func type(_ names: String...) {
      let all = field.required ? names : names + ["null"]
      members.append(
        ("type", all.count == 1 ? JSONText.string(all[0]) : JSONText.array(all.map { JSONText.string($0) })))
    }
    switch field.type {
    case .int: field.numericStrings ? type("integer", "string") : type("integer")
    case .double: field.numericStrings ? type("number", "string") : type("number")
    case .bool: type("boolean")
    case .string: type("string")
    case .timestamp(.rfc3339):
      type("string")
      members.append(("format", JSONText.string("date-time")))
    case .timestamp(.automatic): type("string", "number")
    case .timestamp: type("number")
    case .json: break
    }
    if let least = field.minimum { members.append(("minimum", JSONText.value(least))) }
    if let most = field.maximum { members.append(("maximum", JSONText.value(most))) }
    if let length = field.maxLength { members.append(("maxLength", String(length))) }
    if let allowed = field.allowed { members.append(("enum", JSONText.array(allowed.map { JSONText.value($0) }))) }
    if let pattern = field.pattern { members.append(("pattern", JSONText.string(pattern))) }
    if let standard = field.defaultValue { members.append(("default", JSONText.value(standard))) }
    return members
  }
}
