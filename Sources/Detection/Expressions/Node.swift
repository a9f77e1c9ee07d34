// The typed tree. Every widening is explicit, so a node's children have exactly the types its operation wants, and the
// tree means the same in every dialect it is printed for. Immutable; depth is bounded by the untyped tree it came from.

/// One node of the typed tree.
struct Node: Sendable {
  let operation: Operation
  let type: ValueType
  let children: [Node]

  init(_ operation: Operation, _ type: ValueType, _ children: [Node] = []) {
    self.operation = operation
    self.type = type
    self.children = children
  }

  /// A constant of a type; `.null` has any.
  static func constant(_ value: Scalar, _ type: ValueType) -> Node { Node(.constant(value), type) }

  /// The value, when the node is a constant.
  var constant: Scalar? {
    if case .constant(let value) = operation { return value }
    return nil
  }

  /// Columns the tree reads.
  func collectColumns(into columns: inout Set<Int>) {
    if case .column(let index) = operation { columns.insert(index) }
    for child in children { child.collectColumns(into: &columns) }
  }
}

/// What a node does with its children.
enum Operation: Sendable {
  case constant(Scalar)
  case column(Int)
  /// BIGINT to DOUBLE.
  case widen
  case arithmetic(Arithmetic)
  case negate
  case compare(Comparison)
  /// IS DISTINCT FROM; negated: IS NOT DISTINCT FROM.
  case distinctFrom(negated: Bool)
  case and
  case or
  case not
  case isNull(negated: Bool)
  /// IS TRUE and its relatives.
  case isTruth(Bool, negated: Bool)
  /// IN over constants.
  case inSet(ConstantSet)
  /// IN over expressions: the value, then the list.
  case inList
  /// The value, the lower and the upper bound.
  case between
  case like(LikePattern)
  /// LIKE with a pattern that is not a constant, without ESCAPE: the value, the pattern.
  case likeDynamic(ignoringCase: Bool)
  /// Condition and value in turn, then the ELSE value.
  case searchedCase
  /// Operand, then candidate and value in turn, then the ELSE value.
  case simpleCase
  case coalesce
  case nullIf
  case greatest
  case least
  case cast(isTry: Bool)
  /// `||`: NULL where an operand is.
  case concatenate
  case call(ScalarFunction)
  case roundDigits(Int)
  case datePart(TimeUnit)
  case dateTrunc(TimeUnit)
  case dateDiff(TimeUnit)
}

/// Parts of a timestamp.
enum TimeUnit: String, Sendable, Hashable, CaseIterable {
  case year, quarter, month, week, day, dayofyear, dayofweek, isodow, hour, minute, second

  /// Units that `date_trunc` and `date_diff` know.
  static let divisions: [TimeUnit] = [.year, .quarter, .month, .week, .day, .hour, .minute, .second]
}

/// The constants of an IN list, ready to be searched. Sorted and without duplicates or NULL.
struct ConstantSet: Sendable {
  enum Values: Sendable {
    case ints([Int64])
    /// Ordered as SQL orders: -0 is 0, NaN last.
    case doubles([Double])
    case strings([[UInt8]])
    case bools(hasFalse: Bool, hasTrue: Bool)
  }

  let values: Values
  /// Whether NULL stood in the list: a value that is not in it is then neither in nor out.
  let hasNull: Bool
  /// As written, for printing.
  let scalars: [Scalar]

  init(_ scalars: [Scalar], type: ValueType) {
    self.scalars = scalars
    hasNull = scalars.contains(.null)
    let known = scalars.filter { $0 != .null }
    switch type {
    case .int, .timestamp: values = .ints(Set(known.map(\.integer)).sorted())
    case .double: values = .doubles(known.map { DoubleOrder.canonical($0.number) }.sorted(by: DoubleOrder.less))
    case .string:
      values = .strings(Set(known.map { Array($0.text.utf8) }).sorted { $0.lexicographicallyPrecedes($1) })
    case .bool: values = .bools(hasFalse: known.contains(.bool(false)), hasTrue: known.contains(.bool(true)))
    }
  }
}

extension Scalar {
  /// The 64 bits of an integer or timestamp; a type-checked tree never asks another one.
  var integer: Int64 {
    switch self {
    case .int(let value), .timestamp(let value): return value
    default: preconditionFailure("not an integer: the typed tree is wrong")
    }
  }

  var number: Double {
    if case .double(let value) = self { return value }
    preconditionFailure("not a DOUBLE: the typed tree is wrong")
  }

  var text: String {
    if case .string(let value) = self { return value }
    preconditionFailure("not a VARCHAR: the typed tree is wrong")
  }

  var truth: Bool {
    if case .bool(let value) = self { return value }
    preconditionFailure("not a BOOLEAN: the typed tree is wrong")
  }
}

/// SQL's order of doubles: NaN equals NaN and is above everything, -0 equals 0.
enum DoubleOrder {
  @inline(__always)
  static func equal(_ a: Double, _ b: Double) -> Bool { a == b || (a != a && b != b) }

  @inline(__always)
  static func less(_ a: Double, _ b: Double) -> Bool { a < b || (b != b && a == a) }

  /// One representative of equal values.
  @inline(__always)
  static func canonical(_ value: Double) -> Double { value != value ? .nan : value + 0 }
}
