// What scenario files say: values as YAML's core schema reads them, and what is wrong with a file with its place.

import Detection
import Testing

@testable import Pipeline

@Suite("Scenario files")
struct ScenarioReaderTests {
  private func records(_ event: String) throws -> [String] {
    let text = "name: s\ngiven:\n  events:\n    - \(event)\n"
    return try Scenario.scenarios(in: text, file: "s").flatMap(\.records).map { String(decoding: $0, as: UTF8.self) }
  }

  @Test(
    "values mean what they do in YAML's core schema",
    arguments: [
      ("true", "true"), ("False", "false"), ("null", "null"), ("~", "null"), ("", "null"), ("'null'", #""null""#),
      ("7", "7"), ("-7", "-7"), ("+7", "7"), ("0x1F", "31"), ("0o17", "15"), ("007", "7"), ("'7'", #""7""#),
      ("1.5", "1.5"), (".5", "0.5"), ("1e3", "1000.0"), ("9223372036854775807", "9223372036854775807"),
      ("9223372036854775808", "9.223372036854776e+18"),
      // Text, though older YAML and Swift know them as something else.
      ("yes", #""yes""#), ("off", #""off""#), ("12:30", #""12:30""#), ("1_000", #""1_000""#), ("0b1", #""0b1""#),
      ("2026-03-01", #""2026-03-01""#), ("nan", #""nan""#), ("inf", #""inf""#), ("0x1p3", #""0x1p3""#),
      ("0x-1", #""0x-1""#), ("[1, {b: no}]", #"[1,{"b":"no"}]"#),
    ])
  func values(_ text: String, _ expected: String) throws {
    #expect(try records("{a: \(text)}") == ["{\"a\":\(expected)}"])
  }

  @Test(
    "what is wrong is said with its place",
    arguments: [
      ("given: {}", "line 1, column 1: `name` is missing"),
      ("name: s\nexpct: {}", "line 2, column 1: the scenario knows no `expct`; did you mean `expect`?"),
      ("name: s\ngiven: [1]", "line 2, column 8: `given` must be a mapping"),
      ("name: s\ngiven: {events: {a: 1}}", "line 2, column 17: `events` must be a list"),
      ("name: s\ngiven: {events: [1]}", "line 2, column 18: an event must be a mapping of fields"),
      ("name: s\nexpect: {anomalies: none}", "line 2, column 21: `anomalies` must be a list"),
      ("name: s\nexpect: {windows: [1]}", "line 2, column 20: expected a mapping"),
      ("name: s\nname: t", "line 2, column 1: the key `name` is there more than once"),
      ("name: s\n---\nname: *a", "line 3, column 7: anchors and aliases are not supported; expected the value itself"),
      (
        "name: s\ngiven: {events: [{repeat: 0, event: {}}]}",
        "line 2, column 27: `repeat` must be a number from 1 to 100000"
      ),
      ("name: [", "this is not YAML"),
    ])
  func mistakes(_ text: String, _ expected: String) {
    let error = #expect(throws: (any Error).self) { try Scenario.scenarios(in: text, file: "s") }
    #expect(error.map { "\($0)".contains(expected) } == true, "\(error as Any)")
  }

  @Test("a file has any number of scenarios, and sections without content expect nothing")
  func several() throws {
    let scenarios = try Scenario.scenarios(
      in: "name: a\nexpect: {anomalies: , classes: []}\n---\nname: b\ngiven:\n", file: "s")
    #expect(scenarios.map(\.name) == ["a", "b"])
    #expect(scenarios[0].expectations.anomalies == [] && scenarios[0].expectations.classes == [])
    #expect(scenarios[1].expectations.anomalies == nil && scenarios[1].records.isEmpty)
  }
}
