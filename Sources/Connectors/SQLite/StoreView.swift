// What a snapshot of the embedded store says, read by SQL. Everything here runs in one transaction of the caller, on a
// thread that may block. Stores of earlier versions that nothing has written to since are read as they are.

import Configuration
import Detection
import Foundation
import GRDB
import Pipeline

/// The tables of a store in a transaction.
struct StoreView {
  let database: Database

  init(_ database: Database) { self.database = database }

  func useCases() throws -> [String] {
    try String.fetchAll(
      database, sql: "SELECT use_case FROM partitions UNION SELECT use_case FROM activations ORDER BY 1")
  }

  func names(of useCase: String?) throws -> ResultNames {
    let condition = useCase == nil ? "" : "WHERE use_case = ?"
    let values: [String] = useCase.map { [$0] } ?? []
    let arguments = StatementArguments(values)
    func fetch(_ sql: String) throws -> Set<String> {
      try Set(String.fetchAll(database, sql: "\(sql) \(condition)", arguments: arguments))
    }
    var detectors = try fetch("SELECT DISTINCT detector FROM anomalies")
    var windows = try fetch("SELECT DISTINCT window FROM window_parts").union(openWindowNames(of: useCase))
    let texts = try WholeText.fetchAll(
      database, sql: "SELECT DISTINCT text FROM configurations \(condition)", arguments: arguments)
    for text in texts {
      guard case .success(let useCase) = UseCaseReader.read(text.text, isStored: true) else { continue }
      detectors.formUnion(useCase.rules.map(\.name) + useCase.detectors.map(\.name))
      windows.formUnion(useCase.windows.map(\.name))
    }
    return ResultNames(detectors: detectors.sorted(), windows: windows.sorted())
  }

  func listing(of useCase: String) throws -> HistoryListing {
    let shards = try Row.fetchAll(
      database,
      sql: """
        SELECT source, partition, day, number, rows, first_time, last_time, path, bytes FROM history_shards
        WHERE use_case = ? ORDER BY day, source, partition, number
        """, arguments: [useCase]
    ).map { row in
      ArchivedShard(
        partition: PartitionID(source: row[0], number: row[1]), day: row[2], number: row[3], rows: row[4],
        firstTime: row[5], lastTime: row[6], path: row[7], bytes: row[8])
    }
    let latest = try Int64.fetchOne(
      database, sql: "SELECT max(watermark) FROM partitions WHERE use_case = ?", arguments: [useCase])
    return HistoryListing(shards: shards, latestTime: latest)
  }

  func tails(of useCase: String) throws -> [PartitionID: [HistoryTail]] {
    // Tails had other columns before version 2, and are of a run that has not been continued since.
    guard try database.columns(in: "history_tails").contains(where: { $0.name == "days" }) else { return [:] }
    var tails: [PartitionID: [HistoryTail]] = [:]
    let rows = try Row.fetchCursor(
      database,
      sql: """
        SELECT source, partition, number, days, bytes FROM history_tails WHERE use_case = ?
        ORDER BY source, partition, number
        """, arguments: [useCase])
    while let row = try rows.next() {
      tails[PartitionID(source: row[0], number: row[1]), default: []].append(
        HistoryTail(number: row[2], days: try TailDays.parse(row[3]), bytes: [UInt8](row[4] as Data)))
    }
    return tails
  }

  static func partition(_ row: Row) -> PartitionID { PartitionID(source: row["source"], number: row["partition"]) }

  static func position(_ row: Row) -> Position {
    Position(segment: row["segment"], offset: row["offset"], row: row["row"])
  }

  /// Whether a table has a column: those of earlier versions may not.
  func has(_ column: String, in table: String) throws -> Bool {
    try database.columns(in: table).contains { $0.name == column }
  }
}
