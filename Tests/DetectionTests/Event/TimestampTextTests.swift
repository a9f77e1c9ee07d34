// The one parser of timestamps against its grammar as regular expressions and a calendar that counts days: texts that are
// near to timestamps, in both forms.

import TestKit
import Testing

@testable import Detection

@Suite struct TimestampTextTests {
  private static let seeds = [
    "2018-01-01", "2018-01-01T12:30", "2018-01-01 12:30:00", "2018-01-01t12:30:00z", "2018-01-01T12:30:00.5+01:00",
    "2018-01-01T12:30:00-0130", "2018-01-01T12:30:00.123456789Z", "2018-01-01T12:30:00.1234567890Z",
    "0000-12-31T23:30:00-01:00", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59.9999999-00:01", "0000-02-29",
    "2000-02-29T00:00Z", "1900-02-29 00:00", "2024-02-30T00:00:60", "2024-04-31T24:00:00", "2018-01-01T12:30:",
    "2018-01-01T12:30:00.", "2018-01-01Z", " 2018-01-01", "", "٢٠١٨-01-01",
  ]

  @Test(arguments: [1, 2, 3, 4] as [UInt64])
  func bothFormsAreWhatTheirGrammarsSay(_ seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let reference = TimestampReference()
    var accepted = [0, 0]
    var texts = Self.seeds
    for _ in 0..<6_000 { texts.append(Self.changed(Self.seeds.randomElement(using: &random) ?? "", &random)) }
    for text in texts {
      let bytes = Array(text.utf8)
      let expected = reference.rfc3339(text)
      #expect(TimestampText.parse(bytes.span.bytes, as: .rfc3339) == expected, "\(text)")
      #expect(Timestamp.parse(text) == expected.flatMap { Timestamp.range.contains($0) ? $0 : nil }, "\(text)")
      let literal = reference.sql(text)
      #expect(TimestampText.parse(bytes.span.bytes, as: .sql) == literal, "\(text)")
      if expected != nil { accepted[0] += 1 }
      if literal != nil { accepted[1] += 1 }
    }
    #expect(accepted.allSatisfy { $0 > 500 && $0 < 5_500 }, "\(accepted)")
  }

  /// A text with other digits, and with some characters more, fewer or exchanged.
  private static func changed(_ text: String, _ random: inout SeededRandom) -> String {
    var characters = Array(text.unicodeScalars)
    if Bool.random(using: &random) {
      for index in characters.indices where ("0"..."9").contains(characters[index]) {
        if Int.random(in: 0..<4, using: &random) == 0 {
          characters[index] = "0123456789".unicodeScalars.randomElement(using: &random) ?? "0"
        }
      }
    }
    for _ in 0..<Int.random(in: 0...2, using: &random) {
      let index = Int.random(in: 0...characters.count, using: &random)
      let other = "0123456789019:+-.TtZz Zé\0/;".unicodeScalars.randomElement(using: &random) ?? "0"
      switch Int.random(in: 0..<4, using: &random) {
      case 0: characters.insert(other, at: index)
      case 1 where index < characters.count: characters.remove(at: index)
      case 2 where index < characters.count: characters[index] = other
      default: characters.removeLast(min(characters.count, 1))
      }
    }
    var view = String.UnicodeScalarView()
    view.append(contentsOf: characters)
    return String(view)
  }
}

/// The grammars, and days counted year by year.
private struct TimestampReference {
  private let days: [Int64]

  init() {
    var days: [Int64] = [-719_528]
    for year in 0..<9_999 { days.append(days[year] + (Self.isLeap(year) ? 366 : 365)) }
    self.days = days
  }

  private static func isLeap(_ year: Int) -> Bool { year % 400 == 0 || year % 4 == 0 && year % 100 != 0 }

  func rfc3339(_ text: String) -> Int64? {
    let grammar =
      #/([0-9]{4})-([0-9]{2})-([0-9]{2})([Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]{1,9})?([Zz]|([+\-])([0-9]{2}):?([0-9]{2}))?)?/#
    guard let match = text.wholeMatch(of: grammar.matchingSemantics(.unicodeScalar)), match.1 != "0000",
      let time = time(match.1, match.2, match.3, match.5, match.6, match.7, match.8)
    else { return nil }
    guard let sign = match.10, let hours = match.11.flatMap({ Int64($0) }),
      let minutes = match.12.flatMap({ Int64($0) })
    else { return time }
    guard hours < 24, minutes < 60 else { return nil }
    return time - (sign == "-" ? -1 : 1) * (hours * 60 + minutes) * 60_000_000
  }

  func sql(_ text: String) -> Int64? {
    let grammar =
      #/([0-9]{4})-([0-9]{2})-([0-9]{2})([T ]([0-9]{2}):([0-9]{2})(:([0-9]{2})(\.[0-9]+)?)?Z?)?/#
    guard let match = text.wholeMatch(of: grammar.matchingSemantics(.unicodeScalar)) else { return nil }
    return time(match.1, match.2, match.3, match.5, match.6, match.8, match.9)
  }

  private func time(
    _ year: Substring, _ month: Substring, _ day: Substring, _ hour: Substring?, _ minute: Substring?,
    _ second: Substring?, _ fraction: Substring?
  ) -> Int64? {
    guard let year = Int(year), let month = Int(month), let day = Int64(day), (1...12).contains(month) else {
      return nil
    }
    let lengths: [Int64] = [31, Self.isLeap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    guard day >= 1, day <= lengths[month - 1] else { return nil }
    let date = days[year] + lengths[..<(month - 1)].reduce(0, +) + day - 1
    let clock = [hour, minute, second].map { $0.flatMap { Int64($0) } ?? 0 }
    guard clock[0] < 24, clock[1] < 60, clock[2] < 60 else { return nil }
    let digits = (fraction ?? ".").dropFirst().prefix(6)
    let microseconds = Int64(digits + String(repeating: "0", count: 6 - digits.count)) ?? 0
    return ((date * 24 + clock[0]) * 60 + clock[1]) * 60_000_000 + clock[2] * 1_000_000 + microseconds
  }
}
