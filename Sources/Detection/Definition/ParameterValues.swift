// What a use case's file says of the parameters of a detector, read by what the detector's type says of them.

/// The values of a section's keys, where each is right by itself. A key that is wrong has none, and was reported.
public struct ParameterValues: Sendable {
  public enum Value: Sendable, Hashable {
    case text(LocatedText)
    case number(Double)
    case integer(Int)
    /// Nil for `none`.
    case mapping([String: Value]?)
  }

  /// Where the section stands.
  public let location: SourceLocation
  private let values: [String: Value]
  private let locations: [String: SourceLocation]

  /// - Parameters:
  ///   - values: those that were written, and the usual ones of numbers.
  ///   - locations: of the values that were written.
  public init(_ values: [String: Value], locations: [String: SourceLocation] = [:], location: SourceLocation) {
    self.values = values
    self.locations = locations
    self.location = location
  }

  /// Where a value stands; where the section stands when it is left out.
  public func location(of name: String) -> SourceLocation { locations[name] ?? location }

  /// Nil where it is left out or wrong.
  public func text(_ name: String) -> LocatedText? { if case .text(let text)? = values[name] { text } else { nil } }

  /// Nil where it is wrong.
  public func number(_ name: String) -> Double? { values[name]?.number }

  /// Nil where it is wrong.
  public func integer(_ name: String) -> Int? { values[name]?.integer }

  /// Nil where it is left out or wrong.
  public subscript(name: String) -> Value? { values[name] }
}

extension ParameterValues.Value {
  /// Nil for another kind of value.
  public var number: Double? { if case .number(let value) = self { value } else { nil } }
  /// Nil for another kind of value.
  public var integer: Int? { if case .integer(let value) = self { value } else { nil } }
}
