// Names that a user gives to a source. They stand in identities of results and at the beginning of file names, so what
// a name may hold is bounded here.

import Detection

/// The rules for a source's name.
public enum SourceName {
  /// Leaves room for the rest of a shard's file name.
  private static let maxLength = 100

  /// What is wrong with a name that a user chose; nil where it may be used.
  public static func problem(_ name: String) -> String? {
    let isPlain = name.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "-"):
        true
      default: false
      }
    }
    guard isPlain, !name.isEmpty, !name.hasPrefix("."), name.utf8.count <= maxLength else {
      return "expected 1 to \(maxLength) letters, digits, `_`, `.` or `-` of ASCII, not beginning with a point; found "
        + "`\(name.prefix(maxLength))`"
    }
    // A name that differs only in case would have the same files where the file system does not tell them apart.
    let lowercased = name.lowercased()
    let isRunOfStandardInput = lowercased.hasPrefix("stdin-") && lowercased.dropFirst(6).allSatisfy(\.isNumber)
    if isRunOfStandardInput {
      return "`\(name)` is what pulse calls a source of its own; choose another name"
    }
    return nil
  }

  /// - Throws: `OperatingError` where a name may not be used.
  static func check(_ name: String) throws(OperatingError) {
    if let problem = problem(name) { throw OperatingError(.configuration, "the name of the source: \(problem)") }
  }
}
