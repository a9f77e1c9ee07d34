// Edge values through whole pipelines and through `pulse infer`: nothing traps, and nothing depends on how the events are
// cut into batches.

import Configuration
import Foundation
import Logging
import TestKit
import Testing

@testable import Detection
@testable import Pipeline

@Suite("Edge values")
struct EdgeValueTests {
  private static let ints: [Int64] = [
    .min, .min + 1, .max, .max - 1, 0, 1, -1, 1 << 31, -(1 << 31) - 1, 1 << 32, -(1 << 32), 1 << 53, -(1 << 53) - 1,
    4_294_967_295, 1_700_000_000, 1_700_000_000_000, 3_037_000_500,
  ]
  private static let doubles = [
    "-0.0", "0.0", "1e308", "-1e308", "1.7976931348623157e308", "5e-324", "-5e-324", "2.2250738585072014e-308", "0.1",
    "9223372036854775808.0", "-9223372036854775809.0", "1e16", "4503599627370497.5", "-1e-100", "709.9", "1e22",
  ]
  private static let texts = [
    "", "a", "abc", "äöü", "e\u{301}bc", "👍🏽", "日本語", "\u{0}", " pad ", "9223372036854775808", "-9223372036854775808",
    "nan",
    "inf", "1e400", "2024-02-29", "0001-01-01", "9999-12-31T23:59:59.999999Z", String(repeating: "ß", count: 500),
  ]
  private static let times = [
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00Z",
    "2000-02-29T00:00:00Z", "2024-12-31T23:59:59Z",
  ]

  private static func json(_ text: String) -> String {
    String(decoding: (try? JSONEncoder().encode(text)) ?? Data("\"\"".utf8), as: UTF8.self)
  }

  private static func records(_ count: Int, seed: UInt64) -> [[UInt8]] {
    var random = SeededRandom(seed: seed)
    func pick(_ values: [String]) -> String {
      Int.random(in: 0..<9, using: &random) == 0 ? "null" : values.randomElement(using: &random) ?? "null"
    }
    return (0..<count).map { index in
      let int = { pick(Self.ints.map { "\($0)" }) }
      let double = { pick(Self.doubles) }
      let text = { pick(Self.texts.map(Self.json)) }
      let time = { pick(Self.times.map(Self.json)) }
      return Array(
        """
        {"at":\(1_700_000_000 + index / 3),"i":\(int()),"j":\(int()),"k":\(int()),"x":\(double()),"y":\(double()),\
        "z":\(double()),"b":\(pick(["true", "false"])),"c":\(pick(["true", "false"])),"d":\(pick(["true"])),\
        "s":\(text()),"t":\(text()),"u":\(text()),"p":\(time()),"q":\(time()),"r":\(time())}
        """.utf8)
    }
  }

  /// Names of three fields of each type.
  private static func fields(_ type: ValueType) -> [String] {
    switch type {
    case .int: ["i", "j", "k"]
    case .double: ["x", "y", "z"]
    case .bool: ["b", "c", "d"]
    case .string: ["s", "t", "u"]
    case .timestamp: ["p", "q", "r"]
    }
  }

  /// A feature for every signature of the catalogue, `any` in every type, and for the operators.
  private static var features: [String] {
    var texts: [String] = []
    for function in FunctionCatalog.all where function.kind == .scalar {
      for signature in function.signatures {
        for type in signature.parameters.contains(.any) ? ValueType.allCases : [.int] {
          let arguments = signature.parameters.enumerated().map { index, parameter in
            switch parameter {
            case .value(let wanted): fields(wanted)[index]
            case .any: fields(type)[index]
            case .constant: "-3"
            case .unit: "'week'"
            }
          }
          texts.append("\(function.name)(\(arguments.joined(separator: ", ")))")
        }
      }
    }
    texts += ["+", "-", "*", "/", "//", "%"].map { "i \($0) j" } + ["+", "-", "*", "/", "%"].map { "x \($0) y" }
    texts += [
      "- i", "- x", "s || t", "CAST(x AS BIGINT)", "CAST(s AS BIGINT)", "CAST(s AS DOUBLE)", "CAST(p AS VARCHAR)",
    ]
    return texts + ["CAST(s AS TIMESTAMP)", "CAST(x AS VARCHAR)", "s LIKE t", "i IN (1, j, k)", "x BETWEEN y AND z"]
  }

  private static var pipeline: String {
    var text = "name: edges\nevent:\n  time: at\n  key: i\n  fields:\n    at: {type: timestamp, required: true}\n"
    for type in ValueType.allCases {
      for field in fields(type) { text += "    \(field): {type: \(type.rawValue)}\n" }
    }
    text += "features:\n"
    for (index, feature) in features.enumerated() { text += "  f\(index): \"\(feature)\"\n" }
    text += "classify:\n  into: kind\n  cases: [{big: x > 1e300}, {small: i < 0}]\n  else: rest\nrules:\n"
    text += "  - {name: stateless, when: x - y > 1e308 OR i = -9223372036854775808, reason: '{i} {x} {s} {p}'}\n"
    for (index, per) in ["i", "x", "s", "p", "b"].enumerated() {
      let having =
        index % 2 == 0
        ? "sum(x) > 1e300 OR avg(y) < 0 OR sum(i) > 0 OR max(z) > 5" : "avg(i) > 1 OR min(j) < 0 OR distinct(s) > 1"
      text +=
        "  - {name: per_\(per), per: \(per), within: 1m, having: '\(having)', reason: '{sum(i)} {avg(x)} {count(*)}'}\n"
    }
    for call in ["sum(x)", "avg(x)", "sum(i)", "min(x)", "max(i)"] {
      let name = call.replacing("(", with: "_").replacing(")", with: "")
      text += "  - {name: \(name), per: b, within: 10s, having: \(call) > 0.5}\n"
    }
    text += "windows:\n"
    for (name, kind) in [("each", "tumbling, size: 10s"), ("slide", "sliding, size: 30s, every: 10s")] {
      text += "  - name: \(name)\n    type: \(kind.split(separator: ",")[0])\n"
      for part in kind.split(separator: ",").dropFirst() { text += "    \(part.drop { $0 == " " })\n" }
      text += "    by: [b, x, j]\n    aggregates:\n      n: count(*)\n      r: rate(*)\n"
      for type in ValueType.allCases {
        let field = fields(type)[0]
        for function in ["count", "distinct", "first", "last", "max", "min"] {
          text += "      \(function)_\(field): \(function)(\(field))\n"
        }
        guard type == .int || type == .double else { continue }
        for function in ["sum", "avg", "stddev", "rate"] {
          text += "      \(function)_\(field): \(function)(\(field))\n"
        }
        for (index, fraction) in [0, 0.5, 1].enumerated() {
          text += "      q\(index)_\(field): \"quantile(\(field) * 1e0, \(fraction))\"\n"
        }
      }
    }
    return text
  }

  private static func run(_ records: [[UInt8]], sizes: [Int]) async throws -> MemoryStore.Contents {
    let check = UseCaseChecker.check(text: pipeline)
    let plan = try #require(check.plan, "\(check.rendered)")
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let history = MemoryHistory()
    let store = MemoryStore(history)
    try await Pipeline(
      plan: plan, version: ConfigurationVersion(plan.useCase, text: pipeline),
      source: MemorySource(records, batchSizes: sizes), store: store, encoder: history,
      options: Pipeline.Options(workers: 2, checkpointInterval: .milliseconds(1)), logger: logger
    ).run()
    return store.contents
  }

  @Test("every function, rule and aggregate takes them, however the events are cut")
  func pipeline() async throws {
    for seed in [1, 2] as [UInt64] {
      let records = Self.records(600, seed: seed)
      let whole = try await Self.run(records, sizes: [600])
      #expect(whole.totals.events == 600 && whole.totals.expressionFailures > 0)
      #expect(whole.windows.count > 100 && whole.anomalies.count > 100)
      #expect(try await Self.run(records, sizes: [1, 50, 7]) == whole)
    }
  }

  // MARK: Inference

  @Test("a sample of them gives a use case that is right and reads it", arguments: 0..<40)
  func inference(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let pools = [
      Self.ints.map { "\($0)" }, Self.doubles + ["-1E5", "1e-400", "0e0"], Self.texts.map(Self.json),
      Self.times.map(Self.json), ["true", "false", "null", "0", "1"], ["[]", "{}", "[1e308]", "{\"a\":null}"],
      ["9223372036854775808", "18446744073709551615", "-9223372036854775809", "1"],
      Self.ints.map { "\"\($0)\"" },
    ]
    let columns = (0..<Int.random(in: 1...6, using: &random)).map { _ in
      Array(pools.shuffled(using: &random).prefix(Int.random(in: 1...2, using: &random))).flatMap(\.self)
    }
    let lines = (0..<Int.random(in: 1...30, using: &random)).map { row in
      let members = columns.enumerated().map { index, pool in
        "\"v\(index)\":\(pool.randomElement(using: &random) ?? "null")"
      }
      return "{\"time\":\(1_700_000_000 + row),\(members.joined(separator: ","))}"
    }
    let text = try UseCaseInference.pipeline(
      for: EventSample(ndjson: lines.joined(separator: "\n")), name: "edges", source: "sample")
    let examples = text.replacing("\n# ", with: "\n")
    let start = try #require(examples.range(of: "rules:"))
    let check = UseCaseChecker.check(text: text + examples[start.lowerBound...])
    let plan = try #require(check.plan, "\(check.rendered)\n\(text)")
    let rows = lines.indices.map { Int64($0) }
    let raw = RawBatch(
      partition: MemorySource.partition(), positions: RecordPositions(segment: 0, offsets: rows, rows: rows),
      payload: .json(RecordBytes(lines.map { Array($0.utf8) })), next: .start)
    let letters = plan.derive(Decoder(schema: plan.schema).decode(raw), from: raw).deadLetters
    // What no column can hold is announced.
    if !text.contains("a dead letter each") {
      #expect(letters.isEmpty, "\(letters.map(\.message))\n\(text)\n\(lines.joined(separator: "\n"))")
    }
  }

  @Test("the smallest integer is written as it is", arguments: ["-9223372036854775808", "9223372036854775807", "-0.0"])
  func inferredBounds(_ value: String) throws {
    let lines = "{\"time\":1700000000,\"v\":\(value)}\n{\"time\":1700000001,\"v\":\(value)}"
    let text = try UseCaseInference.pipeline(for: EventSample(ndjson: lines), name: "edges", source: "sample")
    #expect(UseCaseChecker.check(text: text).diagnostics.isEmpty)
    let csv = "time,v\n2024-01-01T00:00:00Z,\(value)\n2024-01-01T00:00:01Z,\(value)\n"
    let other = try UseCaseInference.pipeline(for: EventSample(csv: csv), name: "edges", source: "sample")
    #expect(UseCaseChecker.check(text: other).diagnostics.isEmpty)
  }
}
