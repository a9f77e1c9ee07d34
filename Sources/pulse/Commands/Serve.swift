// `pulse serve`: the dashboard and the API over data directories that other processes fill.

import ArgumentParser
import Configuration
import Connectors
import Detection
import Foundation
import Logging
import Server
import ServiceLifecycle
import UnixSignals

struct Serve: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Serve the dashboard and the API over data directories that runs fill.",
    discussion: """
      Runs need not be there: what they stored is shown as it is, and what they add as it is committed.

        pulse serve --data data
        pulse serve --data east --data west --port 8600
        pulse serve --data data --host 0.0.0.0 --tokens tokens.txt

      `pulse run --serve` serves the use case that it runs. Ctrl-C or SIGTERM ends it.
      """)

  @Option(help: ArgumentHelp("A data directory. May be repeated.", valueName: "directory"))
  var data: [String]

  @OptionGroup var serving: ServeOptions

  func validate() throws {
    if data.contains("") { throw ValidationError("--data is empty: expected a directory") }
  }

  func run() async throws {
    let logger = Logs.bootstrap(.info)
    for path in data where !FileManager.default.fileExists(atPath: path) {
      throw OperatingError(.store, "there is no data directory \(path). Check --data")
    }
    let options = serving
    let server = try APIServer(
      data.map { DataDirectory(path: $0) }, options: try options.serverOptions(), logger: logger,
      listening: { port in Terminal.print("The dashboard is at \(options.address(port: port))") })
    var quiet = logger
    quiet.logLevel = .error
    try await ServiceGroup(
      configuration: ServiceGroupConfiguration(
        services: [server], gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet)
    ).run()
  }
}
