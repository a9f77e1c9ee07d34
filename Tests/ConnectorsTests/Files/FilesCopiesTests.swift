// Copies in the making, grown copies and files that only begin alike: nothing is read twice or left out without a word.

import Detection
import Foundation
import Pipeline
import TestKit
import Testing

@testable import Connectors

@Suite("Copies, parts of them and files that begin alike", .timeLimit(.minutes(15)))
struct FilesCopiesTests {
  /// Some 20 KB: much more than the hash of a beginning covers.
  private static let lines = (0..<2000).map { "line \($0)\n" }

  private static func source(_ folder: TestFolder, _ pattern: String, _ notices: Notices) -> FileSource {
    FileSource(paths: [folder / pattern], notice: { notices.add($0) })
  }

  @Test("a part of a file that was read is passed over until it holds something else", arguments: [9000, 4096])
  func part(length: Int) async throws {
    let folder = try TestFolder()
    let text = Self.lines.joined()
    try folder.write("log.1", text)
    let end = try await read(FileSource(paths: [folder / "log*"])).points.last?.0
    try folder.write("log.9", String(text.prefix(length)))
    for _ in 0..<2 {
      let notices = Notices()
      #expect(try await read(Self.source(folder, "log*", notices), from: end).items.isEmpty)
      #expect(
        notices.all.count == 1 && notices.all[0].contains("log.9 holds a part of what was read"), "\(notices.all)")
    }
    // Copied to its end it is a copy; gone on with otherwise it is a file of its own.
    try folder.write("log.9", text)
    #expect(try await read(FileSource(paths: [folder / "log*"]), from: end).items.isEmpty)
    try folder.write("log.9", text.prefix(length) + "\nother\n")
    let other = try await read(FileSource(paths: [folder / "log*"]), from: end)
    #expect(other.texts.first == "line 0" && other.texts.last == "other")
  }

  @Test("a part of what the followed file holds is one, however far that was read")
  func partOfCurrent() async throws {
    let folder = try TestFolder()
    let path = try folder.write("log", Self.lines.joined())
    let middle = try await read(FileSource(paths: [path], batchRows: 500)).points[1].0
    try folder.write("log.copy", Self.lines[..<1500].joined())
    let notices = Notices()
    let rest = try await read(Self.source(folder, "log*", notices), from: middle)
    #expect(rest.items.count == 1000 && notices.all.count == 1, "\(notices.all)")
  }

  @Test("where the file is gone, a part is waited for as long as it may be written to, and then read with a word")
  func partOfGone() async throws {
    let folder = try TestFolder()
    let path = try folder.write("a", Self.lines.joined())
    let end = try await read(FileSource(paths: [path])).points.last?.0
    try FileManager.default.removeItem(atPath: path)
    let part = try folder.write("b", Self.lines[..<1000].joined())
    let notices = Notices()
    #expect(try await read(Self.source(folder, "*", notices), from: end).items.isEmpty)
    #expect(notices.all.count == 1 && notices.all[0].contains("passed over until it holds more"))
    try FileManager.default.setAttributes([.modificationDate: Date.now - 120], ofItemAtPath: part)
    let later = Notices()
    #expect(try await read(Self.source(folder, "*", later), from: end).items.count == 1000)
    #expect(later.all.count == 1 && later.all[0].contains("its events count twice"))
  }

  @Test("what is followed is the file that is named, although the one it was read as is still there")
  func namedCopy() async throws {
    let folder = try TestFolder()
    let text = Self.lines.joined()
    let path = try folder.write("a", text)
    let end = try await read(FileSource(paths: [path])).points.last?.0
    try folder.write("b", text)
    let following = FileSource(paths: [folder / "b"], follow: true, rotationGrace: .milliseconds(5))
    async let found = read(following, from: end, items: 1)
    // Time to look at both while there is nothing new.
    try await Task.sleep(for: .milliseconds(300))
    try folder.append("b", "new\n")
    #expect(try await found.texts == ["new"])
    following.stop()
  }

  @Test("of a grown copy what is new is read, at a restart and live, compressed or not", arguments: ["", "gzip"])
  func grownCopy(tool: String) async throws {
    let folder = try TestFolder()
    let text = Self.lines.joined()
    try folder.write("a", text)
    let end = try await read(FileSource(paths: [folder / "*"])).points.last?.0
    let following = FileSource(paths: [folder / "*"], follow: true, rotationGrace: .milliseconds(20))
    let first = try await read(following, items: 2000)
    try folder.write("other/b", text + "new\n")
    if !tool.isEmpty { try pack(folder, "other/b", with: tool, keep: false) }
    try folder.rename("other/b" + (tool.isEmpty ? "" : ".gz"), to: "b")
    let live = try await readOn(following, stored: first.points.last?.0.stateEntries ?? [:], items: 1)
    following.stop()
    let notices = Notices()
    let rest = try await read(Self.source(folder, "[ab]", notices), from: end)
    for found in [live, rest] {
      #expect(found.texts == ["new"])
      #expect(found.items.first?.position == Position(segment: 1, offset: Int64(text.utf8.count), row: 2000))
    }
    #expect(notices.all.count == 1 && notices.all[0].contains("b holds what was read as \(folder / "a"), and more"))
    #expect(try await read(FileSource(paths: [folder / "[ab]"]), from: rest.points.last?.0).items.isEmpty)
    // The file itself goes on in its own way, or as its copy did.
    try folder.append("a", "mine\n")
    let accepting = FileSource(paths: [folder / "[ab]"], acceptsGaps: true)
    #expect(try await read(accepting, from: rest.points.last?.0).texts == ["mine"])
    try folder.write("a", text + "new\n")
    #expect(try await read(FileSource(paths: [folder / "[ab]"]), from: rest.points.last?.0).items.isEmpty)
  }

  @Test("a file that begins with all of a short one is read as a new file, and that is said")
  func beginsAlike() async throws {
    let folder = try TestFolder()
    try folder.write("a", "started\n")
    let end = try await read(FileSource(paths: [folder / "*"])).points.last?.0
    try folder.write("b", "started\n1\n")
    let notices = Notices()
    #expect(try await read(Self.source(folder, "*", notices), from: end).texts == ["started", "1"])
    #expect(notices.all.count == 1 && notices.all[0].contains("these events count twice"))
    // A header alone is no event.
    try folder.write("a.csv", "x\n")
    try folder.write("b.csv", "x\n1\n")
    let silent = Notices()
    #expect(try await read(Self.source(folder, "*.csv", silent)).texts == ["1"] && silent.all.isEmpty)
  }

  @Test("a list that names a file and its copy reads both, with a word")
  func bothNamed() async throws {
    let folder = try TestFolder()
    let text = Self.lines.joined()
    try folder.write("a", text)
    try folder.write("b", text)
    try folder.write("c", String(text.prefix(9000)))
    let notices = Notices()
    _ = try await read(Self.source(folder, "*", notices))
    #expect(notices.all.count == 2 && notices.all.allSatisfy { $0.contains("count twice") }, "\(notices.all)")
  }

  @Test("a short file that is rotated, and whose successor begins alike: live as at a restart", arguments: ["", "\n"])
  func successorBeginsAlike(more: String) async throws {
    let folder = try TestFolder()
    let path = try folder.write("log", "started\n")
    let notices = Notices()
    let source = FileSource(
      paths: [path], follow: true, rotationGrace: .milliseconds(50), notice: { notices.add($0) })
    let first = try await read(source, items: 1)
    try folder.rename("log", to: "log.1")
    try folder.write("log", "started\n\(more)2\n")
    let live = try await readOn(source, stored: first.points[0].0.stateEntries, items: 2)
    source.stop()
    #expect(live.texts == ["started", "2"])
    #expect(notices.all.count == 1 && notices.all[0].contains("begins with the 8 bytes"), "\(notices.all)")
    let later = Notices()
    let restarted = FileSource(
      paths: [path], follow: true, idleTimeout: .seconds(1), rotationGrace: .milliseconds(50),
      notice: { later.add($0) })
    let rest = try await read(restarted, from: first.points[0].0)
    #expect(rest.items == live.items)
    #expect(later.all.contains { $0.contains("begins with the 8 bytes") }, "\(later.all)")
    #expect(try await read(FileSource(paths: [path]), from: first.points[0].0).texts == ["started", "2"])
  }

  // MARK: - Files that were left

  @Test("a file that was left long ago is still watched", arguments: [true, false])
  func leftLongAgo(isPattern: Bool) async throws {
    let folder = try TestFolder()
    let count = WatchedFiles.maxOpen + 4
    let names = (10..<10 + count).map { "log-\($0)" }
    for name in names { try folder.write(name, "\(name)\n") }
    let paths = isPattern ? [folder / "log-*"] : names.map { folder / $0 }
    let source = FileSource(paths: paths, follow: true, rotationGrace: .milliseconds(20))
    let first = try await read(source, items: count)
    let stored = first.points.last?.0.stateEntries ?? [:]
    try folder.append(names[0], "late\n")
    let late = try await readOn(source, stored: stored, items: 1)
    #expect(late.texts == ["late"] && late.items[0].position.offset == 7)
    // Under another name as well.
    if isPattern { try folder.rename(names[1], to: "log-99") }
    try folder.append(isPattern ? "log-99" : names[1], "later\n")
    let later = try await readOn(source, stored: late.points[0].0.stateEntries, items: 1)
    source.stop()
    #expect(later.texts == ["later"])
    let following = FileSource(paths: paths, follow: true, idleTimeout: .milliseconds(500))
    if isPattern { #expect(try await read(following, from: later.points[0].0).items.isEmpty) }
  }

  @Test("at a restart what a file got that was rotated long ago is read")
  func rotatedLongAgo() async throws {
    let folder = try TestFolder()
    let path = try folder.write("log", "0\n")
    let source = FileSource(paths: [path], follow: true, rotationGrace: .milliseconds(20))
    var last = try await read(source, items: 1)
    for number in 1...WatchedFiles.maxOpen + 2 {
      try folder.rename("log", to: "log.\(number + 100)")
      try folder.write("log", "\(number)\n")
      last = try await readOn(source, stored: last.points[0].0.stateEntries, items: 1)
      #expect(last.texts == ["\(number)"])
    }
    source.stop()
    try folder.append("log.101", "late\n")
    let rest = FileSource(paths: [path], follow: true, idleTimeout: .milliseconds(500))
    #expect(try await read(rest, from: last.points[0].0).texts == ["late"])
  }

  @Test(
    "a file that is truncated after it was left is read anew, and what only its copy has", arguments: [false, true])
  func truncatedAfterLeft(hasMore: Bool) async throws {
    let folder = try TestFolder()
    let path = try folder.write("log-1", Self.lines.joined())
    try folder.write("log-2", "2\n")
    let notices = Notices()
    let source = FileSource(
      paths: [folder / "log-[0-9]"], follow: true, rotationGrace: .milliseconds(20), notice: { notices.add($0) })
    let first = try await read(source, items: 2001)
    // At once, so that the line is not seen before.
    if hasMore { try folder.append("log-1", "only in the copy\n") }
    try FileManager.default.copyItem(atPath: path, toPath: folder / "log-1.1")
    try #require(truncate(path, 0) == 0)
    try folder.append("log-1", "new\n")
    let expected = (hasMore ? ["only in the copy"] : []) + ["new"]
    let rest = try await readOn(
      source, stored: first.points.last?.0.stateEntries ?? [:], items: expected.count)
    source.stop()
    #expect(rest.texts == expected)
    #expect(notices.all.contains { $0.contains("log-1 was truncated or written anew") }, "\(notices.all)")
    let following = FileSource(paths: [folder / "log-[0-9]"], follow: true, idleTimeout: .milliseconds(600))
    #expect(try await read(following, from: rest.points.last?.0).items.isEmpty)
  }

  // MARK: - Waiting

  @Test("a compressed file that is not whole is waited for with a word, and what is behind it is read then")
  func notWhole() async throws {
    let folder = try TestFolder()
    try folder.write("log-1", Self.lines.joined())
    try pack(folder, "log-1", with: "gzip", keep: false)
    let whole = try #require(FileManager.default.contents(atPath: folder / "log-1.gz"))
    try folder.write("log-1.gz", whole.prefix(whole.count / 2))
    try folder.write("log-2", "2\n")
    let notices = Notices()
    let source = FileSource(
      paths: [folder / "log-*"], follow: true, rotationGrace: .milliseconds(20), notice: { notices.add($0) })
    async let reading = read(source, items: 2001)
    try await notices.wait(for: "log-1.gz is")
    // Another file takes its place, as a download does.
    try folder.write("log-1.new", whole)
    try folder.rename("log-1.new", to: "log-1.gz")
    let found = try await reading
    source.stop()
    #expect(found.texts.count == 2001 && found.texts.last == "2")
    #expect(notices.all.count { $0.contains("log-1.gz") } == 1, "\(notices.all)")
  }

  @Test("a file whose event time cannot be read is said while a list is followed in the order of time")
  func untimed() async throws {
    let folder = try TestFolder()
    let schema = Schema(
      fields: [Field(name: "at", type: .timestamp(.automatic), required: true)], timeField: 0, keyField: nil)
    func event(_ second: Int) -> String { "{\"at\":\"2026-01-01T00:00:0\(second)Z\"}\n" }
    try folder.write("a", event(1))
    let notices = Notices()
    let source = FileSource(
      paths: [folder / "*"], order: .time, eventTimes: EventTimes(schema: schema, lateness: 0), follow: true,
      rotationGrace: .milliseconds(20), notice: { notices.add($0) })
    let first = try await read(source, items: 1)
    async let reading = readOn(source, stored: first.points[0].0.stateEntries, items: 2)
    try folder.write("new/x", Data([0xFF, 0xFE, 0x31, 0x00]))
    try folder.write("new/y", event(3))
    try folder.write("new/z", event(2))
    for name in ["x", "y", "z"] { try folder.rename("new/\(name)", to: name) }
    let rest = try await reading
    source.stop()
    #expect(Set(rest.texts) == Set([event(2), event(3)].map { String($0.dropLast()) }))
    #expect(notices.all.contains { $0.contains("x is passed over: its event time cannot be read") }, "\(notices.all)")
  }

  @Test("a run that is stopped while a large compressed file is gone through ends at once", arguments: ["gz", "bz2"])
  func stopped(ending: String) async throws {
    let folder = try TestFolder()
    try folder.write("zeroes", "1\n")
    try #require(truncate(folder / "zeroes", 64 << 20) == 0)
    try pack(folder, "zeroes", with: ending == "gz" ? "gzip" : "bzip2", keep: false)
    let member = try #require(FileManager.default.contents(atPath: folder / "zeroes.\(ending)"))
    // Some 60 GiB of contents: minutes of work.
    var data = Data()
    for _ in 0..<1000 { data += member }
    let path = try folder.write("large.\(ending)", data)
    let opened = try await read(FileSource(paths: [path], batchRows: 1), batches: 1).points[0].0
    let point = ResumePoint(
      position: Position(segment: 0, offset: 50 << 30, row: 1), sourceState: opened.sourceState,
      stateEntries: opened.stateEntries)
    let source = FileSource(paths: [path])
    try await source.open(resumingAt: [PartitionID(source: source.name, number: 0): point])
    async let reading = readOn(source)
    // Amid the decompression, which takes minutes.
    try await Task.sleep(for: .milliseconds(300))
    let start = ContinuousClock.now
    source.stop()
    #expect(try await reading.items.isEmpty)
    #expect(ContinuousClock.now - start < .seconds(20))
  }
}
