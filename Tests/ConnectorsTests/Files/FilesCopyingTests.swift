// A file that was left, gets more and is copied and truncated: what it got is in the file at one moment and in its copy at
// the next, and is read once whenever the source looks.

import Foundation
import Pipeline
import Synchronization
import TestKit
import Testing

@testable import Connectors

@Suite("Files that are copied and truncated amid a look", .timeLimit(.minutes(15)))
struct FilesCopyingTests {
  private typealias Families = FilesFamiliesTests

  @Test("a file that is truncated between the looks at it and at its copy")
  func amidALook() async throws {
    let folder = try TestFolder()
    var writer = Families.Writer(folder: folder)
    for name in ["api.log", "web.log"] { try writer.append(name, 15) }
    let path = folder / "api.log"
    // 30 to 44 are what the file gets, the next 15 what it has after it was truncated.
    writer.count = 45
    let last = writer.text(15)
    writer.count = 30
    let isDone = Mutex(false)
    // It is said between the two.
    let source = FileSource(
      paths: [folder / "*.log*"], follow: true, idleTimeout: .seconds(2), rotationGrace: .milliseconds(20)
    ) { notice in
      guard notice.contains("has grown after it was left"), !isDone.withLock({ $0 }) else { return }
      isDone.withLock { $0 = true }
      try? FileManager.default.copyItem(atPath: path, toPath: path + ".1")
      truncate(path, 0)
      try? Data(last.utf8).write(to: URL(fileURLWithPath: path))
    }
    try await source.open(resumingAt: [:])
    let first = try await readOn(source, items: 30)
    try writer.append("api.log", 15)
    let rest = try await readOn(source, stored: first.points.last?.0.stateEntries ?? [:])
    let numbers = Families.numbers(first.texts + rest.texts)
    #expect(isDone.withLock { $0 })
    #expect(numbers.sorted() == Array(0..<60), "\(numbers)")
  }

  @Test("that a pipeline takes its time is not taken for an input that has fallen silent")
  func slowPipeline() async throws {
    let folder = try TestFolder()
    var writer = Families.Writer(folder: folder)
    try writer.append("api.log", 15)
    let source = Families.source([folder / "*.log*"], idle: .milliseconds(500), grace: .milliseconds(100))
    let first = try await read(source, items: 15)
    try await Task.sleep(for: .seconds(1))
    // What has come meanwhile is in the file that took the place of the one that was read.
    try writer.rotate("api.log", .renamed)
    try writer.append("api.log", 15)
    let rest = try await readOn(source, stored: first.points.last?.0.stateEntries ?? [:], items: 15)
    source.stop()
    #expect(Families.numbers(first.texts + rest.texts) == Array(0..<30))
  }

  @Test("a file that is on record as one to go on in, and is copied and truncated while the run is down")
  func listedAndDown() async throws {
    let folder = try TestFolder()
    var writer = Families.Writer(folder: folder)
    for name in Families.names { try writer.append(name, 15) }
    let paths = [folder / "*.log*"]
    let first = try await read(Families.source(paths, idle: .milliseconds(300)))
    // Both go on; the run ends when the first of them was read.
    try writer.append("api.log", 15)
    try writer.append("job.log", 15)
    let second = try await read(Families.source(paths), from: first.points.last?.0, batches: 1)
    try writer.rotate("job.log", .copied)
    try writer.append("job.log", 15)
    let third = try await read(Families.source(paths, idle: .seconds(2)), from: second.points.last?.0)
    let numbers = Families.numbers(first.texts + second.texts + third.texts)
    #expect(second.items.count == 15)
    #expect(numbers.sorted() == Array(0..<writer.count), "\(numbers)")
  }
}
