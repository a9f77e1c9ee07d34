// What the contributions of each feature usually are. A forest knows of a value outside of its samples only that it is the
// largest; so a feature that many ordinary events are extreme in gets as much credit for that as one in which nothing
// but a fault is. By how unusual its contribution is, the faulty one comes first more often.

/// The size of each feature's contributions to the scores of training rows.
public struct UsualContributions: Sendable, Hashable, Codable {
  /// One per column, above 0: what one training row in a hundred exceeds.
  public let scales: [Double]

  /// Rows that the scales are taken from at most.
  static let rows = 2_000
  /// Share of the rows that exceed a scale.
  static let tail = 0.01
  /// Added to each scale, so that a feature that never told anything is not first with the least of contributions.
  static let least = 0.01

  /// - Precondition: as many numbers as the model has features.
  init(scales: [Double]) { self.scales = scales }

  /// The scales of a model.
  /// - Parameters:
  ///   - matrix: rows like those it was fitted on; at least one.
  ///   - contributions: of a row, one per column.
  init(of matrix: FeatureMatrix, contributions: ([Float]) -> [Double]) {
    precondition(matrix.rowCount > 0, "nothing is usual without rows")
    var columns = [[Double]](repeating: [], count: matrix.columnCount)
    let step = max(1, matrix.rowCount / Self.rows)
    for row in stride(from: 0, to: matrix.rowCount, by: step) {
      for (column, part) in contributions(matrix.row(row)).enumerated() { columns[column].append(part) }
    }
    scales = columns.map { parts in
      let sorted = parts.sorted()
      let place = Int(Double(sorted.count) * (1 - Self.tail))
      return max(sorted[min(place, sorted.count - 1)], 0) + Self.least
    }
  }

  /// Contributions by what is usual of their features: the largest is the feature to look at first.
  /// - Parameter contributions: one per column.
  public func relative(_ contributions: [Double]) -> [Double] { zip(contributions, scales).map { $0 / $1 } }

  /// What is wrong with stored scales.
  func problem(features: Int) -> String? {
    if scales.count == features, scales.allSatisfy({ $0.isFinite && $0 > 0 }) { return nil }
    return "its usual contributions are not those of \(features) features"
  }
}
