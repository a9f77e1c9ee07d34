// A request as an endpoint sees it: its parameters have the form that the endpoint describes, its body too, and who asks is
// known.

import Detection
import HTTPTypes

/// A checked request.
struct Call: Sendable {
  let endpoint: Endpoint
  let headers: HTTPFields
  /// By name; parameters that were not given are absent, unless they have a standard value.
  let parameters: [String: [JSONValue]]
  /// Unpacked.
  let body: [UInt8]
  /// The parsed body, where it is JSON that was checked.
  let json: JSONValue?
  let caller: Principal
  /// When it came, microseconds since 1970-01-01 00:00 UTC.
  let time: Int64

  func string(_ name: String) -> String? { parameters[name]?.first?.string }
  func integer(_ name: String) -> Int? { parameters[name]?.first?.integer.map { Int($0) } }
  func double(_ name: String) -> Double? { parameters[name]?.first?.double }
  func bool(_ name: String) -> Bool { parameters[name]?.first?.bool ?? false }
  func strings(_ name: String) -> [String] { parameters[name]?.compactMap(\.string) ?? [] }

  /// The entities that were asked for; empty for all. A key may have a comma: within the list it is `%2C`, and `%` is `%25`.
  var entities: [String] {
    strings("entities").map { PercentEncoding.decode($0, plusIsSpace: false) ?? $0 }
  }

  /// A parameter of the path.
  func path(_ name: String) -> String { string(name) ?? "" }
}

extension Call {
  /// Checks a request against what its endpoint describes.
  /// - Parameters:
  ///   - path: values of the parameters in the path, decoded.
  ///   - query: names and values in the order of the address, decoded.
  ///   - named: forms that references name.
  /// - Throws: `Problem` with everything that is wrong.
  init(
    _ endpoint: Endpoint, headers: HTTPFields, path: [String: String], query: [(name: String, value: String)],
    body: [UInt8], caller: Principal, time: Int64, named: [String: JSONSchema]
  ) throws(Problem) {
    self.endpoint = endpoint
    self.headers = headers
    self.body = body
    self.caller = caller
    self.time = time
    var fields: [Problem.Field] = []
    parameters = Self.read(endpoint, headers, path, query, &fields)
    guard fields.isEmpty else {
      throw Problem(.badRequest, "The parameters are wrong", fields.count == 1 ? fields[0].text : "", fields: fields)
    }
    json = try Self.json(endpoint, headers, body, named)
  }

  private static func read(
    _ endpoint: Endpoint, _ headers: HTTPFields, _ path: [String: String], _ query: [(name: String, value: String)],
    _ fields: inout [Problem.Field]
  ) -> [String: [JSONValue]] {
    var given: [String: String] = path
    let known = endpoint.parameters.filter { $0.place == .query }.map(\.name)
    for (name, value) in query {
      if endpoint.takesAnyQuery { continue }
      if !known.contains(name) {
        let near = nearest(to: name, among: known).map { "; did you mean `\($0)`?" } ?? ""
        fields.append(Problem.Field(place: String(name.prefix(80)), message: "is not known\(near)"))
      } else if given.updateValue(value, forKey: name) != nil {
        fields.append(Problem.Field(place: name, message: "is given twice"))
      }
    }
    var values: [String: [JSONValue]] = [:]
    for parameter in endpoint.parameters {
      let text =
        parameter.place == .header
        ? HTTPField.Name(parameter.name).flatMap { headers[$0] } : given[parameter.name]
      guard let text = text ?? parameter.standard else {
        if parameter.isRequired { fields.append(Problem.Field(place: parameter.name, message: "is missing")) }
        continue
      }
      do throws(Problem.Field) { values[parameter.name] = try parameter.values(of: text) } catch {
        fields.append(error)
      }
    }
    return values
  }

  /// The body as a value where the endpoint takes JSON and describes more than that it is some.
  private static func json(
    _ endpoint: Endpoint, _ headers: HTTPFields, _ body: [UInt8], _ named: [String: JSONSchema]
  ) throws(Problem) -> JSONValue? {
    guard let expected = endpoint.body else { return nil }
    if body.isEmpty {
      guard expected.isRequired else { return nil }
      throw Problem(.badRequest, "The body is missing", "This endpoint needs one: see /docs.")
    }
    let type = (headers[.contentType] ?? "application/json").prefix { $0 != ";" }.lowercased()
    guard let content = expected.content.first(where: { $0.type == type }) else {
      let known = expected.content.map(\.type).joined(separator: ", ")
      throw Problem(.unsupportedMediaType, "The body has another type", "Expected \(known), found \(type).")
    }
    if case .anything = content.schema.form { return nil }
    guard content.type == "application/json" else { return nil }
    let value = try JSONValue(parsing: body)
    let fields = content.schema.problems(of: value, named: named)
    guard fields.isEmpty else {
      throw Problem(.unprocessableContent, "The body is wrong", fields.count == 1 ? fields[0].text : "", fields: fields)
    }
    return value
  }
}

extension Problem.Field: Error {
  /// Place and message in one sentence.
  var text: String { "\(place): \(message)" }
}
