// Lists of anomalies and dead letters, page by page. A page continues behind the values that the last one ended with, along
// an index for each use case, so that it costs what it holds and not what is stored.

import Detection
import Foundation
import GRDB
import Pipeline

/// The conditions of a query with the values of their parameters, in their order.
struct QueryConditions {
  private(set) var sql: [String] = []
  private(set) var values: [(any DatabaseValueConvertible)?] = []

  mutating func add(_ condition: String, _ values: (any DatabaseValueConvertible)?...) {
    sql.append(condition)
    self.values += values
  }

  mutating func add(_ condition: String, all values: [any DatabaseValueConvertible]) {
    sql.append(condition)
    self.values += values.map { $0 }
  }

  /// Adds a condition where there is a value for it.
  mutating func add(_ condition: String, ifPresent value: (any DatabaseValueConvertible)?) {
    if let value { add(condition, value) }
  }

  var text: String { sql.joined(separator: " AND ") }
}

/// A row of a list that is not fetched yet.
private struct ListedRow {
  var number: Int64
  /// What the list is ordered by.
  var keys: [Scalar]
}

extension StoreView {
  /// The use cases that may have results, by name.
  func useCasesWithResults() throws -> [String] {
    var sql = "SELECT use_case FROM partitions UNION SELECT use_case FROM activations"
    if try database.tableExists("claims") { sql += " UNION SELECT use_case FROM claims" }
    return try String.fetchAll(database, sql: sql + " ORDER BY 1")
  }

  /// Fetches the rows of a page by their numbers: only these were sorted, rows may be large.
  private func page<Result>(
    _ listed: [ListedRow], of table: String, _ filter: ResultFilter, _ make: (Row) throws -> (row: Result, bytes: Int)
  ) throws -> ResultPage<Result> {
    let limit = filter.pageRows
    let select = try database.cachedStatement(sql: "SELECT * FROM \(table) WHERE rowid = ?")
    var rows: [Result] = []
    var bytes = 0
    for (index, next) in listed.prefix(limit).enumerated() {
      let found = try Row.fetchCursor(select, arguments: [next.number])
      if let row = try found.next() {
        let made = try make(row)
        rows.append(made.row)
        bytes += made.bytes
      }
      if bytes >= PageCursor.maxBytes, index + 1 < listed.count {
        return ResultPage(rows: rows, next: PageCursor(next.keys))
      }
    }
    return ResultPage(rows: rows, next: listed.count > limit ? PageCursor(listed[limit - 1].keys) : nil)
  }

  // MARK: Anomalies

  /// Ordered by: event time and position descending, the rest ascending.
  func anomalies(_ filter: ResultFilter, after page: PageCursor?) throws -> ResultPage<StoredAnomaly> {
    let subject = try has("subject", in: "anomalies") ? "subject" : "''"
    let cursor = try page.map { try $0.keys(count: 8) }
    var listed: [ListedRow] = []
    for useCase in try filter.useCase.map({ [$0] }) ?? useCasesWithResults() {
      var conditions = QueryConditions()
      conditions.add("use_case = ?", useCase)
      conditions.add("detector = ?", ifPresent: filter.name)
      if let keys = filter.keys {
        let places = keys.map { _ in "CAST(? AS TEXT)" }.joined(separator: ", ")
        conditions.add("key IN (\(places))", all: keys.sorted().map { WholeText($0) })
      }
      conditions.add("event_time >= ?", ifPresent: filter.from)
      conditions.add("event_time < ?", ifPresent: filter.to)
      if let severities = filter.severities {
        conditions.add("severity IN (\(severities.map { "'\($0.rawValue)'" }.joined(separator: ", ")))")
      }
      conditions.add("score >= ?", ifPresent: filter.leastScore)
      for word in filter.words {
        // A word is looked for as it is: without wildcards, and with a NUL that it may have.
        let text = WholeText(word.lowercased())
        conditions.add(
          "(instr(lower(reason), CAST(? AS TEXT)) > 0 OR instr(lower(key), CAST(? AS TEXT)) > 0 "
            + "OR instr(lower(event), CAST(? AS TEXT)) > 0)", text, text, text)
      }
      if let cursor {
        try Self.goOn(behind: cursor, time: "event_time", in: useCase, &conditions) { conditions in
          conditions.add(
            """
            (event_time < ? OR (source, partition) > (?, ?) OR (source, partition) = (?, ?) AND ((segment, offset) < (?, ?)
              OR (segment, offset) = (?, ?) AND (detector, \(subject)) > (?, CAST(? AS TEXT))))
            """,
            cursor[0].integer, cursor[2].text, cursor[3].integer, cursor[2].text, cursor[3].integer, cursor[4].integer,
            cursor[5].integer, cursor[4].integer, cursor[5].integer, cursor[6].text, WholeText(cursor[7].text))
        }
      }
      let rows = try Row.fetchCursor(
        database,
        sql: """
          SELECT rowid, event_time, source, partition, segment, offset, detector, \(subject) FROM anomalies
          WHERE \(conditions.text)
          ORDER BY event_time DESC, source, partition, segment DESC, offset DESC, detector, \(subject)
          LIMIT \(filter.pageRows + 1)
          """, arguments: StatementArguments(conditions.values))
      while let row = try rows.next() {
        listed.append(
          ListedRow(
            number: row[0],
            keys: [
              .int(row[1]), .string(useCase), .string(row[2]), .int(row[3]), .int(row[4]), .int(row[5]),
              .string(row[6]),
              .string((row[7] as WholeText).text),
            ]))
      }
    }
    // Those of one use case are in order.
    listed.sort { a, b in
      (b.keys[0].integer, a.keys[1].text) < (a.keys[0].integer, b.keys[1].text)
    }
    return try self.page(listed, of: "anomalies", filter) { row in
      let anomaly = Self.anomaly(row)
      return (anomaly, anomaly.event.utf8.count + anomaly.explanation.utf8.count)
    }
  }

  /// Adds what lets a list by time (descending), then use case (ascending), go on in a use case.
  private static func goOn(
    behind cursor: [Scalar], time: String, in useCase: String, _ conditions: inout QueryConditions,
    _ rest: (inout QueryConditions) -> Void
  ) throws {
    if useCase < cursor[1].text {
      conditions.add("\(time) < ?", cursor[0].integer)
    } else {
      conditions.add("\(time) <= ?", cursor[0].integer)
      if useCase == cursor[1].text { rest(&conditions) }
    }
  }

  static func anomaly(_ row: Row) -> StoredAnomaly {
    StoredAnomaly(
      useCase: row["use_case"], partition: partition(row), position: position(row), detector: row["detector"],
      subject: row.hasColumn("subject") ? (row["subject"] as WholeText).text : "", eventTime: row["event_time"],
      key: (row["key"] as WholeText).text, score: row["score"], severity: row["severity"],
      reason: (row["reason"] as WholeText).text, model: row["model"], explanation: row["explanation"],
      event: row["event"])
  }

  func anomalyCounts(of useCase: String) throws -> [(detector: String, count: Int)] {
    try Row.fetchAll(
      database, sql: "SELECT detector, count(*) FROM anomalies WHERE use_case = ? GROUP BY 1 ORDER BY 2 DESC, 1",
      arguments: [useCase]
    ).map { ($0[0], $0[1]) }
  }

  // MARK: Dead letters

  /// Ordered by: watermark and position descending (those without a watermark last), the rest ascending.
  func deadLetters(_ filter: ResultFilter, after page: PageCursor?) throws -> ResultPage<StoredDeadLetter> {
    let cursor = try page.map { try $0.keys(count: 6) }
    var listed: [ListedRow] = []
    for useCase in try filter.useCase.map({ [$0] }) ?? useCasesWithResults() {
      var conditions = QueryConditions()
      conditions.add("use_case = ?", useCase)
      conditions.add("reason = ?", ifPresent: filter.name)
      conditions.add("watermark >= ?", ifPresent: filter.from)
      conditions.add("watermark < ?", ifPresent: filter.to)
      if let cursor {
        let (isKnown, time) = (cursor[0] != .null, cursor[0].integer)
        let isSame = useCase == cursor[1].text
        // NULLs come last.
        let less = isKnown ? "(watermark < ? OR watermark IS NULL)" : "(? AND false)"
        let equal = isKnown ? "watermark = ?" : "(watermark IS NULL AND ?)"
        let known: Int64 = isKnown ? time : 1
        if useCase < cursor[1].text {
          conditions.add(less, known)
        } else if isSame {
          conditions.add(
            """
            (\(less) OR \(equal) AND ((source, partition) > (?, ?)
              OR (source, partition) = (?, ?) AND (segment, offset) < (?, ?)))
            """, known, known, cursor[2].text, cursor[3].integer, cursor[2].text, cursor[3].integer,
            cursor[4].integer, cursor[5].integer)
        } else {
          conditions.add("(\(less) OR \(equal))", known, known)
        }
      }
      let rows = try Row.fetchCursor(
        database,
        sql: """
          SELECT rowid, watermark, source, partition, segment, offset FROM dead_letters WHERE \(conditions.text)
          ORDER BY watermark DESC, source, partition, segment DESC, offset DESC LIMIT \(filter.pageRows + 1)
          """, arguments: StatementArguments(conditions.values))
      while let row = try rows.next() {
        listed.append(
          ListedRow(
            number: row[0],
            keys: [
              (row[1] as Int64?).map { .int($0) } ?? .null, .string(useCase), .string(row[2]), .int(row[3]),
              .int(row[4]), .int(row[5]),
            ]))
      }
    }
    func time(_ row: ListedRow) -> Int64 { row.keys[0] == .null ? .min : row.keys[0].integer }
    listed.sort { a, b in (time(b), a.keys[1].text) < (time(a), b.keys[1].text) }
    return try self.page(listed, of: "dead_letters", filter) { row in
      let letter = Self.deadLetter(row)
      return (letter, letter.raw.count)
    }
  }

  static func deadLetter(_ row: Row) -> StoredDeadLetter {
    StoredDeadLetter(
      useCase: row["use_case"], partition: partition(row), position: position(row), watermark: row["watermark"],
      stage: row["stage"], reason: row["reason"], field: (row["field"] as WholeText?)?.text,
      message: (row["message"] as WholeText).text, raw: [UInt8](row["raw"] as Data), length: row["length"],
      sha256: (row["sha256"] as Data?).map { [UInt8]($0) },
      envelope: (row["envelope"] as WholeText?)?.text)
  }
}
