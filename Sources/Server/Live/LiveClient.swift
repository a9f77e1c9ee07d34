// One who watches: events that wait to be sent, as the text of server-sent events (WHATWG HTML, section 9.2).

import Detection
import Synchronization

/// Something to tell.
struct LiveEvent: Sendable {
  /// status, anomaly, retraction, figures, reset
  var kind: String
  /// JSON.
  var data: String
  /// Where a client that has seen it goes on; nil where that is where it was.
  var id: String?

  /// As it is sent. JSON has no line ends.
  var bytes: [UInt8] {
    var text = id.map { "id: \($0)\n" } ?? ""
    text += "event: \(kind)\ndata: \(data)\n\n"
    return Array(text.utf8)
  }
}

/// A connection that is told of events.
final class LiveClient: Sendable {
  let useCase: String
  private let continuation: AsyncStream<[UInt8]>.Continuation

  /// Events that may wait: one that lets more wait loses its connection, and comes again where it was.
  static let mostWaiting = 1_000

  private init(useCase: String, _ continuation: AsyncStream<[UInt8]>.Continuation) {
    self.useCase = useCase
    self.continuation = continuation
  }

  /// A client and what it is sent. Only who sends holds the latter: a client whose connection is gone ends with it.
  /// - Parameter ended: is called once when nobody reads any more.
  static func make(
    useCase: String, ended: @escaping @Sendable () -> Void
  ) -> (client: LiveClient, chunks: AsyncStream<[UInt8]>) {
    let (chunks, continuation) = AsyncStream<[UInt8]>.makeStream(bufferingPolicy: .bufferingOldest(mostWaiting))
    continuation.onTermination = { _ in ended() }
    return (LiveClient(useCase: useCase, continuation), chunks)
  }

  func offer(_ event: LiveEvent) {
    if case .dropped = continuation.yield(event.bytes) { continuation.finish() }
  }

  func finish() { continuation.finish() }
}
