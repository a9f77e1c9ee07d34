// Reading changes: of each partition the rows of four tables in the order of their numbers.

import Detection
import Foundation
import GRDB
import Pipeline

extension StoreView {
  /// Bytes of large values after which a page of changes ends.
  private static let maxBytes = 4 << 20

  func changes(since cursor: ChangeCursor, of useCase: String?, limit: Int) throws -> ChangePage {
    var page = ChangePage(changes: [], next: cursor, hasMore: false)
    // A store that nothing has written to since version 5 has none yet.
    guard try database.tableExists("claims"), try has("changes", in: "claims") else { return page }
    let places = try Row.fetchAll(
      database,
      sql: """
        SELECT use_case, source, partition, changes, forgotten FROM claims WHERE changes > 0 AND use_case = coalesce(?, use_case)
        ORDER BY use_case, source, partition
        """, arguments: [useCase]
    ).map { row in
      (
        place: ChangeCursor.Place(useCase: row[0], partition: PartitionID(source: row[1], number: row[2])),
        last: row[3] as Int64, forgotten: row[4] as Int64
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
      try read(place, limit: left, &bytes, into: &page)
      if page.next[place] < last { page.hasMore = true }
    }
    return page
  }

  func latestChange(of useCase: String?) throws -> ChangeCursor {
    var cursor = ChangeCursor()
    guard try database.tableExists("claims"), try has("changes", in: "claims") else { return cursor }
    let rows = try Row.fetchCursor(
      database,
      sql: "SELECT use_case, source, partition, changes FROM claims WHERE use_case = coalesce(?, use_case)",
      arguments: [useCase])
    while let row = try rows.next() {
      cursor[ChangeCursor.Place(useCase: row[0], partition: PartitionID(source: row[1], number: row[2]))] = row[3]
    }
    return cursor
  }

  /// Where a change is to be found.
  private struct Found {
    var number: Int64
    var table: String
    var row: Int64
  }

  private func read(
    _ place: ChangeCursor.Place, limit: Int, _ bytes: inout Int, into page: inout ChangePage
  ) throws {
    let identity: StatementArguments = [
      place.useCase, place.partition.source, place.partition.number, page.next[place],
    ]
    var found: [Found] = []
    for (table, row, condition) in [
      ("anomalies", "rowid", ""), ("dead_letters", "rowid", ""), ("window_parts", "rowid", " AND closed = 1"),
      ("retractions", "0", ""),
    ] {
      let rows = try Row.fetchCursor(
        database,
        sql: """
          SELECT change, \(row) FROM \(table)
          WHERE use_case = ? AND source = ? AND partition = ? AND change > ?\(condition) ORDER BY change LIMIT \(limit)
          """, arguments: identity)
      while let row = try rows.next() { found.append(Found(number: row[0], table: table, row: row[1])) }
    }
    found.sort { $0.number < $1.number }
    for next in found.prefix(limit) {
      if bytes >= Self.maxBytes { return }
      let change = ResultChange(
        useCase: place.useCase, partition: place.partition, number: next.number, content: try content(next, place))
      bytes += change.bytes
      page.changes.append(change)
      page.next.pass(change)
    }
    // Numbers whose results have gone since need not be looked for again.
    if found.count < limit {
      let last = try Int64.fetchOne(
        database, sql: "SELECT changes FROM claims WHERE use_case = ? AND source = ? AND partition = ?",
        arguments: [place.useCase, place.partition.source, place.partition.number])
      page.next[place] = last ?? page.next[place]
    }
  }

  private func content(_ found: Found, _ place: ChangeCursor.Place) throws -> ResultChange.Content {
    let isRetraction = found.table == "retractions"
    let select = try database.cachedStatement(
      sql: isRetraction
        ? "SELECT * FROM retractions WHERE use_case = ? AND source = ? AND partition = ? AND change = ?"
        : "SELECT * FROM \(found.table) WHERE rowid = ?")
    let rows = try Row.fetchCursor(
      select,
      arguments: isRetraction
        ? [place.useCase, place.partition.source, place.partition.number, found.number] : [found.row])
    guard let row = try rows.next() else { throw CodingError("the change \(found.number) is not there") }
    switch found.table {
    case "anomalies": return .anomaly(Self.anomaly(row))
    case "dead_letters": return .deadLetter(Self.deadLetter(row))
    case "window_parts":
      return .window(
        StoredWindowPart(
          identity: try windowID(row, place, window: row["window"], start: row["start"]), end: row["end"],
          events: row["events"], by: (row["by_values"] as WholeText).text,
          aggregates: (row["aggregates"] as WholeText).text, classes: (row["classes"] as WholeText).text))
    default: return try retraction(row, place)
    }
  }

  private func retraction(_ row: Row, _ place: ChangeCursor.Place) throws -> ResultChange.Content {
    switch row["kind"] as String {
    case "anomaly":
      return .retraction(
        .anomaly(
          RetractedAnomaly(
            AnomalyID(
              useCase: place.useCase, partition: place.partition, position: Self.position(row), detector: row["name"],
              subject: (row["subject"] as WholeText).text),
            key: (row["key"] as WholeText?)?.text, eventTime: row["time"])))
    case "dead_letter":
      return .retraction(
        .deadLetter(
          DeadLetterID(useCase: place.useCase, partition: place.partition, position: Self.position(row))))
    case "window":
      return .retraction(.window(try windowID(row, place, window: row["name"], start: row["time"])))
    case "reset": return .reset
    case let kind: throw CodingError("a retraction is of the unknown kind \(kind)")
    }
  }

  private func windowID(
    _ row: Row, _ place: ChangeCursor.Place, window: String, start: Int64
  ) throws -> WindowPartID {
    let definition: Int64 = row["definition"]
    let by = [UInt8](row["by_key"] as Data)
    // Definitions are few and in memory by then.
    let select = try database.cachedStatement(sql: "SELECT text FROM window_definitions WHERE id = ?")
    let text = try WholeText.fetchOne(select, arguments: [definition])?.text
    return WindowPartID(
      useCase: place.useCase, partition: place.partition, window: window, start: start, by: by, definition: text ?? "")
  }
}
