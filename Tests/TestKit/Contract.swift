// What all contracts are made of: named checks, each of which notes what does not hold.

/// What everything that conforms to a protocol must do, whatever it is made of.
public protocol Contract: Sendable {
  static var checks: [Check] { get }
}

extension Contract {
  public typealias Check = ContractCheck<Self>

  /// What is wrong; empty where the check holds.
  public func run(_ check: Check) async throws -> [String] { try await check.body(self) }
}

/// A check by its name.
public struct ContractCheck<Kind: Contract>: Sendable, CustomStringConvertible {
  public let name: String
  let body: @Sendable (Kind) async throws -> [String]

  public var description: String { name }
}

/// Notes what does not hold.
struct ContractNotes {
  var wrong: [String] = []

  mutating func expect(_ holds: Bool, _ what: @autoclosure () -> String) { if !holds { wrong.append(what()) } }
}
