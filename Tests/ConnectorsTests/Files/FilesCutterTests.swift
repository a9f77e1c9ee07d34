// Cutting bytes into records: the same whatever the pieces, the batches and the places where a run resumed.

import Crypto
import Detection
import Foundation
import Pipeline
import TestKit
import Testing

@testable import Connectors

@Suite("Cutting records")
struct FilesCutterTests {
  static let partition = PartitionID(source: "test", number: 0)

  static func options(isCSV: Bool, batchRows: Int, limit: Int) -> RecordCutter.Options {
    RecordCutter.Options(
      partition: partition, segment: 3, path: "input", isCSV: isCSV, batchRows: batchRows, maxEventBytes: limit)
  }

  /// Cuts `bytes`, which arrive in pieces of the given sizes (repeated), and resumes behind every `resume`-th batch.
  static func cut(
    _ bytes: [UInt8], isCSV: Bool, batchRows: Int, limit: Int, pieces: [Int], resumeAfter: Int = .max
  ) throws -> [Item] {
    var options = options(isCSV: isCSV, batchRows: batchRows, limit: limit)
    var cutter = RecordCutter(options, offset: 0, row: 0, isInLine: false)
    var items: [Item] = []
    var (piece, batches) = (0, 0)
    var isAtEnd = false
    while true {
      let isFull = try cutter.cut(isFinal: isAtEnd)
      if isFull || isAtEnd {
        guard let batch = cutter.takeBatch() else { return items }
        items += batch.items
        batches += 1
        if batches % resumeAfter == 0 {
          options.header = cutter.header
          let next = batch.next
          let isInLine = next.offset > 0 && bytes[Int(next.offset) - 1] != 0x0A
          cutter = RecordCutter(options, offset: next.offset, row: next.row, isInLine: isInLine)
          isAtEnd = false
        }
        continue
      }
      let offset = Int(cutter.readOffset)
      let size = min(pieces[piece % pieces.count], bytes.count - offset)
      piece += 1
      let count = cutter.fill { space in
        space.copyBytes(from: bytes[offset..<offset + size])
        return size
      }
      isAtEnd = count == 0
    }
  }

  /// The specification for lines, written the slow way.
  static func lines(_ bytes: [UInt8], limit: Int) -> [Item] {
    var items: [Item] = []
    var start = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
    var row: Int64 = 0
    while start < bytes.count {
      let end = bytes[start...].firstIndex(of: 0x0A)
      var content = bytes[start..<(end ?? bytes.count)]
      if end != nil, content.last == 0x0D { content.removeLast() }
      let position = Position(segment: 3, offset: Int64(start), row: row)
      if content.count > limit {
        let raw = Array(content.prefix(Limits.oversizedExcerptBytes))
        let letter = DeadLetter(
          position: position, stage: .read, reason: .tooLarge,
          message: "the record has \(content.count) bytes, expected at most \(limit); "
            + "it begins at byte \(start) of input",
          raw: raw, length: content.count, sha256: Array(SHA256.hash(data: content)))
        items.append(Item(position: position, text: "", letter: letter))
      } else if !content.allSatisfy({ [0x20, 0x09, 0x0D].contains($0) }) {
        items.append(Item(position: position, text: String(decoding: content, as: UTF8.self)))
      }
      row += 1
      start = (end ?? bytes.count) + 1
    }
    return items
  }

  static func randomText(_ alphabet: String, length: Int, _ random: inout SeededRandom) -> [UInt8] {
    let letters = Array(alphabet.utf8)
    var bytes: [UInt8] = Bool.random(using: &random) ? [0xEF, 0xBB, 0xBF] : []
    for _ in 0..<length { bytes.append(letters[Int.random(in: 0..<letters.count, using: &random)]) }
    return bytes
  }

  @Test("lines are the same as the specification, whatever the pieces, batches and resumptions", arguments: 0..<300)
  func linesMatch(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let bytes = Self.randomText("abc{} \r\r\n\n", length: Int.random(in: 0...400, using: &random), &random)
    let limit = Int.random(in: 1...12, using: &random)
    let expected = Self.lines(bytes, limit: limit)
    for _ in 0..<8 {
      let pieces = (0..<7).map { _ in Int.random(in: 1...40, using: &random) }
      let found = try Self.cut(
        bytes, isCSV: false, batchRows: Int.random(in: 1...9, using: &random), limit: limit, pieces: pieces,
        resumeAfter: Int.random(in: 1...4, using: &random))
      #expect(found == expected)
    }
  }

  @Test("CSV records are the same whatever the pieces, batches and resumptions", arguments: 0..<300)
  func csvIsStable(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let text = Self.randomText("ab,,\"\"\"\r\n\n\n", length: Int.random(in: 0...300, using: &random), &random)
    let bytes = Array("name,b\n".utf8) + text
    let limit = Int.random(in: 8...40, using: &random)
    let expected = try Self.cut(bytes, isCSV: true, batchRows: 65_536, limit: limit, pieces: [1 << 20])
    for _ in 0..<8 {
      let pieces = (0..<5).map { _ in Int.random(in: 1...60, using: &random) }
      let found = try Self.cut(
        bytes, isCSV: true, batchRows: Int.random(in: 1...9, using: &random), limit: limit, pieces: pieces,
        resumeAfter: Int.random(in: 1...4, using: &random))
      #expect(found == expected)
    }
    // Nothing is lost: every byte that is no line end or blank lies in a record.
    let kept = expected.reduce(0) { $0 + ($1.letter?.length ?? $1.text.utf8.count) }
    let ends = bytes.count { $0 == 0x0A || $0 == 0x0D } + 6
    #expect(kept >= bytes.count - ends - 6)
  }

  @Test("quoted line ends belong to the record; rows are lines")
  func quotedLineEnds() throws {
    let csv = "a,b\r\n1,\"x\ny \"\"z\"\"\r\nw\"\r\n\r\n2,v\n3,\"\"\n"
    let items = try Self.cut(Array(csv.utf8), isCSV: true, batchRows: 100, limit: 1000, pieces: [3])
    #expect(items.map(\.text) == ["1,\"x\ny \"\"z\"\"\r\nw\"", "2,v", "3,\"\""])
    #expect(items.map(\.position.row) == [1, 5, 6])
    #expect(items.map(\.position.offset) == [5, 25, 29])
  }

  @Test("a quote that is never closed costs its line, not the file")
  func strayQuote() throws {
    let csv = "a,b\n1,\"x\n2,y\n3,z\n"
    let items = try Self.cut(Array(csv.utf8), isCSV: true, batchRows: 100, limit: 1000, pieces: [4])
    #expect(items.map(\.text) == ["1,\"x", "2,y", "3,z"])
    let long = "a,b\n1,\"x\n" + (0..<50).map { "\($0),y\n" }.joined()
    #expect(try Self.cut(Array(long.utf8), isCSV: true, batchRows: 7, limit: 20, pieces: [9]).count == 51)
  }

  @Test("a batch closes at its bytes as well as at its rows")
  func batchBytes() throws {
    var options = Self.options(isCSV: false, batchRows: 1000, limit: 100)
    options.maxBatchBytes = 50
    let cutter = RecordCutter(options, offset: 0, row: 0, isInLine: false)
    let bytes = Array(String(repeating: "0123456789012345678\n", count: 10).utf8)
    _ = cutter.fill { space in
      space.copyBytes(from: bytes)
      return bytes.count
    }
    #expect(try cutter.cut(isFinal: false))
    let batch = try #require(cutter.takeBatch())
    #expect(batch.count == 3)
    guard case .json(let records) = batch.payload else { throw CancellationError() }
    #expect(records.bytes.suffix(Limits.bytePadding).allSatisfy { $0 == 0 })
    #expect(batch.next == Position(segment: 3, offset: 60, row: 3))
  }
}
