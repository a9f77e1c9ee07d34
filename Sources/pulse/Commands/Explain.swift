// `pulse explain`: why an event is an anomaly, by scoring it again with the model that scored it.

import ArgumentParser
import Connectors
import Detection
import Foundation
import Learning
import Operations
import Pipeline

struct Explain: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Explain a stored anomaly: score its event again and take the score apart.",
    discussion: """
      The event is scored by the recorded version of the model, under the use case as it was then. Ids stand in \
      `pulse anomalies --json`.

        pulse explain redset.simulator-1.0.0-123456.slow_query --data data
      """)

  @Argument(help: ArgumentHelp("The anomaly.", valueName: "anomaly id"))
  var id: String

  @OptionGroup var place: PlaceOptions

  @Flag(help: "Print one JSON object.")
  var json = false

  func run() async throws {
    let reader = try place.reader()
    guard let (anomaly, configuration) = try await reader.read({ try await $0.anomaly(id: id) }) else {
      throw ValidationError(
        "\(reader.place) has no anomaly `\(TextTable.cut(id, to: 120))` (`pulse anomalies --json` shows ids)")
    }
    guard let version = anomaly.model else {
      if json { return Terminal.print(json: anomaly.json) }
      return Terminal.print(
        "\(Self.head(anomaly))\nA rule found it, so there is no model to ask. What it saw: \(TextTable.escape(anomaly.explanation))"
      )
    }
    let registry = ModelRegistry(folder: reader.directory.modelsPath, useCase: anomaly.useCase)
    let explanation = try AnomalyExplanation.explain(
      event: anomaly.event, foundBy: anomaly.detector, configuration: configuration,
      load: { try registry.load(version, for: $0) })
    if json { return Terminal.print(json: try Self.json(anomaly, explanation)) }
    Terminal.print(Self.text(anomaly, explanation))
  }

  private static func head(_ anomaly: StoredAnomaly) -> String {
    """
    \(anomaly.detector) found it, at \(Timestamp.formatWithinRange(anomaly.eventTime)), \
    key \(anomaly.key.isEmpty ? "-" : TextTable.escape(anomaly.key)), severity \(anomaly.severity)
      \(TextTable.escape(anomaly.reason))
    """
  }

  private static func text(_ anomaly: StoredAnomaly, _ explanation: LearnedExplanation) -> String {
    let same = explanation.score == anomaly.score && explanation.reason == anomaly.reason
    var lines = [
      head(anomaly), "",
      "Scored again by model \(anomaly.model ?? "-"): \(number(explanation.score)), "
        + (same ? "as stored" : "stored is \(number(anomaly.score)): another processor or version of the libraries"),
      "  raw score      \(number(explanation.raw))",
    ]
    if let expected = explanation.expected { lines.append("  expected       \(number(expected))") }
    if let clause = explanation.clause { lines.append("  clause         \(clause)") }
    lines.append("  starts from    \(number(explanation.base))")
    var fields = TextTable([("field", .left), ("value", .left), ("adds", .right)])
    for part in explanation.fields {
      fields.add([part.feature, part.value.plainText, signed(part.contribution)])
    }
    var inputs = TextTable([("input of the model", .left), ("value", .right), ("adds", .right)])
    for part in explanation.inputs where part.contribution != 0 {
      inputs.add([part.input, part.value.isNaN ? "missing" : number(Double(part.value)), signed(part.contribution)])
    }
    let width = Terminal.width(of: STDOUT_FILENO)
    for table in [fields, inputs] where !table.isEmpty { lines += ["", table.text(width: width)] }
    return lines.joined(separator: "\n")
  }

  private static func number(_ value: Double) -> String { String(format: "%.6g", value) }
  private static func signed(_ value: Double) -> String { String(format: "%+.6g", value) }

  private static func json(_ anomaly: StoredAnomaly, _ explanation: LearnedExplanation) throws -> String {
    struct Part: Encodable {
      var name: String
      var value: Float?
      var contribution: Double
    }
    struct Report: Encodable {
      var id: String
      var model: String?
      var storedScore: Double
      var score: Double
      var rawScore: Double
      var base: Double
      var expected: Double?
      var clause: String?
      var reason: String
      var fields: [Part]
      var inputs: [Part]
    }
    let encoder = JSONEncoder.sayingNonFinite()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let report = Report(
      id: anomaly.id, model: anomaly.model, storedScore: anomaly.score, score: explanation.score,
      rawScore: explanation.raw, base: explanation.base, expected: explanation.expected, clause: explanation.clause,
      reason: explanation.reason,
      fields: explanation.fields.map { Part(name: $0.feature, contribution: $0.contribution) },
      inputs: explanation.inputs.map {
        Part(name: $0.input, value: $0.value.isNaN ? nil : $0.value, contribution: $0.contribution)
      })
    return String(decoding: try encoder.encode(report), as: UTF8.self)
  }
}
