// The typed tree as SQL text. Every operation is in parentheses, literals carry their type, and where a dialect fails
// or differs the text is written so that it gives what the engine gives: NULL instead of an error.

/// The dialects an expression can be printed for.
public enum SQLDialect: String, Sendable, CaseIterable {
  /// Our own language.
  case pulse
  /// DuckDB 1.5 or newer, with `TimeZone=UTC` and otherwise default settings.
  case duckDB
  /// Spark 4.0 or newer, with `spark.sql.session.timeZone=UTC`; whether ANSI mode is on does not matter.
  case spark
}

/// Why an expression cannot be printed for a dialect.
public struct SQLPrintingError: Error, Sendable, Hashable, CustomStringConvertible {
  /// One sentence.
  public let description: String
}

/// Prints trees for one dialect.
struct SQLPrinter {
  let dialect: SQLDialect
  let scope: Scope

  /// Dialects repeat an operand here and there; beyond this length the text would be of no use.
  private static let longest = 1 << 20

  /// The whole expression.
  func text(of node: Node) throws -> String {
    let text = try print(node)
    guard text.utf8.count <= Self.longest else { throw tooLong() }
    return text
  }

  /// In our own language, without the outermost parentheses: the name of an aggregate's argument.
  func canonical(_ node: Node) -> String {
    precondition(dialect == .pulse, "only our own language has a canonical text")
    guard let text = try? print(node) else { preconditionFailure("our own language says everything") }
    return Self.isWrapped(text) ? String(text.dropFirst().dropLast()) : text
  }

  /// Whether the first parenthesis is closed by the last character.
  private static func isWrapped(_ text: String) -> Bool {
    guard text.first == "(", text.last == ")" else { return false }
    var depth = 0
    var quote: Character?
    for (index, character) in text.enumerated() {
      if let open = quote {
        if character == open { quote = nil }
      } else if character == "'" || character == "\"" {
        quote = character
      } else if character == "(" {
        depth += 1
      } else if character == ")" {
        depth -= 1
        if depth == 0, index < text.count - 1 { return false }
      }
    }
    return true
  }

  private func tooLong() -> SQLPrintingError {
    SQLPrintingError(description: "the expression is longer than \(Self.longest) bytes in \(dialect.rawValue)")
  }

  func refuse(_ what: String) -> SQLPrintingError {
    SQLPrintingError(description: "\(dialect.rawValue) has no equal of \(what)")
  }

  /// One node and what is below it.
  func print(_ node: Node) throws -> String {
    var operands: [String] = []
    for child in node.children { operands.append(try print(child)) }
    guard operands.reduce(0, { $0 + $1.utf8.count }) <= Self.longest else { throw tooLong() }
    if dialect == .spark, let text = try spark(node, operands) { return text }
    if dialect == .duckDB, let text = duckDB(node, operands) { return text }
    return try common(node, operands)
  }

  // MARK: Literals and names

  func literal(_ value: Scalar, _ type: ValueType) -> String {
    switch value {
    case .null: return "CAST(NULL AS \(name(of: type)))"
    case .bool(let value): return value ? "TRUE" : "FALSE"
    case .string(let value): return quoted(value)
    case .timestamp(let value): return timestamp(value)
    case .int(let value):
      if dialect == .pulse { return String(value) }
      // Without a cast small numbers would be 32 bits wide; the smallest has no literal in Spark.
      if dialect == .spark { return value == .min ? "(-9223372036854775807L - 1L)" : "\(value)L" }
      return "CAST(\(value) AS BIGINT)"
    case .double(let value):
      if !value.isFinite { return "CAST('\(CastKernels.format(value))' AS DOUBLE)" }
      // Always with an exponent: without one DuckDB and Spark read a DECIMAL.
      let text = value.description
      let exponential = text.contains("e") ? text : text + "e0"
      if dialect == .pulse { return exponential }
      return dialect == .spark ? "(\(exponential)D)" : "CAST('\(exponential)' AS DOUBLE)"
    }
  }

  private func timestamp(_ value: Int64) -> String {
    switch dialect {
    case .spark: return "timestamp_micros(\(value)L)"
    case .duckDB: return "make_timestamp(CAST(\(value) AS BIGINT))"
    case .pulse:
      // Years that the literal cannot say are given by their number.
      let text = TimestampText.format(value)
      let isPlain = text.utf8.first { $0 == UInt8(ascii: "(") } == nil && text.prefix(5).last == "-"
      return isPlain ? "TIMESTAMP '\(text)'" : "make_timestamp(\(value))"
    }
  }

  /// A string in quotes.
  func quoted(_ text: String) -> String {
    var result = "'"
    for scalar in text.unicodeScalars {
      switch scalar {
      case "'": result += dialect == .spark ? "\\'" : "''"
      case "\\" where dialect == .spark: result += "\\\\"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "'"
  }

  func column(_ index: Int) -> String {
    let name = scope.columns[index].name
    switch dialect {
    case .spark: return "`\(name.split(separator: "`", omittingEmptySubsequences: false).joined(separator: "``"))`"
    case .duckDB: return Self.quotedName(name)
    case .pulse: return Self.isPlainName(name) ? name : Self.quotedName(name)
    }
  }

  private static func quotedName(_ name: String) -> String {
    "\"\(name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\""))\""
  }

  /// Whether the lexer and parser read the name as one column without quotes; an aggregate's canonical text too.
  private static func isPlainName(_ name: String) -> Bool {
    if case .name(name)? = try? Parser.parse(name).kind { return true }
    if case .call? = try? Parser.parse(name).kind { return true }
    return false
  }

  func name(of type: ValueType) -> String {
    if dialect == .spark, type == .string { return "STRING" }
    return type.sqlName
  }

  // MARK: What all dialects share

  private func common(_ node: Node, _ operands: [String]) throws -> String {
    let first = operands.first ?? ""
    switch node.operation {
    case .constant(let value): return literal(value, node.type)
    case .column(let index): return column(index)
    case .widen: return "CAST(\(first) AS DOUBLE)"
    case .arithmetic(let operation): return "(\(first) \(operation.rawValue) \(operands[1]))"
    case .negate: return "(- \(first))"
    case .compare(let comparison): return "(\(first) \(comparison.rawValue) \(operands[1]))"
    case .distinctFrom(let negated): return "(\(first) IS \(negated ? "NOT " : "")DISTINCT FROM \(operands[1]))"
    case .and: return "(\(operands.joined(separator: " AND ")))"
    case .or: return "(\(operands.joined(separator: " OR ")))"
    case .not: return "(NOT \(first))"
    case .isNull(let negated): return "(\(first) IS \(negated ? "NOT " : "")NULL)"
    case .isTruth(let truth, let negated): return "(\(first) IS \(negated ? "NOT " : "")\(truth ? "TRUE" : "FALSE"))"
    case .inSet(let set):
      let items = set.scalars.map { literal($0, node.children[0].type) }
      return "(\(first) IN (\(items.joined(separator: ", "))))"
    case .inList: return "(\(first) IN (\(operands.dropFirst().joined(separator: ", "))))"
    case .between: return "(\(first) BETWEEN \(operands[1]) AND \(operands[2]))"
    case .like(let pattern): return try like(first, pattern)
    case .likeDynamic(let ignoringCase): return "(\(first) \(ignoringCase ? "ILIKE" : "LIKE") \(operands[1]))"
    case .searchedCase: return cases(operands[...], start: "CASE")
    case .simpleCase: return cases(operands.dropFirst(), start: "CASE \(first)")
    case .coalesce: return call("coalesce", operands)
    case .nullIf: return call("nullif", operands)
    case .greatest: return operands.count == 1 ? first : call("greatest", operands)
    case .least: return operands.count == 1 ? first : call("least", operands)
    case .cast(let isTry): return "\(isTry ? "TRY_CAST" : "CAST")(\(first) AS \(name(of: node.type)))"
    case .concatenate: return "(\(operands.joined(separator: " || ")))"
    case .call(let function): return call(Self.name(of: function), operands)
    case .roundDigits(let places): return "round(\(first), \(places))"
    case .datePart(let unit): return "\(unit.rawValue)(\(first))"
    case .dateTrunc(let unit): return "date_trunc('\(unit.rawValue)', \(first))"
    case .dateDiff(let unit): return "date_diff('\(unit.rawValue)', \(first), \(operands[1]))"
    }
  }

  func call(_ name: String, _ operands: [String]) -> String { "\(name)(\(operands.joined(separator: ", ")))" }

  private func cases(_ operands: ArraySlice<String>, start: String) -> String {
    var text = "(" + start
    let parts = Array(operands)
    for index in stride(from: 0, to: parts.count - 1, by: 2) {
      text += " WHEN \(parts[index]) THEN \(parts[index + 1])"
    }
    return text + " ELSE \(parts[parts.count - 1]) END)"
  }

  private func like(_ operand: String, _ pattern: LikePattern) throws -> String {
    var text = quoted(pattern.text)
    if let escape = pattern.escape {
      text += " ESCAPE \(quoted(String(UnicodeScalar(escape))))"
    } else if dialect == .spark, pattern.text.contains("\\") {
      throw refuse("LIKE without an escape character where the pattern has a backslash")
    }
    return "(\(operand) \(pattern.ignoresCase ? "ILIKE" : "LIKE") \(text))"
  }

  /// The name of the catalogue.
  static func name(of function: ScalarFunction) -> String {
    for entry in FunctionCatalog.all {
      for signature in entry.signatures {
        if case .function(function) = signature.implementation,
          entry.name != "epoch_ms" || function == .epochMilliseconds
        {
          return entry.name
        }
      }
    }
    return function == .makeTimestampMilliseconds ? "epoch_ms" : function.rawValue
  }
}

extension SQLPrinter {
  /// What DuckDB needs to be told so that it gives what the engine gives; nil where the common text does.
  func duckDB(_ node: Node, _ operands: [String]) -> String? {
    let first = operands.first ?? ""
    switch node.operation {
    case .arithmetic(let operation) where node.type == .int:
      return "TRY(\(first) \(operation.rawValue) \(operands[1]))"
    case .negate where node.type == .int: return "TRY(- \(first))"
    case .cast: return duckDBCast(node, first)
    // A NULL operand would make the result's type NULL.
    case .concatenate: return "CAST(\(operands.joined(separator: " || ")) AS VARCHAR)"
    // TRY keeps the optimiser from rewriting a comparison with it, which loses NULLs (seen in 1.5.6).
    case .dateTrunc(let unit): return "TRY(date_trunc('\(unit.rawValue)', \(first)))"
    case .call(let function): return duckDBCall(function, node, operands)
    default: return nil
    }
  }

  private func duckDBCast(_ node: Node, _ operand: String) -> String? {
    let text = "TRY_CAST(\(operand) AS \(node.type.sqlName))"
    switch (node.children[0].type, node.type) {
    case (.double, .string):
      // The sign of a NaN is not part of its value.
      return "replace(CAST(\(operand) AS VARCHAR), '-nan', 'nan')"
    case (.string, .int): return guarded(operand, "[\\t-\\r ]*[+-]?[0-9]+([.][0-9]*)?[\\t-\\r ]*", text)
    case (.string, .double):
      let number = "([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?"
      return guarded(operand, "[\\t-\\r ]*[+-]?(\(number)|(?i:inf|infinity|nan))[\\t-\\r ]*", text)
    case (.string, .timestamp):
      // DuckDB takes 24:00:00 for midnight of the next day, and ignores an offset.
      let time = "[T ]([01][0-9]|2[0-3]):[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?Z?"
      return guarded(operand, "[0-9]{4}-[0-9]{2}-[0-9]{2}(\(time))?", text)
    default: return text
    }
  }

  /// The cast where the text has the form that we accept, else NULL.
  private func guarded(_ operand: String, _ pattern: String, _ text: String) -> String {
    "(CASE WHEN regexp_full_match(\(operand), '\(pattern)') THEN \(text) END)"
  }

  private func duckDBCall(_ function: ScalarFunction, _ node: Node, _ operands: [String]) -> String? {
    let first = operands.first ?? ""
    switch function {
    case .abs where node.type == .int: return "TRY(abs(\(first)))"
    case .makeTimestamp, .makeTimestampMilliseconds:
      // TRY lets some values beyond the range pass as others.
      let (unit, name): (Int64, String) =
        function == .makeTimestamp ? (1, "make_timestamp") : (1000, "make_timestamp_ms")
      let range = "\(CivilTime.valid.lowerBound / unit) AND \(CivilTime.valid.upperBound / unit)"
      return "(CASE WHEN \(first) BETWEEN \(range) THEN \(name)(\(first)) END)"
    case .asin, .cos, .sin, .sqrt, .ln, .log10, .log2:
      return "TRY(\(call(Self.name(of: function), operands)))"
    case .sign: return "CAST(sign(\(first)) AS BIGINT)"
    case .left, .right, .substring:
      let bounded = operands.indices.dropFirst().map { index in
        let range = TextPieces.range(function, ofArgument: index)
        return "(CASE WHEN \(operands[index]) BETWEEN \(range.lowerBound) AND \(range.upperBound) "
          + "THEN \(operands[index]) END)"
      }
      if function == .substring { return duckDBSubstring(first, node, bounded) }
      return call(Self.name(of: function), [first] + bounded)
    default: return nil
    }
  }

  /// DuckDB counts places before the first character only where it does not know all texts to be ASCII, so what such a
  /// place leaves is taken from the left.
  private func duckDBSubstring(_ text: String, _ node: Node, _ places: [String]) -> String {
    let plain = call("substring", [text] + places)
    if case .int(let place)? = node.children[1].constant, place >= 0 { return plain }
    let first = "length(\(text)) + \(places[0])"
    let count = places.count > 1 ? places[1] : "\(UInt32.max)"
    return "(CASE WHEN \(first) < 0 THEN left(\(text), greatest(\(first), - \(count)) + \(count)) ELSE \(plain) END)"
  }
}
