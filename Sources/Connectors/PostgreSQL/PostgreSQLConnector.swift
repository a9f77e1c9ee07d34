// PostgreSQL in the catalogue.

public import Configuration
import Detection
public import Logging
public import Pipeline

extension PostgreSQLStore: RunStore {}

public struct PostgreSQLConnector: StoreConnector {
  static let name = "postgresql"

  static let url = Setting(
    "url", key: "url", flag: nil,
    .form(
      expected: "an address such as postgresql://user@host:5432/database",
      fits: { PostgreSQLAddress($0) != nil }),
    "The database, as libpq reads it: postgresql://USER@HOST:PORT/DATABASE?sslmode=verify-full.")
  static let schema = Setting(
    "schema", key: "schema", flag: nil, .text(expected: "a name"), standard: .text(PostgreSQLAddress.standardSchema),
    "The schema that the tables are in (default: pulse).")

  public let specification = ConnectorSpecification(
    name, noun: "PostgreSQL", argument: .address(scheme: PostgreSQLAddress.scheme, of: url.name),
    "anomalies, windows, dead letters and checkpoints in a database that several machines write to",
    settings: [url, schema])

  public init() {}

  public func open(
    _ settings: ConnectorSettings, in directory: DataDirectory, logger: Logger
  ) throws -> any RunStore {
    try PostgreSQLStore(at: Self.address(settings), in: directory, logger: logger)
  }

  public func reader(_ settings: ConnectorSettings, in directory: DataDirectory) throws -> any StoreReader {
    try PostgreSQLReader(Self.address(settings), in: directory)
  }

  public func actions(
    _ settings: ConnectorSettings, in directory: DataDirectory
  ) throws -> any Actions & OutboxCursors { try PostgreSQLActions(at: Self.address(settings)) }

  public func listener(
    _ settings: ConnectorSettings, waking signal: ChangeSignal
  ) throws -> (any CommitListener)? { PostgreSQLListener(try Self.address(settings), waking: signal) }

  /// - Throws: `OperatingError` where the settings name no database.
  static func address(_ settings: ConnectorSettings) throws -> PostgreSQLAddress {
    let schema = settings.text(schema.name) ?? PostgreSQLAddress.standardSchema
    guard let text = settings.text(url.name), let address = PostgreSQLAddress(text, schema: schema) else {
      throw OperatingError(
        .configuration,
        "the store postgresql needs the address of a database: `store: {type: postgresql, url: postgresql://…}`")
    }
    return address
  }
}
