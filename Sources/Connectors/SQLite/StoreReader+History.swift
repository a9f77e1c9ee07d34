// What the store knows of history files.

import Detection
import GRDB
public import Pipeline

extension StoreReader {
  /// The shards of a use case that are listed, by day, partition and number.
  public func shards(of useCase: String) throws -> [ArchivedShard] {
    try read { database in
      try Row.fetchAll(
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
    }
  }

  /// The highest watermark of the partitions of a use case, microseconds; nil where there is none.
  public func latestWatermark(of useCase: String) throws -> Int64? {
    try read {
      try Int64.fetchOne($0, sql: "SELECT max(watermark) FROM partitions WHERE use_case = ?", arguments: [useCase])
    }
  }
}
