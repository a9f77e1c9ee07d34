// From what `pipeline.yaml` says about a learned detector to its plan, or to everything that is wrong with it.

/// What detectors may refer to.
struct DetectorScope {
  let scope: Scope
  let event: EventDefinition
  /// Computed features behind the fields, by the order of their columns.
  let features: [CompiledFeature]
  let encoders: [EncoderDefinition]
  /// Columns of fields and features; the class lies behind them.
  let columnCount: Int
  let classification: ClassificationDefinition?
  /// The cases of the classification.
  let conditions: [Expression]

  /// The column of a field or computed feature.
  func column(of name: String) -> Int? { scope.index(of: name).flatMap { $0 < columnCount ? $0 : nil } }

  /// The names of columns and fitted features.
  var names: [String] { scope.columns.prefix(columnCount).map(\.name) + encoders.map(\.name) }

  /// The fields that a column is computed from, ascending.
  func fields(of column: Int) -> [Int] {
    var fields: Set<Int> = []
    var open = [column]
    while let next = open.popLast() {
      if next < event.schema.fields.count {
        fields.insert(next)
      } else {
        open += features[next - event.schema.fields.count].expression.columns
      }
    }
    return fields.sorted()
  }

  /// The computed features that a column is made of, itself included, by index.
  func computed(in column: Int) -> Set<Int> {
    var found: Set<Int> = []
    var open = [column]
    while let next = open.popLast() {
      guard next >= event.schema.fields.count else { continue }
      let index = next - event.schema.fields.count
      if found.insert(index).inserted {
        open += features[index].expression.columns.filter { $0 >= event.schema.fields.count }
      }
    }
    return found
  }
}

/// The state of one compilation.
struct DetectorCompiler {
  private let definition: DetectorDefinition
  private let place: DetectorScope
  private(set) var diagnostics: [Diagnostic] = []

  init(_ definition: DetectorDefinition, in place: DetectorScope) {
    self.definition = definition
    self.place = place
  }

  /// The plan; nil when anything is wrong.
  mutating func compile() -> DetectorPlan? {
    let when = definition.when.flatMap { condition($0) }
    let trainWhen = definition.trainWhen.flatMap { condition($0) }
    var inputs: [FeaturePlan.Input] = []
    for text in definition.features {
      guard let input = input(text) else { continue }
      if inputs.contains(where: { $0.name == input.name }) {
        report("`\(text.text)` is in `features` more than once", at: text.location)
      } else {
        inputs.append(input)
      }
    }
    var target: Int?
    if let predicted = definition.parameters.predicted {
      target = self.target(predicted, inputs)
      for (text, input) in pairs(inputs) { checkKnown(input, at: text.location) }
    }
    if case .perEntityAndDay? = definition.budget?.amount, place.event.schema.keyField == nil {
      report(
        "the budget of `\(definition.name)` is per entity, and events have no `key`", at: definition.location,
        expected: "`key` in `event`, or {rate: 0.001}")
    }
    guard diagnostics.isEmpty else { return nil }
    let schema = place.event.schema
    return DetectorPlan(
      definition: definition, features: FeaturePlan(inputs), when: when, trainWhen: trainWhen, target: target,
      entity: schema.keyField,
      fingerprint: fingerprint(FeaturePlan(inputs).inputs, target: target, when: when),
      fieldNames: schema.fields.map(\.name), timeField: schema.timeField)
  }

  private func pairs(_ inputs: [FeaturePlan.Input]) -> [(LocatedText, FeaturePlan.Input)] {
    inputs.compactMap { input in definition.features.first { $0.text == input.name }.map { ($0, input) } }
  }

  // MARK: Inputs

  private mutating func input(_ text: LocatedText) -> FeaturePlan.Input? {
    if let encoder = place.encoders.first(where: { $0.name == text.text }) {
      if !definition.isTrained {
        report(
          "`\(text.text)` is fitted by training, and a model of your own is not trained here", at: text.location,
          expected: "fields and computed features")
        return nil
      }
      // An encoder that is wrong is reported at its own place.
      guard let column = place.column(of: encoder.of.text),
        encoder.kind.accepts(place.scope.columns[column].type)
      else { return nil }
      return FeaturePlan.Input(
        name: encoder.name, column: column, type: place.scope.columns[column].type, encoder: encoder.kind,
        fields: place.fields(of: column))
    }
    guard let column = place.column(of: text.text) else {
      report(
        "unknown name `\(text.text)` in `features`", at: text.location, expected: "a field or feature",
        found: "`\(text.text)`", suggestion: nearest(to: text.text, among: place.names))
      return nil
    }
    let type = place.scope.columns[column].type
    switch type {
    case .int, .double, .bool:
      return FeaturePlan.Input(name: text.text, column: column, type: type, fields: place.fields(of: column))
    case .string:
      report(
        "`\(text.text)` is a string", at: text.location, expected: "a number, a boolean or a fitted feature",
        found: "a string", suggestion: "\(identifier(text.text))_code: {encoder: ordinal, of: \(text.text)}")
    case .timestamp:
      report(
        "`\(text.text)` is a time", at: text.location, expected: "a number, a boolean or a fitted feature",
        found: "a timestamp", suggestion: "a feature such as hour(\(text.text))")
    }
    return nil
  }

  private func identifier(_ name: String) -> String { String(name.lowercased().map { $0 == "." ? "_" : $0 }) }

  /// What is predicted before an event must not look at what it brings.
  private mutating func checkKnown(_ input: FeaturePlan.Input, at location: SourceLocation) {
    let schema = place.event.schema
    for index in input.fields where schema.fields[index].knownAt != .beforeExecution {
      let field = schema.fields[index].name
      report(
        field == input.name
          ? "`\(field)` is not known before the event runs"
          : "`\(input.name)` depends on the field `\(field)`, which is not known before the event runs",
        at: location, expected: "fields with `known_at: before_execution`",
        found: "`\(field)` without `known_at`")
    }
  }

  private mutating func target(_ text: LocatedText, _ inputs: [FeaturePlan.Input]) -> Int? {
    guard let column = place.column(of: text.text) else {
      let isFitted = place.encoders.contains { $0.name == text.text }
      report(
        isFitted ? "the target `\(text.text)` is fitted by training" : "unknown name `\(text.text)` in `target`",
        at: text.location, expected: "a field or computed feature that is a number", found: "`\(text.text)`",
        suggestion: isFitted ? nil : nearest(to: text.text, among: place.names))
      return nil
    }
    let type = place.scope.columns[column].type
    guard type == .int || type == .double else {
      report(
        "the target `\(text.text)` is not a number", at: text.location, expected: "a field or feature that is a number",
        found: "type \(type.rawValue)")
      return nil
    }
    for (name, input) in pairs(inputs) where input.column == column {
      report(
        input.name == text.text
          ? "the target `\(text.text)` is one of its own features" : "`\(input.name)` is made of the target",
        at: name.location, expected: "features that are known without it")
    }
    return column
  }

  // MARK: Expressions

  private mutating func condition(_ text: LocatedText) -> Expression? {
    do throws(ExpressionError) {
      return try Expression(text.text, scope: place.scope, expected: .bool)
    } catch {
      diagnostics.append(Diagnostic(error, in: text))
      return nil
    }
  }

  private mutating func report(
    _ message: String, at location: SourceLocation, expected: String? = nil, found: String? = nil,
    suggestion: String? = nil
  ) {
    diagnostics.append(
      Diagnostic(location: location, message: message, expected: expected, found: found, suggestion: suggestion))
  }

  // MARK: The whole

  private func fingerprint(_ inputs: [FeaturePlan.Input], target: Int?, when: Expression?) -> String {
    let schema = place.event.schema
    var lines = ["plan 1", "detector \(definition.type)"]
    lines.append("when \(when?.text ?? "true")")
    var columns = inputs.map(\.column) + (when.map { Array($0.columns) } ?? [])
    if let target { columns.append(target) }
    let entity = schema.keyField.map { schema.fields[$0].name } ?? "none"
    lines += definition.parameters.fingerprint(entity: entity, hasBudget: definition.effectiveBudget != nil)
    if definition.parameters.isByEntity, let key = schema.keyField { columns.append(key) }
    if let budget = definition.effectiveBudget { lines.append("budget \(jsonObject(budget.members))") }
    for input in inputs {
      let source = place.scope.columns[input.column].name
      let from = input.encoder.map { ": \(jsonObject($0.members)) of \(source)" } ?? ""
      lines.append("input \(input.name) \(input.type.rawValue)\(from)")
    }
    if columns.contains(where: { $0 >= place.columnCount }), let classes = place.classification {
      lines.append("classes \(classes.cases.map(textEntry).joined(separator: ", "))")
      columns += place.conditions.flatMap(\.columns)
    }
    columns.removeAll { $0 >= place.columnCount }
    let computed = columns.reduce(into: Set<Int>()) { $0.formUnion(place.computed(in: $1)) }
    for feature in computed.map({ place.features[$0] }).sorted(by: { $0.name < $1.name }) {
      lines.append("feature \(feature.name) \(feature.expression.type.rawValue): \(feature.expression.text)")
    }
    let fields = columns.reduce(into: Set<Int>()) { $0.formUnion(place.fields(of: $1)) }
    for field in fields.map({ schema.fields[$0] }).sorted(by: { $0.name < $1.name }) {
      lines.append("field \(field.name): \(jsonObject(field.valueMembers))")
    }
    // Texts of expressions may stand in several lines; a thing is one line here.
    return lines.map { $0.split(whereSeparator: \.isNewline).joined(separator: " ") }.joined(separator: "\n")
  }
}
