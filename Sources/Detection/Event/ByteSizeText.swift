// Amounts of memory as people write them in configuration files: `512MB`, `2GiB`.

/// Reads and writes amounts of bytes.
public enum ByteSizeText {
  private static let units: [(name: String, bytes: Int)] = [
    ("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("KB", 1_000), ("TiB", 1 << 40),
    ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10),
  ]

  /// The bytes of a whole number with a unit, a blank between them or not. Nil for anything else, and beyond 64 bits.
  public static func parse(_ text: String) -> Int? {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    let name = text.dropFirst(digits.count).drop { $0 == " " }
    guard let number = Int(digits), let unit = units.first(where: { $0.name == name }) else { return nil }
    let (bytes, overflow) = number.multipliedReportingOverflow(by: unit.bytes)
    return overflow ? nil : bytes
  }

  /// The amount in the largest decimal unit that leaves at least one, rounded to a whole number below a thousand: `331 MB`.
  public static func format(_ bytes: Int) -> String {
    guard let unit = units.prefix(4).first(where: { bytes >= $0.bytes }) else { return "\(bytes) B" }
    let (whole, rest) = bytes.quotientAndRemainder(dividingBy: unit.bytes)
    let tenths = rest * 10 / unit.bytes
    return whole < 10 && tenths > 0 ? "\(whole).\(tenths) \(unit.name)" : "\(whole) \(unit.name)"
  }
}
