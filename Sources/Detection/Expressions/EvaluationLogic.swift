// Three-valued logic and everything that does not evaluate all its operands for all rows, or is not NULL where an
// operand is.

extension Evaluation {
  /// AND over any number of operands: an operand is evaluated only where none before it is FALSE.
  mutating func conjunction(_ children: [Node], _ selection: Bitmap?) -> Value {
    // `known`: every operand so far is TRUE. `open`: none so far is FALSE.
    var known: Bitmap?
    var open = selection
    for child in children {
      if let open, open.isEmpty { break }
      let (bits, validity) = evaluate(child, open).truth(count)
      known = intersection(known, bits)
      open = intersection(open, validity.map { bits | ~$0 } ?? bits)
    }
    let all = Bitmap(repeating: true, count: count)
    let notFalse = open ?? all
    let bits = (known ?? all) & notFalse
    let nulls = notFalse.subtracting(bits)
    return .bools(bits, nulls.isEmpty ? nil : ~nulls)
  }

  /// OR over any number of operands: an operand is evaluated only where none before it is TRUE.
  mutating func disjunction(_ children: [Node], _ selection: Bitmap?) -> Value {
    var isTrue = Bitmap(repeating: false, count: count)
    var unknown: Bitmap?
    var open = selection
    for child in children {
      if let open, open.isEmpty { break }
      let (bits, validity) = evaluate(child, open).truth(count)
      // Rows outside `open` are TRUE already or not selected; their bits may be anything.
      isTrue = isTrue | bits
      if let validity { unknown = unknown.map { $0 | ~validity } ?? ~validity }
      open = open?.subtracting(bits) ?? ~bits
    }
    return .bools(isTrue, unknown.map { ~$0 | isTrue })
  }

  mutating func searchedCase(_ node: Node, _ selection: Bitmap?) -> Value {
    var remaining = selection
    var parts: [(rows: Bitmap, value: Value)] = []
    for index in stride(from: 0, to: node.children.count - 1, by: 2) {
      if let remaining, remaining.isEmpty { break }
      let rows = matches(node.children[index], remaining)
      if rows.isEmpty { continue }
      parts.append((rows, evaluate(node.children[index + 1], rows)))
      remaining = remaining?.subtracting(rows) ?? ~rows
    }
    return finishCase(node, parts, remaining)
  }

  mutating func simpleCase(_ node: Node, _ selection: Bitmap?) -> Value {
    let operand = evaluate(node.children[0], selection)
    var remaining = selection
    var parts: [(rows: Bitmap, value: Value)] = []
    for index in stride(from: 1, to: node.children.count - 1, by: 2) {
      if let remaining, remaining.isEmpty { break }
      let candidate = evaluate(node.children[index], remaining)
      if operand.isNull || candidate.isNull { continue }
      var rows = compare(.equal, node.children[0].type, operand, candidate)
      for mask in [operand.validity, candidate.validity, remaining] { rows = intersection(rows, mask) ?? rows }
      if rows.isEmpty { continue }
      parts.append((rows, evaluate(node.children[index + 1], rows)))
      remaining = remaining?.subtracting(rows) ?? ~rows
    }
    return finishCase(node, parts, remaining)
  }

  private mutating func finishCase(
    _ node: Node, _ parts: [(rows: Bitmap, value: Value)], _ remaining: Bitmap?
  ) -> Value {
    let last = node.children[node.children.count - 1]
    guard let remaining else { return evaluate(last, nil) }
    var parts = parts
    if !remaining.isEmpty { parts.append((remaining, evaluate(last, remaining))) }
    return SelectKernels.merge(parts, node.type, count)
  }

  mutating func coalesce(_ node: Node, _ selection: Bitmap?) -> Value {
    var remaining = selection
    var parts: [(rows: Bitmap, value: Value)] = []
    for child in node.children {
      if let remaining, remaining.isEmpty { break }
      let value = evaluate(child, remaining)
      if value.isNull { continue }
      guard let validity = value.validity else {
        // Nothing behind it can matter.
        if parts.isEmpty { return value }
        parts.append((remaining ?? Bitmap(repeating: true, count: count), value))
        break
      }
      parts.append((intersection(validity, remaining) ?? validity, value))
      remaining = remaining?.subtracting(validity) ?? ~validity
    }
    return SelectKernels.merge(parts, node.type, count)
  }

  /// IN over expressions: an OR of equalities; items are evaluated only where none before them was equal.
  mutating func inList(_ node: Node, _ selection: Bitmap?) -> Value {
    let value = evaluate(node.children[0], selection)
    if value.isNull { return .constant(.null) }
    var found = Bitmap(repeating: false, count: count)
    var unknown = value.validity.map { ~$0 }
    var open = selection
    for child in node.children.dropFirst() {
      if let open, open.isEmpty { break }
      let item = evaluate(child, open)
      let validity = intersection(value.validity, item.validRows(count))
      if !item.isNull {
        let equal = compare(.equal, node.children[0].type, value, item)
        let rows = intersection(intersection(equal, validity), open) ?? equal
        found = found | rows
        open = open?.subtracting(rows) ?? ~rows
      }
      if let validity { unknown = unknown.map { $0 | ~validity } ?? ~validity }
    }
    return .bools(found, unknown.map { ~$0 | found })
  }

  /// Operations that look at NULLs themselves.
  mutating func lenient(_ node: Node, _ selection: Bitmap?) -> Value {
    let operands = evaluated(node.children, selection)
    let type = node.children[0].type
    switch node.operation {
    case .isNull(let negated):
      let valid = operands[0].validRows(count) ?? Bitmap(repeating: true, count: count)
      return .bools(negated ? valid : ~valid, nil)
    case .isTruth(let truth, let negated):
      let (bits, validity) = operands[0].truth(count)
      let rows = truth ? bits : validity.map { $0.subtracting(bits) } ?? ~bits
      return .bools(negated ? ~rows : rows, nil)
    case .distinctFrom(let negated):
      let same = notDistinct(type, operands[0], operands[1])
      return .bools(negated ? same : ~same, nil)
    case .between: return between(type, operands)
    case .nullIf:
      if operands[0].isNull || operands[1].isNull { return operands[0] }
      let equal = compare(.equal, type, operands[0], operands[1])
      let drop = intersection(intersection(equal, operands[0].validity), operands[1].validity) ?? equal
      return operands[0].invalidating(drop, node.type, count)
    case .greatest: return SelectKernels.extreme(operands, self, node.type, wantsGreatest: true)
    case .least: return SelectKernels.extreme(operands, self, node.type, wantsGreatest: false)
    default:
      // concat(): NULL counts as empty.
      let rest = operands.filter { !$0.isNull }
      if rest.isEmpty { return .constant(.string("")) }
      return concatenate(rest, nil, selection)
    }
  }

  private func notDistinct(_ type: ValueType, _ a: Value, _ b: Value) -> Bitmap {
    let all = Bitmap(repeating: true, count: count)
    let validA = a.validRows(count) ?? all
    let validB = b.validRows(count) ?? all
    let bothNull = ~(validA | validB)
    if a.isNull || b.isNull { return bothNull }
    return (compare(.equal, type, a, b) & validA & validB) | bothNull
  }

  private func between(_ type: ValueType, _ operands: [Value]) -> Value {
    if operands[0].isNull || operands[1].isNull && operands[2].isNull { return .constant(.null) }
    // x >= low AND x <= high, each of which may be NULL.
    var isTrue = Bitmap(repeating: true, count: count)
    var isFalse = Bitmap(repeating: false, count: count)
    for (comparison, bound) in [(Comparison.greaterOrEqual, operands[1]), (.lessOrEqual, operands[2])] {
      if bound.isNull {
        isTrue = Bitmap(repeating: false, count: count)
        continue
      }
      let bits = compare(comparison, type, operands[0], bound)
      if let valid = intersection(operands[0].validity, bound.validity) {
        isTrue = isTrue & bits & valid
        isFalse = isFalse | valid.subtracting(bits)
      } else {
        isTrue = isTrue & bits
        isFalse = isFalse | ~bits
      }
    }
    return .bools(isTrue, isTrue | isFalse)
  }
}

extension Value {
  /// The value, NULL also in the given rows.
  func invalidating(_ rows: Bitmap, _ type: ValueType, _ count: Int) -> Value {
    if rows.isEmpty { return self }
    let valid = validity?.subtracting(rows) ?? ~rows
    switch self {
    case .ints(let values, _): return .ints(values, valid)
    case .doubles(let values, _): return .doubles(values, valid)
    case .bools(let bits, _): return Value.bools(bits, valid).masked()
    case .strings(let strings, _): return .strings(strings, valid)
    case .constant:
      return SelectKernels.merge([(valid, self)], type, count)
    }
  }
}
