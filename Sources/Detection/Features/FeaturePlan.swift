// How the columns of a derived batch become the matrix that a detector's model sees. The plan is compiled from the use
// case; what training fits (encoders) is kept apart from it and travels with the model.

/// The inputs of one detector.
public struct FeaturePlan: Sendable, Hashable {
  /// One column of the matrix.
  public struct Input: Sendable, Hashable {
    /// Name of the field or feature.
    public var name: String
    /// The column of derived batches that it is made of.
    public var column: Int
    /// That column's type.
    public var type: ValueType
    /// What training fits over that column; nil where its values are taken as they are.
    public var encoder: EncoderKind?
    /// Fields of the schema that its values depend on, ascending. An explanation credits them.
    public var fields: [Int]

    public init(name: String, column: Int, type: ValueType, encoder: EncoderKind? = nil, fields: [Int]) {
      self.name = name
      self.column = column
      self.type = type
      self.encoder = encoder
      self.fields = fields
    }
  }

  /// Ascending by the UTF-8 of their names, which are unique.
  public let inputs: [Input]

  public init(_ inputs: [Input]) {
    self.inputs = inputs.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    precondition(Set(inputs.map(\.name)).count == inputs.count, "two inputs have the same name")
  }

  /// Names of the inputs: the columns of its matrices.
  public var names: [String] { inputs.map(\.name) }

  /// Encoders that see the rows to learn from.
  public func makeFitters() -> EncoderFitters { EncoderFitters(self) }

  /// The matrix of some rows of a derived batch. Numbers are rounded to the nearest Float32; beyond its range they are
  /// infinite. A boolean is 0 or 1, a null NaN.
  /// - Parameters:
  ///   - rows: the rows wanted, ascending; nil for all.
  ///   - encoders: one for each input that has an encoder, by the input's name.
  ///   - leavingOneOut: the rows were among those that the encoders were fitted on: each gets the value that encoders
  ///     fitted on all the others would give it.
  /// - Precondition: an encoder is there for every input that needs one; the batch was derived by the same use case.
  public func matrix(
    of batch: EventBatch, rows: [Int]? = nil, encoders: [String: FittedEncoder] = [:], leavingOneOut: Bool = false
  ) -> FeatureMatrix {
    let count = rows?.count ?? batch.count
    var values = [Float](repeating: 0, count: inputs.count * count)
    for (index, input) in inputs.enumerated() {
      let column = batch.columns[input.column]
      precondition(column.type == input.type, "the column of \(input.name) is not of the type it was compiled for")
      let target = index * count..<(index + 1) * count
      if input.encoder != nil {
        guard let encoder = encoders[input.name] else {
          preconditionFailure("no fitted encoder for \(input.name)")
        }
        encoder.write(column, rows: rows, leavingOneOut: leavingOneOut, into: &values, at: target)
      } else {
        column.writeFloats(rows: rows, into: &values, at: target)
      }
    }
    return FeatureMatrix(names: names, rowCount: count, values: values)
  }
}

extension Column {
  /// The values of some rows (nil: all) as Float32, NaN for null; a boolean is 0 or 1.
  /// - Precondition: a numeric or boolean column; `target` has room for the rows.
  func writeFloats(rows: [Int]?, into values: inout [Float], at target: Range<Int>) {
    switch self.values {
    case .int(let source): Self.write(source, rows, into: &values, at: target) { Float($0) }
    case .double(let source): Self.write(source, rows, into: &values, at: target) { Float($0) }
    case .bool(let source):
      for (ordinal, index) in target.enumerated() { values[index] = source[rows?[ordinal] ?? ordinal] ? 1 : 0 }
    case .string, .timestamp: preconditionFailure("a column of type \(type.rawValue) is not a number")
    }
    writeNulls(rows: rows, into: &values, at: target)
  }

  /// NaN for the null rows, of some rows.
  func writeNulls(rows: [Int]?, into values: inout [Float], at target: Range<Int>) {
    guard let validity else { return }
    guard let rows else {
      (~validity).forEachSet { values[target.lowerBound + $0] = .nan }
      return
    }
    for (ordinal, row) in rows.enumerated() where !validity[row] { values[target.lowerBound + ordinal] = .nan }
  }

  @inline(__always)
  private static func write<Element>(
    _ source: [Element], _ rows: [Int]?, into values: inout [Float], at target: Range<Int>,
    _ convert: (Element) -> Float
  ) {
    let start = target.lowerBound
    precondition(target.upperBound <= values.count, "no room for the values")
    var output = values.mutableSpan
    if let rows {
      precondition(target.count == rows.count, "room for another number of rows")
      for (ordinal, row) in rows.enumerated() { output[start + ordinal] = convert(source[row]) }
    } else {
      precondition(target.count == source.count, "room for another number of rows")
      for row in source.indices { output[start + row] = convert(source[row]) }
    }
  }
}

extension Bitmap {
  /// The set rows, ascending.
  public var setRows: [Int] {
    var rows: [Int] = []
    rows.reserveCapacity(setCount)
    forEachSet { rows.append($0) }
    return rows
  }
}
