// The embedded store keeps the contract of all stores.

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
    let contract = StoreContract(store) { try StoreReader(directory).anomalies(ResultFilter()).map(\.id).sorted() }
    #expect(try await contract.run(check) == [])
  }
}
