// The actions that other tests use keep the contract.

import TestKit
import Testing

@Suite("Actions contract: memory", .timeLimit(.minutes(5)))
struct MemoryActionsContractTests {
  @Test("it holds", arguments: ActionsContract.checks)
  func contract(check: ActionsContract.Check) async throws {
    let actions = MemoryActions()
    #expect(try await ActionsContract(actions, actions).run(check) == [])
  }
}
