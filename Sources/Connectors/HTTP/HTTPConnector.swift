// Events that are posted to the server, as a source of the catalogue.

public import Configuration
import Detection
public import Pipeline

public struct HTTPConnector: SourceConnector {
  static let name = "http"

  public let specification = ConnectorSpecification(
    name, noun: "the inbox", argument: .word(name),
    "events that are posted to the server, kept in an inbox in the store until they are processed",
    settings: [InputSettings.idleTimeout])

  public func readsInbox(_ settings: ConnectorSettings) -> Bool { true }

  public init() {}

  public func problem(_ settings: ConnectorSettings, given: Set<String>) -> String? { nil }

  public func isLive(_ settings: ConnectorSettings) -> Bool { true }

  public func make(_ settings: ConnectorSettings, for context: SourceContext) async throws -> any Source {
    InboxSource(
      context.useCase, in: try context.inbox(), idleTimeout: settings.duration(InputSettings.idleTimeout.name),
      batchRows: context.batchRows)
  }
}
