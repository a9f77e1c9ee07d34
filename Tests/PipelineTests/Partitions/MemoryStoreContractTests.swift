// The store that the other tests use keeps the contracts.

import Pipeline
import TestKit
import Testing

@Suite("Store contract: memory", .timeLimit(.minutes(15)))
struct MemoryStoreContractTests {
  @Test("it holds", arguments: StoreContract.checks)
  func contract(check: StoreContract.Check) async throws {
    let store = MemoryStore(MemoryHistory())
    let contract = StoreContract(store, keepsSeveralUseCases: false) { store.contents.anomalies.keys.sorted() }
    #expect(try await contract.run(check) == [])
  }

  @Test("its changes are as they must be", arguments: ChangesContract.checks)
  func changes(check: ChangesContract.Check) async throws {
    let store = MemoryStore(MemoryHistory())
    #expect(try await ChangesContract(store, store).run(check) == [])
  }
}
