// The portable functions against the platform's.

import Detection
import Foundation
import Testing

@testable import Connectors

@Suite("Simulation: mathematics")
struct SimulationMathTests {
  @Test("exp, log, power and cosine agree with the platform's")
  func functions() {
    for step in 0..<20_000 {
      let x = (Double(step) - 10_000) / 15
      let exp = Foundation.exp(x)
      #expect(abs(PortableMath.exp(x) - exp) <= 1e-14 * exp)
      let value = Foundation.exp(x / 2)
      #expect(abs(PortableMath.log(value) - Foundation.log(value)) <= 1e-13 * max(1, abs(Foundation.log(value))))
      let turns = x / 100
      #expect(abs(PortableMath.cosine(turns: turns) - Foundation.cos(turns * 2 * .pi)) < 1e-13)
    }
    #expect(PortableMath.exp(0) == 1 && PortableMath.log(1) == 0 && PortableMath.power(2, 0) == 1)
    #expect(PortableMath.exp(1000) == .infinity && PortableMath.exp(-1000) == 0 && PortableMath.log(0) == -.infinity)
    #expect(PortableMath.exp(.nan).isNaN && PortableMath.log(-1).isNaN && PortableMath.power(0, 3) == 0)
    #expect(abs(PortableMath.log(.leastNonzeroMagnitude) - Foundation.log(.leastNonzeroMagnitude)) < 1e-10)
  }

  @Test("The normal quantile inverts the distribution function")
  func normal() {
    for p in [1e-15, 1e-9, 1e-4, 0.01, 0.07, 0.2, 0.4, 0.6, 0.9, 0.95, 0.999, 0.999999] {
      let z = PortableMath.normalQuantile(p)
      let back = 0.5 * erfc(-z / 2.0.squareRoot())
      #expect(abs(back - p) <= 1e-12 * p + 1e-16, "\(p): \(z)")
    }
    #expect(PortableMath.normalQuantile(0.5) == 0)
    #expect(abs(PortableMath.normalQuantile(0.975) - 1.959963984540054) < 1e-14)
  }

  @Test("Random numbers of a stream are uniform, and streams are unrelated")
  func random() {
    let (a, b) = (CounterRandom(seed: 1, stream: "a"), CounterRandom(seed: 1, stream: "b"))
    var buckets = [Int](repeating: 0, count: 100)
    var product = 0.0
    for counter in 0..<UInt64(100_000) {
      let value = a.uniform(at: counter)
      buckets[Int(value * 100)] += 1
      product += (value - 0.5) * (b.uniform(at: counter) - 0.5)
    }
    let chiSquare = buckets.reduce(0) { $0 + Double(($1 - 1000) * ($1 - 1000)) / 1000 }
    #expect((55...150).contains(chiSquare), "chi-square \(chiSquare) of 99 degrees of freedom")
    #expect(abs(product / 100_000) < 0.0015)
  }

  @Test("Alias tables pick by weight")
  func alias() {
    let table = AliasTable(weights: [5, 0, 3, 2])
    var counts = [0, 0, 0, 0]
    for step in 0..<100_000 { counts[table.pick((Double(step) + 0.5) / 100_000)] += 1 }
    #expect(counts[1] == 0)
    for (count, share) in zip(counts, [0.5, 0, 0.3, 0.2]) { #expect(abs(Double(count) / 100_000 - share) < 0.001) }
  }

  @Test("Dates agree with the calendar")
  func dates() throws {
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = try #require(TimeZone(secondsFromGMT: 0))
    for day in stride(from: Int64(-140_000), to: 2_900_000, by: 997) {
      let date = Timestamp.civil(fromDays: day)
      #expect((1...12).contains(date.month) && (1...31).contains(date.day))
      if day > 0 {
        let parts = calendar.dateComponents(
          [.year, .month, .day], from: Date(timeIntervalSince1970: Double(day) * 86_400))
        #expect(parts.year == Int(date.year) && parts.month == Int(date.month) && parts.day == Int(date.day))
      }
    }
  }
}
