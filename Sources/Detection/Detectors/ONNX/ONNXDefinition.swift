// A model of the user's own in a use case: what may be written of it, and what its scores mean.

/// A model that the user brings.
public struct ONNXDefinition: Sendable, Hashable {
  /// Path of the file, from the folder of the use case.
  public var model: LocatedText
  /// Threads that score a batch.
  public var threads: Int
  /// Execution provider of the runtime.
  public var provider: String
  /// Name of the model's input; nil for its only one.
  public var input: String?
  /// Name of the model's output that is the score; nil for its only one.
  public var output: String?
  /// Score from which on an event is an anomaly.
  public var threshold: Double

  public init(
    model: LocatedText, threads: Int = 1, provider: String = "cpu", input: String? = nil, output: String? = nil,
    threshold: Double = 0.5
  ) {
    self.model = model
    self.threads = threads
    self.provider = provider
    self.input = input
    self.output = output
    self.threshold = threshold
  }
}

extension ONNXDefinition: DetectorParameters {
  public static let descriptor: DetectorDescriptor = {
    func name(_ name: String, default usual: String, _ meaning: String) -> DetectorDescriptor.Parameter {
      .init(name, "name", default: usual, meaning, form: .text(expected: "a name", example: "a_name"))
    }
    let usual = Self(model: LocatedText(""))
    let own: [DetectorDescriptor.Parameter] = [
      .init(
        "model", "path", "The model, in the folder of the use case.",
        form: .text(expected: "a path from the folder of the use case", example: "model.onnx")),
      .init("features", "list of names", "Its inputs in the order of their names: numbers and booleans."),
      name("input", default: "the only one", "The model's input, a matrix of Float32."),
      name("output", default: "the first of floats", "The score: one number a row, or the second of two."),
      .number("threshold", .finite, default: usual.threshold, "Score from which on an event is an anomaly."),
      .integer("threads", 1...256, default: usual.threads, "Threads that score a batch."),
      name("provider", default: usual.provider, "Execution provider of the runtime."),
    ]
    return DetectorDescriptor(
      type: "onnx", summary: "Scores events with a model of your own in ONNX format.", isStateful: false,
      isLearned: true,
      parameters: own + DetectorDescriptor.scored)
  }()

  public static let isTrained = false

  public init?(_ values: ParameterValues, report: (Diagnostic) -> Void) {
    let model = values.text("model")
    if let model, model.text.isEmpty || model.text.hasPrefix("/") || model.text.split(separator: "/").contains("..") {
      report(
        Diagnostic(
          location: model.location, message: "`model` is not a path inside the folder of the use case",
          expected: "such as model.onnx", found: "`\(RuleText.shortened(model.text))`"))
      return nil
    }
    guard let model, let threads = values.integer("threads"), let threshold = values.number("threshold") else {
      return nil
    }
    self.init(
      model: model, threads: threads, provider: values.text("provider")?.text ?? Self(model: model).provider,
      input: values.text("input")?.text, output: values.text("output")?.text, threshold: threshold)
  }

  public func write(to members: inout CanonicalMembers) {
    let usual = Self(model: model)
    members.add("model", text: model.text)
    members.add("threads", threads, unless: usual.threads)
    members.add("provider", text: provider == usual.provider ? nil : provider)
    members.add("input", text: input)
    members.add("output", text: output)
    members.add("threshold", threshold, unless: usual.threshold)
  }

  public func fingerprint(entity: String, hasBudget: Bool) -> [String] {
    let names = [input.map { ", input \($0)" }, output.map { ", output \($0)" }]
    return ["model \(model.text)\(names.compactMap(\.self).joined())"]
  }

  /// By the threshold that is written. It may be 0 or below: then the distance is what can be told.
  public func calibrated(_ raw: Double) -> CalibratedScore {
    let score = threshold > 0 ? raw / threshold : 1 + raw - threshold
    return CalibratedScore(min(score, Limits.maxRuleScore), isAlarm: raw >= threshold)
  }
}
