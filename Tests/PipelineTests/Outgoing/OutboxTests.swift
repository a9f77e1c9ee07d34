// What leaves is what is stored, whatever is killed or fails in between.

import Detection
import Logging
import Synchronization
import TestKit
import Testing

@testable import Pipeline

@Suite("Outbox", .timeLimit(.minutes(5)))
struct OutboxTests {
  private static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  private static func run(_ store: any Store, _ history: MemoryHistory, _ records: [[[UInt8]]], size: Int) async throws
  {
    let (plan, version) = try RuntimeUseCase.plan()
    try await Pipeline(
      plan: plan, version: version, source: MemorySource(partitions: records, batchSizes: [size]), store: store,
      encoder: history, options: Pipeline.Options(workers: 2, checkpointInterval: .milliseconds(2)), logger: quiet
    ).run()
  }

  /// What a store has, by identity, with the number of the change.
  private static func stored(_ reader: any ResultReader) async throws -> [String: ResultChange] {
    var cursor = ChangeCursor()
    var results: [String: ResultChange] = [:]
    while true {
      let since = cursor
      let page = try await reader.read { try await $0.changes(since: since, of: nil, limit: 1_000) }
      for change in page.changes {
        if case .retraction = change.content { results[change.id] = nil } else { results[change.id] = change }
      }
      cursor = page.next
      if !page.hasMore { return results }
    }
  }

  /// Outboxes are killed between delivery and cursor, sinks fail, and the run they follow is killed as well.
  @Test("every committed change is delivered in order, again only what the last batch had", arguments: 0..<12)
  func delivery(_ seed: Int) async throws {
    var random = SeededRandom(seed: UInt64(seed))
    let records = [RuntimeUseCase.records(700, seed: UInt64(seed)), RuntimeUseCase.records(400, seed: 99)]
    let history = MemoryHistory()
    let store = MemoryStore(history)
    let actions = MemoryActions()
    let script = (0..<400).map { _ in Int.random(in: 0..<8, using: &random) }
    let sink = FaultySink { number in
      switch script[number % script.count] {
      case 0: .before
      case 1: .halfway
      case 2: .after
      default: nil
      }
    }
    var options = Outbox.Options()
    options.batch = Int.random(in: 1...40, using: &random)
    func outbox() -> Outbox {
      Outbox("sink", from: store, cursors: actions, to: sink, options: options, logger: Self.quiet)
    }
    for round in 0..<4 {
      store.fail(at: round < 3 ? [Int.random(in: 3..<40, using: &random)] : [])
      let size = [7, 64, 33, 1_000][round]
      try? await Self.run(store, history, records, size: size)
      // What failed is tried again, by a new process each time.
      for _ in 0..<400 {
        do {
          try await outbox().drain()
          break
        } catch is PlannedFault {}
      }
    }
    store.fail(at: [])
    try await Self.run(store, history, records, size: 50)
    while (try? await outbox().drain()) == nil {}
    #expect(try await outbox().drain() == 0)

    let stored = try await Self.stored(store)
    #expect(stored.count > 100 && sink.contents.count == stored.count)
    #expect(sink.contents == stored)
    let results = store.contents
    #expect(stored.values.count { if case .anomaly = $0.content { true } else { false } } == results.anomalies.count)
    // In order; what comes again begins with the batch that was delivered last.
    var last: [PartitionID: ClosedRange<Int64>] = [:]
    for delivery in sink.deliveries {
      for (partition, changes) in Dictionary(grouping: delivery, by: \.partition) {
        let numbers = changes.map(\.number)
        #expect(zip(numbers, numbers.dropFirst()).allSatisfy { $0 < $1 })
        guard let first = numbers.first, let end = numbers.last else { continue }
        if let known = last[partition] { #expect(first > known.upperBound || first >= known.lowerBound) }
        last[partition] = first...end
      }
    }
  }

  @Test("a change that is never taken holds the others back, and is not lost")
  func blocked() async throws {
    let history = MemoryHistory()
    let store = MemoryStore(history)
    let actions = MemoryActions()
    try await Self.run(store, history, [RuntimeUseCase.records(300, seed: 1)], size: 50)
    final class Network: Sendable { let isBroken = Atomic(true) }
    let network = Network()
    let sink = FaultySink { _ in network.isBroken.load(ordering: .relaxed) ? .before : nil }
    let outbox = Outbox("o", from: store, cursors: actions, to: sink, logger: Self.quiet)
    for _ in 0..<3 { await #expect(throws: PlannedFault.self) { try await outbox.drain() } }
    #expect(sink.deliveries.isEmpty)
    #expect(try await actions.cursor(of: "o") == ChangeCursor())
    network.isBroken.store(false, ordering: .relaxed)
    #expect(try await outbox.drain() == sink.deliveries.joined().count)
    #expect(try await sink.contents == Self.stored(store))
  }

  @Test("two that deliver the same outbox notice, and the cursor does not go back")
  func twice() async throws {
    let history = MemoryHistory()
    let store = MemoryStore(history)
    let actions = MemoryActions()
    try await Self.run(store, history, [RuntimeUseCase.records(100, seed: 1)], size: 50)
    /// Lets the other one go first.
    final class Overtaken: Sink {
      let first: @Sendable () async throws -> Void
      init(_ first: @escaping @Sendable () async throws -> Void) { self.first = first }
      func deliver(_ changes: [ResultChange]) async throws { try await first() }
    }
    let other = FaultySink()
    let second = Outbox("o", from: store, cursors: actions, to: other, logger: Self.quiet)
    let sink = Overtaken { _ = try await second.drain() }
    let outbox = Outbox("o", from: store, cursors: actions, to: sink, logger: Self.quiet)
    let error = await #expect(throws: OperatingError.self) { try await outbox.drain() }
    #expect(error?.description.contains("another process") == true)
    #expect(try await actions.cursor(of: "o") == (try await store.read { try await $0.latestChange(of: nil) }))
  }

  @Test("a run's commits wake it, and it ends with its task")
  func woken() async throws {
    let history = MemoryHistory()
    let store = MemoryStore(history)
    let (sink, actions, signal) = (FaultySink(), MemoryActions(), ChangeSignal())
    var options = Outbox.Options()
    options.interval = .seconds(3_600)
    let outbox = Outbox("o", from: store, cursors: actions, to: sink, options: options, logger: Self.quiet)
    let task = Task { await outbox.run(wokenBy: signal) }
    let (plan, version) = try RuntimeUseCase.plan()
    try await Pipeline(
      plan: plan, version: version, source: MemorySource(RuntimeUseCase.records(300, seed: 5), batchSizes: [20]),
      store: store, encoder: history, options: Pipeline.Options(workers: 1, changes: signal), logger: Self.quiet
    ).run()
    let stored = try await Self.stored(store)
    while sink.contents.count < stored.count { try await Task.sleep(for: .milliseconds(5)) }
    #expect(sink.contents == stored && !stored.isEmpty)
    task.cancel()
    #expect(await task.value, "a sink that was not ended takes more")
  }

  /// A partition in which some findings are committed and its checkpoint is at a position.
  private struct Part {
    static let partition = PartitionID(source: "s", number: 0)
    let store = MemoryStore(MemoryHistory())
    let claim: Claim

    init() async throws { claim = try await store.claim(useCase: "u", partition: Self.partition).claim }

    static func position(_ offset: Int64) -> Position { Position(segment: 0, offset: offset, row: offset) }

    func find(_ offsets: Int64...) async throws {
      let anomalies = offsets.map { offset in
        Anomaly(
          useCase: "u", partition: Self.partition, position: Self.position(offset), detector: "d", eventTime: offset,
          key: "k", score: 1, severity: .low, reason: "r", explanation: Explanation(), event: "{}")
      }
      #expect(try await store.commit([Results(claim: claim, anomalies: anomalies)]).isEmpty)
    }

    func checkpoint(_ offset: Int64) async throws {
      let checkpoint = Checkpoint(
        claim: claim, position: Self.position(offset), sourceState: [], watermark: offset, totals: Totals(),
        windows: [], windowRetention: [], resultsKeepFrom: nil, states: [], history: HistoryChanges())
      #expect(try await store.commit([checkpoint]).refused.isEmpty)
    }
  }

  private static func offsets(_ sink: FaultySink) -> [Int64] {
    sink.deliveries.joined().compactMap { change in
      if case .anomaly(let anomaly) = change.content { anomaly.position.offset } else { nil }
    }
  }

  @Test("early delivers what is committed, final what lies before the checkpoint, and what is behind it in order later")
  func finality() async throws {
    let part = try await Part()
    let (actions, early, settled) = (MemoryActions(), FaultySink(), FaultySink())
    var options = Outbox.Options()
    options.waitsForCheckpoints = true
    options.batch = 2
    let first = Outbox("early", from: part.store, cursors: actions, to: early, logger: Self.quiet)
    let second = Outbox("final", from: part.store, cursors: actions, to: settled, options: options, logger: Self.quiet)
    try await part.find(1, 2)
    #expect(try await first.drain() == 2)
    #expect(try await second.drain() == 0 && settled.deliveries.isEmpty)
    try await part.checkpoint(2)
    #expect(try await second.drain() == 1)
    #expect(Self.offsets(settled) == [1])
    // One that is found late, as of an event that waited, stays behind the one that waits for the checkpoint.
    try await part.find(0)
    try await part.find(5, 7)
    #expect(try await second.drain() == 0)
    try await part.checkpoint(6)
    #expect(try await second.drain() == 3)
    #expect(Self.offsets(settled) == [1, 2, 0, 5])
    #expect(try await first.drain() == 3)
    #expect(Self.offsets(early) == [1, 2, 0, 5, 7])
    try await part.checkpoint(8)
    #expect(try await second.drain() == 1)
    #expect(Self.offsets(settled) == Self.offsets(early))
  }

  @Test("a run that is killed takes back nothing of what was final", arguments: 0..<8)
  func finalAcrossCrashes(_ seed: Int) async throws {
    var random = SeededRandom(seed: UInt64(seed))
    let records = [RuntimeUseCase.records(500, seed: UInt64(seed)), RuntimeUseCase.records(300, seed: 77)]
    let history = MemoryHistory()
    let store = MemoryStore(history)
    let (actions, sink) = (MemoryActions(), FaultySink())
    var options = Outbox.Options()
    options.waitsForCheckpoints = true
    options.batch = Int.random(in: 1...40, using: &random)
    let outbox = Outbox("o", from: store, cursors: actions, to: sink, options: options, logger: Self.quiet)
    for round in 0..<5 {
      store.fail(at: round < 4 ? [Int.random(in: 2..<30, using: &random)] : [])
      try? await Self.run(store, history, records, size: [7, 64, 33, 50, 20][round])
      try await outbox.drain()
      let checkpoints = store.contents.positions
      for change in sink.deliveries.joined() {
        guard let position = change.position else { continue }
        #expect(position < checkpoints[change.partition] ?? .start)
      }
    }
    #expect(try await sink.contents == Self.stored(store) && !sink.contents.isEmpty)
  }

  /// Takes nothing more, as one that was fenced off.
  private struct EndedSink: Sink {
    func deliver(_ changes: [ResultChange]) async throws { throw SinkEnded("another one delivers") }
  }

  @Test("a sink that takes no more ends its outbox, not its run")
  func ended() async throws {
    let part = try await Part()
    try await part.find(1)
    let actions = MemoryActions()
    let outbox = Outbox("o", from: part.store, cursors: actions, to: EndedSink(), logger: Self.quiet)
    #expect(await !outbox.run(wokenBy: ChangeSignal()))
    await outbox.finish(within: .seconds(60))
    #expect(try await actions.cursor(of: "o") == ChangeCursor())
  }

  @Test("behind the end of a run everything is delivered, or the time is over")
  func finish() async throws {
    let part = try await Part()
    try await part.find(1, 2, 3)
    let actions = MemoryActions()
    let late = FaultySink { $0 < 3 ? .before : nil }
    await Outbox("late", from: part.store, cursors: actions, to: late, logger: Self.quiet).finish(within: .seconds(60))
    #expect(Self.offsets(late) == [1, 2, 3])
    let away = FaultySink { _ in .before }
    let start = ContinuousClock.now
    await Outbox("away", from: part.store, cursors: actions, to: away, logger: Self.quiet)
      .finish(within: .milliseconds(700))
    #expect(ContinuousClock.now - start < .seconds(30) && away.deliveries.isEmpty)
  }

  /// Ends the task that delivers.
  private struct CancellingSink: Sink {
    func deliver(_ changes: [ResultChange]) async throws { withUnsafeCurrentTask { $0?.cancel() } }
  }

  /// Moves nothing for a task that was cancelled, as connections to databases do.
  private struct StrictCursors: OutboxCursors {
    let actions = MemoryActions()

    func cursor(of outbox: String) async throws -> ChangeCursor { try await actions.cursor(of: outbox) }
    func place(of outbox: String) async throws -> OutboxPlace? { try await actions.place(of: outbox) }

    func advance(_ outbox: String, from old: ChangeCursor, to new: ChangeCursor) async throws -> Bool {
      try Task.checkCancellation()
      return try await actions.advance(outbox, from: old, to: new)
    }

    func advance(_ outbox: String, from old: ChangeCursor, to new: OutboxPlace) async throws -> Bool {
      try Task.checkCancellation()
      return try await actions.advance(outbox, from: old, to: new)
    }
  }

  @Test("what was delivered is noted as such although the task was cancelled meanwhile")
  func cancelled() async throws {
    let part = try await Part()
    try await part.find(1)
    let cursors = StrictCursors()
    let outbox = Outbox("o", from: part.store, cursors: cursors, to: CancellingSink(), logger: Self.quiet)
    #expect(try await Task { try await outbox.drain() }.value == 1)
    #expect(try await cursors.cursor(of: "o") != ChangeCursor())
  }

  @Test("an outbox has a word of its own for as long as its store is there")
  func identity() async throws {
    let actions = MemoryActions()
    let word = try await actions.identity(of: "o")
    let cursor = try ChangeCursor("")
    var next = cursor
    next[ChangeCursor.Place(useCase: "u", partition: Part.partition)] = 4
    #expect(try await actions.advance("o", from: cursor, to: next))
    #expect(try await actions.identity(of: "o") == word && !word.isEmpty)
    #expect(try await actions.identity(of: "other") != word)
    #expect(try await MemoryActions().identity(of: "o") != word)
  }
}
