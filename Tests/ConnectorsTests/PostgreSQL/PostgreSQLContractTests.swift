// The store in PostgreSQL keeps the contracts of all stores, unchanged.

import Detection
import Foundation
import Logging
import Pipeline
import TestKit
import Testing

@testable import Connectors

/// A database and a data directory, for a store and whoever reads it.
struct PostgreSQLFixture {
  let database: TestDatabase
  let folder: TestFolder
  let address: PostgreSQLAddress

  static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  init(on server: PostgreSQLServer? = nil) async throws {
    if let server {
      database = try await TestDatabase.make(on: server)
    } else {
      database = try await TestDatabase.make()
    }
    folder = try TestFolder()
    address = try #require(PostgreSQLAddress(database.address))
  }

  var directory: DataDirectory { DataDirectory(path: folder.path) }

  func store() async throws -> PostgreSQLStore {
    try await PostgreSQLServer.off { [address, directory] in
      try PostgreSQLStore(at: address, in: directory, logger: Self.quiet)
    }
  }

  func reader() async throws -> PostgreSQLReader {
    try await PostgreSQLServer.off { [address, directory] in try PostgreSQLReader(address, in: directory) }
  }

  func actions() async throws -> PostgreSQLActions {
    try await PostgreSQLServer.off { [address] in try PostgreSQLActions(at: address) }
  }
}

@Suite(
  "Store contract: PostgreSQL", .timeLimit(.minutes(15)),
  .enabled(if: PostgreSQLServer.isInstalled, Comment(rawValue: PostgreSQLServer.missing)))
struct PostgreSQLContractTests {
  @Test("it holds", arguments: StoreContract.checks)
  func contract(check: StoreContract.Check) async throws {
    let fixture = try await PostgreSQLFixture()
    let (store, reader) = (try await fixture.store(), try await fixture.reader())
    let contract = StoreContract(store) {
      try await reader.read { try await $0.anomalies(ResultFilter()) }.map(\.id).sorted()
    }
    #expect(try await contract.run(check) == [])
    withExtendedLifetime(fixture) {}
  }

  @Test("its changes are as they must be", arguments: ChangesContract.checks)
  func changes(check: ChangesContract.Check) async throws {
    let fixture = try await PostgreSQLFixture()
    #expect(try await ChangesContract(fixture.store(), fixture.reader()).run(check) == [])
    withExtendedLifetime(fixture) {}
  }

  @Test("live results are offered as they must be", arguments: ResultFeedContract.checks)
  func feed(check: ResultFeedContract.Check) async throws {
    let fixture = try await PostgreSQLFixture()
    #expect(try await ResultFeedContract(fixture.store(), fixture.reader()).run(check) == [])
    withExtendedLifetime(fixture) {}
  }

  @Test("actions hold, on two pools beside a run that has the directory", arguments: ActionsContract.checks)
  func actions(check: ActionsContract.Check) async throws {
    let fixture = try await PostgreSQLFixture()
    let store = try await fixture.store()
    let contract = ActionsContract(try await fixture.actions(), try await fixture.actions())
    #expect(try await contract.run(check) == [])
    // The run goes on to write.
    let claim = try await store.claim(useCase: "u", partition: PartitionID(source: "s", number: 0)).claim
    #expect(try await store.commit([Results(claim: claim)]).isEmpty)
    withExtendedLifetime(fixture) {}
  }

  private static func run(_ partitions: [[[UInt8]]], _ store: any Store, _ encoder: any HistoryEncoder) async throws {
    let (plan, version) = try RuntimeUseCase.plan()
    try await Pipeline(
      plan: plan, version: version, source: MemorySource(partitions: partitions, batchSizes: [64]), store: store,
      encoder: encoder, options: Pipeline.Options(workers: 2, checkpointInterval: .milliseconds(10)),
      logger: PostgreSQLFixture.quiet
    ).run()
  }

  @Test("readers say what is stored as those of memory do", arguments: ResultReaderContract.checks)
  func reader(check: ResultReaderContract.Check) async throws {
    let fixture = try await PostgreSQLFixture()
    let store = try await fixture.store()
    let history = MemoryHistory()
    let memory = MemoryStore(history)
    let contract = ResultReaderContract(try await fixture.reader(), memory) { partitions in
      try await Self.run(
        partitions, store, ArrowHistory(in: fixture.directory, useCase: "runtime", codec: .none))
      try await Self.run(partitions, memory, history)
    }
    #expect(try await contract.run(check) == [])
    withExtendedLifetime(fixture) {}
  }
}
