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

  private struct Label: Decodable {
    var row: Int64
    var injected: Bool
  }

  private struct Line: Encodable {
    var detector: String
    var method: String
    var found: Int
    var labelled: Int
    var precision: Double
    var recall: Double
    var f1: Double

    init(_ detector: String, _ method: String, _ quality: DetectionQuality) {
      (self.detector, self.method, found, labelled) = (detector, method, quality.found, quality.labelled)
      (precision, recall, f1) = (quality.precision, quality.recall, quality.f1)
    }
  }

  func run() async throws {
    let plan = try LoadedUseCase(useCase).plan
    let name = plan.useCase.name
    let reader = try place.reader()
    let injected = try readLabels()
    let results = try await reader.snapshot()
    let lines: [Line]
    do { lines = try await judge(plan, results, reader.archive(of: name), injected) } catch {
      await results.end()
      throw error
    }
    await results.end()
    try show(lines)
  }

  /// - Parameter injected: the labelled rows.
  private func judge(
    _ plan: Plan, _ results: any ResultSnapshot, _ archive: any HistoryArchive, _ injected: [Int64]
  ) async throws -> [Line] {
    let name = plan.useCase.name
    let status = try await partition(results, useCase: name)
    guard status.waitingRows == 0 else {
      throw OperatingError(
        .input,
        "\(status.waitingRows) events of \(status.partition.source) are not in a history file yet: end the run first")
    }
    let activations = try await results.activations(of: name).filter {
      $0.kind == .model && $0.partition == status.partition && !$0.version.isEmpty
    }
    var lines: [Line] = []
    for detector in plan.detectors where self.detector == nil || self.detector == detector.name {
      guard let first = activations.filter({ $0.detector == detector.name }).map(\.from).min() else { continue }
      let labelled = Set(injected.filter { $0 >= first.row && $0 < status.position.row })
      let found = try await results.anomalyPositions(of: detector.name, useCase: name, in: status.partition)
      // What was found behind the checkpoint stands to be found again.
      let counted = Set(found.filter { $0 < status.position }.map(\.row))
      lines.append(Line(detector.name, "model", DetectionQuality(found: counted, labelled: labelled)))
      guard var baselines = ThresholdBaselines(detector, judgedFrom: first.row) else { continue }
      try read(archive, plan, status.partition) { baselines.add($0) }
      if let best = baselines.bestThreshold(labelled) {
        lines.append(Line(detector.name, "best threshold, \(best.threshold.fixed(0))", best.quality))
      }
      lines.append(Line(detector.name, "0.99 quantile of each kind", baselines.quantileByKind(labelled)))
    }
    guard !lines.isEmpty else {
      throw OperatingError(
        .input,
        "no model has scored events of \(status.partition.source)"
          + (detector.map { " for a detector `\($0)`" } ?? "") + ": train one and run on (pulse train)")
    }
    return lines
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

  private func readLabels() throws -> [Int64] {
    guard let data = FileManager.default.contents(atPath: labels) else {
      throw OperatingError(.input, "the labels \(labels) cannot be read")
    }
    let decoder = JSONDecoder()
    return try data.split(separator: UInt8(ascii: "\n")).enumerated().compactMap { index, line in
      guard let label = try? decoder.decode(Label.self, from: line) else {
        throw OperatingError(
          .input, "\(labels):\(index + 1) is no label: expected an object with `row` and `injected`")
      }
      return label.injected ? label.row : nil
    }
  }

  /// The one partition that the labels are of.
  private func partition(_ results: any ResultSnapshot, useCase: String) async throws -> PartitionStatus {
    let all = try await results.status(of: useCase)
    let chosen = all.filter { sourceName == nil || $0.partition.source == sourceName }
    guard let only = chosen.first, chosen.count == 1 else {
      let names = Set(all.map(\.partition.source)).sorted().joined(separator: ", ")
      throw ValidationError(
        "expected one source with one partition to compare with, found \(chosen.count); --source-name chooses one of "
          + (names.isEmpty ? "none" : names))
    }
    guard only.position.segment == 0 else {
      throw OperatingError(
        .input, "labels count the events of one stream; \(only.partition.source) is several files")
    }
    return only
  }

  private func read(
    _ archive: any HistoryArchive, _ plan: Plan, _ partition: PartitionID, _ body: (EventBatch) -> Void
  ) throws {
    for shard in try archive.shards() where shard.partition == partition {
      try archive.read(shard, schema: plan.schema) { batch in
        var (batch, failures) = (batch, 0)
        plan.extend(&batch, failures: &failures)
        body(batch)
      }
    }
  }
}
