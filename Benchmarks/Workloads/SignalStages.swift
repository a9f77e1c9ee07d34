// Rules with state one at a time, over simulated events of the use case `user-signals`: what each kind costs beside the others.

import Configuration
import Connectors
import Detection
import Foundation

/// Events of `user-signals`, derived, and the findings of every rule with state.
public struct SignalInput: Sendable {
  private let plan: Plan
  private let staged: [StagedBatch]
  private let marks: [EventTimeMarks]
  /// Findings by rule, taken from batches of another size.
  private let expected: [String: [Finding]]
  /// The labels of the events.
  public let labels: [String: Int]
  /// Events that were accepted.
  public let count: Int

  /// - Parameters:
  ///   - root: the folder that holds `UseCases/`.
  ///   - records: how many to make.
  /// - Throws: `WrongOutput` when the use case is not right.
  public init(root: String, records: Int = 400_000, seed: UInt64 = 42) throws {
    let folder = root + "/UseCases/user-signals"
    let check = UseCaseChecker.check(path: folder + "/pipeline.yaml")
    guard let plan = check.plan else { throw WrongOutput(check.rendered) }
    let yaml = try String(contentsOfFile: folder + "/simulation.yaml", encoding: .utf8)
    let definition = try SimulationDefinition(yaml: yaml, file: folder + "/simulation.yaml")
    self.plan = plan
    let whole = Self.batches(plan, Simulator(definition, seed: seed), records, size: Limits.defaultBatchRows)
    (staged, marks, labels) = (whole.staged, whole.marks, whole.labels)
    count = staged.reduce(0) { $0 + $1.events.count }
    let other = Self.batches(plan, Simulator(definition, seed: seed), records, size: 997)
    expected = try Self.findings(plan, other.staged, other.marks)
  }

  private static func batches(
    _ plan: Plan, _ simulator: Simulator, _ records: Int, size: Int
  ) -> (staged: [StagedBatch], marks: [EventTimeMarks], labels: [String: Int]) {
    var simulator = simulator
    let decoder = Decoder(schema: plan.schema)
    let watermark = Watermark(plan.useCase.event)
    var (staged, marks): ([StagedBatch], [EventTimeMarks]) = ([], [])
    var labels: [String: Int] = [:]
    var offset: Int64 = 0
    while simulator.row < records {
      let first = simulator.row
      let events = simulator.next(min(size, records - first))
      for label in events.labels { labels[label.kind, default: 0] += 1 }
      let raw = RedsetInput.batch(of: events, offset: offset, row: Int64(first))
      offset += Int64(events.bytes.count)
      staged.append(plan.derive(decoder.decode(raw), from: raw))
      marks.append(watermark.mark(staged[staged.count - 1].events.eventTimes))
    }
    return (staged, marks, labels)
  }

  private static func findings(
    _ plan: Plan, _ staged: [StagedBatch], _ marks: [EventTimeMarks], of rule: String? = nil
  ) throws -> [String: [Finding]] {
    var found: [String: [Finding]] = [:]
    for detector in try plan.makeStatefulDetectors() where rule == nil || detector.name == rule {
      var (findings, first): ([Finding], Int) = ([], 0)
      for (batch, marks) in zip(staged, marks) {
        let before = findings.count
        try detector.detect(in: batch.events, marks: marks, into: &findings)
        for index in before..<findings.count { findings[index].row += first }
        first += batch.events.count
      }
      found[detector.name] = findings
    }
    return found
  }

  /// What each rule with state found.
  public var findings: [String: Int] { expected.mapValues(\.count) }

  /// A stage for each rule with state.
  public var stages: [Stage] {
    expected.keys.sorted().map { rule in
      Stage("rule \(rule)", count: count) { [self] in
        let found = try Self.findings(plan, staged, marks, of: rule)
        return { try expect("findings of \(rule)", found[rule] ?? [], expected[rule] ?? []) }
      }
    }
  }
}
