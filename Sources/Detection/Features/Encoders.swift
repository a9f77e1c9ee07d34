// Fitted transformations. While a model is trained, a row must not see itself: the frequency of a value that occurs once
// would say "seen", which it never does live. So training rows get the value that an encoder fitted on all the other rows
// would give them, and "unseen" occurs in training as often as it does live.

/// An encoder that was fitted on training rows.
public struct FittedEncoder: Sendable, Hashable {
  /// What was fitted.
  enum Fit: Sendable, Hashable, Codable {
    /// The hashes of the known values by falling number of occurrences, then by hash, and those numbers; `rows` counts
    /// all training rows, nulls included.
    case counts(hashes: [UInt64], counts: [Int], rows: Int)
    /// Nil where no training row had a finite value.
    case bounds(lower: Double?, upper: Double?)
    case moments(mean: Double, deviation: Double)
  }

  public let kind: EncoderKind
  let fit: Fit
  /// What a known value becomes, by index, live and in training.
  private let live: [Float]
  private let leftOut: [Float]
  private let table: ValueTable

  /// Bytes in memory: of each value its hash and number of occurrences too.
  var heldBytes: Int { live.count * 16 + live.heldBytes + leftOut.heldBytes + table.heldBytes }

  init(kind: EncoderKind, fit: Fit) {
    self.kind = kind
    self.fit = fit
    guard case .counts(let hashes, let counts, let rows) = fit else {
      (live, leftOut, table) = ([], [], ValueTable([]))
      return
    }
    live = counts.indices.map { Self.value(kind, count: counts[$0], rank: $0, rows: rows) }
    leftOut = counts.indices.map { Self.value(kind, count: counts[$0] - 1, rank: $0, rows: rows - 1) }
    table = ValueTable(hashes)
  }

  /// What a value becomes that occurs `count` times in `rows` rows and is the `rank`-th of the known ones.
  private static func value(_ kind: EncoderKind, count: Int, rank: Int, rows: Int) -> Float {
    guard count > 0, rows > 0 else { return 0 }
    let perMillion = Double(count) / Double(rows) * 1e6
    switch kind {
    case .frequency: return Float(perMillion)
    case .frequencyBucket(let rareBelow, let commonFrom):
      return perMillion < rareBelow ? 1 : perMillion >= commonFrom ? 3 : 2
    case .ordinal: return Float(rank + 1)
    case .clip, .scale: preconditionFailure("\(kind.name) does not count values")
    }
  }

  /// Distinct values that are kept; 0 for an encoder of amounts.
  public var knownValues: Int { live.count }

  /// The values of a column.
  /// - Parameter rows: the rows wanted; nil for all.
  public func values(of column: Column, rows: [Int]? = nil, leavingOneOut: Bool = false) -> [Float] {
    var values = [Float](repeating: 0, count: rows?.count ?? column.count)
    write(column, rows: rows, leavingOneOut: leavingOneOut, into: &values, at: values.indices)
    return values
  }

  /// Writes the values of some rows (nil: all) of a column; NaN for null.
  func write(
    _ column: Column, rows: [Int]?, leavingOneOut: Bool, into values: inout [Float], at target: Range<Int>
  ) {
    switch fit {
    case .counts:
      let known = leavingOneOut ? leftOut : live
      let start = target.lowerBound
      CategoryHash.forEach(column, rows: rows) { ordinal, hash in
        let index = table.index(of: hash)
        values[start + ordinal] = index < 0 ? 0 : known[index]
      }
      column.writeNulls(rows: rows, into: &values, at: target)
    case .bounds(let lower, let upper):
      let (low, high) = (lower ?? -.infinity, upper ?? .infinity)
      write(column, rows, into: &values, at: target) { $0 < low ? low : $0 > high ? high : $0 }
    case .moments(let mean, let deviation):
      write(column, rows, into: &values, at: target) { ($0 - mean) / deviation }
    }
  }

  private func write(
    _ column: Column, _ rows: [Int]?, into values: inout [Float], at target: Range<Int>,
    _ transform: (Double) -> Double
  ) {
    for (ordinal, index) in target.enumerated() {
      values[index] = Float(transform(column.number(rows?[ordinal] ?? ordinal)))
    }
  }
}

extension FittedEncoder: Codable {
  private enum CodingKeys: String, CodingKey { case kind, fit }

  public init(from decoder: any Swift.Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    let kind = try container.decode(EncoderKind.self, forKey: .kind)
    let fit = try container.decode(Fit.self, forKey: .fit)
    if let problem = Self.problem(kind, fit) {
      throw DecodingError.dataCorrupted(.init(codingPath: container.codingPath, debugDescription: problem))
    }
    self.init(kind: kind, fit: fit)
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(kind, forKey: .kind)
    try container.encode(fit, forKey: .fit)
  }

  /// What is wrong with a stored encoder.
  private static func problem(_ kind: EncoderKind, _ fit: Fit) -> String? {
    switch (kind, fit) {
    case (.frequency, .counts(let hashes, let counts, let rows)),
      (.frequencyBucket, .counts(let hashes, let counts, let rows)),
      (.ordinal, .counts(let hashes, let counts, let rows)):
      guard hashes.count == counts.count, hashes.count <= Limits.maxEncodedValues, Set(hashes).count == hashes.count,
        counts.allSatisfy({ $0 > 0 && $0 <= rows }), zip(counts, counts.dropFirst()).allSatisfy(>=)
      else { return "the values of an encoder are not right" }
    case (.clip, .bounds(let lower, let upper)):
      if let lower, let upper, !(lower <= upper) { return "the bounds of an encoder are not in order" }
      if lower?.isNaN == true || upper?.isNaN == true { return "the bounds of an encoder are not numbers" }
    case (.scale, .moments(let mean, let deviation)):
      guard mean.isFinite, deviation.isFinite, deviation > 0 else { return "the moments of an encoder are not numbers" }
    default: return "the encoder \(kind.name) holds what another one fits"
    }
    return nil
  }
}

/// Fits one encoder over rows that come in batches. The order of the rows changes nothing.
public struct EncoderFitter: Sendable {
  private let kind: EncoderKind
  private var rows = 0
  private var hashes: [UInt64] = []
  private var numbers: [Double] = []

  public init(_ kind: EncoderKind) { self.kind = kind }

  /// Takes in rows of a column, of the type that the encoder accepts.
  public mutating func add(_ column: Column, rows: [Int]? = nil) {
    let count = rows?.count ?? column.count
    self.rows += count
    if kind.isCategorical {
      CategoryHash.forEach(column, rows: rows) { _, hash in hashes.append(hash) }
    } else {
      for ordinal in 0..<count {
        let number = column.number(rows?[ordinal] ?? ordinal)
        if number.isFinite { numbers.append(number) }
      }
    }
  }

  /// The encoder of all rows taken in. Eight bytes a row are sorted; of the values, the `Limits.maxEncodedValues` most
  /// frequent are kept.
  public consuming func finish() -> FittedEncoder {
    switch kind {
    case .frequency, .frequencyBucket, .ordinal: return FittedEncoder(kind: kind, fit: counts())
    case .clip(let lower, let upper):
      numbers.sort()
      guard let last = numbers.indices.last else {
        return FittedEncoder(kind: kind, fit: .bounds(lower: nil, upper: nil))
      }
      // The order statistics that enclose the levels.
      let low = Int((lower * Double(last)).rounded(.down))
      let high = Int((upper * Double(last)).rounded(.up))
      return FittedEncoder(kind: kind, fit: .bounds(lower: numbers[low], upper: numbers[high]))
    case .scale:
      let (mean, deviation) = moments()
      return FittedEncoder(kind: kind, fit: .moments(mean: mean, deviation: deviation))
    }
  }

  private mutating func counts() -> FittedEncoder.Fit {
    hashes.sort()
    var known: [(hash: UInt64, count: Int)] = []
    for hash in hashes {
      if known.last?.hash == hash { known[known.count - 1].count += 1 } else { known.append((hash, 1)) }
    }
    known.sort { ($1.count, $0.hash) < ($0.count, $1.hash) }
    let kept = known.prefix(Limits.maxEncodedValues)
    return .counts(hashes: kept.map(\.hash), counts: kept.map(\.count), rows: rows)
  }

  /// Mean and standard deviation of the population, in two passes over the sorted values, so that the order of rows means
  /// nothing. A deviation that is 0 or too large for a number is 1.
  private mutating func moments() -> (mean: Double, deviation: Double) {
    numbers.sort()
    guard !numbers.isEmpty else { return (0, 1) }
    let count = Double(numbers.count)
    let mean = numbers.reduce(0) { $0 + $1 / count }
    let deviation = numbers.reduce(0) { $0 + ($1 - mean) / count * ($1 - mean) }.squareRoot()
    return (mean, deviation > 0 && deviation.isFinite ? deviation : 1)
  }
}

/// Fits the encoders of a feature plan.
public struct EncoderFitters: Sendable {
  private var fitters: [(input: FeaturePlan.Input, fitter: EncoderFitter)]

  init(_ plan: FeaturePlan) {
    fitters = plan.inputs.compactMap { input in input.encoder.map { (input, EncoderFitter($0)) } }
  }

  /// Takes in rows (nil: all) of a derived batch.
  public mutating func add(_ batch: EventBatch, rows: [Int]? = nil) {
    for index in fitters.indices {
      fitters[index].fitter.add(batch.columns[fitters[index].input.column], rows: rows)
    }
  }

  /// The encoders by the name of their input.
  public consuming func finish() -> [String: FittedEncoder] {
    Dictionary(uniqueKeysWithValues: fitters.map { ($0.input.name, $0.fitter.finish()) })
  }
}

extension Column {
  /// A number as a double, NaN for null.
  /// - Precondition: a column of integers or doubles.
  @inline(__always)
  func number(_ row: Int) -> Double {
    if isNull(row) { return .nan }
    switch values {
    case .int(let values): return Double(values[row])
    case .double(let values): return values[row]
    case .bool, .string, .timestamp: preconditionFailure("a column of type \(type.rawValue) is not a number")
    }
  }
}
