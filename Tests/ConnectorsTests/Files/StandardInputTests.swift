// Standard input, played by pipes and files: batches by age, resumption by name, ends of every kind.

import Crypto
import Detection
import Foundation
import Pipeline
import TestKit
import Testing

@testable import Connectors

@Suite("Standard input")
struct StandardInputTests {
  /// A source that reads the given bytes from a pipe, which is closed behind them.
  static func source(
    _ text: String, named: Bool = true, format: FileFormat? = nil, batchRows: Int = 2, limit: Int = 100
  ) -> (source: StandardInputSource, pipe: Pipe) {
    let pipe = Pipe()
    let bytes = Data(text.utf8)
    Thread.detachNewThread {
      try? pipe.fileHandleForWriting.write(contentsOf: bytes)
      try? pipe.fileHandleForWriting.close()
    }
    let source = StandardInputSource(
      name: "piped", isResumable: named, format: format, batchRows: batchRows, maxEventBytes: limit,
      descriptor: pipe.fileHandleForReading.fileDescriptor)
    return (source, pipe)
  }

  static let text =
    (0..<20).map { $0 % 7 == 3 ? String(repeating: "x", count: 200) + "\n" : "line \($0)\n\n" }.joined() + "end"

  @Test("a pipe is read to its end, and resumed behind every batch")
  func resumption() async throws {
    let (source, pipe) = Self.source(Self.text)
    let whole = try await read(source)
    withExtendedLifetime(pipe) {}
    #expect(whole.items.count == 21 && whole.items.count { $0.letter != nil } == 3)
    for (point, count) in whole.points {
      let (again, pipe) = Self.source(Self.text, batchRows: 5)
      #expect(try await read(again, from: point).items == Array(whole.items[count...]))
      withExtendedLifetime(pipe) {}
    }
  }

  @Test("the state may be ahead of the position, and what is acknowledged is forgotten")
  func stateAhead() async throws {
    let (source, pipe) = Self.source(Self.text)
    let whole = try await read(source)
    withExtendedLifetime(pipe) {}
    let partition = PartitionID(source: "piped", number: 0)
    let last = try #require(whole.points.last?.0.position)
    let state = source.checkpointState(of: partition, at: last)
    for (point, count) in whole.points {
      let (again, pipe) = Self.source(Self.text)
      let ahead = ResumePoint(position: point.position, sourceState: state)
      #expect(try await read(again, from: ahead).items == Array(whole.items[count...]))
      withExtendedLifetime(pipe) {}
    }
    try await source.acknowledge(partition, upTo: last)
    let kept = try PrefixHashes(decoding: source.checkpointState(of: partition, at: last))
    #expect(kept.entries.map(\.length) == [last.offset])
  }

  @Test("another input, a shorter one, and a nameless one are refused")
  func refused() async throws {
    let (source, pipe) = Self.source(Self.text)
    let point = try #require(try await read(source).points.last?.0)
    withExtendedLifetime(pipe) {}
    for (text, named, expected) in [
      ("X" + Self.text.dropFirst(), true, "are not those"), (String(Self.text.dropLast()), true, "ends at byte"),
      ("", true, "ends at byte 0"), (Self.text, false, "--source-name"),
    ] {
      let (again, pipe) = Self.source(text, named: named)
      let error = try await failure(of: again, from: point)
      #expect(error.kind == .input && error.description.contains(expected), "\(error)")
      withExtendedLifetime(pipe) {}
    }
  }

  @Test("the number of remembered hashes is bounded, and the acknowledged one stays")
  func bounded() {
    var hashes = PrefixHashes()
    for length in 0..<5000 { hashes.append(length: Int64(length), sha256: [UInt8(length & 255)]) }
    #expect(hashes.entries.count == PrefixHashes.capacity)
    #expect(hashes.entry(upTo: 100)?.length == 0 && hashes.entry(upTo: 4990)?.length == 4990)
  }

  @Test("records do not wait longer than the age of a batch; quiet ends the source")
  func batchAge() async throws {
    let pipe = Pipe()
    let source = StandardInputSource(
      name: "stdin-1", isResumable: false, idleTimeout: .milliseconds(300),
      descriptor: pipe.fileHandleForReading.fileDescriptor)
    try await source.open(resumingAt: [:])
    let start = ContinuousClock.now
    try pipe.fileHandleForWriting.write(contentsOf: Data("1\n2\nhalf".utf8))
    guard case .batch(let batch) = try await source.next() else { throw CancellationError() }
    #expect(batch.items.map(\.text) == ["1", "2"])
    #expect(source.checkpointState(of: batch.partition, at: batch.next) == PrefixHashes().encoded)
    guard case .end = try await source.next() else { throw CancellationError() }
    #expect(ContinuousClock.now - start >= .milliseconds(300))
    withExtendedLifetime(pipe) {}
  }

  @Test("a pipe that has given nothing for a while has nothing, until it gives something")
  func waitsForMore() async throws {
    let pipe = Pipe()
    let source = StandardInputSource(
      name: "stdin-1", isResumable: false, descriptor: pipe.fileHandleForReading.fileDescriptor)
    let start = ContinuousClock.now
    async let first = read(source, batches: 1)
    #expect(try await source.comesToWait())
    #expect(ContinuousClock.now - start >= StandardInputWorker.quiet)
    try pipe.fileHandleForWriting.write(contentsOf: Data("1\n".utf8))
    #expect(try await first.texts == ["1"])
    #expect(!source.waitsForMore)
    source.stop()
    withExtendedLifetime(pipe) {}
  }

  @Test("stop() wakes a source that waits for a pipe")
  func stopping() async throws {
    let pipe = Pipe()
    let source = StandardInputSource(
      name: "stdin-1", isResumable: false, descriptor: pipe.fileHandleForReading.fileDescriptor)
    async let reading = read(source)
    try await Task.sleep(for: .milliseconds(50))
    source.stop()
    #expect(try await reading.items.isEmpty)
    withExtendedLifetime(pipe) {}
  }

  @Test("stop() loses nothing of what was read: whole lines are handed over, and then the end")
  func stoppingWithRecords() async throws {
    // One read takes all of it; the last line has no end yet.
    let text = (0..<100).map { "\($0)\n" }.joined() + "half"
    let pipe = Pipe()
    try pipe.fileHandleForWriting.write(contentsOf: Data(text.utf8))
    let source = StandardInputSource(
      name: "piped", isResumable: true, batchRows: 8, descriptor: pipe.fileHandleForReading.fileDescriptor)
    let first = try await read(source, batches: 1)
    source.stop()
    let rest = try await readOn(source)
    #expect(first.texts + rest.texts == (0..<100).map(String.init))
    #expect(rest.points.last?.0.position == Position(segment: 0, offset: Int64(text.utf8.count - 4), row: 100))
    try pipe.fileHandleForWriting.close()
    // What was handed over is what a run under the same name passes over.
    let (again, input) = Self.source(text)
    #expect(try await read(again, from: rest.points.last?.0).texts == ["half"])
    withExtendedLifetime((pipe, input)) {}
  }

  @Test("stop() hands over the records of the batch that is open")
  func stoppingWithOpenBatch() async throws {
    let pipe = Pipe()
    let descriptor = pipe.fileHandleForReading.fileDescriptor
    try pipe.fileHandleForWriting.write(contentsOf: Data("1\n2\nhalf".utf8))
    let source = StandardInputSource(
      name: "stdin-1", isResumable: false, batchAge: .seconds(3600), descriptor: descriptor)
    async let reading = read(source)
    // Once nothing is left in the pipe, the records wait for others in the open batch.
    var left: Int32 = 1
    while left > 0, ioctl(descriptor, UInt(FIONREAD), &left) == 0 { await Task.yield() }
    source.stop()
    #expect(try await reading.texts == ["1", "2"])
    withExtendedLifetime(pipe) {}
  }

  @Test("/dev/null, a redirected file, a closed descriptor")
  func descriptors() async throws {
    let folder = try TestFolder()
    let path = try folder.write("in", "1\n2\n")
    for (path, expected) in [("/dev/null", []), (path, ["1", "2"])] {
      let descriptor = Foundation.open(path, O_RDONLY)
      #expect(
        try await read(StandardInputSource(name: "s", isResumable: true, descriptor: descriptor)).texts == expected)
      close(descriptor)
    }
    let error = try await failure(of: StandardInputSource(name: "s", isResumable: false, descriptor: 9999))
    #expect(error.kind == .input && error.description.contains("Bad file descriptor"))
  }

  @Test("CSV keeps its header across resumption; columnar files are refused")
  func formats() async throws {
    let csv = "a,\"b\"\n1,x\n2,\"y\nz\"\n3,w\n"
    let (source, pipe) = Self.source(csv, format: .csv, batchRows: 1)
    let whole = try await read(source)
    withExtendedLifetime(pipe) {}
    #expect(whole.texts == ["1,x", "2,\"y\nz\"", "3,w"])
    for (point, count) in whole.points {
      let (again, pipe) = Self.source(csv, format: .csv)
      let rest = try await read(again, from: point)
      #expect(rest.items == Array(whole.items[count...]) && rest.headers.isSubset(of: [["a", "b"]]))
      withExtendedLifetime(pipe) {}
    }
    for format in [FileFormat.parquet, nil] {
      let (columnar, pipe) = Self.source("PAR1 and more", format: format)
      #expect(try await failure(of: columnar).description.contains("Name the file instead"))
      withExtendedLifetime(pipe) {}
    }
  }

  @Test("a huge line of a named input is one oversized record")
  func hugeLine() async throws {
    let folder = try TestFolder()
    let path = try folder.write("in", "1\n")
    try #require(truncate(path, 256 << 20) == 0)
    try folder.append("in", "\n2\n")
    let descriptor = Foundation.open(path, O_RDONLY)
    defer { close(descriptor) }
    let whole = try await read(StandardInputSource(name: "s", isResumable: true, descriptor: descriptor))
    #expect(whole.texts == ["1", "", "2"])
    #expect(whole.items[1].letter?.length == (256 << 20) - 2)
  }
}
