// What an endpoint answers.

import HTTPTypes

/// An answer, before it becomes HTTP.
struct Reply: Sendable {
  enum Body: Sendable {
    case whole([UInt8])
    /// Chunks as they come; it ends when the sequence does, or when the client goes.
    case stream(AsyncStream<[UInt8]>)
  }

  /// How long clients may keep an answer without asking again.
  enum Caching: Sendable, Hashable {
    /// Ask each time; an answer that has not changed is not sent again (`ETag`).
    case checked
    /// It may not be kept.
    case never
    /// Its address changes when it does.
    case forever
  }

  var status: HTTPResponse.Status
  var contentType: String
  var body: Body
  var headers: HTTPFields
  var caching: Caching

  init(
    _ text: String, status: HTTPResponse.Status = .ok, contentType: String = "application/json",
    headers: HTTPFields = [:], caching: Caching = .checked
  ) {
    self.init(Array(text.utf8), status: status, contentType: contentType, headers: headers, caching: caching)
  }

  init(
    _ bytes: [UInt8], status: HTTPResponse.Status = .ok, contentType: String, headers: HTTPFields = [:],
    caching: Caching = .checked
  ) {
    self.status = status
    self.contentType = contentType
    body = .whole(bytes)
    self.headers = headers
    self.caching = caching
  }

  init(_ stream: AsyncStream<[UInt8]>, contentType: String) {
    status = .ok
    self.contentType = contentType
    body = .stream(stream)
    headers = [:]
    caching = .never
  }
}
