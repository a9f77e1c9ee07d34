// Models that take over in the middle, with everything stored in the embedded store: restarts give what a run from the
// beginning gives.

import Connectors
import Detection
import Foundation
import GRDB
import Logging
import Pipeline
import TestKit
import Testing

@Suite(.timeLimit(.minutes(15))) struct StoredModelsTests {
  private static let folder = FileManager.default.temporaryDirectory.path + "/stored-models-\(getpid())"

  private static func rows(_ data: String, _ query: String) throws -> [String] {
    try DatabaseQueue(path: data + "/pulse.sqlite").read { database in
      try Row.fetchAll(database, sql: query).map { row in row.map { "\($0.1)" }.joined(separator: "|") }
    }
  }

  private static let results = [
    """
    SELECT use_case, source, partition, segment, offset, row, detector, subject, event_time, key, score, severity, reason,
      model, explanation, event FROM anomalies ORDER BY partition, offset, detector
    """,
    """
    SELECT use_case, source, partition, segment, offset, row, watermark, stage, reason, field, message, hex(raw), length
    FROM dead_letters ORDER BY partition, offset
    """,
    "SELECT * FROM drift ORDER BY partition, detector, version, day",
    "SELECT partition, offset, watermark, totals FROM partitions ORDER BY partition",
    "SELECT window, partition, start, hex(by_key), hex(state) FROM window_parts ORDER BY 1, 2, 3, 4",
  ]

  /// Retention removes days while a training reads.
  @Test func `a shard that has been removed since it was listed is not missed, one that is gone is`() async throws {
    let folder = try TestFolder()
    let (plan, version) = try LearnedUseCase.plan()
    let directory = DataDirectory(path: folder.path)
    let store = try SQLiteStore(in: directory)
    try await Pipeline(
      plan: plan, version: version,
      source: MemorySource(partitions: [LearnedUseCase.records(500, seed: 21)], batchSizes: [64]), store: store,
      encoder: ArrowHistory(in: directory, useCase: plan.useCase.name, codec: .none),
      options: Pipeline.Options(workers: 1), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    ).run()
    let archive = try SQLiteReader(directory).archive(of: plan.useCase.name)
    let shard = try #require(try archive.shards().first)
    func count() throws -> Int {
      var count = 0
      try archive.read(shard, schema: plan.schema) { count += $0.count }
      return count
    }
    #expect(try count() == shard.rows)
    // Another file under its name.
    let other = try #require(try archive.shards().last)
    #expect(other.path != shard.path)
    let bytes = try Data(contentsOf: URL(fileURLWithPath: folder / shard.path))
    try Data(contentsOf: URL(fileURLWithPath: folder / other.path)).write(to: URL(fileURLWithPath: folder / shard.path))
    #expect { try count() } throws: { "\($0)".contains("is not the one that was written") }
    try bytes.write(to: URL(fileURLWithPath: folder / shard.path))
    #expect(try count() == shard.rows)
    // A use case with a field more, in front of the others.
    let later = try LearnedUseCase.plan { $0.replacing("    at: {", with: "    extra: {type: int}\n    at: {") }.plan
    var seen = 0
    try archive.read(shard, schema: later.schema) { seen += $0.count }
    #expect(seen == shard.rows)
    try FileManager.default.removeItem(atPath: folder / shard.path)
    #expect { try count() } throws: { "\($0)".contains(shard.path) && "\($0)".contains("No such file") }
    try await DatabaseQueue(path: folder / "pulse.sqlite").write { database in
      try database.execute(sql: "DELETE FROM history_shards WHERE path = ?", arguments: [shard.path])
    }
    #expect(try count() == 0)
  }

  @Test func `models take over and are rolled back in the store`() async throws {
    let (plan, version) = try LearnedUseCase.plan()
    let records = [LearnedUseCase.records(500, seed: 21), LearnedUseCase.records(400, seed: 22)]
    let models = try ["v1", "v2"].map { try LearnedUseCase.model(of: "odd", $0, for: plan) }
    defer { try? FileManager.default.removeItem(atPath: Self.folder) }

    func run(
      _ name: String, upTo counts: [Int], _ champion: String?, size: Int, _ before: [Activation] = []
    ) async throws {
      let directory = DataDirectory(path: Self.folder + "/" + name)
      let store = try SQLiteStore(in: directory)
      for activation in before {
        let claim = try await store.claim(useCase: plan.useCase.name, partition: activation.partition).claim
        try await store.activate(activation, under: claim, text: nil)
      }
      let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
      try await Pipeline(
        plan: plan, version: version,
        source: MemorySource(
          // What nothing comes of is not assigned.
          partitions: zip(records, counts).filter { $1 > 0 }.map { Array($0.prefix($1)) }, batchSizes: [size]),
        store: store,
        encoder: ArrowHistory(in: directory, useCase: plan.useCase.name, codec: .none),
        models: MemoryModels(models, champions: champion.map { ["odd": $0] } ?? [:]),
        options: Pipeline.Options(workers: 2, checkpointInterval: .milliseconds(2)), logger: logger
      ).run()
    }

    try await run("swapped", upTo: [200, 0], "v1", size: 33)
    try await run("swapped", upTo: [350, 150], "v2", size: 10)
    try await run("swapped", upTo: [500, 400], "v1", size: 64)
    let swapped = Self.folder + "/swapped"
    let log = """
      SELECT partition || ' ' || offset || ' ' || detector || ' ' || version FROM activations WHERE kind = 'model'
      ORDER BY partition, sequence
      """
    let recorded = ["0 0 odd v1", "0 200 odd v2", "0 350 odd v1", "1 0 odd v2", "1 150 odd v1"]
    #expect(try Self.rows(swapped, log) == recorded.map { "\"\($0)\"" })
    // A model's version is no configuration.
    #expect(try Self.rows(swapped, "SELECT count(*) FROM configurations") == ["1"])

    // The same activations, on record from the beginning.
    func at(_ partition: Int, _ offset: Int64, _ version: String) -> Activation {
      Activation(
        partition: MemorySource.partition(partition), from: Position(segment: 0, offset: offset, row: offset),
        kind: .model, detector: "odd", version: version)
    }
    let before = [at(0, 0, "v1"), at(0, 200, "v2"), at(0, 350, "v1"), at(1, 0, "v2"), at(1, 150, "v1")]
    try await run("replayed", upTo: [500, 400], nil, size: 4_096, before)
    for query in Self.results {
      let (found, expected) = (try Self.rows(swapped, query), try Self.rows(Self.folder + "/replayed", query))
      #expect(!expected.isEmpty && found == expected, "\(query)")
    }
    #expect(try Self.rows(swapped, "SELECT DISTINCT model FROM anomalies WHERE detector = 'odd'").count == 2)

    let reader = try SQLiteReader(DataDirectory(path: swapped))
    let drift = try await reader.read { try await $0.drift(of: "payments", detector: "odd") }
    #expect(Set(drift.map(\.version)) == ["v1", "v2"])
    #expect(Set(drift.map { "\($0.version) \($0.day)" }).count == drift.count)
    let total = try Self.rows(swapped, "SELECT sum(rows) FROM drift")
    #expect(total == ["\(drift.reduce(0) { $0 + $1.rows })"])
    #expect(drift.allSatisfy { day in (day.inputs + [day.score]).allSatisfy { $0.reduce(0, +) == day.rows } })
    #expect(try await reader.read { try await $0.drift(of: "payments", detector: "slow") } == [])
    #expect(try await reader.read { try await $0.drift(of: "other", detector: nil) } == [])

    // The same counts as another writer of JSON would have them, and counts that are none.
    func rewrite(_ counts: String) throws {
      let queue = try DatabaseQueue(path: swapped + "/pulse.sqlite")
      try queue.write { try $0.execute(sql: "UPDATE drift SET counts = \(counts)") }
    }
    try rewrite("replace(counts, ',', ' , ')")
    #expect(try await reader.read { try await $0.drift(of: "payments", detector: "odd") } == drift)
    for damaged in ["substr(counts, 1, 40)", "replace(counts, ']}', '],}')", "'{}'", "''"] {
      try rewrite(damaged)
      await #expect(throws: (any Error).self, "\(damaged)") {
        try await reader.read { try await $0.drift(of: "payments", detector: "odd") }
      }
    }
  }
}
