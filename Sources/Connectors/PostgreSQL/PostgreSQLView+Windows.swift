// Windows as a reader sees them. Parts of a window that lie in several partitions are merged here, sketches included, in
// the order of the partitions.

import Configuration
import Detection
import Pipeline

extension PostgreSQLView {
  /// Ordered by: start descending, use case, window and values ascending, definition descending. Along the primary key of
  /// each window, so that a page costs what it holds.
  func windows(_ filter: ResultFilter, after page: PageCursor?) throws -> ResultPage<StoredWindow> {
    let cursor = try page.map { try WindowListKey($0) }
    var keys: [WindowListKey] = []
    let limit = filter.pageRows
    let since = filter.from ?? .min
    for useCase in try filter.useCase.map({ [$0] }) ?? useCasesWithResults() {
      for window in try filter.name.map({ [$0] }) ?? windowNames(of: useCase) {
        let place = OpenWindowPlace(behind: cursor, in: useCase, window, filter)
        try gatherOpenWindows(of: useCase, window, from: place, since: since, count: limit + 1)
        for table in ["window_parts", OpenWindowStaging.name] {
          keys += try self.keys(of: useCase, window, in: table, from: place, since: since, limit + 1)
        }
      }
    }
    return try windows(WindowListKey.ordered(keys), behind: cursor, limit: limit)
  }

  static func nextKeys(in table: String) -> String {
    """
    SELECT DISTINCT start_time, by_key FROM \(table)
    WHERE use_case = $1 AND window_name = $2 AND start_time <= $3 AND start_time >= $4
      AND (start_time < $3 OR by_key >= $5)
    ORDER BY start_time DESC, by_key LIMIT $6
    """
  }

  /// The next windows of a table in the order of the list.
  private func keys(
    of useCase: String, _ window: String, in table: String, from place: OpenWindowPlace, since: Int64, _ limit: Int
  ) throws -> [WindowListKey] {
    try connection.rows(
      Self.nextKeys(in: table), .text(useCase), .text(window), .int(place.start), .int(since), .bytes(place.by),
      .int(limit)
    ).map { WindowListKey(start: $0.int(0), useCase: useCase, window: window, by: $0.bytes(1)) }
  }

  /// The parts of so many windows are read at a time.
  private static let chunk = 64

  /// The parts of windows in the order of the list. Of several states of one that is open the last one is right.
  private static let parts = """
    WITH k AS (
      SELECT * FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS k (use_case, window_name, start_time, by_key, listed)
    )
    SELECT window_name, start_time, end_time, by_key, closed, state, events, definition, by_values, aggregates, classes,
      listed, source, partition
    FROM k JOIN window_parts p USING (use_case, window_name, start_time, by_key)
    UNION ALL
    SELECT * FROM (
      SELECT DISTINCT ON (listed, definition, source, partition) window_name, start_time, end_time, by_key, false, state,
        events, definition, by_values, NULL, NULL, listed, source, partition
      FROM k JOIN \(OpenWindowStaging.name) o USING (use_case, window_name, start_time, by_key)
      ORDER BY listed, definition, source, partition, number DESC) o
    ORDER BY listed, definition DESC, source, partition
    """

  private func windows(
    _ keys: [WindowListKey], behind cursor: WindowListKey?, limit: Int
  ) throws -> ResultPage<StoredWindow> {
    var definitions = WindowDefinitions()
    var found: [StoredWindow] = []
    var bytes = 0
    for first in stride(from: 0, to: keys.count, by: Self.chunk) {
      let chunk = keys[first..<min(first + Self.chunk, keys.count)]
      let rows = try connection.rows(
        Self.parts, .texts(chunk.map(\.useCase)), .texts(chunk.map(\.window)), .ints(chunk.map(\.start)),
        .byteLists(chunk.map(\.by)))
      for parts in Array(rows).chunked(by: { $0.int(11) }) {
        let key = keys[first + parts[0].count(11) - 1]
        // Of those that the last page ended with, as many were listed.
        let skipped = cursor.map { $0.isSame(as: key) ? $0.listed : 0 } ?? 0
        var listed = 0
        for parts in parts.chunked(by: { $0.int(7) }) {
          for window in try self.windows(of: parts, useCase: key.useCase, &definitions) {
            listed += 1
            if listed <= skipped { continue }
            if found.count == limit || bytes >= PageCursor.maxBytes {
              var last = key
              last.listed = listed - 1
              return ResultPage(rows: found, next: last.cursor)
            }
            found.append(window)
            bytes += window.aggregates.utf8.count + window.by.utf8.count + window.classes.utf8.count
          }
        }
      }
    }
    return ResultPage(rows: found, next: nil)
  }

  /// The names of windows that have parts: of those that have closed a step along the key for each.
  private func windowNames(of useCase: String) throws -> [String] {
    var names: [String] = []
    while let next = try connection.rows(
      "SELECT min(window_name) FROM window_parts WHERE use_case = $1 AND window_name > $2", .text(useCase),
      .text(names.last ?? "")
    ).first?.optionalText(0) {
      names.append(next)
    }
    return Set(names).union(try openWindowNames(of: useCase)).sorted()
  }

  /// The window that parts of one definition make; where that definition is no longer known, a window for each part, of open
  /// ones without values.
  private func windows(
    of parts: [PostgreSQLRow], useCase: String, _ definitions: inout WindowDefinitions
  ) throws -> [StoredWindow] {
    let compiled = try definitions.find(parts[0].int(7), of: useCase, in: self)
    func window(_ parts: [PostgreSQLRow]) -> StoredWindow {
      let first = parts[0]
      return StoredWindow(
        useCase: useCase, window: first.text(0), start: first.int(1), end: first.int(2),
        closed: parts.allSatisfy { $0.bool(4) }, events: parts.reduce(0) { $0 + $1.int(6) }, by: first.text(8),
        aggregates: first.optionalText(9) ?? "{}", classes: first.optionalText(10) ?? "{}",
        classification: compiled?.classificationName)
    }
    let hasValues = !parts[0].isNull(9)
    guard parts.count > 1 || !hasValues else { return [window(parts)] }
    guard let compiled else { return parts.map { window([$0]) } }
    var merged = window(parts)
    let result = try WindowResult.merge(try parts.map { try $0.windowPart(0) }, of: compiled)
    merged.aggregates = JSONText.object(result.aggregates.map { ($0.name, $0.value) })
    merged.classes = JSONText.object(result.classCounts.map { ($0.name, .int($0.count)) })
    return [merged]
  }

  /// Takes memory for one entity at a time: the server sorts.
  func topEntities(
    of useCase: String, window name: String, by aggregate: String, limit: Int
  ) throws -> [TopEntity] {
    // Where nothing has been read yet, no configuration is on record either.
    guard let text = try configuration(of: useCase) else { return [] }
    let plan = try UseCaseChecker.plan(fromStored: text)
    guard let compiled = plan.windows.first(where: { $0.definition.name == name }),
      let merger = AggregateMerger(compiled, aggregate: aggregate),
      let definition = try connection.rows(
        "SELECT id FROM window_definitions WHERE text = $1", .text(compiled.fingerprint)
      ).first?.int(0)
    else { return [] }
    try gatherOpenWindows(of: useCase, name)
    let isMeant = "use_case = $1 AND window_name = $2 AND definition = $3"
    var entity = EntityTotal(merger, limit: limit)
    var last: [UInt8]?
    try connection.forEach(
      """
      SELECT by_key, start_time, source, partition, state, events, by_values FROM window_parts WHERE \(isMeant)
      UNION ALL SELECT * FROM (
        SELECT DISTINCT ON (by_key, start_time, source, partition) by_key, start_time, source, partition, state, events,
          by_values
        FROM \(OpenWindowStaging.name) WHERE \(isMeant)
        ORDER BY by_key, start_time, source, partition, number DESC) o
      ORDER BY by_key, start_time, source, partition
      """, all: [.text(useCase), .text(name), .int(definition)]
    ) { row in
      let by = row.bytes(0)
      if by != last { entity.finish() }
      last = by
      if entity.by == nil { entity.by = row.text(6) }
      try merger.add(row.bytes(4), events: row.int(5))
    }
    entity.finish()
    return entity.top
  }
}
