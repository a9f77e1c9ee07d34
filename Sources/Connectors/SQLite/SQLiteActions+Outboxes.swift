// Where outgoing sinks are among the changes, and what they keep there.

import Detection
import GRDB
public import Pipeline

extension SQLiteActions: OutboxCursors {
  public func cursor(of outbox: String) async throws -> ChangeCursor {
    try await place(of: outbox)?.cursor ?? ChangeCursor()
  }

  public func place(of outbox: String) async throws -> OutboxPlace? {
    try await read { database in
      let row = try Self.all(
        database, "SELECT cursor, kept FROM outboxes WHERE name = CAST(? AS TEXT)", [WholeText(outbox)]
      ) { (cursor: $0[0] as String, kept: ($0[1] as WholeText).text) }.first
      return try row.map { OutboxPlace(cursor: try ChangeCursor($0.cursor), kept: $0.kept) }
    }
  }

  public func advance(_ outbox: String, from old: ChangeCursor, to new: ChangeCursor) async throws -> Bool {
    try await write { try Self.move(outbox, from: old, to: new, keeping: nil, in: $0) }
  }

  public func advance(_ outbox: String, from old: ChangeCursor, to new: OutboxPlace) async throws -> Bool {
    try await write { try Self.move(outbox, from: old, to: new.cursor, keeping: new.kept, in: $0) }
  }

  private static func move(
    _ outbox: String, from old: ChangeCursor, to new: ChangeCursor, keeping kept: String?, in database: Database
  ) throws -> Bool {
    try database.execute(
      "INSERT OR IGNORE INTO outboxes (name, cursor) VALUES (?, ?)", binding: [outbox, ChangeCursor().text])
    try database.execute(
      "UPDATE outboxes SET cursor = ?3, kept = coalesce(?4, kept) WHERE name = ?1 AND cursor = ?2",
      binding: [outbox, old.text, new.text, kept])
    return database.changesCount > 0
  }
}
