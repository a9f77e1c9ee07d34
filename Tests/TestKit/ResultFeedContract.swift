// What live results must be, whatever store is behind them. Each check takes an empty store and returns what is wrong.

import Detection
public import Pipeline

/// The contract of `ResultFeed` over a store and its reader.
public struct ResultFeedContract: Contract {
  private let store: any Store
  private let reader: any ResultReader

  public init(_ store: any Store, _ reader: any ResultReader) {
    self.store = store
    self.reader = reader
  }

  public static let checks = [
    Check(name: "what is committed is offered to every subscriber, in order, from its subscription on") {
      try await $0.offered()
    },
    Check(name: "one that is slow is told from where to read, and misses nothing that way; nobody waits for it") {
      try await $0.slow()
    },
  ]

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

  private func offered() async throws -> [String] {
    var notes = ContractNotes()
    let claim = try await store.claim(useCase: "u", partition: Self.partition).claim
    _ = try await store.commit([Self.results(claim, 0..<3)])
    let signal = ChangeSignal()
    let feed = ResultFeed(reader, wokenBy: signal, interval: .seconds(3_600))
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
      notes.expect(begun.from[ChangeCursor.Place(useCase: "u", partition: Self.partition)] == 3, "where it begins")
      var iterator = begun.subscription.makeAsyncIterator()
      // What was retracted before it was offered is not offered as a finding.
      var seen: [Int64] = []
      while seen.last != 10, let number = Self.number(await iterator.next()) { seen.append(number) }
      notes.expect(seen == seen.sorted() && Set(seen).union([5]) == Set(4...10), "\(seen)")
    }
    task.cancel()
    await task.value
    var iterator = subscriptions[0].subscription.makeAsyncIterator()
    notes.expect(await iterator.next() == nil, "it ends with its task")
    return notes.wrong
  }

  private func slow() async throws -> [String] {
    var notes = ContractNotes()
    let claim = try await store.claim(useCase: "u", partition: Self.partition).claim
    let signal = ChangeSignal()
    let feed = ResultFeed(reader, wokenBy: signal, interval: .seconds(3_600))
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
    for number: Int64 in 1...20 { notes.expect(Self.number(await iterator.next()) == number, "\(number)") }

    for (subscription, kept) in [(slow, 5), (small, 1)] {
      var iterator = subscription.makeAsyncIterator()
      var seen: [Int64] = []
      for _ in 0..<kept { seen.append(Self.number(await iterator.next()) ?? -1) }
      guard case .missed(let from)? = await iterator.next() else {
        notes.wrong.append("one that was slow was not told")
        continue
      }
      seen += try await reader.read { try await $0.changes(since: from, of: nil, limit: 1_000) }.changes.map(\.number)
      notes.expect(seen == Array(1...20), "\(seen)")
    }
    // They go on with what comes then.
    try await commit(20..<21)
    var again = slow.makeAsyncIterator()
    notes.expect(Self.number(await again.next()) == 21, "the slow one goes on")
    quick.cancel()
    notes.expect(Self.number(await iterator.next()) == 21, "what was offered is there")
    notes.expect(await iterator.next() == nil, "one that has cancelled is at its end")
    task.cancel()
    await task.value
    return notes.wrong
  }
}
