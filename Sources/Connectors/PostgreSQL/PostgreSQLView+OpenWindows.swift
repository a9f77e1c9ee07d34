// Open windows as a reader sees them. They are stored in segments of the state, which hold windows in no order and several
// states of one. A snapshot that is asked for windows reads all segments of a window, chooses what comes next in its list and
// puts that into a temporary table of its connection, which is empty again when the snapshot ends: so any number takes bounded
// memory, and of the pages that follow few read the segments again.

import Detection
import Pipeline

/// The tables of a snapshot.
enum OpenWindowStaging {
  static let name = "pg_temp.open_windows"
  fileprivate static let columns = """
    use_case, window_name, start_time, by_key, definition, source, partition, number, end_time, events, by_values, state
    """

  /// Makes them on a new connection: a snapshot, which writes nothing else, may write to them.
  static func make(on connection: PostgreSQLConnection) throws {
    // A server that follows another one has no temporary tables.
    guard try connection.rows("SELECT pg_is_in_recovery()").first?.bool(0) == false else { return }
    let text = PostgreSQLType.text.sql
    try connection.script(
      """
      CREATE TEMP TABLE open_windows (
        use_case \(text) NOT NULL, window_name \(text) NOT NULL,
        start_time bigint NOT NULL, by_key bytea NOT NULL, definition bigint NOT NULL, source \(text) NOT NULL,
        partition bigint NOT NULL, number bigint NOT NULL, end_time bigint NOT NULL, events bigint NOT NULL,
        by_values \(text) NOT NULL, state bytea NOT NULL) ON COMMIT DELETE ROWS;
      CREATE INDEX open_windows_by_place ON pg_temp.open_windows (use_case, window_name, start_time, by_key);
      CREATE TEMP TABLE gathered_windows (
        use_case \(text) NOT NULL, window_name \(text) NOT NULL, since bigint NOT NULL, start_time bigint NOT NULL,
        by_key bytea NOT NULL, count bigint, PRIMARY KEY (use_case, window_name)) ON COMMIT DELETE ROWS
      """)
  }
}

extension PostgreSQLView {
  /// Makes sure that the next open windows of a definition are in the table.
  /// - Parameters:
  ///   - place: where the list goes on.
  ///   - since: the earliest start that is of interest.
  ///   - count: how many windows are needed, if there are so many.
  func gatherOpenWindows(
    of useCase: String, _ window: String, from place: OpenWindowPlace, since: Int64, count: Int
  ) throws {
    let gathered = try connection.rows(
      """
      SELECT since, start_time, by_key, count FROM pg_temp.gathered_windows WHERE use_case = $1 AND window_name = $2
      """, .text(useCase), .text(window)
    ).first
    var most = max(count, PlaceSelection.counts.lowerBound)
    if let gathered {
      let first = OpenWindowPlace(start: gathered.int(1), by: gathered.bytes(2))
      if gathered.int(0) == since, place >= first {
        guard let before = gathered.optionalInt(3) else { return }
        let there = try connection.rows(
          """
          SELECT count(*) FROM (
            SELECT 1 FROM \(OpenWindowStaging.name) WHERE use_case = $1 AND window_name = $2 AND start_time <= $3
              AND (start_time < $3 OR by_key >= $4) GROUP BY start_time, by_key LIMIT $5) w
          """, .text(useCase), .text(window), .int(place.start), .bytes(place.by), .int(count)
        ).first?.count(0)
        if let there, there >= count { return }
        most = max(count, min(2 * Int(before), PlaceSelection.counts.upperBound))
      }
    }
    try gatherOpenWindows(of: useCase, window, from: place, since: since, most: most)
  }

  /// Puts all open windows of a definition into the table.
  func gatherOpenWindows(of useCase: String, _ window: String) throws {
    try gatherOpenWindows(of: useCase, window, from: OpenWindowPlace(start: .max), since: .min, most: nil)
  }

  private func gatherOpenWindows(
    of useCase: String, _ window: String, from place: OpenWindowPlace, since: Int64, most: Int?
  ) throws {
    for table in [OpenWindowStaging.name, "pg_temp.gathered_windows"] {
      try connection.execute(
        "DELETE FROM \(table) WHERE use_case = $1 AND window_name = $2", .text(useCase), .text(window))
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
    for space in spaces { try insertOpenWindows(of: space, from: place, through: last, since: since) }
    try connection.execute(
      """
      INSERT INTO pg_temp.gathered_windows (use_case, window_name, since, start_time, by_key, count)
      VALUES ($1, $2, $3, $4, $5, $6)
      """, .text(useCase), .text(window), .int(since), .int(place.start), .bytes(place.by),
      .int(last == nil ? nil : most.map { Int64($0) }))
  }

  private func insertOpenWindows(
    of space: OpenWindowSpace, from first: OpenWindowPlace, through last: OpenWindowPlace?, since: Int64
  ) throws {
    let names = space.head.byNames.map(JSONText.key)
    var rows = PostgreSQLRowBuffer()
    try forEachSegment(of: space) { segment in
      var reader = try WindowSegmentReader(segment, head: space.head)
      while let record = try reader.next() {
        guard record.start >= since, record.start <= first.start, last.map({ record.start >= $0.start }) ?? true
        else { continue }
        let place = OpenWindowPlace(start: record.start, by: record.key)
        guard place >= first, last.map({ place <= $0 }) ?? true else { continue }
        rows.beginRow(12)
        rows.append(space.useCase)
        rows.append(space.window)
        rows.append(record.start)
        rows.append(bytes: place.by)
        rows.append(space.definition)
        rows.append(space.partition.source)
        rows.append(Int64(space.partition.number))
        rows.append(Int64(clamping: reader.number))
        rows.append(record.start.addingSaturated(space.head.size))
        rows.append(record.events)
        rows.appendText { $0.appendJSONObject(names, record.by) }
        rows.append(bytes: record.state)
      }
      if PostgreSQLTable.isFull(rows) { try flush(&rows) }
    }
    try flush(&rows)
  }

  private func flush(_ rows: inout PostgreSQLRowBuffer) throws {
    if rows.rows > 0 {
      try connection.copy(rows, into: "\(OpenWindowStaging.name) (\(OpenWindowStaging.columns))")
    }
    rows.removeAll()
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
    let rows = try connection.rows(
      """
      SELECT s.source, s.partition, coalesce(d.id, 0) FROM state_spaces s
      LEFT JOIN window_definitions d ON d.text = s.definition
      WHERE s.use_case = $1 AND s.space = $2 ORDER BY s.source, s.partition
      """, .text(useCase), .text(WindowSpace.prefix + window))
    return try rows.compactMap { row in
      let partition = row.partition(0)
      guard let head = try head(useCase, window, of: partition), head.openCount > 0 else { return nil }
      return OpenWindowSpace(
        useCase: useCase, window: window, partition: partition, definition: row.int(2), head: head)
    }
  }

  private static let ofSpace = "\(PostgreSQLClaim.ofPartition) AND space = $4"

  private func space(_ useCase: String, _ window: String, of partition: PartitionID) -> [PostgreSQLValue] {
    [.text(useCase), .text(partition.source), .int(partition.number), .text(WindowSpace.prefix + window)]
  }

  /// Segments that are read at a time: one may have some megabytes.
  private static let segments = 8

  /// Calls `body` with the segments of a space, which may use the connection: those that were read are not under way.
  private func forEachSegment(of space: OpenWindowSpace, _ body: (StateEntry) throws -> Void) throws {
    var last = WindowSpace.headKey
    while true {
      let rows = try connection.rows(
        "SELECT key, value FROM state WHERE \(Self.ofSpace) AND key > $5 ORDER BY key LIMIT \(Self.segments)",
        all: self.space(space.useCase, space.window, of: space.partition) + [.bytes(last)])
      for row in rows {
        last = row.bytes(0)
        try body(StateEntry(key: last, value: row.bytes(1)))
      }
      if rows.count < Self.segments { return }
    }
  }

  /// Calls `body` with all windows in the segments of a space that may be open, and the number of the segment.
  private func forEachRecord(
    of space: OpenWindowSpace, _ body: (_ record: WindowRecord, _ number: UInt64) throws -> Void
  ) throws {
    try forEachSegment(of: space) { segment in
      var reader = try WindowSegmentReader(segment, head: space.head)
      while let record = try reader.next() { try body(record, reader.number) }
    }
  }

  /// The names of windows that may be open.
  /// - Parameter useCase: of this one only.
  func openWindowNames(of useCase: String?) throws -> [String] {
    try texts(
      """
      SELECT DISTINCT substr(space, length($2) + 1) FROM state_spaces
      WHERE use_case = coalesce($1, use_case) AND starts_with(space, $2)
      """, .text(useCase), .text(WindowSpace.prefix))
  }

  /// How many windows of a partition are open in segments.
  func openWindowCount(_ useCase: String, _ partition: PartitionID) throws -> Int {
    var count = 0
    for window in try openWindowNames(of: useCase) { count += try head(useCase, window, of: partition)?.openCount ?? 0 }
    return count
  }

  private func head(_ useCase: String, _ window: String, of partition: PartitionID) throws -> WindowSpaceHead? {
    let value = try connection.rows(
      "SELECT value FROM state WHERE \(Self.ofSpace) AND key = $5",
      all: space(useCase, window, of: partition) + [.bytes(WindowSpace.headKey)]
    ).first?.bytes(0)
    return try value.map { try WindowSpaceHead(from: $0) }
  }
}
