// What an aggregate of a window gives: most give one value, some rows of values.

/// The value of one aggregate of one window.
public enum AggregateValue: Sendable, Hashable {
  case scalar(Scalar)
  /// Rows of named values in the order that the aggregate gives them; each row has a value for each name.
  case rows(names: [String], [[Scalar]])

  /// The value where it is one; nil for rows.
  public var scalar: Scalar? {
    if case .scalar(let value) = self { value } else { nil }
  }
}
