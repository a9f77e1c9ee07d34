// A small crash test; `make crash-test` runs the large one.

import CrashKit
import Foundation
import TestKit
import Testing

@Suite("Crashes")
struct CrashTests {
  @Test("after kill -9 the results are those of an uninterrupted run, models exchanged amid it")
  func kills() throws {
    let folder = try TestFolder()
    let seed = UInt64.random(in: 0..<1 << 32)
    var report: [String] = ["seed \(seed)"]
    let differs = try CrashTest(
      pulse: PulseCommand.path, useCase: PulseCommand.package + "/Tests/CrashKit/UseCase",
      simulated: PulseCommand.useCase("redset"), folder: folder.path, kills: 6, promotionKills: 2,
      partitionKills: 4, events: 60_000, seed: seed, minimumAnomalies: 100,
      variants: [
        CrashDriver.Variant(batchSize: 64, workers: 2), CrashDriver.Variant(batchSize: 4096, workers: 1),
      ],
      // In batches of one event, a run goes on for long enough to notice a promotion.
      promotionVariants: [CrashDriver.Variant(batchSize: 1, workers: 2)],
      partitions: [3]
    ).run { report.append($0) }
    #expect(!differs, "\(report.joined(separator: "\n"))")
  }
}
