// What learned detectors of a use case found, against labels that nothing else can read.

public import Detection
public import Foundation
public import Learning
public import Pipeline

/// How well one method found what was labelled.
public struct EvaluatedMethod: Sendable, Hashable {
  public enum Method: Sendable, Hashable {
    /// The detector with the models that scored.
    case model
    /// The best threshold on the target that there is for these very events.
    case bestThreshold(Double)
    /// The 0.99 quantile of each kind of event.
    case quantileOfKind
  }

  public let detector: String
  public let method: Method
  public let quality: DetectionQuality
}

/// Compares what is stored with labels.
public struct Evaluation: Sendable {
  private let plan: Plan
  private let archive: any HistoryArchive
  /// The source that the labels are of; nil for the only one.
  private let source: String?
  /// Only this one.
  private let detector: String?

  /// - Parameters:
  ///   - plan: of the use case.
  ///   - archive: its stored history.
  ///   - source: that the labels are of; nil for the only one.
  ///   - detector: only this one; nil for all.
  public init(of plan: Plan, archive: any HistoryArchive, source: String? = nil, detector: String? = nil) {
    self.plan = plan
    self.archive = archive
    self.source = source
    self.detector = detector
  }

  /// Rows that are labelled as injected: of one JSON object a line, of which `row` and `injected` count.
  /// - Parameter name: what messages call it.
  /// - Throws: `OperatingError` of kind `input` with the first line that is none.
  public static func injectedRows(in labels: Data, name: String) throws -> [Int64] {
    struct Label: Decodable {
      var row: Int64
      var injected: Bool
    }
    let decoder = JSONDecoder()
    return try labels.split(separator: UInt8(ascii: "\n")).enumerated().compactMap { index, line in
      guard let label = try? decoder.decode(Label.self, from: line) else {
        throw OperatingError(
          .input, "\(name):\(index + 1) is no label: expected an object with `row` and `injected`")
      }
      return label.injected ? label.row : nil
    }
  }

  /// Judges each detector by the events from its first model on; beside one that predicts stand simple thresholds on the same
  /// value.
  /// - Parameters:
  ///   - injected: the labelled rows.
  ///   - results: what the runs have stored.
  /// - Throws: `RequestError` where there is not one partition to compare with; `OperatingError`.
  public func judge(_ injected: [Int64], by results: any ResultSnapshot) async throws -> [EvaluatedMethod] {
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
    var methods: [EvaluatedMethod] = []
    for detector in plan.detectors where self.detector == nil || self.detector == detector.name {
      guard let first = activations.filter({ $0.detector == detector.name }).map(\.from).min() else { continue }
      func add(_ method: EvaluatedMethod.Method, _ quality: DetectionQuality) {
        methods.append(EvaluatedMethod(detector: detector.name, method: method, quality: quality))
      }
      let labelled = Set(injected.filter { $0 >= first.row && $0 < status.position.row })
      let found = try await results.anomalyPositions(of: detector.name, useCase: name, in: status.partition)
      // What was found behind the checkpoint stands to be found again.
      let counted = Set(found.filter { $0 < status.position }.map(\.row))
      add(.model, DetectionQuality(found: counted, labelled: labelled))
      guard var baselines = ThresholdBaselines(detector, judgedFrom: first.row) else { continue }
      try read(status.partition) { baselines.add($0) }
      if let best = baselines.bestThreshold(labelled) { add(.bestThreshold(best.threshold), best.quality) }
      add(.quantileOfKind, baselines.quantileByKind(labelled))
    }
    guard !methods.isEmpty else {
      throw OperatingError(
        .input,
        "no model has scored events of \(status.partition.source)"
          + (detector.map { " for a detector `\($0)`" } ?? "") + ": train one and run on (pulse train)")
    }
    return methods
  }

  /// The one partition that the labels are of.
  private func partition(_ results: any ResultSnapshot, useCase: String) async throws -> PartitionStatus {
    let all = try await results.status(of: useCase)
    let chosen = all.filter { source == nil || $0.partition.source == source }
    guard let only = chosen.first, chosen.count == 1 else {
      let names = Set(all.map(\.partition.source)).sorted().joined(separator: ", ")
      throw RequestError(
        "expected one source with one partition to compare with, found \(chosen.count); --source-name chooses one of "
          + (names.isEmpty ? "none" : names))
    }
    guard only.position.segment == 0 else {
      throw OperatingError(
        .input, "labels count the events of one stream; \(only.partition.source) is several files")
    }
    return only
  }

  private func read(_ partition: PartitionID, _ body: (EventBatch) -> Void) throws {
    for shard in try archive.shards() where shard.partition == partition {
      try archive.read(shard, schema: plan.schema) { batch in
        var (batch, failures) = (batch, 0)
        plan.extend(&batch, failures: &failures)
        body(batch)
      }
    }
  }
}
