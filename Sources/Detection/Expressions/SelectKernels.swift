// Puts a result together from values that hold for some rows each: CASE, COALESCE, GREATEST, LEAST.

enum SelectKernels {
  /// The value whose rows these are, for each row; NULL for rows that belong to none. The row sets are disjoint.
  static func merge(_ parts: [(rows: Bitmap, value: Value)], _ type: ValueType, _ count: Int) -> Value {
    let parts = parts.filter { !$0.value.isNull }
    guard let first = parts.first else { return .constant(.null) }
    if parts.count == 1, first.rows.isFull { return first.value }
    var valid = Bitmap(repeating: false, count: count)
    for part in parts { valid = valid | (intersection(part.rows, part.value.validity) ?? part.rows) }
    let validity = valid.isFull ? nil : valid
    switch type {
    case .int, .timestamp: return .ints(merge(parts.map { ($0.rows, $0.value.lane64) }, zero: 0, count), validity)
    case .double: return .doubles(merge(parts.map { ($0.rows, $0.value.laneDouble) }, zero: 0, count), validity)
    case .bool:
      var bits = Bitmap(repeating: false, count: count)
      for part in parts { bits = bits | (part.rows & part.value.truth(count).bits) }
      return .bools(bits, validity)
    case .string: return .strings(merge(parts, count), validity)
    }
  }

  private static func merge<T>(_ parts: [(rows: Bitmap, lane: Lane<T>)], zero: T, _ count: Int) -> [T] {
    var result: [T]
    var rest = parts[...]
    // The part with the most rows is copied whole, the others row by row.
    let largest = parts.indices.max { parts[$0].rows.setCount < parts[$1].rows.setCount } ?? 0
    switch parts[largest].lane {
    case .run(let values): result = values
    case .constant(let value): result = [T](repeating: value, count: count)
    }
    rest.remove(at: largest)
    for part in rest {
      switch part.lane {
      case .run(let values): part.rows.forEachSet { result[$0] = values[$0] }
      case .constant(let value): part.rows.forEachSet { result[$0] = value }
      }
    }
    return result
  }

  /// All entries of all parts become one dictionary; entry 0 is the empty string, for rows that are NULL. Bytes are
  /// copied once per part, not per row, so a long constant cannot multiply.
  private static func merge(_ parts: [(rows: Bitmap, value: Value)], _ count: Int) -> StringColumn {
    let sources = parts.map { $0.value.strings(count) }
    if sources.reduce(0, { $0 + $1.bytes.count }) > Limits.maxPlainStringBytes { return compact(parts, sources, count) }
    var offsets: [UInt32] = [0, 0]
    var bytes: [UInt8] = []
    var codes = [UInt32](repeating: 0, count: count)
    for part in parts {
      let base = UInt32(offsets.count - 1)
      if case .constant(let scalar) = part.value {
        bytes.append(contentsOf: scalar.text.utf8)
        offsets.append(UInt32(bytes.count))
        part.rows.forEachSet { codes[$0] = base }
      } else {
        let strings = part.value.strings(count)
        let start = UInt32(bytes.count)
        bytes.append(contentsOf: strings.bytes)
        offsets.append(contentsOf: strings.offsets.dropFirst().lazy.map { $0 + start })
        let rows = intersection(part.rows, part.value.validity) ?? part.rows
        if let inner = strings.codes {
          rows.forEachSet { codes[$0] = base + inner[$0] }
        } else {
          rows.forEachSet { codes[$0] = base + UInt32($0) }
        }
      }
    }
    return StringColumn(offsets: offsets, bytes: bytes, codes: codes)
  }

  /// The same with a dictionary of only the entries that rows need, each once.
  private static func compact(
    _ parts: [(rows: Bitmap, value: Value)], _ sources: [StringColumn], _ count: Int
  ) -> StringColumn {
    var offsets: [UInt32] = [0, 0]
    var bytes: [UInt8] = []
    var codes = [UInt32](repeating: 0, count: count)
    for (part, source) in zip(parts, sources) {
      var codeOfEntry: [Int: UInt32] = [:]
      (intersection(part.rows, part.value.validity) ?? part.rows).forEachSet { row in
        let entry = source.entry(of: row)
        if let known = codeOfEntry[entry] {
          codes[row] = known
          return
        }
        codes[row] = UInt32(offsets.count - 1)
        codeOfEntry[entry] = codes[row]
        bytes.append(contentsOf: source.bytes[source.range(ofEntry: entry)])
        precondition(bytes.count <= Int(UInt32.max), "a string column of more than 4 GiB")
        offsets.append(UInt32(bytes.count))
      }
    }
    return StringColumn(offsets: offsets, bytes: bytes, codes: codes)
  }

  /// The greatest or least operand of each row; NULL ones are skipped. Of equal ones the first is taken.
  static func extreme(
    _ operands: [Value], _ evaluation: Evaluation, _ type: ValueType, wantsGreatest: Bool
  ) -> Value {
    let count = evaluation.count
    let all = Bitmap(repeating: true, count: count)
    var best: Value?
    for operand in operands where !operand.isNull {
      guard let current = best else {
        best = operand
        continue
      }
      var takes = evaluation.compare(wantsGreatest ? .greater : .less, type, operand, current)
      if let valid = operand.validity { takes = takes & valid }
      if let valid = current.validity {
        // Where the best so far is NULL, any other one is taken.
        takes = takes | ((operand.validity ?? all).subtracting(valid))
      }
      best = merge([(~takes, current), (takes, operand)], type, count)
    }
    return best ?? .constant(.null)
  }
}
