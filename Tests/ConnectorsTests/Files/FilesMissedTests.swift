// What a rotation leaves where nobody looks for it: under names of names, in archives of what was read and more, beside files
// that begin alike. None of it may be missed.

import Detection
import Foundation
import Pipeline
import TestKit
import Testing

@testable import Connectors

@Suite("Files that are easily missed", .timeLimit(.minutes(15)))
struct FilesMissedTests {
  typealias Families = FilesFamiliesTests
  typealias Writer = FilesFamiliesTests.Writer

  /// Runs over paths until so many records have come, and on from what is on record then.
  private struct Runs {
    let paths: [String]
    var point: ResumePoint?
    var texts: [String] = []
    private var live: FileSource?

    init(_ paths: [String]) { self.paths = paths }

    /// - Parameter isLive: whether the run goes on behind this.
    mutating func read(_ items: Int, isLive: Bool = false) async throws {
      let source = live ?? Families.source(paths, idle: .seconds(60))
      let found: Reading
      if live == nil {
        found = try await ConnectorsTests.read(source, from: point, items: items)
      } else {
        found = try await readOn(source, stored: point?.stateEntries ?? [:], items: items)
      }
      texts += found.texts
      point = found.points.last?.0 ?? point
      live = isLive ? source : nil
      if !isLive { source.stop() }
    }

    mutating func stop() {
      live?.stop()
      live = nil
    }
  }

  @Test(
    "a name that was empty stays known when another file gets its place",
    arguments: Families.Way.allCases, [["access.log", "error.log"], ["*/*.log"]])
  func emptyName(way: Families.Way, patterns: [String]) async throws {
    let folder = try TestFolder()
    let names = patterns.count > 1 ? patterns : ["a/access.log", "e/error.log"]
    for name in names {
      try FileManager.default.createDirectory(
        atPath: FileList.directory(of: folder / name), withIntermediateDirectories: true)
    }
    var writer = Writer(folder: folder)
    try writer.append(names[0], 15)
    try folder.write(names[1], "")
    var runs = Runs(patterns.map { folder / $0 })
    try await runs.read(15, isLive: true)
    try writer.append(names[0], 5)
    try await runs.read(5)
    try writer.append(names[1], 15)
    try writer.rotate(names[1], way)
    try writer.append(names[1], 15)
    try await runs.read(30)
    #expect(Families.numbers(runs.texts) == Array(0..<50))
  }

  @Test(
    "what a file got before it was packed is read from the archive", arguments: [true, false],
    ["app.log", "*.log", "app.log*"])
  func lateAndPacked(isLive: Bool, pattern: String) async throws {
    let folder = try TestFolder()
    var writer = Writer(folder: folder)
    try writer.append("app.log", 15)
    var runs = Runs([folder / pattern])
    try await runs.read(15, isLive: true)
    try writer.rotate("app.log", .renamed)
    try writer.append("app.log", 15)
    try await runs.read(15, isLive: isLive)
    // A writer that still has the old file open; the next rotation packs that.
    try writer.append("app.log.1", 5)
    try folder.rename("app.log.1", to: "app.log.2")
    try pack(folder, "app.log.2", with: "gzip", keep: false)
    try folder.rename("app.log", to: "app.log.1")
    try writer.append("app.log", 15)
    try await runs.read(20)
    #expect(Families.numbers(runs.texts) == Array(0..<50))
  }

  @Test(
    "a mirror of a folder in which a file got more and was rotated", arguments: [true, false], ["app.log", "*.log"])
  func mirror(isLive: Bool, pattern: String) async throws {
    let (folder, remote) = (try TestFolder(), try TestFolder())
    var writer = Writer(folder: remote)
    try writer.append("app.log", 15)
    try FileManager.default.copyItem(atPath: remote / "app.log", toPath: folder / "app.log")
    var runs = Runs([folder / pattern])
    try await runs.read(15, isLive: isLive)
    try writer.append("app.log", 15)
    try writer.rotate("app.log", .renamed)
    try writer.append("app.log", 5)
    for name in ["app.log", "app.log.1"] {
      try FileManager.default.copyItem(atPath: remote / name, toPath: folder / ".\(name).part")
      try folder.rename(".\(name).part", to: name)
    }
    try await runs.read(20)
    #expect(Families.numbers(runs.texts) == Array(0..<35))
  }

  @Test("names with a date and seconds behind it", arguments: [true, false], ["app.log", "*.log"])
  func dateAndSeconds(isLive: Bool, pattern: String) async throws {
    let folder = try TestFolder()
    var writer = Writer(folder: folder)
    try writer.append("app.log", 15)
    var runs = Runs([folder / pattern])
    try await runs.read(15, isLive: isLive)
    for turn in 0..<2 {
      try folder.rename("app.log", to: "app.log-20261129-179597170\(turn)")
      try writer.append("app.log", 15)
    }
    try await runs.read(30)
    #expect(Families.numbers(runs.texts) == Array(0..<45))
  }

  @Test("a file that lay there before and begins alike hides no other", arguments: [true, false])
  func besideAlike(isLive: Bool) async throws {
    let folder = try TestFolder()
    var writer = Writer(folder: folder, padding: 50)
    let banner = "-1 " + String(repeating: "=", count: 5000) + "\n"
    for name in ["app.log.1", "app.log"] {
      try folder.write(name, banner)
      try writer.append(name, 15)
    }
    var runs = Runs([folder / "app.log"])
    try await runs.read(16, isLive: isLive)
    for _ in 0..<2 {
      for number in [2, 1] where access(folder / "app.log.\(number)", F_OK) == 0 {
        try folder.rename("app.log.\(number)", to: "app.log.\(number + 1)")
      }
      try folder.rename("app.log", to: "app.log.1")
      try folder.write("app.log", banner)
      try writer.append("app.log", 15)
    }
    try await runs.read(32)
    #expect(Families.numbers(runs.texts).filter { $0 >= 0 } == Array(15..<60))
  }

  private static let header = "number,text\n"

  private static func rows(_ range: Range<Int>) -> String {
    range.map { "\($0),\(String(repeating: "x", count: 400))\n" }.joined()
  }

  @Test("a new file that has its header only keeps nobody waiting", arguments: ["app.csv", "*.csv"])
  func headerOnly(pattern: String) async throws {
    let folder = try TestFolder()
    try folder.write("app.csv", Self.header + Self.rows(0..<15))
    if pattern == "app.csv" { try folder.write("web.csv", Self.header + Self.rows(100..<105)) }
    let paths = pattern == "app.csv" ? ["web.csv", "app.csv"] : [pattern]
    var runs = Runs(paths.map { folder / $0 })
    try await runs.read(pattern == "app.csv" ? 20 : 15, isLive: true)
    try folder.rename("app.csv", to: "app.csv.1")
    try folder.write("app.csv", Self.header)
    try folder.append("app.csv", Self.rows(15..<30))
    try folder.rename("app.csv.1", to: "app.csv.2")
    try folder.rename("app.csv", to: "app.csv.1")
    try folder.write("app.csv", Self.header)
    try folder.write("zoo.csv", Self.header + Self.rows(30..<45))
    try await runs.read(pattern == "app.csv" ? 15 : 30)
    let expected = (pattern == "app.csv" ? Array(100..<105) : []) + Array(0..<(pattern == "app.csv" ? 30 : 45))
    #expect(runs.texts.map { Int($0.prefix { $0 != "," }) ?? -1 }.sorted() == expected.sorted())
  }

  @Test("nor where the one before it is deleted by then")
  func headerAndDeleted() async throws {
    let folder = try TestFolder()
    try folder.write("app.csv", Self.header + Self.rows(0..<15))
    var runs = Runs([folder / "app.csv"])
    try await runs.read(15, isLive: true)
    try FileManager.default.removeItem(atPath: folder / "app.csv")
    try folder.write("app.csv.1", Self.header + Self.rows(15..<30))
    try folder.write("app.csv", Self.header)
    try await runs.read(15)
    #expect(runs.texts.map { Int($0.prefix { $0 != "," }) ?? -1 } == Array(0..<30))
  }

  @Test("a folder that came while nothing ran has all that is in it")
  func newFolder() async throws {
    let folder = try TestFolder()
    for name in ["x", "y"] {
      try FileManager.default.createDirectory(atPath: folder / name, withIntermediateDirectories: true)
    }
    var writer = Writer(folder: folder)
    try writer.append("x/app.log", 15)
    var runs = Runs([folder / "*/*.log"])
    try await runs.read(15)
    try writer.append("y/app.log", 15)
    try writer.rotate("y/app.log", .renamed)
    try writer.append("y/app.log", 15)
    try await runs.read(30)
    #expect(Families.numbers(runs.texts) == Array(0..<45))
  }

  @Test("generations of the same length are told apart")
  func sameLength() async throws {
    let folder = try TestFolder()
    var writer = Writer(folder: folder, count: 100)
    try writer.append("app.log", 15)
    try writer.append("web.log", 15)
    var runs = Runs([folder / "*.log"])
    try await runs.read(30, isLive: true)
    try writer.rotate("app.log", .renamed)
    try writer.append("app.log", 15)
    try await runs.read(15, isLive: true)
    try writer.append("app.log", 5)
    try await runs.read(5)
    try writer.append("app.log.1", 5)
    try await runs.read(5)
    #expect(Families.numbers(runs.texts) == Array(100..<155))
  }

  @Test("what a pattern matches and is no file is passed over at every start")
  func oddMatches() async throws {
    let folder = try TestFolder()
    var writer = Writer(folder: folder)
    try writer.append("app.log", 15)
    var runs = Runs([folder / "*.log"])
    try await runs.read(15)
    try FileManager.default.createSymbolicLink(atPath: folder / "b.log", withDestinationPath: "nowhere")
    try FileManager.default.createSymbolicLink(atPath: folder / "c.log", withDestinationPath: "c.log")
    try FileManager.default.createDirectory(atPath: folder / "d.log", withIntermediateDirectories: true)
    try #require(mkfifo(folder / "e.log", 0o600) == 0)
    try writer.append("app.log", 15)
    try await runs.read(15)
    #expect(Families.numbers(runs.texts) == Array(0..<30))
  }

  @Test("a pattern means its names, whatever the working directory is called")
  func workingDirectory() {
    let name = FileList.Name("logs/*.log")
    #expect(name.matches("/srv[app]*/logs/app.log", in: "/srv[app]*"))
    #expect(!name.matches("/srva/logs/app.log", in: "/srv[app]*"))
    #expect(!name.matches("/srv[app]*/logs/old/app.log", in: "/srv[app]*"))
  }

  @Test("a folder that gets files all the time is read meanwhile")
  func flood() async throws {
    let folder = try TestFolder()
    try folder.write("0000.log", "0\n")
    var runs = Runs([folder / "*.log"])
    try await runs.read(1, isLive: true)
    let last = Notices()
    let path = folder / ""
    async let written = Self.writeFiles(to: path, until: last)
    try await runs.read(200, isLive: true)
    last.add("enough")
    let count = try await written
    if count > runs.texts.count { try await runs.read(count - runs.texts.count) }
    runs.stop()
    #expect(runs.texts.sorted() == (0..<count).map { "\($0)" }.sorted())
  }

  /// Writes a file every 5 ms.
  /// - Returns: how many there are, with the first.
  private static func writeFiles(to folder: String, until isOver: Notices) async throws -> Int {
    var count = 1
    while isOver.all.isEmpty {
      try "\(count)\n".write(toFile: folder + String(format: "%04d.log", count), atomically: true, encoding: .utf8)
      count += 1
      try await Task.sleep(for: .milliseconds(5))
    }
    return count
  }
}
