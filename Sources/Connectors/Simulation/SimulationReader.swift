// Reads `simulation.yaml` into a definition. All mistakes are reported at once, each with line, column, what was
// expected and what was found.

import Configuration
import Detection
import Pipeline

extension SimulationDefinition {
  /// Reads the text of a `simulation.yaml`; `file` is its name in error messages.
  /// - Throws: `SimulationProblems` with every mistake found.
  public init(yaml: String, file: String = "simulation.yaml") throws {
    var reader = SimulationReader(file: file)
    var diagnostics: [Diagnostic] = []
    let roots = YAMLLoader.documents(in: yaml, diagnostics: &diagnostics)
    for diagnostic in diagnostics {
      reader.yaml.report(
        diagnostic.message + (diagnostic.expected.map { "; expected \($0)" } ?? ""), at: diagnostic.location)
    }
    if roots.count > 1 { reader.yaml.report("the file holds more than one document", at: roots[1]) }
    guard let root = roots.first, let definition = reader.read(root) else {
      if reader.yaml.problems.isEmpty {
        reader.yaml.report("the file is empty", at: SourceLocation(line: 1, column: 1))
      }
      throw SimulationProblems(problems: reader.yaml.problems.sorted { $0.location < $1.location })
    }
    self = definition
  }
}

/// The names known so far, for formulas.
struct SimulationScope: FormulaScope {
  private(set) var valueNames: [String] = BuiltIn.allCases.map(\.rawValue)
  private var slots: [String: (slot: Int, type: SimulatedType)] = [:]
  private(set) var texts: [String] = []
  private var numbers: [String: Double] = [:]

  init() {
    for builtIn in BuiltIn.allCases { slots[builtIn.rawValue] = (builtIn.slot, .number) }
  }

  func value(named name: String) -> (slot: Int, type: SimulatedType)? { slots[name] }

  mutating func add(_ name: String, type: SimulatedType) {
    slots[name] = (valueNames.count, type)
    valueNames.append(name)
  }

  mutating func number(of text: String) -> Double {
    if let number = numbers[text] { return number }
    texts.append(text)
    numbers[text] = Double(texts.count - 1)
    return Double(texts.count - 1)
  }
}

struct SimulationReader {
  var yaml: YAMLReading
  var scope = SimulationScope()
  var keys: [[Int]] = []
  /// Ranks of all `zipf` distributions so far: 12 bytes each.
  var zipfRanks = 0

  init(file: String) { yaml = YAMLReading(file: file) }

  mutating func read(_ root: YAMLNode) -> SimulationDefinition? {
    let parts = yaml.section(
      root, as: "a simulation", required: ["name", "start", "arrivals", "values", "event"],
      optional: ["late", "label_fields", "injections", "labels", "broken"])
    let name = parts["name"].flatMap { yaml.text($0, as: "the name") } ?? ""
    let start = parts["start"].flatMap { readStart($0) } ?? 0
    let arrivals = parts["arrivals"].flatMap { readArrivals($0) }
    let late = parts["late"].flatMap { readLate($0) }
    var values: [ValueDefinition] = []
    if let node = parts["values"] {
      for entry in yaml.entries(of: node, as: "the values") { values.append(readValue(entry)) }
    }
    let injections = parts["injections"].map { readInjections($0) } ?? []
    let labels = parts["labels"].map { readLabels($0) } ?? []
    var fields: [FieldDefinition] = []
    if let node = parts["event"] {
      for entry in yaml.entries(of: node, as: "the event") {
        if let style = readStyle(entry.value) { fields.append(FieldDefinition(name: entry.key.text, style: style)) }
      }
      if fields.isEmpty { yaml.report("the event has no fields", at: node) }
      checkObjects(fields, at: node)
    }
    let labelFields = parts["label_fields"].map { node in
      yaml.items(of: node, as: "label_fields").compactMap { fieldIndex($0, among: fields) }
    }
    let broken = parts["broken"].flatMap { readBroken($0, fields: fields) }
    guard yaml.problems.isEmpty, let arrivals else { return nil }
    let definition = SimulationDefinition(
      name: name, start: start, arrivals: arrivals, late: late, values: values, keys: keys, fields: fields,
      labelFields: labelFields ?? [], injections: injections, labels: labels, broken: broken, texts: scope.texts)
    let longest = EventWriter(definition, seed: 0).longestLine
    if longest > EventWriter.maxLineBytes, let node = parts["event"] {
      yaml.report(
        "an event may take \(longest) bytes, with the longest text in each field of text and a field twice; expected at "
          + "most \(EventWriter.maxLineBytes)", at: node)
      return nil
    }
    return definition
  }

  /// The fields of an object stand together, and no field has its name.
  private mutating func checkObjects(_ fields: [FieldDefinition], at node: YAMLNode) {
    for object in Set(fields.compactMap(\.object)).sorted() {
      let places = fields.indices.filter { fields[$0].object == object }
      if let first = places.first, let last = places.last, last - first >= places.count {
        yaml.report("the fields of '\(object)' do not stand together", at: node)
      }
      if fields.contains(where: { $0.name == object }) {
        yaml.report("'\(object)' is a field and has fields", at: node)
      }
    }
    for field in fields where field.member.isEmpty || field.member.contains(".") || field.object?.isEmpty == true {
      yaml.report("the field '\(field.name)' lies deeper than in one object", at: node)
    }
  }

  // MARK: Time and entities

  private mutating func readStart(_ node: YAMLNode) -> Int64? {
    guard let text = yaml.text(node, as: "the start") else { return nil }
    if let time = Timestamp.parse(text) { return time }
    yaml.report("expected a time such as 2024-03-01T00:00:00Z, found '\(text)'", at: node)
    return nil
  }

  private mutating func readArrivals(_ node: YAMLNode) -> ArrivalDefinition? {
    let parts = yaml.section(
      node, as: "arrivals", required: ["events_per_day"],
      optional: ["entities", "spread", "daily", "weekly", "phase_hours"])
    var result = ArrivalDefinition(
      entities: 1, eventsPerDay: 1, spread: .zipf(0), daily: .wave(amplitude: 0, peakHour: 0),
      weekly: [Double](repeating: 1, count: 7), phaseHours: 0)
    if let node = parts["events_per_day"] {
      result.eventsPerDay = yaml.number(node, as: "events_per_day", in: 1e-3...1e12) ?? 1
    }
    if let node = parts["entities"] { result.entities = yaml.whole(node, as: "entities", in: 1...1_000_000) ?? 1 }
    if let node = parts["phase_hours"] { result.phaseHours = yaml.number(node, as: "phase_hours", in: 0...24) ?? 0 }
    if let node = parts["spread"] {
      let spread = yaml.section(node, as: "spread", optional: ["zipf", "lognormal"])
      if spread.count != 1 { yaml.report("expected one of zipf and lognormal", at: node) }
      if let node = spread["zipf"] { result.spread = .zipf(yaml.number(node, as: "zipf", in: 0...10) ?? 0) }
      if let node = spread["lognormal"] {
        result.spread = .lognormal(yaml.number(node, as: "lognormal", in: 0...10) ?? 0)
      }
    }
    if let node = parts["weekly"] { result.weekly = weights(node, as: "weekly", count: 7) }
    if let node = parts["daily"] {
      if case .sequence = node.content {
        result.daily = .weights(weights(node, as: "daily", count: 24))
      } else {
        let wave = yaml.section(node, as: "daily", required: ["amplitude", "peak_hour"])
        let amplitude = wave["amplitude"].flatMap { yaml.number($0, as: "amplitude", in: 0...1) } ?? 0
        let peak = wave["peak_hour"].flatMap { yaml.number($0, as: "peak_hour", in: 0...24) } ?? 0
        result.daily = .wave(amplitude: amplitude, peakHour: peak)
      }
    }
    return result
  }

  private mutating func weights(_ node: YAMLNode, as what: String, count: Int) -> [Double] {
    let result = yaml.items(of: node, as: what).map { yaml.number($0, as: "a weight of \(what)", in: 0...1e6) ?? 1 }
    if result.count == count, result.contains(where: { $0 > 0 }) { return result }
    yaml.report("expected \(count) weights, one of them positive, found \(result.count)", at: node)
    return [Double](repeating: 1, count: count)
  }

  private mutating func readLate(_ node: YAMLNode) -> LateDefinition? {
    let parts = yaml.section(node, as: "late", required: ["share", "by"])
    guard let share = parts["share"].flatMap({ yaml.number($0, as: "share", in: 0...1) }),
      let by = parts["by"].flatMap({ readDistribution($0, as: "by", constantOnly: true) })
    else { return nil }
    return LateDefinition(share: share, by: by.distribution)
  }

  // MARK: Formulas and names

  /// A formula; nil, reported, when it is not one or not of the type expected.
  mutating func formula(_ node: YAMLNode, as what: String, _ expected: SimulatedType? = nil) -> (
    Formula, SimulatedType
  )? {
    guard let text = yaml.located(node, as: "\(what), an expression") else { return nil }
    do {
      var parser = try FormulaParser(text.text, scope: scope)
      let (formula, type) = try parser.parse()
      scope = parser.scope
      if let expected, expected != type, formula.constant?.isNaN != true {
        yaml.report("expected \(what), a \(expected.rawValue), found a \(type.rawValue)", at: node)
        return nil
      }
      return (formula, type)
    } catch {
      yaml.report("\(what): \(error.message)", at: text.location(ofOffset: error.offset))
    }
    return nil
  }

  mutating func number(_ node: YAMLNode, as what: String) -> Formula {
    formula(node, as: what, .number)?.0 ?? .constant(0)
  }

  /// The index of a key made of the named values.
  mutating func key(_ node: YAMLNode) -> Int? {
    let names: [YAMLNode] = if case .sequence(let list) = node.content { list } else { [node] }
    var slots: [Int] = []
    for node in names {
      guard let name = yaml.text(node, as: "the name of a value") else { return nil }
      guard let value = scope.value(named: name) else {
        let near = nearest(to: name, among: scope.valueNames).map { "; did you mean '\($0)'?" } ?? ""
        yaml.report("no value named '\(name)' is defined above\(near)", at: node)
        return nil
      }
      slots.append(value.slot)
    }
    if let known = keys.firstIndex(of: slots) { return known }
    keys.append(slots)
    return keys.count - 1
  }

  mutating func fieldIndex(_ node: YAMLNode, among fields: [FieldDefinition]) -> Int? {
    guard let name = yaml.text(node, as: "the name of a field") else { return nil }
    if let index = fields.firstIndex(where: { $0.name == name }) { return index }
    let near = nearest(to: name, among: fields.map(\.name)).map { "; did you mean '\($0)'?" } ?? ""
    yaml.report("the event has no field '\(name)'\(near)", at: node)
    return nil
  }
}
