// From text to a plan: what the check of meaning says, and what the stateless stages make of a batch.

import Detection
import Foundation
import Testing

@testable import Configuration

private let head = """
  name: a
  event:
    time: t
    key: k
    fields:
      t: {type: timestamp, required: true}
      k: {type: string, required: true}
      x: {type: int}
      y: {type: double}

  """

private func plan(_ text: String) throws -> Plan {
  let check = UseCaseChecker.check(text: head + text)
  return try #require(check.plan, "\(check.rendered)")
}

/// A batch of events as a decoder would hand it over, from NDJSON records that are only looked at for their bytes.
private func batch(_ rows: [(k: String, x: Int64?, y: Double?)]) -> (decoded: DecodedBatch, raw: RawBatch) {
  let records = RecordBytes(rows.map { Array("{\"k\":\"\($0.k)\"}".utf8) })
  var positions = RecordPositions(segment: 3)
  for row in rows.indices {
    positions.offsets.append(Int64(records.starts[row]))
    positions.rows.append(Int64(row))
  }
  let partition = PartitionID(source: "test", number: 0)
  let times = rows.indices.map { Int64($0) * 1_000_000 }
  let columns = [
    Column(.timestamp, times.map { .timestamp($0) }), Column(.string, rows.map { .string($0.k) }),
    Column(.int, rows.map { row in row.x.map { .int($0) } ?? .null }),
    Column(.double, rows.map { row in row.y.map { .double($0) } ?? .null }),
  ]
  let events = EventBatch(partition: partition, positions: positions, eventTimes: times, columns: columns)
  let raw = RawBatch(
    partition: partition, positions: positions, payload: .json(records),
    next: Position(segment: 3, offset: 1_000, row: Int64(rows.count)))
  return (DecodedBatch(events: events, deadLetters: []), raw)
}

@Suite struct ConfigurationPlanTests {
  private func problems(_ text: String) -> [String] {
    UseCaseChecker.check(text: head + text).diagnostics.map {
      "\($0.location.line):\($0.location.column) \($0.suggestion ?? $0.expected ?? "")"
    }
  }

  @Test func namesThatWindowsAndHistoryHaveThemselvesAreRefused() throws {
    let window = { (by: String) in
      "windows:\n  - {name: w, type: tumbling, size: 1m, by: [\(by)], aggregates: {n: count(*)}}\n"
    }
    for name in ["use_case", "window", "start", "end", "closed", "events", "aggregates"] {
      let check = UseCaseChecker.check(text: head + "features: {\(name): x + 1}\n" + window(name))
      #expect(check.diagnostics.map(\.location.line) == [12], "\(check.rendered)")
      #expect(check.rendered.contains("`by` of the window `w` names `\(name)`"))
      let classes = "classify: {into: \(name), cases: [{a: x > 1}], else: b}\n"
      #expect(problems(classes) == ["10:18 event_\(name)"])
    }
    // The class is no collision: grouped by it, a window has it instead of counts.
    #expect(problems("classify: {into: c, cases: [{a: x > 1}], else: b}\n" + window("c")).isEmpty)
    for name in ["_late", "_segment", "_offset", "_row", "_source", "_partition"] {
      let check = UseCaseChecker.check(text: head.replacing("    y:", with: "    \(name):"))
      #expect(check.plan == nil)
      #expect(check.rendered.contains("did you mean `event\(name): {path: [\(name)], …}`?"), "\(check.rendered)")
    }
    // What ran before history had these names is read from the store as it was.
    for name in ["_source", "_partition"] {
      let useCase = try UseCaseReader.read(head.replacing("    y:", with: "    \(name):"), isStored: true).get()
      #expect(useCase.event.schema.index(of: name) != nil)
    }
  }

  @Test func errorsOfExpressionsSayEachThingOnce() {
    func rendered(_ text: String) -> String { UseCaseChecker.check(text: head + text).rendered }
    let unknown = rendered("rules:\n  - {name: r, when: xx > 1}\n")
    #expect(unknown.components(separatedBy: "expected a known column, found xx").count == 2, "\(unknown)")
    #expect(unknown.components(separatedBy: "did you mean").count == 2, "\(unknown)")
    let quoted = rendered("rules:\n  - {name: r, when: 'k = \"a\"'}\n")
    #expect(quoted.contains("found the name \"a\" (in double quotes)"), "\(quoted)")
    #expect(quoted.contains("did you mean `'a'`?"), "\(quoted)")
    // A quoted name that differs in case is the column.
    #expect(rendered("rules:\n  - {name: r, when: '\"X\" = 1'}\n").contains("did you mean `x`?"))
  }

  /// The check of form and that of meaning see the same fault: it is said once.
  @Test(arguments: [
    ("per: k", "the rule has no condition"), ("x: 1", "unknown key `x` in the rule; the rule has no condition"),
    ("when: x > 1, per: k", "`per` has no effect in a rule over single events"),
    ("within: 1m", "the rule has no `per` and `having`"),
    ("having: count(*) > 3", "the rule has no `per` and `within`"),
    ("per: k, within: 1m", "the rule has no `having`"), ("per: k, having: count(*) > 3", "the rule has no `within`"),
    ("within: 1m, having: count(*) > 3", "the rule has no `per`"),
    ("when: x > 1, within: 1m", "the rule has no `per` and `having`"),
    ("per: k, cool_down: 1m", "the rule has no condition"),
    ("per: q, within: 1m", "the rule has no `having`; unknown name `q` in `per`"), ("when: ''", "`when` is empty"),
    ("per: k, within: 1m, having: ''", "`having` is empty"),
  ])
  func oneFaultOfARuleIsOneError(_ keys: String, _ expected: String) {
    let found = UseCaseChecker.check(text: head + "rules:\n  - {name: r, \(keys)}\n").diagnostics.map(\.message)
    #expect(found.sorted() == expected.components(separatedBy: "; ").sorted(), "\(found)")
  }

  @Test func durationsThatAreTooLongAreSaidToBeSo() {
    let check = UseCaseChecker.check(
      text: head + "rules:\n  - {name: r, per: k, within: 1000000d, having: count(*) > 1}\n")
    #expect(check.diagnostics.map(\.message) == ["`within` is too long"])
    #expect(check.diagnostics.first?.expected == "at most 365000d")
    let wrong = UseCaseChecker.check(text: head + "rules:\n  - {name: r, per: k, within: long, having: count(*) > 1}\n")
    #expect(wrong.diagnostics.map(\.message) == ["`within` is not a duration"])
  }

  /// Places and hints; the sentences about expressions are not this suite's.
  @Test func expressionsThatAreWrongAreReportedAtTheirPlaces() {
    let found = problems(
      """
      features:
        twice: xx * 2
        half: 'x / 2 +'
        later: after + 1
        after: x + 1
      classify:
        into: c
        cases:
          - big: x + 1
          - small: y < zz
        else: other
      rules:
        - {name: r, when: twice > 3}
        - {name: s, when: after > 3 AND k = 'q' AND qqq = 1}
        - {name: u, when: x > 1, per: kk, within: 1m, having: count(*) > 3}
      windows:
        - {name: w, type: tumbling, size: 1m, by: [kk], aggregates: {n: summ(x), m: sum(xx), o: sum(x) + 1}}
      """)
    let places = found.map { $0.prefix { $0 != " " } }
    #expect(
      places == ["11:10", "12:17", "13:10", "18:12", "19:18", "23:47", "24:33", "26:46", "26:67", "26:83", "26:91"],
      "\(found)")
    #expect(found.first == "11:10 x")
    #expect(found.contains("13:10 a field or a feature above `later`"))
  }

  /// The places of what is wrong with a use case whose field `x` has an unknown type.
  private func problemsWithWrongField(_ text: String) -> [String] {
    let wrong = (head + text).replacing("x: {type: int}", with: "x: {type: itn}")
    return UseCaseChecker.check(text: wrong).diagnostics.map { "\($0.location.line) \($0.message)" }
  }

  @Test func whatIsMadeOfAWrongFieldIsNotReported() {
    let uses = """
      features:
        twice: x * 2
        text: coalesce(lower(x), 'none')
        fine: y + twice
      classify:
        into: c
        cases:
          - big: x > 10 AND min(1) IS NULL
          - small: text = 'q'
        else: other
      rules:
        - {name: r, when: x = 'a' OR twice > 3, reason: "{x} and {twice}"}
        - {name: s, when: "coalesce(x, twice) = 'a'", per: x, within: 1m, having: min(x) > 3 AND max(x) = 'z'}
      windows:
        - {name: w, type: tumbling, size: 1m, by: [x, text], aggregates: {n: sum(x), m: last(twice)}}
      """
    let found = problemsWithWrongField(uses)
    #expect(found.count == 2 && found[0] == "8 unknown type `itn`" && found[1].hasPrefix("17 "), "\(found)")
    // What is wrong whatever the type may be is reported.
    let others = problemsWithWrongField(
      """
      rules:
        - {name: r, when: x > 1 AND zz = 1}
        - {name: s, when: smu(x) > 1}
        - {name: t, when: y = 'a'}
        - {name: u, when: x >}
        - {name: v, per: x, within: 1m, having: sum(x) > }
      """)
    #expect(others.map { $0.prefix(2) } == ["8 ", "11", "12", "13", "14", "15"], "\(others)")
  }

  @Test func whatIsMadeOfAWrongFeatureOrClassIsNotReported() {
    let found = UseCaseChecker.check(
      text: head + """
        features:
          f: {encoder: frequencies, of: k}
          g: [1]
          h: f + g
        classify:
          into: c
          cases: []
          else: other
        rules:
          - {name: r, when: f > 1 AND g = 'a' AND h > 2 AND c = 'big', per: [f, c], cool_down: 1m}
        """
    ).diagnostics
    #expect(found.map(\.location.line) == [11, 12, 16], "\(found)")
  }

  @Test func anExpressionCutByACommaIsOneError() {
    let found = UseCaseChecker.check(
      text: head + """
        rules:
          - {name: r, when: coalesce(x, 0) > 3 AND if(y > 1, x, coalesce(x, 2)) = 1, severity: high}
        windows:
          - {name: w, type: tumbling, size: 1m, aggregates: {p: quantile(y, 0.9), q: quantile(x, 0.9), n: count(*)}}
        """
    ).diagnostics
    #expect(found.map { "\($0.location.line):\($0.location.column)" } == ["11:21", "13:57", "13:78"], "\(found)")
    #expect(found.allSatisfy { $0.message == "quote expressions that contain a comma inside { }" })
    #expect(
      found.map(\.suggestion) == [
        "'coalesce(x, 0) > 3 AND if(y > 1, x, coalesce(x, 2)) = 1'", "'quantile(y, 0.9)'", "'quantile(x, 0.9)'",
      ])
    // Names without values are what they were.
    let names = UseCaseChecker.check(text: head + "rules: [{name: r, when: (x > 1, wehn, y}]").diagnostics
    #expect(names.map(\.message).contains { $0.hasPrefix("unknown key `wehn`") }, "\(names)")
  }

  @Test(arguments: [
    ("{name: w, type: sliding, size: 10m, every: 3m, aggregates: {n: count(*)}}", "not a multiple"),
    ("{name: w, type: sliding, size: 1m, every: 10m, aggregates: {n: count(*)}}", "not a multiple"),
    ("{name: w, type: sliding, size: 65m, every: 1m, aggregates: {n: count(*)}}", "overlap"),
    (
      "{name: w, type: tumbling, size: 10m, allowed_lateness: 5m, retain: 14m, aggregates: {n: count(*)}}", "is shorter"
    ),
  ])
  func windowsWhoseLengthsDoNotFit(_ window: String, _ message: String) {
    let found = UseCaseChecker.check(text: head + "windows:\n  - \(window)").diagnostics
    #expect(found.count == 1 && found[0].message.contains(message), "\(found)")
    #expect(found.first?.location == Detection.SourceLocation(line: 11, column: 5))
  }

  @Test func aRuleWithStateNeedsTheFieldThatPartitions() {
    let text = head.replacing("  key: k", with: "  key: k\n  partitioned_by: k")
    func messages(_ per: String) -> [String] {
      UseCaseChecker.check(text: text + "rules: [{name: r, per: \(per), within: 1m, having: count(*) > 3}]")
        .diagnostics.map(\.message)
    }
    #expect(messages("x").count == 1 && messages("x").first?.contains("partition") == true)
    #expect(messages("[x, k]").isEmpty && messages("k").isEmpty)
  }

  @Test func failedChecksBecomeDeadLettersWithTheirBytes() throws {
    let plan = try plan("classify: {into: c, cases: [{big: x > 10}], else: small}\n")
    let checked = try self.checked()
    let (decoded, raw) = batch([("a", 1, 1), ("b", -1, 1), ("c", nil, 1), ("d", 50, -1), ("e", 60, 1)])
    let staged = checked.derive(decoded, from: raw)
    #expect(staged.events.count == 2)
    #expect(staged.events.columns[1] == Column(.string, [.string("a"), .string("e")]))
    #expect(staged.events.positions.rows == [0, 4] && staged.events.eventTimes == [0, 4_000_000])
    #expect(
      staged.deadLetters.map { String(decoding: $0.raw, as: UTF8.self) } == ["b", "c", "d"].map { "{\"k\":\"\($0)\"}" })
    #expect(staged.deadLetters.map(\.position.row) == [1, 2, 3])
    #expect(staged.deadLetters.allSatisfy { $0.stage == .validate && $0.reason == .failedCheck })
    #expect(
      staged.deadLetters[0].message.contains("`x_positive`") && staged.deadLetters[2].message.contains("`y_positive`"))
    // Without checks nothing is lost.
    #expect(plan.derive(decoded, from: raw).events.count == 5)
  }

  private func checked() throws -> Plan {
    let text = head.replacing("  fields:", with: "  checks: {x_positive: x > 0, y_positive: y > 0.0}\n  fields:")
    return try #require(UseCaseChecker.check(text: text).plan)
  }

  @Test func theFirstCaseThatHoldsIsTheClass() throws {
    let plan = try plan(
      """
      classify:
        into: size
        cases: [{big: x > 10}, {medium: x > 5}, {odd: y > 0.5}]
        else: other
      rules:
        - {name: r, when: size = 'medium', reason: "{x} is {size}"}
      """)
    let (decoded, raw) = batch([("a", 11, 1), ("b", 6, 1), ("c", nil, 1), ("d", nil, nil), ("e", 1, 0)])
    let staged = plan.derive(decoded, from: raw)
    let column = try #require(plan.classColumn)
    #expect(staged.events.columns[column] == Column(.int, [0, 1, 2, 3, 3].map { .int($0) }))
    #expect(staged.findings.map(\.row) == [1])
    #expect(staged.findings.first?.reason == "6 is medium")
    #expect(staged.events.columns[column + 1][3] == .string("other"))
  }

  @Test func onlyFeaturesThatAreReadAreComputed() throws {
    let plan = try plan(
      """
      features:
        unused: x + 1
        base: x + 2
        derived: base * 10
        alone: derived + 1
      rules:
        - {name: r, when: derived > 50}
      """)
    #expect(plan.features.map(\.name) == ["base", "derived"])
    let (decoded, raw) = batch([("a", 4, 1), ("b", 3, 1)])
    let staged = plan.derive(decoded, from: raw)
    #expect(staged.events.columns.count == 6)
    #expect(staged.events.columns[5] == Column(.int, [.int(60), .int(50)]))
    #expect(staged.findings.map(\.row) == [0])
    #expect(plan.scope.columns.map(\.name) == ["t", "k", "x", "y", "base", "derived"])
  }

  @Test func rulesWithStateAndWindowsAreMade() throws {
    let plan = try plan(
      """
      classify: {into: c, cases: [{big: x > 10}], else: small}
      rules:
        - {name: r, per: k, within: 1m, having: count(*) > 2}
        - {name: s, when: x > 3}
      windows:
        - {name: w, type: tumbling, size: 1m, by: [k, c], aggregates: {n: count(*), total: sum(x)}}
      """)
    #expect(try plan.makeStatefulDetectors().map(\.name) == ["r"])
    #expect(plan.windows.map(\.definition.name) == ["w"])
    #expect(plan.windows[0].classes == ["big", "small"] && plan.windows[0].classificationName == "c")
    #expect(plan.windows[0].aggregates.map(\.name) == ["n", "total"])
  }

  @Test func storedConfigurationsCompileAgain() throws {
    let text = head + "rules: [{name: s, when: x > 3}]"
    let useCase = try #require(UseCaseChecker.check(text: text).useCase)
    #expect(try UseCaseChecker.plan(fromStored: useCase.canonicalText).rules.count == 1)
    #expect(throws: OperatingError.self) { try UseCaseChecker.plan(fromStored: "") }
  }
}

@Suite struct EventBatchFilterTests {
  @Test func keepsTheRowsOfEveryKindOfColumn() {
    let count = 130
    let strings = StringColumn((0..<count).map { $0 % 7 == 0 ? "" : "s\($0)" })
    let codes = StringColumn(offsets: [0, 1, 2], bytes: [97, 98], codes: (0..<count).map { UInt32($0 % 2) })
    let columns = [
      Column(.int((0..<count).map { $0 % 5 == 0 ? 0 : Int64($0) }), validity: Bitmap(count: count) { $0 % 5 != 0 }),
      Column(.double((0..<count).map { Double($0) / 4 })), Column(.bool(Bitmap(count: count) { $0 % 3 == 0 })),
      Column(.string(strings), validity: Bitmap(count: count) { $0 % 7 != 0 }), Column(.string(codes)),
      Column(.timestamp((0..<count).map { Int64($0) })),
    ]
    let events = EventBatch(
      partition: PartitionID(source: "s", number: 1),
      positions: RecordPositions(
        segment: 2, offsets: (0..<count).map { Int64($0) * 10 }, rows: (0..<count).map { Int64($0) }),
      eventTimes: (0..<count).map { Int64($0) }, columns: columns)
    for keep in [
      Bitmap(repeating: true, count: count), Bitmap(repeating: false, count: count),
      Bitmap(count: count) { $0 % 2 == 1 },
      Bitmap(count: count) { $0 > 62 && $0 < 70 },
    ] {
      let kept = events.filtered(keep)
      let rows = (0..<count).filter { keep[$0] }
      #expect(kept.count == rows.count && kept.eventTimes == rows.map { Int64($0) })
      #expect(kept.positions.offsets == rows.map { Int64($0) * 10 } && kept.positions.segment == 2)
      for (column, original) in zip(kept.columns, columns) {
        #expect((0..<kept.count).map { column[$0] } == rows.map { original[$0] })
      }
    }
  }
}
