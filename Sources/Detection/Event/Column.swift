// One column of a batch. Invariants: a null row holds the type's zero (0, 0.0, false, ""), so that equal columns have
// equal contents; `validity` is nil when no row is null. A column does not change once it is built.

/// The types of expressions and columns.
public enum ValueType: String, Sendable, Hashable, CaseIterable {
  /// 64-bit signed integer (SQL BIGINT).
  case int
  /// IEEE 754 double (SQL DOUBLE).
  case double
  /// SQL BOOLEAN.
  case bool
  /// UTF-8 (SQL VARCHAR). Fields of type json are columns of this type.
  case string
  /// Microseconds since 1970-01-01 00:00 UTC (SQL TIMESTAMP).
  case timestamp
}

/// A single value, for configuration, results and tests. Never used per event on the hot path.
public enum Scalar: Sendable, Hashable {
  case null
  case int(Int64)
  case double(Double)
  case bool(Bool)
  case string(String)
  /// Microseconds since 1970-01-01 00:00 UTC.
  case timestamp(Int64)
}

/// The values of one field or feature for every event of a batch, with nulls.
public struct Column: Sendable, Equatable {
  /// Row values by type. A null row holds the type's zero.
  public enum Values: Sendable, Equatable {
    case int([Int64])
    case double([Double])
    case bool(Bitmap)
    case string(StringColumn)
    /// Microseconds since 1970-01-01 00:00 UTC.
    case timestamp([Int64])
  }

  public let values: Values
  /// Rows that are not null; nil when none is null.
  public let validity: Bitmap?

  /// `validity` must have a bit per row; one with no null row is stored as nil.
  public init(_ values: Values, validity: Bitmap? = nil) {
    self.values = values
    self.validity = validity.flatMap { $0.isFull ? nil : $0 }
    precondition(validity.map { $0.count == count } ?? true, "validity and values differ in length")
  }

  public var count: Int {
    switch values {
    case .int(let values), .timestamp(let values): values.count
    case .double(let values): values.count
    case .bool(let values): values.count
    case .string(let values): values.count
    }
  }

  /// Whether no row has a value.
  public var isAllNull: Bool { validity?.isEmpty ?? (count == 0) }

  public var type: ValueType {
    switch values {
    case .int: .int
    case .double: .double
    case .bool: .bool
    case .string: .string
    case .timestamp: .timestamp
    }
  }

  @inline(__always)
  public func isNull(_ row: Int) -> Bool {
    guard let validity else { return false }
    return !validity[row]
  }

  /// The value of a row. For output and tests: strings allocate.
  public subscript(row: Int) -> Scalar {
    if isNull(row) { return .null }
    switch values {
    case .int(let values): return .int(values[row])
    case .double(let values): return .double(values[row])
    case .bool(let values): return .bool(values[row])
    case .string(let values): return .string(values[row])
    case .timestamp(let values): return .timestamp(values[row])
    }
  }

  /// A column of `type` with the given values; null and only null scalars become null rows. A scalar of another
  /// type is a programmer error. For tests and small inputs.
  public init(_ type: ValueType, _ scalars: [Scalar]) {
    func cast<T>(_ zero: T, _ pick: (Scalar) -> T?) -> [T] {
      scalars.map { scalar in
        if scalar == .null { return zero }
        guard let value = pick(scalar) else { preconditionFailure("\(scalar) in a column of type \(type)") }
        return value
      }
    }
    let values: Values =
      switch type {
      case .int: .int(cast(0) { if case .int(let value) = $0 { value } else { nil } })
      case .double: .double(cast(0) { if case .double(let value) = $0 { value } else { nil } })
      case .timestamp: .timestamp(cast(0) { if case .timestamp(let value) = $0 { value } else { nil } })
      case .string: .string(StringColumn(cast("") { if case .string(let value) = $0 { value } else { nil } }))
      case .bool:
        .bool(
          {
            let bits = cast(false) { if case .bool(let value) = $0 { value } else { nil } }
            return Bitmap(count: bits.count) { bits[$0] }
          }())
      }
    self.init(values, validity: Bitmap(count: scalars.count) { scalars[$0] != .null })
  }
}
