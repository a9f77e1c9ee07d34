// Small files that become large when they are read: repeated values, values that are shared, lists of nothing, pages and
// buffers that claim a size. Memory is bounded before anything is decompressed, and what fits is read right.

import Connectors
import Detection
import Foundation
import TestKit
import Testing

@Suite("Arrow: expansion", .enabled(if: NativeTools.arePresent, "set-up installs pyarrow"))
struct ArrowExpansionTests {
  /// Writes a file with pyarrow, as `path` in the script.
  private func write(_ name: String, in folder: String, _ script: String) throws -> String {
    let path = "\(folder)/\(name)"
    let head = """
      import sys
      import pyarrow as pa, pyarrow.parquet as pq, pyarrow.ipc as ipc
      path = sys.argv[1]
      def arrow(array, **options):
          batch = pa.record_batch([array], names=["s"])
          with ipc.new_file(path, batch.schema, options=ipc.IpcWriteOptions(**options)) as writer:
              writer.write_batch(batch)

      """
    _ = try NativeTools.run(NativeTools.python, "-c", head + script, path)
    return path
  }

  private func refusal(_ path: String) throws -> ColumnarFileError {
    try #require(throws: ColumnarFileError.self) {
      let reader = try ColumnarFileReader(path: path)
      while try reader.nextBatch(maxRows: 4_096) != nil {}
    }
  }

  /// Row numbers and text lengths, and that no batch has more text than it may.
  private func read(_ reader: ColumnarFileReader, maxRows: Int) throws -> [(Int64, Int)] {
    var rows: [(Int64, Int)] = []
    while let batch = try reader.nextBatch(maxRows: maxRows) {
      guard case .int(let ids) = batch[0].column.values, case .string(let text) = batch[1].column.values else {
        throw CancellationError()
      }
      let lengths = (0..<text.count).map { text.range(of: $0).count }
      #expect(lengths.reduce(0, +) <= Limits.maxBatchText && ids.count <= maxRows && !ids.isEmpty)
      rows += zip(ids, lengths)
    }
    return rows
  }

  @Test("a long value that a dictionary repeats is read in batches of few rows, from any row on")
  func repeatedValue() throws {
    try withTemporaryFolder { folder in
      // 1.2 GB of text in some kilobytes, with a short value now and then.
      let path = try write(
        "repeated.parquet", in: folder,
        """
        rows = 3000
        text = pa.DictionaryArray.from_arrays(pa.array([int(i % 7 == 0) for i in range(rows)], pa.int32()),
                                              pa.array(["x" * 400_000, "short"]))
        pq.write_table(pa.table({"id": pa.array(range(rows)), "s": text}), path, compression="zstd",
                       use_dictionary=["s"], store_schema=False, write_statistics=False)
        """)
      #expect(try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? .max < 40_000)
      let expected = (0..<3_000).map { ($0, $0 % 7 == 0 ? 5 : 400_000) }
      func isExpected(_ rows: [(Int64, Int)], from first: Int) -> Bool {
        rows.elementsEqual(expected[first...]) { $0.0 == Int64($1.0) && $0.1 == $1.1 }
      }
      #expect(isExpected(try read(ColumnarFileReader(path: path), maxRows: 4_096), from: 0))
      for first in [1, 2_999, 1_234] {
        let reader = try ColumnarFileReader(path: path)
        #expect(try reader.nextBatch(maxRows: 1) != nil)
        #expect(try reader.skip(rows: first - 1) == first - 1 && reader.position == first)
        #expect(isExpected(try read(reader, maxRows: 777), from: first) && reader.position == 3_000)
      }
    }
  }

  @Test("what needs more than a file of its size may is refused before it is decompressed")
  func refused() throws {
    let scripts: [(String, String)] = [
      (
        "list.parquet",
        """
        array = pa.ListArray.from_arrays(pa.array([0, 150_000_000], pa.int32()), pa.nulls(150_000_000, pa.int8()))
        pq.write_table(pa.table({"s": array}), path, compression="zstd")
        """
      ),
      (
        "page.parquet",
        """
        pq.write_table(pa.table({"s": pa.repeat(0.5, 40_000_000)}), path, compression="zstd",
                       use_dictionary=False, data_page_size=1 << 30, row_group_size=1 << 30, write_statistics=False,
                       max_rows_per_page=1 << 30)
        """
      ),
      (
        "zeros.arrow",
        """
        arrow(pa.repeat(0.5, 40_000_000), compression="zstd")
        """
      ),
    ]
    try withTemporaryFolder { folder in
      for (name, script) in scripts {
        let error = try refusal(try write(name, in: folder, script))
        #expect(error.reason == .outOfMemory, "\(error)")
        #expect(error.message.contains("it asks for more than 256 MiB at once"), "\(error)")
      }
    }
  }

  @Test("a buffer that claims a size beyond all bounds is refused")
  func claimedSizes() throws {
    try withTemporaryFolder { folder in
      for codec in ["zstd", "lz4"] {
        let path = try write(
          "\(codec).arrow", in: folder, "arrow(pa.array(['abc' * 1000] * 100), compression='\(codec)')")
        var bytes = [UInt8](try Data(contentsOf: URL(filePath: path)))
        let magic: [UInt8] = codec == "zstd" ? [0x28, 0xB5, 0x2F, 0xFD] : [0x04, 0x22, 0x4D, 0x18]
        let frames = bytes.indices.dropFirst(8).filter { bytes[$0...].starts(with: magic) }
        #expect(!frames.isEmpty)
        // The uncompressed length stands before each frame, in eight bytes.
        for claim in [Int64(1) << 40, .max, 1 << 33] {
          for frame in frames {
            for index in 0..<8 { bytes[frame - 8 + index] = UInt8(truncatingIfNeeded: claim >> (index * 8)) }
          }
          try Data(bytes).write(to: URL(filePath: path))
          let error = try refusal(path)
          #expect(error.reason == .outOfMemory || error.reason == .corrupt, "\(error)")
        }
      }
    }
  }

  @Test("nested values that share or repeat what is in them become dead letters, not gigabytes of JSON")
  func sharedValues() throws {
    let scripts = [
      "arrow(pa.ListArray.from_arrays(pa.array([0, 2**31 - 1], pa.int32()), pa.nulls(2**31 - 1)))",
      """
      n = 65536
      arrow(pa.ListViewArray.from_arrays(pa.array([0] * n, pa.int32()), pa.array([300_000] * n, pa.int32()),
                                         pa.array(range(300_000))))
      """,
      """
      n = 65536
      text = pa.DictionaryArray.from_arrays(pa.array([0] * n, pa.int8()), pa.array(["z" * 1_000_000]))
      arrow(pa.ListArray.from_arrays(pa.array([0, n], pa.int32()), text))
      """,
    ]
    try withTemporaryFolder { folder in
      for script in scripts {
        let reader = try ColumnarFileReader(path: try write("shared.arrow", in: folder, script))
        var rows = 0
        var misfits = 0
        while rows < 200, let batch = try reader.nextBatch(maxRows: 100) {
          rows += batch[0].column.count
          misfits += reader.misfits.count
          #expect(reader.misfits.allSatisfy { $0.reason == .tooLarge })
          #expect((0..<batch[0].column.count).allSatisfy { batch[0].column.isNull($0) })
        }
        #expect(rows > 0 && misfits == rows, "\(script): \(misfits) of \(rows)")
      }
    }
  }

  @Test("views of the same text, and dictionaries, are cut into batches that hold their text")
  func sharedText() throws {
    let scripts = [
      """
      one = pa.array(["y" * 200_000], pa.string_view())
      buffers = one.buffers()
      views = pa.py_buffer(buffers[1].to_pybytes() * 2000)
      arrow(pa.Array.from_buffers(pa.string_view(), 2000, [None, views, buffers[2]]))
      """,
      "arrow(pa.DictionaryArray.from_arrays(pa.array([1] * 2000, pa.int8()), pa.array(['', 'y' * 200_000])))",
    ]
    try withTemporaryFolder { folder in
      for script in scripts {
        let reader = try ColumnarFileReader(path: try write("text.arrow", in: folder, script))
        var rows = 0
        while let batch = try reader.nextBatch(maxRows: 65_536) {
          guard case .string(let text) = batch[0].column.values else { throw CancellationError() }
          #expect((0..<text.count).allSatisfy { text.range(of: $0).count == 200_000 })
          #expect(text.count * 200_000 <= Limits.maxBatchText)
          rows += text.count
        }
        #expect(rows == 2_000 && reader.position == 2_000)
      }
    }
  }

  @Test("of a dictionary with more entries than rows those that are named are read, with what does not fit in them")
  func largeDictionary() throws {
    try withTemporaryFolder { folder in
      let path = try write(
        "large.arrow", in: folder,
        """
        entries = pa.array([None if i % 5 == 0 else 2**63 + i if i % 7 == 0 else i for i in range(10_000)], pa.uint64())
        arrow(pa.DictionaryArray.from_arrays(pa.array([None if i % 11 == 0 else i * 37 % 10_000 for i in range(500)],
                                                      pa.int32()), entries))
        """)
      for maxRows in [1, 50, 500] {
        let reader = try ColumnarFileReader(path: path)
        var row = 0
        while let batch = try reader.nextBatch(maxRows: maxRows) {
          let unfit = Set(reader.misfits.map { $0.row + row })
          for index in 0..<batch[0].column.count {
            let (entry, isNull) = (row * 37 % 10_000, row % 11 == 0)
            let isUnfit = !isNull && entry % 5 != 0 && entry % 7 == 0
            #expect(unfit.contains(row) == isUnfit)
            let expected: Scalar = isNull || entry % 5 == 0 || isUnfit ? .null : .int(Int64(entry))
            #expect(batch[0].column[index] == expected)
            row += 1
          }
        }
        #expect(row == 500)
      }
    }
  }

  @Test("many columns and deep ones are refused with the bound")
  func shapes() throws {
    try withTemporaryFolder { folder in
      for (name, write) in [
        ("c.parquet", "pq.write_table(table, path)"), ("c.arrow", "ipc.new_file(path, table.schema)"),
      ] {
        let script = """
          table = pa.table({f"c{i}": pa.array([1], pa.int8()) for i in range(\(Limits.maxFileColumns + 1))})
          \(name.hasSuffix("arrow") ? "with \(write) as writer: writer.write_table(table)" : write)
          """
        let error = try refusal(try self.write(name, in: folder, script))
        #expect(
          error.message.contains("\(Limits.maxFileColumns + 1) columns, at most \(Limits.maxFileColumns)"), "\(error)")
      }
      let deep = try write(
        "deep.parquet", in: folder,
        """
        array = pa.array([1], pa.int8())
        for i in range(5000): array = pa.StructArray.from_arrays([array], names=["a"])
        pq.write_table(pa.table({"a": array}), path, store_schema=False)
        """)
      #expect(try refusal(deep).message.contains("nested"))
    }
  }

  @Test("a footer of absurd length or lists is refused")
  func footers() throws {
    try withTemporaryFolder { folder in
      let path = try write("f.parquet", in: folder, "pq.write_table(pa.table({'s': [1, 2, 3]}), path)")
      let whole = [UInt8](try Data(contentsOf: URL(filePath: path)))
      for length in [UInt32.max, 1 << 31, UInt32(whole.count), 0, 0x0FFF_FFFF] {
        var bytes = whole
        for index in 0..<4 { bytes[bytes.count - 8 + index] = UInt8(truncatingIfNeeded: length >> (index * 8)) }
        try Data(bytes).write(to: URL(filePath: path))
        let error = try refusal(path)
        #expect(error.reason == .corrupt || error.reason == .outOfMemory, "\(error)")
      }
      // A list of 2^31 - 1 elements in the place of each byte of the footer.
      let footer = whole.count - 8 - Int(whole[whole.count - 8]) - Int(whole[whole.count - 7]) << 8
      for start in stride(from: footer, to: whole.count - 20, by: 3) {
        var bytes = whole
        bytes.replaceSubrange(start..<start + 6, with: [0xFC, 0xFF, 0xFF, 0xFF, 0xFF, 0x07])
        try Data(bytes).write(to: URL(filePath: path))
        // Whatever it says, it is read or refused.
        let reader = try? ColumnarFileReader(path: path)
        while (try? reader?.nextBatch(maxRows: 10)) != nil {}
      }
    }
  }
}
