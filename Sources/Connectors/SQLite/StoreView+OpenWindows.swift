// Open windows as a reader sees them. They are stored in segments of the state, which hold windows in no order and several
// states of one. A snapshot that is asked for windows reads all segments of a window, chooses what comes next in its list and
// puts that into a table of its connection, which goes with the snapshot: so any number takes bounded memory, and of the
// pages that follow few read the segments again.

import Detection
import Foundation
import GRDB
import Pipeline

/// The table of a snapshot.
enum OpenWindowTable {
  static let name = "temp.open_windows"

  /// Of several rows of a window the one with the highest number is right.
  fileprivate static let statements = [
    """
    CREATE TEMP TABLE open_windows (
      use_case TEXT NOT NULL, window TEXT NOT NULL, start INTEGER NOT NULL, by_key BLOB NOT NULL,
      definition INTEGER NOT NULL, source TEXT NOT NULL, partition INTEGER NOT NULL, number INTEGER NOT NULL,
      end INTEGER NOT NULL, events INTEGER NOT NULL, by_values TEXT NOT NULL, state BLOB NOT NULL)
    """,
    // Which part of a list the table has: windows that start at `since` or later, from a place on, all or so many.
    """
    CREATE TEMP TABLE gathered_windows (
      use_case TEXT NOT NULL, window TEXT NOT NULL, since INTEGER NOT NULL, start INTEGER NOT NULL, by_key BLOB NOT NULL,
      count INTEGER, PRIMARY KEY (use_case, window))
    """,
  ]
}

extension StoreView {
  /// Makes the table where the connection has none.
  private func makeOpenWindowTable() throws {
    let isThere = try Bool.fetchOne(
      database, sql: "SELECT EXISTS (SELECT 1 FROM sqlite_temp_master WHERE name = 'open_windows')")
    if isThere != true { for statement in OpenWindowTable.statements { try database.execute(sql: statement) } }
  }

  /// Makes sure that the next open windows of a definition are in the table.
  /// - Parameters:
  ///   - place: where the list goes on.
  ///   - since: the earliest start that is of interest.
  ///   - count: how many windows are needed, if there are so many.
  func gatherOpenWindows(
    of useCase: String, _ window: String, from place: OpenWindowPlace, since: Int64, count: Int
  ) throws {
    try makeOpenWindowTable()
    let gathered = try Row.fetchOne(
      database,
      sql: """
        SELECT since, start, by_key, count FROM temp.gathered_windows WHERE use_case = ? AND window = ?
        """, arguments: [useCase, window])
    var most = max(count, PlaceSelection.counts.lowerBound)
    if let gathered {
      let first = OpenWindowPlace(start: gathered[1], by: [UInt8](gathered[2] as Data))
      if (gathered[0] as Int64) == since, place >= first {
        guard let before = gathered[3] as Int? else { return }
        let there = try Int.fetchOne(
          database,
          sql: """
            SELECT count(*) FROM (
              SELECT 1 FROM \(OpenWindowTable.name) WHERE use_case = ? AND window = ? AND start <= ?
                AND (start < ? OR by_key >= ?) GROUP BY start, by_key LIMIT ?)
            """, arguments: [useCase, window, place.start, place.start, Data(place.by), count])
        if let there, there >= count { return }
        most = max(count, min(2 * before, PlaceSelection.counts.upperBound))
      }
    }
    try gatherOpenWindows(of: useCase, window, from: place, since: since, most: most)
  }

  /// Puts all open windows of a definition into the table.
  func gatherOpenWindows(of useCase: String, _ window: String) throws {
    try makeOpenWindowTable()
    try gatherOpenWindows(of: useCase, window, from: OpenWindowPlace(start: .max), since: .min, most: nil)
  }

  private func gatherOpenWindows(
    of useCase: String, _ window: String, from place: OpenWindowPlace, since: Int64, most: Int?
  ) throws {
    for table in [OpenWindowTable.name, "temp.gathered_windows"] {
      try database.execute("DELETE FROM \(table) WHERE use_case = ? AND window = ?", binding: [useCase, window])
    }
    let spaces = try openWindowSpaces(of: useCase, window)
    if spaces.isEmpty { return }
    var last: OpenWindowPlace?
    if let most {
      var selection = PlaceSelection(most: most)
      for space in spaces {
        try forEachRecord(of: space) { record, _ in
          guard record.start >= since, record.start <= place.start, selection.needs(record.start) else { return }
          let next = OpenWindowPlace(start: record.start, by: record.key)
          if next >= place { selection.offer(next) }
        }
      }
      last = selection.last
    }
    // Sorted at once rather than row by row.
    try database.execute(sql: "DROP INDEX IF EXISTS temp.open_windows_by_place")
    for space in spaces { try insertOpenWindows(of: space, from: place, through: last, since: since) }
    try database.execute(
      sql: "CREATE INDEX temp.open_windows_by_place ON open_windows (use_case, window, start DESC, by_key)")
    try database.execute(
      """
      INSERT INTO temp.gathered_windows (use_case, window, since, start, by_key, count) VALUES (?, ?, ?, ?, ?, ?)
      """, binding: [useCase, window, since, place.start, Data(place.by), last == nil ? nil : most])
  }

  private func insertOpenWindows(
    of space: OpenWindowSpace, from first: OpenWindowPlace, through last: OpenWindowPlace?, since: Int64
  ) throws {
    let names = space.head.byNames.map(JSONText.key)
    var insert = try RowStatement(
      """
      INSERT INTO \(OpenWindowTable.name) (use_case, window, start, by_key, definition, source, partition, number, end, events,
        by_values, state)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      """, in: database)
    try forEachRecord(of: space) { record, number in
      guard record.start >= since, record.start <= first.start, last.map({ record.start >= $0.start }) ?? true else {
        return
      }
      let place = OpenWindowPlace(start: record.start, by: record.key)
      guard place >= first, last.map({ place <= $0 }) ?? true else { return }
      insert.bind(space.useCase, at: 1)
      insert.bind(space.window, at: 2)
      insert.bind(record.start, at: 3)
      insert.bind(blob: place.by, at: 4)
      insert.bind(space.definition, at: 5)
      insert.bind(space.partition.source, at: 6)
      insert.bind(Int64(space.partition.number), at: 7)
      insert.bind(Int64(clamping: number), at: 8)
      insert.bind(record.start.addingSaturated(space.head.size), at: 9)
      insert.bind(record.events, at: 10)
      insert.bindText(at: 11) { $0.appendJSONObject(names, record.by) }
      insert.bind(blob: record.state, at: 12)
      try insert.execute()
    }
  }

  // MARK: Segments

  /// The open windows of a definition in a partition.
  private struct OpenWindowSpace {
    var useCase: String
    var window: String
    var partition: PartitionID
    /// Number of the definition in the store.
    var definition: Int64
    var head: WindowSpaceHead
  }

  private func openWindowSpaces(of useCase: String, _ window: String) throws -> [OpenWindowSpace] {
    let rows = try Row.fetchAll(
      database,
      sql: """
        SELECT s.source, s.partition, coalesce(d.id, 0) FROM state_spaces s
        LEFT JOIN window_definitions d ON d.text = s.definition
        WHERE s.use_case = ? AND s.space = ? ORDER BY s.source, s.partition
        """, arguments: [useCase, WindowSpace.prefix + window])
    return try rows.compactMap { row in
      let partition = PartitionID(source: row[0], number: row[1])
      guard let head = try head(useCase, window, of: partition), head.openCount > 0 else { return nil }
      return OpenWindowSpace(useCase: useCase, window: window, partition: partition, definition: row[2], head: head)
    }
  }

  /// Calls `body` with all windows in the segments of a space that may be open, and the number of the segment.
  private func forEachRecord(
    of space: OpenWindowSpace, _ body: (_ record: WindowRecord, _ number: UInt64) throws -> Void
  ) throws {
    let segments = try Row.fetchCursor(
      database, sql: "SELECT key, value FROM state WHERE \(Self.ofSpace) AND key > ? ORDER BY key",
      arguments: Self.space(space.useCase, space.window, of: space.partition) + [Data(WindowSpace.headKey)])
    while let segment = try segments.next() {
      let entry = StateEntry(key: [UInt8](segment[0] as Data), value: [UInt8](segment[1] as Data))
      var reader = try WindowSegmentReader(entry, head: space.head)
      while let record = try reader.next() { try body(record, reader.number) }
    }
  }

  /// The names of windows that may be open.
  /// - Parameter useCase: of this one only.
  func openWindowNames(of useCase: String?) throws -> [String] {
    try String.fetchAll(
      database,
      sql: """
        SELECT DISTINCT substr(space, length(?2) + 1) FROM state_spaces
        WHERE use_case = coalesce(?1, use_case) AND substr(space, 1, length(?2)) = ?2
        """, arguments: [useCase, WindowSpace.prefix])
  }

  /// How many windows of a partition are open in segments.
  func openWindowCount(_ useCase: String, _ partition: PartitionID) throws -> Int {
    var count = 0
    for window in try openWindowNames(of: useCase) { count += try head(useCase, window, of: partition)?.openCount ?? 0 }
    return count
  }

  private static let ofSpace = "use_case = ? AND source = ? AND partition = ? AND space = ?"

  private static func space(_ useCase: String, _ window: String, of partition: PartitionID) -> StatementArguments {
    [useCase, partition.source, partition.number, WindowSpace.prefix + window]
  }

  private func head(_ useCase: String, _ window: String, of partition: PartitionID) throws -> WindowSpaceHead? {
    let value = try Data.fetchOne(
      database, sql: "SELECT value FROM state WHERE \(Self.ofSpace) AND key = ?",
      arguments: Self.space(useCase, window, of: partition) + [Data(WindowSpace.headKey)])
    return try value.map { try WindowSpaceHead(from: [UInt8]($0)) }
  }
}
