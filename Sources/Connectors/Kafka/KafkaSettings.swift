// What can be set of a source that reads Kafka: in `pulse.yaml`, in the environment and on the command line.

import Configuration
import Detection
import Foundation
import Pipeline

/// What happens where records that were to be read are not there any more.
enum GapDecision: String, Sendable, CaseIterable {
  case stop
  case skipAndRecord = "skip_and_record"
}

/// Where a partition begins of which nothing is stored.
enum KafkaStart: Sendable, Hashable {
  case earliest
  case latest
  /// Microseconds since 1970: the first record that the broker has stamped with this time or a later one.
  case time(Int64)

  init?(_ text: String) {
    switch text {
    case "earliest": self = .earliest
    case "latest": self = .latest
    default:
      guard let time = Timestamp.parse(text) else { return nil }
      self = .time(time)
    }
  }
}

/// How the values of records are written.
enum ValueFormat: String, Sendable, CaseIterable { case json, csv, avro, protobuf }

/// What is to be read, and how.
struct KafkaSettings: Sendable {
  static let address = Setting(
    "address", key: "address", flag: nil, .text(expected: "an address such as kafka://localhost:9092/topic"),
    "Brokers and topic in one: kafka://HOST:PORT,…/TOPIC.")
  static let bootstrap = Setting(
    "bootstrap", key: "bootstrap", flag: nil, .texts(expected: "a broker such as localhost:9092"),
    "Brokers to ask first, of which one must answer.")
  static let topic = Setting(
    "topic", key: "topic", flag: nil, .texts(expected: "a topic, or a pattern that begins with ^"),
    "The topic, or several, or a pattern that begins with ^.")
  static let group = Setting(
    "group", key: "group", flag: "group", .text(expected: "a name"),
    "The consumer group (default: pulse. and the name of the use case).")
  static let member = Setting(
    "member", key: "member", flag: "member", .text(expected: "a name"),
    "A name of this process in its group that stays the same when it is restarted: its partitions wait for it instead of "
      + "being moved (static membership).")
  static let start = Setting(
    "start", key: "start", flag: "start",
    .form(expected: "earliest, latest or a time such as 2026-01-31T08:00:00Z", fits: { KafkaStart($0) != nil }),
    standard: .text("earliest"),
    "Where a partition begins of which nothing is stored: earliest, latest or a time (default: earliest).")
  static let onGap = Setting(
    "on_gap", key: "on_gap", flag: "on-gap", .word(GapDecision.allCases.map(\.rawValue)),
    standard: .text(GapDecision.stop.rawValue),
    "What to do where records that were to be read are gone (expired, truncated, the topic made again): stop, or go on and "
      + "put on record what is missing (default: stop).")
  static let valueFormat = Setting(
    "value_format", key: "value_format", flag: "value-format", .word(ValueFormat.allCases.map(\.rawValue)),
    standard: .text(ValueFormat.json.rawValue), "How the values of records are written: json or csv (default: json).",
    problem: {
      guard case .text(let text) = $0, let format = ValueFormat(rawValue: text) else { return nil }
      switch format {
      case .json, .csv: return nil
      case .avro, .protobuf:
        return "values in \(text) are not read: have them written as JSON, by the producer or by a converter of Kafka "
          + "Connect"
      }
    })
  static let columns = Setting(
    "columns", key: "columns", flag: nil, .texts(expected: "the name of a column"),
    "The columns of values in CSV, in their order: a record is a line without a header.")
  static let prefetch = Setting(
    "prefetch_mb", key: "prefetch_mb", flag: nil, .integer(1...4096), standard: .integer(64),
    "Megabytes of records that may be fetched ahead, over all partitions (default: 64).")
  static let properties = Setting(
    "properties", key: "properties", flag: nil, .properties(expected: "a setting of librdkafka and its value"),
    "Settings of librdkafka. A value env:NAME is taken from the environment, file:PATH from a file.")

  static let all = [
    address, bootstrap, topic, group, member, start, onGap, valueFormat, columns, prefetch, properties,
    InputSettings.delimiter, InputSettings.idleTimeout,
  ]

  var bootstrap: String
  /// Names of topics, and patterns that begin with `^`.
  var topics: [String]
  var group: String
  var member: String?
  var start: KafkaStart
  var onGap: GapDecision
  /// Nil for JSON; the columns of CSV.
  var columns: [String]?
  var delimiter: CSVDelimiter
  /// Bytes.
  var prefetch: Int
  var properties: KafkaProperties
  var idleTimeout: Duration?

  /// - Parameter useCase: whose name the group has where none is said.
  init(_ settings: ConnectorSettings, useCase: String) throws(OperatingError) {
    if let problem = Self.problem(settings) { throw OperatingError(.configuration, problem) }
    let address = settings.text(Self.address.name).flatMap(KafkaAddress.init)
    bootstrap = address?.bootstrap ?? settings.texts(Self.bootstrap.name).joined(separator: ",")
    topics = address.map { [$0.topic] } ?? settings.texts(Self.topic.name)
    group = settings.text(Self.group.name) ?? "pulse.\(useCase)"
    member = settings.text(Self.member.name)
    start = settings.text(Self.start.name).flatMap(KafkaStart.init) ?? .earliest
    onGap = settings.text(Self.onGap.name).flatMap(GapDecision.init) ?? .stop
    let columns = settings.texts(Self.columns.name)
    self.columns = columns.isEmpty ? nil : columns
    delimiter = InputSettings.delimiter(settings) ?? .comma
    prefetch = (settings.integer(Self.prefetch.name) ?? 64) << 20
    properties = KafkaProperties(settings.texts(Self.properties.name))
    idleTimeout = settings.duration(InputSettings.idleTimeout.name)
  }

  /// What is missing, or does not go together; nil where a source can be made.
  static func problem(_ settings: ConnectorSettings) -> String? {
    if let text = settings.text(address.name) {
      if KafkaAddress(text) == nil {
        return "\"\(text)\" is no address of a topic: expected kafka://HOST:PORT/TOPIC"
      }
      if !settings.texts(bootstrap.name).isEmpty || !settings.texts(topic.name).isEmpty {
        return "source.address says brokers and topic: leave out source.bootstrap and source.topic"
      }
    } else {
      if settings.texts(topic.name).isEmpty { return "source.topic is missing: the topic to read" }
      if settings.texts(bootstrap.name).isEmpty {
        return "source.bootstrap is missing: a broker such as localhost:9092"
      }
    }
    let topics = settings.text(address.name).flatMap(KafkaAddress.init).map { [$0.topic] } ?? settings.texts(topic.name)
    if let problem = topics.lazy.compactMap(Self.problem(ofTopic:)).first { return problem }
    let isCSV = settings.text(valueFormat.name) == ValueFormat.csv.rawValue
    let hasColumns = !settings.texts(columns.name).isEmpty
    if isCSV && !hasColumns { return "source.columns is missing: the columns of the values in CSV, in their order" }
    if !isCSV && hasColumns { return "source.columns says the columns of CSV: add value_format: csv" }
    if !isCSV && InputSettings.delimiter(settings) != nil { return "source.csv_delimiter needs value_format: csv" }
    return KafkaProperties(settings.texts(properties.name)).problem
  }

  /// What is wrong with the name of a topic; nil where it may be read.
  ///
  /// Results are told apart by the name of what they were read from, and other sources have names of their own.
  static func problem(ofTopic topic: String) -> String? {
    if topic.hasPrefix("^") { return nil }
    if let problem = problem(ofName: topic) { return problem }
    if reservedNames.contains(topic.lowercased()) {
      return "a topic \(topic) cannot be read: pulse calls a source of its own so"
    }
    return nil
  }

  /// What is wrong with the name of a topic, whoever uses it; nil where it is one.
  static func problem(ofName topic: String) -> String? {
    let allowed = topic.unicodeScalars.allSatisfy { scalar in
      scalar.isASCII && (scalar.properties.isAlphabetic || "0"..."9" ~= scalar || "._-".unicodeScalars.contains(scalar))
    }
    if topic.isEmpty || topic == "." || topic == ".." || topic.utf8.count > 249 || !allowed {
      return "\"\(topic)\" is no name of a topic: expected 1 to 249 characters of a-z, A-Z, 0-9, `.`, `_` and `-`"
    }
    return nil
  }

  /// Whether a topic is among those that are read, as far as that can be told by its name.
  func reads(_ topic: String) -> Bool {
    topics.contains { $0 == topic || $0.hasPrefix("^") && (try? Regex($0))?.firstMatches(topic) ?? false }
  }

  /// Names that other sources have in the identities of results.
  private static let reservedNames: Set = ["files", "http", "simulator", "stdin"]
}

extension Regex<AnyRegexOutput> {
  fileprivate func firstMatches(_ text: String) -> Bool { (try? firstMatch(in: text)) != nil }
}

/// `kafka://host:9092,other:9092/topic`.
struct KafkaAddress: Sendable, Hashable {
  static let scheme = "kafka"

  var bootstrap: String
  var topic: String

  init?(_ text: String) {
    let prefix = Self.scheme + "://"
    guard text.hasPrefix(prefix) else { return nil }
    let parts = text.dropFirst(prefix.count).split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty, !parts[0].contains("@") else { return nil }
    bootstrap = String(parts[0])
    topic = String(parts[1])
  }
}
