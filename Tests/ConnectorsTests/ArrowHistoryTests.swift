// History in the Arrow formats: what the runtime hands over comes back, and what refuses says so as an operating error.

import Connectors
import Detection
import Foundation
import Pipeline
import TestKit
import Testing

@Suite("Arrow: history")
struct ArrowHistoryTests {
  private func rows(_ count: Int) -> HistoryRows {
    var generator = SeededRandom(seed: UInt64(count))
    let columns = generator.columns(rows: count)
    let layout = HistoryLayout(columns: zip(testNames, columns).map { .init(name: $0, type: $1.type) })
    return HistoryRows(layout: layout, columns: columns)
  }

  private static let partition = PartitionID(source: "orders", number: 7)

  @Test("a shard lies where it was asked for and holds the rows", arguments: [ShardEncoder.Codec.lz4, .zstd(level: 1)])
  func shard(codec: ShardEncoder.Codec) throws {
    try withTemporaryFolder { folder in
      let rows = rows(500)
      let directory = DataDirectory(path: folder + "/data set")
      let path = "history/redset/day=2018-01-01/.file-0-0.arrow"
      let size = try ArrowHistory(in: directory, useCase: "redset", codec: codec).writeShard(
        rows, of: Self.partition, to: path)
      let written = try Data(contentsOf: URL(filePath: directory.path + "/" + path))
      #expect(Int64(written.count) == size)
      let reader = try ColumnarFileReader(path: directory.path + "/" + path)
      let read = try #require(try reader.nextBatch(maxRows: 1_000))
      #expect(read.dropLast(2).map(\.column) == rows.columns)
      #expect(read.suffix(2).map(\.name) == ["_source", "_partition"])
      let origin = [Scalar](repeating: .string("orders"), count: 500)
      #expect(read.suffix(2).map(\.column) == [Column(.string, origin), Column(.int, origin.map { _ in .int(7) })])
    }
  }

  @Test("a tail decodes to its rows", arguments: [0, 1, 1_000])
  func tail(count: Int) throws {
    try withTemporaryFolder { folder in
      let history = ArrowHistory(in: DataDirectory(path: folder), useCase: "redset")
      let rows = rows(count)
      let decoded = try history.decodeTail(history.encodeTail(rows, of: Self.partition))
      #expect(decoded.layout == rows.layout)
      #expect(decoded.columns == rows.columns)
      #expect(throws: CodingError.self) { try history.decodeTail([1, 2, 3]) }
    }
  }

  @Test("a tail of format 1 is taken up")
  func earlierTail() throws {
    try withTemporaryFolder { folder in
      let history = ArrowHistory(in: DataDirectory(path: folder), useCase: "redset")
      let rows = rows(100)
      let bytes = try ShardEncoder(names: testNames, metadata: [("pulse.format", "1")]).encodeTail(rows.columns)
      let decoded = try history.decodeTail(bytes)
      #expect(decoded.layout == rows.layout && decoded.columns == rows.columns)
      let later = try ShardEncoder(names: testNames, metadata: [("pulse.format", "3")]).encodeTail(rows.columns)
      #expect { try history.decodeTail(later) } throws: { "\($0)".contains("its version is 3, expected 1 to 2") }
    }
  }

  /// Until format 2 a field could be named `_source`.
  @Test("rows that waited with a field that has a name of history now are written as they are")
  func earlierField() throws {
    try withTemporaryFolder { folder in
      let history = ArrowHistory(in: DataDirectory(path: folder), useCase: "redset")
      let columns = [Column(.timestamp, [.timestamp(1)]), Column(.string, [.string("mine")])]
      let layout = HistoryLayout(columns: [.init(name: "at", type: .timestamp), .init(name: "_source", type: .string)])
      let rows = HistoryRows(layout: layout, columns: columns)
      let decoded = try history.decodeTail(history.encodeTail(rows, of: Self.partition))
      #expect(decoded.layout == layout && decoded.columns == columns)
      _ = try history.writeShard(rows, of: Self.partition, to: "a.arrow")
      let read = try ColumnarFileReader(path: folder + "/a.arrow").nextBatch(maxRows: 10)
      #expect(read?.map(\.name) == ["at", "_source"] && read?.map(\.column) == columns)
    }
  }

  @Test("to say whose rows they are costs a full shard less than 8 KiB")
  func size() throws {
    try withTemporaryFolder { folder in
      let times = Column(.timestamp((0..<65_536).map { $0 * 1_000 }))
      let layout = HistoryLayout(columns: [.init(name: "at", type: .timestamp)])
      let history = ArrowHistory(in: DataDirectory(path: folder), useCase: "redset")
      let partition = PartitionID(source: String(repeating: "a-long-name-", count: 10), number: .max)
      let size = try history.writeShard(
        HistoryRows(layout: layout, columns: [times]), of: partition, to: "whole.arrow")
      try ShardEncoder(names: ["at"]).write([times], to: folder + "/plain.arrow")
      let plain = try Data(contentsOf: URL(filePath: folder + "/plain.arrow")).count
      #expect(size > plain && Int(size) < plain + 8 << 10)
    }
  }

  @Test("a folder that cannot be made is an operating error")
  func refused() throws {
    try withTemporaryFolder { folder in
      try Data().write(to: URL(filePath: folder + "/history"))
      let history = ArrowHistory(in: DataDirectory(path: folder), useCase: "redset")
      let error = #expect(throws: OperatingError.self) {
        try history.writeShard(rows(1), of: Self.partition, to: "history/a/b.arrow")
      }
      #expect(error?.kind == .store)
    }
  }
}
