// What goes wrong with deliveries, by what helps.

import CKafkaLibrary

/// Why a batch was not delivered.
struct KafkaFailure: Error, Hashable, CustomStringConvertible {
  enum Kind: Sendable, Hashable {
    /// The batch was taken back; the same producer may try again.
    case aborted
    /// It is not known what became of it, or the time was over: a new producer finds out.
    case unfinished
    /// The producer can do nothing more; a new one may.
    case fatal
    /// A newer producer of the same name has taken over.
    case fenced
    /// The broker does not know of such requests.
    case unsupported
  }

  var kind: Kind
  /// What was tried, and the reason in librdkafka's words.
  let description: String

  init(_ kind: Kind, _ description: String) {
    self.kind = kind
    self.description = description
  }

  /// Reads what a call has returned, which stays the caller's.
  init(_ error: OpaquePointer, of client: KafkaClient, doing what: String) {
    var text = [CChar](repeating: 0, count: 512)
    let fatal = rd_kafka_fatal_error(client.handle, &text, text.count)
    let isFatal = fatal != RD_KAFKA_RESP_ERR_NO_ERROR || rd_kafka_error_is_fatal(error) != 0
    // A client that has failed for good answers everything with the fact alone.
    let code = fatal == RD_KAFKA_RESP_ERR_NO_ERROR ? rd_kafka_error_code(error) : fatal
    let said = rd_kafka_error_string(error).map { String(cString: $0) } ?? KafkaClient.sentence(code)
    switch code {
    case RD_KAFKA_RESP_ERR__FENCED, RD_KAFKA_RESP_ERR_PRODUCER_FENCED: kind = .fenced
    // One that was not fatal is mended by the client itself.
    case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH where isFatal: kind = .fenced
    case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION: kind = .unsupported
    default: kind = isFatal ? .fatal : .aborted
    }
    description = "\(what): \(fatal == RD_KAFKA_RESP_ERR_NO_ERROR ? said : KafkaClient.text(text))"
  }
}
