// What values of the API look like, in the part of JSON Schema (draft 2020-12) that the API needs. One description serves
// three readers: the document at /openapi.json, the check of what a client sends, and the tests, which hold every answer
// against it. Objects are closed: a member that is not described is an error, on the way in and on the way out.

import Detection

/// The form of a JSON value.
struct JSONSchema: Sendable {
  indirect enum Form: Sendable {
    case anything
    case null
    case boolean
    /// Whole numbers from `low` to `high`.
    case integer(low: Int64?, high: Int64?)
    case number(low: Double?, high: Double?)
    case string(Text)
    case array(JSONSchema, most: Int?)
    case object([Member])
    /// Any names, values of one form.
    case map(JSONSchema)
    case oneOf([JSONSchema])
    /// A form of the document's own list (`#/components/schemas/…`).
    case reference(String)
  }

  /// What a string has to look like.
  struct Text: Sendable {
    /// As JSON Schema names it: `date-time`.
    var format: String?
    var allowed: [String] = []
    var pattern: String?
    var least: Int?
    var most: Int?
  }

  struct Member: Sendable {
    var name: String
    var schema: JSONSchema
    var isRequired: Bool
  }

  var form: Form
  var summary = ""
  var isNullable = false
  /// JSON.
  var example: String?

  init(_ form: Form, _ summary: String = "", example: String? = nil) {
    self.form = form
    self.summary = summary
    self.example = example
  }

  /// The same, or null.
  var nullable: JSONSchema {
    var schema = self
    schema.isNullable = true
    return schema
  }

  /// The same with a sentence of its own.
  func saying(_ summary: String) -> JSONSchema {
    var schema = self
    schema.summary = summary
    return schema
  }
}

// MARK: - Making one

extension JSONSchema {
  static let anything = JSONSchema(.anything)
  static let boolean = JSONSchema(.boolean)
  static let integer = JSONSchema(.integer(low: nil, high: nil))
  static let count = JSONSchema(.integer(low: 0, high: nil))
  /// A number, or one of the words that stand for what JSON has no number for.
  static let number = JSONSchema(
    .oneOf([JSONSchema(.number(low: nil, high: nil)), .string(among: ["inf", "-inf", "nan"])]))
  static let string = JSONSchema(.string(Text()))
  static let time = JSONSchema(.string(Text(format: "date-time")), example: #""2026-03-01T12:00:00Z""#)
  /// An integer as text, since clients read numbers beyond 2^53 as others.
  static let integerText = JSONSchema(.string(Text(pattern: "^-?[0-9]+$")))

  static func integer(_ range: ClosedRange<Int64>) -> JSONSchema {
    JSONSchema(.integer(low: range.lowerBound, high: range.upperBound))
  }

  static func string(among allowed: [String]) -> JSONSchema { JSONSchema(.string(Text(allowed: allowed))) }

  static func string(upTo most: Int) -> JSONSchema { JSONSchema(.string(Text(most: most))) }

  static func array(_ element: JSONSchema, upTo most: Int? = nil) -> JSONSchema {
    JSONSchema(.array(element, most: most))
  }

  static func map(_ value: JSONSchema) -> JSONSchema { JSONSchema(.map(value)) }

  static func reference(_ name: String) -> JSONSchema { JSONSchema(.reference(name)) }

  /// - Parameter members: in order; a name with `?` behind it may be missing.
  static func object(_ members: [(String, JSONSchema)]) -> JSONSchema {
    JSONSchema(
      .object(
        members.map { name, schema in
          let isRequired = !name.hasSuffix("?")
          return Member(name: isRequired ? name : String(name.dropLast()), schema: schema, isRequired: isRequired)
        }))
  }
}

// MARK: - As JSON

extension JSONSchema {
  /// The schema as JSON Schema writes it.
  var json: String {
    var members: [(String, String)] = []
    func type(_ name: String) {
      members.append(("type", isNullable ? "[\"\(name)\",\"null\"]" : JSONText.string(name)))
    }
    switch form {
    case .anything: break
    case .null: type("null")
    case .boolean: type("boolean")
    case .integer(let low, let high):
      type("integer")
      if let low { members.append(("minimum", String(low))) }
      if let high { members.append(("maximum", String(high))) }
    case .number(let low, let high):
      type("number")
      if let low { members.append(("minimum", JSONText.number(low))) }
      if let high { members.append(("maximum", JSONText.number(high))) }
    case .string(let text):
      type("string")
      members += text.members(isNullable: isNullable)
    case .array(let element, let most):
      type("array")
      members.append(("items", element.json))
      if let most { members.append(("maxItems", String(most))) }
    case .object(let all):
      type("object")
      members.append(("properties", JSONText.object(all.map { ($0.name, $0.schema.json) })))
      let required = all.filter(\.isRequired).map { JSONText.string($0.name) }
      if !required.isEmpty { members.append(("required", JSONText.array(required))) }
      members.append(("additionalProperties", "false"))
    case .map(let value):
      type("object")
      members.append(("additionalProperties", value.json))
    case .oneOf(let forms):
      let all = forms + (isNullable ? [JSONSchema(.null)] : [])
      members.append(("anyOf", JSONText.array(all.map(\.json))))
    case .reference(let name):
      let reference = ("$ref", JSONText.string("#/components/schemas/\(name)"))
      if isNullable {
        members.append(("anyOf", JSONText.array([JSONText.object([reference]), JSONSchema(.null).json])))
      } else {
        members.append(reference)
      }
    }
    if !summary.isEmpty { members.append(("description", JSONText.string(summary))) }
    if let example { members.append(("examples", JSONText.array([example]))) }
    return JSONText.object(members)
  }
}

extension JSONSchema.Text {
  fileprivate func members(isNullable: Bool) -> [(String, String)] {
    var members: [(String, String)] = []
    if let format { members.append(("format", JSONText.string(format))) }
    if !allowed.isEmpty {
      members.append(("enum", JSONText.array(allowed.map { JSONText.string($0) } + (isNullable ? ["null"] : []))))
    }
    if let pattern { members.append(("pattern", JSONText.string(pattern))) }
    if let least { members.append(("minLength", String(least))) }
    if let most { members.append(("maxLength", String(most))) }
    return members
  }
}

// MARK: - Checking

extension JSONSchema {
  /// What is wrong with a value, with the place of each (`/limit`); empty where it has this form.
  /// - Parameter named: the forms that references name.
  func problems(of value: JSONValue, named: [String: JSONSchema], at place: String = "") -> [Problem.Field] {
    if value == .null, isNullable { return [] }
    func wrong(_ expected: String) -> [Problem.Field] {
      [Problem.Field(place: place.isEmpty ? "/" : place, message: "expected \(expected), found \(value.kind)")]
    }
    switch (form, value) {
    case (.anything, _), (.null, .null), (.boolean, .bool): return []
    case (.null, _): return wrong("null")
    case (.boolean, _): return wrong("true or false")
    case (.integer(let low, let high), .integer(let number)):
      if let low, number < low { return wrong("\(low) or more") }
      if let high, number > high { return wrong("\(high) or less") }
      return []
    case (.integer, _): return wrong("a whole number")
    case (.number(let low, let high), _):
      guard let number = value.double else { return wrong("a number") }
      if let low, number < low { return wrong("\(low) or more") }
      if let high, number > high { return wrong("\(high) or less") }
      return []
    case (.string(let text), .string(let string)): return text.problem(of: string).map(wrong) ?? []
    case (.string, _): return wrong("a string")
    case (.array(let element, let most), .array(let values)):
      if let most, values.count > most { return wrong("at most \(most) elements") }
      return values.enumerated().flatMap { element.problems(of: $1, named: named, at: "\(place)/\($0)") }
    case (.array, _): return wrong("an array")
    case (.object(let members), .object(let values)):
      return problems(of: values, among: members, named: named, at: place)
    case (.map(let form), .object(let values)):
      return values.sorted { $0.key < $1.key }.flatMap {
        form.problems(of: $0.value, named: named, at: "\(place)/\($0.key)")
      }
    case (.object, _), (.map, _): return wrong("an object")
    case (.oneOf(let forms), _):
      let tried = forms.map { $0.problems(of: value, named: named, at: place) }
      return tried.contains(where: \.isEmpty) ? [] : tried.min { $0.count < $1.count } ?? []
    case (.reference(let name), _):
      guard let schema = named[name] else { return wrong("a \(name), which is not described") }
      return schema.problems(of: value, named: named, at: place)
    }
  }

  private func problems(
    of values: [String: JSONValue], among members: [Member], named: [String: JSONSchema], at place: String
  ) -> [Problem.Field] {
    var problems: [Problem.Field] = []
    for member in members where member.isRequired && values[member.name] == nil {
      problems.append(Problem.Field(place: "\(place)/\(member.name)", message: "is missing"))
    }
    for (name, value) in values.sorted(by: { $0.key < $1.key }) {
      let there = "\(place)/\(name)"
      if let member = members.first(where: { $0.name == name }) {
        problems += member.schema.problems(of: value, named: named, at: there)
      } else {
        let near = nearest(to: name, among: members.map(\.name)).map { "; did you mean `\($0)`?" } ?? ""
        problems.append(Problem.Field(place: there, message: "is not known\(near)"))
      }
    }
    return problems
  }
}

extension JSONSchema.Text {
  /// What is expected instead of a string; nil where it is right.
  fileprivate func problem(of string: String) -> String? {
    let length = string.unicodeScalars.count
    if !allowed.isEmpty, !allowed.contains(string) { return "one of \(allowed.joined(separator: ", "))" }
    if let least, length < least { return "at least \(least) characters" }
    if let most, length > most { return "at most \(most) characters" }
    if let pattern, let expression = try? Regex(pattern), (try? expression.firstMatch(in: string)) == nil {
      return "a string of the form \(pattern)"
    }
    if format == "date-time", Timestamp.parse(string) == nil { return "a time such as 2026-03-01T12:00:00Z" }
    return nil
  }
}
