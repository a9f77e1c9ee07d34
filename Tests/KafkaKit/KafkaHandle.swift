// A client of librdkafka with what its callbacks were told.

import CKafkaLibrary
import Synchronization

/// An `rd_kafka_t`, destroyed with the last reference.
///
/// SAFETY: librdkafka's handles may be used from any thread; the pointer is set once.
final class KafkaHandle: @unchecked Sendable {
  let pointer: OpaquePointer
  let reports: KafkaReports

  /// - Throws: where librdkafka refuses a setting.
  init(_ type: rd_kafka_type_t, _ settings: [String: String]) throws {
    reports = KafkaReports()
    guard let configuration = rd_kafka_conf_new() else {
      throw KafkaTestError(RD_KAFKA_RESP_ERR__FAIL, doing: "making a configuration")
    }
    var text = [CChar](repeating: 0, count: 512)
    for (name, value) in settings
    where rd_kafka_conf_set(configuration, name, value, &text, text.count) != RD_KAFKA_CONF_OK {
      rd_kafka_conf_destroy(configuration)
      throw KafkaTestError(RD_KAFKA_RESP_ERR__INVALID_ARG, doing: "setting \(name)", detail: Self.string(text))
    }
    // SAFETY: the reports live as long as the handle, whose threads have ended when it is destroyed.
    rd_kafka_conf_set_opaque(configuration, Unmanaged.passUnretained(reports).toOpaque())
    rd_kafka_conf_set_log_cb(configuration) { handle, _, kind, line in
      // Advice about settings is no reason why something waits.
      guard let handle, let kind, let line, String(cString: kind) != "CONFWARN" else { return }
      KafkaReports.of(rd_kafka_opaque(handle))?.log(String(cString: line))
    }
    if type == RD_KAFKA_PRODUCER {
      rd_kafka_conf_set_dr_msg_cb(configuration) { _, message, opaque in
        guard let message else { return }
        KafkaReports.of(opaque)?.deliver(message.pointee)
      }
    }
    guard let pointer = rd_kafka_new(type, configuration, &text, text.count) else {
      rd_kafka_conf_destroy(configuration)
      throw KafkaTestError(rd_kafka_last_error(), doing: "making a client", detail: Self.string(text))
    }
    self.pointer = pointer
  }

  deinit {
    // A consumer here is in no group that it could leave.
    rd_kafka_destroy_flags(pointer, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE)
  }

  /// Throws where the client can do nothing more, as one that was fenced off.
  func checkFatal(_ doing: String) throws {
    var text = [CChar](repeating: 0, count: 512)
    let code = rd_kafka_fatal_error(pointer, &text, text.count)
    try KafkaTestError.check(code, doing, detail: Self.string(text))
  }

  static func string(_ text: [CChar]) -> String {
    String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

/// What the callbacks of a client were told.
final class KafkaReports: Sendable {
  /// What became of a message.
  struct Delivery {
    var error: rd_kafka_resp_err_t
    var position: KafkaTestPosition
  }

  private struct State {
    var lastLine: String?
    var deliveries: [Int: Delivery] = [:]
  }

  private let state = Mutex(State())

  /// The last line that librdkafka logged: why it waits, mostly.
  var lastLine: String? { state.withLock { $0.lastLine } }

  static func of(_ opaque: UnsafeMutableRawPointer?) -> KafkaReports? {
    // SAFETY: only `KafkaHandle` sets the opaque pointer, to the reports it holds.
    opaque.map { Unmanaged<KafkaReports>.fromOpaque($0).takeUnretainedValue() }
  }

  func log(_ line: String) { state.withLock { $0.lastLine = line } }

  func deliver(_ message: rd_kafka_message_t) {
    let number = Int(bitPattern: message._private)
    let position = KafkaTestPosition(partition: message.partition, offset: message.offset)
    state.withLock { $0.deliveries[number] = Delivery(error: message.err, position: position) }
  }

  /// What was reported since it was last asked, by the numbers of the messages.
  func takeDeliveries() -> [Int: Delivery] {
    state.withLock { state in
      defer { state.deliveries = [:] }
      return state.deliveries
    }
  }
}
