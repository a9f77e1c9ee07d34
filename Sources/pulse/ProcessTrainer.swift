// Trainings that are asked for over the API: `pulse train` in a process of its own.

import Connectors
import Foundation
import Server

/// Starts `pulse train`.
struct ProcessTrainer: Trainer {
  /// What begins a line that says how far a training is.
  static let mark = "progress "

  private let places: [StorePlace]

  /// - Parameter places: the stores that trainings may read.
  init(_ places: [StorePlace]) { self.places = places }

  func train(
    _ request: TrainingRequest, progress: @escaping @Sendable (Double) -> Void
  ) async -> TrainingResult {
    TrainingReport.beginCounting(of: request.useCase)
    var arguments = [
      "train", request.folder, "--data", request.directory.path, "--background", "\(getpid())", "--json",
      "--report-progress",
    ]
    for detector in request.detectors { arguments += ["--detector", detector] }
    if !request.promotes { arguments.append("--no-promote") }
    let child = ChildProcess(
      arguments: arguments, environment: places.first { $0.directory == request.directory }?.environment ?? [:]
    ) { line in
      if line.hasPrefix(Self.mark), let share = Double(line.dropFirst(Self.mark.count)) { progress(share) }
    }
    let end = await withTaskCancellationHandler {
      await child.run()
    } onCancel: {
      child.stop()
    }
    let outcomes = TrainingReport.outcomes(in: end.output)
    if !Task.isCancelled { TrainingReport.count(outcomes, of: request.useCase) }
    guard let outcomes else {
      return TrainingResult(message: end.trouble ?? "it reported nothing", isComplete: false)
    }
    return TrainingResult(
      message: outcomes.map { "\($0.detector): \($0.message)" }.joined(separator: ". "), isComplete: end.trouble == nil)
  }
}
