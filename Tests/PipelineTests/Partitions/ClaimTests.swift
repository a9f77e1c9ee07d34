// Who may write: whoever takes a partition over in the middle of whatever, the results are those of one run over the whole
// input, and who was superseded ends quietly.

import Detection
import Logging
import Synchronization
import TestKit
import Testing

@testable import Pipeline

@Suite("Claims", .timeLimit(.minutes(15)))
struct ClaimTests {
  private typealias Step = ScriptedSource.Step

  private static func pipeline(
    _ source: ScriptedSource, into store: any Store, _ history: any HistoryEncoder, _ log: LogLines = LogLines()
  ) throws -> Pipeline {
    let (plan, version) = try RuntimeUseCase.plan()
    return Pipeline(
      plan: plan, version: version, source: source, store: store, encoder: history,
      options: Pipeline.Options(workers: 2, checkpointInterval: .milliseconds(1)),
      logger: Logger(label: "test") { _ in log })
  }

  private static func records(_ partitions: Int) -> [[[UInt8]]] {
    (0..<partitions).map { RuntimeUseCase.records(1_200 / partitions, seed: 50 + UInt64($0)) }
  }

  /// All partitions to their end.
  private static func all(_ records: [[[UInt8]]]) -> [Step] {
    records.indices.map { .assign($0) }
      + records.indices.flatMap { number in
        Array(repeating: Step.batch(number, rows: 64), count: records[number].count / 64 + 1)
      }
  }

  private static func whole(_ records: [[[UInt8]]]) async throws -> MemoryStore.Contents {
    let history = MemoryHistory()
    let store = MemoryStore(history)
    try await pipeline(ScriptedSource(records, all(records)), into: store, history).run()
    return store.contents
  }

  @Test("a lane whose partition another process has claimed ends quietly, and the run goes on")
  func superseded() async throws {
    let records = Self.records(2)
    let (taken, history) = (ScriptedSource.Gate(), MemoryHistory())
    let store = MemoryStore(history)
    let log = LogLines(logLevel: .notice)
    let rest = Array(Self.all(records).dropFirst(2))
    let first: [Step] =
      [.assign(0), .assign(1), .batch(0, rows: 100), .batch(1, rows: 60), .until(taken), .batch(0, rows: 100)]
      + [.batch(0, rows: 100), .untilReleased(0)] + rest
    async let old: Void = Self.pipeline(ScriptedSource(records, first), into: store, history, log).run()
    let limit = ContinuousClock.now + ScriptedSource.patience
    while store.contents.positions[MemorySource.partition(0)]?.offset != 100, ContinuousClock.now < limit {
      try await Task.sleep(for: .milliseconds(1))
    }
    let source = ScriptedSource(records, [.assign(0), .untilResumed(0), .open(taken)] + rest)
    try await Self.pipeline(source, into: store, history).run()
    try await old
    #expect(source.resumed[MemorySource.partition(0)]?.map(\.offset) == [100])
    #expect(differences(store.contents, try await Self.whole(records)) == [])
    #expect(log.lines.filter { $0.contains("another process has claimed") }.count == 1, "\(log.lines)")
  }

  @Test("a quiet lane that was superseded finds it at its next checkpoint, not at its next event")
  func supersededQuietly() async throws {
    let records = Self.records(1)
    let (resumed, history) = (ScriptedSource.Gate(), MemoryHistory())
    let store = MemoryStore(history)
    let plan = try RuntimeUseCase.plan()
    // The checkpoint of the only batch is due long after the partition has been claimed again.
    let steps: [Step] = [.assign(0), .batch(0, rows: 100), .open(resumed), .untilReleased(0)]
    let pipeline = Pipeline(
      plan: plan.plan, version: plan.version, source: ScriptedSource(records, steps), store: store, encoder: history,
      options: Pipeline.Options(workers: 1, checkpointInterval: .milliseconds(500)),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    async let done: Void = pipeline.run()
    await resumed.wait()
    _ = try await store.claim(useCase: "runtime", partition: MemorySource.partition(0))
    let start = ContinuousClock.now
    try await done
    #expect(ContinuousClock.now - start < ScriptedSource.patience / 2)
  }

  @Test("processes that take partitions from one another at any moment, with commits that fail", arguments: [1, 3, 8])
  func takeovers(partitions: Int) async throws {
    let records = Self.records(partitions)
    let whole = try await Self.whole(records)
    var superseded = 0
    for seed in 0..<8 {
      var random = SeededRandom(seed: UInt64(100 * partitions + seed))
      let history = MemoryHistory()
      let store = MemoryStore(history)
      for _ in 0..<3 {
        store.fail(at: Bool.random(using: &random) ? [Int.random(in: 2..<20, using: &random)] : [])
        let scripts = (0..<2).map { _ in ScriptedSource.steps(partitions: partitions, &random) }
        superseded += await withTaskGroup(of: Int.self) { group in
          for steps in scripts {
            group.addTask {
              let log = LogLines(logLevel: .notice)
              // A process whose commit fails ends as if it was killed.
              do { try await Self.pipeline(ScriptedSource(records, steps), into: store, history, log).run() } catch {
                if !(error is PlannedFault) { Issue.record("\(error)") }
              }
              return log.lines.filter { $0.contains("another process has claimed") }.count
            }
          }
          return await group.reduce(0, +)
        }
      }
      store.fail(at: [])
      try await Self.pipeline(ScriptedSource(records, Self.all(records)), into: store, history).run()
      let wrong = differences(store.contents, whole)
      #expect(wrong == [], "seed \(seed)")
    }
    // Or nothing was tried.
    #expect(superseded > 5)
  }
}
