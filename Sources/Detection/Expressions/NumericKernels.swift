// Arithmetic over whole columns. Integer kernels wrap and note overflow in one flag per column; only where it is set
// a second pass finds the rows.

enum NumericKernels {
  /// One result per row of a lane.
  ///
  /// SAFETY: `operation` cannot throw, so all `count` places are initialized; array subscripts check the input.
  @inline(__always)
  static func map<T, R>(_ lane: Lane<T>, _ count: Int, _ operation: (T) -> R) -> [R] {
    switch lane {
    case .constant(let value): return [R](repeating: operation(value), count: count)
    case .run(let values):
      return [R](unsafeUninitializedCapacity: count) { output, initialized in
        for row in 0..<count { output.initializeElement(at: row, to: operation(values[row])) }
        initialized = count
      }
    }
  }

  /// One result per row of two lanes.
  ///
  /// SAFETY: as for one lane: `operation` cannot throw, so all `count` places are initialized.
  @inline(__always)
  static func map<T, R>(_ a: Lane<T>, _ b: Lane<T>, _ count: Int, _ operation: (T, T) -> R) -> [R] {
    switch (a, b) {
    case (.constant(let a), .constant(let b)): return [R](repeating: operation(a, b), count: count)
    case (.run(let values), .constant(let b)):
      return [R](unsafeUninitializedCapacity: count) { output, initialized in
        for row in 0..<count { output.initializeElement(at: row, to: operation(values[row], b)) }
        initialized = count
      }
    case (.constant(let a), .run(let values)):
      return [R](unsafeUninitializedCapacity: count) { output, initialized in
        for row in 0..<count { output.initializeElement(at: row, to: operation(a, values[row])) }
        initialized = count
      }
    case (.run(let x), .run(let y)):
      // SAFETY: as for one lane.
      precondition(x.count >= count && y.count >= count, "a column is shorter than the batch")
      return [R](unsafeUninitializedCapacity: count) { output, initialized in
        for row in 0..<count { output.initializeElement(at: row, to: operation(x[row], y[row])) }
        initialized = count
      }
    }
  }

  /// The rows of two lanes for which a condition holds.
  @inline(__always)
  static func rows<T>(_ a: Lane<T>, _ b: Lane<T>, _ count: Int, _ condition: (T, T) -> Bool) -> Bitmap {
    switch (a, b) {
    case (.constant(let a), .constant(let b)): Bitmap(repeating: condition(a, b), count: count)
    case (.run(let values), .constant(let b)): Bitmap(count: count) { condition(values[$0], b) }
    case (.constant(let a), .run(let values)): Bitmap(count: count) { condition(a, values[$0]) }
    case (.run(let x), .run(let y)): Bitmap(count: count) { condition(x[$0], y[$0]) }
    }
  }

  /// The rows of a lane for which a condition holds.
  @inline(__always)
  static func rows<T>(_ lane: Lane<T>, _ count: Int, _ condition: (T) -> Bool) -> Bitmap {
    switch lane {
    case .constant(let value): Bitmap(repeating: condition(value), count: count)
    case .run(let values): Bitmap(count: count) { condition(values[$0]) }
    }
  }

  static func widen(_ lane: Lane<Int64>, _ count: Int) -> [Double] { map(lane, count) { Double($0) } }

  static func arithmetic(
    _ operation: Arithmetic, _ a: Lane<Double>, _ b: Lane<Double>, _ count: Int
  ) -> [Double] {
    switch operation {
    case .add: map(a, b, count) { $0 + $1 }
    case .subtract: map(a, b, count) { $0 - $1 }
    case .multiply: map(a, b, count) { $0 * $1 }
    case .divide: map(a, b, count) { $0 / $1 }
    case .remainder: map(a, b, count) { MathFunctions.remainder($0, $1) }
    case .integerDivide: preconditionFailure("// of doubles is refused when the tree is checked")
    }
  }

  /// Integer results; rows whose result is not defined (division by zero), and rows that overflowed.
  struct IntegerResult {
    var values: [Int64]
    var undefined: Bitmap?
    var overflow: Bitmap?
  }

  static func arithmetic(
    _ operation: Arithmetic, _ a: Lane<Int64>, _ b: Lane<Int64>, _ count: Int
  ) -> IntegerResult {
    switch operation {
    case .add:
      var sign: Int64 = 0
      let values = map(a, b, count) { x, y in
        let sum = x &+ y
        sign |= (x ^ sum) & (y ^ sum)
        return sum
      }
      return IntegerResult(
        values: values, overflow: sign < 0 ? rows(a, b, count) { $0.addingReportingOverflow($1).overflow } : nil)
    case .subtract:
      var sign: Int64 = 0
      let values = map(a, b, count) { x, y in
        let difference = x &- y
        sign |= (x ^ y) & (x ^ difference)
        return difference
      }
      return IntegerResult(
        values: values, overflow: sign < 0 ? rows(a, b, count) { $0.subtractingReportingOverflow($1).overflow } : nil)
    case .multiply:
      var any = false
      let values = map(a, b, count) { x, y in
        let (product, overflow) = x.multipliedReportingOverflow(by: y)
        any = any || overflow
        return product
      }
      return IntegerResult(
        values: values, overflow: any ? rows(a, b, count) { $0.multipliedReportingOverflow(by: $1).overflow } : nil)
    case .integerDivide: return division(a, b, count) { $0.dividedReportingOverflow(by: $1).partialValue }
    case .remainder: return division(a, b, count) { $0.remainderReportingOverflow(dividingBy: $1).partialValue }
    case .divide: preconditionFailure("/ is computed on doubles")
    }
  }

  /// Division by zero is NULL; the smallest integer by -1 overflows, in the remainder too, as in DuckDB.
  @inline(__always)
  private static func division(
    _ a: Lane<Int64>, _ b: Lane<Int64>, _ count: Int, _ operation: (Int64, Int64) -> Int64
  ) -> IntegerResult {
    let values = map(a, b, count) { $1 == 0 ? 0 : operation($0, $1) }
    let zero = rows(b, count) { $0 == 0 }
    let overflow = rows(a, b, count) { $0 == .min && $1 == -1 }
    return IntegerResult(values: values, undefined: zero.isEmpty ? nil : zero, overflow: overflow)
  }
}

/// Comparisons over whole columns.
enum ComparisonKernels {
  static func compare(_ comparison: Comparison, _ a: Lane<Int64>, _ b: Lane<Int64>, _ count: Int) -> Bitmap {
    switch comparison {
    case .equal: NumericKernels.rows(a, b, count) { $0 == $1 }
    case .notEqual: NumericKernels.rows(a, b, count) { $0 != $1 }
    case .less: NumericKernels.rows(a, b, count) { $0 < $1 }
    case .lessOrEqual: NumericKernels.rows(a, b, count) { $0 <= $1 }
    case .greater: NumericKernels.rows(a, b, count) { $0 > $1 }
    case .greaterOrEqual: NumericKernels.rows(a, b, count) { $0 >= $1 }
    }
  }

  /// In SQL's order: NaN equals NaN and is above everything.
  static func compare(_ comparison: Comparison, _ a: Lane<Double>, _ b: Lane<Double>, _ count: Int) -> Bitmap {
    if case .constant(let bound) = b, bound == bound { return compare(comparison, a, below: bound, count) }
    if case .constant(let bound) = a, bound == bound { return compare(comparison.mirrored, b, below: bound, count) }
    return switch comparison {
    case .equal: NumericKernels.rows(a, b, count) { DoubleOrder.equal($0, $1) }
    case .notEqual: NumericKernels.rows(a, b, count) { !DoubleOrder.equal($0, $1) }
    case .less: NumericKernels.rows(a, b, count) { DoubleOrder.less($0, $1) }
    case .lessOrEqual: NumericKernels.rows(a, b, count) { !DoubleOrder.less($1, $0) }
    case .greater: NumericKernels.rows(a, b, count) { DoubleOrder.less($1, $0) }
    case .greaterOrEqual: NumericKernels.rows(a, b, count) { !DoubleOrder.less($0, $1) }
    }
  }

  /// With a constant that is not NaN one machine comparison does: negated ones are true of NaN, as they must be.
  private static func compare(_ comparison: Comparison, _ a: Lane<Double>, below bound: Double, _ count: Int) -> Bitmap
  {
    switch comparison {
    case .equal: NumericKernels.rows(a, count) { $0 == bound }
    case .notEqual: NumericKernels.rows(a, count) { $0 != bound }
    case .less: NumericKernels.rows(a, count) { $0 < bound }
    case .lessOrEqual: NumericKernels.rows(a, count) { $0 <= bound }
    case .greater: NumericKernels.rows(a, count) { !($0 <= bound) }
    case .greaterOrEqual: NumericKernels.rows(a, count) { !($0 < bound) }
    }
  }

  /// FALSE is below TRUE.
  static func compare(_ comparison: Comparison, _ a: Bitmap, _ b: Bitmap) -> Bitmap {
    switch comparison {
    case .equal: ~((a | b).subtracting(a & b))
    case .notEqual: (a | b).subtracting(a & b)
    case .less: b.subtracting(a)
    case .lessOrEqual: ~a | b
    case .greater: a.subtracting(b)
    case .greaterOrEqual: a | ~b
    }
  }
}
