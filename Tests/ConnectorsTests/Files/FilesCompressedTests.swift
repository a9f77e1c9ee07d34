// Compressed files are read as if they were not: the same records at the same positions, resumed anywhere.

import Detection
import Foundation
import Pipeline
import TestKit
import Testing

@testable import Connectors

@Suite("Compressed files", .timeLimit(.minutes(15)))
struct FilesCompressedTests {
  static let tools = [("gzip", "gz"), ("zstd", "zst"), ("bzip2", "bz2")]

  /// Lines that do not compress to nothing.
  private static let lines = (0..<3000).map { "line \($0) \(UInt64($0) &* 0x9e37_79b9_7f4a_7c15)\n" }

  @Test("read and resumed like the plain file, behind every batch", arguments: tools)
  func likePlain(tool: String, ending: String) async throws {
    let folder = try TestFolder()
    let plain = try folder.write("a.ndjson", Self.lines.joined())
    try pack(folder, "a.ndjson", with: tool)
    let packed = plain + "." + ending
    let expected = try await read(FileSource(paths: [plain], batchRows: 500))
    let found = try await read(FileSource(paths: [packed], batchRows: 500))
    #expect(found.items == expected.items && found.points.count == 6)
    for (point, count) in found.points {
      let rest = try await read(FileSource(paths: [packed], batchRows: 700), from: point)
      #expect(rest.items == Array(expected.items[count...]))
    }
    // What was begun in the plain file goes on in its compressed copy, and the other way round.
    try FileManager.default.removeItem(atPath: plain)
    for (point, count) in expected.points.dropLast() {
      #expect(try await read(FileSource(paths: [packed]), from: point).items == Array(expected.items[count...]))
    }
    try FileManager.default.removeItem(atPath: packed)
    try folder.write("a.ndjson", Self.lines.joined())
    for (point, count) in found.points.dropLast() {
      #expect(try await read(FileSource(paths: [plain]), from: point).items == Array(expected.items[count...]))
    }
  }

  @Test("CSV with its header, by the name inside", arguments: tools)
  func csv(tool: String, ending: String) async throws {
    let folder = try TestFolder()
    try folder.write("a.tsv", "a\tb\n1\t\"x\ny\"\n2\tz\n")
    try pack(folder, "a.tsv", with: tool)
    let whole = try await read(FileSource(paths: [folder / "a.tsv.\(ending)"], batchRows: 1))
    #expect(whole.texts == ["1\t\"x\ny\"", "2\tz"] && whole.headers == [["a", "b"]])
    let rest = try await read(FileSource(paths: [folder / "a.tsv.\(ending)"]), from: whole.points[0].0)
    #expect(rest.items == Array(whole.items[1...]) && rest.headers == [["a", "b"]])
  }

  @Test("several members one behind another, an empty one among them", arguments: tools)
  func members(tool: String, ending: String) async throws {
    let folder = try TestFolder()
    var data = Data()
    for (index, text) in ["1\n2", "", "3\n", Self.lines.joined()].enumerated() {
      try folder.write("\(index)", text)
      try pack(folder, "\(index)", with: tool)
      data += try #require(FileManager.default.contents(atPath: folder / "\(index).\(ending)"))
    }
    let path = try folder.write("all.\(ending)", data)
    #expect(try await read(FileSource(paths: [path])).texts.prefix(3) == ["1", "23", "line 0 0"])
    #expect(try await read(FileSource(paths: [path])).items.count == 3002)
    // Zeroes behind the last one are padding to gzip; anything else is no member.
    let padded = try folder.write("padded.\(ending)", data + Data(count: 1024))
    if tool == "gzip" { #expect(try await read(FileSource(paths: [padded])).items.count == 3002) }
    let garbage = try folder.write("garbage.\(ending)", data + Data("garbage".utf8))
    let error = try await failure(of: FileSource(paths: [garbage]))
    #expect(error.kind == .input && error.description.contains("and damaged"), "\(error)")
  }

  @Test("a truncated or damaged file is an error, and what lies before is handed over", arguments: tools)
  func broken(tool: String, ending: String) async throws {
    let folder = try TestFolder()
    try folder.write("a", Self.lines.joined())
    try pack(folder, "a", with: tool)
    let data = try #require(FileManager.default.contents(atPath: folder / "a.\(ending)"))
    for length in [5, 12, data.count / 2, data.count - 1] {
      let path = try folder.write("cut.\(ending)", data.prefix(length))
      let source = FileSource(paths: [path])
      var records = 0
      let error = await #expect(throws: OperatingError.self) {
        try await source.open(resumingAt: [:])
        while case .batch(let batch) = try await source.next() { records += batch.count }
      }
      #expect(error?.kind == .input && error?.description.contains("cut.\(ending)") == true, "\(length)")
      #expect(error?.description.contains("and not whole") == true, "\(length)")
      // The last byte is of the checksum, behind all of the contents.
      #expect(records < 3000 || length == data.count - 1)
    }
    var damaged = data
    for index in damaged.count / 2..<damaged.count / 2 + 20 { damaged[index] ^= 0x5A }
    let path = try folder.write("damaged.\(ending)", damaged)
    let error = try await failure(of: FileSource(paths: [path]))
    #expect(error.kind == .input && error.description.contains("and damaged"), "\(error)")
  }

  @Test("what does not end in an extension is told by its bytes, and xz is refused with what to do")
  func told() async throws {
    let folder = try TestFolder()
    try folder.write("a", "1\n")
    try pack(folder, "a", with: "gzip")
    try folder.rename("a.gz", to: "plainly")
    #expect(try await read(FileSource(paths: [folder / "plainly"])).texts == ["1"])
    let empty = try folder.write("empty.gz", "")
    #expect(try await read(FileSource(paths: [empty])).texts.isEmpty)
    let xz = try folder.write("b.xz", Data([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00]))
    let error = try await failure(of: FileSource(paths: [xz]))
    #expect(error.description.contains("xz") && error.description.contains("xzcat"))
  }

  @Test("a compressed copy beside what it is a copy of is passed over, also in a first run", arguments: tools)
  func copies(tool: String, ending: String) async throws {
    let folder = try TestFolder()
    for day in 1...3 {
      try folder.write("day-\(day)", Self.lines.map { "\(day) \($0)" }.joined())
      try pack(folder, "day-\(day)", with: tool)
    }
    let notices = Notices()
    let found = try await read(FileSource(paths: [folder / "day-*"], notice: { notices.add($0) }))
    #expect(found.items.count == 9000)
    #expect(notices.all.count == 3 && notices.all.allSatisfy { $0.contains("passed over") })
    // On the next day the plain ones are gone, and there is one more.
    for day in 1...3 { try FileManager.default.removeItem(atPath: folder / "day-\(day)") }
    try folder.write("day-4", "4\n")
    let point = found.points.last?.0
    #expect(try await read(FileSource(paths: [folder / "day-*"]), from: point).texts == ["4"])
  }

  @Test("a sample for a first look is decompressed, and is of whole lines", arguments: tools)
  func sample(tool: String, ending: String) async throws {
    let folder = try TestFolder()
    let text = "at,n\n" + Self.lines.joined()
    try folder.write("day.csv", text)
    try pack(folder, "day.csv", with: tool)
    let path = folder / "day.csv.\(ending)"
    let whole = try FileSample(of: path, upTo: 1 << 20)
    #expect(whole.format == .csv && whole.bytes == Array(text.utf8) && FileSample.stem(of: path) == "day")
    let part = try FileSample(of: path, upTo: 1000).bytes
    #expect(part.last == 0x0A && text.utf8.starts(with: part) && (960...1000).contains(part.count))
    // What a file holds that is not whole is a sample as well; a file without a line is none.
    let data = try #require(FileManager.default.contents(atPath: path))
    #expect(!(try FileSample(of: folder.write("cut.csv.\(ending)", data.dropLast()), upTo: 1 << 20).bytes.isEmpty))
    let cut = try folder.write("none.csv.\(ending)", data.prefix(8))
    let error = #expect(throws: OperatingError.self) { try FileSample(of: cut, upTo: 1000) }
    #expect(error?.description.contains("not whole") == true)
  }

  @Test("a bomb goes past in bounded pieces")
  func bomb() async throws {
    let folder = try TestFolder()
    try folder.write("bomb", "1\n")
    try #require(truncate(folder / "bomb", 256 << 20) == 0)
    try folder.append("bomb", "\n2\n")
    try pack(folder, "bomb", with: "zstd", keep: false)
    let found = try await read(FileSource(paths: [folder / "bomb.zst"]))
    #expect(found.texts == ["1", "", "2"] && found.items[1].letter?.length == (256 << 20) - 2)
  }
}
