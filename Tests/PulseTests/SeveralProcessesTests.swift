// What people and routes write, and what leaves the product, while several processes work on one data directory and are
// killed at any moment: nothing is lost, nothing is done by two, and what comes twice is told by its identity.

import CrashKit
import Foundation
import TestKit
import Testing

@Suite("Several processes on one store", .timeLimit(.minutes(15)))
struct SeveralProcessesTests {
  /// Lies beside the command in the build folder.
  private static let program = [
    (PulseCommand.path as NSString).deletingLastPathComponent,
    PulseCommand.package + "/.build/release",
    PulseCommand.package + "/.build/debug",
  ].map { $0 + "/store-writer" }.first { FileManager.default.isExecutableFile(atPath: $0) }

  /// The command line of a process that works on the data directory of a folder.
  private static func writer(_ folder: TestFolder, _ role: String, _ name: String, _ what: String)
    throws -> [String]
  {
    [try #require(program), folder / "data", role, name, what]
  }

  /// Runs commands beside each other to their end, but kills them again and again at any moment and starts them anew. How
  /// often that is before they end depends on how fast the machine is.
  /// - Parameters:
  ///   - servants: commands that have no end; they are killed when the others have ended.
  ///   - kills: at most so many, and at least three.
  private static func run(
    _ commands: [[String]], servants: [[String]] = [], kills: Int, _ random: inout SeededRandom
  ) throws {
    let all = commands + servants
    var processes = try all.map { try RunningCommand($0) }
    var isDone = [Bool](repeating: false, count: all.count)
    var killed = 0
    let end = ContinuousClock.now + .seconds(300)
    while !isDone.prefix(commands.count).allSatisfy({ $0 }) {
      try #require(ContinuousClock.now < end, "\(processes.map(\.errors))")
      usleep(UInt32.random(in: 0...50_000, using: &random))
      for index in all.indices where !isDone[index] && !processes[index].isRunning {
        let outcome = try processes[index].wait()
        try #require(outcome.exitCode == 0, "\(all[index]): \(outcome)")
        isDone[index] = true
      }
      guard killed < kills,
        let victim = all.indices.filter({ !isDone[$0] }).randomElement(using: &random)
      else {
        continue
      }
      processes[victim].send(SIGKILL)
      guard try processes[victim].wait().exitCode == 128 + SIGKILL else { continue }
      killed += 1
      processes[victim] = try RunningCommand(all[victim])
    }
    for process in processes {
      process.send(SIGKILL)
      _ = try process.wait()
    }
    #expect(killed >= 3, "the commands ended before they were killed a few times")
  }

  private static func rows(_ folder: TestFolder, _ query: String) throws -> [[String]] {
    try StoredResults.rows(of: query, dataDirectory: folder / "data").map {
      $0.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
    }
  }

  @Test("jobs are done once, by one worker at a time, whichever is killed", arguments: 0..<2)
  func jobs(_ seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let folder = try TestFolder()
    let count = 150
    try RunningCommand(Self.writer(folder, "make-jobs", "maker", "\(count)")).wait().expect(0)
    let workers = try (0..<3).map { try Self.writer(folder, "jobs", "w\($0)", "\(count)") }
    try Self.run(workers, kills: 12, &random)
    let jobs = try Self.rows(
      folder, "SELECT number, state, worker, attempts, outcome FROM jobs ORDER BY number")
    #expect(jobs.count == count)
    let lines = try Self.rows(
      folder, "SELECT subject, details, who, action, time FROM audit ORDER BY number")
    let byJob = Dictionary(grouping: lines) { $0[0] }
    for job in jobs {
      #expect(job[1] == "finished" && job[4] == "\"\(job[2])\"", "\(job)")
      let lines = byJob[job[0]] ?? []
      let claims = lines.filter { $0[3] == "claimed" }
      // One that was killed may have done either without saying so.
      #expect(
        Set(claims.map { $0[1] }).count == claims.count && claims.count <= Int(job[3]) ?? 0,
        "\(lines)")
      let ends = lines.filter { $0[3] == "ended" }
      #expect(ends.count <= 1 && ends.allSatisfy { $0[2] == job[2] && $0[1] == job[3] }, "\(lines)")
      // Nobody takes what another one has a lease of.
      let times = claims.compactMap { Int64($0[4]) }
      #expect(zip(times, times.dropFirst()).allSatisfy { $1 - $0 >= 250_000 }, "\(lines)")
    }
    #expect(jobs.contains { $0[3] != "1" }, "no job went to a second worker")
  }

  @Test(
    "records that are handed in are taken once and in order, whoever is killed", arguments: 0..<2)
  func inbox(_ seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let folder = try TestFolder()
    let (batches, names) = (240, ["a", "b"])
    let producers = try names.map { try Self.writer(folder, "hand-in", $0, "\(batches)") }
    let taker = try Self.writer(folder, "take", "in", folder / "taken")
    // All of them begin with an empty directory.
    try Self.run(producers, servants: [taker], kills: 15, &random)
    let last = try RunningCommand(taker)
    let total = batches * names.count * 3
    #expect(
      try poll(timeout: 60) { try Self.rows(folder, "SELECT first FROM inboxes") == [["\(total)"]] }
    )
    last.send(SIGKILL)
    _ = try last.wait()
    var taken: [Int: String] = [:]
    for line in folder.read("taken").split(separator: "\n") {
      let words = line.split(separator: " ", maxSplits: 1)
      let number = try #require(Int(words[0]))
      // A record that was not acknowledged when its taker was killed comes again as it was.
      #expect(taken[number] == nil || taken[number] == String(words[1]))
      taken[number] = String(words[1])
    }
    #expect(taken.keys.sorted() == Array(0..<total))
    for name in names {
      let own = taken.sorted { $0.key < $1.key }.filter { $0.value.hasPrefix(name) }
      #expect(
        own.map(\.value)
          == (0..<batches).flatMap { batch in (0..<3).map { "\(name) \(batch) \($0)" } })
      // A batch lies together.
      for batch in stride(from: 0, to: own.count, by: 3) {
        #expect(own[batch + 2].key == own[batch].key + 2)
      }
    }
    #expect(try Self.rows(folder, "SELECT count(*) FROM inbox_records") == [["0"]])
  }

  @Test("an outbox delivers what a run has stored, while both are killed", arguments: 0..<2)
  func outbox(_ seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Trail.events(0..<40_000))
    let run =
      [PulseCommand.path] + Trail.arguments(folder, ["events.ndjson"])
      + ["--checkpoint-interval", "0.02", "--batch-size", "200"]
    let outbox = try Self.writer(folder, "outbox", "sink", folder / "delivered")
    try Self.run([run], servants: [outbox], kills: 12, &random)
    try RunningCommand(Self.writer(folder, "drain", "sink", folder / "delivered")).wait().expect(0)
    try RunningCommand(Self.writer(folder, "drain", "whole", folder / "whole")).wait().expect(0)

    /// What somebody has who keeps what came, by identity, and forgets what was retracted.
    func kept(_ name: String) throws -> (results: [String: String], lines: Int) {
      var (results, lines): ([String: String], Int) = ([:], 0)
      for line in folder.read(name).split(separator: "\n") {
        let change = try #require(
          try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        let id = try #require(change["id"] as? String)
        lines += 1
        #expect(change["change"] as? String != "reset")
        results[id] = change["change"] as? String == "retraction" ? nil : String(line)
      }
      return (results, lines)
    }
    let (delivered, whole) = (try kept("delivered"), try kept("whole"))
    #expect(delivered.results == whole.results && whole.results.count > 1_000)
    #expect(delivered.lines >= whole.results.count)
    let stored = try Stored(folder / "data")
    #expect(try Trail.undisturbed(Trail.events(0..<40_000)).differences(from: stored) == [])
    let anomalies = delivered.results.values.count { $0.hasPrefix(#"{"change":"anomaly""#) }
    #expect(anomalies == stored.anomalies.count)
    // Each partition's changes come in order; what comes again begins with the batch that was delivered last.
    #expect(
      stored.deadLetters.count
        == delivered.results.values.count { $0.hasPrefix(#"{"change":"dead_letter""#) })
  }
}
