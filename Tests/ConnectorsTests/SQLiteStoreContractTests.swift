// The embedded store keeps the contracts of all stores.

import Pipeline
import TestKit
import Testing

@testable import Connectors

@Suite("Store contract: SQLite", .timeLimit(.minutes(15)))
struct SQLiteStoreContractTests {
  @Test("it holds", arguments: StoreContract.checks)
  func contract(check: StoreContract.Check) async throws {
    let folder = try TestFolder()
    defer { withExtendedLifetime(folder) {} }
    let directory = DataDirectory(path: folder.path)
    let store = try SQLiteStore(in: directory)
    let reader = try SQLiteReader(directory)
    let contract = StoreContract(store) {
      try await reader.read { try await $0.anomalies(ResultFilter()) }.map(\.id).sorted()
    }
    #expect(try await contract.run(check) == [])
  }

  @Test("its changes are as they must be", arguments: ChangesContract.checks)
  func changes(check: ChangesContract.Check) async throws {
    let folder = try TestFolder()
    defer { withExtendedLifetime(folder) {} }
    let directory = DataDirectory(path: folder.path)
    let store = try SQLiteStore(in: directory)
    #expect(try await ChangesContract(store, try SQLiteReader(directory)).run(check) == [])
  }

  @Test("live results are offered as they must be", arguments: ResultFeedContract.checks)
  func feed(check: ResultFeedContract.Check) async throws {
    let folder = try TestFolder()
    defer { withExtendedLifetime(folder) {} }
    let directory = DataDirectory(path: folder.path)
    let store = try SQLiteStore(in: directory)
    #expect(try await ResultFeedContract(store, try SQLiteReader(directory)).run(check) == [])
  }
}
