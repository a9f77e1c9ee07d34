// Reading of a YAML tree that collects mistakes with their places instead of stopping at the first.

import Configuration
import Detection

/// Hands out the parts of a YAML document and remembers what was wrong with them.
struct YAMLReading {
  let file: String
  private(set) var problems: [SimulationProblem] = []

  init(file: String) { self.file = file }

  mutating func report(_ message: String, at location: SourceLocation) {
    problems.append(SimulationProblem(file: file, location: location, message: message))
  }

  mutating func report(_ message: String, at node: YAMLNode) { report(message, at: node.location) }

  /// The entries of a mapping in the order of the file; anything else is reported and empty.
  mutating func entries(of node: YAMLNode, as what: String) -> [YAMLEntry] {
    if case .mapping(let entries) = node.content { return entries }
    report("expected \(what), a mapping, found \(Self.describe(node))", at: node)
    return []
  }

  /// A mapping of which the keys are known. Unknown keys, and required ones that are missing, are reported.
  mutating func section(
    _ node: YAMLNode, as what: String, required: [String] = [], optional: [String] = []
  ) -> [String: YAMLNode] {
    var result: [String: YAMLNode] = [:]
    let known = required + optional
    for entry in entries(of: node, as: what) {
      let name = entry.key.text
      if known.contains(name) {
        result[name] = entry.value
      } else {
        let near = nearest(to: name, among: known).map { "; did you mean '\($0)'?" } ?? ""
        report(
          "\(what) has no '\(name)'; expected one of \(known.joined(separator: ", "))\(near)", at: entry.key.location)
      }
    }
    for name in required where result[name] == nil { report("\(what) lacks '\(name)'", at: node) }
    return result
  }

  mutating func items(of node: YAMLNode, as what: String) -> [YAMLNode] {
    if case .sequence(let items) = node.content { return items }
    report("expected \(what), a list, found \(Self.describe(node))", at: node)
    return []
  }

  mutating func text(_ node: YAMLNode, as what: String) -> String? { located(node, as: what)?.text }

  mutating func located(_ node: YAMLNode, as what: String) -> LocatedText? {
    if let text = node.text { return text }
    report("expected \(what), found \(Self.describe(node))", at: node)
    return nil
  }

  /// A finite number within bounds.
  mutating func number(_ node: YAMLNode, as what: String, in range: ClosedRange<Double>) -> Double? {
    guard let text = node.text?.text, let value = Double(text), range.contains(value) else {
      let bounds = "between \(Self.short(range.lowerBound)) and \(Self.short(range.upperBound))"
      report("expected \(what), a number \(bounds), found \(Self.describe(node))", at: node)
      return nil
    }
    return value
  }

  mutating func whole(_ node: YAMLNode, as what: String, in range: ClosedRange<Int>) -> Int? {
    guard let value = number(node, as: what, in: Double(range.lowerBound)...Double(range.upperBound)) else {
      return nil
    }
    guard value == value.rounded() else {
      report("expected \(what), a whole number, found \(Self.describe(node))", at: node)
      return nil
    }
    return Int(value)
  }

  private static func describe(_ node: YAMLNode) -> String { node.text.map { "'\($0.text)'" } ?? node.description }

  private static func short(_ value: Double) -> String {
    value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : String(value)
  }
}
