// What tests of Kafka stand on: the brokers and the client that they use beside the product.

import CKafkaLibrary
import Foundation
import KafkaKit
import Testing

/// Records with and without everything that may be absent.
private let messages = (0..<1000).map { number in
  let key: [UInt8]? = number % 10 == 3 ? nil : Array("key \(number % 7)".utf8)
  let value: [UInt8]? = number % 11 == 5 ? nil : number % 13 == 5 ? [] : Array("value \(number)".utf8)
  let headers = [KafkaTestHeader("a", "\(number)"), KafkaTestHeader("a", nil), KafkaTestHeader("b", [UInt8]())]
  return KafkaTestMessage(
    key: key, value: value, headers: number % 3 == 0 ? [] : headers, timestamp: 1_700_000_000_000 + Int64(number),
    partition: 0)
}

/// Calls what waits, with the error of librdkafka that it throws.
private func failure(of body: @escaping @Sendable () throws -> Void) async -> KafkaTestError? {
  await #expect(throws: KafkaTestError.self) { try await blocking(body) }
}

@Suite("Mock cluster", .serialized, .timeLimit(.minutes(15)))
struct MockClusterTests {
  let cluster: MockCluster
  let client: KafkaTestClient

  init() throws {
    cluster = try MockCluster(brokers: 3)
    client = KafkaTestClient(cluster.bootstrap)
  }

  @Test("the library of the set-up runs, which is not older than the headers")
  func library() {
    #expect(rd_kafka_version() >= max(RD_KAFKA_VERSION, 0x0210_0000), "librdkafka \(KafkaTestClient.libraryVersion)")
  }

  @Test("records are read as they were written", arguments: KafkaTestCodec.allCases)
  func records(_ codec: KafkaTestCodec) async throws {
    try cluster.createTopic("t", partitions: 3)
    let client = client
    let positions = try await blocking { try client.produce(messages, to: "t", codec: codec) }
    #expect(positions == (0..<1000).map { KafkaTestPosition(partition: 0, offset: $0) })
    let records = try await blocking { try client.read("t") }
    #expect(records == zip(messages, positions).map { KafkaTestRecord($0, at: $1) })
    let end = try await blocking { try (client.read("t", from: 998), client.read("t", partition: 1)) }
    #expect(end.0.map(\.offset) == [998, 999])
    #expect(end.1.isEmpty)
    #expect(try await blocking { try client.watermarks(of: "t") } == 0..<1000)
  }

  @Test("reading waits for as many records as are asked for, and not for ever")
  func reading() async throws {
    try cluster.createTopic("t")
    let client = client
    async let read = blocking { try client.read("t", atLeast: 2).map(\.text) }
    try await blocking { try client.produce([KafkaTestMessage("first")], to: "t") }
    try await blocking { try client.produce([KafkaTestMessage("second")], to: "t") }
    #expect(try await read == ["first", "second"])

    let hasty = KafkaTestClient(client.bootstrap, timeout: .seconds(3))
    let error = await failure { _ = try hasty.read("t", atLeast: 3) }
    #expect(error?.code == RD_KAFKA_RESP_ERR__TIMED_OUT)
    #expect(error?.description.contains("after 2 records; 3 were waited for") == true, "\(String(describing: error))")
    #expect(await failure { _ = try client.leaders(of: "none") }?.code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC)
  }

  @Test("a request that is to fail fails once")
  func requestErrors() async throws {
    try cluster.createTopic("t")
    let client = client
    cluster.fail(.produce, with: RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
    let error = await failure { try client.produce(messages, to: "t") }
    #expect(error?.code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
    #expect(try await blocking { try client.watermarks(of: "t") }.isEmpty)

    cluster.fail(.produce, with: RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
    cluster.clearErrors(of: .produce)
    // What can be tried again is, by the client.
    cluster.fail(.produce, with: RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR__TRANSPORT)
    let positions = try await blocking { try client.produce(messages, to: "t") }
    #expect(positions.map(\.offset) == Array(0..<1000))
  }

  @Test("errors and delays of one broker")
  func brokerErrors() async throws {
    try cluster.createTopic("t")
    try cluster.setLeader(of: "t", to: 2)
    let client = client
    try cluster.fail(.produce, at: 2, with: RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS)
    #expect(try cluster.errorsLeft(of: .produce, at: 2) == 1)
    #expect(try cluster.errorsLeft(of: .produce, at: 1) == 0)
    let error = await failure { try client.produce([KafkaTestMessage("x")], to: "t") }
    #expect(error?.code == RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS)
    #expect(try cluster.errorsLeft(of: .produce, at: 2) == 0)

    try cluster.fail(.produce, at: 2, with: nil, after: .milliseconds(700))
    let delayed = ContinuousClock.now
    try await blocking { try client.produce([KafkaTestMessage("x")], to: "t") }
    #expect(.now - delayed >= .milliseconds(700))
    try cluster.setRoundTrip(.milliseconds(300))
    let distant = ContinuousClock.now
    #expect(try await blocking { try client.watermarks(of: "t") } == 0..<1)
    #expect(.now - distant >= .milliseconds(300))
  }

  @Test("brokers that are down answer nothing, and are found when they are up again")
  func down() async throws {
    try cluster.createTopic("t")
    let client = client
    let hasty = KafkaTestClient(client.bootstrap, timeout: .seconds(1))
    try cluster.setDown()
    #expect(await failure { _ = try hasty.brokers() } != nil)
    async let brokers = blocking { try client.brokers() }
    try await Task.sleep(for: .milliseconds(300))
    try cluster.setUp()
    #expect(try await brokers == [1, 2, 3])
  }

  @Test("leaders move, and a partition without one waits")
  func leaders() async throws {
    try cluster.createTopic("t", partitions: 2)
    let client = client
    try cluster.setLeader(of: "t", partition: 0, to: 3)
    try cluster.setLeader(of: "t", partition: 1, to: nil)
    #expect(try await blocking { try client.leaders(of: "t") } == [3, -1])
    async let positions = blocking { try client.produce([KafkaTestMessage("x", partition: 1)], to: "t") }
    try await Task.sleep(for: .milliseconds(300))
    try cluster.setLeader(of: "t", partition: 1, to: 1)
    #expect(try await positions == [KafkaTestPosition(partition: 1, offset: 0)])
    #expect(try await blocking { try client.read("t", partition: 1) }.map(\.text) == ["x"])
  }

  @Test("offsets of groups go to the coordinator, which moves")
  func coordinator() async throws {
    try cluster.createTopic("t", partitions: 3)
    let client = client
    try cluster.trackRequests()
    for broker in [Int32(2), 3] {
      try cluster.setCoordinator(ofGroup: "g", to: broker)
      _ = try cluster.takeRequests()
      try await blocking { try client.commit([0: Int64(broker), 2: 9], by: "g", of: "t") }
      let brokers = try cluster.takeRequests().filter { $0.kind == .offsetCommit }.map(\.broker)
      #expect(brokers == [broker])
      #expect(try await blocking { try client.committed(by: "g", of: "t") } == [0: Int64(broker), 2: 9])
    }
    #expect(try await blocking { try client.committed(by: "other", of: "t") } == [:])
  }

  @Test("a follower is read from instead of the leader")
  func follower() async throws {
    try cluster.createTopic("t", replicas: 3)
    try cluster.setLeader(of: "t", to: 1)
    let client = client
    try await blocking { try client.produce(messages, to: "t") }
    try cluster.setRack("r", of: 2)
    try cluster.setFollower(of: "t", to: 2)
    try cluster.setFollowerWatermarks(of: "t", low: 0, high: nil)
    try cluster.trackRequests()
    let inRack = KafkaTestClient(client.bootstrap, settings: ["client.rack": "r"])
    #expect(try await blocking { try inRack.read("t") }.count == 1000)
    #expect(try cluster.takeRequests().contains { $0.kind == .fetch && $0.broker == 2 })
  }

  @Test("topics and requests that brokers refuse")
  func refusals() async throws {
    try cluster.createTopic("t")
    let client = client
    cluster.setError(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, ofTopic: "t")
    #expect(await failure { _ = try client.leaders(of: "t") }?.code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
    cluster.setError(nil, ofTopic: "t")
    #expect(try await blocking { try client.leaders(of: "t") }.count == 1)

    try cluster.setVersions(of: .initProducerID, to: nil)
    #expect(await failure { _ = try client.transactions("x") }?.code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE)
  }

  @Test("transactions go to their coordinator")
  func transactions() async throws {
    try cluster.createTopic("t")
    try cluster.setCoordinator(ofTransactions: "x", to: 3)
    try cluster.trackRequests()
    let client = client
    try await blocking {
      let transactions = try client.transactions("x")
      try transactions.begin()
      try transactions.produce([KafkaTestMessage("one")], to: "t")
      try transactions.commit()
    }
    #expect(try cluster.takeRequests().filter { $0.kind == .endTransaction }.map(\.broker) == [3])
    #expect(try await blocking { try client.read("t") }.map(\.text) == ["one"])
  }

  @Test("records and topics are deleted")
  func deletion() async throws {
    try cluster.createTopic("t")
    let client = client
    try await blocking { try client.produce(messages, to: "t") }
    try cluster.deleteRecords(of: "t", before: 10)
    #expect(try await blocking { try client.watermarks(of: "t") } == 10..<1000)
    let error = await failure { _ = try client.read("t", from: 3) }
    #expect(error?.code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET)
    try cluster.deleteTopic("t")
    #expect(await failure { _ = try client.leaders(of: "t") }?.code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC)
  }

  @Test("members share the partitions of a topic")
  func members() async throws {
    try cluster.setRebalanceDelay(.zero)
    try cluster.createTopic("t", partitions: 4)
    let client = client
    // This cluster waits for members that do not come back until a second before their sessions end.
    let session = ["session.timeout.ms": "2000"]
    let shares = try await blocking {
      let first = try KafkaTestMember(of: "g", topics: "t", on: client, settings: session)
      let all = try first.awaitPartitions(of: "t", count: 4)
      let second = try KafkaTestMember(of: "g", topics: "t", on: client, settings: session)
      let halves = try (second.awaitPartitions(of: "t", count: 2), first.awaitPartitions(of: "t", count: 2))
      try second.leave()
      return [all, halves.0 + halves.1, try first.awaitPartitions(of: "t", count: 4)]
    }
    #expect(shares.map { $0.sorted() } == Array(repeating: [0, 1, 2, 3], count: 3))
  }
}

@Suite(
  "Brokers for tests", .serialized, .timeLimit(.minutes(15)),
  .enabled(
    if: BrokerProcess.Kind.noida.isInstalled && BrokerProcess.Kind.tansu.isInstalled,
    "scripts/test-brokers has not been run, or has none for this system"))
struct BrokerProcessTests {
  /// Starts a broker with a topic of three partitions.
  private func start(_ kind: BrokerProcess.Kind) async throws -> (BrokerProcess, KafkaTestClient) {
    try await blocking {
      let broker = try BrokerProcess(kind)
      let client = KafkaTestClient(broker.bootstrap)
      // The records of these tests have times of years ago, which a broker that has a moment to spare removes as expired.
      try client.createTopics("t", partitions: 3, settings: ["retention.ms": "-1"])
      return (broker, client)
    }
  }

  @Test(
    "records are read as they were written", arguments: [BrokerProcess.Kind.noida, .tansu], KafkaTestCodec.allCases)
  func records(_ kind: BrokerProcess.Kind, _ codec: KafkaTestCodec) async throws {
    let (broker, client) = try await start(kind)
    let positions = try await blocking { try client.produce(messages, to: "t", codec: codec) }
    #expect(positions == (0..<1000).map { KafkaTestPosition(partition: 0, offset: $0) })
    let records = try await blocking { try client.read("t") }
    #expect(records == zip(messages, positions).map { KafkaTestRecord($0, at: $1) })
    #expect(try await blocking { try client.read("t", from: 998) }.map(\.offset) == [998, 999])
    #expect(try await blocking { try client.read("t", partition: 2) }.isEmpty)
    #expect(broker.isRunning)
  }

  @Test("a broker that is stopped keeps what it has, or nothing", arguments: [BrokerProcess.Kind.noida, .tansu])
  func restart(_ kind: BrokerProcess.Kind) async throws {
    let (broker, client) = try await start(kind)
    try await blocking { try client.produce(messages, to: "t") }
    try await blocking { try client.commit([0: 7, 2: 9], by: "g", of: "t") }
    #expect(try await blocking { try client.committed(by: "g", of: "t") } == [0: 7, 2: 9])
    let port = broker.port
    try await blocking { try broker.stop() }
    #expect(!broker.isRunning)
    let hasty = KafkaTestClient(broker.bootstrap, timeout: .seconds(1))
    #expect(await failure { _ = try hasty.brokers() } != nil)
    try await blocking { try broker.restart() }
    #expect(broker.isRunning && broker.port == port)
    if kind == .noida {
      #expect(try await blocking { try client.read("t") }.count == 1000)
      #expect(try await blocking { try client.committed(by: "g", of: "t") } == [0: 7, 2: 9])
    } else {
      #expect(await failure { _ = try client.leaders(of: "t") }?.code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC)
    }
  }

  @Test("a broker that is killed comes back at its port", arguments: [BrokerProcess.Kind.noida, .tansu])
  func kill(_ kind: BrokerProcess.Kind) async throws {
    let (broker, client) = try await start(kind)
    try await blocking { try client.produce(messages, to: "t") }
    await #expect(throws: Never.self) { try await blocking { broker.kill() } }
    #expect(!broker.isRunning)
    try await blocking { try broker.restart() }
    // How much of the last second is there is up to the broker.
    try await blocking { try client.createTopics("new") }
    #expect(try await blocking { try client.produce([KafkaTestMessage("x")], to: "new") }.map(\.offset) == [0])
  }

  @Test("a broker that is suspended answers nothing until it goes on", arguments: [BrokerProcess.Kind.noida, .tansu])
  func suspension(_ kind: BrokerProcess.Kind) async throws {
    let (broker, client) = try await start(kind)
    let hasty = KafkaTestClient(broker.bootstrap, timeout: .seconds(1))
    try await blocking { try broker.suspend() }
    #expect(broker.isRunning)
    #expect(await failure { _ = try hasty.brokers() } != nil)
    #expect(await failure { try hasty.produce(messages, to: "t") } != nil)
    async let late = blocking { try client.produce([KafkaTestMessage("x", partition: 1)], to: "t") }
    try await Task.sleep(for: .milliseconds(300))
    broker.resume()
    #expect(try await late.map(\.offset) == [0])
    // One that is suspended is stopped all the same.
    try await blocking {
      try broker.suspend()
      try broker.stop()
    }
    #expect(!broker.isRunning)
  }

  @Test("a broker and its folder are gone with the last reference", arguments: [BrokerProcess.Kind.noida, .tansu])
  func end(_ kind: BrokerProcess.Kind) async throws {
    let (port, folder, identifier) = try await blocking {
      let broker = try BrokerProcess(kind)
      return (broker.port, broker.data, try #require(broker.identifier))
    }
    #expect(!FileManager.default.fileExists(atPath: folder))
    #expect(Foundation.kill(identifier, 0) == -1 && errno == ESRCH)
    let hasty = KafkaTestClient("127.0.0.1:\(port)", timeout: .seconds(1))
    #expect(await failure { _ = try hasty.brokers() } != nil)
  }

  @Test("what is not committed is not read, and the older producer is fenced off")
  func transactions() async throws {
    let (broker, client) = try await start(.noida)
    let texts: @Sendable (KafkaTestIsolation) async throws -> [String] = { isolation in
      try await blocking { try client.read("t", isolation: isolation).map(\.text) }
    }
    let older = try await blocking {
      let older = try client.transactions("x")
      try older.begin()
      try older.produce([KafkaTestMessage("kept", partition: 0)], to: "t")
      return older
    }
    #expect(try await texts(.readCommitted) == [])
    #expect(try await texts(.readUncommitted) == ["kept"])
    try await blocking { try older.commit() }
    #expect(try await texts(.readCommitted) == ["kept"])
    try await blocking {
      try older.begin()
      try older.produce([KafkaTestMessage("aborted", partition: 0)], to: "t")
      try older.abort()
    }
    #expect(try await texts(.readCommitted) == ["kept"])
    #expect(try await texts(.readUncommitted) == ["kept", "aborted"])

    let newer = try await blocking { try client.transactions("x") }
    let error = await failure {
      try older.begin()
      try older.produce([KafkaTestMessage("fenced", partition: 0)], to: "t")
    }
    #expect(error?.code == RD_KAFKA_RESP_ERR__FENCED)
    try await blocking {
      try newer.begin()
      try newer.produce([KafkaTestMessage("newer", partition: 0)], to: "t")
      try newer.commit()
    }
    #expect(try await texts(.readCommitted) == ["kept", "newer"])
    #expect(broker.isRunning)
  }

  @Test("topics grow and go, and so do records")
  func administration() async throws {
    let (broker, client) = try await start(.noida)
    try await blocking { try client.produce(messages, to: "t") }
    try await blocking { try client.deleteRecords(of: "t", before: [0: 10]) }
    #expect(try await blocking { try client.watermarks(of: "t") } == 10..<1000)
    let error = await failure { _ = try client.read("t", from: 3) }
    #expect(error?.code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET)
    try await blocking { try client.addPartitions(to: "t", total: 5) }
    #expect(try await blocking { try client.leaders(of: "t") }.count == 5)
    let again = await failure { try client.createTopics("t") }
    #expect(again?.code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
    try await blocking { try client.deleteTopics("t") }
    #expect(await failure { _ = try client.leaders(of: "t") }?.code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC)
    #expect(broker.isRunning)
  }

  @Test("members are counted as they come and leave")
  func members() async throws {
    let (broker, client) = try await start(.noida)
    let range = ["partition.assignment.strategy": "range"]
    #expect(try await blocking { try client.memberCount(of: "g") } == 0)
    let first = try await blocking {
      let first = try KafkaTestMember(of: "g", topics: "t", on: client, settings: range)
      try first.awaitPartitions(of: "t", count: 3)
      return first
    }
    #expect(try await blocking { try client.memberCount(of: "g") } == 1)
    let (second, shares) = try await blocking {
      let second = try KafkaTestMember(of: "g", topics: "t", on: client, settings: range)
      return try (second, (second.awaitPartitions(of: "t", count: 1), first.awaitPartitions(of: "t", count: 2)))
    }
    #expect((shares.0 + shares.1).sorted() == [0, 1, 2])
    #expect(try await blocking { try client.memberCount(of: "g") } == 2)
    try await blocking { try second.leave() }
    #expect(try await blocking { try first.awaitPartitions(of: "t", count: 3) } == [0, 1, 2])
    #expect(try await blocking { try client.memberCount(of: "g") } == 1)
    #expect(broker.isRunning)
  }

  @Test("partitions of a member that died come back")
  func deadMember() async throws {
    let (broker, client) = try await start(.tansu)
    let first = try await blocking {
      let first = try KafkaTestMember(of: "g", topics: "t", on: client)
      try first.awaitPartitions(of: "t", count: 3)
      let second = try KafkaTestMember(of: "g", topics: "t", on: client)
      try second.awaitPartitions(of: "t", count: 1)
      try first.awaitPartitions(of: "t", count: 2)
      // The last reference to the second ends here, without a word to the group.
      return first
    }
    #expect(try await blocking { try first.awaitPartitions(of: "t", count: 3) } == [0, 1, 2])
    #expect(broker.isRunning)
  }

  @Test(
    "what was acknowledged outlives a broker that is killed",
    .enabled(if: BrokerProcess.Kind.durableTansu.isInstalled, "the object store is not there (test-brokers --durable)"))
  func durability() async throws {
    let (broker, client) = try await start(.durableTansu)
    try await blocking { try client.produce(messages, to: "t") }
    try await blocking { try client.commit([0: 7], by: "g", of: "t") }
    try await blocking {
      broker.kill()
      try broker.restart()
    }
    #expect(try await blocking { try client.read("t") }.count == 1000)
    #expect(try await blocking { try client.committed(by: "g", of: "t") } == [0: 7])
  }
}
