// Which models scored what in a run, and the models themselves: what another run needs in order to come to the same
// results.

import Foundation
import GRDB

/// The activations of models that a data directory has on record, with its models.
struct ModelTrail {
  /// An entry of the activation log.
  struct Entry: Sendable {
    var source: String
    var partition: Int64
    var from: StoredPosition
    var detector: String
    var version: String
  }

  let useCase: String
  /// In the order in which they were recorded.
  private(set) var entries: [Entry]
  private let models: String

  /// - Parameter dataDirectory: may be in use by a run.
  init(useCase: String, dataDirectory: String) throws {
    self.useCase = useCase
    models = dataDirectory + "/models"
    var configuration = Configuration()
    configuration.readonly = true
    let queue = try DatabaseQueue(path: dataDirectory + "/pulse.sqlite", configuration: configuration)
    entries = try queue.read { database in
      try Row.fetchAll(
        database, sql: "SELECT * FROM activations WHERE use_case = ? AND kind = 'model' ORDER BY sequence",
        arguments: [useCase]
      ).map { row in
        Entry(
          source: row["source"], partition: row["partition"],
          from: StoredPosition(segment: row["segment"], offset: row["offset"], row: row["row"]),
          detector: row["detector"], version: row["version"])
      }
    }
  }

  /// Places where the version of a detector changes, ascending.
  var swaps: [StoredPosition] { Set(entries.map(\.from)).sorted() }

  /// Versions by detector, in the order in which they came.
  var versions: [String: [String]] {
    entries.reduce(into: [:]) { versions, entry in
      if versions[entry.detector]?.contains(entry.version) != true {
        versions[entry.detector, default: []].append(entry.version)
      }
    }
  }

  /// The same models with nothing on record.
  func withoutEntries() -> ModelTrail {
    var trail = self
    trail.entries = []
    return trail
  }

  /// The same as if the last swap had not been.
  func withoutLastEntry() -> ModelTrail {
    var trail = self
    trail.entries.removeLast()
    return trail
  }

  /// Makes a data directory in which this is on record and nothing else has happened.
  /// - Parameters:
  ///   - folder: the use case's.
  ///   - champions: by detector; those not given are the last on record, so that a run activates nothing.
  func plant(
    in data: String, _ command: CrashCommand, useCase folder: String, champions: [String: String] = [:]
  ) throws {
    // Standard input that is empty leaves nothing; of files it would be on record which there were.
    try command.run([
      "run", "--use-case", folder, "--data", data, "--quiet", "--source", "-", "--source-name", "nothing",
    ])
    try FileManager.default.copyItem(atPath: models, toPath: data + "/models")
    var last = champions
    for entry in entries { last[entry.detector] = entry.version }
    for (detector, version) in last.sorted(by: { $0.key < $1.key }) {
      try command.run(["models", "promote", folder, detector, version, "--data", data])
    }
    try DatabaseQueue(path: data + "/pulse.sqlite").write { database in
      guard try Int.fetchOne(database, sql: "SELECT count(*) FROM activations") == 0 else {
        throw CrashError("a run without events has activated something")
      }
      for entry in entries {
        try database.execute(
          sql: """
            INSERT INTO activations (use_case, source, partition, segment, offset, row, kind, detector, version)
            VALUES (?, ?, ?, ?, ?, ?, 'model', ?, ?)
            """,
          arguments: [
            useCase, entry.source, entry.partition, entry.from.segment, entry.from.offset, entry.from.row,
            entry.detector, entry.version,
          ])
      }
    }
  }
}
