// Reading what runs have stored, from another process than the one that writes. Lists are newest first. Each row renders
// itself as the JSON object that `--json` and the API promise.

import Configuration
public import Detection
import Foundation
import GRDB
import Pipeline

/// A read-only view of a data directory.
public final class StoreReader: Sendable {
  let queue: DatabaseQueue
  public let directory: DataDirectory

  /// Opens the store beside a writer, or alone. Readers of a write-ahead log share files with the writer, and make them
  /// where there are none; where they cannot (a read-only file system or directory) nobody else is at work, and the store
  /// is read as a file that does not change.
  /// - Throws: `OperatingError` when there is no store or it cannot be read.
  public init(_ directory: DataDirectory) throws {
    self.directory = directory
    guard directory.exists else {
      throw OperatingError(
        .store, "there is no store at \(directory.databasePath). Check --data, or create one with `pulse run`")
    }
    queue = try SQLiteStore.reportingTrouble(in: directory) {
      do {
        return try Self.known(try Self.open(directory, isImmutable: false), directory)
      } catch let error as DatabaseError {
        let isRefused = [.SQLITE_CANTOPEN, .SQLITE_READONLY].contains(error.resultCode)
        guard isRefused, !directory.isWritable else { throw error }
        guard directory.hasEmptyLog else { throw Self.unreadableLog(directory) }
        return try Self.known(try Self.open(directory, isImmutable: true), directory)
      }
    }
  }

  /// The opened file where it is a store of ours. A file without tables is one in which nothing has run yet (a run was
  /// ended before it had made them): an empty store stands for it.
  private static func known(_ queue: DatabaseQueue, _ directory: DataDirectory) throws -> DatabaseQueue {
    let (hasTables, isStore) = try queue.read { database in
      try SQLiteSchema.checkVersion(of: database, in: directory)
      return (
        try Int.fetchOne(database, sql: "SELECT count(*) FROM sqlite_master") ?? 0 > 0,
        try database.tableExists("partitions") && database.tableExists("activations")
      )
    }
    if isStore { return queue }
    guard !hasTables else {
      throw OperatingError(
        .store,
        "\(directory.databasePath) is a SQLite file, but no store of pulse: it has other tables. Choose another --data")
    }
    let empty = try DatabaseQueue()
    try SQLiteSchema.migrator.migrate(empty)
    return empty
  }

  /// - Parameter isImmutable: takes no lock and looks for no log: right only where nobody writes.
  static func open(_ directory: DataDirectory, isImmutable: Bool) throws -> DatabaseQueue {
    var configuration = Configuration()
    configuration.readonly = true
    configuration.busyMode = .timeout(10)
    var path = directory.databasePath
    if isImmutable {
      // https://www.sqlite.org/uri.html
      path = "\(URL(fileURLWithPath: path).absoluteString)?immutable=1"
    }
    let queue = try DatabaseQueue(path: path, configuration: configuration)
    // The first look at the file is where trouble shows.
    _ = try queue.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM sqlite_master") }
    return queue
  }

  /// A view of a store that nobody writes to, without a look at whether that is so.
  init(immutable directory: DataDirectory) throws {
    self.directory = directory
    queue = try SQLiteStore.reportingTrouble(in: directory) { try Self.open(directory, isImmutable: true) }
  }

  private static func unreadableLog(_ directory: DataDirectory) -> OperatingError {
    OperatingError(
      .store,
      "the store \(directory.databasePath): the last run did not end in order, and what it committed is in "
        + "\(directory.logPath), which cannot be read without the right to write to \(directory.path). Run "
        + "`pulse status --data \(directory.path)` with that right, or read a copy of the directory")
  }

  func read<Value>(_ body: (Database) throws -> Value) throws -> Value {
    try SQLiteStore.reportingTrouble(in: directory) { try queue.read(body) }
  }

  /// The use cases that have run here, by name.
  public func useCases() throws -> [String] {
    try read {
      try String.fetchAll($0, sql: "SELECT use_case FROM partitions UNION SELECT use_case FROM activations ORDER BY 1")
    }
  }

  /// The names of detectors (rules among them) and windows that a use case, or any, has had: those that are on record in
  /// its configurations, found something or not, and those that results have.
  public func names(of useCase: String?) throws -> (detectors: [String], windows: [String]) {
    try read { database in
      let condition = useCase == nil ? "" : "WHERE use_case = ?"
      let values: [String] = useCase.map { [$0] } ?? []
      let arguments = StatementArguments(values)
      func fetch(_ sql: String) throws -> Set<String> {
        try Set(String.fetchAll(database, sql: "\(sql) \(condition)", arguments: arguments))
      }
      var detectors = try fetch("SELECT DISTINCT detector FROM anomalies")
      var windows = try fetch("SELECT DISTINCT window FROM window_parts")
      let texts = try WholeText.fetchAll(
        database, sql: "SELECT DISTINCT text FROM configurations \(condition)", arguments: arguments)
      for text in texts {
        guard case .success(let useCase) = UseCaseReader.read(text.text, isStored: true) else { continue }
        detectors.formUnion(useCase.rules.map(\.name) + useCase.detectors.map(\.name))
        windows.formUnion(useCase.windows.map(\.name))
      }
      return (detectors.sorted(), windows.sorted())
    }
  }
}

// MARK: - Filters

/// What to list. Absent conditions match everything.
public struct ResultFilter: Sendable {
  public var useCase: String?
  /// Detector of anomalies, name of windows, reason of dead letters.
  public var name: String?
  public var key: String?
  public var severity: Severity?
  /// Bounds of the event time (of a window: its start), microseconds: from inclusive, to exclusive.
  public var from: Int64?
  public var to: Int64?
  /// Rows at most; 0 for all.
  public var limit = 50

  public init() {}

  /// The conditions as SQL over the given columns; a column that a table lacks is nil and must not be filtered on.
  func sql(time: String, name: String, key: String? = nil, severity: String? = nil) -> (String, StatementArguments) {
    var conditions: [String] = []
    var arguments: [(any DatabaseValueConvertible)?] = []
    func add(_ condition: String, _ value: (any DatabaseValueConvertible)?) {
      guard let value else { return }
      conditions.append(condition)
      arguments.append(value)
    }
    add("use_case = ?", useCase)
    add("\(name) = ?", self.name)
    if let key { add("\(key) = CAST(? AS TEXT)", self.key.map { WholeText($0) }) }
    add("\(time) >= ?", from)
    add("\(time) < ?", to)
    if let severity, let least = self.severity {
      let names = Severity.allCases.filter { $0 >= least }.map { "'\($0.rawValue)'" }.joined(separator: ", ")
      conditions.append("\(severity) IN (\(names))")
    }
    let text = conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND ")
    return (text, StatementArguments(arguments))
  }

  var limitSQL: String { limit == 0 ? "" : "LIMIT \(limit)" }
}

// MARK: - Anomalies

/// A stored anomaly.
public struct StoredAnomaly: Sendable {
  public var id: String
  public var useCase: String
  public var detector: String
  public var eventTime: Int64
  public var key: String
  public var score: Double
  public var severity: String
  public var reason: String
  public var model: String?
  /// JSON objects.
  public var position: String
  public var explanation: String
  public var event: String

  /// The anomaly as a JSON object.
  public var json: String {
    JSONText.object([
      ("id", JSONText.string(id)), ("use_case", JSONText.string(useCase)), ("detector", JSONText.string(detector)),
      ("event_time", JSONText.string(Timestamp.format(eventTime))), ("key", JSONText.string(key)),
      ("score", JSONText.number(score)), ("severity", JSONText.string(severity)), ("reason", JSONText.string(reason)),
      ("position", position), ("model", JSONText.optional(model)), ("explanation", explanation), ("event", event),
    ])
  }
}

extension StoreReader {
  /// Anomalies, newest event time first.
  public func anomalies(_ filter: ResultFilter) throws -> [StoredAnomaly] {
    var anomalies: [StoredAnomaly] = []
    try forEachAnomaly(filter) { anomalies.append($0) }
    return anomalies
  }

  /// Calls `body` with one anomaly after another, newest event time first: any number takes the memory of one.
  public func forEachAnomaly(_ filter: ResultFilter, _ body: (StoredAnomaly) throws -> Void) throws {
    let (condition, arguments) = filter.sql(time: "event_time", name: "detector", key: "key", severity: "severity")
    try forEachAnomaly(
      condition, arguments,
      order: "event_time DESC, use_case, source, partition, segment DESC, offset DESC, detector \(filter.limitSQL)",
      body)
  }

  func forEachAnomaly(
    _ condition: String, _ arguments: StatementArguments, order: String, _ body: (StoredAnomaly) throws -> Void
  ) throws {
    try forEachRow(of: "anomalies", condition, arguments, order: order) { row in
      let partition = PartitionID(source: row["source"], number: row["partition"])
      let position = Position(segment: row["segment"], offset: row["offset"], row: row["row"])
      let anomaly = Anomaly(
        useCase: row["use_case"], partition: partition, position: position, detector: row["detector"], eventTime: 0,
        key: "", score: 0, severity: .info, reason: "", explanation: Explanation(), event: "")
      try body(
        StoredAnomaly(
          id: anomaly.id, useCase: anomaly.useCase, detector: anomaly.detector, eventTime: row["event_time"],
          key: (row["key"] as WholeText).text, score: row["score"], severity: row["severity"],
          reason: (row["reason"] as WholeText).text, model: row["model"],
          position: position.json(in: partition), explanation: row["explanation"], event: row["event"]))
    }
  }

  /// Calls `body` with the rows of a table in order. Only their numbers are sorted: rows may be large.
  private func forEachRow(
    of table: String, _ condition: String, _ arguments: StatementArguments, order: String, _ body: (Row) throws -> Void
  ) throws {
    try read { database in
      let numbers = try Int64.fetchCursor(
        database, sql: "SELECT rowid FROM \(table) \(condition) ORDER BY \(order)", arguments: arguments)
      let select = try database.makeStatement(sql: "SELECT * FROM \(table) WHERE rowid = ?")
      while let number = try numbers.next() {
        let rows = try Row.fetchCursor(select, arguments: [number])
        while let row = try rows.next() { try body(row) }
      }
    }
  }

  /// Number of anomalies of a use case by detector, most first.
  public func anomalyCounts(of useCase: String) throws -> [(detector: String, count: Int)] {
    try read { database in
      try Row.fetchAll(
        database,
        sql: "SELECT detector, count(*) FROM anomalies WHERE use_case = ? GROUP BY 1 ORDER BY 2 DESC, 1",
        arguments: [useCase]
      ).map { ($0[0], $0[1]) }
    }
  }
}

// MARK: - Dead letters

/// A stored dead letter.
public struct StoredDeadLetter: Sendable {
  public var useCase: String
  public var position: String
  public var row: Int64
  /// The watermark before it, microseconds; nil before the first.
  public var watermark: Int64?
  public var stage: String
  public var reason: String
  public var field: String?
  public var message: String
  public var raw: [UInt8]
  public var length: Int
  public var sha256: [UInt8]?

  /// The dead letter as a JSON object. `raw` is text where the bytes are UTF-8, else `raw_base64` holds them.
  public var json: String {
    let text = String(validating: raw, as: UTF8.self)
    return JSONText.object([
      ("use_case", JSONText.string(useCase)), ("position", position), ("stage", JSONText.string(stage)),
      ("reason", JSONText.string(reason)), ("field", JSONText.optional(field)),
      ("message", JSONText.string(message)),
      ("watermark", watermark.map { JSONText.string(Timestamp.formatWithinRange($0)) } ?? "null"),
      ("length", String(length)),
      ("sha256", JSONText.optional(sha256.map { $0.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() })),
      ("raw", JSONText.optional(text)),
      ("raw_base64", JSONText.optional(text == nil ? Data(raw).base64EncodedString() : nil)),
    ])
  }
}

extension StoreReader {
  /// Dead letters, last read first.
  public func deadLetters(_ filter: ResultFilter) throws -> [StoredDeadLetter] {
    var letters: [StoredDeadLetter] = []
    try forEachDeadLetter(filter) { letters.append($0) }
    return letters
  }

  /// Calls `body` with one dead letter after another, last read first: any number takes the memory of one.
  public func forEachDeadLetter(_ filter: ResultFilter, _ body: (StoredDeadLetter) throws -> Void) throws {
    let (condition, arguments) = filter.sql(time: "watermark", name: "reason")
    try forEachRow(
      of: "dead_letters", condition, arguments,
      order: "watermark DESC, use_case, source, partition, segment DESC, offset DESC \(filter.limitSQL)"
    ) { row in
      let partition = PartitionID(source: row["source"], number: row["partition"])
      let position = Position(segment: row["segment"], offset: row["offset"], row: row["row"])
      try body(
        StoredDeadLetter(
          useCase: row["use_case"], position: position.json(in: partition), row: position.row,
          watermark: row["watermark"], stage: row["stage"], reason: row["reason"],
          field: (row["field"] as WholeText?)?.text, message: (row["message"] as WholeText).text,
          raw: [UInt8](row["raw"] as Data), length: row["length"],
          sha256: (row["sha256"] as Data?).map { [UInt8]($0) }))
    }
  }
}

extension Position {
  /// The position as a JSON object.
  func json(in partition: PartitionID) -> String {
    JSONText.object([
      ("source", JSONText.string(partition.source)), ("partition", String(partition.number)),
      ("segment", String(segment)), ("offset", String(offset)), ("row", String(row)),
    ])
  }
}
