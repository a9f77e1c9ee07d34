// Cells to columns: which kinds of value a field of each type accepts. A value of another kind is never bent to fit.
//
// | field     | accepts                                                                                             |
// |-----------|-----------------------------------------------------------------------------------------------------|
// | int       | integers; numbers below 2^53 without a fraction (`16.0`, `1e3`), since beyond a double is not exact; |
// |           | the others without a fraction, and integers beyond int64, are out of range                         |
// | double    | numbers; numbers beyond the range of double are out of range                                        |
// | bool      | `true`, `false`; 0 and 1 (also `1.0`); the strings "true" and "false" in any case                   |
// | string    | strings; a number or a boolean is not a string                                                      |
// | timestamp | by `TimestampFormat`: strings, numbers or both                                                      |
// | json      | any value, kept as written                                                                          |
//
// Where a field allows numeric strings, and always in CSV, a string that holds a decimal number counts as that number.
// Null and absent values are null rows here; defaults and `required` come with validation.

/// Coerces the cells of one field.
struct Coercion {
  let field: Field

  /// The column of the cells. A cell that does not fit is noted in `failures` and a null row.
  func column(of run: inout CellRun, text: CellText, strings: StringBuilder, failures: inout RowFailures) -> Column {
    switch field.type {
    case .int: return ints(run, text, &failures)
    case .double: return doubles(run, text, &failures)
    case .bool: return bools(run, text, &failures)
    case .timestamp(let format): return timestamps(run, text, format, &failures)
    case .string:
      return texts(run, text, strings, accepting: CellTag.set(CellTag.string, CellTag.unescaped), &failures)
    case .json:
      let accepted = CellTag.set(CellTag.string, CellTag.unescaped, CellTag.raw)
      return texts(run, text, strings, accepting: accepted, &failures)
    }
  }

  private static let empty = CellTag.set(CellTag.missing, CellTag.null)

  private func ints(_ run: CellRun, _ text: CellText, _ failures: inout RowFailures) -> Column {
    if run.has(only: Self.empty | CellTag.set(CellTag.int)) {
      return Column(.int(integers(run)), validity: run.rows(tagged: CellTag.set(CellTag.int)))
    }
    var valid = Bitmap(repeating: false, count: run.count)
    var values = [Int64](repeating: 0, count: run.count)
    for row in 0..<run.count {
      let payload = run.payloads[row]
      switch run.tags[row] {
      case CellTag.missing, CellTag.null: continue
      case CellTag.int: values[row] = Int64(bitPattern: payload)
      case CellTag.double:
        let number = Double(bitPattern: payload)
        // 2^53 may stand for 2^53 + 1 as well: it is what both are rounded to.
        guard number.magnitude < 0x1p53, let integer = Int64(exactly: number) else {
          if number.rounded() == number {
            outOfRange(row, run, text, &failures)
          } else {
            wrongType(row, run, text, &failures)
          }
          continue
        }
        values[row] = integer
      case CellTag.bigInt, CellTag.huge:
        outOfRange(row, run, text, &failures)
        continue
      default:
        wrongType(row, run, text, &failures)
        continue
      }
      valid[row] = true
    }
    return Column(.int(values), validity: valid)
  }

  private func doubles(_ run: CellRun, _ text: CellText, _ failures: inout RowFailures) -> Column {
    let plain = Self.empty | CellTag.set(CellTag.double)
    let numbers = plain | CellTag.set(CellTag.int, CellTag.bigInt)
    let fits = run.has(only: numbers)
    // SAFETY: every row is written, and the payloads have `count` cells.
    let values = [Double](unsafeUninitializedCapacity: run.count) { values, initialized in
      if run.has(only: plain) {
        for row in 0..<run.count { values[row] = Double(bitPattern: run.payloads[row]) }
      } else {
        for row in 0..<run.count {
          let payload = run.payloads[row]
          let tag = run.tags[row]
          let integer = Double(Int64(bitPattern: payload))
          let isNumber = tag == CellTag.double || tag == CellTag.bigInt
          values[row] = isNumber ? Double(bitPattern: payload) : tag == CellTag.int ? integer : 0
        }
      }
      initialized = run.count
    }
    if !fits {
      for row in 0..<run.count where numbers >> UInt32(run.tags[row]) & 1 == 0 {
        if run.tags[row] == CellTag.huge {
          outOfRange(row, run, text, &failures)
        } else {
          wrongType(row, run, text, &failures)
        }
      }
    }
    return Column(.double(values), validity: run.rows(tagged: numbers & ~Self.empty))
  }

  private func bools(_ run: CellRun, _ text: CellText, _ failures: inout RowFailures) -> Column {
    let plain = CellTag.set(CellTag.false, CellTag.true)
    if run.has(only: Self.empty | plain) {
      let values = Bitmap(count: run.count) { run.tags[$0] == CellTag.true }
      return Column(.bool(values), validity: run.rows(tagged: plain))
    }
    var valid = Bitmap(repeating: false, count: run.count)
    var values = Bitmap(repeating: false, count: run.count)
    for row in 0..<run.count where Self.empty >> UInt32(run.tags[row]) & 1 == 0 {
      guard let value = bool(run.tags[row], run.payloads[row], text) else {
        wrongType(row, run, text, &failures)
        continue
      }
      valid[row] = true
      if value { values[row] = true }
    }
    return Column(.bool(values), validity: valid)
  }

  private func bool(_ tag: UInt8, _ payload: UInt64, _ text: CellText) -> Bool? {
    switch tag {
    case CellTag.true: return true
    case CellTag.false: return false
    case CellTag.int: return payload == 0 ? false : payload == 1 ? true : nil
    case CellTag.double:
      let number = Double(bitPattern: payload)
      return number == 0 ? false : number == 1 ? true : nil
    case CellTag.string, CellTag.unescaped:
      let bytes = text.bytes(tag, payload)
      if bytes.count == 4 { return bytes.elementsEqual("true".utf8) { $0 | 0x20 == $1 } ? true : nil }
      if bytes.count == 5 { return bytes.elementsEqual("false".utf8) { $0 | 0x20 == $1 } ? false : nil }
      return nil
    default: return nil
    }
  }

  private func timestamps(
    _ run: CellRun, _ text: CellText, _ format: TimestampFormat, _ failures: inout RowFailures
  ) -> Column {
    var isFull = true
    // SAFETY: every row is written, and the payloads have `count` cells.
    let values = [Int64](unsafeUninitializedCapacity: run.count) { values, initialized in
      for row in 0..<run.count {
        let tag = run.tags[row]
        let payload = run.payloads[row]
        if tag == CellTag.string, format == .automatic || format == .rfc3339 {
          // The text is lent for the whole call, and the span does not leave this scope.
          let bytes = RawSpan(_unsafeBytes: text.bytes(tag, payload))
          if let value = Timestamp.parse(bytes: bytes) {
            values[row] = value
            continue
          }
        }
        let value = timestamp(row, run, text, format, &failures)
        if value == nil { isFull = false }
        values[row] = value ?? 0
      }
      initialized = run.count
    }
    if isFull { return Column(.timestamp(values)) }
    let empty = Self.empty
    let valid = Bitmap(count: run.count) {
      empty >> UInt32(run.tags[$0]) & 1 == 0 && (values[$0] != 0 || failures.byRow[$0] == nil)
    }
    return Column(.timestamp(values), validity: valid)
  }

  /// The timestamp of any cell; what does not fit is noted.
  private func timestamp(
    _ row: Int, _ run: CellRun, _ text: CellText, _ format: TimestampFormat, _ failures: inout RowFailures
  ) -> Int64? {
    let tag = run.tags[row]
    let payload = run.payloads[row]
    switch tag {
    case CellTag.missing, CellTag.null: return nil
    case CellTag.timestamp:
      let value = Int64(bitPattern: payload)
      if Timestamp.range.contains(value) { return value }
      outOfRange(row, run, text, &failures)
    case CellTag.string, CellTag.unescaped:
      guard format == .automatic || format == .rfc3339 else {
        wrongType(row, run, text, &failures)
        return nil
      }
      // SAFETY: the text is lent for the whole call, and the span does not leave this scope.
      let bytes = RawSpan(_unsafeBytes: text.bytes(tag, payload))
      if let value = Timestamp.parse(bytes: bytes) { return value }
      failures.note(
        row, field, .invalidTimestamp, expected: "an RFC 3339 time of the years 0001 to 9999",
        found: describe(run, row, text), stage: .decode)
    case CellTag.int, CellTag.double:
      guard format != .rfc3339 else {
        wrongType(row, run, text, &failures)
        return nil
      }
      let value =
        tag == CellTag.int
        ? Timestamp.fromEpoch(Int64(bitPattern: payload), format: format)
        : Timestamp.fromEpoch(double: Double(bitPattern: payload), format: format)
      if let value { return value }
      outOfRange(row, run, text, &failures)
    case CellTag.bigInt, CellTag.huge:
      if format == .rfc3339 { wrongType(row, run, text, &failures) } else { outOfRange(row, run, text, &failures) }
    default: wrongType(row, run, text, &failures)
    }
    return nil
  }

  private func texts(
    _ run: CellRun, _ text: CellText, _ strings: StringBuilder, accepting accepted: UInt32,
    _ failures: inout RowFailures
  ) -> Column {
    if !run.has(only: accepted | Self.empty) {
      for row in 0..<run.count where (accepted | Self.empty) >> UInt32(run.tags[row]) & 1 == 0 {
        wrongType(row, run, text, &failures)
      }
    }
    return Column(.string(strings.column(run, text, accepting: accepted)), validity: run.rows(tagged: accepted))
  }

  private func integers(_ run: CellRun) -> [Int64] {
    // SAFETY: the payloads have `count` cells, all of them are read, and every row is written.
    [Int64](unsafeUninitializedCapacity: run.count) { values, initialized in
      for row in 0..<run.count { values[row] = Int64(bitPattern: run.payloads[row]) }
      initialized = run.count
    }
  }

  // ---- Messages ----

  private func wrongType(_ row: Int, _ run: CellRun, _ text: CellText, _ failures: inout RowFailures) {
    let expected = run.tags[row] == CellTag.notNested ? "an object around it" : expectation
    failures.note(row, field, .wrongType, expected: expected, found: describe(run, row, text), stage: .decode)
  }

  private func outOfRange(_ row: Int, _ run: CellRun, _ text: CellText, _ failures: inout RowFailures) {
    let expected =
      switch field.type {
      case .int: run.tags[row] == CellTag.double ? "an integer, from 2^53 on in digits only" : "an integer of 64 bits"
      case .timestamp: "a time of the years 0001 to 9999"
      default: "a number that a double can hold"
      }
    failures.note(row, field, .outOfRange, expected: expected, found: describe(run, row, text), stage: .decode)
  }

  private var expectation: String {
    switch field.type {
    case .int: "an integer"
    case .double: "a number"
    case .bool: "true or false"
    case .string: "a string"
    case .timestamp(.automatic): "a time as RFC 3339 text or as a number since 1970"
    case .timestamp(.rfc3339): "a time as RFC 3339 text"
    case .timestamp(let format): "a time as a number of \(format.rawValue) since 1970"
    case .json: "JSON"
    }
  }

  private func describe(_ run: CellRun, _ row: Int, _ text: CellText) -> String {
    let tag = run.tags[row]
    let payload = run.payloads[row]
    switch tag {
    case CellTag.int: return String(Int64(bitPattern: payload))
    case CellTag.double, CellTag.bigInt: return String(Double(bitPattern: payload))
    case CellTag.false: return "false"
    case CellTag.true: return "true"
    case CellTag.timestamp: return "a timestamp"
    case CellTag.huge: return payload == 0 ? "a number beyond it" : text.bytes(tag, payload).excerpt()
    case CellTag.string, CellTag.unescaped: return "the string \"\(text.bytes(tag, payload).excerpt())\""
    case CellTag.object: return "an object"
    case CellTag.array: return "an array"
    case CellTag.notNested, CellTag.raw, CellTag.notJSON: return text.bytes(tag, payload).excerpt()
    default: return "nothing"
    }
  }
}
