// The `rules:` and `windows:` sections.

internal import Detection

extension UseCaseReader {
  static let ruleKeys = [
    "name", "severity", "when", "per", "within", "having", "cool_down", "reason", "over",
  ]
  /// Keys of all rules.
  static let sharedRuleKeys = ["name", "severity", "cool_down", "reason", "over"]
  /// What a rule over the recent events of an entity takes.
  private static let slidingKeys = ["per", "within", "having"]
  static let windowKeys = [
    "name", "type", "size", "every", "by", "allowed_lateness", "retain", "aggregates", "gap",
  ]

  mutating func ruleDefinitions(_ node: YAMLNode) -> [RuleDefinition] {
    (reader.list(node, what: "`rules`") ?? []).compactMap { rule($0) }
  }

  mutating func windowDefinitions(_ node: YAMLNode) -> [WindowDefinition] {
    var names: [String: Int] = [:]
    return (reader.list(node, what: "`windows`") ?? []).compactMap { window($0, &names) }
  }

  /// The `name` of a detector, rule or window, which no other may have.
  mutating func uniqueName(_ keys: Keys, what: String, among names: inout [String: Int]) -> String? {
    guard let node = keys.required("name", "a_name", &reader),
      let text = reader.text(node, what: "`name`", expected: "a name"), let name = reader.name(text, what: what)
    else { return nil }
    if let line = names[name] {
      reader.report(
        text.location, "the name `\(name)` is taken", expected: "a name of its own", found: "the first in line \(line)")
    }
    names[name] = names[name] ?? text.location.line
    return name
  }

  // MARK: Rules

  private mutating func rule(_ node: YAMLNode) -> RuleDefinition? {
    guard let keys = reader.keys(of: node, in: "the rule", known: Self.ruleKeys + Self.profileKeys) else { return nil }
    var taken = detectorNames
    let name = uniqueName(keys, what: "the rule", among: &taken)
    detectorNames = taken
    if keys["over"] != nil { unavailable("`over` in a rule", at: keys.location(of: "over")) }
    let severity = keys["severity"].flatMap {
      reader.word($0, what: "`severity`", of: Severity.allCases.map(\.rawValue))
    }
    let when = keys["when"].flatMap { reader.expression($0, what: "`when`") }
    let per = keys["per"].map { names($0, what: "`per`") } ?? []
    let within = keys["within"].flatMap { reader.duration($0, what: "`within`", positive: true) }
    let having = keys["having"].flatMap { reader.expression($0, what: "`having`") }
    let coolDown = keys["cool_down"].flatMap { reader.duration($0, what: "`cool_down`") }
    let reason = keys["reason"].flatMap { reader.expression($0, what: "`reason`") }
    let kinds = ProfileKind.all(in: keys)
    let profile = kinds.isEmpty ? nil : profile(kinds, keys)
    if kinds.isEmpty { checkKind(keys) } else if profile == nil { return nil }
    guard let name else { return nil }
    // What was refused or is missing has been said. So that it is not said again in other words, something right stands in
    // for it, and what makes an entity goes where nothing looks at entities.
    func standIn(_ key: String, _ text: String) -> LocatedText? { keys[key].map { LocatedText(text, at: $0.location) } }
    let isSliding = Self.isSliding(keys)
    return RuleDefinition(
      name: name, severity: severity.flatMap(Severity.init) ?? .medium, when: when ?? standIn("when", "TRUE"),
      per: isSliding || keys["cool_down"] != nil ? per : [],
      within: within ?? (isSliding && profile == nil ? 60_000_000 : nil),
      having: having ?? standIn("having", "count(*) > 0"), coolDown: coolDown, reason: reason, profile: profile,
      location: keys.location)
  }

  /// Whether a rule looks at the recent events of an entity, be it without all that this takes.
  private static func isSliding(_ keys: Keys) -> Bool {
    keys["within"] != nil || keys["having"] != nil || !ProfileKind.all(in: keys).isEmpty
  }

  /// A rule looks at single events, by `when`, or at the recent events of an entity, by `per`, `within` and `having`.
  private mutating func checkKind(_ keys: Keys) {
    for key in Self.profileKeys where keys[key] != nil {
      let owners = ProfileKind.all.filter { $0.optional.contains(key) || $0.required.contains(key) }.map {
        "`\($0.name)`"
      }
      reader.report(
        keys.location(of: key), "`\(key)` does not apply to this rule",
        expected: "a rule with \(owners.joined(separator: " or "))")
    }
    guard Self.isSliding(keys) else {
      if keys["when"] == nil, keys["over"] == nil {
        reader.report(
          keys.location, "the rule has no condition", expected: "`when`, or `per`, `within` and `having`, or both")
      } else if keys["per"] != nil, keys["cool_down"] == nil, keys["over"] == nil {
        reader.report(
          keys.location(of: "per"), "`per` has no effect in a rule over single events",
          expected: "`cool_down`, or `within` and `having`, along with it")
      }
      return
    }
    func list(_ keys: [String]) -> String { keys.map { "`\($0)`" }.joined(separator: " and ") }
    let (present, missing) = (
      Self.slidingKeys.filter { keys[$0] != nil }, Self.slidingKeys.filter { keys[$0] == nil }
    )
    if !missing.isEmpty {
      reader.report(
        keys.location, "the rule has no \(list(missing))", expected: "`per`, `within` and `having` together",
        found: "only \(list(present))")
    }
  }

  /// A name, or a list of them.
  mutating func names(_ node: YAMLNode, what: String) -> [LocatedText] {
    var nodes = [node]
    if case .sequence(let items) = node.content { nodes = items }
    var result: [LocatedText] = []
    for node in nodes {
      guard let text = reader.text(node, what: "an entry of \(what)", expected: "the name of a field or feature") else {
        continue
      }
      if result.contains(where: { $0.text == text.text }) {
        reader.report(text.location, "\(excerpt(text.text)) is in \(what) more than once")
      } else {
        result.append(text)
      }
    }
    return result
  }

  // MARK: Windows

  private mutating func window(_ node: YAMLNode, _ names: inout [String: Int]) -> WindowDefinition? {
    guard let keys = reader.keys(of: node, in: "the window", known: Self.windowKeys) else { return nil }
    let name = uniqueName(keys, what: "the window", among: &names)
    let typeNode = keys.required("type", "tumbling", &reader)
    let type = typeNode.flatMap { reader.word($0, what: "the window type", of: ["tumbling", "sliding", "session"]) }
    if type == "session", let typeNode {
      unavailable("a session window", at: typeNode.location)
      return nil
    }
    if keys["gap"] != nil {
      reader.report(keys.location(of: "gap"), "`gap` does not apply to this window", expected: "a session window")
    }
    let size = keys.required("size", "10m", &reader).flatMap { reader.duration($0, what: "`size`", positive: true) }
    var every: Int64?
    if type == "sliding" {
      every = keys.required("every", "1m", &reader).flatMap { reader.duration($0, what: "`every`", positive: true) }
    } else if keys["every"] != nil, type == "tumbling" {
      reader.report(
        keys.location(of: "every"), "`every` does not apply to a tumbling window", expected: "`type: sliding`")
    }
    let by = keys["by"].map { self.names($0, what: "`by`") } ?? []
    let lateness = keys["allowed_lateness"].flatMap { reader.duration($0, what: "`allowed_lateness`") }
    let retain = keys["retain"].flatMap { reader.duration($0, what: "`retain`", positive: true) }
    let aggregates = keys.required("aggregates", "{name: count(*)}", &reader).map { self.aggregates($0) } ?? []
    guard let name, let size, let type, let kind = WindowDefinition.Kind(rawValue: type),
      kind == .tumbling || every != nil
    else { return nil }
    return WindowDefinition(
      name: name, kind: kind, size: size, every: every, by: by, allowedLateness: lateness ?? 0, retain: retain,
      aggregates: aggregates, location: keys.location)
  }

  private mutating func aggregates(_ node: YAMLNode) -> [NamedExpression] {
    if case .mapping(let entries) = node.content, entries.isEmpty {
      reader.report(node.location, "`aggregates` is empty", expected: "at least one, such as `total: count(*)`")
    }
    return namedExpressions(node, what: "`aggregates`", each: "the aggregate")
  }
}
