// The simulator as a source: the stream is the same at any pace, batches close by age, and a wait ends when it is told to.

import Connectors
import Detection
import Foundation
import Pipeline
import Testing

@Suite("Simulator as a source", .timeLimit(.minutes(15)))
struct SimulatorSourceTests {
  private func source(_ events: Int, _ pace: SimulatorSource.Pace, batchRows: Int = 64) throws -> SimulatorSource {
    let definition = try SimulationDefinition(yaml: SimulationSamples.small)
    return SimulatorSource(
      definition, text: SimulationSamples.small, seed: 1, events: events, pace: pace, batchRows: batchRows)
  }

  @Test("an event that is due does not wait for the 64th, and stop() ends the wait for the next")
  func slow() async throws {
    // A second of simulated time takes a quarter of an hour.
    let source = try source(1000, .speedup(0.001))
    let first = try await read(source, batches: 1)
    #expect(first.items.count >= 1 && first.items.count < 64)
    async let rest = readOn(source)
    await Task.yield()
    source.stop()
    #expect(try await rest.items.isEmpty)
    // It goes on where it was.
    let whole = try await read(self.source(1000, .asFastAsPossible))
    let second = try await read(self.source(1000, .asFastAsPossible), from: first.points.last?.0)
    #expect(first.items + second.items == whole.items)
  }

  @Test("the stream does not depend on its pace or on the size of batches", arguments: [1, 7, 64, 4096])
  func paces(_ batchRows: Int) async throws {
    let whole = try await read(source(3000, .asFastAsPossible, batchRows: 4096))
    #expect(whole.items.count == 3000)
    let paced = try await read(source(3000, .speedup(1e7), batchRows: batchRows))
    #expect(paced.items == whole.items)
    #expect(paced.points.allSatisfy { $0.0.position.row <= 3000 })
    let point = paced.points[paced.points.count / 2]
    let rest = try await read(source(3000, .speedup(1e7), batchRows: batchRows), from: point.0)
    #expect(rest.items == Array(whole.items[point.items...]))
  }

  @Test("a stop before the first wait ends it as well")
  func stoppedBefore() async throws {
    let source = try source(1000, .speedup(0.001))
    try await source.open(resumingAt: [:])
    source.stop()
    guard case .end = try await source.next() else { throw CancellationError() }
  }

  @Test("no pace is too slow to be waited for")
  func longWaits() {
    #expect(SimulatorSource.wait(for: .max, speedup: 1e-300) == .microseconds(1_000_000_000_000_000))
    #expect(SimulatorSource.wait(for: 3_600_000_000, speedup: 600) == .seconds(6))
  }
}
