// A use case by its name or directory, ready to run.

public import Configuration
public import Detection
public import Pipeline

/// A use case that is right, with what runs.
public struct LoadedUseCase: Sendable {
  public let location: UseCaseLocation
  public let plan: Plan
  public let version: ConfigurationVersion

  /// - Parameter name: a directory, or the name of one under `UseCases/`.
  /// - Throws: `UseCaseNotFound`; `OperatingError` with all diagnostics where it is wrong.
  public init(_ name: String) throws {
    location = try UseCaseLocator().locate(name)
    let check = UseCaseChecker.check(path: location.pipelineFile)
    guard let plan = check.plan else {
      throw OperatingError(
        .configuration, "the use case \(name) has \(check.diagnostics.count) error(s)\n\(check.rendered)")
    }
    self.plan = plan
    version = ConfigurationVersion(plan.useCase, text: check.source)
  }
}
