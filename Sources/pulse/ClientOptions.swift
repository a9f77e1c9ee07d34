// How commands speak to Kafka, where no configuration says it.

import ArgumentParser
import Connectors
import Logging

/// What commands that write to Kafka, or ask it, share.
struct ClientOptions: ParsableArguments {
  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "A setting of librdkafka. May be repeated. A value env:NAME is taken from the environment, file:PATH from a file.",
      valueName: "name=value"))
  var property: [String] = []

  func producer(_ address: String) throws -> KafkaProducer {
    try KafkaProducer(address, properties: property, logger: Self.logger)
  }

  func admin(_ bootstrap: String, group: String? = nil) throws -> KafkaAdmin {
    try KafkaAdmin(bootstrap, properties: property, group: group, logger: Self.logger)
  }

  /// What the client says by itself is part of its errors, and no news otherwise.
  private static let logger = Logger(label: "pulse.kafka") { _ in SwiftLogNoOpLogHandler() }
}
