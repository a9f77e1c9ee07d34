// Records as producers write them: compressed, large, with odd keys, times and headers.

import CKafkaLibrary
import Configuration
import Detection
import Foundation
import KafkaKit
import Pipeline
import TestKit
import Testing

@testable import Connectors

@Suite("Records of Kafka", .serialized, .timeLimit(.minutes(15)))
struct KafkaRecordTests {
  private static func read(_ bootstrap: String, maxEventBytes: Int = 1 << 20) async throws -> [RawBatch] {
    let source = try KafkaRun.source(bootstrap, "events", maxEventBytes: maxEventBytes)
    guard case .assigned(let partition) = try await source.next() else { return [] }
    _ = try await source.resume(partition, at: nil)
    var batches: [RawBatch] = []
    while case .batch(let batch) = try await source.next() { batches.append(batch) }
    await source.release(partition)
    return batches
  }

  private static func cluster(
    _ messages: [KafkaTestMessage], codec: KafkaTestCodec = .none
  ) async throws -> MockCluster {
    try await blocking {
      let cluster = try kafkaCluster()
      try cluster.createTopic("events")
      try KafkaTestClient(cluster.bootstrap).produce(messages, to: "events", codec: codec)
      return cluster
    }
  }

  @Test(
    "whatever they were compressed with, records are the same", arguments: KafkaTestCodec.allCases)
  func codecs(_ codec: KafkaTestCodec) async throws {
    let messages = kafkaRecords(500, partitions: 1)
    let cluster = try await Self.cluster(messages, codec: codec)
    let batches = try await Self.read(cluster.bootstrap)
    let values = batches.flatMap { batch -> [[UInt8]] in
      let records = batch.recordBytes
      return (0..<records.count).map { Array(records.bytes[Int(records.starts[$0])..<Int(records.ends[$0])]) }
    }
    #expect(values == messages.compactMap(\.value))
    let keys = batches.flatMap { batch in (0..<batch.count).map { batch.envelopes?[$0].key } }
    #expect(keys == messages.map(\.key))
    withExtendedLifetime(cluster) {}
  }

  @Test("a record of 2 MB, and one with very many headers, cost no other record anything")
  func large() async throws {
    let headers = (0..<100_000).map { KafkaTestHeader("h\($0 % 10)", "\($0)") }
    let cluster = try await Self.cluster(
      [
        KafkaTestMessage("{}"), KafkaTestMessage(value: [UInt8](repeating: 0x41, count: 2 << 20)),
        KafkaTestMessage("{}", headers: headers), KafkaTestMessage("{}"),
      ])
    let batches = try await Self.read(cluster.bootstrap)
    #expect(batches.flatMap { $0.positions.offsets } == [0, 2, 3])
    let letters = batches.flatMap(\.oversized)
    #expect(letters.map(\.length) == [2 << 20] && letters.first?.raw.count == Limits.oversizedExcerptBytes)
    #expect(letters.first?.sha256?.count == 32)
    let found = batches.flatMap { batch -> [RecordEnvelope] in
      (0..<batch.count).compactMap { batch.positions.offsets[$0] == 2 ? batch.envelopes?[$0] : nil }
    }
    #expect(found.first?.headers.count == 100_000 && found.first?.headers.last?.name == "h9")
    withExtendedLifetime(cluster) {}
  }

  @Test("times of the first and of the last year are times; what is none is none")
  func times() async throws {
    let year9999 = Int64(253_402_300_799_000)
    let cluster = try await Self.cluster([
      KafkaTestMessage("{}", timestamp: 1), KafkaTestMessage("{}", timestamp: year9999),
      KafkaTestMessage("{}", timestamp: year9999 + 1_000),
    ])
    let batches = try await Self.read(cluster.bootstrap)
    let times = batches.flatMap { batch in (0..<batch.count).map { batch.envelopes?.timestamp(of: $0) } }
    #expect(times == [1_000, year9999 * 1_000, nil])
    withExtendedLifetime(cluster) {}
  }

  @Test("values of a schema registry are dead letters, and that is said once in words a person can use")
  func registry() async throws {
    let cluster = try await Self.cluster(
      (0..<3).map { KafkaTestMessage(value: [0, 0, 0, 0, 7, UInt8($0), 0x22]) } + [KafkaTestMessage("{}")])
    let notes = Notes()
    let source = try KafkaRun.source(cluster.bootstrap, "events", notice: { notes.add($0) })
    let run = KafkaRun()
    _ = try await run.run(source)
    #expect(run.store.contents.deadLetters.count == 4)
    #expect(notes.all.filter { $0.contains("schema registry") }.count == 1)
    withExtendedLifetime(cluster) {}
  }

  @Test("a topic that may not be read ends the run with its name")
  func noPermission() async throws {
    let cluster = try await Self.cluster([KafkaTestMessage("{}")])
    cluster.setError(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, ofTopic: "events")
    let error = await #expect(throws: OperatingError.self) {
      _ = try await KafkaRun().run(try KafkaRun.source(cluster.bootstrap, "events"))
    }
    #expect("\(String(describing: error))".contains("events"))
    #expect("\(String(describing: error))".contains("may not be read"))
  }
}
