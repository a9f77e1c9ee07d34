// What is said of a change to those who read topics: an anomaly as a CloudEvent 1.0 in binary mode (CloudEvents' binding for
// Kafka), a dead letter as the record that it was.

import Detection
import Pipeline

/// A record of a topic.
struct PublishedRecord: Sendable, Hashable {
  /// The number of the change, or of the record in its inbox.
  var number: Int64
  var topic: String
  /// Nil for none, which is not the same as an empty one.
  var key: [UInt8]?
  var value: [UInt8]
  var headers: [RecordHeader]
  /// Microseconds since 1970; nil for the time of writing.
  var timestamp: Int64?

  init(number: Int64, topic: String, key: [UInt8]?, value: [UInt8], headers: [RecordHeader], timestamp: Int64?) {
    (self.number, self.topic, self.key, self.value) = (number, topic, key, value)
    (self.headers, self.timestamp) = (headers, timestamp)
  }

  /// Bytes of a record at most: brokers take 1 MiB unless they are told otherwise, and one that is not taken would hold back
  /// all others.
  static let largest = 900_000

  /// - Returns: nil where nothing is said of the change: of windows, and of dead letters that were taken back.
  init?(_ change: ResultChange, to settings: KafkaPublishSettings) {
    number = change.number
    topic = settings.anomalies
    switch change.content {
    case .anomaly(let anomaly):
      key = Array(anomaly.key.utf8)
      headers = Self.event("anomaly", change, about: anomaly.key, at: anomaly.eventTime)
      value = Array(anomaly.json.utf8)
      guard bytes > Self.largest else { return }
      var cut = anomaly
      cut.event = "{}"
      value = Array(cut.json.utf8)
      headers.append(RecordHeader("pulse_left_out", Array("event".utf8)))
    case .retraction(.anomaly(let retracted)):
      // One that has no entity was never published: it is older than topics are.
      guard let entity = retracted.key else { return nil }
      key = Array(entity.utf8)
      headers = Self.event("anomaly.retracted", change, about: entity, at: retracted.eventTime)
      value = Array(change.json.utf8)
    case .reset:
      key = Array(change.id.utf8)
      headers = Self.event("reset", change, about: nil, at: nil)
      value = Array(change.json.utf8)
    case .deadLetter(let letter):
      let envelope = letter.envelope.flatMap { RecordEnvelope(json: $0) } ?? RecordEnvelope()
      topic = settings.deadLetters
      (key, value) = (envelope.key, letter.raw)
      headers = envelope.headers + letter.connectHeaders + Self.place(of: change)
      if bytes > Self.largest { value = Array(value.prefix(Limits.oversizedExcerptBytes)) }
      if value.count < letter.length {
        headers.append(RecordHeader("pulse_length", Array(String(letter.length).utf8)))
      }
    case .window, .retraction: return nil
    }
  }

  private var bytes: Int {
    headers.reduce(value.count + (key?.count ?? 0)) { $0 + $1.name.utf8.count + ($1.value?.count ?? 0) }
  }

  /// The attributes of a CloudEvent, with the place of the change.
  private static func event(
    _ type: String, _ change: ResultChange, about subject: String?, at time: Int64?
  ) -> [RecordHeader] {
    var attributes = [
      ("ce_specversion", "1.0"), ("ce_id", change.id), ("ce_source", "/use-cases/\(change.useCase)"),
      ("ce_type", "streampulse.\(type)"),
    ]
    if let time { attributes.append(("ce_time", Timestamp.formatWithinRange(time))) }
    if let subject, !subject.isEmpty { attributes.append(("ce_subject", subject)) }
    attributes.append(("content-type", "application/json"))
    return attributes.map { RecordHeader($0, Array($1.utf8)) } + place(of: change)
  }

  /// By which a reader tells what came twice: numbers go up within a partition of the input.
  private static func place(of change: ResultChange) -> [RecordHeader] {
    let partition = "\(change.partition.source)/\(change.partition.number)"
    return [
      RecordHeader("pulse_partition", Array(partition.utf8)),
      RecordHeader("pulse_number", Array(String(change.number).utf8)),
    ]
  }
}

extension StoredDeadLetter {
  /// The headers that Kafka Connect writes to its dead letters, so that what reads those reads these.
  var connectHeaders: [RecordHeader] {
    let origin = "\(partition.source)/\(partition.number)@\(position.offset)"
    let named = [
      ("topic", partition.source), ("partition", String(partition.number)), ("offset", String(position.offset)),
      ("connector.name", "pulse.\(useCase)"), ("task.id", String(partition.number)), ("stage", stage),
      ("class.name", "pulse.\(stage)"), ("exception.class.name", reason), ("exception.message", message),
      ("exception.stacktrace", "\(reason): \(message)\n\tat \(stage)(\(field.map { "\($0) of " } ?? "")\(origin))"),
    ]
    return named.map { RecordHeader("__connect.errors." + $0, Array($1.utf8)) }
  }
}
