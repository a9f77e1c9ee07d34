// The mathematical functions of a simulation. The platform's library may differ in the last bit from one version or
// processor to the next, and one bit is enough to change a simulated stream; these use only additions,
// multiplications, divisions and square roots, which IEEE 754 fixes exactly, in a fixed order. Relative errors are below
// 1e-14 over the ranges a simulation uses.

/// Functions that give the same bits on every machine.
enum PortableMath {
  /// Adding and subtracting 1.5 × 2^52 rounds a double of moderate size to the nearest integer, ties to even.
  private static let rounder = 0x1.8p52

  /// e to the power x: 0 below -708, infinity above 709. Argument reduction by ln 2, then the Taylor series.
  static func exp(_ x: Double) -> Double {
    if x.isNaN { return x }
    if x > 709 { return .infinity }
    if x < -708 { return 0 }
    let k = (x * 1.4426950408889634 + rounder) - rounder
    // ln 2 in two parts, so that k times the first is exact.
    let r = (x - k * 0.69314718036912381649) - k * 1.90821492927058770002e-10
    var sum = 1.0 / 6_227_020_800.0
    sum = sum * r + 1.0 / 479_001_600.0
    sum = sum * r + 1.0 / 39_916_800.0
    sum = sum * r + 1.0 / 3_628_800.0
    sum = sum * r + 1.0 / 362_880.0
    sum = sum * r + 1.0 / 40_320.0
    sum = sum * r + 1.0 / 5_040.0
    sum = sum * r + 1.0 / 720.0
    sum = sum * r + 1.0 / 120.0
    sum = sum * r + 1.0 / 24.0
    sum = sum * r + 1.0 / 6.0
    sum = sum * r + 0.5
    sum = sum * r + 1
    sum = sum * r + 1
    return sum * Double(bitPattern: UInt64(Int64(k) + 1023) << 52)
  }

  /// The natural logarithm: NaN below 0, minus infinity at 0. With m the significand in [√½, √2) and
  /// s = (m - 1) / (m + 1), ln m = 2 (s + s³/3 + s⁵/5 + …).
  static func log(_ x: Double) -> Double {
    if x < 0 || x.isNaN { return .nan }
    if x == 0 { return -.infinity }
    if x == .infinity { return x }
    var scaled = x
    var exponent = 0.0
    if x < 0x1p-1022 {
      scaled = x * 0x1p54
      exponent = -54
    }
    let bits = scaled.bitPattern
    exponent += Double(Int64(bits >> 52)) - 1023
    var m = Double(bitPattern: bits & 0x000F_FFFF_FFFF_FFFF | 0x3FF0_0000_0000_0000)
    if m > 1.4142135623730951 {
      m *= 0.5
      exponent += 1
    }
    let s = (m - 1) / (m + 1)
    let z = s * s
    var sum = 1.0 / 21
    sum = sum * z + 1.0 / 19
    sum = sum * z + 1.0 / 17
    sum = sum * z + 1.0 / 15
    sum = sum * z + 1.0 / 13
    sum = sum * z + 1.0 / 11
    sum = sum * z + 1.0 / 9
    sum = sum * z + 1.0 / 7
    sum = sum * z + 1.0 / 5
    sum = sum * z + 1.0 / 3
    sum = sum * z + 1
    return exponent * 0.69314718055994530942 + 2 * s * sum
  }

  /// x to the power y as exp(y ln x); x must not be negative.
  static func power(_ x: Double, _ y: Double) -> Double {
    if y == 0 { return 1 }
    return x == 0 ? (y > 0 ? 0 : .infinity) : exp(y * log(x))
  }

  /// The cosine of `turns` full turns (1 is 2π). Taylor series after folding into a quarter turn.
  static func cosine(turns: Double) -> Double {
    var t = turns - turns.rounded(.down)
    if t > 0.5 { t = 1 - t }
    let mirrored = t > 0.25
    if mirrored { t = 0.5 - t }
    let angle = t * 6.283185307179586
    let z = angle * angle
    var sum = 1.0
    for n in stride(from: 22.0, to: 0, by: -2) { sum = 1 - sum * z / (n * (n - 1)) }
    return mirrored ? -sum : sum
  }

  /// The standard normal quantile for p in (0, 1): Wichura, "Algorithm AS 241: The Percentage Points of the Normal
  /// Distribution", Applied Statistics 37 (1988), routine PPND16.
  static func normalQuantile(_ p: Double) -> Double {
    let q = p - 0.5
    if abs(q) <= 0.425 {
      let r = 0.180625 - q * q
      let upper = ratio(
        r, 2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4,
        1.3731693765509461125e4, 1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080)
      let lower = ratio(
        r, 5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4,
        5.3941960214247511077e3, 6.8718700749205790830e2, 4.2313330701600911252e1, 1)
      return q * upper / lower
    }
    var r = (-log(q < 0 ? p : 1 - p)).squareRoot()
    let upper: Double
    let lower: Double
    if r <= 5 {
      r -= 1.6
      upper = ratio(
        r, 7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258,
        3.64784832476320460504, 5.76949722146069140550, 4.63033784615654529590, 1.42343711074968357734)
      lower = ratio(
        r, 1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1,
        6.89767334985100004550e-1, 1.67638483018380384940, 2.05319162663775882187, 1)
    } else {
      r -= 5
      upper = ratio(
        r, 2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3, 2.65321895265761230930e-2,
        2.96560571828504891230e-1, 1.78482653991729133580, 5.46378491116411436990, 6.65790464350110377720)
      lower = ratio(
        r, 2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4,
        1.48753612908506148525e-2, 1.36929880922735805310e-1, 5.99832206555887937690e-1, 1)
    }
    return q < 0 ? -upper / lower : upper / lower
  }

  /// A polynomial of degree 7, highest coefficient first.
  @inline(__always)
  private static func ratio(
    _ x: Double, _ a: Double, _ b: Double, _ c: Double, _ d: Double, _ e: Double, _ f: Double, _ g: Double, _ h: Double
  ) -> Double {
    ((((((a * x + b) * x + c) * x + d) * x + e) * x + f) * x + g) * x + h
  }
}
