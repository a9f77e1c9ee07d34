// Settings of connectors: what is said by file, environment and flag means the same, and a connector that nobody knows
// needs nothing but its entry.

import Configuration
import Detection
import Testing

@testable import Connectors

@Suite("Catalogue of connectors")
struct ConnectorCatalogTests {
  /// A source that only this test knows, as a new folder would bring it.
  private static let topic = ConnectorSpecification(
    "topic", noun: "a topic", argument: .word("topic"), "events of a topic",
    settings: [
      Setting("brokers", key: "brokers", flag: "brokers", .texts(expected: "a host"), "Where it is."),
      Setting(
        "begin", key: "begin", flag: "begin", .word(["first", "last"]), standard: .text("first"), "Where to begin."),
      Setting("lag", key: nil, flag: "lag", .integer(0...10), "How far behind."),
    ])
  private static let catalog = ConnectorCatalog(
    source: ConnectorSection("source", standard: "files", SourceCatalog.entries.map(\.specification) + [topic]),
    store: SinkCatalog.storeSection, history: SinkCatalog.historySection, publish: SinkCatalog.publishSection)

  private func load(
    _ text: String?, _ environment: [String: String] = [:]
  ) throws(ConfigurationErrors) -> RuntimeConfiguration {
    try RuntimeConfiguration.load(text: text, environment: environment, catalog: Self.catalog)
  }

  private func flags(_ arguments: [String: FlagArgument]) throws(FlagError) -> SettingFlags {
    try SettingFlags(arguments, of: Self.catalog.sections)
  }

  @Test("file, environment and flags of a new connector are read by its entry alone")
  func aNewConnectorNeedsItsEntryOnly() throws {
    let file = try load("source: {type: topic, brokers: [a, b], begin: last}")
    #expect(file.source.values == ["brokers": .texts(["a", "b"]), "begin": .text("last")])
    let variables = try load(
      "source: {type: topic, begin: last}",
      ["PULSE__SOURCE__BROKERS": "c,d", "PULSE__SOURCE__BEGIN": "first"])
    #expect(variables.source.values == ["brokers": .texts(["c", "d"])], "the standard is nothing that was said")
    var configuration = try load(nil)
    configuration.source = try Self.catalog.source.settings(of: ["topic"])
    try flags(["begin": .text("last"), "lag": .text("3"), "codec": .text("none")]).apply(
      to: &configuration, of: Self.catalog)
    #expect(configuration.source.type == "topic" && configuration.source.integer("lag") == 3)
    #expect(configuration.source.text("begin") == "last" && configuration.history.connector.text("codec") == "none")
  }

  @Test("what does not belong to the source that was chosen is refused, with who has it")
  func otherConnectorsSettings() throws {
    let error = #expect(throws: ConfigurationErrors.self) { try load("source: {type: topic, follow: true}") }
    #expect(error?.diagnostics.map(\.expected) == ["a source of type files"])
    var configuration = try load("source: {type: topic}")
    let flag = #expect(throws: FlagError.self) {
      try flags(["format": .text("csv")]).apply(to: &configuration, of: Self.catalog)
    }
    #expect(flag?.description == "--format needs files or standard input as the source")
    let hint = #expect(throws: FlagError.self) {
      var files = try load(nil)
      try flags(["lag": .text("1")]).apply(to: &files, of: Self.catalog)
    }
    #expect(hint?.description == "--lag needs a topic as the source (--source topic)")
  }

  @Test(
    "wrong flags are said with what would be right",
    arguments: [
      ("begin", "lost", "--begin is not known: expected first or last, found `lost`; did you mean last?"),
      ("lag", "11", "--lag must be 0 to 10, found `11`"),
      ("idle-timeout", "0", "--idle-timeout must be 0.001 to 1000000000 seconds, found `0`"),
    ])
  func wrongFlags(_ flag: String, _ value: String, _ message: String) {
    let error = #expect(throws: FlagError.self) { try flags([flag: .text(value)]) }
    #expect(error?.description == message)
  }

  @Test("a flag belongs to one section")
  func flagsAreDistinct() {
    let flags = ConnectorCatalog.standard.sections.flatMap(\.settings).compactMap(\.flag)
    #expect(Set(flags).count == flags.count && flags.contains("follow"))
  }

  @Test("settings of one name mean the same in every connector of a section")
  func settingsAgree() {
    for section in ConnectorCatalog.standard.sections {
      for setting in section.settings {
        for other in section.owners(of: setting.name).flatMap(\.settings) where other.name == setting.name {
          #expect(other.key == setting.key && other.flag == setting.flag && other.meaning == setting.meaning)
        }
      }
      #expect(section.available.map(\.name) == section.available.map(\.name).sorted())
    }
  }

  @Test("each connector that can be chosen can be made")
  func everySpecificationHasAConnector() {
    for specification in SourceCatalog.section.available {
      #expect(
        SourceCatalog.connector(ConnectorSettings(type: specification.name)).specification.name == specification.name)
    }
  }
}
