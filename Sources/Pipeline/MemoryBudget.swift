// How much memory a run takes, and what becomes of that: one number for the process, whatever partitions, rules and windows
// there are. Lanes say once per batch what they hold.
//
// What comes first is state: rules, windows, events that wait, checkpoints that are being written, models. It may take all
// but an eighth of what the process leaves. Batches in flight and history that waits get half each of what state leaves, so
// a run that comes near its budget reads less ahead and seals history sooner; neither changes a result. Where state comes to
// three quarters of what it may take, lanes park what they can (`Parkable`). Where it does not fit all the same, the run ends:
// the last checkpoint stands, and a run with more memory goes on from there. Whether it fits is a matter of what lanes hold
// behind their batches, so results that are stored never depend on the budget.

import Detection
import Synchronization

/// What one lane holds, in bytes.
struct LaneMemory: Sendable, Equatable {
  /// By the name of what holds it: `rule/often`, `window/hourly`.
  var state: [String: Int] = [:]
  /// Rows that are in no shard.
  var history = 0
}

/// What a run may hold in memory, and what it does.
public final class MemoryBudget: Sendable {
  private struct State: Sendable {
    var lanes: [PartitionID: LaneMemory] = [:]
    var models = 0
    var state = 0
    var history = 0
  }

  /// Bytes that the process may take.
  let bytes: Int
  private let mostInFlight: Int
  private let state = Mutex(State())

  /// State and parts of the rest get at least an eighth of what is left by the process: a batch must fit.
  private static let reserve = 8

  init(bytes: Int, workers: Int) {
    precondition(bytes >= Limits.leastMemory, "a run needs \(Limits.leastMemory) bytes at least")
    self.bytes = bytes
    mostInFlight = Limits.bytesInFlight(workers: workers)
  }

  /// Bytes of state with which a run goes on that may take so many bytes.
  public static func mostState(of bytes: Int) -> Int {
    let available = bytes - Limits.processMemory
    return available - available / reserve
  }

  /// The least memory of a run that goes on with so many bytes of state.
  public static func bytes(forState state: Int) -> Int {
    max(Limits.leastMemory, Limits.processMemory + (state * reserve + reserve - 2) / (reserve - 1))
  }

  private var available: Int { bytes - Limits.processMemory }
  var mostState: Int { Self.mostState(of: bytes) }

  /// Notes what a lane holds behind a batch.
  /// - Throws: `LimitError` where the state of all lanes does not fit any more.
  func note(_ memory: LaneMemory, of partition: PartitionID) throws(LimitError) {
    let problem = state.withLock { state -> LimitError? in
      let before = state.lanes.updateValue(memory, forKey: partition) ?? LaneMemory()
      state.state += memory.state.values.reduce(0, +) - before.state.values.reduce(0, +)
      state.history += memory.history - before.history
      return excess(state)
    }
    if let problem { throw problem }
  }

  /// A lane has ended.
  func forget(_ partition: PartitionID) {
    state.withLock { state in
      guard let before = state.lanes.removeValue(forKey: partition) else { return }
      state.state -= before.state.values.reduce(0, +)
      state.history -= before.history
    }
  }

  /// Notes what models that are at hand take.
  func note(models bytes: Int) { state.withLock { $0.models = bytes } }

  /// Bytes of batches that may be in flight.
  var inFlight: Int { state.withLock { min(mostInFlight, rest($0)) } }

  /// Whether a lane is to seal the history that waits in it: all lanes have more than there is room for, and it has its
  /// part of that.
  func isToSeal(_ partition: PartitionID) -> Bool {
    state.withLock { state in
      let room = rest(state)
      guard state.history > room, let own = state.lanes[partition]?.history else { return false }
      return own * state.lanes.count >= room
    }
  }

  /// Whether state has three quarters of what it may take, so that lanes park what they can. What they free is used again,
  /// and what a batch brings meanwhile still fits.
  var isScarce: Bool { state.withLock { ($0.state + $0.models) / 3 >= mostState / 4 } }

  /// Bytes that state takes.
  var heldState: Int { state.withLock { $0.state + $0.models } }

  /// Half of what state leaves, or as much as it must leave.
  private func rest(_ state: State) -> Int {
    max(available - state.state - state.models, available / Self.reserve) / 2
  }

  private func excess(_ state: State) -> LimitError? {
    let held = state.state + state.models
    guard held > mostState else { return nil }
    var parts = state.models > 0 ? ["models": state.models] : [:]
    for lane in state.lanes.values { parts.merge(lane.state, uniquingKeysWith: +) }
    let largest = parts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(3)
      .map { "\($0.key) \(ByteSizeText.format($0.value))" }
    return LimitError(
      subject: "memory",
      message: """
        state takes \(ByteSizeText.format(held)), and `memory` of \(ByteSizeText.format(bytes)) leaves \
        \(ByteSizeText.format(mostState)) for it (\(largest.joined(separator: ", "))); with a larger `memory` in pulse.yaml, or \
        `--memory`, the run goes on where it stopped. Rules hold less with a shorter `within` or `cool_down`, a narrower \
        `when` or a coarser `per`, windows with fewer or shorter values of `by`, a shorter `size`, a longer `every` or less \
        `allowed_lateness`
        """)
  }
}
