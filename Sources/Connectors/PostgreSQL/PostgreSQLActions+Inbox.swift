// The inbox, and where outgoing sinks are among the changes.

import Detection
import Pipeline

extension PostgreSQLTable {
  fileprivate static let inboxRecords = PostgreSQLTable(
    "inbox_records",
    [
      Column("inbox", .text), Column("number", .int), Column("record", .bytes), Column("envelope", .text),
      Column("origin", .text),
    ], key: ["inbox", "number"], update: take("record, envelope, origin"))
}

extension PostgreSQLActions {
  func handIn(_ records: [HandedRecord], to inbox: String, key: String?, at time: Int64) async throws -> HandedIn {
    try await write { connection in
      try Self.lock("inbox \(inbox)", on: connection)
      let digest = key.map { _ in HandedIn.digest(of: records) }
      if let key, let known = try Self.known(key, of: inbox, digest, records.count, on: connection) { return known }
      let state = try Self.state(of: inbox, on: connection)
      let bytes = records.reduce(Int64(0)) { $0 + Int64($1.size) }
      guard state.bytes == 0 || state.bytes + bytes <= Limits.maxInboxBytes else {
        throw OperatingError(
          .limit,
          "the inbox \(inbox) is full: \(state.bytes >> 20) MB wait, at most \(Limits.maxInboxBytes >> 20) MB may. Hand "
            + "the records in again when it has been read")
      }
      try Self.append(records, to: inbox, from: state.next, on: connection)
      try connection.execute(
        """
        INSERT INTO inboxes (name, first, next, bytes) VALUES ($1, 0, $2, $3)
        ON CONFLICT (name) DO UPDATE SET next = excluded.next, bytes = excluded.bytes
        """, .text(inbox), .int(state.next + Int64(records.count)), .int(state.bytes + bytes))
      if let key, let digest {
        try connection.execute(
          "INSERT INTO inbox_keys (inbox, key, first, count, time, digest) VALUES ($1, $2, $3, $4, $5, $6)",
          .text(inbox), .text(key), .int(state.next), .int(records.count), .int(time), .bytes(digest))
      }
      return HandedIn(first: state.next, count: records.count, isRepeated: false)
    }
  }

  private static func append(
    _ records: [HandedRecord], to inbox: String, from first: Int64, on connection: PostgreSQLConnection
  ) throws {
    let table = PostgreSQLTable.inboxRecords
    var rows = PostgreSQLRowBuffer()
    for (index, record) in records.enumerated() {
      rows.beginRow(table.columns.count)
      rows.append(inbox)
      rows.append(first + Int64(index))
      rows.append(bytes: record.bytes)
      rows.append(record.envelope?.json)
      rows.append(record.origin)
      if PostgreSQLTable.isFull(rows) { try table.write(&rows, on: connection) }
    }
    try table.write(&rows, on: connection)
  }

  /// Bytes that a record takes, as `HandedRecord.size` counts them.
  private static let size = "(length(record) + coalesce(octet_length(envelope), 0))"

  /// What was handed in under a key; nil where it is new.
  /// - Parameters:
  ///   - digest: of the records that come now.
  ///   - count: of them.
  private static func known(
    _ key: String, of inbox: String, _ digest: [UInt8]?, _ count: Int, on connection: PostgreSQLConnection
  ) throws -> HandedIn? {
    try connection.rows(
      "SELECT first, count, digest FROM inbox_keys WHERE inbox = $1 AND key = $2", .text(inbox), .text(key)
    ).first.map { row in
      let known = row.optionalBytes(2)
      return HandedIn(
        first: row.int(0), count: row.count(1), isRepeated: true,
        isSame: row.count(1) == count && (known == nil || known == digest))
    }
  }

  func records(of inbox: String, from number: Int64, limit: Int, bytes: Int) async throws -> [InboxRecord] {
    try await read { connection in
      // As many as fit, and one in any case: the server counts, so that no more come over than are taken.
      try connection.rows(
        """
        SELECT number, record, envelope, origin FROM (
          SELECT *, sum(size) OVER (ORDER BY number) - size AS before FROM (
            SELECT *, \(Self.size) AS size FROM inbox_records WHERE inbox = $1 AND number >= $2
            ORDER BY number LIMIT $3) r) s
        WHERE before < $4 OR before = 0 ORDER BY number
        """, .text(inbox), .int(number), .int(limit), .int(bytes)
      ).map { row in
        let envelope = row.optionalText(2).flatMap { RecordEnvelope(json: $0) }
        return InboxRecord(
          number: row.int(0), HandedRecord(row.bytes(1), envelope: envelope, origin: row.optionalText(3)))
      }
    }
  }

  func acknowledge(_ inbox: String, before number: Int64, at time: Int64) async throws {
    try await write { connection in
      try Self.lock("inbox \(inbox)", on: connection)
      let state = try Self.state(of: inbox, on: connection)
      let first = min(max(number, state.first), state.next)
      try connection.execute(
        """
        UPDATE inboxes SET first = $2, bytes = bytes
          - (SELECT coalesce(sum(\(Self.size)), 0) FROM inbox_records WHERE inbox = $1 AND number < $2)
        WHERE name = $1
        """, .text(inbox), .int(first))
      try connection.execute(
        "DELETE FROM inbox_records WHERE inbox = $1 AND number < $2", .text(inbox), .int(first))
      try connection.execute(
        "DELETE FROM inbox_keys WHERE inbox = $1 AND first + count <= $2 AND time < $3", .text(inbox), .int(first),
        .int(time - Limits.inboxKeyLifetime))
    }
  }

  func state(of inbox: String) async throws -> InboxState {
    try await read { try Self.state(of: inbox, on: $0) }
  }

  private static func state(of inbox: String, on connection: PostgreSQLConnection) throws -> InboxState {
    try connection.rows("SELECT first, next, bytes FROM inboxes WHERE name = $1", .text(inbox)).first.map {
      InboxState(first: $0.int(0), next: $0.int(1), bytes: $0.int(2))
    } ?? InboxState()
  }
}

extension PostgreSQLActions: OutboxCursors {
  func cursor(of outbox: String) async throws -> ChangeCursor { try await place(of: outbox)?.cursor ?? ChangeCursor() }

  func place(of outbox: String) async throws -> OutboxPlace? {
    try await read { connection in
      let row = try connection.rows("SELECT cursor, kept FROM outboxes WHERE name = $1", .text(outbox)).first
      return try row.map { OutboxPlace(cursor: try ChangeCursor($0.text(0)), kept: $0.text(1)) }
    }
  }

  func advance(_ outbox: String, from old: ChangeCursor, to new: ChangeCursor) async throws -> Bool {
    try await write { try Self.move(outbox, from: old, to: new, keeping: nil, on: $0) }
  }

  func advance(_ outbox: String, from old: ChangeCursor, to new: OutboxPlace) async throws -> Bool {
    try await write { try Self.move(outbox, from: old, to: new.cursor, keeping: new.kept, on: $0) }
  }

  private static func move(
    _ outbox: String, from old: ChangeCursor, to new: ChangeCursor, keeping kept: String?,
    on connection: PostgreSQLConnection
  ) throws -> Bool {
    try connection.execute(
      "INSERT INTO outboxes (name, cursor) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING", .text(outbox),
      .text(ChangeCursor().text))
    return try connection.execute(
      "UPDATE outboxes SET cursor = $3, kept = coalesce($4, kept) WHERE name = $1 AND cursor = $2", .text(outbox),
      .text(old.text), .text(new.text), .text(kept)) > 0
  }
}
