// A version as a person compares it with another: named facts, the same for both.

import Detection
import Foundation
import Pipeline

/// One thing there is to say about a version.
public struct ModelFact: Sendable, Hashable {
  public enum Value: Encodable, Sendable, Hashable {
    case number(Double)
    case text(String)

    /// A number or a string.
    public func encode(to encoder: any Encoder) throws {
      var container = encoder.singleValueContainer()
      switch self {
      case .number(let number): try container.encode(number)
      case .text(let text): try container.encode(text)
      }
    }
  }

  public var name: String
  public var value: Value
}

extension [ModelFact] {
  /// The facts by name. Names come from files in part: of equal ones the first counts.
  public var byName: [String: ModelFact.Value] {
    Dictionary(map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
  }
}

extension ModelRegistry {
  /// Facts about a version, in a fixed order: its record, its threshold, what its encoders know, and what there is to say of
  /// a model of its type.
  public func facts(of version: String, of detector: String) throws -> [ModelFact] {
    let manifest = try manifest(of: version, of: detector)
    let files = try files(of: version, of: detector)
    let document = files.document
    var facts = Self.facts(manifest)
    func number(_ name: String, _ value: some BinaryInteger) {
      facts.append(ModelFact(name: name, value: .number(Double(value))))
    }
    if let calibration = document.calibration {
      facts.append(ModelFact(name: "threshold", value: .number(calibration.threshold)))
      facts.append(ModelFact(name: "calibration.rate", value: .number(calibration.rate)))
      number("calibration.rows", calibration.rows)
      number("calibration.alarms", calibration.alarms)
    }
    for (name, encoder) in document.encoders.sorted(by: { $0.key < $1.key }) {
      number("encoders.\(name).values", encoder.knownValues)
    }
    if let drift = document.drift {
      let rows = drift.score.counts.reduce(0) { $0 + Double($1) }
      facts.append(ModelFact(name: "drift.rows", value: .number(rows)))
    }
    if let format = formats.format(of: document.type) {
      facts += try format.facts(ofPart: document.part, files.model)
    }
    number("model.bytes", files.model.count)
    facts.append(ModelFact(name: "model.sha256", value: .text(document.modelHash)))
    for line in document.plan.split(separator: "\n").enumerated() {
      facts.append(ModelFact(name: "plan.\(line.offset + 1)", value: .text(String(line.element))))
    }
    return facts
  }

  private static func facts(_ manifest: ModelManifest) -> [ModelFact] {
    var facts: [ModelFact] = []
    func text(_ name: String, _ value: String) { facts.append(ModelFact(name: name, value: .text(value))) }
    func number(_ name: String, _ value: Double) { facts.append(ModelFact(name: name, value: .number(value))) }
    text("type", manifest.type)
    text("created", Timestamp.formatWithinRange(manifest.created))
    text("configuration", manifest.configuration)
    if let imported = manifest.importedFrom { text("imported_from", imported) }
    if manifest.importedFrom == nil {
      text("seed", "\(manifest.seed)")
      number("shards", Double(manifest.shards.count))
      number("rows.train", Double(manifest.rows.train))
      number("rows.calibration", Double(manifest.rows.calibration))
      number("rows.gate", Double(manifest.rows.gate))
    }
    if let times = manifest.times {
      text("times.from", Timestamp.formatWithinRange(times.from))
      text("times.calibration", Timestamp.formatWithinRange(times.calibration))
      text("times.gate", Timestamp.formatWithinRange(times.gate))
      text("times.until", Timestamp.formatWithinRange(times.until))
    }
    for (name, value) in manifest.metrics.sorted(by: { $0.key < $1.key }) { number("metrics.\(name)", value) }
    if let gate = manifest.gate {
      text("gate", gate.passed ? "passed" : "not passed")
      for check in gate.checks { text("gate.\(check.name)", (check.passed ? "" : "not passed: ") + check.message) }
    }
    return facts
  }
}

extension [ModelFact] {
  /// How many trees and nodes a model has, and which share of its splits tests which feature.
  static func trees(_ bytes: [UInt8]) throws -> [ModelFact] {
    let trees = try TreeModel(parsing: bytes)
    let counts = [
      ModelFact(name: "trees", value: .number(Double(trees.ensemble.roots.count))),
      ModelFact(name: "nodes", value: .number(Double(trees.ensemble.nodes.count))),
    ]
    return counts
      + zip(trees.featureNames, splits(of: trees.ensemble)).map {
        ModelFact(name: "splits.\($0)", value: .number($1))
      }
  }

  /// The share of the splits that test each feature.
  private static func splits(of trees: TreeEnsemble) -> [Double] {
    var counts = [Double](repeating: 0, count: trees.featureCount)
    for node in trees.nodes where !node.isLeaf { counts[Int(node.feature)] += 1 }
    let total = Swift.max(1, counts.reduce(0, +))
    return counts.map { $0 / total }
  }
}
