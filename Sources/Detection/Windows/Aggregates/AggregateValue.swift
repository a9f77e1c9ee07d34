// What an aggregate of a window gives: most give one value, some a list.

/// The value of one aggregate of one window.
public enum AggregateValue: Sendable, Hashable {
  case scalar(Scalar)
  /// Values in the order that the aggregate gives them.
  case list([Scalar])
  /// Rows of named values in the order that the aggregate gives them; each row has a value for each name.
  case rows(names: [String], [[Scalar]])

  /// The value where it is one; nil for a list.
  public var scalar: Scalar? {
    if case .scalar(let value) = self { value } else { nil }
  }
}
