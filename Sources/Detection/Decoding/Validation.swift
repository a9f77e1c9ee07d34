// The constraints of a field over its column: bounds, length, allowed values, pattern, then the default and `required`.
// Strings are judged once per dictionary entry. Null rows meet every constraint but `required`; a default is taken as it
// is. A constraint that does not fit the field's type constrains nothing; reading a use case refuses it.

/// Checks the constraints of one field. Not `Sendable`: a compiled pattern belongs to one worker.
struct Validation {
  private let field: Field
  private let isRequired: Bool
  private let allowedStrings: [[UInt8]]?
  private let pattern: Pattern?

  /// - Precondition: the field's pattern compiles; `problem(inPattern:)` tells.
  init(field: Field, isRequired: Bool) {
    self.field = field
    self.isRequired = isRequired
    allowedStrings = field.allowed.map { allowed in
      allowed.compactMap { if case .string(let text) = $0 { Array(text.utf8) } else { nil } }
        .sorted { $0.lexicographicallyPrecedes($1) }
    }
    pattern = field.pattern.map { text in
      do throws(PatternError) {
        return try Pattern(text)
      } catch {
        preconditionFailure("the pattern of field \(field.name) is wrong: \(error.message)")
      }
    }
  }

  /// The column with its default, after noting the rows that break a constraint.
  func apply(to column: Column, failures: inout RowFailures) -> Column {
    switch column.values {
    case .int(let values):
      let bounds = (intBound(field.minimum), intBound(field.maximum))
      let allowed = field.allowed?.compactMap { if case .int(let value) = $0 { value } else { nil } }
      check(values, column, bounds: bounds, allowed: allowed, &failures)
    case .timestamp(let values):
      let bounds = (timestampBound(field.minimum), timestampBound(field.maximum))
      let allowed = field.allowed?.compactMap { if case .timestamp(let value) = $0 { value } else { nil } }
      check(values, column, bounds: bounds, allowed: allowed, &failures)
    case .double(let values):
      let bounds = (doubleBound(field.minimum), doubleBound(field.maximum))
      check(values, column, bounds: bounds, allowed: field.allowed?.compactMap(doubleBound), &failures)
    case .bool(let values):
      guard let allowed = field.allowed else { break }
      for row in 0..<column.count where !column.isNull(row) && !allowed.contains(.bool(values[row])) {
        failures.note(row, field, .notAllowed, expected: list(allowed), found: String(values[row]))
      }
    case .string(let strings): check(strings, column, &failures)
    }
    return filled(column, &failures)
  }

  // ---- Numbers ----

  private func intBound(_ scalar: Scalar?) -> Int64? { if case .int(let value) = scalar { value } else { nil } }

  private func timestampBound(_ scalar: Scalar?) -> Int64? {
    if case .timestamp(let value) = scalar { value } else { nil }
  }

  private func doubleBound(_ scalar: Scalar?) -> Double? {
    switch scalar {
    case .double(let value): value
    case .int(let value): Double(value)
    default: nil
    }
  }

  private func check<Value: Comparable>(
    _ values: [Value], _ column: Column, bounds: (lower: Value?, upper: Value?), allowed: [Value]?,
    _ failures: inout RowFailures
  ) {
    if let lower = bounds.lower, values.contains(where: { $0 < lower }) {
      for row in values.indices where values[row] < lower && !column.isNull(row) {
        failures.note(row, field, .outOfRange, expected: "at least \(text(lower))", found: text(values[row]))
      }
    }
    if let upper = bounds.upper, values.contains(where: { $0 > upper }) {
      for row in values.indices where values[row] > upper && !column.isNull(row) {
        failures.note(row, field, .outOfRange, expected: "at most \(text(upper))", found: text(values[row]))
      }
    }
    if let allowed {
      for row in values.indices where !allowed.contains(values[row]) && !column.isNull(row) {
        failures.note(row, field, .notAllowed, expected: list(field.allowed ?? []), found: text(values[row]))
      }
    }
  }

  private func text<Value>(_ value: Value) -> String {
    if field.type.valueType == .timestamp, let value = value as? Int64 { return Timestamp.format(value) }
    return "\(value)"
  }

  // ---- Strings ----

  /// What is wrong with an entry.
  private enum Fault { case tooLong, notAllowed, pattern }

  private func check(_ strings: StringColumn, _ column: Column, _ failures: inout RowFailures) {
    guard field.maxLength != nil || allowedStrings != nil || pattern != nil else { return }
    var faults: [Int: Fault] = [:]
    for entry in 0..<strings.entryCount {
      if strings.codes == nil && column.isNull(entry) { continue }
      if let fault = fault(strings.bytes[strings.range(ofEntry: entry)]) { faults[entry] = fault }
    }
    if faults.isEmpty { return }
    for row in 0..<strings.count where !column.isNull(row) {
      let entry = strings.entry(of: row)
      guard let fault = faults[entry] else { continue }
      let bytes = strings.bytes[strings.range(ofEntry: entry)]
      switch fault {
      case .tooLong:
        let expected = "at most \(field.maxLength ?? 0) bytes"
        failures.note(row, field, .tooLong, expected: expected, found: "\(bytes.count)")
      case .notAllowed:
        failures.note(row, field, .notAllowed, expected: list(field.allowed ?? []), found: quote(bytes))
      case .pattern:
        let expected = "a match of /\(field.pattern ?? "")/"
        failures.note(row, field, .patternMismatch, expected: expected, found: quote(bytes))
      }
    }
  }

  private func fault(_ bytes: ArraySlice<UInt8>) -> Fault? {
    if let maxLength = field.maxLength, bytes.count > maxLength { return .tooLong }
    if let allowedStrings, !contains(allowedStrings, bytes) { return .notAllowed }
    if let pattern, !pattern.matches(bytes) { return .pattern }
    return nil
  }

  private func contains(_ sorted: [[UInt8]], _ bytes: ArraySlice<UInt8>) -> Bool {
    var low = 0
    var high = sorted.count
    while low < high {
      let middle = (low + high) / 2
      if sorted[middle].lexicographicallyPrecedes(bytes) { low = middle + 1 } else { high = middle }
    }
    return low < sorted.count && sorted[low].elementsEqual(bytes)
  }

  private func quote(_ bytes: ArraySlice<UInt8>) -> String {
    let text = String(decoding: bytes.prefix(40), as: UTF8.self)
    return bytes.count > 40 ? "\"\(text)…\"" : "\"\(text)\""
  }

  private func list(_ allowed: [Scalar]) -> String {
    let shown = allowed.prefix(8).map { scalar in
      switch scalar {
      case .null: "null"
      case .int(let value): String(value)
      case .double(let value): String(value)
      case .bool(let value): String(value)
      case .string(let value): "\"\(value)\""
      case .timestamp(let value): Timestamp.format(value)
      }
    }
    return "one of " + shown.joined(separator: ", ") + (allowed.count > 8 ? ", …" : "")
  }

  // ---- Missing values ----

  private func filled(_ column: Column, _ failures: inout RowFailures) -> Column {
    guard column.validity != nil else { return column }
    if let value = field.defaultValue, value != .null { return column.filled(with: value, type: field.type.valueType) }
    if isRequired {
      for row in 0..<column.count where column.isNull(row) {
        failures.note(row, field, .missing, expected: "a value", found: "none")
      }
    }
    return column
  }
}

extension Column {
  /// The column with `value` in place of nulls. `value` is of the column's type (an int also fills a double column).
  func filled(with value: Scalar, type: ValueType) -> Column {
    guard let validity else { return self }
    switch (values, value) {
    case (.int(var values), .int(let value)):
      for row in values.indices where !validity[row] { values[row] = value }
      return Column(.int(values))
    case (.timestamp(var values), .timestamp(let value)):
      for row in values.indices where !validity[row] { values[row] = value }
      return Column(.timestamp(values))
    case (.double(var values), .double(let value)):
      for row in values.indices where !validity[row] { values[row] = value }
      return Column(.double(values))
    case (.double, .int(let value)): return filled(with: .double(Double(value)), type: type)
    case (.bool(var values), .bool(let value)):
      for row in 0..<values.count where !validity[row] { values[row] = value }
      return Column(.bool(values))
    case (.string(let strings), .string(let value)): return Column(.string(strings.filled(with: value, validity)))
    default: preconditionFailure("a default of another type than its field, \(type)")
    }
  }

  /// The given rows, in their order.
  func gathered(_ rows: [Int]) -> Column { gathered(runs: rows.runs) }

  /// The rows of some runs, in their order.
  func gathered(runs: [Range<Int>]) -> Column {
    if case .string(let strings) = values, let codes = strings.codes {
      let gathered = StringColumn(offsets: strings.offsets, bytes: strings.bytes, codes: codes.joined(runs))
      let count = gathered.count
      guard let validity else { return Column(.string(gathered)) }
      let rows = runs.flatMap { Array($0) }
      return Column(.string(gathered), validity: Bitmap(count: count) { validity[rows[$0]] })
    }
    var builder = ColumnBuilder(type, capacity: runs.reduce(0) { $0 + $1.count })
    for run in runs { builder.append(self, rows: run) }
    return builder.finish()
  }
}

extension StringColumn {
  /// The strings with `value` in the rows that are not set in `validity`; always with a dictionary if it had one.
  fileprivate func filled(with value: String, _ validity: Bitmap) -> StringColumn {
    let addition = Array(value.utf8)
    // A long default is written once where repeating it would take much.
    let missing = count - validity.setCount
    if codes != nil || bytes.count + missing * addition.count > Limits.maxPlainStringBytes {
      let codes = codes ?? (0..<UInt32(count)).map { $0 }
      let code = UInt32(entryCount)
      return StringColumn(
        offsets: offsets + [UInt32(bytes.count + addition.count)], bytes: bytes + addition,
        codes: codes.indices.map { validity[$0] ? codes[$0] : code })
    }
    var offsets: [UInt32] = [0]
    var result: [UInt8] = []
    for row in 0..<count {
      result.append(contentsOf: validity[row] ? bytes[range(of: row)] : addition[...])
      offsets.append(UInt32(result.count))
    }
    return StringColumn(offsets: offsets, bytes: result)
  }
}

extension [Int] {
  /// Neighbours that follow each other as ranges: of the rows of a batch without a few, copying ranges is faster.
  var runs: [Range<Int>] {
    var runs: [Range<Int>] = []
    for row in self {
      if let last = runs.last, last.upperBound == row {
        runs[runs.count - 1] = last.lowerBound..<row + 1
      } else {
        runs.append(row..<row + 1)
      }
    }
    return runs
  }
}

extension Array {
  /// The elements of some ranges, in their order.
  func joined(_ runs: [Range<Int>]) -> [Element] {
    var elements: [Element] = []
    elements.reserveCapacity(runs.reduce(0) { $0 + $1.count })
    for run in runs { elements.append(contentsOf: self[run]) }
    return elements
  }
}
