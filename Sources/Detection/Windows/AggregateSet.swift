// All aggregates of one window definition for many windows: slot i of every state belongs to window i. Calls that can
// share a state do: sum and avg, and all quantiles of the same argument; count(*) and rate(*) are the number of events.
//
// Encoding of a slot (`WindowPart.state`), little-endian as in `ByteWriter`:
//   version 1 · number of classes · count per class · number of states · tag and state of each, in the order in which
//   the definition first needs them
// Invariant: equal states have equal bytes.

/// The states of the aggregates of one definition, a slot per window.
final class AggregateSet {
  private static let version: UInt8 = 1

  /// The distinct arguments, evaluated once per batch.
  let arguments: [Expression]

  private struct Member {
    let states: any AggregateStates
    let argument: Int
  }

  /// A call of the definition.
  private struct Call {
    let reading: AggregateReading
    /// Nil where the number of events is all it takes.
    let member: Int?
    /// Of a quantile: the calls that keep the exact least and greatest value of its argument, if any.
    let least: Int?
    let greatest: Int?
  }

  private let members: [Member]
  private let calls: [Call]
  /// The members that a sum is read off, once for each sum.
  private let sums: [Int]
  private let classes: [String]
  private let names: WindowResultNames
  private let seconds: Double
  private var classCounts: [Int64] = []
  private var events: [Int64] = []
  private var writer = ByteWriter()

  init(_ window: CompiledWindow) {
    var arguments: [Expression] = []
    var argumentIndex: [String: Int] = [:]
    var members: [Member] = []
    var memberIndex: [[Int]: Int] = [:]
    func member(_ call: AggregateCall) -> Int? {
      guard let argument = call.argument else { return nil }
      // sum(x) and avg(x) may see the same text as different types.
      let text = "\(argument.type.rawValue) \(argument.text)"
      let index = argumentIndex[text] ?? arguments.count
      if index == arguments.count {
        argumentIndex[text] = index
        arguments.append(argument)
      }
      let states = Self.states(for: call.function, argument.type)
      let member = memberIndex[[Int(states.tag), index]] ?? members.count
      if member == members.count {
        memberIndex[[Int(states.tag), index]] = member
        members.append(Member(states: states, argument: index))
      }
      return member
    }
    calls = window.aggregates.map { _, call in
      let (least, greatest) = Self.extremes(for: call, in: window)
      return Call(reading: AggregateReading(call), member: member(call), least: least, greatest: greatest)
    }
    sums = calls.compactMap { $0.reading.function == .sum ? $0.member : nil }
    self.arguments = arguments
    self.members = members
    classes = window.classColumn == nil ? [] : window.classes
    names = WindowResultNames(aggregates: window.aggregates.map(\.name), classes: classes)
    seconds = Double(window.definition.size) / 1e6
  }

  private static func states(for function: AggregateFunction, _ type: ValueType) -> any AggregateStates {
    switch function {
    case .count, .rate: return StateColumn(CountState.self)
    case .sum, .avg: return type == .double ? StateColumn(DoubleSum.self) : StateColumn(IntegerSum.self)
    case .stddev: return StateColumn(Moments.self)
    case .min: return kept(Least.self, type)
    case .max: return kept(Greatest.self, type)
    case .first: return kept(First.self, type)
    case .last: return kept(Last.self, type)
    case .quantile: return StateColumn(DDSketch.self)
    case .distinct: return StateColumn(HyperLogLog.self)
    }
  }

  private static func kept<Kind: Choice>(_: Kind.Type, _ type: ValueType) -> any AggregateStates {
    switch type {
    case .int, .timestamp, .bool: StateColumn(Kept<Int64, Kind>.self)
    case .double: StateColumn(Kept<Double, Kind>.self)
    case .string: StateColumn(Kept<KeptString, Kind>.self)
    }
  }

  /// A sketch knows a value to 1 %, so its quantiles may lie outside of what there was. Where the window also has the
  /// exact `min` or `max` of the same argument they are brought back, which only takes them nearer to the truth.
  private static func extremes(for call: AggregateCall, in window: CompiledWindow) -> (least: Int?, greatest: Int?) {
    guard call.function == .quantile, let argument = call.argument else { return (nil, nil) }
    func index(_ function: AggregateFunction) -> Int? {
      // By text: quantile(x) sees an integer x as a double.
      window.aggregates.firstIndex { $0.call.function == function && $0.call.argument?.text == argument.text }
    }
    return (index(.min), index(.max))
  }

  /// Makes room for `slots` slots, the new ones empty.
  func grow(to slots: Int) {
    while events.count < slots {
      events.append(0)
      classCounts.append(contentsOf: repeatElement(0, count: classes.count))
    }
    for member in members { member.states.grow(to: slots) }
  }

  /// Folds events into the slots of their windows.
  /// - Parameters:
  ///   - values: the evaluated `arguments`.
  ///   - classColumn: the class of each row as an index.
  func fold(_ values: [Column], classColumn: Column?, times: [Int64], _ entries: WindowEntries) {
    if entries.count == 0 { return }
    Self.count(entries, into: &events)
    if !classes.isEmpty, let classColumn {
      Self.count(classColumn, entries, classes: classes.count, into: &classCounts)
    }
    for (argument, column) in values.enumerated() {
      let valid = column.validity.map { entries.filtered(by: $0) } ?? entries
      for member in members where member.argument == argument {
        member.states.fold(column, times: times, valid)
      }
    }
  }

  private static func count(_ entries: WindowEntries, into events: inout [Int64]) {
    var events = events.mutableSpan
    for slot in entries.slots { events[Int(slot)] += 1 }
  }

  private static func count(
    _ classColumn: Column, _ entries: WindowEntries, classes: Int, into counts: inout [Int64]
  ) {
    let values = classColumn.words
    var counts = counts.mutableSpan
    for index in entries.rows.indices {
      let value = Int(truncatingIfNeeded: values[Int(entries.rows[index])])
      precondition(value >= 0 && value < classes, "a class index lies outside the classes")
      counts[Int(entries.slots[index]) * classes + value] += 1
    }
  }

  /// Adds the source slot, of a later partition, to the target.
  func merge(_ source: Int, into target: Int) {
    events[target] = events[target].addingSaturated(events[source])
    for index in classes.indices {
      let at = target * classes.count + index
      classCounts[at] = classCounts[at].addingSaturated(classCounts[source * classes.count + index])
    }
    for member in members { member.states.merge(source, into: target) }
  }

  /// Adds only the number of events and some of the members.
  func merge(_ source: Int, into target: Int, members some: [Int]) {
    events[target] = events[target].addingSaturated(events[source])
    for member in some { members[member].states.merge(source, into: target) }
  }

  func reset(_ slot: Int) {
    events[slot] = 0
    for index in classes.indices { classCounts[slot * classes.count + index] = 0 }
    for member in members { member.states.reset(slot) }
  }

  /// Number of events of a slot.
  func eventCount(_ slot: Int) -> Int64 { events[slot] }

  /// Sums of a slot that are NULL because they do not fit into their type.
  func overflows(_ slot: Int) -> Int {
    var overflows = 0
    for member in sums where members[member].states.overflows(slot) { overflows += 1 }
    return overflows
  }

  func result(_ slot: Int) -> WindowResult {
    var values: [Scalar] = []
    values.reserveCapacity(calls.count)
    for call in calls { values.append(plainValue(slot, of: call)) }
    for (index, call) in calls.enumerated() {
      values[index] = Self.bounded(values[index], call.least.map { values[$0] }, call.greatest.map { values[$0] })
    }
    let counts = classCounts[slot * classes.count..<(slot + 1) * classes.count]
    return WindowResult(events: events[slot], names: names, values: values, counts: Array(counts))
  }

  /// The value of one call, as `result` has it.
  func value(_ slot: Int, of index: Int) -> Scalar {
    let call = calls[index]
    return Self.bounded(
      plainValue(slot, of: call), call.least.map { plainValue(slot, of: calls[$0]) },
      call.greatest.map { plainValue(slot, of: calls[$0]) })
  }

  private func plainValue(_ slot: Int, of call: Call) -> Scalar {
    if let member = call.member { return members[member].states.result(slot, of: call.reading, seconds: seconds) }
    return call.reading.function == .rate ? .double(Double(events[slot]) / seconds) : .int(events[slot])
  }

  /// A quantile within the least and greatest value there was.
  private static func bounded(_ value: Scalar, _ least: Scalar?, _ greatest: Scalar?) -> Scalar {
    guard least != nil || greatest != nil, case .double(var quantile) = value else { return value }
    if let bound = least?.finiteNumber { quantile = max(quantile, bound) }
    if let bound = greatest?.finiteNumber { quantile = min(quantile, bound) }
    return .double(quantile)
  }

  /// The members that the value of a call is read off.
  func members(of index: Int) -> [Int] {
    [index, calls[index].least, calls[index].greatest].compactMap { $0.flatMap { calls[$0].member } }
  }

  func encode(_ slot: Int) -> [UInt8] {
    writer.removeAll()
    writer.write(byte: Self.version)
    writer.write(unsigned: UInt64(classes.count))
    for index in classes.indices { writer.write(unsigned: UInt64(classCounts[slot * classes.count + index])) }
    writer.write(unsigned: UInt64(members.count))
    for member in members { member.states.encode(slot, into: &writer) }
    // As long as it is: many of them wait for a checkpoint.
    return [UInt8](writer.bytes[...])
  }

  /// Fills a slot from stored bytes.
  /// - Throws: `CodingError` on bytes that are not a state of this definition.
  func decode(_ slot: Int, _ state: [UInt8], events count: Int64) throws(CodingError) {
    var reader = ByteReader(state)
    let version = try reader.readByte()
    guard version == Self.version else { throw CodingError("window state of version \(version), expected 1") }
    let classCount = try reader.readCount(upTo: reader.remaining)
    guard classCount == classes.count else {
      throw CodingError("window state with \(classCount) classes, expected \(classes.count)")
    }
    for index in classes.indices {
      classCounts[slot * classes.count + index] = try reader.readTally()
    }
    let memberCount = try reader.readCount(upTo: reader.remaining)
    guard memberCount == members.count else {
      throw CodingError("window state with \(memberCount) aggregates, expected \(members.count)")
    }
    for member in members {
      try member.states.decode(slot, tag: try reader.readByte(), from: &reader)
    }
    guard reader.isAtEnd else { throw CodingError("window state with \(reader.remaining) bytes too many") }
    guard count >= 0, count <= .max >> 1 else { throw CodingError("window state of \(count) events") }
    events[slot] = count
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
