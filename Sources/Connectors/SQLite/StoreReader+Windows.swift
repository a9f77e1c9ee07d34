// Windows and the state of a store as a reader sees them. Parts of a window that lie in several partitions are merged
// here, sketches included, in the order of the partitions.

import Configuration
public import Detection
import Foundation
import GRDB
public import Pipeline

/// A stored window with the parts of all partitions merged.
public struct StoredWindow: Sendable {
  public var useCase: String
  public var window: String
  public var start: Int64
  public var end: Int64
  /// Whether every part is closed.
  public var closed: Bool
  public var events: Int64
  /// JSON objects.
  public var by: String
  public var aggregates: String
  public var classes: String
  /// Name of the classification; nil when the use case has none.
  public var classification: String?

  /// The window as a JSON object: the `by` fields stand at its top level. Grouped by the class, it has that instead of the
  /// counts by class. Times beyond the years 0001 to 9999, which RFC 3339 cannot say, are the nearest ones it can.
  public var json: String {
    var members = [
      ("use_case", JSONText.string(useCase)), ("window", JSONText.string(window)),
      ("start", JSONText.string(Timestamp.formatWithinRange(start))),
      ("end", JSONText.string(Timestamp.formatWithinRange(end))),
      ("closed", closed ? "true" : "false"), ("events", String(events)),
    ]
    let by = by.dropFirst().dropLast()
    members.append(("aggregates", aggregates))
    if let classification, !isGrouped(by: classification) { members.append((classification, classes)) }
    let text = JSONText.object(members)
    return by.isEmpty ? text : "{" + text.dropFirst().dropLast() + "," + by + "}"
  }

  private func isGrouped(by name: String) -> Bool {
    let members = try? JSONSerialization.jsonObject(with: Data(by.utf8)) as? [String: Any]
    return members?.keys.contains(name) ?? false
  }
}

extension StoreReader {
  /// Windows, newest start first, then by their values. Parts of several definitions of a window (it was changed between
  /// runs) cannot be added up: each definition has a row of its own, the newest first.
  public func windows(_ filter: ResultFilter) throws -> [StoredWindow] {
    var windows: [StoredWindow] = []
    try forEachWindow(filter) { windows.append($0) }
    return windows
  }

  /// Calls `body` with one window after another, in the order of `windows`: any number takes the memory of one.
  public func forEachWindow(_ filter: ResultFilter, _ body: (StoredWindow) throws -> Void) throws {
    let (condition, arguments) = filter.sql(time: "start", name: "window")
    var definitions = WindowDefinitions()
    try read { database in
      let keys = try Row.fetchCursor(
        database,
        sql: """
          SELECT DISTINCT use_case, window, start, by_key FROM window_parts \(condition)
          ORDER BY start DESC, use_case, window, by_key \(filter.limitSQL)
          """, arguments: arguments)
      let select = try database.makeStatement(
        sql: """
          SELECT * FROM window_parts WHERE use_case = ? AND window = ? AND start = ? AND by_key = ?
          ORDER BY definition DESC, source, partition
          """)
      var count = 0
      while let key = try keys.next() {
        let parts = try Row.fetchAll(
          select,
          arguments: [key["use_case"] as String, key["window"] as String, key["start"] as Int64, key["by_key"] as Data])
        for parts in parts.chunked(by: { $0["definition"] as Int64 }) {
          for window in try self.windows(of: parts, &definitions, in: database) {
            if filter.limit > 0, count == filter.limit { return }
            try body(window)
            count += 1
          }
        }
      }
    }
  }

  /// The window that parts of one definition make; where that definition is no longer known, a window for each part.
  private func windows(
    of parts: [Row], _ definitions: inout WindowDefinitions, in database: Database
  ) throws -> [StoredWindow] {
    let compiled = try definitions.find(parts[0]["definition"], of: parts[0]["use_case"], in: database)
    func window(_ parts: [Row]) -> StoredWindow {
      let first = parts[0]
      return StoredWindow(
        useCase: first["use_case"], window: first["window"], start: first["start"], end: first["end"],
        closed: parts.allSatisfy { $0["closed"] }, events: parts.reduce(0) { $0 + ($1["events"] as Int64) },
        by: first["by_values"], aggregates: first["aggregates"], classes: first["classes"],
        classification: compiled?.classificationName)
    }
    guard parts.count > 1 else { return [window(parts)] }
    guard let compiled else { return parts.map { window([$0]) } }
    var merged = window(parts)
    let result = try WindowResult.merge(try parts.map(SQLiteCheckpoint.windowPart), of: compiled)
    merged.aggregates = JSONText.object(result.aggregates.map { ($0.name, $0.value) })
    merged.classes = JSONText.object(result.classCounts.map { ($0.name, .int($0.count)) })
    return [merged]
  }

  /// The entities of a window definition with the highest value of an aggregate over all stored windows together, as far
  /// as they belong to the definition that applies now. Takes memory for one entity at a time.
  /// - Returns: at most `limit` entities with their `by` values as a JSON object, highest first.
  public func topEntities(
    of useCase: String, window name: String, by aggregate: String, limit: Int
  ) throws -> [(by: String, events: Int64, value: Double)] {
    try read { database in
      // Where nothing has been read yet, no configuration is on record either.
      guard let text = try WindowDefinitions.texts(of: useCase, in: database).first else { return [] }
      let plan = try UseCaseChecker.plan(fromStored: text)
      guard let compiled = plan.windows.first(where: { $0.definition.name == name }),
        let definition = try Int64.fetchOne(
          database, sql: "SELECT id FROM window_definitions WHERE text = CAST(? AS TEXT)",
          arguments: [WholeText(compiled.fingerprint)])
      else { return [] }
      // Only the keys are sorted, the states are fetched one by one.
      let keys = try Row.fetchCursor(
        database,
        sql: """
          SELECT rowid, by_key FROM window_parts WHERE use_case = ? AND window = ?
          ORDER BY by_key, start, source, partition
          """, arguments: [useCase, name])
      let select = try database.makeStatement(sql: "SELECT * FROM window_parts WHERE rowid = ? AND definition = ?")
      var entity = EntityTotal(WindowMerger(compiled), aggregate: aggregate, limit: limit)
      var last: Data?
      while let key = try keys.next() {
        let by: Data = key["by_key"]
        if by != last { entity.finish() }
        last = by
        if let row = try Row.fetchOne(select, arguments: [key["rowid"] as Int64, definition]) {
          try entity.add(try SQLiteCheckpoint.windowPart(row), by: row["by_values"])
        }
      }
      entity.finish()
      return entity.top
    }
  }
}

/// The definitions that stored parts were made by, found again in the configurations on record.
private struct WindowDefinitions {
  private var found: [Int64: CompiledWindow?] = [:]
  /// The windows of a use case's configurations by fingerprint, newest first, as far as they have been read.
  private var windows: [String: [String: CompiledWindow]] = [:]
  private var unread: [String: IndexingIterator<[String]>] = [:]

  /// The texts of a use case's configurations, that applied last first.
  static func texts(of useCase: String, in database: Database) throws -> [String] {
    try WholeText.fetchAll(
      database,
      sql: """
        SELECT c.text FROM activations a JOIN configurations c USING (use_case, version)
        WHERE a.use_case = ? AND a.kind = 'configuration' GROUP BY version ORDER BY max(a.sequence) DESC
        """, arguments: [useCase]
    ).map(\.text)
  }

  /// The definition with this number; nil where no configuration on record has it.
  /// - Throws: `OperatingError` when the newest configuration cannot be read.
  mutating func find(_ definition: Int64, of useCase: String, in database: Database) throws -> CompiledWindow? {
    if let known = found[definition] { return known }
    let text = try WholeText.fetchOne(
      database, sql: "SELECT text FROM window_definitions WHERE id = ?", arguments: [definition])?.text
    let isFirst = unread[useCase] == nil
    var rest = try unread[useCase] ?? Self.texts(of: useCase, in: database).makeIterator()
    if isFirst, let newest = rest.next() { add(try UseCaseChecker.plan(fromStored: newest)) }
    while windows[useCase]?[text ?? ""] == nil, let older = rest.next() {
      // An older one that this version no longer reads is passed over.
      if let plan = try? UseCaseChecker.plan(fromStored: older) { add(plan) }
    }
    unread[useCase] = rest
    let window = windows[useCase]?[text ?? ""]
    found[definition] = .some(window)
    return window
  }

  private mutating func add(_ plan: Plan) {
    for window in plan.windows {
      windows[plan.useCase.name, default: [:]][window.fingerprint] =
        windows[plan.useCase.name]?[window.fingerprint] ?? window
    }
  }
}

/// Merges the windows of one entity after another and keeps those with the highest value.
private struct EntityTotal {
  private let merger: WindowMerger
  private let aggregate: String
  private let limit: Int
  private var by: String?
  /// Highest first.
  private(set) var top: [(by: String, events: Int64, value: Double)] = []

  init(_ merger: WindowMerger, aggregate: String, limit: Int) {
    self.merger = merger
    self.aggregate = aggregate
    self.limit = limit
  }

  mutating func add(_ part: WindowPart, by: String) throws {
    self.by = by
    try merger.add(part)
  }

  /// Ends the entity; nothing where it had no part.
  mutating func finish() {
    guard let by else { return }
    let result = merger.result
    merger.reset()
    self.by = nil
    let value: Double
    switch result.aggregates.first(where: { $0.name == aggregate })?.value {
    case .double(let number): value = number
    case .int(let number): value = Double(number)
    default: return
    }
    top.append((by, result.events, value))
    top.sort { ($1.value, $0.by) < ($0.value, $1.by) }
    if top.count > limit { top.removeLast() }
  }
}

extension Array {
  /// Runs of neighbours with the same key.
  fileprivate func chunked<Key: Equatable>(by key: (Element) -> Key) -> [[Element]] {
    var chunks: [[Element]] = []
    var last: Key?
    for element in self {
      let key = key(element)
      if key == last { chunks[chunks.count - 1].append(element) } else { chunks.append([element]) }
      last = key
    }
    return chunks
  }
}

// MARK: - Status

/// What is stored of a partition.
public struct PartitionStatus: Sendable {
  public var useCase: String
  public var partition: PartitionID
  public var position: Position
  public var watermark: Int64?
  /// Of all runs, whether or not it is still stored.
  public var totals: Totals
  /// Anomalies that are stored, by detector: those found less those that `results: {retain: …}` has removed.
  public var storedAnomalies: [String: Int]
  public var storedDeadLetters: Int
  public var openWindows: Int
  public var windows: Int
  public var shards: Int
  public var shardRows: Int
  public var shardBytes: Int64
  public var waitingRows: Int
  public var version: String?
  /// The version that scores now, by detector; those without one are left out.
  public var models: [String: String]
  /// Breaks of the input that were accepted, in the order in which they were, a sentence each.
  public var gaps: [String] = []
  /// Days on which events of the use case did not look as they did in training, whatever the partition; empty unless it
  /// was asked for.
  public var drift: [NotableDrift] = []

  /// One input of a model, or its score, on a day.
  public struct NotableDrift: Sendable {
    public var detector: String
    public var version: String
    /// Days since 1970-01-01 UTC.
    public var day: Int64
    public var drift: Drift

    public init(detector: String, version: String, day: Int64, drift: Drift) {
      (self.detector, self.version, self.day, self.drift) = (detector, version, day, drift)
    }

    /// `YYYY-MM-DD`.
    public var date: String { Timestamp.day(of: day * Timestamp.microsecondsPerDay) }

    var json: String {
      JSONText.object([
        ("detector", JSONText.string(detector)), ("version", JSONText.string(version)),
        ("day", JSONText.string(date)), ("name", JSONText.string(drift.name)), ("index", JSONText.number(drift.index)),
      ])
    }
  }

  /// The status as a JSON object.
  public var json: String {
    func counts(_ counts: [String: Int]) -> String {
      JSONText.object(counts.sorted { $0.key < $1.key }.map { ($0.key, .int(Int64($0.value))) })
    }
    let members: [(String, String)] = [
      ("use_case", JSONText.string(useCase)), ("position", position.json(in: partition)),
      ("watermark", watermark.map { JSONText.string(Timestamp.formatWithinRange($0)) } ?? "null"),
      ("version", JSONText.optional(version)), ("records", String(totals.records)),
      ("events", String(totals.events)), ("classes", counts(totals.classes)), ("anomalies", counts(totals.anomalies)),
      ("stored_anomalies", counts(storedAnomalies)), ("dead_letters", counts(totals.deadLetters)),
      ("stored_dead_letters", String(storedDeadLetters)), ("late_events", counts(totals.lateEvents)),
      ("rule_skips", counts(totals.ruleSkips)), ("ahead_events", String(totals.aheadEvents)),
      ("undecided_events", String(totals.undecidedEvents)), ("waiting_events", String(totals.waitingEvents)),
      ("expression_failures", String(totals.expressionFailures)),
      ("windows", String(windows)), ("open_windows", String(openWindows)), ("history_shards", String(shards)),
      ("history_rows", String(shardRows + waitingRows)), ("history_bytes", String(shardBytes)),
      ("models", JSONText.object(models.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })),
      ("drift", JSONText.array(drift.map(\.json))), ("accepted_gaps", JSONText.array(gaps.map { JSONText.string($0) })),
    ]
    return JSONText.object(members)
  }
}

extension StoreReader {
  /// The state of every partition, in order.
  public func status(of useCase: String? = nil) throws -> [PartitionStatus] {
    try read { database in
      try Row.fetchAll(
        database,
        sql:
          "SELECT * FROM partitions \(useCase == nil ? "" : "WHERE use_case = ?") ORDER BY use_case, source, partition",
        arguments: useCase.map { [$0] } ?? []
      ).map { row in
        let partition = PartitionID(source: row["source"], number: row["partition"])
        let name: String = row["use_case"]
        let identity: StatementArguments = [name, partition.source, partition.number]
        func one<Value: DatabaseValueConvertible>(_ expression: String, _ table: String) throws -> Value? {
          try Value.fetchOne(
            database, sql: "SELECT \(expression) FROM \(table) WHERE use_case = ? AND source = ? AND partition = ?",
            arguments: identity)
        }
        return PartitionStatus(
          useCase: name, partition: partition,
          position: Position(segment: row["segment"], offset: row["offset"], row: row["row"]),
          watermark: row["watermark"],
          totals: try JSONDecoder().decode(Totals.self, from: Data((row["totals"] as String).utf8)),
          storedAnomalies: try Dictionary(
            Row.fetchAll(
              database,
              sql: """
                SELECT detector, count(*) FROM anomalies WHERE use_case = ? AND source = ? AND partition = ? GROUP BY 1
                """, arguments: identity
            ).map { row -> (String, Int) in (row[0], row[1]) }, uniquingKeysWith: +),
          storedDeadLetters: try one("count(*)", "dead_letters") ?? 0,
          openWindows: try one("count(*)", "(SELECT * FROM window_parts WHERE closed = 0)") ?? 0,
          windows: try one("count(*)", "window_parts") ?? 0, shards: try one("count(*)", "history_shards") ?? 0,
          shardRows: try one("sum(rows)", "history_shards") ?? 0,
          shardBytes: try one("sum(bytes)", "history_shards") ?? 0,
          waitingRows: try one("sum(rows)", "history_tails") ?? 0,
          version: try String.fetchOne(
            database,
            sql: """
              SELECT version FROM activations WHERE use_case = ? AND source = ? AND partition = ?
                AND kind = 'configuration' ORDER BY sequence DESC LIMIT 1
              """, arguments: identity),
          models: try models(identity, in: database),
          gaps: try String.fetchAll(
            database,
            sql: """
              SELECT version FROM activations WHERE use_case = ? AND source = ? AND partition = ? AND kind = 'gap'
              ORDER BY sequence
              """, arguments: identity))
      }
    }
  }

  /// The models that score a partition now.
  private func models(_ identity: StatementArguments, in database: Database) throws -> [String: String] {
    // A store of before version 4 that nothing has written to since.
    guard try database.columns(in: "activations").contains(where: { $0.name == "detector" }) else { return [:] }
    return try Row.fetchAll(
      database,
      sql: """
        SELECT detector, version FROM activations WHERE use_case = ? AND source = ? AND partition = ?
          AND kind = 'model' ORDER BY sequence
        """, arguments: identity
    ).reduce(into: [String: String]()) { $0[$1[0]] = $1[1] }.filter { !$0.value.isEmpty }
  }
}
