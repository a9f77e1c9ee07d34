// Events that are posted to `pulse run --source http --serve`: none is lost or counted twice, whatever is killed and sent again.

import Foundation
import TestKit
import Testing

@Suite("Posted events", .timeLimit(.minutes(10)))
struct PostedEventsTests {
  private static let events = "/api/v1/use-cases/trail/events"

  private static func start(_ folder: TestFolder) throws -> (running: RunningCommand, port: Int) {
    let running = try PulseCommand.start(
      "run", "--use-case", folder / "trail", "--data", folder / "data", "--source", "http", "--serve", "--port", "0",
      "--quiet", "--checkpoint-interval", "0.05")
    return (running, try ServeCommandTests.port { running.errors })
  }

  /// Posts a chunk of the trail.
  private static func post(_ range: Range<Int>, port: Int, in folder: TestFolder) throws -> String {
    let body = Trail.events(range)
    let head =
      "POST \(events)?partial=true HTTP/1.1\r\nHost: localhost:\(port)\r\nContent-Type: application/x-ndjson\r\n"
      + "Idempotency-Key: chunk-\(range.lowerBound)\r\nContent-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n"
    try folder.write("request", head + body)
    let outcome = try RunningCommand([
      "/bin/bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/\(port) && cat '\(folder / "request")' >&3 && cat <&3",
    ]).wait()
    outcome.expect(0)
    return outcome.output
  }

  /// What is stored when all chunks were posted; before those in `killedBefore` the run is killed, and the chunk before is
  /// posted once more.
  private static func stored(killedBefore: Set<Int>) throws -> Stored {
    let folder = try Trail.folder()
    var (running, port) = try start(folder)
    let chunks = stride(from: 0, to: 5000, by: 500).map { $0..<$0 + 500 }
    for (index, chunk) in chunks.enumerated() {
      if killedBefore.contains(index) {
        running.send(SIGKILL)
        _ = try running.wait()
        (running, port) = try start(folder)
        let again = try post(chunks[index - 1], port: port, in: folder)
        #expect(again.contains("\"repeated\":true") && again.contains("\"accepted\":498"), "\(again)")
      }
      let answer = try post(chunk, port: port, in: folder)
      #expect(answer.hasPrefix("HTTP/1.1 202") && answer.contains("\"repeated\":false"), "\(answer)")
      // Every 250th event lacks a field.
      #expect(answer.contains("\"accepted\":498") && answer.contains("\"reason\":\"missing\""), "\(answer)")
    }
    let isProcessed = try poll(timeout: 60) { try Trail.records(folder) == 4980 }
    let records = try Trail.records(folder)
    #expect(isProcessed, "\(records)")
    running.send(SIGTERM)
    try running.wait().expect(0)
    return try Stored(folder / "data")
  }

  @Test("a run that is killed between posts, which are then sent again, stores what an undisturbed one does")
  func killed() throws {
    let undisturbed = try Self.stored(killedBefore: [])
    #expect(undisturbed.anomalies.count > 100)
    #expect(try Self.stored(killedBefore: [1, 4, 9]).differences(from: undisturbed) == [])
  }

  @Test("what is posted to a run that reads something else is refused, and so is what would not pass")
  func refused() throws {
    let folder = try Trail.folder()
    try folder.write("events.ndjson", Trail.events(0..<100))
    let other = try Trail.start(folder, "events.ndjson", more: ["--serve", "--port", "0", "--follow"])
    let answer = try Self.post(0..<10, port: try ServeCommandTests.port { other.errors }, in: folder)
    #expect(answer.hasPrefix("HTTP/1.1 409") && answer.contains("--source http"), "\(answer)")
    other.send(SIGTERM)
    try other.wait().expect(0)
  }
}
