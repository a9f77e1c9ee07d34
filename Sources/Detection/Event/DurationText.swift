// Lengths of time as people write them, in configuration files and in reasons: `500ms`, `10m`, `1h30m`, `8d`. Stored as
// microseconds.

/// Reads and writes durations.
public enum DurationText {
  /// A unit of time.
  struct Unit: Sendable {
    let name: String
    let microseconds: Int64
  }

  /// A day, microseconds.
  public static let day: Int64 = 86_400_000_000

  /// Units by falling length, which is how a duration is written.
  static let units = [
    Unit(name: "d", microseconds: day), Unit(name: "h", microseconds: 3_600_000_000),
    Unit(name: "m", microseconds: 60_000_000), Unit(name: "s", microseconds: 1_000_000),
    Unit(name: "ms", microseconds: 1_000),
  ]

  /// A thousand years, microseconds.
  public static let longest = 365_000 * day

  /// Whether a text has the form of a duration but exceeds the longest one.
  public static func isTooLong(_ text: String) -> Bool {
    guard parse(text) == nil else { return false }
    // With a digit for every number the form is all that is left of it.
    return parse(text.replacing(/[0-9]+/, with: "1")) != nil
  }

  /// The microseconds of a duration: whole numbers with a unit each, from large to small, each unit at most once; `0`
  /// needs none. Nil for anything else and for what exceeds a thousand years.
  public static func parse(_ text: String) -> Int64? {
    if text == "0" { return 0 }
    var rest = Substring(text)
    var next = 0
    var total: Int64 = 0
    while !rest.isEmpty {
      let digits = rest.prefix { $0.isASCII && $0.isNumber }
      rest = rest.dropFirst(digits.count)
      let letters = rest.prefix { $0.isASCII && $0.isLetter }
      rest = rest.dropFirst(letters.count)
      guard let number = Int64(digits), let unit = units.firstIndex(where: { $0.name == letters }), unit >= next else {
        return nil
      }
      let (product, overflow) = number.multipliedReportingOverflow(by: units[unit].microseconds)
      let (sum, carry) = total.addingReportingOverflow(product)
      guard !overflow, !carry, sum <= longest else { return nil }
      total = sum
      next = unit + 1
    }
    return next == 0 ? nil : total
  }

  /// The shortest text that `parse` reads back. What is left below a millisecond, which no configuration can say, stands
  /// behind it in `us`.
  public static func format(_ microseconds: Int64) -> String {
    var rest = microseconds
    var text = ""
    for unit in units where rest >= unit.microseconds {
      text += "\(rest / unit.microseconds)\(unit.name)"
      rest %= unit.microseconds
    }
    if rest > 0 { text += "\(rest)us" }
    return text.isEmpty ? "0s" : text
  }
}
