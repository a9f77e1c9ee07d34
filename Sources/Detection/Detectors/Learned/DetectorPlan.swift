// A learned detector as the use case states it, compiled: which events it scores and learns from, what it sees of them,
// and everything that a fitted model depends on. What is fitted is a `FittedModel`; the two make a `LearnedDetector`.

/// A compiled entry of `detectors:`.
public struct DetectorPlan: Sendable {
  public let definition: DetectorDefinition
  /// What the model sees.
  public let features: FeaturePlan
  /// Events it scores; nil for all.
  public let when: Expression?
  /// Of those, the events it learns from; nil for all.
  public let trainWhen: Expression?
  /// Column of what is predicted, a number; nil for a detector that predicts nothing.
  public let target: Int?
  /// Column of the entity, which the event's key is; nil where events have none.
  public let entity: Int?
  /// Everything that fitted values and scores depend on, one thing a line: definitions of inputs, encoders, the features
  /// and fields they are made of, the events scored, and the parameters that are fitted along. A model keeps the text of
  /// the plan it was fitted for and fits no other.
  public let fingerprint: String
  /// Fields of the schema by index, for explanations.
  let fieldNames: [String]
  /// Index of the event-time field.
  let timeField: Int

  public var name: String { definition.name }

  /// The events that are scored, ascending.
  /// - Parameter failures: raised by the events whose condition overflowed or whose cast failed.
  public func scoredRows(of batch: EventBatch, failures: inout Int) -> Bitmap {
    guard let when else { return Bitmap(repeating: true, count: batch.count) }
    return when.matches(batch.columns, count: batch.count, failures: &failures)
  }

  /// The events that are learned from; one that predicts, from those with a finite target of at least 0.
  public func trainingRows(of batch: EventBatch, failures: inout Int) -> Bitmap {
    var rows = scoredRows(of: batch, failures: &failures)
    if let trainWhen {
      rows = trainWhen.matches(batch.columns, count: batch.count, selection: rows, failures: &failures)
    }
    guard let target else { return rows }
    let column = batch.columns[target]
    return rows
      & Bitmap(count: batch.count) { row in
        let value = column.number(row)
        return value.isFinite && value >= 0
      }
  }

  /// The targets of some rows, NaN for null.
  /// - Precondition: a detector that predicts.
  public func targets(of batch: EventBatch, rows: [Int]) -> [Double] {
    guard let target else { preconditionFailure("\(name) has no target") }
    let column = batch.columns[target]
    return rows.map { column.number($0) }
  }

  /// The entities of some rows as hashes, nil for an event without one.
  public func entities(of batch: EventBatch, rows: [Int]) -> [UInt64?] {
    var entities = [UInt64?](repeating: nil, count: rows.count)
    if let entity { CategoryHash.forEach(batch.columns[entity], rows: rows) { entities[$0] = $1 } }
    return entities
  }

  /// Whether an input depends on nothing but the event's time: the hour, the day of the week.
  public func isCalendar(_ input: FeaturePlan.Input) -> Bool { input.fields == [timeField] }

  /// The fields that an input's values depend on, as names.
  func sources(of input: FeaturePlan.Input) -> [String] { input.fields.map { fieldNames[$0] } }
}

/// Where two texts of plans part.
public enum PlanDifference {
  /// The first line that differs, as a sentence without a full stop; nil when the texts are equal.
  public static func between(model: String, useCase: String) -> String? {
    if model == useCase { return nil }
    func lines(_ text: String) -> [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }
    let (stored, current) = (lines(model), lines(useCase))
    let line = zip(stored, current).prefix { $0 == $1 }.count
    func quoted(_ lines: [Substring]) -> String {
      line < lines.count ? "`\(RuleText.shortened(String(lines[line])))`" : "no such line"
    }
    return "line \(line + 1) of the plan: the model has \(quoted(stored)), the use case \(quoted(current))"
  }
}
