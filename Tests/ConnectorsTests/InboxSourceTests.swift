// An inbox as a source: everything that was handed in is read once, in order, from where the last checkpoint was.

import Detection
import Foundation
import Pipeline
import TestKit
import Testing

@testable import Connectors

@Suite("Inbox as a source", .timeLimit(.minutes(10)))
struct InboxSourceTests {
  private static let partition = PartitionID(source: "http", number: 0)

  private static func records(_ numbers: Range<Int>) -> [[UInt8]] { numbers.map { Array("{\"n\":\($0)}".utf8) } }

  /// What batches have, as text, up to so many records.
  private static func read(
    _ source: InboxSource, _ count: Int, from point: Position? = nil
  ) async throws -> (texts: [String], next: Position?) {
    guard case .assigned(let assigned) = try await source.next() else { throw OperatingError(.input, "not assigned") }
    #expect(assigned == partition)
    _ = try await source.resume(assigned, at: point.map { ResumePoint(position: $0, sourceState: []) })
    var (texts, next): ([String], Position?) = ([], nil)
    while texts.count < count, case .batch(let batch) = try await source.next() {
      guard case .json(let records) = batch.payload else { throw OperatingError(.input, "not JSON") }
      for index in 0..<records.count {
        texts.append(
          String(decoding: records.bytes[Int(records.starts[index])..<Int(records.ends[index])], as: UTF8.self))
        #expect(batch.positions[index].offset == batch.positions[index].row)
      }
      next = batch.next
    }
    return (texts, next)
  }

  @Test("records come in order, whatever the size of batches, and those behind a point again", arguments: [1, 3, 4096])
  func inOrder(_ batchRows: Int) async throws {
    let folder = try TestFolder()
    let actions = try SQLiteActions(in: DataDirectory(path: folder.path))
    _ = try await actions.handIn(Self.records(0..<5), to: "u", key: "a", at: 1)
    _ = try await actions.handIn(Self.records(100..<101), to: "another", key: "b", at: 1)
    _ = try await actions.handIn(Self.records(5..<10), to: "u", key: "b", at: 2)
    let expected = Self.records(0..<10).map { String(decoding: $0, as: UTF8.self) }
    let source = InboxSource("u", in: actions, batchRows: batchRows)
    let first = try await Self.read(source, 10)
    #expect(first.texts == expected && first.next == Position(segment: 0, offset: 10, row: 10))
    // What came behind the last checkpoint is read again by the next run, and what it had goes.
    try await source.acknowledge(Self.partition, upTo: Position(segment: 0, offset: 6, row: 6))
    #expect(try await actions.state(of: "u").first == 6)
    let again = try await Self.read(
      InboxSource("u", in: actions, batchRows: batchRows), 4, from: Position(segment: 0, offset: 6, row: 6))
    #expect(again.texts == Array(expected[6...]))
    withExtendedLifetime(folder) {}
  }

  @Test("what comes while it waits is read; it ends when it is stopped, or when nothing comes for long enough")
  func waiting() async throws {
    let actions = MemoryActions()
    let source = InboxSource("u", in: actions)
    async let found = Self.read(source, 3)
    #expect(try await source.comesToWait())
    _ = try await actions.handIn(Self.records(0..<3), to: "u", key: "a", at: 1)
    #expect(try await found.texts.count == 3)
    #expect(!source.waitsForMore)
    async let next = source.next()
    source.stop()
    guard case .end = try await next else {
      Issue.record("it did not end")
      return
    }
    let idle = InboxSource("u", in: actions, idleTimeout: .milliseconds(30))
    #expect(try await Self.read(idle, 100).texts.count == 3)
  }

  @Test("an inbox that does not have what comes next is another one, and that is said")
  func another() async throws {
    let actions = MemoryActions()
    let source = InboxSource("u", in: actions)
    _ = try await source.next()
    let point = ResumePoint(position: Position(segment: 0, offset: 7, row: 7), sourceState: [])
    let error = await #expect(throws: OperatingError.self) { try await source.resume(Self.partition, at: point) }
    #expect("\(String(describing: error))".contains("continues at 7"))
    source.stop()
  }
}
