// The simulated queries of `redset`, without injections, as stored history: in memory, decoded like a run's.

import Configuration
import Connectors
import Detection
import Foundation
import Pipeline
import Testing

@testable import Learning

struct SimulatedHistory: HistoryArchive {
  private(set) var batches: [EventBatch] = []

  private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().appending(path: "UseCases/redset")

  static func text(_ file: String) throws -> String {
    try String(contentsOf: folder.appending(path: file), encoding: .utf8)
  }

  /// The plan of the use case, its text changed.
  static func plan(_ change: (inout String) -> Void = { _ in }) throws -> Plan {
    var text = try text("pipeline.yaml")
    // What people see names detectors that a changed text may not have.
    text.removeSubrange(try #require(text.range(of: "\ndashboard:")).lowerBound...)
    change(&text)
    let check = UseCaseChecker.check(text: text)
    return try #require(check.plan, "\(check.rendered)")
  }

  /// - Parameter perDay: events of an average day.
  init(days: Int, perDay: Int, seed: UInt64, plan: Plan) throws {
    let injection = "  - name: slow_query\n    share: 0.02"
    var text = try Self.text("simulation.yaml")
    #expect(text.contains(injection) && text.contains("events_per_day: 150000"), "the simulation has another form")
    text = text.replacing(injection, with: "  - name: slow_query\n    share: 0")
      .replacing("events_per_day: 150000", with: "events_per_day: \(perDay)")
    var simulator = Simulator(try SimulationDefinition(yaml: text, file: "simulation.yaml"), seed: seed)
    let decoder = Decoder(schema: plan.schema)
    let start = Timestamp.dayNumber(of: JobHistory.start)
    var row = 0
    while true {
      let events = simulator.next(4_096)
      let lines = events.starts.indices.map { Array(events.bytes[Int(events.starts[$0])..<Int(events.ends[$0])]) }
      let rows = (0..<Int64(lines.count)).map { Int64(row) + $0 }
      let raw = RawBatch(
        partition: PartitionID(source: "simulator", number: 0),
        positions: RecordPositions(segment: 0, offsets: rows, rows: rows), payload: .json(RecordBytes(lines)),
        next: .start)
      row += lines.count
      let decoded = decoder.decode(raw).events
      // Late events and those behind the last day are left out.
      let last = batches.last?.eventTimes.last.map { Timestamp.dayNumber(of: $0) } ?? start
      let wanted = Bitmap(count: decoded.count) { row in
        let day = Timestamp.dayNumber(of: decoded.eventTimes[row])
        return day >= last && day < start + Int64(days)
      }
      if wanted.setCount == 0 { return }
      batches.append(decoded.filtered(wanted))
    }
  }

  /// The events of some days, counted from the first.
  func days(_ chosen: Range<Int>) -> SimulatedHistory {
    let start = Timestamp.dayNumber(of: JobHistory.start)
    var copy = self
    copy.batches = batches.compactMap { batch in
      let rows = Bitmap(count: batch.count) { row in
        chosen.contains(Int(Timestamp.dayNumber(of: batch.eventTimes[row]) - start))
      }
      return rows.setCount == 0 ? nil : batch.filtered(rows)
    }
    return copy
  }

  /// The values of a field of doubles, event by event.
  func numbers(_ field: Int) -> [Double] {
    batches.flatMap { batch in
      guard case .double(let values) = batch.columns[field].values else { preconditionFailure("not of doubles") }
      return values
    }
  }

  /// With the values of a field of doubles multiplied in every event.
  func multiplying(_ field: Int, by factor: Double) -> SimulatedHistory {
    var copy = self
    copy.batches = batches.map { batch in
      var columns = batch.columns
      guard case .double(let values) = columns[field].values else { preconditionFailure("not of doubles") }
      columns[field] = Column(.double(values.map { $0 * factor }), validity: columns[field].validity)
      return EventBatch(
        partition: batch.partition, positions: batch.positions, eventTimes: batch.eventTimes, columns: columns)
    }
    return copy
  }

  func latestTime() -> Int64? { batches.flatMap(\.eventTimes).max() }

  func shards() -> [ArchivedShard] {
    batches.enumerated().map { number, batch in
      ArchivedShard(
        partition: batch.partition, day: Timestamp.day(of: batch.eventTimes[0]), number: number, rows: batch.count,
        firstTime: batch.eventTimes.min() ?? 0, lastTime: batch.eventTimes.max() ?? 0, path: "history/\(number).arrow")
    }
  }

  func read(_ shard: ArchivedShard, schema: Schema, _ body: (EventBatch) throws -> Void) throws {
    try body(batches[shard.number])
  }
}

extension HistoryArchive {
  /// Trains detectors on all of it.
  /// - Returns: outcomes, and the models of those that passed or were refused, by detector.
  func train(_ plan: Plan, seed: UInt64 = 1) throws -> (outcomes: [TrainingOutcome], models: [String: FittedModel]) {
    let folder = TrainingFolder()
    defer { withExtendedLifetime(folder) {} }
    let registry = ModelRegistry(folder: folder.path, useCase: plan.useCase.name)
    var options = ModelTrainer.Options()
    options.promotes = false
    options.seed = seed
    let outcomes = try ModelTrainer(
      plan: plan, configuration: ConfigurationVersion(identifier: "c1", text: ""), archive: self, registry: registry,
      options: options
    ).train()
    var models: [String: FittedModel] = [:]
    for outcome in outcomes {
      if let version = outcome.version { models[outcome.detector] = try registry.load(version, of: outcome.detector) }
    }
    return (outcomes, models)
  }

  /// What a model finds in all of it.
  func scored(_ model: FittedModel, _ plan: Plan) throws -> (rows: Int, findings: [Finding], drift: [DriftCounts]) {
    let detectorPlan = try #require(plan.detectors.first { $0.name == model.detector })
    let detector = try LearnedDetector(detectorPlan, model: model)
    var (rows, findings, days): (Int, [Finding], [Int64: DriftCounts]) = (0, [], [:])
    for shard in try shards() {
      try read(shard, schema: plan.schema) { batch in
        var batch = batch
        var failures = 0
        plan.extend(&batch, failures: &failures)
        rows += detectorPlan.scoredRows(of: batch, failures: &failures).setCount
        let output = detector.run(on: batch)
        findings += output.findings
        for counts in output.drift {
          if days[counts.day] == nil { days[counts.day] = counts } else { days[counts.day]?.add(counts) }
        }
      }
    }
    return (rows, findings, days.values.sorted { $0.day < $1.day })
  }
}
