// Who may do what. A server that listens on the loopback address alone and has no tokens trusts whoever can reach it: that
// is a person at the machine. As soon as it has tokens, or listens elsewhere, whatever writes needs one; reading does where
// that is asked for. A token is one of a file, or one that an identity provider has signed.
//
// A browser at that machine can be made to send requests by any page that it shows. Two checks keep such pages out: what
// writes is refused where `Origin` names another place than `Host`, and a server on the loopback address answers only to
// its own names, so that a name which somebody else lets point there (DNS rebinding) is refused.

import Detection
import HTTPTypes

/// How a server tells who asks.
struct AccessPolicy: Sendable {
  private let tokens: AccessTokens
  /// Tokens of an identity provider; nil where there is none.
  private let signed: SignedTokens?
  /// Whether only this machine can reach it.
  private let isLocal: Bool
  /// Whether reading needs a token as well.
  private let isReadingClosed: Bool
  /// Names under which it is asked for, without a port; none where any is right.
  private let hosts: Set<String>

  /// - Parameters:
  ///   - hosts: names under which it may be asked for, beside the loopback address; empty for any where it is not local.
  init(
    tokens: AccessTokens = AccessTokens(), signed: SignedTokens? = nil, isLocal: Bool, isReadingClosed: Bool = false,
    hosts: [String] = []
  ) {
    self.tokens = tokens
    self.signed = signed
    self.isLocal = isLocal
    self.isReadingClosed = isReadingClosed
    let local = isLocal ? ["localhost", "127.0.0.1", "[::1]", "::1"] : []
    self.hosts = Set((hosts.isEmpty && !isLocal ? [] : hosts + local).map { $0.lowercased() })
  }

  /// Who asks.
  /// - Parameters:
  ///   - host: what the request is addressed to (`Host`, `:authority`).
  ///   - now: microseconds since 1970-01-01 00:00 UTC.
  /// - Throws: `Problem` where a token is needed, is not known or does not allow it, or the request comes from elsewhere.
  func caller(
    _ headers: HTTPFields, host: String?, of endpoint: Endpoint, at now: Int64
  ) async throws(Problem) -> Principal {
    try check(host: host)
    if endpoint.access > .read { try check(origin: headers[.origin], host: host) }
    if let token = Self.token(in: headers) {
      let principal = try await principal(of: token, at: now)
      try Self.check(principal, endpoint)
      return principal
    }
    let isTrusted = isLocal && !hasTokens
    if isTrusted { return Principal(name: "local", role: .admin) }
    let isOpen = endpoint.access == .open || (endpoint.access == .read && !isReadingClosed)
    if isOpen { return Principal(name: "anonymous", role: .read) }
    throw Self.unauthorized(
      hasTokens
        ? "This needs a token with the role `\(endpoint.access.rawValue)`: `Authorization: Bearer …`."
        : "This needs a token, and the server has none: name a file of them with `--tokens`.")
  }

  /// Whether anybody can have a token.
  private var hasTokens: Bool { !tokens.isEmpty || signed != nil }

  private func principal(of token: String, at now: Int64) async throws(Problem) -> Principal {
    if let known = tokens.principal(of: token) { return known }
    guard let signed, SignedTokens.areLike(token) else { throw Self.unauthorized("The token is not known.") }
    return try await signed.principal(of: token, at: now)
  }

  /// The name without the port.
  private static func name(of host: String) -> String {
    if host.hasPrefix("["), let end = host.firstIndex(of: "]") { return host[...end].lowercased() }
    return host.prefix { $0 != ":" }.lowercased()
  }

  private func check(host: String?) throws(Problem) {
    guard !hosts.isEmpty else { return }
    guard let host, hosts.contains(Self.name(of: host)) else {
      throw Problem(
        .misdirectedRequest, "Another host was asked for",
        "This server answers to \(hosts.sorted().joined(separator: ", ")). Add a name with `--allow-host`.")
    }
  }

  private func check(origin: String?, host: String?) throws(Problem) {
    guard let origin, let host else { return }
    let place = origin.split(separator: "/", omittingEmptySubsequences: true).dropFirst().first.map(String.init) ?? ""
    guard place.lowercased() == host.lowercased() else {
      throw Problem(
        .forbidden, "The request comes from another page", "Pages of \(origin.prefix(100)) may not write here.")
    }
  }

  /// The token of a request; nil where it has none, empty where it names itself in another way.
  static func token(in headers: HTTPFields) -> String? {
    guard let header = headers[.authorization] else { return nil }
    let parts = header.split(separator: " ", maxSplits: 1)
    guard parts.count == 2, parts[0].lowercased() == "bearer" else { return "" }
    return parts[1].trimmingPrefix { $0 == " " }.description
  }

  private static func check(_ principal: Principal, _ endpoint: Endpoint) throws(Problem) {
    let needed: Role? =
      switch endpoint.access {
      case .open: nil
      case .read: .read
      case .write: .write
      case .admin: .admin
      }
    guard let needed, principal.role < needed else { return }
    throw Problem(
      .forbidden, "The token does not allow this",
      "It has the role `\(principal.role.rawValue)`, and this needs `\(needed.rawValue)`.")
  }

  private static func unauthorized(_ detail: String) -> Problem {
    Problem(.unauthorized, "A token is needed", detail, headers: [.wwwAuthenticate: "Bearer"])
  }
}
