// What becomes of a log while nobody reads it: where reading begins, and what is said where something that was to be read is
// gone, or has come.

import CKafkaLibrary
import Configuration
import Detection
import Foundation
import KafkaKit
import Pipeline
import TestKit
import Testing

@testable import Connectors

@Suite("Logs of Kafka", .serialized, .timeLimit(.minutes(15)))
struct KafkaLogTests {
  /// A cluster with records of the use case in the only partition of a topic.
  private static func cluster(_ count: Int) async throws -> (MockCluster, KafkaTestClient) {
    try await blocking {
      let cluster = try kafkaCluster()
      try cluster.createTopic("events")
      let client = KafkaTestClient(cluster.bootstrap)
      try client.produce(kafkaRecords(count, partitions: 1), to: "events")
      return (cluster, client)
    }
  }

  private static let partition = PartitionID(source: "events", number: 0)

  @Test("where nothing is stored a partition begins at its beginning, at its end, or at a time, and keeps to that")
  func start() async throws {
    let (cluster, client) = try await Self.cluster(100)
    func begin(_ start: String, _ group: String) async throws -> (KafkaRun, KafkaSource) {
      let source = try KafkaRun.source(
        cluster.bootstrap, "events", group: group, settings: [(KafkaSettings.start, .text(start))])
      return (KafkaRun(), source)
    }
    let (earliest, first) = try await begin("earliest", "a")
    #expect(try await earliest.run(first).snapshot.run.records == 100)
    // Nothing is there at first; what comes while nobody runs is read as well.
    let (latest, second) = try await begin("latest", "b")
    #expect(try await latest.run(second).snapshot.run.records == 0)
    try await blocking { try client.produce(kafkaRecords(10, partitions: 1, seed: 9), to: "events") }
    let (_, third) = try await begin("latest", "b")
    #expect(try await latest.run(third).snapshot.run.records == 10)
    withExtendedLifetime(cluster) {}
  }

  @Test("a topic that was made again is told from the one that was read, and nothing is passed over in silence")
  func madeAgain() async throws {
    let run = KafkaRun()
    let (cluster, _) = try await Self.cluster(400)
    _ = try await run.run(try KafkaRun.source(cluster.bootstrap, "events"))
    // More records than before, so that offsets alone say nothing; then fewer.
    for (seed, count) in [(UInt64(7), 900), (8, 50)] {
      let other = try await blocking {
        let cluster = try kafkaCluster()
        try cluster.createTopic("events")
        try KafkaTestClient(cluster.bootstrap).produce(kafkaRecords(count, partitions: 1, seed: seed), to: "events")
        return cluster
      }
      let error = await #expect(throws: OperatingError.self) {
        try await run.run(try KafkaRun.source(other.bootstrap, "events"))
      }
      #expect(error?.kind == .input)
      #expect("\(String(describing: error))".contains("--on-gap skip_and_record"))
      let source = try KafkaRun.source(
        other.bootstrap, "events", settings: [(KafkaSettings.onGap, .text("skip_and_record"))])
      let progress = try await run.run(source).snapshot
      #expect(progress.run.records == count, "it is read from its beginning")
      #expect(progress.gaps.count == 1)
      // What was decided holds: no gap is found again.
      let again = try await run.run(try KafkaRun.source(other.bootstrap, "events")).snapshot
      #expect(again.run.records == 0 && again.gaps.isEmpty)
    }
    let partition = PartitionID(source: "events", number: 0)
    #expect(run.store.log(of: partition).filter { $0.kind == .gap }.count == 2)
    #expect(run.store.contents.positions[partition]?.segment == 2)
    withExtendedLifetime(cluster) {}
  }

  @Test("records that have expired before they were read end the run with a sentence, or are put on record")
  func expired() async throws {
    let (cluster, _) = try await Self.cluster(300)
    let run = KafkaRun()
    try await run.run(try KafkaRun.source(cluster.bootstrap, "events", batchRows: 10), until: 50)
    let read = try #require(run.store.contents.positions[Self.partition]?.offset)
    try #require(read < 200, "the run was stopped too late")
    try await blocking { try cluster.deleteRecords(of: "events", before: 250) }
    let error = await #expect(throws: OperatingError.self) {
      try await run.run(try KafkaRun.source(cluster.bootstrap, "events"))
    }
    #expect("\(String(describing: error))".contains("the records \(read) to 249 of events/0 are gone"))
    #expect("\(String(describing: error))".contains("--on-gap skip_and_record"))
    let source = try KafkaRun.source(
      cluster.bootstrap, "events", settings: [(KafkaSettings.onGap, .text("skip_and_record"))])
    let progress = try await run.run(source).snapshot
    #expect(progress.run.records == 50 && progress.gaps.count == 1)
    #expect(run.store.log(of: Self.partition).filter { $0.kind == .gap }.count == 1)
    #expect(run.store.contents.positions[Self.partition]?.offset == 300)
    withExtendedLifetime(cluster) {}
  }

  @Test(
    "a log that expires under a run that is slow ends the run with a sentence, or is put on record",
    arguments: [true, false])
  func expiredMeanwhile(_ isSkipped: Bool) async throws {
    let (cluster, client) = try await Self.cluster(0)
    // More than is fetched ahead, and less than the cluster keeps.
    let value =
      Array(#"{"at": 1, "user": "u", "amount": 1, "note": ""#.utf8) + [UInt8](repeating: 0x20, count: 20_000)
      + Array(#""}"#.utf8)
    try await blocking {
      try client.produce([KafkaTestMessage](repeating: KafkaTestMessage(value: value), count: 200), to: "events")
    }
    let source = try KafkaRun.source(
      cluster.bootstrap, "events", batchRows: 5, maxEventBytes: 100_000,
      settings: [
        (KafkaSettings.prefetch, .integer(1)), (InputSettings.idleTimeout, .duration(3_000_000)),
        (KafkaSettings.onGap, .text(isSkipped ? "skip_and_record" : "stop")),
      ])
    guard case .assigned(let partition) = try await source.next() else { throw KafkaRunError() }
    _ = try await source.resume(partition, at: nil)
    guard case .batch(let first) = try await source.next() else { throw KafkaRunError() }
    #expect(first.positions.offsets.first == 0)
    try await blocking { try cluster.deleteRecords(of: "events", before: 190) }
    var last = first
    let limit = ContinuousClock.now + .seconds(60)
    loop: while ContinuousClock.now < limit {
      switch try await source.next() {
      case .batch(let batch):
        #expect(batch.positions.offsets.first == last.next.offset, "nothing is passed over in silence")
        last = batch
      case .lost: break loop
      case .idle: continue
      case .end, .assigned, .revoked: throw KafkaRunError()
      }
    }
    try #require(last.next.offset < 190, "all of it was fetched ahead")
    let point = ResumePoint(
      position: last.next, sourceState: source.checkpointState(of: partition, at: last.next), stateEntries: [:])
    await source.release(partition)
    guard case .assigned = try await source.next() else { throw KafkaRunError() }
    if isSkipped {
      let gaps = try await source.resume(partition, at: point)
      #expect(gaps.count == 1 && "\(gaps)".contains("the records \(last.next.offset) to 189 of events/0 are gone"))
      guard case .batch(let next) = try await source.next() else { throw KafkaRunError() }
      #expect(next.positions.offsets.first == 190)
    } else {
      let error = await #expect(throws: OperatingError.self) { try await source.resume(partition, at: point) }
      #expect("\(String(describing: error))".contains("are gone: its log begins at 190 now"))
    }
    source.stop()
    await source.release(partition)
    withExtendedLifetime(cluster) {}
  }
}

@Suite(
  "Logs of a broker", .serialized, .timeLimit(.minutes(15)),
  .enabled(
    if: BrokerProcess.Kind.noida.isInstalled, "scripts/test-brokers has not been run, or has none for this system"))
struct KafkaBrokerLogTests {
  private static let partition = PartitionID(source: "events", number: 0)

  /// A broker with records of the use case in a topic, which keeps them whatever time they have.
  private static func broker(
    _ count: Int, partitions: Int32 = 1, topic: String = "events"
  ) async throws -> (BrokerProcess, KafkaTestClient) {
    try await blocking {
      let broker = try BrokerProcess(.noida)
      let client = KafkaTestClient(broker.bootstrap)
      try client.createTopics(topic, partitions: Int(partitions), settings: ["retention.ms": "-1"])
      try client.produce(kafkaRecords(count, partitions: partitions), to: topic)
      return (broker, client)
    }
  }

  private static let eager: [(Setting, SettingValue)] = [
    // Members of this broker that share partitions cooperatively wait for each other.
    (
      KafkaSettings.properties,
      .texts([
        "session.timeout.ms=6000", "heartbeat.interval.ms=300", "topic.metadata.refresh.interval.ms=500",
      ])
    )
  ]

  @Test("nothing of an aborted transaction is read, and what follows it is")
  func aborted() async throws {
    let (broker, client) = try await Self.broker(10)
    try await blocking {
      let transactions = try client.transactions("writer")
      for (index, isKept) in [true, false, true].enumerated() {
        try transactions.begin()
        try transactions.produce(kafkaRecords(20, partitions: 1, seed: UInt64(20 + index)), to: "events")
        if isKept { try transactions.commit() } else { try transactions.abort() }
      }
    }
    let run = KafkaRun()
    let progress = try await run.run(try KafkaRun.source(broker.bootstrap, "events", settings: Self.eager)).snapshot
    #expect(progress.run.records == 50)
    let again = try await run.run(try KafkaRun.source(broker.bootstrap, "events", settings: Self.eager)).snapshot
    #expect(again.run.records == 0)
    #expect(broker.isRunning)
  }

  @Test("partitions that come to a topic are read from their beginning, whatever `start` says")
  func grown() async throws {
    let (broker, client) = try await Self.broker(40, partitions: 2)
    let run = KafkaRun()
    func source() throws -> KafkaSource {
      try KafkaRun.source(
        broker.bootstrap, "events", settings: Self.eager + [(KafkaSettings.start, .text("latest"))])
    }
    #expect(try await run.run(try source()).snapshot.run.records == 0)
    try await blocking {
      try client.produce([KafkaTestMessage("{}", partition: 0), KafkaTestMessage("{}", partition: 1)], to: "events")
    }
    #expect(try await run.run(try source()).snapshot.run.records == 2)
    try await blocking {
      try client.addPartitions(to: "events", total: 4)
      try client.produce((0..<4).map { KafkaTestMessage("{}", partition: $0) }, to: "events")
    }
    #expect(try await run.run(try source()).snapshot.run.records == 4)
    #expect(run.store.contents.positions.count == 4)
    #expect(broker.isRunning)
  }

  @Test("a pattern reads topics that match, those that come later among them")
  func pattern() async throws {
    let (broker, client) = try await Self.broker(30, topic: "orders.eu")
    try await blocking {
      try client.createTopics("payments", "orders.us", settings: ["retention.ms": "-1"])
      try client.produce(kafkaRecords(20, partitions: 1, seed: 6), to: "orders.us")
      try client.produce(kafkaRecords(7, partitions: 1, seed: 7), to: "payments")
    }
    let run = KafkaRun()
    let source = try KafkaRun.source(
      broker.bootstrap, "^orders\\..*",
      settings: Self.eager + [(InputSettings.idleTimeout, .duration(4_000_000))])
    async let ended = run.run(source)
    let pipelineStarted = ContinuousClock.now + .seconds(30)
    while run.store.contents.positions.count < 2, ContinuousClock.now < pipelineStarted {
      try await Task.sleep(for: .milliseconds(50))
    }
    try await blocking {
      try client.createTopics("orders.asia", settings: ["retention.ms": "-1"])
      try client.produce(kafkaRecords(5, partitions: 1, seed: 8), to: "orders.asia")
    }
    #expect(try await ended.snapshot.run.records == 55)
    #expect(Set(run.store.contents.positions.keys.map(\.source)) == ["orders.eu", "orders.us", "orders.asia"])
    #expect(broker.isRunning)
  }

  @Test("a log that has lost its end, as when a broker is put back to an older copy, is told from one that has not")
  func truncated() async throws {
    let (broker, client) = try await Self.broker(100)
    let copy = try TestFolder()
    try await blocking {
      try broker.stop()
      try FileManager.default.copyItem(atPath: broker.data, toPath: copy / "data")
      try broker.restart()
      try client.produce(kafkaRecords(100, partitions: 1, seed: 6), to: "events")
    }
    let run = KafkaRun()
    let first = try await run.run(try KafkaRun.source(broker.bootstrap, "events", settings: Self.eager)).snapshot
    try #require(first.run.records == 200)
    try await blocking {
      try broker.stop()
      for name in try FileManager.default.contentsOfDirectory(atPath: broker.data) {
        try FileManager.default.removeItem(atPath: broker.data + "/" + name)
      }
      for name in try FileManager.default.contentsOfDirectory(atPath: copy / "data") {
        try FileManager.default.copyItem(atPath: copy / "data/\(name)", toPath: broker.data + "/" + name)
      }
      try broker.restart()
    }
    try #require(try await blocking { try client.watermarks(of: "events") } == 0..<100)
    let error = await #expect(throws: OperatingError.self) {
      try await run.run(try KafkaRun.source(broker.bootstrap, "events", settings: Self.eager))
    }
    #expect("\(String(describing: error))".contains("ends at 100 now, and was read up to 200"))
    try await blocking { try client.produce(kafkaRecords(7, partitions: 1, seed: 9), to: "events") }
    let progress = try await run.run(
      try KafkaRun.source(
        broker.bootstrap, "events", settings: Self.eager + [(KafkaSettings.onGap, .text("skip_and_record"))])
    ).snapshot
    // What was read first is there still: reading goes on at the end that there was when the gap was found.
    #expect(progress.gaps.count == 1 && "\(progress.gaps)".contains("reading goes on at 107"))
    #expect(progress.run.records == 0)
    #expect(broker.isRunning)
  }

  @Test("a member with a name of its own comes back to its partitions")
  func staticMember() async throws {
    let (broker, client) = try await Self.broker(40, partitions: 2)
    let run = KafkaRun()
    func source() throws -> KafkaSource {
      try KafkaRun.source(broker.bootstrap, "events", settings: Self.eager + [(KafkaSettings.member, .text("one"))])
    }
    #expect(try await run.run(try source()).snapshot.run.records == 40)
    try await blocking { try client.produce(kafkaRecords(10, partitions: 2, seed: 6), to: "events") }
    #expect(try await run.run(try source()).snapshot.run.records == 10)
    #expect(broker.isRunning)
  }
}
