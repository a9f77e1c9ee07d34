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

  @Test("a shard lies where it was asked for and holds the rows", arguments: [ShardEncoder.Codec.lz4, .zstd(level: 1)])
  func shard(codec: ShardEncoder.Codec) throws {
    try withTemporaryFolder { folder in
      let rows = rows(500)
      let directory = DataDirectory(path: folder + "/data set")
      let path = "history/redset/day=2018-01-01/.file-0-0.arrow"
      let size = try ArrowHistory(in: directory, useCase: "redset", codec: codec).writeShard(rows, to: path)
      let written = try Data(contentsOf: URL(filePath: directory.path + "/" + path))
      #expect(Int64(written.count) == size)
      let reader = try ColumnarFileReader(path: directory.path + "/" + path)
      #expect(try reader.nextBatch(maxRows: 1_000)?.map(\.column) == rows.columns)
    }
  }

  @Test("a tail decodes to its rows", arguments: [0, 1, 1_000])
  func tail(count: Int) throws {
    try withTemporaryFolder { folder in
      let history = ArrowHistory(in: DataDirectory(path: folder), useCase: "redset")
      let rows = rows(count)
      let decoded = try history.decodeTail(history.encodeTail(rows))
      #expect(decoded.layout == rows.layout)
      #expect(decoded.columns == rows.columns)
      #expect(throws: CodingError.self) { try history.decodeTail([1, 2, 3]) }
    }
  }

  @Test("a folder that cannot be made is an operating error")
  func refused() throws {
    try withTemporaryFolder { folder in
      try Data().write(to: URL(filePath: folder + "/history"))
      let history = ArrowHistory(in: DataDirectory(path: folder), useCase: "redset")
      let error = #expect(throws: OperatingError.self) { try history.writeShard(rows(1), to: "history/a/b.arrow") }
      #expect(error?.kind == .store)
    }
  }
}
