// A use case with two learned detectors beside a rule and windows, events for it, and models of it: small, quickly
// fitted, and so different from version to version that their findings tell them apart.

import Configuration
public import Detection
public import Pipeline

/// Payments of seven users.
public enum LearnedUseCase {
  public static let text = """
    name: payments
    event:
      time: at
      key: user
      out_of_order: 2s
      fields:
        at: {type: timestamp, required: true, format: seconds, known_at: before_execution}
        user: {type: string, required: true, known_at: before_execution}
        amount: {type: double, min: 0}
        cached: {type: bool, default: false}
    features:
      root: sqrt(amount)
      user_code: {encoder: ordinal, of: user}
    rules:
      - {name: burst, when: amount > 50, per: user, within: 10m, having: count(*) >= 4}
    detectors:
      - {name: odd, type: isolation_forest, features: [amount, root], when: NOT cached, budget: {rate: 0.05}}
      - {name: slow, type: expected_value, target: amount, features: [user_code], floor: 20, ratio: 2, delta: 40}
    windows:
      - {name: hours, type: tumbling, size: 1h, by: [user], aggregates: {n: count(*), total: sum(amount)}}
    """

  /// The plan of the use case, or of one whose text was changed.
  /// - Throws: what is wrong with the changed text.
  public static func plan(_ edit: (String) -> String = { $0 }) throws -> (plan: Plan, version: ConfigurationVersion) {
    let changed = edit(text)
    let check = UseCaseChecker.check(text: changed)
    guard let plan = check.plan else { throw OperatingError(.configuration, check.rendered) }
    return (plan, ConfigurationVersion(plan.useCase, text: changed))
  }

  /// Events half a minute apart on average: 5,000 of them take a day and three quarters. One in fifty is broken or
  /// refused.
  public static func records(_ count: Int, seed: UInt64) -> [[UInt8]] {
    var random = SeededRandom(seed: seed)
    var time = 1_700_000_000
    return (0..<count).map { _ in
      time += Int.random(in: 0...60, using: &random)
      let late = Int.random(in: 0..<20, using: &random) == 0 ? Int.random(in: 0...200, using: &random) : 0
      switch Int.random(in: 0..<100, using: &random) {
      case 0: return Array("{broken".utf8)
      case 1: return Array(#"{"at": \#(time), "user": "u1", "amount": -1}"#.utf8)
      case 2: return Array(#"{"at": \#(time - late), "user": "u1"}"#.utf8)
      default:
        let amount = Double.random(in: 0...10, using: &random)
        let user = Int.random(in: 0..<7, using: &random)
        let cached = Int.random(in: 0..<10, using: &random) == 0
        return Array(
          #"{"at": \#(time - late), "user": "u\#(user)", "amount": \#(amount * amount), "cached": \#(cached)}"#.utf8)
      }
    }
  }

  /// A model of one of the detectors; its version seeds it.
  public static func model(of detector: String, _ version: String, for plan: Plan) throws -> FittedModel {
    let seed = version.utf8.reduce(0) { $0 &* 31 &+ UInt64($1) }
    guard let detector = plan.detectors.first(where: { $0.name == detector }) else {
      throw OperatingError(.configuration, "the use case has no detector \(detector)")
    }
    let raw = QueryEvents.batch(of: records(600, seed: seed))
    let batch = plan.derive(Decoder(schema: plan.schema).decode(raw), from: raw).events
    var fitters = detector.features.makeFitters()
    fitters.add(batch)
    let encoders = fitters.finish()
    let matrix = detector.features.matrix(of: batch, encoders: encoders)
    if detector.definition.parameters is IsolationForestDefinition {
      let forest = IsolationForest.fit(matrix, treeCount: 8, sampleSize: 64, seed: seed)
      let scores = forest.scores(of: matrix)
      return FittedModel(
        detector: detector.name, version: version, plan: detector.fingerprint, encoders: encoders,
        scorer: forest,
        calibration: try Calibration.fit(scores: scores, budget: FalseAlarmBudget(.rate(0.05)), entityDays: 0),
        drift: DriftReference.fit(plan: detector, matrix: matrix, scores: scores))
    }
    // A stump for the mean and one for the quantile of log1p(amount).
    let base = Float(seed % 7) / 10 + 2
    let trees = TreeEnsemble(
      nodes: [
        .init(feature: 0, threshold: 3.5, left: 1, right: 2, value: base, cover: 100),
        .init(value: base - 0.5, cover: 50), .init(value: base + 0.5, cover: 50),
        .init(value: base + 0.2, cover: 100),
      ], roots: [0, 3], outputs: [0, 1], baseValues: [0, 0], featureCount: 1)
    return FittedModel(
      detector: detector.name, version: version, plan: detector.fingerprint, encoders: encoders,
      scorer: BoostedExpectation(trees: trees),
      drift: DriftReference.fit(plan: detector, matrix: matrix, scores: matrix.column(0).map { _ in 0 }))
  }
}
