// What differs in Spark SQL (4.0 or newer, session time zone UTC). A meaning that Spark has no equal of is refused, so
// that a backtest on a cluster does not silently count something else, with two exceptions, which `docs/expressions.md`
// lists: `lower` and `upper` of letters whose other case has several characters, and the sign of -0 divided into infinity.

extension SQLPrinter {
  /// The text for a node that Spark says differently; nil where the common text does.
  func spark(_ node: Node, _ operands: [String]) throws -> String? {
    let first = operands.first ?? ""
    switch node.operation {
    case .arithmetic(let operation): return sparkArithmetic(operation, node.type, first, operands[1])
    case .negate where node.type == .int: return "try_subtract(0L, \(first))"
    case .negate: return "(\(first) * (-1.0e0D))"
    case .distinctFrom(let negated): return "(\(negated ? "" : "NOT ")(\(first) <=> \(operands[1])))"
    case .cast: return try sparkCast(node, first)
    case .concatenate: return call("concat", operands)
    case .call(let function): return try sparkCall(function, node, operands)
    case .roundDigits: throw refuse("round(DOUBLE, n): it rounds the decimal representation of the number")
    case .likeDynamic: throw refuse("LIKE with a pattern that is not a constant: backslashes escape there")
    case .datePart(let unit): return sparkPart(unit, first)
    case .dateTrunc(let unit): return "date_trunc('\(unit.rawValue.uppercased())', \(first))"
    case .dateDiff(let unit): return sparkDifference(unit, first, operands[1])
    default: return nil
    }
  }

  private func sparkArithmetic(_ operation: Arithmetic, _ type: ValueType, _ a: String, _ b: String) -> String {
    switch (operation, type) {
    case (.add, .int): return "try_add(\(a), \(b))"
    case (.subtract, .int): return "try_subtract(\(a), \(b))"
    case (.multiply, .int): return "try_multiply(\(a), \(b))"
    case (.integerDivide, _):
      // Dividing by -1 is the only division that overflows.
      return "(CASE WHEN \(b) = -1L THEN try_subtract(0L, \(a)) ELSE \(a) div nullif(\(b), 0L) END)"
    case (.remainder, .int):
      return
        "(CASE WHEN \(b) = -1L THEN nullif(\(a), \(literal(.int(.min), .int))) * 0L ELSE \(a) % nullif(\(b), 0L) END)"
    case (.divide, _):
      // Spark gives NULL for a divisor of zero; the product with ±infinity is what IEEE 754 division gives.
      return "coalesce(try_divide(\(a), \(b)), \(a) * pow(\(b), -1.0e0D))"
    case (.remainder, _):
      return "coalesce(\(a) % nullif(\(b), 0.0e0D), \(a) * \(b) * double('NaN'))"
    default: return "(\(a) \(operation.rawValue) \(b))"
    }
  }

  private func sparkCast(_ node: Node, _ operand: String) throws -> String {
    switch (node.children[0].type, node.type) {
    case (.double, .string): throw refuse("CAST(DOUBLE AS VARCHAR): it writes numbers differently")
    case (.double, .int):
      // A cast truncates in Spark; rint rounds halves to the even one.
      return "try_cast((CASE WHEN isnan(\(operand)) THEN NULL ELSE rint(\(operand)) END) AS BIGINT)"
    case (.string, .int): throw refuse("CAST(VARCHAR AS BIGINT): it cuts fractions off")
    case (.string, .timestamp): throw refuse("CAST(VARCHAR AS TIMESTAMP): it accepts other texts")
    case (.string, .double): throw refuse("CAST(VARCHAR AS DOUBLE): it accepts other texts")
    case (.string, .bool):
      return "(CASE WHEN lower(\(operand)) IN ('true', 't', 'yes', 'y', '1') THEN TRUE "
        + "WHEN lower(\(operand)) IN ('false', 'f', 'no', 'n', '0') THEN FALSE END)"
    case (.double, .bool): return "(\(operand) <> 0.0e0D)"
    default: return "CAST(\(operand) AS \(name(of: node.type)))"
    }
  }

  private func sparkCall(_ function: ScalarFunction, _ node: Node, _ operands: [String]) throws -> String? {
    let first = operands.first ?? ""
    switch function {
    case .abs where node.type == .int:
      return "(CASE WHEN \(first) < 0L THEN try_subtract(0L, \(first)) ELSE \(first) END)"
    case .ceil, .floor: return sparkWhole(function, first)
    case .round where node.type == .int, .trunc where node.type == .int: return first
    case .round, .trunc: return sparkWhole(function, first)
    case .sign: return "CAST(sign(nanvl(CAST(\(first) AS DOUBLE), 0.0e0D)) AS BIGINT)"
    case .isFinite: return "(NOT isnan(\(first)) AND abs(\(first)) <> double('Infinity'))"
    case .isInfinite: return "(abs(\(first)) = double('Infinity'))"
    case .isNaN: return "(CASE WHEN \(first) IS NOT NULL THEN isnan(\(first)) END)"
    case .asin: return "(CASE WHEN isnan(\(first)) OR \(first) BETWEEN -1.0e0D AND 1.0e0D THEN asin(\(first)) END)"
    case .sin, .cos:
      return "(CASE WHEN abs(\(first)) <> double('Infinity') THEN \(Self.name(of: function))(\(first)) END)"
    case .sqrt: return "(CASE WHEN \(first) >= 0.0e0D THEN sqrt(\(first)) END)"
    case .ln, .log10, .log2: return "(CASE WHEN \(first) > 0.0e0D THEN \(Self.name(of: function))(\(first)) END)"
    case .concat: return "concat_ws('', \(operands.joined(separator: ", ")))"
    case .startsWith: return call("startswith", operands)
    case .endsWith: return call("endswith", operands)
    case .strpos: return "CAST(instr(\(operands.joined(separator: ", "))) AS BIGINT)"
    case .length: return "CAST(char_length(\(first)) AS BIGINT)"
    case .left, .right, .substring: return try sparkPiece(function, node, operands)
    case .trim, .leftTrim, .rightTrim: return try sparkTrim(function, node, operands)
    case .epoch: return "(unix_micros(\(first)) / 1000000.0e0D)"
    case .epochMilliseconds: return "(unix_micros(\(first)) div 1000L)"
    case .epochMicroseconds: return "unix_micros(\(first))"
    case .makeTimestamp: return "timestamp_micros(\(first))"
    case .makeTimestampMilliseconds: return "timestamp_micros(try_multiply(\(first), 1000L))"
    default: return nil
    }
  }

  /// Spark's ceil, floor and round of a DOUBLE give integers or decimals; beyond 2^52 a DOUBLE is whole already.
  private func sparkWhole(_ function: ScalarFunction, _ x: String) -> String {
    let whole =
      switch function {
      case .ceil: "CAST(ceil(\(x)) AS DOUBLE)"
      case .floor: "CAST(floor(\(x)) AS DOUBLE)"
      case .trunc: "(CASE WHEN \(x) < 0.0e0D THEN CAST(ceil(\(x)) AS DOUBLE) ELSE CAST(floor(\(x)) AS DOUBLE) END)"
      default: "round(\(x))"
      }
    return "(CASE WHEN abs(\(x)) < 4503599627370496.0e0D THEN \(whole) ELSE \(x) END)"
  }

  private func sparkPiece(_ function: ScalarFunction, _ node: Node, _ operands: [String]) throws -> String {
    let numbers = node.children.dropFirst().map { $0.constant }
    let least: Int64 = function == .substring ? 1 : 0
    for (index, number) in numbers.enumerated() {
      guard case .int(let value)? = number, value >= (index == 0 ? least : 0), value <= Int64(Int32.max) else {
        throw refuse("\(Self.name(of: function)) unless its places and counts are constants and positive")
      }
    }
    let counts = operands.dropFirst().map { "CAST(\($0) AS INT)" }
    return call(Self.name(of: function), [operands[0]] + counts)
  }

  private func sparkTrim(_ function: ScalarFunction, _ node: Node, _ operands: [String]) throws -> String {
    let side = function == .trim ? "BOTH" : function == .leftTrim ? "LEADING" : "TRAILING"
    // Without characters ours takes every Unicode space separator.
    let spaces =
      "\u{20}\u{A0}\u{1680}\u{2000}\u{2001}\u{2002}\u{2003}\u{2004}\u{2005}\u{2006}\u{2007}\u{2008}\u{2009}"
      + "\u{200A}\u{202F}\u{205F}\u{3000}"
    return "trim(\(side) \(operands.count > 1 ? operands[1] : quoted(spaces)) FROM \(operands[0]))"
  }

  private func sparkPart(_ unit: TimeUnit, _ operand: String) -> String {
    let value =
      switch unit {
      case .dayofweek: "dayofweek(\(operand)) - 1"
      case .isodow: "weekday(\(operand)) + 1"
      case .week: "weekofyear(\(operand))"
      default: "\(unit.rawValue)(\(operand))"
      }
    return "CAST(\(value) AS BIGINT)"
  }

  /// Spark counts whole units between timestamps, we count boundaries: those between the beginnings of their units.
  private func sparkDifference(_ unit: TimeUnit, _ a: String, _ b: String) -> String {
    let name = unit == .week ? "DAY" : unit.rawValue.uppercased()
    let count = "timestampdiff(\(name), date_trunc('\(name)', \(a)), date_trunc('\(name)', \(b)))"
    return unit == .week ? "(\(count) div 7L)" : count
  }
}
