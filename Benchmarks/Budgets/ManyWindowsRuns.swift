// A stream of many instances: every one of them has a window of its own every ten minutes, so windows cost as much as
// events do. Beside it, on request, DuckDB over the same file, doing only what a batch can: runs in turn, so that both meet
// the same machine.

import Foundation
import Workloads

struct ManyWindowsRuns {
  private let runs: [PulseRun]
  private let windows: Int
  /// DuckDB's, each behind the run of the same place.
  private var peers: [Command] = []

  private static let instances = 200
  /// Arrivals of all instances in a day: a million events are three days.
  private static let eventsPerDay = 345_000

  /// - Parameters:
  ///   - rounds: how many runs are timed.
  ///   - peers: whether DuckDB runs as well, where it is installed.
  init(_ places: Places, records: Int, rounds: Int, peers: Bool) throws {
    let useCase = try Self.useCase(places)
    let input = try InputFile(places, records: records, useCase: useCase)
    let duckdb = places.root + "/.native/bin/duckdb"
    let runsPeer = peers && FileManager.default.fileExists(atPath: duckdb)
    var runs: [PulseRun] = []
    var windows = 0
    for round in 0..<rounds {
      let run = try PulseRun(places, source: input.path, useCase: useCase)
      try run.expectSame(as: runs.first ?? run, "running again")
      guard run.records == records else { throw WrongOutput("\(run.records) records of \(records) were read") }
      runs.append(run)
      if round == 0 { windows = try Self.storedWindows(places) }
      if runsPeer { self.peers.append(try Self.peer(duckdb, places, input.path, ours: run, windows)) }
    }
    (self.runs, self.windows) = (runs, windows)
    try FileManager.default.removeItem(atPath: input.path)
  }

  func add(to table: inout BudgetTable) {
    guard let fastest = runs.min(by: { $0.command.seconds < $1.command.seconds }) else { return }
    let memory = runs.map(\.command.peakMemory).max() ?? 0
    table.add(
      Budget(
        what: "redset of \(Self.instances) instances, \(windows) windows: file to history, windows and SQLite",
        target: 1e6, defect: 300e3, direction: .atLeast, format: eventsPerSecond),
      measured: fastest.recordsPerSecond, note: "best of \(runs.count), peak \(megabytes(Double(memory)))")
    guard !peers.isEmpty else { return }
    let ratios = zip(runs, peers).map { $1.seconds / $0.command.seconds }.sorted()
    let rate = Double(fastest.records) / (peers.map(\.seconds).min() ?? .infinity)
    let peerMemory = peers.map(\.peakMemory).max() ?? 0
    table.add(
      "the same against DuckDB, which does the batch part of it",
      measured: "\(times(ratios[ratios.count / 2])) (median of \(ratios.count) pairs; at best "
        + "\(eventsPerSecond(rate)), peak \(megabytes(Double(peerMemory))))")
  }

  /// A copy of redset whose stream has more instances.
  private static func useCase(_ places: Places) throws -> String {
    let folder = places.work + "/many-windows"
    try? FileManager.default.removeItem(atPath: folder)
    try FileManager.default.copyItem(atPath: places.root + "/UseCases/redset", toPath: folder)
    let path = folder + "/simulation.yaml"
    var text = try String(contentsOfFile: path, encoding: .utf8)
    for (key, value) in [("entities", instances), ("events_per_day", eventsPerDay)] {
      let line = try Regex("(?m)^  \(key): [0-9]+$")
      guard text.contains(line) else { throw WrongOutput("the simulation of redset does not say `\(key)`") }
      text.replace(line, with: "  \(key): \(value)")
    }
    try text.write(toFile: path, atomically: true, encoding: .utf8)
    return folder
  }

  private static func storedWindows(_ places: Places) throws -> Int {
    let list = try Command(
      [places.pulse, "windows", "--data", places.work + "/data", "--json", "--limit", "0"], scratch: places.work)
    return list.output.utf8.count(where: { $0 == UInt8(ascii: "\n") })
  }

  /// DuckDB over the file, into a database of its own.
  /// - Throws: `WrongOutput` where it finds something else than `ours` did, late and refused events aside.
  private static func peer(
    _ duckdb: String, _ places: Places, _ input: String, ours: PulseRun, _ windows: Int
  ) throws -> Command {
    let database = places.work + "/peer.duckdb"
    defer { try? FileManager.default.removeItem(atPath: database) }
    let script = try String(contentsOfFile: places.root + "/Benchmarks/Peers/windows.sql", encoding: .utf8)
      .replacing("EVENTS", with: input)
    let run = try Command([duckdb, database, "-csv", "-noheader", "-c", script], scratch: places.work)
    let found = run.output.split(separator: "\n").compactMap { Int($0) }
    // Of what is refused or late DuckDB takes a part.
    let slack = ours.records / 1000
    let expected = [windows, ours.classes.values.reduce(0, +), ours.anomalies["large_spill"] ?? 0]
    guard found.count == expected.count, zip(found, expected).allSatisfy({ abs($0 - $1) <= slack }) else {
      throw WrongOutput("DuckDB found \(found), expected about \(expected)")
    }
    return run
  }
}
