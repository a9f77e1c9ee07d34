// Settings that are passed through to librdkafka, secrets among them: those are in the environment or in files, never in
// `pulse.yaml`.

import Configuration
import Detection
import Foundation

/// Names and values as they were written.
struct KafkaProperties: Sendable, Hashable {
  /// What the product decides itself, with what to say in its place.
  private static let own: [String: String] = [
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

  /// Settings whose values are secrets.
  private static let secrets: Set = [
    "sasl.password", "ssl.key.password", "ssl.keystore.password", "ssl.key.pem", "sasl.oauthbearer.client.secret",
  ]

  /// In the order in which they were written.
  var values: [(name: String, value: String)]

  /// - Parameter texts: `name=value` each.
  init(_ texts: [String]) {
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
        return "source.properties: expected a setting and its value, found \"\(name)=\(value)\""
      }
      if let instead = Self.own[name] { return "source.properties cannot set \(name): say \(instead)" }
      if Self.secrets.contains(name), !value.hasPrefix("env:"), !value.hasPrefix("file:") {
        return "source.properties holds no secrets: write \(name): env:NAME or \(name): file:PATH"
      }
    }
    return nil
  }

  /// With the values that are kept elsewhere.
  /// - Throws: where one is not there.
  func resolved() throws(OperatingError) -> [(name: String, value: String)] {
    var resolved: [(name: String, value: String)] = []
    for (name, value) in values { resolved.append((name, try Self.resolve(value, of: name))) }
    return resolved
  }

  private static func resolve(_ value: String, of name: String) throws(OperatingError) -> String {
    if value.hasPrefix("env:") {
      let variable = String(value.dropFirst(4))
      if let found = ProcessInfo.processInfo.environment[variable], !found.isEmpty { return found }
      throw OperatingError(
        .configuration,
        "source.properties: \(name) is to be in the variable \(variable) of the environment, which is not set")
    }
    if value.hasPrefix("file:") {
      let path = String(value.dropFirst(5))
      guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
        throw OperatingError(
          .configuration, "source.properties: \(name) is to be in the file \(path), which cannot be read")
      }
      // An editor ends a file with a line end, which is no part of a secret.
      // (A carriage return and a line feed are one character here.)
      return text.last?.isNewline == true ? String(text.dropLast()) : text
    }
    return value
  }
}
