// Windows and the state of a store as a reader sees them. Parts of a window that lie in several partitions are merged
// here, sketches included, in the order of the partitions.

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

  /// The window as a JSON object: the `by` fields stand at its top level.
  public var json: String {
    var members = [
      ("use_case", JSONText.string(useCase)), ("window", JSONText.string(window)),
      ("start", JSONText.string(Timestamp.format(start))), ("end", JSONText.string(Timestamp.format(end))),
      ("closed", closed ? "true" : "false"), ("events", String(events)),
    ]
    let by = by.dropFirst().dropLast()
    members.append(("aggregates", aggregates))
    if let classification { members.append((classification, classes)) }
    let text = JSONText.object(members)
    return by.isEmpty ? text : "{" + text.dropFirst().dropLast() + "," + by + "}"
  }
}

extension StoreReader {
  /// Windows, newest start first, then by their values.
  public func windows(_ filter: ResultFilter) throws -> [StoredWindow] {
    let (condition, arguments) = filter.sql(time: "start", name: "window")
    var plans: [String: Plan] = [:]
    return try read { database in
      let keys = try Row.fetchAll(
        database,
        sql: """
          SELECT DISTINCT use_case, window, start, by_key FROM window_parts \(condition)
          ORDER BY start DESC, use_case, window, by_key \(filter.limitSQL)
          """, arguments: arguments)
      let select = try database.makeStatement(
        sql: """
          SELECT * FROM window_parts WHERE use_case = ? AND window = ? AND start = ? AND by_key = ?
          ORDER BY source, partition
          """)
      return try keys.map { key in
        let parts = try Row.fetchAll(
          select,
          arguments: [key["use_case"] as String, key["window"] as String, key["start"] as Int64, key["by_key"] as Data])
        return try window(of: parts, plans: &plans, in: database)
      }
    }
  }

  private func window(of parts: [Row], plans: inout [String: Plan], in database: Database) throws -> StoredWindow {
    let first = parts[0]
    let useCase: String = first["use_case"]
    let plan = try plans[useCase] ?? loadPlan(of: useCase, in: database)
    plans[useCase] = plan
    var window = StoredWindow(
      useCase: useCase, window: first["window"], start: first["start"], end: first["end"],
      closed: parts.allSatisfy { $0["closed"] }, events: parts.reduce(0) { $0 + ($1["events"] as Int64) },
      by: first["by_values"], aggregates: first["aggregates"], classes: first["classes"],
      classification: plan.useCase.classification?.into)
    if parts.count > 1, let compiled = plan.windows.first(where: { $0.definition.name == window.window }) {
      let merged = try WindowResult.merge(try parts.map(SQLiteCheckpoint.windowPart), of: compiled)
      window.aggregates = JSONText.object(merged.aggregates.map { ($0.name, $0.value) })
      window.classes = JSONText.object(merged.classCounts.map { ($0.name, .int($0.count)) })
    }
    return window
  }

  private func loadPlan(of useCase: String, in database: Database) throws -> Plan {
    let text = try String.fetchOne(
      database,
      sql: """
        SELECT c.text FROM activations a JOIN configurations c USING (use_case, version)
        WHERE a.use_case = ? AND a.kind = 'configuration' ORDER BY a.sequence DESC LIMIT 1
        """, arguments: [useCase])
    return try UseCaseChecker.plan(fromStored: text ?? "")
  }

  /// The entities of a window definition with the highest value of an aggregate over all stored windows together.
  /// - Returns: at most `limit` entities with their `by` values as a JSON object, highest first.
  public func topEntities(
    of useCase: String, window name: String, by aggregate: String, limit: Int
  ) throws -> [(by: String, events: Int64, value: Double)] {
    try read { database in
      // Where nothing has been read yet, no configuration is on record either.
      let isStored = try Bool.fetchOne(
        database, sql: "SELECT EXISTS (SELECT 1 FROM window_parts WHERE use_case = ? AND window = ?)",
        arguments: [useCase, name])
      guard isStored == true else { return [] }
      let plan = try loadPlan(of: useCase, in: database)
      guard let compiled = plan.windows.first(where: { $0.definition.name == name }) else { return [] }
      var parts: [String: [WindowPart]] = [:]
      let rows = try Row.fetchCursor(
        database,
        sql: """
          SELECT p.* FROM window_parts p JOIN window_definitions d ON d.id = p.definition
          WHERE use_case = ? AND window = ? AND d.text = ? ORDER BY start, by_key
          """,
        // Parts of an earlier definition cannot be merged with those of this one.
        arguments: [useCase, name, compiled.fingerprint])
      while let row = try rows.next() {
        let by: String = row["by_values"]
        parts[by, default: []].append(try SQLiteCheckpoint.windowPart(row))
      }
      let merger = WindowMerger(compiled)
      return try parts.compactMap { by, parts -> (by: String, events: Int64, value: Double)? in
        let merged = try merger.merge(parts)
        let value = merged.aggregates.first { $0.name == aggregate }?.value
        switch value {
        case .double(let value): return (by, parts.reduce(0) { $0 + $1.events }, value)
        case .int(let value): return (by, parts.reduce(0) { $0 + $1.events }, Double(value))
        default: return nil
        }
      }.sorted { ($1.value, $0.by) < ($0.value, $1.by) }.prefix(limit).map { $0 }
    }
  }
}

// MARK: - Status

/// What is stored of a partition.
public struct PartitionStatus: Sendable {
  public var useCase: String
  public var partition: PartitionID
  public var position: Position
  public var watermark: Int64?
  public var totals: Totals
  public var openWindows: Int
  public var windows: Int
  public var shards: Int
  public var shardRows: Int
  public var shardBytes: Int64
  public var waitingRows: Int
  public var version: String?

  /// The status as a JSON object.
  public var json: String {
    func counts(_ counts: [String: Int]) -> String {
      JSONText.object(counts.sorted { $0.key < $1.key }.map { ($0.key, .int(Int64($0.value))) })
    }
    return JSONText.object([
      ("use_case", JSONText.string(useCase)), ("position", position.json(in: partition)),
      ("watermark", watermark.map { JSONText.string(Timestamp.format($0)) } ?? "null"),
      ("version", JSONText.optional(version)), ("records", String(totals.records)),
      ("events", String(totals.events)), ("classes", counts(totals.classes)), ("anomalies", counts(totals.anomalies)),
      ("dead_letters", counts(totals.deadLetters)), ("late_events", counts(totals.lateEvents)),
      ("rule_skips", counts(totals.ruleSkips)), ("ahead_events", String(totals.aheadEvents)),
      ("expression_failures", String(totals.expressionFailures)),
      ("windows", String(windows)), ("open_windows", String(openWindows)), ("history_shards", String(shards)),
      ("history_rows", String(shardRows + waitingRows)), ("history_bytes", String(shardBytes)),
    ])
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
          openWindows: try one("count(*)", "(SELECT * FROM window_parts WHERE closed = 0)") ?? 0,
          windows: try one("count(*)", "window_parts") ?? 0, shards: try one("count(*)", "history_shards") ?? 0,
          shardRows: try one("sum(rows)", "history_shards") ?? 0,
          shardBytes: try one("sum(bytes)", "history_shards") ?? 0,
          waitingRows: try one("sum(rows)", "history_tails") ?? 0,
          version: try String.fetchOne(
            database,
            sql: """
              SELECT version FROM activations WHERE use_case = ? AND source = ? AND partition = ?
              ORDER BY sequence DESC LIMIT 1
              """, arguments: identity))
      }
    }
  }
}
