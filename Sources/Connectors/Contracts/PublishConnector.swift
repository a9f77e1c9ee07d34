// What the catalogue asks of whatever results are delivered to beside the store.

public import Configuration
public import Logging
public import Pipeline

/// What results are delivered for.
public struct PublishContext: Sendable {
  /// The name of the use case.
  public let useCase: String
  /// Where events come from, of which a sink may take how that is reached.
  public let source: ConnectorSettings
  /// What tells the store from others that deliver the same use case to the same place.
  public let identity: String
  /// Where a sink says what its connections do.
  public let logger: Logger

  public init(useCase: String, source: ConnectorSettings, identity: String, logger: Logger) {
    self.useCase = useCase
    self.source = source
    self.identity = identity
    self.logger = logger
  }
}

/// A kind of place that results are delivered to.
public protocol PublishConnector: Sendable {
  var specification: ConnectorSpecification { get }
  /// What is missing, or does not go together; nil where a sink can be made.
  func problem(_ settings: ConnectorSettings, of useCase: String, source: ConnectorSettings) -> String?
  /// - Throws: `OperatingError`.
  func make(_ settings: ConnectorSettings, for context: PublishContext) throws -> any Sink
}

/// What can be set of everything that results are delivered to.
public enum PublishSettings {
  private enum Time: String, CaseIterable { case early, final }

  static let deliver = Setting(
    "deliver", key: "deliver", flag: nil, .word(Time.allCases.map(\.rawValue)), standard: .text(Time.early.rawValue),
    "When results are delivered: as soon as they are committed (early), or once a checkpoint has passed them and nothing takes "
      + "them back any more (final) (default: early).")

  /// Whether results wait for the checkpoint of their partition.
  public static func waitsForCheckpoints(_ settings: ConnectorSettings) -> Bool {
    settings.text(deliver.name) == Time.final.rawValue
  }
}
