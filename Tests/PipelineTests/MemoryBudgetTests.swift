// One number bounds what a run holds, and a run that it has ended goes on with a larger one.

import Configuration
import Detection
import Logging
import TestKit
import Testing

@testable import Pipeline

@Suite("Memory", .timeLimit(.minutes(15)))
struct MemoryBudgetTests {
  private static func partition(_ number: Int32) -> PartitionID { PartitionID(source: "s", number: number) }

  @Test("state comes first, and what it leaves is shared by what is in flight and history")
  func shares() throws {
    let budget = MemoryBudget(bytes: 464_000_000, workers: 2)
    #expect(budget.mostState == 350_000_000 && budget.inFlight == 4 * Limits.maxBatchBytes)
    try budget.note(LaneMemory(state: ["rule/a": 200_000_000, "window/b": 100_000_000]), of: Self.partition(0))
    #expect(budget.inFlight == 50_000_000)
    try budget.note(LaneMemory(state: ["rule/a": 49_000_000]), of: Self.partition(1))
    #expect(budget.inFlight == 25_500_000)
    let error = #expect(throws: LimitError.self) {
      try budget.note(LaneMemory(state: ["rule/a": 60_000_000]), of: Self.partition(1))
    }
    #expect(
      error?.description.hasPrefix(
        "memory: state takes 360 MB, and `memory` of 464 MB leaves 350 MB for it (rule/a 260 MB, window/b 100 MB); with "
          + "a larger `memory` in pulse.yaml, or `--memory`, the run goes on where it stopped.") == true,
      "\(String(describing: error))")
    budget.forget(Self.partition(0))
    try budget.note(LaneMemory(state: ["rule/a": 60_000_000]), of: Self.partition(1))
    budget.note(models: 291_000_000)
    #expect(throws: LimitError.self) {
      try budget.note(LaneMemory(state: ["rule/a": 60_000_000]), of: Self.partition(1))
    }
    #expect(MemoryBudget.mostState(of: MemoryBudget.bytes(forState: 350_000_000)) >= 350_000_000)
    #expect(MemoryBudget.bytes(forState: 350_000_000) <= 464_000_001)
  }

  @Test("history of many lanes is sealed where it waits most")
  func sealing() throws {
    let budget = MemoryBudget(bytes: 464_000_000, workers: 2)
    for number in 0..<100 as Range<Int32> {
      try budget.note(LaneMemory(history: 1_900_000), of: Self.partition(number))
    }
    #expect(!budget.isToSeal(Self.partition(0)))
    try budget.note(LaneMemory(history: 30_000_000), of: Self.partition(100))
    #expect(budget.isToSeal(Self.partition(100)) && !budget.isToSeal(Self.partition(0)))
    try budget.note(LaneMemory(), of: Self.partition(100))
    #expect(!budget.isToSeal(Self.partition(100)))
  }

  private static let useCase = """
    name: kept
    event:
      time: at
      key: user
      fields:
        at: {type: timestamp, required: true, format: seconds}
        user: {type: int, required: true}
        note: {type: string}
    rules:
      - {name: often, per: user, within: 3h, having: count(*) >= 2}
    windows:
      - {name: notes, type: tumbling, size: 1h, by: [user], aggregates: {n: count(*), note: last(note)}}
    """

  private static func run(
    _ records: [[UInt8]], _ size: Int, _ memory: Int, of useCase: String = useCase, into store: MemoryStore
  ) async throws {
    let plan = try #require(UseCaseChecker.check(text: useCase).plan)
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    try await Pipeline(
      plan: plan, version: ConfigurationVersion(plan.useCase, text: useCase),
      source: MemorySource(records, batchSizes: [size]), store: store, encoder: store.history,
      options: Pipeline.Options(workers: 2, memory: memory, checkpointInterval: .milliseconds(20)), logger: logger
    ).run()
  }

  @Test("a run that does not fit ends with the key that helps, and goes on with more", arguments: [16, 100])
  func continued(size: Int) async throws {
    // 700 windows that are open together keep 100 kB each: the least memory leaves 56 MB for state, whatever else there is.
    let note = String(repeating: "n", count: 100_000)
    let records = (0..<1_000).map { row in
      Array(#"{"at": \#(1_772_180_000 + row * 4), "user": \#(row % 900), "note": "\#(note)"}"#.utf8)
    }
    let whole = MemoryStore(MemoryHistory())
    try await Self.run(records, 64, 1_000_000_000, into: whole)
    let store = MemoryStore(MemoryHistory())
    let error = await #expect(throws: OperatingError.self) {
      try await Self.run(records, size, Limits.leastMemory, into: store)
    }
    #expect(error?.kind == .limit && error?.description.contains("`--memory`") == true, "\(String(describing: error))")
    #expect(store.contents.totals.events < records.count)
    try await Self.run(records, size, 1_000_000_000, into: store)
    let (found, expected) = (store.contents, whole.contents)
    #expect(found.totals == expected.totals)
    // Not as operands: what is compared is large, and would be printed where it differs.
    let (areSameAnomalies, areSameWindows) = (found.anomalies == expected.anomalies, found.windows == expected.windows)
    #expect(areSameAnomalies && expected.anomalies.count > 50)
    #expect(areSameWindows && expected.windows.count > 900)
  }

  private static let manyUsers = """
    name: kept
    event:
      time: at
      key: user
      fields:
        at: {type: timestamp, required: true, format: seconds}
        user: {type: int, required: true}
        amount: {type: double}
    rules:
      - {name: often, per: user, within: 30d, having: "count(*) >= 2", reason: "{count(*)}, {sum(amount)}"}
      - {name: seldom, per: user, within: 30d, when: amount > 0.5, having: "sum(amount) > 1.2"}
    """

  @Test("entities of rules that do not fit are parked, and found again, through a restart", arguments: [1000, 8192])
  func parked(size: Int) async throws {
    // What the rules hold of 300,000 users is twice what the least memory leaves for state. Each comes back once.
    let users = 300_000
    var random = SeededRandom(seed: 7)
    let records = (0..<users + users / 4).map { row in
      let user = row < users ? row : Int.random(in: 0..<users, using: &random)
      return Array(#"{"at": \#(1_772_180_000 + row), "user": \#(user), "amount": \#(Double(row % 100) / 100)}"#.utf8)
    }
    let whole = MemoryStore(MemoryHistory())
    try await Self.run(records, 8192, 2_000_000_000, of: Self.manyUsers, into: whole)
    let store = MemoryStore(MemoryHistory())
    try await Self.run(Array(records.prefix(users + 1000)), size, Limits.leastMemory, of: Self.manyUsers, into: store)
    try await Self.run(records, size, Limits.leastMemory, of: Self.manyUsers, into: store)
    let (found, expected) = (store.contents, whole.contents)
    #expect(found.totals == expected.totals)
    let areSame = found.anomalies == expected.anomalies
    #expect(areSame && expected.anomalies.count > users / 8)
    let partition = try #require(found.positions.keys.first)
    let claim = Claim(useCase: "kept", partition: partition, epoch: store.epoch(of: partition))
    let keys = (0..<20_000).map { number in (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * $0)) } }
    let segments = try await store.state(of: claim, in: "rule/often", under: keys)
    #expect(segments.contains { $0.value.first == 2 }, "no segment of parked entities is stored")
  }
}
