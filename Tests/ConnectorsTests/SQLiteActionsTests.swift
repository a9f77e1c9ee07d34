// Actions in the embedded store, from this process and from another one, beside a run that has the directory.

import Detection
import Foundation
import GRDB
import Pipeline
import TestKit
import Testing

@testable import Connectors

@Suite("Actions contract: SQLite", .timeLimit(.minutes(10)))
struct SQLiteActionsTests {
  @Test("it holds, on two connections beside a run that has the directory", arguments: ActionsContract.checks)
  func contract(check: ActionsContract.Check) async throws {
    let folder = try TestFolder()
    let directory = DataDirectory(path: folder.path)
    let store = try SQLiteStore(in: directory)
    let contract = ActionsContract(try SQLiteActions(in: directory), try SQLiteActions(in: directory))
    #expect(try await contract.run(check) == [])
    // The run goes on to write.
    let claim = try await store.claim(useCase: "u", partition: PartitionID(source: "s", number: 0)).claim
    #expect(try await store.commit([Results(claim: claim)]).isEmpty)
    withExtendedLifetime(folder) {}
  }

  @Test("actions write while a run commits, and neither fails")
  func beside() async throws {
    let folder = try TestFolder()
    let directory = DataDirectory(path: folder.path)
    let store = try SQLiteStore(in: directory)
    let actions = try SQLiteActions(in: directory)
    let claim = try await store.claim(useCase: "u", partition: PartitionID(source: "s", number: 0)).claim
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        for offset: Int64 in 0..<100 {
          let letter = DeadLetter(
            position: Position(segment: 0, offset: offset, row: offset), stage: .decode, reason: .malformed,
            message: "m", raw: [1])
          let refused = try await store.commit([
            Results(claim: claim, deadLetters: [DatedDeadLetter(letter: letter, watermark: 1)])
          ])
          #expect(refused.isEmpty)
        }
      }
      group.addTask {
        for time: Int64 in 0..<100 {
          _ = try await actions.append(AuditLine(time: time, who: "w", action: "a", subject: "s"))
        }
      }
      try await group.waitForAll()
    }
    #expect(try await actions.auditLines(before: nil, limit: 1_000).count == 100)
    let reader = try SQLiteReader(directory)
    var all = ResultFilter()
    all.limit = 0
    let filter = all
    let letters = try await reader.read { try await $0.deadLetters(filter) }
    #expect(letters.count == 100)
    withExtendedLifetime(folder) {}
  }

  @Test("the audit trail is not changed, and tables that are not there yet are made")
  func append() async throws {
    let folder = try TestFolder()
    let directory = DataDirectory(path: folder / "new")
    let actions = try SQLiteActions(in: directory)
    _ = try await actions.append(AuditLine(time: 1, who: "w", action: "a", subject: "s"))
    let queue = try DatabaseQueue(path: directory.databasePath)
    for sql in ["UPDATE audit SET who = 'x'", "DELETE FROM audit"] {
      await #expect(throws: DatabaseError.self) { try await queue.write { try $0.execute(sql: sql) } }
    }
    #expect(try await actions.auditLines(before: nil, limit: 9).map(\.line.who) == ["w"])
    withExtendedLifetime(folder) {}
  }
}
