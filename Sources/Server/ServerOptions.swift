// How a server listens, made of what `pulse.yaml` and flags say.

public import Configuration
import Detection
public import Logging

/// How a server listens.
public struct ServerOptions: Sendable {
  /// The address; 127.0.0.1 can be reached from this machine alone.
  public var host = "127.0.0.1"
  /// 0 for any that is free.
  public var port = 8507
  public var tokens = AccessTokens()
  /// Whose tokens are taken beside those of the file.
  public var provider: IdentityProvider?
  /// Whether reading needs a token as well.
  public var isReadingClosed = false
  /// Names under which it may be asked for, beside those of the loopback address.
  public var hosts: [String] = []
  /// Origins whose pages may read answers.
  public var corsOrigins: Set<String> = []
  /// Nil for HTTP without TLS.
  public var certificate: TLSCertificate?
  /// Who is told of findings.
  public var notifications: [NotificationSink] = []
  public var limits = RequestLimits()

  public init() {}

  /// - Throws: `OperatingError` where a file cannot be read or is wrong, or something is missing.
  public init(_ configuration: ServerConfiguration, logger: Logger) throws {
    (host, port) = (configuration.host, configuration.port)
    if let tokens = configuration.tokens { self.tokens = try AccessTokens(path: tokens) }
    if configuration.jwt.isGiven { provider = try IdentityProvider(configuration.jwt) }
    isReadingClosed = configuration.closed
    hosts = configuration.hosts
    corsOrigins = Set(configuration.origins)
    switch (configuration.tls.certificate, configuration.tls.key) {
    case (nil, nil): break
    case (let chain?, let key?): certificate = try TLSCertificate(certificate: chain, key: key, logger: logger)
    case (let chain, _):
      throw OperatingError(
        .configuration,
        "TLS needs a certificate and its key: `server.tls.\(chain == nil ? "certificate" : "key")` is missing")
    }
  }

  /// Whether only this machine can reach it.
  public var isLocal: Bool { ["127.0.0.1", "::1", "localhost"].contains(host) }

  /// The address of the page, for people.
  public func address(port: Int) -> String {
    let name = ["127.0.0.1", "0.0.0.0", "::", "::1"].contains(host) ? "localhost" : host
    return "\(certificate == nil ? "http" : "https")://\(name):\(port)/"
  }
}
