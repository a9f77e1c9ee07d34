// Tables of text for a person: aligned columns, cells that neither drive the terminal nor flood it. What is cut here is
// whole in `--json`.

import Detection
import Pipeline

/// A table of text with aligned columns.
struct TextTable {
  enum Alignment {
    case left, right
    /// Left, and never cut: times and the like.
    case whole
  }

  /// Columns of a cell that are shown at most; the last column, which holds sentences, may have more.
  private static let cellLimit = 100
  private static let lastCellLimit = 300
  /// What a cell and a sentence keep however narrow the terminal is.
  private static let leastWidth = 16
  private static let leastLastWidth = 40

  private var rows: [[String]]
  private let alignments: [Alignment]

  init(_ header: [(String, Alignment)]) {
    rows = [header.map { Self.escape(Self.cut($0.0, to: Self.cellLimit)) }]
    alignments = header.map(\.1)
  }

  /// Adds a row. Control characters, which event data may hold, are escaped before the cells are measured.
  mutating func add(_ row: [String]) {
    let last = row.count - 1
    rows.append(
      row.enumerated().map { column, cell in
        let limit = column == last ? Self.lastCellLimit : Self.cellLimit
        return Self.escape(alignments[column] == .whole ? cell : Self.cut(cell, to: limit))
      })
  }

  /// The text, or its beginning and `…`, in `limit` columns at most, however many marks a character has.
  static func cut(_ text: String, to limit: Int) -> String {
    // Scalars first: characters are found by looking at all that belongs to them, and one may be a megabyte.
    let scalars = text.unicodeScalars.prefix(4 * limit + 1)
    let isShort = scalars.endIndex == text.unicodeScalars.endIndex
    let beginning = isShort ? text : String(scalars.dropLast())
    if isShort && beginning.columns <= limit { return text }
    return beginning.prefix(columns: limit - 1) + "…"
  }

  /// The text with everything escaped that would drive a terminal or turn the direction of what follows, ends of lines
  /// too: a cell is one line.
  static func escape(_ text: String) -> String { TerminalText.escaped(text) }

  var isEmpty: Bool { rows.count == 1 }

  /// The lines, indented by two spaces; the last column is not padded when it is left-aligned.
  /// - Parameter width: columns of the terminal, to which the longest columns give way; nil where there is none.
  func text(width: Int?) -> String {
    let widths = widths(within: width)
    return rows.map { row in
      var line = " "
      for (column, cell) in row.enumerated() {
        let cell = Self.cut(cell, to: widths[column])
        let padding = String(repeating: " ", count: widths[column] - cell.columns)
        line += " " + (alignments[column] == .right ? padding + cell : cell + padding) + " "
      }
      while line.last == " " { line.removeLast() }
      return line
    }.joined(separator: "\n")
  }

  private func widths(within width: Int?) -> [Int] {
    let widths = alignments.indices.map { column in rows.map { $0[column].columns }.max() ?? 0 }
    guard let width, width > 0 else { return widths }
    // A row that cannot be had in one line may as well fill two.
    for lines in 1... {
      let narrowed = narrowed(widths, to: width * lines)
      if Self.total(narrowed) <= width * lines { return narrowed }
    }
    return widths
  }

  /// Columns of a line, with the blanks around its cells.
  private static func total(_ widths: [Int]) -> Int { widths.reduce(0) { $0 + $1 + 2 } }

  /// The widths when those with most to give have given way, one column at a time, as far as they can.
  private func narrowed(_ widths: [Int], to width: Int) -> [Int] {
    var widths = widths
    let last = widths.count - 1
    var excess = Self.total(widths) - width
    while excess > 0 {
      let spare = widths.indices.map { column in
        alignments[column] == .left ? widths[column] - (column == last ? Self.leastLastWidth : Self.leastWidth) : 0
      }
      guard let most = spare.max(), most > 0, let column = spare.firstIndex(of: most) else { break }
      widths[column] -= 1
      excess -= 1
    }
    return widths
  }
}
