// The untyped tree a text is parsed into. Invariant: `depth` is at most `Limits.maxExpressionDepth`, so everything
// that walks it may recurse.

/// One node of the untyped tree.
struct Syntax: Sendable {
  /// What a node is; its operands are the node's children.
  enum Kind: Sendable, Hashable {
    case literal(Scalar)
    case name(String)
    /// A function or aggregate; `star` for `count(*)`, `distinct` for `count(DISTINCT x)`.
    case call(String, star: Bool, distinct: Bool)
    case arithmetic(Arithmetic)
    case concatenation
    case negation
    case comparison(Comparison)
    case distinctFrom(negated: Bool)
    case and
    case or
    case not
    case isNull(negated: Bool)
    case isTruth(Bool, negated: Bool)
    /// The value, then the list.
    case inList(negated: Bool)
    /// The value and its two bounds.
    case between(negated: Bool)
    /// The value and the pattern.
    case like(negated: Bool, ignoringCase: Bool, escape: UInt8?)
    /// Condition and value in turn, then the ELSE value.
    case searchedCase
    /// The operand, then candidate and value in turn, then the ELSE value.
    case simpleCase
    case cast(ValueType, isTry: Bool)
  }

  let kind: Kind
  let span: TextSpan
  let children: [Syntax]
  let depth: Int

  init(_ kind: Kind, _ span: TextSpan, _ children: [Syntax] = []) throws(ExpressionError) {
    self.kind = kind
    self.span = span
    self.children = children
    depth = 1 + (children.lazy.map(\.depth).max() ?? 0)
    guard depth <= Limits.maxExpressionDepth else { throw Self.tooDeep(span) }
  }

  static func tooDeep(_ span: TextSpan) -> ExpressionError {
    ExpressionError(
      span, expected: "at most \(Limits.maxExpressionDepth) levels of nesting", found: "an expression that is deeper")
  }
}

/// The arithmetic operators.
enum Arithmetic: String, Sendable, Hashable, CaseIterable {
  case add = "+"
  case subtract = "-"
  case multiply = "*"
  case divide = "/"
  case integerDivide = "//"
  case remainder = "%"
}

/// The comparison operators.
enum Comparison: String, Sendable, Hashable, CaseIterable {
  case equal = "="
  case notEqual = "<>"
  case less = "<"
  case lessOrEqual = "<="
  case greater = ">"
  case greaterOrEqual = ">="

  /// The operator with its operands exchanged.
  var mirrored: Comparison {
    switch self {
    case .equal, .notEqual: self
    case .less: .greater
    case .lessOrEqual: .greaterOrEqual
    case .greater: .less
    case .greaterOrEqual: .lessOrEqual
    }
  }
}

extension ValueType {
  /// The SQL name of the type.
  public var sqlName: String {
    switch self {
    case .int: "BIGINT"
    case .double: "DOUBLE"
    case .bool: "BOOLEAN"
    case .string: "VARCHAR"
    case .timestamp: "TIMESTAMP"
    }
  }

  /// The type with this SQL name, in any case; common synonyms included.
  init?(sqlName: String) {
    switch sqlName.lowercased() {
    case "bigint", "int8", "long": self = .int
    case "double", "float8": self = .double
    case "boolean", "bool": self = .bool
    case "varchar", "text", "string": self = .string
    case "timestamp": self = .timestamp
    default: return nil
    }
  }
}
