// Shared by the tests of files: everything a source hands over in one list.

import Detection
import Foundation
import Pipeline
import Synchronization
import TestKit
import Testing

@testable import Connectors

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
  return try await readOn(source, stored: point?.stateEntries ?? [:], batches: batches, items: items)
}

extension Source {
  /// Takes the first partition that is assigned, and resumes it.
  @discardableResult
  func open(resumingAt points: [PartitionID: ResumePoint]) async throws -> [InputGap] {
    guard case .assigned(let partition) = try await next() else {
      Issue.record("expected a partition to be assigned")
      return []
    }
    return try await resume(partition, at: points[partition])
  }

  /// Whether it comes to say that it waits for more than there is.
  func comesToWait() async throws -> Bool {
    let end = ContinuousClock.now + .seconds(600)
    while !waitsForMore, ContinuousClock.now < end { try await Task.sleep(for: .milliseconds(5)) }
    return waitsForMore
  }
}

/// Reads an open source on. `stored`: the entries of its state that a store has.
func readOn(
  _ source: some Source, stored: [[UInt8]: [UInt8]] = [:], batches: Int = .max, items: Int = .max
) async throws -> Reading {
  let partition = PartitionID(source: source.name, number: 0)
  var stored = stored
  var reading = Reading()
  while reading.points.count < batches, reading.items.count < items {
    // A time limit cancels a test; a source that waits for ever is stopped then.
    let output = try await withTaskCancellationHandler {
      try await source.next()
    } onCancel: {
      source.stop()
    }
    guard case .batch(let batch) = output else {
      // The checkpoint at the end of a run.
      if let last = reading.points.last {
        for put in source.takeStateChanges(of: partition, at: last.0.position).puts { stored[put.key] = put.value }
        reading.points[reading.points.count - 1].0.stateEntries = stored
      }
      break
    }
    #expect(batch.partition == partition)
    #expect(batch.count > 0 || !batch.oversized.isEmpty)
    if case .csv(_, let header, _) = batch.payload { reading.headers.insert(header) }
    let items = batch.items
    #expect(items.last.map { $0.position < batch.next } == true)
    reading.items += items
    let state = source.checkpointState(of: partition, at: batch.next)
    let changes = source.takeStateChanges(of: partition, at: batch.next)
    for put in changes.puts { stored[put.key] = put.value }
    for key in changes.deletes { stored[key] = nil }
    reading.points.append(
      (ResumePoint(position: batch.next, sourceState: state, stateEntries: stored), reading.items.count))
  }
  return reading
}

/// The error that opening or reading a source ends with.
func failure(of source: some Source, from point: ResumePoint? = nil) async throws -> OperatingError {
  try await #require(throws: OperatingError.self) { _ = try await read(source, from: point) }
}

/// What a source said.
final class Notices: Sendable {
  private let sentences = Mutex<[String]>([])
  func add(_ sentence: String) { sentences.withLock { $0.append(sentence) } }
  var all: [String] { sentences.withLock { $0 } }

  /// Waits until something was said: as long as the test may take.
  func wait(for text: String) async throws {
    while !all.contains(where: { $0.contains(text) }) { try await Task.sleep(for: .milliseconds(10)) }
  }
}

/// Packs a file of a folder with a tool of the system, beside it or in place of it.
func pack(_ folder: TestFolder, _ name: String, with tool: String, keep: Bool = true) throws {
  let process = Process()
  process.executableURL = URL(filePath: "/usr/bin/env")
  process.arguments = [tool, "-q", "-f", keep ? "-k" : tool == "zstd" ? "--rm" : "-f", folder / name]
  try process.run()
  process.waitUntilExit()
  try #require(process.terminationStatus == 0, "\(tool) \(name)")
}
