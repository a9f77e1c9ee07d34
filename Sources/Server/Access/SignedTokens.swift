// Tokens that an identity provider has signed (JWT, RFC 7519): who has one is whom its claims name, and may do what they
// say. Everything that RFC 8725 asks a verifier for is checked: the algorithm is one of a key that is known, the issuer and
// the audience are those that are configured, and it is in force now.

import Detection
import Foundation
import HTTPTypes
import JWTKit

/// Checks signed tokens.
struct SignedTokens: Sendable {
  let provider: IdentityProvider
  let keys: ProviderKeys

  /// How far the clocks of the provider and of this server may be apart, seconds.
  static let leeway = 30.0
  /// Characters of a name in the audit trail at most.
  private static let mostName = 200

  /// Whether a token has the form of a signed one.
  static func areLike(_ token: String) -> Bool {
    token.hasPrefix("ey") && token.utf8.count { $0 == UInt8(ascii: ".") } == 2
  }

  /// Who has a token.
  /// - Parameter now: microseconds since 1970-01-01 00:00 UTC.
  /// - Throws: `Problem` that says what is wrong with it.
  func principal(of token: String, at now: Int64) async throws(Problem) -> Principal {
    let key = try key(of: try Self.header(of: token))
    let claims: Claims
    do { claims = try await key.verify(token, as: Claims.self) } catch let error as JWTError {
      guard error.errorType == .malformedToken else {
        throw Self.refused("Its signature is not that of the key that it names.")
      }
      throw Self.refused("It is damaged: its claims cannot be read.")
    } catch { throw Self.refused("Its signature could not be checked.") }
    try check(claims, at: Double(now) / 1e6)
    return try principal(claims)
  }

  // MARK: Signature

  private struct Header: Decodable {
    var alg: String?
    var kid: String?
    var crit: [String]?
  }

  private static func header(of token: String) throws(Problem) -> Header {
    let text = token.prefix { $0 != "." }.replacing("-", with: "+").replacing("_", with: "/")
    let padded = text + String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)
    guard let bytes = Data(base64Encoded: String(padded)),
      let header = try? JSONDecoder().decode(Header.self, from: bytes)
    else { throw refused("It is damaged: its header cannot be read.") }
    return header
  }

  private func key(of header: Header) throws(Problem) -> JWTKeyCollection {
    // Extensions that have to be understood, and none is (RFC 7515, section 4.1.11).
    guard header.crit == nil else { throw Self.refused("It needs extensions (`crit`) that are not known here.") }
    guard let algorithm = header.alg, SigningKeys.algorithms.contains(algorithm) else {
      throw Self.refused(
        "It is signed with `\(header.alg?.prefix(20) ?? "nothing")`, expected one of "
          + SigningKeys.algorithms.joined(separator: ", ") + ".")
    }
    guard let name = header.kid else { throw Self.refused("It does not name its key (`kid`).") }
    switch keys.key(SigningKeys.Name(key: name, algorithm: algorithm)) {
    case .found(let key): return key
    case .otherAlgorithm: throw Self.refused("The key that it names does not sign with `\(algorithm)`.")
    case .unknown:
      throw Self.refused("The identity provider has no key of its name; a new one is known within a few seconds.")
    case .notFetched:
      throw Problem(
        .serviceUnavailable, "Tokens cannot be checked now",
        "The keys of the identity provider have not been read yet.",
        headers: [.retryAfter: "10"])
    }
  }

  // MARK: Claims

  /// - Parameter now: seconds since 1970-01-01 00:00 UTC.
  private func check(_ claims: Claims, at now: Double) throws(Problem) {
    guard claims["iss"]?.string == provider.issuer else { throw Self.refused("It is of another issuer.") }
    guard !provider.audience.isDisjoint(with: claims.words("aud", areSplit: false)) else {
      throw Self.refused("It is for another audience.")
    }
    guard let end = claims["exp"]?.double else { throw Self.refused("It has no end (`exp`).") }
    guard now < end + Self.leeway else { throw Self.refused("It has expired.") }
    if let beginning = claims["nbf"] {
      guard let beginning = beginning.double else { throw Self.refused("Its beginning (`nbf`) is no time.") }
      guard now >= beginning - Self.leeway else { throw Self.refused("It is not in force yet.") }
    }
  }

  private func principal(_ claims: Claims) throws(Problem) -> Principal {
    guard let name = claims[provider.nameClaim]?.string, !name.isEmpty, name.utf8.count <= Self.mostName else {
      throw Self.refused(
        "It names nobody: expected the claim `\(provider.nameClaim)` with 1 to \(Self.mostName) characters.")
    }
    guard let role = claims.words(provider.roleClaim).compactMap({ provider.roles[$0] }).max() else {
      throw Problem(
        .forbidden, "The token does not allow this",
        "None of the values of its claim `\(provider.roleClaim)` gives a role here.")
    }
    var useCases: Set<String>?
    if let claim = provider.useCasesClaim {
      let named = Set(claims.words(claim))
      useCases = named.contains("*") ? nil : named
    }
    return Principal(name: name, role: role, useCases: useCases)
  }

  private static func refused(_ why: String) -> Problem {
    Problem(
      .unauthorized, "The token is refused", why, headers: [.wwwAuthenticate: #"Bearer error="invalid_token""#])
  }
}

/// The claims of a token.
struct Claims: JWTPayload {
  private let members: [String: JSONValue]

  init(_ members: [String: JSONValue]) { self.members = members }

  init(from decoder: any Swift.Decoder) throws { members = try [String: JSONValue](from: decoder) }

  func encode(to encoder: any Swift.Encoder) throws { try members.encode(to: encoder) }

  /// What they say is checked where it is known what they should say.
  func verify(using algorithm: some JWTAlgorithm) {}

  /// A claim by its name, or one within others by the names that lead to it: `realm_access.roles`.
  subscript(name: String) -> JSONValue? {
    if let found = members[name] { return found }
    let parts = name.split(separator: ".").map(String.init)
    guard let first = parts.first else { return nil }
    return parts.dropFirst().reduce(members[first]) { $0?[$1] }
  }

  /// The texts of a claim: those of a list, or of one text with blanks between them (as `scope` has them).
  func words(_ name: String, areSplit: Bool = true) -> [String] {
    switch self[name] {
    case .string(let text): areSplit ? text.split(separator: " ").map(String.init) : [text]
    case .array(let values): values.compactMap(\.string)
    default: []
    }
  }
}
