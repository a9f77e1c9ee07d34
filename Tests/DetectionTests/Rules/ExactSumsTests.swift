import TestKit
import Testing

@testable import Detection

/// A sum of doubles as an integer multiple of 2^-1074, digit by digit, signs apart: nothing in common with the tested code
/// but the format of a double.
struct ExactReference {
  /// Digits of base 2^16, lowest first, of the sums of the positive and of the negative values.
  private var positive = [Int](repeating: 0, count: 140)
  private var negative = [Int](repeating: 0, count: 140)
  private var specials: (plus: Int, minus: Int, nan: Int) = (0, 0, 0)

  mutating func add(_ value: Double) {
    if value.isNaN { specials.nan += 1 } else if value == .infinity { specials.plus += 1 }
    if value == -.infinity { specials.minus += 1 }
    guard value.isFinite, value != 0 else { return }
    if value > 0 { Self.add(value, to: &positive) } else { Self.add(-value, to: &negative) }
  }

  private static func add(_ value: Double, to digits: inout [Int]) {
    // Bit by bit: the value is the sum of powers of two.
    let lowest = value.ulp.exponent
    for bit in 0...52 where value.significandBit(bit) {
      var position = Int(lowest) + bit + 1074
      while true {
        let mask = 1 << (position % 16)
        if digits[position / 16] & mask == 0 {
          digits[position / 16] |= mask
          break
        }
        digits[position / 16] &= ~mask
        position += 1
      }
    }
  }

  private static func isLess(_ a: [Int], _ b: [Int]) -> Bool {
    for index in a.indices.reversed() where a[index] != b[index] { return a[index] < b[index] }
    return false
  }

  private static func subtract(_ b: [Int], from a: [Int]) -> [Int] {
    var borrow = 0
    return zip(a, b).map { a, b in
      let difference = a - b - borrow
      borrow = difference < 0 ? 1 : 0
      return difference & 0xFFFF
    }
  }

  var value: Double {
    if specials.nan > 0 || (specials.plus > 0 && specials.minus > 0) { return .nan }
    if specials.plus > 0 { return .infinity }
    if specials.minus > 0 { return -.infinity }
    if Self.isLess(positive, negative) { return -Self.nearest(Self.subtract(positive, from: negative)) }
    return Self.nearest(Self.subtract(negative, from: positive))
  }

  /// The nearest double, by looking at the bits from the top.
  private static func nearest(_ digits: [Int]) -> Double {
    func bit(_ position: Int) -> Bool { position >= 0 && digits[position / 16] >> (position % 16) & 1 == 1 }
    guard let top = (0..<digits.count * 16).last(where: bit) else { return 0 }
    let last = max(top - 52, 0)
    var significand: UInt64 = 0
    for position in (last...top).reversed() { significand = significand << 1 | (bit(position) ? 1 : 0) }
    let isHalf = bit(last - 1)
    let isMore = last > 1 && (0..<last - 1).contains(where: bit)
    if isHalf && (isMore || significand & 1 == 1) { significand += 1 }
    return Double(sign: .plus, exponent: last - 1074, significand: Double(significand))
  }
}

extension Double {
  fileprivate func significandBit(_ bit: Int) -> Bool {
    let significand = significandBitPattern | (isNormal ? 1 << 52 : 0)
    return significand >> UInt64(bit) & 1 == 1
  }
}

@Suite struct ExactSumsTests {
  static func random(_ random: inout SeededRandom, kind: Int) -> Double {
    switch kind {
    case 0: return Double.random(in: -1000...1000, using: &random)
    case 1: return (Double.random(in: -1e6...1e6, using: &random) * 100).rounded() / 100
    case 2:  // any finite bits
      while true {
        let value = Double(bitPattern: random.next())
        if value.isFinite { return value }
      }
    case 3: return Double(bitPattern: random.next() & 0x800F_FFFF_FFFF_FFFF)  // subnormal
    case 4: return Double(Int64.random(in: -5...5, using: &random)) * 1e300
    case 5: return [1e16, -1e16, 1, -1, 0.5, 0x1p-53, -0x1p-1074, 0][Int.random(in: 0..<8, using: &random)]
    default:
      return [.infinity, -.infinity, .nan, 1, Double.greatestFiniteMagnitude, -1.5, 3e8][
        Int.random(in: 0..<7, using: &random)]
    }
  }

  @Test(arguments: 0..<60)
  func `sums match the exact reference, while values come and go`(seed: Int) {
    var random = SeededRandom(seed: UInt64(seed))
    var sums = ExactSums()
    sums.grow(to: 3)
    let slot = seed % 3
    var inside: [Double] = []
    for _ in 0..<120 {
      if !inside.isEmpty && random.chance(0.45) {
        sums.subtract(inside.remove(at: Int.random(in: 0..<inside.count, using: &random)), from: slot)
      } else {
        let value = Self.random(&random, kind: seed % 7)
        inside.append(value)
        sums.add(value, to: slot)
      }
      var reference = ExactReference()
      for value in inside { reference.add(value) }
      #expect(sums.value(of: slot).bitPattern == reference.value.bitPattern, "\(inside)")
      #expect(sums.value(of: (slot + 1) % 3) == 0)
    }
  }

  @Test func `sums that naive addition gets wrong`() {
    func sum(_ values: Double...) -> Double {
      var sums = ExactSums()
      sums.grow(to: 1)
      for value in values { sums.add(value, to: 0) }
      return sums.value(of: 0)
    }
    #expect(sum(1e16, 1, -1e16) == 1)
    #expect(sum(1e308, 1e308, -1e308, -1e308, 0x1p-1074) == 0x1p-1074)
    #expect(sum(0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1) == 1)
    let largest = Double.greatestFiniteMagnitude
    #expect(sum(largest, largest) == .infinity)
    #expect(sum(-largest, -largest) == -.infinity)
    #expect(sum(largest, largest, -largest) == largest)
    #expect(sum(1, 0x1p-53) == 1, "a tie goes to the even neighbour")
    #expect(sum(1, 0x1p-53, 0x1p-1074) == 1.0.nextUp, "anything beyond the tie goes up")
    #expect(sum(-0.0).sign == .plus)
  }

  @Test func `a slot that was cleared is as new, and its record is used again`() {
    var sums = ExactSums()
    sums.grow(to: 2)
    let narrow = sums.heldBytes
    sums.add(1e300, to: 0)
    sums.add(1e-300, to: 0)
    let wide = sums.heldBytes
    #expect((500...600).contains(wide - narrow))
    sums.clear(0)
    #expect(sums.value(of: 0) == 0)
    sums.add(-1e-300, to: 1)
    sums.add(.infinity, to: 1)
    sums.subtract(.infinity, from: 1)
    #expect(sums.heldBytes <= wide + 8 && sums.value(of: 1) == -1e-300)
    sums.add(2.5, to: 0)
    #expect(sums.value(of: 0) == 2.5)
  }
}
