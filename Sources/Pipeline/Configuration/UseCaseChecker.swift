// `pulse check`: form, then meaning, and everything that is wrong at once.

public import Detection

/// What a check found.
public struct UseCaseCheck: Sendable {
  /// The file that was checked.
  public let path: String
  /// Its text; empty when it cannot be read.
  public let source: String
  public let useCase: UseCase?
  /// Everything that is wrong, by location; empty when the use case can run.
  public let diagnostics: [Diagnostic]

  /// The diagnostics as text for a person.
  public var rendered: String { DiagnosticRenderer.render(diagnostics, path: path, source: source) }
}

/// Checks use cases.
public enum UseCaseChecker {
  /// Checks the `pipeline.yaml` at `path`.
  public static func check(path: String) -> UseCaseCheck {
    switch ConfigurationFile.read(path) {
    case .success(let text): return check(text: text, path: path)
    case .failure(let errors):
      return UseCaseCheck(path: path, source: "", useCase: nil, diagnostics: errors.diagnostics)
    }
  }

  /// Checks the text of a `pipeline.yaml`.
  public static func check(text: String, path: String = "pipeline.yaml") -> UseCaseCheck {
    let (useCase, diagnostics) = UseCaseReader.readPartially(text)
    return UseCaseCheck(
      path: path, source: text, useCase: diagnostics.isEmpty ? useCase : nil,
      diagnostics: diagnostics.sorted { $0.location < $1.location })
  }
}
