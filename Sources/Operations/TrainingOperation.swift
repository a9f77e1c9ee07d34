// A training of a use case: one at a time in a data directory.

public import Connectors
import Detection
import Foundation
public import Learning
public import Pipeline

/// Fits the learned detectors of a use case to its stored history.
public struct TrainingOperation: Sendable {
  private let useCase: LoadedUseCase
  private let directory: DataDirectory
  private let options: ModelTrainer.Options
  /// How long another training is waited for.
  private let patience: Duration

  public init(
    of useCase: LoadedUseCase, in directory: DataDirectory, options: ModelTrainer.Options,
    patience: Duration = .zero
  ) {
    self.useCase = useCase
    self.directory = directory
    self.options = options
    self.patience = patience
  }

  /// Blocks until all detectors have an outcome. One that failed is among them.
  /// - Parameters:
  ///   - history: what is learned from.
  ///   - checkIsWanted: throws where the training is to end: asked while another one is waited for.
  ///   - progress: is told how far it is; what it throws ends the training.
  /// - Throws: `OperatingError` where another training goes on, or nothing can be read.
  public func run(
    from history: any HistoryArchive, checkIsWanted: () throws -> Void = {},
    progress: (TrainingProgress) throws -> Void = { _ in }
  ) throws -> [TrainingOutcome] {
    let name = useCase.plan.useCase.name
    let lock = try lock(name, checkIsWanted)
    let trainer = ModelTrainer(
      plan: useCase.plan, configuration: useCase.version, archive: history,
      registry: ModelRegistry(folder: directory.modelsPath, useCase: name), options: options)
    return try withExtendedLifetime(lock) { try trainer.train(progress: progress) }
  }

  /// One training of a use case at a time: a second one would learn the same.
  private func lock(_ name: String, _ checkIsWanted: () throws -> Void) throws -> ProcessLock {
    let folder = directory.modelsPath + "/" + name
    let start = ContinuousClock.now
    do {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      while true {
        try checkIsWanted()
        do { return try ProcessLock(path: folder + "/.training.lock") } catch let taken as ProcessLock.Taken {
          guard ContinuousClock.now - start < patience else { throw taken }
          Thread.sleep(forTimeInterval: 0.2)
        }
      }
    } catch let taken as ProcessLock.Taken {
      throw OperatingError(
        .store, "the use case \(name) is being trained by process \(taken.holder). Wait for it to end, or stop it")
    } catch let error as OperatingError {
      throw error
    } catch {
      throw OperatingError(.store, "the folder \(folder) cannot be made: \(systemReason(error)). Models are kept there")
    }
  }
}
