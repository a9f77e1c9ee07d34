// Errors of operation: what the world did that the program cannot go on with. Programmer errors trap instead.

/// An error that a person must act on. Its text says what happened, what was expected and what was found, and what to
/// do; it never prints event data.
public struct OperatingError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What kind of trouble, and thereby the exit code of the command.
  public enum Kind: Int32, Sendable, Hashable, CaseIterable {
    /// The input cannot be read or is not the one that was read before.
    case input = 3
    /// The store or the data directory cannot be read or written (disk full, read-only, in use).
    case store = 4
    /// The use case or the configuration is wrong.
    case configuration = 2
    /// A bound of `Limits` was reached.
    case limit = 5
    /// An optional native part is missing.
    case missing = 6
  }

  public let kind: Kind
  public let description: String

  public init(_ kind: Kind, _ description: String) {
    self.kind = kind
    self.description = description
  }
}
