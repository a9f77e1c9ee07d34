// A server on the loopback address that takes what it is sent and answers as a test says.

import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Synchronization

@testable import Server

/// Receives requests.
final class Receiver: Sendable {
  struct Received: Sendable {
    var method: String
    var path: String
    var headers: HTTPFields
    var body: [UInt8]

    var text: String { String(decoding: body, as: UTF8.self) }
    var json: JSONValue { get throws { try JSONValue(parsing: body) } }
  }

  struct Reaction: Sendable {
    var status = 200
    var headers: HTTPFields = [:]
    var body = ""
    /// Whether there is no answer at all, or one that begins and does not end.
    var isSilent = false
    var isEndless = false
  }

  private let received = Mutex<[Received]>([])
  private let react: @Sendable (_ number: Int, _ request: Received) -> Reaction
  private let port = Mutex(0)

  private init(_ react: @escaping @Sendable (Int, Received) -> Reaction) { self.react = react }

  /// What has come so far.
  var requests: [Received] { received.withLock { $0 } }
  var address: String { "http://127.0.0.1:\(port.withLock { $0 })" }

  /// Calls `body` while it listens.
  /// - Parameter react: how a request is answered, by its number from 0.
  static func listen<Value: Sendable>(
    _ react: @escaping @Sendable (Int, Received) -> Reaction = { _, _ in Reaction() },
    _ body: @escaping @Sendable (Receiver) async throws -> Value
  ) async throws -> Value {
    let receiver = Receiver(react)
    let (ports, continuation) = AsyncStream<Int>.makeStream()
    let application = Application(
      responder: Responder(receiver: receiver),
      configuration: ApplicationConfiguration(address: .hostname("127.0.0.1", port: 0)),
      onServerRunning: { channel in continuation.yield(channel.localAddress?.port ?? 0) },
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    return try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await application.run() }
      defer { group.cancelAll() }
      for await number in ports {
        receiver.port.withLock { $0 = number }
        break
      }
      return try await body(receiver)
    }
  }

  private struct Responder: HTTPResponder {
    typealias Context = ConnectionContext
    let receiver: Receiver

    func respond(to request: Request, context: ConnectionContext) async throws -> Response {
      var body: [UInt8] = []
      for try await part in request.body { body.append(contentsOf: part.readableBytesView) }
      let one = Received(
        method: request.method.rawValue, path: request.head.path ?? "", headers: request.headers, body: body)
      let number = receiver.received.withLock { all in
        all.append(one)
        return all.count - 1
      }
      let reaction = receiver.react(number, one)
      if reaction.isSilent { try await Task.sleep(for: .seconds(600)) }
      if reaction.isEndless {
        return Response(
          status: .ok,
          body: ResponseBody { writer in
            while true {
              try await writer.write(ByteBuffer(string: "x"))
              try await Task.sleep(for: .milliseconds(50))
            }
          })
      }
      return Response(
        status: HTTPResponse.Status(code: reaction.status), headers: reaction.headers,
        body: ResponseBody(byteBuffer: ByteBuffer(string: reaction.body)))
    }
  }
}

/// Waits until a condition holds, for a minute at most.
/// - Returns: whether it does.
func eventually(_ condition: () async throws -> Bool) async rethrows -> Bool {
  let end = ContinuousClock.now + .seconds(60)
  while ContinuousClock.now < end {
    if try await condition() { return true }
    try? await Task.sleep(for: .milliseconds(20))
  }
  return false
}

/// Keeps what is logged.
struct KeptLog: LogHandler {
  final class Lines: Sendable {
    private let lines = Mutex<[String]>([])
    var all: [String] { lines.withLock { $0 } }
    func add(_ line: String) { lines.withLock { $0.append(line) } }
  }

  let lines: Lines
  var metadata: Logger.Metadata = [:]
  var logLevel = Logger.Level.trace

  static func logger(_ lines: Lines) -> Logger { Logger(label: "test") { _ in KeptLog(lines: lines) } }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    lines.add("\(event.level): \(event.message) \(event.metadata ?? [:])")
  }
}
