// An answer that says what went wrong, in the form of RFC 9457 (`application/problem+json`).

import Detection
import HTTPTypes

/// What went wrong with a request.
struct Problem: Error, Sendable {
  /// What is wrong with one part of a request.
  struct Field: Sendable, Hashable {
    /// Where: `/events/3/amount`, or the name of a parameter.
    var place: String
    var message: String
  }

  /// Parts of a request that are named at most.
  static let mostFields = 100

  var status: HTTPResponse.Status
  /// The kind of problem in a few words: the same for all of its kind.
  var title: String
  /// What is wrong here, and what helps.
  var detail: String
  var fields: [Field]
  /// Headers that belong to the answer: when to try again, which methods there are.
  var headers: HTTPFields

  init(
    _ status: HTTPResponse.Status, _ title: String, _ detail: String = "", fields: [Field] = [],
    headers: HTTPFields = [:]
  ) {
    self.status = status
    self.title = title
    self.detail = detail
    self.fields = fields
    self.headers = headers
  }

  static let contentType = "application/problem+json"

  var json: String {
    var members = [
      ("type", JSONText.string("about:blank")), ("title", JSONText.string(title)), ("status", String(status.code)),
    ]
    if !detail.isEmpty { members.append(("detail", JSONText.string(detail))) }
    if !fields.isEmpty {
      let errors = fields.map {
        JSONText.object([("place", JSONText.string($0.place)), ("message", JSONText.string($0.message))])
      }
      members.append(("errors", JSONText.array(errors)))
    }
    return JSONText.object(members)
  }

  static let schema = JSONSchema.object([
    ("type", .string), ("title", .string), ("status", .integer(400...599)), ("detail?", .string),
    ("errors?", .array(.object([("place", .string), ("message", .string)]))),
  ]).saying("What went wrong (RFC 9457).")

  var reply: Reply {
    Reply(json, status: status, contentType: Self.contentType, headers: headers)
  }
}

extension Problem {
  static func notFound(_ what: String) -> Problem { Problem(.notFound, "Not found", what) }

  /// - Parameter near: names among which the one that was meant may be.
  static func unknown(_ kind: String, _ name: String, among known: [String]) -> Problem {
    let near = nearest(to: name, among: known).map { "; did you mean `\($0)`?" } ?? "."
    let all = known.isEmpty ? "There is none." : "Known: " + known.prefix(20).joined(separator: ", ")
    return .notFound("There is no \(kind) `\(name.prefix(80))`\(near) \(all)")
  }
}
