// The functions of the platform's mathematics library. The only file of the core that imports it. Results may differ
// in the last place between versions of that library; everything else in the language is exact.

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

enum MathFunctions {
  static func exp(_ x: Double) -> Double { _exp(x) }
  static func ln(_ x: Double) -> Double { _log(x) }
  static func expm1(_ x: Double) -> Double { _expm1(x) }
  static func log10(_ x: Double) -> Double { _log10(x) }
  static func log2(_ x: Double) -> Double { _log2(x) }
  static func exp2(_ x: Double) -> Double { _exp2(x) }
  static func pow(_ x: Double, _ y: Double) -> Double { _pow(x, y) }
  static func sin(_ x: Double) -> Double { _sin(x) }
  static func cos(_ x: Double) -> Double { _cos(x) }
  static func asin(_ x: Double) -> Double { _asin(x) }
  static func atan2(_ y: Double, _ x: Double) -> Double { _atan2(y, x) }

  /// Remainder with the sign of the dividend; NaN for a divisor of zero.
  static func remainder(_ x: Double, _ y: Double) -> Double { fmod(x, y) }

  /// Rounded to so many decimal places, halves away from zero, as DuckDB computes it: scale, round, scale back; the
  /// value itself where that overflows, and zero where it does for negative places.
  static func round(_ x: Double, _ places: Int) -> Double {
    let scale = _pow(10, Double(abs(places)))
    if places < 0 {
      let rounded = (x / scale).rounded() * scale
      return rounded.isFinite ? rounded : 0
    }
    let rounded = (x * scale).rounded() / scale
    return rounded.isFinite ? rounded : x
  }
}

// The module's names would be hidden by the members above.
private func _exp(_ x: Double) -> Double { exp(x) }
private func _log(_ x: Double) -> Double { log(x) }
private func _expm1(_ x: Double) -> Double { expm1(x) }
private func _log10(_ x: Double) -> Double { log10(x) }
private func _log2(_ x: Double) -> Double { log2(x) }
private func _exp2(_ x: Double) -> Double { exp2(x) }
private func _pow(_ x: Double, _ y: Double) -> Double { pow(x, y) }
private func _sin(_ x: Double) -> Double { sin(x) }
private func _cos(_ x: Double) -> Double { cos(x) }
private func _asin(_ x: Double) -> Double { asin(x) }
private func _atan2(_ y: Double, _ x: Double) -> Double { atan2(y, x) }
