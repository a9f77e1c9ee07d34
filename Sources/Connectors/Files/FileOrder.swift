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
  /// - Parameter others: paths that belong to them and are not there now, as one is not amid its rotation.
  static func sorted(_ paths: [String], beside others: Set<String> = []) -> [String] {
    let plain = Set(paths.map { Compression.contentName($0) }).union(others)
    let rotations = Self.rotations(plain)
    let undated = Self.undated(plain)
    return paths.map { (NaturalKey($0, rotations, undated), $0) }.sorted { $0.0 < $1.0 }.map(\.1)
  }

  private init(_ path: String, _ rotations: [String: Rotation], _ undated: [String: [Token]]) {
    let name = Compression.contentName(path)
    let base = rotations[name]?.base ?? name
    tokens = undated[base] ?? Self.tokens(base)
    self.rotations = rotations[name]?.number ?? []
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

  /// A name that says how often what it holds was rotated, and the one that it was rotated from.
  private struct Rotation {
    var base: String
    var number: [UInt8]
    /// Whether the number is at the end of the name; else it is before the extension.
    var isLast: Bool
  }

  /// The names that count rotations. All that were made of one name decide together: numbers with zeroes before them
  /// count the parts of something that was split, and go upwards; so do those that are all years, or times.
  private static func rotations(_ names: Set<String>) -> [String: Rotation] {
    var groups: [String: [(name: String, rotation: Rotation)]] = [:]
    for name in names {
      guard let rotation = rotation(name) else { continue }
      groups[(rotation.isLast ? "" : "/") + rotation.base, default: []].append((name, rotation))
    }
    var found: [String: Rotation] = [:]
    for group in groups.values {
      let base = group[0].rotation.base
      // A number before the extension is more often a part of the name.
      guard names.contains(base) || group[0].rotation.isLast && !RotatedName.parts(of: base).ending.isEmpty,
        !group.contains(where: { $0.rotation.number.count > 1 && $0.rotation.number[0] == zero }),
        group.contains(where: { $0.rotation.number.count < maxRotationDigits })
      else { continue }
      for (name, rotation) in group { found[name] = rotation }
    }
    for name in names where name.hasSuffix(RotatedName.word) {
      let base = String(name.dropLast(RotatedName.word.count))
      if names.contains(base) { found[name] = Rotation(base: base, number: oldest, isLast: true) }
    }
    return found
  }

  /// What a name says by itself: `app.log.2` may be `app.log` and 2, and so may `app.2.log`.
  private static func rotation(_ name: String) -> Rotation? {
    if let (base, number) = number(endOf: name) { return Rotation(base: base, number: number, isLast: true) }
    let (stem, ending) = RotatedName.parts(of: name)
    guard !ending.isEmpty, let (base, number) = number(endOf: stem) else { return nil }
    return Rotation(base: base + ending, number: number, isLast: false)
  }

  private static func number(endOf name: String) -> (base: String, number: [UInt8])? {
    let bytes = Array(name.utf8)
    let digits = bytes.reversed().prefix { isDigit($0) }.count
    guard (1...maxRotationDigits).contains(digits), bytes.count > digits + 1,
      bytes[bytes.count - digits - 1] == UInt8(ascii: ".")
    else { return nil }
    return (String(decoding: bytes.dropLast(digits + 1), as: UTF8.self), bytes.suffix(digits))
  }

  /// Longer numbers are dates or times; of those with so many digits one with fewer says that they are none.
  private static let maxRotationDigits = 4
  /// Of a name with a word instead of a number.
  private static let oldest = [UInt8](repeating: UInt8(ascii: "9"), count: maxRotationDigits + 1)

  // MARK: - Dates

  /// The names that others have with a date or time in them, with the key that puts them behind those.
  private static func undated(_ names: Set<String>) -> [String: [Token]] {
    var undated: [String: [Token]] = [:]
    for name in names.sorted() {
      for (stem, key) in withoutDate(name) where names.contains(stem) && undated[stem] == nil { undated[stem] = key }
    }
    return undated
  }

  /// A name without the date or the seconds since 1970 in its last part, and the key of that: with or without the
  /// separator before it and a number behind it.
  private static func withoutDate(_ path: String) -> [(stem: String, key: [Token])] {
    let name = FileList.name(of: path)
    let folder = String(path.dropLast(name.count))
    let date =
      /(?:19|20)\d\d(?:[-_.]?[01]\d(?:[-_.]?[0-3]\d(?:[-_.T]?\d\d(?:[-_.:]?\d\d)*)?)?)?Z?|1\d{9}(?:\d{3})?/
    let match = name.matches(of: date).first { match in
      // Not amid a longer number.
      name[..<match.range.lowerBound].last?.isNumber != true && name[match.range.upperBound...].first?.isNumber != true
    }
    guard let match else { return [] }
    let before = name[..<match.range.lowerBound]
    let key = tokens(folder + before) + [.newest]
    var stems: [String] = []
    var after = name[match.range.upperBound...]
    while true {
      stems.append("\(folder)\(before)\(after)")
      if let last = before.last, "-_.".contains(last) { stems.append("\(folder)\(before.dropLast())\(after)") }
      if let first = after.first, "-_.".contains(first) { stems.append("\(folder)\(before)\(after.dropFirst())") }
      // The parts of a day are numbered.
      guard let number = after.prefixMatch(of: /[-_.]\d+/) else { break }
      after = after[number.range.upperBound...]
    }
    return stems.map { ($0, key) }
  }
}
