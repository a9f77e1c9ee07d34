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

  @Test("lists of anomalies go along an index in their order, so that a page does not cost what is stored")
  func anomalyPages() async throws {
    let folder = try TestFolder()
    defer { withExtendedLifetime(folder) {} }
    let directory = DataDirectory(path: folder / "data")
    _ = try SQLiteStore(in: directory)
    let reader = try SQLiteReader(directory)
    var filters: [ResultFilter] = []
    for change in [
      { _ in }, { $0.name = "d" }, { $0.keys = ["k"] }, { $0.keys = ["k", "l"] }, { $0.severities = [.high] },
      { $0.from = 1 }, { ($0.name, $0.to) = ("d", 9) },
    ] as [(inout ResultFilter) -> Void] {
      var filter = ResultFilter()
      filter.useCase = "u"
      change(&filter)
      filters.append(filter)
    }
    let last = PageCursor([.int(5), .string("u"), .string("s"), .int(0), .int(0), .int(7), .string("d"), .string("")])
    for (filter, page) in filters.flatMap({ [($0, nil), ($0, last)] }) {
      let steps = try reader.blocking { database in
        var asked: [String] = []
        database.trace { if case .statement(let statement) = $0 { asked.append(statement.expandedSQL) } }
        _ = try StoreView(database).anomalies(filter, after: page)
        database.trace()
        let list = try #require(asked.first { $0.contains("ORDER BY event_time") })
        return try Row.fetchAll(database, sql: "EXPLAIN QUERY PLAN \(list)").map { $0["detail"] as String }
      }
      #expect(steps.first?.hasPrefix("SEARCH anomalies USING INDEX anomalies_by_") == true, "\(filter): \(steps)")
      // What is of one time is sorted by the rest; never the list as a whole.
      #expect(!steps.contains("USE TEMP B-TREE FOR ORDER BY"), "\(filter): \(steps)")
    }
  }

  @Test("looks that block share connections, and see that the directory is another one")
  func blockingLooks() async throws {
    let folder = try TestFolder()
    defer { withExtendedLifetime(folder) {} }
    let directory = DataDirectory(path: folder / "data")
    _ = try SQLiteStore(in: directory)
    let reader = try SQLiteReader(directory)
    let first = try reader.blocking { ObjectIdentifier($0) }
    #expect(try reader.blocking { ObjectIdentifier($0) } == first)
    #expect(try await reader.read { try await $0.useCases() }.isEmpty)
    #expect(try reader.blocking { ObjectIdentifier($0) } == first)
    try FileManager.default.moveItem(atPath: directory.path, toPath: folder / "elsewhere")
    _ = try SQLiteStore(in: directory)
    #expect(throws: OperatingError.self) { try reader.blockingListing(of: "u") }
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
