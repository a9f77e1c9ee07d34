// Partitions of topics as a source: the group says which are this process's, the checkpoint says where each goes on. What is
// committed to the group is information for others; it is never read from.

import CKafkaLibrary
import Detection
import Foundation
import Logging
import Pipeline
import Synchronization

/// The topics of one use case, read as a member of a consumer group. A partition is named by its topic and number; offsets
/// and rows are those of the log. Segments count the logs that a partition has had: a topic that was deleted and made again
/// has offsets of its own.
final class KafkaSource: Source {
  let name = "kafka"

  private let settings: KafkaSettings
  private let options: KafkaBatchOptions
  private let notice: @Sendable (String) -> Void
  private let logger: Logger
  private let desk = KafkaDesk()
  private let assignments = KafkaAssignments()
  private let ledger = KafkaLedger()
  private let figuresOfReader = KafkaFigures()
  private let rebalances = KafkaRebalances()
  private let consumer: KafkaClient
  private let probe: KafkaProbe
  /// What was known before the first partition was read; nil until then.
  private let before = Mutex<Before?>(nil)
  private let inbox: KafkaInbox?
  /// What brings the inbox to its topics.
  private let forwarding = Mutex<Task<Void, Never>?>(nil)

  /// What the topics were when the run began.
  private struct Before: Sendable {
    /// Numbers of partitions.
    var topics: [String: Int]
    /// Partitions of which the group had committed something.
    var committed: Set<PartitionID>

    /// Whether a partition came to its topic after the group had begun to read that.
    func isNew(_ partition: PartitionID) -> Bool {
      guard let count = topics[partition.source], partition.number < count else { return true }
      if committed.contains(partition) { return false }
      return committed.contains { $0.source == partition.source && $0.number < partition.number }
    }
  }

  /// - Parameter inbox: what is handed in, which is brought to the topics while they are read.
  /// - Throws: `OperatingError` where a setting is wrong.
  init(
    _ settings: KafkaSettings, batchRows: Int, maxEventBytes: Int, inbox: KafkaInbox? = nil,
    notice: @escaping @Sendable (String) -> Void, logger: Logger
  ) throws(OperatingError) {
    self.settings = settings
    self.inbox = inbox
    self.notice = notice
    self.logger = logger
    options = KafkaBatchOptions(
      rows: batchRows, maxEventBytes: maxEventBytes, columns: settings.columns, delimiter: settings.delimiter)
    let own = try settings.properties.resolved()
    let common = Self.common + own + [("bootstrap.servers", settings.bootstrap), ("group.id", settings.group)]
    probe = KafkaProbe(
      try KafkaClient(
        RD_KAFKA_CONSUMER, common + Self.probing, state: KafkaState(logger: logger)), bootstrap: settings.bootstrap)
    consumer = try KafkaClient(
      RD_KAFKA_CONSUMER,
      common + Self.reading + Self.prefetching(settings.prefetch)
        + (settings.member.map { [("group.instance.id", $0)] } ?? []),
      state: KafkaState(logger: logger, onRebalance: { [rebalances] in rebalances.add($0) }))
  }

  /// What can be set otherwise.
  private static let common: [(name: String, value: String)] = [
    ("client.id", "pulse"), ("reconnect.backoff.max.ms", "5000"), ("topic.metadata.refresh.interval.ms", "30000"),
    ("fetch.wait.max.ms", "100"), ("session.timeout.ms", "45000"), ("log.connection.close", "false"),
    // What was damaged on its way is an error, not a record.
    ("check.crcs", "true"),
  ]

  private static let probing: [(name: String, value: String)] = [
    ("enable.auto.commit", "false"), ("auto.offset.reset", "error"), ("enable.partition.eof", "true"),
    ("fetch.wait.max.ms", "10"), ("queued.min.messages", "1"), ("fetch.message.max.bytes", "65536"),
  ]

  private static let reading: [(name: String, value: String)] = [
    ("partition.assignment.strategy", "cooperative-sticky"), ("auto.offset.reset", "error"),
    ("enable.partition.eof", "true"),
    // Offsets are stored once a checkpoint has passed them, and committed by the client now and then.
    ("enable.auto.commit", "true"), ("enable.auto.offset.store", "false"), ("auto.commit.interval.ms", "1000"),
    // What is committed is read only where producers have finished their transactions.
    ("isolation.level", "read_committed"),
    // By these it is known that brokers are there again: nothing else says so.
    ("statistics.interval.ms", "2000"),
  ]

  /// How much is fetched ahead. Each partition has a queue of its own with this bound, so the bound is for one of eight: a
  /// process that reads more of them holds more, but the bytes of what is handed over are counted in any case.
  private static func prefetching(_ bytes: Int) -> [(name: String, value: String)] {
    let each = max(bytes / 8, 1 << 20)
    return [
      ("queued.max.messages.kbytes", String(each >> 10)), ("queued.min.messages", "100000"),
      ("fetch.max.bytes", String(max(bytes / 2, 1 << 20))),
      ("fetch.message.max.bytes", String(min(each, 1 << 20))),
    ]
  }

  func check() async throws {
    let topics = try await probe.topics(patience: KafkaProbe.startPatience)
    for topic in settings.topics where !topic.hasPrefix("^") && topics[topic] == nil {
      throw OperatingError(
        .input,
        "the topic \(topic) is not at \(settings.bootstrap), or may not be read: expected a topic that is there. Create it with "
          + "`pulse topics create`, or ask for the right to read it")
    }
  }

  func next() async throws -> SourceEvent {
    if before.withLock({ $0 == nil }) { try await begin() }
    let event = try await desk.take()
    if case .end = event { stopForwarding() }
    return event
  }

  private func stopForwarding() { forwarding.withLock { $0.take() }?.cancel() }

  /// Looks at the topics, then starts to read.
  private func begin() async throws {
    try await check()
    let topics = try await probe.topics(patience: KafkaProbe.startPatience)
    let partitions = topics.filter { self.settings.reads($0.key) }.flatMap { topic, count in
      (0..<count).map { PartitionID(source: topic, number: Int32($0)) }
    }
    let committed = try await settings.start == .earliest ? [] : probe.committed(of: partitions)
    before.withLock { $0 = Before(topics: topics, committed: committed) }
    let (client, settings, options, desk) = (consumer, settings, options, desk)
    let (assignments, ledger, rebalances, notice, logger) = (assignments, ledger, rebalances, notice, logger)
    let figures = figuresOfReader
    let thread = Thread {
      KafkaReader(
        client, topics: settings.topics, options: options, idleTimeout: settings.idleTimeout, desk: desk,
        assignments: assignments, ledger: ledger, figures: figures, rebalances: rebalances, notice: notice,
        logger: logger
      ).run()
    }
    thread.name = "pulse-kafka"
    thread.start()
    if let inbox { forwarding.withLock { $0 = Task { await inbox.run() } } }
  }

  // MARK: Where to go on

  func resume(_ partition: PartitionID, at point: ResumePoint?) async throws -> [InputGap] {
    guard let assignment = assignments.oldest(of: partition), !assignment.isOver else {
      ledger.keep(partition, try point.map { try KafkaPartitionState(decoding: $0.sourceState, of: partition) })
      return []
    }
    let place = try await place(of: partition, after: point)
    ledger.open(
      partition, place.state, from: place.position.offset, isRecorded: point != nil && place.gaps.isEmpty)
    desk.post(
      .read(
        partition, assignment: assignment.number, segment: place.position.segment, from: place.position.offset))
    return place.gaps
  }

  /// Where a partition goes on.
  private struct Place {
    var position: Position
    var state: KafkaPartitionState
    var gaps: [InputGap] = []
  }

  private func place(of partition: PartitionID, after point: ResumePoint?) async throws -> Place {
    let log = try await probe.log(of: partition)
    guard let point else {
      let start = try await beginning(of: partition, log)
      return Place(
        position: Position(segment: 0, offset: start, row: start), state: KafkaPartitionState(segment: 0, start: start))
    }
    let state = try KafkaPartitionState(decoding: point.sourceState, of: partition)
    // Before anything of a log was read the position is that of any partition, or in the log before.
    let next = state.segment > point.position.segment ? state.start : max(point.position.offset, state.start)
    let here = Position(segment: state.segment, offset: next, row: next)
    if try await isAnother(log, than: state, next: next, of: partition) {
      return try restarted(partition, log, here)
    }
    if next > log.high { return try truncated(partition, log, here, state) }
    if next < log.low { return try expired(partition, log, here, state) }
    return Place(position: here, state: state)
  }

  /// Where a partition begins of which nothing is stored.
  private func beginning(of partition: PartitionID, _ log: KafkaLog) async throws -> Int64 {
    let isNew = before.withLock { $0?.isNew(partition) ?? false }
    // What came to a topic later is read as a whole: nobody has seen it.
    if isNew { return log.low }
    switch settings.start {
    case .earliest: return log.low
    case .latest: return log.high
    case .time(let time):
      // Rounded up: the log counts milliseconds.
      let milliseconds = time / 1000 + (time % 1000 > 0 ? 1 : 0)
      return try await probe.offset(in: partition, at: milliseconds) ?? log.high
    }
  }

  /// Whether the log is not the one that was read: of what was read first and last, something is there that looks different.
  private func isAnother(
    _ log: KafkaLog, than state: KafkaPartitionState, next: Int64, of partition: PartitionID
  ) async throws -> Bool {
    var differs = false
    for known in [state.last, state.first].compactMap({ $0 }) {
      guard known.offset >= log.low, known.offset < log.high,
        let found = await probe.record(at: known.offset, of: partition)
      else { continue }
      if found == known { return false }
      differs = true
    }
    return differs
  }

  private func expired(
    _ partition: PartitionID, _ log: KafkaLog, _ next: Position, _ state: KafkaPartitionState
  ) throws -> Place {
    let text =
      "the records \(next.offset) to \(log.low - 1) of \(partition.source)/\(partition.number) are gone: its log begins at "
      + "\(log.low) now, as when records are kept for too short a time"
    try stop(text, "the last run continues at \(next.offset)")
    return Place(
      position: Position(segment: next.segment, offset: log.low, row: log.low), state: state,
      gaps: [InputGap(text + "; reading goes on there")])
  }

  private func truncated(
    _ partition: PartitionID, _ log: KafkaLog, _ next: Position, _ state: KafkaPartitionState
  ) throws -> Place {
    let text =
      "the log of \(partition.source)/\(partition.number) ends at \(log.high) now, and was read up to \(next.offset) before: it "
      + "was truncated, or the topic was deleted and made again"
    try stop(text, "the last run continues at \(next.offset)")
    // Where what was read first is still there, only the end was lost. Otherwise nobody has seen any of it.
    let isKnown = state.first.map { $0.offset >= log.low && $0.offset < log.high } ?? false
    let offset = isKnown ? log.high : log.low
    return Place(
      position: Position(segment: next.segment + 1, offset: offset, row: offset),
      state: KafkaPartitionState(segment: next.segment + 1, start: offset),
      gaps: [InputGap(text + "; reading goes on at \(offset)")])
  }

  private func restarted(_ partition: PartitionID, _ log: KafkaLog, _ next: Position) throws -> Place {
    let text =
      "the records of \(partition.source)/\(partition.number) are not those that were read before: the topic was deleted and "
      + "made again, or its log was replaced"
    try stop(text, "the last run continues at \(next.offset)")
    return Place(
      position: Position(segment: next.segment + 1, offset: log.low, row: log.low),
      state: KafkaPartitionState(segment: next.segment + 1, start: log.low),
      gaps: [InputGap(text + "; it is read from its beginning, \(log.low)")])
  }

  /// - Throws: where a gap is not to be passed over.
  private func stop(_ text: String, _ place: String) throws {
    if settings.onGap == .skipAndRecord { return }
    throw OperatingError(
      .input,
      "\(text), and \(place). Go on with --on-gap skip_and_record, which puts on record what is missing, or start over with "
        + "--reset")
  }

  // MARK: Checkpoints

  var waitsForMore: Bool { desk.waitsForMore }

  func release(_ partition: PartitionID) async {
    guard let assignment = assignments.oldest(of: partition) else { return }
    // In this order: the thread that polls leaves the group once it knows that all are released.
    desk.post(.released(partition, assignment: assignment.number))
    ledger.close(partition)
    assignments.release(partition)
    // The last one of a run: the group is left before the process ends.
    if assignments.isEmpty, desk.isOver { await desk.waitForClose() }
  }

  func checkpointState(of partition: PartitionID, at position: Position) -> [UInt8] {
    ledger.state(of: partition, at: position)?.encoded ?? []
  }

  /// Where a partition begins is on record before anything of it is: a time, and the end of a log, are elsewhere later.
  func isRecorded(_ segment: UInt32, of partition: PartitionID) -> Bool { ledger.isRecorded(partition) }

  func acknowledge(_ partition: PartitionID, upTo position: Position) async throws {
    ledger.pass(partition, position)
    // One that is not assigned any more is refused, which is right: it is another member's.
    _ = KafkaPartitions.with([KafkaPartitions.Item(partition: partition, offset: position.offset)]) {
      rd_kafka_offsets_store(consumer.handle, $0)
    }
  }

  // MARK: Figures

  func figures() -> SourceFigures {
    let counts = figuresOfReader.counts
    var figures = SourceFigures()
    figures.rebalances = counts.rebalances
    figures.passedOver = ["tombstone": counts.passedOver.tombstones, "empty": counts.passedOver.empty]
    figures.connection = consumer.state.connection
    figures.fetchedBytes = consumer.state.fetchedBytes
    for (partition, next) in ledger.next {
      var (low, high) = (Int64(0), Int64(0))
      // What the last answer to a fetch has said: nobody is asked.
      let code = rd_kafka_get_watermark_offsets(
        consumer.handle, partition.source, partition.number, &low, &high)
      if code == RD_KAFKA_RESP_ERR_NO_ERROR, high >= 0 { figures.lag[partition] = Int(max(0, high - next)) }
    }
    return figures
  }

  func stop() {
    stopForwarding()
    probe.stop()
    desk.stop()
  }
}
