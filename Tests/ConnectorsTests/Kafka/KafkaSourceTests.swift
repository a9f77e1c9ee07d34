// Topics as a source: every record once, whatever happens to the process, its group and the brokers.

import CKafkaLibrary
import Configuration
import Detection
import Foundation
import KafkaKit
import Pipeline
import TestKit
import Testing

@testable import Connectors

@Suite("Kafka as a source", .serialized, .timeLimit(.minutes(15)))
struct KafkaSourceTests {
  /// A cluster with records of the use case in a topic.
  private static func cluster(
    _ count: Int = 3_000, partitions: Int32 = 4, brokers: Int = 1
  ) async throws -> (MockCluster, KafkaTestClient) {
    try await blocking {
      let cluster = try kafkaCluster(brokers: brokers)
      try cluster.createTopic("events", partitions: Int(partitions))
      let client = KafkaTestClient(cluster.bootstrap)
      try client.produce(kafkaRecords(count, partitions: partitions), to: "events")
      return (cluster, client)
    }
  }

  /// What an uninterrupted run leaves.
  private static func whole(_ bootstrap: String) async throws -> MemoryStore.Contents {
    let run = KafkaRun()
    _ = try await run.run(try KafkaRun.source(bootstrap, "events", group: "whole"))
    return run.store.contents
  }

  @Test("every record is read once, with its offset, key, time and headers; what has no value is passed over")
  func records() async throws {
    let (cluster, client) = try await Self.cluster(0, partitions: 1)
    let values: [[UInt8]?] = [Array("{}".utf8), nil, [], [UInt8](repeating: 0x20, count: 3_000), Array("{broken".utf8)]
    try await blocking {
      try client.produce(
        values.map { value in
          KafkaTestMessage(
            key: [0xFF, 1], value: value, headers: [KafkaTestHeader("a", "x"), KafkaTestHeader("a", nil)],
            timestamp: 1_700_000_000_123)
        }, to: "events")
    }
    let source = try KafkaRun.source(cluster.bootstrap, "events")
    guard case .assigned(let partition) = try await source.next() else {
      Issue.record("no partition was assigned")
      return
    }
    #expect(partition == PartitionID(source: "events", number: 0))
    #expect(try await source.resume(partition, at: nil).isEmpty)
    var batches: [RawBatch] = []
    while case .batch(let batch) = try await source.next() { batches.append(batch) }
    await source.release(partition)
    let envelope = RecordEnvelope(
      key: [0xFF, 1], timestamp: 1_700_000_000_123_000,
      headers: [RecordHeader("a", Array("x".utf8)), RecordHeader("a", nil)])
    #expect(batches.flatMap { $0.positions.offsets } == [0, 4])
    #expect(batches.flatMap { $0.positions.rows } == [0, 4])
    #expect(batches.allSatisfy { $0.envelopes?.count == $0.count })
    #expect(batches.first?.envelopes?[0] == envelope)
    let large = batches.flatMap(\.oversized)
    #expect(large.map(\.reason) == [.tooLarge] && large.first?.position.offset == 3 && large.first?.length == 3_000)
    #expect(large.first?.envelope == envelope)
    #expect(batches.last?.next == Position(segment: 0, offset: 5, row: 5))
    withExtendedLifetime(cluster) {}
  }

  @Test("a run that was stopped anywhere goes on there; what is committed to the group changes nothing")
  func stopped() async throws {
    let (cluster, client) = try await Self.cluster()
    let whole = try await Self.whole(cluster.bootstrap)
    #expect(whole.totals.records == 3_000 && whole.anomalies.count > 50 && whole.deadLetters.count > 20)
    // Somebody has set the group forward: the store knows better.
    try await blocking { try client.commit([0: 700, 1: 700], by: "test", of: "events") }
    let run = KafkaRun()
    for records in [1, 500, 700] {
      try await run.run(try KafkaRun.source(cluster.bootstrap, "events"), until: records)
    }
    _ = try await run.run(try KafkaRun.source(cluster.bootstrap, "events"))
    #expect(run.store.contents == whole)
    let committed = try await blocking { try client.committed(by: "test", of: "events") }
    #expect(committed == [0: 750, 1: 750, 2: 750, 3: 750])
  }

  @Test("a partition that is taken back before it was resumed keeps what is stored of it")
  func takenBack() async throws {
    let (cluster, client) = try await Self.cluster(40, partitions: 4)
    let source = try KafkaRun.source(cluster.bootstrap, "events")
    for _ in 0..<4 { guard case .assigned = try await source.next() else { throw KafkaRunError() } }
    let guest = try KafkaTestMember(of: "test", topics: "events", on: client)
    guard case .revoked(let partition) = try await source.next() else { throw KafkaRunError() }
    let state = KafkaPartitionState(
      segment: 2, start: 7, last: KafkaFingerprint(offset: 8, timestamp: 9, digest: 10)
    ).encoded
    let position = Position(segment: 2, offset: 9, row: 9)
    #expect(try await source.resume(partition, at: ResumePoint(position: position, sourceState: state)).isEmpty)
    #expect(source.checkpointState(of: partition, at: position) == state)
    // Of one that nothing is stored of, nothing is to be.
    await source.release(partition)
    guard case .revoked(let other) = try await source.next() else { throw KafkaRunError() }
    #expect(try await source.resume(other, at: nil).isEmpty)
    #expect(source.isRecorded(0, of: other))
    source.stop()
    for number in 0..<4 {
      let rest = PartitionID(source: "events", number: Int32(number))
      if rest != partition { await source.release(rest) }
    }
    withExtendedLifetime((cluster, guest)) {}
  }

  @Test("members come and go within a group, and together they read every record once")
  func rebalances() async throws {
    let (cluster, _) = try await Self.cluster(6_000)
    let whole = try await Self.whole(cluster.bootstrap)
    let run = KafkaRun()
    let steady = try run.pipeline(try KafkaRun.source(cluster.bootstrap, "events", batchRows: 7))
    async let end: Void = steady.run()
    for _ in 0..<2 {
      let guest = try run.pipeline(try KafkaRun.source(cluster.bootstrap, "events", batchRows: 7))
      async let guestEnd: Void = guest.run()
      try await Task.sleep(for: .seconds(4))
      guest.stop()
      try await guestEnd
    }
    try await end
    _ = try await run.run(try KafkaRun.source(cluster.bootstrap, "events"))
    #expect(run.store.contents == whole)
  }

  @Test("brokers that fail, are slow or away only take time")
  func faults() async throws {
    let (cluster, _) = try await Self.cluster(brokers: 3)
    let whole = try await Self.whole(cluster.bootstrap)
    let run = KafkaRun()
    let source = try KafkaRun.source(
      cluster.bootstrap, "events", batchRows: 20, settings: [(InputSettings.idleTimeout, .duration(5_000_000))])
    cluster.fail(.fetch, with: RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR__TRANSPORT)
    cluster.fail(.joinGroup, with: RD_KAFKA_RESP_ERR_NOT_COORDINATOR)
    cluster.fail(.listOffsets, with: RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
    let pipeline = try run.pipeline(source)
    async let end: Void = pipeline.run()
    try await Task.sleep(for: .seconds(4))
    try await blocking {
      try cluster.setDown()
      usleep(1_000_000)
      try cluster.setUp()
      try cluster.setRoundTrip(.milliseconds(50))
      try cluster.setCoordinator(ofGroup: "test", to: 2)
      try cluster.setLeader(of: "events", partition: 0, to: 3)
    }
    try await end
    #expect(run.store.contents == whole)
  }

  @Test("the lag is what was not handed over, and goes to 0; a broker that is away is known, since when and why")
  func figures() async throws {
    let (cluster, client) = try await Self.cluster(100, partitions: 1)
    // Brokers are away for less than a session, and are looked for often.
    let properties = ["session.timeout.ms=12000", "heartbeat.interval.ms=500", "reconnect.backoff.max.ms=200"]
    let source = try KafkaRun.source(
      cluster.bootstrap, "events", batchRows: 10,
      settings: [
        (InputSettings.idleTimeout, .duration(60_000_000)), (KafkaSettings.properties, .texts(properties)),
      ])
    #expect(source.figures().lag.isEmpty && source.figures().connection == nil)
    guard case .assigned(let partition) = try await source.next() else { throw KafkaRunError() }
    _ = try await source.resume(partition, at: nil)
    guard case .batch = try await source.next() else { throw KafkaRunError() }
    // Some batches more are made before they are asked for.
    let lag = try #require(source.figures().lag[partition])
    #expect((1...90).contains(lag), "\(lag)")
    for _ in 0..<9 { guard case .batch = try await source.next() else { throw KafkaRunError() } }
    #expect(source.figures().lag == [partition: 0])
    let began = Date.now
    func wait(until condition: (SourceFigures) -> Bool) async throws -> SourceFigures {
      let limit = ContinuousClock.now + .seconds(30)
      while !condition(source.figures()), ContinuousClock.now < limit { try await Task.sleep(for: .milliseconds(20)) }
      return source.figures()
    }
    let up = try await wait { $0.connection?.isUp == true && $0.fetchedBytes == 0 }
    #expect(up.connection?.isUp == true && up.connection?.error == nil && up.fetchedBytes == 0)
    #expect(up.rebalances == 1 && up.passedOver == ["tombstone": 0, "empty": 0])
    try cluster.setDown()
    let down = try await wait { $0.connection?.isUp == false && $0.connection?.error != nil }
    #expect(down.connection?.isUp == false && down.connection?.error?.isEmpty == false)
    #expect(Double(down.connection?.since ?? 0) / 1e6 >= began.timeIntervalSince1970)
    try cluster.setUp()
    let again = try await wait { $0.connection?.isUp == true }
    #expect(again.connection?.isUp == true)
    // What comes then is behind first, and is read.
    try await blocking {
      try client.produce([KafkaTestMessage("{}"), KafkaTestMessage(value: nil), KafkaTestMessage("")], to: "events")
    }
    guard case .batch = try await source.next() else { throw KafkaRunError() }
    let last = try await wait { $0.lag == [partition: 0] && $0.passedOver["empty"] == 1 }
    #expect(last.lag == [partition: 0] && last.passedOver == ["tombstone": 1, "empty": 1])
    source.stop()
    await source.release(partition)
    #expect(source.figures().lag.isEmpty, "it is somebody else's")
  }

  @Test("keys, times and headers are fields where the use case says so, and kept with dead letters")
  func envelopeFields() async throws {
    let useCase = """
      name: log
      event:
        time: at
        key: user
        fields:
          at: {type: timestamp, required: true, path: _timestamp}
          user: {type: string, required: true, path: _key}
          tenant: {type: int, path: header.tenant}
          topic: {type: string, path: _topic}
          amount: {type: double, min: 0}
      rules:
        - {name: mine, when: "tenant = 7 AND topic = 'events' AND amount > 1"}
      """
    let (cluster, client) = try await Self.cluster(0, partitions: 1)
    try await blocking {
      try client.produce(
        [
          KafkaTestMessage(
            #"{"amount": 2}"#, key: "ann", headers: [KafkaTestHeader("tenant", "7")], timestamp: 1_700_000_000_000),
          KafkaTestMessage(
            #"{"amount": -2}"#, key: "bob", headers: [KafkaTestHeader("tenant", "7")], timestamp: 1_700_000_001_000),
          KafkaTestMessage(
            #"{"amount": 3}"#, key: "eve", headers: [KafkaTestHeader("tenant", "x")], timestamp: 1_700_000_002_000),
          KafkaTestMessage(
            key: [0xC3], value: Array(#"{"amount": 3}"#.utf8), timestamp: 1_700_000_003_000),
        ], to: "events")
    }
    let run = KafkaRun()
    _ = try await run.run(try KafkaRun.source(cluster.bootstrap, "events"), useCase: useCase)
    let found = try await run.store.read { snapshot in
      (
        try await snapshot.anomalies(ResultFilter(), after: nil).rows,
        try await snapshot.deadLetters(ResultFilter(), after: nil).rows.sorted { $0.position < $1.position }
      )
    }
    #expect(found.0.map(\.key) == ["ann"] && found.0.first?.eventTime == 1_700_000_000_000_000)
    #expect(found.1.map(\.position.offset) == [1, 2, 3])
    #expect(found.1.map(\.reason) == ["out_of_range", "wrong_type", "invalid_utf8"])
    #expect(found.1.map(\.field) == ["amount", "tenant", "user"])
    let envelopes = found.1.compactMap(\.envelope).compactMap { RecordEnvelope(json: $0) }
    #expect(envelopes.map(\.key) == [Array("bob".utf8), Array("eve".utf8), [0xC3]])
    #expect(envelopes.first?.headers == [RecordHeader("tenant", Array("7".utf8))])
    withExtendedLifetime(cluster) {}
  }

  @Test("values in CSV are lines without a header")
  func csv() async throws {
    let (cluster, client) = try await Self.cluster(0, partitions: 1)
    try await blocking {
      try client.produce(
        [KafkaTestMessage("1700000000;u1;99"), KafkaTestMessage("1700000001;u2;x")], to: "events")
    }
    let source = try KafkaRun.source(
      cluster.bootstrap, "events",
      settings: [
        (KafkaSettings.valueFormat, .text("csv")), (KafkaSettings.columns, .texts(["at", "user", "amount"])),
        (InputSettings.delimiter, .text(";")),
      ])
    let run = KafkaRun()
    _ = try await run.run(source)
    #expect(run.store.contents.anomalies.count == 1 && run.store.contents.deadLetters.count == 1)
    withExtendedLifetime(cluster) {}
  }

  @Test("a topic that is not there, and brokers that are not, are said in a sentence")
  func unreachable() async throws {
    let (cluster, _) = try await Self.cluster(1, partitions: 1)
    let error = await #expect(throws: OperatingError.self) {
      try await KafkaRun().run(try KafkaRun.source(cluster.bootstrap, "evnts"))
    }
    #expect("\(String(describing: error))".contains("the topic evnts is not at"))
  }
}
