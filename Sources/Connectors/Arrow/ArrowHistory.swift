// History as Arrow IPC files by day, which other tools read without asking us. The format is described in
// docs/history.md; its version stands in the metadata of every file.

import Detection
import Foundation
public import Pipeline

/// Writes shards below a data directory.
public struct ArrowHistory: HistoryEncoder {
  /// Version of the layout of shards and tails.
  public static let formatVersion = 1

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

  private func encoder(for layout: HistoryLayout) -> ShardEncoder {
    ShardEncoder(
      names: layout.columns.map(\.name), codec: codec,
      metadata: [(Self.formatKey, String(Self.formatVersion)), ("pulse.use_case", useCase)])
  }

  public func writeShard(_ rows: HistoryRows, to path: String) throws -> Int64 {
    try directory.expect(identity)
    let path = directory.path + "/" + path
    let folder = (path as NSString).deletingLastPathComponent
    do {
      try Self.create(folder: folder)
      try encoder(for: rows.layout).write(rows.columns, to: path)
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

  public func encodeTail(_ rows: HistoryRows) throws -> [UInt8] {
    try encoder(for: rows.layout).encodeTail(rows.columns)
  }

  public func decodeTail(_ bytes: [UInt8]) throws -> HistoryRows {
    do {
      let (columns, metadata) = try ShardEncoder.decodeBatch(bytes)
      let version = metadata[Self.formatKey] ?? "none"
      guard version == String(Self.formatVersion) else {
        throw CodingError("its version is \(version), expected \(Self.formatVersion)")
      }
      return HistoryRows(
        layout: HistoryLayout(columns: columns.map { HistoryLayout.Column(name: $0.name, type: $0.column.type) }),
        columns: columns.map(\.column))
    } catch { throw CodingError("a history tail: \(error)") }
  }
}
