// Writing anomalies and dead letters. Upserts: writing an equal one again is no change, it only confirms it under the claim.

import Detection
import Pipeline

extension PostgreSQLTable {
  private static let place: [Column] = [
    Column("use_case", .text), Column("source", .text), Column("partition", .int), Column("segment", .int),
    Column("record_offset", .int), Column("record_row", .int),
  ]

  private static let ofAnomaly =
    "record_row, event_time, key, score, severity, reason, model, explanation, event"

  static let anomalies = PostgreSQLTable(
    "anomalies",
    place + [
      Column("detector", .text), Column("subject", .text), Column("event_time", .int), Column("key", .text),
      Column("score", .double), Column("severity", .text), Column("reason", .text), Column("model", .text),
      Column("explanation", .text), Column("event", .text), Column("change", .int), Column("epoch", .int),
    ], key: ["use_case", "source", "partition", "segment", "record_offset", "detector", "subject"],
    update: """
      change = CASE WHEN \(isSame("anomalies", ofAnomaly)) THEN anomalies.change ELSE excluded.change END,
      \(take(ofAnomaly + ", epoch"))
      """)

  private static let ofDeadLetter =
    "record_row, watermark, stage, reason, field, message, raw, length, sha256, envelope"

  static let deadLetters = PostgreSQLTable(
    "dead_letters",
    place + [
      Column("watermark", .int), Column("stage", .text), Column("reason", .text), Column("field", .text),
      Column("message", .text), Column("raw", .bytes), Column("length", .int), Column("sha256", .bytes),
      Column("envelope", .text), Column("change", .int), Column("epoch", .int),
    ], key: ["use_case", "source", "partition", "segment", "record_offset"],
    update: """
      change = CASE WHEN \(isSame("dead_letters", ofDeadLetter)) THEN dead_letters.change ELSE excluded.change END,
      \(take(ofDeadLetter + ", epoch"))
      """)
}

extension Results {
  /// Writes the results within a transaction of the caller.
  func write(under held: inout PostgreSQLClaim) throws {
    if !anomalies.isEmpty { try writeAnomalies(under: &held) }
    if !deadLetters.isEmpty { try writeDeadLetters(under: &held) }
  }

  /// Appends the key that both tables begin with.
  private func append(_ position: Position, to rows: inout PostgreSQLRowBuffer) {
    rows.append(useCase)
    rows.append(partition.source)
    rows.append(Int64(partition.number))
    rows.append(Int64(position.segment))
    rows.append(position.offset)
    rows.append(position.row)
  }

  private func writeAnomalies(under held: inout PostgreSQLClaim) throws {
    let table = PostgreSQLTable.anomalies
    var rows = PostgreSQLRowBuffer()
    for anomaly in anomalies {
      rows.beginRow(table.columns.count)
      append(anomaly.position, to: &rows)
      rows.append(anomaly.detector)
      rows.append(anomaly.subject)
      rows.append(anomaly.eventTime)
      rows.append(anomaly.key)
      rows.append(anomaly.score)
      rows.append(anomaly.severity.rawValue)
      rows.append(anomaly.reason)
      rows.append(anomaly.model)
      rows.append(anomaly.explanation.json)
      rows.append(anomaly.event)
      rows.append(held.next())
      rows.append(claim.epoch)
      if PostgreSQLTable.isFull(rows) { try table.write(&rows, on: held.connection) }
    }
    try table.write(&rows, on: held.connection)
  }

  private func writeDeadLetters(under held: inout PostgreSQLClaim) throws {
    let table = PostgreSQLTable.deadLetters
    var rows = PostgreSQLRowBuffer()
    for dated in deadLetters {
      let (letter, watermark) = (dated.letter, dated.watermark)
      rows.beginRow(table.columns.count)
      append(letter.position, to: &rows)
      rows.append(watermark == .min ? nil : watermark)
      rows.append(letter.stage.rawValue)
      rows.append(letter.reason.rawValue)
      rows.append(letter.field)
      rows.append(letter.message)
      rows.append(bytes: letter.raw)
      rows.append(Int64(letter.length))
      if let hash = letter.sha256 { rows.append(bytes: hash) } else { rows.appendNull() }
      rows.append(letter.envelope?.json)
      rows.append(held.next())
      rows.append(claim.epoch)
      if PostgreSQLTable.isFull(rows) { try table.write(&rows, on: held.connection) }
    }
    try table.write(&rows, on: held.connection)
  }
}
