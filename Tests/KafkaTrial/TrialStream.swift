// The labelled stream of a round: written while the round goes on, so that whatever happens comes amid it.

import Foundation
import KafkaKit
import Synchronization
import TestKit

/// Why a round could not go on.
struct TrialError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// Where a record lies in the topic.
struct TrialPlace: Hashable, Comparable, Sendable {
  var partition: Int
  var offset: Int64

  static func < (a: TrialPlace, b: TrialPlace) -> Bool { (a.partition, a.offset) < (b.partition, b.offset) }
}

/// What was written and acknowledged, and what must be found in it.
struct TrialLabels: Sendable {
  var records = 0
  /// Records that the rule for labelled ones must find, and no others.
  var marked: Set<TrialPlace> = []
  /// Records that must be dead letters, and no others.
  var broken: Set<TrialPlace> = []
  /// Behind the last record of each partition.
  var ends: [Int: Int64] = [:]
}

/// Writes records to all partitions of a topic, some of them labelled, some of them broken.
final class TrialStream: Sendable {
  private struct State: Sendable {
    var random: SeededRandom
    /// Event time of each partition, seconds since 1970.
    var times: [Int]
    var labels = TrialLabels()
    var failure: (any Error)?
    var isStopping = false
    var hasEnded = false
  }

  private let client: KafkaTestClient
  private let topic: String
  private let partitions: Int
  private let state: Mutex<State>

  /// Records that are written at once, over all partitions, and the time between two such writes.
  private static let chunk = 1_200
  private static let pause: UInt32 = 400_000

  init(_ client: KafkaTestClient, topic: String, partitions: Int, seed: UInt64) {
    self.client = client
    self.topic = topic
    self.partitions = partitions
    state = Mutex(State(random: SeededRandom(seed: seed), times: Array(repeating: 1_700_000_000, count: partitions)))
  }

  /// What was acknowledged so far.
  var labels: TrialLabels { state.withLock { $0.labels } }

  /// Writes so many records, and waits until they are acknowledged. One call at a time.
  func write(_ count: Int) throws {
    let messages = state.withLock { state in (0..<count).map { _ in Self.message(&state, partitions) } }
    let positions = try client.produce(messages.map(\.message), to: topic)
    state.withLock { state in
      state.labels.records += count
      for (position, label) in zip(positions, messages.map(\.label)) {
        let place = TrialPlace(partition: Int(position.partition), offset: position.offset)
        if label == .marked { state.labels.marked.insert(place) }
        if label == .broken { state.labels.broken.insert(place) }
        state.labels.ends[place.partition] = max(state.labels.ends[place.partition] ?? 0, place.offset + 1)
      }
    }
  }

  /// Goes on writing, on a thread of its own, until `stop`.
  func start() {
    Thread {
      do {
        while !self.state.withLock({ $0.isStopping }) {
          try self.write(Self.chunk)
          usleep(Self.pause)
        }
      } catch { self.state.withLock { $0.failure = error } }
      self.state.withLock { $0.hasEnded = true }
    }.start()
  }

  /// Ends what `start` began, and waits until everything is acknowledged.
  /// - Throws: what ended the writing before.
  func stop() throws {
    state.withLock { $0.isStopping = true }
    let hasEnded = waitUntil(within: .seconds(90)) { state.withLock { $0.hasEnded } }
    if let failure = state.withLock({ $0.failure }) { throw failure }
    if !hasEnded { throw TrialError("the broker did not take the stream") }
  }

  private enum Label { case plain, marked, broken }

  private static func message(_ state: inout State, _ partitions: Int) -> (message: KafkaTestMessage, label: Label) {
    let partition = Int.random(in: 0..<partitions, using: &state.random)
    state.times[partition] += Int.random(in: 0...3, using: &state.random)
    let user = Int.random(in: 0..<7, using: &state.random)
    let amount = Double.random(in: 0...100, using: &state.random)
    let isLate = Int.random(in: 0..<20, using: &state.random) == 0
    let time = state.times[partition] - (isLate ? Int.random(in: 0...200, using: &state.random) : 0)
    let (text, label): (String, Label) =
      switch Int.random(in: 0..<200, using: &state.random) {
      case 0: ("{broken", .broken)
      case 1: (#"{"at": \#(time), "user": "u\#(user)", "amount": -1}"#, .broken)
      case 2...4: (#"{"at": \#(time), "user": "u\#(user)", "amount": \#(amount), "label": "marked"}"#, .marked)
      default: (#"{"at": \#(time), "user": "u\#(user)", "amount": \#(amount)}"#, .plain)
      }
    return (KafkaTestMessage(text, key: "u\(user)", partition: Int32(partition)), label)
  }
}
