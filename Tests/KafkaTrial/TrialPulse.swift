// The command under test: `pulse run` over the topic of a round, as a process that can be killed and suspended.

import CrashKit
import Foundation
import KafkaKit

/// Runs of one use case over a topic, one after another on one data directory.
final class TrialPulse {
  let data: String
  private let path: String
  private let folder: String
  private let name: String
  private let idleTimeout: Int?
  private let batchSize: Int
  private var process: ChildProcess?

  static let useCase =
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/UseCase"

  /// - Parameters:
  ///   - name: of the data directory, and of the consumer group.
  ///   - folder: where it is made.
  ///   - idleTimeout: seconds without a record after which a run ends; nil: it goes on until it is stopped.
  init(
    path: String, name: String, in folder: String, broker: String, topic: String, idleTimeout: Int? = nil,
    batchSize: Int
  ) throws {
    (self.path, self.name, self.folder) = (path, name, folder)
    (self.idleTimeout, self.batchSize) = (idleTimeout, batchSize)
    data = "\(folder)/\(name)"
    let configuration = """
      source:
        type: kafka
        bootstrap: ["\(broker)"]
        topic: \(topic)
        group: \(name)
        properties: {session.timeout.ms: "\(Self.session)", heartbeat.interval.ms: "500"}
      """
    try Data(configuration.utf8).write(to: URL(fileURLWithPath: configurationPath))
  }

  /// Milliseconds without a sign of life after which the group gives the partitions to others.
  private static let session = 6_000

  private var configurationPath: String { "\(folder)/\(name).yaml" }
  private var log: String { "\(folder)/\(name).log" }

  /// The end of what it has said.
  var lastWords: String {
    String(decoding: (FileManager.default.contents(atPath: log) ?? Data()).suffix(2_000), as: UTF8.self)
  }

  func start() throws {
    process = try ChildProcess(
      [
        path, "run", "--use-case", Self.useCase, "--config", configurationPath, "--data", data, "--quiet",
        "--checkpoint-interval", "0.2", "--batch-size", String(batchSize), "--workers", "2",
      ] + (idleTimeout.map { ["--idle-timeout", String($0)] } ?? []), log: log, folder: folder)
  }

  /// - Throws: where it has ended although nobody has asked it to.
  func check() throws {
    guard let code = process?.exitCode else { return }
    throw TrialError("pulse has ended by itself with exit code \(code): \(lastWords)")
  }

  /// Kills it (SIGKILL).
  func kill() throws {
    try check()
    process?.stop(with: SIGKILL, within: .seconds(15))
    process = nil
  }

  /// Suspends it (SIGSTOP): it holds what it has, and says nothing.
  func suspend() throws {
    try check()
    try process?.suspend()
  }

  /// Lets it go on (SIGCONT).
  func resume() { process?.send(SIGCONT) }

  /// Lets it end in order (SIGTERM).
  /// - Throws: where it does not, or has failed.
  func stop() throws {
    try check()
    process?.stop(with: SIGTERM, within: .seconds(60))
    try awaitEnd(within: .seconds(1))
  }

  /// Waits until it has ended by itself.
  /// - Throws: where it does not, or has failed.
  func awaitEnd(within limit: Duration) throws {
    let hasEnded = waitUntil(within: limit) { process?.isRunning != true }
    guard hasEnded, process?.exitCode == 0 else {
      let code = process?.exitCode.map { "ended with exit code \($0)" } ?? "did not end within \(limit)"
      throw TrialError("pulse \(code): \(lastWords)")
    }
    process = nil
  }

  /// How far each partition is stored.
  var offsets: [Int: Int64] { StoredPosition.all(dataDirectory: data).mapValues(\.offset) }

  /// Waits until something is stored that is not now.
  func awaitProgress() throws {
    let before = offsets.values.reduce(0, +)
    let isThere = try waitUntil(within: .seconds(120)) {
      try check()
      usleep(50_000)
      return offsets.values.reduce(0, +) > before
    }
    if !isThere { throw TrialError("pulse stores nothing any more: \(lastWords)") }
  }

  /// Waits until everything before these offsets is stored.
  func awaitOffsets(_ ends: [Int: Int64]) throws {
    let isThere = try waitUntil(within: .seconds(240)) {
      try check()
      usleep(50_000)
      return offsets == ends
    }
    if !isThere { throw TrialError("pulse has stored \(offsets) of \(ends): \(lastWords)") }
  }
}
