// Writing anomalies and dead letters. Upserts: writing an equal one again is no change, it only confirms it under the claim.

import Detection
import GRDB
import Pipeline

extension Results {
  /// Writes the results within a transaction of the caller.
  func write(under held: inout HeldClaim) throws {
    if !anomalies.isEmpty { try writeAnomalies(under: &held) }
    if !deadLetters.isEmpty { try writeDeadLetters(under: &held) }
  }

  /// Binds the key that both tables begin with.
  private func bindPlace(_ position: Position, of insert: inout RowStatement) {
    insert.bind(useCase, at: 1)
    insert.bind(partition.source, at: 2)
    insert.bind(Int64(partition.number), at: 3)
    insert.bind(Int64(position.segment), at: 4)
    insert.bind(position.offset, at: 5)
    insert.bind(position.row, at: 6)
  }

  private func writeAnomalies(under held: inout HeldClaim) throws {
    var insert = try RowStatement(
      """
      INSERT INTO anomalies (use_case, source, partition, segment, offset, row, detector, event_time, key, score,
        severity, reason, model, explanation, event, subject, change, epoch)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET epoch = excluded.epoch,
        change = CASE WHEN (row, event_time, key, score, severity, reason, model, explanation, event)
          IS (excluded.row, excluded.event_time, excluded.key, excluded.score, excluded.severity, excluded.reason,
            excluded.model, excluded.explanation, excluded.event) THEN change ELSE excluded.change END,
        row = excluded.row, event_time = excluded.event_time, key = excluded.key,
        score = excluded.score, severity = excluded.severity, reason = excluded.reason, model = excluded.model,
        explanation = excluded.explanation, event = excluded.event
      """, in: held.database)
    for anomaly in anomalies {
      bindPlace(anomaly.position, of: &insert)
      insert.bind(anomaly.detector, at: 7)
      insert.bind(anomaly.eventTime, at: 8)
      insert.bind(anomaly.key, at: 9)
      insert.bind(double: anomaly.score, at: 10)
      insert.bind(anomaly.severity.rawValue, at: 11)
      insert.bind(anomaly.reason, at: 12)
      insert.bind(anomaly.model, at: 13)
      insert.bind(anomaly.explanation.json, at: 14)
      insert.bind(anomaly.event, at: 15)
      insert.bind(anomaly.subject, at: 16)
      insert.bind(held.next(), at: 17)
      insert.bind(claim.epoch, at: 18)
      try insert.execute()
    }
  }

  private func writeDeadLetters(under held: inout HeldClaim) throws {
    var insert = try RowStatement(
      """
      INSERT INTO dead_letters (use_case, source, partition, segment, offset, row, watermark, stage, reason, field,
        message, raw, length, sha256, envelope, change, epoch)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET epoch = excluded.epoch,
        change = CASE WHEN (row, watermark, stage, reason, field, message, raw, length, sha256, envelope)
          IS (excluded.row, excluded.watermark, excluded.stage, excluded.reason, excluded.field, excluded.message,
            excluded.raw, excluded.length, excluded.sha256, excluded.envelope) THEN change ELSE excluded.change END,
        row = excluded.row, watermark = excluded.watermark, stage = excluded.stage,
        reason = excluded.reason, field = excluded.field, message = excluded.message, raw = excluded.raw,
        length = excluded.length, sha256 = excluded.sha256, envelope = excluded.envelope
      """, in: held.database)
    for dated in deadLetters {
      let (letter, watermark) = (dated.letter, dated.watermark)
      bindPlace(letter.position, of: &insert)
      if watermark == .min { insert.bindNull(at: 7) } else { insert.bind(watermark, at: 7) }
      insert.bind(letter.stage.rawValue, at: 8)
      insert.bind(letter.reason.rawValue, at: 9)
      insert.bind(letter.field, at: 10)
      insert.bind(letter.message, at: 11)
      insert.bind(blob: letter.raw, at: 12)
      insert.bind(Int64(letter.length), at: 13)
      if let hash = letter.sha256 { insert.bind(blob: hash, at: 14) } else { insert.bindNull(at: 14) }
      insert.bind(letter.envelope?.json, at: 15)
      insert.bind(held.next(), at: 16)
      insert.bind(claim.epoch, at: 17)
      try insert.execute()
    }
  }
}
