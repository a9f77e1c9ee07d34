// Learned detectors, fitted features and training in `pipeline.yaml`: what is read, what is refused, and exactly where.

import Detection
import Testing

@testable import Configuration

private let head = """
  name: a
  event:
    time: t
    key: k
    fields:
      t: {type: timestamp, required: true, known_at: before_execution}
      k: {type: string, required: true}
      x: {type: int, known_at: before_execution}
      y: {type: double}

  """

private func check(_ text: String) -> UseCaseCheck { UseCaseChecker.check(text: head + text) }

private func problems(_ text: String) -> [String] {
  check(text).diagnostics.map { "\($0.location.line):\($0.location.column) \($0.message)" }
}

@Suite struct ConfigurationDetectorTests {
  private let everything = """
    features:
      half: x / 2
      code: {encoder: ordinal, of: k}
      seen: {encoder: frequency, of: k}
      bucket: {encoder: frequency_bucket, of: k, rare_below: 5, common_from: 50}
      cut: {encoder: clip, of: y, lower: 0.01, upper: 0.99}
      scaled: {encoder: scale, of: half}
    detectors:
      - name: outlier
        type: isolation_forest
        features: [half, code, seen, bucket, cut, scaled, y]
        trees: 50
        sample_size: 128
        when: y > 0.0
        train_when: y < 9.5
        severity: low
        budget: {per_entity_per_day: 2, tail: pareto}
      - name: slow
        type: expected_value
        target: y
        features: [x, half]
        quantile: 0.8
        floor: 5
        ratio: 3
        delta: 7.5
        misrank: {actual: 0.95, expected: 0.5, min_rows: 100}
        least_expected: 0.5
        trees: 30
        leaves: 7
        learning_rate: 0.3
        budget: {rate: 0.01}
      - {name: plain, type: expected_value, target: y, features: [x], misrank: none}
    training: {schedule: every 3d, history: 7d, max_rows: 5000}
    """

  @Test func readsEveryKey() throws {
    let result = check(everything)
    let useCase = try #require(result.useCase, "\(result.rendered)")
    #expect(useCase.features.map(\.name) == ["half"])
    #expect(useCase.encoders.map(\.name) == ["code", "seen", "bucket", "cut", "scaled"])
    #expect(
      useCase.encoders.map(\.kind) == [
        .ordinal, .frequency, .frequencyBucket(rareBelow: 5, commonFrom: 50), .clip(lower: 0.01, upper: 0.99), .scale,
      ])
    let outlier = useCase.detectors[0]
    #expect(outlier.parameters as? IsolationForestDefinition == IsolationForestDefinition(trees: 50, sampleSize: 128))
    #expect(outlier.features.map(\.text) == ["half", "code", "seen", "bucket", "cut", "scaled", "y"])
    #expect(outlier.when?.text == "y > 0.0" && outlier.trainWhen?.text == "y < 9.5" && outlier.severity == .low)
    #expect(outlier.budget == FalseAlarmBudget(.perEntityAndDay(2), fitsTail: true))
    let slow = try #require(useCase.detectors[1].parameters as? ExpectedValueDefinition)
    let plain = try #require(useCase.detectors[2].parameters as? ExpectedValueDefinition)
    #expect(slow.target.text == "y" && slow.quantile == 0.8 && slow.floor == 5 && slow.ratio == 3)
    #expect(slow.delta == 7.5 && slow.leastExpected == 0.5 && slow.trees == 30 && slow.leaves == 7)
    #expect(slow.learningRate == 0.3 && slow.misrank == .init(actual: 0.95, expected: 0.5, minRows: 100))
    #expect(plain.misrank == nil && plain.floor == 60_000 && plain.trees == 300 && plain.leaves == 31)
    #expect(useCase.detectors[1].budget == FalseAlarmBudget(.rate(0.01)))
    #expect(
      useCase.training
        == TrainingDefinition(schedule: .every(259_200_000_000), history: 604_800_000_000, maxRows: 5_000))
    #expect(useCase.event.schema.fields.map(\.knownAt) == [.beforeExecution, nil, .beforeExecution, nil])
    #expect(result.plan?.detectors.map(\.name) == ["outlier", "slow", "plain"])
  }

  @Test func canonicalTextHoldsDetectors() throws {
    let useCase = try #require(check(everything).useCase)
    let text = useCase.canonicalText
    let again = try UseCaseReader.read(text).get()
    #expect(again.canonicalText == text)
    #expect(again.detectors.map(\.type) == useCase.detectors.map(\.type))
    #expect(again.encoders.map(\.kind) == useCase.encoders.map(\.kind) && again.training == useCase.training)
    for (old, new) in [
      ("trees: 50", "trees: 51"), ("sample_size: 128", "sample_size: 129"), ("y > 0.0", "y > 1.0"),
      ("y < 9.5", "y < 9.6"), ("per_entity_per_day: 2", "per_entity_per_day: 3"), (", tail: pareto", ""),
      ("rare_below: 5", "rare_below: 6"), ("upper: 0.99", "upper: 0.98"), ("floor: 5", "floor: 6"),
      ("delta: 7.5", "delta: 8"), ("misrank: none", "misrank: {}"), ("every 3d", "manual"),
      ("quantile: 0.8", "quantile: 0.7"),
      ("features: [x, half]", "features: [x]"), ("least_expected: 0.5", "least_expected: 0.6"),
      ("history: 7d", "history: 8d"),
    ] {
      let changed = try #require(check(everything.replacing(old, with: new)).useCase, "\(old)")
      #expect(changed.canonicalText != text, "\(old)")
    }
    // A use case without detectors keeps the text that it always had.
    let plain = try #require(check("").useCase).canonicalText
    #expect(!plain.contains("detectors") && !plain.contains("training"))
  }

  @Test(
    arguments: [
      ("daily", 86_400_000_000), ("every 2d", 172_800_000_000), ("12h", 43_200_000_000), ("manual", nil),
    ] as [(String, Int64?)])
  func schedules(_ text: String, _ length: Int64?) throws {
    let useCase = try #require(check("training: {schedule: \(text)}").useCase)
    #expect(useCase.training.schedule == (length.map { .every($0) } ?? .manual))
  }

  @Test(arguments: [
    (
      "detectors: [{type: isolation_forest, features: [x]}]",
      "10:13 the detector of type isolation_forest has no `name`"
    ),
    ("detectors: [{name: d, features: [x]}]", "10:13 the detector has no `type`"),
    ("detectors: [{name: d, type: isolation_forrest, features: [x]}]", "10:29 the detector type is not known"),
    ("detectors: [{name: d, type: rule, features: [x]}]", "10:29 the detector type is not known"),
    ("detectors: [{name: d, type: isolation_forest}]", "10:13 the detector of type isolation_forest has no `features`"),
    ("detectors: [{name: d, type: isolation_forest, features: []}]", "10:57 `features` is empty"),
    ("detectors: [{name: d, type: isolation_forest, features: x}]", "10:57 `features` is not a list"),
    ("detectors: [{name: d, type: isolation_forest, features: [x, x]}]", "10:61 `x` is in `features` more than once"),
    (
      "detectors: [{name: d, type: expected_value, target: y, features: [x], trees: 5000, leaves: 1024}]",
      "10:92 the boosted trees are too large"
    ),
    ("detectors: [{name: d, type: isolation_forest, features: [x], trees: 0}]", "10:69 `trees` is not in range"),
    (
      "detectors: [{name: d, type: isolation_forest, features: [x], sample_size: 1}]",
      "10:75 `sample_size` is not in range"
    ),
    (
      "detectors: [{name: d, type: isolation_forest, features: [x], trees: 1000, sample_size: 60000}]",
      "10:88 the forest is too large"
    ),
    (
      "detectors: [{name: d, type: isolation_forest, features: [x], ratio: 3}]",
      "10:62 unknown key `ratio` in the detector of type isolation_forest"
    ),
    (
      "detectors: [{name: d, type: isolation_forest, features: [x], budget: {rate: 1}}]",
      "10:77 `rate` is not in range"
    ),
    (
      "detectors: [{name: d, type: isolation_forest, features: [x], budget: {rate: 0.1, per_entity_per_day: 1}}]",
      "10:82 `budget` has both `rate` and `per_entity_per_day`"
    ),
    ("detectors: [{name: d, type: isolation_forest, features: [x], budget: {}}]", "10:70 `budget` is empty"),
    (
      "detectors: [{name: d, type: isolation_forest, features: [x], budget: {rate: 0.1, tail: normal}}]",
      "10:88 `tail` is not known"
    ),
    (
      "detectors: [{name: d, type: expected_value, features: [x]}]",
      "10:13 the detector of type expected_value has no `target`"
    ),
    (
      "detectors: [{name: d, type: expected_value, target: y, features: [x], quantile: 1}]",
      "10:81 `quantile` is not in range"
    ),
    (
      "detectors: [{name: d, type: expected_value, target: y, features: [x], ratio: 0}]",
      "10:78 `ratio` is not in range"
    ),
    (
      "detectors: [{name: d, type: expected_value, target: y, features: [x], floor: '5'}]",
      "10:78 `floor` is not in range"
    ),
    (
      "detectors: [{name: d, type: expected_value, target: y, features: [x], misrank: {min_rows: 1}}]",
      "10:91 `min_rows` is not in range"
    ),
    (
      "detectors: [{name: d, type: expected_value, target: y, features: [x], misrank: off}]",
      "10:80 `misrank` is not a mapping"
    ),
    (
      "rules: [{name: d, when: x > 1}]\ndetectors: [{name: d, type: isolation_forest, features: [x]}]",
      "10:16 the name `d` is taken"
    ),
    ("features: {x: {encoder: scale, of: y}}", "10:12 the feature `x` has the name of a field"),
    ("features: {f: {encoder: frequncy, of: k}}", "10:25 the encoder is not known"),
    ("features: {f: {encoder: frequency}}", "10:15 the feature `f` has no `of`"),
    ("features: {f: {of: k}}", "10:15 the feature `f` has no `encoder`"),
    ("features: {f: {encoder: scale, of: y, lower: 0.1}}", "10:39 `lower` does not apply to the encoder scale"),
    ("features: {f: {encoder: clip, of: y, lower: 0.5, upper: 0.5}}", "10:45 `lower` is not below `upper`"),
    ("features: {f: {encoder: clip, of: y, lower: -1}}", "10:45 `lower` is not in range"),
    ("training: {schedule: dayly}", "10:22 `schedule` is not known"),
    ("training: {schedule: 1m}", "10:22 `schedule` is too often"),
    ("training: {history: 36h}", "10:21 history is kept by whole days"),
    ("training: {max_rows: 10}", "10:22 `max_rows` is not in range"),
    ("training: {every: 1d}", "10:12 unknown key `every` in `training`"),
  ])
  func formsThatAreWrong(_ section: String, _ expected: String) { #expect(problems(section) == [expected]) }

  @Test(arguments: [
    // What names mean.
    ("[y, yy]", "isolation_forest", "unknown name `yy` in `features`"),
    ("[k]", "isolation_forest", "`k` is a string"), ("[t]", "isolation_forest", "`t` is a time"),
    ("[c]", "isolation_forest", "unknown name `c` in `features`"),
    (
      "[x, double]", "expected_value, target: y",
      "`double` depends on the field `y`, which is not known before the event runs"
    ),
    (
      "[indirect]", "expected_value, target: y",
      "`indirect` depends on the field `y`, which is not known before the event runs"
    ),
    (
      "[code]", "expected_value, target: y", "`code` depends on the field `k`, which is not known before the event runs"
    ),
    ("[x]", "expected_value, target: z", "unknown name `z` in `target`"),
    ("[x]", "expected_value, target: k", "the target `k` is not a number"),
    ("[x]", "expected_value, target: x", "the target `x` is one of its own features"),
    ("[x]", "expected_value, target: code", "the target `code` is fitted by training"),
    ("[scaled]", "expected_value, target: x", "`scaled` is made of the target"),
  ])
  func namesThatAreWrong(_ features: String, _ type: String, _ expected: String) {
    let found = check(
      """
      features:
        double: y * 2
        twice: double + x
        indirect: twice > 3
        code: {encoder: ordinal, of: k}
        scaled: {encoder: scale, of: x}
      classify: {into: c, cases: [{big: x > 10}], else: small}
      detectors:
        - {name: d, type: \(type), features: \(features)}
      """
    ).diagnostics
    #expect(found.map(\.message) == [expected])
    #expect(found.first?.location.line == 18)
  }

  @Test func theFieldThatIsNotKnownIsNamed() throws {
    let found = check("detectors: [{name: d, type: expected_value, target: x, features: [y]}]").diagnostics
    let first = try #require(found.first)
    #expect(found.count == 1 && first.message == "`y` is not known before the event runs")
    #expect(first.expected == "fields with `known_at: before_execution`" && first.location.column == 67)
  }

  @Test(arguments: [
    ("nothing", "unknown name `nothing` in `of`"), ("t", "the encoder `ordinal` is not for `t`"),
    ("y", "the encoder `ordinal` is not for `y`"), ("other", "the encoder `f` is of a fitted feature"),
  ])
  func encodersOfTheWrongThing(_ of: String, _ expected: String) {
    let found = check("features: {f: {encoder: ordinal, of: \(of)}, other: {encoder: scale, of: x}}").diagnostics
    #expect(found.map(\.message) == [expected])
    let scale = check("features: {f: {encoder: scale, of: k}}").diagnostics
    #expect(scale.map(\.message) == ["the encoder `scale` is not for `k`"])
  }

  /// Fitted features are for detectors alone, and whoever else names one is told so.
  @Test(arguments: [
    "features: {code: {encoder: ordinal, of: k}, f: code + 1}",
    "features: {code: {encoder: ordinal, of: k}}\nclassify: {into: c, cases: [{big: code > 10}], else: small}",
    "features: {code: {encoder: ordinal, of: k}}\nrules: [{name: r, when: code > 1}]",
    "features: {code: {encoder: ordinal, of: k}}\nrules: [{name: r, when: x > 1, reason: '{code}'}]",
    "features: {code: {encoder: ordinal, of: k}}\nrules: [{name: r, per: code, within: 1m, having: count(*) > 1}]",
    "features: {code: {encoder: ordinal, of: k}}\n"
      + "windows: [{name: w, type: tumbling, size: 1m, by: [code], aggregates: {n: count(*)}}]",
    "features: {code: {encoder: ordinal, of: k}}\n"
      + "windows: [{name: w, type: tumbling, size: 1m, aggregates: {n: sum(code)}}]",
    "features: {code: {encoder: ordinal, of: k}}\n"
      + "detectors: [{name: d, type: isolation_forest, features: [x], when: code > 1}]",
  ])
  func fittedFeaturesAreForDetectors(_ text: String) {
    let found = check(text).diagnostics
    #expect(
      found.map(\.message) == ["the feature `code` is fitted by training, which only detectors can read"], "\(found)")
    let checks = UseCaseChecker.check(
      text: head.replacing("  fields:", with: "  checks: {c: code > 1}\n  fields:")
        + "features: {code: {encoder: ordinal, of: k}}")
    #expect(checks.diagnostics.map(\.message) == found.map(\.message))
  }

  @Test func featuresThatOnlyDetectorsReadAreComputed() throws {
    let plan = try #require(
      check(
        """
        features:
          unused: x + 1
          base: x + 2
          flag: y > 1.0
          scaled: {encoder: scale, of: base}
          spare: {encoder: scale, of: unused}
        detectors: [{name: d, type: isolation_forest, features: [scaled], when: flag}]
        """
      ).plan)
    #expect(plan.features.map(\.name) == ["base", "flag"])
    let input = try #require(plan.detectors.first?.features.inputs.first)
    #expect(plan.scope.columns[input.column].name == "base" && input.fields == [2])
  }

  @Test func theOrderOfFeaturesAndLayoutMeanNothingToAModel() throws {
    func fingerprint(_ features: String, _ extra: String = "") throws -> String {
      try #require(
        check(
          "features: {a: x + 1, b: 'x\n    + 2'}\n\(extra)detectors: [{name: d, type: isolation_forest, features: \(features)}]"
        )
        .plan?.detectors.first?.fingerprint)
    }
    let one = try fingerprint("[a, b, y]")
    #expect(try fingerprint("[y, b, a]", "rules: [{name: r, when: x > 3}]\n") == one)
    #expect(try fingerprint("[y, b]") != one)
    #expect(one.split(separator: "\n").contains("input y double") && one.contains("feature b int: x + 2"))
  }
}
