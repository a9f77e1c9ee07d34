// The numbers that learned detectors see: one Float32 per event and feature, in training, in scoring and in exported
// models alike, so that an event takes the same way through a tree everywhere.

/// Features of a run of events, column by column.
public struct FeatureMatrix: Sendable, Equatable {
  /// Names of the features, ascending by their UTF-8 bytes and unique, so that their order in a file means nothing.
  public let names: [String]
  /// Rows, which are events.
  public let rowCount: Int
  /// `names.count` columns of `rowCount` values, one after the other. NaN stands for a missing value.
  public private(set) var values: [Float]

  /// - Precondition: names are ascending and unique; every column has the same number of rows as the first.
  public init(names: [String], columns: [[Float]]) {
    precondition(names.count == columns.count, "\(columns.count) columns for \(names.count) features")
    precondition(zip(names, names.dropFirst()).allSatisfy { $0.utf8.lexicographicallyPrecedes($1.utf8) }, "unsorted")
    let rows = columns.first?.count ?? 0
    precondition(columns.allSatisfy { $0.count == rows }, "columns differ in length")
    self.names = names
    rowCount = rows
    values = []
    values.reserveCapacity(rows * columns.count)
    for column in columns { values += column }
  }

  /// - Parameter values: column by column, `names.count` times `rowCount`.
  /// - Precondition: names are ascending and unique.
  public init(names: [String], rowCount: Int, values: [Float]) {
    precondition(values.count == names.count * rowCount, "\(values.count) values in \(names.count) x \(rowCount)")
    precondition(zip(names, names.dropFirst()).allSatisfy { $0.utf8.lexicographicallyPrecedes($1.utf8) }, "unsorted")
    self.names = names
    self.rowCount = rowCount
    self.values = values
  }

  /// The rows of several matrices, one after the other.
  /// - Precondition: there is at least one, and all have the same features.
  public init(joining parts: [FeatureMatrix]) {
    precondition(parts.dropFirst().allSatisfy { $0.names == parts[0].names }, "matrices of different features")
    let names = parts[0].names
    let rows = parts.reduce(0) { $0 + $1.rowCount }
    var values: [Float] = []
    values.reserveCapacity(names.count * rows)
    for column in names.indices {
      for part in parts { values.append(contentsOf: part.column(column)) }
    }
    self.init(names: names, rowCount: rows, values: values)
  }

  /// Some of the rows, in the given order.
  public func rows(_ indexes: [Int]) -> FeatureMatrix {
    var chosen: [Float] = []
    chosen.reserveCapacity(names.count * indexes.count)
    for column in names.indices {
      let start = column * rowCount
      for row in indexes {
        precondition(row >= 0 && row < rowCount, "row outside the matrix")
        chosen.append(values[start + row])
      }
    }
    return FeatureMatrix(names: names, rowCount: indexes.count, values: chosen)
  }

  public var columnCount: Int { names.count }

  /// The value of a row in a column.
  public subscript(row: Int, column: Int) -> Float { values[column * rowCount + row] }

  /// The values of a row, in the order of `names`.
  public func row(_ row: Int) -> [Float] { names.indices.map { self[row, $0] } }

  /// The values of one feature.
  public func column(_ index: Int) -> ArraySlice<Float> {
    values[index * rowCount..<(index + 1) * rowCount]
  }
}
