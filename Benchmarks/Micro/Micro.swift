// The stages one at a time, with percentiles of time per event. Every run's output is checked; a wrong one fails the
// benchmark.

import Benchmark
import Foundation
import Workloads

let benchmarks: @Sendable () -> Void = {
  Benchmark.defaultConfiguration = .init(
    metrics: [.wallClock, .throughput, .peakMemoryResident], warmupIterations: 1, maxDuration: .seconds(3),
    maxIterations: 50)
  let root = ProcessInfo.processInfo.environment["PULSE_ROOT"] ?? "."
  do {
    let input = try RedsetInput(root: root)
    var stages = try input.stages()
    for workers in [1, 2] { stages.append(try .handOver(workers: workers)) }
    stages += [.forestFit, .forestScores]
    stages += try SignalInput(root: root).stages
    for stage in stages {
      Benchmark("\(stage.name) (\(stage.count) \(stage.items))") { benchmark in
        do {
          benchmark.startMeasurement()
          let check = try await stage.run()
          benchmark.stopMeasurement()
          try check()
        } catch { benchmark.error("\(stage.name): \(error)") }
      }
    }
  } catch {
    Benchmark("input") { benchmark in benchmark.error("the input cannot be made: \(error)") }
  }
}
