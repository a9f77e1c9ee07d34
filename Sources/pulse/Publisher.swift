// Delivers results to where `publish` of `pulse.yaml` says, beside a run.

import Configuration
import Connectors
import Detection
import Logging
import Pipeline
import Synchronization

/// Delivers results while a run goes on, and what is left when it has ended.
final class Publisher: Sendable {
  private let outbox: Outbox
  private let signal: ChangeSignal
  /// Whether nothing is taken any more.
  private let hasEnded = Mutex(false)

  /// How long the end of a run may take because of what is not delivered yet.
  private static let patience = Duration.seconds(20)

  private init(_ outbox: Outbox, wokenBy signal: ChangeSignal) {
    self.outbox = outbox
    self.signal = signal
  }

  /// Refuses what a run cannot begin with.
  /// - Throws: `OperatingError`.
  static func check(_ configuration: RuntimeConfiguration, of useCase: String) throws {
    let (settings, source) = (configuration.publish, configuration.source)
    if let problem = SinkCatalog.publisher(settings)?.problem(settings, of: useCase, source: source) {
      throw OperatingError(.configuration, problem)
    }
  }

  /// - Parameter signal: announces that something was committed.
  /// - Returns: nil where results stay in the store.
  /// - Throws: `OperatingError`.
  static func make(
    _ configuration: RuntimeConfiguration, of useCase: String, in place: StorePlace,
    wokenBy signal: ChangeSignal, logger: Logger
  ) async throws -> Publisher? {
    let settings = configuration.publish
    guard let connector = SinkCatalog.publisher(settings) else { return nil }
    let name = "publish/\(useCase)/\(settings.type)"
    let cursors = try place.actions()
    let context = PublishContext(
      useCase: useCase, source: configuration.source, identity: try await cursors.identity(of: name), logger: logger)
    var options = Outbox.Options()
    options.waitsForCheckpoints = PublishSettings.waitsForCheckpoints(settings)
    let outbox = Outbox(
      name, of: useCase, from: try place.reader(), cursors: cursors,
      to: try connector.make(settings, for: context), options: options, logger: logger)
    return Publisher(outbox, wokenBy: signal)
  }

  /// Delivers until the task is cancelled, or nothing is taken any more.
  func run() async {
    if await !outbox.run(wokenBy: signal) { hasEnded.withLock { $0 = true } }
  }

  /// Delivers what is left.
  func finish() async {
    if hasEnded.withLock({ $0 }) { return }
    await outbox.finish(within: Self.patience)
  }
}
