// What every aggregate of a window is made of. An accumulator is the state of one aggregate in one window and partition;
// a `StateColumn` holds the accumulators of all open windows, so that a batch is folded in one typed loop per aggregate.
// Invariants: values are folded in partition order, one at a time, so results do not depend on how events are cut into
// batches; NULL arguments never reach an accumulator; equal accumulators have equal bytes.

/// The events of a batch that belong to open windows: row and slot of the window, in the order of rows. An event of
/// overlapping windows occurs once for each.
struct WindowEntries {
  var rows: [Int32] = []
  var slots: [Int32] = []

  var count: Int { rows.count }

  mutating func removeAll() {
    rows.removeAll(keepingCapacity: true)
    slots.removeAll(keepingCapacity: true)
  }

  @inline(__always)
  mutating func append(row: Int, slot: Int) {
    rows.append(Int32(truncatingIfNeeded: row))
    slots.append(Int32(truncatingIfNeeded: slot))
  }

  /// The entries whose row is valid.
  func filtered(by validity: Bitmap) -> WindowEntries {
    var result = WindowEntries()
    result.rows.reserveCapacity(count)
    result.slots.reserveCapacity(count)
    for index in rows.indices where validity[Int(rows[index])] {
      result.rows.append(rows[index])
      result.slots.append(slots[index])
    }
    return result
  }
}

/// How a value is read off a state: what calls that share one differ in. Nothing in it is counted by reference, since it is
/// handed to every state of every window that is read.
struct AggregateReading: Sendable {
  let function: AggregateFunction
  /// The fraction of a quantile, 0 to 1.
  let fraction: Double?
  /// How many values a list has at most.
  let limit: Int?
  /// Type of the result.
  let type: ValueType

  init(_ call: AggregateCall) {
    (function, fraction, limit, type) = (call.function, call.fraction, call.limit, call.type)
  }
}

/// The state of one aggregate in one window.
protocol Accumulator: Sendable {
  /// Names the kind of state in stored bytes; a change of its encoding takes a new one.
  static var tag: UInt8 { get }
  init()
  /// Folds the values of the entries' rows, in order. None of the rows is null.
  static func fold(_ column: Column, times: [Int64], _ entries: WindowEntries, into slots: inout [Self])
  /// Adds the state of the same window in a later partition.
  mutating func merge(_ later: Self)
  /// Does what makes encoding and reading off the value cheap: these change nothing then.
  mutating func settle()
  mutating func encode(into writer: inout ByteWriter)
  /// Appends the tag of the form that the state is stored in, and the state in it.
  mutating func encodeTagged(into writer: inout ByteWriter)
  init(from reader: inout ByteReader) throws(CodingError)
  /// The state that stands behind a tag; nil where the tag is of another kind.
  static func decode(_ tag: UInt8, from reader: inout ByteReader) throws(CodingError) -> Self?
  /// The value of one of the calls that share this state.
  func result(of reading: AggregateReading, seconds: Double) -> AggregateValue
  /// Whether the sum does not fit into its type and is NULL.
  var overflows: Bool { get }
  /// Whether it has allocations of its own.
  static var isAllocated: Bool { get }
  /// Bytes of its own allocations.
  var allocatedBytes: Int { get }
}

extension Accumulator {
  mutating func settle() {}
  mutating func encodeTagged(into writer: inout ByteWriter) {
    writer.write(byte: Self.tag)
    encode(into: &writer)
  }
  static func decode(_ tag: UInt8, from reader: inout ByteReader) throws(CodingError) -> Self? {
    tag == Self.tag ? try Self(from: &reader) : nil
  }
  var overflows: Bool { false }
  static var isAllocated: Bool { false }
  var allocatedBytes: Int { 0 }
}

/// The state of an aggregate that takes numbers of any type as doubles.
protocol NumberAccumulator: Accumulator {
  mutating func add(_ value: Double)
}

extension NumberAccumulator {
  @inline(__always)
  static func fold(_ column: Column, times: [Int64], _ entries: WindowEntries, into slots: inout [Self]) {
    var states = slots.mutableSpan
    if case .double(let values) = column.values {
      for index in entries.rows.indices {
        states[Int(entries.slots[index])].add(values[Int(entries.rows[index])])
      }
    } else {
      let values = column.words
      for index in entries.rows.indices {
        states[Int(entries.slots[index])].add(Double(values[Int(entries.rows[index])]))
      }
    }
  }
}

/// The accumulators of one aggregate for all slots, without their type: dispatched once per batch.
protocol AggregateStates: AnyObject {
  var tag: UInt8 { get }
  /// Bytes in memory.
  var heldBytes: Int { get }
  /// Bytes of a slot without allocations of its own.
  var bytesPerSlot: Int { get }
  func grow(to slots: Int)
  func fold(_ column: Column, times: [Int64], _ entries: WindowEntries)
  func merge(_ source: Int, into target: Int)
  func reset(_ slot: Int)
  /// The states of some slots as they are.
  func values(of slots: [Int32]) -> any AggregateValues
  /// Fills a slot with the state behind a tag.
  /// - Throws: `CodingError` for a tag of another kind, and for bytes that are no such state.
  func decode(_ slot: Int, tag: UInt8, from reader: inout ByteReader) throws(CodingError)
  func result(_ slot: Int, of reading: AggregateReading, seconds: Double) -> AggregateValue
  func overflows(_ slot: Int) -> Bool
  /// Bytes that a slot has allocated.
  func allocatedBytes(_ slot: Int) -> Int
}

/// The accumulators of one aggregate in some windows as they were at a moment, without their type.
protocol AggregateValues: Sendable {
  /// Bytes in memory; those of allocations, which may be shared with the accumulators that go on, included.
  var heldBytes: Int { get }
  /// Appends one of the states behind its tag.
  func encode(_ index: Int, into writer: inout ByteWriter)
  func result(_ index: Int, of reading: AggregateReading, seconds: Double) -> AggregateValue
}

/// The accumulators of one type as they were at a moment.
private struct StateValues<State: Accumulator>: AggregateValues {
  /// Settled ones.
  let states: [State]

  var heldBytes: Int {
    states.heldBytes + (State.isAllocated ? states.reduce(0) { $0 + $1.allocatedBytes } : 0)
  }

  func encode(_ index: Int, into writer: inout ByteWriter) {
    var state = states[index]
    state.encodeTagged(into: &writer)
  }

  func result(_ index: Int, of reading: AggregateReading, seconds: Double) -> AggregateValue {
    states[index].result(of: reading, seconds: seconds)
  }
}

/// The accumulators of one type for all slots.
final class StateColumn<State: Accumulator>: AggregateStates {
  private var slots: [State] = []
  /// What each slot's own allocations count for in `allocated`; empty where states have none.
  private var counted: [Int] = []
  private var allocated = 0

  init(_: State.Type) {}

  var tag: UInt8 { State.tag }
  var heldBytes: Int { slots.heldBytes + counted.heldBytes + allocated }

  var bytesPerSlot: Int { MemoryLayout<State>.stride + (State.isAllocated ? MemoryLayout<Int>.stride : 0) }

  func grow(to count: Int) {
    while slots.count < count { slots.append(State()) }
    if State.isAllocated { while counted.count < count { counted.append(0) } }
  }

  func fold(_ column: Column, times: [Int64], _ entries: WindowEntries) {
    State.fold(column, times: times, entries, into: &slots)
    if State.isAllocated { for slot in entries.slots { count(Int(slot)) } }
  }

  /// Counts a slot anew whose state has changed.
  @inline(__always)
  private func count(_ slot: Int) {
    let bytes = slots[slot].allocatedBytes
    allocated += bytes - counted[slot]
    counted[slot] = bytes
  }

  func merge(_ source: Int, into target: Int) {
    slots[target].merge(slots[source])
    if State.isAllocated { count(target) }
  }
  func reset(_ slot: Int) {
    slots[slot] = State()
    if State.isAllocated { count(slot) }
  }
  func values(of chosen: [Int32]) -> any AggregateValues {
    if State.isAllocated { for slot in chosen { slots[Int(slot)].settle() } }
    return StateValues(states: chosen.map { slots[Int($0)] })
  }
  func decode(_ slot: Int, tag: UInt8, from reader: inout ByteReader) throws(CodingError) {
    guard let state = try State.decode(tag, from: &reader) else {
      throw CodingError("window state with an aggregate of kind \(tag), expected \(State.tag)")
    }
    slots[slot] = state
    if State.isAllocated { count(slot) }
  }
  func result(_ slot: Int, of reading: AggregateReading, seconds: Double) -> AggregateValue {
    slots[slot].result(of: reading, seconds: seconds)
  }
  func overflows(_ slot: Int) -> Bool { slots[slot].overflows }
  func allocatedBytes(_ slot: Int) -> Int { State.isAllocated ? counted[slot] : 0 }
}

extension Column {
  /// The values of an int, timestamp or bool column as words.
  var words: [Int64] {
    switch values {
    case .int(let values), .timestamp(let values): values
    case .bool(let values): (0..<values.count).map { values[$0] ? 1 : 0 }
    case .double, .string: preconditionFailure("a \(type.rawValue) column has no words")
    }
  }

  /// The values of a double column.
  var doubles: [Double] {
    guard case .double(let values) = values else {
      preconditionFailure("expected a double column, found \(type.rawValue)")
    }
    return values
  }

  /// The values of a string column.
  var strings: StringColumn {
    guard case .string(let values) = values else {
      preconditionFailure("expected a string column, found \(type.rawValue)")
    }
    return values
  }
}

extension Scalar {
  /// A word of a column of `type`: int, timestamp or bool.
  init(word: Int64, _ type: ValueType) {
    switch type {
    case .int: self = .int(word)
    case .timestamp: self = .timestamp(word)
    case .bool: self = .bool(word != 0)
    case .double, .string: preconditionFailure("a \(type.rawValue) is not a word")
    }
  }
}

extension ByteReader {
  /// A number of events: at most half of what the counter holds, so that counting on cannot overflow.
  mutating func readTally() throws(CodingError) -> Int64 { Int64(try readCount(upTo: .max >> 1)) }
}
