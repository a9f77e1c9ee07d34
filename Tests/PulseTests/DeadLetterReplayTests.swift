// Dead letters that come again: as they came, or repaired, once a day, and never in a circle.

import Foundation
import KafkaKit
import TestKit
import Testing

@Suite("Dead letters again", .timeLimit(.minutes(5)))
struct DeadLetterReplayTests {
  /// A folder with a run over 1,000 events, 4 of which lack their load.
  private static func folder() throws -> TestFolder {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Trail.events(0..<1_000))
    try Trail.run(folder, "events.ndjson").expect(0)
    return folder
  }

  private static func replay(_ folder: TestFolder, _ more: String...) throws -> Outcome {
    try PulseCommand.run(
      ["dead-letters", "replay", folder / "trail", "--data", folder / "data"] + more)
  }

  /// Fails the test unless a command went well and printed all `words`.
  private static func expect(_ outcome: Outcome, says words: String..., at: SourceLocation = #_sourceLocation) {
    outcome.expect(0, at: at)
    for word in words { #expect(outcome.output.contains(word), "“\(word)” is missing: \(outcome)", sourceLocation: at) }
  }

  /// Writes the dead letters as they are listed, with what one puts into each record in place of its end.
  private static func repair(_ folder: TestFolder, _ more: String) throws {
    let listed = try PulseCommand.run("dead-letters", "--data", folder / "data", "--limit", "0", "--json")
    listed.expect(0)
    try folder.write(
      "letters.json", listed.output.replacing(#"\"h1\"}"#, with: #"\"h1\"\#(more)}"#))
  }

  private static func readInbox(_ folder: TestFolder) throws -> Outcome {
    try PulseCommand.run(
      "run", "--use-case", folder / "trail", "--data", folder / "data", "--source", "http", "--idle-timeout", "1",
      "--json")
  }

  @Test("a repaired record is handed in once, and processed by the next run that reads what is handed in")
  func repaired() throws {
    let folder = try Self.folder()
    Self.expect(try Self.replay(folder, "--dry-run"), says: "0 of 4 dead letters would pass", "4 would not pass")
    Self.expect(try Self.replay(folder), says: "0 dead letters were handed in")
    try Self.repair(folder, #",\"load\":99"#)
    Self.expect(try Self.replay(folder, "--repaired", folder / "letters.json", "--dry-run"), says: "4 of 4")
    Self.expect(try Self.replay(folder, "--repaired", folder / "letters.json"), says: "4 dead letters were handed in")
    Self.expect(
      try Self.replay(folder, "--repaired", folder / "letters.json"),
      says: "0 dead letters were handed in; 4 had been within the last day")
    let outcome = try Self.readInbox(folder)
    outcome.expect(0)
    let totals = try #require(try outcome.object()["totals"] as? [String: Any])
    #expect(totals["records"] as? Int == 4 && (totals["dead_letters"] as? [String: Int] ?? [:]).isEmpty, "\(totals)")
    try Self.replay(folder, "--repaired", folder / "none.json").expect(3, saying: "none.json cannot be read")
    try folder.write("wrong.json", "[1]")
    try Self.replay(folder, "--repaired", folder / "wrong.json").expect(3, saying: "`id` and `raw`")
  }

  @Test("what has come again and failed again does not go round in a circle")
  func circle() throws {
    let folder = try Self.folder()
    // The use case is mended, the dead letters come again, and then it is as before.
    let mended = Trail.pipeline.replacing("load: {type: double, required: true,", with: "load: {type: double,")
    try #require(mended != Trail.pipeline)
    try folder.write("trail/pipeline.yaml", mended)
    Self.expect(try Self.replay(folder), says: "4 dead letters were handed in")
    try folder.write("trail/pipeline.yaml", Trail.pipeline)
    try Self.readInbox(folder).expect(0)
    try folder.write("trail/pipeline.yaml", mended)
    Self.expect(
      try Self.replay(folder), says: "0 dead letters were handed in; 4 had been within the last day",
      "4 have come again before")
    Self.expect(try Self.replay(folder, "--again"), says: "4 dead letters were handed in; 4 had been")
  }

  @Test(
    "over a topic they go back to it, with their keys and where they come from",
    .enabled(
      if: BrokerProcess.Kind.noida.isInstalled, "scripts/test-brokers has not been run, or has none for this system"))
  func topics() async throws {
    let broker = try await blocking { try BrokerProcess(.noida) }
    let client = KafkaTestClient(broker.bootstrap)
    let lines = Trail.events(0..<500).split(separator: "\n").map(String.init)
    let found = try await blocking { () throws -> [KafkaTestRecord] in
      try client.createTopics("trail")
      try client.produce(
        lines.map { KafkaTestMessage($0, key: "k", headers: [KafkaTestHeader("origin", "x")]) }, to: "trail")
      let folder = try Trail.folder()
      func run() throws -> Outcome {
        try PulseCommand.run(
          Trail.arguments(folder, []) + ["--source", "kafka://\(broker.bootstrap)/trail", "--idle-timeout", "3"],
          timeout: 120)
      }
      try run().expect(0)
      try Self.repair(folder, #",\"load\":1"#)
      Self.expect(try Self.replay(folder, "--repaired", folder / "letters.json"), says: "2 dead letters were handed in")
      let outcome = try run()
      outcome.expect(0)
      #expect(try Trail.records(folder) == lines.count + 2, "\(outcome.errors)")
      return try client.read("trail", from: Int64(lines.count), atLeast: 2)
    }
    let back = found.filter { $0.value != nil }
    #expect(back.count == 2)
    for record in back {
      #expect(record.key == Array("k".utf8) && record.headers.first == KafkaTestHeader("origin", "x"))
      #expect(record.headers.last?.name == "pulse_replay" && record.headers.count == 2)
    }
    #expect(broker.isRunning)
  }
}
