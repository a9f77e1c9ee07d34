// Inputs that are read side by side: each goes on whatever the others do, all of them end together or not at all.

import Detection
import Foundation
import Pipeline
import Synchronization
import TestKit
import Testing

@testable import Connectors

@Suite("Sources side by side", .timeLimit(.minutes(15)))
struct SourcesSideBySideTests {
  /// One partition that hands out records, then waits, fails or ends.
  private final class Part: Source {
    enum Ending { case end, failure, waiting }

    let name = "parts"
    private let partition: PartitionID
    private let own: OwnPartitions
    private let ending: Ending
    private let left: Mutex<Int>
    private let stopped = ScriptedSource.Gate()

    init(_ number: Int32, batches: Int, _ ending: Ending) {
      partition = PartitionID(source: name, number: number)
      own = OwnPartitions([partition])
      self.ending = ending
      left = Mutex(batches)
    }

    func next() async throws -> SourceEvent {
      if let event = await own.next() { return event }
      let index = left.withLock { left in
        left -= 1
        return left
      }
      if index >= 0 {
        let rows = [Int64(index)]
        return .batch(
          RawBatch(
            partition: partition, positions: RecordPositions(segment: 0, offsets: rows, rows: rows),
            payload: .json(RecordBytes([Array("{}".utf8)])), next: Position(segment: 0, offset: 0, row: 0)))
      }
      switch ending {
      case .end: return .end
      case .failure: throw PlannedFault()
      case .waiting:
        await stopped.wait()
        return .end
      }
    }

    func resume(_ partition: PartitionID, at point: ResumePoint?) async throws -> [InputGap] {
      own.resume(partition)
      return []
    }
    func release(_ partition: PartitionID) async { own.release(partition) }
    var waitsForMore: Bool { ending == .waiting }
    func checkpointState(of partition: PartitionID, at position: Position) -> [UInt8] { [UInt8(partition.number)] }
    func stop() {
      own.stop()
      stopped.open()
    }
  }

  private struct Unexpected: Error {
    let what: String
    init(_ what: String) { self.what = what }
  }

  /// Takes everything, answering each assignment.
  private func batches(of source: SourcesSideBySide) async throws -> [Int32: Int] {
    var counts: [Int32: Int] = [:]
    while true {
      switch try await source.next() {
      case .assigned(let partition): _ = try await source.resume(partition, at: nil)
      case .batch(let raw): counts[raw.partition.number, default: 0] += 1
      case .end: return counts
      default: Issue.record("these parts say nothing else")
      }
    }
  }

  @Test("together they wait for more where each of them does")
  func waitForMore() {
    #expect(SourcesSideBySide([Part(0, batches: 0, .waiting), Part(1, batches: 0, .waiting)]).waitsForMore)
    #expect(!SourcesSideBySide([Part(0, batches: 0, .waiting), Part(1, batches: 0, .end)]).waitsForMore)
  }

  @Test("all are read to their ends, however long each is")
  func ends() async throws {
    let source = SourcesSideBySide([Part(0, batches: 3, .end), Part(1, batches: 0, .end), Part(2, batches: 70, .end)])
    #expect(try await batches(of: source) == [0: 3, 2: 70])
    #expect(source.checkpointState(of: PartitionID(source: "parts", number: 2), at: .start) == [2])
  }

  @Test("none waits for another's answer or events")
  func independence() async throws {
    let source = SourcesSideBySide([Part(0, batches: 1, .waiting), Part(1, batches: 40, .waiting)])
    var assigned: [PartitionID] = []
    for _ in 0..<2 {
      guard case .assigned(let partition) = try await source.next() else { throw Unexpected("not assigned") }
      assigned.append(partition)
    }
    #expect(Set(assigned.map(\.number)) == [0, 1])
    // The first one is not answered.
    _ = try await source.resume(PartitionID(source: "parts", number: 1), at: nil)
    for _ in 0..<40 {
      guard case .batch(let raw) = try await source.next() else { throw Unexpected("no batch") }
      #expect(raw.partition.number == 1)
    }
    source.stop()
    guard case .end = try await source.next() else { throw Unexpected("a stopped source is at its end") }
  }

  @Test("one that fails ends all")
  func failure() async throws {
    let parts = [Part(0, batches: 2, .failure), Part(1, batches: 5, .waiting), Part(2, batches: 0, .waiting)]
    let source = SourcesSideBySide(parts)
    await #expect(throws: PlannedFault.self) { try await batches(of: source) }
    // The others were stopped: they wait for nothing.
    guard case .end = try await parts[2].next() else { throw Unexpected("not stopped") }
  }

  @Test("a stop ends those that wait and those whose event was not taken")
  func stop() async throws {
    let source = SourcesSideBySide([Part(0, batches: 9, .end), Part(1, batches: 0, .waiting)])
    guard case .assigned = try await source.next() else { throw Unexpected("not assigned") }
    source.stop()
    guard case .end = try await source.next() else { throw Unexpected("a stopped source is at its end") }
  }

  @Test("files side by side are partitions with positions of their own, and are resumed there")
  func files() async throws {
    let folder = try TestFolder()
    for number in 0..<3 {
      try folder.write("\(number).ndjson", (0..<(10 * number + 5)).map { "{\"n\":\($0)}\n" }.joined())
    }
    func source() -> SourcesSideBySide {
      SourcesSideBySide((0..<3).map { FileSource(number: Int32($0), paths: [folder / "\($0).ndjson"], batchRows: 4) })
    }
    func rows(_ source: SourcesSideBySide, from points: [PartitionID: ResumePoint]) async throws -> (
      rows: [Int32: Int], points: [PartitionID: ResumePoint]
    ) {
      var (rows, points) = ([Int32: Int](), points)
      while true {
        switch try await source.next() {
        case .assigned(let partition): _ = try await source.resume(partition, at: points[partition])
        case .batch(let raw):
          rows[raw.partition.number, default: 0] += raw.count
          let state = source.checkpointState(of: raw.partition, at: raw.next)
          var entries = points[raw.partition]?.stateEntries ?? [:]
          let changes = source.takeStateChanges(of: raw.partition, at: raw.next)
          for key in changes.deletes { entries[key] = nil }
          for put in changes.puts { entries[put.key] = put.value }
          points[raw.partition] = ResumePoint(position: raw.next, sourceState: state, stateEntries: entries)
        case .end: return (rows, points)
        default: Issue.record("files say nothing else")
        }
      }
    }
    let first = try await rows(source(), from: [:])
    #expect(first.rows == [0: 5, 1: 15, 2: 25])
    try folder.append("1.ndjson", "{\"n\":15}\n{\"n\":16}\n")
    #expect(try await rows(source(), from: first.points).rows == [1: 2])
  }
}
