// Options of sources, stores and history: which there are is in their catalogue, not in the command. They are options of the
// parser like those that a command declares, so that its help, its completion and its errors know them.

import ArgumentParser
import Configuration
import Connectors

/// The options of all connectors.
///
/// The parser asks a mirror which options a type has, and decodes their values by name. The mirror of this one has an option
/// for each setting in place of a property.
struct ConnectorOptions: ParsableArguments, CustomReflectable {
  private static let sections = ConnectorCatalog.standard.sections

  private var arguments: [String: FlagArgument] = [:]
  /// The options that were given.
  private(set) var flags = SettingFlags()

  init() {}

  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: FlagName.self)
    for setting in Self.sections.flatMap(\.settings) {
      guard let flag = setting.flag else { continue }
      let name = FlagName(stringValue: flag)
      if case .flag = setting.kind {
        let isSet = try container.decodeIfPresent(Bool.self, forKey: name)
        // One that cannot be taken back is false where it is not given.
        if let isSet, isSet || setting.key != nil { arguments[flag] = .isSet(isSet) }
      } else if let text = try container.decodeIfPresent(String.self, forKey: name) {
        arguments[flag] = .text(text)
      }
    }
  }

  mutating func validate() throws {
    flags = try Self.saying { () throws(FlagError) in try SettingFlags(arguments, of: Self.sections) }
  }

  var customMirror: Mirror {
    let options = Self.sections.flatMap { section in
      section.settings.compactMap { setting in
        setting.flag.map { (label: $0, value: Self.option(setting, flag: $0, of: section)) }
      }
    }
    return Mirror(self, children: options.map { ($0.label, $0.value) })
  }

  /// What the parser knows an option by.
  private static func option(_ setting: Setting, flag: String, of section: ConnectorSection) -> Any {
    let name = NameSpecification.customLong(flag)
    let owners = section.owners(of: setting.name).filter(\.isAvailable).map(\.noun)
    let help = ArgumentHelp(
      "\(setting.meaning) [\(owners.joined(separator: ", "))]", valueName: setting.placeholder)
    switch setting.kind {
    case .flag where setting.key == nil: return Flag(wrappedValue: false, name: name, help: help)
    case .flag: return Flag<Bool?>(name: name, inversion: .prefixedNo, help: help)
    case .word(let words):
      return Option<String?>(name: name, parsing: .unconditional, help: help, completion: .list(words))
    default: return Option<String?>(name: name, parsing: .unconditional, help: help)
    }
  }

  private struct FlagName: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  /// What is wrong with flags, said as the usage of the command.
  static func saying<Value>(_ body: () throws(FlagError) -> Value) throws -> Value {
    do { return try body() } catch { throw ValidationError(error.description) }
  }
}
