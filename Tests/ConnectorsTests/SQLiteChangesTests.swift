// What a reader of changes is told where it cannot simply go on.

import Detection
import GRDB
import Pipeline
import TestKit
import Testing

@testable import Connectors

@Suite("Changes of the embedded store", .timeLimit(.minutes(5)))
struct SQLiteChangesTests {
  private static let partition = PartitionID(source: "s", number: 0)

  private static func anomalies(_ offsets: Int64..., claim: Claim) -> Results {
    Results(
      claim: claim,
      anomalies: offsets.map { offset in
        Anomaly(
          useCase: "u", partition: partition, position: Position(segment: 0, offset: offset, row: offset),
          detector: "d",
          eventTime: offset, key: "", score: 1, severity: .low, reason: "", explanation: Explanation(), event: "{}")
      })
  }

  /// What is behind a cursor, which is passed: `!` is a reset, `-` a retraction.
  private static func follow(_ reader: SQLiteReader, _ cursor: inout ChangeCursor) async throws -> [String] {
    let since = cursor
    let page = try await reader.read { try await $0.changes(since: since, of: nil, limit: 100) }
    cursor = page.next
    return page.changes.map { change in
      switch change.content {
      case .anomaly(let anomaly): "\(anomaly.position.offset)"
      case .retraction(.anomaly(let retracted)): "-\(retracted.identity.position.offset)"
      case .reset: "!"
      default: "?"
      }
    }
  }

  @Test("who starts over says so, and what there is follows")
  func reset() async throws {
    let folder = try TestFolder()
    let directory = DataDirectory(path: folder.path)
    let store = try SQLiteStore(in: directory)
    let reader = try SQLiteReader(directory)
    var claim = try await store.claim(useCase: "u", partition: Self.partition).claim
    _ = try await store.commit([Self.anomalies(1, 2, claim: claim)])
    var cursor = ChangeCursor()
    #expect(try await Self.follow(reader, &cursor) == ["1", "2"])
    try await store.reset(useCase: "u")
    claim = try await store.claim(useCase: "u", partition: Self.partition).claim
    _ = try await store.commit([Self.anomalies(2, claim: claim)])
    #expect(try await Self.follow(reader, &cursor) == ["!", "2"])
    #expect(try await Self.follow(reader, &cursor) == [])
    withExtendedLifetime(folder) {}
  }

  @Test("who has been away for longer than retractions are kept begins anew, and so does one that an older copy meets")
  func forgotten() async throws {
    let folder = try TestFolder()
    let directory = DataDirectory(path: folder.path)
    let store = try SQLiteStore(in: directory)
    let reader = try SQLiteReader(directory)
    let claim = try await store.claim(useCase: "u", partition: Self.partition).claim
    _ = try await store.commit([Self.anomalies(1, 2, 3, claim: claim)])
    var early = ChangeCursor()
    #expect(try await Self.follow(reader, &early) == ["1", "2", "3"])
    let activation = Activation(
      partition: Self.partition, from: Position(segment: 0, offset: 2, row: 2), kind: .configuration, version: "v")
    try await store.activate(activation, under: claim, text: nil)
    _ = try await store.commit([Self.anomalies(3, claim: claim)])
    var late = early
    #expect(try await Self.follow(reader, &late) == ["-2", "-3", "3"])
    // As many retractions later.
    try await DatabaseQueue(path: directory.databasePath).write { database in
      try database.execute(sql: "DELETE FROM retractions; UPDATE claims SET forgotten = 5")
    }
    #expect(try await Self.follow(reader, &early) == ["!", "1", "3"])
    #expect(try await Self.follow(reader, &early) == [])
    #expect(try await Self.follow(reader, &late) == [])
    // The numbers of a store that was put back begin again.
    try await DatabaseQueue(path: directory.databasePath).write { database in
      try database.execute(sql: "DELETE FROM anomalies WHERE offset = 3; UPDATE claims SET changes = 2, forgotten = 0")
    }
    #expect(try await Self.follow(reader, &late) == ["!", "1"])
    withExtendedLifetime(folder) {}
  }
}
