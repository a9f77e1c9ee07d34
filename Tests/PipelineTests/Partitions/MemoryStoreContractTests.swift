// The store that the other tests use keeps the contract.

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
}
