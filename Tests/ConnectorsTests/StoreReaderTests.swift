// Reading a store that nobody can write to.

import Detection
import Foundation
import GRDB
import Pipeline
import TestKit
import Testing

@testable import Connectors

@Suite("Reading a store", .timeLimit(.minutes(15)))
struct StoreReaderTests {
  /// The name needs escaping in a URI.
  @Test("a store that cannot change is read without the files that writers and readers share")
  func immutable() async throws {
    let folder = try TestFolder()
    defer { withExtendedLifetime(folder) {} }
    let directory = DataDirectory(path: folder / "a b?c=1#d%20é")
    do {
      let store = try SQLiteStore(in: directory)
      let partition = PartitionID(source: "s", number: 0)
      let anomaly = Anomaly(
        useCase: "u", partition: partition, position: .start, detector: "d", eventTime: 1, key: "k", score: 1,
        severity: .high, reason: "r", explanation: Explanation(), event: "{}")
      let claim = try await store.claim(useCase: "u", partition: partition).claim
      #expect(try await store.commit([Results(claim: claim, anomalies: [anomaly])]) == [])
    }
    let copy = DataDirectory(path: directory.path + "/copy")
    try FileManager.default.createDirectory(atPath: copy.path, withIntermediateDirectories: true)
    try FileManager.default.copyItem(atPath: directory.databasePath, toPath: copy.databasePath)
    let reader = try SQLiteReader(immutable: copy)
    #expect(try await reader.read { try await $0.anomalies(ResultFilter()) }.map(\.detector) == ["d"])
    #expect(try FileManager.default.contentsOfDirectory(atPath: copy.path) == ["pulse.sqlite"])
    let other = try SQLiteReader(copy)
    #expect(try await other.read { try await $0.anomalies(ResultFilter()) }.map(\.detector) == ["d"])
  }

  @Test("windows are listed along the key, so that a page does not cost what is stored")
  func windowPages() async throws {
    let folder = try TestFolder()
    defer { withExtendedLifetime(folder) {} }
    let directory = DataDirectory(path: folder / "data")
    _ = try SQLiteStore(in: directory)
    let reader = try SQLiteReader(directory)
    for statement in [StoreView.lastStart(in: "window_parts"), StoreView.keysOfStart(in: "window_parts")] {
      let steps = try reader.blocking { database in
        try Row.fetchAll(
          database, sql: "EXPLAIN QUERY PLAN \(statement)",
          arguments: StatementArguments(Array(repeating: 1, count: statement.contains("?5") ? 5 : 4))
        ).map { $0["detail"] as String }
      }
      #expect(steps.count == 1 && steps[0].hasPrefix("SEARCH window_parts USING COVERING INDEX"), "\(steps)")
    }
  }

  @Test("a statement whose reader gives up ends, and its connection goes on")
  func cancelled() async throws {
    let folder = try TestFolder()
    defer { withExtendedLifetime(folder) {} }
    let directory = DataDirectory(path: folder / "data")
    _ = try SQLiteStore(in: directory)
    let reader = try SQLiteReader(directory)
    let snapshot = try #require(try await reader.snapshot() as? SQLiteSnapshot)
    let (begun, begin) = AsyncStream<Void>.makeStream()
    let endless = Task {
      try await snapshot.run { database in
        // Called by the statement itself: what is given up must be running.
        database.add(
          function: DatabaseFunction("begun", argumentCount: 0) { _ in
            begin.finish()
            return 1
          })
        return try Int.fetchOne(
          database, sql: "WITH RECURSIVE n (x) AS (SELECT begun() UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
        )
      }
    }
    for await _ in begun {}
    endless.cancel()
    await #expect(throws: CancellationError.self) { try await endless.value }
    #expect(try await snapshot.run { try Int.fetchOne($0, sql: "SELECT 7") } == 7)
    await snapshot.end()
  }

  @Test("another database, and a store that a newer version has migrated, are refused")
  func foreign() throws {
    let folder = try TestFolder()
    defer { withExtendedLifetime(folder) {} }
    let foreign = DataDirectory(path: folder / "foreign")
    try foreign.create()
    try DatabaseQueue(path: foreign.databasePath).write { try $0.execute(sql: "CREATE TABLE t (x)") }
    #expect {
      try SQLiteReader(foreign)
    } throws: { error in
      (error as? OperatingError)?.kind == .store && "\(error)".contains("no store of pulse")
    }
    let newer = DataDirectory(path: folder / "newer")
    do { _ = try SQLiteStore(in: newer) }
    try DatabaseQueue(path: newer.databasePath).write {
      try $0.execute(sql: "INSERT INTO grdb_migrations (identifier) VALUES ('9999')")
    }
    for open in [{ _ = try SQLiteReader(newer) }, { _ = try SQLiteStore(in: newer) }] as [() throws -> Void] {
      #expect {
        try open()
      } throws: { error in
        (error as? OperatingError)?.kind == .store && "\(error)".contains("newer version of pulse")
      }
    }
  }

  @Test("a log is empty where it is missing or has no bytes")
  func log() throws {
    let folder = try TestFolder()
    defer { withExtendedLifetime(folder) {} }
    let directory = DataDirectory(path: folder.path)
    #expect(directory.isWritable && directory.hasEmptyLog)
    #expect(FileManager.default.createFile(atPath: directory.logPath, contents: Data()))
    #expect(directory.hasEmptyLog)
    try Data([1]).write(to: URL(fileURLWithPath: directory.logPath))
    #expect(!directory.hasEmptyLog)
  }
}
