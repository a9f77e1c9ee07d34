// What a client says of its connections, as it comes from librdkafka: out of order, in numbers, again and again.

import Foundation
import Logging
import Pipeline
import Synchronization
import Testing

@testable import Connectors

/// Keeps what is logged.
private struct LogNotes: LogHandler {
  private final class Texts: Sendable {
    let value = Mutex<[String]>([])
  }

  private let kept = Texts()
  var metadata: Logger.Metadata = [:]
  var logLevel = Logger.Level.trace

  var texts: [String] { kept.value.withLock { $0 } }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) { kept.value.withLock { $0.append("\(event.message)") } }
}

@Suite("Figures of Kafka")
struct KafkaFiguresTests {
  private static func statistics(_ state: String) throws -> KafkaStatistics {
    let json = """
      {"name": "pulse#consumer-1", "ts": 5, "brokers": {
        "a:9092/bootstrap": {"name": "a:9092/bootstrap", "state": "INIT", "tx": 3},
        "a:9092/1": {"name": "a:9092/1", "state": "\(state)", "rtt": {"min": 0}}},
       "topics": {"t": {"topic": "t", "partitions": {
        "0": {"fetchq_cnt": 1, "fetchq_size": 700}, "1": {"fetchq_size": 42}, "-1": {"fetchq_size": 0}}}},
       "cgrp": {"state": "up"}}
      """
    return try JSONDecoder().decode(KafkaStatistics.self, from: Data(json.utf8))
  }

  @Test("what a client says again and again is logged once in half a minute, whatever its numbers are")
  func repeated() {
    let lines = LogNotes()
    let state = KafkaState(logger: Logger(label: "kafka") { _ in lines })
    let start = ContinuousClock.now
    for index in 0..<100 {
      let now = start + .milliseconds(400 * index)
      state.log(.info, "Connect to ipv4#127.0.0.1:9092 failed: Connection refused (after \(index)ms)", at: now)
    }
    state.log(.info, "something else", at: start)
    #expect(lines.texts.count == 3, "\(lines.texts)")
    #expect(lines.texts.last == "something else" && lines.texts.first?.contains("(after 0ms)") == true)
    // However much there is to tell apart, it takes little memory: what was said before may be said again.
    for index in 0..<300 {
      state.log(.info, String(repeating: "x", count: index + 1), at: start)
    }
    #expect(lines.texts.count == 303)
  }

  @Test("brokers are away from when all are gone, for the reason that is said afterwards, until one is there")
  func connection() throws {
    let state = KafkaState(logger: Logger(label: "kafka") { _ in SwiftLogNoOpLogHandler() })
    #expect(state.connection == nil && state.fetchedBytes == nil)
    state.note(try Self.statistics("UP"))
    #expect(state.connection?.isUp == true && state.fetchedBytes == 742)
    let began = try #require(state.connection?.since)
    state.note("1/1 brokers are down", isFatal: false, isCutOff: true)
    #expect(state.connection?.isUp == false && state.connection?.error == nil)
    let gone = try #require(state.connection?.since)
    #expect(gone >= began)
    state.note("refused", isFatal: false, isCutOff: false)
    state.note("1/1 brokers are down", isFatal: false, isCutOff: true)
    state.note(try Self.statistics("TRY_CONNECT"))
    #expect(state.connection == SourceFigures.Connection(isUp: false, since: gone, error: "refused"))
    state.note(try Self.statistics("UP"))
    #expect(state.connection?.isUp == true && state.connection?.error == nil)
    // What was wrong then is no reason of another time.
    state.note("1/1 brokers are down", isFatal: false, isCutOff: true)
    #expect(state.connection?.isUp == false && state.connection?.error == nil)
  }
}
