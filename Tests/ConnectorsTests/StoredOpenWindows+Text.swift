// Open windows of a store as text: they are in segments, and which one has what may differ between runs.

import Detection
import Foundation
import GRDB

@testable import Connectors

extension StoredOpenWindows {
  /// The open windows of all partitions, each a line.
  static func lines(in directory: DataDirectory) throws -> [String] {
    try DatabaseQueue(path: directory.databasePath).read { database in
      try Row.fetchAll(
        database,
        sql: """
          SELECT use_case, source, partition, space FROM state_spaces WHERE space GLOB 'window/*' ORDER BY 1, 2, 3, 4
          """
      ).flatMap { place -> [String] in
        let entries = try Row.fetchAll(
          database,
          sql: """
            SELECT key, value FROM state WHERE (use_case, source, partition, space) = (?, ?, ?, ?) ORDER BY key
            """, arguments: [place[0] as String, place[1] as String, place[2] as Int, place[3] as String]
        ).map { StateEntry(key: [UInt8]($0[0] as Data), value: [UInt8]($0[1] as Data)) }
        if entries.isEmpty { return [] }
        return try StoredOpenWindows(entries, of: place[3]).parts.map { "\(place[2] as Int) \($0)" }
      }
    }
  }
}
