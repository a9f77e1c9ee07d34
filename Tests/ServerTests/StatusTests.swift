// How a use case stands, as lights and words say it.

import Detection
import Foundation
import HTTPTypes
import Pipeline
import TestKit
import Testing

@testable import Server

@Suite("Status", .timeLimit(.minutes(15)))
struct StatusTests {
  /// What is said of the stream so many seconds after the first look.
  private static func stream(
    _ observer: inout StatusObserver, _ look: StatusObserver.Look, of useCase: ServedUseCase, at seconds: Int64
  ) throws -> UseCaseStatus.Component {
    let status = observer.status(look, of: useCase, at: 1_700_000_000_000_000 + seconds * 1_000_000)
    return try #require(status.components.first { $0.name == "stream" })
  }

  @Test("a silent source is caught up when it says so, or when a record came, and not before")
  func silent() async throws {
    let served = try await ServedFixture(events: 2_000)
    let useCase = try served.served
    var look = try await StatusObserver.Look(useCase, run: nil)
    #expect(!look.waitsForMore && !look.partitions.isEmpty)
    look.hasWriter = true
    var observer = StatusObserver()
    for seconds: Int64 in [0, 3, 30, 300] {
      let stream = try Self.stream(&observer, look, of: useCase, at: seconds)
      #expect(stream.text == "no record yet" && stream.state == .unknown && stream.why != nil, "after \(seconds) s")
    }
    var waiting = look
    waiting.waitsForMore = true
    let said = try Self.stream(&observer, waiting, of: useCase, at: 303)
    #expect(said.text == "caught up" && said.state == .ok)
    // A record shows that the source is at work, whatever it can say of itself.
    look.partitions[0].totals.records += 1
    #expect(try Self.stream(&observer, look, of: useCase, at: 306).text == "reading")
    #expect(try Self.stream(&observer, look, of: useCase, at: 309).text == "caught up")
    #expect(try Self.stream(&observer, look, of: useCase, at: 400).text == "nothing read")
  }

  /// A run of which only the progress is known.
  private struct Run: RunView {
    let useCase = "redset"
    let folder = ""
    let source = "files"
    let readsInbox = false
    var progress: RunProgress
    var waitsForMore: Bool
  }

  @Test("a source that cannot reach what it reads from says so, since when and why, until it can")
  func disconnected() async throws {
    let served = try await ServedFixture(events: 2_000)
    let useCase = try served.served
    let (plan, version) = try RuntimeUseCase.plan()
    let history = MemoryHistory()
    let pipeline = Pipeline(
      plan: plan, version: version, source: MemorySource([], batchSizes: [1]), store: MemoryStore(history),
      encoder: history, options: Pipeline.Options(workers: 1), logger: served.services.logger)
    var look = try await StatusObserver.Look(useCase, run: nil)
    look.hasWriter = true
    look.run = pipeline.progress.snapshot
    let since: Int64 = 1_699_999_990_000_000
    look.run?.source.connection = SourceFigures.Connection(isUp: false, since: since, error: "Connection refused")
    var observer = StatusObserver()
    // Records that were on their way do not hide it.
    for seconds: Int64 in [0, 3, 300] {
      look.partitions[0].totals.records += 1
      let stream = try Self.stream(&observer, look, of: useCase, at: seconds)
      #expect(stream.state == .warning && stream.text == "not connected" && stream.since == since)
      let why = stream.why ?? ""
      #expect(why.contains("since 2023-11-14T22:13:10") && why.contains(": Connection refused."), "\(why)")
    }
    look.run?.source.connection = SourceFigures.Connection(isUp: true, since: 1_700_000_301_000_000)
    look.partitions[0].totals.records += 1
    let again = try Self.stream(&observer, look, of: useCase, at: 303)
    #expect(again.state == .ok && again.text == "reading" && again.since == 1_700_000_303_000_000)
  }

  @Test("a server with a run is ready when the source has given something, or has said that there is nothing")
  func ready() async throws {
    let fixture = try await ServedFixture(events: 2_000)
    let own = fixture.services
    let (plan, version) = try RuntimeUseCase.plan()
    let history = MemoryHistory()
    let pipeline = Pipeline(
      plan: plan, version: version, source: MemorySource(RuntimeUseCase.records(10, seed: 1), batchSizes: [10]),
      store: MemoryStore(history), encoder: history, options: Pipeline.Options(workers: 1), logger: own.logger)
    func ask(waiting: Bool) async throws -> Reply {
      let services = Services(
        catalog: own.catalog, live: own.live, run: Run(progress: pipeline.progress, waitsForMore: waiting),
        page: own.page, canTrain: false, logger: own.logger, clock: own.clock, metrics: own.metrics)
      let endpoint = try #require(HealthRoutes(services: services).endpoints.first { $0.path == "/readyz" })
      return try await endpoint.respond(
        Call(
          endpoint: endpoint, headers: [:], parameters: [:], body: [], json: nil,
          caller: Principal(name: "test", role: .admin), time: 0))
    }
    let early = try await ask(waiting: false)
    guard case .whole(let bytes) = early.body else { throw Problem(.internalServerError, "a stream") }
    #expect(early.status == .serviceUnavailable)
    #expect(String(decoding: bytes, as: UTF8.self).contains("has given no record yet"))
    #expect(try await ask(waiting: true).status == .ok)
    try await pipeline.run()
    #expect(try await ask(waiting: false).status == .ok)
    withExtendedLifetime(fixture) {}
  }
}
