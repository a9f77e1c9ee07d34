// What a training keeps of the events it reads: numbers, by detector and stretch of time.

import Detection

/// The scored events of one stretch of time as a detector's model sees them.
struct TrainingRows: Sendable {
  private var matrices: [FeatureMatrix] = []
  /// The same rows as the champion's model sees them; empty where none is compared.
  private var championMatrices: [FeatureMatrix] = []
  private(set) var times: [Int64] = []
  /// NaN where there is none; empty for a detector without a target.
  private(set) var targets: [Double] = []
  private(set) var entities: [UInt64?] = []
  /// Whether the event is one to learn from.
  private(set) var isLearned: [Bool] = []

  var count: Int { times.count }

  /// Takes in rows of a derived batch.
  mutating func add(
    _ batch: EventBatch, rows: [Int], learned: Bitmap, of plan: DetectorPlan, encoders: [String: FittedEncoder],
    leavingOneOut: Bool, champion: FittedModel?
  ) {
    matrices.append(
      plan.features.matrix(of: batch, rows: rows, encoders: encoders, leavingOneOut: leavingOneOut))
    if let champion {
      championMatrices.append(plan.features.matrix(of: batch, rows: rows, encoders: champion.encoders))
    }
    for row in rows {
      times.append(batch.eventTimes[row])
      isLearned.append(learned[row])
    }
    if plan.target != nil { targets += plan.targets(of: batch, rows: rows) }
    entities += plan.entities(of: batch, rows: rows)
  }

  /// All rows, joined once; the parts are let go.
  mutating func matrix(of plan: DetectorPlan) -> FeatureMatrix {
    Self.join(&matrices, plan)
  }

  mutating func championMatrix(of plan: DetectorPlan) -> FeatureMatrix {
    Self.join(&championMatrices, plan)
  }

  private static func join(_ parts: inout [FeatureMatrix], _ plan: DetectorPlan) -> FeatureMatrix {
    if parts.count > 1 { parts = [FeatureMatrix(joining: parts)] }
    return parts.first ?? FeatureMatrix(names: plan.features.names, rowCount: 0, values: [])
  }

  /// Rows to learn from, by their place.
  var learnedRows: [Int] { isLearned.indices.filter { isLearned[$0] } }
}

/// Pairs of an entity and a day that had events, and how many of the events were kept: what a budget per entity and day
/// is counted by.
struct EntityDays: Sendable {
  private struct Pair: Hashable {
    var entity: UInt64?
    var day: Int64
  }

  private var pairs: Set<Pair> = []
  private var seen = 0
  private var kept = 0

  /// Takes in events, kept ones and others.
  mutating func add(entities: [UInt64?], times: [Int64], kept: Int) {
    seen += times.count
    self.kept += kept
    for (entity, time) in zip(entities, times) {
      pairs.insert(Pair(entity: entity, day: Timestamp.dayNumber(of: time)))
    }
  }

  /// The number of pairs, less in the proportion in which events were left out, so that it can be set against the events
  /// that were kept.
  var sampled: Double { seen == 0 ? 0 : Double(pairs.count) * Double(kept) / Double(seen) }
}
