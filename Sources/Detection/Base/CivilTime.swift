// The proleptic Gregorian calendar in UTC. Day numbers count from 1970-01-01; year 0 is 1 BC.
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
