// What can be set of a part of a run: a key of `pulse.yaml`, a variable of the environment and a flag of the command,
// described once.

/// The value of a setting.
public enum SettingValue: Sendable, Hashable {
  case text(String)
  case texts([String])
  case flag(Bool)
  /// Microseconds.
  case duration(Int64)
  case integer(Int)
  case number(Double)
}

/// One setting.
public struct Setting: Sendable {
  /// What values there are.
  public enum Kind: Sendable {
    /// Any text, with what it is: "a name".
    case text(expected: String)
    /// A name of the user's own: none of a connector of the section.
    case name(expected: String)
    /// A list of texts, with what each is.
    case texts(expected: String)
    case word([String])
    /// A text of a form.
    case form(expected: String, fits: @Sendable (String) -> Bool)
    case flag
    /// Longer than nothing; on the command line in seconds, of this range.
    case duration(seconds: ClosedRange<Double>)
    case integer(ClosedRange<Int>)
    /// Names with values, as texts `name=value`; with what one is.
    case properties(expected: String)
    /// - Parameter unit: what is counted, for messages.
    case number(ClosedRange<Double>, orZero: Bool, unit: String)
  }

  /// What the value is asked for by.
  public let name: String
  /// The key in the section of `pulse.yaml`, and thereby the variable; nil where only the command line says it.
  public let key: String?
  /// The flag without its dashes; nil where there is none.
  public let flag: String?
  public let kind: Kind
  /// What holds where nothing is said; said or not, it is the same.
  public let standard: SettingValue?
  /// A sentence for the help of the command.
  public let meaning: String
  /// What is wrong with a value that is of the kind; nil where it may be used.
  public let problem: @Sendable (SettingValue) -> String?

  public init(
    _ name: String, key: String?, flag: String?, _ kind: Kind, standard: SettingValue? = nil, _ meaning: String,
    problem: @escaping @Sendable (SettingValue) -> String? = { _ in nil }
  ) {
    precondition(key != nil || flag != nil, "the setting \(name) cannot be said")
    self.name = name
    self.key = key
    self.flag = flag
    self.kind = kind
    self.standard = standard
    self.meaning = meaning
    self.problem = problem
  }
}

/// What was said of a part of a run: the connector, and values by the names of its settings.
public struct ConnectorSettings: Sendable, Hashable {
  /// The connector's name.
  public var type: String
  /// Only what differs from the standard.
  public private(set) var values: [String: SettingValue] = [:]

  public init(type: String) { self.type = type }

  /// Keeps a value, unless it is what holds anyway.
  public mutating func set(_ setting: Setting, to value: SettingValue) {
    values[setting.name] = value == setting.standard ? nil : value
  }

  /// The text of a setting of the kinds `text`, `word` and `form`.
  public func text(_ name: String) -> String? { if case .text(let value) = values[name] { value } else { nil } }
  /// The texts of a list.
  public func texts(_ name: String) -> [String] { if case .texts(let value) = values[name] { value } else { [] } }
  /// Whether a flag is set.
  public func flag(_ name: String) -> Bool { values[name] == .flag(true) }
  /// A length of time.
  public func duration(_ name: String) -> Duration? {
    if case .duration(let value) = values[name] { .microseconds(value) } else { nil }
  }
  /// A whole number.
  public func integer(_ name: String) -> Int? { if case .integer(let value) = values[name] { value } else { nil } }
  /// A number.
  public func number(_ name: String) -> Double? { if case .number(let value) = values[name] { value } else { nil } }
}

/// What a catalogue says of a connector.
public struct ConnectorSpecification: Sendable {
  /// How the command line chooses it, by `--source`.
  public enum Argument: Sendable, Hashable {
    /// By this word, alone.
    case word(String)
    /// By what begins with a scheme, `kafka://`, which is the value of the setting of this name.
    case address(scheme: String, of: String)
    /// By whatever is no such word: the values of the setting of this name.
    case values(of: String)
  }

  public let name: String
  /// What it is in a sentence: files, standard input.
  public let noun: String
  /// What it does, for lists.
  public let summary: String
  public let argument: Argument?
  public let settings: [Setting]
  /// False where its place is reserved and it is refused for now.
  public let isAvailable: Bool

  public init(
    _ name: String, noun: String, argument: Argument? = nil, _ summary: String, settings: [Setting] = [],
    isAvailable: Bool = true
  ) {
    self.name = name
    self.noun = noun
    self.summary = summary
    self.argument = argument
    self.settings = settings
    self.isAvailable = isAvailable
  }

  /// A connector that a later version brings.
  public static func later(_ name: String, _ summary: String) -> ConnectorSpecification {
    ConnectorSpecification(name, noun: name, summary, isAvailable: false)
  }
}

/// The connectors of a part of a run: a section of `pulse.yaml`, in which `type` chooses one.
public struct ConnectorSection: Sendable {
  /// The name of the section.
  public let name: String
  /// The one that holds where nothing is said.
  public let standard: String
  public let connectors: [ConnectorSpecification]

  /// - Precondition: `standard` is one of the connectors.
  public init(_ name: String, standard: String, _ connectors: [ConnectorSpecification]) {
    precondition(connectors.contains { $0.name == standard && $0.isAvailable }, "no connector \(standard)")
    self.name = name
    self.standard = standard
    self.connectors = connectors
  }

  public subscript(connector: String) -> ConnectorSpecification? { connectors.first { $0.name == connector } }

  /// What is wrong with a value; nil where it may be used.
  func problem(_ setting: Setting, _ value: SettingValue) -> String? {
    if let problem = setting.problem(value) { return problem }
    // A name that differs only in case would have the same files where the file system does not tell them apart.
    guard case .name = setting.kind, case .text(let given) = value, self[given.lowercased()] != nil else { return nil }
    return "`\(given)` is what pulse calls a \(name) of its own; choose another name"
  }

  /// Connectors that can be chosen.
  public var available: [ConnectorSpecification] { connectors.filter(\.isAvailable) }

  /// The settings of all of them, each once: where several have one of a name, it means the same.
  public var settings: [Setting] {
    var known: Set<String> = []
    return connectors.flatMap(\.settings).filter { known.insert($0.name).inserted }
  }

  /// Connectors that have a setting, by what they are: files or standard input.
  public func owners(of setting: String) -> [ConnectorSpecification] {
    connectors.filter { $0.settings.contains { $0.name == setting } }
  }
}

/// The connectors that there are, by what they are for.
public struct ConnectorCatalog: Sendable {
  public let source: ConnectorSection
  public let store: ConnectorSection
  public let history: ConnectorSection
  /// Where results are delivered beside the store.
  public let publish: ConnectorSection

  public init(
    source: ConnectorSection, store: ConnectorSection, history: ConnectorSection, publish: ConnectorSection
  ) {
    self.source = source
    self.store = store
    self.history = history
    self.publish = publish
  }

  /// All of them.
  public var sections: [ConnectorSection] { [source, store, history, publish] }
}

/// "a, b or c".
public func alternatives(_ words: [String]) -> String {
  guard let last = words.last, words.count > 1 else { return words.first ?? "" }
  return words.dropLast().joined(separator: ", ") + " or " + last
}
