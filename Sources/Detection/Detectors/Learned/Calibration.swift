// From a false-alarm budget to a threshold. Calibration uses a stretch of time of its own, behind training, and takes its
// events as they are: an alarm on one of them counts as a false one.
//
// The threshold is an order statistic of the calibration scores. Of n scores, the j-th highest is exceeded by a new score
// with a probability of j / (n + 1) on average, whatever the distribution is, as long as it has no ties; so j is the
// largest that keeps this within the budget's rate. Ties make it less: a score equal to the threshold is no alarm.

/// A threshold on raw scores, and how it came about.
public struct Calibration: Sendable, Hashable, Codable {
  /// The raw score that must be exceeded. Calibrated scores are raw ones by it, so that 1 is the threshold.
  public var threshold: Double
  /// The rate that the budget asks for.
  public var rate: Double
  /// The highest rate that any threshold would give: the share of calibration scores above 0. Below the floor of an
  /// expected value nothing can be an alarm.
  public var reachableRate: Double
  /// Calibration scores.
  public var rows: Int
  /// Of these, how many exceed the threshold.
  public var alarms: Int
  /// The tail behind the threshold where counting was not enough.
  public var tail: ParetoTail?

  /// Alarms that the budget lets expect in calibration.
  private var expectedAlarms: Double { rate * Double(rows) }

  /// Whether the budget asks for more alarms than there can be.
  public var isOutOfReach: Bool { rate > reachableRate }

  /// Why no threshold follows from a budget.
  public enum Problem: Error, Sendable, Hashable, CustomStringConvertible {
    /// Calibration has no scores.
    case noRows
    /// The budget lets expect fewer alarms than say anything about a rate.
    case tooFewAlarms(expected: Double, rows: Int, rowsNeeded: Int)
    /// The budget allows more alarms than can be called that, as a share of the events.
    case tooManyAlarms(rate: Double)
    /// A tail cannot be fitted, or would have to be believed too far out.
    case noTail(String)

    public var description: String {
      switch self {
      case .noRows: "calibration has no scored events"
      case .tooFewAlarms(let expected, let rows, let needed):
        "the budget lets expect \(RuleText.number(expected)) alarms in the \(rows) events of calibration, expected at "
          + "least \(Int(Limits.minCalibrationAlarms)): allow more alarms, calibrate with \(needed) events, or ask for "
          + "`tail: pareto`"
      case .tooManyAlarms(let rate):
        "the budget allows alarms on \(RuleText.number((rate * 1_000).rounded() / 10)) % of the events, at most "
          + "\(RuleText.number(Limits.maxAlarmRate * 100)) % are possible"
      case .noTail(let reason): "a tail cannot be fitted: \(reason)"
      }
    }
  }

  /// Raw scores at or below this are not told apart from 0, so that calibrated scores stay finite.
  static let leastThreshold = 1e-9

  /// The threshold that a budget implies.
  /// - Parameters:
  ///   - scores: raw scores of all events of calibration that are scored, those of 0 included; finite.
  ///   - entityDays: pairs of an entity and a day among these events, of days that are there in part their part; for a
  ///     budget per entity and day.
  public static func fit(
    scores: [Double], budget: FalseAlarmBudget, entityDays: Double
  ) throws(Problem) -> Calibration {
    guard !scores.isEmpty else { throw .noRows }
    let count = Double(scores.count)
    let rate =
      switch budget.amount {
      case .rate(let rate): rate
      case .perEntityAndDay(let alarms): alarms * entityDays / count
      }
    guard rate <= Limits.maxAlarmRate else { throw .tooManyAlarms(rate: rate) }
    let sorted = scores.sorted(by: >)
    let positive = sorted.firstIndex { $0 <= leastThreshold } ?? sorted.count
    var calibration = Calibration(
      threshold: leastThreshold, rate: rate, reachableRate: Double(positive) / count, rows: scores.count, alarms: 0,
      tail: nil)
    if calibration.expectedAlarms < Limits.minCalibrationAlarms {
      guard budget.fitsTail else {
        let needed = rate > 0 ? Int(min((Limits.minCalibrationAlarms / rate).rounded(.up), 1e15)) : 0
        throw .tooFewAlarms(expected: calibration.expectedAlarms, rows: scores.count, rowsNeeded: needed)
      }
      let tail = try ParetoTail.fit(sorted: sorted[..<positive], of: scores.count)
      calibration.threshold = try tail.score(exceededAt: rate, rows: scores.count)
      calibration.tail = tail
    } else {
      let rank = Int((rate * (count + 1)).rounded(.down))
      calibration.threshold = max(sorted[min(rank, sorted.count) - 1], leastThreshold)
    }
    calibration.alarms = sorted.firstIndex { $0 <= calibration.threshold } ?? sorted.count
    return calibration
  }

  /// The calibrated score of a raw one: above 1 exactly when the raw score exceeds the threshold.
  public func calibrated(_ raw: Double) -> Double {
    let score = raw / threshold
    if raw > threshold { return min(max(score, (1.0).nextUp), Limits.maxRuleScore) }
    return min(score, 1)
  }
}

extension Calibration {
  private enum CodingKeys: String, CodingKey { case threshold, rate, reachableRate, rows, alarms, tail }

  /// - Throws: `DecodingError` for numbers that no calibration gives: a threshold of NaN or 0 would silence the detector
  ///   or make an alarm of everything.
  public init(from decoder: any Swift.Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      threshold: try container.decode(Double.self, forKey: .threshold),
      rate: try container.decode(Double.self, forKey: .rate),
      reachableRate: try container.decode(Double.self, forKey: .reachableRate),
      rows: try container.decode(Int.self, forKey: .rows), alarms: try container.decode(Int.self, forKey: .alarms),
      tail: try container.decodeIfPresent(ParetoTail.self, forKey: .tail))
    let isTail = tail.map { [$0.start, $0.share, $0.scale, $0.shape].allSatisfy(\.isFinite) } ?? true
    guard threshold.isFinite, threshold > 0, (0...1).contains(rate), (0...1).contains(reachableRate), rows >= 0,
      (0...rows).contains(alarms), isTail
    else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: container.codingPath, debugDescription: "the numbers of a calibration are not right"))
    }
  }
}

/// The generalised Pareto distribution of what the highest scores exceed a high threshold by, fitted by
/// probability-weighted moments (Hosking and Wallis, "Parameter and Quantile Estimation for the Generalized Pareto
/// Distribution", Technometrics 1987). It is fitted to the logarithms of the scores: ratios have heavy tails, and their
/// logarithms moments.
public struct ParetoTail: Sendable, Hashable, Codable {
  /// Logarithm of the threshold that the tail begins at.
  public var start: Double
  /// Share of all scores that exceed it.
  public var share: Double
  /// Scale, and shape in the sign of Hosking and Wallis: above 0 the tail is bounded.
  public var scale: Double
  public var shape: Double

  /// Highest scores that a tail is fitted to, and fewer where so many do not look like one tail. Measured with budgets
  /// that let expect two alarms in 20,000 events: with a hundred the true rate was 1.2 times the budget's on average, for
  /// power laws and bounded tails alike; with a thousand it was up to 2.1 times.
  static let (mostScores, fewestScores) = (100, 50)

  /// Alarms in calibration that must be expected. Measured on a forest's scores of simulated queries, eight of ten true
  /// rates at one expected alarm lie between 0.2 and 4 times the budget's; farther out they mean little.
  static let minExpected = 1.0

  /// What the Anderson-Darling statistic of a fitted tail may be. Of samples that follow the distribution 2 to 5 in 100
  /// exceed it, with a hundred scores or fifty and shapes from -0.5 to 0.5 (simulated; `maxShape` refuses some more of
  /// those near 0.5). Scores of several kinds of events exceed it: there the tail of one kind says nothing about the next.
  static let maxDistance = 1.0

  /// Shapes above this are not estimated well by moments (Hosking and Wallis: up to 0.5), and end abruptly.
  static let maxShape = 0.75

  /// - Parameters:
  ///   - sorted: the scores above 0, highest first.
  ///   - rows: all scores.
  static func fit(sorted: ArraySlice<Double>, of rows: Int) throws(Calibration.Problem) -> ParetoTail {
    guard rows >= 20 * fewestScores, sorted.count > fewestScores else {
      throw .noTail(
        "it takes more than \(fewestScores) scores above 0 among \(20 * fewestScores) events at least; calibration has "
          + "\(sorted.count) among \(rows)")
    }
    for count in [mostScores, fewestScores] where rows >= 20 * count && sorted.count > count {
      let start = MathFunctions.ln(sorted[sorted.startIndex + count])
      let excesses = sorted.prefix(count).reversed().map { MathFunctions.ln($0) - start }
      if let tail = ParetoTail(excesses: excesses, start: start, share: Double(count) / Double(rows)) { return tail }
    }
    throw .noTail("the highest scores do not thin out like one tail; they may be of several kinds of events")
  }

  /// The tail with the moments of some scores; nil when they do not look like it.
  /// - Parameter excesses: what the logarithms of the scores exceed `start` by, ascending.
  private init?(excesses: [Double], start: Double, share: Double) {
    let size = Double(excesses.count)
    var (mean, weighted) = (0.0, 0.0)
    for (index, excess) in excesses.enumerated() {
      let position = (Double(index + 1) - 0.35) / size
      mean += excess / size
      weighted += (1 - position) * excess / size
    }
    let denominator = mean - 2 * weighted
    guard mean > 0, denominator > 0 else { return nil }
    self.init(
      start: start, share: share, scale: 2 * mean * weighted / denominator, shape: mean / denominator - 2)
    guard shape <= Self.maxShape, distance(to: excesses) <= Self.maxDistance else { return nil }
  }

  private init(start: Double, share: Double, scale: Double, shape: Double) {
    self.start = start
    self.share = share
    self.scale = scale
    self.shape = shape
  }

  /// The Anderson-Darling statistic of the scores that the tail was fitted to. A score beyond the end of a bounded tail,
  /// which fitting by moments does not rule out, counts as exceeded by a quarter of a score.
  private func distance(to excesses: [Double]) -> Double {
    let size = Double(excesses.count)
    let exceeded = excesses.map { excess in
      let share =
        shape.magnitude < 1e-6
        ? MathFunctions.exp(-excess / scale)
        : MathFunctions.pow(max(1 - shape * excess / scale, 0), 1 / shape)
      return min(max(share, 0.25 / size), 1 - 1e-12)
    }
    var sum = 0.0
    for index in excesses.indices {
      let mirrored = exceeded[excesses.count - 1 - index]
      sum += Double(2 * index + 1) * (MathFunctions.ln(1 - exceeded[index]) + MathFunctions.ln(mirrored))
    }
    return -size - sum / size
  }

  /// The score that is exceeded at a rate.
  func score(exceededAt rate: Double, rows: Int) throws(Calibration.Problem) -> Double {
    guard rate * Double(rows) >= Self.minExpected, rate < share else {
      throw .noTail(
        "the budget lets expect \(RuleText.number(rate * Double(rows))) alarms in calibration, expected at least "
          + "\(Self.minExpected)")
    }
    let tail = rate / share
    let excess =
      shape.magnitude < 1e-6
      ? -scale * MathFunctions.ln(tail) : scale / shape * (1 - MathFunctions.pow(tail, shape))
    return MathFunctions.exp(start + excess)
  }
}
