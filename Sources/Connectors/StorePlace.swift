// Where a store is: what opens it for whoever runs, reads or acts, whatever it is made of.

public import Configuration
public import Logging
public import Pipeline

/// A store, and the data directory with what is no part of it: models, and history files.
public struct StorePlace: Sendable, Hashable {
  public let settings: ConnectorSettings
  public let directory: DataDirectory

  public init(_ settings: ConnectorSettings, in directory: DataDirectory) {
    (self.settings, self.directory) = (settings, directory)
  }

  /// The embedded store of a directory.
  public init(_ directory: DataDirectory) {
    self.init(ConnectorSettings(type: SinkCatalog.storeSection.standard), in: directory)
  }

  private var connector: any StoreConnector { SinkCatalog.store(settings) }

  /// Whether the store is a file of the directory.
  public var isEmbedded: Bool { settings.type == SinkCatalog.storeSection.standard }

  /// Whether there may be a store: of a file that is seen, a server would have to be asked.
  public var mayExist: Bool { isEmbedded ? directory.exists : true }

  /// Opens the store for writing.
  /// - Throws: `OperatingError`.
  public func open(logger: Logger) throws -> any RunStore {
    try connector.open(settings, in: directory, logger: logger)
  }

  /// - Throws: `OperatingError` where there is no store.
  public func reader() throws -> any StoreReader { try connector.reader(settings, in: directory) }

  /// - Throws: `OperatingError`.
  public func actions() throws -> any Actions & OutboxCursors { try connector.actions(settings, in: directory) }

  /// What wakes followers of changes when another process commits; nil where they have to look now and then.
  public func listener(waking signal: ChangeSignal) throws -> (any CommitListener)? {
    try connector.listener(settings, waking: signal)
  }

  /// What tells a process that is started where the store is: an address may have a password, which does not belong on a
  /// command line.
  public var environment: [String: String] {
    if isEmbedded { return [:] }
    let section = SinkCatalog.storeSection
    let prefix = "PULSE__\(section.name.uppercased())__"
    var variables = [prefix + "TYPE": settings.type]
    for setting in section[settings.type]?.settings ?? [] {
      if let key = setting.key, let value = settings.text(setting.name) { variables[prefix + key.uppercased()] = value }
    }
    return variables
  }
}
