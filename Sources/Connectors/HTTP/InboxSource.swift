// An inbox as a source: records that were handed in, by their numbers. What is handed in is durable before it is read, so
// after a crash it is read again from the last checkpoint on like a file; it goes when a checkpoint has passed it.

public import Detection
import Foundation
public import Pipeline
import Synchronization

/// The records of one inbox, as partition 0 and segment 0. Offsets and rows are numbers of records, from 0.
public final class InboxSource: Source {
  public let name = HTTPConnector.name
  private let inbox: String
  /// Opened when reading begins.
  private let actions: InboxStore
  private let idleTimeout: Duration?
  private let batchRows: Int
  private let partition: PartitionID
  private let partitions: OwnPartitions
  private let state = Mutex(State())

  private struct State {
    /// Number of the next record to be read.
    var next: Int64 = 0
    var isStopped = false
    /// Whether the last look found nothing behind it.
    var isEmpty = false
  }

  /// Bytes of records in a batch, about.
  private static let batchBytes = 4 << 20
  /// How long an empty inbox is left alone before it is looked at again.
  private static let pause = Duration.milliseconds(10)

  /// - Parameters:
  ///   - inbox: its name: that of the use case.
  ///   - idleTimeout: how long nothing may come before the source ends; nil waits for ever.
  public init(
    _ inbox: String, in actions: @autoclosure @escaping @Sendable () throws -> any Inbox,
    idleTimeout: Duration? = nil, batchRows: Int = Limits.defaultBatchRows
  ) {
    precondition((1...Limits.maxBatchRows).contains(batchRows), "a batch has 1 to \(Limits.maxBatchRows) rows")
    self.inbox = inbox
    self.actions = InboxStore(actions)
    self.idleTimeout = idleTimeout
    self.batchRows = batchRows
    partition = PartitionID(source: name, number: 0)
    partitions = OwnPartitions([partition])
  }

  public func next() async throws -> SourceEvent {
    if let event = await partitions.next() { return event }
    let start = ContinuousClock.now
    while true {
      let (number, isStopped) = state.withLock { ($0.next, $0.isStopped) }
      if isStopped { return .end }
      let records = try await actions.get().records(of: inbox, from: number, limit: batchRows, bytes: Self.batchBytes)
      if let last = records.last {
        let next = last.number + 1
        state.withLock { ($0.next, $0.isEmpty) = (next, false) }
        let numbers = records.map(\.number)
        // What came from a log once has what that kept beside it.
        let envelopes = records.map { $0.record.envelope ?? RecordEnvelope() }
        return .batch(
          RawBatch(
            partition: partition, positions: RecordPositions(segment: 0, offsets: numbers, rows: numbers),
            payload: .json(RecordBytes(records.map(\.bytes))),
            envelopes: records.contains { $0.record.envelope != nil } ? RecordEnvelopes(envelopes) : nil,
            next: Position(segment: 0, offset: next, row: next)))
      }
      state.withLock { $0.isEmpty = true }
      if let idleTimeout, ContinuousClock.now - start >= idleTimeout { return .end }
      try? await Task.sleep(for: Self.pause)
    }
  }

  public func resume(_ partition: PartitionID, at point: ResumePoint?) async throws -> [InputGap] {
    let kept = try await actions.get().state(of: inbox)
    // Without a point everything that is there is new.
    let next = point?.position.row ?? kept.first
    guard next >= kept.first, next <= kept.next else {
      throw OperatingError(
        .input,
        "the inbox of \(inbox) has the records \(kept.first) to \(kept.next), and the last run continues at \(next): it is "
          + "another inbox. Restore the store, or start over with --reset")
    }
    state.withLock { $0.next = next }
    partitions.resume(partition)
    return []
  }

  public func release(_ partition: PartitionID) async { partitions.release(partition) }

  public func checkpointState(of partition: PartitionID, at position: Position) -> [UInt8] { [] }

  public func acknowledge(_ partition: PartitionID, upTo position: Position) async throws {
    try await actions.get().acknowledge(
      inbox, before: position.row, at: Int64(Date.now.timeIntervalSince1970 * 1e6))
  }

  /// Where the inbox is empty.
  public var waitsForMore: Bool { state.withLock { $0.isEmpty } }

  public func stop() {
    state.withLock { $0.isStopped = true }
    partitions.stop()
  }
}

/// The inbox, opened when it is first asked for: a source that never reads leaves no store behind.
private final class InboxStore: Sendable {
  private let open: @Sendable () throws -> any Inbox
  private let opened = Mutex<(any Inbox)?>(nil)

  init(_ open: @escaping @Sendable () throws -> any Inbox) { self.open = open }

  func get() throws -> any Inbox {
    try opened.withLock { opened in
      if let opened { return opened }
      let made = try open()
      opened = made
      return made
    }
  }
}
