// How well a detector found what was labelled, and how well simple thresholds on the same target would have.

public import Detection

/// What was found against what was there.
public struct DetectionQuality: Sendable, Hashable {
  public var found: Int
  public var labelled: Int
  public var both: Int

  public init(found: Int, labelled: Int, both: Int) {
    self.found = found
    self.labelled = labelled
    self.both = both
  }

  public init(found: Set<Int64>, labelled: Set<Int64>) {
    self.init(found: found.count, labelled: labelled.count, both: found.intersection(labelled).count)
  }

  /// 0 where nothing was found.
  public var precision: Double { found == 0 ? 0 : Double(both) / Double(found) }
  /// 0 where nothing was labelled.
  public var recall: Double { labelled == 0 ? 0 : Double(both) / Double(labelled) }
  /// Harmonic mean of both.
  public var f1: Double { found + labelled == 0 ? 0 : 2 * Double(both) / Double(found + labelled) }
}

/// A threshold, and how well it finds what is labelled.
public struct JudgedThreshold: Sendable, Hashable {
  public var threshold: Double
  public var quality: DetectionQuality
}

/// Simple thresholds on the target of an expected value, over the events that it scores.
public struct ThresholdBaselines: Sendable {
  private struct Event: Sendable {
    var row: Int64
    var target: Double
    var category: UInt64
  }

  private let plan: DetectorPlan
  private let target: Int
  /// The input that tells kinds of events apart: the first one with ordinal codes.
  private let category: Int?
  /// The first row that is judged; those before set the quantiles.
  private let first: Int64
  private var before: [UInt64: [Double]] = [:]
  private var events: [Event] = []

  /// Nil for a detector without a target.
  public init?(_ plan: DetectorPlan, judgedFrom first: Int64) {
    guard let target = plan.target else { return nil }
    self.plan = plan
    self.target = target
    self.first = first
    category = plan.features.inputs.first { $0.encoder == .ordinal }?.column
  }

  /// Takes in the events of a derived batch.
  public mutating func add(_ batch: EventBatch) {
    var failures = 0
    let rows = plan.scoredRows(of: batch, failures: &failures).setRows
    let targets = plan.targets(of: batch, rows: rows)
    var categories = [UInt64](repeating: 0, count: rows.count)
    if let category { CategoryHash.forEach(batch.columns[category], rows: rows) { categories[$0] = $1 } }
    for (ordinal, row) in rows.enumerated() where !targets[ordinal].isNaN {
      let position = batch.positions.rows[row]
      if position < first {
        before[categories[ordinal], default: []].append(targets[ordinal])
      } else {
        events.append(Event(row: position, target: targets[ordinal], category: categories[ordinal]))
      }
    }
  }

  /// The threshold on the target that has the best F1 on the very events that are judged: no threshold that was chosen
  /// before could be better.
  /// - Returns: nil where no threshold finds anything that is labelled.
  public func bestThreshold(_ labelled: Set<Int64>) -> JudgedThreshold? {
    var best: JudgedThreshold?
    let sorted = events.sorted { $0.target > $1.target }
    var both = 0
    for (index, event) in sorted.enumerated() {
      if labelled.contains(event.row) { both += 1 }
      // Equal targets are found together.
      if index + 1 < sorted.count, sorted[index + 1].target == event.target { continue }
      let quality = DetectionQuality(found: index + 1, labelled: labelled.count, both: both)
      if quality.f1 > best?.quality.f1 ?? 0 { best = JudgedThreshold(threshold: event.target, quality: quality) }
    }
    return best
  }

  /// Every event above the 0.99 quantile of the events of its kind before.
  public func quantileByKind(_ labelled: Set<Int64>) -> DetectionQuality {
    let bounds = before.mapValues { values -> Double in
      let sorted = values.sorted()
      return sorted[min(sorted.count * 99 / 100, sorted.count - 1)]
    }
    let found = events.filter { $0.target > bounds[$0.category] ?? .infinity }
    return DetectionQuality(found: Set(found.map(\.row)), labelled: labelled)
  }
}
