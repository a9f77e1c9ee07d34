// Timestamps: microseconds since 1970-01-01 00:00 UTC, years 0001 to 9999, and their text. The calendar is `CivilTime`.
// Leap seconds are not counted, so a second of 60 is refused.

/// Parsing and writing of timestamps.
public enum Timestamp {
  /// 0001-01-01 00:00 UTC to the last microsecond of 9999, as microseconds since 1970.
  public static let range: ClosedRange<Int64> = -62_135_596_800_000_000...253_402_300_799_999_999

  /// Microseconds of a day.
  public static let microsecondsPerDay: Int64 = 86_400_000_000

  /// The timestamp that a text says, or nil where it is none or lies outside `range`: RFC 3339, that is
  /// `2018-01-01T12:30:00` with `T`, `t` or a space; a fraction of 1 to 9 digits, of which the first 6 count; `Z`, `z`,
  /// `+01:00`, `+0100` or no zone, which is UTC; and a date alone, which is midnight.
  public static func parse(bytes: RawSpan) -> Int64? {
    guard let time = TimestampText.parse(bytes, as: .rfc3339), range.contains(time) else { return nil }
    return time
  }

  /// The timestamp that a text says; see `parse(bytes:)`.
  public static func parse(_ text: String) -> Int64? {
    let bytes = Array(text.utf8)
    return parse(bytes: bytes.span.bytes)
  }

  /// The date of a day since 1970-01-01 in the proleptic Gregorian calendar.
  public static func civil(fromDays days: Int64) -> CivilDate { CivilTime.date(ofDay: days) }

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
  /// - Parameter alwaysMicroseconds: writes 6 fractional digits whatever they are.
  public static func format(_ timestamp: Int64, alwaysMicroseconds: Bool = false) -> String {
    // The rest of the day is not the difference to its beginning, which overflows near Int64.min: that is outside
    // `range`, but a dead letter shows what a columnar file held.
    let time = CivilTime.floorRemainder(timestamp, microsecondsPerDay)
    let fraction = time % 1_000_000
    let second = time / 1_000_000
    var text = day(of: timestamp)
    text += "T" + padded(second / 3600, 2) + ":" + padded(second / 60 % 60, 2) + ":" + padded(second % 60, 2)
    if fraction % 1000 != 0 || alwaysMicroseconds {
      text += "." + padded(fraction, 6)
    } else if fraction != 0 {
      text += "." + padded(fraction / 1000, 3)
    }
    return text + "Z"
  }

  /// The same for times that are computed (ends of windows, watermarks) and may lie beyond the years 0001 to 9999, which
  /// RFC 3339 cannot say: the nearest time that it can.
  public static func formatWithinRange(_ timestamp: Int64) -> String {
    format(min(max(timestamp, range.lowerBound), range.upperBound))
  }

  /// The UTC day of a timestamp (microseconds), as days since 1970-01-01; negative before it.
  public static func dayNumber(of timestamp: Int64) -> Int64 { CivilTime.floorDivide(timestamp, microsecondsPerDay) }

  /// The UTC day of a timestamp, `2018-01-01`.
  public static func day(of timestamp: Int64) -> String {
    let date = CivilTime.date(ofDay: dayNumber(of: timestamp))
    return padded(date.year, 4) + "-" + padded(date.month, 2) + "-" + padded(date.day, 2)
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

  private static func padded(_ number: Int64, _ width: Int) -> String {
    let digits = String(number.magnitude)
    return (number < 0 ? "-" : "") + String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
}
