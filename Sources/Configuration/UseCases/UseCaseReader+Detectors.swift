// The `detectors:` and `training:` sections, and fitted features.

internal import Detection

extension UseCaseReader {
  static let encoderKeys = ["encoder", "of", "rare_below", "common_from", "lower", "upper"]
  static let detectorKeys = ["name", "type", "features", "when", "train_when", "severity", "budget"]
  static let forestKeys = ["trees", "sample_size"]
  static let expectedValueKeys = [
    "target", "quantile", "floor", "ratio", "delta", "misrank", "least_expected", "trees", "leaves", "learning_rate",
  ]
  static let onnxKeys = ["model", "threads", "provider", "input", "output", "threshold"]
  static let budgetKeys = ["rate", "per_entity_per_day", "tail"]
  static let misrankKeys = ["actual", "expected", "min_rows"]
  static let trainingKeys = ["schedule", "history", "max_rows"]

  // MARK: Fitted features

  /// `{encoder: …, of: …}` in `features`.
  mutating func encoder(_ entry: YAMLEntry, name: String?) -> EncoderDefinition? {
    let what = "the feature \(excerpt(entry.key.text))"
    guard let keys = reader.keys(of: entry.value, in: what, known: Self.encoderKeys) else { return nil }
    let kindName = keys.required("encoder", "frequency", &reader).flatMap {
      reader.word($0, what: "the encoder", of: EncoderKind.names)
    }
    let of = keys.required("of", "name_of_a_field_or_feature", &reader).flatMap {
      reader.text($0, what: "`of`", expected: "the name of a field or feature")
    }
    let kind = kindName.flatMap { encoderKind($0, keys) }
    guard let name, let kind, let of else { return nil }
    return EncoderDefinition(name: name, kind: kind, of: of, location: entry.key.location)
  }

  private mutating func encoderKind(_ name: String, _ keys: Keys) -> EncoderKind? {
    let own = ["frequency_bucket": ["rare_below", "common_from"], "clip": ["lower", "upper"]][name] ?? []
    for key in ["rare_below", "common_from", "lower", "upper"] where keys[key] != nil && !own.contains(key) {
      let owner = key == "lower" || key == "upper" ? "clip" : "frequency_bucket"
      reader.report(
        keys.location(of: key), "`\(key)` does not apply to the encoder \(name)", expected: "the encoder \(owner)")
    }
    func order(_ low: Double, _ high: Double, _ lowKey: String, _ highKey: String, strictly: Bool) -> Bool {
      if low < high || (!strictly && low == high) { return true }
      reader.report(
        keys[lowKey]?.location ?? keys[highKey]?.location ?? keys.location, "`\(lowKey)` is not below `\(highKey)`",
        expected: "less than \(high)", found: "\(low)")
      return false
    }
    switch name {
    case "frequency": return .frequency
    case "ordinal": return .ordinal
    case "scale": return .scale
    case "frequency_bucket":
      let rare = number("rare_below", keys, .positive, EncoderKind.defaultRareBelow)
      let common = number("common_from", keys, .positive, EncoderKind.defaultCommonFrom)
      guard let rare, let common, order(rare, common, "rare_below", "common_from", strictly: false) else { return nil }
      return .frequencyBucket(rareBelow: rare, commonFrom: common)
    default:
      let lower = number("lower", keys, .level, EncoderKind.defaultLower)
      let upper = number("upper", keys, .level, EncoderKind.defaultUpper)
      guard let lower, let upper, order(lower, upper, "lower", "upper", strictly: true) else { return nil }
      return .clip(lower: lower, upper: upper)
    }
  }

  // MARK: Detectors

  mutating func detectorDefinitions(_ node: YAMLNode) -> [DetectorDefinition] {
    (reader.list(node, what: "`detectors`") ?? []).compactMap { detector($0) }
  }

  private mutating func detector(_ node: YAMLNode) -> DetectorDefinition? {
    guard case .mapping(let entries) = node.content else {
      reader.report(
        node.location, "a detector is not a mapping", expected: "{name: …, type: …}", found: node.description)
      return nil
    }
    guard let typeNode = entries.first(where: { $0.key.text == "type" })?.value else {
      reader.report(node.location, "the detector has no `type`", expected: "`type: isolation_forest`")
      return nil
    }
    guard let type = detectorType(typeNode) else { return nil }
    let own =
      switch type {
      case "isolation_forest": Self.forestKeys
      case "expected_value": Self.expectedValueKeys
      default: Self.onnxKeys
      }
    let common = type == "onnx" ? Self.detectorKeys.filter { $0 != "train_when" && $0 != "budget" } : Self.detectorKeys
    guard let keys = reader.keys(of: node, in: "the detector of type \(type)", known: common + own) else { return nil }
    var taken = detectorNames
    let name = uniqueName(keys, what: "the detector", among: &taken)
    detectorNames = taken
    let kind: DetectorDefinition.Kind? =
      switch type {
      case "isolation_forest": forest(keys)
      case "expected_value": expectedValue(keys)
      default: onnx(keys)
      }
    let features = keys.required("features", "[…]", &reader).map { inputs($0) } ?? []
    let when = keys["when"].flatMap { reader.expression($0, what: "`when`") }
    let trainWhen = type == "onnx" ? nil : keys["train_when"].flatMap { reader.expression($0, what: "`train_when`") }
    let severity = keys["severity"].flatMap {
      reader.word($0, what: "`severity`", of: Severity.allCases.map(\.rawValue))
    }
    let budget = type == "onnx" ? nil : keys["budget"].flatMap { self.budget($0) }
    guard let name, let kind, !features.isEmpty else { return nil }
    return DetectorDefinition(
      name: name, kind: kind, features: features, when: when, trainWhen: trainWhen,
      severity: severity.flatMap(Severity.init) ?? .medium, budget: budget, location: keys.location)
  }

  /// A type that `detectors` can hold and that this version can run.
  private mutating func detectorType(_ node: YAMLNode) -> String? {
    let learned = DetectorCatalog.entries.filter(\.isLearned).map(\.type)
    guard let type = reader.word(node, what: "the detector type", of: learned) else { return nil }
    if let problem = DetectorCatalog.descriptor(of: type)?.unavailability {
      reader.report(node.location, problem)
      return nil
    }
    return type
  }

  /// The list of features, each once.
  private mutating func inputs(_ node: YAMLNode) -> [LocatedText] {
    guard case .sequence(let items) = node.content else {
      reader.report(node.location, "`features` is not a list", expected: "[name, …]", found: node.description)
      return []
    }
    if items.isEmpty { reader.report(node.location, "`features` is empty", expected: "at least one field or feature") }
    if items.count > Limits.maxDetectorFeatures {
      reader.report(
        node.location, "`features` is too long", expected: "at most \(Limits.maxDetectorFeatures)",
        found: "\(items.count)")
    }
    return names(node, what: "`features`")
  }

  private mutating func forest(_ keys: Keys) -> DetectorDefinition.Kind? {
    let usual = IsolationForestDefinition()
    let trees = integer("trees", keys, 1...1_000, usual.trees)
    let sampleSize = integer("sample_size", keys, 2...65_536, usual.sampleSize)
    if let trees, let sampleSize, trees * sampleSize > Limits.maxForestRows {
      reader.report(
        keys["sample_size"]?.location ?? keys.location, "the forest is too large",
        expected: "`trees` times `sample_size` at most \(Limits.maxForestRows)", found: "\(trees * sampleSize)")
      return nil
    }
    guard let trees, let sampleSize else { return nil }
    return .isolationForest(IsolationForestDefinition(trees: trees, sampleSize: sampleSize))
  }

  private mutating func expectedValue(_ keys: Keys) -> DetectorDefinition.Kind? {
    let target = keys.required("target", "name_of_a_field_or_feature", &reader).flatMap {
      reader.text($0, what: "`target`", expected: "the name of a field or feature")
    }
    let usual = ExpectedValueDefinition(target: LocatedText(""))
    let quantile = number("quantile", keys, .inside, usual.quantile)
    let floor = number("floor", keys, .notNegative, usual.floor)
    let ratio = number("ratio", keys, .positive, usual.ratio)
    let delta = number("delta", keys, .positive, usual.delta)
    let least = number("least_expected", keys, .positive, usual.leastExpected)
    let rate = number("learning_rate", keys, .share, usual.learningRate)
    let trees = integer("trees", keys, 1...5_000, usual.trees)
    let leaves = integer("leaves", keys, 2...1_024, usual.leaves)
    if let trees, let leaves, trees * leaves > Limits.maxBoostedLeaves {
      reader.report(
        keys["leaves"]?.location ?? keys.location, "the boosted trees are too large",
        expected: "`trees` times `leaves` at most \(Limits.maxBoostedLeaves)", found: "\(trees * leaves)")
      return nil
    }
    var misrank = usual.misrank
    if let node = keys["misrank"] { misrank = self.misrank(node) }
    guard let target, let quantile, let floor, let ratio, let delta, let least, let rate, let trees, let leaves else {
      return nil
    }
    return .expectedValue(
      ExpectedValueDefinition(
        target: target, quantile: quantile, floor: floor, ratio: ratio, delta: delta, misrank: misrank,
        leastExpected: least, trees: trees, leaves: leaves, learningRate: rate))
  }

  /// `none`, or a mapping.
  private mutating func misrank(_ node: YAMLNode) -> ExpectedValueDefinition.Misrank? {
    if case .scalar(let text, _) = node.content, text.text == "none" { return nil }
    guard case .mapping = node.content else {
      reader.report(
        node.location, "`misrank` is not a mapping", expected: "{actual: 0.99, expected: 0.9, min_rows: 200}, or none",
        found: node.description)
      return nil
    }
    guard let keys = reader.keys(of: node, in: "`misrank`", known: Self.misrankKeys) else { return nil }
    let usual = ExpectedValueDefinition.Misrank()
    guard let actual = number("actual", keys, .level, usual.actual),
      let expected = number("expected", keys, .level, usual.expected),
      let minRows = integer("min_rows", keys, 20...1_000_000, usual.minRows)
    else { return nil }
    return ExpectedValueDefinition.Misrank(actual: actual, expected: expected, minRows: minRows)
  }

  private mutating func onnx(_ keys: Keys) -> DetectorDefinition.Kind? {
    let model = keys.required("model", "model.onnx", &reader).flatMap {
      reader.text($0, what: "`model`", expected: "a path from the folder of the use case")
    }
    func text(_ key: String) -> String? {
      keys[key].flatMap { reader.text($0, what: "`\(key)`", expected: "a name")?.text }
    }
    let threads = integer("threads", keys, 1...256, 1)
    let threshold = number("threshold", keys, .finite, 0.5)
    let (provider, input, output) = (text("provider"), text("input"), text("output"))
    if let model, model.text.isEmpty || model.text.hasPrefix("/") || model.text.split(separator: "/").contains("..") {
      reader.report(
        model.location, "`model` is not a path inside the folder of the use case", expected: "such as model.onnx",
        found: excerpt(model.text))
      return nil
    }
    guard let model, let threads, let threshold else { return nil }
    return .onnx(
      ONNXDefinition(
        model: model, threads: threads, provider: provider ?? "cpu", input: input, output: output, threshold: threshold)
    )
  }

  /// `{rate: 0.001}` or `{per_entity_per_day: 2}`, with `tail: pareto` where counting is not enough.
  private mutating func budget(_ node: YAMLNode) -> FalseAlarmBudget? {
    guard let keys = reader.keys(of: node, in: "`budget`", known: Self.budgetKeys) else { return nil }
    let tail = keys["tail"].flatMap { reader.word($0, what: "`tail`", of: ["pareto"]) }
    switch (keys["rate"], keys["per_entity_per_day"]) {
    case (.some, nil):
      return number("rate", keys, .rare, 0).map { FalseAlarmBudget(.rate($0), fitsTail: tail != nil) }
    case (nil, .some):
      return number("per_entity_per_day", keys, .daily, 0).map {
        FalseAlarmBudget(.perEntityAndDay($0), fitsTail: tail != nil)
      }
    case (.some, .some):
      reader.report(
        keys.location(of: "per_entity_per_day"), "`budget` has both `rate` and `per_entity_per_day`",
        expected: "one of the two")
    case (nil, nil):
      reader.report(keys.location, "`budget` is empty", expected: "{rate: 0.001} or {per_entity_per_day: 2}")
    }
    return nil
  }

  // MARK: Training

  mutating func trainingDefinition(_ node: YAMLNode) -> TrainingDefinition {
    var training = TrainingDefinition()
    guard let keys = reader.keys(of: node, in: "`training`", known: Self.trainingKeys) else { return training }
    if let schedule = keys["schedule"].flatMap({ schedule($0) }) { training.schedule = schedule }
    if let history = keys["history"], let length = reader.duration(history, what: "`history`", positive: true) {
      let day = DurationText.day
      if length % day == 0 {
        training.history = length
      } else {
        reader.report(
          history.location, "history is kept by whole days", expected: "a duration such as 14d",
          found: history.description, suggestion: "\(length / day + 1)d")
      }
    }
    training.maxRows =
      integer("max_rows", keys, 1_000...Limits.maxTrainingRows, training.maxRows) ?? training.maxRows
    return training
  }

  /// `daily`, `every 3d` (or another length, with or without `every`) or `manual`.
  private mutating func schedule(_ node: YAMLNode) -> TrainingDefinition.Schedule? {
    let expected = "daily, every 3d or another length of event time, or manual"
    guard case .scalar(let text, _) = node.content else {
      reader.report(node.location, "`schedule` is not known", expected: expected, found: node.description)
      return nil
    }
    if text.text == "daily" { return .every(DurationText.day) }
    if text.text == "manual" { return .manual }
    let words = text.text.split(separator: " ")
    let length = words.count == 2 && words[0] == "every" ? words[1] : words.count == 1 ? words[0] : ""
    if let interval = DurationText.parse(String(length)), !length.isEmpty {
      if interval >= Limits.minTrainingInterval { return .every(interval) }
      reader.report(
        node.location, "`schedule` is too often", expected: "10m of event time or longer", found: node.description)
      return nil
    }
    reader.report(
      node.location, "`schedule` is not known", expected: expected, found: node.description,
      suggestion: nearest(to: text.text, among: ["daily", "manual"]))
    return nil
  }

  // MARK: Numbers

  /// What a number may be.
  private enum NumberRange {
    case finite, notNegative, positive
    /// 0 to 1 with both, without 0, and without both.
    case level, share, inside
    /// What false alarms may be: more than every tenth event, or one a minute, is no anomaly.
    case rare, daily

    func contains(_ value: Double) -> Bool {
      guard value.isFinite else { return false }
      return switch self {
      case .finite: true
      case .notNegative: value >= 0
      case .positive: value > 0
      case .level: value >= 0 && value <= 1
      case .share: value > 0 && value <= 1
      case .inside: value > 0 && value < 1
      case .rare: value > 0 && value <= Limits.maxAlarmRate
      case .daily: value > 0 && value <= 1_440
      }
    }

    var text: String {
      switch self {
      case .finite: "a number"
      case .notNegative: "a number, 0 or more"
      case .positive: "a number above 0"
      case .level: "a number from 0 to 1"
      case .share: "a number above 0, at most 1"
      case .inside: "a number above 0 and below 1"
      case .rare: "a number above 0, at most 0.1"
      case .daily: "a number above 0, at most 1440"
      }
    }
  }

  /// The number under a key, or the default when it is absent; nil when it is wrong, which is reported.
  private mutating func number(_ key: String, _ keys: Keys, _ range: NumberRange, _ usual: Double) -> Double? {
    guard let node = keys[key] else { return usual }
    if case .scalar(let text, let quoted) = node.content, !quoted, let value = Double(text.text),
      range.contains(value)
    {
      return value
    }
    reader.report(node.location, "`\(key)` is not in range", expected: range.text, found: node.description)
    return nil
  }

  private mutating func integer(_ key: String, _ keys: Keys, _ range: ClosedRange<Int>, _ usual: Int) -> Int? {
    guard let node = keys[key] else { return usual }
    return reader.integer(node, what: "`\(key)`", in: range)
  }
}
