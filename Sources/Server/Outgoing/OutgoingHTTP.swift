// Requests that the server sends to others: for the keys of an identity provider, and to tell of findings. Each has a time
// limit and a limit of what is read of its answer; redirects are not followed, since who answers with one could send us, and
// a secret that we carry, anywhere.

import AsyncHTTPClient
import Detection
import Foundation
import NIOCore
import NIOHTTP1

/// Sends requests for as long as it is lent.
struct OutgoingHTTP: Sendable {
  struct Answer: Sendable {
    var status: Int
    /// By names in small letters.
    var headers: [String: String]
    /// Of one that is longer, the first part that has as much as was asked for.
    var body: [UInt8]
    /// Whether it is longer.
    var isCut = false
  }

  private let client: HTTPClient

  /// Calls `body` with one, and ends its connections.
  static func lend<Value: Sendable>(_ body: (OutgoingHTTP) async throws -> Value) async throws -> Value {
    var configuration = HTTPClient.Configuration()
    configuration.redirectConfiguration = .disallow
    configuration.timeout = .init(connect: .seconds(5))
    configuration.httpVersion = .http1Only
    return try await HTTPClient.withHTTPClient(configuration: configuration) { client in
      try await body(OutgoingHTTP(client: client))
    }
  }

  /// Sends a request and reads the answer.
  /// - Parameters:
  ///   - seconds: from the beginning to the end of the answer.
  ///   - most: bytes of the answer that are read.
  /// - Throws: what keeps an answer from coming, for `reason(_:)`.
  func send(
    _ method: String, _ address: String, headers: [(name: String, value: String)] = [], body: [UInt8]? = nil,
    seconds: Double, most: Int
  ) async throws -> Answer {
    var request = HTTPClientRequest(url: address)
    request.method = HTTPMethod(rawValue: method)
    for (name, value) in headers { request.headers.replaceOrAdd(name: name, value: value) }
    request.headers.replaceOrAdd(name: "User-Agent", value: "StreamPulse")
    if let body { request.body = .bytes(body) }
    // The client's own limit ends with the head of the answer: a body that drips would take for ever.
    return try await withTimeLimit(seconds) { [request] in
      let response = try await client.execute(request, timeout: .milliseconds(Int64(seconds * 1000)))
      var read: [UInt8] = []
      for try await part in response.body {
        read += part.readableBytesView
        if read.count > most { break }
      }
      let names = response.headers.map { ($0.name.lowercased(), $0.value) }
      return Answer(
        status: Int(response.status.code), headers: Dictionary(names) { first, _ in first },
        body: Array(read.prefix(most)), isCut: read.count > most)
    }
  }

  /// What is wrong with an address; nil where it may be used.
  static func problem(of address: String) -> String? {
    guard let parts = URLComponents(string: address), let scheme = parts.scheme, ["http", "https"].contains(scheme),
      parts.host?.isEmpty == false
    else { return "is no address: expected one that begins with https://" }
    return parts.user == nil && parts.password == nil
      ? nil : "has a name or password in it: secrets come from the environment or a file of their own"
  }

  /// An address without what may be secret in it: its path and query.
  static func place(of address: String) -> String {
    guard let parts = URLComponents(string: address), let host = parts.host else { return "?" }
    return "\(parts.scheme ?? "")://\(host)\(parts.port.map { ":\($0)" } ?? "")"
  }

  /// Why a request had no answer, without its address.
  static func reason(_ error: any Error) -> String {
    switch error {
    case is TimeLimitPassed: "no answer in time"
    case let error as HTTPClientError where error == .deadlineExceeded: "no answer in time"
    case let error as HTTPClientError where error == .connectTimeout: "no connection in time"
    case let error as HTTPClientError: error.shortDescription
    default: "\(error)"
    }
  }
}
