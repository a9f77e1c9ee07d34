// Text to untyped tree, by precedence climbing: one recursive function for all operators, so that nesting costs few
// stack frames. The levels are those of PostgreSQL and DuckDB: OR, AND, NOT, IS, comparisons (which do not chain),
// IN/BETWEEN/LIKE, ||, + -, * / // %, unary minus, ::.

/// Parses one expression.
struct Parser {
  private let tokens: [Token]
  private var at = 0
  private var nesting = 0

  /// Binding strength of operators, weakest first.
  enum Level: Int, Comparable {
    case or, and, not, `is`, comparison, membership, concatenation, sum, product, sign, cast
    static func < (a: Level, b: Level) -> Bool { a.rawValue < b.rawValue }
  }

  /// The tree of the whole text.
  static func parse(_ text: String) throws(ExpressionError) -> Syntax {
    var parser = Parser(tokens: try Lexer.tokens(of: text))
    let tree = try parser.expression(.or)
    guard parser.token.kind == .end else { throw parser.unexpected("an operator or the end of the expression") }
    return tree
  }

  private init(tokens: [Token]) { self.tokens = tokens }

  // MARK: Tokens

  var token: Token { tokens[at] }

  mutating func advance() { at = min(at + 1, tokens.count - 1) }

  func isKeyword(_ word: String, ahead: Int = 0) -> Bool {
    guard at + ahead < tokens.count, case .word(let found) = tokens[at + ahead].kind else { return false }
    return found.uppercased() == word
  }

  func isSymbol(_ symbol: String, ahead: Int = 0) -> Bool {
    at + ahead < tokens.count && tokens[at + ahead].kind == .symbol(symbol)
  }

  /// Consumes the keyword if it is there.
  mutating func accept(_ word: String) -> Bool {
    guard isKeyword(word) else { return false }
    advance()
    return true
  }

  mutating func accept(symbol: String) -> Bool {
    guard isSymbol(symbol) else { return false }
    advance()
    return true
  }

  mutating func expect(_ word: String) throws(ExpressionError) {
    guard accept(word) else { throw unexpected(word) }
  }

  mutating func expect(symbol: String, _ description: String? = nil) throws(ExpressionError) {
    guard accept(symbol: symbol) else { throw unexpected(description ?? symbol) }
  }

  /// The end of the token before the current one.
  var previous: TextSpan { tokens[max(at - 1, 0)].span }

  func unexpected(_ expected: String) -> ExpressionError {
    ExpressionError(token.span, expected: expected, found: Self.describe(token))
  }

  static func describe(_ token: Token) -> String {
    switch token.kind {
    case .word(let word): word
    case .quoted(let name): "\"\(name)\""
    case .string(let text): "the string '\(text.prefix(40))'"
    case .integer(let digits): digits
    case .decimal(let value): "\(value)"
    case .symbol(let symbol): symbol
    case .end: "the end of the text"
    }
  }

  // MARK: Operators

  /// An expression whose operators bind at least as strongly as `weakest`.
  mutating func expression(_ weakest: Level) throws(ExpressionError) -> Syntax {
    nesting += 1
    defer { nesting -= 1 }
    guard nesting <= Limits.maxExpressionDepth else { throw Syntax.tooDeep(token.span) }
    var left = try prefixed()
    while let level = operatorLevel(), level >= weakest {
      left = try infix(left, level)
    }
    return left
  }

  /// NOT, signs, or a primary expression.
  private mutating func prefixed() throws(ExpressionError) -> Syntax {
    let start = token.span
    if isKeyword("NOT") {
      advance()
      let operand = try expression(.is)
      return try Syntax(.not, start.through(previous), [operand])
    }
    if isSymbol("-") {
      advance()
      if case .integer(let digits) = token.kind, !isSymbol("::", ahead: 1) {
        guard let value = Int64("-" + digits) else { throw Self.tooLarge("-" + digits, start.through(token.span)) }
        advance()
        return try Syntax(.literal(.int(value)), start.through(previous))
      }
      let operand = try expression(.sign)
      return try Syntax(.negation, start.through(previous), [operand])
    }
    if isSymbol("+") {
      advance()
      return try expression(.sign)
    }
    return try primary()
  }

  static func tooLarge(_ digits: String, _ span: TextSpan) -> ExpressionError {
    ExpressionError(
      span, expected: "an integer within 64 bits (write \(digits).0 for a DOUBLE)", found: String(digits.prefix(40)))
  }

  private func operatorLevel() -> Level? {
    switch token.kind {
    case .symbol(let symbol):
      switch symbol {
      case "=", "==", "<>", "!=", "<", "<=", ">", ">=": .comparison
      case "||": .concatenation
      case "+", "-": .sum
      case "*", "/", "//", "%": .product
      case "::": .cast
      default: nil
      }
    case .word(let word):
      switch word.uppercased() {
      case "OR": .or
      case "AND": .and
      case "IS": .is
      case "IN", "BETWEEN", "LIKE", "ILIKE", "NOT": .membership
      default: nil
      }
    default: nil
    }
  }

  private mutating func infix(_ left: Syntax, _ level: Level) throws(ExpressionError) -> Syntax {
    switch level {
    case .or: return try logical(left, "OR", .or, tighter: .and)
    case .and: return try logical(left, "AND", .and, tighter: .not)
    case .is: return try isTest(left)
    case .comparison: return try comparison(left)
    case .membership:
      let result = try membership(left)
      // A list is closed by its parenthesis; what ends in an operand does not chain.
      if case .inList = result.kind { return result }
      if operatorLevel() == .membership {
        throw unexpected("AND, OR or the end (BETWEEN and LIKE do not chain: use parentheses)")
      }
      return result
    case .cast:
      advance()
      let type = try typeName()
      return try Syntax(.cast(type, isTry: false), left.span.through(previous), [left])
    default: return try binary(left, level)
    }
  }

  private mutating func logical(
    _ left: Syntax, _ word: String, _ kind: Syntax.Kind, tighter: Level
  ) throws(ExpressionError) -> Syntax {
    // A chain is one node, so that its length is not depth.
    var operands = [left]
    while accept(word) { operands.append(try expression(tighter)) }
    return try Syntax(kind, left.span.through(previous), operands)
  }

  private mutating func binary(_ left: Syntax, _ level: Level) throws(ExpressionError) -> Syntax {
    guard case .symbol(let symbol) = token.kind else { throw unexpected("an operator") }
    advance()
    guard let tighter = Level(rawValue: level.rawValue + 1) else { throw unexpected("an operator") }
    let right = try expression(tighter)
    let span = left.span.through(right.span)
    if symbol == "||" { return try Syntax(.concatenation, span, [left, right]) }
    guard let operation = Arithmetic(rawValue: symbol) else { throw unexpected("an operator") }
    return try Syntax(.arithmetic(operation), span, [left, right])
  }

  private mutating func comparison(_ left: Syntax) throws(ExpressionError) -> Syntax {
    guard case .symbol(let symbol) = token.kind else { throw unexpected("a comparison") }
    let normal = ["==": "=", "!=": "<>"][symbol] ?? symbol
    guard let operation = Comparison(rawValue: normal) else { throw unexpected("a comparison") }
    advance()
    let right = try expression(.membership)
    if operatorLevel() == .comparison {
      throw ExpressionError(
        token.span, expected: "AND, OR or the end (comparisons do not chain: write a < b AND b < c)",
        found: Self.describe(token))
    }
    return try Syntax(.comparison(operation), left.span.through(right.span), [left, right])
  }

  private mutating func isTest(_ left: Syntax) throws(ExpressionError) -> Syntax {
    advance()
    let negated = accept("NOT")
    if accept("NULL") { return try Syntax(.isNull(negated: negated), left.span.through(previous), [left]) }
    for truth in [true, false] where accept(truth ? "TRUE" : "FALSE") {
      return try Syntax(.isTruth(truth, negated: negated), left.span.through(previous), [left])
    }
    guard accept("DISTINCT") else { throw unexpected("NULL, TRUE, FALSE or DISTINCT FROM") }
    try expect("FROM")
    let right = try expression(.comparison)
    if operatorLevel() == .is {
      throw unexpected("AND, OR or the end (IS DISTINCT FROM does not chain: use parentheses)")
    }
    return try Syntax(.distinctFrom(negated: negated), left.span.through(right.span), [left, right])
  }

  private mutating func membership(_ left: Syntax) throws(ExpressionError) -> Syntax {
    let negated = accept("NOT")
    if accept("IN") {
      try expect(symbol: "(", "( and a list of values")
      var children = [left]
      repeat { children.append(try expression(.or)) } while accept(symbol: ",")
      try expect(symbol: ")", ", or )")
      return try Syntax(.inList(negated: negated), left.span.through(previous), children)
    }
    if accept("BETWEEN") {
      if isKeyword("NOT") { throw unexpected("a value, or NOT in parentheses") }
      let low = try expression(.concatenation)
      try expect("AND")
      let high = try expression(.concatenation)
      return try Syntax(.between(negated: negated), left.span.through(high.span), [left, low, high])
    }
    let ignoringCase = isKeyword("ILIKE")
    guard accept("LIKE") || accept("ILIKE") else { throw unexpected("IN, BETWEEN, LIKE or ILIKE") }
    let pattern = try expression(.concatenation)
    var escape: UInt8?
    if accept("ESCAPE") {
      guard case .string(let text) = token.kind, text.utf8.count == 1, let byte = text.utf8.first, byte < 0x80 else {
        throw unexpected("a string of one ASCII character")
      }
      escape = byte
      advance()
    }
    return try Syntax(
      .like(negated: negated, ignoringCase: ignoringCase, escape: escape), left.span.through(previous),
      [left, pattern])
  }
}
