// Events as a run would see them: decoded, checked and derived, with what is wrong with those that it would not take.

public import Detection
public import Pipeline

/// An event that no run would take.
public struct InvalidEvent: Sendable, Hashable {
  /// Its place among the records, from 0.
  public var index: Int
  public var reason: String
  public var field: String?
  public var message: String
}

/// Looks at records of a use case. Belongs to a thread: it owns memory that is reused from one call to the next.
public final class EventCheck {
  private let plan: Plan
  private let decoder: Decoder

  public init(_ plan: Plan) {
    self.plan = plan
    decoder = Decoder(schema: plan.schema)
  }

  /// What is wrong with records, by their index in ascending order.
  public func problems(of records: [HandedRecord]) -> [InvalidEvent] { problems(stage(records), of: records) }

  /// The records as a run would see them, each with its index as its row.
  public func stage(_ records: [HandedRecord]) -> StagedBatch {
    // One that is too large is not shown to the decoder: a source would not either.
    let most = plan.schema.maxEventBytes
    var raw = RawBatch(records.map { $0.bytes.count > most ? [] : $0.bytes }, from: "request")
    if records.contains(where: { $0.envelope != nil }) {
      let envelopes = RecordEnvelopes(records.map { $0.envelope ?? RecordEnvelope() })
      raw = RawBatch(
        partition: raw.partition, positions: raw.positions, payload: raw.payload, envelopes: envelopes, next: raw.next)
    }
    return plan.derive(decoder.decode(raw), from: raw)
  }

  /// What is wrong with records that were staged.
  public func problems(_ staged: StagedBatch, of records: [HandedRecord]) -> [InvalidEvent] {
    staged.deadLetters.map { letter in
      let index = Int(letter.position.row)
      let (most, count) = (plan.schema.maxEventBytes, records[index].bytes.count)
      if count > most {
        return InvalidEvent(
          index: index, reason: DeadLetter.Reason.tooLarge.rawValue, field: nil,
          message: "expected at most \(most) bytes, found \(count)")
      }
      return InvalidEvent(
        index: index, reason: letter.reason.rawValue, field: letter.field, message: letter.message)
    }
  }
}
