// Subscribers see what is committed; those that are slow are told, and nobody waits for them.

import Detection
import TestKit
import Testing

@testable import Pipeline

@Suite("Result feed", .timeLimit(.minutes(5)))
struct ResultFeedTests {
  private static let partition = PartitionID(source: "s", number: 0)

  private static func results(_ claim: Claim, _ offsets: Range<Int64>) -> Results {
    Results(
      claim: claim,
      anomalies: offsets.map { offset in
        Anomaly(
          useCase: "u", partition: partition, position: Position(segment: 0, offset: offset, row: offset),
          detector: "d",
          eventTime: offset, key: "", score: 1, severity: .low, reason: "", explanation: Explanation(), event: "{}")
      })
  }

  private static func number(_ event: ResultFeed.Event?) -> Int64? {
    if case .change(let change)? = event { change.number } else { nil }
  }

  @Test("what is committed is offered to every subscriber, in order, from its subscription on")
  func offered() async throws {
    let store = MemoryStore(MemoryHistory())
    let claim = try await store.claim(useCase: "u", partition: Self.partition).claim
    _ = try await store.commit([Self.results(claim, 0..<3)])
    let signal = ChangeSignal()
    let feed = ResultFeed(store, wokenBy: signal, interval: .seconds(3_600))
    let task = Task { await feed.run() }
    let subscriptions = [
      try await feed.subscribe(items: 100, bytes: 1 << 20), try await feed.subscribe(items: 100, bytes: 1 << 20),
    ]
    for offset: Int64 in 3..<9 {
      _ = try await store.commit([Self.results(claim, offset..<offset + 1)])
      signal.announce()
    }
    try await store.retract(
      WaitingResults(events: [Position(segment: 0, offset: 4, row: 4)], detectors: ["d"]), under: claim)
    signal.announce()
    for begun in subscriptions {
      let subscription = begun.subscription
      #expect(begun.from[ChangeCursor.Place(useCase: "u", partition: Self.partition)] == 3)
      var iterator = subscription.makeAsyncIterator()
      // What was retracted before it was offered is not offered as a finding.
      var seen: [Int64] = []
      while seen.last != 10, let number = Self.number(await iterator.next()) { seen.append(number) }
      #expect(seen == seen.sorted() && Set(seen).union([5]) == Set(4...10))
    }
    task.cancel()
    await task.value
    var iterator = subscriptions[0].subscription.makeAsyncIterator()
    #expect(await iterator.next() == nil)
  }

  @Test("one that is slow is told from where to read, and misses nothing that way; the others are not held up")
  func slow() async throws {
    let store = MemoryStore(MemoryHistory())
    let claim = try await store.claim(useCase: "u", partition: Self.partition).claim
    let signal = ChangeSignal()
    let feed = ResultFeed(store, wokenBy: signal, interval: .seconds(3_600))
    let task = Task { await feed.run() }
    let slow = try await feed.subscribe(items: 5, bytes: 1 << 20).subscription
    let small = try await feed.subscribe(items: 1_000, bytes: 1).subscription
    let quick = try await feed.subscribe(items: 1_000, bytes: 1 << 20).subscription
    func commit(_ offsets: Range<Int64>) async throws {
      _ = try await store.commit([Self.results(claim, offsets)])
      signal.announce()
    }
    for offset: Int64 in 0..<20 { try await commit(offset..<offset + 1) }
    var iterator = quick.makeAsyncIterator()
    for number: Int64 in 1...20 { #expect(Self.number(await iterator.next()) == number) }

    for (subscription, kept) in [(slow, 5), (small, 1)] {
      var iterator = subscription.makeAsyncIterator()
      var seen: [Int64] = []
      for _ in 0..<kept { seen.append(try #require(Self.number(await iterator.next()))) }
      guard case .missed(let from)? = await iterator.next() else {
        Issue.record("it was not told")
        continue
      }
      seen += try await store.read { try await $0.changes(since: from, of: nil, limit: 1_000) }.changes.map(\.number)
      #expect(seen == Array(1...20))
    }
    // They go on with what comes then.
    try await commit(20..<21)
    var again = slow.makeAsyncIterator()
    #expect(Self.number(await again.next()) == 21)
    quick.cancel()
    #expect(Self.number(await iterator.next()) == 21)
    #expect(await iterator.next() == nil)
    task.cancel()
    await task.value
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
