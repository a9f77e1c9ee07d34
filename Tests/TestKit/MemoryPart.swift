// Everything that a store in memory has of one partition, and how it changes: as `Store` says, but nothing is removed
// because of its age.

import Configuration
import Detection
import Pipeline
import Synchronization

struct MemoryPart: Sendable {
  /// A result with the number of the change that wrote it and the epoch of the claim that wrote or confirmed it.
  struct Numbered<Value: Sendable>: Sendable {
    var value: Value
    var change: Int64
    var epoch: Int64
  }

  var useCase = ""
  var partition = PartitionID(source: "", number: 0)
  var epoch: Int64 = 0
  /// By their ids.
  var anomalies: [String: Numbered<Anomaly>] = [:]
  var deadLetters: [Position: Numbered<DatedDeadLetter>] = [:]
  /// Those that have closed, and open ones as earlier versions stored them, which have the change 0.
  var windows: [Checkpoint.WindowKey: Numbered<Checkpoint.WindowRow>] = [:]
  /// Definitions of windows in the order in which they were first seen.
  var definitions: [String] = []
  var retractions: [(change: Int64, retracted: ResultChange.Retracted)] = []
  var history: [String: [String]] = [:]
  var drift: [String: DriftCounts] = [:]
  var snapshot: PartitionSnapshot?
  var watermark: Int64?
  var entries: [String: (fingerprint: String, entries: [[UInt8]: [UInt8]])] = [:]
  var tails: [HistoryTail] = []
  var nextShard: [String: Int] = [:]
  var activations: [Activation] = []
  /// Texts by version.
  var configurations: [String: String] = [:]
  /// Number of the last change.
  private(set) var changes: Int64 = 0
  private var hasUnconfirmed = false

  mutating func claim(_ useCase: String, _ partition: PartitionID) {
    self.useCase = useCase
    self.partition = partition
    epoch += 1
    hasUnconfirmed = hasResults(from: snapshot?.position ?? .start)
  }

  private func hasResults(from position: Position) -> Bool {
    anomalies.values.contains { $0.value.position >= position && $0.epoch != epoch }
      || deadLetters.contains { $0.key >= position && $0.value.epoch != epoch }
  }

  private mutating func next() -> Int64 {
    changes += 1
    return changes
  }

  // MARK: Windows of a restart

  /// How many windows are open.
  var openCount: Int { windows.values.count { !$0.value.part.closed } + openRows.count }

  /// All windows: also the open ones that are in the state.
  var allWindows: [Checkpoint.WindowKey: Checkpoint.WindowRow] {
    let open = openRows.map { (Self.key(of: $0), $0) }
    return windows.mapValues(\.value).merging(open) { $1 }
  }

  /// The open windows that are in the state.
  private var openRows: [Checkpoint.WindowRow] {
    var known: [String: CompiledWindow] = [:]
    for text in configurationTexts { known.merge(Self.windows(of: text)) { $1 } }
    let spaces = entries.filter { $0.key.hasPrefix(WindowSpace.prefix) && !$0.value.entries.isEmpty }
    return spaces.flatMap { space, state in
      let name = String(space.dropFirst(WindowSpace.prefix.count))
      do {
        let stored = try StoredOpenWindows(Self.sorted(state.entries), of: name)
        precondition(stored.head.openCount == stored.parts.count, "\(name) has another number of open windows")
        return try stored.parts.map { part in
          let result =
            try known[state.fingerprint].map { try WindowResult.merge([part], of: $0) }
            ?? WindowResult(events: part.events, names: WindowResultNames(aggregates: []), values: [], counts: [])
          return Checkpoint.WindowRow(
            part: part, result: result, byNames: stored.head.byNames, definition: state.fingerprint)
        }
      } catch { preconditionFailure("what is stored of \(space) cannot be read: \(error)") }
    }
  }

  private static let readTexts = Mutex<[String: [String: CompiledWindow]]>([:])

  /// The windows of a configuration by fingerprint. A text is read once: lists are asked for page by page.
  private static func windows(of text: String) -> [String: CompiledWindow] {
    if let known = readTexts.withLock({ $0[text] }) { return known }
    let windows = (try? UseCaseChecker.plan(fromStored: text))?.windows ?? []
    let found = Dictionary(windows.map { ($0.fingerprint, $0) }, uniquingKeysWith: { $1 })
    readTexts.withLock { $0[text] = found }
    return found
  }

  private static func key(of row: Checkpoint.WindowRow) -> Checkpoint.WindowKey {
    Checkpoint.WindowKey(
      window: row.part.window, start: row.part.start, by: row.part.by, definition: row.definition)
  }

  /// Entries ascending by key.
  static func sorted(_ entries: [[UInt8]: [UInt8]]) -> [StateEntry] {
    entries.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { StateEntry(key: $0.key, value: $0.value) }
  }

  /// The texts of configurations, that applied last first.
  var configurationTexts: [String] {
    activations.reversed().filter { $0.kind == .configuration }.compactMap { configurations[$0.version] }
  }

  var openWindows: StoredWindows {
    func place(_ part: WindowPart) -> (String, Int64, String) { (part.window, part.start, "\(part.by)") }
    let rows = windows.values.map(\.value).filter { !$0.part.closed }.sorted { place($0.part) < place($1.part) }
    return rows.reduce(into: StoredWindows()) { $0.append($1.part, definition: $1.definition) }
  }

  var closedWindows: [PartitionSnapshot.ClosedWindows] {
    Dictionary(grouping: windows.values.filter(\.value.part.closed)) { [$0.value.part.window, $0.value.definition] }
      .map {
        PartitionSnapshot.ClosedWindows(
          window: $0.key[0], definition: $0.key[1], through: $0.value.map(\.value.part.start).max() ?? .min)
      }
  }

  // MARK: Results

  mutating func write(_ results: Results) {
    for anomaly in results.anomalies {
      let isEqual = anomalies[anomaly.id]?.value == anomaly
      let change = isEqual ? anomalies[anomaly.id]?.change ?? 0 : next()
      anomalies[anomaly.id] = Numbered(value: anomaly, change: change, epoch: epoch)
    }
    for dated in results.deadLetters {
      let known = deadLetters[dated.letter.position]
      let change = known?.value == dated ? known?.change ?? 0 : next()
      deadLetters[dated.letter.position] = Numbered(value: dated, change: change, epoch: epoch)
    }
  }

  private mutating func retract(_ anomaly: Anomaly) {
    anomalies[anomaly.id] = nil
    retractions.append(
      (next(), .anomaly(RetractedAnomaly(anomaly.identity, key: anomaly.key, eventTime: anomaly.eventTime))))
  }

  /// Retracts results at some positions.
  mutating func retract(exceptEpoch kept: Int64? = nil, _ isMeant: (Position) -> Bool) {
    let gone = anomalies.values.filter { isMeant($0.value.position) && $0.epoch != kept }
      .sorted { ($0.value.position, $0.value.id) < ($1.value.position, $1.value.id) }
    for row in gone { retract(row.value) }
    for (position, row) in deadLetters.sorted(by: { $0.key < $1.key }) where isMeant(position) && row.epoch != kept {
      deadLetters[position] = nil
      retractions.append(
        (next(), .deadLetter(DeadLetterID(useCase: useCase, partition: partition, position: position))))
    }
  }

  mutating func retract(_ waiting: WaitingResults) {
    let gone = anomalies.values.filter {
      waiting.events.contains($0.value.position) && waiting.detectors.contains($0.value.detector)
    }
    for row in gone { retract(row.value) }
  }

  private mutating func remove(_ key: Checkpoint.WindowKey) {
    guard let row = windows.removeValue(forKey: key), row.value.part.closed else { return }
    retractions.append((next(), .window(id(of: key))))
  }

  func id(of key: Checkpoint.WindowKey) -> WindowPartID {
    var writer = ByteWriter()
    for value in key.by { writer.write(scalar: value) }
    return WindowPartID(
      useCase: useCase, partition: partition, window: key.window, start: key.start, by: writer.bytes,
      definition: key.definition)
  }

  // MARK: Checkpoints

  mutating func commit(_ checkpoint: Checkpoint, shards: [(HistoryShard, rows: [String])]) {
    if hasUnconfirmed {
      let from = snapshot?.position ?? .start
      retract(exceptEpoch: epoch) { $0 >= from && (checkpoint.isLast || $0 < checkpoint.position) }
      hasUnconfirmed = !checkpoint.isLast && hasResults(from: checkpoint.position)
    }
    commitWindows(of: checkpoint)
    let spaces = Set(checkpoint.states.map(\.name))
    entries = entries.filter { spaces.contains($0.key) }
    for space in checkpoint.states {
      if entries[space.name]?.fingerprint != space.fingerprint {
        entries[space.name] = (space.fingerprint, [:])
        if space.name.hasPrefix(WindowSpace.prefix) { note(space.fingerprint) }
      }
      for key in space.changes.deletes { entries[space.name]?.entries[key] = nil }
      for entry in space.puts { entries[space.name]?.entries[entry.key] = entry.value }
    }
    let changes = checkpoint.history
    let gone = Set(changes.droppedTails + changes.tails.map(\.number))
    tails = (tails.filter { !gone.contains($0.number) } + changes.tails).sorted { $0.number < $1.number }
    for (shard, rows) in shards {
      history[shard.day, default: []] += rows
      nextShard[shard.day] = shard.number + 1
    }
    for day in checkpoint.drift { drift["\(day.detector) \(day.version) \(day.day)"] = day }
    if let keepFrom = checkpoint.driftKeepFrom { drift = drift.filter { $0.value.day >= keepFrom } }
    watermark = checkpoint.watermark == .min ? nil : checkpoint.watermark
    snapshot = PartitionSnapshot(
      position: checkpoint.position, sourceState: checkpoint.sourceState, totals: checkpoint.totals,
      openWindows: StoredWindows(), closedWindows: [], states: [:], tails: [], nextShard: [:])
  }

  private mutating func commitWindows(of checkpoint: Checkpoint) {
    for left in checkpoint.leftWindows {
      let keys = windows.keys.sorted { a, b in
        a.start == b.start ? id(of: a).by.lexicographicallyPrecedes(id(of: b).by) : a.start < b.start
      }
      for key in keys
      where key.window == left.window && key.definition == left.definition && windows[key]?.value.part.closed == false {
        let number = next()
        windows[key]?.value.part.closed = true
        windows[key]?.change = number
      }
    }
    for space in checkpoint.states where space.name.hasPrefix(WindowSpace.prefix) {
      windows = windows.filter { key, row in
        row.value.part.closed || WindowSpace.prefix + key.window != space.name || key.definition != space.fingerprint
      }
    }
    for key in checkpoint.removedWindows { remove(key) }
    for row in checkpoint.windows {
      let key = Self.key(of: row)
      note(row.definition)
      let isEqual = row.part.closed && windows[key]?.value.part == row.part
      let change = isEqual ? windows[key]?.change ?? 0 : row.part.closed ? next() : 0
      windows[key] = Numbered(value: row, change: change, epoch: epoch)
    }
  }

  private mutating func note(_ definition: String) {
    if !definitions.contains(definition) { definitions.append(definition) }
  }
}
