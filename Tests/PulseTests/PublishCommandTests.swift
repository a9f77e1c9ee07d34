// `pulse run` delivers what it finds to topics, before it ends.

import Foundation
import KafkaKit
import TestKit
import Testing

@Suite("Published results", .serialized, .timeLimit(.minutes(5)))
struct PublishCommandTests {
  /// A cluster with the topics of the use case, and a folder whose `pulse.yaml` names it.
  private static func make(_ more: String = "") throws -> (MockCluster, TestFolder) {
    let cluster = try MockCluster()
    for topic in ["trail.anomalies", "trail.dlq"] { try cluster.createTopic(topic) }
    let folder = try Trail.folder()
    try folder.write("pulse.yaml", "publish: {type: kafka, bootstrap: '\(cluster.bootstrap)'\(more)}\n")
    try folder.write("events.ndjson", Trail.events(0..<5_000))
    return (cluster, folder)
  }

  private static func run(_ folder: TestFolder) throws -> Outcome {
    try Trail.run(folder, "events.ndjson", more: ["--config", folder / "pulse.yaml"], timeout: 120)
  }

  /// What is in the topics: how many findings and dead letters.
  private static func counts(_ cluster: MockCluster) async throws -> [Int] {
    let client = KafkaTestClient(cluster.bootstrap)
    return try await blocking { try ["trail.anomalies", "trail.dlq"].map { try client.read($0).count } }
  }

  private static func stored(_ folder: TestFolder) throws -> [Int] {
    let stored = try Stored(folder / "data")
    return [stored.anomalies.count, stored.deadLetters.count]
  }

  @Test("everything that was committed is in the topics when the run has ended, once", arguments: ["early", "final"])
  func delivered(_ time: String) async throws {
    let (cluster, folder) = try Self.make(", deliver: \(time)")
    for _ in 0..<2 {
      try Self.run(folder).expect(0)
      let stored = try Self.stored(folder)
      #expect(stored[0] > 50 && stored[1] == 20)
      #expect(try await Self.counts(cluster) == stored)
    }
    withExtendedLifetime(cluster) {}
  }

  @Test("brokers that are away keep no run from ending, and the next one delivers")
  func away() async throws {
    let (cluster, folder) = try Self.make()
    try cluster.setDown()
    try Self.run(folder).expect(0, saying: "has not delivered everything")
    try cluster.setUp()
    try Self.run(folder).expect(0)
    #expect(try await Self.counts(cluster) == Self.stored(folder))
    withExtendedLifetime(cluster) {}
  }

  @Test("what is wrong with it is said before there is a data directory")
  func wrong() throws {
    let folder = try Trail.folder()
    try folder.write("pulse.yaml", "publish: {type: kafka}\n")
    try folder.write("events.ndjson", Trail.events(0..<10))
    try Self.run(folder).expect(2, saying: "publish.bootstrap is missing")
    #expect(!FileManager.default.fileExists(atPath: folder / "data"))
  }
}
