// Arrow's types and schemas as Swift values, parsed from the format strings of the C Data Interface
// (arrow.apache.org/docs/format/CDataInterface.html#data-type-description-format-strings).

import CArrow
import Detection

/// The unit of a stored time.
enum ArrowTimeUnit: Hashable, Sendable {
  case second, millisecond, microsecond, nanosecond

  init?(_ letter: Character?) {
    switch letter {
    case "s": self = .second
    case "m": self = .millisecond
    case "u": self = .microsecond
    case "n": self = .nanosecond
    default: return nil
    }
  }
}

/// A physical type, without its children.
enum ArrowType: Hashable, Sendable {
  /// How entries of variable length are delimited.
  enum Boundaries: Hashable, Sendable {
    /// Offsets of 32 bits.
    case small
    /// Offsets of 64 bits.
    case large
    /// Views: for bytes 16 bytes per entry, for lists an offset and a size per entry.
    case view
    case largeView
  }

  case null
  case bool
  case integer(bytes: Int, signed: Bool)
  /// 2, 4 or 8 bytes.
  case float(bytes: Int)
  /// A two's complement integer of 4, 8, 16 or 32 bytes, to be divided by 10^scale.
  case decimal(bytes: Int, scale: Int)
  case text(Boundaries)
  case binary(Boundaries)
  case fixedBinary(width: Int)
  /// Days since 1970-01-01 in 32 bits.
  case date32
  /// Milliseconds since 1970-01-01 in 64 bits.
  case date64
  /// With a time zone or without; both count from 1970-01-01 00:00 (UTC where there is a zone).
  case timestamp(ArrowTimeUnit)
  /// Since midnight, in 4 bytes (seconds, milliseconds) or 8.
  case timeOfDay(ArrowTimeUnit)
  case duration(ArrowTimeUnit)
  case structure
  case list(Boundaries)
  case fixedList(size: Int)
  /// A list of key-value structs.
  case map
  /// Union, run-end encoding, calendar intervals, or something newer than this reader.
  case unsupported(String)

  /// Parses a format string.
  init(format: String) {
    switch format {
    case "n": self = .null
    case "b": self = .bool
    case "c": self = .integer(bytes: 1, signed: true)
    case "C": self = .integer(bytes: 1, signed: false)
    case "s": self = .integer(bytes: 2, signed: true)
    case "S": self = .integer(bytes: 2, signed: false)
    case "i": self = .integer(bytes: 4, signed: true)
    case "I": self = .integer(bytes: 4, signed: false)
    case "l": self = .integer(bytes: 8, signed: true)
    case "L": self = .integer(bytes: 8, signed: false)
    case "e": self = .float(bytes: 2)
    case "f": self = .float(bytes: 4)
    case "g": self = .float(bytes: 8)
    case "u": self = .text(.small)
    case "U": self = .text(.large)
    case "vu": self = .text(.view)
    case "z": self = .binary(.small)
    case "Z": self = .binary(.large)
    case "vz": self = .binary(.view)
    case "tdD": self = .date32
    case "tdm": self = .date64
    case "+s": self = .structure
    case "+m": self = .map
    case "+l": self = .list(.small)
    case "+L": self = .list(.large)
    case "+vl": self = .list(.view)
    case "+vL": self = .list(.largeView)
    default: self = Self.parametric(format)
    }
  }

  private static func parametric(_ format: String) -> ArrowType {
    if format.hasPrefix("w:"), let width = Int(format.dropFirst(2)) { return .fixedBinary(width: width) }
    if format.hasPrefix("+w:"), let size = Int(format.dropFirst(3)) { return .fixedList(size: size) }
    if format.hasPrefix("d:") {
      let numbers = format.dropFirst(2).split(separator: ",").compactMap { Int($0) }
      let bits = numbers.count == 3 ? numbers[2] : 128
      if numbers.count >= 2, [32, 64, 128, 256].contains(bits) { return .decimal(bytes: bits / 8, scale: numbers[1]) }
    }
    let unit = ArrowTimeUnit(format.dropFirst(2).first)
    if let unit {
      if format.hasPrefix("ts") { return .timestamp(unit) }
      if format.hasPrefix("tt") { return .timeOfDay(unit) }
      if format.hasPrefix("tD") { return .duration(unit) }
    }
    return .unsupported(format)
  }
}

/// One field of a file's schema with everything below it.
final class ArrowField: Sendable {
  let name: String
  /// The type of the values; for a dictionary-encoded field that of its indices.
  let type: ArrowType
  let children: [ArrowField]
  /// The type of a dictionary's values.
  let dictionary: ArrowField?

  /// Reads a field from the C struct; the struct is not kept.
  init(_ schema: ArrowSchema) {
    // SAFETY: names, formats, children and dictionary are valid until the struct's owner releases it, after this
    // initializer; the specification makes `format` non-null and `children` hold `n_children` non-null pointers.
    name = schema.name.map { String(cString: $0) } ?? ""
    type = ArrowType(format: String(cString: schema.format))
    children = (0..<Int(schema.n_children)).map { ArrowField(schema.children[$0]!.pointee) }
    dictionary = schema.dictionary.map { ArrowField($0.pointee) }
  }

  /// The type as which the values appear in our columns; nil where they cannot.
  var fieldType: FieldType? {
    if let dictionary { return dictionary.fieldType }
    switch type {
    case .bool: return .bool
    case .integer, .timeOfDay, .duration: return .int
    case .float, .decimal: return .double
    case .null, .text, .binary, .fixedBinary: return .string
    case .date32, .date64, .timestamp: return .timestamp(.microseconds)
    case .structure, .list, .fixedList, .map: return children.allSatisfy { $0.fieldType != nil } ? .json : nil
    case .unsupported: return nil
    }
  }

  /// The child indices that lead to the field with this name or dotted path; nil where there is none. A name that
  /// itself holds dots wins over a path.
  func path(to name: some StringProtocol) -> [Int]? {
    if let index = children.firstIndex(where: { $0.name == name }) { return [index] }
    for (index, child) in children.enumerated() where child.type == .structure && name.hasPrefix(child.name + ".") {
      if let rest = child.path(to: name.dropFirst(child.name.count + 1)) { return [index] + rest }
    }
    return nil
  }

  /// The field with this name or dotted path.
  func field(at name: String) -> ArrowField? {
    path(to: name)?.reduce(self) { $0.children[$1] }
  }

  /// The dotted paths of everything below that is not a struct, in order, with the fields and the child indices that lead
  /// to them.
  var leaves: [(name: String, field: ArrowField, path: [Int])] {
    var leaves: [(name: String, field: ArrowField, path: [Int])] = []
    func add(_ field: ArrowField, _ prefix: String, _ path: [Int]) {
      for (index, child) in field.children.enumerated() {
        let (name, path) = (prefix + child.name, path + [index])
        if child.type == .structure { add(child, name + ".", path) } else { leaves.append((name, child, path)) }
      }
    }
    add(self, "", [])
    return leaves
  }
}
