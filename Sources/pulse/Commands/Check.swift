// `pulse check`: is the use case right, and if not, everything that is wrong with it.

import ArgumentParser
import Detection
import Learning
import Pipeline

struct Check: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Validate a use case and report every error with its place.",
    discussion: "Example: pulse check redset")

  @Argument(help: "The use case: a directory, or the name of one under UseCases/.")
  var useCase: String

  func run() throws {
    let location = try UseCaseLocator().locate(useCase)
    let check = UseCaseChecker.check(path: location.pipelineFile)
    guard let plan = check.plan else {
      Terminal.printError(check.rendered)
      let count = check.diagnostics.count
      throw OperatingError(.configuration, "\(count) error\(count == 1 ? "" : "s") in \(location.pipelineFile)")
    }
    try checkModels(plan, in: location.directory)
    let useCase = plan.useCase
    Terminal.print(
      "\(location.pipelineFile): ok. \(plan.schema.fields.count) fields, "
        + "\(useCase.features.count + useCase.encoders.count) features, "
        + "\(useCase.classification?.classes.count ?? 0) classes, \(useCase.rules.count) rules, "
        + "\(useCase.detectors.count) detectors, \(useCase.windows.count) windows.")
  }

  /// Loads the models that users bring, as a run would.
  private func checkModels(_ plan: Plan, in directory: String) throws {
    for detector in plan.detectors {
      guard case .onnx(let definition) = detector.definition.kind else { continue }
      do {
        try ModelRegistry.checkModel(definition, of: detector, from: directory)
      } catch let error as OperatingError where error.kind == .missing {
        Terminal.printError("pulse: the model of the detector \(detector.name) was not checked: \(error)")
      }
    }
  }
}
