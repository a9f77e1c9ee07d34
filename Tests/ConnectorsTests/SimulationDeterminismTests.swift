// A simulation is a function of its definition and seed, however it is asked for.

import Connectors
import Foundation
import Testing

@Suite("Simulation: determinism")
struct SimulationDeterminismTests {
  private func generate(_ definition: SimulationDefinition, seed: UInt64, _ counts: [Int]) -> (
    bytes: [UInt8], labels: [Label]
  ) {
    var simulator = Simulator(definition, seed: seed)
    var bytes: [UInt8] = []
    var labels: [Label] = []
    for count in counts { simulator.next(count, into: &bytes, labels: &labels) }
    return (bytes, labels)
  }

  private func fingerprint(_ bytes: [UInt8]) -> UInt64 {
    bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  }

  @Test("The bytes are the same on every machine: they are pinned here")
  func pinned() throws {
    let definition = try SimulationDefinition(yaml: SimulationSamples.small)
    let (bytes, labels) = generate(definition, seed: 42, [5000])
    #expect(fingerprint(bytes) == 4_132_839_735_121_403_349)
    #expect(fingerprint(labels.flatMap(\.line)) == 17_548_353_554_553_653_230)
  }

  @Test(
    "However many events are asked for at a time, they are the same", arguments: ["redset", "nyc-taxi", "user-signals"])
  func pieces(_ useCase: String) throws {
    let definition = try SimulationSamples.useCase(useCase)
    let whole = generate(definition, seed: 7, [10_000])
    #expect(generate(definition, seed: 7, [1, 4095, 4096, 1, 0, 1807]) == whole)
    #expect(generate(definition, seed: 7, [Int](repeating: 37, count: 270) + [10]) == whole)
  }

  @Test("A longer run begins with a shorter one")
  func prefix() throws {
    let definition = try SimulationDefinition(yaml: SimulationSamples.small)
    let long = generate(definition, seed: 3, [9000])
    for count in [1, 2, 4095, 4096, 4097, 8999] {
      let short = generate(definition, seed: 3, [count])
      #expect(long.bytes.starts(with: short.bytes))
      #expect(long.labels.starts(with: short.labels))
      #expect(short.bytes.count { $0 == 0x0A } == count)
    }
  }

  @Test("Seeds give different streams; the same seed gives the same one")
  func seeds() throws {
    let definition = try SimulationDefinition(yaml: SimulationSamples.small)
    #expect(generate(definition, seed: 1, [2000]) == generate(definition, seed: 1, [2000]))
    #expect(generate(definition, seed: 1, [2000]).bytes != generate(definition, seed: 2, [2000]).bytes)
  }

  @Test("Events that are skipped leave the rest as it was", arguments: [1, 4096, 4097, 20_000])
  func skip(_ count: Int) throws {
    let definition = try SimulationDefinition(yaml: SimulationSamples.small)
    var all = Simulator(definition, seed: 9)
    let whole = all.next(count + 300)
    var rest = Simulator(definition, seed: 9)
    rest.skip(count)
    let tail = rest.next(300)
    #expect(tail.bytes.elementsEqual(whole.bytes[Int(whole.starts[count])...]))
    #expect(tail.arrivals.elementsEqual(whole.arrivals[count...]))
    #expect(tail.labels == whole.labels.filter { $0.row >= count })
    var midway = Simulator(definition, seed: 9)
    _ = midway.next(min(10, count))
    midway.skip(count - min(10, count))
    #expect(midway.next(300).bytes == tail.bytes)
  }

  @Test("A value that is added does not change the others")
  func independence() throws {
    let more = SimulationSamples.small.replacingOccurrences(
      of: "  span: {log_uniform: [1, 1000]}", with: "  extra: {uniform: [0, 1]}\n  span: {log_uniform: [1, 1000]}")
    #expect(more != SimulationSamples.small)
    let (before, after) = (
      try SimulationDefinition(yaml: SimulationSamples.small), try SimulationDefinition(yaml: more)
    )
    #expect(generate(before, seed: 4, [3000]) == generate(after, seed: 4, [3000]))
  }

  @Test("Arrivals ascend, lines lie one behind the other, and times are theirs")
  func order() throws {
    let definition = try SimulationDefinition(yaml: SimulationSamples.small)
    var simulator = Simulator(definition, seed: 5)
    let events = simulator.next(30_000)
    #expect(zip(events.arrivals, events.arrivals.dropFirst()).allSatisfy { $0 <= $1 })
    #expect(events.starts.first == 0 && Int(events.ends.last ?? 0) == events.bytes.count - 1)
    #expect(zip(events.ends, events.starts.dropFirst()).allSatisfy { $0 + 1 == $1 })
    var late = 0
    var read = 0
    let broken = Set(
      events.labels.filter { ["cut", "prose", "unnamed", "odd", "double"].contains($0.kind) }.map(\.row))
    var perEntity: [String: Int] = [:]
    for row in 0..<events.count where !broken.contains(row) {
      let members = try #require(SimulationSamples.members(events.line(row)))
      let value = Dictionary(uniqueKeysWithValues: members.map { ($0.name, $0.value) })
      let time = try #require(Int64(value["at_ms"] ?? ""))
      #expect(time * 1000 <= events.arrivals[row])
      if time != events.arrivals[row] / 1000 { late += 1 }
      // Events of one entity are numbered in the order of their arrival.
      let who = value["who"] ?? ""
      let number = Int(value["nth"] ?? "") ?? -1
      #expect(number > perEntity[who, default: -1])
      perEntity[who] = number
      read += 1
    }
    #expect(abs(Double(late) / Double(read) - 0.01) < 0.003)
    #expect(perEntity.count == 5)
  }
}
