// History as Arrow IPC files by day, which other tools read without asking us. The format is described in
// docs/history.md; its version stands in the metadata of every file.

public import Detection
import Foundation
public import Pipeline

/// Writes shards below a data directory.
public struct ArrowHistory: HistoryEncoder {
  /// Version of the layout of shards and tails. Since 2 they say of which partition each row is.
  private static let formatVersion = 2

  private static let formatKey = "pulse.format"

  private let directory: DataDirectory
  private let useCase: String
  private let codec: ShardEncoder.Codec
  /// What the path of the directory led to at the beginning; nil where there was nothing.
  private let identity: DataDirectory.Identity?

  public init(in directory: DataDirectory, useCase: String, codec: ShardEncoder.Codec = .lz4) {
    self.directory = directory
    self.useCase = useCase
    self.codec = codec
    identity = try? directory.identity()
  }

  /// What a file or tail with some rows consists of.
  private func content(_ rows: HistoryRows, of partition: PartitionID) -> (encoder: ShardEncoder, columns: [Column]) {
    var (names, columns, version) = (rows.layout.columns.map(\.name), rows.columns, Self.formatVersion)
    if HistoryColumns.addedInFormat2.isDisjoint(with: names) {
      names += [HistoryColumns.source, HistoryColumns.partition]
      let codes = [UInt32](repeating: 0, count: rows.count)
      let source = StringColumn([partition.source])
      columns.append(Column(.string(StringColumn(offsets: source.offsets, bytes: source.bytes, codes: codes))))
      columns.append(Column(.int([Int64](repeating: Int64(partition.number), count: rows.count))))
    } else {
      // Rows that waited when a field could have one of these names.
      version = 1
    }
    let encoder = ShardEncoder(
      names: names, dictionaries: version > 1 ? [HistoryColumns.source] : [], codec: codec,
      metadata: [(Self.formatKey, String(version)), ("pulse.use_case", useCase)])
    return (encoder, columns)
  }

  public func writeShard(_ rows: HistoryRows, of partition: PartitionID, to path: String) throws -> Int64 {
    try directory.expect(identity)
    let path = directory.path + "/" + path
    let folder = (path as NSString).deletingLastPathComponent
    do {
      try Self.create(folder: folder)
      let (encoder, columns) = content(rows, of: partition)
      try encoder.write(columns, to: path)
    } catch {
      throw OperatingError(
        .store,
        "history cannot be written to \(path): \(Self.reason(error)). Free some space or mend the folder and run again: "
          + "what was committed is kept, the rest is read again")
    }
    try DataDirectory.sync(folder: folder)
    let attributes = try FileManager.default.attributesOfItem(atPath: path)
    return (attributes[.size] as? NSNumber)?.int64Value ?? 0
  }

  /// Why, without the path, which the message around it has, and without the full stop that follows it.
  private static func reason(_ error: any Error) -> String {
    var text = (error as? ColumnarFileError)?.message ?? systemReason(error)
    while text.hasSuffix(".") { text.removeLast() }
    return text
  }

  /// Creates a folder and the missing ones above it. A new folder survives a power failure only when the folder that
  /// holds it has been synced.
  private static func create(folder: String) throws {
    if access(folder, F_OK) == 0 { return }
    let above = (folder as NSString).deletingLastPathComponent
    if !above.isEmpty && above != folder { try create(folder: above) }
    if mkdir(folder, 0o755) != 0 && errno != EEXIST { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
    try DataDirectory.sync(folder: above.isEmpty ? "." : above)
  }

  public func publish(_ shards: [HistoryShard]) throws {
    try directory.expect(identity)
    try directory.publish(shards.map { ($0.temporaryPath, $0.path) })
  }

  public func remove(_ paths: [String]) throws { try directory.remove(paths) }

  public func encodeTail(_ rows: HistoryRows, of partition: PartitionID) throws -> [UInt8] {
    let (encoder, columns) = content(rows, of: partition)
    return try encoder.encodeTail(columns)
  }

  public func decodeTail(_ bytes: [UInt8]) throws -> HistoryRows {
    do {
      var (columns, metadata) = try ShardEncoder.decodeBatch(bytes)
      let version = metadata[Self.formatKey] ?? "none"
      guard (1...Self.formatVersion).contains(Int(version) ?? 0) else {
        throw CodingError("its version is \(version), expected 1 to \(Self.formatVersion)")
      }
      // The store knows whose tail it is, and rows that wait need not say so.
      if version != "1" { columns.removeAll { HistoryColumns.addedInFormat2.contains($0.name) } }
      return HistoryRows(
        layout: HistoryLayout(columns: columns.map { HistoryLayout.Column(name: $0.name, type: $0.column.type) }),
        columns: columns.map(\.column))
    } catch { throw CodingError("a history tail: \(error)") }
  }
}
