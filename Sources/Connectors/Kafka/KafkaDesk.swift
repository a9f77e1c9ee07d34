// Where the thread that polls and the pipeline hand things over: what the source says goes one way, answers the other. The
// lock inside is taken once for a batch, never for a record.

import DequeModule
import Detection
import Dispatch
import Pipeline
import Synchronization

/// Wakes a thread that waits. One that is woken before it waits does not wait.
final class KafkaWakeup: Sendable {
  private let semaphore = DispatchSemaphore(value: 0)
  private let isSet = Atomic(false)

  func wake() {
    if !isSet.exchange(true, ordering: .acquiringAndReleasing) { semaphore.signal() }
  }

  /// Whoever is woken looks at everything afterwards, so that nothing is missed by a call that finds the flag set.
  func wait(milliseconds: Int) {
    _ = semaphore.wait(timeout: .now() + .milliseconds(milliseconds))
    isSet.store(false, ordering: .releasing)
  }
}

/// What the pipeline asks of the thread that polls.
enum KafkaCommand: Sendable {
  /// A partition is read from an offset on.
  case read(PartitionID, assignment: Int, segment: UInt32, from: Int64)
  /// Nothing of an assignment is under way any more.
  case released(PartitionID, assignment: Int)
}

/// The desk between the two.
final class KafkaDesk: Sendable {
  private struct State: Sendable {
    var commands: [KafkaCommand] = []
    var events: Deque<SourceEvent> = []
    var batches = 0
    var bytes = 0
    var failure: (any Error)?
    var isOver = false
    var isClosed = false
    var isStopped = false
    var isWaiting = false
    var taker: CheckedContinuation<Void, Never>?
    var closing: [CheckedContinuation<Void, Never>] = []
  }

  /// What may lie here before the thread leaves records with librdkafka, which then fetches no more.
  private static let batches = 4
  private static let bytes = 8 << 20

  private let state = Mutex(State())
  let wakeup = KafkaWakeup()

  // MARK: The thread that polls

  func takeCommands() -> [KafkaCommand] {
    state.withLock { state in
      defer { state.commands = [] }
      return state.commands
    }
  }

  /// Whether another batch may be given.
  var hasRoom: Bool { state.withLock { $0.batches < Self.batches && $0.bytes < Self.bytes } }
  /// Whether the pipeline waits for something to do.
  var isAwaited: Bool { state.withLock { $0.taker != nil } }
  var isStopped: Bool { state.withLock { $0.isStopped } }
  /// Whether nothing more will come.
  var isOver: Bool { state.withLock { $0.isOver || $0.isStopped } }
  /// Whether what was given last has not been taken yet.
  var isBusy: Bool { state.withLock { !$0.events.isEmpty } }

  /// Says whether everything was taken that the logs have.
  func noteWaiting(_ isWaiting: Bool) { state.withLock { $0.isWaiting = isWaiting } }

  func give(_ event: SourceEvent) {
    update { state in
      if state.isOver { return }
      if case .batch(let batch) = event {
        state.batches += 1
        state.bytes += batch.heldBytes
      }
      state.events.append(event)
    }
  }

  /// Nothing more is given.
  func end(_ failure: (any Error)? = nil) {
    update { state in
      state.failure = state.failure ?? failure
      state.isOver = true
    }
  }

  /// The consumer has left its group.
  func close() {
    let waiting = state.withLock { state in
      state.isClosed = true
      defer { state.closing = [] }
      return state.closing
    }
    for continuation in waiting { continuation.resume() }
  }

  // MARK: The pipeline

  func post(_ command: KafkaCommand) {
    state.withLock { $0.commands.append(command) }
    wakeup.wake()
  }

  /// Whether there is nothing but what may still come.
  var waitsForMore: Bool { state.withLock { $0.isWaiting && $0.events.isEmpty } }

  func stop() {
    state.withLock { $0.isStopped = true }
    wakeup.wake()
  }

  /// What comes next, waiting for it; the end once there is nothing more.
  func take() async throws -> SourceEvent {
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      let isThere = state.withLock { state in
        if !state.events.isEmpty || state.isOver { return true }
        precondition(state.taker == nil, "a source has one reader")
        state.taker = continuation
        return false
      }
      if isThere { continuation.resume() } else { wakeup.wake() }
    }
    let (event, failure) = state.withLock { state -> (SourceEvent?, (any Error)?) in
      // What was read and not handed over is read again by the next run; that a partition is lost matters no more.
      guard !state.isStopped, let event = state.events.popFirst() else { return (nil, state.failure) }
      if case .batch(let batch) = event {
        state.batches -= 1
        state.bytes -= batch.heldBytes
      }
      return (event, nil)
    }
    if let failure { throw failure }
    wakeup.wake()
    return event ?? .end
  }

  /// Waits until the consumer has left its group.
  func waitForClose() async {
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      let isClosed = state.withLock { state in
        if !state.isClosed { state.closing.append(continuation) }
        return state.isClosed
      }
      if isClosed { continuation.resume() }
    }
  }

  private func update(_ change: (inout State) -> Void) {
    let taker = state.withLock { state -> CheckedContinuation<Void, Never>? in
      change(&state)
      guard !state.events.isEmpty || state.isOver else { return nil }
      defer { state.taker = nil }
      return state.taker
    }
    taker?.resume()
  }
}

/// The assignments of partitions to this process that have no last answer yet, the oldest first.
final class KafkaAssignments: Sendable {
  struct Assignment: Sendable, Hashable {
    var number: Int
    /// Whether it was taken back.
    var isOver = false
  }

  private struct State: Sendable {
    var count = 0
    var open: [PartitionID: Deque<Assignment>] = [:]
  }

  private let state = Mutex(State())

  /// - Returns: its number.
  func begin(_ partition: PartitionID) -> Int {
    state.withLock { state in
      state.count += 1
      state.open[partition, default: []].append(Assignment(number: state.count))
      return state.count
    }
  }

  /// The last assignment of a partition was taken back.
  func end(_ partition: PartitionID) {
    state.withLock { state in
      guard let last = state.open[partition]?.indices.last else { return }
      state.open[partition]?[last].isOver = true
    }
  }

  /// The assignment that an answer belongs to.
  func oldest(of partition: PartitionID) -> Assignment? { state.withLock { $0.open[partition]?.first } }

  /// The last answer of the oldest assignment has come.
  func release(_ partition: PartitionID) {
    state.withLock { state in
      _ = state.open[partition]?.popFirst()
      if state.open[partition]?.isEmpty == true { state.open[partition] = nil }
    }
  }

  /// Whether every assignment has had its last answer.
  var isEmpty: Bool { state.withLock { $0.open.isEmpty } }
}
