// A scenario: given these events, these classes, anomalies, windows and dead letters. Scenario files are the
// specification of a use case; docs/use-cases.md describes their format.

import Configuration
internal import Detection
import Foundation

/// One scenario of a use case.
public struct Scenario: Sendable {
  /// Base name of the file, for messages.
  public let file: String
  public let name: String
  /// One JSON record (or deliberately broken bytes) per event.
  let records: [[UInt8]]
  let expectations: Expectations

  /// What a scenario states. A section that is absent is not checked; one that is present is complete, except `windows`,
  /// which lists those that matter.
  struct Expectations: Sendable {
    var classes: [String]?
    var anomalies: [[String: Expected]]?
    var windows: [[String: Expected]]?
    var deadLetters: [[String: Expected]]?
  }

  /// An expected value: a scalar, named values, or several in their order.
  enum Expected: Sendable, Hashable, CustomStringConvertible {
    case scalar(Scalar)
    case map([String: Expected])
    case list([Expected])

    var description: String {
      switch self {
      case .scalar(let scalar): scalar.plainText
      case .map(let members):
        "{" + members.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: ", ") + "}"
      case .list(let elements): "[" + elements.map(\.description).joined(separator: ", ") + "]"
      }
    }
  }

  /// Most events of a scenario, and most bytes of them: all are in memory at once.
  private static let maxEvents = 1_000_000
  private static let maxBytes = 256 << 20

  /// The scenarios of a use case, from the files `scenarios/*.yaml`, by file name.
  /// - Throws: `OperatingError` when one cannot be read.
  public static func load(from directory: String) throws -> [Scenario] {
    let folder = directory + "/scenarios"
    let files = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).filter { $0.hasSuffix(".yaml") }
    return try files.sorted().flatMap { file -> [Scenario] in
      let path = folder + "/" + file
      do { return try scenarios(in: try ConfigurationFile.read(path).get(), file: file) } catch {
        throw OperatingError(.configuration, "\(path): \(error)")
      }
    }
  }

  /// The scenarios of the text of a file.
  static func scenarios(in text: String, file: String) throws -> [Scenario] {
    var diagnostics: [Diagnostic] = []
    let documents = YAMLLoader.documents(in: text, diagnostics: &diagnostics)
    if let first = diagnostics.first { throw ScenarioError(first) }
    return try documents.map { try Scenario($0, file: file) }
  }

  private init(_ node: YAMLNode, file: String) throws {
    self.file = file
    let root = try node.members(allowed: ["name", "given", "expect"], in: "the scenario")
    guard let name = root["name"]?.text?.text else { throw ScenarioError("`name` is missing", node) }
    self.name = name
    let given = try root["given"]?.members(allowed: ["defaults", "events"], in: "`given`") ?? [:]
    let defaults = try given["defaults"]?.entries(in: "`defaults`") ?? []
    var records: [[UInt8]] = []
    var bytes = 0
    for node in try given["events"]?.items(in: "`events`") ?? [] {
      let (event, count) = try Self.repeated(node)
      let record = try Self.record(event, defaults: defaults)
      // Defaults and repetitions multiply what stands in the file.
      bytes += record.count * count
      guard records.count + count <= Self.maxEvents, bytes <= Self.maxBytes else {
        throw ScenarioError(
          "the scenario has more than \(Self.maxEvents) events or \(Self.maxBytes >> 20) MiB of them", node)
      }
      records += [[UInt8]](repeating: record, count: count)
    }
    self.records = records
    let expect =
      try root["expect"]?.members(allowed: ["classes", "anomalies", "windows", "dead_letters"], in: "`expect`") ?? [:]
    expectations = Expectations(
      classes: try expect["classes"]?.items(in: "`classes`").map { $0.text?.text ?? "" },
      anomalies: try expect["anomalies"].map { try Self.list($0, "`anomalies`") },
      windows: try expect["windows"].map { try Self.list($0, "`windows`") },
      deadLetters: try expect["dead_letters"].map { try Self.list($0, "`dead_letters`") })
  }

  /// An event and how often it occurs: `{repeat: N, event: {…}}`, or the event alone.
  private static func repeated(_ node: YAMLNode) throws -> (event: YAMLNode, count: Int) {
    guard case .mapping(let entries) = node.content, entries.count == 2,
      let event = entries.first(where: { $0.key.text == "event" })?.value,
      let times = entries.first(where: { $0.key.text == "repeat" })?.value
    else { return (node, 1) }
    guard case .int(let count) = times.scalar, (1...100_000).contains(count) else {
      throw ScenarioError("`repeat` must be a number from 1 to 100000", times)
    }
    return (event, Int(count))
  }

  /// The bytes of an event: its fields over the defaults as a JSON object, or what `raw` says.
  private static func record(_ node: YAMLNode, defaults: [YAMLEntry]) throws -> [UInt8] {
    guard case .mapping(let entries) = node.content else {
      throw ScenarioError("an event must be a mapping of fields", node)
    }
    if entries.count == 1, entries[0].key.text == "raw" { return Array((entries[0].value.text?.text ?? "").utf8) }
    let own = Set(entries.map(\.key.text))
    return Array(try object(defaults.filter { !own.contains($0.key.text) } + entries).utf8)
  }

  private static func object(_ entries: [YAMLEntry]) throws -> String {
    "{" + (try entries.map { "\(JSONText.string($0.key.text)):\(try json($0.value))" }).joined(separator: ",") + "}"
  }

  private static func json(_ node: YAMLNode) throws -> String {
    if case .mapping(let entries) = node.content { return try object(entries) }
    if case .sequence(let items) = node.content { return "[" + (try items.map(json)).joined(separator: ",") + "]" }
    switch node.scalar {
    case .null, .timestamp, nil: return "null"
    case .int(let value): return String(value)
    case .double(let value):
      guard value.isFinite else { throw ScenarioError("JSON has no number for \(value)", node) }
      return "\(value)"
    case .bool(let value): return value ? "true" : "false"
    case .string(let value): return JSONText.string(value)
    }
  }

  private static func list(_ node: YAMLNode, _ place: String) throws -> [[String: Expected]] {
    try node.items(in: place).map { element in
      guard case .map(let members) = expected(element) else { throw ScenarioError("expected a mapping", element) }
      return members
    }
  }

  private static func expected(_ node: YAMLNode) -> Expected {
    switch node.content {
    case .sequence(let items): .list(items.map(expected))
    case .mapping(let entries): .map(entries.reduce(into: [:]) { $0[$1.key.text] = expected($1.value) })
    case .null, .scalar: .scalar(node.scalar ?? .null)
    }
  }
}

/// What is wrong with a scenario file.
struct ScenarioError: Error, CustomStringConvertible {
  let message: String

  var description: String { message }

  init(_ diagnostic: Diagnostic) {
    self.init(diagnostic.message + (diagnostic.expected.map { "; expected \($0)" } ?? ""), diagnostic.location)
  }

  init(_ message: String, _ node: YAMLNode) { self.init(message, node.location) }

  init(_ message: String, _ location: SourceLocation) {
    self.message = "line \(location.line), column \(location.column): \(message)"
  }
}

extension YAMLNode {
  /// The members of a mapping whose keys must be known.
  fileprivate func members(allowed: [String], in place: String) throws -> [String: YAMLNode] {
    var members: [String: YAMLNode] = [:]
    for entry in try entries(in: place) {
      let name = entry.key.text
      guard allowed.contains(name) else {
        let near = nearest(to: name, among: allowed).map { "; did you mean `\($0)`?" } ?? ""
        throw ScenarioError("\(place) knows no `\(name)`\(near)", entry.key.location)
      }
      members[name] = entry.value
    }
    return members
  }

  /// The entries of a mapping; none where nothing is said.
  fileprivate func entries(in place: String) throws -> [YAMLEntry] {
    switch content {
    case .mapping(let entries): return entries
    case .null: return []
    case .scalar, .sequence: throw ScenarioError("\(place) must be a mapping", self)
    }
  }

  /// The items of a list; none where nothing is said.
  fileprivate func items(in place: String) throws -> [YAMLNode] {
    switch content {
    case .sequence(let items): return items
    case .null: return []
    case .scalar, .mapping: throw ScenarioError("\(place) must be a list", self)
    }
  }
}
