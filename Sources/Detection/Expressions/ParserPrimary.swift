// The parts of an expression that are not operators: literals, names, calls, CASE, CAST and parentheses.

extension Parser {
  /// Words that cannot be a column unless quoted.
  private static let reserved: Set<String> = [
    "AND", "OR", "NOT", "IS", "IN", "BETWEEN", "LIKE", "ILIKE", "ESCAPE", "CASE", "WHEN", "THEN", "ELSE", "END", "AS",
    "FROM", "SELECT", "WHERE", "CAST", "TRY_CAST",
  ]

  /// A literal, name, call, CASE, CAST or parenthesised expression.
  mutating func primary() throws(ExpressionError) -> Syntax {
    let start = token.span
    switch token.kind {
    case .integer(let digits):
      guard let value = Int64(digits) else { throw Self.tooLarge(digits, start) }
      return try literal(.int(value))
    case .decimal(let value): return try literal(.double(value))
    case .string(let text): return try literal(.string(text))
    case .quoted(let name):
      advance()
      return try Syntax(.name(name), start)
    case .symbol("("):
      advance()
      let inner = try expression(.or)
      try expect(symbol: ")", ") or an operator")
      return inner
    case .word(let word): return try wordExpression(word, start)
    default: throw unexpected("a value")
    }
  }

  private mutating func literal(_ value: Scalar) throws(ExpressionError) -> Syntax {
    let span = token.span
    advance()
    return try Syntax(.literal(value), span)
  }

  private mutating func wordExpression(_ word: String, _ start: TextSpan) throws(ExpressionError) -> Syntax {
    switch word.uppercased() {
    case "NULL": return try literal(.null)
    case "TRUE": return try literal(.bool(true))
    case "FALSE": return try literal(.bool(false))
    case "CASE":
      advance()
      return try caseExpression(start)
    case "CAST", "TRY_CAST":
      guard isSymbol("(", ahead: 1) else { break }
      return try castExpression(start, isTry: word.uppercased() == "TRY_CAST")
    case "TIMESTAMP":
      advance()
      if case .string(let text) = token.kind { return try timestamp(text, start) }
      return isSymbol("(") ? try call(word, start) : try Syntax(.name(word), start)
    default: break
    }
    guard !Self.reserved.contains(word.uppercased()) else { throw unexpected("a value") }
    advance()
    return isSymbol("(") ? try call(word, start) : try Syntax(.name(word), start)
  }

  private mutating func timestamp(_ text: String, _ start: TextSpan) throws(ExpressionError) -> Syntax {
    let bytes = Array(text.utf8)
    guard let value = TimestampText.parse(bytes.span.bytes, as: .sql) else {
      throw ExpressionError(
        token.span, expected: "a UTC timestamp such as '2024-02-29 13:45:00.5'", found: Self.describe(token))
    }
    advance()
    return try Syntax(.literal(.timestamp(value)), start.through(previous))
  }

  private mutating func call(_ name: String, _ start: TextSpan) throws(ExpressionError) -> Syntax {
    try expect(symbol: "(")
    var arguments: [Syntax] = []
    var star = false
    var distinct = false
    if accept(symbol: "*") {
      star = true
    } else if !isSymbol(")") {
      distinct = accept("DISTINCT")
      repeat { arguments.append(try expression(.or)) } while accept(symbol: ",")
    }
    try expect(symbol: ")", star ? ")" : ", or )")
    return try Syntax(.call(name, star: star, distinct: distinct), start.through(previous), arguments)
  }

  private mutating func caseExpression(_ start: TextSpan) throws(ExpressionError) -> Syntax {
    var children: [Syntax] = []
    let isSimple = !isKeyword("WHEN")
    if isSimple { children.append(try expression(.or)) }
    guard isKeyword("WHEN") else { throw unexpected("WHEN") }
    while accept("WHEN") {
      children.append(try expression(.or))
      try expect("THEN")
      children.append(try expression(.or))
    }
    if accept("ELSE") {
      children.append(try expression(.or))
    } else {
      children.append(try Syntax(.literal(.null), token.span))
    }
    guard accept("END") else { throw unexpected("WHEN, ELSE or END") }
    return try Syntax(isSimple ? .simpleCase : .searchedCase, start.through(previous), children)
  }

  private mutating func castExpression(_ start: TextSpan, isTry: Bool) throws(ExpressionError) -> Syntax {
    advance()
    try expect(symbol: "(")
    let value = try expression(.or)
    try expect("AS")
    let type = try typeName()
    try expect(symbol: ")")
    return try Syntax(.cast(type, isTry: isTry), start.through(previous), [value])
  }

  /// The name of a type.
  mutating func typeName() throws(ExpressionError) -> ValueType {
    let names = ValueType.allCases.map(\.sqlName)
    guard case .word(let word) = token.kind, let type = ValueType(sqlName: word) else {
      var suggestion: String?
      if case .word(let word) = token.kind {
        suggestion =
          ["INT", "INTEGER", "SMALLINT"].contains(word.uppercased())
          ? "BIGINT"
          : ["FLOAT", "REAL", "DECIMAL", "NUMERIC"].contains(word.uppercased())
            ? "DOUBLE" : nearest(to: word, among: names)
      }
      throw ExpressionError(
        token.span, expected: "a type (\(names.joined(separator: ", ")))", found: Self.describe(token),
        suggestion: suggestion)
    }
    advance()
    return type
  }
}
