// Partitions that change hands, with everything stored in the embedded store: nothing is lost, doubled or changed.

import Detection
import Foundation
import GRDB
import Logging
import Pipeline
import Synchronization
import TestKit
import Testing

@testable import Connectors

@Suite("Partitions in the embedded store", .timeLimit(.minutes(15)))
struct StoredPartitionsTests {
  private typealias Step = ScriptedSource.Step

  private static let results = [
    """
    SELECT use_case, source, partition, segment, offset, row, detector, subject, event_time, key, score, severity, reason,
      model, explanation, event FROM anomalies ORDER BY partition, offset, detector
    """,
    """
    SELECT use_case, source, partition, segment, offset, row, watermark, stage, reason, field, message, hex(raw), length
    FROM dead_letters ORDER BY partition, offset
    """,
    "SELECT partition, offset, watermark, totals FROM partitions ORDER BY partition",
    "SELECT window, partition, start, hex(by_key), hex(state) FROM window_parts ORDER BY 1, 2, 3, 4",
  ]

  private static func rows(_ directory: DataDirectory, _ query: String) throws -> [String] {
    try DatabaseQueue(path: directory.databasePath).read { database in
      try Row.fetchAll(database, sql: query).map { row in row.map { "\($0.1)" }.joined(separator: "|") }
    }
  }

  /// Everything that is stored, as text.
  private static func contents(_ directory: DataDirectory) throws -> [String] {
    let schema = try RuntimeUseCase.plan().plan.schema
    let archive = try SQLiteReader(directory).archive(of: "runtime")
    var history: [String: [String]] = [:]
    // Ascending by number within a partition and day.
    for shard in try archive.shards().sorted(by: { $0.path < $1.path }) {
      let folder = shard.path.split(separator: "/").dropLast().joined(separator: "/")
      let partition = try #require(shard.path.firstMatch(of: /memory-([0-9]+)-/)).1
      try archive.read(shard, schema: schema) { batch in
        for row in 0..<batch.count {
          history["\(folder) \(partition)", default: []].append(
            "\(batch.positions[row]) " + batch.columns.map { "\($0[row])" }.joined(separator: "|"))
        }
      }
    }
    let lines = history.sorted { $0.key < $1.key }.flatMap { day in day.value.map { "history \(day.key) \($0)" } }
    return try results.flatMap { try rows(directory, $0) } + StoredOpenWindows.lines(in: directory) + lines
  }

  private static func run(
    _ records: [[[UInt8]]], _ steps: [Step], _ store: any Store, _ directory: DataDirectory
  ) async throws -> Int {
    let (plan, version) = try RuntimeUseCase.plan()
    let log = Notices()
    try await Pipeline(
      plan: plan, version: version, source: ScriptedSource(records, steps), store: store,
      encoder: ArrowHistory(in: directory, useCase: "runtime", codec: .none),
      options: Pipeline.Options(workers: 2, checkpointInterval: .milliseconds(1)),
      logger: Logger(label: "test") { _ in NoticesHandler(notices: log) }
    ).run()
    return log.all.filter { $0.contains("another process has claimed") }.count
  }

  private struct NoticesHandler: LogHandler {
    let notices: Notices
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.notice

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { notices.add("\(event.message)") }
  }

  /// All partitions to their end.
  private static func all(_ records: [[[UInt8]]]) -> [Step] {
    records.indices.map { .assign($0) }
      + records.indices.flatMap { number in
        Array(repeating: Step.batch(number, rows: 64), count: records[number].count / 64 + 1)
      }
  }

  @Test("processes that take partitions from one another, with commits that fail", arguments: [1, 3, 8])
  func takeovers(partitions: Int) async throws {
    let records = (0..<partitions).map { RuntimeUseCase.records(900 / partitions, seed: 70 + UInt64($0)) }
    let folder = try TestFolder()
    let reference = DataDirectory(path: folder / "reference")
    _ = try await Self.run(records, Self.all(records), try SQLiteStore(in: reference), reference)
    let expected = try Self.contents(reference)
    #expect(expected.count > 1_000)
    var superseded = 0
    for seed in 0..<3 {
      var random = SeededRandom(seed: UInt64(1_000 * partitions + seed))
      let directory = DataDirectory(path: folder / "\(seed)")
      for _ in 0..<3 {
        // Another program begins: what the last ones left half done is finished.
        let store = try SQLiteStore(in: directory)
        let attempts = (0..<2).map { _ in
          (
            steps: ScriptedSource.steps(partitions: partitions, &random),
            store: FaultyStore(
              store, failingAt: Bool.random(using: &random) ? Int.random(in: 2..<60, using: &random) : nil,
              afterEffect: Bool.random(using: &random))
          )
        }
        superseded += await withTaskGroup(of: Int.self) { group in
          for attempt in attempts {
            group.addTask {
              do { return try await Self.run(records, attempt.steps, attempt.store, directory) } catch {
                if !(error is PlannedFault) { Issue.record("\(error)") }
                return 0
              }
            }
          }
          return await group.reduce(0, +)
        }
      }
      _ = try await Self.run(records, Self.all(records), try SQLiteStore(in: directory), directory)
      let found = try Self.contents(directory)
      let wrong = Set(found).symmetricDifference(expected)
      #expect(found == expected, "seed \(seed): \(wrong.count) differ, such as \(wrong.sorted().prefix(3))")
      let files = try FileManager.default.subpathsOfDirectory(atPath: directory.path + "/history")
      #expect(files.allSatisfy { !$0.hasSuffix(".tmp") })
    }
    #expect(superseded > 0)
  }

  @Test("others commit, and are restored, while a partition is restored")
  func restoreAside() async throws {
    let folder = try TestFolder()
    let isHeld = Mutex(false)
    let (reached, goOn) = (ScriptedSource.Gate(), DispatchSemaphore(value: 0))
    let store = try SQLiteStore(in: DataDirectory(path: folder.path)) {
      let isFirst = isHeld.withLock { isHeld in
        defer { isHeld = false }
        return isHeld
      }
      guard isFirst else { return }
      reached.open()
      goOn.wait()
    }
    let (slow, other) = (PartitionID(source: "s", number: 0), PartitionID(source: "s", number: 1))
    let claim = try await store.claim(useCase: "u", partition: other).claim
    isHeld.withLock { $0 = true }
    let restoring = Task { try await store.claim(useCase: "u", partition: slow) }
    await reached.wait()
    #expect(try await store.commit([Results(claim: claim)]).isEmpty)
    let again = try await store.claim(useCase: "u", partition: other).claim
    #expect(try await store.commit([Results(claim: claim), Results(claim: again)]) == [claim])
    goOn.signal()
    #expect(try await restoring.value.claim.epoch == 1)
  }

  @Test("a use case that is started over is not written to by whoever had it before")
  func reset() async throws {
    let folder = try TestFolder()
    let store = try SQLiteStore(in: DataDirectory(path: folder.path))
    let partition = PartitionID(source: "s", number: 0)
    let claim = try await store.claim(useCase: "u", partition: partition).claim
    let other = try await store.claim(useCase: "other", partition: partition).claim
    try await store.reset(useCase: "u")
    #expect(try await store.commit([Results(claim: claim), Results(claim: other)]) == [claim])
    let again = try await store.claim(useCase: "u", partition: partition)
    #expect(again.snapshot == nil && again.claim.epoch > claim.epoch)
  }

  // MARK: - Versions

  private static func stored(
    _ folder: TestFolder, totals edit: @Sendable (String) -> String
  ) async throws -> SQLiteStore {
    let directory = DataDirectory(path: folder.path)
    let records = [RuntimeUseCase.records(100, seed: 7)]
    _ = try await run(records, all(records), try SQLiteStore(in: directory), directory)
    try await DatabaseQueue(path: directory.databasePath).write { database in
      let totals = try #require(try String.fetchOne(database, sql: "SELECT totals FROM partitions"))
      try database.execute(sql: "UPDATE partitions SET totals = ?", arguments: [edit(totals)])
    }
    return try SQLiteStore(in: directory)
  }

  private static let partition = MemorySource.partition()

  @Test("counts that an earlier version did not have are 0")
  func earlierCounts() async throws {
    let folder = try TestFolder()
    let store = try await Self.stored(folder) { text in
      #expect(text.contains(#""version":2"#))
      return text.replacing(#""version":2"#, with: #""unknown":1"#)
        .replacing(/"(waitingEvents|undecidedEvents|aheadEvents)":[0-9]+,/, with: "")
        .replacing(/"ruleSkips":\{[^}]*\},/, with: "")
    }
    let totals = try await store.claim(useCase: "runtime", partition: Self.partition).snapshot?.totals
    #expect(totals?.records == 100 && totals?.undecidedEvents == 0 && totals?.ruleSkips == [:])
    let reader = try SQLiteReader(DataDirectory(path: folder.path))
    #expect(try await reader.read { try await $0.status(of: nil) }.first?.totals.records == 100)
  }

  @Test("counts of a newer version are refused, by what writes and by what reads, and are no damage")
  func newerCounts() async throws {
    let folder = try TestFolder()
    let store = try await Self.stored(folder) { $0.replacing(#""version":2"#, with: #""version":3"#) }
    func expectRefusal(_ body: () async throws -> Void) async throws {
      let error = try await #require(throws: OperatingError.self) { try await body() }
      #expect(error.kind == .store)
      #expect(error.description.contains("the counts have version 3, expected at most 2: a newer version of pulse"))
      #expect(!error.description.contains("damaged"))
    }
    try await expectRefusal { _ = try await store.claim(useCase: "runtime", partition: Self.partition) }
    let reader = try SQLiteReader(DataDirectory(path: folder.path))
    try await expectRefusal { _ = try await reader.read { try await $0.status(of: nil) } }
  }

  @Test("drift counts of a newer version are refused")
  func newerDrift() async throws {
    let folder = try TestFolder()
    let store = try await Self.stored(folder) { $0 }
    try await DatabaseQueue(path: DataDirectory(path: folder.path).databasePath).write { database in
      try database.execute(
        sql: """
          INSERT INTO drift SELECT use_case, source, partition, 'odd', 'v1', 1, 10, '{"version":2,"bins":[]}'
          FROM partitions
          """)
    }
    let error = await #expect(throws: OperatingError.self) {
      try await store.claim(useCase: "runtime", partition: Self.partition)
    }
    #expect(error?.description.contains("the drift counts have version 2, expected at most 1") == true)
  }
}
