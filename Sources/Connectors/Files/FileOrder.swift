// The order in which the matches of a pattern are read. What people mean by a name is older than computers that sort its
// bytes: numbers count by their value, `app.log.2` was written before `app.log.1` and that before `app.log`, and a file
// without a date is the one that is being written.

import Pipeline

/// By what files are ordered.
public enum FileOrder: String, Sendable, Hashable, CaseIterable {
  /// By the bytes of their names.
  case name
  /// As people read names: numbers by value, rotated files before the one they were rotated from, the oldest first.
  case natural
  /// By the first event time in each, all files of the source together.
  case time
}

/// The key by which names are ordered naturally. The order depends on the names alone, not on the locale.
struct NaturalKey: Comparable {
  enum Token: Hashable {
    /// Digits, without zeroes before them.
    case number([UInt8])
    case text([UInt8])
    /// Where others have a date or a number and this name has none: behind all of them.
    case newest
  }

  private let tokens: [Token]
  /// How often it was rotated: the higher, the older.
  private let rotations: [UInt8]
  private let isPacked: Bool
  private let bytes: [UInt8]

  /// Sorts paths naturally. All of them together say what a number at the end of a name means.
  static func sorted(_ paths: [String]) -> [String] {
    let plain = Set(paths.map { Compression.contentName($0) })
    let undated = Self.undated(plain)
    return paths.map { (NaturalKey($0, among: plain, undated), $0) }.sorted { $0.0 < $1.0 }.map(\.1)
  }

  private init(_ path: String, among names: Set<String>, _ undated: [String: [Token]]) {
    let name = Compression.contentName(path)
    let (base, rotations) = Self.rotation(name, among: names)
    tokens = undated[base] ?? Self.tokens(base)
    self.rotations = rotations
    isPacked = name != path
    bytes = Array(path.utf8)
  }

  static func < (a: NaturalKey, b: NaturalKey) -> Bool {
    for (left, right) in zip(a.tokens, b.tokens) where left != right { return precedes(left, right) }
    if a.tokens.count != b.tokens.count { return a.tokens.count < b.tokens.count }
    // The higher number is the older file.
    if a.rotations != b.rotations { return precedes(b.rotations, a.rotations) }
    if a.isPacked != b.isPacked { return b.isPacked }
    return a.bytes.lexicographicallyPrecedes(b.bytes)
  }

  static func == (a: NaturalKey, b: NaturalKey) -> Bool { a.bytes == b.bytes }

  private static func precedes(_ a: Token, _ b: Token) -> Bool {
    switch (a, b) {
    case (.newest, _): false
    case (_, .newest): true
    case (.number(let a), .number(let b)): precedes(a, b)
    case (.text(let a), .text(let b)): a.lexicographicallyPrecedes(b)
    // A digit against a letter or a separator.
    case (.number(let a), .text(let b)): (a.first ?? zero) < (b.first ?? 0)
    case (.text(let a), .number(let b)): (a.first ?? 0) < (b.first ?? zero)
    }
  }

  /// Compares numbers of any size.
  private static func precedes(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    a.count != b.count ? a.count < b.count : a.lexicographicallyPrecedes(b)
  }

  private static let zero = UInt8(ascii: "0")

  private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

  /// The name cut into numbers and what lies between; a slash is a token of its own, so that folders go before names.
  private static func tokens(_ name: String) -> [Token] {
    var tokens: [Token] = []
    var rest = Array(name.utf8)[...]
    while let first = rest.first {
      let length: Int
      if first == UInt8(ascii: "/") {
        length = 1
        tokens.append(.text([0]))
      } else if isDigit(first) {
        let digits = rest.prefix { isDigit($0) }
        length = digits.count
        tokens.append(.number(Array(digits.drop { $0 == zero })))
      } else {
        let text = rest.prefix { !isDigit($0) && $0 != UInt8(ascii: "/") }
        length = text.count
        tokens.append(.text(Array(text)))
      }
      rest = rest.dropFirst(length)
    }
    return tokens
  }

  // MARK: - Rotation

  /// Takes the number of a rotation off a name: `app.log.2` is `app.log` and 2, if that is among the names or has an
  /// extension itself. Numbers with zeroes before them count the parts of something that was split, and go upwards.
  private static func rotation(_ name: String, among names: Set<String>) -> (base: String, rotations: [UInt8]) {
    let bytes = Array(name.utf8)
    let digits = bytes.reversed().prefix { isDigit($0) }.count
    guard (1...maxRotationDigits).contains(digits), bytes.count > digits + 1,
      bytes[bytes.count - digits - 1] == UInt8(ascii: ".")
    else { return (name, []) }
    let number = Array(bytes.suffix(digits))
    guard number[0] != zero || digits == 1 else { return (name, []) }
    let base = String(decoding: bytes.dropLast(digits + 1), as: UTF8.self)
    guard names.contains(base) || hasExtension(base) else { return (name, []) }
    // `.0` is the youngest of those that were rotated, and still older than the one that was not.
    return (base, number == [zero] ? [zero] : number)
  }

  /// Longer numbers are dates or times.
  private static let maxRotationDigits = 4

  /// Whether a name ends in an extension of letters, such as `.log`.
  private static func hasExtension(_ path: String) -> Bool {
    let name = FileList.name(of: path)
    guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return false }
    let ending = name[name.index(after: dot)...]
    return (1...8).contains(ending.count) && ending.allSatisfy { $0.isASCII && $0.isLetter }
  }

  // MARK: - Dates

  /// The names that others have with a date in them, with the key that puts them behind those.
  private static func undated(_ names: Set<String>) -> [String: [Token]] {
    var undated: [String: [Token]] = [:]
    for name in names.sorted() {
      for (stem, key) in withoutDate(name) where names.contains(stem) && undated[stem] == nil { undated[stem] = key }
    }
    return undated
  }

  /// A name without the date in its last part, and the key of that: with or without the separator before it.
  private static func withoutDate(_ path: String) -> [(stem: String, key: [Token])] {
    let name = FileList.name(of: path)
    let folder = String(path.dropLast(name.count))
    guard
      let match = name.firstMatch(of: /(?:19|20)\d\d[-_.]?[01]\d(?:[-_.]?[0-3]\d(?:[-_.T]?\d\d(?:[-_.:]?\d\d)*)?)?Z?/)
    else { return [] }
    let (before, after) = (name[..<match.range.lowerBound], name[match.range.upperBound...])
    let key = tokens(folder + before) + [.newest]
    var stems = ["\(folder)\(before)\(after)"]
    if let last = before.last, "-_.".contains(last) { stems.append("\(folder)\(before.dropLast())\(after)") }
    if let first = after.first, "-_.".contains(first) { stems.append("\(folder)\(before)\(after.dropFirst())") }
    return stems.map { ($0, key) }
  }
}
