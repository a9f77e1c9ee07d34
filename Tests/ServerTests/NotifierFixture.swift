// Findings in a store in memory, a clock that a test moves, and somebody who is told of them.

import Configuration
import Detection
import Foundation
import HTTPTypes
import Logging
import Metrics
import Pipeline
import Synchronization
import TestKit
import Testing

@testable import Server

/// A store with findings and one who tells of them.
final class NotifierFixture: Sendable {
  let store = MemoryStore(MemoryHistory())
  let actions = MemoryActions()
  let lines = KeptLog.Lines()
  let claim: Claim
  private let now = Mutex<Int64>(1_700_000_000_000_000)
  private let offset = Mutex<Int64>(0)

  static let partition = PartitionID(source: "s", number: 0)

  init(useCase: String = "u") async throws {
    claim = try await store.claim(useCase: useCase, partition: Self.partition).claim
  }

  var clock: @Sendable () -> Int64 { { self.now.withLock { $0 } } }
  var time: Int64 { now.withLock { $0 } }

  /// Lets seconds pass.
  func pass(_ seconds: Double) { now.withLock { $0 += Int64(seconds * 1e6) } }

  /// Commits findings on an entity.
  /// - Returns: their ids.
  @discardableResult
  func find(
    _ count: Int = 1, on key: String, detector: String = "d", severity: Severity = .high, reason: String = "why",
    score: Double = 2
  ) async throws -> [String] {
    let first = offset.withLock { offset in
      offset += Int64(count)
      return offset - Int64(count)
    }
    let anomalies = (first..<first + Int64(count)).map { offset in
      Anomaly(
        useCase: claim.useCase, partition: Self.partition, position: Position(segment: 0, offset: offset, row: offset),
        detector: detector, eventTime: 1_000_000 * offset, key: key, score: score, severity: severity, reason: reason,
        explanation: Explanation(), event: "{}")
    }
    _ = try await store.commit([Results(claim: claim, anomalies: anomalies)])
    return anomalies.map { StoredAnomaly($0).id }
  }

  /// Takes back what was found last of a detector.
  func retract(_ detector: String = "d") async throws {
    let last = offset.withLock { $0 } - 1
    try await store.retract(
      WaitingResults(events: [Position(segment: 0, offset: last, row: last)], detectors: [detector]), under: claim)
  }

  func sink(
    _ kind: NotificationConfiguration.Kind = .webhook, at address: String?, secret: String? = nil,
    _ change: (inout NotificationConfiguration) -> Void = { _ in }
  ) throws -> NotificationSink {
    var configuration = NotificationConfiguration(name: "oncall", kind: kind)
    // Tests of much else run beside these.
    (configuration.url, configuration.timeout) = (address, 60_000_000)
    if secret != nil { configuration.secret = .variable("SECRET") }
    change(&configuration)
    return try NotificationSink(configuration, environment: secret.map { ["SECRET": $0] } ?? [:])
  }

  /// One who tells, as a new process has it.
  func notifier(_ sink: NotificationSink, metrics: (any MetricsFactory)? = nil) async throws -> Notifier {
    try await Notifier.begin(sink, store, actions)
    let notifier = Notifier(
      of: sink, from: store, actions, wokenBy: ChangeSignal(), clock: clock, metrics: metrics,
      logger: KeptLog.logger(lines))
    try await notifier.load()
    return notifier
  }

  /// What is kept of a sink.
  func state(_ sink: NotificationSink) async throws -> NotificationState {
    try NotificationState(kept: try #require(try await actions.place(of: sink.outbox)).kept)
  }
}

extension Receiver.Received {
  /// The ids of the findings of a CloudEvent.
  var findings: [String] {
    get throws { try json["data"]?["findings"]?.array?.compactMap { $0["id"]?.string } ?? [] }
  }
  var count: Int64? { get throws { try json["data"]?["count"]?.integer } }
  var key: String? { get throws { try json["data"]?["key"]?.string } }
  var heldBack: Int64? { get throws { try json["data"]?["held_back"]?.integer } }
  func header(_ name: String) -> String? { headers[.init(name)!] }
}
