// Who asks, and what they may do.

/// What somebody may do. Each may do what those before it may.
public enum Role: String, Sendable, Comparable, CaseIterable {
  /// See everything.
  case read
  /// Hand in events, give feedback, hide findings.
  case write
  /// Change which models score.
  case admin

  public static func < (a: Role, b: Role) -> Bool { a.rank < b.rank }
  private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}

/// Who asks.
public struct Principal: Sendable, Hashable {
  /// As it stands in the audit trail.
  public var name: String
  public var role: Role
  /// The use cases that they may see; nil for all.
  public var useCases: Set<String>?

  public init(name: String, role: Role, useCases: Set<String>? = nil) {
    self.name = name
    self.role = role
    self.useCases = useCases
  }

  public func maySee(_ useCase: String) -> Bool { useCases?.contains(useCase) ?? true }
}
