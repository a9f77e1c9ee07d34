// What can be said of a source that reads Kafka, and what is refused.

import Configuration
import Detection
import Foundation
import Logging
import Pipeline
import TestKit
import Testing

@testable import Connectors

@Suite("Settings of Kafka")
struct KafkaSettingsTests {
  private func problem(_ yaml: String) throws -> String? {
    let configuration = try RuntimeConfiguration.load(text: "source: \(yaml)", catalog: .standard)
    return KafkaConnector().problem(configuration.source, given: [])
  }

  @Test("one line says a topic, in the file as on the command line")
  func oneLine() throws {
    let file = try RuntimeConfiguration.load(
      text: "source: {type: kafka, bootstrap: 'a:9092', topic: orders}", catalog: .standard)
    let settings = try KafkaSettings(file.source, useCase: "shop")
    #expect(settings.bootstrap == "a:9092" && settings.topics == ["orders"] && settings.group == "pulse.shop")
    #expect(settings.start == .earliest && settings.onGap == .stop)
    let argument = try ConnectorCatalog.standard.source.settings(of: ["kafka://a:9092,b:9093/orders"])
    #expect(argument.type == "kafka")
    let same = try KafkaSettings(argument, useCase: "shop")
    #expect(same.bootstrap == "a:9092,b:9093" && same.topics == ["orders"])
    let error = #expect(throws: FlagError.self) {
      try ConnectorCatalog.standard.source.settings(of: ["kafka://a/t", "b.ndjson"])
    }
    #expect(error?.description == "--source kafka://a/t cannot be combined with other sources")
  }

  @Test("properties are a mapping, and secrets come from elsewhere")
  func properties() throws {
    let folder = try TestFolder()
    let path = folder.path + "/secret"
    try Data("hush\n".utf8).write(to: URL(fileURLWithPath: path))
    let file = try RuntimeConfiguration.load(
      text: """
        source:
          type: kafka
          bootstrap: [a:9092]
          topic: [orders, returns]
          properties:
            security.protocol: SASL_SSL
            sasl.password: 'file:\(path)'
        """, catalog: .standard)
    let settings = try KafkaSettings(file.source, useCase: "shop")
    let resolved = try settings.properties.resolved()
    #expect(resolved.map(\.name) == ["security.protocol", "sasl.password"])
    #expect(resolved.map(\.value) == ["SASL_SSL", "hush"])
    let missing = #expect(throws: OperatingError.self) {
      _ = try KafkaProperties(["sasl.password=env:PULSE_TEST_NO_SUCH"]).resolved()
    }
    #expect("\(String(describing: missing))".contains("PULSE_TEST_NO_SUCH of the environment, which is not set"))
  }

  @Test(
    "what does not go together is refused with what would",
    arguments: [
      ("{type: kafka}", "source.topic is missing"),
      ("{type: kafka, topic: a}", "source.bootstrap is missing"),
      ("{type: kafka, address: 'kafka://host'}", "expected kafka://HOST:PORT/TOPIC"),
      ("{type: kafka, address: 'kafka://a/t', topic: b}", "leave out source.bootstrap and source.topic"),
      ("{type: kafka, bootstrap: a, topic: 'a b'}", "is no name of a topic"),
      ("{type: kafka, bootstrap: a, topic: Files}", "pulse calls a source of its own so"),
      ("{type: kafka, bootstrap: a, topic: t, value_format: csv}", "source.columns is missing"),
      ("{type: kafka, bootstrap: a, topic: t, columns: [a]}", "add value_format: csv"),
      ("{type: kafka, bootstrap: a, topic: t, properties: {group.id: x}}", "say source.group"),
      ("{type: kafka, bootstrap: a, topic: t, properties: {sasl.password: x}}", "holds no secrets"),
      ("{type: kafka, bootstrap: a, topic: t, properties: {enable.auto.commit: x}}", "what is stored"),
    ])
  func refused(_ yaml: String, _ message: String) throws {
    let problem = try self.problem(yaml) ?? "nothing"
    #expect(problem.contains(message), "\(problem)")
  }

  @Test("what is not JSON or CSV is refused with what helps", arguments: ["avro", "protobuf"])
  func otherFormats(_ format: String) {
    let error = #expect(throws: ConfigurationErrors.self) {
      try problem("{type: kafka, bootstrap: a, topic: t, value_format: \(format)}")
    }
    #expect(error?.diagnostics.first?.message.contains("have them written as JSON") == true)
  }

  @Test("a setting that librdkafka does not know is said with its name")
  func unknownProperty() throws {
    var settings = ConnectorSettings(type: "kafka")
    settings.set(KafkaSettings.address, to: .text("kafka://127.0.0.1:1/t"))
    settings.set(KafkaSettings.properties, to: .texts(["no.such.setting=1"]))
    let error = #expect(throws: OperatingError.self) {
      _ = try KafkaSource(
        try KafkaSettings(settings, useCase: "u"), batchRows: 10, maxEventBytes: 100, notice: { _ in },
        logger: .init(label: "kafka"))
    }
    #expect("\(String(describing: error))".contains("the setting no.such.setting of Kafka cannot be used"))
  }
}
