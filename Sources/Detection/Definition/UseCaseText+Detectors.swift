// The canonical text of learned detectors, fitted features and training. What has its default value is left out.

func textEntry(_ encoder: EncoderDefinition) -> String {
  let members = encoder.kind.members + [("of", jsonString(encoder.of.text))]
  return "\(jsonString(encoder.name)): \(jsonObject(members))"
}

extension EncoderKind {
  var members: [(String, String)] {
    var members = [("encoder", jsonString(name))]
    func add(_ name: String, _ value: Double, unless usual: Double) {
      if value != usual { members.append((name, value.description)) }
    }
    switch self {
    case .frequency, .ordinal, .scale: break
    case .frequencyBucket(let rareBelow, let commonFrom):
      add("rare_below", rareBelow, unless: Self.defaultRareBelow)
      add("common_from", commonFrom, unless: Self.defaultCommonFrom)
    case .clip(let lower, let upper):
      add("lower", lower, unless: Self.defaultLower)
      add("upper", upper, unless: Self.defaultUpper)
    }
    return members
  }
}

extension DetectorDefinition {
  var members: [(String, String)] {
    var members = [("name", jsonString(name)), ("type", jsonString(kind.name))]
    switch kind {
    case .isolationForest(let forest): members += forest.members
    case .expectedValue(let expected): members += expected.members
    case .onnx(let model): members += model.members
    }
    members.append(("features", "[\(features.map { jsonString($0.text) }.joined(separator: ", "))]"))
    if let when { members.append(("when", jsonString(when.text))) }
    if let trainWhen { members.append(("train_when", jsonString(trainWhen.text))) }
    members.append(("severity", jsonString(severity.rawValue)))
    if let budget { members.append(("budget", jsonObject(budget.members))) }
    return members
  }
}

extension FalseAlarmBudget {
  var members: [(String, String)] {
    let tail = fitsTail ? [("tail", jsonString("pareto"))] : []
    switch amount {
    case .rate(let rate): return [("rate", rate.description)] + tail
    case .perEntityAndDay(let count): return [("per_entity_per_day", count.description)] + tail
    }
  }
}

extension IsolationForestDefinition {
  fileprivate var members: [(String, String)] {
    let usual = Self()
    var members: [(String, String)] = []
    if trees != usual.trees { members.append(("trees", String(trees))) }
    if sampleSize != usual.sampleSize { members.append(("sample_size", String(sampleSize))) }
    return members
  }
}

extension ExpectedValueDefinition {
  fileprivate var members: [(String, String)] {
    let usual = Self(target: target)
    var members = [("target", jsonString(target.text))]
    func add(_ name: String, _ value: some CustomStringConvertible, _ differs: Bool) {
      if differs { members.append((name, value.description)) }
    }
    add("quantile", quantile, quantile != usual.quantile)
    add("floor", floor, floor != usual.floor)
    add("ratio", ratio, ratio != usual.ratio)
    add("delta", delta, delta != usual.delta)
    if let misrank, misrank != usual.misrank {
      members.append(
        (
          "misrank",
          jsonObject([
            ("actual", misrank.actual.description), ("expected", misrank.expected.description),
            ("min_rows", String(misrank.minRows)),
          ])
        ))
    } else if misrank == nil {
      members.append(("misrank", jsonString("none")))
    }
    add("least_expected", leastExpected, leastExpected != usual.leastExpected)
    add("trees", trees, trees != usual.trees)
    add("leaves", leaves, leaves != usual.leaves)
    add("learning_rate", learningRate, learningRate != usual.learningRate)
    return members
  }
}

extension ONNXDefinition {
  fileprivate var members: [(String, String)] {
    let usual = Self(model: model)
    var members = [("model", jsonString(model.text))]
    if threads != usual.threads { members.append(("threads", String(threads))) }
    if provider != usual.provider { members.append(("provider", jsonString(provider))) }
    if let input { members.append(("input", jsonString(input))) }
    if let output { members.append(("output", jsonString(output))) }
    if threshold != usual.threshold { members.append(("threshold", threshold.description)) }
    return members
  }
}

extension TrainingDefinition {
  var members: [(String, String)] {
    let usual = Self()
    var members: [(String, String)] = []
    if schedule != usual.schedule {
      switch schedule {
      case .every(let length): members.append(("schedule", durationText(length)))
      case .manual: members.append(("schedule", jsonString("manual")))
      }
    }
    if history != usual.history { members.append(("history", durationText(history))) }
    if maxRows != usual.maxRows { members.append(("max_rows", String(maxRows))) }
    return members
  }
}
