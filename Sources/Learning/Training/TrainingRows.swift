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
    _ batch: EventBatch, rows: [Int], learned: Bool, of plan: DetectorPlan, encoders: [String: FittedEncoder],
    leavingOneOut: Bool, champion: FittedModel?
  ) {
    matrices.append(
      plan.features.matrix(of: batch, rows: rows, encoders: encoders, leavingOneOut: leavingOneOut))
    if let champion {
      championMatrices.append(plan.features.matrix(of: batch, rows: rows, encoders: champion.encoders))
    }
    for row in rows { times.append(batch.eventTimes[row]) }
    isLearned += repeatElement(learned, count: rows.count)
    if plan.target != nil { targets += plan.targets(of: batch, rows: rows) }
    entities += plan.entities(of: batch, rows: rows)
  }

  /// All rows, joined; they are the caller's from then on.
  mutating func takeMatrix(of plan: DetectorPlan) -> FeatureMatrix {
    Self.join(&matrices, plan)
  }

  mutating func takeChampionMatrix(of plan: DetectorPlan) -> FeatureMatrix {
    Self.join(&championMatrices, plan)
  }

  private static func join(_ parts: inout [FeatureMatrix], _ plan: DetectorPlan) -> FeatureMatrix {
    defer { parts = [] }
    if parts.isEmpty { return FeatureMatrix(names: plan.features.names, rowCount: 0, values: []) }
    return parts.count == 1 ? parts[0] : FeatureMatrix(joining: parts)
  }

  /// Rows to learn from, by their place.
  var learnedRows: [Int] { isLearned.indices.filter { isLearned[$0] } }
}

/// How many entities had events on a day, by events: what a budget per entity and day is counted by. Calibration seldom
/// begins and ends at midnight, and an entity with events in an hour of a day would count for the whole of it; and a
/// Sunday has fewer events of an entity than a Monday. So the whole days of the window are counted, whole weeks of them
/// where there are.
struct EntityDays: Sendable {
  private let days: ClosedRange<Int64>
  private let isWhole: Bool
  private let window: TrainingWindow
  /// Hashes of an entity and a day; of one in `share` of them.
  private var pairs: Set<UInt64> = []
  private var share: UInt64 = 1
  private var events = 0
  /// Events that calibration keeps.
  private var kept = 0

  /// Pairs that are held in memory.
  static let mostPairs = 1 << 20
  /// What may be missing of a whole day, microseconds: events seldom come at midnight.
  private static let tolerance: Int64 = 900_000_000

  init(_ window: TrainingWindow) {
    self.window = window
    let length = Timestamp.microsecondsPerDay
    func day(_ time: Int64) -> Int64 { Timestamp.dayNumber(of: time) }
    var whole = (day(window.from)...day(window.until - 1)).filter {
      $0 * length >= window.from - Self.tolerance && ($0 + 1) * length <= window.until + Self.tolerance
    }
    if whole.count >= 7 { whole.removeFirst(whole.count % 7) }
    isWhole = !whole.isEmpty
    let (first, last) = (day(window.calibration), day(max(window.gate - 1, window.calibration)))
    days = (whole.first ?? first)...(whole.last ?? last)
  }

  /// Whether an event of this time is counted.
  func counts(_ time: Int64) -> Bool {
    days.contains(Timestamp.dayNumber(of: time)) && (isWhole || window.part(of: time) == .calibration)
  }

  /// Takes in events that count.
  mutating func add(entities: [UInt64?], times: [Int64]) {
    events += times.count
    for (entity, time) in zip(entities, times) {
      var hasher = FittingRandom(seed: entity ?? 0, part: Int(Timestamp.dayNumber(of: time)))
      let hash = hasher.next()
      if hash % share == 0 { pairs.insert(hash) }
    }
    while pairs.count > Self.mostPairs {
      share *= 2
      pairs = pairs.filter { [share] in $0 % share == 0 }
    }
  }

  mutating func keep(_ count: Int) { kept += count }

  /// Entity-days that stand for the kept events of calibration, in proportion to the events. Where there is no whole day,
  /// calibration is counted as the part of its days that it is.
  var sampled: Double {
    guard events > 0 else { return 0 }
    let length = Double(Timestamp.microsecondsPerDay)
    let part = isWhole ? 1 : min(Double(window.gate - window.calibration) / (length * Double(days.count)), 1)
    return part * Double(pairs.count) * Double(share) * Double(kept) / Double(events)
  }
}
