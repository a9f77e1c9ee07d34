// The `dashboard:` section of `pipeline.yaml`.

import Detection

extension UseCaseReader {
  static let dashboardKeys = [
    "description", "entity", "event", "people", "window", "figures", "critical", "problems", "labels", "units",
    "detectors", "like", "same",
  ]
  private static let figureKeys = ["name", "label", "unit", "about", "share", "sum", "of", "mean", "count"]
  private static let criticalKeys = ["severe", "severe_live", "factor", "problem_share", "problem_count"]

  mutating func dashboardDefinition(_ node: YAMLNode, for useCase: UseCase) -> DashboardDefinition? {
    guard let keys = reader.keys(of: node, in: "`dashboard`", known: Self.dashboardKeys) else { return nil }
    var dashboard = DashboardDefinition(for: useCase)
    if let node = keys["entity"] { dashboard.entity = noun(node, "`entity`") ?? dashboard.entity }
    if let node = keys["event"] { dashboard.event = noun(node, "`event`") ?? dashboard.event }
    if let node = keys["problems"] {
      dashboard.problems = reader.text(node, what: "`problems`", expected: "some words")?.text
    }
    let classes = useCase.classification?.classes ?? []
    dashboard.labels = words(keys["labels"], "`labels`", of: classes, "a class")
    let fields = useCase.event.schema.fields.map(\.name)
    dashboard.units = words(keys["units"], "`units`", of: fields + useCase.features.map(\.name), "a field or feature")
    if let node = keys["description"] {
      dashboard.description = reader.text(node, what: "`description`", expected: "a sentence")?.text
    }
    if let node = keys["people"] {
      dashboard.people = (reader.list(node, what: "`people`") ?? []).compactMap { person($0, fields) }
    }
    dashboard.like = field(keys["like"], "`like`", fields)
    dashboard.same = field(keys["same"], "`same`", fields)
    if let node = keys["detectors"] {
      let names = useCase.detectors.map(\.name) + useCase.rules.map(\.name)
      dashboard.detectors = detectorTexts(node, names)
    }
    if let node = keys["window"] { dashboard.window = window(node, of: useCase) }
    if let node = keys["critical"] { dashboard.critical = critical(node) ?? dashboard.critical }
    if let node = keys["figures"], let items = reader.list(node, what: "`figures`") {
      let aggregates = useCase.windows.first { $0.name == dashboard.window }?.aggregates.map(\.name) ?? []
      var names: [String: Int] = [:]
      dashboard.figures = items.compactMap { figure($0, classes: classes, aggregates: aggregates, &names) }
    }
    return dashboard
  }

  private mutating func noun(_ node: YAMLNode, _ what: String) -> DashboardDefinition.Noun? {
    guard let keys = reader.keys(of: node, in: what, known: ["one", "many"]) else { return nil }
    let one = keys.required("one", "query", &reader).flatMap { reader.text($0, what: "`one`", expected: "a noun") }
    let many = keys.required("many", "queries", &reader).flatMap { reader.text($0, what: "`many`", expected: "a noun") }
    guard let one, let many else { return nil }
    return DashboardDefinition.Noun(one: one.text, many: many.text)
  }

  private mutating func person(_ node: YAMLNode, _ fields: [String]) -> DashboardDefinition.Person? {
    guard let keys = reader.keys(of: node, in: "`people`", known: ["field", "one"]) else { return nil }
    let field = keys.required("field", "user_id", &reader).flatMap {
      reader.text($0, what: "`field`", expected: "the name of a field")
    }
    let one = keys.required("one", "user", &reader).flatMap { reader.text($0, what: "`one`", expected: "a noun") }
    guard let field, let one, check(field, in: "`people`", among: fields, "a field") else { return nil }
    return DashboardDefinition.Person(field: field.text, one: one.text)
  }

  private mutating func field(_ node: YAMLNode?, _ what: String, _ fields: [String]) -> String? {
    guard let node, let name = reader.text(node, what: what, expected: "the name of a field"),
      check(name, in: what, among: fields, "a field")
    else { return nil }
    return name.text
  }

  private mutating func detectorTexts(
    _ node: YAMLNode, _ names: [String]
  ) -> [String: DashboardDefinition.DetectorText] {
    var texts: [String: DashboardDefinition.DetectorText] = [:]
    for entry in reader.mapping(node, what: "`detectors`") ?? [] {
      guard check(entry.key, in: "`detectors`", among: names, "a detector or rule"),
        let keys = reader.keys(
          of: entry.value, in: "the detector \(excerpt(entry.key.text))", known: ["label", "description"])
      else { continue }
      texts[entry.key.text] = DashboardDefinition.DetectorText(
        label: keys["label"].flatMap { reader.text($0, what: "`label`", expected: "some words") }?.text,
        description: keys["description"].flatMap { reader.text($0, what: "`description`", expected: "a sentence") }?
          .text)
    }
    return texts
  }

  /// Texts by names that must be known.
  private mutating func words(
    _ node: YAMLNode?, _ what: String, of known: [String], _ kind: String
  ) -> [String: String] {
    var words: [String: String] = [:]
    for entry in node.flatMap({ reader.mapping($0, what: what) }) ?? [] {
      let name = entry.key
      if check(name, in: what, among: known, kind),
        let text = reader.text(entry.value, what: "the text of \(excerpt(name.text))", expected: "a word")
      {
        words[name.text] = text.text
      }
    }
    return words
  }

  private mutating func check(_ name: LocatedText, in what: String, among known: [String], _ kind: String) -> Bool {
    if known.contains(name.text) || unclear.contains(name.text) { return true }
    reader.report(
      name.location, "unknown name \(excerpt(name.text)) in \(what)", expected: kind, found: excerpt(name.text),
      suggestion: nearest(to: name.text, among: known))
    return false
  }

  private mutating func window(_ node: YAMLNode, of useCase: UseCase) -> String? {
    guard let name = reader.text(node, what: "`window`", expected: "the name of a window"),
      check(name, in: "`dashboard`", among: useCase.windows.map(\.name), "a window"),
      let window = useCase.windows.first(where: { $0.name == name.text })
    else { return nil }
    let schema = useCase.event.schema
    let key = schema.keyField.map { schema.fields[$0].name }
    guard window.kind == .tumbling, key == nil || window.by.map(\.text) == [key] else {
      reader.report(
        name.location, "the window \(excerpt(name.text)) cannot be shown by entity",
        expected: "a tumbling window with `by: [\(key ?? "")]`")
      return nil
    }
    return name.text
  }

  private mutating func critical(_ node: YAMLNode) -> DashboardDefinition.Critical? {
    guard let keys = reader.keys(of: node, in: "`critical`", known: Self.criticalKeys) else { return nil }
    var critical = DashboardDefinition.Critical()
    critical.severe = reader.integer("severe", keys, 1...1_000_000, critical.severe) ?? critical.severe
    critical.severeLive = reader.integer("severe_live", keys, 1...1_000_000, critical.severeLive) ?? critical.severeLive
    critical.factor = reader.number("factor", keys, .positive, critical.factor) ?? critical.factor
    if keys["problem_share"] != nil { critical.problemShare = reader.number("problem_share", keys, .level, 1) }
    if keys["problem_count"] != nil {
      critical.problemCount = reader.integer("problem_count", keys, 1...1_000_000_000, 1)
    }
    return critical
  }

  private mutating func figure(
    _ node: YAMLNode, classes: [String], aggregates: [String], _ names: inout [String: Int]
  ) -> DashboardDefinition.Figure? {
    guard let keys = reader.keys(of: node, in: "the figure", known: Self.figureKeys) else { return nil }
    let name = uniqueName(keys, what: "the figure", among: &names)
    let label = keys.required("label", "What people read", &reader).flatMap {
      reader.text($0, what: "`label`", expected: "some words")
    }
    let unit = keys["unit"].flatMap { reader.text($0, what: "`unit`", expected: "a unit") }
    let about = keys["about"].flatMap { reader.text($0, what: "`about`", expected: "some words") }
    guard let kind = figureKind(keys, classes: classes, aggregates: aggregates), let name, let label else { return nil }
    return DashboardDefinition.Figure(
      name: name, label: label.text, kind: kind, unit: unit?.text, about: about?.text)
  }

  private mutating func figureKind(
    _ keys: Keys, classes: [String], aggregates: [String]
  ) -> DashboardDefinition.Figure.Kind? {
    let kinds = ["share", "sum", "mean", "count"].filter { keys[$0] != nil }
    guard kinds.count == 1, let node = keys[kinds[0]] else {
      reader.report(
        keys.location, "a figure is one thing", expected: "one of share, sum, mean and count",
        found: kinds.isEmpty ? "none" : kinds.joined(separator: ", "))
      return nil
    }
    if kinds[0] == "count" {
      let word = reader.word(node, what: "`count`", of: ["events", "anomalies"])
      return word.map { $0 == "events" ? .events : .anomalies }
    }
    guard let name = reader.text(node, what: "`\(kinds[0])`", expected: "a name") else { return nil }
    if kinds[0] == "share" {
      return check(name, in: "`share`", among: classes, "a class") ? .share(ofClass: name.text) : nil
    }
    guard check(name, in: "`\(kinds[0])`", among: aggregates, "an aggregate of the window") else { return nil }
    if kinds[0] == "mean" { return .mean(name.text) }
    guard let whole = keys["of"] else { return .sum(name.text) }
    var parts: [String] = []
    for item in reader.list(whole, what: "`of`") ?? [] {
      guard let part = reader.text(item, what: "a part of `of`", expected: "a name"),
        check(part, in: "`of`", among: aggregates, "an aggregate of the window")
      else { return nil }
      parts.append(part.text)
    }
    return .ratio(name.text, of: parts)
  }
}
