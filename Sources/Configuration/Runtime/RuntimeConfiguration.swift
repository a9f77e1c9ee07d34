// `pulse.yaml`: where a use case runs. What runs is in `pipeline.yaml`. Every key can be set from the environment as
// `PULSE__SECTION__KEY`, which goes before the file; the command line goes before both. No secret is ever read from here.

public import Detection

/// Source, store, history, where results go and the knobs of a run. Which of them there are, and what can be said of them, is in the
/// catalogue.
public struct RuntimeConfiguration: Sendable, Hashable {
  /// Where results go.
  public struct Store: Sendable, Hashable {
    /// The data directory. Nil where it is not said.
    public var path: String?
    /// The store that is chosen, and what is said of it.
    public var connector: ConnectorSettings
  }

  /// How history is kept.
  public struct History: Sendable, Hashable {
    /// How long, microseconds by whole days, in place of what the use case says; nil leaves that.
    public var retain: Int64?
    /// What writes it, and what is said of that.
    public var connector: ConnectorSettings
  }

  /// How much is logged.
  public enum LogLevel: String, Sendable, Hashable, CaseIterable {
    case trace, debug, info, notice, warning, error, critical
  }

  /// How many batches may be decoded at a time.
  public static let workerRange = 1...256
  /// The time between checkpoints, microseconds. A shorter one would only sync the disk: a commit takes some milliseconds.
  public static let checkpointIntervals: ClosedRange<Int64> = 10_000...3_600_000_000

  /// How much memory a run may be given, bytes.
  public static let memoryRange = Limits.leastMemory...(1 << 40)

  /// Where events come from.
  public var source: ConnectorSettings
  public var store: Store
  public var history: History
  /// Where results are delivered beside the store.
  public var publish: ConnectorSettings
  /// Time between checkpoints, microseconds.
  public var checkpointInterval: Int64 = 1_000_000
  /// Batches decoded at a time; nil takes one per processor.
  public var workers: Int?
  /// Bytes that a run may take.
  public var memory = Limits.defaultMemory
  /// Most events in a batch.
  public var batchSize = Limits.defaultBatchRows
  public var logLevel = LogLevel.info
  /// How a server listens, where one is asked for.
  public var server = ServerConfiguration()
  /// Who is told of findings while a server is there.
  public var notifications: [NotificationConfiguration] = []

  /// The defaults: everything embedded.
  public init(_ catalog: ConnectorCatalog) {
    source = ConnectorSettings(type: catalog.source.standard)
    store = Store(path: nil, connector: ConnectorSettings(type: catalog.store.standard))
    history = History(retain: nil, connector: ConnectorSettings(type: catalog.history.standard))
    publish = ConnectorSettings(type: catalog.publish.standard)
  }

  /// Where the section of this name keeps what is said of its connector.
  static func connector(_ section: String) -> WritableKeyPath<RuntimeConfiguration, ConnectorSettings> {
    switch section {
    case "source": \.source
    case "store": \.store.connector
    case "publish": \.publish
    default: \.history.connector
    }
  }

  /// The configuration of the file at `path` (none: the defaults), changed by the variables of `environment` that begin
  /// with `PULSE__`.
  /// - Throws: `OperatingError` with everything that is wrong with the file; only when that is right, with the variables.
  public static func load(
    path: String?, environment: [String: String], catalog: ConnectorCatalog
  ) throws(OperatingError) -> RuntimeConfiguration {
    var text: String?
    if let path {
      do throws(ConfigurationErrors) {
        text = try ConfigurationFile.read(path).get()
        _ = try load(text: text, catalog: catalog)
      } catch {
        let rendered = DiagnosticRenderer.render(error.diagnostics, path: path, source: text ?? "")
        throw OperatingError(.configuration, "\(path) is wrong\n\(rendered)")
      }
    }
    do throws(ConfigurationErrors) {
      return try load(text: text, environment: environment, catalog: catalog)
    } catch {
      throw OperatingError(
        .configuration, "the environment is wrong\n\(DiagnosticRenderer.renderWithoutPlaces(error.diagnostics))")
    }
  }

  /// The same from the text of a file, with the places of what is wrong; those of variables say nothing.
  public static func load(
    text: String?, environment: [String: String] = [:], catalog: ConnectorCatalog
  ) throws(ConfigurationErrors) -> RuntimeConfiguration {
    var reader = RuntimeReader(catalog)
    if let text { reader.read(text) }
    reader.checkConnectors()
    guard reader.reader.diagnostics.isEmpty else { throw ConfigurationErrors(reader.reader.diagnostics) }
    reader.apply(environment)
    reader.checkConnectors()
    guard reader.reader.diagnostics.isEmpty else { throw ConfigurationErrors(reader.reader.diagnostics) }
    return reader.configuration
  }
}
