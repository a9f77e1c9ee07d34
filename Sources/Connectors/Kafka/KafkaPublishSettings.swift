// What can be set of topics that results are delivered to: the section `publish` of `pulse.yaml`.

import Configuration
import Detection

/// Where results go.
struct KafkaPublishSettings: Sendable {
  static let bootstrap = Setting(
    "bootstrap", key: "bootstrap", flag: nil, .texts(expected: "a broker such as localhost:9092"),
    "Brokers to ask first, of which one must answer (default: those of the source).")
  static let anomalies = Setting(
    "anomalies", key: "anomalies", flag: nil, .text(expected: "a topic"),
    "The topic of anomalies (default: the name of the use case and .anomalies).")
  static let deadLetters = Setting(
    "dead_letters", key: "dead_letters", flag: nil, .text(expected: "a topic"),
    "The topic of dead letters (default: the name of the use case and .dlq).")
  static let properties = Setting(
    "properties", key: "properties", flag: nil, .properties(expected: "a setting of librdkafka and its value"),
    "Settings of librdkafka. A value env:NAME is taken from the environment, file:PATH from a file. Where the brokers are those "
      + "of the source, its settings of connections hold as well.")

  static let all = [bootstrap, anomalies, deadLetters, PublishSettings.deliver, properties]

  var useCase: String
  var connection: KafkaAccess
  var anomalies: String
  var deadLetters: String

  /// - Throws: `OperatingError` where something is missing or does not go together.
  init(_ settings: ConnectorSettings, of useCase: String, source: ConnectorSettings) throws(OperatingError) {
    if let problem = Self.problem(settings, of: useCase, source: source) {
      throw OperatingError(.configuration, problem)
    }
    self.init(settings, of: useCase, Self.known(source, of: useCase))
  }

  /// - Parameter source: what is read; nil where that is no Kafka.
  private init(_ settings: ConnectorSettings, of useCase: String, _ source: KafkaSettings?) {
    self.useCase = useCase
    let own = settings.texts(Self.bootstrap.name).joined(separator: ",")
    connection = KafkaAccess(
      bootstrap: own.isEmpty ? source?.bootstrap ?? "" : own,
      inherited: own.isEmpty ? source?.properties.ofConnection ?? KafkaProperties([]) : KafkaProperties([]),
      properties: KafkaProperties(settings.texts(Self.properties.name), of: .publish))
    anomalies = settings.text(Self.anomalies.name) ?? "\(useCase).anomalies"
    deadLetters = settings.text(Self.deadLetters.name) ?? "\(useCase).dlq"
  }

  /// The settings of a source that reads Kafka and can be made.
  private static func known(_ source: ConnectorSettings, of useCase: String) -> KafkaSettings? {
    source.type == KafkaConnector.name ? try? KafkaSettings(source, useCase: useCase) : nil
  }

  /// What is missing, or does not go together; nil where a sink can be made.
  static func problem(_ settings: ConnectorSettings, of useCase: String, source: ConnectorSettings) -> String? {
    let source = known(source, of: useCase)
    let made = KafkaPublishSettings(settings, of: useCase, source)
    if made.connection.bootstrap.isEmpty {
      return "publish.bootstrap is missing: a broker such as localhost:9092, for events do not come from Kafka"
    }
    for (key, topic) in [(Self.anomalies.name, made.anomalies), (Self.deadLetters.name, made.deadLetters)] {
      if let problem = KafkaSettings.problem(ofName: topic) { return "publish.\(key): \(problem)" }
      if let source, source.bootstrap == made.connection.bootstrap, source.reads(topic) {
        return "publish.\(key) cannot be \(topic): the source reads it, and results would be events"
      }
    }
    if made.anomalies == made.deadLetters {
      return "publish.anomalies and publish.dead_letters are both \(made.anomalies): expected a topic for each"
    }
    return made.connection.properties.problem
  }
}

/// How brokers are reached.
struct KafkaAccess: Sendable {
  var bootstrap: String
  /// Of the source, where its brokers are meant.
  var inherited: KafkaProperties
  var properties = KafkaProperties([])

  /// The settings of librdkafka, with the values that are kept elsewhere as they are there now.
  /// - Throws: `OperatingError` where one is not there.
  func resolved() throws(OperatingError) -> [(name: String, value: String)] {
    try inherited.resolved() + properties.resolved() + [("bootstrap.servers", bootstrap)]
  }
}
