// Which files beside others belong to a followed one by their names, and which are the same file by another name.

import Detection
import Foundation
import Pipeline
import TestKit
import Testing

@testable import Connectors

@Suite("Names of files beside others", .timeLimit(.minutes(15)))
struct FilesNamesTests {
  private static func source(_ path: String, idle: Duration = .seconds(2), _ notices: Notices = Notices()) -> FileSource
  {
    FileSource(
      paths: [path], follow: true, idleTimeout: idle, rotationGrace: .milliseconds(20), notice: { notices.add($0) })
  }

  private static let lines = (0..<300).map { "line \($0) \(UInt64($0) &* 0x9e37_79b9_7f4a_7c15)" }
  private static let text = lines.map { $0 + "\n" }.joined()

  @Test("another name of a file is passed over, a copy is read with a word, and what comes behind is read")
  func links() async throws {
    for kind in ["link", "symlink", "copy", "part"] {
      let folder = try TestFolder()
      let path = try folder.write("a.log", Self.text)
      switch kind {
      case "link": try FileManager.default.linkItem(atPath: path, toPath: folder / "b.log")
      case "symlink": try FileManager.default.createSymbolicLink(atPath: folder / "b.log", withDestinationPath: "a.log")
      case "copy": try folder.write("b.log", Self.text)
      default: try folder.write("b.log", String(Self.text.prefix(6000)))
      }
      try folder.write("c.log", "behind\n")
      let notices = Notices()
      let found = try await read(Self.source(folder / "*.log", idle: .seconds(4), notices))
      let right = Self.lines + (kind == "copy" ? Self.lines : []) + ["behind"]
      #expect(found.texts.elementsEqual(right), "\(kind): \(found.texts.count) instead of \(right.count)")
      // A part may be a copy in the making, so it is waited for at first.
      #expect(notices.all.count <= (kind == "part" ? 2 : 1), "\(kind): \(notices.all)")
      #expect(notices.all.last?.contains("b.log") == true, "\(kind): \(notices.all)")
    }
  }

  @Test(
    "a file is followed through rotations to names that its pattern does not match",
    arguments: ["host-1", "app-20260102"])
  func unmatched(name: String) async throws {
    let folder = try TestFolder()
    try folder.write("\(name).log", Self.text)
    let source = Self.source(folder / (name.prefix { $0 != "-" } + "-*.log"))
    let first = try await read(source, items: 300)
    for turn in 1...3 {
      for old in stride(from: 3, through: 1, by: -1) where access(folder / "\(name).log.\(old)", F_OK) == 0 {
        try folder.rename("\(name).log.\(old)", to: "\(name).log.\(old + 1)")
      }
      try folder.rename("\(name).log", to: "\(name).log.1")
      // Times of change tell which one is newer.
      try await Task.sleep(for: .milliseconds(20))
      try folder.write("\(name).log", "turn \(turn)\n")
    }
    let point = try #require(first.points.last?.0)
    #expect(try await readOn(source, stored: point.stateEntries).texts == ["turn 1", "turn 2", "turn 3"])
    let restarted = Self.source(folder / (name.prefix { $0 != "-" } + "-*.log"))
    #expect(try await read(restarted, from: point).texts == ["turn 1", "turn 2", "turn 3"])
  }

  @Test("what was rotated before an empty file was first followed is not read, also if it still grows")
  func before() async throws {
    let folder = try TestFolder()
    try folder.write("app.log.1", Self.text)
    try folder.write("app.log", "")
    let source = Self.source(folder / "app.log")
    try await source.open(resumingAt: [:])
    try folder.append("app.log.1", "its writer had it open\n")
    try folder.rename("app.log.1", to: "app.log.2")
    try folder.append("app.log", "new\n")
    #expect(try await readOn(source).texts == ["new"])
  }

  @Test(
    "a file that has another number in its name is no rotation",
    arguments: ["worker-2.log", "worker_7.log", "worker.log-2"])
  func others(other: String) async throws {
    let folder = try TestFolder()
    try folder.write("worker.log", "1\n")
    let source = Self.source(folder / "worker.log")
    let first = try await read(source, items: 1)
    // Times of change tell what is newer than the file that is rotated.
    try await Task.sleep(for: .milliseconds(20))
    try folder.write(other, Self.text)
    try folder.rename("worker.log", to: "worker.log.1")
    try folder.write("worker.log", "2\n")
    #expect(try await readOn(source, stored: first.points[0].0.stateEntries).texts == ["2"])
  }

  @Test(
    "a file whose name reads like a pattern is followed through a rotation while none is there",
    arguments: [true, false])
  func bracketed(isLive: Bool) async throws {
    let folder = try TestFolder()
    try folder.write("app[1].log", Self.text)
    try folder.write("app1.log", "another one\n")
    var source = Self.source(folder / "app[1].log")
    let first = try await read(source, items: 300)
    if !isLive { source.stop() }
    try folder.append("app[1].log", "last\n")
    try folder.rename("app[1].log", to: "app[1].log.1")
    if !isLive {
      source = Self.source(folder / "app[1].log")
      try await source.open(
        resumingAt: [PartitionID(source: source.name, number: 0): try #require(first.points.last?.0)])
    }
    let last = try await readOn(source, stored: first.points.last?.0.stateEntries ?? [:], items: 1)
    try folder.write("app[1].log", "new\n")
    let rest = try await readOn(source, stored: last.points.last?.0.stateEntries ?? [:])
    #expect(last.texts + rest.texts == ["last", "new"])
  }

  @Test("two followed files exchange their names", arguments: [true, false])
  func exchanged(isLast: Bool) async throws {
    let folder = try TestFolder()
    try folder.write("a.log", Self.text)
    try folder.write("b.log", "b" + Self.text)
    let source = FileSource(
      paths: [folder / "a.log", folder / "b.log"], follow: true, idleTimeout: .seconds(2),
      rotationGrace: .milliseconds(20))
    let first = try await read(source, items: 600)
    try folder.rename("a.log", to: "t")
    try folder.rename("b.log", to: "a.log")
    try folder.rename("t", to: "b.log")
    try folder.append(isLast ? "b.log" : "a.log", "first\n")
    try folder.append(isLast ? "a.log" : "b.log", "second\n")
    let rest = try await readOn(source, stored: first.points.last?.0.stateEntries ?? [:])
    #expect(rest.texts.sorted() == ["first", "second"])
  }

  @Test("restarts add nothing to the list where files stay empty")
  func empty() async throws {
    let folder = try TestFolder()
    for number in 1...20 { try folder.write("\(number).log", "") }
    try folder.write("21.log", "1\n")
    var point: ResumePoint?
    for round in 1...4 {
      try folder.append("21.log", "\(round)\n")
      let found = try await read(Self.source(folder / "*.log", idle: .milliseconds(300)), from: point)
      point = found.points.last?.0
      #expect(point?.stateEntries.count == 21, "round \(round)")
    }
  }
}
