// A handle of librdkafka, made from settings; what it says by itself (errors, log lines) goes to one place.

import CKafkaLibrary
import Detection
import Foundation
import Logging
import Pipeline
import Synchronization

/// What a client has said of its connections.
final class KafkaState: Sendable {
  private struct State: Sendable {
    var last: String?
    var fatal: String?
    var undelivered = 0
    var whyUndelivered: String?
    var connection = KafkaConnection()
    var fetchedBytes: Int?
    /// When what was said was said last, by its text without numbers.
    var said: [String: ContinuousClock.Instant] = [:]
  }

  private let state = Mutex(State())
  private let logger: Logger
  /// What is said again within this time is not logged again: while brokers are away a client says so some twenty times a
  /// second.
  private static let silence = Duration.seconds(30)
  /// Texts that are told apart.
  private static let texts = 100
  /// Is called when the consumer's group changes: on the thread that polls.
  let onRebalance: (@Sendable (KafkaRebalance) -> Void)?

  init(logger: Logger, onRebalance: (@Sendable (KafkaRebalance) -> Void)? = nil) {
    self.logger = logger
    self.onRebalance = onRebalance
  }

  /// The last error, in librdkafka's words; nil where there was none.
  var lastError: String? { state.withLock { $0.last } }
  /// Why the client cannot go on; nil while it can.
  var fatalError: String? { state.withLock { $0.fatal } }

  /// How many records were given up, and why the first one was.
  var undelivered: (count: Int, why: String?) { state.withLock { ($0.undelivered, $0.whyUndelivered) } }

  func noteUndelivered(_ why: String) {
    state.withLock { state in
      state.undelivered += 1
      state.whyUndelivered = state.whyUndelivered ?? why
    }
  }

  /// - Parameter isCutOff: whether no broker is connected any more.
  func note(_ text: String, isFatal: Bool, isCutOff: Bool) {
    state.withLock { state in
      if isCutOff {
        state.connection.note(isUp: false, error: state.last, at: Self.now)
      } else {
        state.connection.explain(text)
      }
      state.last = text
      if isFatal { state.fatal = state.fatal ?? text }
    }
    log(.warning, text)
  }

  /// Logs what a client says, once in a while where it says it again and again.
  func log(_ level: Logger.Level, _ text: String, at now: ContinuousClock.Instant = .now) {
    // Durations, ports and counts make it no other text.
    let key = text.filter { !$0.isNumber }
    let isDue = state.withLock { state in
      if let last = state.said[key], now - last < Self.silence { return false }
      if state.said.count >= Self.texts { state.said = [:] }
      state.said[key] = now
      return true
    }
    if isDue { logger.log(level: level, "\(text)") }
  }

  func note(_ statistics: KafkaStatistics) {
    state.withLock { state in
      // What was wrong before is no reason of what comes.
      if statistics.isConnected { state.last = nil }
      state.connection.note(isUp: statistics.isConnected, error: state.last, at: Self.now)
      state.fetchedBytes = statistics.fetchedBytes
    }
  }

  private static var now: Int64 { Int64(Date.now.timeIntervalSince1970 * 1e6) }

  /// Whether a broker is connected; nil before that is known.
  var connection: SourceFigures.Connection? { state.withLock { $0.connection.known } }
  /// Bytes that were fetched and not taken; nil before that is known.
  var fetchedBytes: Int? { state.withLock { $0.fetchedBytes } }
}

/// What the group wants of a consumer. `KafkaReader` answers it.
enum KafkaRebalance: Sendable {
  case assigned([PartitionID])
  case revoked([PartitionID])
  /// Others may have them already.
  case lost([PartitionID])
}

/// A consumer or producer.
///
/// SAFETY: librdkafka's handles may be used from any thread; `handle` is a constant and lives until `deinit`. `state` is what
/// the callbacks get: it lives as long as the handle, which is destroyed first.
final class KafkaClient: @unchecked Sendable {
  let handle: OpaquePointer
  let state: KafkaState
  private let isAbandoned = Atomic(false)

  /// - Parameters:
  ///   - kind: `RD_KAFKA_CONSUMER` or `RD_KAFKA_PRODUCER`.
  ///   - settings: of librdkafka; later ones go before earlier ones.
  /// - Throws: `OperatingError` where a setting is refused.
  init(
    _ kind: rd_kafka_type_t, _ settings: [(name: String, value: String)], state: KafkaState
  ) throws(OperatingError) {
    self.state = state
    guard let configuration = rd_kafka_conf_new() else { preconditionFailure("no memory for a Kafka client") }
    for (name, value) in settings {
      if let problem = Self.set(name, value, in: configuration) {
        rd_kafka_conf_destroy(configuration)
        throw OperatingError(.configuration, "the setting \(name) of Kafka cannot be used: \(problem)")
      }
    }
    // SAFETY: the state is held by this object, whose handle is destroyed before it is.
    rd_kafka_conf_set_opaque(configuration, Unmanaged.passUnretained(state).toOpaque())
    rd_kafka_conf_set_error_cb(configuration) { handle, code, reason, opaque in
      guard let state = KafkaClient.state(opaque) else { return }
      var text = reason.map { String(cString: $0) } ?? ""
      let isFatal = code == RD_KAFKA_RESP_ERR__FATAL.rawValue
      if isFatal, let handle, let why = KafkaClient.fatalReason(handle) { text = why }
      state.note(
        "\(text) (\(KafkaClient.name(rd_kafka_resp_err_t(code))))", isFatal: isFatal,
        isCutOff: code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN.rawValue)
    }
    rd_kafka_conf_set_stats_cb(configuration) { _, text, count, opaque in
      guard let state = KafkaClient.state(opaque), let text else { return 0 }
      let json = Data(bytes: text, count: count)
      if let statistics = try? JSONDecoder().decode(KafkaStatistics.self, from: json) { state.note(statistics) }
      return 0
    }
    rd_kafka_conf_set_log_cb(configuration) { handle, level, _, text in
      guard let handle, let state = KafkaClient.state(rd_kafka_opaque(handle)), let text else { return }
      // Levels are those of syslog. Errors come through the callback for errors as well, with a reason.
      state.log(level <= 4 ? .info : .debug, String(cString: text))
    }
    if kind == RD_KAFKA_PRODUCER {
      rd_kafka_conf_set_dr_msg_cb(configuration) { _, message, opaque in
        guard let state = KafkaClient.state(opaque), let message,
          message.pointee.err != RD_KAFKA_RESP_ERR_NO_ERROR
        else { return }
        state.noteUndelivered(
          "\(KafkaClient.sentence(message.pointee.err)) (\(KafkaClient.name(message.pointee.err)))")
      }
    }
    if state.onRebalance != nil {
      rd_kafka_conf_set_rebalance_cb(configuration) { handle, code, partitions, opaque in
        guard let handle, let state = KafkaClient.state(opaque) else { return }
        let list = partitions.map { KafkaPartitions.read($0).map(\.partition) } ?? []
        if code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
          state.onRebalance?(.assigned(list))
        } else {
          state.onRebalance?(rd_kafka_assignment_lost(handle) != 0 ? .lost(list) : .revoked(list))
        }
      }
    }
    var problem = [CChar](repeating: 0, count: 512)
    guard let handle = rd_kafka_new(kind, configuration, &problem, problem.count) else {
      // A handle that was not made leaves its configuration to us.
      rd_kafka_conf_destroy(configuration)
      throw OperatingError(.configuration, "no Kafka client can be made: \(Self.text(problem))")
    }
    self.handle = handle
  }

  /// A consumer has left its group before, and a producer has flushed: nothing is waited for here.
  deinit {
    if isAbandoned.load(ordering: .acquiring) { return }
    rd_kafka_destroy_flags(handle, Int32(RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE))
  }

  /// The handle is left as it is when nobody uses it any more: destroying a consumer that could not leave its group waits for
  /// brokers that may never answer.
  func abandon() {
    guard !isAbandoned.exchange(true, ordering: .acquiringAndReleasing) else { return }
    // SAFETY: its threads go on and call back with the state, which is never let go therefore.
    _ = Unmanaged.passRetained(state)
  }

  /// What a callback was given.
  ///
  /// SAFETY: what `init` has set, which lives as long as the handle that calls back.
  private static func state(_ opaque: UnsafeMutableRawPointer?) -> KafkaState? {
    opaque.map { Unmanaged<KafkaState>.fromOpaque($0).takeUnretainedValue() }
  }

  /// - Returns: what is wrong; nil where it was set.
  private static func set(_ name: String, _ value: String, in configuration: OpaquePointer) -> String? {
    var problem = [CChar](repeating: 0, count: 512)
    let result = rd_kafka_conf_set(configuration, name, value, &problem, problem.count)
    return result == RD_KAFKA_CONF_OK ? nil : text(problem)
  }

  static func text(_ bytes: [CChar]) -> String {
    String(decoding: bytes.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  private static func fatalReason(_ handle: OpaquePointer) -> String? {
    var problem = [CChar](repeating: 0, count: 512)
    let code = rd_kafka_fatal_error(handle, &problem, problem.count)
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ? nil : text(problem)
  }

  /// What brokers say of a topic; no error where it is there.
  func error(of topic: OpaquePointer, milliseconds: Int32) -> rd_kafka_resp_err_t {
    // SAFETY: librdkafka keeps `topic_cnt` topics until the metadata is destroyed here.
    var metadata: UnsafePointer<rd_kafka_metadata>?
    let code = rd_kafka_metadata(handle, 0, topic, &metadata, milliseconds)
    guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let metadata else { return code }
    defer { rd_kafka_metadata_destroy(metadata) }
    return metadata.pointee.topic_cnt > 0 ? metadata.pointee.topics[0].err : code
  }

  /// The name of an error: `_TRANSPORT`.
  static func name(_ code: rd_kafka_resp_err_t) -> String {
    rd_kafka_err2name(code).map { String(cString: $0) } ?? "\(code.rawValue)"
  }

  /// What an error means, in librdkafka's words.
  static func sentence(_ code: rd_kafka_resp_err_t) -> String {
    rd_kafka_err2str(code).map { String(cString: $0) } ?? "error \(code.rawValue)"
  }

  /// Takes an error that a call has returned.
  /// - Returns: nil where there was none.
  static func take(_ error: OpaquePointer?) -> (code: rd_kafka_resp_err_t, text: String)? {
    guard let error else { return nil }
    defer { rd_kafka_error_destroy(error) }
    return (rd_kafka_error_code(error), rd_kafka_error_string(error).map { String(cString: $0) } ?? "")
  }
}

/// Lists of partitions with offsets, as librdkafka takes and gives them.
enum KafkaPartitions {
  struct Item: Sendable, Hashable {
    var partition: PartitionID
    var offset: Int64 = Int64(RD_KAFKA_OFFSET_INVALID)
    var error = RD_KAFKA_RESP_ERR_NO_ERROR.rawValue
  }

  static func read(_ list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>) -> [Item] {
    // SAFETY: librdkafka keeps `cnt` elements at `elems`, each with a topic that ends in a zero byte.
    (0..<Int(list.pointee.cnt)).map { index in
      let element = list.pointee.elems[index]
      return Item(
        partition: PartitionID(source: String(cString: element.topic), number: element.partition),
        offset: element.offset, error: element.err.rawValue)
    }
  }

  /// Lends a list of partitions with their offsets.
  static func with<Result>(
    _ items: [Item], _ body: (UnsafeMutablePointer<rd_kafka_topic_partition_list_t>) throws -> Result
  ) rethrows -> Result {
    guard let list = rd_kafka_topic_partition_list_new(Int32(items.count)) else {
      preconditionFailure("no memory for a list of partitions")
    }
    // SAFETY: made here and destroyed when the call ends; nothing that is read from it is a pointer into it.
    defer { rd_kafka_topic_partition_list_destroy(list) }
    for item in items {
      let added = rd_kafka_topic_partition_list_add(list, item.partition.source, item.partition.number)
      added?.pointee.offset = item.offset
    }
    return try body(list)
  }
}
