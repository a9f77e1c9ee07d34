// Shared by the tests of files: temporary folders, everything a source hands over in one list, seeded randomness.

import Detection
import Foundation
import Pipeline
import Testing

@testable import Connectors

/// A folder that disappears with its owner.
final class Folder {
  let path: String

  init() throws {
    path = NSTemporaryDirectory() + "pulse-files-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func callAsFunction(_ name: String) -> String { path + "/" + name }

  @discardableResult
  func write(_ text: String, to name: String) throws -> String {
    try Data(text.utf8).write(to: URL(filePath: self(name)))
    return self(name)
  }

  func append(_ text: String, to name: String) throws {
    let handle = try #require(FileHandle(forWritingAtPath: self(name)))
    try handle.seekToEnd()
    try handle.write(contentsOf: Data(text.utf8))
    try handle.close()
  }

  func move(_ from: String, _ to: String) throws {
    try #require(rename(self(from), self(to)) == 0)
  }
}

/// One record or dead letter, comparable.
struct Item: Hashable, CustomStringConvertible {
  var position: Position
  var text: String
  var letter: DeadLetter?

  var description: String { "\(position.segment):\(position.offset):\(position.row) \(text.prefix(40))" }
}

extension RawBatch {
  /// Records and dead letters in the order of their positions.
  var items: [Item] {
    var items = oversized.map { Item(position: $0.position, text: "", letter: $0) }
    func add(_ bytes: RecordBytes) {
      for index in 0..<count {
        let range = Int(bytes.starts[index])..<Int(bytes.ends[index])
        items.append(Item(position: positions[index], text: String(decoding: bytes.bytes[range], as: UTF8.self)))
      }
    }
    switch payload {
    case .json(let bytes): add(bytes)
    case .csv(let bytes, _, _): add(bytes)
    case .columns(let columns):
      for index in 0..<count {
        let values = columns.map { "\($0.name)=\($0.column[index])" }
        items.append(Item(position: positions[index], text: values.joined(separator: ",")))
      }
    }
    return items.sorted { $0.position < $1.position }
  }
}

/// What a run saw, with a checkpoint behind every batch.
struct Reading {
  var items: [Item] = []
  var points: [(ResumePoint, items: Int)] = []
  var headers: Set<[String]> = []

  var texts: [String] { items.map(\.text) }
}

/// Reads a source to its end, or until it has handed over so much.
func read(
  _ source: some Source, from point: ResumePoint? = nil, batches: Int = .max, items: Int = .max
) async throws -> Reading {
  let partition = PartitionID(source: source.name, number: 0)
  try await source.open(resumingAt: point.map { [partition: $0] } ?? [:])
  return try await readOn(source, batches: batches, items: items)
}

/// Reads an open source on.
func readOn(_ source: some Source, batches: Int = .max, items: Int = .max) async throws -> Reading {
  let partition = PartitionID(source: source.name, number: 0)
  var reading = Reading()
  while reading.points.count < batches, reading.items.count < items, case .batch(let batch) = try await source.next() {
    #expect(batch.partition == partition)
    #expect(batch.count > 0 || !batch.oversized.isEmpty)
    if case .csv(_, let header, _) = batch.payload { reading.headers.insert(header) }
    let items = batch.items
    #expect(items.last.map { $0.position < batch.next } == true)
    reading.items += items
    let state = source.checkpointState(of: partition)
    reading.points.append((ResumePoint(position: batch.next, sourceState: state), reading.items.count))
  }
  return reading
}

/// The error that opening or reading a source ends with.
func failure(of source: some Source, from point: ResumePoint? = nil) async throws -> OperatingError {
  try await #require(throws: OperatingError.self) { _ = try await read(source, from: point) }
}

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
struct SeededRandom: RandomNumberGenerator {
  private var state: UInt64
  init(_ seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
