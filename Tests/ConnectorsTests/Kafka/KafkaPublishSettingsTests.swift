// What can be said of topics that results go to, and what is refused.

import Configuration
import Detection
import Logging
import Pipeline
import Testing

@testable import Connectors

@Suite("Settings of results to Kafka")
struct KafkaPublishSettingsTests {
  private func made(_ yaml: String, useCase: String = "shop") throws -> KafkaPublishSettings {
    let configuration = try RuntimeConfiguration.load(text: yaml, catalog: .standard)
    return try KafkaPublishSettings(configuration.publish, of: useCase, source: configuration.source)
  }

  private func problem(_ yaml: String) throws -> String? {
    let configuration = try RuntimeConfiguration.load(text: yaml, catalog: .standard)
    return KafkaPublishConnector().problem(configuration.publish, of: "shop", source: configuration.source)
  }

  @Test("one word is enough where events come from Kafka: brokers and how they are reached are the source's")
  func oneWord() throws {
    let settings = try made(
      """
      source:
        type: kafka
        bootstrap: [a:9092, b:9092]
        topic: orders
        properties: {security.protocol: SSL, ssl.ca.location: /ca.pem, fetch.max.bytes: "1000000"}
      publish: {type: kafka, properties: {ssl.ca.location: /other.pem, linger.ms: "20"}}
      """)
    #expect(settings.connection.bootstrap == "a:9092,b:9092")
    #expect(settings.anomalies == "shop.anomalies" && settings.deadLetters == "shop.dlq")
    let resolved = try settings.connection.resolved()
    #expect(
      resolved.map { "\($0.name)=\($0.value)" } == [
        "security.protocol=SSL", "ssl.ca.location=/ca.pem", "ssl.ca.location=/other.pem", "linger.ms=20",
        "bootstrap.servers=a:9092,b:9092",
      ], "what is said last holds")
  }

  @Test("other brokers have settings of their own")
  func otherBrokers() throws {
    let settings = try made(
      """
      source: {type: kafka, address: 'kafka://a:9092/orders', properties: {security.protocol: SSL}}
      publish: {type: kafka, bootstrap: c:9092, anomalies: found, dead_letters: lost, deliver: final}
      """)
    #expect(settings.anomalies == "found" && settings.deadLetters == "lost")
    #expect(try settings.connection.resolved().map(\.name) == ["bootstrap.servers"])
    #expect(settings.connection.bootstrap == "c:9092")
  }

  @Test("file and environment say when results are delivered; nothing is delivered unless it is said")
  func delivery() throws {
    let none = try RuntimeConfiguration.load(text: nil, catalog: .standard)
    #expect(SinkCatalog.publisher(none.publish) == nil && !PublishSettings.waitsForCheckpoints(none.publish))
    let configuration = try RuntimeConfiguration.load(
      text: nil,
      environment: [
        "PULSE__PUBLISH__TYPE": "kafka", "PULSE__PUBLISH__BOOTSTRAP": "a:1,b:2", "PULSE__PUBLISH__DELIVER": "final",
        "PULSE__PUBLISH__DEAD_LETTERS": "lost",
      ], catalog: .standard)
    #expect(SinkCatalog.publisher(configuration.publish) is KafkaPublishConnector)
    #expect(PublishSettings.waitsForCheckpoints(configuration.publish))
    #expect(configuration.publish.texts("bootstrap") == ["a:1", "b:2"])
    #expect(configuration.publish.text("dead_letters") == "lost")
    let error = #expect(throws: ConfigurationErrors.self) {
      try RuntimeConfiguration.load(text: "publish: {anomalies: a}", catalog: .standard)
    }
    #expect(error?.diagnostics.map(\.expected) == ["a publish of type kafka"])
  }

  @Test(
    "what does not go together is refused with what would",
    arguments: [
      ("{type: kafka}", "publish.bootstrap is missing"),
      ("{type: kafka, bootstrap: a, anomalies: 'a b'}", "publish.anomalies: \"a b\" is no name of a topic"),
      ("{type: kafka, bootstrap: a, dead_letters: '^a'}", "publish.dead_letters: \"^a\" is no name of a topic"),
      ("{type: kafka, bootstrap: a, anomalies: t, dead_letters: t}", "expected a topic for each"),
      ("{type: kafka, bootstrap: a, properties: {transactional.id: x}}", "a former owner is fenced off"),
      ("{type: kafka, bootstrap: a, properties: {bootstrap.servers: x}}", "say publish.bootstrap"),
      ("{type: kafka, bootstrap: a, properties: {sasl.password: x}}", "publish.properties holds no secrets"),
    ])
  func refused(_ yaml: String, _ message: String) throws {
    let problem = try problem("publish: \(yaml)")
    #expect(problem?.contains(message) == true, "\(problem ?? "nothing")")
  }

  @Test("results never go where events come from", arguments: ["shop.anomalies", "^shop[.].*"])
  func circles(_ topic: String) throws {
    let source = "source: {type: kafka, bootstrap: a, topic: '\(topic)'}\n"
    #expect(try problem(source + "publish: {type: kafka}")?.contains("the source reads it") == true)
    #expect(try problem(source + "publish: {type: kafka, bootstrap: b}") == nil)
  }

  @Test("a setting that librdkafka does not know is said before the run begins")
  func unknownProperty() throws {
    let configuration = try RuntimeConfiguration.load(
      text: "publish: {type: kafka, bootstrap: '127.0.0.1:1', properties: {no.such.setting: '1'}}", catalog: .standard)
    let error = #expect(throws: OperatingError.self) {
      _ = try KafkaPublishConnector().make(
        configuration.publish,
        for: PublishContext(
          useCase: "u", source: configuration.source, identity: "i", logger: Logger(label: "test")))
    }
    #expect("\(String(describing: error))".contains("the setting no.such.setting of Kafka cannot be used"))
  }
}
