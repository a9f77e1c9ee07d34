// Writes simulated events as lines of JSON. Invariant: `longestLine` bounds what one event can take, damaged or not.

import Detection

/// The fields of a block, evaluated and ready to be written row by row.
struct FieldValues: Sendable {
  /// Row r of field f is at `f * rows + r`. NaN is written as null; of a list it is the number of items.
  var numbers: [Double]
  /// Keys of hashes and lists, in the same order; empty when there are none.
  var keys: [UInt64]
  /// Ends of the ranges of lists, by field.
  var ranges: [(from: [Double], to: [Double])?]
  var rows: Int

  init() {
    numbers = []
    keys = []
    ranges = []
    rows = 0
  }
}

/// Writes the rows of a block in the style of each field.
struct EventWriter: Sendable {
  /// How a value is written, without the formulas it comes from: a plain value, so that choosing by it counts no
  /// references.
  private enum Kind: Sendable {
    case integer, bool, text, hash, list
    case decimal(Int)
    case time(FieldDefinition.TimeStyle)
  }

  private let fields: [FieldDefinition]
  private let kinds: [Kind]
  /// What stands before the value of each field, `,"name":`, one after another, and where each begins.
  private let names: [UInt8]
  private let nameStarts: [Int]
  /// The number of the object that each field lies in; nil where it stands in the event itself.
  private let objects: [Int?]
  /// What stands before each object, `,"name":`.
  private let objectNames: [[UInt8]]
  /// The definition's texts as JSON strings, one after another, and where each begins.
  private let texts: [UInt8]
  private let textStarts: [Int]
  private let lists: [CounterRandom]
  private let hasKeys: Bool
  /// The most bytes a line can take.
  let longestLine: Int
  /// Beyond, a definition is refused: four of the largest events.
  static let maxLineBytes = 4 * Limits.maxEventBytes

  init(_ definition: SimulationDefinition, seed: UInt64) {
    fields = definition.fields
    let prefixes = fields.map { [0x2C] + Self.quoted($0.member) + [0x3A] }
    var names: [String] = []
    objects = fields.map { field in
      guard let object = field.object else { return nil }
      if names.last != object { names.append(object) }
      return names.count - 1
    }
    objectNames = names.map { [0x2C] + Self.quoted($0) + [0x3A] }
    self.names = Array(prefixes.joined())
    nameStarts = prefixes.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1.count) }
    let texts = definition.texts.map(Self.quoted)
    self.texts = Array(texts.joined())
    textStarts = texts.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1.count) }
    kinds = fields.map { field in
      switch field.style {
      case .integer: .integer
      case .decimal(_, let digits): .decimal(digits)
      case .bool: .bool
      case .text: .text
      case .time(_, let style): .time(style)
      case .hash: .hash
      case .list: .list
      }
    }
    lists = fields.map { CounterRandom(seed: seed, stream: "list/" + $0.name) }
    let longestText = max(texts.map(\.count).max() ?? 0, 4)
    var longestValues = 0
    var hasKeys = false
    for field in fields {
      switch field.style {
      case .text: longestValues += longestText
      case .list:
        longestValues += FieldDefinition.maxListItems * 21 + 2
        hasKeys = true
      case .hash:
        longestValues += 18
        hasKeys = true
      default: longestValues += 32
      }
    }
    self.hasKeys = hasKeys
    var longestDamage = 0
    for kind in definition.broken?.kinds ?? [] {
      switch kind.damage {
      case .replace(let bytes), .set(_, let bytes): longestDamage = max(longestDamage, bytes.count)
      default: break
      }
    }
    // A damaged line may hold a field twice; two braces for the event and for each object, and a line end.
    let longestObjects = objectNames.reduce(0) { $0 + $1.count + 2 }
    longestLine = 2 * (self.names.count + longestValues) + longestObjects + longestDamage + 3
  }

  /// A text as a JSON string.
  static func quoted(_ text: String) -> [UInt8] {
    var result: [UInt8] = [0x22]
    for byte in text.utf8 {
      switch byte {
      case 0x22, 0x5C: result += [0x5C, byte]
      case 0..<0x20:
        let hex = Array("0123456789abcdef".utf8)
        result += Array("\\u00".utf8) + [hex[Int(byte >> 4)], hex[Int(byte & 15)]]
      default: result.append(byte)
      }
    }
    return result + [0x22]
  }

  /// Evaluates the fields for a block.
  func evaluate(_ block: SimulationBlock, into result: inout FieldValues) {
    let count = block.count
    func values(_ formula: Formula) -> [Double] { formula.evaluate(block.columns, count: count).expanded(to: count) }
    func append(keyOf parts: [Formula]) {
      var keys = [UInt64](repeating: 0, count: count)
      for part in parts {
        let values = values(part)
        for row in 0..<count { keys[row] = CounterRandom.fold(keys[row], values[row]) }
      }
      result.keys.append(contentsOf: keys)
    }
    result.numbers.removeAll(keepingCapacity: true)
    result.keys.removeAll(keepingCapacity: true)
    result.ranges = [(from: [Double], to: [Double])?](repeating: nil, count: fields.count)
    result.rows = count
    for (index, field) in fields.enumerated() {
      switch field.style {
      case .integer(let value), .decimal(let value, _), .bool(let value), .text(let value), .time(let value, _):
        result.numbers.append(contentsOf: values(value))
      case .hash(let parts):
        result.numbers.append(contentsOf: values(parts.first ?? .constant(.nan)))
        append(keyOf: parts)
        continue
      case .list(let items, let from, let to, let key):
        result.numbers.append(contentsOf: values(items))
        result.ranges[index] = (values(from), values(to))
        append(keyOf: key)
        continue
      }
      if hasKeys { result.keys.append(contentsOf: repeatElement(0, count: count)) }
    }
  }

  /// Writes an event and its line end.
  func write(_ row: Int, of values: FieldValues, into line: inout LineCursor) {
    line.require(longestLine)
    guard objectNames.isEmpty else { return write(row, of: values, damage: .none, random: 0, into: &line) }
    let start = line.count
    // SAFETY: `nameStarts` has one place more than there are fields, ascends and ends at `names.count`; the cursor
    // copies.
    names.withUnsafeBufferPointer { names in
      for field in fields.indices {
        line.write(UnsafeBufferPointer(rebasing: names[nameStarts[field]..<nameStarts[field + 1]]))
        writeValue(field, row, of: values, into: &line)
      }
    }
    close(from: start, &line)
    line.write(0x0A)
  }

  /// Writes an event field by field, with damage done to it. `random` decides where it is cut.
  func write(
    _ row: Int, of values: FieldValues, damage: BrokenDefinition.Damage, random: UInt64, into line: inout LineCursor
  ) {
    line.require(longestLine)
    let start = line.count
    func write(_ field: Int) {
      line.write(Array(names[nameStarts[field]..<nameStarts[field + 1]]))
      writeValue(field, row, of: values, into: &line)
    }
    if case .replace(let text) = damage {
      line.write(text)
    } else {
      // The object that is being written, and where it begins.
      var (object, objectStart): (Int?, Int) = (nil, 0)
      for field in fields.indices {
        if objects[field] != object {
          if object != nil { close(from: objectStart, &line) }
          object = objects[field]
          if let object { line.write(objectNames[object]) }
          objectStart = line.count
        }
        switch damage {
        case .drop(field): continue
        case .set(field, let json):
          line.write(Array(names[nameStarts[field]..<nameStarts[field + 1]]))
          line.write(json)
        case .twice(field):
          write(field)
          write(field)
        // Which members an object has depends on the event: those that are NULL are left out.
        default: if object == nil || values.numbers[field * values.rows + row].isFinite { write(field) }
        }
      }
      if object != nil { close(from: objectStart, &line) }
      close(from: start, &line)
    }
    if case .truncate = damage {
      // From a quarter to all but the closing brace.
      let length = line.count - start - 1
      line.cut(to: start + length / 4 + Int(random % UInt64(max(1, length - length / 4))))
    }
    line.write(0x0A)
  }

  /// Puts the braces around the fields written since `start`: the first one's comma becomes the opening one.
  private func close(from start: Int, _ line: inout LineCursor) {
    if line.count == start { line.write(0x7B) } else { line.replace(at: start, with: 0x7B) }
    line.write(0x7D)
  }

  /// Writes the value of one field.
  @inline(__always)
  private func writeValue(_ field: Int, _ row: Int, of values: FieldValues, into line: inout LineCursor) {
    let place = field * values.rows + row
    let value = values.numbers[place]
    if !value.isFinite { return line.write("null") }
    switch kinds[field] {
    case .integer: line.write(integer: Self.whole(value))
    case .decimal(let digits): Self.write(decimal: value, digits: digits, into: &line)
    case .bool: value == 1 ? line.write("true") : line.write("false")
    case .text:
      let text = Int(value)
      // SAFETY: `textStarts` ascends and ends at `texts.count`, and its subscript checks the number; the cursor copies.
      texts.withUnsafeBufferPointer { texts in
        line.write(UnsafeBufferPointer(rebasing: texts[textStarts[text]..<textStarts[text + 1]]))
      }
    case .time(let style): Self.write(time: value, style, into: &line)
    case .hash:
      line.write(0x22)
      line.write(hexadecimal: values.keys[place])
      line.write(0x22)
    case .list:
      guard let range = values.ranges[field] else { return }
      let items = Int(max(0, min(Double(FieldDefinition.maxListItems), value)))
      writeList(lists[field], items, range.from[row], range.to[row], key: values.keys[place], into: &line)
    }
  }

  /// The JSON of one field of one event.
  func json(_ field: Int, _ row: Int, of values: FieldValues) -> String {
    // SAFETY: the cursor lives in the closure only, writes from the front and has written `line.count` bytes.
    let bytes = [UInt8](unsafeUninitializedCapacity: longestLine) { memory, initialized in
      var line = LineCursor(memory)
      line.require(longestLine)
      writeValue(field, row, of: values, into: &line)
      initialized = line.count
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  // MARK: Styles

  /// The nearest whole number, halves away from zero, within what a double holds exactly.
  @inline(__always)
  private static func whole(_ value: Double) -> Int64 {
    let bounded = max(-9e15, min(9e15, value))
    return Int64(bounded + (bounded < 0 ? -0.5 : 0.5))
  }

  /// A time within the years that can be written.
  private static func microseconds(_ seconds: Double) -> Int64 {
    let range = Timestamp.range
    let scaled = max(Double(range.lowerBound), min(Double(range.upperBound), seconds * 1e6))
    return min(Int64(scaled + (scaled < 0 ? -0.5 : 0.5)), range.upperBound)
  }

  private static func write(decimal value: Double, digits: Int, into line: inout LineCursor) {
    var scale: UInt64 = 1
    for _ in 0..<digits { scale *= 10 }
    let scaled = whole(value * Double(scale))
    if scaled < 0 { line.write(0x2D) }
    line.write(integer: Int64(scaled.magnitude / scale))
    if digits > 0 {
      line.write(0x2E)
      line.write(scaled.magnitude % scale, width: digits)
    }
  }

  private static func write(time seconds: Double, _ style: FieldDefinition.TimeStyle, into line: inout LineCursor) {
    let time = microseconds(seconds)
    switch style {
    case .seconds: line.write(integer: whole(seconds.rounded(.down)))
    case .milliseconds: line.write(integer: whole((seconds * 1e3).rounded(.down)))
    case .microseconds: line.write(integer: time)
    case .rfc3339:
      let day = (time >= 0 ? time : time - Timestamp.microsecondsPerDay + 1) / Timestamp.microsecondsPerDay
      let rest = UInt64(time - day * Timestamp.microsecondsPerDay)
      let date = Timestamp.civil(fromDays: day)
      line.write(0x22)
      line.write(UInt64(max(0, min(9999, date.year))), width: 4)
      line.write(0x2D)
      line.write(UInt64(date.month), width: 2)
      line.write(0x2D)
      line.write(UInt64(date.day), width: 2)
      line.write(0x54)
      line.write(rest / 3_600_000_000, width: 2)
      line.write(0x3A)
      line.write(rest / 60_000_000 % 60, width: 2)
      line.write(0x3A)
      line.write(rest / 1_000_000 % 60, width: 2)
      line.write(0x2E)
      line.write(rest % 1_000_000, width: 6)
      line.write(0x5A)
      line.write(0x22)
    }
  }

  private func writeList(
    _ random: CounterRandom, _ items: Int, _ from: Double, _ to: Double, key: UInt64, into line: inout LineCursor
  ) {
    guard items > 0, from.isFinite, to.isFinite else { return line.write("null") }
    line.write(0x22)
    for item in 0..<items {
      if item > 0 { line.write(0x2C) }
      let uniform = random.uniform(at: key &+ UInt64(item))
      line.write(integer: Self.whole(from + ((to - from + 1) * uniform).rounded(.down)))
    }
    line.write(0x22)
  }
}
