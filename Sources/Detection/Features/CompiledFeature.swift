// What is left of an entry of `features:` that is an expression, once it is compiled.

/// A feature that is computed.
public struct CompiledFeature: Sendable {
  public let name: String
  public let expression: Expression
}
