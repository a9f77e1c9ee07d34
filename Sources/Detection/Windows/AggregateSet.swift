// All aggregates of one window definition for many windows: slot i of every state belongs to window i. Calls that can
// share a state do: sum and avg, and all quantiles of the same argument; count(*) and rate(*) are the number of events.
//
// They are encoded as `AggregateSnapshot` says.

/// The states of the aggregates of one definition, a slot per window.
final class AggregateSet {
  /// The distinct arguments, evaluated once per batch.
  let arguments: [Expression]

  private struct Member {
    let states: any AggregateStates
    let argument: Int
  }

  private let members: [Member]
  private let shape: AggregateShape
  private var classes: [String] { shape.names.classes }
  private var classCounts: [Int64] = []
  private var events: [Int64] = []

  init(_ window: CompiledWindow) {
    var arguments: [Expression] = []
    var argumentIndex: [String: Int] = [:]
    var members: [Member] = []
    var memberIndex: [[Int]: Int] = [:]
    func member(of call: AggregateCall) -> Int? {
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
    let calls = window.aggregates.map(\.call).map { call in
      let (least, greatest) = AggregateShape.extremes(for: call, in: window)
      return AggregateShape.Call(
        reading: AggregateReading(call), member: member(of: call), least: least, greatest: greatest)
    }
    self.arguments = arguments
    self.members = members
    shape = AggregateShape(
      calls: calls,
      names: WindowResultNames(
        aggregates: window.aggregates.map(\.name), classes: window.classColumn == nil ? [] : window.classes),
      seconds: Double(window.definition.size) / 1e6)
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
    case .topK:
      switch type {
      case .int, .timestamp, .bool: return StateColumn(TopCounts<CountedWord>.self)
      case .double: return StateColumn(TopCounts<CountedDouble>.self)
      case .string: return StateColumn(TopCounts<CountedText>.self)
      }
    }
  }

  private static func kept<Kind: Choice>(_: Kind.Type, _ type: ValueType) -> any AggregateStates {
    switch type {
    case .int, .timestamp, .bool: StateColumn(Kept<Int64, Kind>.self)
    case .double: StateColumn(Kept<Double, Kind>.self)
    case .string: StateColumn(Kept<KeptString, Kind>.self)
    }
  }

  /// Makes room for `slots` slots, the new ones empty.
  func grow(to slots: Int) {
    while events.count < slots {
      events.append(0)
      classCounts.append(contentsOf: repeatElement(0, count: classes.count))
    }
    for member in members { member.states.grow(to: slots) }
  }

  /// Bytes of a slot without what sketches and strings allocate.
  var bytesPerSlot: Int { 8 * (1 + classes.count) + members.reduce(0) { $0 + $1.states.bytesPerSlot } }

  /// Bytes of a slot with what it has allocated.
  func bytes(of slot: Int) -> Int { members.reduce(bytesPerSlot) { $0 + $1.states.allocatedBytes(slot) } }

  /// Bytes in memory.
  var heldBytes: Int { events.heldBytes + classCounts.heldBytes + members.reduce(0) { $0 + $1.states.heldBytes } }

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

  /// Adds only the number of events and some of the states.
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
    for member in shape.sums where members[member].states.overflows(slot) { overflows += 1 }
    return overflows
  }

  func result(_ slot: Int) -> WindowResult {
    shape.result(
      events: events[slot], counts: Array(classCounts[slot * classes.count..<(slot + 1) * classes.count])
    ) { member, reading in members[member].states.result(slot, of: reading, seconds: shape.seconds) }
  }

  /// The value of one call, as `result` has it.
  func value(_ slot: Int, of index: Int) -> AggregateValue {
    shape.value(of: index, events: events[slot]) { member, reading in
      members[member].states.result(slot, of: reading, seconds: shape.seconds)
    }
  }

  /// The states that the value of one call is read off.
  func members(of index: Int) -> [Int] { shape.members(of: index) }

  /// The aggregates of some slots as they are.
  func snapshot(of slots: [Int32]) -> AggregateSnapshot {
    AggregateSnapshot(
      shape: shape, states: members.map { $0.states.values(of: slots) }, events: slots.map { events[Int($0)] },
      classCounts: classes.isEmpty
        ? [] : slots.flatMap { classCounts[Int($0) * classes.count..<(Int($0) + 1) * classes.count] })
  }

  /// Fills a slot from stored bytes.
  /// - Throws: `CodingError` on bytes that are not a state of this definition.
  func decode(_ slot: Int, _ state: [UInt8], events count: Int64) throws(CodingError) {
    var reader = ByteReader(state)
    let version = try reader.readByte()
    guard version == AggregateSnapshot.version else {
      throw CodingError("window state of version \(version), expected 1")
    }
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
