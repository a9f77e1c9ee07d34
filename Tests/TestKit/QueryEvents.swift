// Query events of 24 fields and about 630 bytes, for tests and benchmarks of decoding: the shape of Redset's records
// (van Renen et al., "Why TPC Is Not Enough", VLDB 2024), not its statistics. The same seed gives the same bytes.

public import Detection

/// Makes query events.
public enum QueryEvents {
  /// The schema of the records.
  public static var schema: Schema {
    func field(_ name: String, _ type: FieldType, required: Bool = false, minimum: Scalar? = nil) -> Field {
      Field(name: name, type: type, required: required, minimum: minimum)
    }
    let fields = [
      field("instance_id", .int, required: true),
      field("cluster_size", .int),
      field("user_id", .int),
      field("database_id", .int),
      field("query_id", .int, required: true),
      field("arrival_timestamp", .timestamp(.automatic), required: true),
      field("compile_duration_ms", .double, minimum: .double(0)),
      field("queue_duration_ms", .double, minimum: .double(0)),
      field("execution_duration_ms", .double, minimum: .double(0)),
      field("feature_fingerprint", .string),
      field("was_aborted", .bool),
      field("was_cached", .bool),
      field("cache_source_query_id", .int),
      field("query_type", .string, required: true),
      field("num_permanent_tables_accessed", .int),
      field("num_external_tables_accessed", .int),
      field("num_system_tables_accessed", .int),
      field("read_table_ids", .string),
      field("write_table_ids", .string),
      field("mbytes_scanned", .double, minimum: .double(0)),
      field("mbytes_spilled", .double, minimum: .double(0)),
      field("num_joins", .int),
      field("num_scans", .int),
      field("num_aggregations", .int),
    ]
    return Schema(fields: fields, timeField: 5, keyField: 0)
  }

  /// `count` records, one JSON object each.
  public static func json(count: Int, seed: UInt64 = 1) -> [[UInt8]] {
    var random = SeededRandom(seed: seed)
    let types = ["select", "insert", "update", "copy", "unload", "other", "analyze", "vacuum"]
    return (0..<count).map { index in
      func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &random) }
      func milliseconds(_ bound: Int) -> String { "\(below(bound)).\(below(1000))" }
      func ids(_ count: Int) -> String { (0..<count).map { _ in String(below(1000)) }.joined(separator: ",") }
      let time = Timestamp.format(1_709_251_200_000_000 + Int64(index) * 37_000 + Int64(below(999)))
      let cached = below(10) == 0
      let fingerprint = cached ? "null" : "\"\(String(0x1000_0000_0000 + below(400) * 7_919_333, radix: 16))c0ffee00\""
      var text = "{\"instance_id\":\(below(200)),\"cluster_size\":\(below(8) + 1),\"user_id\":\(below(1000))"
      text += ",\"database_id\":\(below(50)),\"query_id\":\(1_000_000 + index),\"arrival_timestamp\":\"\(time)\""
      text += ",\"compile_duration_ms\":\(milliseconds(300)),\"queue_duration_ms\":\(milliseconds(20))"
      text += ",\"execution_duration_ms\":\(milliseconds(20_000)),\"feature_fingerprint\":\(fingerprint)"
      text += ",\"was_aborted\":\(below(200) == 0),\"was_cached\":\(cached)"
      text += ",\"cache_source_query_id\":\(cached ? String(below(1_000_000)) : "null")"
      text += ",\"query_type\":\"\(types[below(types.count)])\",\"num_permanent_tables_accessed\":\(below(6))"
      text += ",\"num_external_tables_accessed\":\(below(2)),\"num_system_tables_accessed\":\(below(2))"
      text += ",\"read_table_ids\":\"\(ids(6))\",\"write_table_ids\":\"\(ids(1))\""
      text += ",\"mbytes_scanned\":\(milliseconds(9000)),\"mbytes_spilled\":\(milliseconds(100))"
      text += ",\"num_joins\":\(below(4)),\"num_scans\":\(below(6)),\"num_aggregations\":\(below(3))}"
      return Array(text.utf8)
    }
  }

  /// A JSON batch of the records at positions as in a file with one record a line.
  public static func batch(of records: [[UInt8]], firstRow: Int64 = 0) -> RawBatch {
    var positions = RecordPositions(segment: 0)
    var offset: Int64 = 0
    for (index, record) in records.enumerated() {
      positions.offsets.append(offset)
      positions.rows.append(firstRow + Int64(index))
      offset += Int64(record.count) + 1
    }
    return RawBatch(
      partition: PartitionID(source: "test", number: 0), positions: positions, payload: .json(RecordBytes(records)),
      next: Position(segment: 0, offset: offset, row: firstRow + Int64(records.count)))
  }
}
