// Columns that a use case cannot do without. A file whose header or schema lacks one has no event in it, whatever its
// rows hold, so it is refused before they are read instead of making a dead letter of each.

import Detection
import Pipeline

/// The names that the header of a CSV file or the schema of a columnar file must have.
struct RequiredColumns: Sendable {
  /// Dotted paths, as columns are called.
  var names: [String] = []

  /// Refuses a file that lacks one of the names.
  /// - Parameters:
  ///   - path: what the file is called.
  ///   - present: the names that it has, of which the nearest ones are proposed.
  ///   - hint: what may be the reason, where all of them are missing.
  /// - Throws: `OperatingError` with every name that is missing. It does not list those that are there: where a CSV file
  ///   has no header, they are data.
  func check(
    _ path: String, has present: [String], hint: String = "", where isPresent: (String) -> Bool
  ) throws(OperatingError) {
    let missing = names.filter { !isPresent($0) }
    guard !missing.isEmpty else { return }
    let list = missing.map { name in
      "'\(name)'" + (nearest(to: name, among: present).map { " (did you mean '\(TerminalText.escaped($0))'?)" } ?? "")
    }
    let columns = present.count == 1 ? "1 column" : "\(present.count) columns"
    throw OperatingError(
      .input,
      "\(path) has \(columns), and not \(list.joined(separator: ", ")), which the use case requires: not one event of it "
        + "could be used. Rename the column, or say in pipeline.yaml with `path` what it is called"
        + (missing.count == names.count ? hint : ""))
  }

  /// The same for the header of a CSV file.
  func check(_ path: String, header: [String], _ delimiter: CSVDelimiter) throws(OperatingError) {
    let likely = CSVDelimiter(header: header.first ?? "")
    var hint = ". Its first line must name the columns"
    if header.count == 1, likely != delimiter, header[0].utf8.contains(likely.byte) {
      hint += "; if \(likely.title) separates them: --csv-delimiter '\(likely.rawValue)'"
    }
    let names = Set(header)
    try check(path, has: header, hint: hint) { names.contains($0) }
  }
}
