// `pipeline.yaml` as text to use cases and diagnostics: what is read, what is refused, and exactly where.

import Detection
import Testing

@testable import Configuration

/// `line:column message` of everything wrong with the form of a file.
private func problems(_ text: String) -> [String] {
  UseCaseReader.readPartially(text).diagnostics.map { "\($0.location.line):\($0.location.column) \($0.message)" }
}

private let complete = """
  name: red-set
  event:
    time: at
    key: instance_id
    out_of_order: 5s
    max_ahead: 2d
    partitioned_by: instance_id
    unknown_fields: reject
    max_event_bytes: 65536
    checks:
      sane: duration >= 0
    fields:
      at:          {type: timestamp, required: true, format: milliseconds, min: "2020-01-01", max: 2030-01-01T00:00:00Z}
      instance_id: {type: int, required: true, min: -3, max: 10}
      duration:    {type: double, min: 0, default: 0.5, numeric_strings: true}
      kind:        {type: string, allowed: [copy, NO, 1], max_length: 10, pattern: '[a-z]+'}
      cached:      {type: bool, default: false}
      payload.sum: {type: int}
      other:       {type: double, path: a.b}
      dotted:      {type: json, path: ["a.b", c]}
  features:
    ratio: duration / 2
    wide: |
      CASE WHEN duration > 1
        THEN 'long' ELSE 'short' END
  classify:
    into: query_class
    cases:
      - slow: duration > 10
      - copying: kind = 'copy'
    else: normal
  detectors: []
  rules:
    - {name: big, when: duration > 100, severity: high}
    - name: burst
      per: instance_id
      within: 1m
      having: count(*) > 10
      cool_down: 1h30m
      reason: "{count(*)} events"
  windows:
    - {name: per_instance, type: tumbling, size: 10m, by: [instance_id], allowed_lateness: 5m, retain: 8d, aggregates: {n: count(*)}}
    - {name: moving, type: sliding, size: 10m, every: 1m, aggregates: {total: sum(duration)}}
  history: {retain: 30d}
  results: {retain: 36h}
  """

@Suite struct ConfigurationReaderTests {
  @Test func readsEveryKey() throws {
    let useCase = try UseCaseReader.read(complete).get()
    #expect(useCase.name == "red-set")
    let event = useCase.event
    #expect(event.outOfOrder == 5_000_000 && event.maxAhead == 172_800_000_000)
    #expect(event.partitionedBy == "instance_id" && event.checks.map(\.name) == ["sane"])
    #expect(event.schema.unknownFields == .reject && event.schema.maxEventBytes == 65_536)
    let fields = event.schema.fields
    #expect(fields.map(\.name).prefix(3) == ["at", "instance_id", "duration"])
    #expect(event.schema.timeField == 0 && event.schema.keyField == 1)
    #expect(
      fields[0]
        == Field(
          name: "at", type: .timestamp(.milliseconds), required: true, minimum: .timestamp(1_577_836_800_000_000),
          maximum: .timestamp(1_893_456_000_000_000)))
    #expect(
      fields[1] == Field(name: "instance_id", type: .int, required: true, minimum: .int(-3), maximum: .int(10)))
    #expect(
      fields[2]
        == Field(name: "duration", type: .double, defaultValue: .double(0.5), minimum: .double(0), numericStrings: true)
    )
    #expect(
      fields[3]
        == Field(
          name: "kind", type: .string, maxLength: 10, allowed: [.string("copy"), .string("NO"), .string("1")],
          pattern: "[a-z]+"))
    #expect(fields[4].defaultValue == .bool(false))
    #expect(fields[5].path == ["payload", "sum"] && fields[6].path == ["a", "b"] && fields[7].path == ["a.b", "c"])
    #expect(useCase.features.map(\.name) == ["ratio", "wide"])
    #expect(useCase.classification?.classes == ["slow", "copying", "normal"])
    #expect(useCase.rules.map(\.severity) == [.high, .medium])
    #expect(useCase.rules[1].within == 60_000_000 && useCase.rules[1].coolDown == 5_400_000_000)
    #expect(useCase.rules[1].per.map(\.text) == ["instance_id"])
    #expect(useCase.windows.map(\.every) == [600_000_000, 60_000_000])
    #expect(useCase.windows[0].retain == 691_200_000_000 && useCase.windows[0].allowedLateness == 300_000_000)
    #expect(useCase.historyRetention == 2_592_000_000_000 && useCase.resultRetention == 129_600_000_000)
  }

  @Test func tenErrorsAtTheirPlaces() {
    let text = """
      name: Red Set
      events: {}
      event:
        time: arived
        key: host
        out_of_order: 5
        fields:
          arrived: {type: timestamp, required: yes}
          host: {type: strng}
          x: {type: string, min: 3}
          y: {type: int, min: five, max: 3}
          y: {type: int}
      rules:
        - {name: r, per: host, within: 1m}
        - {name: r, when: x > 1, severity: urgent}
      windows:
        - {name: w, type: tumbling, size: ten, aggregates: {n: count(*)}}
      """
    #expect(
      problems(text) == [
        "1:7 the name of the use case is not a name",
        "2:1 unknown key `events` in the use case",
        "4:9 `time` names an unknown field `arived`",
        "6:17 `out_of_order` is not a duration",
        "8:42 `required` is not true or false",
        "9:18 unknown type `strng`",
        "10:23 `min` does not apply to type string",
        "12:5 the key `y` is there more than once",
        "14:5 the rule has no `having`",
        "15:12 the name `r` is taken",
        "15:38 `severity` is not known",
        "17:37 `size` is not a duration",
      ])
  }

  @Test(arguments: [
    ("windows: [{name: w, type: session, gap: 5m, aggregates: {n: count(*)}}]", "9:27 a session window"),
    ("rules: [{name: r, when: x > 1, over: w}]", "9:32 `over` in a rule"),
  ])
  func refusesWhatLaterVersionsBring(_ section: String, _ expected: String) {
    #expect(problems(minimal + section) == [expected + " is not available yet"])
  }

  private let minimal = """
    name: a
    event:
      time: t
      fields:
        t: {type: timestamp, required: true}
        x: {type: int}
        s: {type: string}
    #

    """

  @Test(arguments: [
    ("", "1:1 the file is empty"), ("# only a comment\n", "1:1 the file is empty"),
    ("- a\n- b", "1:1 the use case is not a mapping"),
    ("name: a\n---\nname: b", "2:1 the file holds more than one document"),
    ("name:\n\tevent: 1", "2:1 a tab cannot indent YAML"),
    ("name: &a x\nevent: *a", "1:7 anchors and aliases are not supported"),
    ("name: [1, 2", "2:1 this is not YAML"), ("name: \"a", "this is not YAML"),
    ("? [a, b]\n: 1", "1:3 a key must be a name"),
    (String(repeating: "[", count: 100_000), "the file is nested too deeply"),
    (String(repeating: "- ", count: 5_000), "1:65 the file is nested too deeply"),
    (String(repeating: "x", count: 1 << 21), "1:1 the file is too large"), ("name: a\u{0}b", "this is not YAML"),
  ])
  func documentsThatAreNotUseCases(_ text: String, _ expected: String) {
    let found = problems(text)
    #expect(found.contains { $0.contains(expected) }, "\(found)")
  }

  @Test func aliasesDoNotMultiply() {
    var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in 1..<12 {
      let items = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
      text += "a\(level): &a\(level) [\(items)]\n"
    }
    text += "? *a11\n: 1\n"
    #expect(problems(text) == ["1:5 anchors and aliases are not supported"])
  }

  @Test func everyDuplicateKeyIsReported() {
    let text = minimal + "features:\n  a: x + 1\n  \"b\": x\n  a: x\n  b: x\n  a: x\n"
    let found = problems(text)
    #expect(
      found == ["12:3 a", "13:3 b", "14:3 a"].map { "\($0.dropLast())the key `\($0.last!)` is there more than once" })
  }

  @Test(arguments: [
    ("rules: [{name: r}]", "9:9 the rule has no condition"),
    ("rules: [{name: r, when: x > 1, per: x}]", "9:32 `per` has no effect in a rule over single events"),
    ("rules: [{name: R, when: x > 1}]", "9:16 the rule is not a name"),
    ("rules: {name: r}", "9:8 `rules` is not a list"), ("rules: [{name: r, when: ''}]", "9:25 `when` is empty"),
    ("rules: [{name: r, when: [x]}]", "9:25 `when` is not an expression"),
    (
      "rules: [{name: r, per: [x, x], within: 1m, having: count(*) > 1}]",
      "9:28 `x` is in `per` more than once"
    ),
    ("rules: [{name: r, per: x, within: 0s, having: count(*) > 1}]", "9:35 `within` must be longer than nothing"),
    ("rules: [{name: r, when: x > 1, sevrity: low}]", "9:32 unknown key `sevrity` in the rule"),
    ("features: {x: s}", "9:12 the feature `x` has the name of a field"),
    ("features: {f: {a: b}}", "9:15 the feature `f` is not an expression"),
    ("classify: {into: s, cases: [{a: x > 1}], else: b}", "9:18 the class column `s` has the name of a field"),
    ("classify: {into: c, cases: [{a: x > 1}, {a: x > 2}], else: b}", "9:42 the class `a` is there more than once"),
    ("classify: {into: c, cases: [{b: x > 1}], else: b}", "9:30 the class `b` is there more than once"),
    ("classify: {into: c, cases: [], else: b}", "9:28 `cases` is empty"),
    ("classify: {into: c, cases: [{a: x > 1}]}", "9:11 `classify` has no `else`"),
    ("classify: {into: c, cases: [x > 1], else: b}", "9:29 a case is not a class with its condition"),
    ("history: {retain: 36h}", "9:19 history is kept by whole days"),
    (
      "windows: [{name: w, type: tumbling, size: 1m, every: 1m, aggregates: {n: count(*)}}]",
      "9:47 `every` does not apply to a tumbling window"
    ),
    ("windows: [{name: w, type: sliding, size: 1m, aggregates: {n: count(*)}}]", "9:11 the window has no `every`"),
    ("windows: [{name: w, type: tumbling, size: 1m}]", "9:11 the window has no `aggregates`"),
    ("windows: [{name: w, type: tumbling, size: 1m, aggregates: {}}]", "9:59 `aggregates` is empty"),
    ("detectors: [{name: d}]", "9:13 the detector has no `type`"),
  ])
  func sectionsThatAreWrong(_ section: String, _ expected: String) {
    let found = problems(minimal + section)
    #expect(found == [expected])
  }

  @Test(arguments: [
    ("{type: string, min: 1}", "6:24 `min` does not apply to type string"),
    ("{type: int, min: 1.5}", "6:26 `min` is not of type int"),
    ("{type: int, min: 3, max: 2}", "6:26 `min` is above `max`"),
    ("{type: double, default: NaN}", "6:33 `default` is not of type double"),
    ("{type: bool, default: 1}", "6:31 `default` is not of type bool"),
    ("{type: int, default: 5, max: 4}", "6:30 `default` does not meet `max`"),
    ("{type: string, allowed: [a, a]}", "6:37 the value `a` is there more than once"),
    ("{type: string, allowed: []}", "6:33 `allowed` is empty"),
    ("{type: string, allowed: [a], default: b}", "6:47 `default` does not meet `allowed`"),
    ("{type: bool, allowed: [true]}", "6:22 `allowed` does not apply to type bool"),
    ("{type: int, pattern: a}", "6:21 `pattern` does not apply to type int"),
    ("{type: string, pattern: ab(c}", "6:35 wrong `pattern`: a group is not closed"),
    ("{type: string, pattern: 'ab[c'}", "6:36 wrong `pattern`: a class of characters is not closed"),
    ("{type: int, max_length: 3}", "6:21 `max_length` does not apply to type int"),
    ("{type: string, max_length: 0}", "6:36 `max_length` is not in range"),
    ("{type: int, format: seconds}", "6:21 `format` does not apply to type int"),
    ("{type: timestamp, format: epoch}", "6:35 `format` is not known"),
    ("{type: timestamp, min: yesterday}", "6:32 `min` is not of type timestamp"),
    ("{type: timestamp, min: 2026-02-29}", "6:32 `min` is not of type timestamp"),
    ("{type: string, numeric_strings: true}", "6:24 `numeric_strings` does not apply to type string"),
    ("{type: int, required: true, default: 1}", "6:37 the field `f` is required and has a default"),
    ("{type: int, path: a..b}", "6:27 `path` has an empty part or none"),
    ("{required: true}", "6:9 the field `f` has no `type`"),
    ("int", "6:9 the field `f` is not a mapping"), ("{type: integer}", "6:16 unknown type `integer`"),
  ])
  func fieldsThatAreWrong(_ field: String, _ expected: String) {
    let text =
      "name: a\nevent:\n    time: t\n    fields:\n     t: {type: timestamp, required: true}\n     f: \(field)\n"
    #expect(problems(text) == [expected])
  }

  @Test(arguments: [
    ("time: s", "5:11 the event time `s` is not a timestamp"), ("time: u", "5:11 the event time `u` is not required"),
    ("time: t\n    key: d", "6:10 the key `d` cannot be of type double"),
    ("time: t\n    partitioned_by: q", "6:21 `partitioned_by` names an unknown field `q`"),
    ("time: t\n    max_event_bytes: 9999999", "6:22 `max_event_bytes` is not in range"),
    ("time: t\n    max_ahead: 0s", "6:16 `max_ahead` must be longer than nothing"),
    ("time: t\n    checks: {Bad: d > 1}", "6:14 the check is not a name"), ("key: s", "4:5 `event` has no `time`"),
  ])
  func eventsThatAreWrong(_ roles: String, _ expected: String) {
    let text = """
      name: a

      event:
          fields: {t: {type: timestamp, required: true}, s: {type: string}, u: {type: timestamp}, d: {type: double}}
          \(roles)
      """
    #expect(problems(text) == [expected])
  }

  @Test func fieldNamesThatExpressionsCannotHoldAreRefusedWithTheWayOut() {
    let text =
      "name: a\nevent:\n  time: t\n  fields:\n    t: {type: timestamp, required: true}\n    \"a b\": {type: int}"
    let diagnostics = UseCaseReader.readPartially(text).diagnostics
    #expect(diagnostics.count == 1)
    #expect(diagnostics.first?.suggestion?.hasPrefix("a_b: {path:") == true)
  }
}
