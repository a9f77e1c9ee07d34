// Untyped tree to typed tree: resolves names, chooses signatures, makes widenings explicit, folds constants. Recurses
// along the untyped tree, whose depth is bounded.

/// Checks one tree against a scope.
struct TypeChecker {
  let scope: Scope
  /// Turns an aggregate call into its result; nil where aggregates cannot stand.
  var aggregate: ((Syntax) throws(ExpressionError) -> Node)?
  /// Why a bare column cannot stand here; nil where it can.
  var columnRefusal: String?

  init(scope: Scope) { self.scope = scope }

  /// The typed tree of the whole expression, of the expected type if one is given.
  func check(_ syntax: Syntax, expected: ValueType?) throws(ExpressionError) -> Node {
    let typed = try typed(syntax)
    guard let expected else { return typed.node(as: typed.type ?? .int) }
    return try convert(typed, to: expected, syntax.span)
  }

  /// A node whose type may still be open: NULL.
  struct Typed {
    let node: Node
    /// nil for a bare NULL.
    let type: ValueType?

    /// The node with a type for NULL, widened if need be.
    func node(as wanted: ValueType) -> Node {
      guard let type else { return .constant(.null, wanted) }
      return type == .int && wanted == .double ? fold(Node(.widen, .double, [node])) : node
    }
  }

  func typed(_ node: Node) -> Typed { Typed(node: fold(node), type: node.type) }

  /// The value as `wanted`, or an error that says what it is.
  func convert(_ value: Typed, to wanted: ValueType, _ span: TextSpan) throws(ExpressionError) -> Node {
    if let type = value.type, type != wanted, !(type == .int && wanted == .double) {
      throw ExpressionError(
        span, expected: wanted.sqlName, found: type.sqlName, suggestion: Self.conversionHint(from: type, to: wanted))
    }
    return value.node(as: wanted)
  }

  static func conversionHint(from type: ValueType, to wanted: ValueType) -> String? {
    switch (type, wanted) {
    case (.string, .timestamp): "TIMESTAMP '2024-02-29 13:45:00'"
    case (.timestamp, .int): "epoch_us(…)"
    case (.timestamp, .double): "epoch(…)"
    case (.int, .timestamp): "make_timestamp(…)"
    case (.int, .bool): "… <> 0"
    default: nil
    }
  }

  /// The one type that all of these can have, integers widening to DOUBLE; nil when all are NULL.
  func commonType(_ values: [Typed], _ spans: [TextSpan]) throws(ExpressionError) -> ValueType? {
    var common: ValueType?
    for (value, span) in zip(values, spans) {
      guard let type = value.type else { continue }
      guard let known = common else {
        common = type
        continue
      }
      if known == type { continue }
      guard [known, type].allSatisfy({ $0 == .int || $0 == .double }) else {
        throw ExpressionError(
          span, expected: known.sqlName, found: type.sqlName,
          suggestion: Self.conversionHint(from: type, to: known))
      }
      common = .double
    }
    return common
  }

  // MARK: Nodes

  func typed(_ syntax: Syntax) throws(ExpressionError) -> Typed {
    switch syntax.kind {
    case .literal(let value): return literal(value)
    case .name(let name): return try column(name, syntax)
    case .call: return try call(syntax)
    case .arithmetic(let operation): return try arithmetic(operation, syntax)
    case .concatenation: return try strict(.concatenate, syntax, .string, .string)
    case .negation: return try negation(syntax)
    case .comparison(let operation): return try comparison(.compare(operation), syntax)
    case .distinctFrom(let negated): return try comparison(.distinctFrom(negated: negated), syntax)
    case .and: return try strict(.and, syntax, .bool, .bool)
    case .or: return try strict(.or, syntax, .bool, .bool)
    case .not: return try strict(.not, syntax, .bool, .bool)
    case .isNull(let negated):
      let operand = try typed(syntax.children[0])
      return typed(Node(.isNull(negated: negated), .bool, [operand.node]))
    case .isTruth(let truth, let negated):
      return try strict(.isTruth(truth, negated: negated), syntax, .bool, .bool)
    case .inList(let negated): return negate(try inList(syntax), negated)
    case .between(let negated): return negate(try comparison(.between, syntax), negated)
    case .like(let negated, let ignoringCase, let escape):
      return negate(try like(syntax, ignoringCase: ignoringCase, escape: escape), negated)
    case .searchedCase, .simpleCase: return try caseExpression(syntax)
    case .cast(let type, let isTry): return try cast(syntax, type, isTry: isTry)
    }
  }

  private func literal(_ value: Scalar) -> Typed {
    switch value {
    case .null: Typed(node: .constant(.null, .int), type: nil)
    case .int: Typed(node: .constant(value, .int), type: .int)
    case .double: Typed(node: .constant(value, .double), type: .double)
    case .bool: Typed(node: .constant(value, .bool), type: .bool)
    case .string: Typed(node: .constant(value, .string), type: .string)
    case .timestamp: Typed(node: .constant(value, .timestamp), type: .timestamp)
    }
  }

  private func column(_ name: String, _ syntax: Syntax) throws(ExpressionError) -> Typed {
    if let columnRefusal { throw ExpressionError(syntax.span, expected: columnRefusal, found: "the column \(name)") }
    guard let index = scope.index(of: name) else {
      // SQL's double quotes stand around names; who used them around a text is told, and not a name that looks like it.
      let isColumn = scope.columns.contains { $0.name.lowercased() == name.lowercased() }
      if syntax.span.length > name.utf8.count, !isColumn {
        throw ExpressionError(
          syntax.span, expected: "a known column", found: TextSpan.quotedName(name),
          suggestion: "'" + name.replacing("'", with: "''") + "'")
      }
      let suggestion = nearest(to: name, among: scope.columns.map(\.name))
      throw ExpressionError(
        syntax.span, expected: "a known column", found: name,
        suggestion: suggestion)
    }
    // As open as NULL: whatever is said of it may be right.
    if scope.unclear.contains(name) { return Typed(node: .constant(.null, .int), type: nil) }
    let type = scope.columns[index].type
    return Typed(node: Node(.column(index), type), type: type)
  }

  /// An operation all of whose operands have one type.
  private func strict(
    _ operation: Operation, _ syntax: Syntax, _ operands: ValueType, _ result: ValueType
  ) throws(ExpressionError) -> Typed {
    var children: [Node] = []
    for child in syntax.children { children.append(try convert(try typed(child), to: operands, child.span)) }
    return typed(Node(operation, result, children))
  }

  private func negate(_ value: Typed, _ negated: Bool) -> Typed {
    negated ? typed(Node(.not, .bool, [value.node])) : value
  }

  private func numeric(_ syntax: Syntax, _ value: Typed, _ operation: String) throws(ExpressionError) {
    guard let type = value.type, type != .int, type != .double else { return }
    let hint =
      switch type {
      case .timestamp: "date_diff('second', a, b), or epoch_us(…)"
      case .string: operation == "+" ? "||" : "CAST(… AS DOUBLE)"
      default: "CAST(… AS BIGINT)"
      }
    throw ExpressionError(
      syntax.span, expected: "a number for \(operation)", found: type.sqlName, suggestion: hint)
  }

  private func arithmetic(_ operation: Arithmetic, _ syntax: Syntax) throws(ExpressionError) -> Typed {
    var operands: [Typed] = []
    for child in syntax.children {
      let operand = try typed(child)
      try numeric(child, operand, operation.rawValue)
      operands.append(operand)
    }
    var type = try commonType(operands, syntax.children.map(\.span)) ?? .int
    if operation == .divide { type = .double }
    if operation == .integerDivide, type == .double {
      throw ExpressionError(
        syntax.span, expected: "BIGINT operands for //", found: "DOUBLE", suggestion: "floor(a / b)")
    }
    return typed(Node(.arithmetic(operation), type, operands.map { $0.node(as: type) }))
  }

  private func negation(_ syntax: Syntax) throws(ExpressionError) -> Typed {
    let operand = try typed(syntax.children[0])
    try numeric(syntax.children[0], operand, "-")
    let type = operand.type ?? .int
    return typed(Node(.negate, type, [operand.node(as: type)]))
  }

  /// Comparisons of two or three operands of a common type.
  private func comparison(_ operation: Operation, _ syntax: Syntax) throws(ExpressionError) -> Typed {
    let (children, _) = try common(syntax.children)
    return typed(Node(operation, .bool, children))
  }

  /// The expressions, converted to their common type (BIGINT when all are NULL).
  func common(_ parts: [Syntax]) throws(ExpressionError) -> (children: [Node], type: ValueType) {
    var values: [Typed] = []
    for part in parts { values.append(try typed(part)) }
    let type = try commonType(values, parts.map(\.span)) ?? .int
    return (values.map { $0.node(as: type) }, type)
  }

  private func inList(_ syntax: Syntax) throws(ExpressionError) -> Typed {
    let (children, type) = try common(syntax.children)
    let constants = children.dropFirst().compactMap(\.constant)
    if constants.count == children.count - 1 {
      return typed(Node(.inSet(ConstantSet(constants, type: type)), .bool, [children[0]]))
    }
    return typed(Node(.inList, .bool, children))
  }

  private func like(_ syntax: Syntax, ignoringCase: Bool, escape: UInt8?) throws(ExpressionError) -> Typed {
    var operands: [Node] = []
    for child in syntax.children { operands.append(try convert(try typed(child), to: .string, child.span)) }
    guard case .string(let pattern)? = operands[1].constant else {
      guard escape == nil else {
        throw ExpressionError(
          syntax.children[1].span, expected: "a string as the pattern where there is an ESCAPE",
          found: "an expression")
      }
      return typed(Node(.likeDynamic(ignoringCase: ignoringCase), .bool, operands))
    }
    guard let compiled = LikePattern(pattern, escape: escape, ignoringCase: ignoringCase) else {
      throw ExpressionError(
        syntax.children[1].span, expected: "a character after the escape character",
        found: "the end of the pattern")
    }
    return typed(Node(.like(compiled), .bool, [operands[0]]))
  }

  private func caseExpression(_ syntax: Syntax) throws(ExpressionError) -> Typed {
    let isSimple = syntax.kind == .simpleCase
    let parts = syntax.children
    let first = isSimple ? 1 : 0
    let conditions = stride(from: first, to: parts.count - 1, by: 2).map { $0 }
    let values = conditions.map { $0 + 1 } + [parts.count - 1]
    var children: [Node?] = Array(repeating: nil, count: parts.count)
    if isSimple {
      let compared = [0] + conditions
      for (index, node) in zip(compared, try common(compared.map { parts[$0] }).children) { children[index] = node }
    } else {
      for index in conditions {
        children[index] = try convert(try typed(parts[index]), to: .bool, parts[index].span)
      }
    }
    let (results, type) = try common(values.map { parts[$0] })
    for (index, node) in zip(values, results) { children[index] = node }
    return typed(Node(isSimple ? .simpleCase : .searchedCase, type, children.compactMap { $0 }))
  }

  private func cast(_ syntax: Syntax, _ type: ValueType, isTry: Bool) throws(ExpressionError) -> Typed {
    let operand = try typed(syntax.children[0])
    guard let source = operand.type else { return typed(.constant(.null, type)) }
    if source == type { return operand }
    if source == .int, type == .double { return typed(operand.node(as: .double)) }
    if source == .timestamp && type != .string || type == .timestamp && source != .string {
      throw ExpressionError(
        syntax.children[0].span, expected: "a value that can be cast to \(type.sqlName)", found: source.sqlName,
        suggestion: Self.conversionHint(from: source, to: type))
    }
    return typed(Node(.cast(isTry: isTry), type, [operand.node]))
  }
}

/// The node, or the constant it always gives. What fails stays, so that each event counts its failure.
func fold(_ node: Node) -> Node {
  guard !node.children.isEmpty, node.children.allSatisfy({ $0.constant != nil }) else { return node }
  var evaluation = Evaluation(columns: [], count: 1)
  let result = evaluation.evaluate(node, nil).column(node.type, count: 1, selection: nil)
  return evaluation.failures == 0 ? .constant(result[0], node.type) : node
}
