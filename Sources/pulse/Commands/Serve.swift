// `pulse serve`: the dashboard and the API over data directories that other processes fill.

import ArgumentParser
import Configuration
import Connectors
import Detection
import Foundation
import Logging
import Metrics
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
        pulse serve --data data --host 0.0.0.0 --tokens tokens.txt --tls-certificate chain.pem --tls-key key.pem

      What is not said here is taken from the environment (PULSE__SERVER__KEY), then from the section `server` of \
      pulse.yaml, then from the defaults.

      `pulse run --serve` serves the use case that it runs. Ctrl-C or SIGTERM ends it.
      """)

  @Option(
    help: ArgumentHelp(
      "A data directory. May be repeated (default: what the configuration says).", valueName: "directory"))
  var data: [String] = []

  @Option(
    help: ArgumentHelp(
      "Where the configuration is (default: pulse.yaml, where there is one).", valueName: "file"))
  var config: String?

  @Option(
    help: ArgumentHelp(
      "The database that results are kept in (default: what the configuration says).", valueName: "postgresql://…"))
  var store: String?

  @OptionGroup var serving: ServeOptions

  func validate() throws {
    if data.contains("") { throw ValidationError("--data is empty: expected a directory") }
    if config?.isEmpty == true { throw ValidationError("--config is empty: expected a file") }
  }

  func run() async throws {
    var configuration = try PlaceOptions.configuration(config)
    if let store { configuration.store.connector = try PlaceOptions.connector(of: store) }
    let data = data.isEmpty ? [try PlaceOptions.required(configuration.store.path)] : data
    let logger = Logs.bootstrap(configuration.logLevel)
    for path in data where !FileManager.default.fileExists(atPath: path) {
      throw OperatingError(.store, "there is no data directory \(path). Check --data")
    }
    let metrics = MetricRegistry()
    MetricsSystem.bootstrap(metrics)
    let options = try serving.options(configuration, logger: logger)
    let places = data.map { [configuration] in StorePlace(configuration.store.connector, in: DataDirectory(path: $0)) }
    let server = try APIServer(
      places, options: options, metrics: metrics, logger: logger,
      trainer: ProcessTrainer(places),
      listening: { port in Terminal.print("The dashboard is at \(options.address(port: port))") })
    var quiet = logger
    quiet.logLevel = .error
    try await ServiceGroup(
      configuration: ServiceGroupConfiguration(
        services: [server], gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet)
    ).run()
  }
}
