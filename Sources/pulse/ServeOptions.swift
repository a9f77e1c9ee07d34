// What `pulse serve` and `pulse run --serve` share: flags that say how the server listens, and who may use it. They go before
// what the section `server` of the configuration says.

import ArgumentParser
import Configuration
import Detection
import Foundation
import Logging
import Server

/// How a server listens.
struct ServeOptions: ParsableArguments {
  @Option(help: "The address that the server listens on (default: 127.0.0.1).")
  var host: String?

  @Option(parsing: .unconditional, help: "The port; 0 for any that is free (default: 8507).")
  var port: Int?

  @Option(
    help: ArgumentHelp(
      "Who may use the server: a name, a role (read, write, admin) and a token a line.",
      discussion: "Needed for whatever writes as soon as the server listens beyond this machine.", valueName: "file"))
  var tokens: String?

  @Flag(inversion: .prefixedNo, help: "Reading needs a token as well.")
  var closed: Bool?

  @Option(help: ArgumentHelp("A name under which the server is asked for. May be repeated.", valueName: "name"))
  var allowHost: [String] = []

  @Option(
    help: ArgumentHelp(
      "An origin whose pages may read answers (CORS), as https://example.org. May be repeated.", valueName: "origin"))
  var allowOrigin: [String] = []

  @Option(help: ArgumentHelp("The certificate chain for TLS, in PEM.", valueName: "file"))
  var tlsCertificate: String?

  @Option(help: ArgumentHelp("The private key of the certificate, in PEM.", valueName: "file"))
  var tlsKey: String?

  @Option(help: ArgumentHelp("The issuer (iss) whose tokens (JWT) are taken.", valueName: "issuer"))
  var jwtIssuer: String?

  @Option(help: ArgumentHelp("The audience (aud) that they are for. May be repeated.", valueName: "audience"))
  var jwtAudience: [String] = []

  @Option(help: ArgumentHelp("Where the keys of the issuer are (JWKS).", valueName: "address|file"))
  var jwtKeys: String?

  func validate() throws {
    if let port, !(0...65_535).contains(port) { throw ValidationError("--port must be 0 to 65535, found \(port)") }
    if host?.isEmpty == true { throw ValidationError("--host is empty: expected an address") }
    for origin in allowOrigin {
      if let problem = ServerConfiguration.problem(ofOrigin: origin) {
        throw ValidationError("--allow-origin \(problem)")
      }
    }
  }

  /// Whether anything is said of how a server listens.
  var areGiven: Bool { applied(to: ServerConfiguration()) != ServerConfiguration() || host != nil || port != nil }

  /// What the configuration says, with what the flags change.
  func applied(to configuration: ServerConfiguration) -> ServerConfiguration {
    var changed = configuration
    if let host { changed.host = host }
    if let port { changed.port = port }
    if let tokens { changed.tokens = tokens }
    if let closed { changed.closed = closed }
    if !allowHost.isEmpty { changed.hosts = allowHost }
    if !allowOrigin.isEmpty { changed.origins = allowOrigin }
    if let tlsCertificate { changed.tls.certificate = tlsCertificate }
    if let tlsKey { changed.tls.key = tlsKey }
    if let jwtIssuer { changed.jwt.issuer = jwtIssuer }
    if !jwtAudience.isEmpty { changed.jwt.audience = jwtAudience }
    if let jwtKeys { changed.jwt.keys = jwtKeys }
    return changed
  }

  /// How the server listens and who it tells, by flags and configuration.
  func options(_ configuration: RuntimeConfiguration, logger: Logger) throws -> ServerOptions {
    var options = try ServerOptions(applied(to: configuration.server), logger: logger)
    let environment = ProcessInfo.processInfo.environment
    options.notifications = try configuration.notifications.map { try NotificationSink($0, environment: environment) }
    return options
  }
}
