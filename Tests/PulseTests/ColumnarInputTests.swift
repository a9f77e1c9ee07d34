// Parquet and Arrow files as the command reads them: nested columns, both forms of Arrow IPC, rows that are too large.

import Foundation
import TestKit
import Testing

@Suite("Columnar input", .enabled(if: Need.python != nil, "needs Python with pyarrow"))
struct ColumnarInputTests {
  private static let nested = """
    name: nested
    event:
      time: at
      key: host
      unknown_fields: UNKNOWN
      fields:
        at:     {type: timestamp, required: true}
        host:   {type: string, path: origin.host, required: true}
        load:   {type: double, path: measures.load}
        whole:  {type: json, path: measures}
        again:  {type: string, path: origin.host}
    rules:
      - {name: heavy, when: load > 90, severity: high, reason: '{host} {whole} {again}'}

    """

  private static let writeNested = """
    import sys, datetime as d, pyarrow as pa, pyarrow.parquet as pq
    t0 = d.datetime(2024, 3, 1, tzinfo=d.timezone.utc)
    t = pa.table({
      "at": pa.array([t0 + d.timedelta(seconds=i) for i in range(100)], pa.timestamp("us", "UTC")),
      "origin": pa.array([{"host": f"h{i % 7}"} for i in range(100)]),
      "measures": pa.array([{"load": float(i), "free": i} for i in range(100)])})
    if len(sys.argv) > 2: t = t.drop(["origin"]).append_column("origin", pa.array([{"host": "h", "rack": 1}] * 100))
    pq.write_table(t, sys.argv[1] + "/nested.parquet")
    with pa.OSFile(sys.argv[1] + "/nested.arrow", "wb") as f, pa.ipc.new_file(f, t.schema) as w: w.write_table(t)
    with pa.OSFile(sys.argv[1] + "/nested.stream", "wb") as f, pa.ipc.new_stream(f, t.schema) as w: w.write_table(t)
    """

  private func run(_ folder: TestFolder, _ useCase: String, _ file: String, _ more: String...) throws -> Outcome {
    try PulseCommand.run(
      ["run", "--use-case", folder / useCase, "--source", folder / file, "--data", folder / (file + "-data"), "--json"]
        + more)
  }

  @Test("fields with a path and structs read as json have their values", arguments: ["ignore", "reject"])
  func nestedFields(_ unknown: String) throws {
    let folder = try TestFolder()
    try folder.write("case/pipeline.yaml", Self.nested.replacingOccurrences(of: "UNKNOWN", with: unknown))
    _ = try Need.python(Self.writeNested, folder.path)
    for file in ["nested.parquet", "nested.arrow", "nested.stream"] {
      let outcome = try run(folder, "case", file)
      outcome.expect(0)
      #expect(try outcome.object()["events"] as? Int == 100, "\(file): \(outcome)")
      let anomalies = try PulseCommand.run("anomalies", "--data", folder / (file + "-data"), "--json").rows()
      #expect(anomalies.count == 9)
      #expect(anomalies.first?["key"] as? String == "h1", "\(file)")
      #expect(anomalies.first?["reason"] as? String == #"h1 {"load":99.0,"free":99} h1"#, "\(file)")
    }
  }

  @Test("a column that is not declared is refused where that is asked for, within a struct as well")
  func undeclaredColumns() throws {
    let folder = try TestFolder()
    try folder.write("case/pipeline.yaml", Self.nested.replacingOccurrences(of: "UNKNOWN", with: "reject"))
    _ = try Need.python(Self.writeNested, folder.path, "more")
    for file in ["nested.parquet", "nested.arrow"] {
      try run(folder, "case", file).expect(0)
      let letters = try PulseCommand.run(
        "dead-letters", "--data", folder / (file + "-data"), "--json", "--limit", "0"
      ).rows()
      #expect(letters.count == 100 && letters.allSatisfy { $0["reason"] as? String == "unknown_field" })
      #expect((letters.first?["message"] as? String)?.contains("origin.rack") == true)
    }
  }

  @Test("a file whose schema lacks a required column is refused before anything is read")
  func missingColumns() throws {
    let folder = try TestFolder()
    try folder.write("case/pipeline.yaml", Self.nested.replacingOccurrences(of: "UNKNOWN", with: "ignore"))
    _ = try Need.python(Self.writeNested.replacingOccurrences(of: "host", with: "hosts"), folder.path)
    for file in ["nested.parquet", "nested.arrow", "nested.stream"] {
      try run(folder, "case", file).expect(
        3, saying: "\(file) has 4 columns, and not 'origin.host' (did you mean 'origin.hosts'?), which the use case")
      #expect(!FileManager.default.fileExists(atPath: folder / (file + "-data")))
    }
  }

  @Test("a value that fits no column costs its row, with the field and what was found; the others go on")
  func misfits() throws {
    let folder = try TestFolder()
    try folder.write(
      "case/pipeline.yaml",
      """
      name: misfits
      event:
        time: at
        fields:
          at:   {type: timestamp, required: true}
          id:   {type: int}
          host: {type: string}

      """)
    let write = """
      import sys, pyarrow as pa, pyarrow.parquet as pq
      n = 1000
      host = pa.array([b"h\\xff" if i == 7 else b"h" for i in range(n)])
      t = pa.table({
        "at": pa.array([2**62 if i == 5 else (1709290800 + i) * 1000 for i in range(n)], pa.timestamp("ms", "UTC")),
        "id": pa.array([2**63 if i == 6 else i for i in range(n)], pa.uint64()),
        "host": pa.Array.from_buffers(pa.string(), n, host.buffers())})
      pq.write_table(t, sys.argv[1] + "/x.parquet")
      with pa.OSFile(sys.argv[1] + "/x.arrow", "wb") as f, pa.ipc.new_file(f, t.schema) as w: w.write_table(t)
      """
    _ = try Need.python(write, folder.path)
    for file in ["x.parquet", "x.arrow"] {
      let outcome = try run(folder, "case", file)
      outcome.expect(0)
      #expect(try outcome.object()["events"] as? Int == 997, "\(file): \(outcome)")
      let letters = try PulseCommand.run(
        "dead-letters", "--data", folder / (file + "-data"), "--json", "--limit", "0"
      ).rows()
      #expect(letters.map { $0["reason"] as? String } == ["invalid_utf8", "out_of_range", "out_of_range"], "\(file)")
      #expect(letters.map { $0["field"] as? String } == ["host", "id", "at"], "\(file)")
      #expect(letters.map { ($0["position"] as? [String: Any])?["row"] as? Int } == [7, 6, 5], "\(file)")
      let messages = letters.map { $0["message"] as? String ?? "" }
      #expect(messages[0] == "host: expected UTF-8, found the bytes 68ff (hexadecimal)")
      #expect(messages[1] == "id: expected an integer of 64 bits, found 9223372036854775808")
      #expect(messages[2].hasSuffix("found 4611686018427387904 milliseconds"))
    }
  }

  @Test("infer looks at every form of a columnar file, batch after batch, as far as it is told to")
  func infer() throws {
    let folder = try TestFolder()
    let write = """
      import sys, datetime as d, pyarrow as pa, pyarrow.parquet as pq
      n = 70000
      at = pa.array([1709290800000000 + i for i in range(n)], pa.timestamp("us", "UTC"))
      t = pa.table({"at": at, "late": pa.array([None] * 69000 + ["x"] * 1000, pa.string())})
      with pa.OSFile(sys.argv[1] + "/x.stream", "wb") as f, pa.ipc.new_stream(f, t.schema) as w:
        w.write_table(t, max_chunksize=1000)
      with pa.OSFile(sys.argv[1] + "/x.arrow", "wb") as f, pa.ipc.new_file(f, t.schema) as w:
        w.write_table(t, max_chunksize=1000)
      pq.write_table(t, sys.argv[1] + "/x.parquet", row_group_size=1000)
      """
    _ = try Need.python(write, folder.path)
    for name in ["x.stream", "x.arrow", "x.parquet"] {
      for (limit, seen) in [("2500", "2500"), ("70000", "70000"), ("100000", "70000")] {
        let outcome = try PulseCommand.run("infer", folder / name, "--limit", limit)
        outcome.expect(0)
        #expect(
          outcome.output.replacingOccurrences(of: ",", with: "").contains("\(seen) events"), "\(name): \(outcome)")
      }
    }
    try folder.write("x.gz", Data([0x1F, 0x8B, 8, 0, 0, 0, 0, 0]))
    try PulseCommand.run("infer", folder / "x.gz").expect(3, saying: "compressed", "gzip")
    // Also where the format is said, which is that of the file once it is unpacked.
    try folder.write("case/pipeline.yaml", Self.nested.replacingOccurrences(of: "UNKNOWN", with: "ignore"))
    for format in ["ndjson", "csv", "parquet"] {
      try run(folder, "case", "x.gz", "--format", format).expect(3, saying: "compressed", "gzip")
    }
  }

  @Test("max_event_bytes holds for rows")
  func largeRows() throws {
    let folder = try Trail.folder { text in
      text.replacingOccurrences(of: "  key: host\n", with: "  key: host\n  max_event_bytes: 600000\n")
    }
    // 400 rows of half a megabyte, 2 of them larger than allowed; 200 MB in record batches of 20 MB.
    let write = """
      import sys, pyarrow as pa, pyarrow.parquet as pq
      schema = pa.schema([("at", pa.timestamp("us", "UTC")), ("host", pa.string()), ("load", pa.float64()),
        ("note", pa.string())])
      def batches():
        for b in range(10):
          rows = range(b * 40, b * 40 + 40)
          yield pa.record_batch([
            pa.array([1709290800000000 + i * 1000000 for i in rows], schema[0].type), pa.array(["h"] * 40),
            pa.array([1.0] * 40),
            pa.array([chr(97 + i % 26) * (600001 if i in (7, 333) else 500000) for i in rows])], schema)
      with pa.OSFile(sys.argv[1] + "/big.arrow", "wb") as f, pa.ipc.new_file(f, schema) as w:
        for b in batches(): w.write_batch(b)
      with pq.ParquetWriter(sys.argv[1] + "/big.parquet", schema, use_dictionary=False, compression="none") as w:
        for b in batches(): w.write_batch(b, row_group_size=400)
      """
    _ = try Need.python(write, folder.path)
    for file in ["big.arrow", "big.parquet"] {
      let outcome = try run(folder, "trail", file, "--workers", "1")
      outcome.expect(0)
      #expect(try outcome.object()["records"] as? Int == 400)
      let letters = try PulseCommand.run(
        "dead-letters", "--data", folder / (file + "-data"), "--json", "--limit", "0"
      ).rows()
      #expect(letters.map { $0["reason"] as? String } == ["too_large", "too_large"], "\(file)")
      #expect(letters.map { ($0["position"] as? [String: Any])?["row"] as? Int } == [333, 7], "\(file)")
    }
  }
}
