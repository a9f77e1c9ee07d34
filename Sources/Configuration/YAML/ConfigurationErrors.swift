// What is wrong with a configuration.

public import Detection

/// Everything that is wrong with a configuration, by location.
public struct ConfigurationErrors: Error, Sendable, Hashable, CustomStringConvertible {
  public let diagnostics: [Diagnostic]

  public init(_ diagnostics: [Diagnostic]) { self.diagnostics = diagnostics.sorted { $0.location < $1.location } }

  public var description: String {
    diagnostics.map { "\($0.location.line):\($0.location.column): \($0.message)" }.joined(separator: "\n")
  }
}
