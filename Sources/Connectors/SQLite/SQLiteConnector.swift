// The embedded store in the catalogue.

public import Configuration
public import Logging
public import Pipeline

extension SQLiteStore: RunStore {}

public struct SQLiteConnector: StoreConnector {
  static let name = "sqlite"

  public let specification = ConnectorSpecification(
    name, noun: "the embedded store",
    "anomalies, windows, dead letters and checkpoints in one file of the data directory")

  public init() {}

  public func open(
    _ settings: ConnectorSettings, in directory: DataDirectory, logger: Logger
  ) throws -> any RunStore {
    try SQLiteStore(in: directory)
  }

  public func reader(_ settings: ConnectorSettings, in directory: DataDirectory) throws -> any StoreReader {
    try SQLiteReader(directory)
  }

  public func actions(
    _ settings: ConnectorSettings, in directory: DataDirectory
  ) throws -> any Actions & OutboxCursors { try SQLiteActions(in: directory) }

  public func listener(_ settings: ConnectorSettings, waking signal: ChangeSignal) -> (any CommitListener)? { nil }
}
