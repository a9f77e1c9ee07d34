// Timestamps as text: the one parser of them, for events, files, flags and expressions, and how expressions write them.

/// Timestamps as text.
enum TimestampText {
  /// What is accepted. Everywhere it is `YYYY-MM-DD`, or that with `T` or a space and `HH:MM:SS`, then a fraction, of which
  /// the first 6 digits count, and `Z` or nothing, which is UTC as well.
  enum Form {
    /// What events, files and flags say: also `t` and `z`, and an offset `+01:00` or `+0100`; a fraction has at most 9 digits,
    /// and years begin with 1.
    case rfc3339
    /// What literals and casts say: seconds may be missing, a fraction has any number of digits, and there is a year 0. No
    /// offset: the type has no zone, and one that would be ignored must not pass.
    case sql
  }

  /// Microseconds since 1970 that a text says; nil where it is not of the form.
  @inline(__always)
  static func parse(_ text: RawSpan, as form: Form) -> Int64? {
    let count = text.byteCount
    guard count >= 10, text.byte(4) == UInt8(ascii: "-"), text.byte(7) == UInt8(ascii: "-"),
      let century = text.twoDigits(0), let yearOfCentury = text.twoDigits(2), let month = text.twoDigits(5),
      let day = text.twoDigits(8)
    else { return nil }
    let year = century * 100 + yearOfCentury
    guard year >= 1 || form == .sql, month >= 1, month <= 12, day >= 1, day <= CivilTime.daysInMonth(year, month) else {
      return nil
    }
    let midnight = CivilTime.day(of: .init(year: year, month: month, day: day)) * CivilTime.day
    if count == 10 { return midnight }

    let separator = text.byte(10)
    guard count >= 16,
      separator == UInt8(ascii: "T") || separator == UInt8(ascii: " ")
        || separator == UInt8(ascii: "t") && form == .rfc3339,
      text.byte(13) == UInt8(ascii: ":"), let hour = text.twoDigits(11), let minute = text.twoDigits(14),
      hour <= 23, minute <= 59
    else { return nil }
    var result = midnight + hour * CivilTime.hour + minute * CivilTime.minute
    var next = 16
    if form == .rfc3339 || next < count && text.byte(next) == UInt8(ascii: ":") {
      guard count >= 19, text.byte(16) == UInt8(ascii: ":"), let second = text.twoDigits(17), second <= 59 else {
        return nil
      }
      result += second * CivilTime.second
      next = 19
      if next < count, text.byte(next) == UInt8(ascii: ".") {
        next += 1
        let start = next
        var unit: Int64 = 100_000
        while next < count, text.byte(next) &- 0x30 < 10 {
          result += Int64(text.byte(next) &- 0x30) * unit
          unit /= 10
          next += 1
        }
        guard next > start, next - start <= 9 || form == .sql else { return nil }
      }
    }
    guard let offset = zone(text, from: next, as: form) else { return nil }
    return result - offset * CivilTime.minute
  }

  /// Minutes east of UTC that the rest of the text says.
  @inline(__always)
  private static func zone(_ text: RawSpan, from start: Int, as form: Form) -> Int64? {
    let length = text.byteCount - start
    if length == 0 { return 0 }
    let sign = text.byte(start)
    if sign == UInt8(ascii: "Z") || sign == UInt8(ascii: "z") && form == .rfc3339 { return length == 1 ? 0 : nil }
    guard form == .rfc3339, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-"), length == 5 || length == 6,
      length == 5 || text.byte(start + 3) == UInt8(ascii: ":"),
      let hours = text.twoDigits(start + 1), let minutes = text.twoDigits(start + length - 2),
      hours <= 23, minutes <= 59
    else { return nil }
    return sign == UInt8(ascii: "-") ? -(hours * 60 + minutes) : hours * 60 + minutes
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
