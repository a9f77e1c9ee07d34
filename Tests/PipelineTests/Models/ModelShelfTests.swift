// Models that cannot be used now may be usable later.

import Detection
import Logging
import Synchronization
import TestKit
import Testing

@testable import Pipeline

@Suite(.timeLimit(.minutes(15))) struct ModelShelfTests {
  @Test func `a model that cannot be read is tried again a minute later, and said so once`() async throws {
    let run = try ModelRun([])
    let models = MemoryModels([try run.model("slow", "a")], champions: ["slow": "a"])
    models.fail("a", of: "slow", times: 2)
    let log = LogLines()
    let clock = Mutex(ContinuousClock.now)
    func pass(_ time: Duration) { clock.withLock { $0 += time } }
    let patience = Duration.seconds(60)
    let shelf = ModelShelf(
      run.plan.detectors, provider: models, patience: patience, logger: Logger(label: "test") { _ in log }
    ) {
      clock.withLock { $0 }
    }
    _ = await shelf.champions()
    let partition = MemorySource.partition()
    let name = ModelShelf.Name(detector: "slow", version: "a")
    func waited() async throws -> Bool {
      _ = try await shelf.isReady(name, for: partition)
      return try await shelf.load(name, for: partition)
    }
    #expect(try await !waited() && models.loads.count == 1)
    pass(patience - .milliseconds(1))
    #expect(try await !waited() && models.loads.count == 1)
    pass(.milliseconds(1))
    #expect(try await !waited() && models.loads.count == 2)
    #expect(log.lines.count == 1, "\(log.lines)")
    pass(patience)
    #expect(try await waited() && models.loads.count == 3)
    #expect(try await waited() && models.loads.count == 3)
  }
}
