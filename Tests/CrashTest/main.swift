// The crash test as a command: `make crash-test KILLS=100`. Exits with 1 when any result differs.

import CrashKit
import Foundation

/// Prints a line at once, also where the output is a file.
func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }

let arguments = CommandLine.arguments
guard arguments.count == 7, let kills = Int(arguments[4]), let events = Int(arguments[5]),
  let minimum = Int(arguments[6])
else {
  say("usage: crash-test PULSE USE-CASE-TO-RUN USE-CASE-TO-SIMULATE KILLS EVENTS ANOMALIES-OF-EACH-DETECTOR-AT-LEAST")
  exit(64)
}

let folder = NSTemporaryDirectory() + "pulse-crash-test-\(getpid())"
do {
  try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(atPath: folder) }
  let seed = ProcessInfo.processInfo.environment["SEED"].flatMap(UInt64.init) ?? UInt64(Date().timeIntervalSince1970)
  say("seed \(seed) (repeat with SEED=\(seed))")
  // A quarter of the kills falls on batches of one event, which take many times as long: over fewer events. Models are
  // promoted where a run goes on for long enough to notice it.
  let small = min(events, 60_000)
  let parts:
    [(name: String, events: Int, kills: Int, promotionKills: Int, partitions: [Int], sizes: [Int], promoted: [Int])] = [
      ("single", small, kills / 4, kills / 8, [], [1], [1]),
      ("large", events, kills - kills / 4, kills / 4 - kills / 8, [3, 8], [7, 4096, 65_536], [7, 4096, 65_536]),
    ]
  var failed = false
  for part in parts {
    let begin = ContinuousClock.now
    let place = folder + "/" + part.name
    try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: false)
    say("batch sizes \(part.sizes.map(String.init).joined(separator: ", ")) over \(part.events) events")
    let differs = try CrashTest(
      pulse: arguments[1], useCase: arguments[2], simulated: arguments[3], folder: place, kills: part.kills,
      promotionKills: part.promotionKills, partitionKills: part.partitions.count * kills / 8, events: part.events,
      seed: seed,
      minimumAnomalies: minimum * part.events / events, variants: CrashTest.variants(batchSizes: part.sizes),
      promotionVariants: part.promoted.map { CrashDriver.Variant(batchSize: $0, workers: 2) },
      partitions: part.partitions
    ).run { say("  " + $0) }
    try FileManager.default.removeItem(atPath: place)
    say("  in \(ContinuousClock.now - begin)")
    failed = failed || differs
  }
  if failed { exit(1) }
} catch {
  say("the crash test could not be carried out: \(error)")
  exit(2)
}
