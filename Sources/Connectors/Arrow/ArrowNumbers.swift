// Numbers of every width and unit as Int64 or Double. Invariant: null rows are zero in what is returned by `doubles`
// and after `zeroNulls`; a conversion never traps, whatever bits a null row holds.

import Detection

/// Conversions of whole arrays of numbers.
enum ArrowNumbers {
  /// Sets null rows to zero.
  static func zeroNulls<Number: Numeric>(_ values: inout [Number], _ valid: Bitmap?) {
    guard let valid else { return }
    (~valid).forEachSet { values[$0] = 0 }
  }

  /// The values of an integer, date, timestamp, time or duration array (times in microseconds), and the rows whose
  /// value does not fit, which hold 0. Rows count from the start of `rows`; null rows are not considered.
  static func integers(_ node: ArrowNode, _ rows: Range<Int>) -> (values: [Int64], misfits: [Int]) {
    switch node.field.type {
    case .integer(bytes: 1, signed: true): return convert(node.values(Int8.self, rows)) { Int64($0) }
    case .integer(bytes: 1, signed: false): return convert(node.values(UInt8.self, rows)) { Int64($0) }
    case .integer(bytes: 2, signed: true): return convert(node.values(Int16.self, rows)) { Int64($0) }
    case .integer(bytes: 2, signed: false): return convert(node.values(UInt16.self, rows)) { Int64($0) }
    case .integer(bytes: 4, signed: true): return convert(node.values(Int32.self, rows)) { Int64($0) }
    case .integer(bytes: 4, signed: false): return convert(node.values(UInt32.self, rows)) { Int64($0) }
    case .integer(_, signed: true): return (Array(node.values(Int64.self, rows)), [])
    case .integer(_, signed: false): return convert(node.values(UInt64.self, rows)) { Int64(exactly: $0) }
    case .date32: return convert(node.values(Int32.self, rows)) { times($0, 86_400_000_000) }
    case .date64: return convert(node.values(Int64.self, rows)) { times($0, 1_000) }
    case .timeOfDay(.second): return convert(node.values(Int32.self, rows)) { times($0, 1_000_000) }
    case .timeOfDay(.millisecond): return convert(node.values(Int32.self, rows)) { times($0, 1_000) }
    case .timestamp(let unit), .duration(let unit), .timeOfDay(let unit):
      let values = node.values(Int64.self, rows)
      switch unit {
      case .second: return convert(values) { times($0, 1_000_000) }
      case .millisecond: return convert(values) { times($0, 1_000) }
      case .microsecond: return (Array(values), [])
      case .nanosecond: return convert(values) { floorDivide($0, 1_000) }
      }
    default: preconditionFailure("integers of a \(node.field.type)")
    }
  }

  /// The values of a float or decimal array.
  static func doubles(_ node: ArrowNode, _ rows: Range<Int>, _ valid: Bitmap?) -> [Double] {
    var values: [Double]
    switch node.field.type {
    case .float(bytes: 2): values = node.values(UInt16.self, rows).map(half)
    case .float(bytes: 4): values = node.values(Float.self, rows).map { Double($0) }
    case .float: values = Array(node.values(Double.self, rows))
    case .decimal(let bytes, let scale): values = decimals(node, rows, bytes: bytes, scale: scale)
    default: preconditionFailure("doubles of a \(node.field.type)")
    }
    zeroNulls(&values, valid)
    return values
  }

  @inline(__always)
  private static func convert<Stored: BitwiseCopyable>(
    _ stored: UnsafeBufferPointer<Stored>, _ conversion: (Stored) -> Int64?
  ) -> (values: [Int64], misfits: [Int]) {
    var misfits: [Int] = []
    // SAFETY: both have `stored.count` values, and all of them are written.
    let values = [Int64](unsafeUninitializedCapacity: stored.count) { buffer, count in
      for row in 0..<stored.count {
        let value = conversion(stored[row])
        if value == nil { misfits.append(row) }
        buffer[row] = value ?? 0
      }
      count = stored.count
    }
    return (values, misfits)
  }

  @inline(__always)
  private static func times(_ value: some FixedWidthInteger, _ factor: Int64) -> Int64? {
    let (product, overflow) = Int64(value).multipliedReportingOverflow(by: factor)
    return overflow ? nil : product
  }

  private static func floorDivide(_ value: Int64, _ divisor: Int64) -> Int64 {
    let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? quotient - 1 : quotient
  }

  /// IEEE 754 half precision: 1 sign bit, 5 exponent bits (bias 15), 10 fraction bits.
  private static func half(_ bits: UInt16) -> Double {
    let exponent = Int(bits >> 10 & 0x1F)
    let fraction = Double(bits & 0x3FF)
    let magnitude: Double =
      switch exponent {
      case 0: fraction * 0x1p-24
      case 31: fraction == 0 ? .infinity : .nan
      default: Double(sign: .plus, exponent: exponent - 15, significand: 1 + fraction * 0x1p-10)
      }
    return bits >> 15 == 0 ? magnitude : -magnitude
  }

  /// Integers of 4 to 32 bytes, little-endian two's complement, divided by 10^scale. Exact integers up to 2^53 and
  /// scales up to 22 give the nearest double; beyond that the result may be off by one unit in the last place or two.
  private static func decimals(_ node: ArrowNode, _ rows: Range<Int>, bytes: Int, scale: Int) -> [Double] {
    let power = powerOfTen(abs(scale))
    func scaled(_ integer: Double) -> Double { scale >= 0 ? integer / power : integer * power }
    switch bytes {
    case 4: return node.values(Int32.self, rows).map { scaled(Double($0)) }
    case 8: return node.values(Int64.self, rows).map { scaled(Double($0)) }
    default:
      let limbs = bytes / 8
      guard !rows.isEmpty, let base = node.buffer(1) else { return [] }
      return rows.map { row in
        // SAFETY: the buffer holds offset + length integers of `bytes` bytes each.
        let start = base + (node.offset + row) * bytes
        func limb(_ index: Int) -> UInt64 {
          UInt64(littleEndian: start.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
        }
        // An integer that fits in 128 bits is converted in one rounding.
        let low = Int128(truncatingIfNeeded: limb(0)) | Int128(truncatingIfNeeded: limb(1)) << 64
        let sign: UInt64 = low < 0 ? .max : 0
        if (2..<limbs).allSatisfy({ limb($0) == sign }) { return scaled(Double(low)) }
        let high = Int128(truncatingIfNeeded: limb(2)) | Int128(truncatingIfNeeded: limb(3)) << 64
        return scaled(Double(high) * 0x1p128 + Double(UInt128(truncatingIfNeeded: low)))
      }
    }
  }

  private static func powerOfTen(_ exponent: Int) -> Double {
    // Parsing rounds once; repeated multiplication would round at every step beyond 10^22.
    Double("1e\(exponent)") ?? .infinity
  }
}
