// What deploy/ holds: rules and dashboards, with the metrics that their expressions name.

import Configuration
import Detection
import Foundation
import Testing

/// Files under deploy/.
enum Deployment {
  static let folder = PulseCommand.package + "/deploy"

  /// A rule of Prometheus.
  struct Rule {
    var record: String?
    var alert: String?
    var expression: String
    var runbook: String?
  }

  static func text(_ path: String) throws -> String { try String(contentsOfFile: "\(folder)/\(path)", encoding: .utf8) }

  /// Files of a folder with an ending, by name.
  static func files(_ path: String, _ ending: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: "\(folder)/\(path)").filter { $0.hasSuffix(ending) }.sorted()
      .map { "\(path)/\($0)" }
  }

  /// All mappings within a YAML file, by key.
  static func mappings(_ path: String) throws -> [[String: YAMLNode]] {
    var diagnostics: [Diagnostic] = []
    let root = try #require(YAMLLoader.load(try text(path), diagnostics: &diagnostics), "\(path): \(diagnostics)")
    var found: [[String: YAMLNode]] = []
    func visit(_ node: YAMLNode) {
      switch node.content {
      case .mapping(let entries):
        found.append(Dictionary(entries.map { ($0.key.text, $0.value) }, uniquingKeysWith: { $1 }))
        for entry in entries { visit(entry.value) }
      case .sequence(let items): items.forEach(visit)
      case .null, .scalar: break
      }
    }
    visit(root)
    return found
  }

  static func rules() throws -> [Rule] {
    try files("prometheus/rules", ".yml").flatMap { try mappings($0) }.compactMap { keys in
      guard let expression = keys["expr"]?.text?.text else { return nil }
      var runbook: String?
      if case .mapping(let entries)? = keys["annotations"]?.content {
        runbook = entries.first { $0.key.text == "runbook" }?.value.text?.text
      }
      return Rule(
        record: keys["record"]?.text?.text, alert: keys["alert"]?.text?.text, expression: expression, runbook: runbook)
    }
  }

  /// Dashboards of Grafana, by path.
  static func dashboards() throws -> [String: [String: Any]] {
    try Dictionary(
      uniqueKeysWithValues: files("grafana/dashboards", ".json").map { path in
        let object = try JSONSerialization.jsonObject(with: Data(try text(path).utf8))
        return (path, try #require(object as? [String: Any], "\(path)"))
      })
  }

  /// The expressions in a dashboard: of its panels, and of its variables.
  static func expressions(_ value: Any) -> [String] {
    switch value {
    case let object as [String: Any]:
      return object.flatMap { key, value in
        if ["expr", "query"].contains(key), let text = value as? String { return [text] }
        return expressions(value)
      }
    case let array as [Any]: return array.flatMap { expressions($0) }
    default: return []
    }
  }

  /// The metrics that an expression of PromQL names, recorded ones among them.
  static func metrics(_ expression: String) -> Set<String> {
    let bare = expression.replacing(/"[^"]*"/, with: "").replacing(/\{[^}]*\}/, with: "").replacing(
      /\[[^\]]*\]/, with: ""
    )
    // What groups and matches names labels, and so does the second part of label_values().
    .replacing(/\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/, with: "")
    .replacing(/(label_values\([^,]*),\s*\w+\)/) { "\($0.1))" }
    let words = bare.matches(of: /[A-Za-z_:][A-Za-z0-9_:]*(?<call>\s*\()?/)
    let operators: Set<String> = ["and", "or", "unless", "bool", "offset"]
    return Set(words.filter { $0.call == nil }.map { String($0.output.0) }).subtracting(operators)
  }

  /// The labels that an expression asks a metric for.
  static func matched(_ expression: String) -> [(metric: String, labels: Set<String>)] {
    expression.matches(of: /(?<metric>[A-Za-z_:][A-Za-z0-9_:]*)\{(?<matchers>(?:[^"}]|"[^"]*")*)\}/).map { match in
      let matchers = match.output.matchers.replacing(/"[^"]*"/, with: "")
      return (String(match.output.metric), Set(matchers.matches(of: /\w+(?=\s*[=!])/).map { String($0.output) }))
    }
  }

  /// The labels by which an expression groups.
  static func grouped(_ expression: String) -> Set<String> {
    Set(
      expression.matches(of: /\b(?:by|without|on|ignoring|group_left|group_right)\s*\((?<labels>[^)]*)\)/).flatMap {
        $0.output.labels.matches(of: /\w+/).map { String($0.output) }
      })
  }
}
