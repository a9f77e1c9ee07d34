// Trainings that a run starts: each in a process of its own, so that whatever becomes of it (a crash, memory that runs
// out, a full disk) the run goes on with the models it has. A new champion reaches the run as any promotion does.

import Connectors
import Detection
import Foundation
import Learning
import Logging
import Pipeline

/// Starts `pulse train` on the schedule of a use case, one at a time.
struct TrainingScheduler: Sendable {
  let useCase: UseCase
  /// The folder of the use case, and the data directory.
  let location: String
  let data: DataDirectory
  let progress: RunProgress
  let logger: Logger

  /// Looks for a training that is due once a second, until it is cancelled; a training under way ends with it.
  func run() async {
    guard case .every(let interval) = useCase.training.schedule else { return }
    var last = lastTraining()
    while (try? await Task.sleep(for: .seconds(1))) != nil {
      let now = progress.snapshot.eventTime
      guard now != .min else { continue }
      if let last {
        guard now >= last.addingClamped(interval) else { continue }
      } else {
        guard hasEnoughHistory(until: now, interval: interval) else { continue }
      }
      // Whatever becomes of it, the next one is due an interval later: a use case that cannot be trained yet would
      // otherwise be tried without end.
      last = now
      await train()
    }
  }

  /// How far history reached when a model was trained last.
  private func lastTraining() -> Int64? {
    let registry = ModelRegistry(folder: data.modelsPath, useCase: useCase.name)
    return useCase.detectors.compactMap { detector in
      (try? registry.entries(of: detector.name))?.compactMap { (try? $0.manifest.get())?.times?.until }.max()
    }.max()
  }

  /// A first model waits for twice the history that the gate asks it to have learned from, or for the interval.
  private func hasEnoughHistory(until now: Int64, interval: Int64) -> Bool {
    guard let first = try? StoreReader(data).shards(of: useCase.name).map(\.firstTime).min() else { return false }
    return now >= first.addingClamped(max(interval, useCase.training.history / Limits.trainingCoverage * 2))
  }

  private func train() async {
    logger.info("a training has begun", metadata: ["use_case": "\(useCase.name)"])
    let child = ChildProcess(arguments: [
      "train", location, "--data", data.path, "--background", "--json",
    ])
    let end = await withTaskCancellationHandler {
      await child.run()
    } onCancel: {
      child.stop()
    }
    report(end)
  }

  private func report(_ end: ChildProcess.End) {
    if Task.isCancelled { return logger.info("the training under way has ended with the run: the models in use stay") }
    struct Report: Decodable {
      struct Outcome: Decodable {
        var detector: String
        var result: String
        var version: String?
        var message: String
      }
      var outcomes: [Outcome]
    }
    let report = try? JSONDecoder().decode(Report.self, from: Data(end.output.utf8))
    for outcome in report?.outcomes ?? [] {
      let metadata: Logger.Metadata = ["detector": "\(outcome.detector)", "version": "\(outcome.version ?? "-")"]
      switch outcome.result {
      case "promoted", "unchanged": logger.info("training: \(outcome.message)", metadata: metadata)
      case "refused":
        logger.warning("a trained model was refused, the champion stays: \(outcome.message)", metadata: metadata)
      default: logger.warning("no model was trained: \(outcome.message)", metadata: metadata)
      }
    }
    if let trouble = end.trouble, report == nil {
      logger.warning("the training has failed, the models in use stay: \(trouble)")
    }
  }
}

/// A process of this same program.
private final class ChildProcess: Sendable {
  struct End: Sendable {
    var output: String
    /// What went wrong; nil where nothing did.
    var trouble: String?
  }

  private let process = Process()
  private let output = Pipe()
  private let errors = Pipe()

  init(arguments: [String]) {
    process.executableURL = URL(fileURLWithPath: Bundle.main.executablePath ?? CommandLine.arguments[0])
    process.arguments = arguments
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = errors
  }

  /// Runs it to its end, on a thread of its own.
  func run() async -> End {
    await withCheckedContinuation { continuation in
      Thread.detachNewThread { continuation.resume(returning: self.runBlocking()) }
    }
  }

  private func runBlocking() -> End {
    do { try process.run() } catch { return End(output: "", trouble: "it cannot be started: \(systemReason(error))") }
    // What it says to the error stream is little; the report comes at its end.
    let text = String(decoding: (try? output.fileHandleForReading.readToEnd()) ?? Data(), as: UTF8.self)
    let said = String(decoding: (try? errors.fileHandleForReading.readToEnd()) ?? Data(), as: UTF8.self)
    process.waitUntilExit()
    let status = process.terminationStatus
    if process.terminationReason == .uncaughtSignal { return End(output: text, trouble: "ended by signal \(status)") }
    guard status != 0 else { return End(output: text, trouble: nil) }
    let last = said.split(separator: "\n").last.map(String.init) ?? "exit code \(status)"
    return End(output: text, trouble: last)
  }

  func stop() { if process.isRunning { process.terminate() } }
}

extension Int64 {
  fileprivate func addingClamped(_ other: Int64) -> Int64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? .max : sum
  }
}
