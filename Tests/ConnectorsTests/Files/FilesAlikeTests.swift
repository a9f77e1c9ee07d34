// Files that are not the last one, and files that begin as others do: which of them holds what was read is told by what
// lies before the place to which it was.

import Detection
import Foundation
import Pipeline
import TestKit
import Testing

@testable import Connectors

@Suite("Files that begin alike, and files beside busy ones", .timeLimit(.minutes(15)))
struct FilesAlikeTests {
  typealias Families = FilesFamiliesTests
  typealias Writer = FilesFamiliesTests.Writer

  @Test(
    "any file may be replaced by a grown copy of itself, and others are looked at as before", arguments: [true, false],
    ["app.log", "mid.log", "web.log"])
  func replaced(isLive: Bool, name: String) async throws {
    let folder = try TestFolder()
    var writer = Writer(folder: folder)
    for other in ["app.log", "mid.log", "web.log"] { try writer.append(other, 15) }
    var source = Families.source([folder / "*.log"], idle: .seconds(60))
    let first = try await read(source, items: 45)
    var last = try #require(first.points.last?.0)
    func next(_ count: Int) async throws -> [Int] {
      let found = try await readOn(source, stored: last.stateEntries, items: count)
      last = found.points.last?.0 ?? last
      return Families.numbers(found.texts)
    }
    for _ in 0..<2 {
      if !isLive { source.stop() }
      try FileManager.default.copyItem(atPath: folder / name, toPath: folder / ".copy")
      try writer.append(".copy", 15)
      try folder.rename(".copy", to: name)
      if !isLive {
        source = Families.source([folder / "*.log"], idle: .seconds(60))
        try await source.open(resumingAt: [PartitionID(source: source.name, number: 0): last])
      }
      #expect(try await next(15) == Array(writer.count - 15..<writer.count))
      for other in ["app.log", "mid.log", "zeta.log"] {
        try writer.append(other, 3)
        #expect(try await next(3) == Array(writer.count - 3..<writer.count), "\(other)")
      }
    }
    source.stop()
  }

  /// Appends a line every 20 ms until something was said; returns how many.
  private static func appendLines(to path: String, until isOver: Notices) async throws -> Int {
    let handle = try #require(FileHandle(forWritingAtPath: path))
    try handle.seekToEnd()
    var count = 0
    while isOver.all.isEmpty {
      try handle.write(contentsOf: Data("-1\n".utf8))
      count += 1
      try await Task.sleep(for: .milliseconds(20))
    }
    return count
  }

  @Test("a file that gets a line all the time keeps no other one waiting")
  func busy() async throws {
    let folder = try TestFolder()
    var writer = Writer(folder: folder, padding: 2)
    try writer.append("app.log", 3)
    try folder.write("web.log", "-1\n")
    let source = Families.source(
      [folder / "*.log"], idle: .seconds(60), grace: .milliseconds(250))
    let first = try await read(source, items: 4)
    let isOver = Notices()
    let busy = folder / "web.log"
    async let lines = Self.appendLines(to: busy, until: isOver)
    try writer.append("app.log", 3)
    var stored = first.points.last?.0.stateEntries ?? [:]
    var found: [Int] = []
    while found.count(where: { $0 >= 0 }) < 3 {
      let more = try await readOn(source, stored: stored, batches: 1)
      stored = more.points.last?.0.stateEntries ?? stored
      found += Families.numbers(more.texts)
    }
    isOver.add("over")
    let count = try await lines
    let rest = found.count(where: { $0 < 0 })
    if rest < count { found += Families.numbers(try await readOn(source, stored: stored, items: count - rest).texts) }
    source.stop()
    #expect(found.filter { $0 >= 0 } == [3, 4, 5])
    #expect(found.count(where: { $0 < 0 }) == count)
  }

  @Test(
    "files that all begin with the same 4096 bytes are told apart, down and live",
    arguments: [Families.Way.renamed, .copied], [true, false])
  func sameBeginning(way: Families.Way, isLive: Bool) async throws {
    let folder = try TestFolder()
    var writer = Writer(folder: folder, padding: 50)
    let banner = "-1 " + String(repeating: "=", count: 5000) + "\n"
    try folder.write("app.log", banner)
    try writer.append("app.log", 15)
    var source = Families.source([folder / "app.log"], idle: .seconds(60))
    let first = try await read(source, items: 16)
    var last = try #require(first.points.last?.0)
    var found: [Int] = []
    if !isLive { source.stop() }
    // Copied while nobody looks, a file is known by its beginning alone, so more than one such copy cannot be told.
    let rotations = way == .copied && !isLive ? 1 : 3
    for _ in 0..<rotations {
      try writer.rotate("app.log", way)
      if access(folder / "app.log", F_OK) != 0 { try folder.write("app.log", "") }
      try folder.append("app.log", banner)
      try writer.append("app.log", 60)
      if isLive {
        let more = try await readOn(source, stored: last.stateEntries, items: 61)
        last = more.points.last?.0 ?? last
        found += Families.numbers(more.texts)
      }
    }
    if !isLive {
      source = Families.source([folder / "app.log"], idle: .seconds(60))
      found = Families.numbers(try await read(source, from: last, items: 61 * rotations).texts)
    }
    source.stop()
    #expect(found.filter { $0 >= 0 } == Array(15..<writer.count))
  }

  @Test("a writer that goes on where it was leaves a hole, and what it wrote before that is in the copy")
  func hole() async throws {
    let folder = try TestFolder()
    var writer = Writer(folder: folder)
    try writer.append("app.log", 15)
    let source = Families.source([folder / "app.log"], idle: .seconds(60))
    let first = try await read(source, items: 15)
    var stored = first.points.last?.0.stateEntries ?? [:]
    let handle = try #require(FileHandle(forWritingAtPath: folder / "app.log"))
    try handle.seekToEnd()
    for turn in 0..<3 {
      // At once: nobody sees the file shorter than it was.
      try writer.rotate("app.log", .copied)
      try handle.write(contentsOf: Data(writer.text(15).utf8))
      let more = try await readOn(source, stored: stored, items: 16)
      stored = more.points.last?.0.stateEntries ?? stored
      #expect(more.items.count(where: { $0.letter != nil }) == 1)
      #expect(
        Families.numbers(more.items.filter { $0.letter == nil }.map(\.text))
          == Array(writer.count - 15..<writer.count), "turn \(turn)")
    }
    source.stop()
  }

  @Test("a file that is truncated and gets as many bytes as it had is read anew", arguments: ["app.log", "web.log"])
  func sameSize(name: String) async throws {
    let folder = try TestFolder()
    var writer = Writer(folder: folder, count: 100)
    for other in ["app.log", "web.log"] { try writer.append(other, 15) }
    let source = Families.source([folder / "*.log"], idle: .seconds(60))
    let first = try await read(source, items: 30)
    try writer.rotate(name, .copied)
    try writer.append(name, 15)
    let rest = try await readOn(source, stored: first.points.last?.0.stateEntries ?? [:], items: 15)
    source.stop()
    #expect(Families.numbers(rest.texts) == Array(130..<145))
  }

  @Test("of a new file and a copy of it that is about to replace it one is read", arguments: ["*.log*", "*.log"])
  func copyOfNew(pattern: String) async throws {
    for truncation in ["at once", "later", "never"] {
      let folder = try TestFolder()
      var writer = Writer(folder: folder, padding: 2)
      try writer.append("web.log", 3)
      let source = Families.source([folder / pattern], idle: .seconds(60))
      let first = try await read(source, items: 3)
      try writer.append("app.log", 3)
      try FileManager.default.copyItem(atPath: folder / "app.log", toPath: folder / "app.log.1")
      async let reading = readOn(source, stored: first.points.last?.0.stateEntries ?? [:], items: 3)
      if truncation == "at once" {
        // Once both were seen.
        try await Task.sleep(for: .milliseconds(100))
        try #require(truncate(folder / "app.log", 0) == 0)
      }
      let found = try await reading
      if truncation == "later" { try #require(truncate(folder / "app.log", 0) == 0) }
      try writer.append("app.log", 3)
      let rest = try await readOn(source, stored: found.points.last?.0.stateEntries ?? [:], items: 3)
      source.stop()
      #expect(Families.numbers(found.texts + rest.texts) == Array(3..<9), "\(truncation)")
      let again = try await read(
        Families.source([folder / pattern], idle: .milliseconds(700)), from: rest.points.last?.0)
      #expect(again.items.isEmpty, "\(truncation) \(again.texts)")
    }
  }
}
