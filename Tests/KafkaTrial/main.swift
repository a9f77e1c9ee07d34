// The trial of Kafka as a command: `make kafka-trial ROUNDS=10`. Exits with 1 when anything was lost or doubled, or too little
// happened to say so.

import Foundation
import KafkaKit

/// Prints a line at once, also where the output is a file.
func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }

/// The arguments: names and values.
func options() -> [String: String]? {
  let words = CommandLine.arguments.dropFirst()
  var options: [String: String] = [:]
  var rest = Array(words)
  while rest.count >= 2, ["--rounds", "--seed", "--state", "--pulse"].contains(rest[0]) {
    options[String(rest[0].dropFirst(2))] = rest[1]
    rest.removeFirst(2)
  }
  return rest.isEmpty ? options : nil
}

guard let options = options(), let rounds = options["rounds"].flatMap({ Int($0) }), rounds > 0,
  let seed = options["seed"].flatMap({ UInt64($0) }), let folder = options["state"]
else {
  say("usage: kafka-trial --rounds N --seed S --state DIRECTORY [--pulse PATH]")
  exit(64)
}
guard BrokerProcess.Kind.tansu.isInstalled else {
  say("the broker is not installed: run scripts/test-brokers")
  exit(2)
}
// Unless another one is named, the command that lies beside this one.
let pulse = options["pulse"] ?? (CommandLine.arguments[0] as NSString).deletingLastPathComponent + "/pulse"

do {
  try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  var state = try TrialState.load(from: folder, seed: seed)
  say(TrialState.heading)
  for round in state.rounds { say(TrialState.row(of: round)) }
  for _ in 0..<rounds {
    let number = state.rounds.count + 1
    let place = "\(folder)/round-\(number)"
    // Of a trial that was ended amid the round.
    try? FileManager.default.removeItem(atPath: place)
    try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: false)
    let result = TrialRound(pulse: pulse, folder: place, number: number, seed: state.nextSeed).run()
    state.rounds.append(result)
    try state.save(to: folder)
    say(TrialState.row(of: result))
    // What is wrong is looked at where it lies.
    if result.faults.isEmpty { try FileManager.default.removeItem(atPath: place) }
  }
  for fault in state.faults { say(fault) }
  say(state.summary)
  exit(state.faults.isEmpty ? 0 : 1)
} catch {
  say("the trial could not be carried out: \(error)")
  exit(2)
}
