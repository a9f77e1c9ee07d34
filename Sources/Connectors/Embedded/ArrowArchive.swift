// The history of a data directory, read back from its Arrow files.

public import Detection
import Foundation
public import Pipeline

/// Rows of a shard that lie together in its file, and are decoded together.
public struct ShardBlock: Sendable, Hashable {
  public var rows: Range<Int>
  /// Least and greatest event time, microseconds.
  public var firstTime: Int64
  public var lastTime: Int64
}

/// The shards of one use case in a data directory.
public struct ArrowArchive: HistoryArchive {
  private let folder: String
  private let listing: @Sendable () throws -> HistoryListing

  /// - Parameters:
  ///   - folder: what the paths of shards are relative to.
  ///   - listing: what is listed now; may block.
  public init(folder: String, listing: @escaping @Sendable () throws -> HistoryListing) {
    self.folder = folder
    self.listing = listing
  }

  public func latestTime() throws -> Int64? { try listing().latestTime }

  public func shards() throws -> [ArchivedShard] { try listing().shards }

  public func read(_ shard: ArchivedShard, schema: Schema, _ body: (EventBatch) throws -> Void) throws {
    let rows = try read(nil, of: shard, schema: schema, body)
    if let rows, rows != shard.rows { throw Self.other(shard, "\(rows) events, \(shard.rows) are on record") }
  }

  /// Reads the events of a block, as `read(_:schema:_:)` does those of the shard.
  public func read(
    _ block: ShardBlock, of shard: ArchivedShard, schema: Schema, _ body: (EventBatch) throws -> Void
  ) throws {
    let rows = try read(block.rows, of: shard, schema: schema, body)
    if let rows, rows != block.rows.count { throw Self.other(shard, "\(rows) events where there were more") }
  }

  /// Reads some rows of a shard, or all.
  /// - Returns: how many there were; nil where the shard was removed with its day.
  private func read(
    _ rows: Range<Int>?, of shard: ArchivedShard, schema: Schema, _ body: (EventBatch) throws -> Void
  ) throws -> Int? {
    try opened(shard) { reader in
      let fields = schema.fields
      let present = fields.filter { reader.hasColumn($0.name) }
      guard present.contains(where: { $0.name == fields[schema.timeField].name }) else {
        throw Self.timeless(shard, fields[schema.timeField].name)
      }
      try reader.select(
        present.map { ColumnarFileReader.Request($0.name, as: $0.type) }
          + Self.places.map { ColumnarFileReader.Request($0, as: .int) })
      if let rows { try reader.skip(rows: rows.lowerBound) }
      var found = 0
      while let columns = try reader.nextBatch(
        maxRows: min(Limits.maxBatchRows, max(1, (rows?.count ?? .max) - found)), maxBytes: .max)
      {
        try batches(columns, of: shard, schema: schema) { batch in
          found += batch.count
          try body(batch)
        }
        if let rows, found >= rows.count { break }
      }
      return found
    }
  }

  /// The blocks of a shard, in order; none where it was removed with its day. Event times alone are read.
  /// - Parameter time: the field with the event time.
  /// - Throws: `OperatingError` as `read(_:schema:_:)` does.
  public func blocks(of shard: ArchivedShard, time: String) throws -> [ShardBlock] {
    let blocks = try opened(shard) { reader in
      guard reader.hasColumn(time) else { throw Self.timeless(shard, time) }
      try reader.select([ColumnarFileReader.Request(time)])
      var blocks: [ShardBlock] = []
      while let columns = try reader.nextBatch(maxRows: Limits.maxBatchRows, maxBytes: .max) {
        guard let column = columns.first?.column, case .timestamp(let times) = column.values, column.validity == nil,
          let first = times.min(), let last = times.max()
        else { throw OperatingError(.store, "the history shard \(shard.path) has events without a time or place") }
        let start = blocks.last?.rows.upperBound ?? 0
        blocks.append(ShardBlock(rows: start..<start + times.count, firstTime: first, lastTime: last))
      }
      let rows = blocks.last?.rows.upperBound ?? 0
      if rows != shard.rows { throw Self.other(shard, "\(rows) events, \(shard.rows) are on record") }
      return blocks
    }
    return blocks ?? []
  }

  private static func timeless(_ shard: ArchivedShard, _ time: String) -> OperatingError {
    OperatingError(.store, "the history shard \(shard.path) has no column \(time), the event time")
  }

  /// Calls `body` with a reader of a shard.
  /// - Returns: nil where the shard has fallen behind what is kept since it was listed: it is not missed.
  private func opened<Value>(_ shard: ArchivedShard, _ body: (ColumnarFileReader) throws -> Value) throws -> Value? {
    do { return try body(try open(shard)) } catch let error as ColumnarFileError {
      if case .system(ENOENT) = error.reason, try !shards().contains(where: { $0.path == shard.path }) { return nil }
      throw OperatingError(.store, "the history shard \(shard.path) cannot be read: \(error.message)")
    }
  }

  /// Reads a listed shard whole.
  /// - Throws: `OperatingError` when it is not there, is damaged, or has another size or number of rows than are on record.
  func check(_ shard: ArchivedShard) throws {
    let found = try opened(shard) { reader in
      var rows = 0
      while let columns = try reader.nextBatch(maxRows: Limits.maxBatchRows, maxBytes: .max) {
        rows += columns.first?.column.count ?? 0
      }
      return rows
    }
    if let found, found != shard.rows { throw Self.other(shard, "\(found) events, \(shard.rows) are on record") }
  }

  /// A listed shard has its temporary name until the run that wrote it has given it the final one.
  private func open(_ shard: ArchivedShard) throws -> ColumnarFileReader {
    let path = folder + "/" + shard.path
    do { return try open(path, shard) } catch let error as ColumnarFileError {
      guard case .system(ENOENT) = error.reason else { throw error }
      let name = (path as NSString).lastPathComponent
      let folder = (path as NSString).deletingLastPathComponent
      // Between two looks it may have got its name.
      if let reader = try? open("\(folder)/.\(name).tmp", shard) { return reader }
      return try open(path, shard)
    }
  }

  /// A file of another size is another file: one that was copied over it, or cut short.
  private func open(_ path: String, _ shard: ArchivedShard) throws -> ColumnarFileReader {
    let reader = try ColumnarFileReader(path: path)
    let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? NSNumber
    if let expected = shard.bytes, expected > 0, let size, size.int64Value != expected {
      throw Self.other(shard, "\(size.int64Value) bytes, \(expected) are on record")
    }
    return reader
  }

  private static func other(_ shard: ArchivedShard, _ difference: String) -> OperatingError {
    OperatingError(
      .store, "the history shard \(shard.path) is not the one that was written: it has \(difference). Restore it")
  }

  /// Columns that say where an event came from.
  private static let places = ["_segment", "_offset", "_row"]

  /// The rows as batches: one for each run of rows of one segment.
  private func batches(
    _ columns: [NamedColumn], of shard: ArchivedShard, schema: Schema, _ body: (EventBatch) throws -> Void
  ) throws {
    let byName = Dictionary(columns.map { ($0.name, $0.column) }, uniquingKeysWith: { first, _ in first })
    let count = columns.first?.column.count ?? 0
    let fields = try schema.fields.map { field -> Column in
      let type = field.type.valueType
      guard let column = byName[field.name] else { return Column(type, [Scalar](repeating: .null, count: count)) }
      guard column.type == type else {
        throw OperatingError(
          .store,
          "the history shard \(shard.path) has \(field.name) as \(column.type.rawValue), the use case as "
            + "\(type.rawValue): its type has changed since then")
      }
      return column
    }
    let places = Self.places.compactMap { name -> [Int64]? in
      if case .int(let values)? = byName[name]?.values { values } else { nil }
    }
    guard case .timestamp(let times) = fields[schema.timeField].values, fields[schema.timeField].validity == nil,
      places.count == Self.places.count
    else { throw OperatingError(.store, "the history shard \(shard.path) has events without a time or place") }
    var first = 0
    while first < count {
      let end = places[0][first...].firstIndex { $0 != places[0][first] } ?? count
      let rows = first..<end
      let batch = EventBatch(
        partition: shard.partition,
        positions: RecordPositions(
          segment: UInt32(clamping: places[0][first]), offsets: Array(places[1][rows]), rows: Array(places[2][rows])),
        eventTimes: Array(times[rows]),
        columns: rows.count == count ? fields : fields.map { $0.slice(rows) })
      try body(batch)
      first = end
    }
  }
}

extension Column {
  fileprivate func slice(_ rows: Range<Int>) -> Column {
    var builder = ColumnBuilder(type, capacity: rows.count)
    builder.append(self, rows: rows)
    return builder.finish()
  }
}
