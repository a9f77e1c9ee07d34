// From a use case's texts to a plan's expressions, with everything that is wrong collected. Expressions see what is
// computed before them: checks the fields; a feature the fields and the features above it; a case of the classification
// the fields and features; rules and windows all of it and the class by name.

/// The state of one compilation.
struct PlanCompiler {
  let useCase: UseCase
  private let featureDefinitions: [FeatureDefinition]
  private(set) var diagnostics: [Diagnostic] = []
  private(set) var checks: [Plan.Check] = []
  private(set) var features: [CompiledFeature] = []
  private(set) var conditions: [Expression] = []
  private(set) var rules: [CompiledRule] = []
  private(set) var windows: [CompiledWindow] = []
  private(set) var detectors: [DetectorPlan] = []
  private(set) var metrics: [CompiledMetric] = []
  private(set) var scope: Scope
  private(set) var classColumn: Int?
  /// Columns that something other than a feature reads.
  private var readColumns: Set<Int> = []

  /// Stands for the column of class indices in the scope: no expression can hold it.
  private static let unnamed = "\u{0}class"

  /// - Parameters:
  ///   - features: those of the use case's features that are to be computed.
  ///   - unclear: further names, of what is declared in a way that could not be read.
  init(_ useCase: UseCase, features: [FeatureDefinition], unclear: Set<String> = []) {
    self.useCase = useCase
    featureDefinitions = features
    let fields = useCase.event.schema.fields.map { (name: $0.name, type: $0.type.valueType) }
    scope = Scope(fields + unclear.sorted().map { ($0, .int) }, unclear: unclear)
  }

  mutating func compile() {
    compileChecks()
    compileFeatures()
    compileClassification()
    compileEncoders()
    for detector in useCase.detectors { compile(detector) }
    for rule in useCase.rules { compile(rule) }
    for window in useCase.windows { compile(window) }
    compileMetrics()
  }

  /// The features that a check, case, rule or window reads, and those that these are made of.
  func readFeatures() -> [FeatureDefinition] {
    let first = useCase.event.schema.fields.count
    var read = readColumns
    for index in features.indices.reversed() where read.contains(first + index) {
      read.formUnion(features[index].expression.columns)
    }
    return featureDefinitions.enumerated().filter { read.contains(first + $0.offset) }.map(\.element)
  }

  /// Whether a rule or window reads the class by its name.
  var readsClass: Bool { classColumn.map { readColumns.contains($0 + 1) } ?? false }

  // MARK: Stateless stages

  private mutating func compileChecks() {
    for check in useCase.event.checks {
      guard let condition = expression(check.expression, expected: .bool) else { continue }
      readColumns.formUnion(condition.columns)
      checks.append(Plan.Check(name: check.name, text: check.expression.text, condition: condition))
    }
  }

  private mutating func compileFeatures() {
    for (index, feature) in featureDefinitions.enumerated() {
      let below = featureDefinitions[index...].map(\.name)
      let compiled = expression(feature.expression, expected: nil) { error in
        guard
          let name = below.first(where: {
            error.found?.contains("`\($0)`") ?? false || error.found == $0 || error.found == TextSpan.quotedName($0)
          })
        else { return }
        error.suggestion = nil
        error.message =
          name == feature.name
          ? "the feature `\(name)` refers to itself" : "the feature `\(name)` is defined below"
        error.expected = "a field or a feature above `\(feature.name)`"
      }
      // A feature that is wrong keeps its name, so that what uses it is not reported as well.
      scope = scope.adding((feature.name, compiled?.type ?? .double), unclear: compiled == nil ? [feature.name] : [])
      if let compiled { features.append(CompiledFeature(name: feature.name, expression: compiled)) }
    }
  }

  private mutating func compileClassification() {
    guard let classification = useCase.classification else { return }
    for definition in classification.cases {
      guard let condition = expression(definition.expression, expected: .bool) else { continue }
      readColumns.formUnion(condition.columns)
      conditions.append(condition)
    }
    classColumn = scope.columns.count
    scope = scope.adding((Self.unnamed, .int), (classification.into, .string))
  }

  // MARK: Learned detectors

  private var detectorScope: DetectorScope {
    DetectorScope(
      scope: scope, event: useCase.event, features: features, encoders: useCase.encoders,
      columnCount: useCase.event.schema.fields.count + featureDefinitions.count,
      classification: useCase.classification, conditions: conditions)
  }

  private mutating func compileEncoders() {
    // Once is enough: the second pass does not know the features that nothing reads.
    guard featureDefinitions.count == useCase.features.count else { return }
    for encoder in useCase.encoders {
      let of = encoder.of
      if useCase.encoders.contains(where: { $0.name == of.text }) {
        report(
          "the encoder `\(encoder.name)` is of a fitted feature", at: of.location,
          expected: "a field or computed feature", found: "`\(of.text)`")
      } else if let column = detectorScope.column(of: of.text) {
        let type = scope.columns[column].type
        guard !encoder.kind.accepts(type), !scope.unclear.contains(of.text) else { continue }
        report(
          "the encoder `\(encoder.kind.name)` is not for `\(of.text)`", at: of.location,
          expected: encoder.kind.isCategorical ? "a string, a whole number or a boolean" : "a number",
          found: "type \(type.rawValue)")
      } else {
        report(
          "unknown name `\(of.text)` in `of`", at: of.location, expected: "a field or computed feature",
          found: "`\(of.text)`", suggestion: nearest(to: of.text, among: names))
      }
    }
  }

  private mutating func compile(_ definition: DetectorDefinition) {
    // Features that did not compile have no columns to look at.
    guard scope.unclear.isEmpty else { return }
    var compiler = DetectorCompiler(definition, in: detectorScope)
    let plan = compiler.compile()
    for diagnostic in compiler.diagnostics { diagnostics.append(explained(diagnostic)) }
    guard let plan else { return }
    readColumns.formUnion(plan.features.inputs.map(\.column))
    for condition in [plan.when, plan.trainWhen].compactMap(\.self) { readColumns.formUnion(condition.columns) }
    if let target = plan.target { readColumns.insert(target) }
    detectors.append(plan)
  }

  /// A diagnostic about a name that is unknown only because it is fitted says so.
  private func explained(_ diagnostic: Diagnostic) -> Diagnostic {
    let isUnknownName = diagnostic.expected == "a known column" || diagnostic.message.hasPrefix("unknown name")
    guard isUnknownName, var name = diagnostic.found else { return diagnostic }
    if name.hasPrefix("`"), name.hasSuffix("`"), name.count > 2 { name = String(name.dropFirst().dropLast()) }
    guard useCase.encoders.contains(where: { $0.name == name }) else { return diagnostic }
    return Diagnostic(
      location: diagnostic.location,
      message: "the feature `\(name)` is fitted by training, which only detectors can read",
      expected: "a field or computed feature", found: diagnostic.found)
  }

  // MARK: Rules and windows

  private mutating func compile(_ definition: RuleDefinition) {
    do throws(Diagnostics) {
      let rule = try CompiledRule(definition, scope: scope, event: useCase.event)
      switch rule {
      case .stateless(let rule): readColumns.formUnion(rule.columns)
      case .stateful(let plan): readColumns.formUnion(plan.columns)
      }
      rules.append(rule)
    } catch {
      let conditions =
        [definition.when, definition.having].compactMap(\.self) + (definition.profile?.expressions ?? [])
      let others = definition.per + [definition.reason].compactMap(\.self)
      diagnostics += error.all.filter { !isConsequence($0, in: conditions, others) }.map(explained)
    }
  }

  private mutating func compile(_ definition: WindowDefinition) {
    let before = diagnostics.count
    checkForm(definition)
    var by: [WindowGrouping] = []
    for text in definition.by {
      if WindowDefinition.ownMembers.contains(text.text) {
        report(
          "`by` of the window `\(definition.name)` names `\(text.text)`, which every window has itself",
          at: text.location,
          expected: "another name, such as that of a feature: `event_\(text.text): \(Self.plain(text.text))`")
        continue
      }
      guard scope.index(of: text.text) != nil else {
        let near = nearest(to: text.text, among: names)
        let unknown = Diagnostic(
          location: text.location, message: "unknown name `\(text.text)` in `by`",
          expected: "a field, a feature or the class", found: "`\(text.text)`", suggestion: near)
        diagnostics.append(explained(unknown))
        continue
      }
      if let key = expression(LocatedText(Self.identifier(text.text), at: text.location), expected: nil) {
        by.append(WindowGrouping(name: text.text, expression: key))
      }
    }
    var aggregates: [WindowAggregate] = []
    for aggregate in definition.aggregates {
      if let call = aggregateCall(aggregate) { aggregates.append(WindowAggregate(name: aggregate.name, call: call)) }
    }
    guard diagnostics.count == before else { return }
    for value in by { readColumns.formUnion(value.expression.columns) }
    for aggregate in aggregates { readColumns.formUnion(aggregate.call.argument?.columns ?? []) }
    windows.append(
      CompiledWindow(
        definition: definition, by: by, aggregates: aggregates, classColumn: classColumn,
        classes: useCase.classification?.classes ?? [], classificationName: useCase.classification?.into))
  }

  /// Lengths that go together.
  private mutating func checkForm(_ window: WindowDefinition) {
    let place = window.location
    if window.size % window.every != 0 {
      report(
        "`size` of the window `\(window.name)` is not a multiple of `every`", at: place,
        expected: "windows that start at equal distances and leave no gap")
    } else if window.size / window.every > Int64(Limits.maxWindowOverlap) {
      report(
        "too many windows of `\(window.name)` overlap", at: place,
        expected: "`size` at most \(Limits.maxWindowOverlap) times `every`",
        found: "\(window.size / window.every) times")
    }
    if let retain = window.retain, retain < window.size + window.allowedLateness {
      report(
        "`retain` of the window `\(window.name)` is shorter than `size` and `allowed_lateness` together", at: place,
        expected: "windows that are kept while they still take events")
    }
  }

  private mutating func aggregateCall(_ aggregate: NamedExpression) -> AggregateCall? {
    let text = aggregate.expression
    do throws(ExpressionError) {
      let parsed = try AggregateExpression(text.text, scope: scope, allowed: Set(AggregateFunction.allCases))
      if let call = parsed.singleCall { return call }
      report(
        "the aggregate `\(aggregate.name)` is not a single call", at: text.location,
        expected: "one aggregate function, such as sum(x); compute with aggregates where they are read")
    } catch {
      add(Diagnostic(error, in: text), in: text)
    }
    return nil
  }

  // MARK: Metrics

  private mutating func compileMetrics() {
    guard let section = useCase.metrics else { return }
    var series = 0
    for definition in section.own {
      guard let metric = metric(definition, prefix: section.prefix) else { continue }
      readColumns.formUnion(metric.columns)
      metrics.append(metric)
      let before = series
      series += zip(definition.labels, metric.labels).reduce(definition.seriesPerLabels) { product, label in
        // Saturated: each factor is small, and four of them may not be.
        min(product * values(of: label.0, label.1.expression), 1 << 32)
      }
      if series > Limits.maxMetricSeries, before <= Limits.maxMetricSeries {
        report(
          "the metrics up to `\(definition.name)` may have too many series", at: definition.location,
          expected: "at most \(Limits.maxMetricSeries) in all: lower `most` of labels, or fewer labels and buckets",
          found: "\(series)")
      }
    }
  }

  /// How many values a label may have, NULL and the one for all others among them.
  private func values(of label: MetricDefinition.Label, _ expression: Expression) -> Int {
    if expression.type == .bool { return 3 }
    if let classification = useCase.classification, classification.into == label.expression.text {
      return min(label.most + 1, classification.classes.count)
    }
    return label.most + 1
  }

  private mutating func metric(_ definition: MetricDefinition, prefix: String) -> CompiledMetric? {
    let before = diagnostics.count
    let when = definition.when.flatMap { expression($0, expected: .bool) }
    let value = definition.value.flatMap { expression($0, expected: nil) }
    if let value, let text = definition.value, value.type == .string || value.type == .timestamp,
      scope.unclear.isEmpty
    {
      report(
        "`value` of the metric `\(definition.name)` is no number", at: text.location,
        expected: "a number, or a condition that counts where it holds", found: "type \(value.type.rawValue)")
    }
    var labels: [CompiledMetric.Label] = []
    for label in definition.labels {
      guard let compiled = expression(label.expression, expected: nil) else { continue }
      if [.double, .timestamp].contains(compiled.type), scope.unclear.isEmpty {
        report(
          "the label `\(label.name)` has no few values", at: label.expression.location,
          expected: "a string, a whole number or a boolean", found: "type \(compiled.type.rawValue)")
      }
      labels.append(CompiledMetric.Label(expression: compiled, most: label.most))
    }
    guard diagnostics.count == before, scope.unclear.isEmpty else { return nil }
    return CompiledMetric(
      definition: definition, name: definition.fullName(prefix: prefix), value: value, when: when, labels: labels)
  }

  // MARK: Expressions and errors

  private mutating func expression(
    _ text: LocatedText, expected: ValueType?, explain: (inout Diagnostic) -> Void = { _ in }
  ) -> Expression? {
    do throws(ExpressionError) {
      return try Expression(text.text, scope: scope, expected: expected)
    } catch {
      var diagnostic = Diagnostic(error, in: text)
      explain(&diagnostic)
      add(diagnostic, in: text)
      return nil
    }
  }

  private mutating func add(_ diagnostic: Diagnostic, in text: LocatedText) {
    if !isConsequence(diagnostic, in: [text]) { diagnostics.append(explained(diagnostic)) }
  }

  /// Whether a diagnostic may be there only because the type of a name in these texts is not known: what is made of such
  /// a name (`coalesce(x, y)`) has a guessed type.
  /// - Parameters:
  ///   - expressions: the expressions it is about.
  ///   - others: further texts that name columns.
  private func isConsequence(
    _ diagnostic: Diagnostic, in expressions: [LocatedText], _ others: [LocatedText] = []
  ) -> Bool {
    // Unknown names, and what is no expression, are errors whatever the types are.
    let isUnknownName =
      ["a known column", "a known function", "a function of one event"].contains(diagnostic.expected)
      || diagnostic.message.hasPrefix("unknown name")
    guard !scope.unclear.isEmpty, !isUnknownName,
      expressions.allSatisfy({ (try? Parser.parse($0.text)) != nil })
    else { return false }
    return (expressions + others).contains { text in
      let words = text.text.split { !($0.isLetter || $0.isNumber || $0 == "_" || $0 == ".") }
      return words.contains { scope.unclear.contains(String($0)) }
    }
  }

  private mutating func report(
    _ message: String, at location: SourceLocation, expected: String? = nil, found: String? = nil,
    suggestion: String? = nil
  ) {
    diagnostics.append(
      Diagnostic(location: location, message: message, expected: expected, found: found, suggestion: suggestion))
  }

  /// The names that an expression can hold.
  private var names: [String] { scope.columns.map(\.name).filter { $0 != Self.unnamed } }

  /// A name as people write it: in quotes where it means something else without.
  private static func plain(_ name: String) -> String { ["end"].contains(name) ? identifier(name) : name }

  /// A column's name as an expression.
  private static func identifier(_ name: String) -> String { "\"\(name)\"" }
}
