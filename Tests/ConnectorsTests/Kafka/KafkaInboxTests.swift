// Events that are handed in to a use case that reads Kafka lie in its topic, each once, and are read from there.

import Configuration
import Detection
import Foundation
import KafkaKit
import Logging
import Pipeline
import Synchronization
import TestKit
import Testing

@testable import Connectors

@Suite(
  "Events handed in to topics", .serialized, .timeLimit(.minutes(10)),
  .enabled(
    if: BrokerProcess.Kind.noida.isInstalled, "scripts/test-brokers has not been run, or has none for this system"))
struct KafkaInboxTests {
  private static let useCase = "runtime"

  private static func broker(_ topics: String...) async throws -> (BrokerProcess, KafkaTestClient) {
    try await blocking {
      let broker = try BrokerProcess(.noida)
      let client = KafkaTestClient(broker.bootstrap)
      for topic in topics { try client.createTopics(topic, partitions: 3) }
      return (broker, client)
    }
  }

  private static func settings(_ bootstrap: String, _ topics: String...) throws -> KafkaSettings {
    var chosen = ConnectorSettings(type: KafkaConnector.name)
    chosen.set(KafkaSettings.bootstrap, to: .texts([bootstrap]))
    chosen.set(KafkaSettings.topic, to: .texts(topics))
    chosen.set(InputSettings.idleTimeout, to: .duration(1_500_000))
    return try KafkaSettings(chosen, useCase: useCase)
  }

  private static func inbox(
    _ actions: any Inbox & OutboxCursors, _ settings: KafkaSettings, log: KeptLines = KeptLines()
  ) throws -> KafkaInbox {
    KafkaInbox(
      useCase, in: { actions }, to: settings, try RuntimeUseCase.plan().0.schema,
      logger: Logger(label: "test") { _ in log.handler })
  }

  private static func all(_ client: KafkaTestClient, _ topic: String) async throws -> [KafkaTestRecord] {
    try await blocking { try (0..<3).flatMap { try client.read(topic, partition: $0, isolation: .readCommitted) } }
  }

  /// Goes on until the inbox is empty.
  private static func drain(_ inbox: KafkaInbox, _ actions: any Inbox) async throws {
    let task = Task { await inbox.run() }
    let end = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < end {
      let state = try await actions.state(of: useCase)
      if state.first == state.next { break }
      try await Task.sleep(for: .milliseconds(10))
    }
    task.cancel()
    await task.value
    let state = try await actions.state(of: useCase)
    #expect(state.first == state.next, "the inbox was not emptied in time")
  }

  @Test("each is in the topic once and in order, though processes are killed before they know it", arguments: 0..<2)
  func once(_ number: Int) async throws {
    let (broker, client) = try await Self.broker("in")
    let actions = ForgetfulInbox(seed: UInt64(number))
    let records = (0..<400).map { Array(#"{"at": \#($0), "user": "u\#($0 % 7)", "amount": 1}"#.utf8) }
    for start in stride(from: 0, to: records.count, by: 40) {
      _ = try await actions.handIn(Array(records[start..<start + 40]), to: Self.useCase, key: "\(start)", at: 1)
      // A new process each time, whose word that it is done may be lost.
      let inbox = try Self.inbox(actions, try Self.settings(broker.bootstrap, "in"))
      let task = Task { await inbox.run() }
      while actions.attempts <= start / 40 { try await Task.sleep(for: .milliseconds(5)) }
      task.cancel()
      await task.value
    }
    actions.isReliable = true
    try await Self.drain(try Self.inbox(actions, try Self.settings(broker.bootstrap, "in")), actions)
    #expect(actions.lost > 2, "too little was lost to show anything: \(actions.lost)")
    let found = try await Self.all(client, "in")
    #expect(found.count == records.count && Set(found.map(\.value)) == Set(records))
    for (key, of) in Dictionary(grouping: found, by: \.key) {
      let user = String(decoding: try #require(key), as: UTF8.self)
      #expect(of.map(\.value) == records.filter { String(decoding: $0, as: UTF8.self).contains("\"\(user)\"") })
    }
    #expect(broker.isRunning)
  }

  @Test("what came from a topic goes back to it with its key, time and headers; what is new to the first one")
  func origins() async throws {
    let (broker, client) = try await Self.broker("in", "other")
    let actions = MemoryActions()
    let time: Int64 = 1_790_000_000_123_000
    let headers = [RecordHeader("h", [0xFF]), RecordHeader("n", nil), RecordHeader("pulse_replay", Array("id".utf8))]
    let value = Array(#"{"at": 1, "user": "u", "amount": 1}"#.utf8)
    _ = try await actions.handIn(
      [
        HandedRecord(value),
        HandedRecord(
          value, envelope: RecordEnvelope(key: [0xFF, 0], timestamp: time, headers: headers), origin: "other"),
        HandedRecord(value, envelope: RecordEnvelope(), origin: "gone"), HandedRecord([]),
      ], to: Self.useCase, key: nil, at: 1)
    try await Self.drain(try Self.inbox(actions, try Self.settings(broker.bootstrap, "in", "^oth.*")), actions)
    let back = try await Self.all(client, "other")
    #expect(back.count == 1 && back[0].key == [0xFF, 0] && back[0].value == value && back[0].timestamp == time / 1_000)
    #expect(
      back[0].headers == [
        KafkaTestHeader("h", [0xFF]), KafkaTestHeader("n", nil), KafkaTestHeader("pulse_replay", "id"),
      ])
    let new = try await Self.all(client, "in")
    #expect(new.count == 3 && new.filter { $0.key == Array("u".utf8) }.count == 1)
    #expect(new.filter { $0.key == nil }.count == 2, "one had no key, one is none")
    #expect(broker.isRunning)
  }

  @Test("a run reads what is handed in while it goes on, behind what waits for a topic that is not there yet")
  func run() async throws {
    let (broker, client) = try await Self.broker("in")
    let (actions, log) = (MemoryActions(), KeptLines())
    let records = RuntimeUseCase.records(120, seed: 3)
    _ = try await actions.handIn(records, to: Self.useCase, key: nil, at: 1)
    let settings = try Self.settings(broker.bootstrap, "in")
    let source = try KafkaSource(
      settings, batchRows: 100, maxEventBytes: 2_000, inbox: try Self.inbox(actions, settings, log: log),
      notice: { _ in }, logger: Logger(label: "test") { _ in log.handler })
    let run = KafkaRun()
    let progress = try await run.run(source)
    #expect(progress.snapshot.run.records == records.count, "\(log.all)")
    let found = try await Self.all(client, "in")
    #expect(found.count == records.count)
    #expect(try await actions.state(of: Self.useCase).bytes == 0)
    #expect(broker.isRunning)
  }

  @Test("only a topic with values in JSON, and a name, takes what is handed in")
  func places() throws {
    #expect(KafkaInbox.hasPlace(in: try Self.settings("a:9092", "in")))
    #expect(KafkaInbox.hasPlace(in: try Self.settings("a:9092", "^b.*", "in")))
    #expect(!KafkaInbox.hasPlace(in: try Self.settings("a:9092", "^b.*")))
    var settings = try Self.settings("a:9092", "in")
    settings.columns = ["at"]
    #expect(!KafkaInbox.hasPlace(in: settings))
  }
}

/// The inbox of a process that is killed now and then before its word that records are taken is stored.
private final class ForgetfulInbox: Inbox, OutboxCursors {
  private struct State {
    var random: SeededRandom
    var isReliable = false
    var attempts = 0
    var lost = 0
  }

  private let actions = MemoryActions()
  private let state: Mutex<State>

  init(seed: UInt64) { state = Mutex(State(random: SeededRandom(seed: seed))) }

  /// How often a process said that it had taken records.
  var attempts: Int { state.withLock { $0.attempts } }
  var lost: Int { state.withLock { $0.lost } }
  var isReliable: Bool {
    get { state.withLock { $0.isReliable } }
    set { state.withLock { $0.isReliable = newValue } }
  }

  func acknowledge(_ inbox: String, before number: Int64, at time: Int64) async throws {
    let isLost = state.withLock { state in
      state.attempts += 1
      guard !state.isReliable, Bool.random(using: &state.random) else { return false }
      state.lost += 1
      return true
    }
    if isLost { throw PlannedFault() }
    try await actions.acknowledge(inbox, before: number, at: time)
  }

  func handIn(
    _ records: [HandedRecord], to inbox: String, key: String?, at time: Int64
  ) async throws -> HandedIn {
    try await actions.handIn(records, to: inbox, key: key, at: time)
  }

  func records(of inbox: String, from number: Int64, limit: Int, bytes: Int) async throws -> [InboxRecord] {
    try await actions.records(of: inbox, from: number, limit: limit, bytes: bytes)
  }

  func state(of inbox: String) async throws -> InboxState { try await actions.state(of: inbox) }
  func cursor(of outbox: String) async throws -> ChangeCursor { try await actions.cursor(of: outbox) }
  func place(of outbox: String) async throws -> OutboxPlace? { try await actions.place(of: outbox) }

  func advance(_ outbox: String, from old: ChangeCursor, to new: ChangeCursor) async throws -> Bool {
    try await actions.advance(outbox, from: old, to: new)
  }

  func advance(_ outbox: String, from old: ChangeCursor, to new: OutboxPlace) async throws -> Bool {
    try await actions.advance(outbox, from: old, to: new)
  }
}
