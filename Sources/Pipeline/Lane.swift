// One partition on its way through a run: the queue that restores its order, and the tickets that define it.

import Detection
import Synchronization

/// The ordered end of the hand-over for one partition.
final class Lane: Sendable {
  let partition: PartitionID
  /// The batches of the source, each as one or several pieces.
  let queue = OrderedQueue<[StagedWork]>()
  private let tickets = Atomic<UInt64>(0)
  private let closing = Atomic(false)

  init(partition: PartitionID) { self.partition = partition }

  /// The place of the next batch in the partition. Only the reader takes tickets.
  func nextTicket() -> UInt64 { tickets.add(1, ordering: .relaxed).oldValue }

  /// No more tickets will be taken.
  /// - Parameter closing: whether the input is at its end for good.
  func finish(closing isClosing: Bool) {
    closing.store(isClosing, ordering: .releasing)
    queue.finish(after: tickets.load(ordering: .relaxed))
  }

  /// Whether the input is at its end for good; told with `finish`.
  var isClosing: Bool { closing.load(ordering: .acquiring) }
}

/// The lanes of a run. Only the reader adds; lanes report their end.
final class Lanes: Sendable {
  private struct State: Sendable {
    var lanes: [PartitionID: Lane] = [:]
    var running = 0
    var failure: (any Error)?
  }

  private let state = Mutex(State())

  subscript(partition: PartitionID) -> Lane? { state.withLock { $0.lanes[partition] } }

  /// A lane that comes after another has failed is given up at once.
  func add(_ lane: Lane) {
    let isLate = state.withLock { state in
      state.lanes[lane.partition] = lane
      state.running += 1
      return state.failure != nil
    }
    if isLate { lane.queue.abort() }
  }

  /// A lane has ended; if it failed, the others are given up: the last checkpoints stand.
  func end(with failure: (any Error)? = nil) {
    let all = state.withLock { state -> [Lane] in
      state.running -= 1
      guard let failure else { return [] }
      // The first failure is the cause; others follow from it.
      state.failure = state.failure ?? failure
      return Array(state.lanes.values)
    }
    for lane in all { lane.queue.abort() }
  }

  /// What made the first lane fail.
  var failure: (any Error)? { state.withLock { $0.failure } }
  var areDone: Bool { state.withLock { $0.running == 0 } }

  func finish(closing: Bool) {
    for lane in state.withLock({ Array($0.lanes.values) }) { lane.finish(closing: closing) }
  }
  func tick() { for lane in state.withLock({ Array($0.lanes.values) }) { lane.queue.tick() } }
}

/// What was stored of the partitions, until their lanes have taken it up: it is as large as the state of a run, and would
/// be there a second time for as long as the run lasts.
final class Snapshots: Sendable {
  private let snapshots: Mutex<[PartitionID: PartitionSnapshot]>

  init(_ snapshots: [PartitionID: PartitionSnapshot]) { self.snapshots = Mutex(snapshots) }

  /// Something of each snapshot that is there.
  func map<Value: Sendable>(_ body: @Sendable (PartitionSnapshot) throws -> Value) rethrows -> [PartitionID: Value] {
    try snapshots.withLock { try $0.mapValues(body) }
  }

  /// Gives a partition's snapshot away; nil where there is none.
  func take(_ partition: PartitionID) -> PartitionSnapshot? { snapshots.withLock { $0.removeValue(forKey: partition) } }
}
