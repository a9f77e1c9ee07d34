// The values of a mapping whose keys are known, and how its numbers and texts are read.

internal import Detection

/// The values of a mapping with known keys.
struct Keys {
  /// What the mapping is, for messages.
  let place: String
  let location: SourceLocation
  let values: [String: YAMLEntry]

  /// The value of a key; nil when it is absent or null.
  subscript(key: String) -> YAMLNode? {
    guard let entry = values[key] else { return nil }
    if case .null = entry.value.content { return nil }
    return entry.value
  }

  /// Where a key stands; where the mapping begins when it is absent.
  func location(of key: String) -> SourceLocation { values[key]?.key.location ?? location }

  /// The value of a key that must be there.
  func required(_ key: String, _ expected: String, _ reader: inout NodeReader) -> YAMLNode? {
    if let node = self[key] { return node }
    let at = values[key]?.value.location ?? location
    reader.report(at, "\(place) has no `\(key)`", expected: "`\(key): \(expected)`")
    return nil
  }
}

extension NodeReader {
  /// The number under a key, or the usual one when it is absent; nil when it is wrong, which is reported.
  mutating func number(_ key: String, _ keys: Keys, _ range: NumberRange, _ usual: Double) -> Double? {
    guard let node = keys[key] else { return usual }
    if case .scalar(let text, let quoted) = node.content, !quoted, let value = Double(text.text),
      range.contains(value)
    {
      return value
    }
    report(node.location, "`\(key)` is not in range", expected: range.text, found: node.description)
    return nil
  }

  /// The same for a whole number.
  mutating func integer(_ key: String, _ keys: Keys, _ range: ClosedRange<Int>, _ usual: Int) -> Int? {
    guard let node = keys[key] else { return usual }
    return integer(node, what: "`\(key)`", in: range)
  }

  /// The values of parameters. What is wrong with one by itself is reported, and it has no value then.
  mutating func values(of parameters: [DetectorDescriptor.Parameter], _ keys: Keys) -> ParameterValues {
    var values: [String: ParameterValues.Value] = [:]
    var locations: [String: SourceLocation] = [:]
    for parameter in parameters {
      if let node = keys[parameter.name] { locations[parameter.name] = node.location }
      values[parameter.name] = value(of: parameter, keys)
    }
    return ParameterValues(values, locations: locations, location: keys.location)
  }

  private mutating func value(of parameter: DetectorDescriptor.Parameter, _ keys: Keys) -> ParameterValues.Value? {
    let name = parameter.name
    switch parameter.form {
    case .shared: return nil
    case .number(let range, let usual): return number(name, keys, range, usual).map { .number($0) }
    case .integer(let range, let usual): return integer(name, keys, range, usual).map { .integer($0) }
    case .text(let expected, let example):
      let node = parameter.defaultValue == nil ? keys.required(name, example, &self) : keys[name]
      return node.flatMap { text($0, what: "`\(name)`", expected: expected) }.map { .text($0) }
    case .mapping(let members):
      guard let node = keys[name] else { return nil }
      if case .scalar(let text, _) = node.content, text.text == "none" { return .mapping(nil) }
      guard case .mapping = node.content else {
        report(
          node.location, "`\(name)` is not a mapping",
          expected: (parameter.defaultValue.map { "\($0), " } ?? "") + "or none",
          found: node.description)
        return nil
      }
      guard let inner = self.keys(of: node, in: "`\(name)`", known: members.map(\.name)) else { return nil }
      var values: [String: ParameterValues.Value] = [:]
      for member in members {
        guard let value = value(of: member, inner) else { return nil }
        values[member.name] = value
      }
      return .mapping(values)
    }
  }
}
