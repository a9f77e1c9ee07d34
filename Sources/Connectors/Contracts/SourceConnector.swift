// What the catalogue asks of a source, a store and a writer of history. A connector says what it is, what can be set and how
// it is made; the command, `pulse.yaml` and their checks know none by its name.

public import Configuration
public import Detection
public import Logging
public import Pipeline

/// What a source is made for.
public struct SourceContext: Sendable {
  /// The name of the use case.
  public let useCase: String
  /// The events of the use case.
  public let schema: Schema
  /// How much earlier than the one before an event may be and is in time, microseconds.
  public let outOfOrder: Int64
  /// The folder of the use case.
  public let directory: String
  /// Most events in a batch.
  public let batchRows: Int
  /// The next number of a counter that outlives runs, by the counter's name.
  public let nextRun: @Sendable (String) async throws -> Int
  /// Where events are handed in. Makes the data directory where there is none: it is called once reading begins.
  public let inbox: @Sendable () throws -> any Inbox & OutboxCursors
  /// Is told what a person should know of the input while the run goes on.
  public let notice: @Sendable (String) -> Void
  /// Where a source says what its connections do.
  public let logger: Logger

  public init(
    useCase: String, schema: Schema, outOfOrder: Int64, directory: String, batchRows: Int,
    nextRun: @escaping @Sendable (String) async throws -> Int,
    inbox: @escaping @Sendable () throws -> any Inbox & OutboxCursors,
    notice: @escaping @Sendable (String) -> Void, logger: Logger
  ) {
    self.useCase = useCase
    self.schema = schema
    self.outOfOrder = outOfOrder
    self.directory = directory
    self.batchRows = batchRows
    self.nextRun = nextRun
    self.inbox = inbox
    self.notice = notice
    self.logger = logger
  }

  /// Columns that every file must have.
  var requiredColumns: [String] { schema.fields.filter(\.required).map { $0.path.joined(separator: ".") } }
}

/// A kind of source.
public protocol SourceConnector: Sendable {
  var specification: ConnectorSpecification { get }
  /// What is missing, or does not go together; nil where a source can be made.
  /// - Parameter given: names of the settings that were given as flags. One without effect is refused; what the file or the
  ///   environment says may stay there for another run.
  func problem(_ settings: ConnectorSettings, given: Set<String>) -> String?
  /// Whether events come as they happen: models are then trained meanwhile.
  func isLive(_ settings: ConnectorSettings) -> Bool
  /// Whether it reads what is handed in to the inbox of the use case.
  func readsInbox(_ settings: ConnectorSettings) -> Bool
  /// - Throws: `OperatingError`.
  func make(_ settings: ConnectorSettings, for context: SourceContext) async throws -> any Source
}

extension SourceConnector {
  public func readsInbox(_ settings: ConnectorSettings) -> Bool { false }
}

/// A store that a run can begin with.
public protocol RunStore: Store {
  /// Removes everything stored of a use case: results, state, positions, history.
  func reset(useCase: String) async throws
  /// The next number of a counter that outlives runs.
  func nextRun(named name: String) async throws -> Int
}

/// What reads a store, with the list of the history that lies in a data directory beside it.
public protocol StoreReader: ResultReader, HistoryCatalog {
  var directory: DataDirectory { get }
  /// What `listing(of:)` gives; blocks the thread it is called on.
  func blockingListing(of useCase: String) throws -> HistoryListing
}

/// What hears of the commits of other processes.
public protocol CommitListener: Sendable {
  /// Listens for as long as the task is not cancelled.
  func run() async
}

/// A kind of store.
public protocol StoreConnector: Sendable {
  var specification: ConnectorSpecification { get }
  /// Opens the store for writing.
  /// - Parameters:
  ///   - directory: where the run keeps what is no part of a store elsewhere.
  ///   - logger: where a store says what its connections do.
  /// - Throws: `OperatingError`.
  func open(_ settings: ConnectorSettings, in directory: DataDirectory, logger: Logger) throws -> any RunStore
  /// Opens the store for reading.
  /// - Throws: `OperatingError` where there is none.
  func reader(_ settings: ConnectorSettings, in directory: DataDirectory) throws -> any StoreReader
  /// Opens the store for what people and routes write.
  /// - Throws: `OperatingError`.
  func actions(_ settings: ConnectorSettings, in directory: DataDirectory) throws -> any Actions & OutboxCursors
  /// What wakes followers of changes when another process commits; nil where they have to look now and then.
  func listener(_ settings: ConnectorSettings, waking signal: ChangeSignal) throws -> (any CommitListener)?
}

/// A kind of files that history is written in.
public protocol HistoryConnector: Sendable {
  var specification: ConnectorSpecification { get }
  func make(_ settings: ConnectorSettings, in directory: DataDirectory, useCase: String) -> any HistoryEncoder
}
