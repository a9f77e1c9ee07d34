// Partitions that come and go: whatever a source says in whatever order, and whoever takes a partition over in the middle
// of whatever, the results are those of one run over the whole input.

import Detection
import Logging
import Synchronization
import TestKit
import Testing

@testable import Pipeline

/// What a source may say of the first partition before the rest of it is read.
private let orders: [[ScriptedSource.Step]] = [
  // Given back and got again, with batches under way.
  [.assign(0), .batch(0, rows: 50), .batch(0, rows: 70), .revoke(0), .untilReleased(0), .assign(0)],
  // Given back before it was prepared, and before anything came.
  [.assign(0), .revoke(0), .untilReleased(0), .assign(0), .untilResumed(0), .revoke(0), .untilReleased(0), .assign(0)],
  // Lost with batches under way, and got again before the loss was dealt with.
  [
    .assign(0), .batch(0, rows: 50), .batch(0, rows: 70), .lose(0), .assign(0), .batch(0, rows: 33), .lose(0),
    .assign(0),
  ],
  // Lost before it was prepared.
  [.assign(0), .lose(0), .assign(0), .lose(0), .untilReleased(0), .assign(0)],
  // Lost while it was being given back.
  [.assign(0), .batch(0, rows: 200), .revoke(0), .lose(0), .untilReleased(0), .assign(0)],
  // Idle in between; given back by a source that does not wait for the answer.
  [.assign(0), .idle(0), .batch(0, rows: 10), .idle(0), .batch(0, rows: 10), .revoke(0), .assign(0)],
  // Of another partition than those that are assigned.
  [.revoke(1), .lose(1), .idle(1), .batch(1, rows: 5), .assign(0), .batch(0, rows: 5)],
]

@Suite("Partitions come and go", .timeLimit(.minutes(15)))
struct AssignmentTests {
  private typealias Step = ScriptedSource.Step

  private let records = [RuntimeUseCase.records(700, seed: 5), RuntimeUseCase.records(500, seed: 6)]

  private static func pipeline(
    _ source: ScriptedSource, into store: any Store, _ history: any HistoryEncoder, _ log: LogLines = LogLines(),
    interval: Duration = .milliseconds(1)
  ) throws -> Pipeline {
    let (plan, version) = try RuntimeUseCase.plan()
    return Pipeline(
      plan: plan, version: version, source: source, store: store, encoder: history,
      options: Pipeline.Options(workers: 2, checkpointInterval: interval), logger: Logger(label: "test") { _ in log })
  }

  /// The rest of a partition.
  private static func rest(_ number: Int, rows: Int = 64) -> [Step] {
    Array(repeating: .batch(number, rows: rows), count: 700 / rows + 1)
  }

  private func whole() async throws -> MemoryStore.Contents {
    let history = MemoryHistory()
    let store = MemoryStore(history)
    let steps = [Step.assign(0), .assign(1)] + Self.rest(0) + Self.rest(1)
    try await Self.pipeline(ScriptedSource(records, steps), into: store, history).run()
    return store.contents
  }

  @Test("several partitions in one run give what one run over each gives")
  func together() async throws {
    let whole = try await whole()
    #expect(whole.anomalies.count > 50 && whole.positions.count == 2)
    for number in 0...1 {
      let history = MemoryHistory()
      let store = MemoryStore(history)
      try await Self.pipeline(ScriptedSource(records, [.assign(number)] + Self.rest(number)), into: store, history)
        .run()
      let prefix = "runtime.memory.\(number)."
      #expect(store.contents.anomalies == whole.anomalies.filter { $0.key.hasPrefix(prefix) })
      #expect(store.contents.windows == whole.windows.filter { $0.key.hasPrefix("\(number) ") })
    }
  }

  @Test("every order gives the same", arguments: orders.indices)
  func anyOrder(index: Int) async throws {
    let whole = try await whole()
    let history = MemoryHistory()
    let store = MemoryStore(history)
    let steps = orders[index] + Self.rest(0) + [.assign(1)] + Self.rest(1)
    let source = ScriptedSource(records, steps)
    try await Self.pipeline(source, into: store, history).run()
    #expect(differences(store.contents, whole) == [])
    #expect(source.resumed[MemorySource.partition(0)]?.count ?? 0 >= 1)
  }

  @Test("a partition that is given back is resumed behind all that was handed over, a lost one behind its checkpoint")
  func resumed() async throws {
    let history = MemoryHistory()
    let store = MemoryStore(history)
    let steps: [Step] = [
      .assign(0), .batch(0, rows: 50), .batch(0, rows: 70), .revoke(0), .untilReleased(0), .assign(0),
      .batch(0, rows: 30), .lose(0), .untilReleased(0), .assign(0), .untilResumed(0),
    ]
    let source = ScriptedSource(records, steps)
    try await Self.pipeline(source, into: store, history, interval: .seconds(60)).run()
    #expect(source.resumed[MemorySource.partition(0)]?.map(\.offset) == [0, 120, 120])
  }

  @Test("a partition that is stored and not assigned is not touched")
  func unassigned() async throws {
    let history = MemoryHistory()
    let store = MemoryStore(history)
    try await Self.pipeline(ScriptedSource(records, [.assign(0), .batch(0, rows: 90)]), into: store, history).run()
    let before = store.contents
    try await Self.pipeline(ScriptedSource(records, [.assign(1)] + Self.rest(1)), into: store, history).run()
    let after = store.contents
    #expect(after.positions[MemorySource.partition(0)] == before.positions[MemorySource.partition(0)])
    #expect(store.epoch(of: MemorySource.partition(0)) == 1 && store.epoch(of: MemorySource.partition(1)) == 1)
    #expect(before.windows.allSatisfy { after.windows[$0.key] == $0.value })
    #expect(before.history.allSatisfy { after.history[$0.key] == $0.value })
  }

  @Test("no partition waits for another one that is being restored")
  func independent() async throws {
    let (gate, history) = (ScriptedSource.Gate(), MemoryHistory())
    let store = MemoryStore(history)
    store.hold(MemorySource.partition(0), until: gate)
    let steps =
      [.assign(0), .assign(1)] + Self.rest(1) + [.revoke(1), .untilReleased(1), .until(gate), .assign(1)] + Self.rest(0)
    let source = ScriptedSource(records, steps)
    async let done: Void = Self.pipeline(source, into: store, history).run()
    let limit = ContinuousClock.now + ScriptedSource.patience
    while store.contents.positions[MemorySource.partition(1)]?.offset != 500, ContinuousClock.now < limit {
      try await Task.sleep(for: .milliseconds(1))
    }
    #expect(store.contents.positions == [MemorySource.partition(1): Position(segment: 0, offset: 500, row: 500)])
    gate.open()
    try await done
    #expect(differences(store.contents, try await whole()) == [])
  }

  @Test("a lane that fails while another one is being opened ends the run")
  func failure() async throws {
    let (gate, history) = (ScriptedSource.Gate(), MemoryHistory())
    let store = MemoryStore(history)
    store.hold(MemorySource.partition(1), until: gate)
    // The activation of the first partition is on record, its first results fail.
    store.fail(at: 1, afterEffect: false)
    let steps = [.assign(0), .assign(1)] + Self.rest(0) + [.untilReleased(1)]
    let opening = Task {
      try await Task.sleep(for: .milliseconds(100))
      gate.open()
    }
    await #expect(throws: PlannedFault.self) {
      try await Self.pipeline(ScriptedSource(records, steps), into: store, history).run()
    }
    try await opening.value
  }

  /// Has a champion that takes an hour to load.
  private struct EndlessModels: ModelProvider {
    let isLoading = ScriptedSource.Gate()
    func champions() -> [String: String] { ["odd": "v1"] }
    func load(_ version: String, of detector: String) async throws -> FittedModel {
      isLoading.open()
      try await Task.sleep(for: .seconds(3_600))
      throw PlannedFault()
    }
  }

  @Test("a lane that fails does not wait for the models of one that is being opened")
  func failureAmidModels() async throws {
    let (plan, version) = try LearnedUseCase.plan()
    let (models, history, log) = (EndlessModels(), MemoryHistory(), LogLines())
    let store = MemoryStore(history)
    let records = [LearnedUseCase.records(10, seed: 1), LearnedUseCase.records(10, seed: 2)]
    // The first one loads a model; then the claim of the second one fails.
    let steps: [Step] = [.assign(0), .until(models.isLoading), .assign(1), .untilReleased(0), .untilReleased(1)]
    let pipeline = Pipeline(
      plan: plan, version: version, source: ScriptedSource(records, steps), store: FaultyStore(store, failingAt: 1),
      encoder: history, models: models, options: Pipeline.Options(workers: 1),
      logger: Logger(label: "test") { _ in log })
    await #expect(throws: PlannedFault.self) { try await pipeline.run() }
    // That a model was given up says nothing of it.
    #expect(log.lines.isEmpty)
    let logs = store.log(of: MemorySource.partition(0)) + store.log(of: MemorySource.partition(1))
    #expect(logs.isEmpty)
  }

  @Test("a run that is stopped or cancelled does not wait for models", arguments: [false, true])
  func stoppedAmidModels(isCancelled: Bool) async throws {
    let (plan, version) = try LearnedUseCase.plan()
    let (models, history, log) = (EndlessModels(), MemoryHistory(), LogLines())
    let store = MemoryStore(history)
    let pipeline = Pipeline(
      plan: plan, version: version,
      source: ScriptedSource([LearnedUseCase.records(10, seed: 1)], [.assign(0), .untilReleased(0)]), store: store,
      encoder: history, models: models, options: Pipeline.Options(workers: 1),
      logger: Logger(label: "test") { _ in log })
    let run = Task { try await pipeline.run() }
    await models.isLoading.wait()
    if isCancelled { run.cancel() } else { pipeline.stop() }
    try await run.value
    #expect(log.lines.isEmpty)
    #expect(store.contents == MemoryStore.Contents() && store.log(of: MemorySource.partition(0)).isEmpty)
  }

  @Test("a partition that was revoked or lost before it was claimed is not taken from whoever has it by now")
  func givenBackAtOnce() async throws {
    let history = MemoryHistory()
    let store = MemoryStore(history)
    // The lane of the second assignment waits for the end of the first one.
    let gate = ScriptedSource.Gate()
    store.hold(MemorySource.partition(0), until: gate)
    let steps: [Step] = [
      .assign(0), .lose(0), .assign(0), .revoke(0), .assign(0), .lose(0), .open(gate), .untilReleased(0),
    ]
    try await Self.pipeline(ScriptedSource(records, steps), into: store, history).run()
    #expect(store.epoch(of: MemorySource.partition(0)) <= 1)
    #expect(store.contents.positions.isEmpty)
  }

  @Test("a partition that is assigned again without having been revoked is lost first")
  func assignedTwice() async throws {
    let whole = try await whole()
    let history = MemoryHistory()
    let store = MemoryStore(history)
    let steps = [Step.assign(0), .batch(0, rows: 90), .assign(1), .assign(0)] + Self.rest(0) + Self.rest(1)
    try await Self.pipeline(ScriptedSource(records, steps), into: store, history).run()
    #expect(differences(store.contents, whole) == [])
  }

  @Test("a run whose task is cancelled while its source waits ends")
  func cancelled() async throws {
    let whole = try await whole()
    let history = MemoryHistory()
    let store = MemoryStore(history)
    let pipeline = try Self.pipeline(
      ScriptedSource(records, [.assign(0), .batch(0, rows: 50), .until(ScriptedSource.Gate())]), into: store, history)
    let run = Task { try await pipeline.run() }
    let limit = ContinuousClock.now + ScriptedSource.patience
    while pipeline.progress.snapshot.run.records < 50, ContinuousClock.now < limit {
      try await Task.sleep(for: .milliseconds(1))
    }
    run.cancel()
    _ = await run.result
    let steps = [Step.assign(0), .assign(1)] + Self.rest(0) + Self.rest(1)
    try await Self.pipeline(ScriptedSource(records, steps), into: store, history).run()
    #expect(differences(store.contents, whole) == [])
  }

  @Test("a partition of which nothing comes leaves no trace")
  func nothing() async throws {
    let history = MemoryHistory()
    let store = MemoryStore(history)
    let steps: [Step] = [.assign(0), .untilResumed(0), .revoke(0), .untilReleased(0), .assign(0), .untilResumed(0)]
    let pipeline = try Self.pipeline(ScriptedSource(records, steps), into: store, history)
    try await pipeline.run()
    #expect(store.contents == MemoryStore.Contents())
    #expect(store.log(of: MemorySource.partition(0)).isEmpty && store.epoch(of: MemorySource.partition(0)) == 2)
  }

  @Test("that a partition is idle is announced, changes no result and is taken back")
  func idle() async throws {
    let whole = try await whole()
    let (looked, history) = (ScriptedSource.Gate(), MemoryHistory())
    let store = MemoryStore(history)
    let steps =
      [Step.assign(0), .assign(1), .idle(1), .batch(0, rows: 300), .batch(1, rows: 60), .idle(0), .until(looked)]
      + Self.rest(0) + Self.rest(1)
    let pipeline = try Self.pipeline(ScriptedSource(records, steps), into: store, history)
    async let done: Void = pipeline.run()
    let limit = ContinuousClock.now + ScriptedSource.patience
    func settled() -> Bool {
      let snapshot = pipeline.progress.snapshot
      return snapshot.idle.keys.contains(MemorySource.partition(0)) && snapshot.run.records == 360
    }
    while !settled(), ContinuousClock.now < limit { try await Task.sleep(for: .milliseconds(1)) }
    let idle = pipeline.progress.snapshot.idle
    // Of the other one something has come since.
    #expect(Array(idle.keys) == [MemorySource.partition(0)])
    #expect(idle[MemorySource.partition(0)]?.position.offset == 300)
    let times = (0..<300).compactMap { index -> Int64? in
      let text = String(decoding: records[0][index], as: UTF8.self)
      return text.firstMatch(of: /"at": ([0-9]+)/).flatMap { Int64($0.1) }
    }
    #expect(idle[MemorySource.partition(0)]?.windowsThrough == times.max().map { $0 * 1_000_000 })
    looked.open()
    try await done
    #expect(pipeline.progress.snapshot.idle.isEmpty)
    #expect(differences(store.contents, whole) == [])
  }

  @Test("a partition of which nothing comes is idle although its source does not say so")
  func idleByTheClock() async throws {
    let (looked, history) = (ScriptedSource.Gate(), MemoryHistory())
    let (plan, version) = try RuntimeUseCase.plan()
    let pipeline = Pipeline(
      plan: plan, version: version,
      source: ScriptedSource(records, [.assign(0), .batch(0, rows: 90), .until(looked), .batch(0, rows: 10)]),
      store: MemoryStore(history), encoder: history,
      options: Pipeline.Options(workers: 1, checkpointInterval: .milliseconds(1), idleAfter: .milliseconds(20)),
      logger: Logger(label: "test") { _ in LogLines() })
    async let done: Void = pipeline.run()
    let limit = ContinuousClock.now + ScriptedSource.patience
    // It may be idle before its first batch comes, too.
    while pipeline.progress.snapshot.idle[MemorySource.partition(0)]?.position.offset != 90, ContinuousClock.now < limit
    {
      try await Task.sleep(for: .milliseconds(1))
    }
    #expect(pipeline.progress.snapshot.idle[MemorySource.partition(0)]?.position.offset == 90)
    looked.open()
    try await done
    #expect(pipeline.progress.snapshot.idle.isEmpty && pipeline.progress.snapshot.run.records == 100)
  }
}
