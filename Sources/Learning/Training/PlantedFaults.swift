// Faults of known kind in held-out events, so that a candidate can be judged where nobody has labelled anything. They
// are a function of the events and the seed: a candidate and the champion are given the same.

import Detection
import Foundation

/// Events with a fault, and the events they are told apart from.
struct PlantedFaults {
  /// Most faults that are planted: with a thousand of them the area under the curve has a standard error of about 0.01.
  static let most = 1_000

  // MARK: Expected values

  /// Faults, and the events they stand beside.
  struct Targets {
    var faulty: [Target] = []
    var ordinary: [Target] = []
  }

  /// A row of the held-out events, and the target that it is judged with.
  struct Target {
    var row: Int
    var target: Double
  }

  /// Large events as they are, and as many that are as large only because they took ten to a hundred times as long as
  /// they did: nothing but what is expected of them tells them apart.
  /// - Parameters:
  ///   - learned: the rows to choose from.
  ///   - floor: events at or above it are large; where there are few, the largest are.
  static func targets(_ targets: [Double], learned: [Int], floor: Double, seed: UInt64) -> Targets {
    var random = FittingRandom(seed: seed)
    var result = Targets()
    let sorted = learned.filter { targets[$0].isFinite && targets[$0] > 0 }
      .sorted { (targets[$0], $0) < (targets[$1], $1) }
    /// Place of the first row whose target is at least `value`.
    func place(_ value: Double) -> Int {
      var (low, high) = (0, sorted.count)
      while low < high {
        let middle = (low + high) / 2
        if targets[sorted[middle]] < value { low = middle + 1 } else { high = middle }
      }
      return low
    }
    let large = sorted.suffix(max(sorted.count - place(floor), min(sorted.count, most / 2)))
    for index in random.sample(min(large.count, most), below: max(large.count, 1)).sorted() {
      let row = large[large.startIndex + index]
      let places = place(targets[row] / 100)..<place(targets[row] / 10)
      guard !places.isEmpty else { continue }
      let faulty = sorted[places.lowerBound + random.next(below: places.count)]
      result.ordinary.append(Target(row: row, target: targets[row]))
      result.faulty.append(Target(row: faulty, target: targets[row]))
    }
    return result
  }

  // MARK: Forests

  /// Columns of one faulty row and what they hold.
  struct Change {
    var row: Int
    var values: [(column: Int, value: Float)]
  }

  /// Events in which three features (all, where there are fewer) lie far outside of what is usual. Features that training
  /// fits, those of the calendar and those that do not vary are left alone.
  /// - Parameter columns: the columns that may change.
  static func changes(_ matrix: FeatureMatrix, columns: [Int], seed: UInt64) -> [Change] {
    var random = FittingRandom(seed: seed)
    let scales = columns.compactMap { column -> (column: Int, center: Float, width: Float)? in
      let values = matrix.column(column).filter { $0.isFinite }.sorted()
      guard let least = values.first, let greatest = values.last, least < greatest else { return nil }
      let center = values[values.count / 2]
      let high = values[min(values.count * 999 / 1_000, values.count - 1)]
      let low = values[values.count / 1_000]
      return (column, center, max(high - center, center - low, (greatest - least) / 100))
    }
    guard !scales.isEmpty, matrix.rowCount > 0 else { return [] }
    return random.sample(min(matrix.rowCount, most), below: matrix.rowCount).map { row in
      let chosen = random.sample(min(3, scales.count), below: scales.count).sorted()
      return Change(
        row: row,
        values: chosen.map { index in
          let scale = scales[index]
          return (scale.column, scale.center + scale.width * Float(2 + 8 * random.nextUnit()))
        })
    }
  }

  /// The changed rows alone.
  static func apply(_ changes: [Change], to matrix: FeatureMatrix) -> FeatureMatrix {
    let rows = matrix.rows(changes.map(\.row))
    var columns = rows.names.indices.map { Array(rows.column($0)) }
    for (ordinal, change) in changes.enumerated() {
      for (column, value) in change.values { columns[column][ordinal] = value }
    }
    return FeatureMatrix(names: rows.names, columns: columns)
  }
}

/// Measures of how good predictions and scores are.
enum Quality {
  /// Area under the receiver operating characteristic: how likely a fault scores higher than an ordinary event, ties
  /// counted half (Mann and Whitney 1947). 0.5 where one of them is empty.
  static func areaUnderCurve(faulty: [Double], ordinary: [Double]) -> Double {
    guard !faulty.isEmpty, !ordinary.isEmpty else { return 0.5 }
    let all = (faulty.map { ($0, true) } + ordinary.map { ($0, false) }).sorted { $0.0 < $1.0 }
    var (ranks, start) = (0.0, 0)
    while start < all.count {
      var end = start
      while end < all.count, all[end].0 == all[start].0 { end += 1 }
      let middle = Double(start + end + 1) / 2
      ranks += middle * Double(all[start..<end].count { $0.1 })
      start = end
    }
    let (m, n) = (Double(faulty.count), Double(ordinary.count))
    return (ranks - m * (m + 1) / 2) / (m * n)
  }

  /// The same over pairs that belong together: how often the fault scores higher than its own ordinary event.
  static func pairedArea(faulty: [Double], ordinary: [Double]) -> Double {
    precondition(faulty.count == ordinary.count, "events without a partner")
    guard !faulty.isEmpty else { return 0.5 }
    let wins = zip(faulty, ordinary).reduce(0.0) { $0 + ($1.0 > $1.1 ? 1 : $1.0 == $1.1 ? 0.5 : 0) }
    return wins / Double(faulty.count)
  }

  /// Mean pinball loss of predictions of a quantile (Koenker and Bassett 1978).
  static func pinballLoss(_ predictions: [Double], _ actual: [Double], level: Double) -> Double {
    precondition(predictions.count == actual.count, "predictions and values differ in number")
    guard !actual.isEmpty else { return 0 }
    let sum = zip(predictions, actual).reduce(0.0) { sum, pair in
      let error = pair.1 - pair.0
      return sum + (error >= 0 ? level * error : (level - 1) * error)
    }
    return sum / Double(actual.count)
  }
}

/// The simplest prediction worth beating: each entity's own quantile of the logarithm of the target.
struct EntityBaseline {
  private let byEntity: [UInt64: Double]
  private let overall: Double

  /// Entities with fewer rows are given the quantile of all.
  private static let leastRows = 20

  /// - Parameter logarithms: log1p of the targets of the rows to learn from.
  init(entities: [UInt64?], logarithms: [Double], level: Double) {
    func quantile(_ values: [Double]) -> Double {
      let sorted = values.sorted()
      return sorted.isEmpty ? 0 : sorted[min(Int(level * Double(sorted.count)), sorted.count - 1)]
    }
    var groups: [UInt64: [Double]] = [:]
    for (entity, value) in zip(entities, logarithms) {
      if let entity { groups[entity, default: []].append(value) }
    }
    byEntity = groups.filter { $0.value.count >= Self.leastRows }.mapValues(quantile)
    overall = quantile(logarithms)
  }

  func predict(_ entities: [UInt64?]) -> [Double] {
    entities.map { entity in entity.flatMap { byEntity[$0] } ?? overall }
  }
}
