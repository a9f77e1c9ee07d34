// Whole pipelines in memory: no result depends on batch sizes, workers, or on commits that fail and runs that start again.

import Configuration
import Detection
import Foundation
import Logging
import Synchronization
import TestKit
import Testing

@testable import Pipeline

@Suite("Runtime", .timeLimit(.minutes(15)))
struct RuntimeTests {
  private static func run(
    _ records: [[UInt8]], into store: MemoryStore, _ history: any HistoryEncoder, sizes: [Int], workers: Int
  ) async throws {
    let (plan, version) = try RuntimeUseCase.plan()
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    try await Pipeline(
      plan: plan, version: version, source: MemorySource(records, batchSizes: sizes), store: store, encoder: history,
      options: Pipeline.Options(workers: workers, checkpointInterval: .milliseconds(1)), logger: logger
    ).run()
  }

  private static func whole(_ records: [[UInt8]], sizes: [Int], workers: Int) async throws -> MemoryStore.Contents {
    let history = MemoryHistory()
    let store = MemoryStore(history)
    try await run(records, into: store, history, sizes: sizes, workers: workers)
    return store.contents
  }

  @Test("results do not depend on batch sizes and workers")
  func cutIndependence() async throws {
    let records = RuntimeUseCase.records(5_000, seed: 1)
    let expected = try await Self.whole(records, sizes: [5_000], workers: 1)
    #expect(expected.anomalies.count > 300)
    #expect(expected.windows.count > 500)
    #expect(expected.deadLetters.count > 50)
    #expect(expected.totals.records == 5_000)
    #expect(expected.history.values.reduce(0) { $0 + $1.count } == expected.totals.events)
    for (sizes, workers) in [([1], 1), ([7], 2), ([3, 900, 1, 64], 4), ([1000], 3)] {
      #expect(try await Self.whole(records, sizes: sizes, workers: workers) == expected, "\(sizes), \(workers) workers")
    }
  }

  @Test("fields that no record of a run has are known at its end, however it is cut into batches")
  func absentFields() async throws {
    let check = UseCaseChecker.check(
      text: RuntimeUseCase.text.replacing(
        "    amount: {", with: "    never: {type: int}\n    once: {type: int, default: 3}\n    amount: {"))
    let plan = try #require(check.plan, "\(check.rendered)")
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    for (sizes, isThere) in [([1], true), ([7], true), ([100], true), ([7], false)] {
      var records = RuntimeUseCase.records(60, seed: 3)
      if isThere { records[40] = Array(#"{"at": 1700000000, "user": "u1", "once": 1}"#.utf8) }
      let history = MemoryHistory()
      let pipeline = Pipeline(
        plan: plan, version: ConfigurationVersion(plan.useCase, text: check.source),
        source: MemorySource(records, batchSizes: sizes), store: MemoryStore(history), encoder: history,
        options: Pipeline.Options(workers: 2, checkpointInterval: .milliseconds(1)), logger: logger)
      #expect(pipeline.progress.snapshot.absentFields.isEmpty)
      try await pipeline.run()
      let names = pipeline.progress.snapshot.absentFields.sorted().map { plan.schema.fields[$0].name }
      #expect(names == (isThere ? ["never"] : ["never", "once"]), "\(sizes)")
    }
  }

  @Test("commits that fail before or after taking effect change nothing", arguments: 0..<20)
  func faults(seed: Int) async throws {
    let records = RuntimeUseCase.records(3_000, seed: 2)
    let expected = try await Self.whole(records, sizes: [512], workers: 2)
    var random = SeededRandom(seed: UInt64(seed) &* 977)
    let history = MemoryHistory()
    let store = MemoryStore(history)
    var failures = 0
    for attempt in 0..<40 {
      // Every run commits at least twice, so the first fault always strikes.
      let faults: Set<Int> = attempt < 8 ? [Int.random(in: 0..<(attempt == 0 ? 2 : 12), using: &random)] : []
      store.fail(at: faults)
      do {
        let sizes = (0..<5).map { _ in Int.random(in: 1...300, using: &random) }
        try await Self.run(records, into: store, history, sizes: sizes, workers: Int.random(in: 1...4, using: &random))
        if attempt >= 8 { break }
      } catch is PlannedFault { failures += 1 }
    }
    #expect(failures > 0)
    // Shards are cut at the end of each run that ends; their rows, in order, are what must be equal.
    let differences = Self.differences(of: store.contents, from: expected)
    #expect(differences == [])
    #expect(store.contents == expected || !differences.isEmpty)
  }

  /// A few words on what differs: whole contents fill pages.
  private static func differences(of found: MemoryStore.Contents, from expected: MemoryStore.Contents) -> [String] {
    var differences: [String] = []
    func compare<Key: Hashable, Value: Equatable>(_ name: String, _ found: [Key: Value], _ expected: [Key: Value]) {
      for key in Set(found.keys).union(expected.keys) where found[key] != expected[key] {
        differences.append(
          "\(name) \(key): \("\(found[key] as Any)".prefix(300)), not \("\(expected[key] as Any)".prefix(300))")
      }
    }
    compare("anomaly", found.anomalies, expected.anomalies)
    compare("dead letter", found.deadLetters, expected.deadLetters)
    compare("window", found.windows, expected.windows)
    compare("history rows", found.history.mapValues(\.count), expected.history.mapValues(\.count))
    compare("history", found.history, expected.history)
    if found.totals != expected.totals { differences.append("totals \(found.totals), not \(expected.totals)") }
    return differences
  }

  @Test("what may wait for the disk runs on the thread of history, never on the cooperative pool")
  func blockingCalls() async throws {
    let memory = MemoryHistory()
    let history = NotingHistory(memory)
    try await Self.run(
      RuntimeUseCase.records(2_000, seed: 5), into: MemoryStore(memory), history, sizes: [100], workers: 2)
    #expect(
      history.calls == ["encodeTail": ["pulse-history"], "publish": ["pulse-history"], "writeShard": ["pulse-history"]])
  }

  /// Notes which thread each call comes on.
  private final class NotingHistory: HistoryEncoder {
    private let history: MemoryHistory
    private let noted = Mutex<[String: Set<String>]>([:])

    init(_ history: MemoryHistory) { self.history = history }

    var calls: [String: Set<String>] { noted.withLock { $0 } }

    private func note(_ call: String = #function) {
      let name = String(call.prefix { $0 != "(" })
      noted.withLock { _ = $0[name, default: []].insert(Thread.current.name ?? "") }
    }

    func writeShard(_ rows: HistoryRows, of partition: PartitionID, to path: String) throws -> Int64 {
      note()
      return try history.writeShard(rows, of: partition, to: path)
    }

    func encodeTail(_ rows: HistoryRows, of partition: PartitionID) throws -> [UInt8] {
      note()
      return try history.encodeTail(rows, of: partition)
    }

    func decodeTail(_ bytes: [UInt8]) throws -> HistoryRows { try history.decodeTail(bytes) }
    func publish(_ shards: [HistoryShard]) throws { note() }
    func remove(_ paths: [String]) throws { note() }
  }

  @Test("a queue hands results over in the order of their tickets")
  func order() async throws {
    let queue = OrderedQueue<Int>()
    var tickets = Array(0..<1000)
    var random = SeededRandom(seed: 3)
    tickets.shuffle(using: &random)
    let shuffled = tickets
    async let submitted: Void = {
      for ticket in shuffled { queue.submit(ticket * 2, ticket: UInt64(ticket)) }
      queue.finish(after: 1000)
    }()
    var received: [Int] = []
    loop: while true {
      switch await queue.next() {
      case .element(let element): received.append(element)
      case .tick, .idle: continue
      case .end, .aborted: break loop
      }
    }
    await submitted
    #expect(received == (0..<1000).map { $0 * 2 })
  }

  @Test("a queue that was given up hands over nothing more, whatever arrives and however it is finished")
  func abortedOrder() async throws {
    let queue = OrderedQueue<Int>()
    queue.submit(0, ticket: 0)
    queue.submit(2, ticket: 2)
    queue.abort()
    queue.submit(1, ticket: 1)
    queue.finish(after: 3)
    guard case .aborted = await queue.next() else {
      Issue.record("expected that it was given up")
      return
    }
  }

  @Test("state of a newer version is refused and not left behind", arguments: ["watermark", "waiting"])
  func newerState(name: String) async throws {
    let history = MemoryHistory()
    let store = MemoryStore(history)
    try await Self.run(RuntimeUseCase.records(100, seed: 5), into: store, history, sizes: [50], workers: 1)
    var snapshot = try #require(try await store.claim(useCase: "runtime", partition: MemorySource.partition()).snapshot)
    var space = try #require(snapshot.states[name])
    let words = space.fingerprint.split(separator: " ", maxSplits: 1).map(String.init)
    let version = try #require(Int(words[1].prefix { $0.isNumber }))
    space.fingerprint = "\(words[0]) \(version + 1)" + words[1].drop { $0.isNumber }
    snapshot.states[name] = space
    let plan = try RuntimeUseCase.plan().plan
    let error = #expect(throws: CodingError.self) {
      try snapshot.check(as: MemorySource.partition(), of: plan) { try history.decodeTail($0.bytes) }
    }
    #expect(error?.description == "the state \(name) has version \(version + 1), expected 1 to \(version)")
  }

  @Test("history that a killed run left becomes shards although nothing new arrives")
  func abandonedTails() async throws {
    let records = RuntimeUseCase.records(500, seed: 5)
    let expected = try await Self.whole(records, sizes: [500], workers: 1)
    let history = MemoryHistory()
    let store = MemoryStore(history)
    // The checkpoint that covers the whole input without sealing it, as the clock may take it, then no more.
    try await Self.leaveTails(records, in: store, history)
    #expect(store.contents.history.isEmpty)
    try await Self.run(records, into: store, history, sizes: [500], workers: 1)
    #expect(store.contents.history == expected.history)
  }

  private static func leaveTails(_ records: [[UInt8]], in store: MemoryStore, _ history: MemoryHistory) async throws {
    let (plan, version) = try RuntimeUseCase.plan()
    let source = MemorySource(records, batchSizes: [500])
    guard case .batch(let raw) = source.nextBatch() else { preconditionFailure("the source has a batch") }
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    var processor = try await Activator(plan: plan, version: version, store: store, encoder: history, logger: logger)
      .prepare(raw.partition).processor
    let staged = plan.derive(Decoder(schema: plan.schema).decode(raw), from: raw)
    let results = try processor.process(StagedWork(staged: staged, records: raw.count, next: raw.next), now: .now)
    #expect(try await store.commit([results]) == [])
    var checkpoint = processor.takeCheckpoint(sourceState: [])
    checkpoint.history.tails = try processor.takeTailJobs().stored.map {
      HistoryTail(number: $0.number, days: $0.days, bytes: try history.encodeTail($0.rows, of: raw.partition))
    }
    #expect(try await store.commit([checkpoint]).refused == [])
  }

  @Test("the reader waits while too much is in flight")
  func backPressure() async throws {
    let (mailbox, inFlight) = (Mailbox<Int>(), InFlight(batches: 3, bytes: .max))
    let sent = Counter()
    let sender = Task {
      for element in 0..<10 {
        inFlight.enter(InFlight.Load(batches: 1, bytes: 1))
        mailbox.send(element)
        await inFlight.waitForRoom()
        sent.increment()
      }
      mailbox.finish()
    }
    var received: [Int] = []
    while let element = await mailbox.receive() {
      received.append(element)
      #expect(sent.value <= received.count + 3)
      inFlight.leave(InFlight.Load(batches: 1, bytes: 1))
    }
    await sender.value
    #expect(received == Array(0..<10) && inFlight.batches == 0)
  }

  @Test("the reader waits while what is in flight is too large, however few batches it is")
  func backPressureByBytes() async throws {
    // 40 is more than there is room for, and goes through alone.
    let sizes = [10, 10, 40, 1, 1, 1, 30, 30, 5, 0, 0, 0]
    let (mailbox, inFlight) = (Mailbox<Int>(), InFlight(batches: 100, bytes: 30))
    let sent = Counter()
    let sender = Task {
      for (element, size) in sizes.enumerated() {
        inFlight.enter(InFlight.Load(batches: 1, bytes: size))
        mailbox.send(element)
        await inFlight.waitForRoom()
        sent.increment()
      }
      mailbox.finish()
    }
    var received: [Int] = []
    while let element = await mailbox.receive() {
      received.append(element)
      // Whoever's wait has returned left room behind it; the next one is in flight, and no further.
      let underWay = sizes[received.count - 1..<max(sent.value, received.count - 1)].reduce(0, +)
      #expect(underWay <= 30)
      inFlight.leave(InFlight.Load(batches: 1, bytes: sizes[element]))
    }
    await sender.value
    #expect(received == Array(sizes.indices))
    #expect(inFlight.batches == 0)
  }

  @Test("columns count as large as their text is when it is written out")
  func heldBytes() {
    let strings = StringColumn(
      offsets: [0, 0, 1_000], bytes: [UInt8](repeating: 0x61, count: 1_000), codes: [1, 0, 1, 1])
    let batch = RawBatch(
      partition: PartitionID(source: "s", number: 0),
      positions: RecordPositions(segment: 0, offsets: [0, 1, 2, 3], rows: [0, 1, 2, 3]),
      payload: .columns([
        NamedColumn("t", Column(.string(strings))), NamedColumn("n", Column(.int([1, 2, 3, 4]))),
      ]),
      next: Position(segment: 0, offset: 4, row: 4))
    #expect(batch.heldBytes == 3_000 + 4 * 8 * 2)
  }

  private final class Counter: Sendable {
    private let count = Mutex(0)
    func increment() { count.withLock { $0 += 1 } }
    var value: Int { count.withLock { $0 } }
  }
}
