// Topics in the catalogue, as a place that results are delivered to.

public import Configuration
import Logging
public import Pipeline

public struct KafkaPublishConnector: PublishConnector {
  static let name = "kafka"

  public let specification = ConnectorSpecification(
    name, noun: "Kafka", "anomalies and dead letters to topics", settings: KafkaPublishSettings.all)

  public init() {}

  public func problem(_ settings: ConnectorSettings, of useCase: String, source: ConnectorSettings) -> String? {
    KafkaPublishSettings.problem(settings, of: useCase, source: source)
  }

  public func make(_ settings: ConnectorSettings, for context: PublishContext) throws -> any Sink {
    let made = try KafkaPublishSettings(settings, of: context.useCase, source: context.source)
    try KafkaTransactions.check(made.connection, logger: context.logger)
    return KafkaSink(made, identity: context.identity, logger: context.logger)
  }
}
