// What the events of a use case look like: the fields, their types and constraints, which of them is the event time
// and which the entity key. A schema is a value; two runs with equal schemas decode equal bytes to equal columns.

/// The types a field may be declared with.
public enum FieldType: Sendable, Hashable {
  case int
  case double
  case bool
  case string
  case timestamp(TimestampFormat)
  /// A subtree kept as its raw bytes.
  case json

  /// The type of the field's column.
  public var valueType: ValueType {
    switch self {
    case .int: .int
    case .double: .double
    case .bool: .bool
    case .string, .json: .string
    case .timestamp: .timestamp
    }
  }

  /// The word that names the type in `pipeline.yaml`.
  public var name: String {
    switch self {
    case .int: "int"
    case .double: "double"
    case .bool: "bool"
    case .string: "string"
    case .timestamp: "timestamp"
    case .json: "json"
    }
  }
}

/// How a timestamp is written in the input.
public enum TimestampFormat: String, Sendable, Hashable, CaseIterable {
  /// A string is RFC 3339 (with `T` or a space; without zone it is UTC); a number is seconds, milliseconds or
  /// microseconds since 1970 by its size: below 1e11 seconds, below 1e14 milliseconds, else microseconds.
  case automatic
  case rfc3339
  case seconds
  case milliseconds
  case microseconds
}

/// When the value of a field is known. Predictions of what an event brings may use only what was known before.
public enum KnownAt: String, Sendable, Hashable, CaseIterable {
  case beforeExecution = "before_execution"
}

/// One declared field of an event.
public struct Field: Sendable, Hashable {
  /// Name in columns, expressions and results; for a nested field its dotted path.
  public var name: String
  /// Where the value lies in the event: object keys from the outside in. `["payload", "amount"]` for `payload.amount`.
  public var path: [String]
  public var type: FieldType
  /// A missing or null value makes the event a dead letter.
  public var required: Bool
  /// Takes the place of a missing or null value.
  public var defaultValue: Scalar?
  /// Inclusive bounds; of the field's type (int, double or timestamp).
  public var minimum: Scalar?
  public var maximum: Scalar?
  /// Longest string, in bytes of UTF-8.
  public var maxLength: Int?
  /// The only values accepted.
  public var allowed: [Scalar]?
  /// Regular expression that the whole string must match.
  public var pattern: String?
  /// Whether a string holding a number (or a boolean) is accepted where a number (or a boolean) is declared. Always
  /// true for CSV, where everything is a string.
  public var numericStrings: Bool
  /// Nil when the value is known only once the event is over.
  public var knownAt: KnownAt?

  public init(
    name: String, path: [String]? = nil, type: FieldType, required: Bool = false, defaultValue: Scalar? = nil,
    minimum: Scalar? = nil, maximum: Scalar? = nil, maxLength: Int? = nil, allowed: [Scalar]? = nil,
    pattern: String? = nil, numericStrings: Bool = false, knownAt: KnownAt? = nil
  ) {
    self.name = name
    self.path = path ?? name.split(separator: ".").map(String.init)
    self.type = type
    self.required = required
    self.defaultValue = defaultValue
    self.minimum = minimum
    self.maximum = maximum
    self.maxLength = maxLength
    self.allowed = allowed
    self.pattern = pattern
    self.numericStrings = numericStrings
    self.knownAt = knownAt
  }
}

/// The fields of an event and the roles of two of them.
public struct Schema: Sendable, Hashable {
  /// What to do with a field of the input that is not declared.
  public enum UnknownFields: String, Sendable, Hashable, CaseIterable { case ignore, reject }

  public let fields: [Field]
  /// Index of the event-time field; its type is timestamp and it is required.
  public let timeField: Int
  /// Index of the entity-key field; nil when events have no entity.
  public let keyField: Int?
  public let unknownFields: UnknownFields
  /// Largest event in bytes; at most `Limits.maxEventBytes`.
  public let maxEventBytes: Int

  /// - Precondition: `timeField` names a required timestamp field; field names are unique.
  public init(
    fields: [Field], timeField: Int, keyField: Int?, unknownFields: UnknownFields = .ignore,
    maxEventBytes: Int = Limits.maxEventBytes
  ) {
    precondition(fields[timeField].type.valueType == .timestamp, "the event time must be a timestamp field")
    precondition(Set(fields.map(\.name)).count == fields.count, "two fields have the same name")
    self.fields = fields
    self.timeField = timeField
    self.keyField = keyField
    self.unknownFields = unknownFields
    self.maxEventBytes = maxEventBytes
  }

  /// The index of the field with this name.
  public func index(of name: String) -> Int? { fields.firstIndex { $0.name == name } }

  /// The schema of events as `EventRenderer` writes them: times are text, and values, which were checked before, are
  /// taken as they are.
  public var rendered: Schema {
    let fields = fields.enumerated().map { index, field in
      var type = field.type
      if case .timestamp = type { type = .timestamp(.rfc3339) }
      return Field(
        name: field.name, path: field.path, type: type, required: index == timeField, knownAt: field.knownAt)
    }
    return Schema(fields: fields, timeField: timeField, keyField: keyField, maxEventBytes: maxEventBytes)
  }
}
