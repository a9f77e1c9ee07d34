// Events from history: those of an entity in a span of time, and what an aspect of all of them is. Only as many rows are
// looked at as a page may wait for; what is read, is read from the newest file on.

import Connectors
import Detection
import Pipeline

/// The stored history of a use case, for questions about few of its fields.
struct EntityHistory: Sendable {
  private let archive: ArrowArchive
  private let index: ShardIndex
  private let schema: Schema

  /// Rows that one question looks at.
  static let mostRows = 4_000_000

  /// - Parameter fields: names of fields of events that are needed, beside time and key.
  init(_ useCase: ServedUseCase, fields: Set<String>) {
    archive = useCase.store.reader.archive(of: useCase.name)
    index = useCase.store.index
    schema = useCase.plan.schema.rendered.keeping(fields)
  }

  /// The files that may have events of a span of time, the newest first.
  func shards(from: Int64, to: Int64) throws -> [ArchivedShard] {
    try archive.shards().filter { $0.lastTime >= from && $0.firstTime < to }
      .sorted { ($1.lastTime, $1.number, $0.path) < ($0.lastTime, $0.number, $1.path) }
  }

  /// An event with the fields that were asked for.
  struct Event: Sendable {
    var time: Int64
    var values: [String: Scalar]
  }

  /// Calls `body` with batches of events that may lie in a span of time, the newest files first and within each the newest
  /// blocks; ends where it returns false, or where enough has been looked at.
  /// - Parameter isWanted: whether events up to a time are to be read, asked before each file and block.
  /// - Returns: whether more would have had to be looked at than one question may.
  @discardableResult
  func forEachBatch(
    from: Int64, to: Int64, where isWanted: (Int64) throws -> Bool = { _ in true },
    _ body: (EventBatch, Schema) throws -> Bool
  ) throws -> Bool {
    struct Enough: Error {}
    var rows = 0
    var isCut = false
    do {
      for shard in try shards(from: from, to: to) where try isWanted(shard.lastTime) {
        let blocks = try index.blocks(of: shard, in: archive, time: schema.fields[schema.timeField].name)
          .filter { $0.lastTime >= from && $0.firstTime < to }
          .sorted { ($1.lastTime, $1.rows.lowerBound) < ($0.lastTime, $0.rows.lowerBound) }
        for block in blocks where try isWanted(block.lastTime) {
          try archive.read(block, of: shard, schema: schema) { batch in
            try checkIsWanted()
            rows += batch.count
            guard try body(batch, schema) else { throw Enough() }
            isCut = rows >= Self.mostRows
            if isCut { throw Enough() }
          }
        }
      }
    } catch is Enough {}
    return isCut
  }

  /// The events of an entity in a span of time, by time.
  /// - Parameter limit: events at most; those nearest to `near` stay.
  func events(of key: String, from: Int64, to: Int64, near: Int64, limit: Int) throws -> [Event] {
    var events: [Event] = []
    try forEachBatch(from: from, to: to) { batch, schema in
      guard let keyField = schema.keyField else { return false }
      for row in 0..<batch.count where batch.eventTimes[row] >= from && batch.eventTimes[row] < to {
        guard batch.columns[keyField][row].plainText == key else { continue }
        var values: [String: Scalar] = [:]
        for (index, field) in schema.fields.enumerated() { values[field.name] = batch.columns[index][row] }
        events.append(Event(time: batch.eventTimes[row], values: values))
      }
      return true
    }
    if events.count > limit {
      events.sort { abs($0.time - near) < abs($1.time - near) }
      events.removeSubrange(limit...)
    }
    return events.sorted { $0.time < $1.time }
  }
}

extension Schema {
  /// The same with some fields alone, the event time and the key among them.
  fileprivate func keeping(_ names: Set<String>) -> Schema {
    let kept = fields.indices.filter { $0 == timeField || $0 == keyField || names.contains(fields[$0].name) }
    return Schema(
      fields: kept.map { fields[$0] }, timeField: kept.firstIndex(of: timeField) ?? 0,
      keyField: keyField.flatMap { kept.firstIndex(of: $0) })
  }
}
