// Reads `pulse.yaml` and the variables of the environment by the catalogue of connectors.

internal import Detection

/// Reads `pulse.yaml` and the environment.
struct RuntimeReader {
  var reader = NodeReader()
  var configuration: RuntimeConfiguration
  private let catalog: ConnectorCatalog
  /// Where values of connectors stand, by section and the name of the setting.
  private var places: [String: [String: SourceLocation]] = [:]
  private let sections: [Section]

  /// A section of the file: one without a name has the keys beside the sections.
  private struct Section {
    var name: String
    /// Keys that mean the same whatever the connector.
    var keys: [String]
    var connectors: ConnectorSection?

    /// `type`, where there is something to choose, then those of the connectors.
    var all: [String] {
      keys + (connectors.map { ["type"] + $0.settings.compactMap(\.key) } ?? [])
    }
  }

  init(_ catalog: ConnectorCatalog) {
    self.catalog = catalog
    configuration = RuntimeConfiguration(catalog)
    sections =
      catalog.sections.map { Section(name: $0.name, keys: Self.own[$0.name] ?? [], connectors: $0) } + [
        Section(name: "checkpoint", keys: ["interval"]), Section(name: "log", keys: ["level"]),
        Section(name: "server", keys: ServerKeys.all), Section(name: "notifications", keys: []),
        Section(name: "", keys: ["memory", "workers", "batch_size"]),
      ]
  }

  private static let own = ["store": ["path"], "history": ["retain"]]
  /// Where a connector is chosen that was written as a section of its own; nil where there is none of this name.
  private func choice(of name: String) -> String? {
    guard let section = catalog.sections.first(where: { $0[name]?.isAvailable == true }) else { return nil }
    return "`\(section.name): {type: \(name), …}`"
  }

  /// What there is instead of a connector that a later version brings.
  private func later(_ name: String) -> String? {
    guard let section = catalog.sections.first(where: { $0[name]?.isAvailable == false }) else { return nil }
    return "a \(section.name) of type \(alternatives(section.available.map(\.name)))"
  }

  private static let secrets = ["password", "secret", "token", "credentials", "api_key"]

  // MARK: File

  mutating func read(_ text: String) {
    let hasContent = text.split(whereSeparator: \.isNewline).contains {
      let line = $0.drop { $0 == " " || $0 == "\t" }
      return !line.isEmpty && line.first != "#"
    }
    // A file of comments alone means the defaults.
    guard hasContent, let root = YAMLLoader.load(text, diagnostics: &reader.diagnostics) else { return }
    guard let entries = reader.mapping(root, what: "pulse.yaml") else { return }
    for entry in entries { read(entry) }
  }

  private mutating func read(_ entry: YAMLEntry) {
    let key = entry.key.text
    if let instead = later(key) {
      reader.report(entry.key.location, "`\(key)` is not available yet", expected: instead)
    } else if !topKeys.contains(key), let choice = choice(of: key) {
      reader.report(entry.key.location, "`\(key)` is no section of pulse.yaml", expected: choice)
    } else if sections.last?.keys.contains(key) == true {
      set("", key, entry.value)
    } else if let section = sections.first(where: { $0.name == key }) {
      if case .null = entry.value.content { return }
      if key == "server" { return readServer(entry.value) }
      if key == "notifications" {
        configuration.notifications = reader.notifications(entry.value)
        return
      }
      for member in reader.mapping(entry.value, what: "`\(key)`") ?? [] {
        if section.all.contains(member.key.text) {
          set(section.name, member.key.text, member.value)
        } else {
          unknown(member.key, in: "`\(key)`", known: section.all)
        }
      }
    } else {
      unknown(entry.key, in: "pulse.yaml", known: topKeys)
    }
  }

  /// The section `server`, or a part of it.
  /// - Parameter part: the keys that lead to it, with a point behind each.
  private mutating func readServer(_ node: YAMLNode, part: String = "") {
    let place = "`server\(part.isEmpty ? "" : "." + part.dropLast())`"
    for member in reader.mapping(node, what: place) ?? [] {
      let (key, known) = (part + member.key.text, ServerKeys.members(of: part))
      if !known.contains(member.key.text) {
        unknown(member.key, in: place, known: known)
      } else if ServerKeys.all.contains(key) {
        set("server", key, member.value)
      } else if case .null = member.value.content {
        continue
      } else {
        readServer(member.value, part: key + ".")
      }
    }
  }

  private var topKeys: [String] { sections.map(\.name).filter { !$0.isEmpty } + (sections.last?.keys ?? []) }

  private mutating func unknown(_ key: LocatedText, in place: String, known: [String]) {
    if Self.secrets.contains(key.text) {
      reader.report(
        key.location, "pulse.yaml holds no secrets", expected: "the environment or a file of its own",
        found: excerpt(key.text))
      return
    }
    let near = nearest(to: key.text, among: known)
    reader.report(
      key.location, "unknown key \(excerpt(key.text)) in \(place)",
      expected: near == nil ? "one of \(known.joined(separator: ", "))" : nil, suggestion: near)
  }

  // MARK: Environment

  mutating func apply(_ environment: [String: String]) {
    let prefix = "PULSE__"
    let names = sections.flatMap { section in
      section.all.map { (section.name, $0, Self.variable(section.name, $0)) }
    }
    let start = SourceLocation(line: 1, column: 1)
    for section in catalog.sections where environment[Self.variable(section.name, "type")] == nil {
      // Paths from the environment replace whatever source the file names.
      for connector in section.available {
        guard case .values(let name) = connector.argument,
          let key = connector.settings.first(where: { $0.name == name })?.key,
          environment[Self.variable(section.name, key)] != nil
        else { continue }
        configuration[keyPath: RuntimeConfiguration.connector(section.name)].type = connector.name
      }
    }
    for (variable, value) in environment.sorted(by: { $0.key < $1.key }) where variable.hasPrefix(prefix) {
      let section = variable.dropFirst(prefix.count).prefix { $0 != "_" }.lowercased()
      if let (section, key, _) = names.first(where: { $0.2 == variable }) {
        let before = reader.diagnostics.count
        set(section, key, node(of: value, isList: isList(key, in: section)))
        for index in before..<reader.diagnostics.count {
          reader.diagnostics[index].message = "\(variable): \(reader.diagnostics[index].message)"
        }
      } else if let instead = later(section) {
        reader.report(start, "\(variable): `\(section)` is not available yet", expected: instead)
      } else if !topKeys.contains(section), let choice = choice(of: section) {
        reader.report(start, "\(variable): `\(section)` is no section of pulse.yaml", expected: choice)
      } else {
        let known = names.map(\.2)
        let near = nearest(to: variable, among: known)
        reader.report(
          start, "unknown variable \(variable)",
          expected: near == nil ? "one of \(known.joined(separator: ", "))" : nil,
          suggestion: near)
      }
    }
  }

  private static func variable(_ section: String, _ key: String) -> String {
    "PULSE__" + (section.isEmpty ? "" : section.uppercased() + "__") + key.uppercased().replacing(".", with: "__")
  }

  private func isList(_ key: String, in section: String) -> Bool {
    if section == "server" { return ServerKeys.lists.contains(key) }
    switch catalog.sections.first(where: { $0.name == section })?.setting(of: key)?.kind {
    case .texts, .properties: return true
    default: return false
    }
  }

  /// A variable's value as a node; lists are separated by commas.
  private func node(of value: String, isList: Bool) -> YAMLNode {
    let start = SourceLocation(line: 1, column: 1)
    func scalar(_ text: String) -> YAMLNode {
      YAMLNode(content: .scalar(LocatedText(text, at: start), quoted: false), location: start)
    }
    guard isList else { return scalar(value) }
    let items = value.split(separator: ",").map { scalar(String($0)) }
    return YAMLNode(content: .sequence(items), location: start)
  }

  // MARK: Values

  private mutating func set(_ section: String, _ key: String, _ node: YAMLNode) {
    if case .null = node.content { return }
    let what = "`\(section.isEmpty ? key : "\(section).\(key)")`"
    if let connectors = catalog.sections.first(where: { $0.name == section }) {
      if key == "type" { return setType(of: connectors, what, node) }
      if let setting = connectors.setting(of: key) { return set(setting, of: connectors, what, node) }
    }
    switch (section, key) {
    case ("server", _): reader.set(key, of: &configuration.server, what, node)
    case ("store", "path"):
      if let path = reader.text(node, what: what, expected: "a directory")?.text, !path.isEmpty {
        configuration.store.path = path
      }
    case ("history", "retain"):
      if let length = reader.duration(node, what: what, positive: true) {
        if length % 86_400_000_000 == 0 {
          configuration.history.retain = length
        } else {
          reader.report(
            node.location, "history is kept by whole days", expected: "a duration such as 30d", found: node.description)
        }
      }
    case ("checkpoint", "interval"):
      guard let interval = reader.duration(node, what: what, positive: true) else { return }
      configuration.checkpointInterval = interval
      let range = RuntimeConfiguration.checkpointIntervals
      if !range.contains(interval) {
        reader.report(
          node.location, "\(what) is too \(interval < range.lowerBound ? "short" : "long")", expected: "10ms to 1h",
          found: node.description)
      }
    case ("log", "level"):
      if let level = choice(node, what, RuntimeConfiguration.LogLevel.self) { configuration.logLevel = level }
    case (_, "memory"):
      if let bytes = reader.size(node, what: what, in: RuntimeConfiguration.memoryRange) {
        configuration.memory = bytes
      }
    case (_, "workers"):
      if let count = reader.integer(node, what: what, in: RuntimeConfiguration.workerRange) {
        configuration.workers = count
      }
    case (_, "batch_size"):
      if let rows = reader.integer(node, what: what, in: 1...Limits.maxBatchRows) { configuration.batchSize = rows }
    default: preconditionFailure("the key \(what) is listed but not read")
    }
  }

  private mutating func setType(of section: ConnectorSection, _ what: String, _ node: YAMLNode) {
    if case .scalar(let text, _) = node.content, let instead = later(text.text) {
      return reader.report(node.location, "`\(text.text)` is not available yet", expected: instead)
    }
    if let type = reader.word(node, what: what, of: section.available.map(\.name)) {
      configuration[keyPath: RuntimeConfiguration.connector(section.name)].type = type
    }
  }

  private mutating func set(_ setting: Setting, of section: ConnectorSection, _ what: String, _ node: YAMLNode) {
    places[section.name, default: [:]][setting.name] = node.location
    guard let value = reader.value(of: setting, in: section, what, node) else { return }
    configuration[keyPath: RuntimeConfiguration.connector(section.name)].set(setting, to: value)
  }

  /// Settings that the connector which is chosen does not have.
  mutating func checkConnectors() {
    for section in catalog.sections {
      let settings = configuration[keyPath: RuntimeConfiguration.connector(section.name)]
      for setting in section.settings where settings.values[setting.name] != nil {
        let owners = section.owners(of: setting.name)
        guard !owners.contains(where: { $0.name == settings.type }) else { continue }
        reader.report(
          places[section.name]?[setting.name] ?? SourceLocation(line: 1, column: 1),
          "`\(section.name).\(setting.key ?? setting.name)` does not apply to this \(section.name)",
          expected: "a \(section.name) of type \(alternatives(owners.map(\.name)))", found: settings.type)
      }
    }
  }

  private mutating func choice<Choice: RawRepresentable<String> & CaseIterable>(
    _ node: YAMLNode, _ what: String, _ type: Choice.Type
  ) -> Choice? {
    reader.word(node, what: what, of: Choice.allCases.map(\.rawValue)).flatMap(Choice.init)
  }
}

extension ConnectorSection {
  /// The setting of a key.
  fileprivate func setting(of key: String) -> Setting? { settings.first { $0.key == key } }
}

extension NodeReader {
  /// The value of a setting.
  fileprivate mutating func value(
    of setting: Setting, in section: ConnectorSection, _ what: String, _ node: YAMLNode
  ) -> SettingValue? {
    guard let value = uncheckedValue(of: setting, what, node) else { return nil }
    guard let problem = section.problem(setting, value) else { return value }
    report(node.location, "\(what) cannot be used: \(problem)")
    return nil
  }

  private mutating func uncheckedValue(of setting: Setting, _ what: String, _ node: YAMLNode) -> SettingValue? {
    switch setting.kind {
    case .text(let expected), .name(let expected):
      return text(node, what: what, expected: expected).map { .text($0.text) }
    case .texts(let expected):
      var nodes = [node]
      if case .sequence(let items) = node.content { nodes = items }
      return .texts(nodes.compactMap { text($0, what: "one of \(what)", expected: expected)?.text })
    case .properties(let expected):
      if case .sequence(let items) = node.content {
        return .texts(items.compactMap { text($0, what: "one of \(what)", expected: expected)?.text })
      }
      let members = mapping(node, what: what) ?? []
      return .texts(
        members.compactMap { member in
          text(member.value, what: "`\(member.key.text)` of \(what)", expected: expected).map {
            "\(member.key.text)=\($0.text)"
          }
        })
    case .word(let words): return word(node, what: what, of: words).map { .text($0) }
    case .form(let expected, let fits):
      if case .scalar(let text, _) = node.content, fits(text.text) { return .text(text.text) }
      report(node.location, "\(what) is not known", expected: expected, found: node.description)
      return nil
    case .flag: return flag(node, what: what).map { .flag($0) }
    case .duration: return duration(node, what: what, positive: true).map { .duration($0) }
    case .integer(let range): return integer(node, what: what, in: range).map { .integer($0) }
    case .number(let range, let orZero, let unit):
      if case .scalar(let text, _) = node.content, let number = Double(text.text),
        range.contains(number) || (orZero && number == 0)
      {
        return .number(number)
      }
      report(
        node.location, "\(what) is not in range",
        expected: "\(range.lowerBound) to \(range.upperBound) \(unit)\(orZero ? ", or 0" : "")", found: node.description
      )
      return nil
    }
  }
}
