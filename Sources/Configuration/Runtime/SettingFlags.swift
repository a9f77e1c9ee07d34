// Settings of connectors as flags of the command: which there are is in the catalogue, not in the command, which makes
// options of them.

internal import Detection

/// Why flags cannot be used.
public struct FlagError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What is wrong, and what would be right.
  public let description: String

  public init(_ description: String) { self.description = description }
}

/// What the command line says of a setting.
public enum FlagArgument: Sendable, Hashable {
  /// `--flag value`.
  case text(String)
  /// `--flag`, or `--no-flag`.
  case isSet(Bool)
}

/// Flags that were given.
public struct SettingFlags: Sendable {
  /// Values by the names of their settings.
  public private(set) var values: [String: SettingValue] = [:]

  /// None.
  public init() {}

  /// - Parameter arguments: by flags, without their dashes.
  /// - Throws: where one is not a value of its setting.
  public init(_ arguments: [String: FlagArgument], of sections: [ConnectorSection]) throws(FlagError) {
    for section in sections {
      for setting in section.settings {
        guard let flag = setting.flag, let argument = arguments[flag] else { continue }
        switch argument {
        case .isSet(let isSet): values[setting.name] = .flag(isSet)
        case .text(let text):
          let value = try setting.value(of: text)
          if let problem = section.problem(setting, value) { throw FlagError("--\(flag): \(problem)") }
          values[setting.name] = value
        }
      }
    }
  }

  /// Changes what a configuration says of connectors.
  /// - Throws: where a flag would have no effect: its connector was not chosen.
  public func apply(
    to configuration: inout RuntimeConfiguration, of catalog: ConnectorCatalog
  ) throws(FlagError) {
    for section in catalog.sections {
      let path = RuntimeConfiguration.connector(section.name)
      apply(to: &configuration[keyPath: path], of: section)
      try check(configuration[keyPath: path], of: section)
    }
  }

  /// What the flags do to settings of one section.
  func apply(to settings: inout ConnectorSettings, of section: ConnectorSection) {
    for setting in section.settings { if let value = values[setting.name] { settings.set(setting, to: value) } }
  }

  /// Refuses flags of other connectors than the one that was chosen: they would have no effect. What the file or the
  /// environment says may stay there.
  func check(_ settings: ConnectorSettings, of section: ConnectorSection) throws(FlagError) {
    for setting in section.settings where values[setting.name] != nil {
      let owners = section.owners(of: setting.name)
      guard !owners.contains(where: { $0.name == settings.type }) else { continue }
      let nouns = alternatives(owners.map(\.noun))
      var hint = ""
      if owners.count == 1 {
        switch owners[0].argument {
        case .word(let word): hint = " (--\(section.name) \(word))"
        case .address(let scheme, of: _): hint = " (--\(section.name) \(scheme)://…)"
        case .values, nil: break
        }
      }
      throw FlagError("--\(setting.flag ?? setting.name) needs \(nouns) as the \(section.name)\(hint)")
    }
  }
}

extension ConnectorSpecification {
  /// Whether a text is an address of the connector.
  public func hasAddress(_ text: String) -> Bool {
    if case .address(let scheme, of: _) = argument { text.hasPrefix(scheme + "://") } else { false }
  }
}

extension ConnectorSection {
  /// What the arguments of the flag that chooses a connector say: they stand for the whole section.
  /// - Precondition: there is an argument.
  public func settings(of arguments: [String]) throws(FlagError) -> ConnectorSettings {
    let words: [(word: String, connector: String)] = available.compactMap {
      if case .word(let word) = $0.argument { (word, $0.name) } else { nil }
    }
    if let chosen = words.first(where: { arguments.contains($0.word) }) {
      guard arguments.count == 1 else {
        throw FlagError("--\(name) \(chosen.word) cannot be combined with other sources")
      }
      return ConnectorSettings(type: chosen.connector)
    }
    for connector in available {
      guard case .address(let scheme, let setting) = connector.argument,
        let address = arguments.first(where: { $0.hasPrefix(scheme + "://") })
      else { continue }
      guard arguments.count == 1 else {
        throw FlagError("--\(name) \(address) cannot be combined with other sources")
      }
      var settings = ConnectorSettings(type: connector.name)
      if let known = connector.settings.first(where: { $0.name == setting }) { settings.set(known, to: .text(address)) }
      return settings
    }
    for connector in available {
      guard case .values(let name) = connector.argument,
        let setting = connector.settings.first(where: { $0.name == name })
      else { continue }
      var settings = ConnectorSettings(type: connector.name)
      settings.set(setting, to: .texts(arguments))
      return settings
    }
    throw FlagError(
      "--\(name) \(arguments[0]) is not known: expected \(alternatives(words.map(\.word)))")
  }
}

extension Setting {
  /// What stands for the value in the help.
  public var placeholder: String {
    switch kind {
    case .text, .name, .texts, .form: flag ?? name
    case .properties: "name=value"
    case .word(let words): words.joined(separator: "|")
    case .flag: ""
    case .duration: "seconds"
    case .integer, .number: "number"
    }
  }

  /// How it is written on the command line; nil where there is no flag.
  public var help: String? {
    guard let flag else { return nil }
    if case .flag = kind { return key == nil ? "--\(flag)" : "--\(flag), --no-\(flag)" }
    return "--\(flag) <\(placeholder)>"
  }

  /// The value that an argument says.
  fileprivate func value(of argument: String) throws(FlagError) -> SettingValue {
    func fail(_ message: String) -> FlagError { FlagError("--\(flag ?? name) \(message)") }
    switch kind {
    case .text, .name: return .text(argument)
    case .texts, .properties: return .texts([argument])
    case .form(let expected, let fits):
      if fits(argument) { return .text(argument) }
      throw fail("is not known: expected \(expected), found \(excerpt(argument))")
    case .word(let words):
      if words.contains(argument) { return .text(argument) }
      let near = nearest(to: argument, among: words).map { "; did you mean \($0)?" } ?? ""
      throw fail("is not known: expected \(alternatives(words)), found \(excerpt(argument))\(near)")
    case .flag: return .flag(true)
    case .duration(let seconds):
      guard let value = Double(argument), seconds.contains(value) else {
        throw fail("must be \(Self.text(seconds)) seconds, found \(excerpt(argument))")
      }
      return .duration(Int64(value * 1e6))
    case .integer(let range):
      guard let value = Int(argument), range.contains(value) else {
        let bounds =
          range.upperBound == .max ? "\(range.lowerBound) or more" : "\(range.lowerBound) to \(range.upperBound)"
        throw fail("must be \(bounds), found \(excerpt(argument))")
      }
      return .integer(value)
    case .number(let range, let orZero, let unit):
      guard let value = Double(argument), range.contains(value) || (orZero && value == 0) else {
        throw fail("must be \(Self.text(range)) \(unit)\(orZero ? " (or 0)" : ""), found \(excerpt(argument))")
      }
      return .number(value)
    }
  }

  private static func text(_ range: ClosedRange<Double>) -> String {
    func text(_ bound: Double) -> String { Int64(exactly: bound).map(String.init) ?? String(bound) }
    return "\(text(range.lowerBound)) to \(text(range.upperBound))"
  }
}
