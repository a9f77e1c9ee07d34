// What a file of a few kilobytes could cost: aliases that multiply and nesting that is recursed over, in every YAML file
// that is read; and names of which only one can be meant.

import Foundation
import TestKit
import Testing

@testable import Configuration
@testable import Detection
@testable import Pipeline

@Suite("Bounds of configurations")
struct ConfigurationBoundsTests {
  /// One connector without settings for each part.
  private static let catalog: ConnectorCatalog = {
    func section(_ name: String) -> ConnectorSection {
      ConnectorSection(name, standard: "own", [ConnectorSpecification("own", noun: "own", "for the test")])
    }
    return ConnectorCatalog(
      source: section("source"), store: section("store"), history: section("history"), publish: section("publish"))
  }()

  /// Aliases of aliases: 10^9 scalars in 400 bytes; few enough of them that counting would not do.
  static let bomb =
    "a0: &a0 [x, x, x]\n"
    + (1..<12).map { "a\($0): &a\($0) [*a\($0 - 1), *a\($0 - 1)]\n" }.joined() + "? [*a11, *a11]\n: 1\n"
  static let deep = "a: " + String(repeating: "[\n", count: 900) + String(repeating: "]\n", count: 900)
  static let deeper = "a: " + String(repeating: "{b: \n", count: 200_000)

  static let texts = [
    (bomb, "anchors and aliases are not supported"), ("name: &a x\nb: *a\n", "anchors and aliases are not supported"),
    ("? &k name\n: x\n", "anchors and aliases are not supported"), (deep, "the file is nested too deeply"),
    (deeper, "the file is nested too deeply"), ("a: '" + String(repeating: "x", count: 1 << 20) + "'", "too large"),
  ]

  @Test("pipeline.yaml", arguments: texts.indices)
  func pipeline(_ index: Int) {
    let (text, message) = Self.texts[index]
    let found = UseCaseChecker.check(text: text).diagnostics.map(\.message)
    #expect(found.count == 1 && found[0].contains(message), "\(found)")
  }

  @Test("pulse.yaml", arguments: texts.indices)
  func pulse(_ index: Int) {
    let (text, message) = Self.texts[index]
    let error = #expect(throws: ConfigurationErrors.self) {
      try RuntimeConfiguration.load(text: text, catalog: Self.catalog)
    }
    #expect(error?.description.contains(message) == true, "\(String(describing: error))")
  }

  @Test("scenarios", arguments: texts.indices)
  func scenarios(_ index: Int) throws {
    let (text, message) = Self.texts[index]
    let folder = try TestFolder()
    try folder.write("scenarios/s.yaml", text)
    let error = #expect(throws: OperatingError.self) { try Scenario.load(from: folder.path) }
    #expect(error?.description.contains(message) == true, "\(String(describing: error))")
    #expect(error?.description.contains("scenarios/s.yaml") == true)
  }

  @Test("a large file full of one mistake is answered soon, and with what a person reads", .timeLimit(.minutes(15)))
  func oneMistake() {
    let duplicates = UseCaseChecker.check(text: String(repeating: "k: 1\n", count: 150_000))
    #expect((1...10).contains(duplicates.diagnostics.count) && duplicates.rendered.contains("there more than once"))
    let unknown = UseCaseChecker.check(text: (0..<90_000).map { "k\($0): 1\n" }.joined())
    #expect(unknown.diagnostics.count > 90_000 && unknown.rendered.hasSuffix("of which the first 200 are shown"))
    #expect(unknown.rendered.utf8.count < 100_000)
  }

  @Test("brackets that are text are not nesting, and 32 levels are read")
  func textIsNotNesting() throws {
    let brackets = String(repeating: "[", count: 500)
    let text = "name: s\ngiven:\n  events:\n    - {raw: '\(brackets)'}\n    - {raw: '&a *a'}\n"
    #expect(try Scenario.scenarios(in: text, file: "s").first?.records.map(\.count) == [500, 5])
    #expect(throws: Never.self) {
      try YAMLBounds.check(String(repeating: "[", count: 32) + String(repeating: "]", count: 32))
    }
    #expect(throws: Diagnostic.self) {
      try YAMLBounds.check(String(repeating: "[", count: 33) + String(repeating: "]", count: 33))
    }
  }

  @Test("a scenario cannot ask for more events than memory holds, nor for numbers that JSON lacks")
  func scenarioSizes() {
    func problem(_ events: String, defaults: String = "{}") -> String {
      do {
        _ = try Scenario.scenarios(in: "name: s\ngiven:\n  defaults: \(defaults)\n  events: [\(events)]\n", file: "s")
        return "none"
      } catch { return "\(error)" }
    }
    let many = Array(repeating: "{repeat: 100000, event: {a: 1}}", count: 11).joined(separator: ", ")
    #expect(problem(many).contains("more than 1000000 events"))
    let long = String(repeating: "x", count: 100_000)
    #expect(problem("{repeat: 3000, event: {a: 1}}", defaults: "{t: \(long)}").contains("256 MiB"))
    #expect(problem("{a: .inf}").contains("JSON has no number"))
    #expect(problem("{repeat: 100000, event: {a: 1}}") == "none")
  }

  // MARK: Names

  private func problems(_ fields: String, _ rest: String = "") -> [String] {
    let text = "name: n\nevent:\n  time: t\n  fields:\n    t: {type: timestamp, required: true}\n\(fields)\n\(rest)"
    return UseCaseChecker.check(text: text).diagnostics.map {
      "\($0.location.line):\($0.location.column) \($0.message)" + ($0.found.map { "; \($0)" } ?? "")
    }
  }

  @Test("a field that lies in another one that is no object is refused, with both places")
  func nestedFields() {
    #expect(
      problems("    a: {type: int}\n    a.b: {type: int}") == [
        "7:5 the field `a.b` lies in `a`, which is no object but of type int; `a` in line 6"
      ])
    #expect(
      problems("    a.b.c: {type: string}\n    x: {type: string, path: a.b}") == [
        "6:5 the field `a.b.c` lies in `x`, which is no object but of type string; `x` in line 7"
      ])
    #expect(problems("    t.zone: {type: string}").count == 1)
    // A json field holds others, siblings do not, and a key may hold a dot.
    #expect(problems("    a: {type: json}\n    a.b: {type: int}\n    a.b2: {type: int}\n    ab: {type: int}") == [])
    #expect(problems("    a: {type: int}\n    a.b: {type: int, path: [\"a.b\"]}") == [])
    #expect(problems("    a: {type: int}\n    b: {type: string, path: a}") == [])
  }

  @Test("names that SQL does not tell apart are refused, with both places")
  func caseOfNames() {
    #expect(
      problems("    userId: {type: int}\n    userid: {type: int}") == [
        "7:5 the field `userid` differs only in case from the field `userId`, and SQL takes them for one; `userId` in line 6"
      ])
    #expect(
      problems("    _Row: {type: int}").map { String($0.prefix(60)) } == [
        "6:5 the field `_Row` differs only in case from the column of"
      ])
    #expect(
      problems(
        "    Ratio: {type: double}\n    KIND: {type: int}",
        "features: {ratio: Ratio * 2}\nclassify: {into: kind, cases: [{a: KIND > 1}], else: b}"
      )
      .map { String($0.prefix(46)) } == [
        "8:12 the feature `ratio` differs only in case ", "9:18 the class column `kind` differs only in c",
      ])
    #expect(problems("    x: {type: int}\n    x_: {type: int}") == [])
  }

  @Test("what ran before such names were refused is still read from a store")
  func storedNames() throws {
    let text =
      "name: n\nevent:\n  time: t\n  fields: {t: {type: timestamp, required: true}, a: {type: int}, A: {type: int}}\n"
    #expect(UseCaseChecker.check(text: text).plan == nil)
    #expect(try UseCaseChecker.plan(fromStored: text).schema.fields.count == 3)
  }
}
