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
  }

  private let accounts = Mutex<[PartitionID: Account]>([:])

  /// A partition is read on, or from its beginning.
  /// - Parameter isRecorded: whether what is stored has the log that is read, and where that began.
  func open(_ partition: PartitionID, _ state: KafkaPartitionState, isRecorded: Bool) {
    accounts.withLock { $0[partition] = Account(isRecorded: isRecorded, state: state) }
  }

  /// Nothing of a partition is read: it was taken back before that. What is stored of it stays.
  /// - Parameter state: what is stored; nil where nothing is.
  func keep(_ partition: PartitionID, _ state: KafkaPartitionState?) {
    accounts.withLock { $0[partition] = Account(isRecorded: true, state: state) }
  }

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
