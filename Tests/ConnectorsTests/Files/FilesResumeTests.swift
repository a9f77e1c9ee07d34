// Resuming: at every record the rest is the same as in one go, and a list that is not the old one is refused.

import Detection
import Foundation
import Pipeline
import TestKit
import Testing

@testable import Connectors

@Suite("Resuming files", .timeLimit(.minutes(15)))
struct FilesResumeTests {
  @Test("resuming behind every record gives what one run gives", arguments: [1, 2, 3, 100])
  func everywhere(batchRows: Int) async throws {
    let folder = try TestFolder()
    var paths: [String] = []
    for file in 0..<3 {
      let lines = (0..<20).map {
        $0 % 4 == 0 ? "\r\n" : $0 == 7 ? String(repeating: "x", count: 50) + "\n" : "\(file) \($0)\n"
      }
      paths.append(try folder.write("\(file).ndjson", "\u{FEFF}" + lines.joined() + "the end"))
    }
    let whole = try await read(FileSource(paths: paths, batchRows: 1, maxEventBytes: 40))
    #expect(whole.items.count == 48 && whole.items.count { $0.letter != nil } == 3)
    for (point, count) in whole.points {
      let rest = try await read(FileSource(paths: paths, batchRows: batchRows, maxEventBytes: 40), from: point)
      #expect(rest.items == Array(whole.items[count...]))
    }
  }

  private static var manifest: FileManifest {
    var manifest = FileManifest()
    manifest.entries = [
      FileManifest.Entry(
        path: "/a",
        opened: .init(
          identity: FileIdentity(device: 1 << 40, inode: .max), beginning: FileBeginning(of: [1, 2, 3]), format: .csv),
        finalSize: 1 << 40, ending: FileEnding(end: 1 << 40, length: 3, sha256: [7, 8])),
      FileManifest.Entry(path: "/a", isRotation: true), FileManifest.Entry(path: "/ü"),
    ]
    return manifest
  }

  @Test("the manifest survives its encoding, and damage is refused")
  func manifestCoding() throws {
    var manifest = Self.manifest
    manifest.entries[0].opened?.packed = FileManifest.Packed(
      compression: .zstd, ending: FileEnding(end: 9, length: 9, sha256: [1]))
    manifest.entries[0].lastRecordEnd = 1 << 39
    manifest.entries[0].endRow = 77
    manifest.entries[1].standing = .gap
    manifest.add([
      FileManifest.Beside(
        identity: FileIdentity(device: 1, inode: 1 << 60), beginning: FileBeginning(of: [9]), size: 1)
    ])
    manifest.entries[2].start = FileManifest.Place(offset: 1 << 41, row: 5)
    let entries = Dictionary(uniqueKeysWithValues: manifest.changes(since: []).puts.map { ($0.key, $0.value) })
    #expect(entries.count == 4)
    #expect(try FileManifest(decoding: FileManifest.state, entries) == manifest)
    for (key, bytes) in entries {
      for length in 0..<bytes.count {
        var damaged = entries
        damaged[key] = Array(bytes[..<length])
        #expect(throws: OperatingError.self) { try FileManifest(decoding: FileManifest.state, damaged) }
      }
    }
    var missing = entries
    missing[[0, 0, 0, 1]] = nil
    #expect(throws: OperatingError.self) { try FileManifest(decoding: FileManifest.state, missing) }
    for state in [[], [7], FileManifest.state + [0]] as [[UInt8]] {
      #expect(throws: OperatingError.self) { try FileManifest(decoding: state, entries) }
    }
  }

  @Test("a manifest that was stored in one piece is read", arguments: [1, 2] as [UInt8])
  func manifestInOnePiece(version: UInt8) throws {
    var manifest = Self.manifest
    // Version 1 had no endings.
    if version == 1 { manifest.entries[0].ending = nil }
    let ending: [UInt8] = version == 1 ? [] : [1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40, 3, 2, 7, 8]
    let none: [UInt8] = version == 1 ? [] : [0]
    let stored: [UInt8] =
      [version, 3]  // version, files
      + [2, 0x2F, 0x61, 0, 1]  // "/a", not a rotation, opened
      + [0x80, 0x80, 0x80, 0x80, 0x80, 0x20] + [UInt8](repeating: 0xFF, count: 9) + [1]  // device and inode
      + [3, 32] + FileBeginning(of: [1, 2, 3]).sha256 + [3, 0x63, 0x73, 0x76]  // beginning, "csv"
      + [1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40] + ending  // final size
      + [2, 0x2F, 0x61, 1, 0, 0] + none + [3, 0x2F, 0xC3, 0xBC, 0, 0, 0] + none
    #expect(try FileManifest(decoding: stored, [:]) == manifest)
    for length in 0..<stored.count {
      #expect(throws: OperatingError.self) { try FileManifest(decoding: Array(stored[..<length]), [:]) }
    }
  }

  @Test("a checkpoint costs the files that changed, not the files there are")
  func manifestChanges() async throws {
    let folder = try TestFolder()
    let paths = try (0..<200).map { try folder.write("\($0).ndjson", "1\n2\n") }
    let source = FileSource(paths: paths, batchRows: 1)
    let partition = PartitionID(source: source.name, number: 0)
    try await source.open(resumingAt: [:])
    #expect(source.takeStateChanges(of: partition, at: .start).puts.count == 200)
    var entries: [[UInt8]: [UInt8]] = [:]
    for record in 0..<20 {
      guard case .batch(let batch) = try await source.next() else { throw CancellationError() }
      #expect(source.checkpointState(of: partition, at: batch.next).count == 1)
      let changes = source.takeStateChanges(of: partition, at: batch.next)
      // The first record of a file opens it and leaves the file before it.
      #expect(changes.deletes.isEmpty && changes.puts.count == (record > 0 && record % 2 == 0 ? 2 : 1))
      for put in changes.puts { entries[put.key] = put.value }
    }
    #expect(entries.count == 10)
    // A run that goes on has nothing to store anew.
    let whole = try await read(FileSource(paths: paths, batchRows: 1))
    let again = FileSource(paths: paths, batchRows: 1)
    let point = whole.points[20].0
    try await again.open(resumingAt: [partition: point])
    #expect(again.takeStateChanges(of: partition, at: point.position).isEmpty)
  }

  /// Numbered lines, some 20 KB of them: much more than the hash of the beginning covers.
  private static let lines = (0..<2000).map { "line \($0)\n" }

  @Test("a file replaced by one of the same size and beginning is refused, wherever it was left")
  func sameSizeAndBeginning() async throws {
    let folder = try TestFolder()
    let paths = try ["a", "b"].map { try folder.write($0, Self.lines.joined()) }
    let points = try await read(FileSource(paths: paths, batchRows: 500)).points.map(\.0)
    func refused(_ name: String, _ index: Int, _ point: ResumePoint) async throws {
      var changed = Self.lines
      changed[index] = changed[index].replacing("line", with: "LINE")
      try folder.write(name, changed.joined())
      let error = try await failure(of: FileSource(paths: paths), from: point)
      let expected = ["\(folder / name) is not the file", "before byte", "--reset"]
      #expect(error.kind == .input && expected.allSatisfy { error.description.contains($0) }, "\(error)")
      try folder.write(name, Self.lines.joined())
    }
    // Half of the first file is read; the first is left and half of the second read; both are at their end.
    try await refused("a", 990, points[1])
    try await refused("a", 1990, points[5])
    try await refused("b", 990, points[5])
    try await refused("b", 1999, points[7])
    for (index, point) in points.enumerated() {
      let rest = try await read(FileSource(paths: paths), from: point)
      #expect(rest.items.count == 4000 - 500 * (index + 1))
    }
    // What was not read yet may be anything.
    var other = Self.lines
    other[1500] = "another line\n"
    try folder.write("b", other.joined())
    #expect(try await read(FileSource(paths: paths), from: points[5]).texts.contains("another line"))
  }

  @Test("a manifest of version 1, without endings, still resumes; a newer version is refused")
  func versions() async throws {
    let folder = try TestFolder()
    let path = try folder.write("a", Self.lines.joined())
    let point = try #require(try await read(FileSource(paths: [path], batchRows: 500)).points.first?.0)
    let opened = try #require(try FileManifest(decoding: point.sourceState, point.stateEntries).entries[0].opened)
    var writer = ByteWriter()
    writer.write(byte: 1)
    writer.write(unsigned: 1)
    writer.write(string: path)
    writer.write(bool: false)
    writer.write(bool: true)
    writer.write(unsigned: opened.identity.device)
    writer.write(unsigned: opened.identity.inode)
    writer.write(unsigned: UInt64(opened.beginning.length))
    writer.write(blob: opened.beginning.sha256)
    writer.write(string: opened.format.rawValue)
    writer.write(bool: false)
    let old = ResumePoint(position: point.position, sourceState: writer.bytes)
    let rest = try await read(FileSource(paths: [path]), from: old)
    #expect(rest.items.count == 1500)
    let next = rest.points[0].0
    #expect(try FileManifest(decoding: next.sourceState, next.stateEntries).entries[0].ending?.length == 4096)
    let newer = ResumePoint(position: point.position, sourceState: [7] + writer.bytes.dropFirst())
    let error = try await failure(of: FileSource(paths: [path]), from: newer)
    #expect(error.description.contains("its version is 7, expected 1 to 6"), "\(error)")
  }

  @Test("a grown last file and a longer list go on; rows stay those of one run")
  func extended() async throws {
    let folder = try TestFolder()
    let a = try folder.write("a.ndjson", "1\n2")
    let first = try await read(FileSource(paths: [a]))
    let point = try #require(first.points.last?.0)
    try folder.append("a.ndjson", "\n3\n")
    let b = try folder.write("b.ndjson", "4\n")
    let second = try await read(FileSource(paths: [a, b]), from: point)
    let whole = try await read(FileSource(paths: [a, b]))
    #expect(first.items + second.items == whole.items)
    #expect(whole.texts == ["1", "2", "3", "4"])
  }

  @Test(
    "a last line that was read unfinished and has grown: its rest is a dead letter, never a record",
    arguments: ["ndjson", "csv"], [1, 100])
  func restOfLine(format: String, batchRows: Int) async throws {
    let folder = try TestFolder()
    let path = try folder.write("a." + format, "a,b\n1,2\n3,4")
    let first = try await read(FileSource(paths: [path]))
    #expect(first.texts.suffix(2) == ["1,2", "3,4"])
    let end = try #require(first.points.last?.0)
    try folder.append("a." + format, "5\r\n6,7\n")
    let second = try await read(FileSource(paths: [path], batchRows: batchRows), from: end)
    #expect(second.texts == ["", "6,7"])
    let letter = try #require(second.items[0].letter)
    #expect(letter.position == Position(segment: 0, offset: 11, row: 2))
    #expect(letter.reason == .malformed && letter.raw == Array("5".utf8) && letter.sha256 == nil)
    #expect(letter.message.contains("line end at byte 11 of \(path)"), "\(letter.message)")
    #expect(second.items[1].position == Position(segment: 0, offset: 14, row: 3))
    // Ended within the same line again: what came is a letter too, and the next run has the rest of that.
    let torn = try folder.write("a." + format, "a,b\n1,2\n3,45")
    let third = try await read(FileSource(paths: [torn]), from: end)
    #expect(third.items.map(\.letter?.raw) == [Array("5".utf8)])
    try folder.append("a." + format, "6\n7,8\n")
    let fourth = try await read(FileSource(paths: [torn]), from: third.points.last?.0)
    #expect(fourth.items.map(\.letter?.raw) == [Array("6".utf8), nil] && fourth.texts[1] == "7,8")
  }

  @Test("white space behind a JSON value that ended an input is no letter, and what follows is read")
  func blankRestOfLine() async throws {
    let folder = try TestFolder()
    let path = try folder.write("a.ndjson", "1\n2")
    let end = try await read(FileSource(paths: [path])).points.last?.0
    try folder.append("a.ndjson", " \t\r\n3\n")
    let rest = try await read(FileSource(paths: [path]), from: end)
    #expect(rest.texts == ["3"] && rest.items[0].position == Position(segment: 0, offset: 7, row: 2))
  }

  @Test("a changed list is refused and says how")
  func changed() async throws {
    let folder = try TestFolder()
    let paths = try ["a", "b", "c"].map { try folder.write($0, "\($0)1\n\($0)2\n\($0)3\n") }
    let points = try await read(FileSource(paths: paths, batchRows: 1)).points.map(\.0)
    let inB = points[4]
    func expect(
      _ paths: [String], _ texts: String..., sourceLocation: Testing.SourceLocation = #_sourceLocation
    ) async throws {
      let error = try await failure(of: FileSource(paths: paths), from: inB)
      #expect(error.kind == .input, sourceLocation: sourceLocation)
      for text in texts + ["--reset"] {
        #expect(error.description.contains(text), "\(error)", sourceLocation: sourceLocation)
      }
    }
    try await expect([paths[0], paths[2]], "\(paths[1]) was read to byte 6", "does not name it any more")
    try folder.rename("a", to: "a-moved")
    try await expect(paths, "\(paths[0]) was read before and is not there")
    try folder.write("a", "other")
    try await expect(paths, "\(paths[0]) is not the file")
    try folder.write("a", "a1\na2\na3\na4\n")
    try await expect(paths, "had 9 bytes", "now it has 12")
    try folder.write("a", "a1\na2\na3\n")
    #expect(try await read(FileSource(paths: paths), from: inB).items.count == 4)
    try folder.rename("b", to: "b-moved")
    try await expect(paths, "\(paths[1]) was read to byte 6 and is not there")
    try folder.write("b", "b1\nxx\nb3\n")
    try await expect(paths, "\(paths[1]) is not the file")
    try FileManager.default.removeItem(atPath: paths[1])
    try folder.rename("b-moved", to: "b")
    try #require(truncate(paths[1], 3) == 0)
    // Shorter than its beginning: the hash cannot match, whichever is noticed first.
    try await expect(paths, paths[1])
  }

  @Test("a list goes on in the order in which it is stored: what is new comes behind, what was read may be gone")
  func otherLists() async throws {
    let folder = try TestFolder()
    let paths = try ["a", "b", "c"].map { try folder.write($0, "\($0)1\n\($0)2\n\($0)3\n") }
    let new = try ["d", "e"].map { try folder.write($0, "\($0)1\n") }
    let points = try await read(FileSource(paths: paths, batchRows: 1)).points.map(\.0)
    let (inB, end) = (points[4], points[8])
    func rest(_ paths: [String], from point: ResumePoint) async throws -> [String] {
      try await read(FileSource(paths: paths), from: point).texts
    }
    // The order of what was listed is on record.
    #expect(try await rest([paths[1], paths[0], paths[2]], from: inB) == ["b3", "c1", "c2", "c3"])
    #expect(try await rest([new[0]] + paths, from: inB) == ["b3", "c1", "c2", "c3", "d1"])
    // What was not read and is not named any more is left out, and said.
    let notices = Notices()
    let source = FileSource(paths: Array(paths[..<2]), notice: { notices.add($0) })
    #expect(try await read(source, from: inB).texts == ["b3"])
    #expect(notices.all.count == 1 && notices.all[0].contains("\(paths[2]) was listed and not read"))
    // A list of other files goes on behind those that were read.
    let next = try await read(FileSource(paths: new), from: end)
    #expect(next.texts == ["d1", "e1"] && next.items.map(\.position.segment) == [3, 4])
    for path in paths { try FileManager.default.removeItem(atPath: path) }
    #expect(try await rest(new, from: end) == ["d1", "e1"])
    #expect(try await rest([new[1]], from: next.points[0].0) == ["e1"])
    let gone = try await failure(of: FileSource(paths: paths + new), from: end)
    #expect(gone.description.contains("is not there any more"), "\(gone)")
  }

  @Test("a file that was read and has another name is not read again")
  func renamed() async throws {
    let folder = try TestFolder()
    try folder.write("a", Self.lines.joined())
    let end = try #require(try await read(FileSource(paths: [folder / "a"])).points.last?.0)
    try folder.rename("a", to: "old")
    try folder.write("new", "1\n")
    #expect(try await read(FileSource(paths: [folder / "*"]), from: end).texts == ["1"])
    // Nor is a copy of it, whole or in the making.
    let notices = Notices()
    try FileManager.default.copyItem(atPath: folder / "old", toPath: folder / "copy")
    try folder.write("half", Self.lines[..<1000].joined())
    let rest = try await read(
      FileSource(paths: [folder / "*"], notice: { notices.add($0) }), from: end)
    #expect(rest.texts == ["1"])
    #expect(notices.all.contains { $0.contains("copy holds what was read as") && $0.contains("passed over") })
    #expect(notices.all.contains { $0.contains("half holds a part of what was read") })
  }

  @Test("a truncated or rewritten file is refused, or accepted on purpose and on record")
  func gaps() async throws {
    let folder = try TestFolder()
    let path = try folder.write("a", Self.lines.joined())
    let point = try #require(try await read(FileSource(paths: [path], batchRows: 1500)).points.first?.0)
    func accepting() -> FileSource { FileSource(paths: [path], acceptsGaps: true) }
    // Cut off and written on: it is read from its beginning, for what is new of it cannot be told.
    try #require(truncate(path, 8000) == 0)
    let refused = try await failure(of: FileSource(paths: [path]), from: point)
    #expect(refused.description.contains("was truncated") && refused.description.contains("--accept-gap"))
    try folder.append("a", "\nnew\n")
    let cut = accepting()
    let gaps = try await cut.open(resumingAt: [PartitionID(source: cut.name, number: 0): point])
    let rest = try await readOn(cut, stored: point.stateEntries)
    #expect(rest.texts.last == "new" && rest.texts.first == "line 0")
    #expect(rest.items.last?.position.segment == 1)
    #expect(gaps.count == 1 && gaps[0].description.contains("was read to byte \(point.position.offset)"))
    // Accepted once, it is not asked again.
    let after = try #require(rest.points.last?.0)
    try folder.append("a", "more\n")
    #expect(try await read(FileSource(paths: [path]), from: after).texts == ["more"])
    // Another file at the path is read from its beginning; nothing was given up where nothing is missing.
    try folder.write("a", "x\ny\n")
    #expect(try await read(accepting(), from: point).texts == ["x", "y"])
    try FileManager.default.removeItem(atPath: path)
    try folder.write("b", "1\n")
    let missing = try await failure(of: FileSource(paths: [folder / "b"]), from: point)
    #expect(missing.description.contains("is not there any more") && missing.description.contains("--accept-gap"))
    #expect(try await read(FileSource(paths: [folder / "b"], acceptsGaps: true), from: point).texts == ["1"])
    try folder.write("a", Self.lines.joined())
    let whole = accepting()
    #expect(try await whole.open(resumingAt: [PartitionID(source: whole.name, number: 0): point]).isEmpty)
    #expect(try await readOn(whole, stored: point.stateEntries).items.count == 500)
  }

  @Test("what a file got after it was left is read behind the others, on purpose")
  func grownAfterwards() async throws {
    let folder = try TestFolder()
    let paths = try ["a", "b"].map { try folder.write($0, "\($0)1\n\($0)2\n") }
    let end = try #require(try await read(FileSource(paths: paths)).points.last?.0)
    try folder.append("a", "a3\n")
    _ = try await failure(of: FileSource(paths: paths), from: end)
    let rest = try await read(FileSource(paths: paths, acceptsGaps: true), from: end)
    #expect(rest.texts == ["a3"] && rest.items[0].position == Position(segment: 2, offset: 6, row: 2))
    #expect(try await read(FileSource(paths: paths), from: rest.points.last?.0).texts.isEmpty)
  }

  @Test("a file that shrank behind its beginning is refused")
  func shrunk() async throws {
    let folder = try TestFolder()
    let path = try folder.write("a", (0..<2000).map { "line \($0)\n" }.joined())
    let point = try #require(try await read(FileSource(paths: [path])).points.last?.0)
    try #require(truncate(path, 8000) == 0)
    let error = try await failure(of: FileSource(paths: [path]), from: point)
    #expect(error.description.contains("truncated") && error.description.contains("8000"))
  }

  @Test("the format may not change between runs")
  func format() async throws {
    let folder = try TestFolder()
    let path = try folder.write("a.txt", "a\n1\n2\n")
    let point = try #require(try await read(FileSource(paths: [path], batchRows: 1)).points.first?.0)
    let error = try await failure(of: FileSource(paths: [path], format: .csv), from: point)
    #expect(error.description.contains("was read as NDJSON"))
  }

  @Test("positions behind 4 GiB")
  func largeOffsets() async throws {
    let folder = try TestFolder()
    let path = try folder.write("large", "first\n")
    let offset: Int64 = 5 << 30
    try #require(truncate(path, off_t(offset)) == 0)
    try folder.append("large", "\nsecond\nthird\n")
    let opened = try await read(FileSource(paths: [path], batchRows: 1), batches: 1).points[0].0
    let point = ResumePoint(
      position: Position(segment: 0, offset: offset + 1, row: 2), sourceState: opened.sourceState,
      stateEntries: opened.stateEntries)
    let rest = try await read(FileSource(paths: [path]), from: point)
    #expect(rest.texts == ["second", "third"])
    #expect(rest.items[1].position == Position(segment: 0, offset: offset + 8, row: 3))
  }

  @Test(
    "a bounded run goes on behind a followed one that went on in rotated files",
    arguments: FilesFamiliesTests.Way.allCases)
  func boundedBehindFollowed(way: FilesFamiliesTests.Way) async throws {
    let folder = try TestFolder()
    var writer = FilesFamiliesTests.Writer(folder: folder)
    let paths = [folder / "a.log", folder / "b.log"]
    for name in ["a.log", "b.log"] { try writer.append(name, 15) }
    let source = FilesFamiliesTests.source(paths, idle: .seconds(60))
    let first = try await read(source, items: 30)
    for _ in 0..<2 {
      try writer.append("a.log", 5)
      try writer.rotate("a.log", way)
      if access(folder / "a.log", F_OK) != 0 { try folder.write("a.log", "") }
    }
    let second = try await readOn(source, stored: first.points.last?.0.stateEntries ?? [:], items: 10)
    source.stop()
    let third = try await read(FileSource(paths: paths), from: second.points.last?.0)
    try writer.append("a.log", 5)
    let fourth = try await read(FileSource(paths: paths), from: third.points.last?.0 ?? second.points.last?.0)
    let found = FilesFamiliesTests.numbers(first.texts + second.texts + third.texts + fourth.texts)
    #expect(found == Array(0..<45))
  }
}
