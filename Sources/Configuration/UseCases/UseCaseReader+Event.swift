// The `event:` section: roles, time, checks and fields with their constraints.

internal import Detection

extension UseCaseReader {
  static let eventKeys = [
    "time", "key", "out_of_order", "max_ahead", "clock_of", "clock_idle", "partitioned_by", "unknown_fields",
    "max_event_bytes", "checks", "fields",
  ]

  mutating func eventDefinition(_ node: YAMLNode) -> EventDefinition? {
    guard let keys = reader.keys(of: node, in: "`event`", known: Self.eventKeys) else { return nil }
    var fields: [Field] = []
    if let fieldsNode = keys.required("fields", "{…}", &reader) {
      for entry in reader.mapping(fieldsNode, what: "`fields`") ?? [] {
        guard let field = field(entry) else {
          unclear.insert(entry.key.text)
          continue
        }
        fields.append(field)
        fieldPlaces[field.name] = entry.key.location
      }
      if case .mapping(let entries) = fieldsNode.content, entries.isEmpty {
        reader.report(fieldsNode.location, "`fields` is empty", expected: "at least the field of the event time")
      }
    }
    let declared = keys["fields"].map { declaredNames($0) } ?? []
    let time = keys.required("time", "name_of_a_timestamp_field", &reader)
      .flatMap { timeField($0, fields: fields, declared: declared) }
    let key = keys["key"].flatMap { keyField($0, fields: fields, declared: declared) }
    let partitionedBy = keys["partitioned_by"].flatMap {
      fieldReference($0, what: "`partitioned_by`", fields: fields, declared: declared)
    }
    let unknown = keys["unknown_fields"].flatMap {
      reader.word($0, what: "`unknown_fields`", of: Schema.UnknownFields.allCases.map(\.rawValue))
    }
    let maxBytes = keys["max_event_bytes"].flatMap {
      reader.integer($0, what: "`max_event_bytes`", in: 1...Limits.maxEventBytes)
    }
    let outOfOrder = keys["out_of_order"].flatMap { reader.duration($0, what: "`out_of_order`") }
    let maxAhead = keys["max_ahead"].flatMap { reader.duration($0, what: "`max_ahead`", positive: true) }
    if let ahead = keys["max_ahead"], (outOfOrder ?? 0) > 0, maxAhead.map({ $0 <= outOfOrder ?? 0 }) ?? false {
      reader.report(
        ahead.location, "`max_ahead` is not longer than `out_of_order`",
        expected: "more than \(DurationText.format(outOfOrder ?? 0))",
        found: ahead.description)
    } else if let outOfOrder, keys["max_ahead"] == nil, outOfOrder >= 86_400_000_000, let node = keys["out_of_order"] {
      reader.report(
        node.location, "`out_of_order` is not shorter than `max_ahead`, which is one day unless set",
        expected: "a longer `max_ahead`, or less than 1d", found: node.description)
    }
    let clockOf = keys["clock_of"].flatMap {
      fieldReference($0, what: "`clock_of`", fields: fields, declared: declared)
    }
    let clockIdle = keys["clock_idle"].flatMap { reader.duration($0, what: "`clock_idle`", positive: true) }
    if let node = keys["clock_idle"], keys["clock_of"] == nil {
      reader.report(
        node.location, "`clock_idle` says how long to wait for a clock, but there is one clock alone",
        expected: "`clock_of`, the field that says whose clock an event carries", found: "no `clock_of`")
    }
    let checks = keys["checks"].map { namedExpressions($0, what: "`checks`", each: "the check") } ?? []
    guard let time else { return nil }
    let schema = Schema(
      fields: fields, timeField: time, keyField: key,
      unknownFields: unknown.flatMap(Schema.UnknownFields.init) ?? .ignore,
      maxEventBytes: maxBytes ?? Limits.maxEventBytes)
    return EventDefinition(
      schema: schema, partitionedBy: partitionedBy.map { fields[$0].name }, outOfOrder: outOfOrder ?? 0,
      maxAhead: maxAhead ?? 86_400_000_000, clockOf: clockOf,
      clockIdle: clockIdle ?? EventDefinition.defaultClockIdle, checks: checks)
  }

  /// Names with expressions, in order.
  mutating func namedExpressions(_ node: YAMLNode, what: String, each: String) -> [NamedExpression] {
    var result: [NamedExpression] = []
    for entry in reader.mapping(node, what: what) ?? [] {
      let name = reader.name(entry.key, what: each)
      let expression = reader.expression(entry.value, what: "\(each) \(excerpt(entry.key.text))")
      guard let name, let expression else { continue }
      result.append(NamedExpression(name: name, expression: expression))
    }
    return result
  }

  // MARK: Roles

  /// The names under `fields`, also of those that could not be read: a reference to one is not an error of its own.
  private func declaredNames(_ node: YAMLNode) -> [String] {
    guard case .mapping(let entries) = node.content else { return [] }
    return entries.map(\.key.text)
  }

  private mutating func fieldReference(
    _ node: YAMLNode, what: String, fields: [Field], declared: [String]
  ) -> Int? {
    guard let text = reader.text(node, what: what, expected: "the name of a field") else { return nil }
    if let index = fields.firstIndex(where: { $0.name == text.text }) { return index }
    if !declared.contains(text.text) {
      let near = nearest(to: text.text, among: declared)
      reader.report(
        text.location, "\(what) names an unknown field \(excerpt(text.text))",
        expected: near == nil ? "one of \(declared.joined(separator: ", "))" : nil, suggestion: near)
    }
    return nil
  }

  private mutating func timeField(_ node: YAMLNode, fields: [Field], declared: [String]) -> Int? {
    guard let index = fieldReference(node, what: "`time`", fields: fields, declared: declared) else { return nil }
    let field = fields[index]
    guard field.type.valueType == .timestamp else {
      reader.report(
        node.location, "the event time `\(field.name)` is not a timestamp", expected: "a field of type timestamp",
        found: "type \(field.type.name)",
        suggestion: fields.first { $0.type.valueType == .timestamp }?.name)
      return nil
    }
    if !field.required {
      reader.report(
        node.location, "the event time `\(field.name)` is not required",
        expected: "`required: true` in the field `\(field.name)`")
    }
    return index
  }

  private mutating func keyField(_ node: YAMLNode, fields: [Field], declared: [String]) -> Int? {
    guard let index = fieldReference(node, what: "`key`", fields: fields, declared: declared) else { return nil }
    let type = fields[index].type
    if type == .double || type == .json {
      reader.report(
        node.location, "the key `\(fields[index].name)` cannot be of type \(type.name)",
        expected: "a field of type int, string, bool or timestamp")
      return nil
    }
    return index
  }

  // MARK: Fields

  static let fieldKeys = [
    "type", "required", "default", "min", "max", "max_length", "allowed", "pattern", "format", "numeric_strings",
    "path", "known_at",
  ]
  private static let typeNames = ["int", "double", "bool", "string", "timestamp", "json"]
  /// What people call the types elsewhere.
  private static let otherTypeNames = [
    "integer": "int", "long": "int", "bigint": "int", "int64": "int", "number": "double", "float": "double",
    "boolean": "bool", "text": "string", "varchar": "string", "str": "string", "datetime": "timestamp",
    "date": "timestamp", "time": "timestamp", "object": "json", "array": "json",
  ]

  private mutating func field(_ entry: YAMLEntry) -> Field? {
    let name = entry.key.text
    let what = "the field \(excerpt(name))"
    let nameIsRight = checkFieldName(entry.key)
    if case .scalar(let text, _) = entry.value.content {
      let type = Self.typeNames.contains(text.text) ? text.text : "string"
      reader.report(
        entry.value.location, "\(what) is not a mapping", expected: "a mapping with `type`", found: excerpt(text.text),
        suggestion: "{type: \(type)}")
      return nil
    }
    guard let keys = reader.keys(of: entry.value, in: what, known: Self.fieldKeys),
      let type = fieldType(keys)
    else { return nil }
    let required = keys["required"].flatMap { reader.flag($0, what: "`required`") } ?? false
    var field = Field(name: name, path: path(keys), type: type, required: required)
    field.defaultValue = keys["default"].flatMap { scalar($0, of: type, what: "`default`") }
    if required, keys["default"] != nil {
      reader.report(
        keys.location(of: "default"), "\(what) is required and has a default",
        expected: "one of the two: a default takes the place of a missing value")
    }
    field.minimum = bound("min", keys, type)
    field.maximum = bound("max", keys, type)
    field.maxLength = onlyFor(["string", "json"], "max_length", keys, type).flatMap {
      reader.integer($0, what: "`max_length`", in: 1...Limits.maxEventBytes)
    }
    field.allowed = onlyFor(["int", "double", "string"], "allowed", keys, type).flatMap { allowed($0, of: type) }
    field.pattern = onlyFor(["string"], "pattern", keys, type).flatMap { pattern($0) }
    field.numericStrings =
      onlyFor(["int", "double", "bool", "timestamp"], "numeric_strings", keys, type).flatMap {
        reader.flag($0, what: "`numeric_strings`")
      } ?? false
    field.knownAt =
      keys["known_at"].flatMap { reader.word($0, what: "`known_at`", of: KnownAt.allCases.map(\.rawValue)) }
      .flatMap(KnownAt.init)
    checkBounds(field, keys)
    return nameIsRight ? field : nil
  }

  /// Names appear in expressions: letters, digits and `_`, with dots between the parts of a nested one.
  private mutating func checkFieldName(_ name: LocatedText) -> Bool {
    let parts = name.text.split(separator: ".", omittingEmptySubsequences: false)
    let fits = parts.allSatisfy { part in
      guard let first = part.utf8.first, !(0x30...0x39).contains(first) else { return false }
      return part.utf8.allSatisfy {
        (0x61...0x7A).contains($0) || (0x41...0x5A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F
      }
    }
    let couldBeNamedSo = isStored && HistoryColumns.addedInFormat2.contains(name.text)
    if HistoryColumns.ownNames.contains(name.text), !couldBeNamedSo {
      reader.report(
        name.location, "the field `\(name.text)` has the name of a column that history adds to the fields",
        expected: "a name of its own; `path` says where the value lies",
        suggestion: "event\(name.text): {path: [\(name.text)], …}")
      return false
    }
    if fits, name.text.utf8.count <= 200 { return true }
    reader.report(
      name.location, "the field \(excerpt(name.text)) cannot be named so in expressions",
      expected: "letters, digits and `_`, dots between nested names; `path` says where the value lies",
      suggestion: identifier(name.text) + ": {path: [\"…\"], …}")
    return false
  }

  private mutating func fieldType(_ keys: Keys) -> FieldType? {
    guard let node = keys.required("type", Self.typeNames.joined(separator: "|"), &reader) else { return nil }
    guard case .scalar(let text, _) = node.content, Self.typeNames.contains(text.text) else {
      var near: String?
      if case .scalar(let text, _) = node.content {
        near = Self.otherTypeNames[text.text.lowercased()] ?? nearest(to: text.text, among: Self.typeNames)
      }
      reader.report(
        node.location, "unknown type \(node.description)", expected: "one of \(Self.typeNames.joined(separator: ", "))",
        suggestion: near)
      return nil
    }
    let format = keys["format"].flatMap {
      reader.word($0, what: "`format`", of: TimestampFormat.allCases.map(\.rawValue))
    }
    if text.text != "timestamp", keys["format"] != nil {
      reader.report(
        keys.location(of: "format"), "`format` does not apply to type \(text.text)",
        expected: "a field of type timestamp")
    }
    switch text.text {
    case "int": return .int
    case "double": return .double
    case "bool": return .bool
    case "string": return .string
    case "json": return .json
    default: return .timestamp(format.flatMap(TimestampFormat.init) ?? .automatic)
    }
  }

  /// `path: a.b`, or a list of keys where a key holds a dot.
  private mutating func path(_ keys: Keys) -> [String]? {
    guard let node = keys["path"] else { return nil }
    var parts: [String] = []
    if case .sequence(let items) = node.content {
      parts = items.compactMap { reader.text($0, what: "a part of `path`", expected: "the name of a key")?.text }
      guard parts.count == items.count else { return nil }
    } else if let text = reader.text(node, what: "`path`", expected: "a dotted path or a list of keys") {
      parts = text.text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    } else {
      return nil
    }
    guard !parts.isEmpty, parts.count <= Limits.maxNesting, parts.allSatisfy({ !$0.isEmpty }) else {
      reader.report(
        node.location, "`path` has an empty part or none",
        expected: "keys from the outside in, such as `payload.amount`",
        found: node.description)
      return nil
    }
    return parts
  }

  // MARK: Constraints

  private mutating func onlyFor(_ types: [String], _ key: String, _ keys: Keys, _ type: FieldType) -> YAMLNode? {
    guard let node = keys[key] else { return nil }
    if types.contains(type.name) { return node }
    reader.report(
      keys.location(of: key), "`\(key)` does not apply to type \(type.name)",
      expected: "a field of type \(types.joined(separator: ", "))")
    return nil
  }

  private mutating func pattern(_ node: YAMLNode) -> String? {
    guard let text = reader.text(node, what: "`pattern`", expected: "a regular expression") else { return nil }
    guard let problem = Decoder.problem(inPattern: text.text) else { return text.text }
    reader.report(
      text.location(ofOffset: problem.offset), "wrong `pattern`: \(problem.message)", expected: problem.expected,
      found: node.description)
    return nil
  }

  private mutating func bound(_ key: String, _ keys: Keys, _ type: FieldType) -> Scalar? {
    onlyFor(["int", "double", "timestamp"], key, keys, type).flatMap { scalar($0, of: type, what: "`\(key)`") }
  }

  private mutating func allowed(_ node: YAMLNode, of type: FieldType) -> [Scalar]? {
    guard let items = reader.list(node, what: "`allowed`") else { return nil }
    if items.isEmpty { reader.report(node.location, "`allowed` is empty", expected: "at least one value") }
    var values: [Scalar] = []
    for item in items {
      guard let value = scalar(item, of: type, what: "a value of `allowed`") else { continue }
      if values.contains(value) {
        reader.report(item.location, "the value \(item.description) is there more than once")
      } else {
        values.append(value)
      }
    }
    return values
  }

  /// A value of the field's type.
  private mutating func scalar(_ node: YAMLNode, of type: FieldType, what: String) -> Scalar? {
    if case .scalar(let text, let quoted) = node.content {
      switch type {
      case .int: if !quoted, let value = Int64(text.text) { return .int(value) }
      case .double: if !quoted, let value = Double(text.text), value.isFinite { return .double(value) }
      case .bool: if let value = Bool(text.text) { return .bool(value) }
      case .string: return .string(text.text)
      case .timestamp:
        if let value = Timestamp.parse(text.text) { return .timestamp(value) }
      case .json:
        reader.report(node.location, "\(what) does not apply to type json")
        return nil
      }
    }
    let expected =
      switch type {
      case .int: "a whole number"
      case .double: "a number"
      case .bool: "true or false"
      case .timestamp: "a time such as 2026-03-01T00:00:00Z"
      case .string, .json: "text"
      }
    reader.report(
      node.location, "\(what) is not of type \(type.name)", expected: expected, found: node.description)
    return nil
  }

  /// Bounds in order, and a default and allowed values that meet the other constraints.
  private mutating func checkBounds(_ field: Field, _ keys: Keys) {
    if let minimum = field.minimum, let maximum = field.maximum, Self.isLess(maximum, minimum) {
      reader.report(
        keys["min"]?.location ?? keys.location, "`min` is above `max`",
        expected: "at most \(keys["max"]?.description ?? "")",
        found: keys["min"]?.description)
    }
    let named = [("default", field.defaultValue.map { [$0] } ?? []), ("allowed", field.allowed ?? [])]
    for (key, values) in named {
      for value in values {
        var broken: String?
        if let minimum = field.minimum, Self.isLess(value, minimum) { broken = "`min`" }
        if let maximum = field.maximum, Self.isLess(maximum, value) { broken = "`max`" }
        if case .string(let text) = value, let length = field.maxLength, text.utf8.count > length {
          broken = "`max_length`"
        }
        if key == "default", let allowed = field.allowed, !allowed.contains(value) { broken = "`allowed`" }
        if let broken, let node = keys[key] {
          reader.report(node.location, "`\(key)` does not meet \(broken)", found: node.description)
          break
        }
      }
    }
  }

  private static func isLess(_ a: Scalar, _ b: Scalar) -> Bool {
    switch (a, b) {
    case (.int(let a), .int(let b)), (.timestamp(let a), .timestamp(let b)): a < b
    case (.double(let a), .double(let b)): a < b
    default: false
    }
  }
}

/// A name that can stand in expressions, made of any text: other characters become `_`.
func identifier(_ text: String) -> String {
  var name = String(text.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
  if name.first?.isNumber ?? true { name = "_" + name }
  return name
}
