// What is published of an anomaly is what its schema says.

import Detection
import Foundation
import Logging
import TestKit
import Testing

@testable import Pipeline

/// Checks JSON against what `docs/schemas` uses of JSON Schema (draft 2020-12). A word that it does not know is an error.
private struct SchemaCheck {
  private let root: [String: Any]
  private var problems: [String] = []

  private static let notes: Set = ["$schema", "$id", "$defs", "title", "description"]

  /// What is wrong with a document, by path.
  static func problems(of json: String, by schema: [String: Any]) throws -> [String] {
    var check = SchemaCheck(root: schema)
    check.check(try JSONSerialization.jsonObject(with: Data(json.utf8), options: .fragmentsAllowed), schema, "$")
    return check.problems
  }

  private init(root: [String: Any]) { self.root = root }

  private static func types(of value: Any) -> Set<String> {
    switch value {
    case is NSNull: return ["null"]
    case is [String: Any]: return ["object"]
    case is [Any]: return ["array"]
    case is String: return ["string"]
    case let number as NSNumber:
      // Foundation reads `true` as a number of this type.
      if String(cString: number.objCType) == "c" { return ["boolean"] }
      return number.doubleValue == number.doubleValue.rounded() ? ["integer", "number"] : ["number"]
    default: return []
    }
  }

  private mutating func check(_ value: Any, _ schema: [String: Any], _ path: String) {
    for (word, rule) in schema where !Self.notes.contains(word) {
      switch (word, rule) {
      case ("$ref", let name as String):
        let definitions = root["$defs"] as? [String: Any]
        guard let found = definitions?[name.replacing("#/$defs/", with: "")] as? [String: Any] else {
          problems.append("\(path): \(name) is not defined")
          continue
        }
        check(value, found, path)
      case ("type", let type as String): expect(!Self.types(of: value).isDisjoint(with: [type]), path, "is no \(type)")
      case ("type", let types as [String]):
        expect(!Self.types(of: value).isDisjoint(with: types), path, "is none of \(types)")
      case ("enum", let words as [String]): expect(words.contains(value as? String ?? ""), path, "is none of \(words)")
      case ("pattern", let pattern as String):
        let text = value as? String ?? ""
        expect(text.range(of: pattern, options: .regularExpression) != nil, path, "does not match \(pattern)")
      case ("minimum", let least as Int): expect((value as? Double ?? -1) >= Double(least), path, "is below \(least)")
      case ("minItems", let count as Int): expect((value as? [Any])?.count ?? count >= count, path, "is too short")
      case ("maxItems", let count as Int): expect((value as? [Any])?.count ?? count <= count, path, "is too long")
      case ("items", let item as [String: Any]):
        for (index, element) in (value as? [Any] ?? []).enumerated() { check(element, item, "\(path)[\(index)]") }
      case ("required", let names as [String]):
        for name in names { expect((value as? [String: Any])?[name] != nil, path, "has no \(name)") }
      case ("properties", let members as [String: Any]):
        for (name, member) in members {
          guard let found = (value as? [String: Any])?[name], let rule = member as? [String: Any] else { continue }
          check(found, rule, "\(path).\(name)")
        }
      case ("oneOf", let rules as [[String: Any]]):
        let fitting = rules.count { rule in
          var other = SchemaCheck(root: root)
          other.check(value, rule, path)
          return other.problems.isEmpty
        }
        expect(fitting == 1, path, "fits \(fitting) of \(rules.count)")
      default: problems.append("\(path): the schema has \(word), which is not checked")
      }
    }
  }

  private mutating func expect(_ isTrue: Bool, _ path: String, _ problem: String) {
    if !isTrue { problems.append("\(path) \(problem)") }
  }
}

@Suite("Schema of anomalies")
struct AnomalySchemaTests {
  private static func schema() throws -> [String: Any] {
    let root = URL(fileURLWithPath: #filePath)
      .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
    let data = try Data(contentsOf: URL(fileURLWithPath: root + "/docs/schemas/anomaly.schema.json"))
    return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
  }

  /// One with everything that an anomaly may have.
  private static func full(_ value: Scalar, score: Double) -> Anomaly {
    Anomaly(
      useCase: "u", partition: PartitionID(source: "s", number: 3), position: Position(segment: 1, offset: 5, row: 2),
      detector: "d", subject: "ä~", eventTime: 1_700_000_000_123_456, key: "k", score: score, severity: .critical,
      reason: "r\n",
      explanation: Explanation(
        contributions: [Explanation.Contribution(feature: "f", value: value, contribution: -0.5)], expected: 2,
        range: -1...Double.infinity, clause: "c"), model: "m1", event: #"{"a":[1,{"b":null}]}"#)
  }

  @Test("the anomalies of a run are as the schema says")
  func anomalies() async throws {
    let schema = try Self.schema()
    let history = MemoryHistory()
    let store = MemoryStore(history)
    let (plan, version) = try RuntimeUseCase.plan()
    try await Pipeline(
      plan: plan, version: version, source: MemorySource(RuntimeUseCase.records(700, seed: 3), batchSizes: [50]),
      store: store, encoder: history, options: Pipeline.Options(workers: 2),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    ).run()
    var all = ResultFilter()
    all.limit = 0
    let filter = all
    let found = try await store.read { try await $0.anomalies(filter) }
    #expect(Set(found.map(\.detector)) == ["large", "burst"])
    for anomaly in found { #expect(try SchemaCheck.problems(of: anomaly.json, by: schema) == []) }
    for value: Scalar in [.null, .bool(true), .int(1), .double(.nan), .string("x"), .timestamp(0)] {
      for score in [1, 0.5, .infinity] {
        let json = StoredAnomaly(Self.full(value, score: score)).json
        #expect(try SchemaCheck.problems(of: json, by: schema) == [])
      }
    }
  }

  @Test(
    "the check notices what it is for",
    arguments: [
      (#""severity":"critical""#, #""severity":"grave""#, "$.severity"), (#""key":"k","#, "", "$ has no key"),
      (#""partition":3"#, #""partition":-3"#, "$.position.partition"), (#""offset":5"#, #""offset":"5""#, "offset"),
      ("T22:13:20", " 22:13:20", "$.event_time"), (#""expected":2.0"#, #""expected":"two""#, "$.explanation.expected"),
      (#""contribution":-0.5"#, #""contribution":null"#, "contributions[0].contribution"),
      (#"[-1.0,"inf"]"#, "[-1.0]", "$.explanation.range is too short"), (#""model":"m1""#, #""model":1"#, "$.model"),
      (#""event":{"a":[1,{"b":null}]}"#, #""event":[]"#, "$.event is no object"),
    ])
  func canary(_ right: String, _ wrong: String, _ problem: String) throws {
    let json = StoredAnomaly(Self.full(.int(1), score: 1)).json
    let broken = json.replacing(right, with: wrong)
    #expect(broken != json, "\(json)")
    let problems = try SchemaCheck.problems(of: broken, by: try Self.schema())
    #expect(problems.contains { $0.contains(problem) }, "\(problems)")
  }
}
