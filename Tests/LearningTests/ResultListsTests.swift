// Lists and status as whoever asks gets them, a command or a server: over a store in memory.

import Detection
import Logging
import Operations
import Pipeline
import TestKit
import Testing

@Suite("Lists of results", .timeLimit(.minutes(15)))
struct ResultListsTests {
  /// A store that a run has filled.
  private func filled() async throws -> MemoryStore {
    let history = MemoryHistory()
    let store = MemoryStore(history)
    let (plan, version) = try RuntimeUseCase.plan()
    try await Pipeline(
      plan: plan, version: version,
      source: MemorySource(partitions: [RuntimeUseCase.records(700, seed: 11)], batchSizes: [64]), store: store,
      encoder: history, options: Pipeline.Options(workers: 2, checkpointInterval: .milliseconds(10)),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    ).run()
    return store
  }

  private func filter(_ change: (inout ResultFilter) -> Void) -> ResultFilter {
    var filter = ResultFilter()
    filter.limit = 0
    change(&filter)
    return filter
  }

  @Test("everything is listed as the store has it")
  func lists() async throws {
    let store = try await filled()
    let lists = ResultLists(store)
    var (anomalies, windows, letters) = ([String](), [String](), [String]())
    try await lists.forEachAnomaly(filter { $0.name = "burst" }) { anomalies.append($0.json) }
    try await lists.forEachWindow(filter { $0.name = "minutes" }) { windows.append($0.json) }
    try await lists.forEachDeadLetter(filter { $0.useCase = "runtime" }) { letters.append($0.json) }
    let all = try await store.read { results in
      (
        try await results.anomalies(filter { $0.name = "burst" }).map(\.json),
        try await results.windows(filter { $0.name = "minutes" }).map(\.json),
        try await results.deadLetters(filter { _ in }).map(\.json)
      )
    }
    #expect(anomalies == all.0 && windows == all.1 && letters == all.2)
    #expect(!anomalies.isEmpty && !windows.isEmpty && !letters.isEmpty)
    let status = try await lists.status(of: nil, models: "/none")
    #expect(status.partitions.map(\.useCase) == ["runtime"] && status.partitions[0].totals.records == 700)
    #expect(status.drift["runtime"]?.hasCounts == false)
  }

  @Test("a name that nothing has is answered with the nearest")
  func unknownNames() async throws {
    let lists = ResultLists(try await filled())
    func refusal(_ body: () async throws -> Void) async -> String {
      do { try await body() } catch let error as RequestError { return error.description } catch { return "\(error)" }
      return ""
    }
    #expect(
      await refusal { try await lists.forEachAnomaly(filter { $0.name = "brust" }) { _ in } }.contains(
        "has no detector or rule `brust`; did you mean `burst`? It has burst, large"))
    #expect(
      await refusal { try await lists.forEachWindow(filter { $0.name = "minute" }) { _ in } }.contains(
        "has no window `minute`; did you mean `minutes`?"))
    #expect(
      await refusal { _ = try await lists.status(of: "runtme", models: "/none") }.contains(
        "has no use case `runtme`; did you mean `runtime`?"))
    // A name that is known and has nothing in the time that was asked for is an empty list.
    #expect(await refusal { try await lists.forEachAnomaly(filter { ($0.name, $0.to) = ("burst", 0) }) { _ in } } == "")
  }

  @Test("where nothing has run there is nothing to compare a name with")
  func emptyStore() async throws {
    let lists = ResultLists(MemoryStore(MemoryHistory()))
    try await lists.forEachAnomaly(filter { ($0.name, $0.useCase) = ("any", "any") }) { _ in }
    #expect(try await lists.status(of: "any", models: "/none").partitions.isEmpty)
  }

  @Test("labels that are none are refused with their line")
  func labels() throws {
    let text = "{\"row\":3,\"injected\":true}\n{\"row\":4,\"injected\":false}\n"
    #expect(try Evaluation.injectedRows(in: .init(text.utf8), name: "l") == [3])
    let error = #expect(throws: OperatingError.self) {
      try Evaluation.injectedRows(in: .init((text + "{}").utf8), name: "l")
    }
    #expect(error?.description.contains("l:3 is no label") == true)
  }
}
