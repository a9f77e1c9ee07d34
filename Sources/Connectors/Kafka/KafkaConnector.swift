// Kafka as a source of the catalogue.

public import Configuration
import Detection
import Logging
public import Pipeline

public struct KafkaConnector: SourceConnector {
  static let name = "kafka"

  public let specification = ConnectorSpecification(
    name, noun: "Kafka", argument: .address(scheme: KafkaAddress.scheme, of: KafkaSettings.address.name),
    "the partitions of topics, as a member of a consumer group", settings: KafkaSettings.all)

  public init() {}

  public func problem(_ settings: ConnectorSettings, given: Set<String>) -> String? { KafkaSettings.problem(settings) }

  public func isLive(_ settings: ConnectorSettings) -> Bool { true }

  public func readsInbox(_ settings: ConnectorSettings) -> Bool {
    (try? KafkaSettings(settings, useCase: "")).map { KafkaInbox.hasPlace(in: $0) } ?? false
  }

  public func make(_ settings: ConnectorSettings, for context: SourceContext) async throws -> any Source {
    let settings = try KafkaSettings(settings, useCase: context.useCase)
    let inbox =
      KafkaInbox.hasPlace(in: settings)
      ? KafkaInbox(context.useCase, in: context.inbox, to: settings, context.schema, logger: context.logger) : nil
    return try KafkaSource(
      settings, batchRows: context.batchRows, maxEventBytes: context.schema.maxEventBytes, inbox: inbox,
      notice: context.notice, logger: context.logger)
  }
}
