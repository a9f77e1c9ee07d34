// An isolation forest in a use case: what may be written of it, and what its models depend on.

/// The parameters of an isolation forest (Liu, Ting, Zhou, "Isolation Forest", ICDM 2008).
public struct IsolationForestDefinition: Sendable, Hashable {
  public var trees: Int
  /// Rows that each tree is grown from, drawn without replacement.
  public var sampleSize: Int

  public init(trees: Int = 100, sampleSize: Int = 256) {
    self.trees = trees
    self.sampleSize = sampleSize
  }
}

extension IsolationForestDefinition: DetectorParameters {
  public static let descriptor: DetectorDescriptor = {
    let usual = Self()
    let own: [DetectorDescriptor.Parameter] = [
      .init("features", "list of names", "What it looks at: numbers, booleans and fitted features."),
      .integer("trees", 1...1_000, default: usual.trees, "Trees of the forest."),
      .integer("sample_size", 2...65_536, default: usual.sampleSize, "Rows that each tree is grown from."),
    ]
    return DetectorDescriptor(
      type: "isolation_forest", summary: "Learns what events look like and finds those that are easy to tell apart.",
      isStateful: false, isLearned: true,
      parameters: own + [DetectorDescriptor.budget(default: "{rate: 0.001}")] + DetectorDescriptor.trained)
  }()

  public init?(_ values: ParameterValues, report: (Diagnostic) -> Void) {
    guard let trees = values.integer("trees"), let sampleSize = values.integer("sample_size") else { return nil }
    guard trees * sampleSize <= Limits.maxForestRows else {
      report(
        Diagnostic(
          location: values.location(of: "sample_size"), message: "the forest is too large",
          expected: "`trees` times `sample_size` at most \(Limits.maxForestRows)", found: "\(trees * sampleSize)"))
      return nil
    }
    self.init(trees: trees, sampleSize: sampleSize)
  }

  public func write(to members: inout CanonicalMembers) {
    let usual = Self()
    members.add("trees", trees, unless: usual.trees)
    members.add("sample_size", sampleSize, unless: usual.sampleSize)
  }

  /// A thousandth of its events: its scores have no threshold of their own.
  public var usualBudget: FalseAlarmBudget? { FalseAlarmBudget(.rate(0.001)) }
}
