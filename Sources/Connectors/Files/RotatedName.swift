// What rotation makes of the name of a file: a number, a date or `old` behind it (`app.log.1`, `app.log-20250131`,
// `app.log.old`) or before its extension (`app.1.log`, `app-20250131.log`).

enum RotatedName {
  /// Whether a rotation may have made a name of `path`; both in one folder, the name without the extension of a
  /// compression.
  static func isMade(_ name: String, of path: String) -> Bool {
    if name.hasPrefix(path) { return isMark(name.dropFirst(path.count)) }
    let (stem, ending) = parts(of: path)
    guard !ending.isEmpty, name.hasPrefix(stem), name.hasSuffix(ending), name.count > path.count else { return false }
    return isMark(name.dropFirst(stem.count).dropLast(ending.count))
  }

  /// The name that all names share which rotation makes of one file, as far as a name tells.
  static func base(of name: String) -> String {
    let whole = Compression.contentName(name)
    if let shorter = withoutMark(whole) { return shorter }
    let (stem, ending) = parts(of: whole)
    guard !ending.isEmpty, let shorter = withoutMark(stem) else { return whole }
    return shorter + ending
  }

  /// A path cut before the extension of its name, where that has one of letters such as `.log`.
  static func parts(of path: String) -> (stem: String, ending: String) {
    let name = FileList.name(of: path)
    guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return (path, "") }
    let letters = name[name.index(after: dot)...]
    guard (1...8).contains(letters.count), letters.allSatisfy({ $0.isASCII && $0.isLetter }) else { return (path, "") }
    return (String(path.dropLast(letters.count + 1)), "." + letters)
  }

  /// What is put behind the name of a file that is rotated once. `.bak` is none: people make such copies by hand.
  static let word = ".old"

  private static func isMark(_ text: some StringProtocol) -> Bool {
    if text == word { return true }
    guard let first = text.first, isSeparator(first), text.allSatisfy(isOfMark) else { return false }
    return isLong(text.count(where: \.isNumber), behind: first)
  }

  /// Whether so many digits are a mark. A short number behind a hyphen is more often a part of the name (`worker-2.log`).
  private static func isLong(_ digits: Int, behind separator: Character) -> Bool {
    separator == "." ? digits > 0 : digits >= minDateDigits
  }

  /// Of a year and month.
  private static let minDateDigits = 6

  /// A name without the mark at its end; nil where it has none, or is nothing but that.
  private static func withoutMark(_ name: String) -> String? {
    if name.hasSuffix(word) { return String(name.dropLast(word.count)) }
    let mark = name[(name.lastIndex { !isOfMark($0) }.map { name.index(after: $0) } ?? name.startIndex)...]
      .drop { !isSeparator($0) }
    guard let first = mark.first, isLong(mark.count(where: \.isNumber), behind: first) else { return nil }
    let rest = name.dropLast(mark.count)
    return rest.isEmpty || rest.hasSuffix("/") ? nil : String(rest)
  }

  private static func isSeparator(_ character: Character) -> Bool { ".-_".contains(character) }

  private static func isOfMark(_ character: Character) -> Bool {
    character.isASCII && (character.isNumber || ".-_:TZ".contains(character))
  }
}
