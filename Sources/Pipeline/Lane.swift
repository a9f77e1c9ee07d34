// One partition on its way through a run, from its assignment to its end: what the reader hands over, the queue that
// restores its order, and how it ends.

import Detection
import Synchronization

/// The way of one partition through the stages.
final class Lane: Sendable {
  /// How a lane ends.
  enum Ending: Sendable, Equatable {
    /// The input is at its end: what was handed over is finished and stored.
    /// - Parameter closing: whether the end is for good.
    case end(closing: Bool)
    /// Another process is to have the partition: what was handed over is finished and stored.
    case revoked
    /// What is under way is given up: another process may have the partition, or the run has failed.
    case lost
  }

  /// A batch of the source.
  struct Handed: Sendable {
    var raw: RawBatch
    /// What it counts for among what is in flight.
    var load: InFlight.Load
    let stamp: BatchStamp

    init(_ raw: RawBatch) {
      self.raw = raw
      stamp = BatchStamp(records: raw.count + raw.oversized.count, newest: raw.envelopes?.newest)
      load = InFlight.Load(batches: 1, bytes: raw.heldBytes)
    }
  }

  /// What the source says of the partition while it is read.
  enum Message: Sendable {
    case batch(Handed)
    /// Nothing has come for a while.
    case idle
  }

  /// A batch behind the stateless stages, as one or several pieces.
  struct Staged: Sendable {
    var pieces: [StagedWork]
    var load: InFlight.Load
    var stamp: BatchStamp
  }

  private struct State: Sendable {
    /// What was handed over and is not done with.
    var underWay = InFlight.Load()
    var isOver = false
    var ending: Ending?
    /// When the last batch came, or the lane began.
    var lastBatch = ContinuousClock.now
    /// Whether it was said since then that nothing comes.
    var isIdle = false
    /// Whether a new partition is to be put on record although nothing has come of it.
    var hasFound = false
    /// Whether the source knows where the partition goes on.
    var isResumed = false
  }

  let partition: PartitionID
  let inbox = Mailbox<Message>()
  let queue = OrderedQueue<Staged>()
  /// Opened when nothing of the lane is under way any more.
  let end = Latch()
  private let state = Mutex(State())

  init(partition: PartitionID) { self.partition = partition }

  /// Hands over a batch.
  /// - Returns: whether it was taken: not where the lane has ended.
  func send(_ batch: Handed) -> Bool {
    let isTaken = state.withLock { state in
      guard !state.isOver, state.ending == nil else { return false }
      state.underWay += batch.load
      (state.lastBatch, state.isIdle) = (.now, false)
      return true
    }
    if isTaken { inbox.send(.batch(batch)) }
    return isTaken
  }

  /// The source knows where the partition goes on, and can say what a checkpoint needs of it.
  func noteResumed() { state.withLock { $0.isResumed = true } }

  var isResumed: Bool { state.withLock { $0.isResumed } }

  /// The source has found something of a new partition that is to be put on record before anything comes of it.
  func noteFound() {
    state.withLock { $0.hasFound = true }
    queue.tick()
  }

  var hasFound: Bool { state.withLock { $0.hasFound } }

  /// Nothing has come for a while.
  func sendIdle() {
    state.withLock { $0.isIdle = true }
    inbox.send(.idle)
  }

  /// Says it where nothing has come for so long, once for each time: a source that waits for a file or pipe does not.
  func sendIdle(after patience: Duration) {
    let isDue = state.withLock { !$0.isIdle && $0.ending == nil && ContinuousClock.now - $0.lastBatch >= patience }
    if isDue { sendIdle() }
  }

  /// A batch is done with.
  func passed(_ load: InFlight.Load) { state.withLock { $0.underWay -= load } }

  /// No more batches come. A lane that is being drained can still be lost, but what is lost stays so.
  func finish(_ ending: Ending) {
    let changed = state.withLock { state in
      guard state.ending == nil || ending == .lost && state.ending != .lost else { return false }
      state.ending = ending
      return true
    }
    guard changed else { return }
    inbox.finish(discarding: ending == .lost)
    if ending == .lost { queue.abort() }
  }

  /// How the lane ends; nil while batches come.
  var ending: Ending? { state.withLock { $0.ending } }

  /// Nothing of the lane is under way any more.
  /// - Returns: what was given up.
  func close() -> InFlight.Load {
    finish(.lost)
    end.open()
    return state.withLock { state in
      state.isOver = true
      defer { state.underWay = InFlight.Load() }
      return state.underWay
    }
  }
}

/// Something that is waited for and happens once.
final class Latch: Sendable {
  private let state = Mutex<(isOpen: Bool, waiting: [CheckedContinuation<Void, Never>])>((false, []))

  func open() {
    let waiting = state.withLock { state in
      state.isOpen = true
      defer { state.waiting = [] }
      return state.waiting
    }
    for continuation in waiting { continuation.resume() }
  }

  func wait() async {
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      let isOpen = state.withLock { state in
        if !state.isOpen { state.waiting.append(continuation) }
        return state.isOpen
      }
      if isOpen { continuation.resume() }
    }
  }
}

/// The lanes of a run. Only the reader adds; lanes report their end.
final class Lanes: Sendable {
  private struct State: Sendable {
    /// The last lane of each partition.
    var lanes: [PartitionID: Lane] = [:]
    /// Those that have not ended: earlier ones of a partition as well.
    var running: [ObjectIdentifier: Lane] = [:]
    var failure: (any Error)?
    var isStopped = false
    var waiting: CheckedContinuation<Void, Never>?
  }

  private let state = Mutex(State())

  /// The lane that a partition has now.
  subscript(partition: PartitionID) -> Lane? { state.withLock { $0.lanes[partition] } }

  /// A lane begins. One that comes after another has failed is given up at once, and so is the one that the partition has
  /// where the source has not ended it.
  /// - Returns: the lane that the partition had before, if nothing has come after it.
  func add(_ lane: Lane) -> Lane? {
    let (before, isLate) = state.withLock { state in
      let before = state.lanes.updateValue(lane, forKey: lane.partition)
      state.running[ObjectIdentifier(lane)] = lane
      return (before, state.failure != nil)
    }
    if let before, before.ending == nil { before.finish(.lost) }
    if isLate { lane.finish(.lost) }
    return before
  }

  /// A lane has ended.
  func end(_ lane: Lane) {
    let waiting = state.withLock { state -> CheckedContinuation<Void, Never>? in
      state.running[ObjectIdentifier(lane)] = nil
      if state.lanes[lane.partition] === lane { state.lanes[lane.partition] = nil }
      guard state.running.isEmpty else { return nil }
      defer { state.waiting = nil }
      return state.waiting
    }
    waiting?.resume()
  }

  /// Waits until all lanes have ended. No lane is added any more.
  func wait() async {
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      let areDone = state.withLock { state in
        if !state.running.isEmpty { state.waiting = continuation }
        return state.running.isEmpty
      }
      if areDone { continuation.resume() }
    }
  }

  /// The run has failed: all lanes are given up, the last checkpoints stand. The first failure is the cause; others follow
  /// from it.
  func fail(_ failure: any Error) {
    state.withLock { $0.failure = $0.failure ?? failure }
    finish(.lost)
  }

  /// What made the run fail.
  var failure: (any Error)? { state.withLock { $0.failure } }

  /// The run is to end early.
  func stop() { state.withLock { $0.isStopped = true } }
  var isStopped: Bool { state.withLock { $0.isStopped } }

  func finish(_ ending: Lane.Ending) { for lane in all { lane.finish(ending) } }

  /// - Parameter patience: after so long without a batch a lane is idle.
  func tick(idleAfter patience: Duration) {
    for lane in all {
      lane.queue.tick()
      lane.sendIdle(after: patience)
    }
  }

  private var all: [Lane] { state.withLock { Array($0.running.values) } }
}
