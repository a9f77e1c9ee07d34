// A file of which nothing was read binds nobody: it may have been filled, rotated and packed since it was seen empty, once
// or often, and what came of it is new.

import Detection
import Foundation
import Pipeline
import TestKit
import Testing

@testable import Connectors

@Suite("Files that held nothing", .timeLimit(.minutes(15)))
struct FilesBlankTests {
  typealias Families = FilesFamiliesTests
  typealias Writer = FilesFamiliesTests.Writer

  /// Follows an open source until nothing has come for its idle time, and returns what came, and what is on record then.
  private static func readToEnd(_ source: FileSource, from point: ResumePoint) async throws -> (Reading, ResumePoint) {
    let reading = try await readOn(source, stored: point.stateEntries)
    var last = reading.points.last?.0 ?? point
    let partition = PartitionID(source: source.name, number: 0)
    let changes = source.takeStateChanges(of: partition, at: last.position)
    for put in changes.puts { last.stateEntries[put.key] = put.value }
    return (reading, last)
  }

  /// Starts a run over what is on record, waits for so many records, and checks that a further run finds nothing.
  private static func expectRest(
    _ numbers: Range<Int>, of paths: [String], from point: ResumePoint?, _ comment: String = ""
  ) async throws {
    let source = Families.source(paths, idle: .seconds(60))
    let rest = try await read(source, from: point, items: numbers.count)
    source.stop()
    #expect(Families.numbers(rest.texts) == Array(numbers), "\(comment)")
    let again = try await read(Families.source(paths, idle: .milliseconds(700)), from: rest.points.last?.0 ?? point)
    #expect(again.items.isEmpty, "\(comment) \(again.texts.map { $0.prefix(6) })")
  }

  @Test(
    "a new file that was empty when a run ended is filled, rotated and packed while no run is there",
    arguments: Families.Way.allCases, ["app.log", "app.log*", "*.log"])
  func down(way: Families.Way, pattern: String) async throws {
    for (padding, rotations) in [(2, 1), (400, 1), (400, 3)] {
      let folder = try TestFolder()
      var writer = Writer(folder: folder, padding: padding)
      try writer.append("app.log", 15)
      let source = Families.source([folder / pattern], idle: .seconds(1))
      let first = try await read(source, items: 15)
      try writer.rotate("app.log", way)
      if access(folder / "app.log", F_OK) != 0 { try folder.write("app.log", "") }
      let (more, point) = try await Self.readToEnd(source, from: try #require(first.points.last?.0))
      #expect(more.items.isEmpty)
      for _ in 0..<rotations {
        try writer.append("app.log", 15)
        try writer.rotate("app.log", way)
      }
      try writer.append("app.log", 15)
      try await Self.expectRest(15..<writer.count, of: [folder / pattern], from: point, "\(padding) \(rotations)")
    }
  }

  @Test(
    "or while one looks on, and nothing is written to the newest file",
    arguments: Families.Way.allCases, [["app.log"], ["app.log", "web.log"], ["*.log"], ["*.log*"]])
  func live(way: Families.Way, patterns: [String]) async throws {
    for (padding, isFollowedByMore) in [(2, false), (400, false), (400, true)] {
      let folder = try TestFolder()
      var writer = Writer(folder: folder, padding: padding)
      try writer.append("app.log", 15)
      if patterns != ["app.log"] { try writer.append("web.log", 15) }
      let known = writer.count
      let source = Families.source(patterns.map { folder / $0 }, idle: .seconds(60))
      let first = try await read(source, items: known)
      try writer.rotate("app.log", way)
      if access(folder / "app.log", F_OK) != 0 { try folder.write("app.log", "") }
      async let reading = readOn(
        source, stored: first.points.last?.0.stateEntries ?? [:], items: isFollowedByMore ? 30 : 15)
      // Time to see that it is empty.
      try await Task.sleep(for: .milliseconds(700))
      try writer.append("app.log", 15)
      try writer.rotate("app.log", way)
      if isFollowedByMore {
        try writer.append("app.log", 15)
      } else if access(folder / "app.log", F_OK) != 0 {
        try folder.write("app.log", "")
      }
      let rest = try await reading
      source.stop()
      #expect(Families.numbers(rest.texts) == Array(known..<writer.count), "\(padding)")
    }
  }

  @Test("an archive of nothing is nothing", arguments: [["app.log", "web.log"], ["*.log"], ["*.log*"]])
  func emptyArchive(patterns: [String]) async throws {
    let folder = try TestFolder()
    var writer = Writer(folder: folder)
    let paths = patterns.map { folder / $0 }
    try writer.append("app.log", 15)
    try folder.write("web.log", "")
    let source = Families.source(paths, idle: .seconds(60))
    let first = try await read(source, items: 15)
    try writer.rotate("web.log", .packedCopy)
    try writer.append("web.log", 15)
    let rest = try await readOn(source, stored: first.points.last?.0.stateEntries ?? [:], items: 15)
    source.stop()
    #expect(Families.numbers(rest.texts) == Array(15..<30))
    try await Self.expectRest(30..<30, of: paths, from: rest.points.last?.0)
  }

  @Test("a path that nothing is at belongs to the pattern that would match it", arguments: ["web.log", "app.log"])
  func missing(other: String) async throws {
    for isAlone in [false, true] {
      let folder = try TestFolder()
      var writer = Writer(folder: folder)
      if !isAlone { try writer.append(other == "web.log" ? "app.log" : "web.log", 15) }
      try writer.append(other, 15)
      let known = writer.count
      let first = try await read(Families.source([folder / "*.log"], idle: .milliseconds(200)))
      try #require(first.items.count == known)
      try writer.append(other, 2)
      try writer.rotate(other, .renamed)
      // Nothing is at the path yet.
      let source = Families.source([folder / "*.log"], idle: .seconds(60))
      let rest = try await read(source, from: first.points.last?.0, items: 2)
      try writer.append(other, 2)
      let more = try await readOn(source, stored: rest.points.last?.0.stateEntries ?? [:], items: 2)
      source.stop()
      #expect(Families.numbers(rest.texts + more.texts) == Array(known..<writer.count), "\(isAlone)")
    }
  }

  @Test("a listed file that was not read and has no successor yet is found where it was rotated to")
  func missingUnread() async throws {
    let folder = try TestFolder()
    var writer = Writer(folder: folder)
    try writer.append("app.log", 30)
    try writer.append("web.log", 15)
    let paths = [folder / "app.log", folder / "web.log"]
    let source = Families.source(paths, batchRows: 15)
    let first = try await read(source, batches: 1)
    source.stop()
    try writer.rotate("web.log", .renamed)
    try await Self.expectRest(15..<45, of: paths, from: first.points.last?.0)
  }

  @Test(
    "a bounded run behind a followed one over files that were empty reads nothing again",
    arguments: Families.Way.allCases, [["app.log", "web.log"], ["*.log"], ["*.log*"]])
  func bounded(way: Families.Way, patterns: [String]) async throws {
    for (padding, hasOther) in [(2, false), (400, false), (400, true)] {
      let folder = try TestFolder()
      var writer = Writer(folder: folder, padding: padding)
      let paths = patterns.map { folder / $0 }
      for name in ["app.log", "web.log", "db.log"] { try folder.write(name, "") }
      let point = try await Families.looked(Families.source(paths))
      try writer.append("app.log", 15)
      if hasOther { try writer.append("web.log", 15) }
      try writer.rotate("app.log", way)
      if access(folder / "app.log", F_OK) != 0 { try folder.write("app.log", "") }
      let source = Families.source(paths, idle: .seconds(60))
      let first = try await read(source, from: point, items: writer.count)
      source.stop()
      #expect(Families.numbers(first.texts).sorted() == Array(0..<writer.count))
      let last = try #require(first.points.last?.0)
      #expect(try await read(FileSource(paths: paths), from: last).items.isEmpty, "\(padding)")
    }
  }

  @Test(
    "a file with nothing but a header may be filled and rotated as well", arguments: [Families.Way.renamed, .copied],
    ["app.csv", "app.csv*"])
  func header(way: Families.Way, pattern: String) async throws {
    for rotations in 1...2 {
      let folder = try TestFolder()
      var writer = Writer(folder: folder, padding: 2)
      try folder.write("app.csv", "header\n")
      try writer.append("app.csv", 3)
      let source = Families.source([folder / pattern], idle: .seconds(1))
      let first = try await read(source, items: 3)
      try writer.rotate("app.csv", way)
      try folder.write("new", "header\n")
      if way == .copied {
        try folder.append("app.csv", "header\n")
      } else {
        try folder.rename("new", to: "app.csv")
      }
      let (more, point) = try await Self.readToEnd(source, from: try #require(first.points.last?.0))
      #expect(more.items.isEmpty)
      for _ in 0..<rotations {
        try writer.append("app.csv", 3)
        try writer.rotate("app.csv", way)
        if access(folder / "app.csv", F_OK) != 0 { try folder.write("app.csv", "") }
        try folder.append("app.csv", "header\n")
      }
      try writer.append("app.csv", 3)
      try await Self.expectRest(3..<writer.count, of: [folder / pattern], from: point, "\(rotations)")
    }
  }

  @Test("segments are those of files, whether a rotated one was empty when it was seen or not")
  func segments() async throws {
    for isSeen in [true, false] {
      let folder = try TestFolder()
      var writer = Writer(folder: folder)
      try folder.write("app.log", "")
      let source = Families.source([folder / "app.log"], idle: .seconds(60))
      try await source.open(resumingAt: [:])
      var stored: [[UInt8]: [UInt8]] = [:]
      for segment in UInt32(0)...2 {
        let known = stored
        async let reading = readOn(source, stored: known, items: 15)
        // Time to see that it is empty.
        if isSeen { try await Task.sleep(for: .milliseconds(400)) }
        try writer.append("app.log", 15)
        let found = try await reading
        stored = found.points.last?.0.stateEntries ?? [:]
        #expect(Set(found.items.map(\.position.segment)) == [segment], "\(isSeen)")
        try writer.rotate("app.log", .renamed)
        if isSeen { try folder.write("app.log", "") }
      }
      source.stop()
    }
  }
}
