// What is kept of answers that took reading history, and when it is read again.

import Detection
import HTTPTypes
import Pipeline
import Testing

@testable import Server

@Suite("Answers from history", .timeLimit(.minutes(15)))
struct HistoryFindingsTests {
  private static func shard(_ number: Int, rows: Int = 10) -> ArchivedShard {
    ArchivedShard(
      partition: PartitionID(source: "files", number: 0), day: "2024-03-01", number: number, rows: rows,
      firstTime: 0, lastTime: 100, path: "history/\(number).parquet")
  }

  @Test("an answer is found once for the files of its span, and again where these are others")
  func kept() {
    let findings = HistoryFindings<String, Int>(most: 2)
    var reads = 0
    func ask(_ question: String, _ shards: [ArchivedShard]) -> Int {
      findings.answer(to: question, in: shards) {
        reads += 1
        return reads
      }
    }
    #expect(ask("a", [Self.shard(0)]) == 1 && ask("a", [Self.shard(0)]) == 1)
    #expect(ask("a", [Self.shard(0), Self.shard(1)]) == 2)
    #expect(ask("a", [Self.shard(0), Self.shard(1, rows: 11)]) == 3)
    // The one that was not asked for lately goes.
    #expect(ask("b", []) == 4)
    #expect(ask("a", [Self.shard(0), Self.shard(1, rows: 11)]) == 3)
    #expect(ask("c", []) == 5)
    #expect(ask("a", [Self.shard(0), Self.shard(1, rows: 11)]) == 3)
    #expect(ask("b", []) == 6)
  }

  @Test("what could not be read is not kept")
  func failed() throws {
    struct Failure: Error {}
    let findings = HistoryFindings<String, Int>()
    #expect(throws: Failure.self) { try findings.answer(to: "a", in: []) { throw Failure() } }
    #expect(findings.answer(to: "a", in: []) { 7 } == 7)
  }

  @Test("what anomalies have in common is the same each time, and is compared with events that came since")
  func repeated() async throws {
    let served = try await ServedFixture()
    let address = "/api/v1/use-cases/\(ServedFixture.useCase)/problems/large_spill/common?window=7d"
    let first = try await served.get(address)
    #expect(first.status == 200, "\(first.text)")
    #expect(try await served.get(address).text == first.text)
    let all = try #require(try first.json["all"]?.integer)
    try await ServedFixture.run(60_000, in: served.directory)
    try await served.look()
    #expect(try #require(try await served.get(address).json["all"]?.integer) > all)
  }
}
