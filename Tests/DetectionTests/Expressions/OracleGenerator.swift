// Random well-typed expressions. They are trees of text, so that a failing one can be shrunk: a piece is replaced by a
// smaller one of the same type for as long as the difference remains. Calls are made from the catalogue, so a new
// function is compared with DuckDB as soon as it is in it.

import Detection
import TestKit

/// A piece of expression: `parts[0] children[0] parts[1] …`.
struct Sample {
  var type: ValueType
  var parts: [String]
  var children: [Sample] = []

  var text: String {
    var text = parts[0]
    for (child, part) in zip(children, parts.dropFirst()) { text += child.text + part }
    return text
  }

  /// Number of pieces.
  var size: Int { children.reduce(1) { $0 + $1.size } }

  /// Everything one step smaller, the smallest first.
  func smaller() -> [Sample] {
    var results = children.filter { $0.type == type }
    if !children.isEmpty {
      results += OracleGenerator.simplest(type).map { Sample(type: type, parts: [$0]) }
      for (index, child) in children.enumerated() {
        for candidate in child.smaller() {
          var copy = self
          copy.children[index] = candidate
          results.append(copy)
        }
      }
    } else if let simplest = OracleGenerator.simplest(type).firstIndex(of: parts[0]) {
      results = OracleGenerator.simplest(type).prefix(simplest).map { Sample(type: type, parts: [$0]) }
    } else {
      results = OracleGenerator.simplest(type).map { Sample(type: type, parts: [$0]) }
    }
    return results
  }
}

/// Makes samples from a seed.
struct OracleGenerator {
  var random: SeededRandom

  init(seed: UInt64) { random = SeededRandom(seed: seed) }

  /// Leaves that a shrunk expression may end in.
  static func simplest(_ type: ValueType) -> [String] {
    OracleTable.names.filter { $0.type == type }.map(\.name) + ["CAST(NULL AS \(type.sqlName))"]
  }

  mutating func pick<T>(_ choices: [T]) -> T { choices[Int.random(in: 0..<choices.count, using: &random)] }

  mutating func chance(_ oneIn: Int) -> Bool { Int.random(in: 0..<oneIn, using: &random) == 0 }

  mutating func anyType() -> ValueType { pick(ValueType.allCases) }

  /// An expression of a type.
  mutating func sample(_ type: ValueType, depth: Int) -> Sample {
    if depth <= 0 || chance(6) { return leaf(type) }
    switch Int.random(in: 0..<10, using: &random) {
    case 0: return conditional(type, depth)
    case 1: return cast(to: type, depth)
    case 2, 3, 4, 5: return operators(type, depth) ?? call(type, depth)
    default: return call(type, depth)
    }
  }

  private mutating func leaf(_ type: ValueType) -> Sample {
    if chance(12) { return Sample(type: type, parts: ["CAST(NULL AS \(type.sqlName))"]) }
    if chance(3) { return Sample(type: type, parts: [literal(type)]) }
    return Sample(type: type, parts: [pick(OracleTable.names.filter { $0.type == type }.map(\.name))])
  }

  private mutating func literal(_ type: ValueType) -> String {
    switch type {
    case .int: return "\(chance(2) ? Int64.random(in: -9...9, using: &random) : pick(OracleTable.ints))"
    case .double:
      let value = pick(OracleTable.doubles)
      return value.isFinite ? "\(value)" : "CAST('\(value)' AS DOUBLE)"
    case .bool: return pick(["TRUE", "FALSE"])
    case .string: return OracleTable.literal(.string(pick(OracleTable.strings + OracleTable.numberTexts)))
    case .timestamp:
      return pick(["TIMESTAMP '2024-02-29 12:34:56.789'", "TIMESTAMP '1969-12-31T23:59:59'", "make_timestamp(-1)"])
    }
  }

  private mutating func conditional(_ type: ValueType, _ depth: Int) -> Sample {
    let inner = depth - 1
    if chance(2) {
      return Sample(
        type: type, parts: ["CASE WHEN ", " THEN ", " WHEN ", " THEN ", " ELSE ", " END"],
        children: [
          sample(.bool, depth: inner), sample(type, depth: inner), sample(.bool, depth: inner),
          sample(type, depth: inner), sample(type, depth: inner),
        ])
    }
    let operand = anyType()
    return Sample(
      type: type, parts: ["CASE ", " WHEN ", " THEN ", " END"],
      children: [sample(operand, depth: inner), sample(operand, depth: inner), sample(type, depth: inner)])
  }

  private mutating func cast(to type: ValueType, _ depth: Int) -> Sample {
    let sources: [ValueType] =
      switch type {
      case .int: [.double, .bool, .string]
      case .double: [.int, .bool, .string]
      case .bool: [.int, .double, .string]
      case .string: [.int, .double, .bool, .timestamp]
      case .timestamp: [.string]
      }
    let source = pick(sources)
    // Texts that look like numbers and times make casts worth comparing.
    let operand =
      source == .string && !chance(4) ? Sample(type: .string, parts: ["n"]) : sample(source, depth: depth - 1)
    let word = chance(2) ? "CAST" : "TRY_CAST"
    return Sample(type: type, parts: ["\(word)(", " AS \(type.sqlName))"], children: [operand])
  }

  /// An operator with a result of the type; nil when there is none.
  private mutating func operators(_ type: ValueType, _ depth: Int) -> Sample? {
    func infix(_ operation: String, _ operand: ValueType, _ generator: inout OracleGenerator) -> Sample {
      Sample(
        type: type, parts: ["(", " \(operation) ", ")"],
        children: [generator.sample(operand, depth: depth - 1), generator.sample(operand, depth: depth - 1)])
    }
    switch type {
    case .int:
      if chance(6) { return Sample(type: type, parts: ["(- ", ")"], children: [sample(.int, depth: depth - 1)]) }
      return infix(pick(["+", "-", "*", "//", "%"]), .int, &self)
    case .double:
      if chance(8) { return Sample(type: type, parts: ["(- ", ")"], children: [sample(.double, depth: depth - 1)]) }
      if chance(6) { return infix("/", .int, &self) }
      if chance(6) {
        return Sample(
          type: type, parts: ["(", pick([" + ", " * ", " % "]), ")"],
          children: [sample(.int, depth: depth - 1), sample(.double, depth: depth - 1)])
      }
      return infix(pick(["+", "-", "*", "/", "%"]), .double, &self)
    case .string: return infix("||", .string, &self)
    case .timestamp: return nil
    case .bool: return predicate(depth)
    }
  }

  private mutating func predicate(_ depth: Int) -> Sample {
    let inner = depth - 1
    let operand = anyType()
    switch Int.random(in: 0..<9, using: &random) {
    case 0: return Sample(type: .bool, parts: ["(NOT ", ")"], children: [sample(.bool, depth: inner)])
    case 1:
      return Sample(
        type: .bool, parts: ["(", pick([" AND ", " OR "]), pick([" AND ", " OR "]), ")"],
        children: (0..<3).map { _ in sample(.bool, depth: inner) })
    case 2:
      let test = pick([" IS NULL)", " IS NOT NULL)"])
      return Sample(type: .bool, parts: ["(", test], children: [sample(operand, depth: inner)])
    case 3:
      let test = pick([" IS TRUE)", " IS NOT TRUE)", " IS FALSE)", " IS NOT FALSE)"])
      return Sample(type: .bool, parts: ["(", test], children: [sample(.bool, depth: inner)])
    case 4:
      let not = pick(["", "NOT "])
      let items =
        chance(2)
        ? (0..<Int.random(in: 1...12, using: &random)).map { _ in leaf(operand) }
        : (0..<3).map { _ in sample(operand, depth: inner - 1) }
      return Sample(
        type: .bool, parts: ["(", " \(not)IN ("] + Array(repeating: ", ", count: items.count - 1) + ["))"],
        children: [sample(operand, depth: inner)] + items)
    case 5:
      return Sample(
        type: .bool, parts: ["(", pick([" BETWEEN ", " NOT BETWEEN "]), " AND ", ")"],
        children: (0..<3).map { _ in sample(operand, depth: inner) })
    case 6: return like(inner)
    default:
      let comparison = pick(["=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"])
      return Sample(
        type: .bool, parts: ["(", " \(comparison) ", ")"],
        children: [sample(operand, depth: inner), sample(operand, depth: inner)])
    }
  }

  private mutating func like(_ depth: Int) -> Sample {
    let word = pick([" LIKE ", " NOT LIKE ", " ILIKE "])
    if chance(5) {
      return Sample(
        type: .bool, parts: ["(", word, ")"], children: [sample(.string, depth: depth), sample(.string, depth: depth)])
    }
    let pattern = pick([
      "a%", "%a", "%b%", "a", "_", "__", "%_", "a_c", "%a%b%", "ä%", "%Ö%", "%", "", "_%_", "%语%", "%日%", "a!%b", "!_%",
      "%ab", "a%c", "%%b%%", "%é", "_ö_",
    ])
    let escape = word == " ILIKE " || !chance(3) ? "" : " ESCAPE '!'"
    return Sample(
      type: .bool, parts: ["(", "\(word)'\(pattern)'\(escape))"], children: [sample(.string, depth: depth)])
  }

  /// A call of a function of the catalogue with a result of the type.
  private mutating func call(_ type: ValueType, _ depth: Int) -> Sample {
    let choices = FunctionCatalog.all.filter { $0.kind == .scalar }.flatMap { function in
      function.signatures.filter { $0.result == nil || $0.result == type }.map { (function.name, $0) }
    }
    let (name, signature) = pick(choices)
    return call(name, signature, type, depth)
  }

  /// A call of one signature.
  mutating func call(
    _ name: String, _ signature: FunctionDescriptor.Signature, _ type: ValueType, _ depth: Int
  ) -> Sample {
    var parameters = signature.parameters
    if signature.isVariadic, let last = parameters.last {
      parameters += Array(repeating: last, count: Int.random(in: 0...2, using: &random))
    }
    var parts = ["\(name)("]
    var children: [Sample] = []
    for (index, parameter) in parameters.enumerated() {
      if index > 0 { parts[parts.count - 1] += ", " }
      switch parameter {
      case .value(let wanted): children.append(sample(wanted, depth: depth - 1))
      case .any: children.append(sample(signature.result == nil ? type : anyType(), depth: depth - 1))
      case .constant: parts[parts.count - 1] += "\(Int.random(in: -4...8, using: &random))"
      case .unit:
        var units = ["year", "quarter", "month", "week", "day", "hour", "minute", "second"]
        if name == "date_part" { units += ["dayofyear", "dayofweek", "isodow"] }
        parts[parts.count - 1] += "'\(pick(units))'"
      }
      switch parameter {
      case .value, .any: parts.append("")
      case .constant, .unit: break
      }
    }
    parts[parts.count - 1] += ")"
    return Sample(type: type, parts: parts, children: children)
  }

  /// A text of operators without parentheses, which may or may not be well typed.
  mutating func flat() -> String {
    let operands = ["i", "k", "b", "c", "s", "1", "2", "'1'", "TRUE", "NULL", "- i", "NOT b", "- 2", "NOT c"]
    let operators = [
      "+", "-", "*", "%", "//", "||", "=", "<>", "<", ">=", "AND", "OR", "AND", "OR", "IN", "BETWEEN", "LIKE", "IS",
      "NOT IN",
      "NOT BETWEEN", "DISTINCT",
    ]
    var text = pick(operands)
    for _ in 0..<Int.random(in: 1...5, using: &random) {
      let operation = pick(operators)
      switch operation {
      case "IN", "NOT IN": text += " \(operation) (\(pick(operands)), \(pick(operands)))"
      case "BETWEEN", "NOT BETWEEN": text += " \(operation) \(pick(operands)) AND \(pick(operands))"
      case "IS": text += pick([" IS NULL", " IS NOT NULL", " IS TRUE", " IS NOT FALSE"])
      case "DISTINCT": text += pick([" IS DISTINCT FROM ", " IS NOT DISTINCT FROM "]) + pick(operands)
      default: text += " \(operation) \(pick(operands))"
      }
    }
    return text
  }

  /// A deep expression with one call to find again.
  static let broken: Sample = {
    func leaf(_ type: ValueType, _ text: String) -> Sample { Sample(type: type, parts: [text]) }
    let call = Sample(
      type: .int, parts: ["strpos(", ", ", ")"],
      children: [Sample(type: .string, parts: ["upper(", ")"], children: [leaf(.string, "u")]), leaf(.string, "'ab'")])
    let sum = Sample(type: .int, parts: ["(", " + ", ")"], children: [leaf(.int, "7"), call])
    return Sample(
      type: .int, parts: ["CASE WHEN ", " THEN ", " ELSE ", " END"],
      children: [leaf(.bool, "b"), leaf(.int, "i"), sum])
  }()
}
