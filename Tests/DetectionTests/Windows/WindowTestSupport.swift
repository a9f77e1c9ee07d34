// Events and definitions for the tests of windows.

import Testing

@testable import Detection

/// An event as the tests of windows see it.
struct WindowTestEvent {
  var time: Int64
  var key: Int64? = 1
  var name: String? = "a"
  var value: Double? = 0
  var number: Int64 = 0
  var category = 0
}

/// Columns of the batches: key, name, value, number, class.
enum WindowTestColumn: Int, CaseIterable {
  case key, name, value, number, category

  var type: ValueType {
    switch self {
    case .key, .number, .category: .int
    case .name: .string
    case .value: .double
    }
  }

  static var scope: Scope { Scope(allCases.map { ("\($0)", $0.type) }) }

  var expression: Expression {
    do { return try Expression("\(self)", scope: Self.scope) } catch { preconditionFailure("\(error)") }
  }
}

/// A call such as `sum(value)`, named so.
/// - Parameter constant: the fraction of a quantile, the number of values of `top_k`.
func windowTestCall(_ function: AggregateFunction, _ column: WindowTestColumn? = nil, _ constant: Double? = nil)
  -> WindowAggregate
{
  let second = constant.map { function == .topK ? ", \(Int($0))" : ", \($0)" }
  let text = "\(function.rawValue)(\(column.map { "\($0)" } ?? "*")\(second ?? ""))"
  let written = if function == .distinct, let column { "count(DISTINCT \(column))" } else { text }
  do {
    let expression = try AggregateExpression(
      written, scope: WindowTestColumn.scope, allowed: Set(AggregateFunction.allCases))
    guard let call = expression.singleCall else { preconditionFailure("\(text) is more than one call") }
    return WindowAggregate(name: text, call: call)
  } catch {
    preconditionFailure("\(text): \(error)")
  }
}

/// Every aggregate over columns of every type that it takes.
let windowTestEveryCall: [WindowAggregate] =
  [windowTestCall(.count), windowTestCall(.rate), windowTestCall(.rate, .value)]
  + [AggregateFunction.sum, .avg, .stddev].flatMap { [windowTestCall($0, .value), windowTestCall($0, .number)] }
  + [AggregateFunction.count, .min, .max, .first, .last, .distinct].flatMap {
    [windowTestCall($0, .value), windowTestCall($0, .number), windowTestCall($0, .name)]
  }
  + [0.5, 0.95, 0.99].map { windowTestCall(.quantile, .value, $0) } + [windowTestCall(.quantile, .number, 0.5)]
  + [WindowTestColumn.value, .number, .name].map { windowTestCall(.topK, $0, 3) }

func windowTestDefinition(
  size: Int64, every: Int64? = nil, lateness: Int64 = 0, retain: Int64? = nil, by: [WindowTestColumn] = [.key],
  aggregates: [WindowAggregate] = [windowTestCall(.count)]
) -> CompiledWindow {
  CompiledWindow(
    definition: WindowDefinition(
      name: "test", kind: every == nil ? .tumbling : .sliding, size: size, every: every,
      by: by.map { LocatedText("\($0)") }, allowedLateness: lateness, retain: retain,
      aggregates: aggregates.map { NamedExpression(name: $0.name, expression: LocatedText($0.call.text)) }),
    by: by.map { WindowGrouping(name: "\($0)", expression: $0.expression) }, aggregates: aggregates,
    classColumn: WindowTestColumn.category.rawValue, classes: ["odd", "even", "normal"],
    classificationName: "kind")
}

func windowTestBatch(_ events: some Collection<WindowTestEvent>, from row: Int = 0, dictionary: Bool = false)
  -> EventBatch
{
  let events = Array(events)
  let rows = events.indices.map { Int64(row + $0) }
  var names = Column(.string, events.map { $0.name.map { .string($0) } ?? .null })
  if dictionary {
    var entries: [String] = []
    let codes = events.map { event in
      let name = event.name ?? ""
      if let known = entries.firstIndex(of: name) { return UInt32(known) }
      entries.append(name)
      return UInt32(entries.count - 1)
    }
    let plain = StringColumn(entries)
    names = Column(
      .string(StringColumn(offsets: plain.offsets, bytes: plain.bytes, codes: codes)), validity: names.validity)
  }
  return EventBatch(
    partition: PartitionID(source: "test", number: 0),
    positions: RecordPositions(segment: 0, offsets: rows, rows: rows), eventTimes: events.map(\.time),
    columns: [
      Column(.int, events.map { $0.key.map { .int($0) } ?? .null }), names,
      Column(.double, events.map { $0.value.map { .double($0) } ?? .null }),
      Column(.int, events.map { .int($0.number) }), Column(.int, events.map { .int(Int64($0.category)) }),
    ])
}

/// An operator with its watermark, fed in cuts and restarted on the way; collects what is stored.
final class WindowTestRun {
  let window: CompiledWindow
  private let make: () -> Watermark
  private var watermark: Watermark
  private(set) var windows: WindowOperator
  /// The latest stored part of every window.
  private(set) var stored: [String: WindowPart] = [:]
  /// Of these those that have closed.
  private var closed: [String: WindowPart] = [:]
  /// What the state space of the open windows has.
  private(set) var entries: [[UInt8]: [UInt8]] = [:]
  /// Bytes of segments that the last checkpoint wrote.
  private(set) var writtenBytes = 0
  private var storedWatermark: [StateEntry] = []
  private(set) var late: [Int] = []
  private var row = 0

  init(_ window: CompiledWindow, outOfOrder: Int64 = 0, maxAhead: Int64 = 1 << 40) {
    self.window = window
    make = { Watermark(outOfOrder: outOfOrder, maxAhead: maxAhead) }
    watermark = make()
    windows = WindowOperator(window)
  }

  func add(_ events: some Collection<WindowTestEvent>, dictionary: Bool = false) throws {
    let batch = windowTestBatch(events, from: row, dictionary: dictionary)
    var failures = 0
    let marked = watermark.mark(batch.eventTimes)
    let rows = windows.add(batch, marks: marked, failures: &failures)
    rows?.forEachSet { late.append(row + $0) }
    row += batch.count
  }

  /// Stores what changed.
  /// - Parameter isComparing: whether all that is stored is compared with what is open, which takes long for very many.
  func checkpoint(comparing isComparing: Bool = true) throws {
    for change in windows.takeClosed() {
      try check(change)
      try #require(change.part.closed && closed[Self.key(of: change.part)] == nil, "a closed window changed")
      closed[Self.key(of: change.part)] = change.part
    }
    let changes = windows.takeStateChanges()
    for key in changes.changes.deletes { entries[key] = nil }
    for put in changes.changes.puts { entries[put.key] = put.value }
    writtenBytes = 0
    for entry in changes.segments {
      try #require(entries.updateValue(entry.value, forKey: entry.key) == nil, "a segment was written again")
      writtenBytes += entry.value.count
    }
    let marks = watermark.takeChanges().puts
    storedWatermark = marks + storedWatermark.filter { old in !marks.contains { $0.key == old.key } }
    if isComparing { try compare() }
  }

  /// Compares what is stored of open windows with what they are.
  private func compare() throws {
    for change in windows.openWindows { try check(change) }
    func byKey(_ parts: [WindowPart]) throws -> [String: WindowPart] {
      let found = Dictionary(parts.map { (Self.key(of: $0), $0) }, uniquingKeysWith: { $1 })
      try #require(found.count == parts.count)
      return found
    }
    /// NaN is not itself; keys as text are.
    func withoutValues(_ parts: [String: WindowPart]) -> [String: WindowPart] {
      parts.mapValues { part in
        var part = part
        part.by = []
        return part
      }
    }
    let open = try byKey(storedOpen)
    let expected = try byKey(windows.openWindows.map(\.part))
    try #require(
      withoutValues(open) == withoutValues(expected),
      "what is stored of open windows is something else than what they are")
    stored = closed.merging(open) { $1 }
  }

  private func check(_ change: WindowChange) throws {
    let merged = try WindowResult.merge([change.part], of: window)
    try #require(
      change.result.events == merged.events && "\(change.result.values)" == "\(merged.values)"
        && change.result.counts == merged.counts, "a change says something else than its state")
  }

  private static func key(of part: WindowPart) -> String { "\(part.start) \(part.by)" }

  /// The entries of the state space, ascending.
  var sortedEntries: [StateEntry] {
    entries.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { StateEntry(key: $0.key, value: $0.value) }
  }

  private var storedOpen: [WindowPart] {
    get throws {
      if entries.isEmpty { return [] }
      let stored = try StoredOpenWindows(sortedEntries, of: window.definition.name)
      try #require(stored.head.openCount == stored.parts.count)
      return stored.parts
    }
  }

  /// Forgets everything since the last checkpoint except the row, which must be at a checkpoint, and continues from what
  /// is stored.
  func restart() throws {
    watermark = make()
    try watermark.restore(from: storedWatermark)
    windows = WindowOperator(window)
    try windows.restore(from: sortedEntries)
  }

  /// What is stored, by start and key.
  var parts: [WindowPart] {
    stored.sorted { ($0.value.start, $0.key) < ($1.value.start, $1.key) }.map(\.value)
  }

  func results() throws -> [String: [String: Scalar]] {
    try stored.mapValues { part in windowTestScalars(try WindowResult.merge([part], of: window)) }
  }
}

/// The aggregates that give one value, by name.
func windowTestScalars(_ result: WindowResult) -> [String: Scalar] {
  Dictionary(uniqueKeysWithValues: result.aggregates.compactMap { each in each.value.scalar.map { (each.name, $0) } })
}

/// Events of the given times, a hundred of which at `origin` come first so that the watermark is known.
func windowTestStart(at origin: Int64) -> [WindowTestEvent] {
  Array(repeating: WindowTestEvent(time: origin, key: 0), count: Limits.watermarkAgreement)
}
