// A model of the user's own as the scorer of a detector: one number for each event.

public import Detection

/// Scores with a model that ONNX Runtime has loaded.
public struct ONNXScorer: ExternalScorer {
  private let session: ONNXSession

  /// Loads a model and checks that its input takes the features and that an output is a score: one number a row, or two,
  /// of which the second is taken, as the probability of the second class that classifiers give.
  ///
  /// - Parameters:
  ///   - model: bytes of an ONNX file.
  ///   - name: what messages call it.
  ///   - features: names of the columns of the matrices to come, in their order.
  /// - Throws: as `ONNXSession`; of kind `configuration` also where the output has more numbers.
  public init(
    model: [UInt8], name: String, features: [String], options: ONNXSession.Options
  ) throws(OperatingError) {
    session = try ONNXSession(
      model: model, name: name, featureCount: features.count, options: options, library: try .open())
    guard session.width <= 2 else {
      throw OperatingError(
        .configuration,
        "the output of \(name) has \(session.width) numbers a row; expected one, the score, or two, the second of which "
          + "is the score. Name another with `output`")
    }
  }

  /// The score of each row, as the model gives it: the detector's threshold is in its unit. Where the model fails on the
  /// rows together, each is tried alone, so that one cannot take the score of another.
  /// - Throws: where it takes too long. That depends on the machine, so it is no score and no missing one.
  public func scores(of matrix: FeatureMatrix) throws(LimitError) -> [Double] {
    if let scores = try attempt(matrix) { return scores }
    var scores: [Double] = []
    for row in 0..<matrix.rowCount { scores.append(try attempt(matrix.rows([row]))?.first ?? .nan) }
    return scores
  }

  /// The scores; nil where the model fails.
  private func attempt(_ matrix: FeatureMatrix) throws(LimitError) -> [Double]? {
    do throws(OperatingError) { return try run(matrix) } catch {
      if error.kind == .limit { throw LimitError(subject: "a model of type `onnx`", message: error.description) }
      return nil
    }
  }

  private func run(_ matrix: FeatureMatrix) throws(OperatingError) -> [Double] {
    let (rows, columns) = (matrix.rowCount, matrix.columnCount)
    var values = [Float](repeating: 0, count: rows * columns)
    for column in 0..<columns {
      for (row, value) in matrix.column(column).enumerated() { values[row * columns + column] = value }
    }
    let numbers = try session.run(values)
    let width = session.width
    return (0..<rows).map { Double(numbers[$0 * width + width - 1]) }
  }
}
