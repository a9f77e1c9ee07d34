// Reading lists of files from beginning to end, and what is refused before anything is read.

import Crypto
import Detection
import Foundation
import Pipeline
import TestKit
import Testing

@testable import Connectors

@Suite("Reading files")
struct FilesReadingTests {
  @Test("files are read in order; blank lines, CRLF, byte order marks and missing last line ends")
  func severalFiles() async throws {
    let folder = try TestFolder()
    let a = try folder.write("z.ndjson", "\u{FEFF}{\"a\":1}\r\n\r\n  \n{\"a\":2}")
    let empty = try folder.write("empty.ndjson", "")
    let b = try folder.write("a.ndjson", "\n{\"b\":1}\n")
    let reading = try await read(FileSource(paths: [a, empty, b]))
    #expect(reading.texts == ["{\"a\":1}", "{\"a\":2}", "{\"b\":1}"])
    #expect(
      reading.items.map(\.position) == [
        Position(segment: 0, offset: 3, row: 0), Position(segment: 0, offset: 17, row: 3),
        Position(segment: 2, offset: 1, row: 1),
      ])
    #expect(reading.points.last?.0.position == Position(segment: 2, offset: 9, row: 2))
  }

  @Test("globs are sorted by bytes and stay where they are named")
  func globs() async throws {
    let folder = try TestFolder()
    for name in ["b.ndjson", "a.ndjson", "B.ndjson", "last.txt"] { try folder.write(name, "\(name)\n") }
    let reading = try await read(FileSource(paths: [folder / "last.txt", folder / "*.ndjson"]))
    #expect(reading.texts == ["last.txt", "B.ndjson", "a.ndjson", "b.ndjson"])
    try folder.write("[x].ndjson", "literal\n")
    #expect(try await read(FileSource(paths: [folder / "[x].ndjson"])).texts == ["literal"])
  }

  @Test("CSV is told by its extension, each file has its header")
  func csv() async throws {
    let folder = try TestFolder()
    let a = try folder.write("a.csv", "\u{FEFF}id,\"the \"\"name\"\"\"\n1,\"x\ny\"\n2,z\n")
    let b = try folder.write("b.CSV", "name,id\r\nq,3\r\n")
    let reading = try await read(FileSource(paths: [a, b], batchRows: 1))
    #expect(reading.texts == ["1,\"x\ny\"", "2,z", "q,3"])
    #expect(reading.headers == [["id", "the \"name\""], ["name", "id"]])
    for (point, count) in reading.points {
      let rest = try await read(FileSource(paths: [a, b]), from: point)
      #expect(rest.items == Array(reading.items[count...]))
      #expect(rest.headers.isSubset(of: reading.headers))
    }
  }

  @Test("a quote opens a cell behind the delimiter; .tsv files have tabs")
  func delimiters() async throws {
    let folder = try TestFolder()
    let a = try folder.write("a.csv", "id;\"a,b;c\"\n1;\"x\ny\"\n2;z,\"\n")
    let b = try folder.write("b.tsv", "id\tname\n3\t\"x\ny\"\n")
    let semicolons = try await read(FileSource(paths: [a], delimiter: .semicolon, batchRows: 1))
    #expect(semicolons.texts == ["1;\"x\ny\"", "2;z,\""] && semicolons.headers == [["id", "a,b;c"]])
    for (point, count) in semicolons.points {
      let rest = try await read(FileSource(paths: [a], delimiter: .semicolon), from: point)
      #expect(rest.items == Array(semicolons.items[count...]))
    }
    let tabs = try await read(FileSource(paths: [b]))
    #expect(tabs.texts == ["3\t\"x\ny\""] && tabs.headers == [["id", "name"]])
  }

  @Test("what cannot be read is refused by name, before anything is read")
  func refused() async throws {
    let folder = try TestFolder()
    let good = try folder.write("good.ndjson", "{}\n")
    try FileManager.default.createDirectory(atPath: folder / "sub", withIntermediateDirectories: true)
    let gzip = folder / "x.gz"
    try Data([0x1F, 0x8B, 8, 0]).write(to: URL(filePath: gzip))
    let truncated = folder / "t.parquet"
    try Data("PAR1 and no more".utf8).write(to: URL(filePath: truncated))
    try #require(mkfifo(folder / "fifo", 0o600) == 0)
    let cases: [([String], FileFormat?, String)] = [
      ([good, folder / "none.ndjson"], nil, "none.ndjson"), ([good, folder / "sub"], nil, "is a directory"),
      ([good, gzip], nil, "compressed (gzip)"), ([good, truncated], nil, "t.parquet"),
      ([good, folder / "fifo"], nil, "not a regular file"), ([folder / "*.nothing"], nil, "no file matches"),
      ([good, good], nil, "twice"), ([truncated], .csv, "format Parquet, expected CSV"), ([], nil, "no file"),
    ]
    for (paths, format, expected) in cases {
      let source = FileSource(paths: paths, format: format)
      let error = await #expect(throws: OperatingError.self) { try await source.open(resumingAt: [:]) }
      #expect(error?.description.contains(expected) == true, "\(error?.description ?? "no error")")
    }
  }

  @Test("a file that may not be read is refused")
  func permissionDenied() async throws {
    guard getuid() != 0 else {
      print("skipped: root may read every file, so there is no permission to be denied")
      return
    }
    let folder = try TestFolder()
    let path = try folder.write("secret.ndjson", "{}\n")
    chmod(path, 0)
    let error = try await failure(of: FileSource(paths: [path]))
    #expect(error.kind == .input && error.description.contains("Permission denied"))
  }

  @Test("an input error in the middle names the place")
  func readError() async throws {
    guard FileManager.default.fileExists(atPath: "/proc/self/mem") else {
      print("skipped: no /proc/self/mem, whose first page cannot be read")
      return
    }
    let error = try await failure(of: FileSource(paths: ["/proc/self/mem"]))
    #expect(error.kind == .input && error.description.contains("/proc/self/mem cannot be read at byte 0"))
  }

  // That it is not held in memory is measured where a process is alone, in the tests of the command.
  @Test("a line of 1 GB is one oversized record")
  func hugeLine() async throws {
    let folder = try TestFolder()
    let path = try folder.write("huge.ndjson", "{\"a\":1}\n")
    let size = 1 << 30
    try #require(truncate(path, off_t(8 + size)) == 0)
    try folder.append("huge.ndjson", "\r\n{\"a\":2}\n")
    let reading = try await read(FileSource(paths: [path]))
    #expect(reading.texts == ["{\"a\":1}", "", "{\"a\":2}"])
    let letter = try #require(reading.items[1].letter)
    #expect(letter.length == size && letter.raw == [UInt8](repeating: 0, count: 64 << 10))
    #expect(letter.position == Position(segment: 0, offset: 8, row: 1))
    #expect(letter.message.contains(path) && letter.message.contains("byte 8 "))
    var hasher = SHA256()
    let zeroes = Data(count: 1 << 20)
    for _ in 0..<1024 { hasher.update(data: zeroes) }
    #expect(letter.sha256 == Array(hasher.finalize()))
    #expect(reading.points[1].0.position == Position(segment: 0, offset: Int64(8 + size + 2), row: 2))
  }

  @Test("stopping ends the source")
  func stopping() async throws {
    let folder = try TestFolder()
    let path = try folder.write("a.ndjson", "1\n2\n3\n")
    let source = FileSource(paths: [path], batchRows: 1)
    #expect(try await read(source, batches: 1).texts == ["1"])
    source.stop()
    guard case .end = try await source.next() else {
      Issue.record("a batch after stop()")
      return
    }
  }

  @Test("Parquet and Arrow files resume at a row")
  func columnar() async throws {
    let python = URL(filePath: #filePath).appending(path: "../../../../.native/venv/bin/python").standardizedFileURL
    guard FileManager.default.isExecutableFile(atPath: python.path) else {
      print("skipped: \(python.path) is not there; make setup installs it")
      return
    }
    let folder = try TestFolder()
    let script = """
      import pyarrow as pa, pyarrow.parquet as pq, pyarrow.feather as f, sys
      t = pa.table({"a": list(range(10)), "b": [str(i) for i in range(10)], "c": [i / 2 for i in range(10)]})
      pq.write_table(t, sys.argv[1] + "/x.parquet", row_group_size=4)
      f.write_feather(t, sys.argv[1] + "/y.arrow", chunksize=3)
      """
    let process = Process()
    process.executableURL = python
    process.arguments = ["-c", script, folder.path]
    try process.run()
    process.waitUntilExit()
    try #require(process.terminationStatus == 0)
    let paths = [folder / "x.parquet", folder / "y.arrow"]
    func source(rows: Int) -> FileSource {
      FileSource(paths: paths, batchRows: rows, columns: [("b", .string), ("z", .int)])
    }
    let whole = try await read(source(rows: 3))
    #expect(whole.items.count == 20)
    #expect(whole.items[10].position == Position(segment: 1, offset: 0, row: 0))
    #expect(whole.items.map(\.text).prefix(2) == ["b=string(\"0\")", "b=string(\"1\")"])
    for (point, count) in whole.points {
      #expect(try await read(source(rows: 7), from: point).items == Array(whole.items[count...]))
    }
    #expect(try await read(FileSource(paths: [paths[0]])).items[1].text.contains("a=int(1)"))
    let error = try await failure(of: FileSource(paths: paths, follow: true))
    #expect(error.description.contains("leave out --follow"))
  }
}
