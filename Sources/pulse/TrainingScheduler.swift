// Trainings that a run starts: each in a process of its own, so that whatever becomes of it (a crash, memory that runs
// out, a full disk) the run goes on with the models it has. A new champion reaches the run as any promotion does.

import Connectors
import Detection
import Foundation
import Learning
import Logging
import Pipeline

/// Starts `pulse train` on the schedule of a use case, one at a time. It reads the registry and the store, which blocks.
actor TrainingScheduler {
  private let thread = DedicatedThread(name: "pulse-trainings")
  nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

  private let useCase: UseCase
  private let location: String
  private let place: StorePlace
  private let progress: RunProgress
  private let logger: Logger

  /// - Parameters:
  ///   - location: the folder of the use case.
  ///   - place: the store, and the data directory.
  ///   - progress: how far event time has come.
  init(useCase: UseCase, location: String, place: StorePlace, progress: RunProgress, logger: Logger) {
    self.useCase = useCase
    self.location = location
    self.place = place
    self.progress = progress
    self.logger = logger
  }

  /// Looks for a training that is due once a second, until it is cancelled; a training under way ends with it.
  func run() async {
    guard case .every(let interval) = useCase.training.schedule else { return }
    TrainingReport.beginCounting(of: useCase.name)
    var last = lastTraining()
    var nextLook = Int64.min
    announce(last?.addingSaturated(interval))
    while (try? await Task.sleep(for: .seconds(1))) != nil {
      let now = progress.snapshot.eventTime
      guard now != .min else { continue }
      if let last {
        guard now >= last.addingSaturated(interval) else { continue }
      } else {
        // The store is read for it: not every second.
        guard now >= nextLook else { continue }
        nextLook = now.addingSaturated(interval / 24)
        guard await hasEnoughHistory(until: now, interval: interval) else { continue }
      }
      // Whatever becomes of it, the next one is due an interval later: a use case that cannot be trained yet would
      // otherwise be tried without end.
      last = now
      await train()
      if !Task.isCancelled { announce(now.addingSaturated(interval)) }
    }
  }

  private func announce(_ time: Int64?) {
    let text = time.map(Timestamp.formatWithinRange) ?? "as soon as there is enough history"
    logger.info("the next training", metadata: ["use_case": "\(useCase.name)", "due": "\(text)"])
  }

  /// How far history reached when a model was trained last, of the detector for which that is longest ago; nil where one
  /// has never been trained. A version whose record is damaged does not count.
  private func lastTraining() -> Int64? {
    let registry = ModelRegistry(folder: place.directory.modelsPath, useCase: useCase.name)
    let trained = useCase.detectors.filter(\.isTrained)
    let last = trained.map { detector in
      (try? registry.entries(of: detector.name))?.compactMap { (try? $0.manifest.get())?.times?.until }.max()
    }
    return last.contains(nil) ? nil : last.compactMap(\.self).min()
  }

  /// A first model waits for twice the history that the gate asks it to have learned from, or for the interval.
  private func hasEnoughHistory(until now: Int64, interval: Int64) async -> Bool {
    let history = useCase.training.history
    // Of the window that would be read: an event that says 1970 is no history of half a century.
    let times = (try? await place.reader().listing(of: useCase.name).shards) ?? []
    guard let first = times.filter({ $0.lastTime >= now - history }).map({ max($0.firstTime, now - history) }).min()
    else { return false }
    return now >= first.addingSaturated(min(max(interval, history / Limits.trainingCoverage * 2), history))
  }

  private func train() async {
    logger.info("a training has begun", metadata: ["use_case": "\(useCase.name)"])
    let child = ChildProcess(
      arguments: ["train", location, "--data", place.directory.path, "--background", "\(getpid())", "--json"],
      environment: place.environment)
    let end = await withTaskCancellationHandler {
      await child.run()
    } onCancel: {
      child.stop()
    }
    report(end)
  }

  private func report(_ end: ChildProcess.End) {
    if Task.isCancelled, end.trouble != nil {
      return logger.info("the training under way has ended with the run: the models in use stay")
    }
    let outcomes = TrainingReport.outcomes(in: end.output)
    TrainingReport.count(outcomes, of: useCase.name)
    for outcome in outcomes ?? [] {
      let metadata: Logger.Metadata = ["detector": "\(outcome.detector)", "version": "\(outcome.version ?? "-")"]
      switch outcome.result {
      case "promoted": logger.info("a trained model is the champion: \(outcome.message)", metadata: metadata)
      case "unchanged": logger.info("nothing to train: \(outcome.message)", metadata: metadata)
      case "refused":
        logger.warning("a trained model was refused, the champion stays: \(outcome.message)", metadata: metadata)
      default: logger.warning("no model was trained: \(outcome.message)", metadata: metadata)
      }
    }
    if outcomes == nil {
      logger.warning("the training has failed, the models in use stay: \(end.trouble ?? "it reported nothing")")
    }
  }
}
