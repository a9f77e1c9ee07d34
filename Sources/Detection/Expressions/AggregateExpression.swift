// Expressions over aggregates, as rules and windows use them: the aggregate calls are taken out, and what is left is a
// scalar expression over their results.

/// The aggregates of the language.
public enum AggregateFunction: String, Sendable, CaseIterable {
  case count, sum, avg, min, max, stddev, first, last, rate, quantile, distinct
  case topK = "top_k"
}

/// One aggregate over events.
public struct AggregateCall: Sendable {
  public let function: AggregateFunction
  /// The value aggregated, an expression over one event; nil for `count(*)` and `rate(*)`.
  public let argument: Expression?
  /// The fraction of a quantile, 0 to 1.
  public let fraction: Double?
  /// How many values `top_k` gives at most; nil for others.
  public let limit: Int?
  /// Type of the result; of `top_k` that of each value.
  public let type: ValueType
  /// The call in one canonical spelling, as `sum(mbytes_spilled)`; equal calls have equal texts.
  public let text: String
}

/// An expression whose only inputs are aggregates: `count(*) > 10 AND sum(x) / count(*) >= 3`, or a single call.
public struct AggregateExpression: Sendable {
  /// The distinct calls in order of appearance.
  public let aggregates: [AggregateCall]
  /// The rest, over a scope whose column i is the result of `aggregates[i]`, named by its canonical text.
  public let expression: Expression

  /// Parses and checks a text.
  /// - Parameters:
  ///   - scope: what the arguments of aggregates may name.
  ///   - allowed: the aggregates that can be used here.
  ///   - expected: the type wanted of the whole.
  /// - Throws: `ExpressionError` with the place of the first thing that is wrong.
  public init(
    _ text: String, scope: Scope, allowed: Set<AggregateFunction>, expected: ValueType? = nil
  ) throws(ExpressionError) {
    let syntax = try Parser.parse(text)
    var calls = AggregateCollector(scope: scope, allowed: allowed)
    try calls.collect(syntax)
    guard !calls.found.isEmpty else {
      throw ExpressionError(syntax.span, expected: "an aggregate such as count(*)", found: "an expression of one event")
    }
    let results = Scope(calls.found.map { ($0.text, $0.type) })
    var checker = TypeChecker(scope: results)
    checker.columnRefusal = "an aggregate"
    let places = calls.places
    let found = calls.found
    checker.aggregate = { syntax throws(ExpressionError) in
      guard let index = places[syntax.span] else { preconditionFailure("an aggregate that was not collected") }
      return Node(.column(index), found[index].type)
    }
    let root = try checker.check(syntax, expected: expected)
    aggregates = calls.found
    expression = Expression(text: text, root: root, scope: results)
  }

  /// The call, when the whole expression is one.
  public var singleCall: AggregateCall? {
    if case .column(let index) = expression.root.operation { return aggregates[index] }
    return nil
  }
}

/// Finds and checks the aggregate calls of a tree.
private struct AggregateCollector {
  let scope: Scope
  let allowed: Set<AggregateFunction>
  var found: [AggregateCall] = []
  /// Which call stands where.
  var places: [TextSpan: Int] = [:]

  init(scope: Scope, allowed: Set<AggregateFunction>) {
    self.scope = scope
    self.allowed = allowed
  }

  mutating func collect(_ syntax: Syntax) throws(ExpressionError) {
    if case .call(let name, let star, let distinct) = syntax.kind,
      let function = FunctionCatalog.function(named: name), function.kind == .aggregate
    {
      let call = try self.call(function, syntax, star: star, distinct: distinct)
      if let index = found.firstIndex(where: { $0.text == call.text }) {
        places[syntax.span] = index
      } else {
        places[syntax.span] = found.count
        found.append(call)
      }
      return
    }
    for child in syntax.children { try collect(child) }
  }

  private func call(
    _ descriptor: FunctionDescriptor, _ syntax: Syntax, star: Bool, distinct: Bool
  ) throws(ExpressionError) -> AggregateCall {
    let nameSpan = TextSpan(offset: syntax.span.offset, length: descriptor.name.utf8.count)
    guard var function = AggregateFunction(rawValue: descriptor.name) else {
      preconditionFailure("an aggregate of the catalogue that is not a case")
    }
    var descriptor = descriptor
    if distinct {
      guard function == .count, syntax.children.count == 1, let other = FunctionCatalog.function(named: "distinct")
      else {
        throw ExpressionError(
          syntax.span, expected: "count(DISTINCT x) with one value", found: "another use of DISTINCT")
      }
      function = .distinct
      descriptor = other
    }
    guard allowed.contains(function) else {
      let names = allowed.map(\.rawValue).sorted().joined(separator: ", ")
      throw ExpressionError(nameSpan, expected: "one of \(names)", found: function.rawValue)
    }
    guard star == syntax.children.isEmpty, !star || function == .count || function == .rate else {
      let expected = descriptor.signatures.map { $0.text(descriptor.name) }.joined(separator: " or ")
      throw ExpressionError(syntax.span, expected: expected, found: "\(descriptor.name)(\(star ? "*" : ""))")
    }
    let checker = TypeChecker(scope: scope)
    var arguments: [TypeChecker.Typed] = []
    for child in syntax.children { arguments.append(try checker.typed(child)) }
    let signature = try checker.resolve(descriptor, arguments, syntax)
    return try call(function, signature, arguments, syntax)
  }

  private func call(
    _ function: AggregateFunction, _ signature: FunctionDescriptor.Signature, _ arguments: [TypeChecker.Typed],
    _ syntax: Syntax
  ) throws(ExpressionError) -> AggregateCall {
    var argument: Expression?
    var text = "*"
    if let first = arguments.first {
      var wanted = first.type ?? .int
      if case .value(let type) = signature.parameters[0] { wanted = type }
      let root = first.node(as: wanted)
      // A widening is not part of the name: avg(x) is one call, whatever the type of x.
      text = SQLPrinter(dialect: .pulse, scope: scope).canonical(first.node)
      argument = Expression(text: text, root: root, scope: scope)
    }
    var fraction: Double?
    if function == .quantile {
      let value = arguments[1].node(as: .double).constant?.number ?? .nan
      guard value >= 0, value <= 1 else {
        throw ExpressionError(syntax.children[1].span, expected: "a fraction from 0 to 1", found: "\(value)")
      }
      fraction = value
      text += ", \(CastKernels.format(value))"
    }
    var limit: Int?
    if function == .topK {
      let value = arguments[1].node(as: .int).constant?.integer ?? 0
      guard (1...Int64(Limits.maxTopValues)).contains(value) else {
        throw ExpressionError(
          syntax.children[1].span, expected: "a number of values from 1 to \(Limits.maxTopValues)", found: "\(value)")
      }
      limit = Int(value)
      text += ", \(value)"
    }
    return AggregateCall(
      function: function, argument: argument, fraction: fraction, limit: limit,
      type: signature.result ?? argument?.type ?? .int, text: "\(function.rawValue)(\(text))")
  }
}
