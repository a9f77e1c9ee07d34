// Kills runs that read several partitions side by side. How far each has come when a run is killed depends on the moment;
// what is stored in the end does not.

import Foundation
import TestKit

/// Runs over the same events dealt to several partitions, killed and restarted.
struct PartitionTest {
  let command: CrashCommand
  /// The folder of the use case.
  let useCase: String
  /// The files of the input, in order.
  let inputs: [String]
  let folder: String
  /// The versions that score from the beginning on are the last ones.
  let models: ModelTrail

  /// - Returns: what differed, or that too little happened.
  func run(
    partitions: [Int], kills: Int, randomness: inout SeededRandom, report: (String) -> Void
  ) throws -> [String] {
    var differences: [String] = []
    for (index, count) in partitions.enumerated() {
      let share = kills * (index + 1) / partitions.count - kills * index / partitions.count
      let found = try run(count, kills: share, &randomness, report: report)
      differences += found.map { "\(count) partitions: \($0)" }
    }
    return differences
  }

  private func run(
    _ count: Int, kills: Int, _ randomness: inout SeededRandom, report: (String) -> Void
  ) throws -> [String] {
    let place = "\(folder)/partitions-\(count)"
    try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: place) }
    let template = place + "/template"
    try models.withoutEntries().plant(
      in: template, command, useCase: useCase, champions: models.versions.compactMapValues(\.last))
    let driver = CrashDriver(
      command: command, useCase: useCase, inputs: try deal(to: count, in: place), isSeparate: true, folder: place,
      template: template)
    let (reference, duration) = try driver.runThrough(
      CrashDriver.Variant(batchSize: 4096, workers: 2), name: "reference")
    let expected = try StoredResults(dataDirectory: reference)
    var differences: [String] = []
    for table in ["anomalies", "dead_letters", "window_parts", "open_windows", "history_shards", "drift", "models"]
    where expected.tables[table]?.isEmpty ?? true {
      differences.append("the input yields no \(table)")
    }
    if expected.tables["partitions"]?.count != count { differences.append("not all partitions were read") }
    let variant = CrashDriver.Variant(batchSize: 512, workers: 2)
    let outcome = try driver.runWithKills(
      variant, kills: kills, duration: duration, expecting: expected, randomness: &randomness)
    differences += outcome.differences
    report(
      "\(count) partitions side by side: killed \(outcome.kills) times (\(outcome.resumes.count) with a checkpoint behind "
        + "them): " + (differences.isEmpty ? "equal" : "DIFFERENT"))
    if kills >= 4, outcome.resumes.isEmpty { differences.append("no kill came behind a checkpoint") }
    return differences
  }

  /// Deals the lines of the input to one file for each partition, in turn: all of them span the whole time.
  private func deal(to count: Int, in place: String) throws -> [String] {
    var parts = [Data](repeating: Data(), count: count)
    var next = 0
    for path in inputs {
      for line in try Data(contentsOf: URL(fileURLWithPath: path)).split(separator: 0x0A) {
        parts[next].append(contentsOf: line)
        parts[next].append(0x0A)
        next = (next + 1) % count
      }
    }
    return try parts.enumerated().map { number, data in
      let path = "\(place)/part-\(number).ndjson"
      try data.write(to: URL(fileURLWithPath: path))
      return path
    }
  }
}
