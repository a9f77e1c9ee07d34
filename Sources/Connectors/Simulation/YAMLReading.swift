// Reading of a YAML tree that collects mistakes with their places instead of stopping at the first.

import Detection
import Yams

/// Hands out the parts of a YAML document and remembers what was wrong with them.
struct YAMLReading {
  let file: String
  private(set) var problems: [SimulationProblem] = []

  init(file: String) { self.file = file }

  mutating func report(_ message: String, at location: SourceLocation) {
    problems.append(SimulationProblem(file: file, location: location, message: message))
  }

  mutating func report(_ message: String, at node: Node) { report(message, at: Self.location(of: node)) }

  static func location(of node: Node) -> SourceLocation {
    SourceLocation(line: node.mark?.line ?? 1, column: node.mark?.column ?? 1)
  }

  /// The entries of a mapping in the order of the file; anything else is reported and empty.
  mutating func entries(of node: Node, as what: String) -> [(key: Node, name: String, value: Node)] {
    guard case .mapping(let mapping) = node else {
      report("expected \(what), a mapping, found \(Self.describe(node))", at: node)
      return []
    }
    return mapping.map { key, value in (key, key.string ?? "", value) }
  }

  /// A mapping of which the keys are known. Unknown keys, and required ones that are missing, are reported.
  mutating func section(
    _ node: Node, as what: String, required: [String] = [], optional: [String] = []
  ) -> [String: Node] {
    var result: [String: Node] = [:]
    let known = required + optional
    for (key, name, value) in entries(of: node, as: what) {
      if known.contains(name) {
        result[name] = value
      } else {
        let near = nearest(to: name, among: known).map { "; did you mean '\($0)'?" } ?? ""
        report("\(what) has no '\(name)'; expected one of \(known.joined(separator: ", "))\(near)", at: key)
      }
    }
    for name in required where result[name] == nil { report("\(what) lacks '\(name)'", at: node) }
    return result
  }

  mutating func items(of node: Node, as what: String) -> [Node] {
    guard case .sequence(let sequence) = node else {
      report("expected \(what), a list, found \(Self.describe(node))", at: node)
      return []
    }
    return Array(sequence)
  }

  mutating func text(_ node: Node, as what: String) -> String? {
    if case .scalar(let scalar) = node { return scalar.string }
    report("expected \(what), found \(Self.describe(node))", at: node)
    return nil
  }

  /// A finite number within bounds.
  mutating func number(_ node: Node, as what: String, in range: ClosedRange<Double>) -> Double? {
    guard case .scalar(let scalar) = node, let value = Double(scalar.string), range.contains(value) else {
      let bounds = "between \(Self.short(range.lowerBound)) and \(Self.short(range.upperBound))"
      report("expected \(what), a number \(bounds), found \(Self.describe(node))", at: node)
      return nil
    }
    return value
  }

  mutating func whole(_ node: Node, as what: String, in range: ClosedRange<Int>) -> Int? {
    guard let value = number(node, as: what, in: Double(range.lowerBound)...Double(range.upperBound)) else {
      return nil
    }
    guard value == value.rounded() else {
      report("expected \(what), a whole number, found \(Self.describe(node))", at: node)
      return nil
    }
    return Int(value)
  }

  static func describe(_ node: Node) -> String {
    switch node {
    case .scalar(let scalar): "'\(scalar.string)'"
    case .mapping: "a mapping"
    case .sequence: "a list"
    case .alias: "an alias"
    }
  }

  private static func short(_ value: Double) -> String {
    value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : String(value)
  }
}
