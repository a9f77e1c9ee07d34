// An expected value in a use case: what may be written of it, and what its models depend on.

/// The parameters of an expected value.
public struct ExpectedValueDefinition: Sendable, Hashable {
  /// When an event is out of the order of its entity: actually among the highest, expectedly not.
  public struct Misrank: Sendable, Hashable {
    /// Quantile of the entity's actual values that is exceeded, 0 to 1.
    public var actual: Double
    /// Quantile of the entity's expected values that is not, 0 to 1.
    public var expected: Double
    /// Rows without which an entity has no quantiles.
    public var minRows: Int

    public init(actual: Double = 0.99, expected: Double = 0.9, minRows: Int = 200) {
      self.actual = actual
      self.expected = expected
      self.minRows = minRows
    }
  }

  /// The field or computed feature that is predicted: a number from 0 on.
  public var target: LocatedText
  /// Level of the second prediction, above 0 and below 1.
  public var quantile: Double
  /// Target below which nothing is an anomaly; in the target's unit, as `delta` and `leastExpected`.
  public var floor: Double
  /// Actual by expected from which on an event is an anomaly.
  public var ratio: Double
  /// Actual less expected from which on an event is an anomaly.
  public var delta: Double
  /// Nil where rank does not matter.
  public var misrank: Misrank?
  /// Smallest expectation that is believed.
  public var leastExpected: Double
  public var trees: Int
  public var leaves: Int
  public var learningRate: Double

  public init(
    target: LocatedText, quantile: Double = 0.9, floor: Double = 60_000, ratio: Double = 10, delta: Double = 120_000,
    misrank: Misrank? = Misrank(), leastExpected: Double = 1, trees: Int = 300, leaves: Int = 31,
    learningRate: Double = 0.1
  ) {
    self.target = target
    self.quantile = quantile
    self.floor = floor
    self.ratio = ratio
    self.delta = delta
    self.misrank = misrank
    self.leastExpected = leastExpected
    self.trees = trees
    self.leaves = leaves
    self.learningRate = learningRate
  }
}

extension ExpectedValueDefinition: DetectorParameters {
  public static let descriptor: DetectorDescriptor = {
    let usual = Self(target: LocatedText(""))
    let misrank = Misrank()
    let own: [DetectorDescriptor.Parameter] = [
      .init(
        "target", "name", "The field or feature that is predicted: a number from 0 on.",
        form: .text(expected: "the name of a field or feature", example: "name_of_a_field_or_feature")),
      .init("features", "list of names", "What it is predicted from: depends on `known_at: before_execution` only."),
      .number(
        "quantile", .inside, default: usual.quantile, "Level of the second prediction; the higher one is expected."),
      .number(
        "floor", .notNegative, default: usual.floor, "Target below which nothing is an anomaly, in its own unit."),
      .number("ratio", .positive, default: usual.ratio, "Actual by expected from which on an event is an anomaly."),
      .number("delta", .positive, default: usual.delta, "Actual less expected from which on an event is an anomaly."),
      .init(
        "misrank", "mapping or none", default: "{actual: 0.99, expected: 0.9, min_rows: 200}",
        "Quantiles of the entity: actual above the one, expected not above the other.",
        form: .mapping([
          .number("actual", .level, default: misrank.actual, "Quantile of actual values that is exceeded."),
          .number("expected", .level, default: misrank.expected, "Quantile of expected values that is not."),
          .integer("min_rows", 20...1_000_000, default: misrank.minRows, "Rows without which there are none."),
        ])),
      .number("least_expected", .positive, default: usual.leastExpected, "Smallest expectation that is believed."),
      .integer("trees", 1...5_000, default: usual.trees, "Boosted trees of each prediction."),
      .integer("leaves", 2...1_024, default: usual.leaves, "Leaves of a tree at most."),
      .number("learning_rate", .share, default: usual.learningRate, "Share of its correction that a tree adds."),
    ]
    let budget = DetectorDescriptor.budget(
      default: "none", " In place of `ratio` and `delta`; the floor stays.")
    return DetectorDescriptor(
      type: "expected_value", summary: "Learns the value a field should have and finds events far above it.",
      isStateful: false, isLearned: true,
      parameters: own + [budget] + DetectorDescriptor.trained)
  }()

  public init?(_ values: ParameterValues, report: (Diagnostic) -> Void) {
    let (trees, leaves) = (values.integer("trees"), values.integer("leaves"))
    if let trees, let leaves, trees * leaves > Limits.maxBoostedLeaves {
      report(
        Diagnostic(
          location: values.location(of: "leaves"), message: "the boosted trees are too large",
          expected: "`trees` times `leaves` at most \(Limits.maxBoostedLeaves)", found: "\(trees * leaves)"))
      return nil
    }
    guard let target = values.text("target"), let quantile = values.number("quantile"),
      let floor = values.number("floor"), let ratio = values.number("ratio"), let delta = values.number("delta"),
      let least = values.number("least_expected"), let rate = values.number("learning_rate"), let trees, let leaves
    else { return nil }
    var misrank: Misrank? = Misrank()
    if case .mapping(let written)? = values["misrank"] {
      misrank = written.flatMap { written in
        guard let actual = written["actual"]?.number, let expected = written["expected"]?.number,
          let minRows = written["min_rows"]?.integer
        else { return nil }
        return Misrank(actual: actual, expected: expected, minRows: minRows)
      }
    }
    self.init(
      target: target, quantile: quantile, floor: floor, ratio: ratio, delta: delta, misrank: misrank,
      leastExpected: least, trees: trees, leaves: leaves, learningRate: rate)
  }

  public func write(to members: inout CanonicalMembers) {
    let usual = Self(target: target)
    members.add("target", text: target.text)
    members.add("quantile", quantile, unless: usual.quantile)
    members.add("floor", floor, unless: usual.floor)
    members.add("ratio", ratio, unless: usual.ratio)
    members.add("delta", delta, unless: usual.delta)
    if let misrank, misrank != usual.misrank {
      var own = CanonicalMembers()
      own.add("actual", misrank.actual)
      own.add("expected", misrank.expected)
      own.add("min_rows", misrank.minRows)
      members.add("misrank", object: own)
    } else if misrank == nil {
      members.add("misrank", text: "none")
    }
    members.add("least_expected", leastExpected, unless: usual.leastExpected)
    members.add("trees", trees, unless: usual.trees)
    members.add("leaves", leaves, unless: usual.leaves)
    members.add("learning_rate", learningRate, unless: usual.learningRate)
  }

  public func anomalous(from expected: Double) -> Double? { max(floor, min(ratio * expected, expected + delta)) }

  public var leastAnomalous: Double? { floor }

  public var predicted: LocatedText? { target }

  public var isByEntity: Bool { misrank != nil }

  public func fingerprint(entity: String, hasBudget: Bool) -> [String] {
    var lines = ["target \(target.text), quantile \(quantile), least \(leastExpected)"]
    if let misrank {
      lines.append("misrank \(misrank.actual) \(misrank.expected) \(misrank.minRows)")
      lines.append("entity \(entity)")
    }
    if hasBudget { lines.append("scores from \(floor), by \(ratio) and \(delta)") }
    return lines
  }
}
