// Everything a run has stored that must not depend on crashes, batch sizes or workers, as rows that can be compared one
// by one: anomalies, dead letters, windows, counts, positions, drift and the log of models from the store, and the history
// shards byte for byte.

import Detection
import Foundation
import GRDB

/// A place in the only partition of the input, or in the first one.
public struct StoredPosition: Sendable, Hashable, Comparable, CustomStringConvertible {
  public var segment: Int64
  public var offset: Int64
  /// The line of the segment's file, from 0.
  public var row: Int64

  /// Where the next run continues from; nil where a run that was killed left no checkpoint. Only looks: recovery is the
  /// next run's.
  init?(dataDirectory: String) {
    guard let row = Self.rows(dataDirectory).first else { return nil }
    self.init(segment: row["segment"], offset: row["offset"], row: row["row"])
  }

  /// Where the next run continues each partition of a source, by its number: those that have a checkpoint. Looks while a run
  /// goes on, too.
  public static func all(dataDirectory: String) -> [Int: StoredPosition] {
    rows(dataDirectory).reduce(into: [:]) { positions, row in
      positions[row["partition"]] = StoredPosition(segment: row["segment"], offset: row["offset"], row: row["row"])
    }
  }

  private static func rows(_ dataDirectory: String) -> [Row] {
    guard FileManager.default.fileExists(atPath: dataDirectory + "/pulse.sqlite") else { return [] }
    var configuration = Configuration()
    configuration.readonly = true
    // A run that was killed while it made the tables left none to read.
    let queue = try? DatabaseQueue(path: dataDirectory + "/pulse.sqlite", configuration: configuration)
    let rows = try? queue?.read { try Row.fetchAll($0, sql: "SELECT partition, segment, offset, row FROM partitions") }
    return rows ?? []
  }

  init(segment: Int64, offset: Int64, row: Int64) {
    self.segment = segment
    self.offset = offset
    self.row = row
  }

  public static func < (a: StoredPosition, b: StoredPosition) -> Bool {
    (a.segment, a.offset, a.row) < (b.segment, b.offset, b.row)
  }

  public var description: String { "row \(row) of file \(segment + 1)" }
}

/// Rows that one store has and another one has not.
public struct DifferenceCounts: Sendable, Hashable {
  public var missing: Int
  public var surplus: Int

  public init(missing: Int = 0, surplus: Int = 0) {
    self.missing = missing
    self.surplus = surplus
  }
}

/// The results in a data directory.
public struct StoredResults: Sendable {
  /// Sorted rows by table; a shard of history is a row of its path and contents.
  public private(set) var tables: [String: [String]] = [:]

  /// Columns that say which change of its partition a row was, and under which claim it was confirmed: a run that was
  /// killed had more of both.
  private static let ofTheRun: Set<String> = ["change", "epoch"]

  /// Columns that name a row and what it says. Internal state (segments of rules) may differ between runs, and a file's
  /// temporary name says which claim it was written under; tails must be gone when a run has ended.
  private static let queries = [
    "anomalies": "SELECT * FROM anomalies",
    "dead_letters": "SELECT * FROM dead_letters",
    "window_parts": "SELECT * FROM window_parts",
    "partitions": """
    SELECT use_case, source, partition, segment, offset, row, watermark, totals FROM partitions
    """,
    "history_shards": """
    SELECT use_case, source, partition, day, number, path, rows, bytes, first_time, last_time FROM history_shards
    """,
    "history_tails": "SELECT use_case, source, partition, number, days, rows FROM history_tails",
    "drift": "SELECT * FROM drift",
    "models": """
    SELECT row_number() OVER (PARTITION BY source, partition ORDER BY sequence) AS number, use_case, source, partition, segment, offset, row, detector,
      version
    FROM activations WHERE kind = 'model'
    """,
  ]

  /// Reads a data directory that no run is using.
  public init(dataDirectory: String) throws {
    let queue = try DatabaseQueue(path: dataDirectory + "/pulse.sqlite")
    for (table, query) in Self.queries {
      tables[table] = try queue.read { database in
        try Row.fetchAll(database, sql: query).map { row in
          row.compactMap { name, value in Self.ofTheRun.contains(name) ? nil : "\(name)=\(Self.text(value))" }
            .joined(separator: "|")
        }
      }.sorted()
    }
    tables["open_windows"] = try queue.read(Self.openWindows)
    tables["history"] = try Self.shards(below: dataDirectory + "/history")
  }

  /// Windows that are open, which are in segments: which one has what may differ.
  private static func openWindows(in database: Database) throws -> [String] {
    try Row.fetchAll(
      database, sql: "SELECT use_case, source, partition, space FROM state_spaces WHERE space GLOB 'window/*'"
    ).flatMap { place -> [String] in
      let entries = try Row.fetchAll(
        database,
        sql: """
          SELECT key, value FROM state WHERE (use_case, source, partition, space) = (?, ?, ?, ?) ORDER BY key
          """, arguments: [place[0] as String, place[1] as String, place[2] as Int, place[3] as String]
      ).map { StateEntry(key: [UInt8]($0[0] as Data), value: [UInt8]($0[1] as Data)) }
      if entries.isEmpty { return [] }
      let stored = try StoredOpenWindows(entries, of: place[3])
      guard stored.head.openCount == stored.parts.count else {
        throw CrashError("\(stored.parts.count) windows of \(place[3] as String), not \(stored.head.openCount)")
      }
      let partition = place.map { text($0.1) }.joined(separator: "|")
      return stored.parts.map { part in
        "\(partition)|\(part.start)|\(part.end)|\(part.by)|\(part.events)|\(Data(part.state).base64EncodedString())"
      }
    }.sorted()
  }

  /// The number of anomalies of each detector.
  public static func anomalyCounts(dataDirectory: String) throws -> [String: Int] {
    try DatabaseQueue(path: dataDirectory + "/pulse.sqlite").read { database in
      try Row.fetchAll(database, sql: "SELECT detector, count(*) FROM anomalies GROUP BY 1")
        .reduce(into: [:]) { $0[$1[0]] = $1[1] }
    }
  }

  /// The rows of a query, their values separated by `|`.
  public static func rows(of query: String, dataDirectory: String) throws -> [String] {
    try DatabaseQueue(path: dataDirectory + "/pulse.sqlite").read { database in
      try Row.fetchAll(database, sql: query).map { row in row.map { text($0.1) }.joined(separator: "|") }
    }
  }

  /// What differs from the expected results: missing and surplus rows, at most `limit` a table; empty when equal.
  public func differences(from expected: StoredResults, except: Set<String> = [], limit: Int = 3) -> [String] {
    expected.tables.keys.sorted().filter { !except.contains($0) }.flatMap { table in
      let (missing, surplus) = rows(of: table, differingFrom: expected)
      return missing.prefix(limit).map { "\(table): missing \($0.prefix(600))" }
        + surplus.prefix(limit).map { "\(table): surplus \($0.prefix(600))" }
    }
  }

  /// How many rows differ from the expected results, over all tables.
  public func differenceCounts(from expected: StoredResults) -> DifferenceCounts {
    expected.tables.keys.reduce(into: DifferenceCounts()) { counts, table in
      let (missing, surplus) = rows(of: table, differingFrom: expected)
      counts.missing += missing.count
      counts.surplus += surplus.count
    }
  }

  /// Rows that are not there, or not often enough, and rows that are there too often.
  private func rows(of table: String, differingFrom expected: StoredResults) -> (missing: [String], surplus: [String]) {
    var counts: [String: Int] = [:]
    for row in expected.tables[table] ?? [] { counts[row, default: 0] += 1 }
    for row in tables[table] ?? [] { counts[row, default: 0] -= 1 }
    return (counts.filter { $0.value > 0 }.keys.sorted(), counts.filter { $0.value < 0 }.keys.sorted())
  }

  private static func text(_ value: DatabaseValue) -> String {
    switch value.storage {
    case .null: "null"
    case .int64(let value): String(value)
    case .double(let value): "\(value) (\(String(value.bitPattern, radix: 16)))"
    case .string(let value): value
    case .blob(let value): value.base64EncodedString()
    }
  }

  private static func shards(below folder: String) throws -> [String] {
    let paths = (FileManager.default.enumerator(atPath: folder)?.allObjects as? [String] ?? []).sorted()
    return try paths.compactMap { path in
      var isDirectory: ObjCBool = false
      _ = FileManager.default.fileExists(atPath: folder + "/" + path, isDirectory: &isDirectory)
      if isDirectory.boolValue { return nil }
      let data = try Data(contentsOf: URL(fileURLWithPath: folder + "/" + path))
      // A hash would do as well, but FNV-1a over all bytes is enough to tell two shards apart and needs no library.
      let hash = data.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
      return "\(path)|\(data.count) bytes|\(String(hash, radix: 16))"
    }
  }
}
