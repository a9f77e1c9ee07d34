// Options of sources, stores and history: which there are is in their catalogue, not in the command.

import ArgumentParser
import Configuration
import Connectors

/// What the command does not know itself is an option of a connector.
struct ConnectorOptions: ParsableArguments {
  @Argument(
    parsing: .allUnrecognized,
    help: ArgumentHelp("Options of the source and of history, as listed above.", valueName: "options"))
  var rest: [String] = []

  /// The options that were given.
  /// - Parameter command: whose own options are no connector's; the nearest of both is named.
  /// - Throws: `ValidationError` that names what is wrong.
  func flags(besides command: (some ParsableCommand).Type) throws -> SettingFlags {
    let sections = ConnectorCatalog.standard.sections
    return try Self.saying { () throws(FlagError) in
      try SettingFlags(rest, of: sections, known: Self.options(of: command))
    }
  }

  /// What is wrong with flags, said as the usage of the command.
  static func saying<Value>(_ body: () throws(FlagError) -> Value) throws -> Value {
    do { return try body() } catch { throw ValidationError(error.description) }
  }

  /// The names of a command's own options, without dashes.
  private static func options(of command: (some ParsableCommand).Type) -> [String] {
    command.helpMessage(columns: 200).matches(of: /(?m)^  --([a-z-]+)/).map { String($0.1) }
  }

  /// The options of all connectors, for the help of the command.
  static let help: String = {
    ConnectorCatalog.standard.sections.flatMap { section in
      section.available.compactMap { connector -> String? in
        let lines = connector.settings.compactMap { setting in setting.help.map { "  \($0)\n      \(setting.meaning)" }
        }
        guard !lines.isEmpty else { return nil }
        return "Options of \(connector.noun):\n" + lines.joined(separator: "\n")
      }
    }.joined(separator: "\n\n")
  }()
}
