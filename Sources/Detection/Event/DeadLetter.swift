// An event that could not be read, decoded or validated, with everything needed to understand and replay it.

/// One rejected event.
public struct DeadLetter: Sendable, Hashable {
  /// Where in its life the event failed.
  public enum Stage: String, Sendable, Hashable, CaseIterable { case read, decode, validate }

  /// Why it failed: stable codes for counting and alerting.
  public enum Reason: String, Sendable, Hashable, CaseIterable {
    case tooLarge = "too_large"
    case malformed
    case invalidUTF8 = "invalid_utf8"
    case tooDeep = "too_deep"
    case notAnObject = "not_an_object"
    case duplicateKey = "duplicate_key"
    case unknownField = "unknown_field"
    case wrongColumnCount = "wrong_column_count"
    case missing
    case wrongType = "wrong_type"
    case outOfRange = "out_of_range"
    case tooLong = "too_long"
    case notAllowed = "not_allowed"
    case patternMismatch = "pattern_mismatch"
    case invalidTimestamp = "invalid_timestamp"
    /// A constraint of the use case that looks at several fields (`event.validate`).
    case failedCheck = "failed_check"
  }

  public var position: Position
  public var stage: Stage
  public var reason: Reason
  /// The field that failed; nil when the whole event did.
  public var field: String?
  /// One sentence: what was expected and what was found. May quote a short piece of the event.
  public var message: String
  /// The event's bytes, all of them up to `Limits.maxEventBytes`, else the first `Limits.oversizedExcerptBytes`.
  public var raw: [UInt8]
  /// Full length of the event in bytes.
  public var length: Int
  /// SHA-256 of the full event; only where `raw` is an excerpt.
  public var sha256: [UInt8]?
  /// Key, time and headers of the record; nil where its input has none.
  public var envelope: RecordEnvelope?

  public init(
    position: Position, stage: Stage, reason: Reason, field: String? = nil, message: String, raw: [UInt8],
    length: Int? = nil, sha256: [UInt8]? = nil, envelope: RecordEnvelope? = nil
  ) {
    self.position = position
    self.stage = stage
    self.reason = reason
    self.field = field
    self.message = message
    self.raw = raw
    self.length = length ?? raw.count
    self.sha256 = sha256
    self.envelope = envelope
  }
}
