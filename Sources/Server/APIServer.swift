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

/// Serves what is stored in some places.
public final class APIServer: Service {
  private let options: ServerOptions
  private let live: LiveHub
  private let keys: ProviderKeys?
  private let notifications: [NotificationService]
  private let listeners: [ListenerService]
  private let front: HTTPFront
  private let worker: TrainingWorker?
  private let logger: Logger
  private let listening: @Sendable (_ port: Int) async -> Void

  /// - Parameters:
  ///   - places: where there are stores; where two have a use case of one name, that of the first is served.
  ///   - run: the run of this process.
  ///   - trainer: carries out trainings that are asked for; nil where nobody does.
  ///   - metrics: what the run records; the server adds requests.
  ///   - signal: announces commits of this process.
  ///   - clock: microseconds since 1970-01-01 00:00 UTC; that of the system unless given.
  ///   - listening: is told the port once the server can be reached.
  /// - Throws: `OperatingError` where a directory has no store or the options do not go together.
  public init(
    _ places: [StorePlace], options: ServerOptions, run: (any RunView)? = nil,
    metrics: MetricRegistry = MetricRegistry(), wokenBy signal: ChangeSignal = ChangeSignal(), logger: Logger,
    trainer: (any Trainer)? = nil, clock: (@Sendable () -> Int64)? = nil,
    listening: @escaping @Sendable (_ port: Int) async -> Void = { _ in }
  ) throws {
    let clock = clock ?? { Int64(Date.now.timeIntervalSince1970 * 1e6) }
    let catalog = ServedCatalog(
      try places.map { try ServedStore($0, waking: signal) }, folders: run.map { [$0.useCase: $0.folder] } ?? [:],
      logger: logger)
    listeners = catalog.stores.compactMap(\.listener).map(ListenerService.init)
    notifications =
      options.notifications.isEmpty
      ? []
      : catalog.stores.map {
        NotificationService(options.notifications, over: $0, wokenBy: signal, clock: clock, logger: logger)
      }
    live = LiveHub(
      catalog, run: run, notifications: notifications, signal: signal, clock: clock, logger: logger)
    let services = Services(
      catalog: catalog, live: live, run: run, notifications: notifications, page: try WebPage.bundled(),
      canTrain: trainer != nil, logger: logger, clock: clock, metrics: metrics)
    worker = trainer.map { [live] in
      TrainingWorker(catalog, live: live, trainer: $0, clock: clock, logger: logger)
    }
    keys = options.provider.map { ProviderKeys(of: $0, logger: logger) }
    let signed = keys.flatMap { keys in options.provider.map { SignedTokens(provider: $0, keys: keys) } }
    let policy = AccessPolicy(
      tokens: options.tokens, signed: signed, isLocal: options.isLocal, isReadingClosed: options.isReadingClosed,
      hosts: options.hosts)
    front = HTTPFront(
      APIDescription.whole(services), policy: policy, limits: options.limits, corsOrigins: options.corsOrigins,
      logger: logger, metrics: metrics, clock: clock)
    self.options = options
    self.logger = logger
    self.listening = listening
    if !options.isLocal, options.certificate == nil {
      logger.warning(
        """
        the server listens on \(options.host) without TLS: whoever is on the way reads what is sent, tokens among it. Give \
        it a certificate (--tls-certificate, --tls-key), or put a proxy before it that has one
        """)
    }
  }

  /// Prepares to tell of what is committed from here on. Who runs what is served calls it before that begins.
  public func begin() async throws { for one in notifications { try await one.begin() } }

  public func run() async throws {
    try await keys?.begin()
    var services: [any Service] = notifications
    services += listeners
    services.append(live)
    if let worker { services.append(worker) }
    if let keys { services.append(keys) }
    if let certificate = options.certificate { services.append(certificate) }
    let application = Application(
      responder: front, server: connections,
      configuration: ApplicationConfiguration(
        address: .hostname(options.host, port: options.port), serverName: nil, backlog: 1024,
        availableConnectionsDelegate: MaximumAvailableConnections(options.limits.connections)),
      services: services,
      onServerRunning: { [listening] channel in await listening(channel.localAddress?.port ?? 0) }, logger: quiet)
    do {
      // A connection that watches has no end of its own, and the server waits for all of them.
      try await withGracefulShutdownHandler {
        try await application.run()
      } onGracefulShutdown: { [live] in
        live.end()
      }
    } catch let error as IOError {
      let why =
        switch error.errnoCode {
        case EADDRINUSE: "the port is taken; choose another one with --port"
        case EADDRNOTAVAIL: "this machine does not have that address; choose one of its own with --host"
        case EACCES: "this user may not listen on that port; choose one from 1024 on with --port"
        default: String(cString: strerror(error.errnoCode))
        }
      throw OperatingError(.configuration, "the server cannot listen on \(options.host):\(options.port): \(why)")
    } catch let error as SocketAddressError {
      throw OperatingError(
        .configuration,
        "the server cannot listen on \(options.host): there is no such address (\(error)). Give --host an address of this "
          + "machine")
    }
  }

  /// How connections are read: HTTP, over TLS where there is a certificate.
  private var connections: HTTPServerBuilder {
    let limits = options.limits
    let configuration = HTTP1Channel.Configuration(
      idleTimeout: .seconds(Int64(limits.idleSeconds)),
      httpDecoderConfiguration: .init(
        maxHeaderFieldSize: limits.headBytes, maxHeaderListSize: limits.headBytes, maxHeaderFieldCount: limits.headers))
    let certificate = options.certificate
    return HTTPServerBuilder { responder in
      let base = ProblemChannel(base: HTTP1Channel(responder: responder, configuration: configuration), limits: limits)
      guard let certificate else { return base }
      return TLSChannel(base: base, certificate: certificate)
    }
  }

  /// What Hummingbird says of itself is of no use to people.
  private var quiet: Logger {
    var quiet = logger
    quiet.logLevel = .critical
    return quiet
  }
}

/// Hears of the commits of other processes for as long as the server runs.
private struct ListenerService: Service {
  let listener: any CommitListener

  func run() async { await cancelWhenGracefulShutdown { await self.listener.run() } }
}

extension APIDescription {
  /// Everything that is served.
  static func whole(_ services: Services) -> APIDescription {
    let box = DescriptionBox()
    let parts: [[Endpoint]] = [
      HealthRoutes(services: services).endpoints, MetricsRoutes(services: services).endpoints,
      UseCaseRoutes(services: services).endpoints,
      EventRoutes(services: services).endpoints, FigureRoutes(services: services).endpoints,
      AdviceRoutes(services: services).endpoints,
      AnomalyRoutes(services: services).endpoints, FeedbackRoutes(services: services).endpoints,
      HistoryRoutes(services: services).endpoints, ResultRoutes(services: services).endpoints,
      ReplayRoutes(services: services).endpoints,
      ModelRoutes(services: services).endpoints, JobRoutes(services: services).endpoints,
      LiveRoutes(services: services).endpoints, NotificationRoutes(services: services).endpoints,
      PageRoutes(services: services, description: { box.json }).endpoints,
    ]
    let endpoints = ReplacedRoutes(services: services, own: parts.flatMap(\.self)).table
    let description = APIDescription(
      endpoints: endpoints,
      schemas: HealthRoutes.schemas + UseCaseRoutes.schemas + EventRoutes.schemas + FigureRoutes.schemas
        + AnomalyRoutes.schemas
        + ResultRoutes.schemas + ModelRoutes.schemas + JobRoutes.schemas,
      version: "1",
      tags: [
        ("health", "Whether it is there and well."), ("use cases", "What runs."),
        ("events", "Events handed in, or scored at once."),
        ("figures", "Numbers over time, beside those of the span before."), ("anomalies", "What was found, and why."),
        ("results", "Windows and dead letters."), ("models", "Versions of learned detectors."),
        ("live", "What happens, as it happens."), ("other names", "What clients of other systems call some of this."),
        ("page", "The dashboard and this document."),
      ])
    box.set(description.json)
    return description
  }
}
