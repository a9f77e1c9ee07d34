// Inputs that are read side by side: each is a partition of one source, with a position, a watermark and a lane of its own,
// so that none waits for another's end.

public import Detection
public import Pipeline
import Synchronization

/// Several sources of one name, each with one partition of its own number, as one source.
public final class SourcesSideBySide: Source {
  public let name: String
  private let sources: [any Source]
  private let meeting: Meeting

  /// - Parameter sources: the one at index `i` has the partition `i` and no other, and never says that it is revoked.
  /// - Precondition: there is at least one, and all have the same name.
  public init(_ sources: [any Source]) {
    precondition(!sources.isEmpty && Set(sources.map(\.name)).count == 1, "they are the partitions of one source")
    name = sources[0].name
    self.sources = sources
    meeting = Meeting(sources.count)
  }

  public func check() async throws { for source in sources { try await source.check() } }

  public func next() async throws -> SourceEvent {
    if meeting.begin() {
      for source in sources { Task { [meeting] in await Self.read(source, into: meeting) } }
    }
    do { return try await meeting.take() } catch {
      // The others would wait for more.
      stop()
      throw error
    }
  }

  /// Reads one input to its end, one event ahead of what was taken.
  private static func read(_ source: any Source, into meeting: Meeting) async {
    while true {
      do {
        let event = try await source.next()
        if case .end = event { return meeting.end() }
        await meeting.give(event)
      } catch { return meeting.fail(error) }
    }
  }

  public func resume(_ partition: PartitionID, at point: ResumePoint?) async throws -> [InputGap] {
    try await source(of: partition).resume(partition, at: point)
  }

  public func release(_ partition: PartitionID) async { await source(of: partition).release(partition) }

  public func checkpointState(of partition: PartitionID, at position: Position) -> [UInt8] {
    source(of: partition).checkpointState(of: partition, at: position)
  }

  public func takeStateChanges(of partition: PartitionID, at position: Position) -> StateChanges {
    source(of: partition).takeStateChanges(of: partition, at: position)
  }

  public func isRecorded(_ segment: UInt32, of partition: PartitionID) -> Bool {
    source(of: partition).isRecorded(segment, of: partition)
  }

  public func acknowledge(_ partition: PartitionID, upTo position: Position) async throws {
    try await source(of: partition).acknowledge(partition, upTo: position)
  }

  /// Where all of them do.
  public var waitsForMore: Bool { sources.allSatisfy(\.waitsForMore) }

  public func stop() {
    for source in sources { source.stop() }
    meeting.stop()
  }

  private func source(of partition: PartitionID) -> any Source { sources[Int(partition.number)] }
}

/// Where those who read the inputs hand over what comes: each waits until its event was taken.
private final class Meeting: Sendable {
  private struct State: Sendable {
    var isBegun = false
    /// How many inputs are not at their end.
    var open: Int
    var failure: (any Error)?
    /// Whether nothing is taken any more.
    var isOver = false
    var given: [(event: SourceEvent, taken: CheckedContinuation<Void, Never>)] = []
    var taker: CheckedContinuation<Void, Never>?

    var hasNews: Bool { !given.isEmpty || isOver || open == 0 }
  }

  private let state: Mutex<State>

  init(_ count: Int) { state = Mutex(State(open: count)) }

  /// - Returns: whether this is the first call.
  func begin() -> Bool {
    state.withLock { state in
      defer { state.isBegun = true }
      return !state.isBegun
    }
  }

  func give(_ event: SourceEvent) async {
    await withCheckedContinuation { continuation in
      update { state in
        if state.isOver { continuation.resume() } else { state.given.append((event, continuation)) }
      }
    }
  }

  func end() { update { $0.open -= 1 } }

  func fail(_ error: any Error) {
    update { state in
      state.failure = state.failure ?? error
      state.isOver = true
    }
  }

  func stop() { update { $0.isOver = true } }

  /// What came first of what was not taken yet; the end once all inputs are at theirs, or it was stopped.
  /// - Throws: what ended an input, as soon as it did.
  func take() async throws -> SourceEvent {
    await withCheckedContinuation { continuation in
      let isThere = state.withLock { state in
        if state.hasNews { return true }
        precondition(state.taker == nil, "a source has one reader")
        state.taker = continuation
        return false
      }
      if isThere { continuation.resume() }
    }
    let (next, failure) = state.withLock { state in
      (state.given.isEmpty ? nil : state.given.removeFirst(), state.failure)
    }
    if let failure { throw failure }
    next?.taken.resume()
    return next?.event ?? .end
  }

  private func update(_ change: (inout State) -> Void) {
    let waiting = state.withLock { state in
      change(&state)
      var waiting: [CheckedContinuation<Void, Never>] = []
      if state.isOver {
        // What was not taken is read again by the next run.
        waiting = state.given.map(\.taken)
        state.given = []
      }
      if state.hasNews, let taker = state.taker {
        state.taker = nil
        waiting.append(taker)
      }
      return waiting
    }
    for continuation in waiting { continuation.resume() }
  }
}
