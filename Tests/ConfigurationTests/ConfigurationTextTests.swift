// The canonical text of a use case, which names its version.

import Detection
import Foundation
import Pipeline
import Testing

@testable import Configuration

@Suite struct ConfigurationTextTests {
  private let source = """
    name: a
    event:
      time: t     # when
      key: k
      out_of_order: 90s
      checks: {c: 'x > 1'}
      fields:
        t: {type: timestamp, required: true, min: 1969-07-20T20:17:40.5Z, max: 2024-02-29}
        k: {type: string, allowed: ["it's", "\\"q\\"", "\\u0007\\u00e9"], path: ["a.b", "c"]}
        x: {type: double, default: 0.1, min: -1e300}
        y: {type: int, min: -9223372036854775808, max: 3}
    features: {f: "x + 1"}
    classify: {into: c, cases: [{big: x > 10}], else: small}
    rules:
      - {name: r, when: f > 2, severity: critical, reason: "{f} is \\\\ big"}
      - {name: s, per: [k, y], within: 1m, having: count(*) > 3, cool_down: 0s}
      - {name: t, when: x > 1, until: x < 0, per: k, streak: 3, within: 1h}
      - {name: u, new: k, per: y, remember: 4, expire: 30d, learn: 3, learn_for: 1d}
      - {name: v, new: k, per: y}
      - {name: h, unusual_hour: t, per: k, share: 0.05, half_life: 10d, until_learned: hour(t) = 3, learn: 20, learn_for: 2d}
      - {name: i, unusual_hour: t, per: k}
      - {name: q, first: x > 1, then: x < 0, without: x = 0, per: k, within: 10m}
      - {name: j, travel: [x, y * 1.5], per: k, within: 1d, max_speed: 500, min_distance: 12.5}
      - {name: l, travel: [x, x], per: k, within: 1d}
    windows:
      - {name: w, type: sliding, size: 2m, every: 1m, by: [k], allowed_lateness: 1s, retain: 1d, aggregates: {n: count(*)}}
    history: {retain: 2d}
    results: {retain: 36h}
    """

  @Test func canonicalTextReadsBackAsItself() throws {
    let text = try UseCaseReader.read(source).get().canonicalText
    let again = try UseCaseReader.read(text).get()
    #expect(again.canonicalText == text)
    #expect(again.event.schema == (try UseCaseReader.read(source).get().event.schema))
    #expect(again.rules.map(\.coolDown) == [nil, 0] + [Int64?](repeating: nil, count: 8))
    #expect(again.rules.map { $0.profile == nil } == [true, true] + [Bool](repeating: false, count: 8))
  }

  private func version(of text: String) throws -> String {
    ConfigurationVersion(try UseCaseReader.read(text).get(), text: text).identifier
  }

  @Test func layoutAndCommentsDoNotChangeTheVersion() throws {
    let original = try version(of: source)
    let other =
      source.replacing("  # when", with: "").replacing("out_of_order: 90s", with: "out_of_order: 1m30s")
      .replacing("{f: \"x + 1\"}", with: "\n  f: 'x + 1'")
    #expect(other != source)
    #expect(try version(of: other) == original)
    #expect(original.count == 64)
    for (old, new) in [
      ("x > 10", "x > 11"), ("90s", "91s"), ("critical", "high"), ("default: 0.1", "default: 0.2"),
      ("retain: 1d", "retain: 2d"), ("streak: 3", "streak: 4"), ("remember: 4", "remember: 5"),
      ("share: 0.05", "share: 0.06"), ("learn: 20", "learn: 21"), ("without: x = 0", "without: x = 1"),
      ("max_speed: 500", "max_speed: 501"),
      ("name: a", "name: b"), ("is \\\\ big", "was big"), ("into: c", "into: d"),
    ] {
      let changed = source.replacing(old, with: new)
      #expect(changed != source)
      #expect(try version(of: changed) != original, "\(old)")
    }
  }

  /// The whole example in the reference, and every use case of the repository.
  @Test func documentedAndShippedUseCasesAreRight() throws {
    let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let reference = try String(contentsOf: package.appendingPathComponent("docs/use-cases.md"), encoding: .utf8)
    let start = try #require(reference.range(of: "```yaml\n"))
    let end = try #require(reference.range(of: "```", range: start.upperBound..<reference.endIndex))
    let example = UseCaseChecker.check(text: String(reference[start.upperBound..<end.lowerBound]))
    #expect(example.plan != nil, "\(example.rendered)")
    let locator = UseCaseLocator(currentDirectory: package.path, executable: nil)
    #expect(locator.available().contains("redset"))
    for name in locator.available() {
      let check = UseCaseChecker.check(path: "\(package.path)/\(try locator.locate(name).pipelineFile)")
      #expect(check.plan != nil, "\(check.rendered)")
    }
  }

  /// Every key that the reader knows is in the reference.
  @Test func everyKeyIsDocumented() throws {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("docs/use-cases.md")
    let reference = try String(contentsOf: file, encoding: .utf8)
    let keys =
      UseCaseReader.sections + UseCaseReader.eventKeys + UseCaseReader.fieldKeys + UseCaseReader.ruleKeys
      + UseCaseReader.profileKeys + UseCaseReader.windowKeys + UseCaseReader.dashboardKeys + UseCaseReader.metricsKeys
      + UseCaseReader.metricKeys
    for key in keys where key != "gap" { #expect(reference.contains("`\(key)`"), "\(key)") }
  }
}
