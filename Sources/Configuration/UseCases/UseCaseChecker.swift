// `pulse check`: form, then meaning, and everything that is wrong at once.

public import Detection

/// What a check found.
public struct UseCaseCheck: Sendable {
  /// The file that was checked.
  public let path: String
  /// Its text; empty when it cannot be read.
  public let source: String
  public let useCase: UseCase?
  /// What runs; nil when anything is wrong.
  public let plan: Plan?
  /// Everything that is wrong, by location; empty when the use case can run.
  public let diagnostics: [Diagnostic]

  /// The diagnostics as text for a person.
  public var rendered: String { DiagnosticRenderer.render(diagnostics, path: path, source: source) }
}

/// Checks use cases.
public enum UseCaseChecker {
  /// Checks the `pipeline.yaml` at `path`.
  public static func check(path: String, catalog: DetectorCatalog = .standard) -> UseCaseCheck {
    switch ConfigurationFile.read(path) {
    case .success(let text): return check(text: text, path: path, catalog: catalog)
    case .failure(let errors):
      return UseCaseCheck(path: path, source: "", useCase: nil, plan: nil, diagnostics: errors.diagnostics)
    }
  }

  /// Checks the text of a `pipeline.yaml`.
  /// - Parameter catalog: the types of detectors that it may have.
  public static func check(
    text: String, path: String = "pipeline.yaml", catalog: DetectorCatalog = .standard
  ) -> UseCaseCheck {
    check(text, path: path, isStored: false, catalog: catalog)
  }

  private static func check(_ text: String, path: String, isStored: Bool, catalog: DetectorCatalog) -> UseCaseCheck {
    var (useCase, unclear, diagnostics) = UseCaseReader.readPartially(text, isStored: isStored, catalog: catalog)
    var plan: Plan?
    if let useCase, diagnostics.isEmpty {
      do throws(PlanErrors) { plan = try Plan(useCase) } catch { diagnostics = error.diagnostics }
    } else if let useCase {
      // What the reader already refused at a place is not reported a second time in other words.
      let places = Set(diagnostics.map(\.location))
      diagnostics += Plan.problems(of: useCase, unclear: unclear).filter { !places.contains($0.location) }
    }
    let isRight = diagnostics.isEmpty
    return UseCaseCheck(
      path: path, source: text, useCase: isRight ? useCase : nil, plan: isRight ? plan : nil,
      diagnostics: diagnostics.sorted { $0.location < $1.location })
  }

  /// The plan of a use case that ran: its text as the activation log keeps it.
  /// - Throws: `OperatingError` when the text is not right, as when a newer version wrote it.
  public static func plan(fromStored text: String, catalog: DetectorCatalog = .standard) throws -> Plan {
    let check = check(text, path: "the stored configuration", isStored: true, catalog: catalog)
    guard let plan = check.plan else {
      let first = check.diagnostics.first
      throw OperatingError(
        .store,
        "the stored configuration cannot be read: \(first?.message ?? "it is empty"). Is this `pulse` older than the data?"
      )
    }
    return plan
  }
}
