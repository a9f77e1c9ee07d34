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
    /// Where the restarts that found a checkpoint continued from.
    public var resumes: [StoredPosition] = []
    public var differences: [String] = []
  }

  let command: CrashCommand
  let folder: String
  private let useCase: String
  private let inputs: [String]
  private let isSeparate: Bool
  private let template: String?

  /// - Parameters:
  ///   - useCase: folder of the use case.
  ///   - inputs: files to read, in order.
  ///   - isSeparate: whether each is a partition of its own.
  ///   - template: what a data directory holds before its first run; nil: it does not exist.
  init(
    command: CrashCommand, useCase: String, inputs: [String], isSeparate: Bool = false, folder: String,
    template: String? = nil
  ) {
    self.command = command
    self.useCase = useCase
    self.inputs = inputs
    self.isSeparate = isSeparate
    self.folder = folder
    self.template = template
  }

  /// Makes a data directory as it is before the first run.
  /// - Returns: its path.
  func makeData(_ name: String) throws -> String {
    let data = "\(folder)/\(name)"
    if let template { try FileManager.default.copyItem(atPath: template, toPath: data) }
    return data
  }

  /// Runs a new data directory without interruption.
  /// - Returns: the data directory and how long the run took.
  func runThrough(_ variant: Variant, name: String) throws -> (data: String, duration: Duration) {
    let data = try makeData(name)
    let begin = ContinuousClock.now
    try finish(variant, data: data)
    return (data, ContinuousClock.now - begin)
  }

  /// Runs a data directory to its end.
  func finish(_ variant: Variant, data: String) throws {
    let process = try start(variant, data: data)
    process.waitUntilExit()
    try check(process, variant)
  }

  /// Kills a run `kills` times at random moments, restarting it each time on the same data directory, then lets it end.
  /// When it ends before that many kills, the rest happens on another data directory.
  /// - Parameter duration: of an uninterrupted run; a kill comes at any moment of it, from before the store is open to
  ///   after the last commit.
  func runWithKills(
    _ variant: Variant, kills: Int, duration: Duration, expecting expected: StoredResults,
    randomness: inout some RandomNumberGenerator
  ) throws -> Outcome {
    let microseconds = UInt32(clamping: Int64(duration / .microseconds(1)))
    var outcome = Outcome()
    var round = 0
    while outcome.kills < kills {
      let data = try makeData("killed-\(variant.batchSize)-\(variant.workers)-\(round)")
      round += 1
      var finished = false
      while !finished && outcome.kills < kills {
        let process = try start(variant, data: data)
        usleep(UInt32.random(in: 0...microseconds, using: &randomness))
        if process.killed() {
          outcome.kills += 1
          if let position = StoredPosition(dataDirectory: data) { outcome.resumes.append(position) }
        } else {
          try check(process, variant)
          finished = true
        }
      }
      try finish(variant, data: data)
      outcome.differences += try StoredResults(dataDirectory: data).differences(from: expected)
      try? FileManager.default.removeItem(atPath: data)
    }
    return outcome
  }

  /// - Throws: where a run that was not killed has failed.
  func check(_ process: Process, _ variant: Variant) throws {
    guard process.terminationReason == .exit, process.terminationStatus == 0 else {
      throw CrashError("a run ended with \(process.terminationStatus) (\(variant)): \(command.lastErrors)")
    }
  }

  func start(_ variant: Variant, data: String) throws -> Process {
    try command.start(
      [
        "run", "--use-case", useCase, "--data", data, "--quiet", "--checkpoint-interval", "0.05",
        "--batch-size", String(variant.batchSize), "--workers", String(variant.workers),
      ] + (isSeparate ? ["--separate"] : []) + inputs.flatMap { ["--source", $0] })
  }
}

/// The command under test.
struct CrashCommand: Sendable {
  let path: String
  /// Where the last process wrote what it had to say.
  private let errors: String

  /// - Parameter errors: a file for what it says.
  init(path: String, errors: String) {
    self.path = path
    self.errors = errors
  }

  /// Starts it and returns at once.
  func start(_ arguments: [String]) throws -> Process {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    try Data().write(to: URL(fileURLWithPath: errors))
    process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: errors))
    try process.run()
    return process
  }

  /// Runs it to its end.
  /// - Returns: whether it succeeded.
  func succeeds(_ arguments: [String]) throws -> Bool {
    let process = try start(arguments)
    process.waitUntilExit()
    return process.terminationReason == .exit && process.terminationStatus == 0
  }

  /// Runs it to its end.
  /// - Throws: where it fails.
  func run(_ arguments: [String]) throws {
    guard try succeeds(arguments) else { throw CrashError("\(arguments.joined(separator: " ")): \(lastErrors)") }
  }

  /// The end of what the last process said.
  var lastErrors: String {
    String((try? String(contentsOfFile: errors, encoding: .utf8))?.suffix(2000) ?? "")
  }
}

extension Process {
  /// Kills it.
  /// - Returns: false where it had ended before.
  func killed() -> Bool {
    if isRunning { kill(processIdentifier, SIGKILL) }
    waitUntilExit()
    return terminationReason == .uncaughtSignal
  }
}

/// Why a crash test could not be carried out.
public struct CrashError: Error, CustomStringConvertible {
  public let description: String
  public init(_ description: String) { self.description = description }
}
