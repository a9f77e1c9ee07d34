// One row of the table that the router and the document at /openapi.json are both made of. An endpoint is here or it does
// not exist, and what it takes and answers is what is written here.

import HTTPTypes

/// One address and method of the API.
struct Endpoint: Sendable {
  /// What a caller needs.
  enum Access: String, Sendable, Comparable, CaseIterable {
    /// Nothing: health, and the page itself.
    case open
    case read, write, admin

    static func < (a: Access, b: Access) -> Bool { a.rank < b.rank }
    private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
  }

  /// What a request may carry in its body.
  struct Body: Sendable {
    /// With the form of each.
    var content: [Content]
    /// Bytes at most, unpacked.
    var most: Int
    var isRequired = true
  }

  /// A form that a body may have.
  struct Content: Sendable {
    var type: String
    var schema: JSONSchema
    /// JSON, or text of the type.
    var example: String?

    init(_ type: String, _ schema: JSONSchema, example: String? = nil) {
      self.type = type
      self.schema = schema
      self.example = example
    }

    static func json(_ schema: JSONSchema, example: String? = nil) -> Content {
      Content("application/json", schema, example: example)
    }
  }

  struct Answer: Sendable {
    var status: HTTPResponse.Status
    var summary: String
    var content: [Content]

    init(_ status: HTTPResponse.Status, _ summary: String, _ content: Content...) {
      self.status = status
      self.summary = summary
      self.content = content
    }
  }

  var method: HTTPRequest.Method
  /// Parts in braces are parameters: `/api/v1/use-cases/{use_case}`.
  var path: String
  var tag: String
  var summary: String
  var details = ""
  var access: Access
  var parameters: [Parameter] = []
  var body: Body?
  /// What it answers where all is well; what may go wrong everywhere is added.
  var answers: [Answer]
  /// Whether any query is taken, as where a page reads its address itself.
  var takesAnyQuery = false
  /// How long it may take, seconds; nil for a stream.
  var timeLimit: Double? = 30
  var respond: @Sendable (Call) async throws -> Reply

  /// Names of the parameters in the path, in order.
  var pathNames: [String] {
    path.split(separator: "/").filter { $0.hasPrefix("{") && $0.hasSuffix("}") }.map {
      String($0.dropFirst().dropLast())
    }
  }

  /// The name that code generators take: `get_use_cases_anomalies`.
  var operation: String {
    let parts = path.trimmingPrefix("/api/v1").split(separator: "/").map(String.init)
    let words = parts.map { part in
      part.hasPrefix("{")
        ? "by_" + part.dropFirst().dropLast() : part.replacing("-", with: "_").replacing(".", with: "_")
    }
    return ([method.rawValue.lowercased()] + (words.isEmpty ? ["index"] : words)).joined(separator: "_")
  }
}

/// A parameter of an address.
struct Parameter: Sendable {
  enum Place: String, Sendable { case path, query, header }

  var name: String
  var place: Place
  var summary: String
  var schema: JSONSchema
  /// Several values with commas between them.
  var isList: Bool
  var isRequired: Bool
  /// The value where none is given, as text.
  var standard: String?

  init(
    _ name: String, in place: Place = .query, _ summary: String, _ schema: JSONSchema, isList: Bool = false,
    isRequired: Bool? = nil, standard: String? = nil
  ) {
    self.name = name
    self.place = place
    self.summary = summary
    self.schema = schema
    self.isList = isList
    self.isRequired = isRequired ?? (place == .path)
    self.standard = standard
  }

  /// Most values of a list.
  static let mostValues = 1000

  /// The value that a text stands for.
  /// - Throws: `Problem.Field` that says what is expected.
  func values(of text: String) throws(Problem.Field) -> [JSONValue] {
    // An empty list is one that names nothing, as a form sends it where nothing is chosen.
    if isList, text.isEmpty { return [] }
    let parts = isList ? text.split(separator: ",", omittingEmptySubsequences: false).map(String.init) : [text]
    guard parts.count <= Self.mostValues else {
      throw Problem.Field(place: name, message: "expected at most \(Self.mostValues) values, found \(parts.count)")
    }
    var values: [JSONValue] = []
    for part in parts {
      let value = Self.value(of: part, as: schema)
      if let problem = schema.problems(of: value, named: [:], at: "").first {
        throw Problem.Field(place: name, message: problem.message)
      }
      values.append(value)
    }
    return values
  }

  /// Numbers and truth values are written as in JSON; what is none stays a string, which the check then refuses.
  private static func value(of text: String, as schema: JSONSchema) -> JSONValue {
    switch schema.form {
    case .integer: Int64(text).map { .integer($0) } ?? .string(text)
    case .number: Double(text).map { .number($0) } ?? .string(text)
    case .boolean: text == "true" ? .bool(true) : text == "false" ? .bool(false) : .string(text)
    case .oneOf(let forms): forms.first.map { value(of: text, as: $0) } ?? .string(text)
    default: .string(text)
    }
  }
}
