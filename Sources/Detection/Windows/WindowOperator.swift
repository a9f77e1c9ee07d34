// Tumbling and sliding windows of one definition in one partition: what the pipeline calls. Invariants:
// - what is emitted is a function of the events and of the watermark before and after each, not of batches: an event is
//   late for a window when end + allowed lateness ≤ the watermark before it, and a window closes when that is so after
//   an event; the watermark never goes back, so a closed window takes no more events and is not opened again;
// - an event whose time is in doubt is added to its own window like any other if the marks say so, else when it is believed;
// - restored from what is stored of its open windows, an operator emits the same bytes as one that never stopped.
// Session windows will be an operator of their own with the same parts and aggregates.

/// The windows of one definition in one partition.
public final class WindowOperator {
  public let window: CompiledWindow
  /// Windows that events were too late for, since this operator was made: an event counts once for each of its windows
  /// that had closed, so up to size / every times.
  public var missedWindows: Int64 { open.missed }
  private var open: OpenWindows

  public init(_ window: CompiledWindow) {
    self.window = window
    open = OpenWindows(window)
  }

  /// Number of open windows.
  public var openCount: Int { open.count }

  /// Bytes of memory that open windows and changes not taken yet take, nearly.
  public var heldBytes: Int { open.heldBytes }

  /// Adds the next events of the partition.
  /// - Parameters:
  ///   - batch: the events with all columns the definition uses.
  ///   - marks: what the partition's watermark says about them.
  ///   - failures: is increased by the values that an expression could not compute and made NULL, and by the sums that
  ///     are NULL in windows that close.
  /// - Returns: the rows that were too late for one of their windows at least; nil when there are none.
  public func add(_ batch: EventBatch, marks: EventTimeMarks, failures: inout Int) -> Bitmap? {
    precondition(marks.watermarks.count == batch.count, "marks of another batch")
    var late: Bitmap?
    let overflows = open.overflows
    if batch.count > 0 {
      var failed = 0
      func evaluate(_ expression: Expression) -> Column {
        expression.evaluate(batch.columns, count: batch.count, selection: nil, failures: &failed)
      }
      let work = WindowWork(
        times: batch.eventTimes, watermarks: marks.watermarks,
        left: marks.outsideWindows.isEmpty ? nil : marks.outsideWindows, by: window.by.map { evaluate($0.expression) },
        values: open.arguments.map { evaluate($0) }, classColumn: window.classColumn.map { batch.columns[$0] })
      late = open.add(work)
      // Those of events that have waited were counted when they came.
      if !marks.areReleased { failures += failed }
    }
    open.close(upTo: marks.watermarkAfter)
    failures += open.overflows - overflows
    return late
  }

  /// Drops the windows that start after a time: what events that turned out wrong have left behind.
  public func discard(startingAfter bound: Int64) { open.discard(startingAfter: bound) }

  /// Closes the windows that start up to a time, wherever the watermark is: no more events are taken for them.
  /// - Parameter failures: as of `add`.
  public func closeAll(startingUpTo time: Int64, failures: inout Int) {
    let overflows = open.overflows
    open.closeAll(startingUpTo: time)
    failures += open.overflows - overflows
  }

  /// The parts that closed since the last call with their values, each once, by start and then in a fixed order of keys.
  public func takeClosed() -> WindowChanges { open.takeClosed() }

  /// The open parts with their values so far, in the order of `takeClosed`.
  public var openWindows: WindowChanges { open.openWindows }

  /// Name of the state space of the open windows.
  public var stateName: String { WindowSpace.prefix + window.definition.name }

  /// What changed of the stored open windows since the last call or restore.
  public func takeStateChanges() -> WindowStateChanges { open.takeStateChanges() }

  /// Replaces the open windows by stored ones.
  /// - Parameters:
  ///   - entries: of the state space, ascending by key.
  ///   - parts: open parts that earlier versions have stored one by one, in any order; the next changes have them.
  ///   - closedThrough: the latest start of a window that is stored as closed; nil when there is none. Windows up
  ///     to it stay closed even if the definition now allows more lateness: what they hold is no longer in memory.
  /// - Throws: `CodingError` when something cannot be read, or a part is closed or none of this definition; the operator is
  ///   then of no further use.
  public func restore(
    from entries: [StateEntry] = [], parts: some Sequence<WindowPart> = [],
    closedThrough: Int64? = nil
  ) throws(CodingError) {
    try open.restore(from: entries, parts: parts, closedThrough: closedThrough)
  }
}
