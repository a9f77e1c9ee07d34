// Whether events still look as they did in training. Each input and the score is cut into bins at the tenths of the
// training rows, missing values apart; each batch counts its events by bin and day. Counts of batches add up, so that
// they are a function of the events. Of a day's counts and training's, the population stability index says how far the
// distributions lie apart: the sum over the bins of (p - q) ln(p / q), their Jeffreys divergence (Jeffreys 1946).

/// What training looked like.
public struct DriftReference: Sendable, Hashable, Codable {
  /// The bins of one input or of the score.
  public struct Bins: Sendable, Hashable, Codable {
    public var name: String
    /// Ascending: a value is in the bin of as many edges as it exceeds. Fewer than nine where quantiles are equal; one
    /// more, just below the least value, where many rows have that: what lies below is another kind of value.
    public var edges: [Float]
    /// Training rows by bin, those with a missing value last: two more than edges.
    public var counts: [Int]
  }

  /// Inputs that depend on more than the event's time, ascending by name: the hour would differ from training's in every
  /// batch.
  public var inputs: [Bins]
  public var score: Bins

  /// The bins of training.
  /// - Parameters:
  ///   - matrix: rows as they look live: training rows with their left-out values, or rows behind training.
  ///   - scores: raw scores of rows that were not trained on.
  public static func fit(plan: DetectorPlan, matrix: FeatureMatrix, scores: [Double]) -> DriftReference {
    precondition(matrix.names == plan.features.names, "the matrix is another detector's")
    let inputs = plan.features.inputs.indices.compactMap { index -> Bins? in
      let input = plan.features.inputs[index]
      guard !plan.isCalendar(input) else { return nil }
      return bins(input.name, Array(matrix.column(index)))
    }
    return DriftReference(inputs: inputs, score: bins("score", scores.map { Float($0) }))
  }

  private static func bins(_ name: String, _ values: [Float]) -> Bins {
    let sorted = values.filter { !$0.isNaN }.sorted()
    var edges: [Float] = []
    for tenth in 1..<10 where !sorted.isEmpty {
      let edge = sorted[min(sorted.count * tenth / 10, sorted.count - 1)]
      if edges.last != edge { edges.append(edge) }
    }
    if let least = sorted.first, edges.first == least, least.nextDown < least { edges.insert(least.nextDown, at: 0) }
    return Bins(name: name, edges: edges, counts: counts(of: values[...], edges: edges))
  }

  /// Values by bin, missing ones last. Each value is compared with all edges at once.
  private static func counts(of values: ArraySlice<Float>, edges: [Float]) -> [Int] {
    precondition(edges.count < 16, "more edges than are compared at once")
    // Nothing exceeds the infinity of lanes without an edge.
    var limits = SIMD16<Float>(repeating: .infinity)
    for (lane, edge) in edges.enumerated() { limits[lane] = edge }
    var exceeding = SIMD16<Int32>.zero
    var missing = 0
    for value in values {
      exceeding.replace(with: exceeding &+ 1, where: limits .< value)
      missing += value.isNaN ? 1 : 0
    }
    var above = values.count - missing
    var counts: [Int] = []
    for lane in edges.indices {
      counts.append(above - Int(exceeding[lane]))
      above = Int(exceeding[lane])
    }
    return counts + [above, missing]
  }

  /// What is wrong with a stored reference.
  func problem(for plan: DetectorPlan) -> String? {
    let names = Set(plan.features.names)
    if !(inputs + [score]).allSatisfy(\.isRight) { return "its bins for drift are not right" }
    let unknown = inputs.first { !names.contains($0.name) }
    return unknown.map { "its bins for drift name `\($0.name)`, which is no feature" }
  }

  /// Counts a batch's scored events.
  /// - Parameters:
  ///   - times: event time of each row.
  /// - Returns: the counts by day, ascending.
  func count(
    _ matrix: FeatureMatrix, scores: [Double], times: [Int64], detector: String, version: String
  ) -> [DriftCounts] {
    let columns = inputs.map { bins in matrix.names.firstIndex(of: bins.name) ?? 0 }
    let rawScores = scores.map { Float($0) }
    let days = times.map { Timestamp.dayNumber(of: $0) }
    func counted(_ day: Int64, _ rows: [Int]?) -> DriftCounts {
      func chosen(_ values: ArraySlice<Float>) -> ArraySlice<Float> {
        rows.map { rows in rows.map { values[values.startIndex + $0] }[...] } ?? values
      }
      return DriftCounts(
        detector: detector, version: version, day: day, rows: rows?.count ?? times.count,
        inputs: zip(inputs, columns).map { Self.counts(of: chosen(matrix.column($1)), edges: $0.edges) },
        score: Self.counts(of: chosen(rawScores[...]), edges: score.edges))
    }
    guard let first = days.first else { return [] }
    if days.allSatisfy({ $0 == first }) { return [counted(first, nil)] }
    var rows: [Int64: [Int]] = [:]
    for (row, day) in days.enumerated() { rows[day, default: []].append(row) }
    return rows.sorted { $0.key < $1.key }.map { counted($0.key, $0.value) }
  }

  /// How far a day lies from training, input by input and then the score; empty for a day with fewer than
  /// `Limits.minDriftRows` events and for counts of another model's bins.
  public func stability(of day: DriftCounts) -> [Drift] {
    guard day.rows >= Limits.minDriftRows, day.inputs.count == inputs.count,
      zip(inputs, day.inputs).allSatisfy({ $0.counts.count == $1.count }), score.counts.count == day.score.count
    else { return [] }
    var drifts = zip(inputs, day.inputs).map {
      Drift(name: $0.name, isScore: false, index: Self.index($0.counts, $1))
    }
    drifts.append(Drift(name: score.name, isScore: true, index: Self.index(score.counts, day.score)))
    return drifts
  }

  /// The population stability index of two counts over the same bins. Half an event is added to each bin, so that an
  /// empty one is no infinity; bins that are empty in both are left out.
  static func index(_ reference: [Int], _ current: [Int]) -> Double {
    let used = reference.indices.filter { reference[$0] > 0 || current[$0] > 0 }
    guard used.count > 1 else { return 0 }
    let extra = 0.5 * Double(used.count)
    // As doubles, which hold whatever a file says.
    func sum(_ counts: [Int]) -> Double { counts.reduce(0) { $0 + Double($1) } }
    let total = (reference: sum(reference) + extra, current: sum(current) + extra)
    return used.reduce(0) { sum, bin in
      let p = (Double(current[bin]) + 0.5) / total.current
      let q = (Double(reference[bin]) + 0.5) / total.reference
      return sum + (p - q) * MathFunctions.ln(p / q)
    }
  }
}

extension DriftReference.Bins {
  /// More edges than nine tenths and the one below the least value are not made.
  private static let maxEdges = 10

  fileprivate var isRight: Bool {
    edges.count <= Self.maxEdges && counts.count == edges.count + 2 && !edges.contains(where: \.isNaN)
      && counts.allSatisfy { $0 >= 0 } && zip(edges, edges.dropFirst()).allSatisfy { $0 < $1 }
  }

  private enum CodingKeys: String, CodingKey { case name, edges, counts }

  /// - Throws: `DecodingError` for bins that training does not make.
  public init(from decoder: any Swift.Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      name: try container.decode(String.self, forKey: .name), edges: try container.decode([Float].self, forKey: .edges),
      counts: try container.decode([Int].self, forKey: .counts))
    guard isRight else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: container.codingPath, debugDescription: "the bins of `\(name.prefix(60))` are not right"))
    }
  }
}

/// The scored events of a day, or of the part of it that a batch holds.
public struct DriftCounts: Sendable, Hashable {
  public var detector: String
  public var version: String
  /// Days since 1970-01-01 UTC.
  public var day: Int64
  public var rows: Int
  /// Events by bin, in the order of `DriftReference.inputs`.
  public var inputs: [[Int]]
  public var score: [Int]

  public init(detector: String, version: String, day: Int64, rows: Int, inputs: [[Int]], score: [Int]) {
    self.detector = detector
    self.version = version
    self.day = day
    self.rows = rows
    self.inputs = inputs
    self.score = score
  }

  /// Whether other counts are over as many bins of as many inputs.
  public func hasBins(of other: DriftCounts) -> Bool {
    inputs.map(\.count) == other.inputs.map(\.count) && score.count == other.score.count
  }

  /// Adds the counts of other events of the same day, detector and version.
  public mutating func add(_ other: DriftCounts) { combine(other, +) }

  /// Takes away the counts of events that are among these.
  public mutating func subtract(_ other: DriftCounts) { combine(other, -) }

  private mutating func combine(_ other: DriftCounts, _ operation: (Int, Int) -> Int) {
    precondition(
      detector == other.detector && version == other.version && day == other.day && hasBins(of: other),
      "counts of different things")
    rows = operation(rows, other.rows)
    for index in inputs.indices {
      for bin in inputs[index].indices {
        inputs[index][bin] = operation(inputs[index][bin], other.inputs[index][bin])
      }
    }
    for bin in score.indices { score[bin] = operation(score[bin], other.score[bin]) }
  }
}

/// How far one input, or the score, lies from training.
public struct Drift: Sendable, Hashable {
  /// Name of the input; "score" for the score.
  public var name: String
  public var isScore: Bool
  /// The population stability index.
  public var index: Double

  /// An index from which on a change is reported. 0.25 is the usual bound of a major change; a shift of a normal
  /// distribution by one standard deviation gives about 0.9.
  public static let notable = 0.25

  public var isNotable: Bool { index >= Self.notable }

  public init(name: String, isScore: Bool, index: Double) {
    self.name = name
    self.isScore = isScore
    self.index = index
  }
}
