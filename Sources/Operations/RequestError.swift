// What was asked for is not there, or cannot be: the fault of who asks, not of what is stored.

/// An error that whoever asked can mend by asking for something else. The command ends with its code for wrong usage; a
/// server would answer that the request is wrong.
public struct RequestError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What is wrong, what there is, and the nearest of it.
  public let description: String

  public init(_ description: String) { self.description = description }
}

extension RequestError {
  /// There is nothing of a name.
  /// - Parameters:
  ///   - what: "the detector `x` has no version", for example.
  ///   - none: what to do where there is nothing at all.
  static func unknown(
    _ name: String, among known: [String], _ what: String, none: String, nearest near: String?
  ) -> RequestError {
    let hint = near.map { "; did you mean `\($0)`?" } ?? "."
    let list = known.suffix(20).joined(separator: ", ") + (known.count > 20 ? ", …" : "")
    return RequestError(
      "\(what) `\(shortened(name))`\(hint) " + (known.isEmpty ? "It has none: \(none)" : "It has \(list)"))
  }

  /// The beginning of a name that may be a megabyte.
  static func shortened(_ name: String) -> String {
    let scalars = name.unicodeScalars
    guard scalars.count > 60 else { return name }
    return String(String.UnicodeScalarView(scalars.prefix(59))) + "…"
  }
}
