// Other tools read what we write, and we read what they write, value for value.

import Connectors
import Detection
import Foundation
import Pipeline
import TestKit
import Testing

@Suite("Arrow: other tools", .enabled(if: NativeTools.arePresent, "make setup has not been run here"))
struct ArrowInteroperabilityTests {
  static let columns = [
    Column(.int, [.int(.min), .null, .int(.max), .int(7)]),
    Column(.double, [.double(0.1), .double(-2.5e300), .null, .double(3)]),
    Column(.bool, [.null, .bool(true), .bool(false), .bool(true)]),
    Column(.string, [.string("naïve \"quote\""), .string(""), .string("日本"), .null]),
    // 2018-01-01 00:05:12.000001 UTC and one microsecond before 1970.
    Column(.timestamp, [.timestamp(1_514_765_112_000_001), .null, .timestamp(-1), .timestamp(0)]),
  ]
  static let encoder = ShardEncoder(
    names: ["i", "d", "b", "s", "t"], codec: .zstd(level: 3), metadata: [("use_case", "redset"), ("größe", "1")])

  @Test("pyarrow reads a shard")
  func pyarrowReadsShard() throws {
    let script = """
      import sys, json, pyarrow as pa
      with pa.ipc.open_file(sys.argv[1]) as f: t = f.read_all()
      t.validate(full=True)
      print(json.dumps([str(t.schema.field(n).type) for n in t.column_names]))
      print(json.dumps({k.decode(): v.decode() for k, v in t.schema.metadata.items()}, ensure_ascii=False))
      t = t.set_column(4, "t", t["t"].cast(pa.int64()))
      for row in t.to_pylist(): print(json.dumps(list(row.values()), ensure_ascii=False))
      """
    let output = try withTemporaryFolder { folder in
      try Self.encoder.write(Self.columns, to: folder + "/shard.arrow")
      return try NativeTools.run(NativeTools.python, "-c", script, folder + "/shard.arrow")
    }
    #expect(
      output == """
        ["int64", "double", "bool", "string", "timestamp[us, tz=UTC]"]
        {"use_case": "redset", "größe": "1"}
        [-9223372036854775808, 0.1, null, "naïve \\"quote\\"", 1514765112000001]
        [null, -2.5e+300, true, "", null]
        [9223372036854775807, null, false, "日本", -1]
        [7, 3.0, true, null, 0]
        """)
  }

  @Test("files of both formats of history are one data set, and each row says whose it is")
  func bothFormats() throws {
    let script = """
      import sys, json, pyarrow as pa, pyarrow.dataset as ds
      history = ds.dataset(sys.argv[1], format="ipc", partitioning="hive")
      schemas = [file.physical_schema for file in history.get_fragments()]
      history = history.replace_schema(pa.unify_schemas([history.schema, *schemas]))
      print([str(history.schema.field(n).type) for n in ["_source", "_partition"]])
      columns = ["row", "_source", "_partition"]
      for row in history.to_table(columns=columns).sort_by("row").to_pylist(): print(json.dumps(row))
      print(history.count_rows(filter=ds.field("_source") == "orders"))
      """
    let output = try withTemporaryFolder { folder in
      let rows = { (first: Int64) in
        HistoryRows(
          layout: HistoryLayout(columns: [.init(name: "row", type: .int)]), columns: [Column(.int([first, first + 1]))])
      }
      let history = ArrowHistory(in: DataDirectory(path: folder), useCase: "shop")
      let day = "day=2024-03-01"
      for (number, source) in [(1, "orders"), (2, "größe")] {
        let partition = PartitionID(source: source, number: Int32(number))
        _ = try history.writeShard(rows(Int64(10 * number)), of: partition, to: "\(day)/\(number).arrow")
      }
      try ShardEncoder(names: ["row"], metadata: [("pulse.format", "1")])
        .write(rows(0).columns, to: "\(folder)/\(day)/0.arrow")
      return try NativeTools.run(NativeTools.python, "-c", script, folder)
    }
    #expect(
      output == """
        ['dictionary<values=string, indices=int32, ordered=0>', 'int64']
        {"row": 0, "_source": null, "_partition": null}
        {"row": 1, "_source": null, "_partition": null}
        {"row": 10, "_source": "orders", "_partition": 1}
        {"row": 11, "_source": "orders", "_partition": 1}
        {"row": 20, "_source": "gr\\u00f6\\u00dfe", "_partition": 2}
        {"row": 21, "_source": "gr\\u00f6\\u00dfe", "_partition": 2}
        2
        """)
  }

  @Test("DuckDB reads a shard written as Parquet")
  func duckDBReadsParquet() throws {
    let output = try withTemporaryFolder { folder in
      let path = folder + "/shard.parquet"
      try Self.encoder.writeParquet(Self.columns, to: path)
      return try NativeTools.run(
        NativeTools.duckdb, "-csv", "-noheader", "-nullvalue", "NULL", "-c",
        "SET TimeZone = 'UTC'; SELECT i, d, b, s, epoch_us(t), typeof(t) FROM '\(path)'")
    }
    #expect(
      output.split(whereSeparator: \.isNewline).map(String.init) == [
        #"-9223372036854775808,0.1,NULL,"naïve ""quote""",1514765112000001,TIMESTAMP WITH TIME ZONE"#,
        #"NULL,-2.5e+300,true,,NULL,TIMESTAMP WITH TIME ZONE"#,
        #"9223372036854775807,NULL,false,"日本",-1,TIMESTAMP WITH TIME ZONE"#,
        #"7,3.0,true,NULL,0,TIMESTAMP WITH TIME ZONE"#,
      ])
  }

  /// Three rows of every type that pyarrow can make; the middle one is null.
  private static let everyType = """
    import sys, datetime, decimal, pyarrow as pa, pyarrow.parquet as pq
    D, days = decimal.Decimal, datetime.date
    c = {}
    for n, lo, hi in [(8, 0, 255), (16, 0, 65535), (32, 0, 2**32 - 1), (64, 0, 2**64 - 1)]:
        c[f"u{n}"] = pa.array([lo, None, hi], getattr(pa, f"uint{n}")())
        c[f"i{n}"] = pa.array([-hi // 2, None, hi // 2], getattr(pa, f"int{n}")())
    c["f16"] = pa.array([0.5, None, -65504.0], pa.float16())
    c["f32"] = pa.array([0.5, None, 3.0e38], pa.float32())
    c["f64"] = pa.array([0.1, None, 1e-300], pa.float64())
    c["d128"] = pa.array([D("1.25"), None, D("-12345678901234.56")], pa.decimal128(38, 2))
    c["d256"] = pa.array([D("-0.001"), None, D(2) ** 140], pa.decimal256(76, 3))
    c["bool"] = pa.array([True, None, False])
    for n, t in [("text", pa.string()), ("large_text", pa.large_string()), ("text_view", pa.string_view())]:
        c[n] = pa.array(["short", None, "longer than twelve bytes é"], t)
    c["binary"] = pa.array([b"ascii", None, b"a\\xff"], pa.binary())
    c["fixed"] = pa.array([b"\\x00\\x0f", None, b"\\xf0\\xff"], pa.binary(2))
    c["date32"] = pa.array([days(1970, 1, 2), None, days(1969, 12, 31)], pa.date32())
    c["date64"] = pa.array([days(1970, 1, 2), None, days(1969, 12, 31)], pa.date64())
    for n in ["s", "ms", "us", "ns"]: c["ts_" + n] = pa.array([1, None, -1], pa.timestamp(n))
    c["ts_zone"] = pa.array([1, None, -1], pa.timestamp("ms", "America/New_York"))
    c["time"] = pa.array([1, None, 2], pa.time32("ms"))
    c["time64"] = pa.array([1, None, 2], pa.time64("us"))
    c["duration"] = pa.array([1, None, -2], pa.duration("s"))
    c["nothing"] = pa.nulls(3)
    c["coded"] = pa.array(["x", None, "y"]).dictionary_encode()
    c["coded_number"] = pa.array([5, None, 6]).dictionary_encode()
    c["struct"] = pa.array([{"a": 1, "b": {"c": "in", "t": datetime.datetime(2018, 1, 1)}}, None,
                            {"a": None, "b": None}])
    c["list"] = pa.array([[{"k": 'q"\\n', "v": 1.5}, None], None, []])
    c["numbers"] = pa.array([[1, None], None, [3]], pa.large_list(pa.int64()))
    c["pair"] = pa.array([[True, False], None, [False, None]], pa.list_(pa.bool_(), 2))
    c["map"] = pa.array([[("k", 1), ("l", None)], None, []], pa.map_(pa.string(), pa.int32()))
    t = pa.table(c)
    batches = t.to_batches()
    with pa.ipc.new_file(sys.argv[1] + "/all.arrow", t.schema) as w: w.write_table(t)
    lz4 = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.ipc.new_stream(sys.argv[1] + "/all.arrows", t.schema, options=lz4) as w: w.write_table(t)
    pq.write_table(t.drop_columns(["text_view"]), sys.argv[1] + "/all.parquet")
    """

  private static func expected() -> [String: [Scalar]] {
    var rows: [String: [Scalar]] = [:]
    func ints(_ name: String, _ first: Int64, _ last: Int64) { rows[name] = [.int(first), .null, .int(last)] }
    func doubles(_ name: String, _ first: Double, _ last: Double) {
      rows[name] = [.double(first), .null, .double(last)]
    }
    func times(_ name: String, _ first: Int64, _ last: Int64) {
      rows[name] = [.timestamp(first), .null, .timestamp(last)]
    }
    func texts(_ name: String, _ first: String, _ last: String) {
      rows[name] = [.string(first), .null, .string(last)]
    }
    for (name, high) in [("8", Int64(255)), ("16", 65_535), ("32", 4_294_967_295)] {
      ints("u" + name, 0, high)
      ints("i" + name, -high / 2 - 1, high / 2)
    }
    ints("i64", .min, .max)
    rows["u64"] = [.int(0), .null, .null]
    doubles("f16", 0.5, -65_504)
    doubles("f32", 0.5, Double(3.0e38 as Float))
    doubles("f64", 0.1, 1e-300)
    doubles("d128", 1.25, -12_345_678_901_234.56)
    doubles("d256", -0.001, 0x1p140)
    rows["bool"] = [.bool(true), .null, .bool(false)]
    for name in ["text", "large_text", "text_view"] { texts(name, "short", "longer than twelve bytes é") }
    rows["binary"] = [.string("ascii"), .null, .null]
    texts("fixed", "000f", "f0ff")
    times("date32", 86_400_000_000, -86_400_000_000)
    times("date64", 86_400_000_000, -86_400_000_000)
    times("ts_s", 1_000_000, -1_000_000)
    for name in ["ts_ms", "ts_zone"] { times(name, 1_000, -1_000) }
    times("ts_us", 1, -1)
    times("ts_ns", 0, -1)
    ints("time", 1_000, 2_000)
    ints("time64", 1, 2)
    ints("duration", 1_000_000, -2_000_000)
    rows["nothing"] = [.null, .null, .null]
    texts("coded", "x", "y")
    ints("coded_number", 5, 6)
    rows["struct.a"] = [.int(1), .null, .null]
    rows["struct.b.c"] = [.string("in"), .null, .null]
    rows["struct.b.t"] = [.timestamp(1_514_764_800_000_000), .null, .null]
    texts("list", #"[{"k":"q\"\n","v":1.5},null]"#, "[]")
    texts("numbers", "[1,null]", "[3]")
    texts("pair", "[true,false]", "[false,null]")
    texts("map", #"{"k":1,"l":null}"#, "{}")
    return rows
  }

  @Test("every type of Arrow becomes what is documented")
  func everyTypeIsImported() throws {
    try withTemporaryFolder { folder in
      _ = try NativeTools.run(NativeTools.python, "-c", Self.everyType, folder)
      for (name, format) in [("arrow", "arrow_file"), ("arrows", "arrow_stream"), ("parquet", "parquet")] {
        var expected = Self.expected()
        if name == "parquet" { expected["text_view"] = nil }
        // Slices of one row have an offset in every buffer.
        for maxRows in [3, 1] {
          let reader = try ColumnarFileReader(path: "\(folder)/all.\(name)")
          #expect(reader.format.rawValue == format)
          #expect(reader.rowCount == (format == "arrow_stream" ? nil : 3))
          let rows = try readAll(reader, maxRows: maxRows)
          #expect(Set(rows.keys) == Set(expected.keys))
          for (column, values) in expected { #expect(rows[column] == values, "\(column) of \(name) by \(maxRows)") }
          // Of the last batch, which has the row in question however many there are.
          #expect(Set(reader.misfits.map(\.column)) == ["u64", "binary"])
        }
      }
    }
  }

  @Test("nested columns are read by path or whole, and large numbers as text")
  func requestedTypes() throws {
    try withTemporaryFolder { folder in
      _ = try NativeTools.run(NativeTools.python, "-c", Self.everyType, folder)
      for name in ["arrow", "arrows", "parquet"] {
        let reader = try ColumnarFileReader(path: "\(folder)/all.\(name)")
        try reader.select([
          .init("struct.b.c"), .init("u64", as: .string), .init("struct.b", as: .json),
          .init("nothing", as: .double), .init("i8", as: .json),
        ])
        let batch = try #require(try reader.nextBatch(maxRows: 10))
        #expect(
          batch.map { scalars($0.column) } == [
            [.string("in"), .null, .null],
            [.string("0"), .null, .string("18446744073709551615")],
            [.string(#"{"c":"in","t":"2018-01-01T00:00:00.000000Z"}"#), .null, .null],
            [.null, .null, .null],
            [.string("-128"), .null, .string("127")],
          ])
        #expect(batch[3].column.type == .double)
        #expect(reader.misfits.isEmpty)
      }
    }
  }

  @Test("row groups and record batches are skipped whole")
  func skipsAcrossBatches() throws {
    let script = """
      import sys, pyarrow as pa, pyarrow.parquet as pq
      t = pa.table({"n": list(range(1000)), "s": [f"v{i}" for i in range(1000)]})
      pq.write_table(t, sys.argv[1] + "/n.parquet", row_group_size=70)
      with pa.ipc.new_file(sys.argv[1] + "/n.arrow", t.schema) as w: w.write_table(t, max_chunksize=70)
      with pa.ipc.new_stream(sys.argv[1] + "/n.arrows", t.schema) as w: w.write_table(t, max_chunksize=70)
      """
    try withTemporaryFolder { folder in
      _ = try NativeTools.run(NativeTools.python, "-c", script, folder)
      for name in ["n.parquet", "n.arrow", "n.arrows"] {
        for (first, skipped) in [(0, 70), (0, 139), (5, 65), (5, 66), (69, 1), (70, 140), (1, 998), (3, 5_000)] {
          let reader = try ColumnarFileReader(path: "\(folder)/\(name)", batchRows: 30)
          try reader.select([.init("n")])
          var read = 0
          while read < first { read += try #require(try reader.nextBatch(maxRows: first - read))[0].column.count }
          #expect(try reader.skip(rows: skipped) == min(skipped, 1_000 - first))
          let next = try reader.nextBatch(maxRows: 1)?[0].column[0]
          #expect(next == (first + skipped < 1_000 ? .int(Int64(first + skipped)) : nil), "\(name) \(first) \(skipped)")
        }
      }
    }
  }
}

/// The sample of New York taxi trips that developers may have beside the package.
private let taxiTrips = packageRoot.appending(path: "../shared/data/nyc-taxi/yellow_2018_2019_sample.parquet")
  .standardizedFileURL.path(percentEncoded: false)

@Test(
  "a real Parquet file is read like DuckDB reads it",
  .enabled(if: FileManager.default.fileExists(atPath: taxiTrips), "the taxi trips are not beside the package"),
  .enabled(if: NativeTools.arePresent, "make setup has not been run here"))
func taxiTripsAgreeWithDuckDB() throws {
  let reader = try ColumnarFileReader(path: taxiTrips)
  var rows = 0
  var nulls = [Int](repeating: 0, count: reader.columns.count)
  var sums = [Double](repeating: 0, count: reader.columns.count)
  while let batch = try reader.nextBatch(maxRows: 10_000) {
    rows += batch[0].column.count
    for (index, column) in batch.map(\.column).enumerated() {
      nulls[index] += column.validity.map { column.count - $0.setCount } ?? 0
      switch column.values {
      case .double(let values): sums[index] += values.reduce(0, +)
      case .int(let values): sums[index] += Double(values.reduce(0, +))
      case .timestamp(let values): sums[index] += Double(values.reduce(0) { $0 + $1 / 1_000_000 })
      case .string(let strings): sums[index] += Double(strings.bytes.count)
      case .bool(let bits): sums[index] += Double(bits.setCount)
      }
    }
  }
  #expect(rows == reader.rowCount)
  let expressions = reader.columns.map { column in
    let value =
      switch column.type.valueType {
      case .timestamp: "epoch(\(column.name))"
      case .string: "strlen(\(column.name))"
      default: column.name
      }
    return "count(*) - count(\(column.name)), sum(\(value))"
  }
  let query = "SELECT \(expressions.joined(separator: ", ")) FROM '\(taxiTrips)'"
  let output = try NativeTools.run(NativeTools.duckdb, "-csv", "-noheader", "-c", query)
  let numbers = output.split(separator: ",").compactMap { Double($0) }
  try #require(numbers.count == 2 * reader.columns.count)
  for (index, column) in reader.columns.enumerated() {
    #expect(Double(nulls[index]) == numbers[2 * index], "nulls of \(column.name)")
    // The order of additions differs, so sums of doubles agree to rounding.
    let sum = numbers[2 * index + 1]
    #expect(abs(sums[index] - sum) <= 1e-9 * abs(sum), "sum of \(column.name)")
  }
}
