// Reads the text of a formula: recursive descent over a list of tokens, types checked on the way. The grammar is the
// one of SQL scalar expressions, so that who writes `pipeline.yaml` can write `simulation.yaml`.

import Detection

/// A mistake in a formula, with the offset of the offending byte in its text.
struct FormulaError: Error {
  var message: String
  var offset: Int
}

/// What a formula may refer to.
protocol FormulaScope {
  /// Slot and type of a value by its name.
  func value(named name: String) -> (slot: Int, type: SimulatedType)?
  /// Names to suggest from.
  var valueNames: [String] { get }
  /// The number that stands for a text.
  mutating func number(of text: String) -> Double
}

struct FormulaParser<Scope: FormulaScope> {
  typealias Typed = (formula: Formula, type: SimulatedType?)  // a nil type is NULL's: it fits everywhere

  private enum Token: Equatable {
    case number(Double)
    case text(String)
    case word(String)
    case symbol(String)
    case end
  }

  private var tokens: [(token: Token, offset: Int)] = []
  private var position = 0
  private var depth = 0
  private(set) var scope: Scope

  /// - Throws: `FormulaError` for text that is not made of SQL's tokens.
  init(_ text: String, scope: Scope) throws(FormulaError) {
    self.scope = scope
    try tokenize(Array(text.utf8))
  }

  /// The whole text as one formula.
  mutating func parse() throws(FormulaError) -> (formula: Formula, type: SimulatedType) {
    let result = try disjunction()
    if peek != .end { throw error("expected an operator or the end of the expression, found \(describe(peek))") }
    return (result.formula, result.type ?? .number)
  }

  // MARK: Tokens

  private mutating func tokenize(_ bytes: [UInt8]) throws(FormulaError) {
    func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }
    func isLetter(_ byte: UInt8) -> Bool { byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A || byte == 0x5F }
    var at = 0
    while at < bytes.count {
      let start = at
      let byte = bytes[at]
      if byte == 0x20 || byte == 0x0A || byte == 0x09 || byte == 0x0D {
        at += 1
        continue
      }
      if isDigit(byte) || byte == 0x2E {
        while at < bytes.count,
          isDigit(bytes[at]) || bytes[at] == 0x2E || bytes[at] | 0x20 == 0x65
            || (bytes[at] == 0x2B || bytes[at] == 0x2D) && bytes[at - 1] | 0x20 == 0x65
        {
          at += 1
        }
        let literal = String(decoding: bytes[start..<at], as: UTF8.self)
        guard let value = Double(literal) else {
          throw FormulaError(message: "'\(literal)' is not a number", offset: start)
        }
        tokens.append((.number(value), start))
      } else if isLetter(byte) {
        while at < bytes.count, isLetter(bytes[at]) || isDigit(bytes[at]) { at += 1 }
        tokens.append((.word(String(decoding: bytes[start..<at], as: UTF8.self)), start))
      } else if byte == 0x27 {
        tokens.append((.text(try quoted(bytes, &at)), start))
      } else {
        let pair = at + 1 < bytes.count ? String(decoding: bytes[at...at + 1], as: UTF8.self) : ""
        let symbol = ["<=", ">=", "<>", "!="].contains(pair) ? pair : String(decoding: [byte], as: UTF8.self)
        guard symbol.count == 2 || "+-*/%()<>=,".contains(symbol) else {
          throw FormulaError(message: "'\(symbol)' has no meaning in an expression", offset: at)
        }
        at += symbol.utf8.count
        tokens.append((.symbol(symbol == "!=" ? "<>" : symbol), start))
      }
    }
    tokens.append((.end, bytes.count))
  }

  private func quoted(_ bytes: [UInt8], _ at: inout Int) throws(FormulaError) -> String {
    let start = at
    var text: [UInt8] = []
    at += 1
    while at < bytes.count {
      if bytes[at] == 0x27 {
        if at + 1 < bytes.count, bytes[at + 1] == 0x27 {
          at += 1
        } else {
          at += 1
          return String(decoding: text, as: UTF8.self)
        }
      }
      text.append(bytes[at])
      at += 1
    }
    throw FormulaError(message: "the text that begins here has no closing quote", offset: start)
  }

  private var peek: Token { tokens[position].token }

  private mutating func take(_ symbol: String) -> Bool {
    guard peek == .symbol(symbol) else { return false }
    position += 1
    return true
  }

  private mutating func take(word: String) -> Bool {
    guard case .word(let found) = peek, found.lowercased() == word else { return false }
    position += 1
    return true
  }

  private mutating func expect(_ symbol: String) throws(FormulaError) {
    if !take(symbol) { throw error("expected '\(symbol)', found \(describe(peek))") }
  }

  private mutating func expect(word: String) throws(FormulaError) {
    if !take(word: word) { throw error("expected \(word.uppercased()), found \(describe(peek))") }
  }

  private func describe(_ token: Token) -> String {
    switch token {
    case .number(let value): "\(value)"
    case .text(let text): "'\(text)'"
    case .word(let word): "'\(word)'"
    case .symbol(let symbol): "'\(symbol)'"
    case .end: "the end"
    }
  }

  private func error(_ message: String) -> FormulaError {
    FormulaError(message: message, offset: tokens[position].offset)
  }

  // MARK: Grammar, loosest binding first

  private mutating func disjunction() throws(FormulaError) -> Typed {
    depth += 1
    defer { depth -= 1 }
    if depth > 100 { throw error("the expression is nested more than 100 deep") }
    var left = try conjunction()
    while true {
      let at = tokens[position].offset
      guard take(word: "or") else { return left }
      left = try binary(.or, left, try conjunction(), operands: .bool, result: .bool, at)
    }
  }

  private mutating func conjunction() throws(FormulaError) -> Typed {
    var left = try negation()
    while true {
      let at = tokens[position].offset
      guard take(word: "and") else { return left }
      left = try binary(.and, left, try negation(), operands: .bool, result: .bool, at)
    }
  }

  private mutating func negation() throws(FormulaError) -> Typed {
    let at = tokens[position].offset
    guard take(word: "not") else { return try comparison() }
    let operand = try comparison()
    try require(operand, .bool, at)
    return (.not(operand.formula), .bool)
  }

  private mutating func comparison() throws(FormulaError) -> Typed {
    let left = try sum()
    let at = tokens[position].offset
    if take(word: "is") {
      let negated = take(word: "not")
      try expect(word: "null")
      return (negated ? .not(.isNull(left.formula)) : .isNull(left.formula), .bool)
    }
    let negated = take(word: "not")
    if take(word: "in") {
      let member = try members(of: left, at)
      return (negated ? .not(member) : member, .bool)
    }
    if take(word: "between") {
      let low = try sum()
      try expect(word: "and")
      let high = try sum()
      let above = try compare(.lessOrEqual, low, left, at)
      let below = try compare(.lessOrEqual, left, high, at)
      let inside = Formula.binary(.and, above, below)
      return (negated ? .not(inside) : inside, .bool)
    }
    if negated { throw error("expected IN or BETWEEN after NOT, found \(describe(peek))") }
    if take("=") { return (try compare(.equal, left, try sum(), at), .bool) }
    if take("<>") { return (try compare(.notEqual, left, try sum(), at), .bool) }
    if take("<") { return (try compare(.less, left, try sum(), at), .bool) }
    if take("<=") { return (try compare(.lessOrEqual, left, try sum(), at), .bool) }
    if take(">") { return (try compare(.less, try sum(), left, at), .bool) }
    if take(">=") { return (try compare(.lessOrEqual, try sum(), left, at), .bool) }
    return left
  }

  private func compare(_ operation: Formula.Binary, _ a: Typed, _ b: Typed, _ at: Int) throws(FormulaError) -> Formula {
    if let a = a.type, let b = b.type, a != b {
      throw FormulaError(message: "a \(a.rawValue) cannot be compared with a \(b.rawValue)", offset: at)
    }
    if a.type == .text, operation == .less || operation == .lessOrEqual {
      throw FormulaError(message: "texts can only be compared for equality", offset: at)
    }
    return .binary(operation, a.formula, b.formula)
  }

  private mutating func members(of operand: Typed, _ at: Int) throws(FormulaError) -> Formula {
    try expect("(")
    var values: [Double] = []
    repeat {
      let offset = tokens[position].offset
      let member = try sum()
      guard let value = member.formula.constant else {
        throw FormulaError(message: "the members of IN must be constants", offset: offset)
      }
      if let type = operand.type { try require(member, type, offset) }
      values.append(value)
    } while take(",")
    try expect(")")
    return .oneOf(operand.formula, values)
  }

  private mutating func sum() throws(FormulaError) -> Typed {
    var left = try product()
    while true {
      let at = tokens[position].offset
      if take("+") {
        left = try binary(.add, left, try product(), operands: .number, result: .number, at)
      } else if take("-") {
        left = try binary(.subtract, left, try product(), operands: .number, result: .number, at)
      } else {
        return left
      }
    }
  }

  private mutating func product() throws(FormulaError) -> Typed {
    var left = try sign()
    while true {
      let at = tokens[position].offset
      if take("*") {
        left = try binary(.multiply, left, try sign(), operands: .number, result: .number, at)
      } else if take("/") {
        left = try binary(.divide, left, try sign(), operands: .number, result: .number, at)
      } else if take("%") {
        left = try binary(.remainder, left, try sign(), operands: .number, result: .number, at)
      } else {
        return left
      }
    }
  }

  private mutating func sign() throws(FormulaError) -> Typed {
    let at = tokens[position].offset
    var negative = false
    while take("-") { negative.toggle() }
    let operand = try primary()
    guard negative else { return operand }
    try require(operand, .number, at)
    if let value = operand.formula.constant { return (.constant(-value), .number) }
    return (.binary(.subtract, .constant(0), operand.formula), .number)
  }

  private mutating func primary() throws(FormulaError) -> Typed {
    let (token, offset) = tokens[position]
    switch token {
    case .number(let value):
      position += 1
      return (.constant(value), .number)
    case .text(let text):
      position += 1
      return (.constant(scope.number(of: text)), .text)
    case .symbol("("):
      position += 1
      let inner = try disjunction()
      try expect(")")
      return inner
    case .word(let word):
      position += 1
      switch word.lowercased() {
      case "null": return (.constant(.nan), nil)
      case "true": return (.constant(1), .bool)
      case "false": return (.constant(0), .bool)
      case "case": return try cases()
      default:
        if take("(") { return try call(word, offset) }
        if let (slot, type) = scope.value(named: word) { return (.value(slot), type) }
        let near = nearest(to: word, among: scope.valueNames).map { "; did you mean '\($0)'?" } ?? ""
        throw FormulaError(message: "no value named '\(word)' is defined above\(near)", offset: offset)
      }
    case .symbol, .end:
      throw error("expected a value, found \(describe(token))")
    }
  }

  private mutating func cases() throws(FormulaError) -> Typed {
    var cases: [(condition: Formula, result: Formula)] = []
    var type: SimulatedType?
    while take(word: "when") {
      let conditionAt = tokens[position].offset
      let condition = try disjunction()
      try require(condition, .bool, conditionAt)
      try expect(word: "then")
      cases.append((condition.formula, try branch(&type)))
    }
    if cases.isEmpty { throw error("expected WHEN, found \(describe(peek))") }
    let otherwise = take(word: "else") ? try branch(&type) : .constant(.nan)
    try expect(word: "end")
    return (.cases(cases, otherwise: otherwise), type)
  }

  private mutating func branch(_ type: inout SimulatedType?) throws(FormulaError) -> Formula {
    let at = tokens[position].offset
    let result = try disjunction()
    if let type { try require(result, type, at) } else { type = result.type }
    return result.formula
  }

  private mutating func call(_ name: String, _ offset: Int) throws(FormulaError) -> Typed {
    guard let function = Formula.Function(rawValue: name.lowercased()) else {
      let known = Formula.Function.allCases.map(\.rawValue)
      let near = nearest(to: name, among: known).map { "; did you mean '\($0)'?" } ?? ""
      throw FormulaError(message: "there is no function '\(name)' in a simulation\(near)", offset: offset)
    }
    var arguments: [Formula] = []
    var type: SimulatedType? = function == .coalesce ? nil : .number
    repeat { arguments.append(try branch(&type)) } while take(",")
    try expect(")")
    let expected: ClosedRange<Int> =
      switch function {
      case .power: 2...2
      case .least, .greatest, .coalesce: 1...Int.max
      default: 1...1
      }
    guard expected.contains(arguments.count) else {
      let message = "\(function.rawValue) takes \(expected.lowerBound), not \(arguments.count) arguments"
      throw FormulaError(message: message, offset: offset)
    }
    return (.call(function, arguments), type)
  }

  private func binary(
    _ operation: Formula.Binary, _ a: Typed, _ b: Typed, operands: SimulatedType, result: SimulatedType, _ at: Int
  ) throws(FormulaError) -> Typed {
    try require(a, operands, at)
    try require(b, operands, at)
    return (.binary(operation, a.formula, b.formula), result)
  }

  private func require(_ operand: Typed, _ type: SimulatedType, _ at: Int) throws(FormulaError) {
    if let found = operand.type, found != type {
      throw FormulaError(message: "expected a \(type.rawValue), found a \(found.rawValue)", offset: at)
    }
  }
}
