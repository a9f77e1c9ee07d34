// Work that is asked for and watched, and dead letters that are tried again.

import Detection
import Foundation
import HTTPTypes
import Logging
import Pipeline
import Synchronization
import Testing

@testable import Server

/// A training that ends when it is told to.
private final class StubTrainer: Trainer {
  private let requests = Mutex<[TrainingRequest]>([])
  private let ending: AsyncStream<TrainingResult>
  private let end: AsyncStream<TrainingResult>.Continuation

  init() { (ending, end) = AsyncStream.makeStream() }

  var asked: [TrainingRequest] { requests.withLock { $0 } }

  func finish(_ result: TrainingResult) { end.yield(result) }

  func train(_ request: TrainingRequest, progress: @escaping @Sendable (Double) -> Void) async -> TrainingResult {
    requests.withLock { $0.append(request) }
    progress(0.25)
    for await result in ending { return result }
    return TrainingResult(message: "it was stopped", isComplete: false)
  }
}

@Suite("Jobs and replays", .timeLimit(.minutes(15)))
struct JobTests {
  private static let base = "/api/v1/use-cases/redset"

  /// Asks until an answer is as wanted.
  private static func wait(
    _ served: ServedFixture, _ address: String, for isWanted: (JSONValue) -> Bool
  ) async throws -> JSONValue {
    let limit = ContinuousClock.now + .seconds(60)
    var last = JSONValue.null
    while ContinuousClock.now < limit {
      last = try await served.get(address).json
      if isWanted(last) { break }
      try await Task.sleep(for: .milliseconds(10))
    }
    #expect(isWanted(last), "\(last)")
    return last
  }

  private static func worker(_ served: ServedFixture, _ trainer: StubTrainer) -> TrainingWorker {
    TrainingWorker(
      served.services.catalog, live: served.services.live, trainer: trainer, clock: served.services.clock,
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
  }

  @Test("a training is asked for once, watched, and says what came of it")
  func training() async throws {
    let served = try await ServedFixture(events: 2_000)
    let trainer = StubTrainer()
    let asked = try await served.post("\(Self.base)/models/train", #"{"detectors":["slow_query"],"promote":false}"#)
    #expect(asked.status == 202, "\(asked.text)")
    let address = try #require(asked.headers[.location])
    #expect(try asked.json["state"]?.string == "waiting")
    // Another one would learn the same; one with other wishes waits.
    let again = try await served.post(
      "\(Self.base)/models/train", #"{"detectors":["slow_query"],"promote":false}"#)
    #expect(try again.json["id"] == asked.json["id"])
    #expect(try await served.post("\(Self.base)/models/train", "{}").status == 409)
    let worker = Self.worker(served, trainer)
    let store = try served.served.store
    async let work: Void = worker.work(on: store)
    let running = try await Self.wait(served, address) { $0["progress"]?.double == 0.25 }
    #expect(running["state"]?.string == "running")
    trainer.finish(TrainingResult(message: "slow_query: it passed", isComplete: true))
    try await work
    let ended = try await served.get(address).json
    #expect(ended["state"]?.string == "finished" && ended["message"]?.string == "slow_query: it passed")
    #expect(trainer.asked.count == 1 && trainer.asked[0].detectors == ["slow_query"] && !trainer.asked[0].promotes)
    #expect(try await served.get("\(Self.base)/jobs").json["items"]?.array?.count == 1)
    let trail = try await served.served.store.actions.auditLines(before: nil, limit: 10)
    #expect(trail.map(\.line.action) == ["models.train"])
  }

  @Test("a training is given up when that is asked for, before it begins and while it goes on")
  func cancelled() async throws {
    let served = try await ServedFixture(events: 2_000)
    let first = try #require(try await served.post("\(Self.base)/models/train", "").headers[.location])
    #expect(try await served.ask(.delete, first).json["state"]?.string == "cancelled")
    let second = try #require(try await served.post("\(Self.base)/models/train", "").headers[.location])
    let worker = Self.worker(served, StubTrainer())
    let store = try served.served.store
    async let work: Void = worker.work(on: store)
    _ = try await Self.wait(served, second) { $0["state"]?.string == "running" }
    #expect(try await served.ask(.delete, second).json["state"]?.string == "cancelling")
    try await work
    #expect(try await served.get(second).json["state"]?.string == "cancelled")
  }

  @Test("what cannot be trained is said")
  func refused() async throws {
    let served = try await ServedFixture(events: 2_000)
    let unknown = try await served.post("\(Self.base)/models/train", #"{"detectors":["slow_qury"]}"#)
    #expect(unknown.status == 404 && unknown.text.contains("did you mean `slow_query`?"))
    #expect(try await served.get("\(Self.base)/jobs/17").status == 404)
    #expect(try await served.get("\(Self.base)/jobs/x").status == 400)
  }

  // MARK: Dead letters

  @Test("dead letters are tried against a changed use case, and handed in once where they pass now")
  func replay() async throws {
    let served = try await ServedFixture(events: 120_000)
    let letters = try await served.get("\(Self.base)/dead-letters?limit=500").json["items"]?.array ?? []
    try #require(!letters.isEmpty)
    let now = try await served.post("\(Self.base)/dead-letters/dry-run", "").json
    #expect(now["tried"]?.integer == Int64(letters.count) && now["passing"]?.integer == 0)
    #expect(now["is_current"]?.bool == true)
    let reasons = now["remaining"]?.array?.reduce(0) { $0 + ($1["count"]?.integer ?? 0) }
    #expect(reasons == Int64(letters.count))
    // Nothing would pass: nothing is handed in.
    #expect(try await served.post("\(Self.base)/dead-letters/replay", "").json["handed_in"]?.integer == 0)
    let present = try served.served.text
    let text = present.replacing(
      "execution_duration_ms:         {type: double, min: 0}", with: "execution_duration_ms: {type: double}")
    try #require(text != present)
    let body = try JSONSerialization.data(withJSONObject: ["configuration": text])
    let other = try await served.post("\(Self.base)/dead-letters/dry-run", String(decoding: body, as: UTF8.self))
    #expect(other.status == 200, "\(other.text)")
    #expect(try other.json["is_current"]?.bool == false)
    #expect(try other.json["passing"]?.integer ?? 0 > 0, "\(other.text)")
    let wrong = try await served.post("\(Self.base)/dead-letters/dry-run", #"{"configuration":"name: x"}"#)
    #expect(wrong.status == 422 && wrong.text.contains("event"))
  }
}
