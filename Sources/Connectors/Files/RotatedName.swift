// What rotation makes of the name of a file: a number, a date or `old` behind it (`app.log.1`, `app.log-20250131`,
// `app.log.old`) or before its extension (`app.1.log`, `app-20250131.log`). Other numbers are parts of a name: those of
// processes, versions and addresses.

enum RotatedName {
  /// Whether rotations may have made a name of `path`; both in one folder, the name without the extension of a
  /// compression.
  static func isMade(_ name: String, of path: String) -> Bool { origins(of: name).contains(path) }

  /// The name that all names share which rotation makes of one file, as far as a name tells.
  static func base(of name: String) -> String {
    var base = Compression.contentName(name)
    while let shorter = unmarked(base) { base = shorter }
    return base
  }

  /// The names that rotation may have made a name of: what has a date may have been rotated by numbers as well.
  static func origins(of name: String) -> [String] {
    var origins = [Compression.contentName(name)]
    while let shorter = unmarked(origins[origins.count - 1]) { origins.append(shorter) }
    return origins[0] == name ? Array(origins.dropFirst()) : origins
  }

  private static func unmarked(_ name: String) -> String? {
    if let shorter = withoutMark(name) { return shorter }
    let (stem, ending) = parts(of: name)
    return ending.isEmpty ? nil : withoutMark(stem).map { $0 + ending }
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

  /// A name without the mark at its end; nil where it has none, or is nothing but that.
  private static func withoutMark(_ name: String) -> String? {
    if name.hasSuffix(word) { return String(name.dropLast(word.count)) }
    var start = name.lastIndex { !isOfMark($0) }.map { name.index(after: $0) } ?? name.startIndex
    // The longest mark: one of a date may have a number behind it.
    while start < name.endIndex {
      let rest = name[..<start]
      if !rest.isEmpty, rest.last != "/", isMark(name[start...], behind: rest) { return String(rest) }
      start = name.index(after: start)
    }
    return nil
  }

  private static func isOfMark(_ character: Character) -> Bool {
    character.isASCII && (character.isNumber || ".-_:TZ".contains(character))
  }

  private static func isMark(_ text: some StringProtocol, behind rest: some StringProtocol) -> Bool {
    if text == word { return true }
    var mark = Mark(rest: Array(text.utf8)[...])
    if mark.hasDay() { return true }
    // A number behind another one belongs to a version or an address.
    let digits = rest.reversed().prefix { $0.isASCII && $0.isNumber }.count
    if digits > 0, rest.dropLast(digits).last == "." { return false }
    mark = Mark(rest: Array(text.utf8)[...])
    return mark.skip(".") && mark.isCount()
  }

  /// Reads a mark from its beginning.
  private struct Mark {
    var rest: ArraySlice<UInt8>

    /// How often a file was rotated, and nothing behind that.
    func isCount() -> Bool { (1...4).contains(rest.count) && rest.allSatisfy(Self.isDigit) }

    /// A separator, a day or seconds or milliseconds since 1970, perhaps a time of the day and a number.
    mutating func hasDay() -> Bool {
      guard skip(".-_") else { return false }
      let digits = rest.prefix(while: Self.isDigit)
      if digits.count == 10 || digits.count == 13, digits.first == UInt8(ascii: "1") {
        // From 2001 to 2033. Ten digits are no day with an hour: those begin with 19 or 20.
        if digits.count == 13 || !isDay(digits) {
          rest = rest.dropFirst(digits.count)
          return isEnd()
        }
      }
      guard number(4, 1970...2099), number(2, 1...12, ".-_"), number(2, 1...31, ".-_") else { return false }
      if isEnd() { return true }
      guard number(2, 0...23, ".-_T") else { return false }
      _ = number(2, 0...59, ".-_:") && number(2, 0...60, ".-_:")
      _ = skip("Z")
      return isEnd()
    }

    private func isDay(_ digits: ArraySlice<UInt8>) -> Bool {
      var mark = Mark(rest: digits)
      return mark.number(4, 1970...2099) && mark.number(2, 1...12) && mark.number(2, 1...31)
    }

    /// Whether nothing follows but a number by which the parts of a day are told apart.
    private func isEnd() -> Bool {
      if rest.isEmpty { return true }
      var mark = self
      return mark.skip(".-_") && mark.isCount()
    }

    /// Passes one of some characters.
    mutating func skip(_ characters: String) -> Bool {
      guard let first = rest.first, characters.utf8.contains(first) else { return false }
      rest = rest.dropFirst()
      return true
    }

    /// Passes a number of so many digits, and one of some separators before it.
    private mutating func number(_ count: Int, _ range: ClosedRange<Int>, _ separators: String = "") -> Bool {
      let before = rest
      _ = skip(separators)
      let digits = rest.prefix(count)
      rest = rest.dropFirst(count)
      let value = digits.reduce(0) { $0 * 10 + Int($1) - 48 }
      if digits.count == count, digits.allSatisfy(Self.isDigit), range.contains(value) { return true }
      rest = before
      return false
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
  }
}
