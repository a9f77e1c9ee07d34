// What runs: a use case whose expressions are compiled. A plan is a value without state; one plan serves every worker.
//
// Columns of a batch behind `derive`: the schema's fields, the features that something reads, and, where the use case
// classifies, the class as an index and, where an expression reads it, as text. Which columns there are depends on the
// use case alone.

/// Everything that is wrong with what a use case means, by location.
public struct PlanErrors: Error, Sendable, Hashable {
  public let diagnostics: [Diagnostic]

  /// - Precondition: there is at least one.
  public init(_ diagnostics: [Diagnostic]) {
    precondition(!diagnostics.isEmpty, "an error needs at least one diagnostic")
    self.diagnostics = diagnostics.enumerated()
      .sorted { ($0.element.location, $0.offset) < ($1.element.location, $1.offset) }.map(\.element)
  }
}

/// A batch behind the stateless stages.
public struct StagedBatch: Sendable {
  /// The events that met every check, with the derived columns.
  public var events: EventBatch
  /// What was too large, did not decode or failed a check, by position.
  public var deadLetters: [DeadLetter]
  /// Findings of the stateless rules about `events`, then of the learned detectors: each in the order of the use case,
  /// then by row.
  public var findings: [Finding]
  /// What the events looked like to the models, by detector and day.
  public var drift: [DriftCounts] = []
  /// What the events add to the metrics of the use case's own, in the order of the plan.
  public var metrics: [MetricCounts] = []
  /// Fields of the schema, by their index, of which no record of the batch had a value.
  public var absentFields: Set<Int> = []
  /// Operations on an event that gave NULL because of an overflow or a failed cast.
  public var failures: Int
  /// Why the batch has no result: the run ends with it.
  public var trouble: LimitError?

  public init(events: EventBatch, deadLetters: [DeadLetter], findings: [Finding], failures: Int) {
    self.events = events
    self.deadLetters = deadLetters
    self.findings = findings
    self.failures = failures
  }
}

extension StagedBatch {
  /// Gives the dead letters what the log keeps beside their records. One of a record that was not handed over has it already.
  fileprivate mutating func attach(_ envelopes: RecordEnvelopes, of positions: RecordPositions) {
    var record = 0
    for index in deadLetters.indices where deadLetters[index].envelope == nil {
      let position = deadLetters[index].position
      while record < positions.count, positions[record] < position { record += 1 }
      guard record < positions.count, positions[record] == position else { continue }
      deadLetters[index].envelope = envelopes[record]
    }
  }
}

/// A use case that is ready to run.
public struct Plan: Sendable {
  /// A check on every event.
  struct Check: Sendable {
    let name: String
    let text: String
    let condition: Expression
  }

  /// The class of each event.
  struct Classification: Sendable {
    let conditions: [Expression]
    /// Names of the classes as a dictionary, where an expression reads the class.
    let dictionary: StringColumn?
  }

  public private(set) var useCase: UseCase
  public let schema: Schema
  /// The columns of derived batches, by index. The column of class indices has no name that an expression can hold.
  public let scope: Scope
  /// Index of the column of class indices (Int64, positions in `ClassificationDefinition.classes`); nil where the use
  /// case does not classify.
  public let classColumn: Int?
  /// The windows, in the order of the use case.
  public let windows: [CompiledWindow]
  /// Columns behind the fields that are computed, in their order: the features that something reads.
  public let features: [CompiledFeature]
  /// The rules, in the order of the use case.
  public let rules: [CompiledRule]
  /// The learned detectors, in the order of the use case. They score with the models of a `ModelSet`.
  public let detectors: [DetectorPlan]
  /// The metrics of its own, in the order of the use case.
  public let metrics: [CompiledMetric]

  let checks: [Check]
  let classification: Classification?
  private let renderer: EventRenderer

  /// Compiles a use case.
  /// - Throws: everything that is wrong with it.
  public init(_ useCase: UseCase) throws(PlanErrors) {
    // The first pass compiles everything against every feature and tells which ones are read; the second one leaves the
    // others out, so that they cost nothing.
    var survey = PlanCompiler(useCase, features: useCase.features)
    survey.compile()
    guard survey.diagnostics.isEmpty else { throw PlanErrors(survey.diagnostics) }
    var compiler = PlanCompiler(useCase, features: survey.readFeatures())
    compiler.compile()
    guard compiler.diagnostics.isEmpty else { throw PlanErrors(compiler.diagnostics) }

    self.useCase = useCase
    schema = useCase.event.schema
    scope = compiler.scope
    classColumn = compiler.classColumn
    windows = compiler.windows
    features = compiler.features
    rules = compiler.rules
    detectors = compiler.detectors
    metrics = compiler.metrics
    checks = compiler.checks
    classification = useCase.classification.map { definition in
      Classification(
        conditions: compiler.conditions, dictionary: survey.readsClass ? StringColumn(definition.classes) : nil)
    }
    renderer = EventRenderer(schema: useCase.event.schema)
  }

  /// Everything that is wrong with what a use case means, where its form is not right either.
  /// - Parameter unclear: names of fields, features and the class that it declares in a way that could not be read.
  ///   Nothing is said about how they are used.
  public static func problems(of useCase: UseCase, unclear: Set<String>) -> [Diagnostic] {
    var survey = PlanCompiler(useCase, features: useCase.features, unclear: unclear)
    survey.compile()
    return survey.diagnostics
  }

  /// The same plan, which keeps history for `length` microseconds (whole days) in place of what the use case says. What
  /// is found in the events does not depend on it.
  public func keepingHistory(for length: Int64) -> Plan {
    var plan = self
    plan.useCase.historyRetention = length
    return plan
  }

  /// Detectors for one partition, with no events yet, in the order of the use case.
  public func makeStatefulDetectors() throws -> [any StatefulDetector] {
    rules.compactMap { rule in
      if case .stateful(let plan) = rule { return plan.makeDetector() }
      return nil
    }
  }

  // MARK: Stateless stages

  /// Checks, features, classes, stateless rules and learned detectors over a decoded batch.
  /// - Parameters:
  ///   - raw: the records that `decoded` was made of: a dead letter keeps its record's bytes.
  ///   - models: made for this plan. A learned detector without a model is silent.
  public func derive(_ decoded: DecodedBatch, from raw: RawBatch, models: ModelSet = .none) -> StagedBatch {
    var staged = StagedBatch(events: decoded.events, deadLetters: decoded.deadLetters, findings: [], failures: 0)
    staged.absentFields = decoded.absentFields
    applyChecks(to: &staged, raw)
    if let envelopes = raw.envelopes { staged.attach(envelopes, of: raw.positions) }
    extend(&staged.events, failures: &staged.failures)
    var counts = DetectorCounts()
    for case .stateless(let rule) in rules {
      rule.detect(in: staged.events, into: &staged.findings, counts: &counts)
    }
    staged.failures += counts.failures
    for detector in models.detectors {
      let output = detector.run(on: staged.events)
      staged.findings += output.findings
      staged.drift += output.drift
      staged.failures += output.failures
      staged.trouble = staged.trouble ?? output.trouble
    }
    staged.metrics = metrics.map { $0.count(staged.events) }
    return staged
  }

  /// Adds the derived columns, features and classes, to decoded events.
  /// - Parameter failures: raised by operations that gave NULL because of an overflow or a failed cast.
  public func extend(_ events: inout EventBatch, failures: inout Int) {
    for feature in features {
      events.append(feature.expression.evaluate(events.columns, count: events.count, failures: &failures))
    }
    if let classification { appendClasses(classification, to: &events, failures: &failures) }
  }

  /// Moves the events that fail a check to the dead letters; the first check that fails is the reason.
  private func applyChecks(to staged: inout StagedBatch, _ raw: RawBatch) {
    guard !checks.isEmpty, staged.events.count > 0 else { return }
    let events = staged.events
    var keep = Bitmap(repeating: true, count: events.count)
    var failed: [(row: Int, check: Check)] = []
    for check in checks {
      let met = check.condition.matches(
        events.columns, count: events.count, selection: keep, failures: &staged.failures)
      keep.subtracting(met).forEachSet { failed.append(($0, check)) }
      keep = keep & met
    }
    guard !failed.isEmpty else { return }
    var record = 0
    for (row, check) in failed.sorted(by: { $0.row < $1.row }) {
      let position = events.positions[row]
      while record < raw.count, raw.positions[record] < position { record += 1 }
      staged.deadLetters.append(
        DeadLetter(
          position: position, stage: .validate, reason: .failedCheck,
          message: "the event does not meet the check `\(check.name)`: \(check.text)",
          raw: bytes(of: record, in: raw) ?? Array(renderer.json(of: events, row: row).utf8)))
    }
    staged.deadLetters.sort { $0.position < $1.position }
    staged.events = events.filtered(keep)
  }

  /// The bytes of a record; nil where it never was text.
  private func bytes(of record: Int, in raw: RawBatch) -> [UInt8]? {
    switch raw.payload {
    case .json(let records), .csv(let records, header: _, delimiter: _):
      guard record < records.count else { return nil }
      return Array(records.bytes[Int(records.starts[record])..<Int(records.ends[record])])
    case .columns: return nil
    }
  }

  /// The first case that an event meets is its class; a case is evaluated only for the events that met none before.
  private func appendClasses(_ classification: Classification, to events: inout EventBatch, failures: inout Int) {
    let count = events.count
    var classes = [Int64](repeating: Int64(classification.conditions.count), count: count)
    var open = Bitmap(repeating: true, count: count)
    for (index, condition) in classification.conditions.enumerated() where !open.isEmpty {
      let met = condition.matches(events.columns, count: count, selection: open, failures: &failures)
      met.forEachSet { classes[$0] = Int64(index) }
      open = open.subtracting(met)
    }
    events.append(Column(.int(classes)))
    if let names = classification.dictionary {
      let codes = classes.map { UInt32(truncatingIfNeeded: $0) }
      events.append(Column(.string(StringColumn(offsets: names.offsets, bytes: names.bytes, codes: codes))))
    }
  }
}
