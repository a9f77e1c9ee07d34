// Brokers within the process: librdkafka's mock cluster, with real connections on the loopback address and faults on demand.

public import CKafkaLibrary

/// Requests of Kafka's protocol, by their numbers in it.
public enum KafkaTestRequest: Int16, CaseIterable, Sendable {
  case produce = 0
  case fetch = 1
  case listOffsets = 2
  case metadata = 3
  case offsetCommit = 8
  case offsetFetch = 9
  case findCoordinator = 10
  case joinGroup = 11
  case heartbeat = 12
  case leaveGroup = 13
  case syncGroup = 14
  case apiVersions = 18
  case initProducerID = 22
  case addPartitionsToTransaction = 24
  case addOffsetsToTransaction = 25
  case endTransaction = 26
  case transactionalOffsetCommit = 28
}

/// A cluster that lives until the last reference is gone. Brokers are numbered from 1; where a method takes a broker, nil
/// stands for all of them. A client makes a topic by producing to it, with four partitions unless `createTopic` came before.
///
/// It keeps records and offsets in memory, knows groups and transactions, and does not know most requests of
/// administrators. `readCommitted` does not hide what was aborted.
///
/// SAFETY: the functions of the mock cluster lock, or hand their work to its thread; the pointers are set once.
public final class MockCluster: @unchecked Sendable {
  /// `host:port` of all brokers, as clients take it.
  public let bootstrap: String
  private let owner: KafkaHandle
  let pointer: OpaquePointer

  /// - Throws: where the cluster cannot listen.
  public init(brokers: Int = 1) throws {
    // It has no brokers of its own, so it sends no requests that would meet the faults.
    owner = try KafkaHandle(RD_KAFKA_PRODUCER, [:])
    guard let pointer = rd_kafka_mock_cluster_new(owner.pointer, Int32(brokers)) else {
      throw KafkaTestError(RD_KAFKA_RESP_ERR__FAIL, doing: "starting a mock cluster", detail: owner.reports.lastLine)
    }
    self.pointer = pointer
    bootstrap = String(cString: rd_kafka_mock_cluster_bootstraps(pointer))
  }

  deinit { rd_kafka_mock_cluster_destroy(pointer) }

  // MARK: Topics

  public func createTopic(_ name: String, partitions: Int = 1, replicas: Int = 1) throws {
    let code = rd_kafka_mock_topic_create(pointer, name, Int32(partitions), Int32(replicas))
    try KafkaTestError.check(code, "creating topic \(name)")
  }

  /// What brokers answer when they are asked for a topic, until nil is set.
  public func setError(_ error: rd_kafka_resp_err_t?, ofTopic name: String) {
    rd_kafka_mock_topic_set_error(pointer, name, error ?? RD_KAFKA_RESP_ERR_NO_ERROR)
  }

  /// Moves the leadership of a partition; nil leaves it without a leader. Makes the topic where it is not there.
  public func setLeader(of topic: String, partition: Int32 = 0, to broker: Int32?) throws {
    let code = rd_kafka_mock_partition_set_leader(pointer, topic, partition, broker ?? -1)
    try KafkaTestError.check(code, "moving the leader of \(topic) \(partition)")
  }

  /// The broker that consumers are sent to instead of the leader. It need not exist.
  public func setFollower(of topic: String, partition: Int32 = 0, to broker: Int32) throws {
    let code = rd_kafka_mock_partition_set_follower(pointer, topic, partition, broker)
    try KafkaTestError.check(code, "setting the follower of \(topic) \(partition)")
  }

  /// The offsets that the follower of a partition has, where they are not those of its leader; nil takes the leader's.
  public func setFollowerWatermarks(
    of topic: String, partition: Int32 = 0, low: Int64?, high: Int64?
  ) throws {
    let code = rd_kafka_mock_partition_set_follower_wmarks(pointer, topic, partition, low ?? -1, high ?? -1)
    try KafkaTestError.check(code, "setting the follower's offsets of \(topic) \(partition)")
  }

  // MARK: Faults

  /// Lets the next requests of a kind fail with these errors, one after another, at whichever broker they arrive.
  /// `RD_KAFKA_RESP_ERR__TRANSPORT` cuts the connection instead of an answer.
  public func fail(_ request: KafkaTestRequest, with errors: rd_kafka_resp_err_t...) {
    rd_kafka_mock_push_request_errors_array(pointer, request.rawValue, errors.count, errors)
  }

  /// Forgets the errors for requests of a kind that have not come, those that were set for all brokers.
  public func clearErrors(of request: KafkaTestRequest) {
    rd_kafka_mock_clear_request_errors(pointer, request.rawValue)
  }

  /// Lets the next request of a kind that a broker gets fail, or only be answered late where `error` is nil. Comes before
  /// what is set for all brokers.
  public func fail(
    _ request: KafkaTestRequest, at broker: Int32, with error: rd_kafka_resp_err_t?, after delay: Duration = .zero
  ) throws {
    let code = kafka_mock_push_broker_error(
      pointer, broker, request.rawValue, error ?? RD_KAFKA_RESP_ERR_NO_ERROR, delay.wholeMilliseconds)
    try KafkaTestError.check(code, "setting an error of broker \(broker)")
  }

  /// How many errors of a broker have not met a request.
  public func errorsLeft(of request: KafkaTestRequest, at broker: Int32) throws -> Int {
    var count = 0
    let code = rd_kafka_mock_broker_error_stack_cnt(pointer, broker, request.rawValue, &count)
    try KafkaTestError.check(code, "counting the errors of broker \(broker)")
    return count
  }

  /// The versions of a request that brokers take; nil for none, as if they did not know it.
  public func setVersions(of request: KafkaTestRequest, to versions: ClosedRange<Int16>?) throws {
    let code = rd_kafka_mock_set_apiversion(
      pointer, request.rawValue, versions?.lowerBound ?? -1, versions?.upperBound ?? -1)
    try KafkaTestError.check(code, "setting the versions of \(request)")
  }

  // MARK: Brokers

  /// Cuts all connections and refuses new ones. Leaders stay who they are.
  public func setDown(_ broker: Int32? = nil) throws {
    try KafkaTestError.check(rd_kafka_mock_broker_set_down(pointer, broker ?? -1), "taking a broker down")
  }

  /// Takes connections again.
  public func setUp(_ broker: Int32? = nil) throws {
    try KafkaTestError.check(rd_kafka_mock_broker_set_up(pointer, broker ?? -1), "bringing a broker up")
  }

  /// How late every answer is.
  public func setRoundTrip(_ time: Duration, of broker: Int32? = nil) throws {
    let code = rd_kafka_mock_broker_set_rtt(pointer, broker ?? -1, time.wholeMilliseconds)
    try KafkaTestError.check(code, "setting the round trip of a broker")
  }

  /// The rack that a broker says it stands in.
  public func setRack(_ rack: String, of broker: Int32? = nil) throws {
    try KafkaTestError.check(rd_kafka_mock_broker_set_rack(pointer, broker ?? -1, rack), "setting the rack of a broker")
  }

  /// Moves the coordinator of a group. The broker need not exist.
  public func setCoordinator(ofGroup group: String, to broker: Int32) throws {
    let code = rd_kafka_mock_coordinator_set(pointer, "group", group, broker)
    try KafkaTestError.check(code, "moving the coordinator of group \(group)")
  }

  /// Moves the coordinator of the transactions of a producer. The broker need not exist.
  public func setCoordinator(ofTransactions identifier: String, to broker: Int32) throws {
    let code = rd_kafka_mock_coordinator_set(pointer, "transaction", identifier, broker)
    try KafkaTestError.check(code, "moving the coordinator of transactions \(identifier)")
  }
}
