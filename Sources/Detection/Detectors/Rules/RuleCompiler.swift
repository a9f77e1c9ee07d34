// From what `pipeline.yaml` says about a rule to something that runs, or to everything that is wrong with it.

/// What is wrong with a definition: one or more diagnostics in the order of their places.
public struct Diagnostics: Error, Sendable, Hashable {
  public let all: [Diagnostic]

  /// - Precondition: there is at least one.
  public init(_ diagnostics: [Diagnostic]) {
    precondition(!diagnostics.isEmpty, "an error needs at least one diagnostic")
    // Those at one place stay in the order in which they were found.
    all = diagnostics.enumerated().sorted { ($0.element.location, $0.offset) < ($1.element.location, $1.offset) }
      .map(\.element)
  }
}

/// A rule that can run.
public enum CompiledRule: Sendable {
  /// `when` alone.
  case stateless(StatelessRule)
  /// A sliding window or a profile per entity, or a cool-down.
  case stateful(SlidingRulePlan)

  /// Compiles a rule.
  /// - Parameters:
  ///   - scope: the columns of batches.
  ///   - event: its key is the default of `per` for `cool_down`. If it says by which field the source is partitioned, a
  ///     rule with state must have that in `per`, else the events of an entity may lie in several partitions.
  /// - Throws: everything that is wrong.
  public init(
    _ definition: RuleDefinition, scope: Scope, event: EventDefinition
  ) throws(Diagnostics) {
    var compiler = RuleCompiler(definition, scope: scope, event: event)
    let rule = compiler.compile()
    guard let rule, compiler.diagnostics.isEmpty else { throw Diagnostics(compiler.diagnostics) }
    self = rule
  }

  /// Name of the rule.
  public var name: String {
    switch self {
    case .stateless(let rule): rule.name
    case .stateful(let plan): plan.name
    }
  }
}

/// The state of one compilation.
struct RuleCompiler {
  let definition: RuleDefinition
  let event: EventDefinition
  let scope: Scope
  let aggregateParser: AggregateParser
  var diagnostics: [Diagnostic] = []
  var aggregates = AggregateTable()

  var columns: [Scope.Column] { scope.columns }

  init(_ definition: RuleDefinition, scope: Scope, event: EventDefinition) {
    self.definition = definition
    self.scope = scope
    self.event = event
    aggregateParser = AggregateParser(scope: scope)
  }

  mutating func compile() -> CompiledRule? {
    if let profile = definition.profile { return compile(profile) }
    checkForm()
    let when = definition.when.flatMap { expression($0) }
    let having = definition.having.flatMap { condition($0) }
    let conditionAggregates = aggregates.plans.count
    let isSliding = definition.within != nil || definition.having != nil
    let coolsDown = (definition.coolDown ?? 0) > 0
    let per = isSliding || coolsDown ? entity() : []
    let template = template(isSliding: isSliding) { $0.defaultTemplate(per: per) }
    aggregates.layOut()
    guard diagnostics.isEmpty else { return nil }

    let head = RuleHead(
      name: definition.name, severity: definition.severity,
      clause: (definition.having ?? definition.when)?.text ?? "every event", template: template,
      evidence: evidence(when: when, conditionAggregates: conditionAggregates))
    if !isSliding && !coolsDown, let when { return .stateless(StatelessRule(rule: head, when: when)) }
    let coolDown = definition.coolDown ?? definition.within ?? 0
    return .stateful(
      SlidingRulePlan(
        rule: head, when: when, per: per, within: definition.within ?? coolDown, coolDown: coolDown,
        maxAhead: event.maxAhead, hasOwnClock: event.clockOf.map(per.contains) ?? false,
        having: having?.expression, aggregates: aggregates.plans,
        conditionAggregates: conditionAggregates, arguments: aggregates.arguments,
        argumentPlans: aggregates.argumentPlans,
        bound: definition.having.flatMap { HavingBound($0, calls: aggregateParser) }, fingerprint: fingerprint(per)))
  }

  // MARK: Form

  /// Which keys go together.
  private mutating func checkForm() {
    if let within = definition.within {
      if within <= 0 { report("`within` must be longer than zero", at: definition.location) }
      if definition.having == nil {
        report("`within` without `having`", at: definition.location, expected: "a condition over the window")
      }
      if definition.per.isEmpty {
        report("`within` without `per`", at: definition.location, expected: "the fields that make an entity")
      }
    } else if let having = definition.having {
      report("`having` without `within`", at: having.location, expected: "the length of the window")
    } else {
      if definition.when == nil {
        report("the rule has no condition", at: definition.location, expected: "`when`, or `within` with `having`")
      }
      if let per = definition.per.first, (definition.coolDown ?? 0) == 0 {
        report("`per` without `within` and `having`, or `cool_down`", at: per.location)
      }
    }
    if let coolDown = definition.coolDown, coolDown < 0 {
      report("`cool_down` must not be negative", at: definition.location)
    }
  }

  /// The columns that make an entity.
  mutating func entity() -> [Int] {
    let key = event.schema.keyField.map { event.schema.fields[$0].name }
    var names = definition.per
    if names.isEmpty, definition.within == nil, let key { names = [LocatedText(key, at: definition.location)] }
    if names.isEmpty, definition.within == nil {
      report("`cool_down` without `per`, and the events have no `key`", at: definition.location)
    }
    var indexes: [Int] = []
    for name in names {
      guard let index = scope.index(of: name.text) else {
        report(
          "unknown name `\(name.text)` in `per`", at: name.location, expected: "a field or feature", found: name.text,
          suggestion: nearest(to: name.text, among: columns.map(\.name)))
        continue
      }
      if indexes.contains(index) { report("`per` names `\(name.text)` twice", at: name.location) }
      indexes.append(index)
    }
    if let field = event.partitionedBy, let first = names.first, !names.contains(where: { $0.text == field }) {
      report(
        "the events of one entity may lie in several partitions", at: first.location,
        expected: "`\(field)`, by which the source is partitioned, in `per`",
        found: names.map(\.text).joined(separator: ", "))
    }
    return indexes
  }

  // MARK: Expressions

  mutating func expression(_ text: LocatedText, expected: ValueType? = .bool) -> Expression? {
    do throws(ExpressionError) {
      return try Expression(text.text, scope: scope, expected: expected)
    } catch {
      diagnostics.append(Diagnostic(error, in: text))
      return nil
    }
  }

  private mutating func condition(_ text: LocatedText) -> AggregateExpression? {
    do throws(ExpressionError) {
      let condition = try aggregateParser.parse(text.text, expected: .bool)
      for call in condition.aggregates { add(call, at: text.location) }
      return condition
    } catch {
      diagnostics.append(Diagnostic(error, in: text))
      return nil
    }
  }

  /// The number of an aggregate of the rule, new or known.
  @discardableResult
  private mutating func add(_ call: AggregateCall, at location: SourceLocation) -> Int? {
    if call.type == .string {
      report(
        "`\(call.text)` is a string", at: location, expected: "\(call.function.rawValue) of a number or a time",
        found: "a string")
      return nil
    }
    let number = aggregates.add(call, scope: scope)
    if aggregates.argumentPlans.count == Limits.maxRuleArguments + 1 {
      report("the rule's aggregates have more than \(Limits.maxRuleArguments) different arguments", at: location)
    }
    return number
  }

  // MARK: Reason

  /// The template that a rule has, or the usual one.
  mutating func template(
    isSliding: Bool, usual: (RuleCompiler) -> ReasonTemplate
  ) -> ReasonTemplate {
    guard let reason = definition.reason else { return usual(self) }
    let parts: [ReasonTemplate.Part]
    do throws(ReasonTemplate.FormError) {
      parts = try ReasonTemplate.parts(of: reason.text)
    } catch {
      report(error.message, at: reason.location(ofOffset: error.offset))
      return ReasonTemplate(pieces: [])
    }
    var pieces: [ReasonTemplate.Piece] = []
    for part in parts {
      switch part {
      case .text(let text): pieces.append(.text(text))
      case .place(let name, let offset):
        let location = reason.location(ofOffset: offset)
        if let piece = piece(name, at: location, isSliding: isSliding) { pieces.append(piece) }
      }
    }
    return ReasonTemplate(pieces: pieces)
  }

  private mutating func piece(_ name: String, at location: SourceLocation, isSliding: Bool) -> ReasonTemplate.Piece? {
    if let index = scope.index(of: name) { return .column(index) }
    if let index = definition.profile?.valueNames.firstIndex(of: name) { return .aggregate(index) }
    if name == "within", let within = definition.within { return .text(DurationText.format(within)) }
    if name == "cool_down", let coolDown = definition.coolDown ?? definition.within {
      return .text(DurationText.format(coolDown))
    }
    guard name.contains("(") else {
      report(
        "unknown name `\(name)` in `reason`", at: location,
        expected: isSliding ? "a field, a feature or an aggregate" : "a field or a feature", found: name,
        suggestion: nearest(to: name, among: columns.map(\.name) + (definition.profile?.valueNames ?? [])))
      return nil
    }
    guard isSliding else {
      report("`reason` names an aggregate, but the rule has no window", at: location, found: name)
      return nil
    }
    do throws(ExpressionError) {
      guard let call = try aggregateParser.parse(name, expected: nil).singleCall else {
        report("`reason` may name single aggregates only", at: location, expected: "such as sum(x)", found: name)
        return nil
      }
      return add(call, at: location).map { .aggregate($0) }
    } catch {
      diagnostics.append(Diagnostic(error, in: LocatedText(name, at: location)))
      return nil
    }
  }

  /// The condition with its values: `count(*) = 11 within 1m for user_id = 42: count(*) > 10`.
  private func defaultTemplate(per: [Int]) -> ReasonTemplate {
    var pieces: [ReasonTemplate.Piece] = []
    func list(_ items: [(name: String, value: ReasonTemplate.Piece)], _ separator: String) {
      for (index, item) in items.enumerated() {
        pieces += [.text("\(index == 0 ? "" : separator)\(item.name) = "), item.value]
      }
    }
    guard let within = definition.within, let having = definition.having else {
      guard let when = definition.when else { return ReasonTemplate(pieces: []) }
      pieces.append(.text(when.text))
      let columns = read(by: when)
      if !columns.isEmpty { pieces.append(.text(": ")) }
      list(columns.map { (self.columns[$0].name, .column($0)) }, ", ")
      return ReasonTemplate(pieces: pieces)
    }
    list(aggregates.texts.enumerated().map { ($0.element, .aggregate($0.offset)) }, ", ")
    pieces.append(.text(" within \(DurationText.format(within)) for "))
    list(per.map { (columns[$0].name, .column($0)) }, ", ")
    pieces.append(.text(": \(having.text)"))
    return ReasonTemplate(pieces: pieces)
  }

  /// The columns an expression reads, ascending; none where it is wrong, which is reported elsewhere.
  func read(by text: LocatedText, expected: ValueType? = .bool) -> [Int] {
    let expression = try? Expression(text.text, scope: scope, expected: expected)
    return expression?.columns.sorted() ?? []
  }

  // MARK: The whole

  /// What a finding lists: the aggregates of `having`, or the columns of `when`.
  private func evidence(when: Expression?, conditionAggregates: Int) -> [RuleHead.Evidence] {
    if definition.having != nil {
      return aggregates.texts.prefix(conditionAggregates).enumerated().map { .aggregate($0.offset, text: $0.element) }
    }
    return (when?.columns.sorted() ?? []).map { .column($0, name: columns[$0].name) }
  }

  /// Everything that stored state depends on. Severity, the wording of the reason and its aggregates of arguments that are
  /// kept anyway may change. An aggregate of another argument may not, not even in the reason alone: the events that are
  /// held were stored without its values. A column of another meaning under the same name and type cannot be seen from here.
  private func fingerprint(_ per: [Int]) -> String {
    let arguments = zip(aggregates.arguments, aggregates.argumentPlans).map {
      "\($0.text) \($1.type.rawValue) \($1.words)"
    }
    let entity = per.map { "\(columns[$0].name) \(columns[$0].type.rawValue)" }
    return """
      rule 1: when \(definition.when?.text ?? "true"), per \(entity), \
      within \(definition.within ?? 0), having \(definition.having?.text ?? "true"), \
      cool down \(definition.coolDown ?? definition.within ?? 0), arguments \(arguments)
      """
  }

  mutating func report(
    _ message: String, at location: SourceLocation, expected: String? = nil, found: String? = nil,
    suggestion: String? = nil
  ) {
    diagnostics.append(
      Diagnostic(location: location, message: message, expected: expected, found: found, suggestion: suggestion))
  }
}

/// Reads conditions and aggregates of rules.
struct AggregateParser: Sendable {
  let scope: Scope
  /// Those that an exact sliding window can keep.
  static let allowed: Set<AggregateFunction> = [.count, .sum, .avg, .min, .max, .distinct]

  func parse(_ text: String, expected: ValueType?) throws(ExpressionError) -> AggregateExpression {
    try AggregateExpression(text, scope: scope, allowed: Self.allowed, expected: expected)
  }

  /// The aggregate that a text consists of; nil when it is something else.
  func singleCall(_ text: String) -> AggregateCall? { (try? parse(text, expected: nil))?.singleCall }
}

/// The aggregates of a rule and their arguments, each once.
struct AggregateTable: Sendable {
  private(set) var plans: [AggregatePlan] = []
  private(set) var texts: [String] = []
  private(set) var arguments: [Expression] = []
  private(set) var argumentPlans: [ArgumentPlan] = []

  /// The number of an aggregate, new or known.
  mutating func add(_ call: AggregateCall, scope: Scope) -> Int {
    let argument = call.argument.map { add(call.function == .avg ? Self.unwidened($0, scope) : $0) }
    let plan = AggregatePlan(function: call.function, argument: argument, type: call.type)
    if let argument = plan.argument { argumentPlans[argument].uses.formUnion(Self.uses(of: call.function)) }
    if let known = plans.firstIndex(of: plan) { return known }
    plans.append(plan)
    texts.append(call.text)
    return plans.count - 1
  }

  private mutating func add(_ argument: Expression) -> Int {
    let known = arguments.firstIndex { $0.text == argument.text && $0.type == argument.type }
    if let known { return known }
    arguments.append(argument)
    argumentPlans.append(ArgumentPlan(type: argument.type))
    return arguments.count - 1
  }

  /// The argument of an average as it is before integers are widened to doubles, so that their sum is exact in 128 bits
  /// and shared with `sum`.
  private static func unwidened(_ argument: Expression, _ scope: Scope) -> Expression {
    guard let plain = try? Expression(argument.text, scope: scope), plain.type == .int else { return argument }
    return plain
  }

  private static func uses(of function: AggregateFunction) -> ArgumentPlan.Uses {
    switch function {
    case .sum, .avg: .sum
    case .min: .minimum
    case .max: .maximum
    case .distinct: .distinct
    case .count, .stddev, .first, .last, .rate, .quantile, .topK: []
    }
  }

  /// Gives every argument its place in the words of an entry, once all are known.
  mutating func layOut() {
    var offset = 0
    for index in argumentPlans.indices {
      argumentPlans[index].offset = offset
      offset += argumentPlans[index].words
    }
  }
}

extension Diagnostic {
  /// An error in an expression, at its place in the file.
  public init(_ error: ExpressionError, in text: LocatedText) {
    self.init(
      location: text.location(ofOffset: error.offset), message: error.message, expected: error.expected,
      found: error.found, suggestion: error.suggestion)
  }
}

extension ReasonTemplate {
  /// The columns of the batch that the reason repeats.
  var columns: Set<Int> {
    pieces.reduce(into: []) { if case .column(let index) = $1 { $0.insert(index) } }
  }
}
