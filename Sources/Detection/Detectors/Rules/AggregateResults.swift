// The aggregates of the windows after each event that a rule took in, as columns: the condition is then evaluated once for
// all of them.

/// What one aggregate of a rule computes from which argument.
struct AggregatePlan: Sendable, Hashable {
  var function: AggregateFunction
  /// Index of the argument; nil for `count(*)`.
  var argument: Int?
  /// Type of the result.
  var type: ValueType
}

/// Results of one aggregate, one per event, growing.
struct AggregateResults: Sendable {
  let plan: AggregatePlan
  /// Results as words: integers, times and booleans as they are, doubles as their bits.
  private var words: [UInt64] = []
  /// Ordinals whose result is NULL.
  private var nulls: [Int] = []

  init(_ plan: AggregatePlan, capacity: Int) {
    self.plan = plan
    words.reserveCapacity(capacity)
  }

  /// Appends the result for the window of `slot`. A sum beyond 64 bits is NULL and counted.
  @inline(__always)
  mutating func append(_ entities: borrowing SlidingEntities, slot: Int, failures: inout Int) {
    guard let argument = plan.argument else {
      words.append(UInt64(entities.entities[slot].entryCount))
      return
    }
    appendAggregate(entities, argument, slot, &failures)
  }

  private mutating func appendAggregate(
    _ entities: borrowing SlidingEntities, _ argument: Int, _ slot: Int, _ failures: inout Int
  ) {
    let count = entities.arguments[argument].count(of: slot)
    let isDouble = entities.arguments[argument].plan.type == .double
    switch plan.function {
    case .count: words.append(UInt64(count))
    case .distinct: words.append(UInt64(entities.arguments[argument].distinctCount(of: slot)))
    case _ where count == 0: appendNull()
    case .sum where isDouble: append(double: entities.arguments[argument].doubleSum(of: slot))
    case .sum:
      if let sum = Int64(exactly: entities.arguments[argument].integerSum(of: slot)) {
        words.append(UInt64(bitPattern: sum))
      } else {
        failures += 1
        appendNull()
      }
    case .avg where isDouble: append(double: entities.arguments[argument].doubleSum(of: slot) / Double(count))
    case .avg:
      let sum = entities.arguments[argument].integerSum(of: slot)
      append(double: (Int64(exactly: sum).map { Double($0) } ?? Double(sum)) / Double(count))
    case .min, .max:
      let word = entities.arguments[argument].extreme(of: slot, largest: plan.function == .max)
      if let word { words.append(word) } else { appendNull() }
    case .stddev, .first, .last, .rate, .quantile, .topK:
      preconditionFailure("\(plan.function.rawValue) is not an aggregate of rules")
    }
  }

  private mutating func append(double value: Double) { words.append(value.bitPattern) }

  private mutating func appendNull() {
    nulls.append(words.count)
    words.append(0)
  }

  /// The results so far as a column.
  var column: Column {
    var validity: Bitmap?
    if !nulls.isEmpty {
      var bits = Bitmap(repeating: true, count: words.count)
      for ordinal in nulls { bits[ordinal] = false }
      validity = bits
    }
    let words = words
    let values: Column.Values =
      switch plan.type {
      case .int: .int(words.map { Int64(bitPattern: $0) })
      case .timestamp: .timestamp(words.map { Int64(bitPattern: $0) })
      case .double: .double(words.map { Double(bitPattern: $0) })
      case .bool: .bool(Bitmap(count: words.count) { words[$0] != 0 })
      case .string: preconditionFailure("no aggregate of rules is a string")
      }
    return Column(values, validity: validity)
  }
}
