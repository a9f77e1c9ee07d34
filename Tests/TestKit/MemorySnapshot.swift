// Reading a store in memory: a copy of what it had.

import Configuration
import Detection
import Pipeline

struct MemorySnapshot: ResultSnapshot {
  private let parts: [MemoryPart]

  init(_ parts: [PartitionID: MemoryPart]) {
    self.parts = parts.sorted { $0.key < $1.key }.map(\.value).filter { !$0.useCase.isEmpty }
  }

  func end() async {}

  private func parts(of useCase: String?) -> [MemoryPart] {
    parts.filter { useCase == nil || $0.useCase == useCase }.sorted {
      ($0.useCase, $0.partition) < ($1.useCase, $1.partition)
    }
  }

  func useCases() async throws -> [String] {
    Set(parts.filter { $0.snapshot != nil || !$0.activations.isEmpty }.map(\.useCase)).sorted()
  }

  func names(of useCase: String?) async throws -> ResultNames {
    var (detectors, windows): (Set<String>, Set<String>) = ([], [])
    for part in parts(of: useCase) {
      detectors.formUnion(part.anomalies.values.map(\.value.detector))
      windows.formUnion(part.windows.keys.map(\.window))
      for text in part.configurations.values {
        guard case .success(let useCase) = UseCaseReader.read(text, isStored: true) else { continue }
        detectors.formUnion(useCase.rules.map(\.name) + useCase.detectors.map(\.name))
        windows.formUnion(useCase.windows.map(\.name))
      }
    }
    return ResultNames(detectors: detectors.sorted(), windows: windows.sorted())
  }

  /// The page of a list that is whole and in order. A place in it is a number: the copy does not change.
  private func page<Row>(_ rows: [Row], _ filter: ResultFilter, after page: PageCursor?) -> ResultPage<Row> {
    var start = 0
    if case .int(let row)? = page?.keys.first { start = Int(row) }
    let limit = filter.limit == 0 ? PageCursor.maxRows : min(filter.limit, PageCursor.maxRows)
    let end = min(rows.count, start + limit)
    return ResultPage(
      rows: Array(rows[min(start, end)..<end]), next: end < rows.count ? PageCursor([.int(Int64(end))]) : nil)
  }

  private func hasWords(_ filter: ResultFilter, _ anomaly: Anomaly) -> Bool {
    filter.words.allSatisfy { word in
      [anomaly.reason, anomaly.key, anomaly.event].contains { $0.lowercased().contains(word.lowercased()) }
    }
  }

  private func isWithin(_ filter: ResultFilter, _ time: Int64?) -> Bool {
    if filter.from == nil && filter.to == nil { return true }
    guard let time else { return false }
    return time >= filter.from ?? .min && (filter.to == nil || time < filter.to ?? .max)
  }

  func anomalies(_ filter: ResultFilter, after page: PageCursor?) async throws -> ResultPage<StoredAnomaly> {
    let rows = parts(of: filter.useCase).flatMap(\.anomalies.values).map(\.value).filter {
      (filter.name == nil || $0.detector == filter.name) && filter.keys?.contains($0.key) ?? true
        && filter.severities?.contains($0.severity) ?? true && $0.score >= filter.leastScore ?? -.infinity
        && hasWords(filter, $0) && isWithin(filter, $0.eventTime)
    }.sorted { a, b in
      if a.eventTime != b.eventTime { return a.eventTime > b.eventTime }
      if (a.useCase, a.partition) != (b.useCase, b.partition) {
        return (a.useCase, a.partition) < (b.useCase, b.partition)
      }
      if a.position != b.position { return a.position > b.position }
      return (a.detector, a.subject) < (b.detector, b.subject)
    }
    return self.page(rows.map { StoredAnomaly($0) }, filter, after: page)
  }

  func deadLetters(_ filter: ResultFilter, after page: PageCursor?) async throws -> ResultPage<StoredDeadLetter> {
    let rows = parts(of: filter.useCase).flatMap { part in
      part.deadLetters.values.map {
        StoredDeadLetter(
          $0.value.letter, watermark: $0.value.watermark, useCase: part.useCase, partition: part.partition)
      }
    }.filter { (filter.name == nil || $0.reason == filter.name) && isWithin(filter, $0.watermark) }
      .sorted { a, b in
        if a.watermark != b.watermark { return a.watermark ?? .min > b.watermark ?? .min }
        if (a.useCase, a.partition) != (b.useCase, b.partition) {
          return (a.useCase, a.partition) < (b.useCase, b.partition)
        }
        return a.position > b.position
      }
    return self.page(rows, filter, after: page)
  }

  func windows(_ filter: ResultFilter, after page: PageCursor?) async throws -> ResultPage<StoredWindow> {
    var grouped: [MemoryWindowKey: [Checkpoint.WindowRow]] = [:]
    var definitions: [String] = []
    for part in parts(of: filter.useCase) {
      for definition in part.definitions where !definitions.contains(definition) { definitions.append(definition) }
      for (key, row) in part.allWindows
      where (filter.name == nil || key.window == filter.name) && isWithin(filter, key.start) {
        grouped[MemoryWindowKey(useCase: part.useCase, key: key), default: []].append(row)
      }
    }
    let keys = grouped.keys.sorted { a, b in
      if a.key.start != b.key.start { return a.key.start > b.key.start }
      if (a.useCase, a.key.window) != (b.useCase, b.key.window) {
        return (a.useCase, a.key.window) < (b.useCase, b.key.window)
      }
      if a.by != b.by { return a.by.lexicographicallyPrecedes(b.by) }
      return definitions.firstIndex(of: a.key.definition) ?? 0 > definitions.firstIndex(of: b.key.definition) ?? 0
    }
    let rows = try keys.flatMap { try window($0, grouped[$0] ?? []) }
    return self.page(rows, filter, after: page)
  }

  /// The window that parts make; where its definition is not known, a window for each.
  private func window(_ key: MemoryWindowKey, _ rows: [Checkpoint.WindowRow]) throws -> [StoredWindow] {
    let compiled = try plans(of: key.useCase).lazy.flatMap(\.windows).first { $0.fingerprint == key.key.definition }
    func stored(_ rows: [Checkpoint.WindowRow], _ result: WindowResult) -> StoredWindow {
      StoredWindow(
        useCase: key.useCase, window: key.key.window, start: key.key.start, end: rows[0].part.end,
        closed: rows.allSatisfy(\.part.closed), events: rows.reduce(0) { $0 + $1.part.events },
        by: JSONText.object(zip(rows[0].byNames, rows[0].part.by).map { ($0, $1) }),
        aggregates: JSONText.object(result.aggregates.map { ($0.name, $0.value) }),
        classes: JSONText.object(result.classCounts.map { ($0.name, Scalar.int($0.count)) }),
        classification: compiled?.classificationName)
    }
    guard rows.count > 1, let compiled else { return rows.map { stored([$0], $0.result) } }
    return [stored(rows, try WindowResult.merge(rows.map(\.part), of: compiled))]
  }

  /// The plans on record, that applied last first.
  private func plans(of useCase: String) throws -> [Plan] {
    try parts(of: useCase).flatMap { part in
      try part.activations.reversed().filter { $0.kind == .configuration }.compactMap {
        try part.configurations[$0.version].map { try UseCaseChecker.plan(fromStored: $0) }
      }
    }
  }

  func anomaly(id: String) async throws -> (anomaly: StoredAnomaly, configuration: String)? {
    for part in parts {
      guard let found = part.anomalies[id]?.value else { continue }
      let version = part.activations.last { $0.kind == .configuration && $0.from <= found.position }?.version
      if let version, let text = part.configurations[version] { return (StoredAnomaly(found), text) }
    }
    return nil
  }

  func anomalyPositions(of detector: String, useCase: String, in partition: PartitionID) async throws -> [Position] {
    parts(of: useCase).filter { $0.partition == partition }.flatMap(\.anomalies.values)
      .filter { $0.value.detector == detector }.map(\.value.position).sorted()
  }

  func anomalyCounts(of useCase: String) async throws -> [(detector: String, count: Int)] {
    Dictionary(grouping: parts(of: useCase).flatMap(\.anomalies.values), by: \.value.detector)
      .map { (detector: $0.key, count: $0.value.count) }
      .sorted { ($1.count, $0.detector) < ($0.count, $1.detector) }
  }

  func topEntities(
    of useCase: String, window name: String, by aggregate: String, limit: Int
  ) async throws -> [TopEntity] {
    guard let compiled = try plans(of: useCase).first?.windows.first(where: { $0.definition.name == name }) else {
      return []
    }
    let rows = parts(of: useCase).flatMap { $0.allWindows.filter { $0.key.definition == compiled.fingerprint } }
      .sorted { $0.key.start < $1.key.start }
    let entities = try Dictionary(grouping: rows, by: \.key.by).compactMap { _, rows -> TopEntity? in
      let result = try WindowResult.merge(rows.map(\.value.part), of: compiled)
      let value: Double
      switch result.aggregates.first(where: { $0.name == aggregate })?.value {
      case .scalar(.double(let number)): value = number
      case .scalar(.int(let number)): value = Double(number)
      default: return nil
      }
      let row = rows[0].value
      return TopEntity(
        by: JSONText.object(zip(row.byNames, row.part.by).map { ($0, $1) }), events: result.events, value: value)
    }
    return Array(entities.sorted { ($1.value, $0.by) < ($0.value, $1.by) }.prefix(limit))
  }

  func status(of useCase: String?, counting isCounting: Bool) async throws -> [PartitionStatus] {
    parts(of: useCase).compactMap { part in
      guard let snapshot = part.snapshot else { return nil }
      var status = PartitionStatus(
        useCase: part.useCase, partition: part.partition, position: snapshot.position, watermark: part.watermark,
        totals: snapshot.totals)
      if isCounting {
        status.storedAnomalies = Dictionary(grouping: part.anomalies.values, by: \.value.detector).mapValues(\.count)
        status.storedDeadLetters = part.deadLetters.count
        status.windows = part.allWindows.count
        status.openWindows = part.openCount
        status.shards = part.nextShard.values.reduce(0, +)
        status.shardRows = part.history.values.reduce(0) { $0 + $1.count }
        status.waitingRows = part.tails.reduce(0) { $0 + $1.rows }
      }
      status.version = part.activations.last { $0.kind == .configuration }?.version
      for activation in part.activations where activation.kind == .model {
        if let detector = activation.detector { status.models[detector] = activation.version }
      }
      status.models = status.models.filter { !$0.value.isEmpty }
      status.gaps = part.activations.filter { $0.kind == .gap }.map(\.version)
      return status
    }
  }

  func drift(of useCase: String, detector: String?) async throws -> [DriftCounts] {
    parts(of: useCase).flatMap(\.drift.values).filter { detector == nil || $0.detector == detector }
      .sorted { ($0.detector, $0.version, $0.day) < ($1.detector, $1.version, $1.day) }.addedUp()
  }

  func configuration(of useCase: String) async throws -> String? {
    parts(of: useCase).lazy.compactMap { $0.configurationTexts.first }.first
  }

  func activations(of useCase: String) async throws -> [Activation] { parts(of: useCase).flatMap(\.activations) }

  func modelUses(of useCase: String) async throws -> Set<ModelUse> {
    let parts = parts(of: useCase)
    let checkpoints = parts.compactMap { part in part.snapshot.map { (part.partition, $0.position) } }
    let named = parts.flatMap(\.anomalies.values).compactMap { row in
      row.value.model.map { ModelUse(detector: row.value.detector, version: $0) }
    }
    return ModelUse.inForce(
      parts.flatMap(\.activations), checkpoints: Dictionary(checkpoints, uniquingKeysWith: { $1 })
    ).union(named)
  }

  func latestChange(of useCase: String?) async throws -> ChangeCursor {
    parts(of: useCase).reduce(into: ChangeCursor()) {
      $0[ChangeCursor.Place(useCase: $1.useCase, partition: $1.partition)] = $1.changes
    }
  }

  func changes(since cursor: ChangeCursor, of useCase: String?, limit: Int) async throws -> ChangePage {
    var page = ChangePage(changes: [], next: cursor, hasMore: false)
    for part in parts(of: useCase) {
      let place = ChangeCursor.Place(useCase: part.useCase, partition: part.partition)
      let behind = part.allChanges.filter { $0.number > cursor[place] }.sorted { $0.number < $1.number }
      for change in behind {
        if page.changes.count == limit {
          page.hasMore = true
          return page
        }
        page.changes.append(change)
        page.next.pass(change)
      }
    }
    return page
  }
}

/// A window of a use case in one definition.
private struct MemoryWindowKey: Hashable {
  var useCase: String
  var key: Checkpoint.WindowKey

  /// The values as a store orders them.
  var by: [UInt8] {
    var writer = ByteWriter()
    for value in key.by { writer.write(scalar: value) }
    return writer.bytes
  }
}

extension MemoryPart {
  /// In no order.
  fileprivate var allChanges: [ResultChange] {
    func change(_ number: Int64, _ content: ResultChange.Content) -> ResultChange {
      ResultChange(useCase: useCase, partition: partition, number: number, content: content)
    }
    var changes = anomalies.values.map { change($0.change, .anomaly(StoredAnomaly($0.value))) }
    changes += deadLetters.values.map {
      change(
        $0.change,
        .deadLetter(
          StoredDeadLetter($0.value.letter, watermark: $0.value.watermark, useCase: useCase, partition: partition)))
    }
    changes += windows.filter { $0.value.change > 0 }.map { key, row in
      let window = row.value
      return change(
        row.change,
        .window(
          StoredWindowPart(
            identity: id(of: key), end: window.part.end, events: window.part.events,
            by: JSONText.object(zip(window.byNames, window.part.by).map { ($0, $1) }),
            aggregates: JSONText.object(window.result.aggregates.map { ($0.name, $0.value) }),
            classes: JSONText.object(window.result.classCounts.map { ($0.name, Scalar.int($0.count)) }))))
    }
    return changes + retractions.map { change($0.change, .retraction($0.retracted)) }
  }
}
