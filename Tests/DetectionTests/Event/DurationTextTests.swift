// Durations: text that is one, text that is not, and the way there and back.

import Detection
import Testing

@Suite struct DurationTextTests {
  @Test(
    arguments: [
      ("10m", 600_000_000), ("1h30m", 5_400_000_000), ("500ms", 500_000), ("8d", 691_200_000_000), ("0s", 0), ("0", 0),
      ("1d2h3m4s5ms", 93_784_005_000),
    ] as [(String, Int64)])
  func reads(_ text: String, _ microseconds: Int64) {
    #expect(DurationText.parse(text) == microseconds)
    #expect(DurationText.parse(DurationText.format(microseconds)) == microseconds)
  }

  @Test func writesLargeUnitsFirst() {
    #expect(DurationText.format(90_000_000) == "1m30s")
    #expect(DurationText.format(86_400_000_000) == "1d")
    #expect(DurationText.format(1_060) == "1ms60us")
  }

  @Test(arguments: [
    "", "10", "m", "10x", "1.5h", "-1m", "1m1h", "1m1m", "1h 30m", "99999999999999999999d", "1000000d", "1M", "５m",
  ])
  func refuses(_ text: String) { #expect(DurationText.parse(text) == nil) }
}
