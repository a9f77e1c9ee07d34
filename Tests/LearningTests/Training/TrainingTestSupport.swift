// A small use case with a history of simulated events to train on, in memory.

import Configuration
import Detection
import Foundation
import Pipeline
import TestKit
import Testing

@testable import Learning

/// Jobs whose time follows from their kind and size, ten a minute for some days.
struct JobHistory: HistoryArchive {
  static let day: Int64 = 86_400_000_000
  /// 2024-03-01.
  static let start: Int64 = 1_709_251_200_000_000

  struct Event {
    var time: Int64
    var team: String
    var kind: String
    var size: Int64
    var seconds: Double
    var isTest: Bool
  }

  var events: [Event]
  var rowsInShard = 4_096
  /// Thrown for the shard of this number.
  var broken: Int?

  /// - Parameters:
  ///   - noise: standard deviation of the logarithm of the time.
  ///   - heavyShare: jobs that take a thousand times as long because they are of a kind that does.
  init(days: Double, from first: Double = 0, perDay: Int = 4_000, seed: UInt64 = 1, noise: Float = 0.2) {
    var random = SeededRandom(seed: seed)
    let count = Int(days * Double(perDay))
    // Name, jobs of a hundred, and the logarithm of the seconds of the smallest.
    let kinds: [(name: String, share: Int, base: Double)] = [
      ("copy", 40, 2), ("scan", 30, 4), ("join", 20, 5), ("sort", 7, 7), ("vacuum", 3, 10),
    ]
    let drawn = kinds.flatMap { kind in [(name: String, share: Int, base: Double)](repeating: kind, count: kind.share) }
    var events: [Event] = []
    for index in 0..<count {
      let kind = drawn[Int.random(in: 0..<100, using: &random)]
      let size = Int64.random(in: 1...40, using: &random)
      let spread = Double(noise * random.normal())
      let day = first + Double(index) / Double(perDay)
      let team = "team\(Int.random(in: 0..<5, using: &random))"
      events.append(
        Event(
          time: Self.start + Int64(day * Double(Self.day)), team: team, kind: kind.name, size: size,
          seconds: exp(kind.base + 0.05 * Double(size) + spread), isTest: Int.random(in: 0..<20, using: &random) == 0))
    }
    self.events = events
  }

  func latestTime() -> Int64? { events.map(\.time).max() }

  func shards() -> [ArchivedShard] {
    stride(from: 0, to: events.count, by: rowsInShard).enumerated().map { number, first in
      let part = events[first..<min(first + rowsInShard, events.count)]
      return ArchivedShard(
        partition: PartitionID(source: "jobs", number: 0), day: Timestamp.day(of: part[first].time), number: number,
        rows: part.count, firstTime: part.map(\.time).min() ?? 0, lastTime: part.map(\.time).max() ?? 0,
        path: "history/jobs/\(number).arrow")
    }
  }

  func read(_ shard: ArchivedShard, schema: Schema, _ body: (EventBatch) throws -> Void) throws {
    if shard.number == broken { throw OperatingError(.store, "the history shard \(shard.path) cannot be read") }
    let first = shard.number * rowsInShard
    let part = Array(events[first..<first + shard.rows])
    let rows = (0..<Int64(part.count)).map { Int64(first) + $0 }
    try body(
      EventBatch(
        partition: shard.partition, positions: RecordPositions(segment: 0, offsets: rows, rows: rows),
        eventTimes: part.map(\.time),
        columns: [
          Column(.timestamp(part.map(\.time))), Column(.string(StringColumn(part.map(\.team)))),
          Column(.string(StringColumn(part.map(\.kind)))), Column(.int(part.map(\.size))),
          Column(.double(part.map(\.seconds))), Column(.bool(Bitmap(count: part.count) { part[$0].isTest })),
        ]))
  }

  static let text = """
    name: jobs
    event:
      time: t
      key: team
      fields:
        t: {type: timestamp, required: true, known_at: before_execution}
        team: {type: string, required: true, known_at: before_execution}
        kind: {type: string, required: true, known_at: before_execution}
        size: {type: int, known_at: before_execution}
        seconds: {type: double}
        is_test: {type: bool, default: false}
    features:
      log_seconds: ln(seconds + 1)
      large: size > 20
      hour: hour(t)
      kind_code: {encoder: ordinal, of: kind}
    detectors:
      - name: slow
        type: expected_value
        target: seconds
        features: [kind_code, size, large, hour]
        train_when: NOT is_test
        floor: 20000
        delta: 500000
        trees: 60
      - {name: odd, type: isolation_forest, features: [log_seconds, size, hour, kind_code], budget: {rate: 0.005}}
    training: {schedule: daily, history: 14d, max_rows: 40000}
    """

  static func plan(_ text: String = text) throws -> Plan {
    let check = UseCaseChecker.check(text: text)
    return try #require(check.plan, "\(check.rendered)")
  }
}

/// A folder for a registry, removed with its owner.
final class TrainingFolder {
  let path = NSTemporaryDirectory() + "training-\(UUID().uuidString)"
  var registry: ModelRegistry { ModelRegistry(folder: path, useCase: "jobs") }
  deinit { try? FileManager.default.removeItem(atPath: path) }
}

func trainer(
  _ history: JobHistory, _ registry: ModelRegistry, plan: Plan? = nil,
  _ change: (inout ModelTrainer.Options) -> Void = { _ in }
) throws -> ModelTrainer {
  var options = ModelTrainer.Options()
  change(&options)
  return ModelTrainer(
    plan: try plan ?? JobHistory.plan(), configuration: ConfigurationVersion(identifier: "c1", text: JobHistory.text),
    archive: history, registry: registry, options: options)
}
