// Scalar functions over columns. All of them are NULL where an argument is; `concat` alone is elsewhere.

extension Evaluation {
  mutating func call(
    _ function: ScalarFunction, _ node: Node, _ operands: [Value], _ validity: Bitmap?, _ selection: Bitmap?
  ) -> Value {
    switch node.children[0].type {
    case .double: return ofDouble(function, operands, validity, selection)
    case .int: return ofInteger(function, operands, validity, selection)
    case .timestamp: return ofTimestamp(function, operands[0].lane64, validity)
    case .string: return ofString(function, node, operands, validity, selection)
    case .bool: preconditionFailure("no function takes a BOOLEAN first")
    }
  }

  private mutating func ofDouble(
    _ function: ScalarFunction, _ operands: [Value], _ validity: Bitmap?, _ selection: Bitmap?
  ) -> Value {
    let x = operands[0].laneDouble
    let count = count
    func doubles(_ operation: (Double) -> Double) -> Value {
      .doubles(NumericKernels.map(x, count, operation), validity)
    }
    func bools(_ operation: (Double) -> Bool) -> Value {
      Value.bools(NumericKernels.rows(x, count, operation), validity).masked()
    }
    switch function {
    case .abs: return doubles { $0.magnitude }
    case .ceil: return doubles { $0.rounded(.up) }
    case .floor: return doubles { $0.rounded(.down) }
    case .round: return doubles { $0.rounded() }
    case .trunc: return doubles { $0.rounded(.towardZero) }
    case .degrees: return doubles { $0 * (180 / .pi) }
    case .radians: return doubles { $0 * (.pi / 180) }
    case .exp: return doubles(MathFunctions.exp)
    case .sign: return .ints(NumericKernels.map(x, count) { $0 > 0 ? 1 : $0 < 0 ? -1 : 0 }, validity)
    case .isNaN: return bools { $0.isNaN }
    case .isInfinite: return bools { $0.isInfinite }
    case .isFinite: return bools { $0.isFinite }
    case .pow: return .doubles(NumericKernels.map(x, operands[1].laneDouble, count, MathFunctions.pow), validity)
    case .atan2: return .doubles(NumericKernels.map(x, operands[1].laneDouble, count, MathFunctions.atan2), validity)
    default: break
    }
    let outside: Bitmap
    let values: [Double]
    switch function {
    case .sqrt:
      outside = NumericKernels.rows(x, count) { $0 < 0 }
      values = NumericKernels.map(x, count) { $0.squareRoot() }
    case .ln, .log10, .log2:
      outside = NumericKernels.rows(x, count) { $0 <= 0 }
      let operation = function == .ln ? MathFunctions.ln : function == .log10 ? MathFunctions.log10 : MathFunctions.log2
      values = NumericKernels.map(x, count, operation)
    case .sin, .cos:
      outside = NumericKernels.rows(x, count) { $0.isInfinite }
      values = NumericKernels.map(x, count, function == .sin ? MathFunctions.sin : MathFunctions.cos)
    case .asin:
      outside = NumericKernels.rows(x, count) { $0 < -1 || $0 > 1 }
      values = NumericKernels.map(x, count, MathFunctions.asin)
    default: preconditionFailure("\(function) does not take a DOUBLE")
    }
    return .doubles(values, withFailures(outside, validity, selection))
  }

  private mutating func ofInteger(
    _ function: ScalarFunction, _ operands: [Value], _ validity: Bitmap?, _ selection: Bitmap?
  ) -> Value {
    let x = operands[0].lane64
    switch function {
    case .abs:
      let failed = ComparisonKernels.compare(.equal, x, .constant(.min), count)
      return .ints(
        NumericKernels.map(x, count) { $0 < 0 ? 0 &- $0 : $0 }, withFailures(failed, validity, selection))
    case .round, .trunc: return operands[0]
    case .sign: return .ints(NumericKernels.map(x, count) { $0.signum() }, validity)
    case .makeTimestamp:
      let failed = NumericKernels.rows(x, count) { !CivilTime.valid.contains($0) }
      return .ints(NumericKernels.map(x, count) { $0 }, withFailures(failed, validity, selection))
    case .makeTimestampMilliseconds:
      let range = CivilTime.valid.lowerBound / 1000...CivilTime.valid.upperBound / 1000
      let failed = NumericKernels.rows(x, count) { !range.contains($0) }
      return .ints(NumericKernels.map(x, count) { $0 &* 1000 }, withFailures(failed, validity, selection))
    default: preconditionFailure("\(function) does not take a BIGINT")
    }
  }

  private func ofTimestamp(_ function: ScalarFunction, _ x: Lane<Int64>, _ validity: Bitmap?) -> Value {
    switch function {
    case .epoch: .doubles(NumericKernels.map(x, count) { Double($0) / 1e6 }, validity)
    case .epochMilliseconds: .ints(NumericKernels.map(x, count) { $0 / 1000 }, validity)
    case .epochMicroseconds: .ints(NumericKernels.map(x, count) { $0 }, validity)
    default: preconditionFailure("\(function) does not take a TIMESTAMP")
    }
  }

  private mutating func ofString(
    _ function: ScalarFunction, _ node: Node, _ operands: [Value], _ validity: Bitmap?, _ selection: Bitmap?
  ) -> Value {
    let rows = intersection(validity, selection)
    let count = count
    let strings = operands[0].strings(count)
    switch function {
    case .length: return .ints(StringKernels.map(strings, count) { Int64(CodePoints.count($0)) }, validity)
    case .lower:
      return computed(
        StringKernels.transform(strings, rows, count) { CaseMapping.lower($0, into: &$1) }, validity, selection)
    case .upper:
      return computed(
        StringKernels.transform(strings, rows, count) { CaseMapping.upper($0, into: &$1) }, validity, selection)
    case .contains: return predicate(operands, validity) { TextSearch.find($1, in: $0) != nil }
    case .startsWith: return predicate(operands, validity) { $0.starts(with: $1) }
    case .endsWith:
      return predicate(operands, validity) {
        $0.count >= $1.count && $0[($0.count - $1.count)...].elementsEqual($1)
      }
    case .strpos: return strpos(operands, validity)
    case .left, .right, .substring: return piece(function, operands, validity, selection)
    case .trim, .leftTrim, .rightTrim: return trim(function, operands, validity, selection)
    case .replace: return replace(operands, validity, selection)
    default: preconditionFailure("\(function) does not take a VARCHAR")
    }
  }

  /// Computed strings as a value; those that are too long are NULL and counted.
  private mutating func computed(
    _ result: StringKernels.Computed, _ validity: Bitmap?, _ selection: Bitmap?
  ) -> Value {
    .strings(result.strings, withFailures(result.tooLong, validity, selection))
  }

  private func predicate(
    _ operands: [Value], _ validity: Bitmap?, _ condition: (Text, Text) -> Bool
  ) -> Value {
    Value.bools(StringKernels.matches(operands[0], operands[1], count, condition), validity).masked()
  }

  private func strpos(_ operands: [Value], _ validity: Bitmap?) -> Value {
    func place(_ text: Text, _ needle: Text) -> Int64 {
      guard let at = TextSearch.find(needle, in: text) else { return 0 }
      return Int64(CodePoints.count(Text(rebasing: text[..<at]))) + 1
    }
    if case .constant(let scalar) = operands[1] {
      // SAFETY: lent for the call, which returns integers.
      let values = Array(scalar.text.utf8).withUnsafeBufferPointer { needle in
        StringKernels.map(operands[0].strings(count), count) { place($0, needle) }
      }
      return .ints(values, validity)
    }
    let strings = operands[0].strings(count)
    let needles = operands[1].strings(count)
    let values = StringKernels.withBytes(strings) { bytes in
      StringKernels.withBytes(needles) { needleBytes in
        (0..<count).map {
          place(
            StringKernels.entry(bytes, strings.range(of: $0)),
            StringKernels.entry(needleBytes, needles.range(of: $0)))
        }
      }
    }
    return .ints(values, validity)
  }

  /// left, right and substring.
  private mutating func piece(
    _ function: ScalarFunction, _ operands: [Value], _ validity: Bitmap?, _ selection: Bitmap?
  ) -> Value {
    // Places and counts beyond 32 bits fail where they do in DuckDB, and so does a negative length, as in the SQL standard.
    var failed: Bitmap?
    for (index, operand) in operands.enumerated().dropFirst() {
      let range = TextPieces.range(function, ofArgument: index)
      let outside = NumericKernels.rows(operand.lane64, count) { !range.contains($0) }
      failed = failed.map { $0 | outside } ?? outside
    }
    let valid = withFailures(failed, validity, selection)
    let strings = operands[0].strings(count)
    let constants = operands.dropFirst().compactMap { operand -> Int64? in
      if case .constant(let scalar) = operand { return scalar.integer }
      return nil
    }
    let rows = intersection(valid, selection)
    if constants.count == operands.count - 1 {
      let length = constants.count > 1 ? constants[1] : nil
      guard failed?.isEmpty ?? true else { return .constant(.null) }
      return computed(
        StringKernels.transform(strings, rows, count) { text, output in
          output.append(contentsOf: text[TextPieces.range(function, text, constants[0], length)])
        }, valid, selection)
    }
    let starts = NumericKernels.map(operands[1].lane64, count) { $0 }
    let lengths = operands.count > 2 ? NumericKernels.map(operands[2].lane64, count) { $0 } : nil
    let result = StringKernels.withBytes(strings) { bytes in
      StringKernels.build(rows, count) { row, output in
        let text = StringKernels.entry(bytes, strings.range(of: row))
        output.append(contentsOf: text[TextPieces.range(function, text, starts[row], lengths?[row])])
      }
    }
    return computed(result, valid, selection)
  }

  private mutating func trim(
    _ function: ScalarFunction, _ operands: [Value], _ validity: Bitmap?, _ selection: Bitmap?
  ) -> Value {
    let rows = intersection(validity, selection)
    let count = count
    let strings = operands[0].strings(count)
    let isConstant = operands.count < 2 || { if case .constant = operands[1] { true } else { false } }()
    if isConstant {
      let set = operands.count < 2 ? nil : Set(operands[1].constantText.unicodeScalars)
      return computed(
        StringKernels.transform(strings, rows, count) { text, output in
          output.append(contentsOf: text[Trimming.range(function, text, set)])
        }, validity, selection)
    }
    let sets = operands[1].strings(count)
    let result = StringKernels.withBytes(strings) { bytes in
      StringKernels.build(rows, count) { row, output in
        let text = StringKernels.entry(bytes, strings.range(of: row))
        output.append(contentsOf: text[Trimming.range(function, text, Set(sets[row].unicodeScalars))])
      }
    }
    return computed(result, validity, selection)
  }

  /// `||` and concat(). NULL operands have been dealt with; a NULL row of an operand counts as empty.
  mutating func concatenate(_ operands: [Value], _ validity: Bitmap?, _ selection: Bitmap?) -> Value {
    let rows = intersection(validity, selection)
    let count = count
    let parts = operands.map { ($0.strings(count), $0.validity) }
    var lengths = [Int](repeating: 0, count: count)
    for (strings, valid) in parts {
      for row in 0..<count where valid?[row] ?? true { lengths[row] += strings.range(of: row).count }
    }
    let tooLong = Bitmap(count: count) { lengths[$0] > Limits.maxComputedStringBytes }
    let valid = withFailures(tooLong, validity, selection)
    let written = intersection(rows, ~tooLong)
    let result = StringKernels.build(written, count) { row, output in
      for (strings, partValidity) in parts where partValidity?[row] ?? true {
        output.append(contentsOf: strings.bytes[strings.range(of: row)])
      }
    }
    return .strings(result.strings, valid)
  }

  private mutating func replace(_ operands: [Value], _ validity: Bitmap?, _ selection: Bitmap?) -> Value {
    let rows = intersection(validity, selection)
    let count = count
    if case .constant(let from) = operands[1], case .constant(let to) = operands[2] {
      // SAFETY: both are lent for as long as the strings are written.
      let result = Array(from.text.utf8).withUnsafeBufferPointer { from in
        Array(to.text.utf8).withUnsafeBufferPointer { to in
          StringKernels.transform(operands[0].strings(count), rows, count) { Self.replace($0, from, to, into: &$1) }
        }
      }
      return computed(result, validity, selection)
    }
    let columns = operands.map { $0.strings(count) }
    let result = StringKernels.withBytes(columns[0]) { text in
      StringKernels.withBytes(columns[1]) { from in
        StringKernels.withBytes(columns[2]) { to in
          StringKernels.build(rows, count) { row, output in
            Self.replace(
              StringKernels.entry(text, columns[0].range(of: row)),
              StringKernels.entry(from, columns[1].range(of: row)),
              StringKernels.entry(to, columns[2].range(of: row)), into: &output)
          }
        }
      }
    }
    return computed(result, validity, selection)
  }

  /// Stops once the result is longer than allowed.
  private static func replace(_ text: Text, _ from: Text, _ to: Text, into output: inout [UInt8]) {
    var at = 0
    let end = output.count + Limits.maxComputedStringBytes
    while !from.isEmpty, output.count <= end, let found = TextSearch.find(from, in: text, from: at) {
      output.append(contentsOf: text[at..<found])
      output.append(contentsOf: to)
      at = found + from.count
    }
    output.append(contentsOf: text[at...])
  }
}

/// Pieces of strings by code points, as DuckDB counts them.
enum TextPieces {
  /// The byte range of `left`, `right` or `substring` of a text.
  static func range(_ function: ScalarFunction, _ text: Text, _ first: Int64, _ length: Int64?) -> Range<Int> {
    let count = Int64(CodePoints.count(text))
    switch function {
    case .left: return range(text, count, 1, first >= 0 ? first : max(count + first, 0))
    case .right:
      let kept = first >= 0 ? min(count, first) : max(count + first, 0)
      return range(text, count, count - kept + 1, kept)
    default: return range(text, count, first, length ?? Int64(UInt32.max))
    }
  }

  /// What may be given as the argument with this index; the text is argument 0.
  static func range(_ function: ScalarFunction, ofArgument index: Int) -> ClosedRange<Int64> {
    let most = Int64(UInt32.max)
    switch function {
    case .left: return Int64.min...most
    case .right: return Int64.min...Int64.max
    default: return index == 2 ? 0...most : -most - 1...most
    }
  }

  private static func range(_ text: Text, _ count: Int64, _ offset: Int64, _ length: Int64) -> Range<Int> {
    // Place 0 is the one before the first character, -1 that of the last one. Places before the first character count,
    // and have none.
    let first = offset < 0 ? count + offset : offset - 1
    let start = max(first, 0)
    let end = min(first + length, count)
    guard start < end else { return 0..<0 }
    let from = CodePoints.offset(text, of: Int(start))
    let to = end == count ? text.count : CodePoints.offset(text, of: Int(end))
    return from..<to
  }
}

/// What trim takes away.
enum Trimming {
  /// The byte range that remains. `characters` nil stands for Unicode's space separators.
  static func range(_ function: ScalarFunction, _ text: Text, _ characters: Set<Unicode.Scalar>?) -> Range<Int> {
    func isTrimmed(_ scalar: Unicode.Scalar) -> Bool {
      guard let characters else {
        return scalar == " " || scalar.value > 0x7F && scalar.properties.generalCategory == .spaceSeparator
      }
      return characters.contains(scalar)
    }
    var start = 0
    if function != .rightTrim {
      while start < text.count {
        let (scalar, length) = CodePoints.decode(text, start)
        guard isTrimmed(scalar) else { break }
        start += length
      }
    }
    var end = text.count
    if function != .leftTrim {
      while end > start {
        var at = end - 1
        while at > start, text[at] & 0xC0 == 0x80 { at -= 1 }
        guard isTrimmed(CodePoints.decode(text, at).scalar) else { break }
        end = at
      }
    }
    return start..<end
  }
}
