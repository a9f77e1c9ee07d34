// The sources that events can come from. Add a source: its folder in Connectors, and a line here.

public import Configuration

public enum SourceCatalog {
  /// Every source, sorted by name.
  public static let entries: [any SourceConnector] = [
    FilesConnector(), HTTPConnector(), KafkaConnector(), SimulatorConnector(), StandardInputConnector(),
  ]

  public static let section = ConnectorSection(
    "source", standard: FilesConnector.name, entries.map(\.specification))

  /// The source that was chosen.
  public static func connector(_ settings: ConnectorSettings) -> any SourceConnector {
    guard let found = entries.first(where: { $0.specification.name == settings.type }) else {
      preconditionFailure("the source \(settings.type) is not in the catalogue that chose it")
    }
    return found
  }
}
