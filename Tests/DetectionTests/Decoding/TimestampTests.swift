// Timestamps: text that is one, text that is not, and the way there and back.

import TestKit
import Testing

@testable import Detection

@Suite struct TimestampTests {
  @Test(arguments: [
    ("1970-01-01T00:00:00Z", 0),
    ("1970-01-01", 0),
    ("2018-01-01 12:30:00", 1_514_809_800_000_000),
    ("2018-01-01t12:30:00z", 1_514_809_800_000_000),
    ("2018-01-01T12:30:00.5+01:00", 1_514_806_200_500_000),
    ("2018-01-01T12:30:00-0130", 1_514_815_200_000_000),
    ("2018-01-01T12:30:00.123456789Z", 1_514_809_800_123_456),
    ("1969-12-31T23:59:59.999999Z", -1),
    ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
    ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
    ("2000-02-29T00:00:00Z", 951_782_400_000_000),
  ])
  func textIsRead(_ text: String, _ expected: Int) {
    #expect(Timestamp.parse(text) == Int64(expected))
  }

  @Test(arguments: [
    "", "2018", "2018-1-01", "2018-13-01", "2018-00-01", "2018-02-29", "1900-02-29", "2018-04-31", "2018-01-00",
    "2018-01-01T24:00:00Z", "2018-01-01T23:60:00Z", "2018-12-31T23:59:60Z", "2018-01-01T12:30", "2018-01-01T12:30:00.",
    "2018-01-01T12:30:00.1234567890Z", "2018-01-01T12:30:00+24:00", "2018-01-01T12:30:00+1:00", "2018-01-01T12:30:00ZZ",
    "2018-01-01T12:30:00 ", "2018-01-01x12:30:00Z", "0000-12-31T00:00:00Z", "0001-01-01T00:00:00+01:00",
    "9999-12-31T23:59:59-01:00", "٢٠١٨-01-01", "2018-01-01T1a:30:00Z", " 2018-01-01", "-018-01-01",
  ])
  func otherTextIsRefused(_ text: String) {
    #expect(Timestamp.parse(text) == nil)
  }

  @Test func epochUnitsFollowTheFormatOrTheSize() {
    #expect(Timestamp.fromEpoch(1_514_809_800, format: .seconds) == 1_514_809_800_000_000)
    #expect(Timestamp.fromEpoch(1_514_809_800, format: .automatic) == 1_514_809_800_000_000)
    #expect(Timestamp.fromEpoch(double: 1_514_809_800.250, format: .automatic) == 1_514_809_800_250_000)
    #expect(Timestamp.fromEpoch(double: 1_514_809_800.250_001, format: .automatic) == 1_514_809_800_250_001)
    #expect(Timestamp.fromEpoch(99_999_999_999, format: .automatic) == 99_999_999_999_000_000)
    #expect(Timestamp.fromEpoch(100_000_000_000, format: .automatic) == 100_000_000_000_000)
    #expect(Timestamp.fromEpoch(-1, format: .automatic) == -1_000_000)
    #expect(Timestamp.fromEpoch(double: 1_514_809_800.25, format: .automatic) == 1_514_809_800_250_000)
    #expect(Timestamp.fromEpoch(5, format: .milliseconds) == 5_000)
    #expect(Timestamp.fromEpoch(5, format: .rfc3339) == nil)
    #expect(Timestamp.fromEpoch(Int64.min, format: .seconds) == nil)
    #expect(Timestamp.fromEpoch(Int64.min, format: .automatic) == nil)
    #expect(Timestamp.fromEpoch(double: .nan, format: .automatic) == nil)
    #expect(Timestamp.fromEpoch(double: 1e300, format: .seconds) == nil)
  }

  @Test func writingUsesTheFewestDigits() {
    #expect(Timestamp.format(0) == "1970-01-01T00:00:00Z")
    #expect(Timestamp.format(250_000) == "1970-01-01T00:00:00.250Z")
    #expect(Timestamp.format(250_001) == "1970-01-01T00:00:00.250001Z")
    #expect(Timestamp.format(250_000, alwaysMicroseconds: true) == "1970-01-01T00:00:00.250000Z")
    #expect(Timestamp.format(Int64.min) == "-290308-12-21T19:59:05.224192Z")
    #expect(Timestamp.format(-1) == "1969-12-31T23:59:59.999999Z")
    #expect(Timestamp.day(of: -1) == "1969-12-31")
    #expect(Timestamp.day(of: Timestamp.range.lowerBound) == "0001-01-01")
    #expect(Timestamp.day(of: Timestamp.range.upperBound) == "9999-12-31")
  }

  @Test func everyTimestampSurvivesTheRoundTrip() {
    var random = SeededRandom(seed: 7)
    for _ in 0..<20_000 {
      var timestamp = Int64.random(in: Timestamp.range, using: &random)
      if Bool.random(using: &random) { timestamp -= timestamp % 1_000_000 }
      let text = Timestamp.format(timestamp)
      #expect(Timestamp.parse(text) == timestamp, "\(text)")
      #expect(text.hasPrefix(Timestamp.day(of: timestamp)))
    }
  }

  @Test func everyDayOfFourCenturiesFollowsTheOneBefore() {
    var previous = CivilTime.date(ofDay: -150_000)
    for days in Int64(-149_999)...150_000 {
      let date = CivilTime.date(ofDay: days)
      #expect(CivilTime.day(of: date) == days)
      let parts = (date.year, date.month, date.day)
      let isNext =
        parts == (previous.year, previous.month, previous.day + 1) || parts == (previous.year, previous.month + 1, 1)
        || parts == (previous.year + 1, 1, 1)
      if !isNext { Issue.record("\(date) follows \(previous)") }
      previous = date
    }
  }
}
