// Mistakes in `simulation.yaml` are found all at once, where they are; what is right does what it says.

import Detection
import Foundation
import Testing

@testable import Connectors

@Suite("Simulation: definition")
struct SimulationDefinitionTests {
  private func problems(_ yaml: String) -> [SimulationProblem] {
    do {
      _ = try SimulationDefinition(yaml: yaml, file: "s.yaml")
      return []
    } catch let error as SimulationProblems {
      return error.problems
    } catch {
      return []
    }
  }

  /// A definition with the given values and fields.
  private func definition(values: String, event: String = "x: {int: row}") -> String {
    """
    name: t
    start: 2024-03-01T00:00:00Z
    arrivals: {events_per_day: 1000}
    values:
      \(values.replacingOccurrences(of: "\n", with: "\n  "))
    event:
      \(event.replacingOccurrences(of: "\n", with: "\n  "))
    """
  }

  @Test(
    "A mistake in a value is located",
    arguments: [
      ("a: 1 + b", 5, 10, "no value named 'b'"),
      ("size: 1\nb: 1 + sise", 6, 10, "did you mean 'size'?"),
      ("a: 1 +", 5, 9, "expected a value, found the end"),
      ("a: 'x' + 1", 5, 6, "this is not YAML"),
      ("a: \"'x' + 1\"", 5, 11, "expected a number, found a text"),
      ("a: flor(1)", 5, 6, "did you mean 'floor'?"),
      ("a: power(1)", 5, 6, "power takes 2, not 1"),
      ("a: 1 ? 2", 5, 8, "'?' has no meaning"),
      ("a: case when 1 then 2 end", 5, 16, "expected a bool, found a number"),
      ("a: case when row = 1 then 2 else 'x' end", 5, 36, "expected a number, found a text"),
      ("a: {unifrom: [0, 1]}", 5, 7, "did you mean 'uniform'?"),
      ("a: {uniform: [0]}", 5, 16, "expected the two ends"),
      ("a: {uniform: [2, 1]}", 5, 16, "ascending order"),
      ("a: {log_uniform: [0, 1]}", 5, 20, "positive ends"),
      ("a: {uniform: [0, 1], zipf: {count: 2, exponent: 1}}", 5, 6, "found uniform and zipf"),
      ("a: {zipf: {count: 0, exponent: 1}}", 5, 21, "a number between 1 and 10000000"),
      ("a: {zipf: {count: 2.5, exponent: 1}}", 5, 21, "a whole number"),
      ("a: {lognormal: {median: 1}}", 5, 18, "lacks 'sigma'"),
      ("a: {bernoulli: 0.5, per: c}", 5, 28, "no value named 'c'"),
      ("a: {uniform: [0, 1], else: 0}", 5, 30, "'else' needs a 'when'"),
      ("a: {bernoulli: 0.5, min: 0}", 5, 28, "only a number has bounds"),
      ("a: {choice: {}}", 5, 15, "at least one choice"),
      ("a: {choice: {x: 0}}", 5, 15, "no weight is positive"),
      ("row: 1", 5, 3, "already the name"),
      ("a b: 1", 5, 3, "letters, digits and underscores"),
      ("a: |\n  1 +\n  b", 7, 5, "no value named 'b'"),
      ("a: \"1\\u0020+ b\"", 5, 16, "no value named 'b'"),
    ])
  func value(_ text: String, _ line: Int, _ column: Int, _ message: String) throws {
    let found = problems(definition(values: text))
    let problem = try #require(found.first, "no mistake was found in \(text)")
    #expect(problem.message.contains(message), "\(problem)")
    if !message.contains("YAML") {
      #expect(problem.location.line == line && problem.location.column == column, "\(problem)")
    }
    #expect(problem.description.hasPrefix("s.yaml:\(problem.location.line):\(problem.location.column): "))
  }

  @Test(
    "A mistake in a field is located",
    arguments: [
      ("x: {in: row}", 7, "did you mean 'int'?"), ("x: {int: row, text: row}", 7, "expected one of"),
      ("x: {text: row}", 7, "a text, found a number"), ("x: {bool: row}", 7, "a bool, found a number"),
      ("x: {int: row, digits: 2}", 7, "only a decimal has digits"),
      ("x: {time: row, format: hours}", 7, "found 'hours'"), ("x: {list: {count: 1}}", 7, "lacks 'from'"),
      ("x: {int: row}\nx: {int: row}", 8, "the key `x` is there more than once"),
      ("x: {int: least(row, 2)}", 7, "quote expressions that contain a comma"),
      ("p.x: {int: row}\ny: {int: row}\np.z: {int: row}", 7, "do not stand together"),
      ("p: {int: row}\np.z: {int: row}", 7, "is a field and has fields"),
      ("p.x.y: {int: row}", 7, "deeper than in one object"), ("p.: {int: row}", 7, "deeper than in one object"),
    ])
  func field(_ text: String, _ line: Int, _ message: String) throws {
    let found = problems(definition(values: "a: 1", event: text))
    let problem = try #require(found.first { $0.message.contains(message) }, "\(found)")
    #expect(problem.location.line == line, "\(problem)")
  }

  @Test("All mistakes are reported at once, in the order of the file")
  func all() {
    let found = problems(
      """
      name: t
      start: yesterday
      arrivals: {events_per_day: -1, entity: 3}
      values:
        a: nothing
        b: {poisson: 3}
      event:
        x: {int: c}
      label_fields: [y]
      injections: [{name: i, share: 2, multiply: row, by: 3}]
      labels: [{name: l, when: 1}]
      broken: {share: 0.1, kinds: [{name: k, drop: z}, {name: m, set: x}]}
      extra: 1
      """)
    #expect(found.count >= 13)
    #expect(found.map(\.location) == found.map(\.location).sorted())
    #expect(Set(found.map(\.location.line)) == [2, 3, 5, 6, 8, 9, 10, 11, 12, 13])
  }

  @Test("What is not a mapping, empty or not YAML is an error", arguments: ["", "- 1", "a: [", "just text"])
  func form(_ yaml: String) { #expect(!problems(yaml).isEmpty) }

  @Test("The definitions of the use cases are right", arguments: ["redset", "nyc-taxi", "user-signals"])
  func useCases(_ name: String) throws {
    let definition = try SimulationSamples.useCase(name)
    #expect(definition.name == name)
    #expect(definition.eventsPerDay >= 100_000)
  }

  // MARK: What values do

  private func column(_ values: String, _ formula: String, count: Int = 50_000) throws -> [Double] {
    let yaml = definition(values: values, event: "x: {decimal: \"\(formula)\", digits: 6}")
    let table = SimulatedTable(try SimulationDefinition(yaml: yaml), seed: 6, count: count, columns: ["x"])
    return table.numbers("x")
  }

  @Test(
    "Distributions have their means and deviations",
    arguments: [
      ("a: {uniform: [2, 6]}", 4.0, 1.1547), ("a: {integer: [1, 6]}", 3.5, 1.7078),
      ("a: {normal: {mean: 5, sd: 3}}", 5, 3), ("a: {exponential: {mean: 4}}", 4, 4),
      ("a: {poisson: {mean: 3}}", 3, 1.7321), ("a: {poisson: {mean: 100}}", 100, 10),
      ("a: {lognormal: {median: 2, sigma: 0.5}}", 2.2663, 1.2078), ("a: {log_uniform: [1, 100]}", 21.4976, 24.9586),
      ("a: {choice: {1: 1, 2: 2, 6: 1}}", 2.75, 1.9203), ("a: {zipf: {count: 3, exponent: 1}}", 0.6364, 0.7714),
    ])
  func distribution(_ value: String, _ mean: Double, _ deviation: Double) throws {
    let found = try column(value, "a")
    let average = found.reduce(0, +) / Double(found.count)
    let spread = (found.reduce(0) { $0 + ($1 - average) * ($1 - average) } / Double(found.count)).squareRoot()
    // Five standard errors of the mean; the deviation within 4 %.
    #expect(abs(average - mean) < 5 * deviation / Double(found.count).squareRoot(), "mean \(average)")
    #expect(abs(spread - deviation) < 0.04 * deviation, "deviation \(spread)")
  }

  @Test(
    "Formulas follow SQL",
    arguments: [
      ("1 + 2 * 3 - 4 / 8", 6.5), ("-(2 + 3) * -2", 10), ("7 % 4", 3), ("coalesce(1 / 0, -1)", -1),
      ("coalesce(null + 1, 9)", 9), ("least(3, null, 2)", 2), ("greatest(1, 5, 2)", 5),
      ("case when 1 = 1 then 4 when 1 = 1 then 5 end", 4), ("coalesce(case when 1 = 2 then 4 end, 8)", 8),
      ("case when null = 1 then 1 else 2 end", 2), ("case when not (null = 1) then 1 else 2 end", 2),
      ("case when null = 1 and 1 = 2 then 1 when not (null = 1 and 1 = 2) then 3 end", 3),
      ("case when null = 1 or 1 = 1 then 1 else 2 end", 1), ("case when 3 between 1 and 3 then 1 else 0 end", 1),
      ("case when 3 not between 1 and 2 then 1 else 0 end", 1), ("case when 2 in (1, 2) then 1 else 0 end", 1),
      ("case when 2 not in (1, 2) then 1 else 0 end", 0), ("case when 'a' in ('b', 'a') then 1 else 0 end", 1),
      ("case when 'a' <> 'it''s' then 1 else 0 end", 1), ("case when null is null then 1 else 0 end", 1),
      ("case when 1 is not null then 1 else 0 end", 1),
      ("case when 1 <= 1 and 2 > 1 and 1 < 2 and 2 >= 2 then 1 else 0 end", 1),
      ("round(2.5) + floor(-1.5) + ceil(1.2) + abs(-3)", 6), ("sqrt(16) + power(2, 10)", 1028),
      ("exp(ln(7))", 7), ("1e3 + .5", 1000.5),
    ])
  func formula(_ text: String, _ expected: Double) throws {
    let found = try column("a: 1", text, count: 2)
    #expect(found.allSatisfy { abs($0 - expected) < 1e-6 }, "\(found)")
  }

  @Test("A value drawn per others is fixed for them, and only for them")
  func per() throws {
    let yaml = definition(
      values: "k: {integer: [1, 40]}\na: {uniform: [0, 1], per: k}\nb: {uniform: [0, 1], per: k}",
      event: "k: {int: k}\na: {decimal: a, digits: 6}\nb: {decimal: b, digits: 6}")
    let table = SimulatedTable(try SimulationDefinition(yaml: yaml), seed: 8, count: 9000, columns: ["k", "a", "b"])
    let pairs = Dictionary(grouping: zip(table.texts("k"), table.texts("a")), by: \.0).mapValues { Set($0.map(\.1)) }
    #expect(pairs.count == 40 && pairs.values.allSatisfy { $0.count == 1 })
    #expect(Set(pairs.values.flatMap { $0 }).count == 40)
    #expect(zip(table.texts("a"), table.texts("b")).allSatisfy { $0 != $1 })
  }

  @Test("Entities share the load as their spread says, and the week as its weights say")
  func arrivals() throws {
    let yaml = """
      name: t
      start: 2024-03-04T00:00:00Z
      arrivals: {entities: 3, events_per_day: 10000, spread: {zipf: 1}, weekly: [1, 1, 1, 1, 1, 0, 2]}
      values: {}
      event: {e: {int: entity}, d: {int: weekday}, h: {decimal: hour}}
      """
    let table = SimulatedTable(try SimulationDefinition(yaml: yaml), seed: 1, count: 70_000, columns: ["e", "d"])
    let entities = Dictionary(grouping: table.texts("e"), by: { $0 }).mapValues { Double($0.count) / 70_000 }
    for (entity, share) in [("0", 6.0 / 11), ("1", 3.0 / 11), ("2", 2.0 / 11)] {
      #expect(abs((entities[entity] ?? 0) - share) < 0.01)
    }
    let days = Dictionary(grouping: table.texts("d"), by: { $0 }).mapValues(\.count)
    #expect(days["6"] == nil)
    #expect(abs(Double(days["7"] ?? 0) - 20_000) < 800)
    #expect(abs(Double(days["3"] ?? 0) - 10_000) < 600)
  }

  @Test("Fields of an object are written in it, those that are NULL not at all")
  func objects() throws {
    let event =
      "n: {int: row}\np.a: {int: row}\np.b: {bool: row = 1}\nq.c: {text: case when row > 1 then 'x' end}\nz: {int: null}"
    let yaml = definition(values: "a: 1", event: event)
    var simulator = Simulator(try SimulationDefinition(yaml: yaml), seed: 1)
    let text = String(decoding: simulator.next(3).bytes, as: UTF8.self)
    #expect(
      text == """
        {"n":0,"p":{"a":0,"b":false},"q":{},"z":null}
        {"n":1,"p":{"a":1,"b":true},"q":{},"z":null}
        {"n":2,"p":{"a":2,"b":false},"q":{"c":"x"},"z":null}

        """)
    let broken = yaml + "\nbroken: {share: 1, kinds: [{name: set, set: p.a, to: '\"odd\"'}]}\n"
    simulator = Simulator(try SimulationDefinition(yaml: broken), seed: 1)
    let damaged = String(decoding: simulator.next(1).bytes, as: UTF8.self)
    #expect(damaged == #"{"n":0,"p":{"a":"odd","b":false},"q":{},"z":null}"# + "\n")
    simulator = Simulator(
      try SimulationDefinition(yaml: broken.replacing("set: p.a, to: '\"odd\"'", with: "drop: q.c")), seed: 1)
    let dropped = String(decoding: simulator.next(1).bytes, as: UTF8.self)
    #expect(dropped == #"{"n":0,"p":{"a":0,"b":false},"q":{},"z":null}"# + "\n")
  }

  @Test("Damage is what its label says")
  func damage() throws {
    var simulator = Simulator(try SimulationDefinition(yaml: SimulationSamples.small), seed: 13)
    let events = simulator.next(20_000)
    var kinds: [String: Int] = [:]
    for label in events.labels where ["cut", "prose", "unnamed", "odd", "double"].contains(label.kind) {
      kinds[label.kind, default: 0] += 1
      let line = events.line(label.row)
      let members = SimulationSamples.members(line)
      #expect(label.identity.map(\.name) == ["id", "mood"] && label.identity[0].json == "\(label.row)")
      switch label.kind {
      case "cut": #expect(members == nil && line.first == 0x7B)
      case "prose": #expect(String(decoding: line, as: UTF8.self) == "not an event")
      case "unnamed": #expect(members?.first?.name == "who" && members?.count == 18)
      case "odd": #expect(members?.first { $0.name == "size" }?.value == "\"much\"")
      default: #expect(members?.count { $0.name == "who" } == 2)
      }
    }
    #expect(kinds.count == 5)
    #expect((140...260).contains(kinds.values.reduce(0, +)), "\(kinds)")
  }
}
