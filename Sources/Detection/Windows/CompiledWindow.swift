// A window definition with its expressions compiled: what the operator runs and what the reading side needs to merge
// stored parts.

/// A value that windows are grouped by.
public struct WindowGrouping: Sendable {
  /// As results name it.
  public let name: String
  public let expression: Expression

  public init(name: String, expression: Expression) {
    self.name = name
    self.expression = expression
  }
}

/// An aggregate of a window.
public struct WindowAggregate: Sendable {
  /// As results name it.
  public let name: String
  public let call: AggregateCall

  public init(name: String, call: AggregateCall) {
    self.name = name
    self.call = call
  }
}

/// A window definition that is ready to run.
public struct CompiledWindow: Sendable {
  public let definition: WindowDefinition
  /// The values that group events, in the order of the definition.
  public let by: [WindowGrouping]
  /// The aggregates by name, in the order of the definition.
  public let aggregates: [WindowAggregate]
  /// Index of the batch column that holds the class of each event as an index into `classes`; nil where the use case
  /// does not classify.
  public let classColumn: Int?
  /// Names of the classes, the default last.
  public let classes: [String]
  /// Name of the classification in results.
  public let classificationName: String?

  /// - Precondition: size and distance are positive and below some 36,000 years, lateness is not negative; a point in
  ///   time lies in at most `Limits.maxWindowOverlap` windows. `pulse check` refuses definitions that break this.
  public init(
    definition: WindowDefinition, by: [WindowGrouping], aggregates: [WindowAggregate], classColumn: Int? = nil,
    classes: [String] = [],
    classificationName: String? = nil
  ) {
    let bound = Int64.max >> 3
    precondition(definition.size > 0 && definition.size < bound, "the size of a window must be positive and finite")
    precondition(definition.every > 0 && definition.every < bound, "windows must start at a positive distance")
    precondition(definition.allowedLateness >= 0, "the allowed lateness of a window cannot be negative")
    precondition(
      (definition.size - 1) / definition.every < Int64(Limits.maxWindowOverlap), "too many windows overlap")
    self.definition = definition
    self.by = by
    self.aggregates = aggregates
    self.classColumn = classColumn
    self.classes = classes
    self.classificationName = classificationName
  }

  /// What stored parts depend on, as text: parts written under another fingerprint cannot be continued or merged.
  /// Lateness and retention may change.
  public var fingerprint: String {
    let by = zip(definition.by, by).map { "\($0.text) \($1.expression.type.rawValue)" }
    let aggregates = aggregates.map { "\($0.call.text) \($0.call.type.rawValue)" }
    return """
      window 1 \(definition.name): size \(definition.size), every \(definition.every), by \(by), \
      aggregates \(aggregates), classes \(classColumn == nil ? [] : classes)
      """
  }

  /// The start below which stored windows of a partition are out of retention; nil while nothing is. Windows that still
  /// take events are never below it.
  /// - Parameter watermark: watermark of the partition after its last event; `Int64.min` while it is unknown.
  public func expired(before watermark: Int64) -> Int64? {
    guard let retain = definition.retain, watermark != .min else { return nil }
    let open = definition.size.addingSaturated(definition.allowedLateness)
    return watermark.subtractingSaturated(max(retain, open))
  }
}

/// When windows of a definition start and close. Windows start at multiples of `every` since 1970-01-01 00:00 UTC,
/// before and after it. Times beyond about 146,000 years from 1970 belong to the outermost windows, so that no sum of a
/// start, a size and a lateness can overflow.
struct WindowGrid {
  let size: Int64
  let every: Int64
  private let lateness: Int64

  init(_ definition: WindowDefinition) {
    size = definition.size
    every = definition.every
    lateness = min(definition.allowedLateness, .max >> 2)
  }

  /// A time within the bounds that windows cover.
  @inline(__always)
  func bounded(_ time: Int64) -> Int64 { min(max(time, .min >> 1), .max >> 1) }

  /// The latest start that is not after a bounded time.
  @inline(__always)
  func lastStart(_ time: Int64) -> Int64 {
    let remainder = time % every
    return time - (remainder < 0 ? remainder + every : remainder)
  }

  /// The watermark from which the window takes no more events.
  @inline(__always)
  func closing(_ start: Int64) -> Int64 { start + size + lateness }
}
