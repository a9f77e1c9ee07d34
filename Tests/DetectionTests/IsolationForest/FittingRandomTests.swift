// Random numbers of fitting: the published sequence, and draws without bias.

import Testing

@testable import Detection

@Suite("Random numbers of fitting")
struct FittingRandomTests {
  @Test("the published sequence")
  func sequence() {
    var random = FittingRandom(seed: 1_234_567)
    let expected: [UInt64] = [
      6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423, 4_593_380_528_125_082_431,
      16_408_922_859_458_223_821,
    ]
    #expect(expected.map { _ in random.next() } == expected)
  }

  @Test("draws below a bound are equally likely")
  func bounded() {
    var random = FittingRandom(seed: 1)
    for bound in [1, 2, 3, 7, 10] {
      var counts = [Int](repeating: 0, count: bound)
      for _ in 0..<20_000 { counts[random.next(below: bound)] += 1 }
      let expected = 20_000 / Double(bound)
      // Six standard deviations.
      #expect(counts.allSatisfy { abs(Double($0) - expected) <= 6 * expected.squareRoot() }, "\(counts)")
    }
    // Two thirds of all 64-bit numbers: a remainder would prefer the lower half.
    let large = Int(UInt64.max / 3 * 2 >> 1)
    let low = (0..<10_000).count { _ in random.next(below: large) < large / 2 }
    #expect((4700...5300).contains(low))
  }

  @Test("samples are without replacement, and every row is equally likely")
  func samples() {
    var random = FittingRandom(seed: 2)
    var counts = [Int](repeating: 0, count: 10)
    for _ in 0..<10_000 {
      let sample = random.sample(3, below: 10)
      #expect(Set(sample).count == 3)
      for row in sample { counts[row] += 1 }
    }
    #expect(counts.allSatisfy { abs($0 - 3000) < 280 }, "\(counts)")
    #expect(random.sample(5, below: 5).sorted() == [0, 1, 2, 3, 4])
    #expect(random.sample(0, below: 0).isEmpty)
    #expect(Set(random.sample(256, below: 10_000_000_000)).count == 256)
  }

  @Test("parts have generators of their own")
  func parts() {
    var first = FittingRandom(seed: 3, part: 0)
    var again = FittingRandom(seed: 3, part: 0)
    var other = FittingRandom(seed: 3, part: 1)
    let numbers = (0..<4).map { _ in first.next() }
    #expect(numbers == (0..<4).map { _ in again.next() })
    #expect(Set(numbers).isDisjoint(with: (0..<4).map { _ in other.next() }))
  }
}
