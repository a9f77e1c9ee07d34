// What `pulse serve` and `pulse run --serve` share: how the server listens, and who may use it.

import ArgumentParser
import Detection
import Foundation
import Server

/// How a server listens.
struct ServeOptions: ParsableArguments {
  @Option(help: "The address that the server listens on.")
  var host = "127.0.0.1"

  @Option(parsing: .unconditional, help: "The port; 0 for any that is free.")
  var port = 8507

  @Option(
    help: ArgumentHelp(
      "Who may use the server: a name, a role (read, write, admin) and a token a line.",
      discussion: "Needed for whatever writes as soon as the server listens beyond this machine.", valueName: "file"))
  var tokens: String?

  @Flag(help: "Reading needs a token as well.")
  var closed = false

  @Option(help: ArgumentHelp("A name under which the server is asked for. May be repeated.", valueName: "name"))
  var allowHost: [String] = []

  @Option(
    help: ArgumentHelp(
      "An origin whose pages may read answers (CORS), as https://example.org. May be repeated.", valueName: "origin"))
  var allowOrigin: [String] = []

  func validate() throws {
    guard (0...65_535).contains(port) else { throw ValidationError("--port must be 0 to 65535, found \(port)") }
    if host.isEmpty { throw ValidationError("--host is empty: expected an address") }
    for origin in allowOrigin where !origin.hasPrefix("http://") && !origin.hasPrefix("https://") {
      throw ValidationError("--allow-origin must be like https://example.org, found \(origin)")
    }
  }

  /// Whether anything is said of how a server listens.
  var areGiven: Bool {
    host != "127.0.0.1" || port != 8507 || tokens != nil || closed || !allowHost.isEmpty || !allowOrigin.isEmpty
  }

  func serverOptions() throws -> ServerOptions {
    var options = ServerOptions()
    (options.host, options.port) = (host, port)
    if let tokens { options.tokens = try AccessTokens(path: tokens) }
    options.isReadingClosed = closed
    options.hosts = allowHost
    options.corsOrigins = Set(allowOrigin)
    return options
  }

  /// The address of the page, for people.
  func address(port: Int) -> String {
    let name = ["127.0.0.1", "0.0.0.0", "::", "::1"].contains(host) ? "localhost" : host
    return "http://\(name):\(port)/"
  }
}
