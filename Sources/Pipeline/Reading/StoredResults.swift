// Results as a reader sees them, and the JSON that `--json` and an API promise of each.

public import Detection
internal import Foundation

/// A stored anomaly.
public struct StoredAnomaly: Sendable, Hashable {
  public var useCase: String
  public var partition: PartitionID
  public var position: Position
  public var detector: String
  /// See `Anomaly.subject`.
  public var subject: String
  /// Microseconds.
  public var eventTime: Int64
  public var key: String
  public var score: Double
  public var severity: String
  public var reason: String
  public var model: String?
  /// A JSON object.
  public var explanation: String
  /// A JSON object.
  public var event: String

  public init(
    useCase: String, partition: PartitionID, position: Position, detector: String, subject: String, eventTime: Int64,
    key: String, score: Double, severity: String, reason: String, model: String?, explanation: String, event: String
  ) {
    self.useCase = useCase
    self.partition = partition
    self.position = position
    self.detector = detector
    self.subject = subject
    self.eventTime = eventTime
    self.key = key
    self.score = score
    self.severity = severity
    self.reason = reason
    self.model = model
    self.explanation = explanation
    self.event = event
  }

  /// An anomaly as it is stored.
  public init(_ anomaly: Anomaly) {
    self.init(
      useCase: anomaly.useCase, partition: anomaly.partition, position: anomaly.position, detector: anomaly.detector,
      subject: anomaly.subject, eventTime: anomaly.eventTime, key: anomaly.key, score: anomaly.score,
      severity: anomaly.severity.rawValue, reason: anomaly.reason, model: anomaly.model,
      explanation: anomaly.explanation.json, event: anomaly.event)
  }

  public var identity: AnomalyID {
    AnomalyID(useCase: useCase, partition: partition, position: position, detector: detector, subject: subject)
  }

  /// The identity as one word.
  public var id: String { identity.description }

  /// The anomaly as a JSON object. `subject` is there where it has one.
  public var json: String {
    var members = [
      ("id", JSONText.string(id)), ("use_case", JSONText.string(useCase)), ("detector", JSONText.string(detector)),
      ("event_time", JSONText.string(Timestamp.format(eventTime))), ("key", JSONText.string(key)),
      ("score", JSONText.number(score)), ("severity", JSONText.string(severity)), ("reason", JSONText.string(reason)),
      ("position", position.json(in: partition)), ("model", JSONText.optional(model)), ("explanation", explanation),
      ("event", event),
    ]
    if !subject.isEmpty { members.insert(("subject", JSONText.string(subject)), at: 3) }
    return JSONText.object(members)
  }
}

/// A stored dead letter.
public struct StoredDeadLetter: Sendable, Hashable {
  public var useCase: String
  public var partition: PartitionID
  public var position: Position
  /// The watermark before it, microseconds; nil before the first.
  public var watermark: Int64?
  public var stage: String
  public var reason: String
  public var field: String?
  public var message: String
  public var raw: [UInt8]
  public var length: Int
  public var sha256: [UInt8]?
  /// What its log keeps beside the record (`RecordEnvelope`), a JSON object; nil where its input is none.
  public var envelope: String?

  public init(
    useCase: String, partition: PartitionID, position: Position, watermark: Int64?, stage: String, reason: String,
    field: String?, message: String, raw: [UInt8], length: Int, sha256: [UInt8]?, envelope: String? = nil
  ) {
    self.useCase = useCase
    self.partition = partition
    self.position = position
    self.watermark = watermark
    self.stage = stage
    self.reason = reason
    self.field = field
    self.message = message
    self.raw = raw
    self.length = length
    self.sha256 = sha256
    self.envelope = envelope
  }

  /// A dead letter as it is stored.
  public init(_ letter: DeadLetter, watermark: Int64, useCase: String, partition: PartitionID) {
    self.init(
      useCase: useCase, partition: partition, position: letter.position, watermark: watermark == .min ? nil : watermark,
      stage: letter.stage.rawValue, reason: letter.reason.rawValue, field: letter.field, message: letter.message,
      raw: letter.raw, length: letter.length, sha256: letter.sha256, envelope: letter.envelope?.json)
  }

  /// The identity as one word.
  public var id: String { DeadLetterID(useCase: useCase, partition: partition, position: position).description }

  /// The dead letter as a JSON object. `raw` is text where the bytes are UTF-8, else `raw_base64` holds them.
  public var json: String {
    let text = String(validating: raw, as: UTF8.self)
    return JSONText.object([
      ("id", JSONText.string(id)), ("use_case", JSONText.string(useCase)), ("position", position.json(in: partition)),
      ("stage", JSONText.string(stage)), ("reason", JSONText.string(reason)), ("field", JSONText.optional(field)),
      ("message", JSONText.string(message)), ("watermark", watermark.map(JSONText.time) ?? "null"),
      ("length", String(length)),
      ("sha256", JSONText.optional(sha256.map { $0.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() })),
      ("raw", JSONText.optional(text)),
      ("raw_base64", JSONText.optional(text == nil ? Data(raw).base64EncodedString() : nil)),
      ("envelope", envelope ?? "null"),
    ])
  }
}

/// A stored window with the parts of all partitions merged.
public struct StoredWindow: Sendable, Hashable {
  public var useCase: String
  public var window: String
  public var start: Int64
  public var end: Int64
  /// Whether every part is closed.
  public var closed: Bool
  public var events: Int64
  /// JSON objects.
  public var by: String
  public var aggregates: String
  public var classes: String
  /// Name of the classification; nil when the use case has none.
  public var classification: String?

  public init(
    useCase: String, window: String, start: Int64, end: Int64, closed: Bool, events: Int64, by: String,
    aggregates: String, classes: String, classification: String?
  ) {
    self.useCase = useCase
    self.window = window
    self.start = start
    self.end = end
    self.closed = closed
    self.events = events
    self.by = by
    self.aggregates = aggregates
    self.classes = classes
    self.classification = classification
  }

  /// The window as a JSON object: the `by` fields stand at its top level. Grouped by the class, it has that instead of the
  /// counts by class. Times beyond the years 0001 to 9999, which RFC 3339 cannot say, are the nearest ones it can.
  public var json: String {
    var members = [
      ("use_case", JSONText.string(useCase)), ("window", JSONText.string(window)), ("start", JSONText.time(start)),
      ("end", JSONText.time(end)), ("closed", closed ? "true" : "false"), ("events", String(events)),
    ]
    let by = by.dropFirst().dropLast()
    members.append(("aggregates", aggregates))
    if let classification, !isGrouped(by: classification) { members.append((classification, classes)) }
    let text = JSONText.object(members)
    return by.isEmpty ? text : "{" + text.dropFirst().dropLast() + "," + by + "}"
  }

  private func isGrouped(by name: String) -> Bool {
    let members = try? JSONSerialization.jsonObject(with: Data(by.utf8)) as? [String: Any]
    return members?.keys.contains(name) ?? false
  }
}

/// What one partition contributes to a window that has closed there.
public struct StoredWindowPart: Sendable, Hashable {
  public var identity: WindowPartID
  /// Exclusive, microseconds.
  public var end: Int64
  public var events: Int64
  /// JSON objects.
  public var by: String
  public var aggregates: String
  public var classes: String

  public init(
    identity: WindowPartID, end: Int64, events: Int64, by: String, aggregates: String, classes: String
  ) {
    self.identity = identity
    self.end = end
    self.events = events
    self.by = by
    self.aggregates = aggregates
    self.classes = classes
  }

  /// The identity as one word.
  public var id: String { identity.description }

  /// The part as a JSON object.
  public var json: String {
    JSONText.object([
      ("id", JSONText.string(id)), ("use_case", JSONText.string(identity.useCase)),
      ("source", JSONText.string(identity.partition.source)), ("partition", String(identity.partition.number)),
      ("window", JSONText.string(identity.window)), ("start", JSONText.time(identity.start)),
      ("end", JSONText.time(end)), ("events", String(events)), ("by", by), ("aggregates", aggregates),
      ("classes", classes),
    ])
  }
}
