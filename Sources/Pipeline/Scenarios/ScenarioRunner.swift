// Runs scenarios through the real stages (decode, derive, rules, windows) without a store, and says where the outcome
// differs from what the scenario states.

public import Detection

/// The outcome of one scenario.
public struct ScenarioOutcome: Sendable {
  public let scenario: Scenario
  /// What differs, one sentence each; empty when the scenario holds.
  public let differences: [String]
}

/// Runs scenarios of one use case.
public struct ScenarioRunner: Sendable {
  private let plan: Plan
  private let batchRows: Int

  /// - Parameter batchRows: events in a batch; the outcome does not depend on it.
  public init(plan: Plan, batchRows: Int = Limits.defaultBatchRows) {
    self.plan = plan
    self.batchRows = batchRows
  }

  /// - Throws: `OperatingError` when the use case cannot run at all.
  public func run(_ scenario: Scenario) throws -> ScenarioOutcome {
    let observed = try observe(scenario.records)
    var differences: [String] = []
    let expected = scenario.expectations
    if let classes = expected.classes, classes != observed.classes {
      differences += Self.difference("class", of: "event", expected: classes, found: observed.classes)
    }
    if let anomalies = expected.anomalies {
      differences += Self.matches("anomaly", expected: anomalies, found: observed.anomalies, exhaustive: true)
    }
    if let letters = expected.deadLetters {
      differences += Self.matches("dead letter", expected: letters, found: observed.deadLetters, exhaustive: true)
    }
    if let windows = expected.windows {
      differences += Self.matches("window", expected: windows, found: observed.windows, exhaustive: false)
    }
    return ScenarioOutcome(scenario: scenario, differences: differences)
  }

  private typealias Members = [String: Scenario.Expected]

  private struct Observed {
    var classes: [String] = []
    var anomalies: [Members] = []
    var windows: [Members] = []
    var deadLetters: [Members] = []
  }

  private func observe(_ records: [[UInt8]]) throws -> Observed {
    let partition = PartitionID(source: "scenario", number: 0)
    let decoder = Decoder(schema: plan.schema)
    var processor = try PartitionProcessor(plan: plan, partition: partition)
    var observed = Observed()
    var windows: [WindowIdentity: Members] = [:]
    for start in stride(from: 0, to: records.count, by: batchRows) {
      let rows = (start..<min(start + batchRows, records.count)).map(Int64.init)
      let raw = RawBatch(
        partition: partition, positions: RecordPositions(segment: 0, offsets: rows, rows: rows),
        payload: .json(RecordBytes(rows.map { records[Int($0)] })),
        next: Position(segment: 0, offset: rows.last! + 1, row: rows.last! + 1))
      let staged = plan.derive(decoder.decode(raw), from: raw)
      if let classification = plan.useCase.classification, let column = plan.classColumn,
        case .int(let classes) = staged.events.columns[column].values
      {
        observed.classes += classes.map { classification.classes[Int($0)] }
      }
      let results = try processor.process(StagedWork(staged: staged, records: rows.count, next: raw.next), now: .now)
      observed.anomalies += results.anomalies.map(Self.members)
      observed.deadLetters += results.deadLetters.map { Self.members($0.letter) }
      collect(processor.takeCheckpoint(sourceState: []).windows, into: &windows)
    }
    // A scenario is complete: nothing waits for events to come.
    observed.anomalies += try processor.close().anomalies.map(Self.members)
    collect(processor.takeCheckpoint(sourceState: []).windows, into: &windows)
    collect(processor.openWindows, into: &windows)
    observed.windows = windows.sorted { $0.key < $1.key }.map(\.value)
    return observed
  }

  private func collect(_ rows: Checkpoint.WindowRows, into windows: inout [WindowIdentity: Members]) {
    for row in rows {
      windows[WindowIdentity(window: row.part.window, start: row.part.start, by: row.part.by)] = members(row)
    }
  }

  private struct WindowIdentity: Hashable, Comparable {
    var window: String
    var start: Int64
    var by: [Scalar]
    static func < (a: Self, b: Self) -> Bool {
      (a.window, a.start, "\(a.by)") < (b.window, b.start, "\(b.by)")
    }
  }

  private static func members(_ anomaly: Anomaly) -> Members {
    [
      "detector": .scalar(.string(anomaly.detector)), "event": .scalar(.int(anomaly.position.row)),
      "severity": .scalar(.string(anomaly.severity.rawValue)), "reason": .scalar(.string(anomaly.reason)),
      "score": .scalar(.double(anomaly.score)), "key": .scalar(.string(anomaly.key)),
    ]
  }

  private static func members(_ letter: DeadLetter) -> Members {
    [
      "event": .scalar(.int(letter.position.row)), "stage": .scalar(.string(letter.stage.rawValue)),
      "reason": .scalar(.string(letter.reason.rawValue)), "field": .scalar(letter.field.map(Scalar.string) ?? .null),
      "message": .scalar(.string(letter.message)),
    ]
  }

  private static func expected(_ value: AggregateValue) -> Scenario.Expected {
    switch value {
    case .scalar(let scalar): .scalar(scalar)
    case .rows(let names, let rows):
      .list(rows.map { row in .map(Dictionary(uniqueKeysWithValues: zip(names, row.map { .scalar($0) }))) })
    }
  }

  private func members(_ row: Checkpoint.WindowRow) -> Members {
    var members: Members = [
      "window": .scalar(.string(row.part.window)), "start": .scalar(.timestamp(row.part.start)),
      "end": .scalar(.timestamp(row.part.end)), "closed": .scalar(.bool(row.part.closed)),
      "events": .scalar(.int(row.part.events)),
      "aggregates": .map(
        Dictionary(uniqueKeysWithValues: row.result.aggregates.map { ($0.name, Self.expected($0.value)) })),
    ]
    for (name, value) in zip(row.byNames, row.part.by) { members[name] = .scalar(value) }
    if let name = plan.useCase.classification?.into {
      members[name] = .map(
        Dictionary(uniqueKeysWithValues: row.result.classCounts.map { ($0.name, .scalar(.int($0.count))) }))
    }
    return members
  }
}

// MARK: - Comparing

extension ScenarioRunner {
  private static func difference(
    _ what: String, of item: String, expected: [String], found: [String]
  ) -> [String] {
    var differences: [String] = []
    if expected.count != found.count {
      differences.append("expected \(expected.count) \(what) entries, found \(found.count)")
    }
    for (index, (a, b)) in zip(expected, found).enumerated() where a != b {
      differences.append("\(what) of accepted \(item) \(index): expected \(a), found \(b)")
    }
    return differences
  }

  /// Every expected entry must match one found entry in all the members it names; with `exhaustive` nothing else may
  /// have been found.
  private static func matches(
    _ what: String, expected: [Members], found: [Members], exhaustive: Bool
  ) -> [String] {
    var rest = found
    var differences: [String] = []
    for entry in expected {
      if let index = rest.firstIndex(where: { agrees(.map(entry), .map($0)) }) {
        rest.remove(at: index)
      } else {
        differences.append("expected \(what) \(Scenario.Expected.map(entry)), not found")
      }
    }
    if exhaustive || !differences.isEmpty {
      differences += rest.map { "found \(what) \(Scenario.Expected.map($0))" + (exhaustive ? ", not expected" : "") }
    }
    return differences
  }

  private static func agrees(_ expected: Scenario.Expected, _ found: Scenario.Expected) -> Bool {
    switch (expected, found) {
    case (.map(let expected), .map(let found)):
      expected.allSatisfy { key, value in found[key].map { agrees(value, $0) } ?? false }
    case (.scalar(let expected), .scalar(let found)): agrees(expected, found)
    case (.list(let expected), .list(let found)):
      expected.count == found.count && zip(expected, found).allSatisfy { agrees($0, $1) }
    default: false
    }
  }

  /// Numbers agree to a relative 1e-9 (sketches give many digits), a time with its text.
  private static func agrees(_ expected: Scalar, _ found: Scalar) -> Bool {
    switch (expected, found) {
    case (.int(let a), .double(let b)): agrees(.double(Double(a)), .double(b))
    case (.double(let a), .int(let b)): agrees(.double(a), .double(Double(b)))
    case (.double(let a), .double(let b)): a == b || abs(a - b) <= 1e-9 * max(abs(a), abs(b))
    case (.string(let text), .timestamp(let time)):
      Timestamp.parse(text) == time
    default: expected == found
    }
  }
}
