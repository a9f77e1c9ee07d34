// Actors on threads of their own, and what their short lives must not break.

import Testing

@testable import Pipeline

private actor Counter {
  private let thread = DedicatedThread(name: "test-counter")
  nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }
  private var count = 0

  func next() -> Int {
    count += 1
    return count
  }
}

@Suite(.timeLimit(.minutes(15))) struct DedicatedThreadTests {
  @Test func `jobs of one actor run one after another`() async {
    let counter = Counter()
    let sum = await withTaskGroup(of: Int.self) { group in
      for _ in 0..<1_000 { group.addTask { await counter.next() } }
      return await group.reduce(0, +)
    }
    #expect(sum == 500_500)
  }

  /// Whoever hands over an actor's last job may still be at it when the job has run and the actor is gone. A chance of one
  /// in some hundred thousand: a queue that is touched after its lock was given back fails here in some runs.
  @Test func `an actor may end while its last job is still being handed over`() async {
    let sum = await withTaskGroup(of: Int.self) { group in
      for _ in 0..<8 {
        group.addTask {
          var sum = 0
          for _ in 0..<5_000 { sum += await Counter().next() }
          return sum
        }
      }
      return await group.reduce(0, +)
    }
    #expect(sum == 40_000)
  }
}
