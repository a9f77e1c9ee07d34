// Holes: zeroes that a file has where its writer crashed. The hole is one dead letter, and what follows it is read,
// whatever the pieces, the batches and the places where a run resumed.

import Crypto
import Detection
import Foundation
import Pipeline
import TestKit
import Testing

@testable import Connectors

@Suite("Holes in files")
struct FilesHoleTests {
  private static func zeroes(_ count: Int) -> String { String(repeating: "\0", count: count) }

  /// What is read of `text`: records as they are, letters by reason and length.
  private static func outline(_ items: [Item]) -> [String] {
    items.map { item in item.letter.map { "\($0.reason.rawValue) \($0.length)" } ?? item.text }
  }

  /// Reads `text` in batches of one and of many, with a resume behind every record, and says what every way gives.
  private func read(_ text: String, as name: String = "a.ndjson", limit: Int = 4096) async throws -> [String] {
    let folder = try TestFolder()
    let path = try folder.write(name, text)
    let whole = try await ConnectorsTests.read(FileSource(paths: [path], maxEventBytes: limit))
    let single = try await ConnectorsTests.read(FileSource(paths: [path], batchRows: 1, maxEventBytes: limit))
    #expect(whole.items == single.items)
    for (point, count) in single.points {
      let rest = try await ConnectorsTests.read(FileSource(paths: [path], maxEventBytes: limit), from: point)
      #expect(rest.items == Array(whole.items[count...]), "resumed behind \(count)")
    }
    for item in whole.items {
      guard let letter = item.letter else { continue }
      let bytes = Data(text.utf8)[Int(item.position.offset)...].prefix(letter.length)
      #expect(letter.raw == Array(bytes.prefix(Limits.oversizedExcerptBytes)))
      if let hash = letter.sha256 { #expect(hash == Array(SHA256.hash(data: bytes))) }
      #expect(letter.sha256 != nil || letter.raw.count == letter.length)
    }
    return Self.outline(whole.items)
  }

  @Test("a hole before a line is one letter with its length, and the line is read", arguments: [1, 300, 5000, 2 << 20])
  func beforeLine(length: Int) async throws {
    let hole = Self.zeroes(length)
    let letter = "malformed \(length)"
    #expect(try await read("{1}\n\(hole){2}\n{3}\n") == ["{1}", letter, "{2}", "{3}"])
    // At the beginning, at the end with and without a line end, and alone.
    #expect(try await read("\(hole){1}\n") == [letter, "{1}"])
    #expect(try await read("{1}\n\(hole)") == ["{1}", letter])
    #expect(try await read("{1}\n\(hole)\n{2}\n") == ["{1}", letter, "{2}"])
    #expect(try await read("{1}\r\n\(hole)\r\n{2}\r\n") == ["{1}", letter, "{2}"])
    #expect(try await read("{1}\n\(hole){2}\n\(hole){3}") == ["{1}", letter, "{2}", letter, "{3}"])
    #expect(try await read(hole) == [letter])
  }

  @Test("a record that breaks off in a hole is one letter with it", arguments: [16, 300, 2 << 20])
  func withinLine(length: Int) async throws {
    let hole = Self.zeroes(length)
    let letter = length + 5 > 4096 ? "too_large \(length + 5)" : "malformed \(length + 5)"
    #expect(try await read("{1}\n{\"a\":\(hole){2}\n{3}\n") == ["{1}", letter, "{2}", "{3}"])
  }

  @Test("a zero or two within a value leave the record whole")
  func shortRuns() async throws {
    #expect(try await read("{\"a\":\"\0\0\"}\n{2}\n") == ["{\"a\":\"\0\0\"}", "{2}"])
    #expect(try await read("a,b\n\0\0,1\n2,3\n", as: "a.csv") == ["\0\0,1", "2,3"])
  }

  @Test("holes in CSV, before the header and within a quoted cell too", arguments: [300, 5000, 2 << 20])
  func csv(length: Int) async throws {
    let hole = Self.zeroes(length)
    let letter = "malformed \(length)"
    #expect(try await read("a,b\n1,2\n\(hole)3,4\n5,6\n", as: "a.csv") == ["1,2", letter, "3,4", "5,6"])
    #expect(try await read("\(hole)a,b\n1,2\n", as: "a.csv") == [letter, "1,2"])
    #expect(try await read("a,b\n1,2\n\(hole)", as: "a.csv") == ["1,2", letter])
    let torn = length + 4 > 4096 ? "too_large \(length + 4)" : "malformed \(length + 4)"
    #expect(try await read("a,b\n1,2\n3,\"x\(hole)5,6\n7,8\n", as: "a.csv") == ["1,2", torn, "5,6", "7,8"])
    // The quote is never closed: it costs its line, as without a hole.
    #expect(
      try await read("a,b\n1,2\n3,\"x\n\(hole)5,6\n7,8\n", as: "a.csv") == ["1,2", "3,\"x", letter, "5,6", "7,8"])
  }

  @Test("positions of what follows a hole, and rows by lines")
  func positions() async throws {
    let folder = try TestFolder()
    let path = try folder.write("a.ndjson", "{1}\n" + Self.zeroes(300) + "{2}\n{3}\n")
    let found = try await ConnectorsTests.read(FileSource(paths: [path]))
    #expect(found.items.map(\.position.offset) == [0, 4, 304, 308])
    #expect(found.items.map(\.position.row) == [0, 1, 1, 2])
    let letter = try #require(found.items[1].letter)
    #expect(letter.message.contains("300 bytes of zero") && letter.message.contains("byte 4 of \(path)"))
  }

  @Test("the same whatever the pieces in which the bytes come", arguments: [false, true])
  func pieces(isCSV: Bool) throws {
    var generator = SystemRandomNumberGenerator()
    let seed = UInt64.random(in: .min ... .max, using: &generator)
    var random = Seeded(state: seed)
    for _ in 0..<60 {
      var text = isCSV ? "a,b\n" : ""
      for _ in 0..<Int.random(in: 1...12, using: &random) {
        switch Int.random(in: 0..<6, using: &random) {
        case 0: text += Self.zeroes(Int.random(in: 1...60, using: &random))
        case 1: text += "torn" + Self.zeroes(Int.random(in: 1...60, using: &random))
        case 2: text += Self.zeroes(40) + "\r\n"
        case 3: text += String(repeating: "x", count: Int.random(in: 30...60, using: &random)) + "\n"
        case 4: text += isCSV ? "1,\"a\nb\"\n" : "\r\n"
        default: text += "1,2\n"
        }
      }
      let bytes = Array(text.utf8)
      let expected = try FilesCutterTests.cut(bytes, isCSV: isCSV, batchRows: 100, limit: 50, pieces: [1 << 20])
      for pieces in [[1], [3, 7], [17], [64, 1]] {
        let found = try FilesCutterTests.cut(bytes, isCSV: isCSV, batchRows: 1, limit: 50, pieces: pieces)
        #expect(found == expected, "seed \(seed), pieces \(pieces): \(text.debugDescription)")
      }
    }
  }

  @Test("a hole that still grows at the end of a followed file is one letter, once something follows")
  func growing() async throws {
    let folder = try TestFolder()
    let path = try folder.write("log", "1\n" + Self.zeroes(100))
    let found = try await FilesFollowTests.follow(path, items: 2) {
      for _ in 0..<3 {
        try await Task.sleep(for: .milliseconds(30))
        try folder.append("log", Self.zeroes(100))
      }
      try folder.append("log", "2\n")
    }
    #expect(Self.outline(found.items) == ["1", "malformed 400", "2"])
  }

  @Test("what follows a hole that ended a file is read when it comes")
  func grownBehind() async throws {
    let folder = try TestFolder()
    let path = try folder.write("a.ndjson", "1\n" + Self.zeroes(300))
    let first = try await ConnectorsTests.read(FileSource(paths: [path]))
    #expect(Self.outline(first.items) == ["1", "malformed 300"])
    try folder.append("a.ndjson", "2\n3\n")
    let rest = try await ConnectorsTests.read(FileSource(paths: [path]), from: first.points.last?.0)
    #expect(rest.texts == ["2", "3"])
  }
}

/// SplitMix64.
private struct Seeded: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}
