// What a checkpoint is told of a partition: the fingerprint of the last record before its position. Batches are entered as
// they are handed over and struck out once a checkpoint has passed them.

import DequeModule
import Detection
import Pipeline
import Synchronization

final class KafkaLedger: Sendable {
  private struct Entry: Sendable {
    /// Behind the batch.
    var next: Int64
    var last: KafkaFingerprint?
  }

  private struct Account: Sendable {
    /// Whether the log that is read, and where that began, were in a checkpoint.
    var isRecorded: Bool
    /// As of the position before all entries; nil for a new partition of which nothing is read.
    var state: KafkaPartitionState?
    var entries: Deque<Entry> = []
    /// Behind what was handed over, and behind what the log has besides records (the marks of transactions); nil where nothing
    /// is read.
    var next: Int64?
  }

  private let accounts = Mutex<[PartitionID: Account]>([:])

  /// A partition is read on, or from its beginning.
  /// - Parameters:
  ///   - next: where reading goes on.
  ///   - isRecorded: whether what is stored has the log that is read, and where that began.
  func open(_ partition: PartitionID, _ state: KafkaPartitionState, from next: Int64, isRecorded: Bool) {
    accounts.withLock { $0[partition] = Account(isRecorded: isRecorded, state: state, next: next) }
  }

  /// Nothing of a partition is read: it was taken back before that. What is stored of it stays.
  /// - Parameter state: what is stored; nil where nothing is.
  func keep(_ partition: PartitionID, _ state: KafkaPartitionState?) {
    accounts.withLock { $0[partition] = Account(isRecorded: true, state: state) }
  }

  /// Nothing of a partition is under way any more.
  func close(_ partition: PartitionID) { accounts.withLock { $0[partition] = nil } }

  /// Everything before an offset was taken, and there is no more for now.
  func noteEnd(_ partition: PartitionID, _ offset: Int64) {
    accounts.withLock { accounts in
      guard let next = accounts[partition]?.next else { return }
      accounts[partition]?.next = max(next, offset)
    }
  }

  /// Where reading of each partition goes on.
  var next: [PartitionID: Int64] { accounts.withLock { $0.compactMapValues(\.next) } }

  /// Whether a checkpoint has the log that is read, and where that began.
  func isRecorded(_ partition: PartitionID) -> Bool { accounts.withLock { $0[partition]?.isRecorded ?? false } }

  /// A batch was handed over.
  /// - Parameters:
  ///   - next: behind it.
  ///   - last: its last record.
  func enter(_ partition: PartitionID, next: Int64, last: KafkaFingerprint?) {
    accounts.withLock { accounts in
      if accounts[partition]?.state?.first == nil { accounts[partition]?.state?.first = last }
      accounts[partition]?.entries.append(Entry(next: next, last: last))
      accounts[partition]?.next = next
    }
  }

  /// What is stored with a position.
  func state(of partition: PartitionID, at position: Position) -> KafkaPartitionState? {
    accounts.withLock { accounts in
      guard let account = accounts[partition], var state = account.state else { return nil }
      accounts[partition]?.isRecorded = true
      if state.segment == position.segment {
        state.last = account.entries.last { $0.next <= position.offset }?.last ?? state.last
      }
      return state
    }
  }

  /// A checkpoint has passed a position.
  func pass(_ partition: PartitionID, _ position: Position) {
    accounts.withLock { accounts in
      guard accounts[partition]?.state?.segment == position.segment else { return }
      while let entry = accounts[partition]?.entries.first, entry.next <= position.offset {
        if let last = entry.last { accounts[partition]?.state?.last = last }
        accounts[partition]?.entries.removeFirst()
      }
    }
  }
}
