// Rules that remember something of each entity: `streak`, `new`, `unusual_hour`, `first` with `then`, and `travel`.

internal import Detection

/// A kind of rule with a profile, known by a key that no other kind has.
struct ProfileKind {
  let name: String
  /// The keys it must have, beside its own.
  let required: [String]
  let optional: [String]

  static let all = [
    ProfileKind(name: "streak", required: ["when", "until", "per", "within"], optional: []),
    ProfileKind(name: "new", required: ["per"], optional: ["when", "remember", "expire", "learn", "learn_for"]),
    ProfileKind(
      name: "unusual_hour", required: ["per"],
      optional: ["when", "share", "half_life", "until_learned", "learn", "learn_for"]),
    ProfileKind(name: "first", required: ["then", "per", "within"], optional: ["without"]),
    ProfileKind(name: "travel", required: ["per", "within"], optional: ["when", "max_speed", "min_distance"]),
  ]

  /// The kinds whose keys a rule has.
  static func all(in keys: Keys) -> [ProfileKind] { all.filter { keys[$0.name] != nil } }
}

extension UseCaseReader {
  /// Keys that only rules with a profile have.
  static let profileKeys = [
    "streak", "until", "new", "remember", "expire", "learn", "learn_for", "unusual_hour", "share", "half_life",
    "until_learned", "first", "then", "without", "travel", "max_speed", "min_distance",
  ]

  /// What a rule remembers; nil where that cannot be read, which is reported.
  mutating func profile(_ kinds: [ProfileKind], _ keys: Keys) -> ProfileDefinition? {
    guard let kind = kinds.first, kinds.count == 1 else {
      let kinds = kinds.sorted { keys.location(of: $0.name) < keys.location(of: $1.name) }
      let names = kinds.map { "`\($0.name)`" }
      reader.report(
        keys.location(of: kinds[1].name), "\(names.joined(separator: " and ")) in one rule",
        expected: "a rule for each of them")
      return nil
    }
    var isWhole = true
    let known = Self.sharedRuleKeys + [kind.name] + kind.required + kind.optional
    for key in (Self.ruleKeys + Self.profileKeys) where keys[key] != nil && !known.contains(key) {
      reader.report(
        keys.location(of: key), "`\(key)` does not apply to a rule with `\(kind.name)`",
        expected: "one of \((kind.required + kind.optional).joined(separator: ", "))")
      isWhole = false
    }
    let missing = kind.required.filter { keys[$0] == nil }
    if !missing.isEmpty {
      reader.report(
        keys.location, "the rule with `\(kind.name)` has no \(missing.map { "`\($0)`" }.joined(separator: " and "))",
        expected: "\(kind.required.map { "`\($0)`" }.joined(separator: ", ")) along with it")
      isWhole = false
    }
    let before = reader.diagnostics.count
    let profile = profile(kind, keys)
    return isWhole && reader.diagnostics.count == before ? profile : nil
  }

  private mutating func profile(_ kind: ProfileKind, _ keys: Keys) -> ProfileDefinition? {
    func expression(_ key: String, _ reader: inout NodeReader) -> LocatedText? {
      keys[key].flatMap { reader.expression($0, what: "`\(key)`") }
    }
    switch kind.name {
    case "streak":
      let length = reader.integer("streak", keys, 2...Limits.maxStreak, 2)
      guard let length, let until = expression("until", &reader) else { return nil }
      return .streak(length: length, until: until)
    case "new":
      let remember = reader.integer(
        "remember", keys, 1...Limits.maxRememberedValues, ProfileDefinition.defaultRemember)
      let expire = span("expire", keys, ProfileDefinition.defaultExpire)
      let learning = learning(keys, ProfileDefinition.newValueLearning)
      guard let value = expression("new", &reader), let remember, let expire, let learning else { return nil }
      return .newValue(of: value, remember: remember, expire: expire, learning: learning)
    case "unusual_hour":
      let share = reader.number("share", keys, .inside, ProfileDefinition.defaultShare)
      let halfLife = span("half_life", keys, ProfileDefinition.defaultHalfLife)
      let learning = learning(keys, ProfileDefinition.hourLearning)
      let untilLearned = expression("until_learned", &reader)
      guard let time = expression("unusual_hour", &reader), let share, let halfLife, let learning else { return nil }
      return .unusualHour(
        of: time, share: share, halfLife: halfLife, untilLearned: untilLearned, learning: learning)
    case "first":
      let without = expression("without", &reader)
      guard let first = expression("first", &reader), let then = expression("then", &reader) else { return nil }
      return .sequence(first: first, then: then, without: without)
    default: return travel(keys)
    }
  }

  private mutating func travel(_ keys: Keys) -> ProfileDefinition? {
    let speed = reader.number("max_speed", keys, .positive, ProfileDefinition.defaultSpeed)
    let distance = reader.number("min_distance", keys, .notNegative, ProfileDefinition.defaultDistance)
    guard let node = keys["travel"] else { return nil }
    guard case .sequence(let items) = node.content, items.count == 2 else {
      reader.report(
        node.location, "`travel` is not a place", expected: "[latitude, longitude], each an expression in degrees",
        found: node.description)
      return nil
    }
    let places = items.map { reader.expression($0, what: "an entry of `travel`") }
    guard let latitude = places[0], let longitude = places[1], let speed, let distance else { return nil }
    return .travel(latitude: latitude, longitude: longitude, speed: speed, distance: distance)
  }

  private mutating func span(_ key: String, _ keys: Keys, _ usual: Int64) -> Int64? {
    guard let node = keys[key] else { return usual }
    return reader.duration(node, what: "`\(key)`", positive: true)
  }

  private mutating func learning(_ keys: Keys, _ usual: LearningDefinition) -> LearningDefinition? {
    let count = reader.integer("learn", keys, 1...1_000_000, usual.count)
    let time = keys["learn_for"].map { reader.duration($0, what: "`learn_for`") } ?? usual.time
    guard let count, let time else { return nil }
    return LearningDefinition(count: count, time: time)
  }
}
