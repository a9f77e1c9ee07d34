// `pipeline.yaml` to `UseCase`. Checks the form: keys, types of values, names, ranges. What expressions mean is checked by
// `Plan`. All errors are collected; a use case is returned only when there are none.

public import Detection

/// Reads the text of a `pipeline.yaml`.
public struct UseCaseReader {
  var reader = NodeReader()
  /// What the names of detectors and rules are taken by, with their lines.
  var detectorNames: [String: Int] = [:]
  /// Names of fields, features and the class that are declared, but could not be read.
  var unclear: Set<String> = []
  /// Where the fields are declared, by name.
  var fieldPlaces: [String: SourceLocation] = [:]
  /// Whether the text is one that ran: what was accepted then is still read.
  let isStored: Bool
  /// The types of detectors that are known.
  let catalog: DetectorCatalog

  /// The use case that `text` describes, or everything that is wrong with it, by location.
  /// - Parameter isStored: whether the text is one that a store keeps because it ran. Names that collide in a way that
  ///   earlier versions let pass are accepted then.
  public static func read(_ text: String, isStored: Bool = false) -> Result<UseCase, ConfigurationErrors> {
    let (useCase, _, diagnostics) = readPartially(text, isStored: isStored)
    if diagnostics.isEmpty, let useCase { return .success(useCase) }
    return .failure(ConfigurationErrors(diagnostics))
  }

  /// The use case as far as it could be read, so that its expressions can be checked along with its form. Without an
  /// event definition there is none. `unclear`: names that it declares in a way that could not be read.
  static func readPartially(
    _ text: String, isStored: Bool = false, catalog: DetectorCatalog = .standard
  ) -> (useCase: UseCase?, unclear: Set<String>, diagnostics: [Diagnostic]) {
    var useCaseReader = UseCaseReader(isStored: isStored, catalog: catalog)
    guard let root = YAMLLoader.load(text, diagnostics: &useCaseReader.reader.diagnostics) else {
      return (nil, [], useCaseReader.reader.diagnostics.sorted { $0.location < $1.location })
    }
    let useCase = useCaseReader.useCase(root)
    let diagnostics = useCaseReader.reader.diagnostics.sorted { $0.location < $1.location }
    return (useCase, useCaseReader.unclear, diagnostics)
  }

  /// The keys of the document.
  static let sections = [
    "name", "event", "features", "classify", "detectors", "rules", "windows", "history", "results", "training",
    "dashboard", "metrics",
  ]

  private mutating func useCase(_ root: YAMLNode) -> UseCase? {
    guard let keys = reader.keys(of: root, in: "the use case", known: Self.sections) else { return nil }
    var name = ""
    if let node = keys.required("name", "a_name", &reader),
      let text = reader.text(node, what: "`name`", expected: "a name")
    {
      name = reader.name(text, what: "the name of the use case", dashes: true) ?? ""
    }
    let event = keys.required("event", "…", &reader).flatMap { eventDefinition($0) }
    let features = keys["features"].map { featureDefinitions($0) } ?? []
    let classification = keys["classify"].flatMap { classificationDefinition($0) }
    if classification == nil, let into = keys["classify"].flatMap({ Self.classColumn($0) }) {
      unclear.insert(into.text)
    }
    let detectors = keys["detectors"].map { detectorDefinitions($0) } ?? []
    let rules = keys["rules"].map { ruleDefinitions($0) } ?? []
    let windows = keys["windows"].map { windowDefinitions($0) } ?? []
    let history = keys["history"].flatMap { retention($0, of: "history", wholeDays: true) }
    let results = keys["results"].flatMap { retention($0, of: "results", wholeDays: false) }
    let training = keys["training"].map { trainingDefinition($0) } ?? TrainingDefinition()
    guard let event else { return nil }
    checkCollisions(event: event, features: features, classification: keys["classify"])
    var useCase = UseCase(
      name: name, event: event, features: features.compactMap(\.expression), encoders: features.compactMap(\.encoder),
      classification: classification, detectors: detectors, rules: rules, windows: windows,
      historyRetention: history, resultRetention: results, training: training)
    useCase.dashboard = keys["dashboard"].flatMap { dashboardDefinition($0, for: useCase) }
    useCase.metrics = keys["metrics"].flatMap { metricsDefinition($0, of: name) }
    return useCase
  }

  /// Reports something that a later version brings.
  mutating func unavailable(_ what: String, at location: SourceLocation) {
    reader.report(location, "\(what) is not available yet")
  }

  // MARK: Features

  /// A feature, which is computed or fitted, and the place of its name.
  struct NamedFeature {
    var name: String
    var expression: FeatureDefinition?
    var encoder: EncoderDefinition?
    var location: SourceLocation
  }

  private mutating func featureDefinitions(_ node: YAMLNode) -> [NamedFeature] {
    var features: [NamedFeature] = []
    for entry in reader.mapping(node, what: "`features`") ?? [] {
      let name = reader.name(entry.key, what: "the feature")
      let location = entry.key.location
      if case .mapping(let members) = entry.value.content {
        guard members.contains(where: { $0.key.text == "encoder" || $0.key.text == "of" }) else {
          reader.report(
            entry.value.location, "the feature \(excerpt(entry.key.text)) is not an expression",
            expected: "an expression, or {encoder: …, of: …}", found: "a mapping")
          unclear.insert(entry.key.text)
          continue
        }
        if let encoder = encoder(entry, name: name) {
          features.append(NamedFeature(name: encoder.name, encoder: encoder, location: location))
        } else {
          unclear.insert(entry.key.text)
        }
        continue
      }
      let expression = reader.expression(entry.value, what: "the feature \(excerpt(entry.key.text))")
      guard let name, let expression else {
        unclear.insert(entry.key.text)
        continue
      }
      features.append(
        NamedFeature(
          name: name, expression: FeatureDefinition(name: name, expression: expression), location: location))
    }
    return features
  }

  // MARK: Classes

  private mutating func classificationDefinition(_ node: YAMLNode) -> ClassificationDefinition? {
    guard let keys = reader.keys(of: node, in: "`classify`", known: ["into", "cases", "else"]) else { return nil }
    let into = keys.required("into", "name_of_the_column", &reader).flatMap { className($0, what: "`into`") }
    let otherwise = keys.required("else", "name_of_the_default", &reader).flatMap { className($0, what: "`else`") }
    guard let casesNode = keys.required("cases", "[…]", &reader),
      let items = reader.list(casesNode, what: "`cases`")
    else { return nil }
    if items.isEmpty {
      reader.report(casesNode.location, "`cases` is empty", expected: "at least one `- class: condition`")
    }
    var cases: [NamedExpression] = []
    for item in items {
      guard case .mapping(let entries) = item.content, entries.count == 1, let entry = entries.first else {
        reader.report(
          item.location, "a case is not a class with its condition", expected: "`- class: condition`",
          found: item.description)
        continue
      }
      let name = reader.name(entry.key, what: "the class")
      let expression = reader.expression(entry.value, what: "the condition of \(excerpt(entry.key.text))")
      if let name, name == otherwise || cases.contains(where: { $0.name == name }) {
        reader.report(
          entry.key.location, "the class `\(name)` is there more than once",
          expected: "one case for each class, joined with OR")
      } else if let name, let expression {
        cases.append(NamedExpression(name: name, expression: expression))
      }
    }
    guard let into, let otherwise, !cases.isEmpty else { return nil }
    return ClassificationDefinition(into: into, cases: cases, otherwise: otherwise)
  }

  private mutating func className(_ node: YAMLNode, what: String) -> String? {
    reader.text(node, what: what, expected: "a name").flatMap { reader.name($0, what: what) }
  }

  // MARK: History

  private mutating func retention(_ node: YAMLNode, of section: String, wholeDays: Bool) -> Int64? {
    guard let keys = reader.keys(of: node, in: "`\(section)`", known: ["retain"]), let retain = keys["retain"],
      let length = reader.duration(retain, what: "`retain`", positive: true)
    else { return nil }
    let day = DurationText.day
    if wholeDays, length % day != 0 {
      reader.report(
        retain.location, "history is kept by whole days", expected: "a duration such as 30d", found: retain.description,
        suggestion: "\(length / day + 1)d")
      return nil
    }
    return length
  }
}
