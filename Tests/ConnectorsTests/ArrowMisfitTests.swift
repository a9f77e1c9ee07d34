// Values that no column can hold: null in the column, noted with what was found, and the other rows as they are.

import Connectors
import Detection
import Foundation
import TestKit
import Testing

@Suite("Arrow: values that do not fit", .enabled(if: NativeTools.arePresent, "make setup has not been run here"))
struct ArrowMisfitTests {
  /// Row 1 of every column fits none of ours, except in `good`; row 2 is null.
  private static let write = """
    import sys, pyarrow as pa, pyarrow.parquet as pq
    def text(values, kind):
      wide = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary(), pa.string_view(): pa.binary_view()}[kind]
      data = pa.array(values, wide)
      return pa.Array.from_buffers(kind, len(data), data.buffers())
    bad = [b"short", b"\\xff, and beyond twelve bytes \\xc3", None]
    c = {
      "good": pa.array(["a", "b", "c"]),
      "number": pa.array([1, 2**64 - 1, None], pa.uint64()),
      "time": pa.array([1, 2**62, None], pa.timestamp("s")),
      "millis": pa.array([1, -2**62, None], pa.timestamp("ms", "UTC")),
      "day": pa.array([1, 2**30, None], pa.int32()).cast(pa.date32()),
      "date": pa.array([86400000, 2**35 * 86400000, None], pa.int64()).view(pa.date64()),
      "span": pa.array([1, 2**62, None], pa.duration("s")),
      "text": text(bad, pa.string()), "large": text(bad, pa.large_string()), "view": text(bad, pa.string_view()),
      "binary": pa.array(bad, pa.binary()),
      "coded": pa.DictionaryArray.from_arrays(pa.array([0, 1, None]), text(bad[:2], pa.string())),
      "coded_number": pa.DictionaryArray.from_arrays(pa.array([0, 1, None]), pa.array([1, 2**63], pa.uint64())),
    }
    lists = pa.ListArray.from_arrays(pa.array([0, 1, 2, 2]), text(bad[:2], pa.string()))
    c["list"] = lists
    c["inner"] = pa.StructArray.from_arrays([text(bad, pa.string()), pa.array([1, 2, 3])], ["s", "n"])
    c["map"] = pa.MapArray.from_arrays(pa.array([0, 1, 2, 2]), text(bad[:2], pa.string()), pa.array([1, 2]))
    c["deep"] = pa.array([[1], [2**62], None], pa.list_(pa.timestamp("s")))
    t = pa.table(c)
    with pa.ipc.new_file(sys.argv[1] + "/bad.arrow", t.schema) as w: w.write_table(t)
    with pa.ipc.new_stream(sys.argv[1] + "/bad.arrows", t.schema) as w: w.write_table(t)
    # Parquet counts no seconds, and has days of 32 bits alone. Arrow's reader refuses a Parquet file with text that is
    # not UTF-8 in a column that was a dictionary when it was written.
    pq.write_table(t.drop_columns(["view", "span", "time", "deep", "date", "coded"]), sys.argv[1] + "/bad.parquet")
    """

  @Test("each is null and noted; the rows beside it keep their values")
  func misfits() throws {
    try withTemporaryFolder { folder in
      _ = try NativeTools.run(NativeTools.python, "-c", Self.write, folder)
      for name in ["bad.arrow", "bad.arrows", "bad.parquet"] {
        // Slices of one row have an offset in every buffer.
        for maxRows in [3, 1] {
          let reader = try ColumnarFileReader(path: "\(folder)/\(name)")
          var misfits: [ColumnMisfit] = []
          var rows: [String: [Scalar]] = [:]
          var first = 0
          while let batch = try reader.nextBatch(maxRows: maxRows) {
            misfits += reader.misfits.map { misfit in
              var misfit = misfit
              misfit.row += first
              return misfit
            }
            for named in batch { rows[named.name, default: []] += scalars(named.column) }
            first = reader.position
          }
          for (column, values) in rows where !["good", "inner.n"].contains(column) {
            #expect(values[0] != .null && values[1] == .null, "\(column) of \(name) by \(maxRows)")
            #expect(misfits.filter { $0.column == column }.map(\.row) == [1], "\(column) of \(name) by \(maxRows)")
          }
          #expect(rows["good"] == [.string("a"), .string("b"), .string("c")])
          #expect(rows["inner.n"] == [.int(1), .int(2), .int(3)])
          #expect(misfits.count == rows.count - 2, "\(name) by \(maxRows)")
          let times = ["number", "time", "day", "date", "millis", "span", "coded_number", "deep"]
          #expect(misfits.allSatisfy { $0.reason == (times.contains($0.column) ? .outOfRange : .invalidUTF8) })
          let found = Dictionary(uniqueKeysWithValues: misfits.map { ($0.column, $0.found) })
          #expect(found["number"] == "18446744073709551615")
          for column in ["time", "span", "deep"] where rows[column] != nil {
            #expect(found[column] == "4611686018427387904 seconds")
          }
          #expect(found["day"] == "1073741824 days")
          #expect(found["millis"] == "-4611686018427387904 milliseconds")
          #expect(found["text"] == "the bytes ff2c20616e64206265796f6e64207477656c766520627974… (hexadecimal)")
        }
      }
    }
  }

  @Test("an integer beyond 64 bits is read where a string or a double is asked for; a struct is checked within")
  func requested() throws {
    try withTemporaryFolder { folder in
      _ = try NativeTools.run(NativeTools.python, "-c", Self.write, folder)
      for name in ["bad.arrow", "bad.arrows", "bad.parquet"] {
        let reader = try ColumnarFileReader(path: "\(folder)/\(name)")
        try reader.select([.init("number", as: .double), .init("inner", as: .json), .init("inner.n")])
        let batch = try #require(try reader.nextBatch(maxRows: 10))
        #expect(scalars(batch[0].column) == [.double(1), .double(0x1p64), .null])
        #expect(scalars(batch[1].column)[0] == .string(#"{"s":"short","n":1}"#))
        #expect(scalars(batch[1].column)[1...] == [.null, .string(#"{"s":null,"n":3}"#)])
        #expect(reader.misfits.map(\.column) == ["inner"])
      }
    }
  }
}
