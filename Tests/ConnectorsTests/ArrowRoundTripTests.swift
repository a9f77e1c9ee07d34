// What we write, we read back: every type, with and without nulls, around the boundaries of bitmap words.

import Connectors
import Detection
import Foundation
import TestKit
import Testing

@Suite("Arrow: round trips")
struct ArrowRoundTripTests {
  static let codecs: [ShardEncoder.Codec] = [.none, .lz4, .zstd(level: 1), .zstd(level: 9)]

  @Test("a shard holds what was written", arguments: codecs, [0, 1, 63, 64, 65, 1_000])
  func shard(codec: ShardEncoder.Codec, rows: Int) throws {
    var generator = SeededRandom(seed: UInt64(rows) + 1)
    for nulls in [true, false] {
      let columns = generator.columns(rows: rows, nulls: nulls)
      try withTemporaryFolder { folder in
        let path = folder + "/shard.arrow"
        try ShardEncoder(names: testNames, codec: codec).write(columns, to: path)
        let reader = try ColumnarFileReader(path: path)
        #expect(reader.format == .arrowFile)
        #expect(reader.rowCount == rows)
        #expect(reader.columns.map(\.name) == testNames)
        #expect(reader.columns.map(\.type.valueType) == columns.map(\.type))
        guard rows > 0 else {
          #expect(try reader.nextBatch(maxRows: 10) == nil)
          return
        }
        let batch = try #require(try reader.nextBatch(maxRows: rows))
        #expect(batch.map(\.column) == columns)
        #expect(try reader.nextBatch(maxRows: rows) == nil)
        #expect(reader.position == rows)
        #expect(reader.valuesOutOfRange == 0)
      }
    }
  }

  /// Calls `body` with the paths of an Arrow and a Parquet file of the same 333 rows, one after the other.
  private static func withFiles(seed: UInt64, _ body: (String, [Column]) throws -> Void) throws {
    var generator = SeededRandom(seed: seed)
    let columns = generator.columns(rows: 333)
    try withTemporaryFolder { folder in
      let encoder = ShardEncoder(names: testNames)
      try encoder.write(columns, to: folder + "/shard.arrow")
      try encoder.writeParquet(columns, to: folder + "/shard.parquet")
      for name in ["/shard.arrow", "/shard.parquet"] { try body(folder + name, columns) }
    }
  }

  @Test("batches cut anywhere add up to the whole", arguments: [1, 3, 64, 100])
  func slices(maxRows: Int) throws {
    try Self.withFiles(seed: 7) { path, columns in
      let rows = try readAll(ColumnarFileReader(path: path, batchRows: 50), maxRows: maxRows)
      for (name, column) in zip(testNames, columns) { #expect(rows[name] == scalars(column)) }
    }
  }

  @Test("a batch has fewer rows where they would have too many bytes", arguments: [1, 100, 5000, 1 << 20])
  func bytes(maxBytes: Int) throws {
    let texts = (0..<300).map { String(repeating: "x", count: $0) }
    let columns = [Column(.string, texts.map { .string($0) }), Column(.int, texts.indices.map { .int(Int64($0)) })]
    try withTemporaryFolder { folder in
      let encoder = ShardEncoder(names: ["text", "number"])
      try encoder.write(columns, to: folder + "/shard.arrow")
      try encoder.writeParquet(columns, to: folder + "/shard.parquet")
      for name in ["/shard.arrow", "/shard.parquet"] {
        let reader = try ColumnarFileReader(path: folder + name)
        var rows: [Scalar] = []
        while let batch = try reader.nextBatch(maxRows: 128, maxBytes: maxBytes) {
          guard case .string(let strings) = batch[0].column.values else { throw CancellationError() }
          #expect(strings.count == 1 || strings.bytes.count + 8 * strings.count <= maxBytes)
          #expect(strings.count <= 128 && strings.count == batch[1].column.count)
          rows += scalars(batch[0].column)
        }
        #expect(rows == scalars(columns[0]))
      }
    }
  }

  @Test("a tail survives encoding", arguments: codecs)
  func tail(codec: ShardEncoder.Codec) throws {
    var generator = SeededRandom(seed: 11)
    for rows in [0, 1, 100, 5_000] {
      let columns = generator.columns(rows: rows)
      let encoder = ShardEncoder(names: testNames, codec: codec)
      let decoded = try ShardEncoder.decodeTail(encoder.encodeTail(columns))
      #expect(decoded.map(\.name) == testNames)
      #expect(decoded.map(\.column) == columns)
    }
  }

  @Test("equal columns give equal bytes, however strings are encoded")
  func canonical() throws {
    let plain = Column(.string, [.string("a"), .null, .string("bb"), .string("a")])
    let entries = StringColumn(["bb", "", "a"])
    let coded = Column(
      .string(StringColumn(offsets: entries.offsets, bytes: entries.bytes, codes: [2, 1, 0, 2])),
      validity: plain.validity)
    let encoder = ShardEncoder(names: ["s"])
    #expect(try encoder.encodeTail([plain]) == encoder.encodeTail([coded]))
  }

  @Test("special numbers keep their bits")
  func specialNumbers() throws {
    let numbers: [Double] = [.infinity, -.infinity, -0.0, .leastNonzeroMagnitude, .greatestFiniteMagnitude, .nan]
    let encoder = ShardEncoder(names: ["x", "n"])
    let integers: [Int64] = [.min, .max, 0, -1, 1, 42]
    let decoded = try ShardEncoder.decodeTail(encoder.encodeTail([Column(.double(numbers)), Column(.int(integers))]))
    guard case .double(let values) = decoded[0].column.values else { throw NativeTools.Failure(output: "not doubles") }
    #expect(values.map(\.bitPattern) == numbers.map(\.bitPattern))
    #expect(decoded[1].column == Column(.int(integers)))
  }

  @Test("skipping is the same as reading and dropping", arguments: [0, 1, 49, 50, 51, 120, 332, 333, 1_000])
  func skip(rows: Int) throws {
    try Self.withFiles(seed: 13) { path, columns in
      let reader = try ColumnarFileReader(path: path, batchRows: 50)
      _ = try reader.nextBatch(maxRows: 7)
      let skipped = try reader.skip(rows: rows)
      #expect(skipped == min(rows, 326))
      #expect(reader.position == 7 + skipped)
      let rest = try readAll(reader, maxRows: 20)
      for (name, column) in zip(testNames, columns) {
        #expect(rest[name] == Array(scalars(column).dropFirst(7 + skipped)))
      }
    }
  }

  @Test("only selected columns are returned, in the order asked for")
  func select() throws {
    var generator = SeededRandom(seed: 17)
    let columns = generator.columns(rows: 10)
    try withTemporaryFolder { folder in
      let encoder = ShardEncoder(names: testNames)
      try encoder.write(columns, to: folder + "/shard.arrow")
      try encoder.writeParquet(columns, to: folder + "/shard.parquet")
      for name in ["/shard.arrow", "/shard.parquet"] {
        let reader = try ColumnarFileReader(path: folder + name)
        _ = try reader.nextBatch(maxRows: 5)
        try reader.select([.init("timestamp"), .init("int")])
        #expect(reader.position == 0)
        let batch = try #require(try reader.nextBatch(maxRows: 10))
        #expect(batch.map(\.name) == ["timestamp", "int"])
        #expect(batch.map(\.column) == [columns[4], columns[0]])
        // Selecting again is not bound by what was selected before.
        try reader.select([.init("bool")])
        #expect(try reader.nextBatch(maxRows: 10)?.map(\.column) == [columns[2]])
        let error = #expect(throws: ColumnarFileError.self) { try reader.select([.init("absent")]) }
        #expect(error?.reason == .noSuchColumn)
        #expect(error?.message.contains("the file has: int, double") == true)
      }
    }
  }
}
