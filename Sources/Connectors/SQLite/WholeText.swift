// Texts with a NUL in them. SQLite keeps them, but the general way of binding and reading texts ends them there, and then
// two texts with the same beginning are one.

import Foundation
import GRDB

/// A text of the store, whole. As an argument it stands in `CAST(? AS TEXT)`. It is read from the rows of a cursor, or by
/// its own `fetchAll` and `fetchOne`: a row that was copied has its texts the general way.
struct WholeText: DatabaseValueConvertible, StatementColumnConvertible {
  let text: String

  init(_ text: String) { self.text = text }

  init(sqliteStatement: SQLiteStatement, index: CInt) {
    // SQLite gives the bytes of a text as it does those of a blob, with their number.
    text = String(decoding: Data(sqliteStatement: sqliteStatement, index: index), as: UTF8.self)
  }

  var databaseValue: DatabaseValue { Data(text.utf8).databaseValue }

  static func fromDatabaseValue(_ value: DatabaseValue) -> WholeText? {
    Data.fromDatabaseValue(value).map { WholeText(String(decoding: $0, as: UTF8.self)) }
  }
}
