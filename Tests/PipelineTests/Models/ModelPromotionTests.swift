// Champions that change while a run is stopped and while it runs, and models that cannot be used.

import Detection
import Metrics
import MetricsTestKit
import TestKit
import Testing

@testable import Pipeline

@Suite(.timeLimit(.minutes(15))) struct ModelPromotionTests {
  private let run: ModelRun
  private let models: [FittedModel]
  private let history = MemoryHistory()
  private let store: MemoryStore
  private let partition = MemorySource.partition()

  init() throws {
    run = try ModelRun(LearnedUseCase.records(600, seed: 7))
    models = try ["v1", "v2", "v3"].map { [run] in try run.model("odd", $0) }
    store = MemoryStore(history)
  }

  private var log: [String] { store.log(of: partition).models }

  /// The same run over the first records only.
  private func prefix(_ count: Int) -> ModelRun {
    var run = run
    run.partitions = [Array(run.partitions[0].prefix(count))]
    return run
  }

  private func expectReplay(_ comment: Comment? = nil) async throws {
    let replayed = try await run.cut([600]).replay([store.log(of: partition)], models)
    #expect(differences(store.contents, replayed) == [], comment)
  }

  @Test func `a promotion while stopped applies from the checkpoint on`() async throws {
    let provider = MemoryModels(models, champions: ["odd": "v1"])
    try await prefix(300).run(into: store, history, provider)
    try await prefix(300).run(into: store, history, provider)
    provider.promote("v2", of: "odd")
    try await run.run(into: store, history, provider)
    #expect(log == ["odd v1@0", "odd v2@300"])
    try await expectReplay()
    let versions = store.contents.drift.values.map(\.version)
    #expect(Set(versions) == ["v1", "v2"])
  }

  @Test func `results behind the checkpoint are scored again after a kill and a promotion`() async throws {
    var run = run.cut([40])
    run.interval = .seconds(60)
    var kills = 0
    for commit in 0... {
      let history = MemoryHistory()
      let store = MemoryStore(history)
      store.fail(at: commit, afterEffect: commit % 3 == 0)
      let provider = MemoryModels(models, champions: ["odd": "v1"])
      do {
        try await run.run(into: store, history, provider)
        break
      } catch is PlannedFault { kills += 1 }
      store.fail(at: [])
      provider.promote("v2", of: "odd")
      try await run.run(into: store, history, provider)
      let log = store.log(of: partition)
      let replayed = try await run.replay([log], models)
      #expect(differences(store.contents, replayed) == [], "commit \(commit): \(log.models)")
    }
    #expect(kills > 3)
  }

  @Test(.timeLimit(.minutes(15))) func `the reader goes on while a new champion is loaded`() async throws {
    let provider = MemoryModels(models, champions: ["odd": "v1"], changes: [.init(at: 5, ["odd": "v2"])])
    // If the reader waited, it would never ask that often.
    provider.hold("v2", of: "odd", untilCall: 40)
    try await run.cut([2]).run(into: store, history, provider)
    let second = try #require(store.log(of: partition).first { $0.version == "v2" })
    #expect(second.from.offset >= 2 * 37 && second.from.offset % 2 == 0)
    #expect(provider.loads == ["odd v1", "odd v2"])
    try await expectReplay()
  }

  @Test func `a rollback is an activation like any other`() async throws {
    let provider = MemoryModels(models, champions: ["odd": "v1"])
    try await prefix(200).run(into: store, history, provider)
    provider.promote("v2", of: "odd")
    try await prefix(400).run(into: store, history, provider)
    provider.promote("v1", of: "odd")
    try await run.run(into: store, history, provider)
    #expect(log == ["odd v1@0", "odd v2@200", "odd v1@400"])
    try await expectReplay()
  }

  @Test func `a partition that starts later begins with the champion of then`() async throws {
    var run = try ModelRun(LearnedUseCase.records(900, seed: 8), LearnedUseCase.records(300, seed: 9)).cut([5])
    run.startingAfter = [0, 170]
    let provider = MemoryModels(models, champions: ["odd": "v1"], changes: [.init(at: 20, ["odd": "v2"])])
    try await run.run(into: store, history, provider)
    let logs = [store.log(of: partition), store.log(of: MemorySource.partition(1))]
    #expect(logs[1].models == ["odd v2@0"] && logs[0].models.first == "odd v1@0" && logs[0].models.count == 2)
    #expect(provider.loads == ["odd v1", "odd v2"])
    #expect(differences(store.contents, try await run.replay(logs, models)) == [])
  }

  @Test func `activations are counted`() async throws {
    var run = run
    let metrics = TestMetrics()
    run.metrics = metrics
    try await run.run(into: store, history, MemoryModels(models, champions: ["odd": "v1", "unknown": "v1"]))
    func counter(_ detector: String) throws -> Int64 {
      try metrics.expectCounter(
        "pulse_model_activations_total", [("use_case", "payments"), ("detector", detector)]
      ).totalValue
    }
    #expect(try counter("odd") == 1 && counter("slow") == 0)
  }

  // MARK: - Models that cannot be used

  @Test func `a champion that is not there is said once, and its detector finds nothing`() async throws {
    let run = try ModelRun(LearnedUseCase.records(200, seed: 8), LearnedUseCase.records(200, seed: 9))
    let lines = try await run.run(into: store, history, MemoryModels(models, champions: ["odd": "v9"]))
    #expect(lines.count == 1 && lines[0].hasPrefix("error a model cannot be used"), "\(lines)")
    #expect(lines.first?.hasSuffix("odd, v9, there is no model v9 of odd") == true)
    #expect(log == [] && store.contents.totals.anomalies["odd"] == nil)
  }

  @Test func `a new champion that cannot be used changes nothing`() async throws {
    let changed = try ModelRun([], edit: { $0.replacing("sqrt(amount)", with: "amount * 3") })
    let provider = MemoryModels(
      models, champions: ["odd": "v1"],
      changes: [.init(at: 3, ["odd": "gone"]), .init(at: 90, ["odd": "misfit"]), .init(at: 190, ["odd": "renamed"])])
    provider.add(try changed.model("odd", "misfit"))
    provider.add(models[1], as: "renamed")
    let lines = try await run.cut([2]).run(into: store, history, provider)
    #expect(lines.count == 3, "\(lines)")
    #expect(lines.first?.contains("there is no model gone") == true)
    #expect(lines.dropFirst().first?.contains("fitted for another definition: line ") == true)
    #expect(lines.last?.contains("it says that it is version v2") == true)
    #expect(log == ["odd v1@0"])
    try await expectReplay()
  }

  @Test func `a version that is promoted anew is tried anew`() async throws {
    let provider = MemoryModels(
      models, champions: ["odd": "v1"],
      changes: [.init(at: 3, ["odd": "v2"]), .init(at: 100, ["odd": "v1"]), .init(at: 110, ["odd": "v2"])])
    provider.fail("v2", of: "odd", times: 1)
    let lines = try await run.cut([2]).run(into: store, history, provider)
    #expect(lines.count == 1 && provider.loads == ["odd v1", "odd v2", "odd v2"])
    #expect(log.count == 2 && store.log(of: partition).last?.from.offset ?? 0 >= 200)
    try await expectReplay()
  }

  @Test func `a model that a changed use case does not fit any more falls silent, and another takes over`() async throws
  {
    try await prefix(200).run(into: store, history, MemoryModels(models, champions: ["odd": "v1"]))
    var changed = try ModelRun(
      Array(run.partitions[0].prefix(400)), edit: { $0.replacing("sqrt(amount)", with: "amount * 3") })
    let provider = MemoryModels(models, champions: ["odd": "v1"])
    let lines = try await changed.run(into: store, history, provider)
    #expect(lines.count == 2 && lines[0].contains("another definition") && lines[1].contains("no model is left"))
    #expect(log == ["odd v1@0", "odd @200"])
    let silent = store.contents.totals.anomalies["odd"]
    #expect(silent == store.contents.anomalies.keys.count { $0.hasSuffix(".odd") })
    changed.partitions = run.partitions
    provider.add(try changed.model("odd", "v4"))
    provider.promote("v4", of: "odd")
    #expect(try await changed.run(into: store, history, provider) == [])
    #expect(log == ["odd v1@0", "odd @200", "odd v4@400"])
    // The configurations' own activations are found between those of models.
    let versions = store.log(of: partition).filter { $0.kind == .configuration }.map(\.version)
    #expect(versions == [run.version.identifier, changed.version.identifier])
  }

  @Test func `a version that disappears falls silent, and scores again once it is back`() async throws {
    let provider = MemoryModels(models, champions: ["odd": "v1"])
    try await prefix(200).run(into: store, history, provider)
    provider.remove("v1", of: "odd")
    #expect(try await prefix(400).run(into: store, history, provider).count == 2)
    #expect(log == ["odd v1@0", "odd @200"])
    provider.add(models[0])
    #expect(try await run.run(into: store, history, provider) == [])
    #expect(log == ["odd v1@0", "odd @200", "odd v1@400"])
    try await expectReplay()
  }

  @Test(arguments: [("v1", "v2"), ("v2", "v1")])
  func `what is left of the log's versions goes on`(_ gone: String, _ left: String) async throws {
    store.record([activation("odd", "v1", from: 0), activation("odd", "v2", from: 400)])
    let provider = MemoryModels(models)
    try await prefix(300).run(into: store, history, provider)
    provider.remove(gone, of: "odd")
    #expect(try await run.run(into: store, history, provider).count == 1)
    #expect(log == ["odd v1@0", "odd v2@400", "odd \(left)@300"])
    try await expectReplay()
  }

  @Test func `a run without models leaves nothing behind that a model found`() async throws {
    try await prefix(200).run(into: store, history, MemoryModels(models, champions: ["odd": "v1"]))
    let found = store.contents.totals.anomalies["odd"] ?? 0
    #expect(try await run.run(into: store, history, nil).count == 2)
    #expect(log == ["odd v1@0", "odd @200"] && store.contents.totals.anomalies["odd"] == found && found > 0)
    // With nothing on record there is nothing to say.
    let other = MemoryStore(history)
    #expect(try await run.run(into: other, history, nil) == [] && other.log(of: partition).models == [])
  }
}
