// The server: the table of endpoints, who may use them, and the sockets. It reads what is stored and does what the command
// line does; it knows nothing of how a pipeline works inside.

public import Connectors
import Detection
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdCore
public import Logging
import NIOCore
public import Pipeline
public import ServiceLifecycle

/// How a server listens.
public struct ServerOptions: Sendable {
  /// The address; 127.0.0.1 can be reached from this machine alone.
  public var host = "127.0.0.1"
  /// 0 for any that is free.
  public var port = 8507
  public var tokens = AccessTokens()
  /// Whether reading needs a token as well.
  public var isReadingClosed = false
  /// Names under which it may be asked for, beside those of the loopback address.
  public var hosts: [String] = []
  /// Origins whose pages may read answers.
  public var corsOrigins: Set<String> = []
  public var limits = RequestLimits()

  public init() {}

  /// Whether only this machine can reach it.
  public var isLocal: Bool { ["127.0.0.1", "::1", "localhost"].contains(host) }
}

/// Serves what is stored in some data directories.
public final class APIServer: Service {
  private let options: ServerOptions
  private let live: LiveHub
  private let front: HTTPFront
  private let logger: Logger
  private let listening: @Sendable (_ port: Int) async -> Void

  /// - Parameters:
  ///   - directories: in which there are stores; where two have a use case of one name, that of the first is served.
  ///   - run: the run of this process.
  ///   - metrics: what the run records; the server adds requests.
  ///   - signal: announces commits of this process.
  ///   - clock: microseconds since 1970-01-01 00:00 UTC; that of the system unless given.
  ///   - listening: is told the port once the server can be reached.
  /// - Throws: `OperatingError` where a directory has no store or the options do not go together.
  public init(
    _ directories: [DataDirectory], options: ServerOptions, run: (any RunView)? = nil,
    metrics: MetricRegistry = MetricRegistry(), wokenBy signal: ChangeSignal = ChangeSignal(), logger: Logger,
    clock: (@Sendable () -> Int64)? = nil,
    listening: @escaping @Sendable (_ port: Int) async -> Void = { _ in }
  ) throws {
    let clock = clock ?? { Int64(Date.now.timeIntervalSince1970 * 1e6) }
    let catalog = ServedCatalog(try directories.map { try ServedStore($0) }, logger: logger)
    live = LiveHub(catalog, run: run, signal: signal, clock: clock, logger: logger)
    let services = Services(
      catalog: catalog, live: live, run: run, page: try WebPage.bundled(), logger: logger, clock: clock,
      metrics: metrics)
    let policy = AccessPolicy(
      tokens: options.tokens, isLocal: options.isLocal, isReadingClosed: options.isReadingClosed, hosts: options.hosts)
    front = HTTPFront(
      APIDescription.whole(services), policy: policy, limits: options.limits, corsOrigins: options.corsOrigins,
      logger: logger, metrics: metrics, clock: clock)
    self.options = options
    self.logger = logger
    self.listening = listening
  }

  public func run() async throws {
    let limits = options.limits
    let application = Application(
      responder: front,
      server: .http1(
        configuration: HTTP1Channel.Configuration(
          idleTimeout: .seconds(Int64(limits.idleSeconds)),
          httpDecoderConfiguration: .init(
            maxHeaderFieldSize: limits.headBytes, maxHeaderListSize: limits.headBytes, maxHeaderFieldCount: 100))),
      configuration: ApplicationConfiguration(
        address: .hostname(options.host, port: options.port), serverName: nil, backlog: 1024,
        availableConnectionsDelegate: MaximumAvailableConnections(limits.connections)),
      services: [live],
      onServerRunning: { [listening] channel in await listening(channel.localAddress?.port ?? 0) }, logger: quiet)
    do {
      // A connection that watches has no end of its own, and the server waits for all of them.
      try await withGracefulShutdownHandler {
        try await application.run()
      } onGracefulShutdown: { [live] in
        live.end()
      }
    } catch let error as IOError {
      throw OperatingError(
        .configuration,
        "the server cannot listen on \(options.host):\(options.port): \(error.errnoCode == EADDRINUSE ? "the port is taken; choose another one with --port" : "\(error)")"
      )
    }
  }

  /// What Hummingbird says of itself is of no use to people.
  private var quiet: Logger {
    var quiet = logger
    quiet.logLevel = .critical
    return quiet
  }
}

extension APIDescription {
  /// Everything that is served.
  static func whole(_ services: Services) -> APIDescription {
    let box = DescriptionBox()
    let parts: [[Endpoint]] = [
      HealthRoutes(services: services).endpoints, MetricsRoutes(services: services).endpoints,
      UseCaseRoutes(services: services).endpoints,
      FigureRoutes(services: services).endpoints, AdviceRoutes(services: services).endpoints,
      AnomalyRoutes(services: services).endpoints, FeedbackRoutes(services: services).endpoints,
      HistoryRoutes(services: services).endpoints, ResultRoutes(services: services).endpoints,
      ModelRoutes(services: services).endpoints, LiveRoutes(services: services).endpoints,
      PageRoutes(services: services, description: { box.json }).endpoints,
    ]
    let endpoints = parts.flatMap(\.self)
    let description = APIDescription(
      endpoints: endpoints,
      schemas: HealthRoutes.schemas + UseCaseRoutes.schemas + FigureRoutes.schemas + AnomalyRoutes.schemas
        + ResultRoutes.schemas + ModelRoutes.schemas,
      version: "1",
      tags: [
        ("health", "Whether it is there and well."), ("use cases", "What runs."),
        ("figures", "Numbers over time, beside those of the span before."), ("anomalies", "What was found, and why."),
        ("results", "Windows and dead letters."), ("models", "Versions of learned detectors."),
        ("live", "What happens, as it happens."), ("page", "The dashboard and this document."),
      ])
    box.set(description.json)
    return description
  }
}
