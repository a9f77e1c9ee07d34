// The embedded store and the one in memory are read alike.

import Detection
import Foundation
import Logging
import Pipeline
import TestKit
import Testing

@testable import Connectors

@Suite("Reader contract", .timeLimit(.minutes(10)))
struct SQLiteReaderContractTests {
  private static func run(_ partitions: [[[UInt8]]], _ store: any Store, _ encoder: any HistoryEncoder) async throws {
    let (plan, version) = try RuntimeUseCase.plan()
    try await Pipeline(
      plan: plan, version: version, source: MemorySource(partitions: partitions, batchSizes: [64]), store: store,
      encoder: encoder, options: Pipeline.Options(workers: 2, checkpointInterval: .milliseconds(10)),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    ).run()
  }

  @Test("SQLite", arguments: ResultReaderContract.checks)
  func sqlite(check: ResultReaderContract.Check) async throws {
    let folder = try TestFolder()
    let directory = DataDirectory(path: folder.path)
    let store = try SQLiteStore(in: directory)
    let history = MemoryHistory()
    let memory = MemoryStore(history)
    let contract = ResultReaderContract(try SQLiteReader(directory), memory) { partitions in
      try await Self.run(partitions, store, ArrowHistory(in: directory, useCase: "runtime", codec: .none))
      try await Self.run(partitions, memory, history)
    }
    #expect(try await contract.run(check) == [])
    withExtendedLifetime(folder) {}
  }

  @Test("memory", arguments: ResultReaderContract.checks)
  func memory(check: ResultReaderContract.Check) async throws {
    let history = MemoryHistory()
    let memory = MemoryStore(history)
    let contract = ResultReaderContract(memory, memory) { try await Self.run($0, memory, history) }
    #expect(try await contract.run(check) == [])
  }
}
