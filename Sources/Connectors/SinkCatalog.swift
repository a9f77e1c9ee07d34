// The stores and files that results go to. Add one: its folder in Connectors, and a line here.

public import Configuration

public enum SinkCatalog {
  /// Every store, sorted by name.
  private static let stores: [any StoreConnector] = [SQLiteConnector()]
  /// Every kind of files of history, sorted by name.
  private static let histories: [any HistoryConnector] = [ArrowConnector()]

  /// Places that are reserved.
  private static let later: [ConnectorSpecification] = [
    .later("postgresql", "anomalies, windows and dead letters in PostgreSQL")
  ]

  public static let storeSection = ConnectorSection(
    "store", standard: SQLiteConnector.name, stores.map(\.specification) + later)
  public static let historySection = ConnectorSection(
    "history", standard: ArrowConnector.name, histories.map(\.specification))

  /// The store that was chosen.
  public static func store(_ settings: ConnectorSettings) -> any StoreConnector {
    chosen(settings, among: stores.map { ($0.specification.name, $0) })
  }

  /// The files of history that were chosen.
  public static func history(_ settings: ConnectorSettings) -> any HistoryConnector {
    chosen(settings, among: histories.map { ($0.specification.name, $0) })
  }

  private static func chosen<Connector>(_ settings: ConnectorSettings, among: [(String, Connector)]) -> Connector {
    guard let found = among.first(where: { $0.0 == settings.type }) else {
      preconditionFailure("\(settings.type) is not in the catalogue that chose it")
    }
    return found.1
  }

  /// Everything that results go to, sorted by name, for lists.
  public static let all: [ConnectorSpecification] =
    (storeSection.connectors + historySection.connectors + [
      .later("kafka", "anomalies and dead letters to topics")
    ]).sorted { $0.name < $1.name }
}

extension ConnectorCatalog {
  /// Everything that is built in.
  public static let standard = ConnectorCatalog(
    source: SourceCatalog.section, store: SinkCatalog.storeSection, history: SinkCatalog.historySection)
}
