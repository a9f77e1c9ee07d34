// What goes wrong in the helpers, in librdkafka's own words.

public import CKafkaLibrary

/// An error of librdkafka, or of a helper that gave up waiting.
public struct KafkaTestError: Error, Equatable, CustomStringConvertible {
  /// librdkafka's code: negative where the error arose in the client, positive where a broker sent it.
  public let code: rd_kafka_resp_err_t
  /// What was being done, and librdkafka's sentence.
  public let description: String

  /// - Parameters:
  ///   - doing: what was being done, as in "creating topic t".
  ///   - detail: what is known beyond the sentence that belongs to the code.
  public init(_ code: rd_kafka_resp_err_t, doing: String, detail: String? = nil) {
    self.code = code
    let sentence = String(cString: rd_kafka_err2str(code))
    description = "\(doing): \(sentence)" + (detail.map { " (\($0))" } ?? "")
  }

  /// Throws unless `code` says that all is well.
  static func check(_ code: rd_kafka_resp_err_t, _ doing: @autoclosure () -> String, detail: String? = nil) throws {
    if code != RD_KAFKA_RESP_ERR_NO_ERROR { throw KafkaTestError(code, doing: doing(), detail: detail) }
  }

  /// Throws where there is an error object, which is given back to librdkafka.
  static func check(_ error: OpaquePointer?, _ doing: @autoclosure () -> String, detail: String? = nil) throws {
    guard let error else { return }
    defer { rd_kafka_error_destroy(error) }
    let said = [String(cString: rd_kafka_error_string(error)), detail].compactMap { $0 }.joined(separator: "; ")
    throw KafkaTestError(rd_kafka_error_code(error), doing: doing(), detail: said)
  }
}

/// The end of a wait.
struct Deadline {
  private let end: ContinuousClock.Instant

  init(after limit: Duration) { end = .now + limit }

  /// What is left, 0 where it has passed.
  var milliseconds: Int32 { max(0, (end - .now).wholeMilliseconds) }
  var hasPassed: Bool { ContinuousClock.now >= end }
}

extension Duration {
  /// As librdkafka takes it.
  var wholeMilliseconds: Int32 {
    Int32(clamping: components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000)
  }
}
