// Settings that are passed through to librdkafka, secrets among them: those are in the environment or in files, never in
// `pulse.yaml`.

import Configuration
import Detection
import Foundation

/// Names and values as they were written.
struct KafkaProperties: Sendable, Hashable {
  /// The section of `pulse.yaml` that they are of.
  enum Section: String, Sendable { case source, publish }

  /// What the product decides itself, with what to say in its place.
  private static let own: [Section: [String: String]] = [.source: ownOfSource, .publish: ownOfPublish]
  private static let ownOfSource: [String: String] = [
    "bootstrap.servers": "source.bootstrap", "metadata.broker.list": "source.bootstrap", "group.id": "source.group",
    "group.instance.id": "source.member", "auto.offset.reset": "source.start and source.on_gap",
    "enable.auto.commit": "nothing: what is stored with the results counts",
    "enable.auto.offset.store": "nothing: what is stored with the results counts",
    "auto.commit.enable": "nothing: what is stored with the results counts",
    "partition.assignment.strategy": "nothing: partitions are handed over one by one (cooperative-sticky)",
    "group.protocol": "nothing: the classic protocol is spoken",
    "queued.max.messages.kbytes": "source.prefetch_mb", "enable.partition.eof": "nothing",
    "statistics.interval.ms": "nothing",
  ]

  private static let ownOfPublish: [String: String] = [
    "bootstrap.servers": "publish.bootstrap", "metadata.broker.list": "publish.bootstrap",
    "transactional.id": "nothing: it says whose results they are, so that a former owner is fenced off",
    "enable.idempotence": "nothing: no record is written twice by one producer",
    "acks": "nothing: all replicas acknowledge", "request.required.acks": "nothing: all replicas acknowledge",
    "group.id": "nothing: how far a topic has come is kept under the name of its producer",
  ]

  /// What begins so says how brokers are reached, whoever reaches them.
  private static let connections = [
    "security.", "sasl.", "ssl.", "enable.ssl", "enable.sasl", "https.", "socket.", "broker.", "client.", "reconnect.",
  ]

  /// Settings whose values are secrets.
  private static let secrets: Set = [
    "sasl.password", "ssl.key.password", "ssl.keystore.password", "ssl.key.pem", "sasl.oauthbearer.client.secret",
  ]

  /// In the order in which they were written.
  var values: [(name: String, value: String)]
  private let section: Section

  /// - Parameter texts: `name=value` each.
  init(_ texts: [String], of section: Section = .source) {
    self.section = section
    values = texts.map { text in
      let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      return (String(parts[0]), parts.count == 2 ? String(parts[1]) : "")
    }
  }

  static func == (a: KafkaProperties, b: KafkaProperties) -> Bool {
    a.values.elementsEqual(b.values) { $0.name == $1.name && $0.value == $1.value }
  }

  func hash(into hasher: inout Hasher) {
    for (name, value) in values {
      hasher.combine(name)
      hasher.combine(value)
    }
  }

  /// What is wrong with them; nil where they can be passed on.
  var problem: String? {
    for (name, value) in values {
      if name.isEmpty || value.isEmpty {
        return "\(section).properties: expected a setting and its value, found \"\(name)=\(value)\""
      }
      if let instead = Self.own[section]?[name] { return "\(section).properties cannot set \(name): say \(instead)" }
      if Self.secrets.contains(name), !value.hasPrefix("env:"), !value.hasPrefix("file:") {
        return "\(section).properties holds no secrets: write \(name): env:NAME or \(name): file:PATH"
      }
    }
    return nil
  }

  /// Those that say how brokers are reached.
  var ofConnection: KafkaProperties {
    var part = self
    part.values.removeAll { value in !Self.connections.contains { value.name.hasPrefix($0) } }
    return part
  }

  /// With the values that are kept elsewhere.
  /// - Throws: where one is not there.
  func resolved() throws(OperatingError) -> [(name: String, value: String)] {
    var resolved: [(name: String, value: String)] = []
    for (name, value) in values { resolved.append((name, try resolve(value, of: name))) }
    return resolved
  }

  private func resolve(_ value: String, of name: String) throws(OperatingError) -> String {
    if value.hasPrefix("env:") {
      let variable = String(value.dropFirst(4))
      if let found = ProcessInfo.processInfo.environment[variable], !found.isEmpty { return found }
      throw OperatingError(
        .configuration,
        "\(section).properties: \(name) is to be in the variable \(variable) of the environment, which is not set")
    }
    if value.hasPrefix("file:") {
      let path = String(value.dropFirst(5))
      guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
        throw OperatingError(
          .configuration, "\(section).properties: \(name) is to be in the file \(path), which cannot be read")
      }
      // An editor ends a file with a line end, which is no part of a secret.
      // (A carriage return and a line feed are one character here.)
      return text.last?.isNewline == true ? String(text.dropLast()) : text
    }
    return value
  }
}
