// Expressions of a simulation: a small part of the SQL of `pipeline.yaml`, evaluated over blocks of events. They are kept
// apart from the product's expressions because a simulation must give the same bits on every machine: see
// `PortableMath`. Every value is a double: NaN is NULL, a boolean is 0 or 1, a text is the number of its entry in the
// definition's table of texts, so that comparing texts is comparing numbers.

/// Types of simulated values.
enum SimulatedType: String, Sendable { case number, text, bool }

/// An expression over the values of an event.
indirect enum Formula: Sendable {
  enum Binary: Sendable { case add, subtract, multiply, divide, remainder, equal, notEqual, less, lessOrEqual, and, or }
  enum Function: String, Sendable, CaseIterable {
    case abs, floor, ceil, round, sqrt, exp, ln, power, least, greatest, coalesce
  }

  case constant(Double)
  case value(Int)
  case not(Formula)
  case isNull(Formula)
  case binary(Binary, Formula, Formula)
  case oneOf(Formula, [Double])
  case cases([(condition: Formula, result: Formula)], otherwise: Formula)
  case call(Function, [Formula])

  /// The constant this formula is, if it is one.
  var constant: Double? { if case .constant(let value) = self { value } else { nil } }
}

/// The result of a formula for the rows of a block.
enum BlockValues: Sendable {
  case constant(Double)
  case rows([Double])

  @inline(__always)
  subscript(row: Int) -> Double {
    switch self {
    case .constant(let value): value
    case .rows(let values): values[row]
    }
  }

  /// The rows written out.
  func expanded(to count: Int) -> [Double] {
    switch self {
    case .constant(let value): [Double](repeating: value, count: count)
    case .rows(let values): values
    }
  }
}

extension Formula {
  /// Evaluates the formula for `count` rows; `columns` holds the values by slot.
  func evaluate(_ columns: [[Double]], count: Int) -> BlockValues {
    switch self {
    case .constant(let value): return .constant(value)
    case .value(let slot): return .rows(columns[slot])
    case .not(let operand):
      return operand.evaluate(columns, count: count).map(count) { $0 == 0 ? 1 : ($0 == 1 ? 0 : $0) }
    case .isNull(let operand): return operand.evaluate(columns, count: count).map(count) { $0.isNaN ? 1 : 0 }
    case .oneOf(let operand, let members):
      return operand.evaluate(columns, count: count).map(count) { value in
        value.isNaN ? value : (members.contains(value) ? 1 : 0)
      }
    case .binary(let operation, let a, let b):
      return Self.apply(operation, a.evaluate(columns, count: count), b.evaluate(columns, count: count), count)
    case .cases(let cases, let otherwise):
      // From the last case to the first, so that the first that holds has the last word.
      var result = otherwise.evaluate(columns, count: count).expanded(to: count)
      for (condition, value) in cases.reversed() {
        let holds = condition.evaluate(columns, count: count).expanded(to: count)
        switch value.evaluate(columns, count: count) {
        case .constant(let value): for row in 0..<count where holds[row] == 1 { result[row] = value }
        case .rows(let values): for row in 0..<count where holds[row] == 1 { result[row] = values[row] }
        }
      }
      return .rows(result)
    case .call(let function, let arguments):
      return Self.call(function, arguments.map { $0.evaluate(columns, count: count) }, count)
    }
  }

  private static func apply(_ operation: Binary, _ a: BlockValues, _ b: BlockValues, _ count: Int) -> BlockValues {
    switch operation {
    case .add: combine(a, b, count) { $0 + $1 }
    case .subtract: combine(a, b, count) { $0 - $1 }
    case .multiply: combine(a, b, count) { $0 * $1 }
    case .divide: combine(a, b, count) { $1 == 0 ? .nan : $0 / $1 }
    case .remainder: combine(a, b, count) { $1 == 0 ? .nan : $0.truncatingRemainder(dividingBy: $1) }
    case .equal: combine(a, b, count) { compare($0, $1, $0 == $1) }
    case .notEqual: combine(a, b, count) { compare($0, $1, $0 != $1) }
    case .less: combine(a, b, count) { compare($0, $1, $0 < $1) }
    case .lessOrEqual: combine(a, b, count) { compare($0, $1, $0 <= $1) }
    case .and: combine(a, b, count) { $0 == 0 || $1 == 0 ? 0 : $0 + $1 - 1 }
    case .or: combine(a, b, count) { $0 == 1 || $1 == 1 ? 1 : $0 + $1 }
    }
  }

  /// A comparison with NULL is NULL.
  @inline(__always)
  private static func compare(_ a: Double, _ b: Double, _ holds: Bool) -> Double {
    a.isNaN || b.isNaN ? .nan : (holds ? 1 : 0)
  }

  private static func call(_ function: Function, _ arguments: [BlockValues], _ count: Int) -> BlockValues {
    let first = arguments[0]
    switch function {
    case .abs: return first.map(count) { Swift.abs($0) }
    case .floor: return first.map(count) { $0.rounded(.down) }
    case .ceil: return first.map(count) { $0.rounded(.up) }
    case .round: return first.map(count) { $0.rounded() }
    case .sqrt: return first.map(count) { $0 < 0 ? .nan : $0.squareRoot() }
    case .exp: return first.map(count) { PortableMath.exp($0) }
    case .ln: return first.map(count) { $0 <= 0 ? .nan : PortableMath.log($0) }
    case .power: return combine(first, arguments[1], count) { $0 < 0 ? .nan : PortableMath.power($0, $1) }
    case .least: return fold(arguments, count) { $0.isNaN || $1 < $0 ? $1 : $0 }
    case .greatest: return fold(arguments, count) { $0.isNaN || $1 > $0 ? $1 : $0 }
    case .coalesce: return fold(arguments, count) { $0.isNaN ? $1 : $0 }
    }
  }

  private static func fold(
    _ arguments: [BlockValues], _ count: Int, _ operation: (Double, Double) -> Double
  ) -> BlockValues {
    arguments.dropFirst().reduce(arguments[0]) { combine($0, $1, count, operation) }
  }

  @inline(__always)
  private static func combine(
    _ a: BlockValues, _ b: BlockValues, _ count: Int, _ operation: (Double, Double) -> Double
  ) -> BlockValues {
    switch (a, b) {
    case (.constant(let a), .constant(let b)): .constant(operation(a, b))
    case (.constant(let a), .rows(let b)): .rows(tabulate(count) { operation(a, b[$0]) })
    case (.rows(let a), .constant(let b)): .rows(tabulate(count) { operation(a[$0], b) })
    case (.rows(let a), .rows(let b)): .rows(tabulate(count) { operation(a[$0], b[$0]) })
    }
  }
}

extension BlockValues {
  @inline(__always)
  fileprivate func map(_ count: Int, _ operation: (Double) -> Double) -> BlockValues {
    switch self {
    case .constant(let value): .constant(operation(value))
    case .rows(let values): .rows(tabulate(count) { operation(values[$0]) })
    }
  }
}

/// An array of `count` values computed row by row.
@inline(__always)
func tabulate(_ count: Int, _ value: (Int) -> Double) -> [Double] {
  // SAFETY: every one of the `count` places is written, and `value` cannot throw. Doubles need no initialization.
  [Double](unsafeUninitializedCapacity: count) { buffer, initialized in
    for row in 0..<count { buffer[row] = value(row) }
    initialized = count
  }
}
