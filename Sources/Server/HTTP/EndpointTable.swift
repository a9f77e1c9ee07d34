// From an address to an endpoint. Paths are taken apart before they are decoded, so an encoded slash belongs to a value and
// never to the path; there are no folders, so nothing that looks like one (`..`) means anything.

import Detection
import HTTPTypes

/// Finds endpoints by address.
struct EndpointTable: Sendable {
  enum Match: Sendable {
    case found(Endpoint, values: [String: String])
    /// The address is known, with other methods.
    case otherMethods([HTTPRequest.Method])
    case unknown
  }

  private struct Route: Sendable {
    var parts: [String]
    var endpoint: Endpoint
  }

  private let routes: [Route]

  init(_ endpoints: [Endpoint]) {
    // A fixed part is meant before a parameter that would take it too.
    routes = endpoints.map { Route(parts: $0.path.split(separator: "/").map(String.init), endpoint: $0) }
      .enumerated().sorted { a, b in
        let (first, second) = (Self.order(a.element.parts), Self.order(b.element.parts))
        return first == second ? a.offset < b.offset : first.lexicographicallyPrecedes(second)
      }.map(\.element)
  }

  private static func order(_ parts: [String]) -> [Int] { parts.map { isParameter($0) ? 1 : 0 } }

  private static func isParameter(_ part: String) -> Bool { part.hasPrefix("{") }

  /// - Parameter path: as it stands in the request, without the query.
  func match(_ method: HTTPRequest.Method, _ path: String) -> Match {
    var methods: [HTTPRequest.Method] = []
    guard path.hasPrefix("/") else { return .unknown }
    let parts = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    let given = parts == [""] ? [] : parts
    for route in routes where route.parts.count == given.count {
      guard let values = Self.values(route.parts, given) else { continue }
      if route.endpoint.method == method || method == .head && route.endpoint.method == .get {
        return .found(route.endpoint, values: values)
      }
      methods.append(route.endpoint.method)
    }
    return methods.isEmpty ? .unknown : .otherMethods(methods)
  }

  private static func values(_ parts: [String], _ given: [String]) -> [String: String]? {
    var values: [String: String] = [:]
    for (part, text) in zip(parts, given) {
      guard isParameter(part) else {
        if part != text { return nil }
        continue
      }
      guard let value = PercentEncoding.decode(text, plusIsSpace: false), !value.isEmpty else { return nil }
      values[String(part.dropFirst().dropLast())] = value
    }
    return values
  }
}
