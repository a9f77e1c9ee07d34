// Tables on terminals of different widths.

import Testing

@testable import struct pulse.TextTable

@Suite("Tables")
struct TextTableTests {
  private var table: TextTable {
    var table = TextTable([("time", .whole), ("detector", .left), ("score", .right), ("reason", .left)])
    table.add(["2024-03-01T05:12:39.598272Z", "spill", "1.00", String(repeating: "why ", count: 20)])
    table.add(["2024-03-01T05:12:40Z", String(repeating: "d", count: 1_000_000), "12.50", "because"])
    return table
  }

  @Test(
    "a row that does not fit in one line fills the next ones, and times stay whole", arguments: [20, 40, 80, 120, 200])
  func widths(_ width: Int) {
    let lines = table.text(width: width).split(separator: "\n")
    #expect(lines.count == 3)
    #expect(lines[1].contains("2024-03-01T05:12:39.598272Z"))
    let rows = lines.map(\.count).max() ?? 0
    // The least: 27 for the time, 16 and 40 for what can give way, 5 for the score, and blanks.
    #expect(rows <= max(width, (96 / width + 1) * width))
    #expect(rows > 90)
    #expect(lines[2].contains("ddd…"))
  }

  @Test("without a terminal cells are as long as is sensible; control characters are shown, not sent")
  func unlimited() {
    var table = table
    table.add(["a\u{1B}[2J", "b\nc", "1", String(repeating: "e\u{301}", count: 1000)])
    table.add(["", "a" + String(repeating: "\u{301}", count: 1_000_000), "1", ""])
    let lines = table.text(width: nil).split(separator: "\n")
    #expect(lines.count == 5)
    #expect(lines[2].contains(String(repeating: "d", count: 99) + "…"))
    #expect(lines[3].contains("a\\u{1b}[2J") && lines[3].contains("b\\u{a}c"))
    #expect(lines.allSatisfy { $0.unicodeScalars.count < 1200 })
  }
}
