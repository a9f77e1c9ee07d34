// Who watches sees what is committed, and goes on where they were.

import Detection
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import Pipeline
import Testing

@testable import Server

@Suite("Stream", .timeLimit(.minutes(15)))
struct StreamTests {
  /// Events of a text of server-sent events.
  private static func events(_ text: String) -> [(kind: String, id: String?, data: String)] {
    text.components(separatedBy: "\n\n").compactMap { part in
      var (kind, id, data): (String?, String?, String) = (nil, nil, "")
      for line in part.split(separator: "\n") {
        if line.hasPrefix("event: ") { kind = String(line.dropFirst(7)) }
        if line.hasPrefix("id: ") { id = String(line.dropFirst(4)) }
        if line.hasPrefix("data: ") { data = String(line.dropFirst(6)) }
      }
      return kind.map { ($0, id, data) }
    }
  }

  /// The ids of the anomalies that events tell of.
  private static func told(_ events: [(kind: String, id: String?, data: String)]) throws -> Set<String> {
    Set(
      try events.filter { $0.kind == "anomaly" }.compactMap {
        try JSONValue(parsing: Array($0.data.utf8))["id"]?.string
      })
  }

  /// Takes what a client is sent until it was told of some anomalies, and of the figures that they are in; then its
  /// connection goes away.
  private static func read(
    _ chunks: AsyncStream<[UInt8]>, until wanted: Set<String>
  ) async throws -> [(kind: String, id: String?, data: String)] {
    var text = ""
    for await chunk in chunks {
      text += String(decoding: chunk, as: UTF8.self)
      let events = events(text)
      if events.last?.kind == "figures", try told(events).isSuperset(of: wanted) { return events }
    }
    return events(text)
  }

  @Test("anomalies come as they are committed, each once, and nothing is missed between two connections")
  func followed() async throws {
    let served = try await ServedFixture(events: 20_000)
    let live = served.services.live
    let hub = Task { try await live.run() }
    defer { hub.cancel() }
    let known = try await served.stored()
    let first = try await live.subscribe(to: served.served, behind: nil)
    try await ServedFixture.run(30_000, in: served.directory)
    let early = try await served.stored().subtracting(known)
    let before = try await Self.read(first, until: early)
    #expect(before.first?.kind == "status" && early.count > 5)
    #expect(try Self.told(before) == early)
    let last = try #require(before.last { $0.id != nil }?.id)
    // While nobody watches.
    try await ServedFixture.run(40_000, in: served.directory)
    let late = try await served.stored().subtracting(known).subtracting(early)
    let after = try await Self.read(try await live.subscribe(to: served.served, behind: last), until: late)
    // Some may come again, none from before the connection that ended.
    #expect(try Self.told(after) == late)
    #expect(late.count > 5)
  }

  @Test("one that does not read loses its connection and nobody else waits")
  func slow() async throws {
    let (client, chunks) = LiveClient.make(useCase: "u") {}
    for number in 0...LiveClient.mostWaiting { client.offer(LiveEvent(kind: "status", data: "\(number)")) }
    var count = 0
    for await _ in chunks { count += 1 }
    #expect(count == LiveClient.mostWaiting)
  }

  @Test("who has gone leaves no trace, and nobody is told of anything once the server stops")
  func gone() async throws {
    let served = try await ServedFixture(events: 2_000)
    let live = served.services.live
    let target = "/api/v1/use-cases/redset/stream"
    for _ in 0..<20 { _ = try await live.subscribe(to: served.served, behind: nil) }
    #expect(live.watching == 0)
    let chunks = try await live.subscribe(to: served.served, behind: nil)
    #expect(live.watching == 1)
    live.end()
    var count = 0
    for await _ in chunks { count += 1 }
    #expect(count == 1 && live.watching == 0)
    #expect(try await served.get(target).status == 503)
  }

  @Test("numbers that no store has given end nothing")
  func forged() async throws {
    let served = try await ServedFixture(events: 2_000)
    let place = ChangeCursor.Place(useCase: "redset", partition: PartitionID(source: "simulator", number: 0))
    for number in [Int64.min, -1, .max] {
      var cursor = ChangeCursor()
      cursor[place] = number
      let header: HTTPFields = [.init("Last-Event-ID")!: cursor.text]
      let answer = try await served.ask(.head, "/api/v1/use-cases/redset/stream", headers: header)
      #expect(answer.status == (number < 0 ? 400 : 200))
    }
    let far = PageCursor([.int(.max)]).text
    let list = try await served.get("/api/v1/use-cases/redset/anomalies?sort=score&cursor=\(far)")
    #expect(try list.status == 200 && list.json["items"]?.array?.isEmpty == true, "\(list.text)")
  }

  @Test("an id that is none is refused")
  func damaged() async throws {
    let served = try await ServedFixture(events: 2_000)
    let answer = try await served.get("/api/v1/use-cases/redset/stream", [.init("Last-Event-ID")!: "%%%"])
    #expect(answer.status == 400)
  }
}
