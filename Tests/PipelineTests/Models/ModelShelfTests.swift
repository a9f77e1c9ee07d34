// Models that cannot be used now may be usable later.

import Detection
import Logging
import TestKit
import Testing

@testable import Pipeline

@Suite struct ModelShelfTests {
  @Test func `a model that cannot be read is tried again a minute later, and said so once`() async throws {
    let run = try ModelRun([])
    let models = MemoryModels([try run.model("slow", "a")], champions: ["slow": "a"])
    models.fail("a", of: "slow", times: 2)
    let log = LogLines()
    var now = ContinuousClock.now
    let patience = Duration.seconds(60)
    let shelf = ModelShelf(
      run.plan.detectors, provider: models, patience: patience, logger: Logger(label: "test") { _ in log }
    ) { now }
    _ = shelf.champions()
    let name = ModelShelf.Name(detector: "slow", version: "a")
    func waited() async throws -> Bool {
      _ = try await shelf.isReady(name)
      return try await shelf.load(name)
    }
    #expect(try await !waited() && models.loads.count == 1)
    now += patience - .milliseconds(1)
    #expect(try await !waited() && models.loads.count == 1)
    now += .milliseconds(1)
    #expect(try await !waited() && models.loads.count == 2)
    #expect(log.lines.count == 1, "\(log.lines)")
    now += patience
    #expect(try await waited() && models.loads.count == 3)
    #expect(try await waited() && models.loads.count == 3)
  }
}
