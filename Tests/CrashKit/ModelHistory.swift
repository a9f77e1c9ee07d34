// A run with a training in the middle, and another: what leaves the models and the activation log that all other runs
// replay.

import Foundation

/// Makes a data directory whose models were trained while the input came into being.
struct ModelHistory {
  static let useCaseName = "crash"

  let command: CrashCommand
  /// The folder of the use case.
  let useCase: String
  let folder: String

  /// What happens behind a share of the input. All shares lie in the last file, so that the models take over inside
  /// batches, several inside one of the largest.
  private enum Step {
    case train(seed: Int)
    case rollback(detector: String)
  }

  private static let steps: [(share: Double, step: Step)] = [
    (0.4, .train(seed: 1)), (0.55, .train(seed: 2)), (0.75, .rollback(detector: "outlier")),
  ]

  /// Runs over the input as it grows: to the first share without models, then on with those that were trained.
  /// - Returns: the data directory.
  func make(_ input: inout CrashInput, report: (String) -> Void) throws -> String {
    let data = folder + "/trained"
    let variant = CrashDriver.Variant(batchSize: 1000, workers: 2)
    for (share, step) in Self.steps {
      let driver = CrashDriver(command: command, useCase: useCase, inputs: try input.grow(to: share), folder: folder)
      try driver.finish(variant, data: data)
      switch step {
      case .train(let seed):
        let begin = ContinuousClock.now
        try command.run(["train", useCase, "--data", data, "--quiet", "--seed", String(seed)])
        report("trained with seed \(seed) behind \(share) of the input in \(ContinuousClock.now - begin)")
      case .rollback(let detector):
        try command.run(["models", "rollback", useCase, detector, "--data", data])
      }
    }
    let driver = CrashDriver(command: command, useCase: useCase, inputs: try input.grow(to: 1), folder: folder)
    try driver.finish(variant, data: data)
    let entries = try ModelTrail(useCase: Self.useCaseName, dataDirectory: data).entries
    // A model that the gate refuses is not promoted: then there is nothing to replay.
    guard entries.count == 5 else {
      throw CrashError("5 swaps of models are needed, \(entries.count) came about: \(command.lastErrors)")
    }
    return data
  }
}
