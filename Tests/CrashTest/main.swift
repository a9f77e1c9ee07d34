// The crash test as a command: `make crash-test KILLS=100`. Exits with 1 when any result differs.

import CrashKit
import Foundation

/// Prints a line at once, also where the output is a file.
func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }

let arguments = CommandLine.arguments
guard arguments.count == 7, let kills = Int(arguments[4]), let events = Int(arguments[5]),
  let minimum = Int(arguments[6])
else {
  say("usage: crash-test PULSE USE-CASE-TO-RUN USE-CASE-TO-SIMULATE KILLS EVENTS ANOMALIES-OF-EACH-RULE-AT-LEAST")
  exit(64)
}

let folder = NSTemporaryDirectory() + "pulse-crash-test-\(getpid())"
do {
  try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(atPath: folder) }
  let seed = ProcessInfo.processInfo.environment["SEED"].flatMap(UInt64.init) ?? UInt64(Date().timeIntervalSince1970)
  say("seed \(seed) (repeat with SEED=\(seed))")
  let failed = try CrashTest(
    pulse: arguments[1], useCase: arguments[2], simulated: arguments[3], folder: folder, kills: kills, events: events,
    seed: seed, minimumAnomalies: minimum
  ).run { say($0) }
  if failed { exit(1) }
} catch {
  say("the crash test could not be carried out: \(error)")
  exit(2)
}
