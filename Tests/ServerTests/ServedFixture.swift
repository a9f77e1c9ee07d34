// A data directory with simulated queries in it, and requests without a socket.

import Configuration
import Connectors
import Detection
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Pipeline
import Synchronization
import TestKit
import Testing

@testable import Server

/// An answer, whole.
struct Answer {
  var status: Int
  var headers: HTTPFields
  var body: [UInt8]

  var text: String { String(decoding: body, as: UTF8.self) }

  var json: JSONValue {
    get throws { try JSONValue(parsing: body) }
  }

  /// What is wrong with it, held against the table that the document is made of; empty where it is as that says.
  func problems(of endpoint: Endpoint, _ description: APIDescription) throws -> [String] {
    guard let declared = endpoint.answers.first(where: { Int($0.status.code) == status }) else {
      return ["status \(status), which is not described: \(text.prefix(300))"]
    }
    let type = headers[.contentType]?.prefix { $0 != ";" }.description
    if declared.content.isEmpty { return body.isEmpty ? [] : ["a body that is not described"] }
    if declared.content.contains(where: { $0.type == "application/octet-stream" }) { return [] }
    guard let content = declared.content.first(where: { $0.type == type }) else {
      return ["the type \(type ?? "none"), described is \(declared.content.map(\.type))"]
    }
    guard content.type == "application/json" || content.type == Problem.contentType else { return [] }
    let named = description.named.merging(["Problem": Problem.schema]) { own, _ in own }
    return content.schema.problems(of: try json, named: named).map(\.text)
  }
}

/// The server over a data directory.
struct ServedFixture {
  let folder: TestFolder
  let front: HTTPFront
  let services: Services
  var directory: DataDirectory { DataDirectory(path: folder / "data") }

  static let useCase = "redset"
  static let host = "localhost:8507"

  /// Runs the use case over so many simulated events, and has the server look at what is stored.
  /// - Parameters:
  ///   - events: from the first on; a directory that has some goes on behind them.
  ///   - running: what is run in their place.
  init(
    events: Int = 30_000, tokens: String = "", signed: SignedTokens? = nil, isLocal: Bool = true,
    isReadingClosed: Bool = false,
    limits: RequestLimits = RequestLimits(), corsOrigins: Set<String> = [], notifications: [NotificationSink] = [],
    running: ((DataDirectory) async throws -> Void)? = nil
  ) async throws {
    folder = try TestFolder()
    if let running {
      try await running(DataDirectory(path: folder / "data"))
    } else {
      try await Self.run(events, in: DataDirectory(path: folder / "data"))
    }
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let clock: @Sendable () -> Int64 = { Int64(Date().timeIntervalSince1970 * 1e6) }
    let store = try ServedStore(StorePlace(DataDirectory(path: folder / "data")))
    let catalog = ServedCatalog([store], logger: logger)
    let telling =
      notifications.isEmpty
      ? [] : [NotificationService(notifications, over: store, wokenBy: ChangeSignal(), clock: clock, logger: logger)]
    let live = LiveHub(
      catalog, run: nil, notifications: telling, signal: ChangeSignal(), clock: clock, logger: logger)
    services = Services(
      catalog: catalog, live: live, run: nil, notifications: telling, page: try WebPage.bundled(), canTrain: true,
      logger: logger, clock: clock, metrics: MetricRegistry())
    let policy = AccessPolicy(
      tokens: try AccessTokens(text: tokens, path: "tokens"), signed: signed, isLocal: isLocal,
      isReadingClosed: isReadingClosed)
    front = HTTPFront(
      APIDescription.whole(services), policy: policy, limits: limits, corsOrigins: corsOrigins,
      logger: logger, metrics: services.metrics, clock: clock)
    await catalog.refresh()
    try await look()
  }

  /// Runs the use case up to so many events.
  static func run(_ events: Int, in directory: DataDirectory) async throws {
    let location = try UseCaseLocator().locate(useCase)
    let check = UseCaseChecker.check(path: location.pipelineFile)
    let plan = try #require(check.plan, "\(check.rendered)")
    var configuration = RuntimeConfiguration(.standard)
    configuration.source = ConnectorSettings(type: "simulator")
    let settings = SourceCatalog.connector(configuration.source).specification.settings
    for (name, value) in [("events", SettingValue.integer(events)), ("seed", .text("42"))] {
      configuration.source.set(try #require(settings.first { $0.name == name }), to: value)
    }
    let store = try StorePlace(directory).open(logger: Logger(label: "test"))
    let source = try await SourceCatalog.connector(configuration.source).make(
      configuration.source,
      for: SourceContext(
        useCase: plan.useCase.name, schema: plan.schema, outOfOrder: plan.useCase.event.outOfOrder,
        directory: location.directory, batchRows: 4096,
        nextRun: { try await store.nextRun(named: $0) }, inbox: { try SQLiteActions(in: directory) },
        notice: { _ in },
        logger: Logger(label: "test")
      ))
    try await run(plan, text: check.source, over: source, into: store, in: directory, closing: false)
  }

  /// Runs a use case over records, to their end.
  static func run(_ text: String, over records: [String], in directory: DataDirectory) async throws {
    let check = UseCaseChecker.check(text: text)
    let plan = try #require(check.plan, "\(check.rendered)")
    try await run(
      plan, text: text, over: MemorySource(records.map { Array($0.utf8) }, batchSizes: [1_000]),
      into: StorePlace(directory).open(logger: Logger(label: "test")), in: directory, closing: true)
  }

  private static func run(
    _ plan: Plan, text: String, over source: any Source, into store: any RunStore, in directory: DataDirectory,
    closing: Bool
  ) async throws {
    let history = RuntimeConfiguration(.standard).history.connector
    try await Pipeline(
      plan: plan, version: ConfigurationVersion(plan.useCase, text: text), source: source, store: store,
      encoder: SinkCatalog.history(history).make(history, in: directory, useCase: plan.useCase.name),
      options: Pipeline.Options(workers: 2, closesInput: closing),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    ).run()
  }

  /// Brings figures up to date, as the hub does.
  func look() async throws {
    for useCase in services.catalog.all {
      _ = try await useCase.figures.follow(useCase.store.reader)
      try await useCase.refreshFeedback()
    }
  }

  /// The ids of the anomalies in the store.
  func stored() async throws -> Set<String> {
    var filter = ResultFilter()
    (filter.useCase, filter.limit) = (Self.useCase, 0)
    return try await served.store.reader.read { [filter] snapshot in
      var ids: Set<String> = []
      try await snapshot.forEachAnomaly(filter) { ids.insert($0.id) }
      return ids
    }
  }

  var served: ServedUseCase {
    get throws { try services.catalog.useCase(Self.useCase, for: Principal(name: "test", role: .admin)) }
  }

  // MARK: Requests

  func get(_ target: String, _ headers: HTTPFields = [:]) async throws -> Answer {
    try await ask(.get, target, headers: headers)
  }

  func post(_ target: String, _ body: String, _ headers: HTTPFields = [:]) async throws -> Answer {
    var headers = headers
    if headers[.contentType] == nil { headers[.contentType] = "application/json" }
    return try await ask(.post, target, headers: headers, body: Array(body.utf8))
  }

  func ask(
    _ method: HTTPRequest.Method, _ target: String, headers: HTTPFields = [:], body: [UInt8] = [],
    authority: String? = ServedFixture.host, client: String = "127.0.0.1"
  ) async throws -> Answer {
    let head = HTTPRequest(method: method, scheme: "http", authority: authority, path: target, headerFields: headers)
    let request = Request(head: head, body: RequestBody(buffer: ByteBuffer(bytes: body)))
    let response = try await front.respond(to: request, context: ConnectionContext(client: client))
    let collector = BodyCollector()
    try await response.body.write(BodyWriter(collector))
    return Answer(status: response.status.code, headers: response.headers, body: collector.bytes)
  }

  /// A part of an address.
  static func escaped(_ text: String) -> String {
    text.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? text
  }
}

/// Takes what is written.
final class BodyCollector: Sendable {
  private let written = Mutex<[UInt8]>([])
  var bytes: [UInt8] { written.withLock { $0 } }

  func take(_ bytes: some Sequence<UInt8>) { written.withLock { $0 += bytes } }
}

struct BodyWriter: ResponseBodyWriter {
  let collector: BodyCollector

  init(_ collector: BodyCollector) { self.collector = collector }

  mutating func write(_ buffer: ByteBuffer) async throws { collector.take(buffer.readableBytesView) }
  consuming func finish(_ trailingHeaders: HTTPFields?) async throws {}
}
