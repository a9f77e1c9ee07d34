// Tables on terminals of different widths.

import Testing

@testable import pulse

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

  @Test(
    "wide characters take two columns",
    arguments: [
      ("", 0), ("abc", 3), ("né", 2), ("e\u{301}", 1), ("漢字", 4), ("한국", 4), ("\u{1112}\u{1161}\u{11AB}", 2),
      ("カナ", 4), ("ｶﾅ", 2), ("Ａ１", 4), ("「」", 4), ("😀", 2), ("👩‍👩‍👧", 2), ("🇯🇵", 2), ("❤", 1), ("❤\u{FE0F}", 2),
      ("→…", 2), ("𠀀", 2), ("Ж", 1),
    ])
  func columns(_ text: String, _ expected: Int) { #expect(text.columns == expected) }

  @Test("columns of a table stay aligned under wide characters, and what is cut does not go beyond its limit")
  func wideCells() {
    var table = TextTable([("name", .left), ("count", .right), ("note", .left)])
    table.add(["漢字", "1", "x"])
    table.add(["abcde", "22", "漢"])
    #expect(
      table.text(width: nil) == """
          name   count  note
          漢字       1  x
          abcde     22  漢
        """)
    #expect(TextTable.cut("漢字漢字", to: 8) == "漢字漢字")
    #expect(TextTable.cut("漢字漢字", to: 7) == "漢字漢…")
    #expect(TextTable.cut("漢字漢字", to: 6) == "漢字…")
  }
}
