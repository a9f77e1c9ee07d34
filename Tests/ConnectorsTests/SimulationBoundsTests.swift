// Definitions at and beyond their bounds: what a few lines ask for does not take all memory or time, and no number in them
// ends the program.

import Detection
import Testing

@testable import Connectors

@Suite("Simulation: bounds")
struct SimulationBoundsTests {
  private func problems(_ yaml: String) -> [String] {
    do {
      _ = try SimulationDefinition(yaml: yaml, file: "s.yaml")
      return []
    } catch { return "\(error)".split(separator: "\n").map(String.init) }
  }

  private func definition(
    arrivals: String = "{events_per_day: 1000}", start: String = "2024-03-01T00:00:00Z", values: String = "a: row",
    rest: String = "", event: String = "x: {int: a}"
  ) -> String {
    "name: t\nstart: \(start)\narrivals: \(arrivals)\nvalues:\n  \(values)\nevent:\n  \(event)\n\(rest)\n"
  }

  @Test("aliases and nesting are refused before they are followed")
  func documents() {
    var bomb = "name: &a0 [x, x, x]\n"
    for level in 1..<12 { bomb += "a\(level): &a\(level) [*a\(level - 1), *a\(level - 1)]\n" }
    #expect(
      problems(bomb + "? [*a11, *a11]\n: 1\n") == [
        "s.yaml:1:7: anchors and aliases are not supported; expected the value itself"
      ])
    let deep = "name: " + String(repeating: "[\n", count: 900) + String(repeating: "]\n", count: 900)
    #expect(problems(deep).first?.contains("nested too deeply") == true)
    #expect(problems(String(repeating: "#", count: 1 << 21)).first?.contains("too large") == true)
    #expect(problems(definition() + "---\nname: b\n").first?.contains("more than one document") == true)
    #expect(problems("") == ["s.yaml:1:1: the file is empty"])
  }

  @Test("more than there is room for is refused")
  func sizes() {
    let injection = "{name: i, share: 0.1, multiply: a, by: 2}"
    let many = "injections: [\(Array(repeating: injection, count: 128).joined(separator: ", "))]"
    #expect(problems(definition(rest: many)).first?.contains("at most 127 injections") == true)
    let zipf = "{zipf: {count: 6000000, exponent: 1}}"
    #expect(problems(definition(values: "a: \(zipf)\n  b: \(zipf)")).first?.contains("at most 10000000 ranks") == true)
    let long = String(repeating: "x", count: 200_000)
    let fields = (0..<20).map { "f\($0): {text: c}" }.joined(separator: "\n  ")
    #expect(
      problems(definition(values: "c: \"'\(long)'\"", event: fields)).first?.contains("an event may take") == true)
  }

  @Test("events that would come after the last timestamp come then")
  func endOfTime() throws {
    for arrivals in ["{events_per_day: 0.001}", "{events_per_day: 0.001, entities: 50, spread: {zipf: 10}}"] {
      let yaml = definition(arrivals: arrivals, event: "t: {time: event_time}")
      var simulator = Simulator(try SimulationDefinition(yaml: yaml), seed: 3)
      let events = simulator.next(8192)
      #expect(events.arrivals == events.arrivals.sorted() && events.arrivals.last == Timestamp.range.upperBound)
      #expect(String(decoding: events.bytes.suffix(36), as: UTF8.self).contains("9999-12-31T23:59:59"))
    }
    let last = definition(start: "9999-12-31T23:59:59Z")
    var simulator = Simulator(try SimulationDefinition(yaml: last), seed: 3)
    #expect(simulator.next(10).arrivals.allSatisfy { $0 <= Timestamp.range.upperBound })
  }

  @Test("numbers at the ends of a double are written as JSON")
  func extremes() throws {
    let values = """
      big: 1e308 * 10
        small: 0 - 1e308
        nothing: big - big
        drawn: {integer: [small, 1e308]}
        spread: {lognormal: {median: 1e300, sigma: 100}}
        many: {poisson: {mean: 1e300}}
      """
    let event = """
      a: {int: big}
        b: {int: small}
        c: {decimal: spread, digits: 6}
        d: {int: nothing}
        e: {time: drawn, format: microseconds}
        f: {time: small}
        g: {list: {count: many, from: [small, 1e308], per: [row]}}
        h: {int: many}
      """
    let yaml = definition(values: values, rest: "late: {share: 0.5, by: 1e300}", event: event)
    var simulator = Simulator(try SimulationDefinition(yaml: yaml), seed: 9)
    let lines = String(decoding: simulator.next(200).bytes, as: UTF8.self).split(separator: "\n")
    #expect(lines.count == 200 && lines.allSatisfy { $0.hasPrefix("{\"a\":") && $0.hasSuffix("}") })
  }
}
