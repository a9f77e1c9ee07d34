// Compressed files that change: written while they are read, with members appended, left out and listed again.

import Detection
import Foundation
import Pipeline
import TestKit
import Testing

@testable import Connectors

@Suite("Compressed files that change", .timeLimit(.minutes(15)))
struct FilesPackedFollowTests {
  private static let lines = (0..<2000).map { "line \($0) \(UInt64($0) &* 0x9e37_79b9_7f4a_7c15)\n" }

  private static func packed(_ text: String, _ tool: String, _ ending: String, _ folder: TestFolder) throws -> Data {
    try folder.write("to-pack", text)
    try pack(folder, "to-pack", with: tool, keep: false)
    defer { try? FileManager.default.removeItem(atPath: folder / "to-pack.\(ending)") }
    return try #require(FileManager.default.contents(atPath: folder / "to-pack.\(ending)"))
  }

  private static func append(_ data: Data, to path: String) throws {
    let handle = try #require(FileHandle(forWritingAtPath: path))
    try handle.seekToEnd()
    try handle.write(contentsOf: data)
    try handle.close()
  }

  @Test("a compressed file that was left out is read once it is listed again")
  func leftOut() async throws {
    let folder = try TestFolder()
    for name in ["a", "b"] { try folder.write(name, Self.lines.map { name + $0 }.joined()) }
    for name in ["a", "b"] { try pack(folder, name, with: "gzip", keep: false) }
    let (a, b) = (folder / "a.gz", folder / "b.gz")
    let first = try await read(FileSource(paths: [a, b], batchRows: 500), batches: 1)
    let second = try await read(FileSource(paths: [a]), from: first.points.last?.0)
    #expect(second.items.count == 1500)
    let third = try await read(FileSource(paths: [a, b]), from: second.points.last?.0)
    #expect(third.items.count == 2000 && third.texts.first == "bline 0 0")
  }

  @Test(
    "a followed file that is still being compressed is waited for, to its last unfinished line",
    arguments: FilesCompressedTests.tools, [12, 1000, -1])
  func inTheMaking(tool: (String, String), cut: Int) async throws {
    let folder = try TestFolder()
    let text = Self.lines.joined() + "the end"
    let data = try Self.packed(text, tool.0, tool.1, folder)
    let length = cut > 0 ? cut : data.count + cut
    let path = try folder.write("log.\(tool.1)", data.prefix(length))
    let source = FileSource(paths: [path], follow: true, idleTimeout: .seconds(25))
    async let reading = read(source, items: 2001)
    // Time to be waiting for the rest; without it the test shows less and does not fail.
    try await Task.sleep(for: .milliseconds(300))
    try Self.append(data.suffix(from: length), to: path)
    let texts = try await reading.texts
    source.stop()
    #expect(texts.count == 2001 && texts.last == "the end")
  }

  @Test("damage in a followed file is an error, also where it was waited for", arguments: FilesCompressedTests.tools)
  func damage(tool: String, ending: String) async throws {
    let folder = try TestFolder()
    let data = try Self.packed(Self.lines.joined(), tool, ending, folder)
    let path = try folder.write("log.\(ending)", data.prefix(100))
    let source = FileSource(paths: [path], follow: true, idleTimeout: .seconds(25))
    async let error = failure(of: source)
    try await Task.sleep(for: .milliseconds(100))
    try Self.append(Data((0..<data.count).map { UInt8(truncatingIfNeeded: $0 &* 151) }), to: path)
    #expect(try await error.description.contains("and damaged"))
  }

  @Test("a member that is appended is read, at a restart and live", arguments: FilesCompressedTests.tools)
  func appended(tool: String, ending: String) async throws {
    let folder = try TestFolder()
    let path = try folder.write("day.\(ending)", try Self.packed("1\n2\n", tool, ending, folder))
    let other = try folder.write("other", "x\n")
    let end = try await read(FileSource(paths: [path])).points.last?.0
    let later = try await read(FileSource(paths: [path, other])).points.last?.0
    let source = FileSource(
      paths: [path], follow: true, idleTimeout: .seconds(25), rotationGrace: .milliseconds(20))
    let live = try await read(source, items: 2)
    async let reading = readOn(source, stored: live.points[0].0.stateEntries, items: 1)
    try await Task.sleep(for: .milliseconds(100))
    try Self.append(try Self.packed("3\n", tool, ending, folder), to: path)
    let rest = try await reading
    source.stop()
    #expect(rest.texts == ["3"] && rest.items[0].position == Position(segment: 1, offset: 4, row: 2))
    #expect(try await read(FileSource(paths: [path]), from: rest.points.last?.0).texts.isEmpty)
    let resumed = try await read(FileSource(paths: [path]), from: end)
    #expect(resumed.texts == ["3"] && resumed.items[0].position == Position(segment: 0, offset: 4, row: 2))
    #expect(try await read(FileSource(paths: [path]), from: resumed.points.last?.0).texts.isEmpty)
    // Of an earlier file it is read on purpose only, as of a plain one.
    let refused = try await failure(of: FileSource(paths: [path, other]), from: later)
    #expect(refused.description.contains("had 4 bytes"), "\(refused)")
    #expect(try await read(FileSource(paths: [path, other], acceptsGaps: true), from: later).texts == ["3"])
  }

  #if os(Linux)
    @Test("compressed files that were read are not kept open")
    func closed() async throws {
      let folder = try TestFolder()
      for number in 0..<8 {
        try folder.write("\(number)", try Self.packed("\(number)\n", "zstd", "zst", folder))
      }
      let last = try folder.write("9", "9\n")
      let paths = (0..<8).map { folder / "\($0)" } + [last]
      let source = FileSource(paths: paths, follow: true)
      #expect(try await read(source, items: 9).items.count == 9)
      let descriptors = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")
      let open = descriptors.compactMap {
        try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")
      }
      #expect(open.filter { $0.hasPrefix(folder.path + "/") } == [last])
      source.stop()
    }
  #endif
}
