// Runs a typed tree over columns, one node at a time over all rows of the batch. Kernels are loops over whole arrays;
// the operation is chosen once per node. A selection says which rows matter: it decides which failures count, spares
// the others where work is expensive, and is narrowed where SQL does not evaluate (CASE, COALESCE, AND, OR).

/// One evaluation over one batch.
struct Evaluation {
  let columns: [Column]
  let count: Int
  /// Selected rows whose evaluation overflowed or whose cast failed.
  private(set) var failures = 0

  init(columns: [Column], count: Int) {
    self.columns = columns
    self.count = count
  }

  /// The value of a node for the selected rows (nil: all).
  mutating func evaluate(_ node: Node, _ selection: Bitmap?) -> Value {
    switch node.operation {
    case .constant(let value): return .constant(value)
    case .column(let index): return Value(columns[index])
    case .and: return conjunction(node.children, selection)
    case .or: return disjunction(node.children, selection)
    case .searchedCase: return searchedCase(node, selection)
    case .simpleCase: return simpleCase(node, selection)
    case .coalesce: return coalesce(node, selection)
    case .inList: return inList(node, selection)
    case .isNull, .isTruth, .distinctFrom, .greatest, .least, .call(.concat), .nullIf, .between:
      return lenient(node, selection)
    default: return strict(node, selection)
    }
  }

  /// Rows that are selected and TRUE.
  mutating func matches(_ node: Node, _ selection: Bitmap?) -> Bitmap {
    let bits = evaluate(node, selection).truth(count).bits
    return selection.map { bits & $0 } ?? bits
  }

  // MARK: Operations that are NULL where an operand is

  private mutating func strict(_ node: Node, _ selection: Bitmap?) -> Value {
    let operands = evaluated(node.children, selection)
    if operands.contains(where: \.isNull) { return .constant(.null) }
    var validity: Bitmap?
    for operand in operands { validity = intersection(validity, operand.validity) }
    let rows = intersection(validity, selection)
    let first = operands[0]
    switch node.operation {
    case .widen: return .doubles(NumericKernels.widen(first.lane64, count), validity)
    case .arithmetic(let operation):
      return arithmetic(operation, node.type, operands, validity, selection)
    case .negate: return negate(node.type, first, validity, selection)
    case .compare(let comparison):
      return Value.bools(compare(comparison, node.children[0].type, first, operands[1]), validity).masked()
    case .not: return Value.bools(~first.truth(count).bits, validity).masked()
    case .inSet(let set):
      let bits = SetKernels.member(first, of: set, count)
      return Value.bools(bits, set.hasNull ? intersection(validity, bits) ?? bits : validity).masked()
    case .like(let pattern):
      return Value.bools(StringKernels.matches(first, count) { pattern.matches($0) }, validity).masked()
    case .likeDynamic(let ignoringCase):
      return Value.bools(
        StringKernels.like(first.strings(count), operands[1].strings(count), rows, count, ignoringCase: ignoringCase),
        validity
      ).masked()
    case .cast: return cast(node, first, validity, selection)
    case .roundDigits(let digits):
      return .doubles(NumericKernels.map(first.laneDouble, count) { MathFunctions.round($0, digits) }, validity)
    case .datePart(let unit): return .ints(DateKernels.part(unit, first.lane64, count), validity)
    case .dateTrunc(let unit):
      let (values, failed) = DateKernels.truncate(unit, first.lane64, count)
      return .ints(values, withFailures(failed, validity, selection))
    case .dateDiff(let unit):
      return .ints(DateKernels.difference(unit, first.lane64, operands[1].lane64, count), validity)
    case .concatenate: return concatenate(operands, validity, selection)
    case .call(let function): return call(function, node, operands, validity, selection)
    default: preconditionFailure("an operation that is not strict")
    }
  }

  mutating func evaluated(_ nodes: [Node], _ selection: Bitmap?) -> [Value] {
    var values: [Value] = []
    values.reserveCapacity(nodes.count)
    for node in nodes { values.append(evaluate(node, selection)) }
    return values
  }

  /// Counts the failed rows that are selected and not NULL already, and gives the validity without them.
  mutating func withFailures(_ failed: Bitmap?, _ validity: Bitmap?, _ selection: Bitmap?) -> Bitmap? {
    guard let failed, !failed.isEmpty else { return validity }
    let rows = intersection(validity, selection)
    failures += (rows.map { failed & $0 } ?? failed).setCount
    return validity?.subtracting(failed) ?? ~failed
  }

  private mutating func arithmetic(
    _ operation: Arithmetic, _ type: ValueType, _ operands: [Value], _ validity: Bitmap?, _ selection: Bitmap?
  ) -> Value {
    if type == .double {
      return .doubles(
        NumericKernels.arithmetic(operation, operands[0].laneDouble, operands[1].laneDouble, count), validity)
    }
    let result = NumericKernels.arithmetic(operation, operands[0].lane64, operands[1].lane64, count)
    let defined = intersection(validity, result.undefined.map { ~$0 })
    return .ints(result.values, withFailures(result.overflow, defined, selection))
  }

  private mutating func negate(
    _ type: ValueType, _ operand: Value, _ validity: Bitmap?, _ selection: Bitmap?
  ) -> Value {
    if type == .double { return .doubles(NumericKernels.map(operand.laneDouble, count) { -$0 }, validity) }
    let values = operand.lane64
    let overflow = ComparisonKernels.compare(.equal, values, .constant(.min), count)
    return .ints(
      NumericKernels.map(values, count) { 0 &- $0 }, withFailures(overflow, validity, selection))
  }

  /// Compares two values of a type; the bits of NULL rows are anything.
  func compare(_ comparison: Comparison, _ type: ValueType, _ a: Value, _ b: Value) -> Bitmap {
    switch type {
    case .int, .timestamp: ComparisonKernels.compare(comparison, a.lane64, b.lane64, count)
    case .double: ComparisonKernels.compare(comparison, a.laneDouble, b.laneDouble, count)
    case .bool: ComparisonKernels.compare(comparison, a.truth(count).bits, b.truth(count).bits)
    case .string: StringKernels.compare(comparison, a, b, count)
    }
  }
}

extension Value {
  /// Booleans whose NULL rows are false, as the invariant wants.
  func masked() -> Value {
    guard case .bools(let bits, let validity?) = self else { return self }
    return .bools(bits & validity, validity)
  }
}
