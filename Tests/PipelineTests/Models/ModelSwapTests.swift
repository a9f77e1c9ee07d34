// The activation log and the input decide which model scores what: however batches are cut, however many workers there
// are, and wherever a run was killed.

import Detection
import TestKit
import Testing

@testable import Pipeline

@Suite(.timeLimit(.minutes(15))) struct ModelSwapTests {
  private static let count = 3_000

  /// Models that change in the middle of batches, twice within seven events, at the first and the last record, behind the
  /// end; a detector without a model for a while; and activations that later ones superseded.
  private static let log = [
    activation("odd", "v4", from: 500), activation("odd", "v1", from: 0), activation("slow", "s1", from: 0),
    activation("odd", "v2", from: 1_000), activation("slow", "s2", from: 1_000), activation("odd", "v3", from: 1_003),
    activation("slow", "", from: 2_000), activation("slow", "s1", from: 2_500), activation("odd", "v1", from: 2_700),
    activation("odd", "v4", from: 2_999), activation("odd", "v2", from: 10_000),
  ]

  private static func models(_ run: ModelRun) throws -> [FittedModel] {
    try ["v1", "v2", "v3", "v4"].map { try run.model("odd", $0) } + ["s1", "s2"].map { try run.model("slow", $0) }
  }

  @Test func `results do not depend on batch sizes and workers`() async throws {
    let run = try ModelRun(LearnedUseCase.records(Self.count, seed: 1))
    let models = try Self.models(run)
    let expected = try await run.cut([Self.count], workers: 1).replay([Self.log], models)
    #expect(expected.anomalies.keys.count { $0.hasSuffix(".odd") } > 60)
    #expect(expected.anomalies.keys.count { $0.hasSuffix(".slow") } > 100)
    #expect(expected.anomalies.keys.count { $0.hasSuffix(".burst") } > 20)
    #expect(expected.totals.records == Self.count && expected.deadLetters.count > 30)
    // Each version has counts of its own on the days it scored; the score of `s1` and `s2` as well.
    #expect(Set(expected.drift.values.map(\.version)) == ["v1", "v2", "v3", "v4", "s1", "s2"])
    #expect(Set(expected.drift.values.map(\.day)).count >= 2)
    for size in [1, 7, 4_096, 65_536] {
      for workers in [1, 2, 4] {
        let found = try await run.cut([size], workers: workers).replay([Self.log], models)
        #expect(differences(found, expected) == [], "batches of \(size), \(workers) workers")
      }
    }
  }

  /// Against each model alone over the whole input: an event has the finding that its own version gives it.
  @Test func `every event is scored by the version on record for its position`() async throws {
    let run = try ModelRun(LearnedUseCase.records(Self.count, seed: 1))
    let models = try Self.models(run)
    let mixed = try await run.cut([130]).replay([Self.log], models)
    var expected: [String: String] = [:]
    for version in ["v1", "v2", "v3", "v4", "s1", "s2"] {
      let detector = version.hasPrefix("v") ? "odd" : "slow"
      let alone = try await run.cut([512]).replay([[activation(detector, version, from: 0)]], models)
      for (id, anomaly) in alone.anomalies {
        let parts = id.split { $0 == "." || $0 == "-" }
        let offset = try #require(Int64(parts[parts.count - 2]))
        let last = Self.log.last { $0.detector == detector && $0.from.offset <= offset }
        if id.hasSuffix(".burst") || last?.version == version && id.hasSuffix(detector) { expected[id] = anomaly }
      }
    }
    #expect(mixed.anomalies == expected)
    let rows = mixed.drift.values.reduce(into: [:]) { $0[$1.version, default: 0] += $1.rows }
    #expect(rows["v2"] ?? 0 <= 3 && rows["v4"] ?? 0 <= 1 && rows["v1"] ?? 0 > 1_000 && rows["v3"] ?? 0 > 1_300)
  }

  /// Kills each commit in turn, activations among them, before and after it takes effect, and runs to the end.
  private static func killEverywhere(
    _ run: ModelRun, log: [Activation], provider: () -> MemoryModels,
    check: (MemoryStore, _ kill: String) async throws -> Void
  ) async throws -> Int {
    var kills = 0
    for isAfter in [false, true] {
      for commit in 0... {
        let history = MemoryHistory()
        let store = MemoryStore(history)
        store.record(log)
        let models = provider()
        store.fail(at: commit, afterEffect: isAfter)
        var isKilled = false
        do {
          try await run.run(into: store, history, models)
        } catch is PlannedFault { isKilled = true }
        if !isKilled { break }
        kills += 1
        store.fail(at: [])
        try await run.cut([11, 90], workers: 3).run(into: store, history, models)
        try await check(store, "commit \(commit), \(isAfter ? "after" : "before") it took effect")
      }
    }
    return kills
  }

  @Test func `a run that is killed at any commit gives what an uninterrupted one does`() async throws {
    var run = try ModelRun(LearnedUseCase.records(700, seed: 2)).cut([50])
    run.interval = .milliseconds(4)
    let log = [
      activation("odd", "v1", from: 0), activation("slow", "s1", from: 0), activation("odd", "v2", from: 333),
      activation("slow", "s2", from: 350), activation("odd", "v1", from: 601),
    ]
    let models = try Self.models(run)
    let expected = try await run.replay([log], models)
    func provider() -> MemoryModels { MemoryModels(models) }
    let kills = try await Self.killEverywhere(run, log: log, provider: provider) { store, kill in
      #expect(differences(store.contents, expected) == [], "\(kill)")
      #expect(store.log(of: MemorySource.partition()).models == log.models, "\(kill)")
    }
    #expect(kills > 10)
  }

  @Test func `a run whose models change is killed at any commit, and its log says what it gave`() async throws {
    var run = try ModelRun(LearnedUseCase.records(500, seed: 3)).cut([15])
    run.interval = .milliseconds(4)
    let models = try Self.models(run)
    func provider() -> MemoryModels {
      MemoryModels(
        models, champions: ["odd": "v1", "slow": "s1"],
        changes: [
          .init(at: 8, ["odd": "v2"]), .init(at: 12, ["slow": "s2", "odd": "v3"]), .init(at: 24, ["odd": "v1"]),
        ])
    }
    var swaps = 0
    let kills = try await Self.killEverywhere(run, log: [], provider: provider) { store, kill in
      let log = store.log(of: MemorySource.partition())
      let replayed = try await run.replay([log], models)
      #expect(differences(store.contents, replayed) == [], "\(kill): \(log.models)")
      swaps += log.models.count - 2
      #expect(Array(log.models.prefix(1)) == ["odd v1@0"], "\(kill)")
    }
    #expect(kills > 10 && swaps > kills)
  }

  @Test func `two partitions have their own positions`() async throws {
    let run = try ModelRun(LearnedUseCase.records(600, seed: 4), LearnedUseCase.records(500, seed: 5))
    let models = try Self.models(run)
    let logs = [
      [activation("odd", "v1", from: 0), activation("odd", "v2", from: 100), activation("slow", "s1", from: 77)],
      [activation("odd", "v1", from: 0, partition: 1), activation("odd", "v2", from: 444, partition: 1)],
    ]
    let expected = try await run.replay(logs, models)
    for sizes in [[1], [600], [33, 7]] {
      #expect(differences(try await run.cut(sizes, workers: 4).replay(logs, models), expected) == [])
    }
    func alone(_ records: [[UInt8]], _ log: [Activation]) async throws -> MemoryStore.Contents {
      let moved = log.map { activation($0.detector ?? "", $0.version, from: $0.from.offset) }
      return try await ModelRun(records).replay([moved], models)
    }
    let (first, second) = (
      try await alone(run.partitions[0], logs[0]), try await alone(run.partitions[1], logs[1])
    )
    #expect(expected.totals == first.totals + second.totals)
    var drift = first.drift
    for (key, day) in second.drift { if drift[key] == nil { drift[key] = day } else { drift[key]?.add(day) } }
    #expect(expected.drift == drift)
  }
}
