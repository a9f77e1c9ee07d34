// The document that describes the API: OpenAPI 3.1, made of the table of endpoints.

import Detection
import HTTPTypes

/// The table of all endpoints, with the forms that they name.
struct APIDescription: Sendable {
  let endpoints: [Endpoint]
  /// Forms by name, in order.
  let schemas: [(name: String, schema: JSONSchema)]
  let version: String
  /// What a tag is about, in the order of the document.
  let tags: [(name: String, summary: String)]

  var named: [String: JSONSchema] { Dictionary(schemas.map { ($0.name, $0.schema) }, uniquingKeysWith: { $1 }) }

  /// The document.
  var json: String {
    let tags = tags.map {
      JSONText.object([("name", JSONText.string($0.name)), ("description", JSONText.string($0.summary))])
    }
    let schemas = schemas.map { ($0.name, $0.schema.json) } + [("Problem", Problem.schema.json)]
    let bearer = JSONText.object([("type", JSONText.string("http")), ("scheme", JSONText.string("bearer"))])
    return JSONText.object([
      ("openapi", JSONText.string("3.1.0")),
      (
        "info",
        JSONText.object([
          ("title", JSONText.string("StreamPulse")), ("version", JSONText.string(version)),
          (
            "description",
            JSONText.string(
              "Anomalies in event streams, with their reasons. Times are RFC 3339 in UTC; lists are newest first and come in "
                + "pages: `next` is the `cursor` of the next one. Errors are `application/problem+json`.")
          ),
          (
            "license",
            JSONText.object([("name", JSONText.string("Apache-2.0")), ("identifier", JSONText.string("Apache-2.0"))])
          ),
        ])
      ),
      ("servers", JSONText.array([JSONText.object([("url", JSONText.string("/"))])])), ("tags", JSONText.array(tags)),
      ("paths", paths),
      (
        "components",
        JSONText.object([
          ("schemas", JSONText.object(schemas)), ("securitySchemes", JSONText.object([("bearer", bearer)])),
        ])
      ),
    ])
  }

  private var paths: String {
    var order: [String] = []
    var methods: [String: [(String, String)]] = [:]
    for endpoint in endpoints {
      if methods[endpoint.path] == nil { order.append(endpoint.path) }
      methods[endpoint.path, default: []].append((endpoint.method.rawValue.lowercased(), json(of: endpoint)))
    }
    return JSONText.object(order.map { ($0, JSONText.object(methods[$0] ?? [])) })
  }

  private func json(of endpoint: Endpoint) -> String {
    var members = [
      ("operationId", JSONText.string(endpoint.operation)), ("tags", JSONText.array([JSONText.string(endpoint.tag)])),
      ("summary", JSONText.string(endpoint.summary)),
    ]
    if !endpoint.details.isEmpty { members.append(("description", JSONText.string(endpoint.details))) }
    if !endpoint.parameters.isEmpty {
      members.append(("parameters", JSONText.array(endpoint.parameters.map(\.json))))
    }
    if let body = endpoint.body {
      members.append(
        (
          "requestBody",
          JSONText.object([
            ("required", body.isRequired ? "true" : "false"), ("content", Self.json(of: body.content)),
          ])
        ))
    }
    members.append(("responses", responses(of: endpoint)))
    if endpoint.access != .open {
      // Whether a token is needed depends on where the server listens: both are right.
      members.append(("security", "[{},{\"bearer\":[]}]"))
    }
    return JSONText.object(members)
  }

  private func responses(of endpoint: Endpoint) -> String {
    var answers = endpoint.answers.map { answer in
      var members = [("description", JSONText.string(answer.summary))]
      if !answer.content.isEmpty { members.append(("content", Self.json(of: answer.content))) }
      return (String(answer.status.code), JSONText.object(members))
    }
    for (status, summary) in endpoint.troubles where !answers.contains(where: { $0.0 == String(status.code) }) {
      answers.append(
        (
          String(status.code),
          JSONText.object([
            ("description", JSONText.string(summary)),
            (
              "content",
              Self.json(of: [Endpoint.Content(Problem.contentType, .reference("Problem"))])
            ),
          ])
        ))
    }
    return JSONText.object(answers)
  }

  private static func json(of content: [Endpoint.Content]) -> String {
    JSONText.object(
      content.map { content in
        var members = [("schema", content.schema.json)]
        if let example = content.example { members.append(("example", example)) }
        return (content.type, JSONText.object(members))
      })
  }
}

extension Parameter {
  fileprivate var json: String {
    var form = schema
    if let standard {
      // Written into the sentence, since a default of a list has no form of its own.
      form.summary = form.summary.isEmpty ? "Default: \(standard)." : "\(form.summary) Default: \(standard)."
    }
    var members = [
      ("name", JSONText.string(name)), ("in", JSONText.string(place.rawValue)),
      ("description", JSONText.string(summary)), ("required", isRequired ? "true" : "false"),
      ("schema", isList ? JSONSchema.array(form, upTo: Self.mostValues).json : form.json),
    ]
    if isList {
      members.append(("style", JSONText.string("form")))
      members.append(("explode", "false"))
    }
    return JSONText.object(members)
  }
}

extension Endpoint {
  /// What may go wrong, by what it takes.
  var troubles: [(status: HTTPResponse.Status, summary: String)] {
    var troubles: [(status: HTTPResponse.Status, summary: String)] = []
    if access != .open {
      troubles += [
        (.unauthorized, "A token is needed, or is not known."), (.forbidden, "The token does not allow this."),
      ]
    }
    // A parameter that is not known is wrong everywhere, and so is an address that cannot be decoded.
    troubles.append((.badRequest, "The request is wrong."))
    if access > .read { troubles.append((.conflict, "It does not go together with what there is.")) }
    if path.contains("{") || parameters.contains(where: { $0.name == Parameters.useCase.name }) {
      troubles.append((.notFound, "There is no such thing."))
    }
    if body != nil {
      troubles += [
        (.contentTooLarge, "The body is too large."), (.unsupportedMediaType, "The body has another type."),
        (.requestTimeout, "The body came too slowly."),
      ]
    }
    if body != nil || access != .open {
      troubles.append(
        (.unprocessableContent, "The body is wrong, or what is asked for does not work: `detail` says why."))
    }
    troubles += [
      (.uriTooLong, "The address is too long."), (.requestHeaderFieldsTooLarge, "The headers are too large."),
      (.tooManyRequests, "Too many requests: `Retry-After` says when to try again."),
      (.serviceUnavailable, "What is asked for cannot be read now."),
    ]
    return troubles
  }
}
