// Timestamps in configuration files: RFC 3339, with `T` or a space, without a zone meaning UTC, or a date alone.

/// Reads and writes timestamps as microseconds since 1970-01-01 00:00 UTC.
enum TimestampText {
  /// Nil for anything that is not a valid time of the years 1 to 9999.
  static func parse(_ text: String) -> Int64? {
    var rest = Substring(text)
    guard let year = digits(&rest, 4), literal(&rest, "-"), let month = digits(&rest, 2), literal(&rest, "-"),
      let day = digits(&rest, 2), year >= 1, (1...12).contains(month), (1...daysIn(month, of: year)).contains(day)
    else { return nil }
    var microseconds = daysSince1970(year, month, day) * 86_400_000_000
    if rest.isEmpty { return microseconds }
    guard literal(&rest, "T") || literal(&rest, "t") || literal(&rest, " "), let hour = digits(&rest, 2),
      literal(&rest, ":"), let minute = digits(&rest, 2), literal(&rest, ":"), let second = digits(&rest, 2), hour < 24,
      minute < 60, second < 60
    else { return nil }
    microseconds += ((hour * 60 + minute) * 60 + second) * 1_000_000
    if literal(&rest, ".") {
      let fraction = rest.prefix { $0.isASCII && $0.isNumber }
      guard (1...9).contains(fraction.count) else { return nil }
      rest = rest.dropFirst(fraction.count)
      let six = fraction.prefix(6)
      microseconds += (Int64(six) ?? 0) * [100_000, 10_000, 1_000, 100, 10, 1][six.count - 1]
    }
    if rest.isEmpty || rest == "Z" || rest == "z" { return microseconds }
    let sign: Int64 = literal(&rest, "+") ? 1 : literal(&rest, "-") ? -1 : 0
    guard sign != 0, let hours = digits(&rest, 2), literal(&rest, ":"), let minutes = digits(&rest, 2), rest.isEmpty,
      hours < 24, minutes < 60
    else { return nil }
    return microseconds - sign * (hours * 60 + minutes) * 60_000_000
  }

  private static func digits(_ text: inout Substring, _ count: Int) -> Int64? {
    let digits = text.prefix(count)
    guard digits.count == count, digits.allSatisfy({ $0.isASCII && $0.isNumber }) else { return nil }
    text = text.dropFirst(count)
    return Int64(digits)
  }

  private static func literal(_ text: inout Substring, _ character: Character) -> Bool {
    guard text.first == character else { return false }
    text = text.dropFirst()
    return true
  }

  private static func daysIn(_ month: Int64, of year: Int64) -> Int64 {
    switch month {
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }

  /// Days from 1970-01-01 in the proleptic Gregorian calendar, counting years from March so that the leap day is last.
  private static func daysSince1970(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
    let shifted = month > 2 ? year : year - 1
    let era = shifted / 400
    let yearOfEra = shifted % 400
    let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }
}
