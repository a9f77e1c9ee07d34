// `pulse.yaml`: where a use case runs. What runs is in `pipeline.yaml`. Every key can be set from the environment as
// `PULSE__SECTION__KEY`, which goes before the file; the command line goes before both. No secret is ever read from here.

public import Detection

/// Source, store, history and the knobs of a run.
public struct RuntimeConfiguration: Sendable, Hashable {
  /// Where events come from.
  public struct Source: Sendable, Hashable {
    public enum Kind: String, Sendable, Hashable, CaseIterable { case files, stdin, simulator }
    /// How files are written; `automatic` goes by the name of the file.
    public enum Format: String, Sendable, Hashable, CaseIterable { case automatic, ndjson, csv, parquet, arrow }
    /// By what the files that a pattern matches are ordered; `time` orders all files of the source together.
    public enum Order: String, Sendable, Hashable, CaseIterable { case name, natural, time }

    public var kind = Kind.files
    /// Files or globs in the order of reading; empty for other sources.
    public var paths: [String] = []
    /// Whether each path is a partition of its own, read side by side with the others.
    public var separate = false
    public var order = Order.natural
    public var format = Format.automatic
    /// What separates the cells of CSV; nil is a tab where a file's name ends in `.tsv`, else a comma.
    public var delimiter: CSVDelimiter?
    /// Whether the last file is read on as it grows.
    public var follow = false
    /// Without new events for so long the source ends, microseconds; nil waits for ever.
    public var idleTimeout: Int64?
    /// A name for standard input, by which a later run resumes.
    public var name: String?

    /// Files that are not named yet.
    public init() {}
  }

  /// Where results go.
  public struct Store: Sendable, Hashable {
    /// The data directory; the store is `pulse.sqlite` in it. Nil where it is not said.
    public var path: String?
  }

  /// How history shards are written.
  public struct History: Sendable, Hashable {
    public enum Codec: String, Sendable, Hashable, CaseIterable { case lz4, zstd, none }

    public var codec: Codec
    /// How long history is kept, microseconds by whole days, in place of what the use case says; nil leaves that.
    public var retain: Int64?
  }

  /// How much is logged.
  public enum LogLevel: String, Sendable, Hashable, CaseIterable {
    case trace, debug, info, notice, warning, error, critical
  }

  /// How many batches may be decoded at a time.
  public static let workerRange = 1...256
  /// The time between checkpoints, microseconds. A shorter one would only sync the disk: a commit takes some milliseconds.
  public static let checkpointIntervals: ClosedRange<Int64> = 10_000...3_600_000_000

  public var source = Source()
  public var store = Store(path: nil)
  public var history = History(codec: .lz4, retain: nil)
  /// Time between checkpoints, microseconds.
  public var checkpointInterval: Int64 = 1_000_000
  /// Batches decoded at a time; nil takes one per processor.
  public var workers: Int?
  /// Most events in a batch.
  public var batchSize = Limits.defaultBatchRows
  public var logLevel = LogLevel.info

  /// The defaults: everything embedded.
  public init() {}

  /// The configuration of the file at `path` (none: the defaults), changed by the variables of `environment` that begin
  /// with `PULSE__`.
  /// - Throws: `OperatingError` with everything that is wrong with the file; only when that is right, with the variables.
  public static func load(
    path: String?, environment: [String: String]
  ) throws(OperatingError) -> RuntimeConfiguration {
    var text: String?
    if let path {
      do throws(ConfigurationErrors) {
        text = try ConfigurationFile.read(path).get()
        _ = try load(text: text)
      } catch {
        let rendered = DiagnosticRenderer.render(error.diagnostics, path: path, source: text ?? "")
        throw OperatingError(.configuration, "\(path) is wrong\n\(rendered)")
      }
    }
    do throws(ConfigurationErrors) {
      return try load(text: text, environment: environment)
    } catch {
      throw OperatingError(
        .configuration, "the environment is wrong\n\(DiagnosticRenderer.renderWithoutPlaces(error.diagnostics))")
    }
  }

  /// The same from the text of a file, with the places of what is wrong; those of variables say nothing.
  public static func load(
    text: String?, environment: [String: String] = [:]
  ) throws(ConfigurationErrors) -> RuntimeConfiguration {
    var reader = RuntimeReader()
    if let text { reader.read(text) }
    reader.checkSource()
    guard reader.reader.diagnostics.isEmpty else { throw ConfigurationErrors(reader.reader.diagnostics) }
    reader.apply(environment)
    reader.checkSource()
    guard reader.reader.diagnostics.isEmpty else { throw ConfigurationErrors(reader.reader.diagnostics) }
    return reader.configuration
  }
}

/// Reads `pulse.yaml` and the environment.
private struct RuntimeReader {
  var reader = NodeReader()
  var configuration = RuntimeConfiguration()
  /// Where the values of `source` stand.
  private var places: [String: SourceLocation] = [:]

  /// The keys by section; a key without a section stands under "".
  private static let sections: [(name: String, keys: [String])] = [
    ("source", ["type", "paths", "separate", "order", "format", "csv_delimiter", "follow", "idle_timeout", "name"]),
    ("store", ["type", "path"]),
    ("history", ["codec", "retain"]), ("checkpoint", ["interval"]), ("log", ["level"]),
    ("", ["workers", "batch_size"]),
  ]
  /// What a later version brings, and what there is instead.
  private static let later = [
    "http": "a source of type files, stdin or simulator", "kafka": "a source of type files, stdin or simulator",
    "postgresql": "a store of type sqlite",
  ]
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
    if let instead = Self.later[key] {
      reader.report(entry.key.location, "`\(key)` is not available yet", expected: instead)
    } else if Self.sections.last?.keys.contains(key) == true {
      set("", key, entry.value)
    } else if let section = Self.sections.first(where: { $0.name == key }) {
      if case .null = entry.value.content { return }
      for member in reader.mapping(entry.value, what: "`\(key)`") ?? [] {
        if section.keys.contains(member.key.text) {
          set(section.name, member.key.text, member.value)
        } else {
          unknown(member.key, in: "`\(key)`", known: section.keys)
        }
      }
    } else {
      unknown(entry.key, in: "pulse.yaml", known: Self.topKeys)
    }
  }

  private static var topKeys: [String] { sections.map(\.name).filter { !$0.isEmpty } + (sections.last?.keys ?? []) }

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
    let names = Self.sections.flatMap { section in
      section.keys.map { (section.name, $0, Self.variable(section.name, $0)) }
    }
    let start = SourceLocation(line: 1, column: 1)
    if environment["PULSE__SOURCE__PATHS"] != nil, environment["PULSE__SOURCE__TYPE"] == nil {
      // Paths from the environment replace whatever source the file names.
      configuration.source.kind = .files
    }
    for (variable, value) in environment.sorted(by: { $0.key < $1.key }) where variable.hasPrefix(prefix) {
      let section = variable.dropFirst(prefix.count).prefix { $0 != "_" }.lowercased()
      if let (section, key, _) = names.first(where: { $0.2 == variable }) {
        let before = reader.diagnostics.count
        set(section, key, node(of: value, isList: key == "paths"))
        for index in before..<reader.diagnostics.count {
          reader.diagnostics[index].message = "\(variable): \(reader.diagnostics[index].message)"
        }
      } else if let instead = Self.later[section] {
        reader.report(start, "\(variable): `\(section)` is not available yet", expected: instead)
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
    "PULSE__" + (section.isEmpty ? "" : section.uppercased() + "__") + key.uppercased()
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
    if section == "source" { places[key] = node.location }
    let what = "`\(section.isEmpty ? key : "\(section).\(key)")`"
    switch (section, key) {
    case ("source", "type"):
      guard !refuseLater(node) else { return }
      if let kind = choice(node, what, RuntimeConfiguration.Source.Kind.self) { configuration.source.kind = kind }
    case ("source", "paths"):
      var nodes = [node]
      if case .sequence(let items) = node.content { nodes = items }
      configuration.source.paths = nodes.compactMap {
        reader.text($0, what: "a path", expected: "a file or glob")?.text
      }
    case ("source", "separate"):
      if let separate = reader.flag(node, what: what) { configuration.source.separate = separate }
    case ("source", "order"):
      if let order = choice(node, what, RuntimeConfiguration.Source.Order.self) { configuration.source.order = order }
    case ("source", "format"):
      if let format = choice(node, what, RuntimeConfiguration.Source.Format.self) {
        configuration.source.format = format
      }
    case ("source", "csv_delimiter"):
      if case .scalar(let text, _) = node.content, let delimiter = CSVDelimiter(text: text.text) {
        configuration.source.delimiter = delimiter
      } else {
        reader.report(node.location, "\(what) is not known", expected: "`,`, `;`, `|` or tab", found: node.description)
      }
    case ("source", "follow"):
      if let follow = reader.flag(node, what: what) { configuration.source.follow = follow }
    case ("source", "idle_timeout"):
      if let timeout = reader.duration(node, what: what, positive: true) { configuration.source.idleTimeout = timeout }
    case ("source", "name"):
      if let name = reader.text(node, what: what, expected: "a name")?.text { configuration.source.name = name }
    case ("store", "type"):
      guard !refuseLater(node) else { return }
      _ = reader.word(node, what: what, of: ["sqlite"])
    case ("store", "path"):
      if let path = reader.text(node, what: what, expected: "a directory")?.text, !path.isEmpty {
        configuration.store.path = path
      }
    case ("history", "codec"):
      if let codec = choice(node, what, RuntimeConfiguration.History.Codec.self) { configuration.history.codec = codec }
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
    case (_, "workers"):
      if let count = reader.integer(node, what: what, in: RuntimeConfiguration.workerRange) {
        configuration.workers = count
      }
    case (_, "batch_size"):
      if let rows = reader.integer(node, what: what, in: 1...Limits.maxBatchRows) { configuration.batchSize = rows }
    default: preconditionFailure("the key \(what) is listed but not read")
    }
  }

  /// Keys of the source that do not go together.
  mutating func checkSource() {
    let source = configuration.source
    func misplaced(_ key: String, _ kind: String) {
      reader.report(
        places[key] ?? SourceLocation(line: 1, column: 1), "`source.\(key)` does not apply to this source",
        expected: "a source of type \(kind)", found: source.kind.rawValue)
    }
    if !source.paths.isEmpty, source.kind != .files { misplaced("paths", "files") }
    if source.separate, source.kind != .files { misplaced("separate", "files") }
    if source.order != .natural, source.kind != .files { misplaced("order", "files") }
    if source.follow, source.kind != .files { misplaced("follow", "files") }
    if source.name != nil, source.kind != .stdin { misplaced("name", "stdin") }
  }

  /// Refuses a kind of source or store that a later version brings.
  private mutating func refuseLater(_ node: YAMLNode) -> Bool {
    guard case .scalar(let text, _) = node.content, let instead = Self.later[text.text] else { return false }
    reader.report(node.location, "`\(text.text)` is not available yet", expected: instead)
    return true
  }

  private mutating func choice<Choice: RawRepresentable<String> & CaseIterable>(
    _ node: YAMLNode, _ what: String, _ type: Choice.Type
  ) -> Choice? {
    reader.word(node, what: what, of: Choice.allCases.map(\.rawValue)).flatMap(Choice.init)
  }
}
