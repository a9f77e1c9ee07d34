// Casts. From text a cast accepts one plain grammar per type, stated at each; everything else fails and is NULL.

extension Evaluation {
  mutating func cast(_ node: Node, _ value: Value, _ validity: Bitmap?, _ selection: Bitmap?) -> Value {
    let source = node.children[0].type
    let count = count
    var isTry = false
    if case .cast(true) = node.operation { isTry = true }
    switch (source, node.type) {
    case (.int, .bool):
      return Value.bools(ComparisonKernels.compare(.notEqual, value.lane64, .constant(0), count), validity).masked()
    case (.double, .bool):
      return Value.bools(ComparisonKernels.compare(.notEqual, value.laneDouble, .constant(0), count), validity).masked()
    case (.bool, .int):
      let bits = value.truth(count).bits
      return .ints((0..<count).map { bits[$0] ? 1 : 0 }, validity)
    case (.bool, .double):
      let bits = value.truth(count).bits
      return .doubles((0..<count).map { bits[$0] ? 1 : 0 }, validity)
    case (.double, .int):
      let lane = value.laneDouble
      let failed = NumericKernels.rows(lane, count) { CastKernels.integer($0) == nil }
      let values = NumericKernels.map(lane, count) { CastKernels.integer($0) ?? 0 }
      return .ints(values, failing(failed, validity, selection, isTry: isTry))
    case (_, .string): return .strings(CastKernels.text(value, node.children[0].type, validity, count), validity)
    case (.string, _): return parse(value.strings(count), node.type, validity, selection, isTry: isTry)
    default: preconditionFailure("a cast that is refused when the tree is checked")
    }
  }

  private mutating func failing(
    _ failed: Bitmap, _ validity: Bitmap?, _ selection: Bitmap?, isTry: Bool
  ) -> Bitmap? {
    if !isTry { return withFailures(failed, validity, selection) }
    return failed.isEmpty ? validity : validity?.subtracting(failed) ?? ~failed
  }

  private mutating func parse(
    _ strings: StringColumn, _ type: ValueType, _ validity: Bitmap?, _ selection: Bitmap?, isTry: Bool
  ) -> Value {
    switch type {
    case .double:
      let values = StringKernels.map(strings, count, CastKernels.double)
      let failed = Bitmap(count: count) { values[$0] == nil }
      return .doubles(values.map { $0 ?? 0 }, failing(failed, validity, selection, isTry: isTry))
    case .bool:
      let values = StringKernels.map(strings, count, CastKernels.bool)
      let failed = Bitmap(count: count) { values[$0] == nil }
      let bits = Bitmap(count: count) { values[$0] ?? false }
      return Value.bools(bits, failing(failed, validity, selection, isTry: isTry)).masked()
    default:
      let parser = type == .timestamp ? CastKernels.timestamp : CastKernels.integer(text:)
      let values = StringKernels.map(strings, count, parser)
      let failed = Bitmap(count: count) { values[$0] == nil }
      return .ints(values.map { $0 ?? 0 }, failing(failed, validity, selection, isTry: isTry))
    }
  }
}

enum CastKernels {
  /// Rounded to the nearest whole number, halves to the even one; nil outside 64 bits.
  @inline(__always)
  static func integer(_ value: Double) -> Int64? {
    let rounded = value.rounded(.toNearestOrEven)
    guard rounded >= -0x1p63, rounded < 0x1p63 else { return nil }
    return Int64(rounded)
  }

  static func timestamp(_ text: Text) -> Int64? {
    // SAFETY: the text is lent for the whole call, and the span does not leave this scope.
    TimestampText.parse(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(text)), as: .sql)
  }

  /// Without ASCII white space at both ends.
  private static func trimmed(_ text: Text) -> Slice<Text> {
    var text = text[...]
    while let first = text.first, isSpace(first) { text.removeFirst() }
    while let last = text.last, isSpace(last) { text.removeLast() }
    return text
  }

  private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (byte >= 0x09 && byte <= 0x0D) }

  /// `[+-]digits[.digits]` with white space around it; a fraction of a half or more rounds away from zero.
  static func integer(text: Text) -> Int64? {
    var rest = trimmed(text)
    let isNegative = rest.first == UInt8(ascii: "-")
    if isNegative || rest.first == UInt8(ascii: "+") { rest.removeFirst() }
    // Negative numbers reach one further, so the value is built up as one.
    var value: Int64 = 0
    var digits = 0
    while let digit = digit(rest.first) {
      let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, beyond) = tens.subtractingReportingOverflow(Int64(digit))
      if overflow || beyond { return nil }
      value = sum
      digits += 1
      rest.removeFirst()
    }
    guard digits > 0 else { return nil }
    if rest.first == UInt8(ascii: ".") {
      rest.removeFirst()
      if let first = digit(rest.first), first >= 5 {
        let (away, overflow) = value.subtractingReportingOverflow(1)
        if overflow { return nil }
        value = away
      }
      while digit(rest.first) != nil { rest.removeFirst() }
    }
    guard rest.isEmpty else { return nil }
    if isNegative { return value }
    return value == .min ? nil : -value
  }

  private static func digit(_ byte: UInt8?) -> UInt8? {
    guard let byte, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
    return byte - UInt8(ascii: "0")
  }

  /// A decimal number with optional exponent, or inf, infinity or nan in any case; a sign and white space around it.
  static func double(_ text: Text) -> Double? {
    let trimmed = trimmed(text)
    var rest = trimmed
    if rest.first == UInt8(ascii: "-") || rest.first == UInt8(ascii: "+") { rest.removeFirst() }
    let word = String(decoding: rest.prefix(9), as: UTF8.self).lowercased()
    if ["inf", "infinity", "nan"].contains(word), rest.count == word.utf8.count {
      if word == "nan" { return .nan }
      return trimmed.first == UInt8(ascii: "-") ? -.infinity : .infinity
    }
    var digits = 0
    while digit(rest.first) != nil {
      rest.removeFirst()
      digits += 1
    }
    if rest.first == UInt8(ascii: ".") {
      rest.removeFirst()
      while digit(rest.first) != nil {
        rest.removeFirst()
        digits += 1
      }
    }
    guard digits > 0 else { return nil }
    if let byte = rest.first, byte | 0x20 == UInt8(ascii: "e") {
      rest.removeFirst()
      if rest.first == UInt8(ascii: "-") || rest.first == UInt8(ascii: "+") { rest.removeFirst() }
      guard digit(rest.first) != nil else { return nil }
      while digit(rest.first) != nil { rest.removeFirst() }
    }
    guard rest.isEmpty else { return nil }
    return Double(String(decoding: trimmed, as: UTF8.self))
  }

  /// true, t, yes, y, 1 and their opposites, in any case.
  static func bool(_ text: Text) -> Bool? {
    guard text.count <= 5 else { return nil }
    switch String(decoding: text, as: UTF8.self).lowercased() {
    case "true", "t", "yes", "y", "1": return true
    case "false", "f", "no", "n", "0": return false
    default: return nil
    }
  }

  /// Values as text.
  static func text(_ value: Value, _ type: ValueType, _ rows: Bitmap?, _ count: Int) -> StringColumn {
    switch type {
    case .int: return text(value.lane64, rows, count) { String($0) }
    case .timestamp: return text(value.lane64, rows, count, TimestampText.format)
    case .double: return text(value.laneDouble, rows, count, format)
    case .bool:
      // "false" and "true", with "" for the rows that are NULL.
      let bits = value.truth(count).bits
      let codes = (0..<count).map { row -> UInt32 in rows?[row] ?? true ? (bits[row] ? 2 : 1) : 0 }
      return StringColumn(offsets: [0, 0, 5, 9], bytes: Array("falsetrue".utf8), codes: codes)
    case .string: return value.strings(count)
    }
  }

  private static func text<T>(
    _ lane: Lane<T>, _ rows: Bitmap?, _ count: Int, _ format: (T) -> String
  ) -> StringColumn {
    switch lane {
    case .constant(let value): return Value.constant(.string(format(value))).strings(count)
    case .run(let values):
      return StringKernels.build(rows, count) { row, output in output.append(contentsOf: format(values[row]).utf8) }
        .strings
    }
  }

  /// The shortest decimal that reads back as the value, positional from 1e-4 up to 1e16, else with an exponent of at
  /// least two digits; always with a point or an exponent.
  static func format(_ value: Double) -> String {
    if value.isNaN { return "nan" }
    if value.isInfinite { return value < 0 ? "-inf" : "inf" }
    if value == 0 { return value.sign == .minus ? "-0.0" : "0.0" }
    let (digits, exponent) = shortest(value.magnitude)
    var text = value < 0 ? "-" : ""
    if exponent < -4 || exponent >= 16 {
      text += digits.prefix(1)
      if digits.count > 1 { text += "." + digits.dropFirst() }
      let power = String(abs(exponent))
      return text + (exponent < 0 ? "e-" : "e+") + (power.count < 2 ? "0" + power : power)
    }
    if exponent < 0 { return text + "0." + String(repeating: "0", count: -exponent - 1) + digits }
    if digits.count <= exponent + 1 {
      return text + digits + String(repeating: "0", count: exponent + 1 - digits.count) + ".0"
    }
    return text + digits.prefix(exponent + 1) + "." + digits.dropFirst(exponent + 1)
  }

  /// The significant digits without zeros at either end, and the power of ten of the first one.
  private static func shortest(_ value: Double) -> (digits: String, exponent: Int) {
    let parts = value.description.split(separator: "e", maxSplits: 1)
    var exponent = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
    let mantissa = parts[0].split(separator: ".", maxSplits: 1)
    let whole = mantissa[0]
    var digits = Substring(whole + (mantissa.count > 1 ? mantissa[1] : ""))
    exponent += whole.count - 1
    while digits.first == "0" {
      digits.removeFirst()
      exponent -= 1
    }
    while digits.last == "0" { digits.removeLast() }
    return (String(digits), exponent)
  }
}
