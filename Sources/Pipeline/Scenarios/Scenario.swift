// A scenario: given these events, these classes, anomalies, windows and dead letters. Scenario files are the
// specification of a use case; docs/use-cases.md describes their format.

import Configuration
internal import Detection
import Foundation
import Yams

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
    case scalar(Detection.Scalar)
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
    do {
      return try YAMLDocuments.roots(of: text).map { try Scenario($0, file: file) }
    } catch let refusal as YAMLRefusal {
      throw ScenarioError(refusal)
    }
  }

  private init(_ node: Node, file: String) throws {
    self.file = file
    let root = try node.members(allowed: ["name", "given", "expect"], in: "the scenario")
    guard let name = root["name"]?.string else { throw ScenarioError("`name` is missing", node) }
    self.name = name
    let given = try (root["given"] ?? Node([(Node, Node)]())).members(allowed: ["defaults", "events"], in: "`given`")
    let defaults = given["defaults"]
    var records: [[UInt8]] = []
    var bytes = 0
    for node in given["events"]?.array() ?? [] {
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
    let expect = try (root["expect"] ?? Node([(Node, Node)]())).members(
      allowed: ["classes", "anomalies", "windows", "dead_letters"], in: "`expect`")
    expectations = Expectations(
      classes: expect["classes"]?.array().map { $0.string ?? "" },
      anomalies: try expect["anomalies"].map(Self.list), windows: try expect["windows"].map(Self.list),
      deadLetters: try expect["dead_letters"].map(Self.list))
  }

  /// An event and how often it occurs: `{repeat: N, event: {…}}`, or the event alone.
  private static func repeated(_ node: Node) throws -> (event: Node, count: Int) {
    guard let mapping = node.mapping, mapping.count == 2, let event = mapping["event"], let times = mapping["repeat"]
    else { return (node, 1) }
    guard let count = times.int, (1...100_000).contains(count) else {
      throw ScenarioError("`repeat` must be a number from 1 to 100000", times)
    }
    return (event, count)
  }

  /// The bytes of an event: its fields over the defaults as a JSON object, or what `raw` says.
  private static func record(_ node: Node, defaults: Node?) throws -> [UInt8] {
    guard let mapping = node.mapping else { throw ScenarioError("an event must be a mapping of fields", node) }
    if let raw = mapping["raw"], mapping.count == 1 { return Array((raw.string ?? "").utf8) }
    var members: [(String, String)] = []
    for (key, value) in defaults?.mapping ?? [:] where mapping[key] == nil {
      members.append((key.string ?? "", try json(value)))
    }
    for (key, value) in mapping { members.append((key.string ?? "", try json(value))) }
    return Array(("{" + members.map { "\(JSONText.string($0.0)):\($0.1)" }.joined(separator: ",") + "}").utf8)
  }

  private static func json(_ node: Node) throws -> String {
    if let mapping = node.mapping {
      return "{" + (try mapping.map { "\(JSONText.string($0.string ?? "")):\(try json($1))" }).joined(separator: ",")
        + "}"
    }
    if let sequence = node.sequence { return "[" + (try sequence.map(json)).joined(separator: ",") + "]" }
    switch node.plainScalar {
    case .null, .timestamp: return "null"
    case .int(let value): return String(value)
    case .double(let value):
      guard value.isFinite else { throw ScenarioError("JSON has no number for \(value)", node) }
      return "\(value)"
    case .bool(let value): return value ? "true" : "false"
    case .string(let value): return JSONText.string(value)
    }
  }

  private static func list(_ node: Node) throws -> [[String: Expected]] {
    try node.array().map { element in
      guard case .map(let members) = try expected(element) else { throw ScenarioError("expected a mapping", element) }
      return members
    }
  }

  private static func expected(_ node: Node) throws -> Expected {
    if let sequence = node.sequence { return .list(try sequence.map(expected)) }
    guard let mapping = node.mapping else { return .scalar(node.plainScalar) }
    return .map(
      try mapping.reduce(into: [:]) { members, pair in members[pair.key.string ?? ""] = try expected(pair.value) })
  }
}

/// What is wrong with a scenario file.
struct ScenarioError: Error, CustomStringConvertible {
  let message: String

  var description: String { message }

  init(_ refusal: YAMLRefusal) {
    let place = "line \(refusal.location.line), column \(refusal.location.column): "
    message = place + refusal.message + (refusal.expected.map { "; expected \($0)" } ?? "")
  }

  init(_ message: String, _ node: Node) {
    self.message = (node.mark.map { "line \($0.line), column \($0.column): " } ?? "") + message
  }
}

extension Node {
  /// The members of a mapping whose keys must be known.
  fileprivate func members(allowed: [String], in place: String) throws -> [String: Node] {
    guard let mapping else { throw ScenarioError("\(place) must be a mapping", self) }
    var members: [String: Node] = [:]
    for (key, value) in mapping {
      let name = key.string ?? ""
      guard allowed.contains(name) else {
        let near = nearest(to: name, among: allowed).map { "; did you mean `\($0)`?" } ?? ""
        throw ScenarioError("\(place) knows no `\(name)`\(near)", key)
      }
      members[name] = value
    }
    return members
  }

  /// A scalar as YAML's core schema reads it; times stay text.
  fileprivate var plainScalar: Detection.Scalar {
    guard let scalar else { return .null }
    if scalar.style != .plain && scalar.style != .any { return .string(scalar.string) }
    if null != nil { return .null }
    if let int { return .int(Int64(int)) }
    if let bool { return .bool(bool) }
    if let float { return .double(float) }
    return .string(scalar.string)
  }
}
