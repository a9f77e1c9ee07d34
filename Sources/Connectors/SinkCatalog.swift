// The stores, files and topics that results go to. Add one: its folder in Connectors, and a line here.

public import Configuration

public enum SinkCatalog {
  /// Every store, sorted by name.
  private static let stores: [any StoreConnector] = [PostgreSQLConnector(), SQLiteConnector()]
  /// Every kind of files of history, sorted by name.
  private static let histories: [any HistoryConnector] = [ArrowConnector()]
  /// Everything that results are delivered to beside the store, sorted by name.
  private static let publishers: [any PublishConnector] = [KafkaPublishConnector()]

  public static let storeSection = ConnectorSection(
    "store", standard: SQLiteConnector.name, stores.map(\.specification))
  public static let historySection = ConnectorSection(
    "history", standard: ArrowConnector.name, histories.map(\.specification))

  public static let publishSection = ConnectorSection(
    "publish", standard: "none",
    publishers.map(\.specification) + [ConnectorSpecification("none", noun: "nothing", "results stay in the store")])

  /// The store that was chosen.
  public static func store(_ settings: ConnectorSettings) -> any StoreConnector {
    chosen(settings, among: stores.map { ($0.specification.name, $0) })
  }

  /// The files of history that were chosen.
  public static func history(_ settings: ConnectorSettings) -> any HistoryConnector {
    chosen(settings, among: histories.map { ($0.specification.name, $0) })
  }

  /// What results are delivered to; nil where they stay in the store.
  public static func publisher(_ settings: ConnectorSettings) -> (any PublishConnector)? {
    publishers.first { $0.specification.name == settings.type }
  }

  private static func chosen<Connector>(_ settings: ConnectorSettings, among: [(String, Connector)]) -> Connector {
    guard let found = among.first(where: { $0.0 == settings.type }) else {
      preconditionFailure("\(settings.type) is not in the catalogue that chose it")
    }
    return found.1
  }

  /// Everything that results go to, sorted by name, for lists.
  public static let all: [ConnectorSpecification] =
    (storeSection.connectors + historySection.connectors + publishers.map(\.specification)).sorted { $0.name < $1.name }
}

extension ConnectorCatalog {
  /// Everything that is built in.
  public static let standard = ConnectorCatalog(
    source: SourceCatalog.section, store: SinkCatalog.storeSection, history: SinkCatalog.historySection,
    publish: SinkCatalog.publishSection)
}
