// The examples of docs/state.md, byte for byte: who decodes stored state by hand with that page gets what we do.

import Foundation
import Testing

@testable import Detection

@Suite("Stored state")
struct StoredStateTests {
  /// The bytes of an example, which must stand on the page.
  private static func example(_ hex: String) throws -> [UInt8] {
    let root = URL(fileURLWithPath: #filePath).pathComponents.dropLast(4).joined(separator: "/")
    let page = try String(contentsOfFile: String(root.dropFirst()) + "/docs/state.md", encoding: .utf8)
    try #require(page.contains("`\(hex)`"), "docs/state.md has no example \(hex)")
    return hex.split(separator: " ").compactMap { UInt8($0, radix: 16) }
  }

  private static func entry(_ key: String, _ value: [UInt8]) -> StateEntry {
    StateEntry(key: Array(key.utf8), value: value)
  }

  @Test("scalars")
  func scalars() throws {
    var reader = ByteReader(try Self.example("01 02"))
    #expect(try reader.readScalar() == .int(1))
    reader = ByteReader(try Self.example("04 02 75 31"))
    #expect(try reader.readScalar() == .string("u1"))
  }

  @Test("a window part, and a version that is not known")
  func window() throws {
    let window = windowTestDefinition(
      size: 60, aggregates: [windowTestCall(.sum, .value), windowTestCall(.min, .number)])
    var part = WindowPart(
      window: "test", start: 0, end: 60, by: [.int(1)], closed: true,
      state: try Self.example("01 03 01 03 00 02 03 04 00 00 00 00 00 00 29 40 08 01 0A"), events: 4)
    let result = try WindowResult.merge([part], of: window)
    #expect(result.values.map(\.scalar) == [.double(12.5), .int(5)])
    #expect(result.counts == [1, 3, 0])
    part.state[0] = 2
    let error = #expect(throws: CodingError.self) { try WindowResult.merge([part], of: window) }
    #expect(error?.description == "window state of version 2, expected 1")
  }

  @Test("the watermark, and a version that is not known")
  func watermark() throws {
    let watermark = Watermark(outOfOrder: 1_000_000, maxAhead: 1 << 40)
    try watermark.restore(from: [
      Self.entry("clock", try Self.example("05 01 00 80 A4 E8 03 00 08 08 00 00 FF 01 FF 01 00 00")),
      Self.entry("watermark", try Self.example("05 80 9B EE 02 00 00 00 00 00 00")),
    ])
    #expect(watermark.current == 3_000_000 && watermark.reached == 4_000_000 && watermark.takeChanges().isEmpty)
    try watermark.restore(from: [
      Self.entry("clock", try Self.example("04 01 00 80 A4 E8 03 00 08 08 00 00 FF 01 FF 01 00 00")),
      Self.entry("watermark", try Self.example("04 80 9B EE 02 00 00 00 00 00 00")),
    ])
    #expect(watermark.current == 3_000_000 && watermark.reached == 4_000_000)
    #expect(watermark.takeChanges().puts.map(\.value[0]) == [5, 5] && watermark.continues("watermark 4"))
    try watermark.restore(from: [
      Self.entry("clock", try Self.example("03 01 00 80 A4 E8 03 00 08 08 00 00 FF 01 FF 01 00 00")),
      Self.entry("watermark", try Self.example("03 80 9B EE 02 00 00 00 00 00")),
    ])
    #expect(watermark.current == 3_000_000 && watermark.reached == 4_000_000)
    let converted = watermark.takeChanges().puts
    #expect(converted.map { String(decoding: $0.key, as: UTF8.self) } == ["clock", "watermark"])
    #expect(converted.map(\.value[0]) == [5, 5] && watermark.continues("watermark 3"))
    let old = Watermark(outOfOrder: 1_000_000, maxAhead: 1 << 40)
    #expect(old.continues("watermark 1: out of order 1000000, ahead \(1 << 40), agreement 100"))
    #expect(!old.continues("watermark 1: out of order 1, ahead \(1 << 40), agreement 100"))
    for example in ["01 01 80 A4 E8 03 00", "02 01 80 A4 E8 03 80 9B EE 02 00 00"] {
      try old.restore(from: [Self.entry("watermark", try Self.example(example))])
      #expect(old.current == 3_000_000 && old.reached == 4_000_000)
      let written = old.takeChanges().puts
      #expect(written.map { String(decoding: $0.key, as: UTF8.self) } == ["clock", "watermark"])
      #expect(written.allSatisfy { $0.value[0] == 5 })
    }
    // A version 2 that waited for its hundredth event: fewer open a clock now.
    let unopened = try Self.example(
      "02 00 FF FF FF FF FF FF FF FF FF 01 FF FF FF FF FF FF FF FF FF 01 03 02 04 06 00")
    try old.restore(from: [Self.entry("watermark", unopened)])
    #expect(old.current == .min && old.reached == 2)
    var newer = try Self.example("05 80 9B EE 02 00 00 00 00 00 00")
    newer[0] = 6
    #expect(throws: CodingError.self) { try watermark.restore(from: [Self.entry("watermark", newer)]) }
  }

  @Test("a segment of a rule, and a version that is not known")
  func segment() throws {
    let rule = RuleDefinition(
      name: "r", severity: .low, per: [LocatedText("user")], within: 60, having: LocatedText("count(*) > 1"))
    let detector = try slidingPlan(rule).makeDetector()
    var value = try Self.example("01 05 00 00 00")
    try detector.restore(from: [StateEntry(key: [0, 0, 0, 0, 0, 0, 0, 1], value: value)])
    value[0] = 3
    #expect(throws: CodingError.self) {
      try detector.restore(from: [StateEntry(key: [0, 0, 0, 0, 0, 0, 0, 1], value: value)])
    }
  }

  @Test("open windows, and versions that are not known")
  func openWindows() throws {
    let window = windowTestDefinition(
      size: 60, aggregates: [windowTestCall(.sum, .value), windowTestCall(.min, .number)])
    var entries: [StateEntry] = [
      StateEntry(
        key: [0, 0, 0, 0, 0, 0, 0, 0],
        value: try Self.example("01 78 01 03 6B 65 79 01 78 FF FF FF FF FF FF FF FF FF 01 00")),
      StateEntry(
        key: [0, 0, 0, 0, 0, 0, 0, 1],
        value: try Self.example(
          "01 78 01 01 00 01 02 04 13 01 03 01 03 00 02 03 04 00 00 00 00 00 00 29 40 08 01 0A")),
    ]
    let windows = WindowOperator(window)
    try windows.restore(from: entries)
    let open = Array(windows.openWindows)
    #expect(open.map(\.part.start) == [60] && open.map(\.part.end) == [120] && open.map(\.part.by) == [[.int(1)]])
    #expect(open.first?.result.values.map(\.scalar) == [.double(12.5), .int(5)] && open.map(\.part.events) == [4])
    for (entry, what) in ["the head of open windows", "a segment of windows"].enumerated() {
      entries[entry].value[0] = 2
      let error = #expect(throws: CodingError.self) { try WindowOperator(window).restore(from: entries) }
      #expect(error?.description == "\(what) has version 2, expected 1")
      entries[entry].value[0] = 1
    }
  }
}
