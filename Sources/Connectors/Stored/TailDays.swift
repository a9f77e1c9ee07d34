// Which days the rows of a history tail are of, as stores keep it.

import Detection
import Foundation
import Pipeline

/// The column `history_tails.days`: an array of day and number of rows, in the order of the rows.
enum TailDays {
  /// An element of the array.
  private struct Element: Decodable {
    var day: HistoryTail.DayRows

    init(from decoder: any Swift.Decoder) throws {
      var values = try decoder.unkeyedContainer()
      day = HistoryTail.DayRows(day: try values.decode(String.self), rows: try values.decode(Int.self))
    }
  }

  static func json(_ days: [HistoryTail.DayRows]) -> String {
    JSONText.array(days.map { JSONText.array([JSONText.string($0.day), String($0.rows)]) })
  }

  /// - Throws: `DecodingError` where the text is not what `json` makes.
  static func parse(_ text: String) throws -> [HistoryTail.DayRows] {
    try JSONDecoder().decode([Element].self, from: Data(text.utf8)).map(\.day)
  }
}
