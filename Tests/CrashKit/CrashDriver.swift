// Kills a running `pulse run` again and again, restarts it, and compares what it stored with an uninterrupted run.

import Foundation

/// A use case, its input and how to run it.
public struct CrashDriver: Sendable {
  /// How one run works.
  public struct Variant: Sendable, CustomStringConvertible {
    public var batchSize: Int
    public var workers: Int

    public init(batchSize: Int, workers: Int) {
      self.batchSize = batchSize
      self.workers = workers
    }

    public var description: String { "batch size \(batchSize), \(workers) worker(s)" }
  }

  /// What happened to one data directory.
  public struct Outcome: Sendable {
    public var kills = 0
    /// Kills after which a restart found a checkpoint to continue from.
    public var resumes = 0
    public var differences: [String] = []
  }

  private let pulse: String
  private let useCase: String
  private let inputs: [String]
  private let folder: String

  /// - Parameters:
  ///   - pulse: path of the command.
  ///   - useCase: folder of the use case.
  ///   - inputs: files to read, in order.
  ///   - folder: where data directories are made.
  public init(pulse: String, useCase: String, inputs: [String], folder: String) {
    self.pulse = pulse
    self.useCase = useCase
    self.inputs = inputs
    self.folder = folder
  }

  /// Runs without interruption.
  /// - Returns: the data directory and how long the run took.
  public func runThrough(_ variant: Variant, name: String) throws -> (data: String, duration: Duration) {
    let data = "\(folder)/\(name)"
    let begin = ContinuousClock.now
    let process = try start(variant, data: data)
    process.waitUntilExit()
    let duration = ContinuousClock.now - begin
    guard process.terminationStatus == 0 else {
      throw CrashError("an uninterrupted run ended with \(process.terminationStatus)")
    }
    return (data, duration)
  }

  /// Kills a run `kills` times at random moments, restarting it each time on the same data directory, then lets it end.
  /// When it ends before that many kills, the rest happens on another data directory.
  /// - Parameter duration: of an uninterrupted run; a kill comes at any moment of it, from before the store is open to
  ///   after the last commit.
  public func runWithKills(
    _ variant: Variant, kills: Int, duration: Duration, expecting expected: StoredResults,
    randomness: inout some RandomNumberGenerator
  ) throws -> Outcome {
    let microseconds = UInt32(clamping: Int64(duration / .microseconds(1)))
    var outcome = Outcome()
    var round = 0
    while outcome.kills < kills {
      let data = "\(folder)/killed-\(variant.batchSize)-\(variant.workers)-\(round)"
      round += 1
      var finished = false
      while !finished && outcome.kills < kills {
        let process = try start(variant, data: data)
        usleep(UInt32.random(in: 0...microseconds, using: &randomness))
        if process.isRunning {
          kill(process.processIdentifier, SIGKILL)
          process.waitUntilExit()
        }
        if process.terminationReason == .exit {
          guard process.terminationStatus == 0 else {
            throw CrashError("a restarted run ended with \(process.terminationStatus) (\(variant))")
          }
          finished = true
        } else {
          outcome.kills += 1
          if try StoredResults.hasCheckpoint(dataDirectory: data) { outcome.resumes += 1 }
        }
      }
      let last = try start(variant, data: data)
      last.waitUntilExit()
      guard last.terminationStatus == 0 else { throw CrashError("the last run ended with \(last.terminationStatus)") }
      outcome.differences += try StoredResults(dataDirectory: data).differences(from: expected)
      try? FileManager.default.removeItem(atPath: data)
    }
    return outcome
  }

  private func start(_ variant: Variant, data: String) throws -> Process {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: pulse)
    process.arguments =
      [
        "run", "--use-case", useCase, "--data", data, "--quiet", "--checkpoint-interval", "0.05",
        "--batch-size", String(variant.batchSize), "--workers", String(variant.workers),
      ] + inputs.flatMap { ["--source", $0] }
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    return process
  }
}

/// Why a crash test could not be carried out.
public struct CrashError: Error, CustomStringConvertible {
  public let description: String
  public init(_ description: String) { self.description = description }
}
