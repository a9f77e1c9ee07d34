// What a run stores: anomalies and dead letters with identities that come from the input, so that writing one again is
// an upsert of the same value.

public import Detection

/// A finding with its identity and everything a reader needs to judge it.
public struct Anomaly: Sendable, Hashable {
  public var useCase: String
  public var partition: PartitionID
  public var position: Position
  /// Name of the detector or rule.
  public var detector: String
  /// What the finding is about where it is not the event at the position: an entity that was not heard of, a window.
  /// Empty for the event. Together with the above it identifies the anomaly.
  public var subject: String
  /// Microseconds since 1970-01-01 00:00 UTC.
  public var eventTime: Int64
  /// The entity key as text; empty when the use case has none.
  public var key: String
  /// Calibrated: 1 is the threshold.
  public var score: Double
  public var severity: Severity
  public var reason: String
  public var explanation: Explanation
  /// Version of the model that scored it; nil for rules.
  public var model: String?
  /// The event's fields as a JSON object.
  public var event: String

  public init(
    useCase: String, partition: PartitionID, position: Position, detector: String, subject: String = "",
    eventTime: Int64, key: String, score: Double, severity: Severity, reason: String, explanation: Explanation,
    model: String? = nil, event: String
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
    self.explanation = explanation
    self.model = model
    self.event = event
  }

  /// The identity as one word, as `AnomalyID` writes it.
  public var id: String { identity.description }

  /// What names the anomaly.
  public var identity: AnomalyID {
    AnomalyID(useCase: useCase, partition: partition, position: position, detector: detector, subject: subject)
  }
}

/// A dead letter with the watermark before it: the nearest thing to an event time that a broken event has.
public struct DatedDeadLetter: Sendable, Equatable {
  public var letter: DeadLetter
  /// Microseconds; `Int64.min` while unknown.
  public var watermark: Int64

  public init(letter: DeadLetter, watermark: Int64) {
    self.letter = letter
    self.watermark = watermark
  }
}

/// Results of one batch that are committed at once, without moving the position.
public struct Results: Sendable {
  public var claim: Claim
  public var anomalies: [Anomaly]
  public var deadLetters: [DatedDeadLetter]

  public init(claim: Claim, anomalies: [Anomaly] = [], deadLetters: [DatedDeadLetter] = []) {
    self.claim = claim
    self.anomalies = anomalies
    self.deadLetters = deadLetters
  }

  /// Adds the results of the events that follow in the same partition.
  mutating func append(_ next: Results) {
    anomalies += next.anomalies
    deadLetters += next.deadLetters
  }

  public var useCase: String { claim.useCase }
  public var partition: PartitionID { claim.partition }
  public var isEmpty: Bool { anomalies.isEmpty && deadLetters.isEmpty }

  /// Bytes of what is large in them: raw records and events.
  var bytes: Int {
    deadLetters.reduce(0) { $0 + $1.letter.raw.count } + anomalies.reduce(0) { $0 + $1.event.utf8.count }
  }
}
