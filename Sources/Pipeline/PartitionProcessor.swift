// The stateful half of the pipeline for one partition: event time, rules, windows, history, counts. It belongs to one
// task, so it takes no lock. Everything it does is a function of the batches it is given, in order, and independent of
// where one batch ends and the next begins.

import Detection

/// A batch, or a piece of one, after the stateless stages, with where its partition stands behind it.
struct StagedWork: Sendable {
  var staged: StagedBatch
  /// The models that scored it.
  var models = ModelSet.none
  /// Records it was made of, dead letters included.
  var records: Int
  /// Bytes of those records; 0 where they are not known.
  var bytes = 0
  /// The first of those records; nil where there is none.
  var first: Position?
  /// Where to read on.
  var next: Position
}

extension StagedWork {
  /// - Parameter piece: what `staged` was made of.
  init(_ staged: StagedBatch, of piece: ScoredPiece) {
    let raw = piece.raw
    self.init(
      staged: staged, models: piece.models, records: raw.count + raw.oversized.count, bytes: raw.byteCount,
      first: raw.first, next: raw.next)
  }
}

/// The state of one partition and the steps that advance it.
struct PartitionProcessor {
  /// Under which results and checkpoints are written.
  let claim: Claim
  let plan: Plan
  private let renderer: EventRenderer
  private let watermark: Watermark
  let waiting: WaitingEvents
  private let detectors: [any StatefulDetector]
  private let windows: [WindowOperator]
  /// Stored open windows of definitions that no longer apply; the next checkpoint closes them.
  private var leftWindows = LeftWindows()
  private var drift = DriftTotals()
  private(set) var history: HistoryBuffer
  private(set) var totals = Totals()
  private(set) var position = Position.start
  private(set) var watermarkTime = Int64.min
  /// Places ahead at which the input was declared to be at its end.
  var ends = ComingEnds()
  /// Where the events came from that wait because their time is in doubt.
  var waitingPositions: [Position] { waiting.positions }
  var partition: PartitionID { claim.partition }
  /// How far event time has come, for progress.
  var latestEventTime: Int64 { watermark.reached }
  /// Up to which start windows would close at the end of the input; nil without events.
  var closingTime: Int64? { watermark.closingTime == .min ? nil : watermark.closingTime }

  /// - Parameter epoch: of the claim; 0 where nothing is stored.
  init(plan: Plan, partition: PartitionID, epoch: Int64 = 0) throws {
    claim = Claim(useCase: plan.useCase.name, partition: partition, epoch: epoch)
    self.plan = plan
    renderer = EventRenderer(schema: plan.schema)
    watermark = Watermark(plan.useCase.event)
    waiting = WaitingEvents(partition: partition, schema: plan.schema)
    detectors = try plan.makeStatefulDetectors()
    windows = plan.windows.map { WindowOperator($0) }
    history = HistoryBuffer(
      layout: Self.layout(of: plan), timeColumn: plan.schema.timeField, folder: "history/\(plan.useCase.name)",
      partition: partition, epoch: epoch, retention: plan.useCase.historyRetention)
  }

  private var stateful: [any Stateful] { [watermark, waiting] + detectors }
  var parkable: [any Parkable] { detectors.compactMap { $0 as? any Parkable } }

  /// What is in memory.
  var memory: LaneMemory {
    var memory = LaneMemory(history: history.heldBytes)
    for part in stateful { memory.state[part.stateName] = part.heldBytes }
    for window in windows { memory.state[window.stateName] = window.heldBytes }
    return memory
  }

  /// Takes up what the last checkpoint left. State written under another definition is discarded.
  /// - Returns: what was discarded, for the log.
  /// - Throws: `CodingError` when stored state cannot be read.
  mutating func restore(
    _ snapshot: PartitionSnapshot, now: ContinuousClock.Instant, decoding decode: (HistoryTail) throws -> HistoryRows
  ) throws -> [String] {
    position = snapshot.position
    totals = snapshot.totals
    drift.restore(snapshot.drift)
    var discarded: [String] = []
    for part in stateful {
      guard let stored = snapshot.states[part.stateName] else { continue }
      if part.continues(stored.fingerprint) {
        try part.restore(from: stored.entries)
      } else {
        try Self.refuseNewer(stored.fingerprint, than: part)
        discarded.append(part.stateName)
        // Their fields are not those of the events to come: no rule and window can take them in.
        if part === waiting { totals.undecidedEvents += stored.entries.count }
      }
    }
    let names = Set(stateful.map(\.stateName) + windows.map(\.stateName) + [Checkpoint.sourceSpace])
    for window in windows {
      let (name, fingerprint) = (window.window.definition.name, window.window.fingerprint)
      let closed = snapshot.closedWindows.first { $0.window == name && $0.definition == fingerprint }
      let stored = snapshot.states[window.stateName]
      try window.restore(
        from: stored?.fingerprint == fingerprint ? stored?.entries ?? [] : [],
        parts: snapshot.openWindows.group(of: name, definition: fingerprint), closedThrough: closed?.through)
    }
    leftWindows = try LeftWindows(snapshot, current: windows.map(\.window))
    discarded += snapshot.states.keys.filter { !names.contains($0) && !$0.hasPrefix(WindowSpace.prefix) }.sorted()
    discarded += leftWindows.names
    watermarkTime = watermark.current
    // Earlier versions kept windows of absurd times.
    if watermark.isConverted {
      let believed = max(watermark.believed, watermark.reached)
      discard(
        beyond: watermark.latestOpening(believed: believed, watermark: watermarkTime), believed: believed,
        at: watermarkTime)
    }
    // Where the use case has changed whose clocks are told apart, nobody will decide about what waits.
    for events in waiting.take(exceptRuns: watermark.runs) { try leaveOut(events, areUndecided: true) }
    totals.waitingEvents = waiting.count
    try history.restore(
      try snapshot.tails.map { ($0, try decode($0)) }, nextShard: snapshot.nextShard, watermark: watermarkTime, now: now
    )
    return discarded
  }

  /// State that belongs to no definition has its name and version for a fingerprint, as the watermark: `watermark 5`. A
  /// newer one is no earlier definition that could be left behind.
  private static func refuseNewer(_ fingerprint: String, than part: any Stateful) throws {
    func version(_ text: String) -> Int? {
      let words = text.prefix { $0 != ":" }.split(separator: " ")
      return words.count == 2 && words[0] == part.stateName ? Int(words[1]) : nil
    }
    guard let found = version(fingerprint), let known = version(part.stateFingerprint), found > known else { return }
    throw CodingError("the state \(part.stateName) has version \(found), expected 1 to \(known)")
  }

  /// Advances by the pieces of one batch. A checkpoint comes behind the last of them: sources know the ends of their
  /// batches, and no other place to continue from.
  /// - Precondition: there is a piece.
  /// - Returns: what is to be committed at once.
  mutating func process(_ pieces: [StagedWork], now: ContinuousClock.Instant) throws -> Results {
    var results = Results(claim: claim)
    for piece in pieces {
      if let first = piece.first, ends.pass(first) { results.append(try close()) }
      results.append(try process(piece, now: now))
    }
    return results
  }

  /// Advances by one batch.
  /// - Returns: what is to be committed at once.
  mutating func process(_ work: StagedWork, now: ContinuousClock.Instant) throws -> Results {
    // Before anything of the batch counts.
    if let trouble = work.staged.trouble { throw trouble }
    let batch = work.staged.events
    var marks = watermark.mark(batch.eventTimes, clockOf: plan.useCase.event.clockOf.map { batch.columns[$0] })
    var outcome = StatefulOutcome(failures: work.staged.failures)
    note(work.staged.findings, in: batch, &outcome)
    let waited = waiting.follow(batch, &marks)
    for events in waited.dismissed { try leaveOut(events, areUndecided: false) }
    for events in waited.undecided { try leaveOut(events, areUndecided: true) }
    var first = 0
    for (index, decision) in marks.decisions.enumerated() {
      let believed = waited.believed[index] ?? []
      switch decision.kind {
      case .believed where believed.isEmpty, .dismissed(_, heard: nil): continue
      default: break
      }
      try advance(batch, marks, first..<decision.row, &outcome)
      first = decision.row
      try apply(
        decision.kind, believed, watermark: marks.watermarks[decision.row], believed: marks.believed[decision.row],
        &outcome)
    }
    try advance(batch, marks, first..<batch.count, &outcome)
    if batch.count > 0 {
      let columns = historyColumns(of: batch, late: outcome.late)
      history.append(columns, eventTimes: batch.eventTimes, marks: marks, now: now)
    }
    watermarkTime = marks.watermarkAfter
    drift.add(driftCounts(of: work, marks: marks), keepFrom: driftKeepFrom)
    position = work.next
    totals.aheadEvents += marks.dismissed.setCount
    count(work, failures: outcome.failures)
    return Results(
      claim: claim, anomalies: outcome.anomalies,
      deadLetters: dated(work.staged.deadLetters, marks: marks, positions: batch.positions))
  }

  /// Ends the partition's input: what waits is decided, and the windows up to the last believed time close. Later ones stay:
  /// the next input may come to them, and what opened them may have been wrong.
  /// - Returns: what is to be committed at once.
  mutating func close() throws -> Results {
    var outcome = StatefulOutcome(failures: 0)
    let decisions = watermark.close()
    let latest = watermark.latestTaken
    for decision in decisions {
      switch decision {
      case .believed(let run, let latestOfRun):
        let taken = waiting.take(run: run, until: min(latest, latestOfRun))
        for events in taken.absurd { try leaveOut(events, areUndecided: false) }
        try apply(decision, taken.believed, watermark: watermarkTime, believed: watermark.believed, &outcome)
      case .dismissed(let run, heard: nil):
        for events in waiting.take(run: run).believed { try leaveOut(events, areUndecided: false) }
      case .dismissed, .opened:
        try apply(decision, [], watermark: watermarkTime, believed: watermark.believed, &outcome)
      }
    }
    let end = watermark.closingTime
    for window in windows { window.closeAll(startingUpTo: end, failures: &outcome.failures) }
    watermarkTime = watermark.current
    totals.expressionFailures += outcome.failures
    totals.waitingEvents = waiting.count
    return Results(claim: claim, anomalies: outcome.anomalies)
  }

  /// What the stateful stages made of a batch.
  private struct StatefulOutcome {
    var anomalies: [Anomaly] = []
    var failures: Int
    /// Rows that were late for a window.
    var late: Bitmap?
  }

  /// Rules and windows over some rows of a batch.
  private mutating func advance(
    _ batch: EventBatch, _ marks: EventTimeMarks, _ rows: Range<Int>, _ outcome: inout StatefulOutcome
  ) throws {
    // An empty batch closes windows too.
    if rows.isEmpty && batch.count > 0 { return }
    let isWhole = rows == 0..<batch.count
    let late = try advance(isWhole ? batch : batch.rows(rows), isWhole ? marks : marks.rows(rows), &outcome)
    guard let late else { return }
    if outcome.late == nil { outcome.late = Bitmap(repeating: false, count: batch.count) }
    late.forEachSet { outcome.late?[rows.lowerBound + $0] = true }
  }

  /// - Returns: rows that were late for a window; nil where none was.
  private mutating func advance(
    _ batch: EventBatch, _ marks: EventTimeMarks, _ outcome: inout StatefulOutcome
  ) throws -> Bitmap? {
    var findings: [Finding] = []
    for detector in detectors {
      var counts = DetectorCounts()
      try detector.detect(in: batch, marks: marks, into: &findings, counts: &counts)
      outcome.failures += counts.failures
      count(counts, of: detector.name)
    }
    note(findings, in: batch, &outcome)
    var late: Bitmap?
    for window in windows {
      let missed = window.missedWindows
      guard let rows = window.add(batch, marks: marks, failures: &outcome.failures) else { continue }
      totals.lateEvents[window.window.definition.name, default: 0] += Int(window.missedWindows - missed)
      late = late.map { $0 | rows } ?? rows
    }
    return late
  }

  /// Does what a decision about event time asks for, as of the watermark before an event and the latest time believed.
  private mutating func apply(
    _ decision: EventTimeMarks.Decision.Kind, _ released: [ReleasedEvents], watermark: Int64, believed: Int64,
    _ outcome: inout StatefulOutcome
  ) throws {
    switch decision {
    case .believed:
      for var events in released {
        var failed = 0
        plan.extend(&events.batch, failures: &failed)
        _ = try advance(events.batch, events.marks(watermark: watermark, believed: believed), &outcome)
      }
    case .dismissed(_, let heard):
      let bound = self.watermark.latestHeard(believed: believed, watermark: watermark)
      // What is not beyond the bound stays in its windows.
      if let heard, heard.from > bound { totals.aheadEvents += heard.events }
      discard(beyond: bound, believed: believed, at: watermark)
    case .opened:
      discard(
        beyond: self.watermark.latestOpening(believed: believed, watermark: watermark), believed: believed,
        at: watermark)
    }
  }

  /// Counts events that waited in vain.
  private mutating func leaveOut(_ events: ReleasedEvents, areUndecided: Bool) throws {
    var events = events
    var failed = 0
    plan.extend(&events.batch, failures: &failed)
    if areUndecided {
      totals.undecidedEvents += events.batch.count
    } else {
      totals.aheadEvents += events.batch.count
    }
    var none: [Finding] = []
    for detector in detectors {
      var counts = DetectorCounts()
      try detector.detect(
        in: events.batch, marks: events.marksOfLeftOut(areUndecided: areUndecided), into: &none, counts: &counts)
      count(counts, of: detector.name)
    }
  }

  /// Drops what events with a wrong time have left in rules and windows before it was known that it is wrong.
  private func discard(beyond bound: Int64, believed: Int64, at watermark: Int64) {
    for window in windows { window.discard(startingAfter: bound) }
    for detector in detectors { detector.discard(beyond: bound, believed: believed, watermark: watermark) }
  }

  private mutating func note(_ findings: [Finding], in batch: EventBatch, _ outcome: inout StatefulOutcome) {
    for finding in findings { totals.anomalies[finding.detector, default: 0] += 1 }
    outcome.anomalies += anomalies(findings, in: batch)
  }

  /// What changed since the last checkpoint, except history, whose encoding is the caller's work.
  mutating func takeCheckpoint(sourceState: [UInt8]) -> Checkpoint {
    let left = leftWindows
    leftWindows = LeftWindows()
    let driftKeepFrom = driftKeepFrom
    return Checkpoint(
      claim: claim, position: position, sourceState: sourceState,
      watermark: watermarkTime, totals: totals,
      windows: rows(of: windows.map { $0.takeClosed() }, and: left), leftWindows: left.stored,
      windowRetention: windows.compactMap { window in
        window.window.expired(before: watermarkTime)
          .map { Checkpoint.WindowRetention(window: window.window.definition.name, startsBefore: $0) }
      },
      resultsKeepFrom: bound(plan.useCase.resultRetention),
      states: stateful.map {
        Checkpoint.StateSpace(name: $0.stateName, fingerprint: $0.stateFingerprint, changes: $0.takeChanges())
      } + windows.map(Self.space),
      history: historyChanges(), drift: drift.takeChanges(keepFrom: driftKeepFrom), driftKeepFrom: driftKeepFrom)
  }

  private static func space(of window: WindowOperator) -> Checkpoint.StateSpace {
    let changes = window.takeStateChanges()
    return Checkpoint.StateSpace(
      name: window.stateName, fingerprint: window.window.fingerprint, changes: changes.changes,
      segments: changes.segments)
  }

  /// Cuts shards from what waits in history: what has waited too long, or at the end everything.
  mutating func sealHistory(all: Bool, now: ContinuousClock.Instant) {
    history.seal(olderThan: now - HistoryBuffer.maxAge, all: all)
  }

  mutating func takeShardJobs() -> [ShardJob] { history.takeJobs() }

  mutating func takeTailJobs() -> (stored: [TailJob], dropped: [Int]) { history.takeTails() }

  private func historyChanges() -> HistoryChanges {
    var changes = HistoryChanges()
    changes.keepFrom = bound(plan.useCase.historyRetention).map { Timestamp.day(of: $0) }
    return changes
  }

  /// The time before which something kept for `retention` is removed.
  private func bound(_ retention: Int64?) -> Int64? {
    guard let retention, watermarkTime != .min else { return nil }
    return max(watermarkTime.subtractingSaturated(retention), Timestamp.range.lowerBound)
  }

  /// The open windows as they are.
  var openWindows: Checkpoint.WindowRows { rows(of: windows.map(\.openWindows)) }

  /// Rows of changes of all windows, in their order, and of those that were left.
  private func rows(of changes: [WindowChanges], and left: LeftWindows = LeftWindows()) -> Checkpoint.WindowRows {
    Checkpoint.WindowRows(
      zip(changes, windows).map { Checkpoint.WindowRows.Group($0, of: $1.window) } + left.closed, and: left.unread)
  }

  /// The first day whose drift is kept.
  private var driftKeepFrom: Int64? {
    watermarkTime == .min ? nil : Timestamp.dayNumber(of: watermarkTime) - Limits.driftDays
  }

  /// What the events of a batch looked like to its models. Events whose time is in doubt do not count: a producer with a
  /// broken clock would make a row of every day there is.
  private func driftCounts(of work: StagedWork, marks: EventTimeMarks) -> [DriftCounts] {
    guard !work.staged.drift.isEmpty, !marks.doubtful.isEmpty else { return work.staged.drift }
    let doubtful = work.staged.events.filtered(marks.doubtful)
    let surplus = work.models.detectors.flatMap { $0.run(on: doubtful).drift }
    return work.staged.drift.map { day in
      var day = day
      for other in surplus where other.day == day.day && other.detector == day.detector { day.subtract(other) }
      return day
    }
  }

  /// Dead letters with the watermark before the first event behind each.
  private func dated(
    _ letters: [DeadLetter], marks: EventTimeMarks, positions: RecordPositions
  ) -> [DatedDeadLetter] {
    var row = 0
    return letters.map { letter in
      while row < positions.count, positions[row] < letter.position { row += 1 }
      return DatedDeadLetter(
        letter: letter, watermark: row < positions.count ? marks.watermarks[row] : marks.watermarkAfter)
    }
  }

  private mutating func count(_ counts: DetectorCounts, of detector: String) {
    for (reason, count) in [
      ("late", counts.late), ("ahead", counts.ahead), ("undecided", counts.undecided),
      ("without_entity", counts.withoutEntity),
    ] where count > 0 {
      totals.ruleSkips["\(detector)/\(reason)", default: 0] += count
    }
  }

  private mutating func count(_ work: StagedWork, failures: Int) {
    let batch = work.staged.events
    totals.records += work.records
    totals.events += batch.count
    totals.waitingEvents = waiting.count
    totals.expressionFailures += failures
    for letter in work.staged.deadLetters {
      totals.deadLetters["\(letter.stage.rawValue)/\(letter.reason.rawValue)", default: 0] += 1
    }
    if let classification = plan.useCase.classification, let column = plan.classColumn,
      case .int(let classes) = batch.columns[column].values
    {
      var counts = [Int](repeating: 0, count: classification.classes.count)
      for index in classes { counts[Int(index)] += 1 }
      for (name, count) in zip(classification.classes, counts) where count > 0 {
        totals.classes[name, default: 0] += count
      }
    }
  }

  private func anomalies(_ findings: [Finding], in batch: EventBatch) -> [Anomaly] {
    findings.map { finding in
      Anomaly(
        useCase: plan.useCase.name, partition: partition, position: batch.positions[finding.row],
        detector: finding.detector, eventTime: batch.eventTimes[finding.row],
        key: plan.schema.keyField.map { batch.columns[$0][finding.row].plainText } ?? "",
        score: finding.score, severity: finding.severity, reason: finding.reason, explanation: finding.explanation,
        model: finding.model, event: renderer.json(of: batch, row: finding.row))
    }
  }
}

// MARK: - History rows

extension PartitionProcessor {
  /// Columns of history: the event's fields, its class, whether it was late, and where it came from.
  static func layout(of plan: Plan) -> HistoryLayout {
    var columns = plan.schema.fields.map { HistoryLayout.Column(name: $0.name, type: $0.type.valueType) }
    if let classification = plan.useCase.classification {
      columns.append(HistoryLayout.Column(name: classification.into, type: .string))
    }
    columns.append(HistoryLayout.Column(name: "_late", type: .bool))
    for name in ["_segment", "_offset", "_row"] { columns.append(HistoryLayout.Column(name: name, type: .int)) }
    return HistoryLayout(columns: columns)
  }

  private func historyColumns(of batch: EventBatch, late: Bitmap?) -> [Column] {
    var columns = Array(batch.columns.prefix(plan.schema.fields.count))
    if let classification = plan.useCase.classification, let index = plan.classColumn,
      case .int(let classes) = batch.columns[index].values
    {
      let names = StringColumn(classification.classes)
      columns.append(
        Column(
          .string(
            StringColumn(
              offsets: names.offsets, bytes: names.bytes, codes: classes.map { UInt32(truncatingIfNeeded: $0) })
          )))
    }
    columns.append(Column(.bool(late ?? Bitmap(repeating: false, count: batch.count))))
    columns.append(Column(.int([Int64](repeating: Int64(batch.positions.segment), count: batch.count))))
    columns.append(Column(.int(batch.positions.offsets)))
    columns.append(Column(.int(batch.positions.rows)))
    return columns
  }
}
