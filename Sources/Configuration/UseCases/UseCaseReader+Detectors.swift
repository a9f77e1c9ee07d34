// The `detectors:` and `training:` sections, and fitted features.

internal import Detection

extension UseCaseReader {
  static let encoderKeys = ["encoder", "of", "rare_below", "common_from", "lower", "upper"]
  static let detectorKeys = ["name", "type", "features", "when", "train_when", "severity", "budget"]
  static let budgetKeys = ["rate", "per_entity_per_day", "tail"]
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
      let rare = reader.number("rare_below", keys, .positive, EncoderKind.defaultRareBelow)
      let common = reader.number("common_from", keys, .positive, EncoderKind.defaultCommonFrom)
      guard let rare, let common, order(rare, common, "rare_below", "common_from", strictly: false) else { return nil }
      return .frequencyBucket(rareBelow: rare, commonFrom: common)
    default:
      let lower = reader.number("lower", keys, .level, EncoderKind.defaultLower)
      let upper = reader.number("upper", keys, .level, EncoderKind.defaultUpper)
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
      let types = catalog.learned.map { $0.descriptor.type }.joined(separator: ", ")
      reader.report(node.location, "the detector has no `type`", expected: "`type`, one of \(types)")
      return nil
    }
    guard let type = detectorType(typeNode) else { return nil }
    let descriptor = type.descriptor
    let shared = Self.detectorKeys.filter { ["name", "type"].contains($0) || descriptor.has($0) }
    let own = descriptor.parameters.filter { $0.form != .shared }
    guard
      let keys = reader.keys(
        of: node, in: "the detector of type \(descriptor.type)", known: shared + own.map(\.name))
    else { return nil }
    var taken = detectorNames
    let name = uniqueName(keys, what: "the detector", among: &taken)
    detectorNames = taken
    let values = reader.values(of: own, keys)
    let parameters = type.init(values) { reader.diagnostics.append($0) }
    let features = keys.required("features", "[…]", &reader).map { inputs($0) } ?? []
    let when = keys["when"].flatMap { reader.expression($0, what: "`when`") }
    let trainWhen =
      descriptor.has("train_when") ? keys["train_when"].flatMap { reader.expression($0, what: "`train_when`") } : nil
    let severity = keys["severity"].flatMap {
      reader.word($0, what: "`severity`", of: Severity.allCases.map(\.rawValue))
    }
    let budget = descriptor.has("budget") ? keys["budget"].flatMap { self.budget($0) } : nil
    guard let name, let parameters, !features.isEmpty else { return nil }
    return DetectorDefinition(
      name: name, parameters: parameters, features: features, when: when, trainWhen: trainWhen,
      severity: severity.flatMap(Severity.init) ?? .medium, budget: budget, location: keys.location)
  }

  /// A type that `detectors` can hold and that this version can run.
  private mutating func detectorType(_ node: YAMLNode) -> (any DetectorParameters.Type)? {
    let names = catalog.learned.map { $0.descriptor.type }
    guard let name = reader.word(node, what: "the detector type", of: names),
      let type = catalog.learned.first(where: { $0.descriptor.type == name })
    else { return nil }
    if let problem = type.descriptor.unavailability {
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

  /// `{rate: 0.001}` or `{per_entity_per_day: 2}`, with `tail: pareto` where counting is not enough.
  private mutating func budget(_ node: YAMLNode) -> FalseAlarmBudget? {
    guard let keys = reader.keys(of: node, in: "`budget`", known: Self.budgetKeys) else { return nil }
    let tail = keys["tail"].flatMap { reader.word($0, what: "`tail`", of: ["pareto"]) }
    switch (keys["rate"], keys["per_entity_per_day"]) {
    case (.some, nil):
      return reader.number("rate", keys, .rare, 0).map { FalseAlarmBudget(.rate($0), fitsTail: tail != nil) }
    case (nil, .some):
      return reader.number("per_entity_per_day", keys, .daily, 0).map {
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
      reader.integer("max_rows", keys, 1_000...Limits.maxTrainingRows, training.maxRows) ?? training.maxRows
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
}
