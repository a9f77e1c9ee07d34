// What is known of an identity provider whose tokens are taken, and what its claims stand for.

public import Configuration
public import Detection
import Foundation

/// An identity provider.
public struct IdentityProvider: Sendable {
  /// Where its keys are.
  enum Keys: Sendable, Hashable {
    case address(String)
    case file(String)
  }

  let issuer: String
  let audience: Set<String>
  let keys: Keys
  let nameClaim: String
  let roleClaim: String
  let useCasesClaim: String?
  /// The role that a value of the role claim gives.
  let roles: [String: Role]
  /// Seconds between looks at the keys.
  let refresh: Double

  /// - Throws: `OperatingError` where what is needed is missing, or the keys are at no place to get them from.
  public init(_ configuration: ServerConfiguration.Provider) throws(OperatingError) {
    func needed(_ value: String?, _ name: String, _ what: String) throws(OperatingError) -> String {
      if let value { return value }
      throw OperatingError(
        .configuration, "tokens of an identity provider need `server.jwt.\(name)`, \(what): add it to pulse.yaml")
    }
    issuer = try needed(configuration.issuer, "issuer", "the `iss` that they have")
    _ = try needed(configuration.audience.first, "audience", "the `aud` that they are for")
    audience = Set(configuration.audience)
    keys = try Self.keys(at: needed(configuration.keys, "keys", "where the provider's keys are (JWKS)"))
    (nameClaim, roleClaim) = (configuration.nameClaim, configuration.roleClaim)
    useCasesClaim = configuration.useCasesClaim
    var roles: [String: Role] = [:]
    for role in Role.allCases {
      // One that is meant for several gives the highest.
      for value in configuration.roles[role.rawValue] ?? [] { roles[value] = role }
      if configuration.roles.isEmpty { roles[role.rawValue] = role }
    }
    self.roles = roles
    refresh = Double(configuration.refresh) / 1e6
  }

  private static func keys(at place: String) throws(OperatingError) -> Keys {
    guard place.contains("://") else { return .file(place) }
    func wrong(_ what: String) -> OperatingError { OperatingError(.configuration, "`server.jwt.keys` \(what)") }
    if let problem = OutgoingHTTP.problem(of: place) { throw wrong(problem) }
    let host = URLComponents(string: place)?.host ?? ""
    // Whoever could change the keys on their way could make tokens.
    guard place.hasPrefix("https://") || ["127.0.0.1", "localhost", "::1", "[::1]"].contains(host) else {
      throw wrong("is read without TLS: expected an https address, found \(OutgoingHTTP.place(of: place))")
    }
    return .address(place)
  }
}
