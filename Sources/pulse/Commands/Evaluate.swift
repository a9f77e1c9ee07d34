// `pulse evaluate`: what learned detectors found, against labels that nothing else can read.

import ArgumentParser
import Connectors
import Detection
import Foundation
import Learning
import Operations
import Pipeline

struct Evaluate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Compare what learned detectors found with labels.",
    discussion: """
      The labels are those that `pulse simulate --labels` writes beside its events: one JSON object a line, of which `row` \
      (the event's number in the stream) and `injected` count. Events before a detector's first model are left out. \
      Beside a detector that expects a value stand two simple thresholds on the same value: the best one that there is \
      for these very events, and the 0.99 quantile of each kind of event.

        pulse evaluate redset --labels labels.ndjson --data data
      """)

  @Argument(help: "The use case: a directory, or the name of one under UseCases/.")
  var useCase: String

  @OptionGroup var place: PlaceOptions

  @Option(help: ArgumentHelp("The labels.", valueName: "file"))
  var labels: String

  @Option(help: "The source that the labels are of (default: the only one).")
  var sourceName: String?

  @Option(help: "Only this detector.")
  var detector: String?

  @Flag(help: "Print one JSON array.")
  var json = false

  private struct Line: Encodable {
    var detector: String
    var method: String
    var found: Int
    var labelled: Int
    var precision: Double
    var recall: Double
    var f1: Double

    init(_ judged: EvaluatedMethod) {
      let quality = judged.quality
      (detector, found, labelled) = (judged.detector, quality.found, quality.labelled)
      (precision, recall, f1) = (quality.precision, quality.recall, quality.f1)
      method =
        switch judged.method {
        case .model: "model"
        case .bestThreshold(let threshold): "best threshold, \(threshold.fixed(0))"
        case .quantileOfKind: "0.99 quantile of each kind"
        }
    }
  }

  func run() async throws {
    let plan = try LoadedUseCase(useCase).plan
    let reader = try place.reader()
    guard let data = FileManager.default.contents(atPath: labels) else {
      throw OperatingError(.input, "the labels \(labels) cannot be read")
    }
    let injected = try Evaluation.injectedRows(in: data, name: labels)
    let evaluation = Evaluation(
      of: plan, archive: reader.archive(of: plan.useCase.name), source: sourceName, detector: detector)
    try show(try await reader.read { try await evaluation.judge(injected, by: $0) }.map(Line.init))
  }

  private func show(_ lines: [Line]) throws {
    if json {
      var writer = JSONArrayWriter()
      let encoder = JSONEncoder.sayingNonFinite()
      encoder.outputFormatting = .sortedKeys
      for line in lines { writer.add(String(decoding: try encoder.encode(line), as: UTF8.self)) }
      return writer.finish()
    }
    var table = TextTable([
      ("detector", .left), ("judged by", .left), ("found", .right), ("labelled", .right), ("precision", .right),
      ("recall", .right), ("F1", .right),
    ])
    for line in lines {
      table.add([
        line.detector, line.method, line.found.grouped, line.labelled.grouped, line.precision.fixed(3),
        line.recall.fixed(3), line.f1.fixed(3),
      ])
    }
    Terminal.print(table)
  }
}
