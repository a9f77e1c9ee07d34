// The embedded store in the catalogue.

public import Configuration
public import Logging

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
}
