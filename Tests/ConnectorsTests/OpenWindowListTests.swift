// Lists of very many open windows: a page reads segments, and all pages together are the list.

import Configuration
import Detection
import Foundation
import GRDB
import Logging
import Pipeline
import TestKit
import Testing

@testable import Connectors

@Suite("Lists of open windows", .timeLimit(.minutes(15)))
struct OpenWindowListTests {
  private static let useCase = """
    name: many
    event:
      time: t
      fields:
        e: {type: int, required: true}
        t: {type: timestamp, required: true, format: seconds}
    windows:
      - {name: days, type: tumbling, size: 1d, by: [e], allowed_lateness: 2d, aggregates: {n: count(*), most: max(e)}}
      - {name: few, type: tumbling, size: 1d, allowed_lateness: 2d, aggregates: {n: count(*)}}
    """
  private static let keys = 12_000

  /// Events of all keys on two days, of some on both; a partition has every second one.
  private static let partitions: [[[UInt8]]] = (0..<2).map { number in
    (0..<keys).flatMap { key -> [String] in
      let lines = [#"{"e":\#(key),"t":\#(1_709_251_200 + key)}"#, #"{"e":\#(key),"t":\#(1_709_337_600 + key)}"#]
      return key % 3 == 0 ? lines : number == 0 ? [lines[key % 2]] : []
    }.sorted { $0.suffix(11) < $1.suffix(11) }.map { Array($0.utf8) }
  }

  private static func line(_ window: StoredWindow) -> String {
    "\(window.start) \(window.window) \(window.by) \(window.events) \(window.aggregates) \(window.closed)"
  }

  /// What the list must be: by start descending, then by the bytes of the values.
  private static var expected: [String] {
    var lines: [String] = []
    for day in [Int64(1_709_337_600_000_000), 1_709_251_200_000_000] {
      let ofDay = (0..<keys).filter { $0 % 3 == 0 || $0 % 2 == (day == 1_709_251_200_000_000 ? 0 : 1) }
      let ordered = ofDay.map { key -> (bytes: [UInt8], key: Int) in
        var writer = ByteWriter()
        writer.write(scalar: .int(Int64(key)))
        return (writer.bytes, key)
      }.sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
      lines += ordered.map { "\(day) days {\"e\":\($0.key)} \($0.key % 3 == 0 ? 2 : 1)" }
    }
    return lines
  }

  @Test("all pages together are the list, of one snapshot and of one for each page")
  func pages() async throws {
    let folder = try TestFolder()
    let directory = DataDirectory(path: folder.path)
    let check = UseCaseChecker.check(text: Self.useCase)
    let plan = try #require(check.plan, "\(check.rendered)")
    do {
      let store = try SQLiteStore(in: directory)
      try await Pipeline(
        plan: plan, version: ConfigurationVersion(plan.useCase, text: Self.useCase),
        source: MemorySource(partitions: Self.partitions, batchSizes: [1_000]), store: store,
        encoder: ArrowHistory(in: directory, useCase: "many", codec: .none),
        options: Pipeline.Options(workers: 2, checkpointInterval: .milliseconds(1)),
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
      ).run()
    }
    let rows = try await DatabaseQueue(path: directory.databasePath).read {
      try Int.fetchOne($0, sql: "SELECT count(*) FROM window_parts")
    }
    #expect(rows == 0)
    let reader = try SQLiteReader(directory)
    var all = ResultFilter()
    (all.limit, all.name) = (0, "days")
    let filter = all
    let expected = Self.expected
    let whole = try await reader.read { try await $0.windows(filter) }
    func short(_ window: StoredWindow) -> String { Self.line(window).components(separatedBy: " {\"n\"")[0] }
    #expect(whole.map(short) == expected)
    for window in whole {
      let start = "{\"n\":\(window.events),\"most\":"
      try #require(!window.closed && window.aggregates.hasPrefix(start))
    }
    var (cursor, listed, pages) = (PageCursor?.none, [StoredWindow](), 0)
    repeat {
      let after = cursor
      let page = try await reader.read { try await $0.windows(filter, after: after) }
      listed += page.rows
      cursor = page.next
      pages += 1
      // The rest need not be read.
      if pages == 5 { break }
    } while cursor != nil
    let first = Array(whole.prefix(2_500))
    #expect(listed == first)
    for change in [
      { (filter: inout ResultFilter) in filter.from = 1_709_337_600_000_000 },
      { filter in filter.to = 1_709_337_600_000_000 },
    ] as [(inout ResultFilter) -> Void] {
      var asked = filter
      change(&asked)
      let filter = asked
      let found = try await reader.read { try await $0.windows(filter) }
      let (from, to): (Int64, Int64) = (filter.from ?? .min, filter.to ?? .max)
      let within = whole.filter { $0.start >= from && $0.start < to }
      #expect(found == within)
      #expect(!found.isEmpty)
    }
    try await reader.read { results in
      let open = try await results.status(of: nil).map(\.openWindows)
      #expect(open == [16_002, 8_002])
      let top = try await results.topEntities(of: "many", window: "days", by: "most", limit: 2)
      #expect(top.map(\.by) == [#"{"e":11999}"#, #"{"e":11998}"#])
      // A list in the same snapshot behind it.
      #expect(try await results.windows(filter) == whole)
      #expect(try await results.names(of: nil).windows == ["days", "few"])
    }
    withExtendedLifetime(folder) {}
  }
}
