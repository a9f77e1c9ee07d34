// What leaves a window operator: the parts of windows, one per partition, and how they are read: merged in the order of
// partitions and finalised.

/// The state of one window in one partition.
public struct WindowPart: Sendable, Equatable {
  /// Name of the definition.
  public var window: String
  /// Start, microseconds since 1970-01-01 00:00 UTC.
  public var start: Int64
  /// End, exclusive.
  public var end: Int64
  /// The values of `by`, in the order of the definition.
  public var by: [Scalar]
  /// Whether the watermark has passed the end and the allowed lateness: the part will not change again.
  public var closed: Bool
  /// All aggregates and class counts, encoded. Equal states have equal bytes.
  public var state: [UInt8]
  /// Number of events.
  public var events: Int64

  public init(window: String, start: Int64, end: Int64, by: [Scalar], closed: Bool, state: [UInt8], events: Int64) {
    self.window = window
    self.start = start
    self.end = end
    self.by = by
    self.closed = closed
    self.state = state
    self.events = events
  }
}

/// A part that changed, with its values so far.
public struct WindowChange: Sendable {
  public var part: WindowPart
  /// What the part alone says.
  public var result: WindowResult
}

/// What the results of one definition are called; shared by all of them.
public struct WindowResultNames: Sendable, Equatable {
  /// Names of the aggregates, in the order of the definition.
  public let aggregates: [String]
  /// Names of the classes, in their order; empty where the use case does not classify.
  public let classes: [String]

  public init(aggregates: [String], classes: [String] = []) {
    self.aggregates = aggregates
    self.classes = classes
  }
}

/// What an aggregate of a window came to.
public struct NamedValue: Sendable, Equatable {
  public let name: String
  public let value: AggregateValue
}

/// How many events of a window are of a class.
public struct ClassCount: Sendable, Equatable {
  public let name: String
  public let count: Int64
}

/// The values of one window over all its partitions.
public struct WindowResult: Sendable {
  public let events: Int64
  public let names: WindowResultNames
  /// Value of each aggregate, in the order of the definition.
  public let values: [AggregateValue]
  /// Events per class, in the order of the classes; empty where the use case does not classify.
  public let counts: [Int64]

  public init(events: Int64, names: WindowResultNames, values: [AggregateValue], counts: [Int64]) {
    self.events = events
    self.names = names
    self.values = values
    self.counts = counts
  }

  /// Name and value of each aggregate, in the order of the definition.
  public var aggregates: [NamedValue] { zip(names.aggregates, values).map { NamedValue(name: $0, value: $1) } }

  /// Events per class, in the order of the classes; empty where the use case does not classify.
  public var classCounts: [ClassCount] { zip(names.classes, counts).map { ClassCount(name: $0, count: $1) } }

  /// Merges the parts of one window and finalises its aggregates; for many windows see `WindowMerger`.
  /// - Parameter parts: parts with the same start and `by`, in the order of their partitions. No part: no events.
  /// - Throws: `CodingError` when a part's state cannot be read or belongs to another definition.
  public static func merge(_ parts: [WindowPart], of window: CompiledWindow) throws(CodingError) -> WindowResult {
    try WindowMerger(window).merge(parts)
  }
}

/// Merges and finalises the parts of many windows of one definition, one window after another.
public final class WindowMerger {
  /// Slot 0 holds the result, slot 1 the part that is added.
  private let set: AggregateSet
  private var isEmpty = true

  public init(_ window: CompiledWindow) {
    set = AggregateSet(window)
    set.grow(to: 2)
  }

  /// Merges the parts of one window and finalises its aggregates.
  /// - Parameter parts: parts with the same start and `by`, in the order of their partitions. No part: no events.
  /// - Throws: `CodingError` when a part's state cannot be read or belongs to another definition.
  public func merge(_ parts: [WindowPart]) throws(CodingError) -> WindowResult {
    reset()
    for part in parts { try add(part) }
    return result
  }

  /// Begins anew, with no events.
  public func reset() {
    set.reset(0)
    isEmpty = true
  }

  /// Merges one part more into the result.
  /// - Throws: `CodingError` when its state cannot be read or belongs to another definition.
  public func add(_ part: WindowPart) throws(CodingError) {
    try set.decode(isEmpty ? 0 : 1, part.state, events: part.events)
    if !isEmpty { set.merge(1, into: 0) }
    isEmpty = false
  }

  /// The values of what was merged since the last reset.
  public var result: WindowResult { self.set.result(0) }
}

/// Merges one aggregate of many windows into a value over all of them: of the others only what is stored is read.
public final class AggregateMerger {
  /// Slot 0 holds the result, slot 1 the part that is added.
  private let set: AggregateSet
  private let index: Int
  private let members: [Int]

  /// - Returns: nil where the definition has no aggregate of this name.
  public init?(_ window: CompiledWindow, aggregate name: String) {
    guard let index = window.aggregates.firstIndex(where: { $0.name == name }) else { return nil }
    set = AggregateSet(window)
    set.grow(to: 2)
    self.index = index
    members = set.members(of: index)
  }

  /// Merges one part more into the result.
  /// - Parameters:
  ///   - state: of the part (`WindowPart.state`).
  ///   - events: of the part.
  /// - Throws: `CodingError` when the state cannot be read or belongs to another definition.
  public func add(_ state: [UInt8], events: Int64) throws(CodingError) {
    try set.decode(1, state, events: events)
    set.merge(1, into: 0, members: members)
  }

  /// The value over what was added since the last call, and the number of events. Then it begins anew.
  public func take() -> AggregateTotal {
    defer { set.reset(0) }
    return AggregateTotal(value: set.value(0, of: index), events: set.eventCount(0))
  }
}

/// What an aggregate comes to over several windows.
public struct AggregateTotal: Sendable {
  public let value: AggregateValue
  /// Number of events.
  public let events: Int64
}
