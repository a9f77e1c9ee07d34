// Rotations that a run meets half done, too late or beside other things: nothing is read twice, and nothing is lost.

import Detection
import Foundation
import Pipeline
import TestKit
import Testing

@testable import Connectors

@Suite("Rotations at bad moments", .timeLimit(.minutes(15)))
struct FilesRotationTests {
  /// Lines that do not compress to nothing.
  private static let lines = (0..<2000).map { "line \($0) \(UInt64($0) &* 0x9e37_79b9_7f4a_7c15)" }
  private static let text = lines.map { $0 + "\n" }.joined()

  private static func packed(_ name: String, _ folder: TestFolder) throws -> Data {
    try pack(folder, name, with: "gzip")
    defer { try? FileManager.default.removeItem(atPath: folder / "\(name).gz") }
    return try #require(FileManager.default.contents(atPath: folder / "\(name).gz"))
  }

  private static func append(_ data: Data, to path: String) throws {
    let handle = try #require(FileHandle(forWritingAtPath: path))
    try handle.seekToEnd()
    try handle.write(contentsOf: data)
    try handle.close()
  }

  private static func source(_ path: String, _ notices: Notices = Notices()) -> FileSource {
    // Longer than tests that compute keep the threads from the one that writes.
    FileSource(
      paths: [path], follow: true, idleTimeout: .seconds(25), rotationGrace: .milliseconds(100),
      notice: { notices.add($0) })
  }

  @Test(
    "a rotated file that is still being compressed is not read again", arguments: ["app.log", "app.log*"], [12, 9000])
  func beingCompressed(pattern: String, cut: Int) async throws {
    let folder = try TestFolder()
    let path = try folder.write("app.log", Self.text)
    let source = Self.source(folder / pattern)
    let first = try await read(source, items: 2000)
    async let reading = readOn(source)
    let data = try Self.packed("app.log", folder)
    try folder.rename("app.log", to: "app.log.1")
    let packed = try folder.write("app.log.1.gz", data.prefix(cut))
    try folder.write("app.log", "new 1\n")
    for piece in 1...4 {
      // A tool that packs takes its time: the source looks in between.
      try await Task.sleep(for: .milliseconds(200))
      let end = piece == 4 ? data.count : cut + piece * 100
      try Self.append(data[(piece == 1 ? cut : cut + (piece - 1) * 100)..<end], to: packed)
    }
    try FileManager.default.removeItem(atPath: folder / "app.log.1")
    try folder.append("app.log", "new 2\n")
    let rest = try await reading
    #expect(first.items.count == 2000 && rest.texts == ["new 1", "new 2"])
    #expect(try FileStatus.of(path) != nil)
  }

  @Test("nor is it at a restart, nor a plain copy in progress", arguments: [true, false])
  func restartAmidCopy(isCompressed: Bool) async throws {
    let folder = try TestFolder()
    try folder.write("app.log.1", Self.text)
    try folder.write("app.log", "x\n")
    let end = try await read(Self.source(folder / "app.log*")).points.last?.0
    let data = isCompressed ? try Self.packed("app.log.1", folder) : Data(Self.text.utf8)
    let copy = try folder.write("app.log.1" + (isCompressed ? ".gz" : ".9"), data.prefix(9000))
    let following = Self.source(folder / "app.log*")
    async let reading = read(following, from: end)
    for piece in 0..<3 {
      // Copied bit by bit: the source looks in between.
      try await Task.sleep(for: .milliseconds(300))
      try Self.append(data[(9000 + piece * 200)..<(piece == 2 ? data.count : 9200 + piece * 200)], to: copy)
    }
    #expect(try await reading.items.isEmpty)
    // Not followed, one that is not whole is refused before a record of it is read again.
    guard isCompressed else { return }
    try folder.write("app.log.1.gz", data.prefix(9000))
    let source = FileSource(paths: [folder / "app.log*"])
    var records = 0
    let error = await #expect(throws: OperatingError.self) {
      try await source.open(resumingAt: end.map { [PartitionID(source: source.name, number: 0): $0] } ?? [:])
      while case .batch(let batch) = try await source.next() { records += batch.count }
    }
    #expect(records == 0 && error?.description.contains("not whole") == true)
  }

  @Test("a followed file that is rotated before its turn is read", arguments: [false, true])
  func beforeItsTurn(isCompressed: Bool) async throws {
    let folder = try TestFolder()
    let a = try folder.write("a", Self.text)
    let b = try folder.write("b", "b1\n")
    let source = FileSource(
      paths: [a, b], follow: true, idleTimeout: .seconds(1), batchRows: 1000, rotationGrace: .milliseconds(50))
    let first = try await read(source, batches: 1)
    try folder.append("b", "b2\n")
    try folder.rename("b", to: "b.1")
    if isCompressed { try pack(folder, "b.1", with: "gzip", keep: false) }
    try folder.write("b", "b3\n")
    let rest = try await readOn(source, stored: first.points[0].0.stateEntries)
    #expect(rest.texts.suffix(4) == [Self.lines.last, "b1", "b2", "b3"])
  }

  @Test("rotations behind a file that was compressed while the run was down are read")
  func compressedWhileDown() async throws {
    let folder = try TestFolder()
    let path = try folder.write("app.log", Self.text)
    let point = try await read(Self.source(path)).points.last?.0
    try folder.append("app.log", "more\n")
    try folder.rename("app.log", to: "app.log.2")
    try pack(folder, "app.log.2", with: "gzip", keep: false)
    try folder.write("app.log.1", "2\n")
    // Times of change tell which one is newer.
    try await Task.sleep(for: .milliseconds(20))
    try folder.write("app.log", "3\n")
    let rest = try await read(Self.source(path), from: point)
    #expect(rest.texts == ["more", "2", "3"])
    for (point, count) in rest.points {
      #expect(try await read(Self.source(path), from: point).texts == Array(rest.texts[count...]))
    }
  }

  @Test("what a file got after it was left is read at a restart as it is live", arguments: [false, true])
  func lateLineWhileDown(isRotated: Bool) async throws {
    let folder = try TestFolder()
    try folder.write(isRotated ? "log" : "log-1", "1\n")
    let pattern = folder / (isRotated ? "log" : "log-*")
    let source = Self.source(pattern)
    let first = try await read(source, items: 1)
    if isRotated { try folder.rename("log", to: "log.1") }
    try folder.write(isRotated ? "log" : "log-2", "2\n")
    let second = try await readOn(source, stored: first.points[0].0.stateEntries, items: 1)
    #expect(second.texts == ["2"])
    source.stop()
    try folder.append(isRotated ? "log.1" : "log-1", "late\n")
    let rest = try await read(Self.source(pattern), from: second.points[0].0)
    #expect(rest.texts == ["late"])
    let after = try #require(rest.points.last?.0)
    #expect(try await read(Self.source(pattern), from: after).items.isEmpty)
  }

  @Test(
    "a file that was rotated before anything of it was stored is found", arguments: ["gzip", "copytruncate"], [2, 2000])
  func beforeFirstCheckpoint(how: String, count: Int) async throws {
    let folder = try TestFolder()
    let path = try folder.write("log", Self.lines.prefix(count).map { $0 + "\n" }.joined())
    let source = Self.source(path)
    let partition = PartitionID(source: source.name, number: 0)
    try await source.open(resumingAt: [:])
    var point = ResumePoint(
      position: .start, sourceState: source.checkpointState(of: partition, at: .start), stateEntries: [:])
    for put in source.takeStateChanges(of: partition, at: .start).puts { point.stateEntries[put.key] = put.value }
    source.stop()
    if how == "gzip" {
      try folder.rename("log", to: "log.1")
      try pack(folder, "log.1", with: "gzip", keep: false)
    } else {
      try FileManager.default.copyItem(atPath: path, toPath: folder / "log.1")
      try #require(truncate(path, 0) == 0)
    }
    try folder.write("log", "new\n")
    let rest = try await read(Self.source(path), from: point)
    #expect(rest.texts == Self.lines.prefix(count) + ["new"])
  }

  @Test("files beside the followed one that cannot be read are said once and passed over", arguments: ["log", "log*"])
  func oddFiles(pattern: String) async throws {
    let folder = try TestFolder()
    try folder.write("log", "1\n")
    let notices = Notices()
    let source = Self.source(folder / pattern, notices)
    let first = try await read(source, items: 1)
    async let reading = readOn(source, stored: first.points[0].0.stateEntries)
    try folder.write("log.3.xz", Data([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00]))
    try folder.write("log.4", Data([0xFF, 0xFE, 0x31, 0x00, 0x0A, 0x00]))
    let garbage = Data((0..<300).map { UInt8(truncatingIfNeeded: $0 &* 151) })
    try folder.write("log.5.gz", Data([0x1F, 0x8B, 0x08, 0, 0, 0, 0, 0, 0, 3]) + garbage)
    try folder.rename("log", to: "log.1")
    try folder.write("log", "2\n")
    // Several looks: each odd file is to be said once.
    try await Task.sleep(for: .milliseconds(700))
    try folder.append("log", "3\n")
    #expect(try await reading.texts == ["2", "3"])
    for name in ["log.3.xz", "log.4", "log.5.gz"] {
      #expect(notices.all.count { $0.contains("\(name) is passed over") } == 1, "\(name)")
    }
  }
}
