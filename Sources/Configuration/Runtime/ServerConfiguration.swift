// The section `server` of `pulse.yaml`: how a server listens, and who may use it. Flags of the command go before it.

internal import Detection

/// How a server listens, and who may use it.
public struct ServerConfiguration: Sendable, Hashable {
  /// A certificate chain and its key: files in PEM.
  public struct TLS: Sendable, Hashable {
    public var certificate: String?
    public var key: String?

    public init() {}
  }

  /// An identity provider whose tokens (JWT, RFC 7519) are taken.
  public struct Provider: Sendable, Hashable {
    /// `iss` as its tokens have it.
    public var issuer: String?
    /// One of them has to be among `aud`.
    public var audience: [String] = []
    /// Where its keys are (JWKS, RFC 7517): an address, or a file.
    public var keys: String?
    /// The claim that names somebody in the audit trail.
    public var nameClaim = "sub"
    public var roleClaim = "roles"
    /// The claim that lists the use cases that somebody may see; nil where all may be seen.
    public var useCasesClaim: String?
    /// Values of the role claim by the role that they give; where there is none, the names of the roles themselves.
    public var roles: [String: [String]] = [:]
    /// Time between looks at the keys, microseconds.
    public var refresh: Int64 = 3_600_000_000

    public init() {}

    /// Whether anything is said of it.
    public var isGiven: Bool { self != Provider() }
  }

  /// The times between looks at the keys of an identity provider, microseconds.
  public static let refreshTimes: ClosedRange<Int64> = 60_000_000...86_400_000_000

  /// The address; 127.0.0.1 can be reached from this machine alone.
  public var host = "127.0.0.1"
  /// 0 for any that is free.
  public var port = 8507
  /// A file of tokens.
  public var tokens: String?
  /// Whether reading needs a token as well.
  public var closed = false
  /// Names under which it is asked for, beside those of the loopback address.
  public var hosts: [String] = []
  /// Origins whose pages may read answers.
  public var origins: [String] = []
  public var tls = TLS()
  public var jwt = Provider()

  public init() {}

  /// What is wrong with an origin; nil where it may be used.
  public static func problem(ofOrigin origin: String) -> String? {
    origin.hasPrefix("http://") || origin.hasPrefix("https://")
      ? nil : "must be like https://example.org, found \(origin)"
  }
}

/// The keys of the section, and how their values are read.
enum ServerKeys {
  /// With a point between a key and what it stands in.
  static let all = [
    "host", "port", "tokens", "closed", "hosts", "origins", "tls.certificate", "tls.key", "jwt.issuer", "jwt.audience",
    "jwt.keys", "jwt.name_claim", "jwt.role_claim", "jwt.use_cases_claim", "jwt.roles.read", "jwt.roles.write",
    "jwt.roles.admin", "jwt.refresh",
  ]
  static let lists: Set = [
    "hosts", "origins", "jwt.audience", "jwt.roles.read", "jwt.roles.write", "jwt.roles.admin",
  ]

  /// The keys within a part of the section; `` for the section itself.
  static func members(of part: String) -> [String] {
    var known: Set<String> = []
    return all.compactMap { key in
      guard key.hasPrefix(part) else { return nil }
      let member = String(key.dropFirst(part.count).prefix { $0 != "." })
      return known.insert(member).inserted ? member : nil
    }
  }
}

extension NodeReader {
  /// Takes the value of a key of the section.
  mutating func set(_ key: String, of server: inout ServerConfiguration, _ what: String, _ node: YAMLNode) {
    func texts(_ expected: String) -> [String] {
      var nodes = [node]
      if case .sequence(let items) = node.content { nodes = items }
      return nodes.compactMap { one in filled(one, what: nodes.count == 1 ? what : "one of \(what)", expected) }
    }
    switch key {
    case "host": if let host = filled(node, what: what, "an address") { server.host = host }
    case "port": if let port = integer(node, what: what, in: 0...65_535) { server.port = port }
    case "tokens": server.tokens = filled(node, what: what, "a file")
    case "closed": if let closed = flag(node, what: what) { server.closed = closed }
    case "hosts": server.hosts = texts("a name")
    case "origins":
      server.origins = texts("an origin")
      for origin in server.origins {
        guard let problem = ServerConfiguration.problem(ofOrigin: origin) else { continue }
        report(node.location, "\(what) \(problem)")
      }
    case "tls.certificate": server.tls.certificate = filled(node, what: what, "a file")
    case "tls.key": server.tls.key = filled(node, what: what, "a file")
    case "jwt.issuer": server.jwt.issuer = filled(node, what: what, "the `iss` of tokens")
    case "jwt.audience": server.jwt.audience = texts("one of the `aud` of tokens")
    case "jwt.keys": server.jwt.keys = filled(node, what: what, "an https address or a file")
    case "jwt.name_claim": if let claim = filled(node, what: what, "a claim") { server.jwt.nameClaim = claim }
    case "jwt.role_claim": if let claim = filled(node, what: what, "a claim") { server.jwt.roleClaim = claim }
    case "jwt.use_cases_claim": server.jwt.useCasesClaim = filled(node, what: what, "a claim")
    case "jwt.roles.read", "jwt.roles.write", "jwt.roles.admin":
      server.jwt.roles[String(key.dropFirst("jwt.roles.".count))] = texts("a value of the role claim")
    case "jwt.refresh":
      guard let time = duration(node, what: what, positive: true) else { return }
      server.jwt.refresh = time
      if !ServerConfiguration.refreshTimes.contains(time) {
        report(node.location, "\(what) is not in range", expected: "1m to 1d", found: node.description)
      }
    default: preconditionFailure("the key \(what) is listed but not read")
    }
  }

  /// A text that is not empty.
  mutating func filled(_ node: YAMLNode, what: String, _ expected: String) -> String? {
    guard let text = text(node, what: what, expected: expected)?.text else { return nil }
    if !text.isEmpty { return text }
    report(node.location, "\(what) is empty", expected: expected)
    return nil
  }
}
