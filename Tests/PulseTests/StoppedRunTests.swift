// Runs that are ended early, in order, and go on later; and standard input, which has no position but the one it is given.

import Foundation
import TestKit
import Testing

@Suite("Stopped runs")
struct StoppedRunTests {
  @Test("SIGTERM and SIGINT drain, checkpoint and exit with 0; the rest follows", arguments: [SIGTERM, SIGINT])
  func signals(_ signal: Int32) throws {
    let events = Trail.events(0..<60_000)
    let folder = try Trail.folder()
    // Followed, the file has no end: a run that has begun to store can only end by the signal.
    let options = ["--batch-size", "16", "--workers", "1", "--checkpoint-interval", "0.05"]
    var last = 0
    for part in 1...3 {
      let lines = part * 20_000
      try folder.write("events.ndjson", events.split(separator: "\n").prefix(lines).joined(separator: "\n") + "\n")
      let running = try Trail.start(folder, "events.ndjson", more: options + ["--follow"])
      let began = try poll { try Trail.records(folder) > last }
      #expect(began)
      running.send(signal)
      let outcome = try running.wait()
      #expect(outcome.exitCode == 0, "\(outcome)")
      let records = try Trail.records(folder)
      #expect(records > last && records <= lines)
      last = records
    }
    try Trail.run(folder, "events.ndjson", more: options).expect(0)
    #expect(try Stored(folder / "data").differences(from: Trail.undisturbed(events)) == [])
  }

  @Test("what a run has stored is the same for any batch size and number of workers, stopped or not")
  func batchSizes() throws {
    let events = Trail.events(0..<5000)
    let expected = try Trail.undisturbed(events)
    let folder = try Trail.folder()
    try folder.write("events.ndjson", events)
    for (size, workers) in [("1", "4"), ("7", "2"), ("65536", "1")] {
      try Trail.run(folder, "events.ndjson", data: size, more: ["--batch-size", size, "--workers", workers]).expect(0)
      #expect(try Stored(folder / size).differences(from: expected) == [], "batch size \(size)")
    }
  }

  @Test("standard input that waits is ended by a signal, and what came is stored")
  func openPipe() throws {
    let folder = try Trail.folder()
    #expect(mkfifo(folder / "pipe", 0o600) == 0)
    let running = try RunningCommand(
      [PulseCommand.path] + Trail.arguments(folder, ["-"]) + ["--checkpoint-interval", "0.1"], pipe: folder / "pipe")
    // Opened for reading too, so that this does not wait for the command.
    let descriptor = open(folder / "pipe", O_RDWR)
    try FileHandle(fileDescriptor: descriptor, closeOnDealloc: true).write(contentsOf: Data(Trail.events(0..<500).utf8))
    // The last event arrives without delay, though the batch is not full and the input not at its end.
    let reached = try poll { try Trail.records(folder) == 500 }
    #expect(reached)
    running.send(SIGTERM)
    let outcome = try running.wait()
    outcome.expect(0)
    #expect(try outcome.object()["stopped"] as? Bool == true)
    #expect(try Stored(folder / "data").count("records") == 500)
  }

  @Test("a signal in the middle of a stream: every whole line that was taken from the pipe is stored")
  func midstream() throws {
    let folder = try Trail.folder()
    #expect(mkfifo(folder / "pipe", 0o600) == 0)
    let running = try RunningCommand(
      [PulseCommand.path] + Trail.arguments(folder, ["-"]) + ["--batch-size", "65536"], pipe: folder / "pipe")
    let descriptor = open(folder / "pipe", O_RDWR | O_NONBLOCK)
    defer { close(descriptor) }
    let events = Array(Trail.events(0..<5000).utf8)
    var written = 0
    var wasStopped = false
    func taken() -> Int {
      var left: Int32 = 0
      #expect(ioctl(descriptor, UInt(FIONREAD), &left) == 0)
      return written - Int(left)
    }
    while running.isRunning {
      let piece = events[(written % events.count)...].prefix(16_384)
      let count = piece.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
      if count > 0 { written += count } else { sched_yield() }
      if !wasStopped && taken() > 3_000_000 {
        running.send(SIGTERM)
        wasStopped = true
      }
    }
    try running.wait().expect(0)
    let lines = { (bytes: ArraySlice<UInt8>) in bytes.count { $0 == 0x0A } }
    let expected = taken() / events.count * 5000 + lines(events.prefix(taken() % events.count))
    #expect(try Stored(folder / "data").count("records") == expected)
  }

  @Test("a summary says whether the run was stopped before the end of its input")
  func stoppedSummary() throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Trail.events(0..<500))
    for isStopped in [false, true] {
      let arguments = Trail.arguments(folder, ["events.ndjson"]).filter { $0 != "--json" }
      let running = try RunningCommand([PulseCommand.path] + arguments + (isStopped ? ["--follow"] : []))
      if isStopped {
        try folder.append("events.ndjson", Trail.events(500..<700))
        let reached = try poll { try Trail.records(folder) == 700 }
        #expect(reached)
        running.send(SIGINT)
      }
      let outcome = try running.wait()
      outcome.expect(0)
      #expect(outcome.output.contains("Stopped by a signal") == isStopped, "\(outcome)")
    }
  }

  @Test("standard input with a name resumes behind what was read of it")
  func namedInput() throws {
    let folder = try Trail.folder()
    let named = ["--source-name", "feed"]
    for count in [1000, 1000, 2500] {
      try Trail.run(folder, "-", more: named, input: Trail.events(0..<count)).expect(0)
      #expect(try Stored(folder / "data").count("records") == count)
    }
    let stored = try Stored(folder / "data")
    try Trail.run(folder, "-", data: "undisturbed", more: named, input: Trail.events(0..<2500)).expect(0)
    #expect(try stored.differences(from: Stored(folder / "undisturbed")) == [])
    // Another input under this name, or less of it, is refused.
    try Trail.run(folder, "-", more: named, input: Trail.events(1..<2600)).expect(
      3, saying: "standard input", "--source-name")
    try Trail.run(folder, "-", more: named, input: Trail.events(0..<2000)).expect(3, saying: "standard input ends")
    #expect(try Stored(folder / "data") == stored)
  }

  @Test("standard input without a name is a new source each time")
  func unnamedInput() throws {
    let folder = try Trail.folder()
    for _ in 0..<2 { try Trail.run(folder, "-", input: Trail.events(0..<500)).expect(0) }
    let rows = try PulseCommand.run("status", "--data", folder / "data", "--json").rows()
    #expect(rows.map { $0["records"] as? Int } == [500, 500])
    let sources = rows.compactMap { ($0["position"] as? [String: Any])?["source"] as? String }
    #expect(Set(sources).count == 2)
    try Trail.run(folder, "-", data: "none", input: "").expect(0)
  }

  @Test("a reader that goes away ends a command quietly")
  func closedPipe() throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Trail.events(0..<20_000))
    try Trail.run(folder, "events.ndjson").expect(0)
    for command in [
      "windows --data data --limit 0", "windows --data data --limit 0 --json", "anomalies --data data --limit 0",
      "dead-letters --data data --json --limit 0", "list functions", "simulate redset --events 200000 --to -",
    ] {
      let outcome = try PulseCommand.shell(
        "$PULSE \(command.replacing("redset", with: PulseCommand.useCase("redset"))) | head -1; echo ${PIPESTATUS[0]}",
        in: folder)
      let lines = outcome.output.split(separator: "\n")
      #expect(lines.count == 2 && lines.last == "0", "\(command): \(outcome)")
      #expect(outcome.errors.isEmpty, "\(command): \(outcome)")
    }
  }

  @Test("sources with names alike leave each other's history alone, and what is read no more is kept no longer")
  func sources() throws {
    let folder = try Trail.folder()
    func history() throws -> [String] {
      (FileManager.default.enumerator(atPath: folder / "data/history")?.allObjects as? [String] ?? [])
        .filter { $0.hasSuffix(".arrow") }.map { ($0 as NSString).lastPathComponent }.sorted()
    }
    for name in ["feed-2", "feed"] {
      try Trail.run(folder, "-", more: ["--source-name", name], input: Trail.events(0..<500)).expect(0)
    }
    #expect(try history() == ["feed-0-000000.arrow", "feed-2-0-000000.arrow"])
    try Trail.run(folder, "-", more: ["--source-name", "feed-2"], input: Trail.events(0..<500)).expect(0)
    // Half a year later everything of the other sources has left retention.
    let later = Trail.events(0..<500).replacingOccurrences(of: "2024-03", with: "2024-09")
    try Trail.run(folder, "-", more: ["--source-name", "later"], input: later).expect(0)
    #expect(try history() == ["later-0-000000.arrow"])
    let starts = try PulseCommand.run("windows", "--data", folder / "data", "--json", "--limit", "0").rows()
      .compactMap { $0["start"] as? String }
    #expect(!starts.isEmpty && starts.allSatisfy { $0.hasPrefix("2024-09") })
  }
}
