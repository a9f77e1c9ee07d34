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
}
