// Values as text for keys and messages.

public import Detection

extension Scalar {
  /// The value as a person writes it.
  public var plainText: String {
    switch self {
    case .null: "null"
    case .int(let value): String(value)
    case .double(let value): "\(value)"
    case .bool(let value): String(value)
    case .string(let value): value
    case .timestamp(let value): Timestamp.format(value)
    }
  }
}
