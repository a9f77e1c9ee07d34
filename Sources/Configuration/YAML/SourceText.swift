// The text of a configuration file by lines, to find where a character of a scalar stands, whatever the scalar's style.
// Lines and columns count from 1, columns in Unicode scalars, as libyaml counts them.

internal import Detection
internal import Yams

/// The lines of a file.
struct SourceText: Sendable {
  private(set) var text: String
  /// Without line ends.
  private(set) var lines: [[Unicode.Scalar]]

  init(_ text: String) {
    self.text = text
    lines = Self.split(text)
  }

  private static func split(_ text: String) -> [[Unicode.Scalar]] {
    var lines: [[Unicode.Scalar]] = [[]]
    var previous: Unicode.Scalar?
    for scalar in text.unicodeScalars {
      if scalar == "\n" {
        if previous != "\r" { lines.append([]) }
      } else if scalar == "\r" || scalar == "\u{85}" || scalar == "\u{2028}" || scalar == "\u{2029}" {
        lines.append([])
      } else {
        lines[lines.count - 1].append(scalar)
      }
      previous = scalar
    }
    return lines
  }

  /// Replaces `old` at a place, behind a quote if there is one, by as many characters. False when it is not there.
  mutating func replace(_ old: String, with new: String, line: Int, column: Int) -> Bool {
    let wanted = Array(old.unicodeScalars)
    guard lines.indices.contains(line - 1), wanted.count == new.unicodeScalars.count else { return false }
    let scalars = lines[line - 1]
    for start in [column - 1, column] where start >= 0 && start + wanted.count <= scalars.count {
      guard Array(scalars[start..<start + wanted.count]) == wanted else { continue }
      lines[line - 1].replaceSubrange(start..<start + wanted.count, with: new.unicodeScalars)
      var joined = String.UnicodeScalarView()
      for (index, line) in lines.enumerated() {
        if index > 0 { joined.append("\n") }
        joined.append(contentsOf: line)
      }
      text = String(joined)
      return true
    }
    return false
  }

  /// The first tab in the indentation of a line, looking at the given line and the one before it.
  func tabInIndentation(upTo line: Int) -> SourceLocation? {
    for index in max(0, line - 2)..<max(0, min(line, lines.count)) {
      let indentation = lines[index].prefix { $0 == " " || $0 == "\t" }
      if let tab = indentation.firstIndex(of: "\t") { return SourceLocation(line: index + 1, column: tab + 1) }
    }
    return nil
  }

  /// What stands at a place; nil outside of the text.
  func character(at place: SourceLocation) -> Unicode.Scalar? {
    guard lines.indices.contains(place.line - 1), lines[place.line - 1].indices.contains(place.column - 1) else {
      return nil
    }
    return lines[place.line - 1][place.column - 1]
  }

  /// The place of a byte of the text.
  func location(ofUTF8Offset offset: Int) -> SourceLocation {
    let before = Self.split(String(decoding: text.utf8.prefix(offset), as: UTF8.self))
    return SourceLocation(line: before.count, column: before[before.count - 1].count + 1)
  }

  // MARK: Scalars

  /// The text of a scalar with the place of its characters.
  func locate(_ value: String, style: Node.Scalar.Style, at start: SourceLocation) -> LocatedText {
    var walk = ScalarWalk(lines: lines, line: start.line - 1, column: start.column - 1)
    switch style {
    case .literal, .folded: walk.enterBlock()
    case .singleQuoted, .doubleQuoted: walk.column += 1
    default: break
    }
    let first = walk.location
    var jumps: [LocatedText.Jump] = []
    var offset = 0
    var predicted = first
    for scalar in value.unicodeScalars {
      walk.align(to: scalar, style: style)
      if walk.location != predicted { jumps.append(.init(offset: offset, location: walk.location)) }
      predicted = SourceLocation(line: walk.location.line, column: walk.location.column + 1)
      walk.consume(scalar, style: style)
      offset += String(scalar).utf8.count
    }
    return LocatedText(value, at: first, jumps: jumps)
  }
}

/// A cursor that follows the characters of a scalar through the file. It never fails: where it loses the trail, it stays
/// within the file, and a location is merely inexact.
private struct ScalarWalk {
  let lines: [[Unicode.Scalar]]
  var line: Int
  var column: Int
  private var indentation = 0

  init(lines: [[Unicode.Scalar]], line: Int, column: Int) {
    self.lines = lines
    self.line = line
    self.column = column
  }

  var location: SourceLocation { SourceLocation(line: line + 1, column: column + 1) }

  private var current: Unicode.Scalar? {
    lines.indices.contains(line) && lines[line].indices.contains(column) ? lines[line][column] : nil
  }

  /// From the indicator `|` or `>` to the first character of the block, which a blank line may be.
  mutating func enterBlock() {
    var next = line + 1
    while next < lines.count, lines[next].allSatisfy({ $0 == " " }) { next += 1 }
    guard next < lines.count else { return }
    indentation = lines[next].prefix { $0 == " " }.count
    nextLine(.literal)
  }

  /// Moves over what stands in the file but not in the text, up to the character that gives `scalar`.
  mutating func align(to scalar: Unicode.Scalar, style: Node.Scalar.Style) {
    if style == .doubleQuoted, current == "\\", column + 1 == lines[line].count { nextLine(style) }
    guard scalar != " ", scalar != "\n" else { return }
    while restIsBlank, line + 1 < lines.count { nextLine(style) }
  }

  /// Moves behind the character that gives `scalar`.
  mutating func consume(_ scalar: Unicode.Scalar, style: Node.Scalar.Style) {
    if style == .singleQuoted, scalar == "'" {
      column += 2
    } else if style == .doubleQuoted, current == "\\" {
      let digits: [Unicode.Scalar: Int] = ["x": 2, "u": 4, "U": 8]
      let kind = column + 1 < lines[line].count ? lines[line][column + 1] : " "
      column += 2 + (digits[kind] ?? 0)
    } else if scalar == "\n" || (scalar == " " && restIsBlank && current == nil) {
      if line + 1 < lines.count { nextLine(style) }
    } else {
      column += 1
    }
  }

  /// Whether only blanks follow in the line.
  private var restIsBlank: Bool {
    lines.indices.contains(line) && lines[line].dropFirst(column).allSatisfy { $0 == " " || $0 == "\t" }
  }

  private mutating func nextLine(_ style: Node.Scalar.Style) {
    line += 1
    guard line < lines.count else { return }
    let blanks = lines[line].prefix { $0 == " " || $0 == "\t" }.count
    column = style == .literal || style == .folded ? min(blanks, indentation) : blanks
  }
}
