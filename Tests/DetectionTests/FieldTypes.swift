// Types of fields for tests that begin with columns.

@testable import Detection

extension FieldType {
  /// The type of a field whose values are columns of `type`.
  init(_ type: ValueType) {
    self =
      switch type {
      case .int: .int
      case .double: .double
      case .bool: .bool
      case .string: .string
      case .timestamp: .timestamp(.automatic)
      }
  }
}
