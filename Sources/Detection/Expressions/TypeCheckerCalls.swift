// Calls: finds the function, chooses the signature whose parameters fit, and gives the typed node.

extension TypeChecker {
  /// A scalar call, or an aggregate where those can stand.
  func call(_ syntax: Syntax) throws(ExpressionError) -> Typed {
    guard case .call(let name, let star, let distinct) = syntax.kind else {
      preconditionFailure("only a call is resolved as one")
    }
    let nameSpan = TextSpan(offset: syntax.span.offset, length: name.utf8.count)
    guard let function = FunctionCatalog.function(named: name) else { throw Self.unknown(name, nameSpan) }
    if function.kind == .aggregate {
      guard let aggregate else {
        throw ExpressionError(
          nameSpan, expected: "a function of one event", found: "the aggregate \(function.name)")
      }
      let node = try aggregate(syntax)
      return Typed(node: node, type: node.type)
    }
    guard !star, !distinct else {
      throw ExpressionError(
        syntax.span, expected: "values in \(function.name)(…)", found: star ? "*" : "DISTINCT")
    }
    var arguments: [Typed] = []
    for child in syntax.children { arguments.append(try typed(child)) }
    let signature = try resolve(function, arguments, syntax)
    return try build(signature, arguments, syntax)
  }

  static func unknown(_ name: String, _ span: TextSpan) -> ExpressionError {
    let suggestion =
      FunctionCatalog.foreign[name.lowercased()]
      ?? nearest(to: name, among: FunctionCatalog.all.map(\.name))
    return ExpressionError(span, expected: "a known function", found: name, suggestion: suggestion)
  }

  /// The signature that fits without widening, else the first that fits with it.
  func resolve(
    _ function: FunctionDescriptor, _ arguments: [Typed], _ syntax: Syntax
  ) throws(ExpressionError) -> FunctionDescriptor.Signature {
    let fitting = function.signatures.filter {
      let parameters = $0.parameters
      return $0.isVariadic ? arguments.count >= parameters.count : arguments.count == parameters.count
    }
    let found = "\(function.name)(\(arguments.map { $0.type?.sqlName ?? "NULL" }.joined(separator: ", ")))"
    let expected = function.signatures.map { $0.text(function.name) }.joined(separator: " or ")
    for allowsWidening in [false, true] {
      for signature in fitting
      where arguments.indices.allSatisfy({
        Self.fits(arguments[$0], Self.parameter(signature, $0), allowsWidening: allowsWidening)
      }) {
        return signature
      }
    }
    var place = syntax.span
    let wrong = Set(
      fitting.map { signature in
        arguments.indices.first { !Self.fits(arguments[$0], Self.parameter(signature, $0), allowsWidening: true) }
      })
    if wrong.count == 1, case .some(.some(let index)) = wrong.first { place = syntax.children[index].span }
    throw ExpressionError(place, expected: expected, found: found)
  }

  private static func parameter(
    _ signature: FunctionDescriptor.Signature, _ index: Int
  ) -> FunctionDescriptor.Parameter {
    signature.parameters[min(index, signature.parameters.count - 1)]
  }

  private static func fits(
    _ argument: Typed, _ parameter: FunctionDescriptor.Parameter, allowsWidening: Bool
  ) -> Bool {
    switch parameter {
    case .any: return true
    case .unit:
      if case .string? = argument.node.constant { return argument.type == .string }
      return false
    case .value(let wanted), .constant(let wanted):
      if case .constant = parameter, argument.node.constant == nil || argument.type == nil { return false }
      guard let type = argument.type, type != wanted else { return true }
      return allowsWidening && type == .int && wanted == .double
    }
  }

  /// The typed node of a call whose arguments fit the signature.
  private func build(
    _ signature: FunctionDescriptor.Signature, _ arguments: [Typed], _ syntax: Syntax
  ) throws(ExpressionError) -> Typed {
    var common: ValueType?
    if signature.result == nil {
      let anys = arguments.indices.filter { Self.parameter(signature, $0) == .any }
      common = try commonType(anys.map { arguments[$0] }, anys.map { syntax.children[$0].span })
    }
    var children: [Node] = []
    for (index, argument) in arguments.enumerated() {
      switch Self.parameter(signature, index) {
      case .value(let type), .constant(let type): children.append(argument.node(as: type))
      case .any: children.append(argument.node(as: common ?? argument.type ?? .int))
      case .unit: children.append(argument.node)
      }
    }
    let type = signature.result ?? common ?? .int
    switch signature.implementation {
    case .function(let function): return try build(function, type, children, syntax)
    case .remainder: return typed(Node(.arithmetic(.remainder), type, children))
    case .coalesce: return typed(Node(.coalesce, type, children))
    case .nullIf: return typed(Node(.nullIf, type, children))
    case .conditional: return typed(Node(.searchedCase, type, children))
    case .greatest: return typed(Node(.greatest, type, children))
    case .least: return typed(Node(.least, type, children))
    case .aggregate: preconditionFailure("aggregates are resolved elsewhere")
    }
  }

  private func build(
    _ function: ScalarFunction, _ type: ValueType, _ children: [Node], _ syntax: Syntax
  ) throws(ExpressionError) -> Typed {
    switch function {
    case .pi: return typed(.constant(.double(.pi), .double))
    case .roundDigits:
      let digits = children[1].constant.map(\.integer) ?? 0
      guard (-308...308).contains(digits) else {
        throw ExpressionError(
          syntax.children[1].span, expected: "a number of places from -308 to 308", found: "\(digits)")
      }
      return typed(Node(.roundDigits(Int(digits)), .double, [children[0]]))
    case .dateTrunc:
      return typed(Node(.dateTrunc(try unit(syntax, TimeUnit.divisions)), type, [children[1]]))
    case .dateDiff:
      return typed(Node(.dateDiff(try unit(syntax, TimeUnit.divisions)), type, [children[1], children[2]]))
    case .datePart: return typed(Node(.datePart(try unit(syntax, TimeUnit.allCases)), type, [children[1]]))
    case .year, .quarter, .month, .week, .day, .dayOfYear, .dayOfWeek, .isoDayOfWeek, .hour, .minute, .second:
      guard case .call(let name, _, _) = syntax.kind, let unit = TimeUnit(rawValue: name.lowercased()) else {
        preconditionFailure("a date function whose name is not a unit")
      }
      return typed(Node(.datePart(unit), type, children))
    default: return typed(Node(.call(function), type, children))
    }
  }

  private func unit(_ syntax: Syntax, _ known: [TimeUnit]) throws(ExpressionError) -> TimeUnit {
    guard case .literal(.string(let text)) = syntax.children[0].kind else {
      throw ExpressionError(syntax.children[0].span, expected: "a unit in quotes", found: "an expression")
    }
    if let unit = TimeUnit(rawValue: text.lowercased()), known.contains(unit) { return unit }
    throw ExpressionError(
      syntax.children[0].span, expected: "a unit (\(known.map(\.rawValue).joined(separator: ", ")))",
      found: "'\(text)'", suggestion: nearest(to: text, among: known.map(\.rawValue)))
  }
}
