// Windows as a reader sees them. Parts of a window that lie in several partitions are merged here, sketches included, in
// the order of the partitions.

import Configuration
import Detection
import Foundation
import GRDB
import Pipeline

extension StoreView {
  /// Ordered by: start descending, use case, window and values ascending, definition descending. Along the primary key of
  /// each window, so that a page costs what it holds.
  func windows(_ filter: ResultFilter, after page: PageCursor?) throws -> ResultPage<StoredWindow> {
    let cursor = try page.map { try WindowListKey($0) }
    var keys: [WindowListKey] = []
    let limit = Self.pageRows(filter)
    for useCase in try filter.useCase.map({ [$0] }) ?? useCasesWithResults() {
      for window in try filter.name.map({ [$0] }) ?? windowNames(of: useCase) {
        var conditions = QueryConditions()
        conditions.add("use_case = ? AND window = ?", useCase, window)
        conditions.add("start >= ?", ifPresent: filter.from)
        conditions.add("start < ?", ifPresent: filter.to)
        if let cursor {
          let (a, b) = ((useCase, window), (cursor.useCase, cursor.window))
          if a < b {
            conditions.add("start < ?", cursor.start)
          } else if a > b {
            conditions.add("start <= ?", cursor.start)
          } else {
            // The key itself may have more definitions.
            conditions.add("start <= ? AND (start < ? OR by_key >= ?)", cursor.start, cursor.start, Data(cursor.by))
          }
        }
        let rows = try Row.fetchCursor(
          database,
          sql: """
            SELECT start, by_key FROM window_parts WHERE \(conditions.text) GROUP BY start, by_key
            ORDER BY start DESC, by_key LIMIT \(limit + 1)
            """, arguments: StatementArguments(conditions.values))
        while let row = try rows.next() {
          keys.append(
            WindowListKey(start: row[0], useCase: useCase, window: window, by: [UInt8](row[1] as Data)))
        }
      }
    }
    // Those of one window are in order.
    keys.sort { a, b in (b.start, a.useCase, a.window) < (a.start, b.useCase, b.window) }
    return try windows(keys, behind: cursor, limit: limit)
  }

  private func windows(
    _ keys: [WindowListKey], behind cursor: WindowListKey?, limit: Int
  ) throws -> ResultPage<StoredWindow> {
    var definitions = WindowDefinitions()
    let select = try database.cachedStatement(
      sql: """
        SELECT * FROM window_parts WHERE use_case = ? AND window = ? AND start = ? AND by_key = ?
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

  /// The names of windows that have parts: a step along the key for each.
  private func windowNames(of useCase: String) throws -> [String] {
    var names: [String] = []
    while let next = try String.fetchOne(
      database, sql: "SELECT min(window) FROM window_parts WHERE use_case = ? AND window > ?",
      arguments: [useCase, names.last ?? ""])
    {
      names.append(next)
    }
    return names
  }

  /// The window that parts of one definition make; where that definition is no longer known, a window for each part.
  private func windows(of parts: [Row], _ definitions: inout WindowDefinitions) throws -> [StoredWindow] {
    let compiled = try definitions.find(parts[0]["definition"], of: parts[0]["use_case"], in: database)
    func window(_ parts: [Row]) -> StoredWindow {
      let first = parts[0]
      return StoredWindow(
        useCase: first["use_case"], window: first["window"], start: first["start"], end: first["end"],
        closed: parts.allSatisfy { $0["closed"] }, events: parts.reduce(0) { $0 + ($1["events"] as Int64) },
        by: first["by_values"], aggregates: first["aggregates"], classes: first["classes"],
        classification: compiled?.classificationName)
    }
    guard parts.count > 1 else { return [window(parts)] }
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
    guard let text = try WindowDefinitions.texts(of: useCase, in: database).first else { return [] }
    let plan = try UseCaseChecker.plan(fromStored: text)
    guard let compiled = plan.windows.first(where: { $0.definition.name == name }),
      let merger = AggregateMerger(compiled, aggregate: aggregate),
      let definition = try Int64.fetchOne(
        database, sql: "SELECT id FROM window_definitions WHERE text = CAST(? AS TEXT)",
        arguments: [WholeText(compiled.fingerprint)])
    else { return [] }
    // Only the keys are sorted, the states are fetched one by one.
    let keys = try Row.fetchCursor(
      database,
      sql: """
        SELECT rowid, by_key FROM window_parts WHERE use_case = ? AND window = ?
        ORDER BY by_key, start, source, partition
        """, arguments: [useCase, name])
    let parts = try RowLookup(
      "SELECT state, events, by_values FROM window_parts WHERE rowid = ? AND definition = ?", in: database)
    var entity = EntityTotal(merger, limit: limit)
    var last: Data?
    while let key = try keys.next() {
      let by: Data = key[1]
      if by != last { entity.finish() }
      last = by
      try parts.find(key[0], definition) { part in
        if entity.by == nil { entity.by = part.text(2) }
        try merger.add(part.blob(0), events: part.integer(1))
      }
    }
    entity.finish()
    return entity.top
  }
}

/// Where a list of windows stands.
private struct WindowListKey {
  var start: Int64
  var useCase: String
  var window: String
  /// The values, as the key has them.
  var by: [UInt8]
  /// How many windows of this key were listed: one for each definition.
  var listed = 0

  init(start: Int64, useCase: String, window: String, by: [UInt8]) {
    self.start = start
    self.useCase = useCase
    self.window = window
    self.by = by
  }

  init(_ cursor: PageCursor) throws {
    let keys = try StoreView.keys(cursor, count: 5)
    self.init(start: keys[0].integer, useCase: keys[1].text, window: keys[2].text, by: Self.bytes(keys[3].text))
    listed = Int(keys[4].integer)
  }

  var cursor: PageCursor {
    // Bytes are no text: each is a character.
    PageCursor([
      .int(start), .string(useCase), .string(window),
      .string(String(String.UnicodeScalarView(by.map { Unicode.Scalar($0) }))), .int(Int64(listed)),
    ])
  }

  private static func bytes(_ text: String) -> [UInt8] {
    text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
  }

  func isSame(as other: WindowListKey) -> Bool {
    (start, useCase, window) == (other.start, other.useCase, other.window) && by == other.by
  }
}

/// The definitions that stored parts were made by, found again in the configurations on record.
private struct WindowDefinitions {
  private var found: [Int64: CompiledWindow?] = [:]
  /// The windows of a use case's configurations by fingerprint, newest first, as far as they have been read.
  private var windows: [String: [String: CompiledWindow]] = [:]
  private var unread: [String: IndexingIterator<[String]>] = [:]

  /// The texts of a use case's configurations, that applied last first.
  static func texts(of useCase: String, in database: Database) throws -> [String] {
    try WholeText.fetchAll(
      database,
      sql: """
        SELECT c.text FROM activations a JOIN configurations c USING (use_case, version)
        WHERE a.use_case = ? AND a.kind = 'configuration' GROUP BY version ORDER BY max(a.sequence) DESC
        """, arguments: [useCase]
    ).map(\.text)
  }

  /// The definition with this number; nil where no configuration on record has it.
  /// - Throws: `OperatingError` when the newest configuration cannot be read.
  mutating func find(_ definition: Int64, of useCase: String, in database: Database) throws -> CompiledWindow? {
    if let known = found[definition] { return known }
    let text = try WholeText.fetchOne(
      database, sql: "SELECT text FROM window_definitions WHERE id = ?", arguments: [definition])?.text
    let isFirst = unread[useCase] == nil
    var rest = try unread[useCase] ?? Self.texts(of: useCase, in: database).makeIterator()
    if isFirst, let newest = rest.next() { add(try UseCaseChecker.plan(fromStored: newest)) }
    while windows[useCase]?[text ?? ""] == nil, let older = rest.next() {
      // An older one that this version no longer reads is passed over.
      if let plan = try? UseCaseChecker.plan(fromStored: older) { add(plan) }
    }
    unread[useCase] = rest
    let window = windows[useCase]?[text ?? ""]
    found[definition] = .some(window)
    return window
  }

  private mutating func add(_ plan: Plan) {
    for window in plan.windows {
      windows[plan.useCase.name, default: [:]][window.fingerprint] =
        windows[plan.useCase.name]?[window.fingerprint] ?? window
    }
  }
}

/// Of the entities whose windows are merged one after another, those with the highest value.
private struct EntityTotal {
  private let merger: AggregateMerger
  private let limit: Int
  /// The values of the entity that is being merged; nil while there is no part of it.
  var by: String?
  /// Highest first.
  private(set) var top: [TopEntity] = []

  init(_ merger: AggregateMerger, limit: Int) {
    self.merger = merger
    self.limit = limit
  }

  /// Ends the entity; nothing where it had no part.
  mutating func finish() {
    guard let by else { return }
    let total = merger.take()
    self.by = nil
    let value: Double
    switch total.value {
    case .scalar(.double(let number)): value = number
    case .scalar(.int(let number)): value = Double(number)
    default: return
    }
    top.append(TopEntity(by: by, events: total.events, value: value))
    top.sort { ($1.value, $0.by) < ($0.value, $1.by) }
    if top.count > limit { top.removeLast() }
  }
}

extension Array {
  /// Runs of neighbours with the same key.
  fileprivate func chunked<Key: Equatable>(by key: (Element) -> Key) -> [[Element]] {
    var chunks: [[Element]] = []
    var last: Key?
    for element in self {
      let key = key(element)
      if key == last { chunks[chunks.count - 1].append(element) } else { chunks.append([element]) }
      last = key
    }
    return chunks
  }
}
