// The order in which the matches of a pattern are read.

import Detection
import Foundation
import Pipeline
import TestKit
import Testing

@testable import Connectors

@Suite("Order of files", .timeLimit(.minutes(15)))
struct FilesOrderTests {
  @Test(
    "names are ordered as people mean them, the oldest first",
    arguments: [
      // Rotated by number: the higher, the older; compressed or not.
      ["app.log.10", "app.log.2.gz", "app.log.1", "app.log"],
      ["app.log.2", "app.log.1", "app.log.0", "app.log"],
      ["app.ndjson.11.zst", "app.ndjson.2", "app.ndjson.1.bz2"],
      ["logs/a.log.2", "logs/a.log.1", "logs/a.log", "logs/b.log.1", "logs/b.log"],
      // An extension is no condition where the file itself is there.
      ["messages.2", "messages.1", "messages"],
      // Rotated by date: the one without a date is the one that is written.
      ["app-20251231.log", "app-20260101.log", "app-20260102.log.gz", "app.log"],
      ["app.log-20251231.gz", "app.log-20260101", "app.log"],
      ["app_2025-12-31.log", "app_2026-01-01.log", "app.log"],
      ["app20251231.log", "app20260101.log", "app.log"],
      ["2026-01-01-app.log", "2026-01-02-app.log", "app.log"],
      ["app.2026-01-01T09.log", "app.2026-01-01T10.log", "app.log"],
      ["app.3.log.gz", "app.2.log.gz", "app.1.log", "app.log"],
      ["app.log.old", "app.log"],
      ["a.2", "a.1", "a"],
      ["a.old", "a"],
      // Of several files of one day, and where a day's file is there as well.
      ["server.log.2026-01-01.1", "server.log.2026-01-01.2", "server.log.2026-01-02.1", "server.log"],
      ["server.log.2026-01-01.2", "server.log.2026-01-01.1", "server.log.2026-01-01", "server.log"],
      ["server.2026-01-01.9.log", "server.2026-01-01.10.log", "server.2026-01-02.0.log", "server.log"],
      ["catalina.2026-01-01.log", "catalina.2026-01-02.log", "catalina.out"],
      // Rotated at a time that is a number.
      ["app.log.1700000000", "app.log.1700003600", "app.log"],
      ["app.log.1720010412345", "app.log.1720010412346", "app.log"],
      ["app.log.2024", "app.log.2025", "app.log"],
      ["app.log.1000", "app.log.999", "app.log"],
      // Parts: numbers count by their value.
      ["part-1.ndjson", "part-2.ndjson", "part-10.ndjson"],
      ["part.2", "part.10", "part.100"],
      ["events.ndjson.00", "events.ndjson.01", "events.ndjson.10", "events.ndjson.9000"],
      ["log.9", "log.10"],
      ["0.json", "1.json", "10.json"],
      ["data.2024.csv", "data.2025.csv"],
      ["x-9223372036854775808.csv", "x-9223372036854775809.csv", "x-99999999999999999999999.csv"],
      ["2025-9-30/a", "2025-10-1/a", "2025-10-1/b"],
      ["a1b2.csv", "a1b10.csv", "a02b1.csv", "a10b1.csv"],
      ["B.ndjson", "a.ndjson", "b.ndjson"],
      ["day.csv", "day.csv.gz"],
    ])
  func natural(_ names: [String]) {
    #expect(NaturalKey.sorted(names.sorted()) == names)
    #expect(NaturalKey.sorted(names.reversed()) == names)
  }

  @Test("amid a rotation a name that is not there at the moment says what numbers mean")
  func amidRotation() {
    #expect(NaturalKey.sorted(["log.1", "log.2", "log.10.gz"]) == ["log.1", "log.2", "log.10.gz"])
    #expect(NaturalKey.sorted(["log.1", "log.2", "log.10.gz"], beside: ["log"]) == ["log.10.gz", "log.2", "log.1"])
  }

  @Test("a glob is read in natural order unless another one is chosen; a list in the order given")
  func chosen() async throws {
    let folder = try TestFolder()
    for name in ["part-10", "part-2", "part-1"] { try folder.write(name, "\(name)\n") }
    let all = folder / "part-*"
    #expect(try await read(FileSource(paths: [all])).texts == ["part-1", "part-2", "part-10"])
    #expect(try await read(FileSource(paths: [all], order: .name)).texts == ["part-1", "part-10", "part-2"])
    let list = [folder / "part-10", folder / "part-2"]
    #expect(try await read(FileSource(paths: list)).texts == ["part-10", "part-2"])
  }

  @Test("a stored list is continued in the order in which it is stored; what is new comes behind it")
  func stored() async throws {
    let folder = try TestFolder()
    for number in [1, 2, 10] { try folder.write("part-\(number)", "\(number)\n") }
    let all = folder / "part-*"
    let points = try await read(FileSource(paths: [all], order: .name)).points.map(\.0)
    try folder.write("part-3", "3\n")
    let rest = try await read(FileSource(paths: [all]), from: points[0])
    #expect(rest.texts == ["10", "2", "3"])
    #expect(rest.items.map(\.position.segment) == [1, 2, 3])
  }

  private static let schema = Schema(
    fields: [Field(name: "at", type: .timestamp(.automatic), required: true)], timeField: 0, keyField: nil)

  private static func event(_ second: Int) -> String {
    "{\"at\":\"2026-01-01T00:00:\(second < 10 ? "0" : "")\(second)Z\"}\n"
  }

  @Test("by time: the first event of each file, whatever they are called; those without one last")
  func time() async throws {
    let folder = try TestFolder()
    let a = try folder.write("a.ndjson", Self.event(30) + Self.event(1))
    let b = try folder.write("b.ndjson", "no event\n" + Self.event(10))
    let c = try folder.write("c.csv", "at\n2026-01-01T00:00:20Z\n")
    let none = try folder.write("0.ndjson", "\n")
    let times = EventTimes(schema: Self.schema, lateness: 0)
    let reading = try await read(FileSource(paths: [none, a, b, c], order: .time, eventTimes: times))
    #expect(reading.texts.count == 5)
    #expect(reading.items.map(\.position.segment) == [0, 0, 1, 2, 2])
    #expect(reading.texts[1].contains(":10Z") && reading.texts[2].contains(":20Z"))
  }

  @Test("files that go back in time by more than is allowed are said", arguments: [19_000_000, 20_000_000] as [Int64])
  func backwards(lateness: Int64) async throws {
    let folder = try TestFolder()
    // The last event counts, also where it is far behind the beginning of the file.
    let filler = String(repeating: Self.event(11), count: 4000)
    let a = try folder.write("a.ndjson", Self.event(10) + filler + Self.event(40))
    let b = try folder.write("b.ndjson", Self.event(20) + Self.event(41))
    let notices = Notices()
    let source = FileSource(
      paths: [a, b], eventTimes: EventTimes(schema: Self.schema, lateness: lateness), notice: { notices.add($0) })
    try await source.open(resumingAt: [:])
    #expect(notices.all.count == (lateness < 20_000_000 ? 1 : 0))
    for text in notices.all {
      #expect(text.contains("1 of 2") && text.contains("\(b) begins at 2026-01-01T00:00:20Z"))
      #expect(text.contains("\(a), which is read before it, comes to 2026-01-01T00:00:40Z"))
    }
  }
}
