// Following a file that grows, is rotated by renaming, or is truncated; across restarts too.

import Detection
import Foundation
import Pipeline
import TestKit
import Testing

@testable import Connectors

@Suite("Following files", .timeLimit(.minutes(15)))
struct FilesFollowTests {
  static let idle = Duration.milliseconds(200)

  static func source(_ path: String, batchRows: Int = 100) -> FileSource {
    FileSource(paths: [path], follow: true, idleTimeout: idle, batchRows: batchRows)
  }

  /// Follows a file without a time-out: reads its first record, lets `actions` happen while it waits, and stops it
  /// after `items` more.
  static func follow(
    _ path: String, items: Int, rotationGrace: Duration = .milliseconds(250),
    _ actions: () async throws -> Void
  ) async throws -> Reading {
    let source = FileSource(paths: [path], follow: true, rotationGrace: rotationGrace)
    let first = try await read(source, batches: 1)
    #expect(first.texts == ["1"])
    async let reading = readOn(source, items: items)
    try await actions()
    let rest = try await reading
    source.stop()
    guard case .end = try await source.next() else { throw CancellationError() }
    return Reading(
      items: first.items + rest.items, points: first.points + rest.points.map { ($0.0, $0.items + 1) },
      headers: rest.headers)
  }

  @Test("new lines come as they are finished; the last unfinished one waits")
  func growth() async throws {
    let folder = try TestFolder()
    let path = try folder.write("log", "1\n2")
    let found = try await Self.follow(path, items: 2) {
      try await Task.sleep(for: .milliseconds(50))
      try folder.append("log", "2\n3\n4")
    }
    #expect(found.texts == ["1", "22", "3"])
    #expect(found.points.last?.0.position == Position(segment: 0, offset: 7, row: 3))
    let rest = try await read(FileSource(paths: [path]), from: found.points.last?.0)
    #expect(rest.texts == ["4"])
  }

  @Test("quiet ends a source that has a time-out")
  func idleTimeout() async throws {
    let folder = try TestFolder()
    let path = try folder.write("log", "1\n2")
    let start = ContinuousClock.now
    #expect(try await read(Self.source(path)).texts == ["1"])
    #expect(ContinuousClock.now - start >= Self.idle)
  }

  @Test("it says that it waits once all that there is was read, and not while there is more")
  func waitsForMore() async throws {
    let folder = try TestFolder()
    let path = try folder.write("log", "1\n2\n")
    let source = FileSource(paths: [path], follow: true, batchRows: 1)
    #expect(!source.waitsForMore)
    #expect(try await read(source, batches: 1).texts == ["1"])
    #expect(!source.waitsForMore, "the second record was not read yet")
    let second = try await readOn(source, batches: 1)
    #expect(second.texts == ["2"])
    async let third = readOn(source, batches: 1)
    #expect(try await source.comesToWait())
    try folder.append("log", "3\n")
    let found = try await third
    #expect(found.texts == ["3"] && !source.waitsForMore)
    source.stop()
    // A run that goes on there has read everything before anything comes.
    let again = FileSource(paths: [path], follow: true)
    async let nothing = read(again, from: found.points.last?.0)
    #expect(try await again.comesToWait())
    again.stop()
    #expect(try await nothing.items.isEmpty)
    let unfollowed = FileSource(paths: [path])
    #expect(try await read(unfollowed).texts == ["1", "2", "3"] && !unfollowed.waitsForMore)
  }

  @Test("stop() wakes a source that waits")
  func stopping() async throws {
    let folder = try TestFolder()
    let path = try folder.write("log", "1\n")
    let source = FileSource(paths: [path], follow: true)
    #expect(try await read(source, batches: 1).texts == ["1"])
    async let rest = readOn(source)
    try await Task.sleep(for: .milliseconds(50))
    source.stop()
    #expect(try await rest.items.isEmpty)
  }

  @Test("a rotated file is read to its end, then the new one")
  func rotation() async throws {
    let folder = try TestFolder()
    let path = try folder.write("log", "1\n")
    let found = try await Self.follow(path, items: 3, rotationGrace: .seconds(2)) {
      try folder.rename("log", to: "log.1")
      try folder.append("log.1", "2\nunfinished")
      try folder.write("log", "3\n")
      try await Task.sleep(for: .milliseconds(50))
      // The writer still has the old one open.
      try folder.append("log.1", " no more\n")
    }
    #expect(found.texts == ["1", "2", "unfinished no more", "3"])
    #expect(found.items.last?.position == Position(segment: 1, offset: 0, row: 0))
    // Every resume point still leads to the same, although the first file has another name now.
    try folder.append("log", "4\n")
    for (point, count) in found.points {
      let rest = try await read(Self.source(path), from: point)
      #expect(rest.texts == Array((found.texts + ["4"])[count...]))
      #expect(rest.items.dropLast() == found.items[count...])
    }
  }

  @Test("the unfinished last line of a rotated file is a record")
  func unfinishedLine() async throws {
    let folder = try TestFolder()
    let path = try folder.write("log", "1\n2")
    let found = try await Self.follow(path, items: 2) {
      try folder.rename("log", to: "log.1")
      try folder.write("log", "3\n")
    }
    #expect(found.texts == ["1", "2", "3"])
  }

  @Test("truncation is an error; what was read before stays", arguments: [false, true])
  func truncation(regrown: Bool) async throws {
    let folder = try TestFolder()
    let path = try folder.write("log", "line 1\nline 2\n")
    let source = Self.source(path)
    try await source.open(resumingAt: [:])
    guard case .batch(let batch) = try await source.next() else { throw CancellationError() }
    #expect(batch.count == 2)
    try #require(truncate(path, 0) == 0)
    if regrown { try folder.append("log", "other lines that are longer than before\n") }
    let error = await #expect(throws: OperatingError.self) { _ = try await source.next() }
    #expect(error?.kind == .input && error?.description.contains("was truncated") == true)
  }

  @Test("a rotation while nobody looked is found by inode and beginning")
  func rotationWhileDown() async throws {
    let folder = try TestFolder()
    let path = try folder.write("log", "1\n2\n")
    let point = try #require(try await read(Self.source(path, batchRows: 1)).points.first?.0)
    try folder.append("log", "3\n")
    try folder.rename("log", to: "log-20250101")
    try folder.write("log", "4\n")
    let rest = try await read(Self.source(path), from: point)
    #expect(rest.texts == ["2", "3", "4"])
    #expect(rest.items.map(\.position.segment) == [0, 0, 1])
    // Not followed, the same is a replaced file.
    let error = try await failure(of: FileSource(paths: [path]), from: point)
    #expect(error.description.contains("is not the file"))
    try FileManager.default.removeItem(atPath: folder / "log-20250101")
    let lost = try await failure(of: Self.source(path), from: point)
    #expect(lost.description.contains("would be lost") && lost.description.contains("--reset"))
  }

  @Test("several rotations while nobody looked are read in their order")
  func severalRotations() async throws {
    let folder = try TestFolder()
    let path = try folder.write("log", "0\n")
    try folder.rename("log", to: "log.9")
    try await Task.sleep(for: .milliseconds(20))
    try folder.write("log", "1\n")
    let point = try #require(try await read(Self.source(path)).points.last?.0)
    for next in 2...4 {
      try await Task.sleep(for: .milliseconds(20))
      for old in stride(from: 3, through: 1, by: -1) where access(folder / "log.\(old)", F_OK) == 0 {
        try folder.rename("log.\(old)", to: "log.\(old + 1)")
      }
      try folder.rename("log", to: "log.1")
      try folder.write("log", "\(next)\n")
    }
    try folder.write("log.bak", "no log\n")
    let rest = try await read(Self.source(path), from: point)
    #expect(rest.texts == ["2", "3", "4"])
    #expect(rest.items.map(\.position.segment) == [1, 2, 3])
    let again = try await read(Self.source(path), from: rest.points[0].0)
    #expect(again.items == Array(rest.items[1...]))
    // Those that are compressed by then are read as well.
    try pack(folder, "log.2", with: "gzip", keep: false)
    try pack(folder, "log.1", with: "bzip2", keep: false)
    #expect(try await read(Self.source(path), from: point).texts == ["2", "3", "4"])
  }

  @Test("a file that is missing during a rotation is waited for")
  func missing() async throws {
    let folder = try TestFolder()
    let path = try folder.write("log", "1\n")
    let point = try #require(try await read(Self.source(path)).points.last?.0)
    try folder.rename("log", to: "log.1")
    let source = FileSource(paths: [path], follow: true)
    async let reading = read(source, from: point, items: 1)
    try await Task.sleep(for: .milliseconds(100))
    try folder.write("log", "2\n")
    #expect(try await reading.texts == ["2"])
  }

  @Test("the unfinished line of any file of a list waits; a copied file is the same file")
  func listAndCopy() async throws {
    let folder = try TestFolder()
    let a = try folder.write("a", "1\n2")
    let b = try folder.write("b", "3\n")
    func source() -> FileSource { FileSource(paths: [a, b], follow: true, idleTimeout: .milliseconds(100)) }
    let found = try await read(source())
    #expect(found.texts == ["1", "3"])
    try FileManager.default.copyItem(atPath: b, toPath: folder / "copy")
    try folder.rename("copy", to: "b")
    try folder.append("b", "4\n")
    let rest = try await read(source(), from: found.points.last?.0)
    #expect(rest.texts == ["4"])
    try folder.append("a", "2\n")
    #expect(try await read(source(), from: rest.points.last?.0).texts == ["22"])
  }

  @Test("CSV is followed, its header waited for")
  func csv() async throws {
    let folder = try TestFolder()
    let path = try folder.write("log.csv", "")
    let source = FileSource(paths: [path], follow: true)
    async let reading = read(source, items: 2)
    for piece in ["a,", "b\n1,\"x\n", "y\"\n2,z\n"] {
      try await Task.sleep(for: .milliseconds(30))
      try folder.append("log.csv", piece)
    }
    let found = try await reading
    #expect(found.texts == ["1,\"x\ny\"", "2,z"])
    #expect(found.headers == [["a", "b"]])
  }

  @Test("a followed file that is replaced by a grown copy of itself is read on", arguments: [10, 2000])
  func replacedByCopy(lines: Int) async throws {
    let folder = try TestFolder()
    let text = (1...lines).map { "\($0)\n" }.joined()
    let path = try folder.write("log", text)
    let source = FileSource(paths: [path], follow: true, rotationGrace: .milliseconds(20))
    let first = try await read(source, items: lines)
    async let reading = readOn(source, items: 3)
    for round in 1...3 {
      try await Task.sleep(for: .milliseconds(100))
      try folder.write("log.tmp", text + (1...round).map { "new \($0)\n" }.joined())
      try folder.rename("log.tmp", to: "log")
    }
    let rest = try await reading
    source.stop()
    #expect(first.items.count == lines && rest.texts == ["new 1", "new 2", "new 3"])
    #expect(rest.items.allSatisfy { $0.position.segment == 0 })
    // With a restart in between it is the same.
    #expect(try await read(Self.source(path), from: first.points.last?.0).items == rest.items)
  }

  @Test("a file that is copied and truncated is read to its end in the copy, then on", arguments: [false, true])
  func copyTruncate(compressed: Bool) async throws {
    let folder = try TestFolder()
    let path = try folder.write("log", "1\n")
    let found = try await Self.follow(path, items: 3) {
      // All at once, so that the line that only the copy has was not read before.
      try folder.append("log", "2\n")
      try FileManager.default.copyItem(atPath: path, toPath: folder / "log.1")
      if compressed { try pack(folder, "log.1", with: "gzip", keep: false) }
      try #require(truncate(path, 0) == 0)
      try folder.append("log", "3\n")
      try await Task.sleep(for: .milliseconds(300))
      try folder.append("log", "4\n")
    }
    #expect(found.texts == ["1", "2", "3", "4"])
    try folder.append("log", "5\n")
    for (point, count) in found.points {
      #expect(try await read(Self.source(path), from: point).texts == Array((found.texts + ["5"])[count...]))
    }
  }

  @Test("files that appear under a pattern are read; compressed copies of what was read are passed over")
  func pattern() async throws {
    let folder = try TestFolder()
    try folder.write("app-1.log", "1\n")
    let notices = Notices()
    let source = FileSource(
      paths: [folder / "app-*"], follow: true, rotationGrace: .milliseconds(20), notice: { notices.add($0) })
    var found = try await read(source, items: 1)
    var texts = found.texts
    func expect(_ change: () throws -> Void) async throws {
      try change()
      found = try await readOn(source, stored: found.points.last?.0.stateEntries ?? [:], items: 1)
      texts += found.texts
    }
    try await expect { try folder.append("app-1.log", "2\n") }
    try await expect { try folder.write("app-2.log", "3\n") }
    try pack(folder, "app-1.log", with: "gzip", keep: false)
    let stored = found.points.last?.0.stateEntries ?? [:]
    async let reading = readOn(source, stored: stored, items: 1)
    try await notices.wait(for: "app-1.log.gz holds")
    try folder.append("app-2.log", "4\n")
    found = try await reading
    texts += found.texts
    // Compressed, and never seen before.
    try folder.write("other", "5\n")
    try pack(folder, "other", with: "zstd", keep: false)
    try await expect { try folder.rename("other.zst", to: "app-3.log.zst") }
    try await expect { try folder.write("app-4.log", "6\n") }
    source.stop()
    #expect(texts == ["1", "2", "3", "4", "5", "6"])
    #expect(notices.all.count { $0.contains("app-1.log.gz holds what was read as \(folder / "app-1.log")") } == 1)
    let again = try await read(
      FileSource(paths: [folder / "app-*"], follow: true, idleTimeout: Self.idle), from: found.points.last?.0)
    #expect(again.items.isEmpty)
  }

  @Test("a rotation under a pattern that matches the rotated file too")
  func rotatedUnderPattern() async throws {
    let folder = try TestFolder()
    try folder.write("log", "1\n")
    let source = FileSource(paths: [folder / "log*"], follow: true, rotationGrace: .milliseconds(50))
    let first = try await read(source, items: 1)
    async let reading = readOn(source, items: 2)
    for number in 2...3 {
      try await Task.sleep(for: .milliseconds(400))
      if number == 3 { try folder.rename("log.1", to: "log.2") }
      try folder.rename("log", to: "log.1")
      try folder.write("log", "\(number)\n")
    }
    let rest = try await reading
    source.stop()
    #expect(first.texts + rest.texts == ["1", "2", "3"])
    for point in first.points + rest.points {
      let again = try await read(
        FileSource(paths: [folder / "log*"], follow: true, idleTimeout: Self.idle), from: point.0)
      #expect(again.texts == Array(["2", "3"][(Int(point.0.position.segment))...]))
    }
  }

  @Test("what a file gets after it was left for a newer one is read too")
  func lateLines() async throws {
    let folder = try TestFolder()
    try folder.write("log-1", "1\n")
    let notices = Notices()
    let source = FileSource(
      paths: [folder / "log-*"], follow: true, rotationGrace: .milliseconds(20), notice: { notices.add($0) })
    _ = try await read(source, items: 1)
    var items: [Item] = []
    for (name, line) in [("log-2", "2"), ("log-1", "late"), ("log-2", "3")] {
      if line == "2" { try folder.write(name, line + "\n") } else { try folder.append(name, line + "\n") }
      items += try await readOn(source, items: 1).items
    }
    source.stop()
    #expect(items.map(\.text) == ["2", "late", "3"])
    #expect(
      items.map(\.position) == [
        Position(segment: 1, offset: 0, row: 0), Position(segment: 2, offset: 2, row: 1),
        Position(segment: 3, offset: 2, row: 1),
      ])
    #expect(notices.all.count == 2)
  }
}
