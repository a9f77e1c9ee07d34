// Reading changes: of each partition the rows of four tables in the order of their numbers.

import Detection
import Pipeline

extension PostgreSQLView {
  /// Bytes of large values after which a page of changes ends.
  private static let maxBytes = 4 << 20

  func changes(since cursor: ChangeCursor, of useCase: String?, limit: Int) throws -> ChangePage {
    var page = ChangePage(changes: [], next: cursor, hasMore: false)
    let places = try connection.rows(
      """
      SELECT use_case, source, partition, changes, forgotten FROM claims
      WHERE changes > 0 AND use_case = coalesce($1, use_case) ORDER BY use_case, source, partition
      """, .text(useCase)
    ).map { row in
      (
        place: ChangeCursor.Place(useCase: row.text(0), partition: row.partition(1)), last: row.int(3),
        forgotten: row.int(4)
      )
    }.filter { cursor[$0.place] != $0.last }
      // Those that are furthest behind first: more partitions than changes on a page do not keep one of them waiting.
      .sorted { $0.last - cursor[$0.place] > $1.last - cursor[$1.place] }
    // A busy partition does not keep the others waiting.
    let share = max(1, limit / max(1, places.count))
    var bytes = 0
    for (place, last, forgotten) in places {
      let left = min(share, limit - page.changes.count)
      guard left > 0, bytes < Self.maxBytes else {
        page.hasMore = true
        break
      }
      // Retractions that the reader would have needed are gone, or the numbers are those of another store: an older copy
      // was put back.
      if page.next[place] > 0, page.next[place] < forgotten || page.next[place] > last {
        page.next[place] = 0
        page.changes.append(
          ResultChange(useCase: place.useCase, partition: place.partition, number: 0, content: .reset))
      }
      try read(place, limit: left, last: last, &bytes, into: &page)
      if page.next[place] < last { page.hasMore = true }
    }
    return page
  }

  func latestChange(of useCase: String?) throws -> ChangeCursor {
    var cursor = ChangeCursor()
    let rows = try connection.rows(
      "SELECT use_case, source, partition, changes FROM claims WHERE use_case = coalesce($1, use_case)",
      .text(useCase))
    for row in rows { cursor[ChangeCursor.Place(useCase: row.text(0), partition: row.partition(1))] = row.int(3) }
    return cursor
  }

  /// The tables that changes are in, with what is large in a row of each.
  private enum Table: String, CaseIterable {
    case anomalies
    case deadLetters = "dead_letters"
    case windowParts = "window_parts"
    case retractions

    var bytes: String {
      switch self {
      case .anomalies: "octet_length(event) + octet_length(explanation)"
      case .deadLetters: "octet_length(raw) + octet_length(message)"
      case .windowParts: "octet_length(aggregates) + octet_length(by_values) + octet_length(classes)"
      case .retractions: "0"
      }
    }

    var condition: String { self == .windowParts ? " AND closed" : "" }
  }

  /// Where a change is to be found.
  private struct Found {
    var number: Int64
    var table: Table
    var bytes: Int
  }

  private func read(
    _ place: ChangeCursor.Place, limit: Int, last: Int64, _ bytes: inout Int, into page: inout ChangePage
  ) throws {
    let identity: [PostgreSQLValue] = [
      .text(place.useCase), .text(place.partition.source), .int(place.partition.number),
    ]
    let behind = "\(PostgreSQLClaim.ofPartition) AND change > $4"
    let lists = Table.allCases.enumerated().map { index, table in
      """
      (SELECT change, \(index), \(table.bytes) FROM \(table.rawValue) WHERE \(behind)\(table.condition)
        ORDER BY change LIMIT \(limit))
      """
    }
    let found = try connection.rows(
      lists.joined(separator: " UNION ALL ") + " ORDER BY 1 LIMIT \(limit)", all: identity + [.int(page.next[place])]
    ).map { Found(number: $0.int(0), table: Table.allCases[$0.count(1)], bytes: $0.count(2) + 512) }
    // Only what fits is read: a page may have many large values.
    var chosen: [Found] = []
    for next in found where bytes < Self.maxBytes {
      chosen.append(next)
      bytes += next.bytes
    }
    var contents: [Int64: ResultChange.Content] = [:]
    for table in Table.allCases {
      let numbers = chosen.filter { $0.table == table }.map(\.number)
      if !numbers.isEmpty { try contents.merge(self.contents(table, identity, numbers, place)) { $1 } }
    }
    for next in chosen {
      guard let content = contents[next.number] else { throw CodingError("the change \(next.number) is not there") }
      let change = ResultChange(
        useCase: place.useCase, partition: place.partition, number: next.number, content: content)
      page.changes.append(change)
      page.next.pass(change)
    }
    // Numbers whose results have gone since need not be looked for again.
    if found.count < limit, chosen.count == found.count { page.next[place] = last }
  }

  private func contents(
    _ table: Table, _ identity: [PostgreSQLValue], _ numbers: [Int64], _ place: ChangeCursor.Place
  ) throws -> [Int64: ResultChange.Content] {
    var contents: [Int64: ResultChange.Content] = [:]
    let isMeant = "\(PostgreSQLClaim.ofPartition) AND change = ANY($4)\(table.condition)"
    func read(_ columns: String, from tables: String, _ make: (PostgreSQLRow) throws -> ResultChange.Content) throws {
      let rows = try connection.rows(
        "SELECT \(columns), change FROM \(tables) WHERE \(isMeant)", all: identity + [.ints(numbers)])
      let column = Int32(columns.split(separator: ",").count)
      for row in rows { contents[row.int(column)] = try make(row) }
    }
    switch table {
    case .anomalies: try read(Self.anomaly, from: table.rawValue) { .anomaly(Self.anomaly($0)) }
    case .deadLetters: try read(Self.deadLetter, from: table.rawValue) { .deadLetter(Self.deadLetter($0)) }
    case .windowParts:
      try read(
        "window_name, start_time, by_key, d.text, end_time, events, by_values, aggregates, classes",
        from: "window_parts JOIN window_definitions d ON d.id = definition"
      ) { row in
        .window(
          StoredWindowPart(
            identity: Self.windowID(row, 0, place), end: row.int(4), events: row.int(5), by: row.text(6),
            aggregates: row.text(7), classes: row.text(8)))
      }
    case .retractions:
      try read(
        "name, time, by_key, d.text, kind, segment, record_offset, record_row, subject, key",
        from: "retractions LEFT JOIN window_definitions d ON d.id = definition"
      ) { try Self.retraction($0, place) }
    }
    return contents
  }

  /// A window whose name, start, key and definition begin at a column.
  private static func windowID(_ row: PostgreSQLRow, _ column: Int32, _ place: ChangeCursor.Place) -> WindowPartID {
    WindowPartID(
      useCase: place.useCase, partition: place.partition, window: row.text(column), start: row.int(column + 1),
      by: row.bytes(column + 2), definition: row.text(column + 3))
  }

  private static func retraction(_ row: PostgreSQLRow, _ place: ChangeCursor.Place) throws -> ResultChange.Content {
    switch row.text(4) {
    case "anomaly":
      return .retraction(
        .anomaly(
          RetractedAnomaly(
            AnomalyID(
              useCase: place.useCase, partition: place.partition, position: row.position(5), detector: row.text(0),
              subject: row.text(8)),
            key: row.optionalText(9), eventTime: row.optionalInt(1))))
    case "dead_letter":
      return .retraction(
        .deadLetter(DeadLetterID(useCase: place.useCase, partition: place.partition, position: row.position(5))))
    case "window": return .retraction(.window(windowID(row, 0, place)))
    case "reset": return .reset
    case let kind: throw CodingError("a retraction is of the unknown kind \(kind)")
    }
  }
}
