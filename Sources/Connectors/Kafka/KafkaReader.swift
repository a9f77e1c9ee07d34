// The thread that polls: it alone takes messages and answers rebalances.
//
// Partitions have queues of their own, so that those which nobody has room for are left with librdkafka, which then fetches
// no more of them, while rebalances are still answered. Pausing a partition would throw away what was fetched.
//
// A partition that the group assigns is taken into librdkafka's assignment only when the pipeline has said where it goes on;
// the group is answered at once. So nothing is fetched in vain, and no partition waits for another one's restore.

import CKafkaLibrary
import Detection
import Foundation
import Logging
import Pipeline
import Synchronization

/// Reads what the group assigns. Belongs to its thread.
final class KafkaReader {
  private struct Reading {
    let assignment: Int
    /// Of librdkafka.
    let queue: OpaquePointer
    /// Nil until the pipeline has said where to read.
    var builder: KafkaBatchBuilder?
    /// Whether it is to be given back.
    var isEnding = false
    /// Whether everything was taken that the log has.
    var isAtEnd = false
  }

  private let client: KafkaClient
  private let topics: [String]
  private let options: KafkaBatchOptions
  private let idleTimeout: Duration?
  private let desk: KafkaDesk
  private let assignments: KafkaAssignments
  private let ledger: KafkaLedger
  private let figures: KafkaFigures
  private let rebalances: KafkaRebalances
  private let notice: @Sendable (String) -> Void
  private let logger: Logger

  private var readings: [PartitionID: Reading] = [:]
  /// In the order of reading.
  private var order: [PartitionID] = []
  /// What is to be given back, and of that what the pipeline still has.
  private var revoked: [PartitionID] = []
  private var unreleased: Set<PartitionID> = []
  /// Whether the group has said anything yet.
  private var isJoined = false
  private var lastRecord = ContinuousClock.now
  private var hasNotedRegistry = false
  private var hasLeft = false
  // SAFETY: owned by this object; the pointers in it are looked at only where a call has just written them.
  private let messages = UnsafeMutableBufferPointer<UnsafeMutablePointer<rd_kafka_message_t>?>.allocate(capacity: 1024)

  /// How long the first record of a batch waits for others while the pipeline is busy.
  private static let batchAge = Duration.milliseconds(5)
  /// A look at everything although nothing woke the thread.
  private static let look = 100
  /// How long leaving the group may take.
  private static let closePatience = Duration.seconds(5)
  /// How long a group may take to give out its partitions before nothing coming counts as quiet.
  private static let joinPatience = Duration.seconds(30)
  /// How long nothing may come of a partition whose end was not seen before that counts as its end.
  private static let endPatience = Duration.seconds(10)

  init(
    _ client: KafkaClient, topics: [String], options: KafkaBatchOptions, idleTimeout: Duration?, desk: KafkaDesk,
    assignments: KafkaAssignments, ledger: KafkaLedger, figures: KafkaFigures, rebalances: KafkaRebalances,
    notice: @escaping @Sendable (String) -> Void, logger: Logger
  ) {
    self.client = client
    self.topics = topics
    self.options = options
    self.idleTimeout = idleTimeout
    self.desk = desk
    self.assignments = assignments
    self.ledger = ledger
    self.figures = figures
    self.rebalances = rebalances
    self.notice = notice
    self.logger = logger
  }

  // SAFETY: allocated by this object; what a message pointer pointed to was destroyed when it was taken.
  deinit { messages.deallocate() }

  /// Reads until it is stopped, nothing comes for long enough, or reading fails; then leaves the group.
  func run() {
    do {
      try subscribe()
      while try serve() { desk.wakeup.wait(milliseconds: pause) }
      if assignments.isEmpty { leave() }
      desk.end()
    } catch { desk.end(error) }
    // What was handed over is finished and stored first: who gets the partitions goes on behind it.
    while !assignments.isEmpty {
      for command in desk.takeCommands() { answer(command) }
      poll()
      answerRebalances()
      desk.wakeup.wait(milliseconds: Self.look)
    }
    leave()
    desk.close()
  }

  private func subscribe() throws {
    let code = KafkaPartitions.with(topics.map { KafkaPartitions.Item(partition: PartitionID(source: $0, number: -1)) })
    {
      rd_kafka_subscribe(client.handle, $0)
    }
    guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
      throw OperatingError(.input, "the topics cannot be subscribed to: \(KafkaClient.sentence(code))")
    }
    // Errors and statistics come with what concerns the consumer.
    rd_kafka_poll_set_consumer(client.handle)
    wake(by: consumerQueue)
  }

  /// librdkafka's queue of what concerns the consumer as a whole.
  private lazy var consumerQueue: OpaquePointer = {
    guard let queue = rd_kafka_queue_get_consumer(client.handle) else { preconditionFailure("a consumer has a queue") }
    return queue
  }()

  private func wake(by queue: OpaquePointer) {
    // SAFETY: the desk, and with it the wake-up, outlives the queues: `leave` ends the events before it gives them up.
    rd_kafka_queue_cb_event_enable(
      queue, { _, opaque in opaque.map { Unmanaged<KafkaWakeup>.fromOpaque($0).takeUnretainedValue().wake() } },
      Unmanaged.passUnretained(desk.wakeup).toOpaque())
  }

  /// One round.
  /// - Returns: whether another one follows.
  private func serve() throws -> Bool {
    if desk.isStopped { return false }
    for command in desk.takeCommands() { answer(command) }
    try take(errorOf: poll())
    answerRebalances()
    if let why = client.state.fatalError { throw OperatingError(.input, "Kafka cannot be read any more: \(why)") }
    try drain()
    desk.noteWaiting(isJoined && readings.values.allSatisfy { $0.isAtEnd && ($0.builder?.isEmpty ?? false) })
    return !isQuiet()
  }

  /// Until the next look, milliseconds: shorter while a batch waits for more.
  private var pause: Int {
    readings.values.contains { $0.builder.map { !$0.isEmpty } ?? false } ? 1 : Self.look
  }

  /// Whether nothing has come for as long as it may.
  private func isQuiet() -> Bool {
    guard let idleTimeout else { return false }
    let isRestoring = readings.values.contains { $0.builder == nil }
    if desk.isBusy || isRestoring { lastRecord = .now }
    let quiet = ContinuousClock.now - lastRecord
    // Who has no partition may be about to get one. A partition whose end was not seen has more, and a slow broker.
    if readings.isEmpty { return quiet >= max(idleTimeout, Self.joinPatience) }
    return quiet >= (readings.values.allSatisfy { $0.isAtEnd } ? idleTimeout : max(idleTimeout, Self.endPatience))
  }

  /// Serves callbacks, among them those of rebalances, which are put down for `answerRebalances`.
  /// - Returns: an error that came as a message.
  @discardableResult
  private func poll() -> (code: rd_kafka_resp_err_t, text: String)? {
    guard let message = rd_kafka_consumer_poll(client.handle, 0) else { return nil }
    // SAFETY: ours until it is destroyed. Records come through the queues of their partitions.
    defer { rd_kafka_message_destroy(message) }
    return (message.pointee.err, rd_kafka_message_errstr(message).map { String(cString: $0) } ?? "")
  }

  private func take(errorOf message: (code: rd_kafka_resp_err_t, text: String)?) throws {
    guard let message, message.code != RD_KAFKA_RESP_ERR_NO_ERROR else { return }
    switch message.code {
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
      RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR__AUTHENTICATION,
      RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION,
      RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, RD_KAFKA_RESP_ERR__FATAL:
      throw OperatingError(.input, "Kafka cannot be read: \(message.text) (\(KafkaClient.name(message.code)))")
    default:
      // Brokers come back, and leaders are found again: the client tries on by itself.
      logger.warning("\(message.text) (\(KafkaClient.name(message.code)))")
    }
  }

  // MARK: Rebalances

  private func answerRebalances() {
    for rebalance in rebalances.take() {
      isJoined = true
      figures.noteRebalance()
      switch rebalance {
      case .assigned(let partitions):
        for partition in partitions where readings[partition] == nil && !hasLeft { begin(partition) }
        // Where they are read from comes later, from their lanes.
        report(KafkaPartitions.with([]) { rd_kafka_incremental_assign(client.handle, $0) })
        lastRecord = .now
      case .revoked(let partitions):
        revoked = partitions
        for partition in partitions where readings[partition] != nil {
          readings[partition]?.isEnding = true
          unreleased.insert(partition)
          assignments.end(partition)
          desk.give(.revoked(partition))
        }
        giveBack()
      case .lost(let partitions):
        revoked = partitions
        for partition in partitions where readings[partition] != nil {
          unreleased.remove(partition)
          assignments.end(partition)
          desk.give(.lost(partition))
        }
        giveBack()
      }
    }
  }

  /// A partition that this process is to read.
  private func begin(_ partition: PartitionID) {
    guard let queue = rd_kafka_queue_get_partition(client.handle, partition.source, partition.number) else { return }
    // Its records are not mixed with those of others.
    rd_kafka_queue_forward(queue, nil)
    wake(by: queue)
    readings[partition] = Reading(assignment: assignments.begin(partition), queue: queue)
    order.append(partition)
    desk.give(.assigned(partition))
  }

  /// Answers the group once nothing of what it takes back is under way.
  private func giveBack() {
    guard unreleased.isEmpty else { return }
    let assigned = revoked.filter { readings[$0]?.builder != nil }
    report(
      KafkaPartitions.with(assigned.map { KafkaPartitions.Item(partition: $0) }) {
        rd_kafka_incremental_unassign(client.handle, $0)
      })
    for partition in revoked { forget(partition) }
    revoked = []
  }

  private func forget(_ partition: PartitionID) {
    guard let reading = readings.removeValue(forKey: partition) else { return }
    order.removeAll { $0 == partition }
    rd_kafka_queue_cb_event_enable(reading.queue, nil, nil)
    rd_kafka_queue_destroy(reading.queue)
  }

  private func report(_ error: OpaquePointer?) {
    guard let error = KafkaClient.take(error) else { return }
    logger.error("an answer to the group was refused: \(error.text) (\(KafkaClient.name(error.code)))")
  }

  private func answer(_ command: KafkaCommand) {
    switch command {
    case .read(let partition, let assignment, let segment, let offset):
      guard let reading = readings[partition], reading.assignment == assignment, !reading.isEnding else { return }
      readings[partition]?.builder = KafkaBatchBuilder(partition, segment: segment, from: offset, options: options)
      report(
        KafkaPartitions.with([KafkaPartitions.Item(partition: partition, offset: offset)]) {
          rd_kafka_incremental_assign(client.handle, $0)
        })
      lastRecord = .now
    case .released(let partition, let assignment):
      guard let reading = readings[partition], reading.assignment == assignment else { return }
      if unreleased.remove(partition) != nil { return giveBack() }
      // The pipeline has ended it: it is not read any more, and is the group's until that takes it back.
      unassign(partition)
      forget(partition)
    }
  }

  private func unassign(_ partition: PartitionID) {
    guard readings[partition]?.builder != nil else { return }
    readings[partition]?.builder = nil
    report(
      KafkaPartitions.with([KafkaPartitions.Item(partition: partition)]) {
        rd_kafka_incremental_unassign(client.handle, $0)
      })
  }

  /// What was to be read of a partition is not there: its lane begins anew, and finds out.
  private func beginAgain(_ partition: PartitionID) {
    unassign(partition)
    forget(partition)
    assignments.end(partition)
    desk.give(.lost(partition))
    begin(partition)
  }

  // MARK: Records

  /// Takes what has come of each partition, as long as there is room for it.
  private func drain() throws {
    for partition in order {
      guard var builder = readings[partition]?.builder, let queue = readings[partition]?.queue,
        readings[partition]?.isEnding == false
      else { continue }
      guard desk.hasRoom else { return }
      // The array holds no second reference meanwhile, so that appending does not copy.
      readings[partition]?.builder = nil
      var isDry = false
      var failure: (code: rd_kafka_resp_err_t, text: String)?
      while failure == nil, !isDry, builder.room > 0 {
        let before = builder.next
        (isDry, failure) = take(from: queue, of: partition, into: &builder)
        if builder.next > before { readings[partition]?.isAtEnd = false }
        if failure?.code == RD_KAFKA_RESP_ERR__PARTITION_EOF {
          readings[partition]?.isAtEnd = true
          failure = nil
        }
      }
      if !builder.isEmpty, builder.room == 0 || desk.isAwaited || .now - (builder.began ?? .now) >= Self.batchAge {
        give(&builder, of: partition)
      }
      readings[partition]?.builder = builder
      if let failure { try handle(failure, of: partition) }
    }
    // Who was served first is served last next time.
    if !order.isEmpty { order.append(order.removeFirst()) }
  }

  /// Takes some messages.
  /// - Returns: whether there are no more, and an error that lies between them.
  private func take(
    from queue: OpaquePointer, of partition: PartitionID, into builder: inout KafkaBatchBuilder
  ) -> (isDry: Bool, failure: (code: rd_kafka_resp_err_t, text: String)?) {
    let wanted = min(builder.room, messages.count)
    let count = rd_kafka_consume_batch_queue(queue, 0, messages.baseAddress, wanted)
    guard count > 0 else { return (true, nil) }
    // SAFETY: librdkafka has written `count` pointers to messages, which are ours until they are destroyed here.
    let taken = messages[..<count].compactMap { $0 }
    defer { for message in taken { rd_kafka_message_destroy(message) } }
    let fault = taken.first { $0.pointee.err != RD_KAFKA_RESP_ERR_NO_ERROR }
    guard let fault else {
      builder.append(taken)
      return (count < wanted, nil)
    }
    builder.append(taken.prefix { $0 != fault })
    if fault.pointee.err == RD_KAFKA_RESP_ERR__PARTITION_EOF, fault != taken.last {
      // An end that there is more behind is none any more.
      builder.append(taken.filter { $0.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR })
      return (count < wanted, nil)
    }
    if fault.pointee.err == RD_KAFKA_RESP_ERR__PARTITION_EOF { ledger.noteEnd(partition, fault.pointee.offset) }
    return (false, (fault.pointee.err, rd_kafka_message_errstr(fault).map { String(cString: $0) } ?? ""))
  }

  private func handle(_ failure: (code: rd_kafka_resp_err_t, text: String), of partition: PartitionID) throws {
    switch failure.code {
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE: beginAgain(partition)
    default: try take(errorOf: failure)
    }
  }

  private func give(_ builder: inout KafkaBatchBuilder, of partition: PartitionID) {
    let counts = builder.counts
    figures.notePassedOver(counts)
    if counts.registryValues > 0, !hasNotedRegistry {
      hasNotedRegistry = true
      notice(
        "values in \(partition.source) begin with a zero byte, as those that a schema registry knows do (Avro, Protobuf): "
          + "only JSON and CSV are read; the others are dead letters")
    }
    ledger.enter(partition, next: builder.next, last: builder.last)
    desk.give(.batch(builder.take()))
    lastRecord = .now
  }

  // MARK: The end

  /// Leaves the group, so that its partitions need not wait for this process to be missed.
  private func leave() {
    if hasLeft { return }
    hasLeft = true
    for command in desk.takeCommands() { answer(command) }
    // No lane has any of them any more.
    unreleased = []
    for partition in order {
      unassign(partition)
      forget(partition)
    }
    report(rd_kafka_consumer_close_queue(client.handle, consumerQueue))
    let deadline = ContinuousClock.now + Self.closePatience
    while rd_kafka_consumer_closed(client.handle) == 0, ContinuousClock.now < deadline {
      poll()
      answerRebalances()
      desk.wakeup.wait(milliseconds: 10)
    }
    if rd_kafka_consumer_closed(client.handle) == 0 {
      logger.warning("the group was not left: no broker has answered within \(Self.closePatience)")
      client.abandon()
    }
    rd_kafka_queue_cb_event_enable(consumerQueue, nil, nil)
    rd_kafka_queue_destroy(consumerQueue)
  }
}

/// Rebalances that librdkafka has told of and that are not answered yet.
final class KafkaRebalances: Sendable {
  private let waiting = Mutex<[KafkaRebalance]>([])

  func add(_ rebalance: KafkaRebalance) { waiting.withLock { $0.append(rebalance) } }

  func take() -> [KafkaRebalance] {
    waiting.withLock { waiting in
      defer { waiting = [] }
      return waiting
    }
  }
}
