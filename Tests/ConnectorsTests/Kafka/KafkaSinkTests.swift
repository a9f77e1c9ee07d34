// Results in topics are those of the store, each once for who reads what is committed, whatever is killed in between.

import CKafkaLibrary
import Configuration
import Detection
import Foundation
import KafkaKit
import Logging
import Pipeline
import TestKit
import Testing

@testable import Connectors

@Suite("Results to Kafka", .serialized, .timeLimit(.minutes(10)))
struct KafkaSinkTests {
  private static func position(_ offset: Int64) -> Position { Position(segment: 0, offset: offset, row: offset) }

  private static func anomaly(_ offset: Int64, key: String = "k", event: String = "{}") -> Anomaly {
    Anomaly(
      useCase: "runtime", partition: PublishedStore.partition, position: position(offset), detector: "d",
      eventTime: 1_700_000_000_000_000 + offset, key: key, score: 1, severity: .low, reason: "r",
      explanation: Explanation(), event: event)
  }

  /// A cluster with the topics of results.
  private static func cluster() async throws -> (MockCluster, KafkaTestClient) {
    try await blocking {
      let cluster = try kafkaCluster()
      for topic in [PublishedStore.anomalies, PublishedStore.deadLetters] {
        try cluster.createTopic(topic, partitions: Int(PublishedStore.partitions))
      }
      return (cluster, KafkaTestClient(cluster.bootstrap))
    }
  }

  @Test(
    "each finding is a CloudEvent in the partition of its entity, with transactions and without",
    arguments: [true, false])
  func findings(_ hasTransactions: Bool) async throws {
    let (cluster, client) = try await Self.cluster()
    if !hasTransactions { cluster.fail(.initProducerID, with: RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED) }
    let published = PublishedStore(cluster.bootstrap, cursors: MemoryActions())
    try await published.run([RuntimeUseCase.records(400, seed: 1), RuntimeUseCase.records(200, seed: 2)])
    let sink = try await published.sink()
    #expect(try await published.outbox(sink, batch: 40).drain() > 100)
    let records = try await client.results(PublishedStore.anomalies)
    let stored = try await published.stored()
    #expect(records.count == stored.count && stored.count > 20)
    #expect(Set(records.map { SeenAnomaly($0) }) == stored)
    // What a reader relies on: an entity in one partition, numbers of a partition of the input in order.
    for (_, of) in Dictionary(grouping: records, by: \.key) { #expect(Set(of.map(\.partition)).count == 1) }
    for (_, of) in Dictionary(grouping: records, by: { "\($0.partition) \($0.header("pulse_partition") ?? "")" }) {
      let numbers = of.map { SeenAnomaly($0).number }
      #expect(zip(numbers, numbers.dropFirst()).allSatisfy { $0 < $1 })
    }
    let first = try #require(records.first)
    #expect(first.header("ce_specversion") == "1.0" && first.header("content-type") == "application/json")
    #expect(first.header("ce_source") == "/use-cases/runtime" && first.header("ce_time")?.hasSuffix("Z") == true)
    #expect(try await published.outbox(sink).drain() == 0)
    let warnings = published.log.all.filter { $0.contains("has no transactions") }
    #expect(warnings.count == (hasTransactions ? 0 : 1), "it is said once: \(warnings)")
    withExtendedLifetime(cluster) {}
  }

  @Test("what was taken back follows under the same key and id")
  func retractions() async throws {
    let (cluster, client) = try await Self.cluster()
    let published = PublishedStore(cluster.bootstrap, cursors: MemoryActions())
    let store = published.store
    let claim = try await store.claim(useCase: "runtime", partition: PublishedStore.partition).claim
    let found = (1...6).map { Self.anomaly($0, key: "k\($0 % 4)") }
    #expect(try await store.commit([Results(claim: claim, anomalies: found)]).isEmpty)
    let outbox = published.outbox(try await published.sink())
    #expect(try await outbox.drain() == 6)
    try await store.activate(
      Activation(
        partition: PublishedStore.partition, from: Self.position(4), kind: .model, detector: "d", version: "2"),
      under: claim, text: nil)
    #expect(try await outbox.drain() == 3)
    let records = try await client.results(PublishedStore.anomalies)
    let byID = Dictionary(grouping: records) { SeenAnomaly($0).id }
    #expect(byID.count == 6 && records.count == 9)
    for anomaly in found {
      let seen = try #require(byID[anomaly.id])
      let types = seen.map { SeenAnomaly($0).type }
      guard anomaly.position.offset >= 4 else {
        #expect(types == ["streampulse.anomaly"])
        continue
      }
      #expect(types == ["streampulse.anomaly", "streampulse.anomaly.retracted"])
      #expect(Set(seen.map(\.key)) == [Array(anomaly.key.utf8)] && Set(seen.map(\.partition)).count == 1)
      #expect(seen[0].header("ce_time") == seen[1].header("ce_time"))
      #expect(SeenAnomaly(seen[0]).number < SeenAnomaly(seen[1]).number)
      #expect(seen[1].text.contains(#""change":"retraction""#), "a value: without one the entity would go as a whole")
    }
    withExtendedLifetime(cluster) {}
  }

  @Test("dead letters are the records that they were, with what Kafka Connect says of its own")
  func deadLetters() async throws {
    let (cluster, client) = try await Self.cluster()
    let headers = [KafkaTestHeader("a", "x"), KafkaTestHeader("a", nil), KafkaTestHeader("b", [UInt8]())]
    let messages = [
      KafkaTestMessage(key: [0xFF, 1], value: Array("{broken".utf8), headers: headers),
      KafkaTestMessage(value: [0x7B, 0xC3, 0x28, 0x7D]),
      KafkaTestMessage(key: [], value: Array(#"{"at": 1, "user": "u", "amount": -1}"#.utf8), headers: headers),
      KafkaTestMessage(value: [UInt8](repeating: 0x20, count: 3_000)),
    ]
    try await blocking {
      try cluster.createTopic("events")
      try client.produce(messages, to: "events")
    }
    let run = KafkaRun()
    _ = try await run.run(try KafkaRun.source(cluster.bootstrap, "events"))
    let published = PublishedStore(cluster.bootstrap, run.store, cursors: MemoryActions())
    try await published.outbox(try await published.sink()).drain()
    let records = try await client.results(PublishedStore.deadLetters)
    let letters = try await PublishedStore.deadLetters(in: run.store)
    #expect(records.count == messages.count && letters.count == messages.count)
    for record in records {
      let offset = try #require(record.header("__connect.errors.offset").flatMap { Int($0) })
      let (message, letter) = (messages[offset], try #require(letters.first { $0.position.offset == Int64(offset) }))
      #expect(record.key == message.key && record.value == message.value)
      #expect(Array(record.headers.prefix(message.headers.count)) == message.headers)
      let errors = record.headers.filter { $0.name.hasPrefix("__connect.errors.") }
      #expect(
        errors.map { String($0.name.dropFirst("__connect.errors.".count)) } == [
          "topic", "partition", "offset", "connector.name", "task.id", "stage", "class.name", "exception.class.name",
          "exception.message", "exception.stacktrace",
        ])
      #expect(record.header("__connect.errors.topic") == "events")
      #expect(record.header("__connect.errors.partition") == "0")
      #expect(record.header("__connect.errors.connector.name") == "pulse.runtime")
      #expect(record.header("__connect.errors.stage") == letter.stage)
      #expect(record.header("__connect.errors.exception.class.name") == letter.reason)
      #expect(record.header("__connect.errors.exception.message") == letter.message)
      #expect(record.header("pulse_length") == nil, "nothing of it is left out")
    }
    withExtendedLifetime(cluster) {}
  }

  @Test("a batch that is refused is taken back and comes again, by a new producer where the old one can do no more")
  func refusals() async throws {
    let (cluster, client) = try await Self.cluster()
    let published = PublishedStore(cluster.bootstrap, cursors: MemoryActions())
    let claim = try await published.store.claim(useCase: "runtime", partition: PublishedStore.partition).claim
    let outbox = published.outbox(try await published.sink())
    func find(_ offset: Int64) async throws {
      #expect(try await published.store.commit([Results(claim: claim, anomalies: [Self.anomaly(offset)])]).isEmpty)
    }
    try await find(1)
    cluster.fail(.addPartitionsToTransaction, with: RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
    let refused = await #expect(throws: OperatingError.self) { try await outbox.drain() }
    #expect(refused?.description.contains("Topic authorization failed") == true)
    #expect(try await outbox.drain() == 1)
    #expect(try await client.results(PublishedStore.anomalies).map { SeenAnomaly($0).number } == [1])
    try await find(2)
    cluster.fail(.endTransaction, with: RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
    await #expect(throws: OperatingError.self) { try await outbox.drain() }
    #expect(try await outbox.drain() == 1)
    try await find(3)
    cluster.fail(.endTransaction, with: RD_KAFKA_RESP_ERR_PRODUCER_FENCED)
    let ended = await #expect(throws: SinkEnded.self) { try await outbox.drain() }
    #expect(ended?.description.contains("another process delivers the results of runtime") == true)
    await #expect(throws: SinkEnded.self) { try await outbox.drain() }
    withExtendedLifetime(cluster) {}
  }

  @Test("what is too large for a record is cut, and says so")
  func large() throws {
    let settings = try {
      var chosen = ConnectorSettings(type: KafkaPublishConnector.name)
      chosen.set(KafkaPublishSettings.bootstrap, to: .texts(["a:1"]))
      return try KafkaPublishSettings(chosen, of: "runtime", source: ConnectorSettings(type: "none"))
    }()
    func record(_ content: ResultChange.Content) throws -> PublishedRecord {
      let change = ResultChange(
        useCase: "runtime", partition: PublishedStore.partition, number: 7, content: content)
      return try #require(PublishedRecord(change, to: settings))
    }
    let event = #"{"text":"\#(String(repeating: "x", count: 1_000_000))"}"#
    let anomaly = try record(.anomaly(StoredAnomaly(Self.anomaly(1, event: event))))
    #expect(anomaly.value.count < 1_000 && anomaly.headers.last == RecordHeader("pulse_left_out", Array("event".utf8)))
    #expect(String(decoding: anomaly.value, as: UTF8.self).hasSuffix(#""event":{}}"#))
    let raw = [UInt8](repeating: 1, count: 1_000_000)
    let letter = try record(
      .deadLetter(
        StoredDeadLetter(
          DeadLetter(position: Self.position(1), stage: .decode, reason: .malformed, message: "m", raw: raw),
          watermark: 1, useCase: "runtime", partition: PublishedStore.partition)))
    #expect(letter.value == Array(raw.prefix(Limits.oversizedExcerptBytes)))
    #expect(letter.headers.last == RecordHeader("pulse_length", Array("1000000".utf8)) && letter.key == nil)
  }

  @Test("a mark covers what its batch had, and nothing of another store or of an older copy")
  func marks() throws {
    let mark = KafkaMark(identity: "i", first: 11, last: 20)
    #expect(KafkaMark(mark.text, last: 20) == mark)
    #expect(KafkaMark("", last: 20) == nil && KafkaMark("2 i 11", last: 20) == nil)
    #expect(mark.covers(20, of: "i", inBatchFrom: 11) && mark.covers(15, of: "i", inBatchFrom: 15))
    #expect(!mark.covers(21, of: "i", inBatchFrom: 11), "what is new")
    #expect(!mark.covers(15, of: "other", inBatchFrom: 11))
    #expect(!mark.covers(15, of: "i", inBatchFrom: 10), "the cursor went back: numbers may mean something else")
  }
}

@Suite(
  "Results to a broker", .serialized, .timeLimit(.minutes(10)),
  .enabled(
    if: BrokerProcess.Kind.noida.isInstalled, "scripts/test-brokers has not been run, or has none for this system"))
struct KafkaSinkBrokerTests {
  private static func broker() async throws -> (BrokerProcess, KafkaTestClient) {
    try await blocking {
      let broker = try BrokerProcess(.noida)
      let client = KafkaTestClient(broker.bootstrap)
      try client.createTopics(
        PublishedStore.anomalies, PublishedStore.deadLetters, partitions: Int(PublishedStore.partitions))
      return (broker, client)
    }
  }

  @Test("each change is read once, though processes are killed between its delivery and the cursor", arguments: 0..<3)
  func once(_ number: Int) async throws {
    let seed = UInt64(number)
    let (broker, client) = try await Self.broker()
    let published = PublishedStore(broker.bootstrap, cursors: InterruptedCursors(seed: seed))
    try await published.run([RuntimeUseCase.records(500, seed: seed), RuntimeUseCase.records(300, seed: 60)])
    var kills = 0
    while true {
      // A new process each time.
      do {
        try await published.outbox(try await published.sink(), batch: 60).drain()
        break
      } catch is PlannedFault { kills += 1 }
      if kills > 200 { break }
    }
    #expect((1...200).contains(kills))
    let records = try await client.results(PublishedStore.anomalies)
    let stored = try await published.stored()
    #expect(records.count == stored.count && Set(records.map { SeenAnomaly($0) }) == stored && stored.count > 30)
    let letters = try await PublishedStore.deadLetters(in: published.store)
    let broken = try await client.results(PublishedStore.deadLetters)
    #expect(broken.count == letters.count && letters.count > 5)
    #expect(
      Set(broken.map { "\($0.header("pulse_partition") ?? "") \($0.header("__connect.errors.offset") ?? "")" })
        == Set(letters.map { "\($0.partition.source)/\($0.partition.number) \($0.position.offset)" }))
    #expect(broker.isRunning)
  }

  @Test("a former owner that wakes is fenced off, and its run goes on")
  func fenced() async throws {
    let (broker, client) = try await Self.broker()
    let published = PublishedStore(broker.bootstrap, cursors: MemoryActions())
    let claim = try await published.store.claim(useCase: "runtime", partition: PublishedStore.partition).claim
    func find(_ offset: Int64) async throws {
      let anomaly = Anomaly(
        useCase: "runtime", partition: PublishedStore.partition,
        position: Position(segment: 0, offset: offset, row: offset), detector: "d", eventTime: offset, key: "k",
        score: 1, severity: .low, reason: "r", explanation: Explanation(), event: "{}")
      #expect(try await published.store.commit([Results(claim: claim, anomalies: [anomaly])]).isEmpty)
    }
    let former = published.outbox(try await published.sink())
    let latter = published.outbox(try await published.sink())
    try await find(1)
    #expect(try await former.drain() == 1)
    try await find(2)
    #expect(try await latter.drain() == 1)
    try await find(3)
    #expect(await !former.run(wokenBy: ChangeSignal()), "it ends, and says why")
    #expect(published.log.all.contains { $0.contains("delivers no more: another process delivers the results") })
    await former.finish(within: .seconds(5))
    #expect(try await latter.drain() == 1)
    let numbers = try await client.results(PublishedStore.anomalies).map { SeenAnomaly($0).number }
    #expect(numbers == [1, 2, 3])
    #expect(broker.isRunning)
  }

  @Test("a broker that is away only takes time")
  func away() async throws {
    let (broker, client) = try await Self.broker()
    let published = PublishedStore(broker.bootstrap, cursors: MemoryActions())
    try await published.run([RuntimeUseCase.records(300, seed: 8)])
    let outbox = published.outbox(try await published.sink(), batch: 30)
    let signal = ChangeSignal()
    try await blocking { try broker.stop() }
    let delivery = Task { await outbox.run(wokenBy: signal) }
    try await Task.sleep(for: .seconds(1))
    try await blocking { try broker.restart() }
    let end = try await published.store.read { try await $0.latestChange(of: nil) }
    while try await published.cursors.cursor(of: "publish") != end { try await Task.sleep(for: .milliseconds(50)) }
    delivery.cancel()
    #expect(await delivery.value)
    let seen = try await client.results(PublishedStore.anomalies).map { SeenAnomaly($0) }
    #expect(try await Set(seen) == published.stored() && !seen.isEmpty && Set(seen).count == seen.count)
  }
}
