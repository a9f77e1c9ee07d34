// Subscribers see what is committed; those that are slow are told, and nobody waits for them.

import TestKit
import Testing

@testable import Pipeline

@Suite("Result feed", .timeLimit(.minutes(5)))
struct ResultFeedTests {
  @Test("it holds over the store in memory", arguments: ResultFeedContract.checks)
  func contract(check: ResultFeedContract.Check) async throws {
    let store = MemoryStore(MemoryHistory())
    #expect(try await ResultFeedContract(store, store).run(check) == [])
  }

  @Test("waiting ends with the announcement, the time, and the task")
  func signal() async throws {
    let signal = ChangeSignal()
    await signal.wait(behind: 0, atMost: .milliseconds(5))
    #expect(signal.count == 0)
    signal.announce()
    await signal.wait(behind: 0, atMost: .seconds(3_600))
    let waiting = Task { await signal.wait(behind: 1, atMost: .seconds(3_600)) }
    try await Task.sleep(for: .milliseconds(20))
    waiting.cancel()
    await waiting.value
    let woken = Task { await signal.wait(behind: 1, atMost: .seconds(3_600)) }
    try await Task.sleep(for: .milliseconds(20))
    signal.announce()
    await woken.value
  }
}
