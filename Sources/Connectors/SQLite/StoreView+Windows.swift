// Windows as a reader sees them. Parts of a window that lie in several partitions are merged here, sketches included, in
// the order of the partitions.

import Configuration
import Detection
import Foundation
import GRDB
import Pipeline

extension StoreView {
  /// Ordered by: start descending, use case, window and values ascending, definition descending. Start by start along the
  /// primary key of each window, so that a page costs what it holds.
  func windows(_ filter: ResultFilter, after page: PageCursor?) throws -> ResultPage<StoredWindow> {
    let cursor = try page.map { try WindowListKey($0) }
    var keys: [WindowListKey] = []
    let limit = filter.pageRows
    for useCase in try filter.useCase.map({ [$0] }) ?? useCasesWithResults() {
      for window in try filter.name.map({ [$0] }) ?? windowNames(of: useCase) {
        let place = OpenWindowPlace(behind: cursor, in: useCase, window, filter)
        try gatherOpenWindows(
          of: useCase, window, from: place, since: filter.from ?? .min, count: limit + 1)
        for table in ["window_parts", OpenWindowTable.name] {
          keys += try self.keys(of: useCase, window, in: table, from: place, since: filter.from ?? .min, limit + 1)
        }
      }
    }
    return try windows(WindowListKey.ordered(keys), behind: cursor, limit: limit)
  }

  /// The last start up to one, and the keys of a start: each along the index, which no order of both together is.
  static func lastStart(in table: String) -> String {
    "SELECT max(start) FROM \(table) WHERE use_case = ?1 AND window = ?2 AND start <= ?3 AND start >= ?4"
  }

  static func keysOfStart(in table: String) -> String {
    """
    SELECT DISTINCT by_key FROM \(table) WHERE use_case = ?1 AND window = ?2 AND start = ?3 AND by_key >= coalesce(?4, x'')
    ORDER BY by_key LIMIT ?5
    """
  }

  /// The next windows of a table in the order of the list.
  private func keys(
    of useCase: String, _ window: String, in table: String, from place: OpenWindowPlace, since: Int64, _ limit: Int
  ) throws -> [WindowListKey] {
    let starts = try database.cachedStatement(sql: Self.lastStart(in: table))
    let ofStart = try database.cachedStatement(sql: Self.keysOfStart(in: table))
    var keys: [WindowListKey] = []
    var next = place
    while keys.count < limit, let start = try Int64.fetchOne(starts, arguments: [useCase, window, next.start, since]) {
      let first = start == next.start ? next.by : []
      let found = try Data.fetchAll(
        ofStart, arguments: [useCase, window, start, Data(first), limit - keys.count])
      keys += found.map { WindowListKey(start: start, useCase: useCase, window: window, by: [UInt8]($0)) }
      if start == .min { break }
      next = OpenWindowPlace(start: start - 1)
    }
    return keys
  }

  private func windows(
    _ keys: [WindowListKey], behind cursor: WindowListKey?, limit: Int
  ) throws -> ResultPage<StoredWindow> {
    // Then there may be no table of open ones either.
    if keys.isEmpty { return ResultPage(rows: [], next: nil) }
    var definitions = WindowDefinitions()
    let columns = "use_case, window, start, end, by_key, by_values, definition, events, state, source, partition"
    let isMeant = "use_case = ?1 AND window = ?2 AND start = ?3 AND by_key = ?4"
    let select = try database.cachedStatement(
      sql: """
        SELECT \(columns), closed, aggregates, classes FROM window_parts WHERE \(isMeant)
        UNION ALL SELECT \(columns), 0, NULL, NULL FROM (
          SELECT \(columns), max(number) FROM \(OpenWindowTable.name) WHERE \(isMeant)
          GROUP BY definition, source, partition)
        ORDER BY definition DESC, source, partition
        """)
    var found: [StoredWindow] = []
    var bytes = 0
    for key in keys {
      let parts = try Row.fetchAll(select, arguments: [key.useCase, key.window, key.start, Data(key.by)])
      // Of those that the last page ended with, as many were listed.
      let skipped = cursor.map { $0.isSame(as: key) ? $0.listed : 0 } ?? 0
      var listed = 0
      for parts in parts.chunked(by: { $0["definition"] as Int64 }) {
        for window in try self.windows(of: parts, &definitions) {
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
    return ResultPage(rows: found, next: nil)
  }

  /// The names of windows that have parts: of those that have closed a step along the key for each.
  private func windowNames(of useCase: String) throws -> [String] {
    var names: [String] = []
    while let next = try String.fetchOne(
      database, sql: "SELECT min(window) FROM window_parts WHERE use_case = ? AND window > ?",
      arguments: [useCase, names.last ?? ""])
    {
      names.append(next)
    }
    return Set(names).union(try openWindowNames(of: useCase)).sorted()
  }

  /// The window that parts of one definition make; where that definition is no longer known, a window for each part, of open
  /// ones without values.
  private func windows(of parts: [Row], _ definitions: inout WindowDefinitions) throws -> [StoredWindow] {
    let compiled = try definitions.find(parts[0]["definition"], of: parts[0]["use_case"], in: self)
    func window(_ parts: [Row]) -> StoredWindow {
      let first = parts[0]
      return StoredWindow(
        useCase: first["use_case"], window: first["window"], start: first["start"], end: first["end"],
        closed: parts.allSatisfy { $0["closed"] }, events: parts.reduce(0) { $0 + ($1["events"] as Int64) },
        by: first["by_values"], aggregates: first["aggregates"] ?? "{}", classes: first["classes"] ?? "{}",
        classification: compiled?.classificationName)
    }
    let hasValues = parts[0]["aggregates"] as String? != nil
    guard parts.count > 1 || !hasValues else { return [window(parts)] }
    guard let compiled else { return parts.map { window([$0]) } }
    var merged = window(parts)
    let result = try WindowResult.merge(try parts.map(SQLiteCheckpoint.windowPart), of: compiled)
    merged.aggregates = JSONText.object(result.aggregates.map { ($0.name, $0.value) })
    merged.classes = JSONText.object(result.classCounts.map { ($0.name, .int($0.count)) })
    return [merged]
  }

  /// Takes memory for one entity at a time.
  func topEntities(
    of useCase: String, window name: String, by aggregate: String, limit: Int
  ) throws -> [TopEntity] {
    // Where nothing has been read yet, no configuration is on record either.
    guard let text = try configuration(of: useCase) else { return [] }
    let plan = try UseCaseChecker.plan(fromStored: text)
    guard let compiled = plan.windows.first(where: { $0.definition.name == name }),
      let merger = AggregateMerger(compiled, aggregate: aggregate),
      let definition = try Int64.fetchOne(
        database, sql: "SELECT id FROM window_definitions WHERE text = CAST(? AS TEXT)",
        arguments: [WholeText(compiled.fingerprint)])
    else { return [] }
    try gatherOpenWindows(of: useCase, name)
    // Only the keys are sorted, the states are fetched one by one. Open windows have negative numbers.
    let keys = try Row.fetchCursor(
      database,
      sql: """
        SELECT rowid, by_key, start, source, partition, 0 FROM window_parts WHERE use_case = ?1 AND window = ?2
        UNION ALL SELECT -rowid, by_key, start, source, partition, max(number) FROM \(OpenWindowTable.name)
          WHERE use_case = ?1 AND window = ?2 GROUP BY by_key, start, definition, source, partition
        ORDER BY by_key, start, source, partition
        """, arguments: [useCase, name])
    func lookup(_ table: String) throws -> RowLookup {
      try RowLookup("SELECT state, events, by_values FROM \(table) WHERE rowid = ? AND definition = ?", in: database)
    }
    let (parts, open) = (try lookup("window_parts"), try lookup(OpenWindowTable.name))
    var entity = EntityTotal(merger, limit: limit)
    var last: Data?
    while let key = try keys.next() {
      let by: Data = key[1]
      if by != last { entity.finish() }
      last = by
      let number: Int64 = key[0]
      try (number > 0 ? parts : open).find(abs(number), definition) { part in
        if entity.by == nil { entity.by = part.text(2) }
        try merger.add(part.blob(0), events: part.integer(1))
      }
    }
    entity.finish()
    return entity.top
  }
}
