// Other tools over the same records, for scale: what Python and DuckDB take to read them into objects or columns and do
// nothing else. A peer that is not installed is named and left out.

import Foundation
import Workloads

struct Peers {
  private let places: Places

  init(_ places: Places) { self.places = places }

  /// Reads the file once into memory, leaves out what not every peer can read, then times each way, best of 3.
  private static let script = """
    import io, json, sys, time
    lines = []
    for line in open(sys.argv[1], 'rb'):
        try: event = json.loads(line)
        except ValueError: continue
        if isinstance(event.get('execution_duration_ms'), str) or line.count(b'"query_type"') != 1: continue
        lines.append(line)
    def best(name, work):
        least = 1e9
        for _ in range(3):
            start = time.perf_counter()
            if work() != len(lines): sys.exit(name + ' read another number of events')
            least = min(least, time.perf_counter() - start)
        print(name, len(lines) / least, sep='\\t')
    def each(loads):
        def work():
            count = 0
            for line in lines: count += len(loads(line)) > 0
            return count
        return work
    best('Python json', each(json.loads))
    try:
        import orjson
        best('Python orjson', each(orjson.loads))
    except ImportError: print('Python orjson', 'not installed', sep='\\t')
    try:
        import pyarrow as pa, pyarrow.json as pj
        whole = b''.join(lines)
        options = pj.ReadOptions(use_threads=False)
        best('pyarrow.json into columns', lambda: pj.read_json(io.BytesIO(whole), read_options=options).num_rows)
    except ImportError: print('pyarrow.json into columns', 'not installed', sep='\\t')
    """

  /// Prints what each peer reads a second and how many times that `decode` is.
  func report(decode: Double, whole: Double) throws {
    let file = "\(places.work)/events-\(RedsetInput.defaultRecords).ndjson"
    let python = places.root + "/.native/venv/bin/python"
    print("\nPeers on one core, events decoded and nothing else (ours: \(eventsPerSecond(decode))):")
    let lines = try Command(
      [FileManager.default.fileExists(atPath: python) ? python : "python3", "-c", Self.script, file],
      scratch: places.work
    ).output.split(separator: "\n").map { $0.split(separator: "\t").map(String.init) }
    for line in lines where line.count == 2 { show(line[0], Double(line[1]), decode, reason: line[1]) }

    let duckdb = places.root + "/.native/bin/duckdb"
    guard FileManager.default.fileExists(atPath: duckdb) else {
      return show("DuckDB into columns", nil, decode, reason: "not installed")
    }
    let query = """
      SET threads = 1; CREATE TABLE events AS SELECT * FROM read_ndjson_auto('\(file)', ignore_errors = true); \
      SELECT count(*) FROM events
      """
    let runs = try (0..<3).map { _ in try Command([duckdb, "-csv", "-noheader", "-c", query], scratch: places.work) }
    guard let count = Double(runs[0].output.trimmingCharacters(in: .whitespacesAndNewlines)), count > 0 else {
      throw WrongOutput("DuckDB counted no events: \(runs[0].output)")
    }
    show("DuckDB into columns", count / (runs.map(\.seconds).min() ?? 1), decode, reason: "")
  }

  private func show(_ name: String, _ rate: Double?, _ ours: Double, reason: String) {
    guard let rate else { return print("  \(name): \(reason)") }
    print("  \(name): \(eventsPerSecond(rate)); ours is \(fixed(ours / rate, 1)) times as fast")
  }
}
