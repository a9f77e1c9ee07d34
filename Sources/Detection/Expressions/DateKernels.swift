// Parts, beginnings and differences of timestamps over whole columns. The unit is chosen once per column.

enum DateKernels {
  static func part(_ unit: TimeUnit, _ times: Lane<Int64>, _ count: Int) -> [Int64] {
    switch unit {
    case .second: NumericKernels.map(times, count) { CivilTime.floorRemainder($0, CivilTime.minute) / CivilTime.second }
    case .minute: NumericKernels.map(times, count) { CivilTime.floorRemainder($0, CivilTime.hour) / CivilTime.minute }
    case .hour: NumericKernels.map(times, count) { CivilTime.floorRemainder($0, CivilTime.day) / CivilTime.hour }
    case .dayofweek: NumericKernels.map(times, count) { (CivilTime.weekday(ofDay: dayNumber($0)) + 1) % 7 }
    case .isodow: NumericKernels.map(times, count) { CivilTime.weekday(ofDay: dayNumber($0)) + 1 }
    case .day: NumericKernels.map(times, count) { CivilTime.date(ofDay: dayNumber($0)).day }
    case .month: NumericKernels.map(times, count) { CivilTime.date(ofDay: dayNumber($0)).month }
    case .quarter: NumericKernels.map(times, count) { (CivilTime.date(ofDay: dayNumber($0)).month + 2) / 3 }
    case .year: NumericKernels.map(times, count) { CivilTime.date(ofDay: dayNumber($0)).year }
    case .dayofyear: NumericKernels.map(times, count) { CivilTime.dayOfYear(ofDay: dayNumber($0)) }
    case .week: NumericKernels.map(times, count) { CivilTime.week(ofDay: dayNumber($0)) }
    }
  }

  @inline(__always)
  private static func dayNumber(_ time: Int64) -> Int64 { CivilTime.floorDivide(time, CivilTime.day) }

  /// The beginning of the unit, and the rows where that is before the first timestamp there is.
  static func truncate(_ unit: TimeUnit, _ times: Lane<Int64>, _ count: Int) -> (values: [Int64], failed: Bitmap?) {
    let values: [Int64] =
      switch unit {
      case .second: NumericKernels.map(times, count) { $0 &- CivilTime.floorRemainder($0, CivilTime.second) }
      case .minute: NumericKernels.map(times, count) { $0 &- CivilTime.floorRemainder($0, CivilTime.minute) }
      case .hour: NumericKernels.map(times, count) { $0 &- CivilTime.floorRemainder($0, CivilTime.hour) }
      case .week: days(times, count) { $0 - CivilTime.weekday(ofDay: $0) }
      case .month: dates(times, count) { $0.day = 1 }
      case .quarter:
        dates(times, count) {
          $0.month = ($0.month - 1) / 3 * 3 + 1
          $0.day = 1
        }
      case .year:
        dates(times, count) {
          $0.month = 1
          $0.day = 1
        }
      case .day, .dayofweek, .dayofyear, .isodow: days(times, count) { $0 }
      }
    // A beginning before the first timestamp has wrapped around or lies below the range.
    let failed = NumericKernels.rows(.run(values), times, count) { $0 > $1 || $0 < CivilTime.valid.lowerBound }
    return (values, failed)
  }

  @inline(__always)
  private static func days(_ times: Lane<Int64>, _ count: Int, _ change: (Int64) -> Int64) -> [Int64] {
    NumericKernels.map(times, count) { change(dayNumber($0)) &* CivilTime.day }
  }

  @inline(__always)
  private static func dates(
    _ times: Lane<Int64>, _ count: Int, _ change: (inout CivilDate) -> Void
  ) -> [Int64] {
    days(times, count) {
      var date = CivilTime.date(ofDay: $0)
      change(&date)
      return CivilTime.day(of: date)
    }
  }

  /// Boundaries of the unit from the first to the second.
  static func difference(_ unit: TimeUnit, _ a: Lane<Int64>, _ b: Lane<Int64>, _ count: Int) -> [Int64] {
    switch unit {
    case .second: counts(a, b, count) { CivilTime.floorDivide($0, CivilTime.second) }
    case .minute: counts(a, b, count) { CivilTime.floorDivide($0, CivilTime.minute) }
    case .hour: counts(a, b, count) { CivilTime.floorDivide($0, CivilTime.hour) }
    case .week: NumericKernels.map(a, b, count) { (dayNumber($1) - dayNumber($0)) / 7 }
    case .month: counts(a, b, count) { months($0) }
    // Truncated, so the quarter around the year 0 has twice the length: as DuckDB counts.
    case .quarter: counts(a, b, count) { months($0) / 3 }
    case .year: counts(a, b, count) { CivilTime.date(ofDay: dayNumber($0)).year }
    case .day, .dayofweek, .dayofyear, .isodow: counts(a, b, count) { dayNumber($0) }
    }
  }

  @inline(__always)
  private static func counts(
    _ a: Lane<Int64>, _ b: Lane<Int64>, _ count: Int, _ number: (Int64) -> Int64
  ) -> [Int64] {
    NumericKernels.map(a, b, count) { number($1) - number($0) }
  }

  @inline(__always)
  private static func months(_ time: Int64) -> Int64 {
    let date = CivilTime.date(ofDay: dayNumber(time))
    return date.year * 12 + date.month - 1
  }
}
