// The parts of `simulation.yaml` about single events: values, how they are drawn, how fields are written, and what is
// injected, labelled and damaged.

import Configuration
import Detection

extension SimulationReader {
  static let distributions = [
    "uniform", "integer", "log_uniform", "normal", "lognormal", "exponential", "poisson", "bernoulli", "zipf", "choice",
    "value",
  ]

  /// One entry of `values:`; its name is known from here on even if it is wrong, so that one mistake is one error.
  mutating func readValue(_ entry: YAMLEntry) -> ValueDefinition {
    let (name, node) = (entry.key.text, entry.value)
    if !name.utf8.allSatisfy({ $0 == 0x5F || $0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A || $0 >= 0x30 && $0 <= 0x39 })
      || name.utf8.first.map({ $0 < 0x41 }) ?? true
    {
      yaml.report(
        "the name of a value must be letters, digits and underscores, found '\(name)'", at: entry.key.location)
    } else if scope.value(named: name) != nil {
      yaml.report("'\(name)' is already the name of a value", at: entry.key.location)
    }
    let drawn = readDistribution(node, as: name, options: ["per", "min", "max", "when", "else"])
    var value = ValueDefinition(
      name: name, type: drawn?.type ?? .number, distribution: drawn?.distribution ?? .formula(.constant(0)))
    if case .mapping(let entries) = node.content {
      let parts = Dictionary(entries.map { ($0.key.text, $0.value) }) { $1 }
      value.per = parts["per"].flatMap { self.key($0) }
      value.minimum = parts["min"].map { number($0, as: "min") }
      value.maximum = parts["max"].map { number($0, as: "max") }
      value.when = parts["when"].flatMap { formula($0, as: "when", .bool)?.0 }
      value.otherwise = parts["else"].flatMap { formula($0, as: "else", value.type)?.0 }
      if let node = parts["else"], value.when == nil { yaml.report("'else' needs a 'when'", at: node) }
      if value.type != .number, let node = parts["min"] ?? parts["max"] {
        yaml.report("only a number has bounds; '\(name)' is a \(value.type.rawValue)", at: node)
      }
    }
    scope.add(name, type: value.type)
    return value
  }

  /// A distribution: a mapping with exactly one of the known names, or a scalar, which is a formula.
  mutating func readDistribution(
    _ node: YAMLNode, as what: String, options: [String] = [], constantOnly: Bool = false
  ) -> (distribution: Distribution, type: SimulatedType)? {
    guard case .mapping = node.content else { return formula(node, as: what).map { (.formula($0.0), $0.1) } }
    let mistakes = yaml.problems.count
    let parts = yaml.section(node, as: what, optional: Self.distributions + options)
    let kinds = parts.keys.filter(Self.distributions.contains).sorted()
    guard kinds.count == 1, let parameters = parts[kinds[0]] else {
      // A mistyped name is already reported.
      if yaml.problems.count == mistakes {
        let found = kinds.isEmpty ? "none" : kinds.joined(separator: " and ")
        yaml.report("\(what): expected one of \(Self.distributions.joined(separator: ", ")), found \(found)", at: node)
      }
      return nil
    }
    let known = scope
    if constantOnly { scope = SimulationScope() }
    defer { if constantOnly { scope = known } }
    switch kinds[0] {
    case "value": return formula(parameters, as: what).map { (.formula($0.0), $0.1) }
    case "uniform": return pair(parameters, "uniform").map { (.uniform($0, $1), .number) }
    case "integer": return pair(parameters, "integer").map { (.integer($0, $1), .number) }
    case "log_uniform": return pair(parameters, "log_uniform").map { (.logUniform($0, $1), .number) }
    case "normal":
      let parts = yaml.section(parameters, as: "normal", required: ["mean", "sd"])
      guard let mean = parts["mean"], let deviation = parts["sd"] else { return nil }
      return (.normal(mean: number(mean, as: "mean"), deviation: number(deviation, as: "sd")), .number)
    case "lognormal":
      let parts = yaml.section(parameters, as: "lognormal", required: ["median", "sigma"])
      guard let median = parts["median"], let sigma = parts["sigma"] else { return nil }
      return (.lognormal(median: number(median, as: "median"), sigma: number(sigma, as: "sigma")), .number)
    case "exponential": return mean(parameters, "exponential").map { (.exponential(mean: $0), .number) }
    case "poisson": return mean(parameters, "poisson").map { (.poisson(mean: $0), .number) }
    case "bernoulli": return (.bernoulli(number(parameters, as: "bernoulli")), .bool)
    case "zipf": return zipf(parameters).map { (.zipf($0), .number) }
    default: return choice(parameters)
    }
  }

  private mutating func pair(_ node: YAMLNode, _ what: String) -> (Formula, Formula)? {
    let ends = yaml.items(of: node, as: what)
    guard ends.count == 2 else {
      yaml.report("expected the two ends of \(what), found \(ends.count)", at: node)
      return nil
    }
    let low = number(ends[0], as: "the lower end of \(what)")
    let high = number(ends[1], as: "the upper end of \(what)")
    if let low = low.constant, let high = high.constant, low > high || what == "log_uniform" && low <= 0 {
      yaml.report("expected \(what == "log_uniform" ? "positive " : "")ends in ascending order", at: node)
      return nil
    }
    return (low, high)
  }

  private mutating func mean(_ node: YAMLNode, _ what: String) -> Formula? {
    let parts = yaml.section(node, as: what, required: ["mean"])
    return parts["mean"].map { number($0, as: "mean") }
  }

  /// Most ranks of all `zipf` distributions together: 120 MB.
  private static let maxZipfRanks = 10_000_000

  private mutating func zipf(_ node: YAMLNode) -> AliasTable? {
    let parts = yaml.section(node, as: "zipf", required: ["count", "exponent"])
    guard let count = parts["count"].flatMap({ yaml.whole($0, as: "count", in: 1...Self.maxZipfRanks) }),
      let exponent = parts["exponent"].flatMap({ yaml.number($0, as: "exponent", in: 0...20) })
    else { return nil }
    zipfRanks += count
    guard zipfRanks <= Self.maxZipfRanks else {
      yaml.report("expected at most \(Self.maxZipfRanks) ranks of all zipf together", at: node)
      return nil
    }
    return AliasTable(zipf: count, exponent: exponent)
  }

  /// Names with weights: of numbers where all names are numbers, else of texts.
  private mutating func choice(_ node: YAMLNode) -> (distribution: Distribution, type: SimulatedType)? {
    let entries = yaml.entries(of: node, as: "choice")
    guard !entries.isEmpty else {
      yaml.report("expected at least one choice with its weight", at: node)
      return nil
    }
    let weights = entries.map { number($0.value, as: "the weight of '\($0.key.text)'") }
    if weights.allSatisfy({ ($0.constant ?? 1) <= 0 }) { yaml.report("no weight is positive", at: node) }
    let numbers = entries.compactMap { Double($0.key.text) }
    if numbers.count == entries.count { return (.choice(values: numbers, weights: weights), .number) }
    return (.choice(values: entries.map { scope.number(of: $0.key.text) }, weights: weights), .text)
  }

  // MARK: Fields

  mutating func readStyle(_ node: YAMLNode) -> FieldDefinition.Style? {
    let styles = ["int", "decimal", "bool", "text", "time", "hash", "list"]
    let mistakes = yaml.problems.count
    let parts = yaml.section(node, as: "a field", optional: styles + ["digits", "format"])
    let found = parts.keys.filter(styles.contains).sorted()
    guard found.count == 1, let value = parts[found[0]] else {
      if yaml.problems.count == mistakes { yaml.report("expected one of \(styles.joined(separator: ", "))", at: node) }
      return nil
    }
    if let node = parts["digits"], found[0] != "decimal" { yaml.report("only a decimal has digits", at: node) }
    if let node = parts["format"], found[0] != "time" { yaml.report("only a time has a format", at: node) }
    switch found[0] {
    case "int": return .integer(number(value, as: "int"))
    case "decimal":
      let digits = parts["digits"].flatMap { yaml.whole($0, as: "digits", in: 0...6) } ?? 3
      return .decimal(number(value, as: "decimal"), digits: digits)
    case "bool": return formula(value, as: "bool", .bool).map { .bool($0.0) }
    case "text": return formula(value, as: "text", .text).map { .text($0.0) }
    case "time":
      let format = parts["format"].flatMap { yaml.text($0, as: "the format") } ?? "rfc3339"
      let style = FieldDefinition.TimeStyle(rawValue: format)
      if style == nil, let node = parts["format"] {
        let known = FieldDefinition.TimeStyle.allCases.map(\.rawValue).joined(separator: ", ")
        yaml.report("expected a format, one of \(known), found '\(format)'", at: node)
      }
      return .time(number(value, as: "time"), style ?? .rfc3339)
    case "hash": return .hash(formulas(value, as: "hash"))
    default:
      let parts = yaml.section(value, as: "list", required: ["count", "from", "per"])
      guard let count = parts["count"], let from = parts["from"], let per = parts["per"] else { return nil }
      let ends = pair(from, "from") ?? (.constant(0), .constant(0))
      return .list(
        count: number(count, as: "count"), from: ends.0, to: ends.1, key: formulas(per, as: "per"))
    }
  }

  private mutating func formulas(_ node: YAMLNode, as what: String) -> [Formula] {
    yaml.items(of: node, as: what).compactMap { formula($0, as: what)?.0 }
  }

  // MARK: Injections, labels, damage

  mutating func readInjections(_ node: YAMLNode) -> [InjectionDefinition] {
    let items = yaml.items(of: node, as: "injections")
    if items.count > InjectionDefinition.most {
      yaml.report("expected at most \(InjectionDefinition.most) injections, found \(items.count)", at: node)
    }
    return items.compactMap { node in
      let parts = yaml.section(
        node, as: "an injection", required: ["name", "share", "multiply", "by"], optional: ["when", "keep_when"])
      let when = parts["when"].flatMap { formula($0, as: "when", .bool)?.0 }
      let keep = parts["keep_when"].flatMap { formula($0, as: "keep_when", .bool)?.0 }
      guard let name = parts["name"].flatMap({ yaml.text($0, as: "the name") }),
        let share = parts["share"].flatMap({ yaml.number($0, as: "share", in: 0...1) }),
        let targetNode = parts["multiply"], let target = yaml.text(targetNode, as: "the name of a value"),
        let by = parts["by"].flatMap({ readDistribution($0, as: "by") })
      else { return nil }
      guard let value = scope.value(named: target), value.slot >= BuiltIn.allCases.count, value.type == .number else {
        let near = nearest(to: target, among: scope.valueNames).map { "; did you mean '\($0)'?" } ?? ""
        yaml.report("expected the name of a number among the values, found '\(target)'\(near)", at: targetNode)
        return nil
      }
      return InjectionDefinition(
        name: name, share: share, when: when, target: value.slot, by: by.distribution, keepWhen: keep)
    }
  }

  mutating func readLabels(_ node: YAMLNode) -> [LabelDefinition] {
    yaml.items(of: node, as: "labels").compactMap { node in
      let parts = yaml.section(node, as: "a label", required: ["name", "when"])
      guard let name = parts["name"].flatMap({ yaml.text($0, as: "the name") }),
        let when = parts["when"].flatMap({ formula($0, as: "when", .bool)?.0 })
      else { return nil }
      return LabelDefinition(name: name, when: when)
    }
  }

  mutating func readBroken(_ node: YAMLNode, fields: [FieldDefinition]) -> BrokenDefinition? {
    let parts = yaml.section(node, as: "broken", required: ["share", "kinds"])
    var kinds: [(name: String, weight: Double, damage: BrokenDefinition.Damage)] = []
    for node in parts["kinds"].map({ yaml.items(of: $0, as: "kinds") }) ?? [] {
      let how = ["truncate", "replace", "drop", "set", "twice"]
      let parts = yaml.section(node, as: "a kind of damage", required: ["name"], optional: how + ["to", "weight"])
      let found = parts.keys.filter(how.contains).sorted()
      guard found.count == 1, let value = parts[found[0]] else {
        yaml.report("expected one of \(how.joined(separator: ", "))", at: node)
        continue
      }
      if let node = parts["to"], found[0] != "set" { yaml.report("only 'set' has a 'to'", at: node) }
      if parts["to"] == nil, found[0] == "set" { yaml.report("'set' needs the JSON to write, 'to'", at: node) }
      let name = parts["name"].flatMap { yaml.text($0, as: "the name") } ?? ""
      let weight = parts["weight"].flatMap { yaml.number($0, as: "weight", in: 0...1e6) } ?? 1
      let damage: BrokenDefinition.Damage? =
        switch found[0] {
        case "truncate": .truncate
        case "replace": yaml.text(value, as: "a text").map { .replace(Array($0.utf8.filter { $0 != 0x0A })) }
        case "drop": fieldIndex(value, among: fields).map { .drop($0) }
        case "twice": fieldIndex(value, among: fields).map { .twice($0) }
        default:
          fieldIndex(value, among: fields).map { field in
            .set(field, Array((parts["to"].flatMap { yaml.text($0, as: "JSON") } ?? "null").utf8.filter { $0 != 0x0A }))
          }
        }
      if let damage { kinds.append((name, weight, damage)) }
    }
    guard let share = parts["share"].flatMap({ yaml.number($0, as: "share", in: 0...1) }) else { return nil }
    if !kinds.contains(where: { $0.weight > 0 }) { yaml.report("'broken' needs a kind of positive weight", at: node) }
    return BrokenDefinition(share: share, kinds: kinds)
  }
}
