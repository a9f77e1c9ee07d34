// Timestamps: microseconds since 1970-01-01 00:00 UTC, years 0001 to 9999, and their text. The calendar is the proleptic
// Gregorian one; days are converted after Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms". Leap seconds
// are not counted, so a second of 60 is refused.

/// Parsing and writing of timestamps.
public enum Timestamp {
  /// 0001-01-01 00:00 UTC to the last microsecond of 9999, as microseconds since 1970.
  public static let range: ClosedRange<Int64> = -62_135_596_800_000_000...253_402_300_799_999_999

  /// Microseconds of a day.
  public static let microsecondsPerDay: Int64 = 86_400_000_000

  /// The timestamp that a text says, or nil where it is none or lies outside `range`.
  ///
  /// `.rfc3339` accepts `2018-01-01T12:30:00` with `T`, `t` or a space; a fraction of 1 to 9 digits, of which the
  /// first 6 count; `Z`, `z`, `+01:00`, `+0100` or no zone, which is UTC; and a date alone, which is midnight. The
  /// epoch formats accept a decimal number. `.automatic` accepts both.
  public static func parse(bytes: RawSpan, format: TimestampFormat) -> Int64? {
    switch format {
    case .rfc3339: return parseRFC3339(bytes)
    case .automatic: return parseRFC3339(bytes) ?? parseEpoch(bytes, format)
    case .seconds, .milliseconds, .microseconds: return parseEpoch(bytes, format)
    }
  }

  /// The timestamp that a text says; see `parse(bytes:format:)`.
  public static func parse(_ text: String, format: TimestampFormat = .automatic) -> Int64? {
    let bytes = Array(text.utf8)
    return parse(bytes: bytes.span.bytes, format: format)
  }

  /// The timestamp of a number since 1970 in the unit of the format; `.automatic` tells the unit by the size. Nil for
  /// `.rfc3339` and outside `range`.
  public static func fromEpoch(_ number: Int64, format: TimestampFormat) -> Int64? {
    guard let scale = scale(ofMagnitude: Double(number.magnitude), format: format) else { return nil }
    let (value, overflow) = number.multipliedReportingOverflow(by: scale)
    return !overflow && range.contains(value) ? value : nil
  }

  /// The same for a number with a fraction, rounded to the nearest microsecond.
  public static func fromEpoch(double number: Double, format: TimestampFormat) -> Int64? {
    guard number.isFinite, let scale = scale(ofMagnitude: number.magnitude, format: format) else { return nil }
    let value = (number * Double(scale)).rounded()
    guard value >= Double(range.lowerBound), value < Double(range.upperBound) else { return nil }
    return Int64(value)
  }

  /// RFC 3339 in UTC with no, 3 or 6 fractional digits, the fewest that say it: `2018-01-01T12:30:00.250Z`.
  public static func format(_ timestamp: Int64) -> String {
    let days = floorDivide(timestamp, microsecondsPerDay)
    // Not `timestamp - days * microsecondsPerDay`, which overflows near Int64.min: that is outside `range`, but a dead
    // letter shows what a columnar file held.
    var rest = timestamp % microsecondsPerDay
    if rest < 0 { rest += microsecondsPerDay }
    let fraction = rest % 1_000_000
    rest /= 1_000_000
    var text = date(ofDay: days)
    text += "T" + padded(rest / 3600, 2) + ":" + padded(rest / 60 % 60, 2) + ":" + padded(rest % 60, 2)
    if fraction != 0 {
      text += "." + (fraction % 1000 == 0 ? padded(fraction / 1000, 3) : padded(fraction, 6))
    }
    return text + "Z"
  }

  /// Days since 1970-01-01 of a timestamp.
  static func dayNumber(of timestamp: Int64) -> Int64 { floorDivide(timestamp, microsecondsPerDay) }

  /// The UTC day of a timestamp, `2018-01-01`.
  public static func day(of timestamp: Int64) -> String {
    date(ofDay: floorDivide(timestamp, microsecondsPerDay))
  }

  /// Days since 1970-01-01 of a date of the proleptic Gregorian calendar; `month` 1 to 12, `day` 1 to 31.
  public static func days(fromYear year: Int64, month: Int64, day: Int64) -> Int64 {
    let shifted = month <= 2 ? year - 1 : year
    let era = floorDivide(shifted, 400)
    let yearOfEra = shifted - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * 146_097 + dayOfEra - 719_468
  }

  /// The date of a day since 1970-01-01.
  public static func civil(fromDays days: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let shifted = days + 719_468
    let era = floorDivide(shifted, 146_097)
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    return (year, month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
  }

  private static func scale(ofMagnitude magnitude: Double, format: TimestampFormat) -> Int64? {
    switch format {
    case .rfc3339: nil
    case .seconds: 1_000_000
    case .milliseconds: 1000
    case .microseconds: 1
    case .automatic: magnitude < 1e11 ? 1_000_000 : magnitude < 1e14 ? 1000 : 1
    }
  }

  private static func parseEpoch(_ bytes: RawSpan, _ format: TimestampFormat) -> Int64? {
    guard bytes.byteCount > 0, bytes.byteCount <= 32 else { return nil }
    var text = ""
    for index in 0..<bytes.byteCount {
      let byte = bytes.byte(index)
      guard byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".") || byte &- 0x30 < 10 else { return nil }
      text.unicodeScalars.append(Unicode.Scalar(byte))
    }
    if let integer = Int64(text) { return fromEpoch(integer, format: format) }
    return Double(text).flatMap { fromEpoch(double: $0, format: format) }
  }

  private static func parseRFC3339(_ bytes: RawSpan) -> Int64? {
    let count = bytes.byteCount
    guard count >= 10, bytes.byte(4) == UInt8(ascii: "-"), bytes.byte(7) == UInt8(ascii: "-"),
      let century = bytes.twoDigits(0), let yearOfCentury = bytes.twoDigits(2), let month = bytes.twoDigits(5),
      let day = bytes.twoDigits(8)
    else { return nil }
    let year = century * 100 + yearOfCentury
    guard year >= 1, month >= 1, month <= 12, day >= 1, day <= daysInMonth(month, of: year) else { return nil }
    let midnight = days(fromYear: year, month: month, day: day) * microsecondsPerDay
    if count == 10 { return midnight }

    let separator = bytes.byte(10)
    guard count >= 19, separator | 0x20 == UInt8(ascii: "t") || separator == UInt8(ascii: " "),
      bytes.byte(13) == UInt8(ascii: ":"), bytes.byte(16) == UInt8(ascii: ":"),
      let hour = bytes.twoDigits(11), let minute = bytes.twoDigits(14), let second = bytes.twoDigits(17),
      hour <= 23, minute <= 59, second <= 59
    else { return nil }
    var result = midnight + (hour * 3600 + minute * 60 + second) * 1_000_000

    var next = 19
    if next < count, bytes.byte(next) == UInt8(ascii: ".") {
      next += 1
      let start = next
      var unit: Int64 = 100_000
      while next < count, bytes.byte(next) &- 0x30 < 10 {
        result += Int64(bytes.byte(next) &- 0x30) * unit
        unit /= 10
        next += 1
      }
      guard next > start, next - start <= 9 else { return nil }
    }
    guard let offset = parseZone(bytes, from: next) else { return nil }
    result -= offset * 60_000_000
    return range.contains(result) ? result : nil
  }

  /// Minutes east of UTC that the rest of the text says.
  @inline(__always)
  private static func parseZone(_ bytes: RawSpan, from start: Int) -> Int64? {
    let length = bytes.byteCount - start
    if length == 0 { return 0 }
    let sign = bytes.byte(start)
    if sign | 0x20 == UInt8(ascii: "z") { return length == 1 ? 0 : nil }
    guard sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-"), length == 5 || length == 6,
      length == 5 || bytes.byte(start + 3) == UInt8(ascii: ":"),
      let hours = bytes.twoDigits(start + 1), let minutes = bytes.twoDigits(start + length - 2),
      hours <= 23, minutes <= 59
    else { return nil }
    return sign == UInt8(ascii: "-") ? -(hours * 60 + minutes) : hours * 60 + minutes
  }

  private static func daysInMonth(_ month: Int64, of year: Int64) -> Int64 {
    if month == 2 { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28 }
    return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31
  }

  private static func date(ofDay days: Int64) -> String {
    let date = civil(fromDays: days)
    return padded(date.year, 4) + "-" + padded(date.month, 2) + "-" + padded(date.day, 2)
  }

  private static func padded(_ number: Int64, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }

  @inline(__always)
  private static func floorDivide(_ a: Int64, _ b: Int64) -> Int64 {
    let quotient = a / b
    return a % b < 0 ? quotient - 1 : quotient
  }
}

extension RawSpan {
  @inline(__always)
  fileprivate func byte(_ index: Int) -> UInt8 { unsafeLoad(fromByteOffset: index, as: UInt8.self) }

  /// The number that two decimal digits say.
  @inline(__always)
  fileprivate func twoDigits(_ index: Int) -> Int64? {
    let tens = byte(index) &- 0x30
    let ones = byte(index + 1) &- 0x30
    return tens < 10 && ones < 10 ? Int64(tens) * 10 + Int64(ones) : nil
  }
}
