// The proleptic Gregorian calendar in UTC, and timestamps as text. Day numbers count from 1970-01-01; year 0 is 1 BC.
// Conversions between days and dates are those of Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".

/// A day of the proleptic Gregorian calendar.
public struct CivilDate: Sendable, Hashable {
  public var year: Int64
  /// 1 to 12.
  public var month: Int64
  /// 1 to 31.
  public var day: Int64
}

enum CivilTime {
  static let second: Int64 = 1_000_000
  static let minute: Int64 = 60 * second
  static let hour: Int64 = 60 * minute
  static let day: Int64 = 24 * hour

  /// The timestamps that exist: those of DuckDB, which reserves the values beyond for infinity.
  static let valid: ClosedRange<Int64> = -9_223_372_022_400_000_000...(.max - 1)

  @inline(__always)
  static func floorDivide(_ a: Int64, _ b: Int64) -> Int64 {
    let quotient = a / b
    return quotient - (a % b < 0 ? 1 : 0)
  }

  @inline(__always)
  static func floorRemainder(_ a: Int64, _ b: Int64) -> Int64 {
    let remainder = a % b
    return remainder < 0 ? remainder + b : remainder
  }

  @inline(__always)
  static func date(ofDay day: Int64) -> CivilDate {
    let shifted = day + 719_468
    let era = floorDivide(shifted, 146_097)
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    return CivilDate(
      year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month: month,
      day: dayOfYear - (153 * monthFromMarch + 2) / 5 + 1)
  }

  @inline(__always)
  static func day(of date: CivilDate) -> Int64 {
    let year = date.month <= 2 ? date.year - 1 : date.year
    let era = floorDivide(year, 400)
    let yearOfEra = year - era * 400
    let dayOfYear = (153 * (date.month + (date.month > 2 ? -3 : 9)) + 2) / 5 + date.day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * 146_097 + dayOfEra - 719_468
  }

  static func isLeap(_ year: Int64) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

  static func daysInMonth(_ year: Int64, _ month: Int64) -> Int64 {
    switch month {
    case 2: isLeap(year) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }

  /// Day of the week of a day, Monday is 0.
  @inline(__always)
  static func weekday(ofDay day: Int64) -> Int64 { floorRemainder(day + 3, 7) }

  /// Day of the year, from 1.
  @inline(__always)
  static func dayOfYear(ofDay day: Int64) -> Int64 {
    day - Self.day(of: CivilDate(year: date(ofDay: day).year, month: 1, day: 1)) + 1
  }

  /// ISO 8601 week of the year: that of the week's Thursday.
  @inline(__always)
  static func week(ofDay day: Int64) -> Int64 {
    let thursday = day - weekday(ofDay: day) + 3
    return (dayOfYear(ofDay: thursday) - 1) / 7 + 1
  }
}

/// Timestamps as text, in literals and casts.
///
/// SAFETY: texts are slices of bytes that the caller lends for a call. They are read from their ends, after a look at
/// whether there is a byte, and not kept.
enum TimestampText {
  /// Microseconds of `YYYY-MM-DD`, or that with `T` or a space and `HH:MM`, `:SS` and a fraction, and `Z` or nothing.
  /// Digits beyond microseconds are cut off. nil for anything else, an offset included: a text whose zone would be
  /// ignored must not pass.
  static func parse(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Int64? {
    var reader = Reader(rest: text)
    guard let year = reader.digits(4), reader.accept("-"), let month = reader.digits(2), reader.accept("-"),
      let day = reader.digits(2), (1...12).contains(month),
      day >= 1, day <= CivilTime.daysInMonth(year, month)
    else { return nil }
    var time: Int64 = 0
    if reader.accept("T") || reader.accept(" ") {
      guard let hour = reader.digits(2), reader.accept(":"), let minute = reader.digits(2), hour < 24, minute < 60
      else { return nil }
      time = hour * CivilTime.hour + minute * CivilTime.minute
      if reader.accept(":") {
        guard let second = reader.digits(2), second < 60 else { return nil }
        time += second * CivilTime.second
        if reader.accept(".") {
          guard let fraction = reader.fraction() else { return nil }
          time += fraction
        }
      }
      _ = reader.accept("Z")
    }
    guard reader.rest.isEmpty else { return nil }
    return CivilTime.day(of: .init(year: year, month: month, day: day)) * CivilTime.day + time
  }

  /// Without ASCII white space at both ends.
  static func trimmed(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Slice<UnsafeBufferPointer<UInt8>> {
    var text = text
    while let first = text.first, isSpace(first) { text.removeFirst() }
    while let last = text.last, isSpace(last) { text.removeLast() }
    return text
  }

  private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (byte >= 0x09 && byte <= 0x0D) }

  private struct Reader {
    /// SAFETY: a part of what `parse` was lent; a reader does not outlive its call.
    var rest: Slice<UnsafeBufferPointer<UInt8>>

    mutating func accept(_ character: Unicode.Scalar) -> Bool {
      guard let first = rest.first, first == UInt8(ascii: character) else { return false }
      rest.removeFirst()
      return true
    }

    mutating func digits(_ count: Int) -> Int64? {
      guard rest.count >= count else { return nil }
      var value: Int64 = 0
      for _ in 0..<count {
        guard let digit = digit() else { return nil }
        value = value * 10 + digit
      }
      return value
    }

    private mutating func digit() -> Int64? {
      guard let byte = rest.first, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
      rest.removeFirst()
      return Int64(byte - UInt8(ascii: "0"))
    }

    /// At least one digit, in microseconds.
    mutating func fraction() -> Int64? {
      var value: Int64 = 0
      var places = 0
      while let digit = digit() {
        if places < 6 { value = value * 10 + digit }
        places += 1
      }
      guard places > 0 else { return nil }
      for _ in min(places, 6)..<6 { value *= 10 }
      return value
    }
  }

  /// As `2024-02-29 13:45:00`, with as many decimal places as are needed; years before 1 as `0044-03-15 (BC) …`.
  static func format(_ microseconds: Int64) -> String {
    let days = CivilTime.floorDivide(microseconds, CivilTime.day)
    let date = CivilTime.date(ofDay: days)
    let time = CivilTime.floorRemainder(microseconds, CivilTime.day)
    let year = date.year > 0 ? date.year : 1 - date.year
    var text = "\(padded(year, 4))-\(padded(date.month, 2))-\(padded(date.day, 2))\(date.year > 0 ? "" : " (BC)")"
    let clock = [time / CivilTime.hour, time / CivilTime.minute % 60, time / CivilTime.second % 60]
    text += " " + clock.map { padded($0, 2) }.joined(separator: ":")
    let fraction = time % CivilTime.second
    if fraction > 0 {
      var digits = padded(fraction, 6)
      while digits.last == "0" { digits.removeLast() }
      text += "." + digits
    }
    return text
  }

  private static func padded(_ value: Int64, _ width: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
}
