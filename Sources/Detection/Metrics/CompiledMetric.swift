// A metric of a use case's own, evaluated over a whole batch at once: its value and its labels are columns, rows with the
// same labels are a group, and a group adds up to a few numbers. What follows costs by group, not by event.

/// A metric that is ready to be counted.
public struct CompiledMetric: Sendable {
  struct Label: Sendable {
    let expression: Expression
    let most: Int
  }

  public let definition: MetricDefinition
  /// The name that it is exposed by.
  public let name: String
  /// BOOLEAN, BIGINT or DOUBLE; nil counts events.
  let value: Expression?
  let when: Expression?
  let labels: [Label]

  /// The columns it reads, by index in the batch.
  var columns: Set<Int> {
    ([value, when].compactMap(\.self) + labels.map(\.expression)).reduce(into: []) { $0.formUnion($1.columns) }
  }

  /// What the events of a batch add. A value that is NULL, infinite or NaN is left out, and so is a negative one of a counter,
  /// which may only grow.
  func count(_ batch: EventBatch) -> MetricCounts {
    // What gives NULL here is missing from the metric, and is no failure of the event.
    var failures = 0
    let count = batch.count
    let chosen = when?.matches(batch.columns, count: count, failures: &failures)
    if value == nil, labels.isEmpty {
      return MetricCounts([.init(labels: [], amount: MetricAmount(events: chosen?.setCount ?? count))])
    }
    let amounts = value.map {
      MetricValues($0.evaluate(batch.columns, count: count, selection: chosen, failures: &failures))
    }
    let grouping = LabelGroups(labels.map(\.expression), batch, chosen)
    var groups = [MetricAmount](
      repeating: MetricAmount(bucketsOf: definition), count: grouping.labels.count)
    // In the order of their first values: which values of a label are told apart is a function of the events then.
    var order: [Int] = []
    func add(_ row: Int) {
      guard let amount = amounts.map({ $0[row] }) ?? 1, amount.isFinite, amount >= 0 || definition.kind != .counter
      else { return }
      let group = grouping.group(of: row)
      if groups[group].count == 0 { order.append(group) }
      groups[group].add(amount, as: definition)
    }
    if let chosen { chosen.forEachSet(add) } else { for row in 0..<count { add(row) } }
    return MetricCounts(order.map { .init(labels: grouping.labels[$0], amount: groups[$0]) })
  }
}

/// Numbers of a column; nil where it is NULL.
private struct MetricValues {
  private let column: Column

  init(_ column: Column) { self.column = column }

  subscript(row: Int) -> Double? {
    if column.isNull(row) { return nil }
    switch column.values {
    case .int(let values): return Double(values[row])
    case .double(let values): return values[row]
    case .bool(let values): return values[row] ? 1 : 0
    case .string, .timestamp: return nil
    }
  }
}

/// The rows of a batch by what their labels say.
private struct LabelGroups {
  /// The labels of each group.
  private(set) var labels: [[String]] = []
  /// By row; empty where there is one group.
  private var groups: [Int32] = []

  init(_ expressions: [Expression], _ batch: EventBatch, _ chosen: Bitmap?) {
    var failures = 0
    labels = [[]]
    if expressions.isEmpty { return }
    groups = Array(repeating: 0, count: batch.count)
    for expression in expressions {
      let column = LabelCodes(
        expression.evaluate(batch.columns, count: batch.count, selection: chosen, failures: &failures))
      // Each pair of a group so far and a value is a group.
      var known: [Int: Int32] = [:]
      var refined: [[String]] = []
      for row in groups.indices {
        let pair = Int(groups[row]) * column.texts.count + Int(column.codes[row])
        if let group = known[pair] {
          groups[row] = group
          continue
        }
        refined.append(labels[Int(groups[row])] + [column.texts[Int(column.codes[row])]])
        known[pair] = Int32(truncatingIfNeeded: refined.count - 1)
        groups[row] = Int32(truncatingIfNeeded: refined.count - 1)
      }
      labels = refined
    }
  }

  func group(of row: Int) -> Int { groups.isEmpty ? 0 : Int(groups[row]) }
}

/// A column with a number in place of each value.
private struct LabelCodes {
  /// By row, an index into `texts`.
  private(set) var codes: [Int32] = []
  private(set) var texts: [String] = []

  init(_ column: Column) {
    if case .string(let strings) = column.values, strings.codes != nil, strings.entryCount <= column.count {
      // What is a dictionary already needs no other; an entry that no row has is a group without events.
      texts = (0..<strings.entryCount).map { Self.text(strings.bytes[strings.range(ofEntry: $0)]) }
      let null = Int32(texts.count)
      texts.append(Self.null)
      codes = (0..<column.count).map { column.isNull($0) ? null : Int32(truncatingIfNeeded: strings.entry(of: $0)) }
      return
    }
    var known: [EntityKey: Int32] = [:]
    var null: Int32?
    let keys = EntityKeys.keys(of: column, rows: Array(0..<column.count))
    codes.reserveCapacity(column.count)
    for row in 0..<column.count {
      if let code = column.isNull(row) ? null : known[keys[row]] {
        codes.append(code)
        continue
      }
      let code = Int32(truncatingIfNeeded: texts.count)
      if column.isNull(row) { null = code } else { known[keys[row]] = code }
      texts.append(Self.text(column, row))
      codes.append(code)
    }
  }

  private static let null = "null"

  private static func text(_ column: Column, _ row: Int) -> String {
    if column.isNull(row) { return null }
    switch column.values {
    case .int(let values), .timestamp(let values): return String(values[row])
    case .double(let values): return "\(values[row])"
    case .bool(let values): return String(values[row])
    case .string(let values): return text(values.bytes[values.range(of: row)])
    }
  }

  /// The beginning of a text, cut between characters.
  private static func text(_ bytes: ArraySlice<UInt8>) -> String {
    guard bytes.count > Limits.maxMetricLabelBytes else { return String(decoding: bytes, as: UTF8.self) }
    var end = bytes.startIndex + Limits.maxMetricLabelBytes
    while end > bytes.startIndex, bytes[end] & 0xC0 == 0x80 { end -= 1 }
    return String(decoding: bytes[..<end], as: UTF8.self)
  }
}
