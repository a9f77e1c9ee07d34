// The aggregates of windows as they were at a moment: what a checkpoint stores, encoded row by row as it is written. Until
// then a window takes what its accumulators take, and what those have allocated is shared with the ones that go on.
//
// Encoding of a window (`WindowPart.state`), little-endian as in `ByteWriter`:
//   version 1 · number of classes · count per class · number of states · tag and state of each, in the order in which
//   the definition first needs them
// Invariant: equal states have equal bytes.

/// What the aggregates of a definition are called, and how their values are read off its states.
struct AggregateShape: Sendable {
  /// A call of the definition.
  struct Call: Sendable {
    let reading: AggregateReading
    /// The state that it reads; nil where the number of events is enough.
    let member: Int?
    /// Of a quantile: the calls that keep the exact least and greatest value of its argument, if any.
    let least: Int?
    let greatest: Int?
  }

  let calls: [Call]
  /// The states that sums are read off, one for each sum.
  let sums: [Int]
  let names: WindowResultNames
  /// Length of a window.
  let seconds: Double

  init(calls: [Call], names: WindowResultNames, seconds: Double) {
    self.calls = calls
    sums = calls.compactMap { $0.reading.function == .sum ? $0.member : nil }
    self.names = names
    self.seconds = seconds
  }

  /// A sketch knows a value to 1 %, so its quantiles may lie outside of what there was. Where the window also has the
  /// exact `min` or `max` of the same argument they are brought back, which only takes them nearer to the truth.
  static func extremes(for call: AggregateCall, in window: CompiledWindow) -> (least: Int?, greatest: Int?) {
    guard call.function == .quantile, let argument = call.argument else { return (nil, nil) }
    func index(_ function: AggregateFunction) -> Int? {
      // By text: quantile(x) sees an integer x as a double.
      window.aggregates.firstIndex { $0.call.function == function && $0.call.argument?.text == argument.text }
    }
    return (index(.min), index(.max))
  }

  /// The values of one window.
  /// - Parameters:
  ///   - counts: events per class.
  ///   - value: that of a call by the state it reads.
  func result(events: Int64, counts: [Int64], value: (Int, AggregateReading) -> AggregateValue) -> WindowResult {
    var values: [AggregateValue] = []
    values.reserveCapacity(calls.count)
    for call in calls { values.append(plainValue(of: call, events, value)) }
    for (index, call) in calls.enumerated() {
      values[index] = Self.bounded(values[index], call.least.map { values[$0] }, call.greatest.map { values[$0] })
    }
    return WindowResult(events: events, names: names, values: values, counts: counts)
  }

  /// The value of one call, as `result` has it.
  func value(of index: Int, events: Int64, value: (Int, AggregateReading) -> AggregateValue) -> AggregateValue {
    let call = calls[index]
    return Self.bounded(
      plainValue(of: call, events, value), call.least.map { plainValue(of: calls[$0], events, value) },
      call.greatest.map { plainValue(of: calls[$0], events, value) })
  }

  /// The states that the value of one call is read off.
  func members(of index: Int) -> [Int] {
    [index, calls[index].least, calls[index].greatest].compactMap { $0.flatMap { calls[$0].member } }
  }

  private func plainValue(
    of call: Call, _ events: Int64, _ value: (Int, AggregateReading) -> AggregateValue
  ) -> AggregateValue {
    if let member = call.member { return value(member, call.reading) }
    return .scalar(call.reading.function == .rate ? .double(Double(events) / seconds) : .int(events))
  }

  /// A quantile within the least and greatest value there was.
  private static func bounded(
    _ value: AggregateValue, _ least: AggregateValue?, _ greatest: AggregateValue?
  ) -> AggregateValue {
    guard least != nil || greatest != nil, case .scalar(.double(var quantile)) = value else { return value }
    if let bound = least?.scalar?.finiteNumber { quantile = max(quantile, bound) }
    if let bound = greatest?.scalar?.finiteNumber { quantile = min(quantile, bound) }
    return .scalar(.double(quantile))
  }
}

/// The aggregates of some windows of one definition.
struct AggregateSnapshot: Sendable {
  static let version: UInt8 = 1

  let shape: AggregateShape
  let states: [any AggregateValues]
  let events: [Int64]
  /// A count per class and window.
  let classCounts: [Int64]

  var heldBytes: Int { states.reduce(events.heldBytes + classCounts.heldBytes) { $0 + $1.heldBytes } }

  private func counts(_ index: Int) -> ArraySlice<Int64> {
    let classes = shape.names.classes.count
    return classCounts[index * classes..<(index + 1) * classes]
  }

  func result(_ index: Int) -> WindowResult {
    shape.result(events: events[index], counts: Array(counts(index))) { member, reading in
      states[member].result(index, of: reading, seconds: shape.seconds)
    }
  }

  func encode(_ index: Int) -> [UInt8] {
    var writer = ByteWriter()
    writer.write(byte: Self.version)
    writer.write(unsigned: UInt64(shape.names.classes.count))
    for count in counts(index) { writer.write(unsigned: UInt64(count)) }
    writer.write(unsigned: UInt64(states.count))
    for state in states { state.encode(index, into: &writer) }
    return writer.bytes
  }
}

extension Scalar {
  /// The number as a double; nil where it is none, NaN or infinite.
  fileprivate var finiteNumber: Double? {
    switch self {
    case .int(let value): Double(value)
    case .double(let value): value.isFinite ? value : nil
    default: nil
    }
  }
}
