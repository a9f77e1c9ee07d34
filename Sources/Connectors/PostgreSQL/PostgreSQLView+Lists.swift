// Lists of anomalies and dead letters, page by page. A page continues behind the values that the last one ended with, along
// an index for each use case, so that it costs what it holds and not what is stored.

import Detection
import Pipeline

/// The conditions of a query with the values of their parameters, in their order.
private struct Conditions {
  private var sql: [String] = []
  private(set) var values: [PostgreSQLValue] = []

  /// Adds a condition, in which each `?` is the place of a value.
  mutating func add(_ condition: String, _ values: PostgreSQLValue...) {
    var parts = condition.split(separator: "?", omittingEmptySubsequences: false)
    var text = String(parts.removeFirst())
    for (part, value) in zip(parts, values) {
      self.values.append(value)
      text += "$\(self.values.count)" + part
    }
    sql.append(text)
  }

  /// Adds that a column has one of these values. Of one alone the server reads rows in the order of an index.
  mutating func add(_ column: String, anyOf values: [String]) {
    if values.count == 1 {
      add("\(column) = ?", .text(values[0]))
    } else {
      add("\(column) = ANY(?)", .texts(values))
    }
  }

  var text: String { sql.joined(separator: " AND ") }
}

/// A row of a list that is not fetched yet.
private struct ListedRow {
  /// Where the transaction finds it.
  var place: String
  /// Bytes of what is large in it.
  var bytes: Int
  /// What the list is ordered by.
  var keys: [Scalar]
}

extension PostgreSQLView {
  /// The use cases that may have results, by name.
  func useCasesWithResults() throws -> [String] {
    try texts(
      "SELECT use_case FROM partitions UNION SELECT use_case FROM activations UNION SELECT use_case FROM claims ORDER BY 1"
    )
  }

  /// Fetches the rows of a page: only their keys were sorted, rows may be large.
  private func page<Result>(
    _ listed: [ListedRow], of table: String, _ columns: String, _ filter: ResultFilter,
    _ make: (PostgreSQLRow) -> Result
  ) throws -> ResultPage<Result> {
    let limit = filter.pageRows
    var (count, bytes) = (0, 0)
    for next in listed.prefix(limit) where bytes < PageCursor.maxBytes {
      count += 1
      bytes += next.bytes
    }
    let places = listed.prefix(count).map(\.place)
    let rows = try connection.rows(
      "SELECT \(columns), ctid::text FROM \(table) WHERE ctid = ANY($1::tid[])", .texts(places))
    let column = Int32(columns.split(separator: ",").count)
    var found: [String: Int] = [:]
    for index in 0..<rows.count { found[rows[index].text(column)] = index }
    let page = places.compactMap { found[$0].map { make(rows[$0]) } }
    return ResultPage(rows: page, next: listed.count > count && count > 0 ? PageCursor(listed[count - 1].keys) : nil)
  }

  // MARK: Anomalies

  static let anomaly = """
    use_case, source, partition, segment, record_offset, record_row, detector, subject, event_time, key, score, severity,
    reason, model, explanation, event
    """

  /// An anomaly whose columns are those of `anomaly`.
  static func anomaly(_ row: PostgreSQLRow) -> StoredAnomaly {
    StoredAnomaly(
      useCase: row.text(0), partition: row.partition(1), position: row.position(3), detector: row.text(6),
      subject: row.text(7), eventTime: row.int(8), key: row.text(9), score: row.double(10), severity: row.text(11),
      reason: row.text(12), model: row.optionalText(13), explanation: row.text(14), event: row.text(15))
  }

  /// Ordered by: event time and position descending, the rest ascending.
  func anomalies(_ filter: ResultFilter, after page: PageCursor?) throws -> ResultPage<StoredAnomaly> {
    let cursor = try page.map { try $0.keys(count: 8) }
    var listed: [ListedRow] = []
    for useCase in try filter.useCase.map({ [$0] }) ?? useCasesWithResults() {
      let conditions = Self.conditions(filter, of: useCase, behind: cursor)
      let rows = try connection.rows(Self.anomalyPage(conditions.text, filter), all: conditions.values)
      listed += rows.map { row in
        ListedRow(
          place: row.text(0), bytes: row.count(8),
          keys: [
            .int(row.int(1)), .string(useCase), .string(row.text(2)), .int(row.int(3)), .int(row.int(4)),
            .int(row.int(5)), .string(row.text(6)), .string(row.text(7)),
          ])
      }
    }
    // Those of one use case are in order.
    listed.sort { a, b in (b.keys[0].integer, a.keys[1].text) < (a.keys[0].integer, b.keys[1].text) }
    return try self.page(listed, of: "anomalies", Self.anomaly, filter, Self.anomaly)
  }

  private static func anomalyPage(_ conditions: String, _ filter: ResultFilter) -> String {
    """
    SELECT ctid::text, event_time, source, partition, segment, record_offset, detector, subject,
      octet_length(event) + octet_length(explanation)
    FROM anomalies WHERE \(conditions)
    ORDER BY event_time DESC, source, partition, segment DESC, record_offset DESC, detector, subject
    LIMIT \(filter.pageRows + 1)
    """
  }

  /// How the server would read the first page of a list, for tests of its indexes.
  func plan(of filter: ResultFilter, in useCase: String) throws -> String {
    let conditions = Self.conditions(filter, of: useCase, behind: nil)
    return try connection.rows(
      "EXPLAIN " + Self.anomalyPage(conditions.text, filter), all: conditions.values
    ).map { $0.text(0) }.joined(separator: "\n")
  }

  private static func conditions(_ filter: ResultFilter, of useCase: String, behind cursor: [Scalar]?) -> Conditions {
    var conditions = Conditions()
    conditions.add("use_case = ?", .text(useCase))
    if let name = filter.name { conditions.add("detector = ?", .text(name)) }
    if let keys = filter.keys { conditions.add("key", anyOf: keys.sorted()) }
    if let from = filter.from { conditions.add("event_time >= ?", .int(from)) }
    if let to = filter.to { conditions.add("event_time < ?", .int(to)) }
    if let severities = filter.severities { conditions.add("severity", anyOf: severities.map(\.rawValue).sorted()) }
    if let least = filter.leastScore { conditions.add("score >= ?", .double(least)) }
    for word in filter.words {
      // A word is looked for as it is: without wildcards, and with a NUL that it may have.
      let text = PostgreSQLValue.text(word.lowercased())
      conditions.add(
        "(strpos(lower(reason), ?) > 0 OR strpos(lower(key), ?) > 0 OR strpos(lower(event), ?) > 0)", text, text, text)
    }
    guard let cursor else { return conditions }
    let time = PostgreSQLValue.int(cursor[0].integer)
    if useCase < cursor[1].text {
      conditions.add("event_time < ?", time)
    } else {
      conditions.add("event_time <= ?", time)
      guard useCase == cursor[1].text else { return conditions }
      let (source, partition) = (PostgreSQLValue.text(cursor[2].text), PostgreSQLValue.int(cursor[3].integer))
      let (segment, offset) = (PostgreSQLValue.int(cursor[4].integer), PostgreSQLValue.int(cursor[5].integer))
      conditions.add(
        """
        (event_time < ? OR (source, partition) > (?, ?) OR (source, partition) = (?, ?)
          AND ((segment, record_offset) < (?, ?)
            OR (segment, record_offset) = (?, ?) AND (detector, subject) > (?, ?)))
        """, time, source, partition, source, partition, segment, offset, segment, offset, .text(cursor[6].text),
        .text(cursor[7].text))
    }
    return conditions
  }

  func anomalyCounts(of useCase: String) throws -> [(detector: String, count: Int)] {
    try connection.rows(
      "SELECT detector, count(*) FROM anomalies WHERE use_case = $1 GROUP BY 1 ORDER BY 2 DESC, 1", .text(useCase)
    ).map { ($0.text(0), $0.count(1)) }
  }

  // MARK: Dead letters

  static let deadLetter = """
    use_case, source, partition, segment, record_offset, record_row, watermark, stage, reason, field, message, raw, length,
    sha256, envelope
    """

  /// A dead letter whose columns are those of `deadLetter`.
  static func deadLetter(_ row: PostgreSQLRow) -> StoredDeadLetter {
    StoredDeadLetter(
      useCase: row.text(0), partition: row.partition(1), position: row.position(3), watermark: row.optionalInt(6),
      stage: row.text(7), reason: row.text(8), field: row.optionalText(9), message: row.text(10), raw: row.bytes(11),
      length: row.count(12), sha256: row.optionalBytes(13), envelope: row.optionalText(14))
  }

  /// Ordered by: watermark and position descending (those without a watermark last), the rest ascending.
  func deadLetters(_ filter: ResultFilter, after page: PageCursor?) throws -> ResultPage<StoredDeadLetter> {
    let cursor = try page.map { try $0.keys(count: 6) }
    var listed: [ListedRow] = []
    for useCase in try filter.useCase.map({ [$0] }) ?? useCasesWithResults() {
      var conditions = Conditions()
      conditions.add("use_case = ?", .text(useCase))
      if let name = filter.name { conditions.add("reason = ?", .text(name)) }
      if let from = filter.from { conditions.add("watermark >= ?", .int(from)) }
      if let to = filter.to { conditions.add("watermark < ?", .int(to)) }
      if let cursor { Self.goOn(behind: cursor, in: useCase, &conditions) }
      let rows = try connection.rows(
        """
        SELECT ctid::text, watermark, source, partition, segment, record_offset, octet_length(raw) FROM dead_letters
        WHERE \(conditions.text)
        ORDER BY watermark DESC NULLS LAST, source, partition, segment DESC, record_offset DESC
        LIMIT \(filter.pageRows + 1)
        """, all: conditions.values)
      listed += rows.map { row in
        ListedRow(
          place: row.text(0), bytes: row.count(6),
          keys: [
            row.optionalInt(1).map { .int($0) } ?? .null, .string(useCase), .string(row.text(2)), .int(row.int(3)),
            .int(row.int(4)), .int(row.int(5)),
          ])
      }
    }
    func time(_ row: ListedRow) -> Int64 { row.keys[0] == .null ? .min : row.keys[0].integer }
    listed.sort { a, b in (time(b), a.keys[1].text) < (time(a), b.keys[1].text) }
    return try self.page(listed, of: "dead_letters", Self.deadLetter, filter, Self.deadLetter)
  }

  /// Adds what lets the list of dead letters go on in a use case.
  private static func goOn(behind cursor: [Scalar], in useCase: String, _ conditions: inout Conditions) {
    let isKnown = cursor[0] != .null
    // NULLs come last.
    let less = isKnown ? "(watermark < ? OR watermark IS NULL)" : "(?::bigint IS NULL)"
    let equal = isKnown ? "watermark = ?" : "(watermark IS NULL AND ?::bigint IS NOT NULL)"
    let time = PostgreSQLValue.int(isKnown ? cursor[0].integer : 1)
    if useCase < cursor[1].text {
      conditions.add(less, time)
    } else if useCase == cursor[1].text {
      let (source, partition) = (PostgreSQLValue.text(cursor[2].text), PostgreSQLValue.int(cursor[3].integer))
      conditions.add(
        """
        (\(less) OR \(equal) AND ((source, partition) > (?, ?)
          OR (source, partition) = (?, ?) AND (segment, record_offset) < (?, ?)))
        """, time, time, source, partition, source, partition, .int(cursor[4].integer), .int(cursor[5].integer))
    } else {
      conditions.add("(\(less) OR \(equal))", time, time)
    }
  }
}
