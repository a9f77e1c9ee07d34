// Writes simulated events as lines of JSON, byte by byte. Invariant: `longestLine` bounds what one event can take, so
// the buffer is grown once per block and never while a line is written.

/// A growing buffer of bytes with the number formats of JSON.
struct LineBuffer {
  private(set) var bytes: [UInt8]
  private(set) var count = 0

  init() { bytes = [] }

  mutating func removeAll() { count = 0 }

  /// Makes room for `more` bytes, which may then be written without further checks of the capacity.
  mutating func reserve(_ more: Int) {
    if bytes.count < count + more {
      bytes.append(contentsOf: repeatElement(0, count: max(count + more - bytes.count, bytes.count)))
    }
  }

  mutating func cut(to length: Int) { count = length }

  @inline(__always)
  mutating func write(_ byte: UInt8) {
    bytes[count] = byte
    count += 1
  }

  @inline(__always)
  mutating func write(_ source: [UInt8]) {
    let at = count
    bytes.withUnsafeMutableBytes { target in
      source.withUnsafeBytes { source in
        precondition(at + source.count <= target.count, "a line outgrew its bound")
        // SAFETY: the range was just checked against the buffer; the two arrays are distinct.
        if let from = source.baseAddress, let to = target.baseAddress {
          (to + at).copyMemory(from: from, byteCount: source.count)
        }
      }
    }
    count += source.count
  }

  mutating func write(_ text: StaticString) {
    text.withUTF8Buffer { for byte in $0 { write(byte) } }
  }

  mutating func write(integer value: Int64) {
    if value < 0 { write(0x2D) }
    let magnitude = value.magnitude
    var length = 1
    var bound: UInt64 = 10
    while length < 19, magnitude >= bound {
      length += 1
      bound *= 10
    }
    write(magnitude, width: length)
  }

  /// The last `width` decimal digits.
  @inline(__always)
  mutating func write(_ value: UInt64, width: Int) {
    var rest = value
    var place = count + width
    count = place
    while place > count - width {
      place -= 1
      bytes[place] = 0x30 + UInt8(truncatingIfNeeded: rest % 10)
      rest /= 10
    }
  }
}

/// Writes the rows of a block in the style of each field.
struct EventWriter: Sendable {
  private let fields: [FieldDefinition]
  /// `"name":` of each field.
  private let names: [[UInt8]]
  /// The definition's texts as JSON strings.
  private let texts: [[UInt8]]
  private let lists: [CounterRandom]
  /// The most bytes a line can take.
  let longestLine: Int

  /// The results of a field's formulas for the block.
  struct Inputs {
    var formulas: [BlockValues]
  }

  init(_ definition: SimulationDefinition, seed: UInt64) {
    fields = definition.fields
    names = fields.map { Self.quoted($0.name) + [0x3A] }
    texts = definition.texts.map(Self.quoted)
    lists = fields.map { CounterRandom(seed: seed, stream: "list/" + $0.name) }
    let longestText = texts.map(\.count).max() ?? 4
    let values = fields.map { field in
      switch field.style {
      case .text: max(longestText, 4)
      case .list: FieldDefinition.maxListItems * 21 + 2
      default: 40
      }
    }
    // A damaged line may hold a field twice.
    longestLine = 2 * (zip(names, values).reduce(4) { $0 + $1.0.count + $1.1 + 1 })
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

  /// Evaluates the formulas of all fields for a block.
  func inputs(_ block: SimulationBlock) -> [Inputs] {
    fields.map { field in
      let formulas: [Formula] =
        switch field.style {
        case .integer(let value), .decimal(let value, _), .bool(let value), .text(let value), .time(let value, _): [value]
        case .hash(let parts): parts
        case .list(let count, let from, let to, let key): [count, from, to] + key
        }
      return Inputs(formulas: formulas.map { $0.evaluate(block.columns, count: block.count) })
    }
  }

  /// Writes an event and its line end.
  func write(_ row: Int, _ inputs: [Inputs], into line: inout LineBuffer) {
    line.write(0x7B)
    for field in fields.indices {
      if field > 0 { line.write(0x2C) }
      line.write(names[field])
      writeValue(field, row, inputs[field], into: &line)
    }
    line.write(0x7D)
    line.write(0x0A)
  }

  /// Writes an event with damage done to it. `random` decides where it is cut.
  func write(
    _ row: Int, _ inputs: [Inputs], damage: BrokenDefinition.Damage, random: UInt64, into line: inout LineBuffer
  ) {
    let start = line.count
    switch damage {
    case .truncate:
      write(row, inputs, into: &line)
      // From a quarter to all but the closing brace.
      let length = line.count - start - 2
      line.cut(to: start + length / 4 + Int(random % UInt64(max(1, length - length / 4))))
    case .replace(let text):
      line.reserve(longestLine + text.count)
      line.write(text)
    case .drop(let dropped): writeFields(row, inputs, into: &line) { $0 == dropped ? .none : .value }
    case .set(let changed, let json):
      line.reserve(longestLine + json.count)
      writeFields(row, inputs, into: &line) { $0 == changed ? .json(json) : .value }
    case .twice(let doubled): writeFields(row, inputs, into: &line) { $0 == doubled ? .twice : .value }
    }
    line.write(0x0A)
  }

  private enum Writing { case none, value, twice, json([UInt8]) }

  private func writeFields(_ row: Int, _ inputs: [Inputs], into line: inout LineBuffer, _ how: (Int) -> Writing) {
    var separator: UInt8 = 0x7B
    func name(_ field: Int) {
      line.write(separator)
      line.write(names[field])
      separator = 0x2C
    }
    for field in fields.indices {
      switch how(field) {
      case .none: continue
      case .json(let json):
        name(field)
        line.write(json)
      case .value:
        name(field)
        writeValue(field, row, inputs[field], into: &line)
      case .twice:
        for _ in 0..<2 {
          name(field)
          writeValue(field, row, inputs[field], into: &line)
        }
      }
    }
    if separator == 0x7B { line.write(0x7B) }
    line.write(0x7D)
  }

  /// Writes the value of one field.
  @inline(__always)
  func writeValue(_ field: Int, _ row: Int, _ inputs: Inputs, into line: inout LineBuffer) {
    let value = inputs.formulas[0][row]
    if !value.isFinite { return line.write("null") }
    switch fields[field].style {
    case .integer: line.write(integer: Self.whole(value))
    case .decimal(_, let digits): Self.write(decimal: value, digits: digits, into: &line)
    case .bool: value == 1 ? line.write("true") : line.write("false")
    case .text: line.write(texts[Int(value)])
    case .time(_, let style): Self.write(time: value, style, into: &line)
    case .hash:
      var key: UInt64 = 0
      for part in inputs.formulas { key = CounterRandom.fold(key, part[row]) }
      Self.write(hash: key, into: &line)
    case .list: writeList(field, row, inputs, count: value, into: &line)
    }
  }

  /// The nearest whole number, within what a double holds exactly.
  @inline(__always)
  private static func whole(_ value: Double) -> Int64 { Int64(max(-9e15, min(9e15, value)).rounded()) }

  private static func write(decimal value: Double, digits: Int, into line: inout LineBuffer) {
    let scales: [Double] = [1, 10, 100, 1e3, 1e4, 1e5, 1e6]
    let scaled = whole(value * scales[digits])
    if scaled < 0 { line.write(0x2D) }
    let scale = UInt64(scales[digits])
    line.write(integer: Int64(scaled.magnitude / scale))
    if digits > 0 {
      line.write(0x2E)
      line.write(scaled.magnitude % scale, width: digits)
    }
  }

  private static func write(time seconds: Double, _ style: FieldDefinition.TimeStyle, into line: inout LineBuffer) {
    let time = whole(seconds * 1e6)
    switch style {
    case .seconds: line.write(integer: whole(seconds.rounded(.down)))
    case .milliseconds: line.write(integer: whole((seconds * 1e3).rounded(.down)))
    case .microseconds: line.write(integer: time)
    case .rfc3339:
      let day = (time >= 0 ? time : time - CivilTime.microsecondsPerDay + 1) / CivilTime.microsecondsPerDay
      let rest = UInt64(time - day * CivilTime.microsecondsPerDay)
      let date = CivilTime.date(ofDay: day)
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

  private static func write(hash: UInt64, into line: inout LineBuffer) {
    line.write(0x22)
    for shift in stride(from: 60, through: 0, by: -4) {
      let digit = UInt8(hash >> UInt64(shift) & 15)
      line.write(digit < 10 ? 0x30 + digit : 0x57 + digit)
    }
    line.write(0x22)
  }

  private func writeList(_ field: Int, _ row: Int, _ inputs: Inputs, count: Double, into line: inout LineBuffer) {
    let items = Int(max(0, min(Double(FieldDefinition.maxListItems), count)))
    let (from, to) = (inputs.formulas[1][row], inputs.formulas[2][row])
    guard items > 0, from.isFinite, to.isFinite else { return line.write("null") }
    var key: UInt64 = 0
    for part in inputs.formulas.dropFirst(3) { key = CounterRandom.fold(key, part[row]) }
    line.write(0x22)
    for item in 0..<items {
      if item > 0 { line.write(0x2C) }
      let uniform = lists[field].uniform(at: key &+ UInt64(item))
      line.write(integer: Self.whole(from + ((to - from + 1) * uniform).rounded(.down)))
    }
    line.write(0x22)
  }
}
