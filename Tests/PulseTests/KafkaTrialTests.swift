// A small trial of Kafka; `make kafka-trial` runs the large one.

import Foundation
import KafkaKit
import TestKit
import Testing

@Suite("Trial of Kafka", .timeLimit(.minutes(15)))
struct KafkaTrialTests {
  /// Lies beside the command in the build folder.
  private static let program = [
    (PulseCommand.path as NSString).deletingLastPathComponent,
    PulseCommand.package + "/.build/release",
    PulseCommand.package + "/.build/debug",
  ].map { $0 + "/kafka-trial" }.first { FileManager.default.isExecutableFile(atPath: $0) }

  @Test(
    "a run that is killed, thrown out of its group and left without its broker loses and doubles nothing",
    .enabled(if: BrokerProcess.Kind.tansu.isInstalled, "the broker is not installed (scripts/test-brokers)"))
  func rounds() throws {
    let folder = try TestFolder()
    let outcome = try RunningCommand([
      try #require(Self.program), "--rounds", "2", "--seed", "7", "--state", folder / "state", "--pulse",
      PulseCommand.path,
    ]).wait(timeout: 800)
    #expect(outcome.exitCode == 0, "\(outcome)")
    #expect(outcome.output.contains("2 rounds, "), "\(outcome)")
    #expect(outcome.output.contains(": 0 lost, 0 doubled, 0 faults"), "\(outcome)")
  }
}
