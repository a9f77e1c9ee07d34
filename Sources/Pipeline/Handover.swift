// The hand-overs between the stages of the pipeline. Batches are values (columns with copy-on-write storage that
// nobody else holds), so moving one is moving a few references, and the compiler proves that nothing is shared. The
// lock inside is taken once per batch, never per event; waiting is suspension, never blocking.

import DequeModule
import Synchronization

/// Elements on their way from any number of producers to any number of consumers. Not bounded itself: `InFlight` bounds
/// what all of a run's mailboxes hold together.
final class Mailbox<Element: Sendable>: Sendable {
  private struct State: Sendable {
    var elements: Deque<Element> = []
    var isFinished = false
    var consumers: Deque<CheckedContinuation<Element?, Never>> = []
  }

  private let state = Mutex(State())

  /// Appends an element; one that comes after the end is dropped.
  func send(_ element: Element) {
    let consumer = state.withLock { state -> CheckedContinuation<Element?, Never>? in
      if state.isFinished { return nil }
      if let consumer = state.consumers.popFirst() { return consumer }
      state.elements.append(element)
      return nil
    }
    consumer?.resume(returning: element)
  }

  /// The next element, waiting while there is none; nil once the mailbox is finished and empty.
  func receive() async -> Element? {
    await withCheckedContinuation { (continuation: CheckedContinuation<Element?, Never>) in
      let result = state.withLock { state -> Element?? in
        if let element = state.elements.popFirst() { return .some(element) }
        if state.isFinished { return .some(nil) }
        state.consumers.append(continuation)
        return .none
      }
      if let result { continuation.resume(returning: result) }
    }
  }

  /// Nothing more comes: consumers get nil once it is empty.
  /// - Parameter discarding: whether what is waiting is given up.
  func finish(discarding: Bool = false) {
    let consumers = state.withLock { state in
      state.isFinished = true
      if discarding { state.elements = [] }
      defer { state.consumers = [] }
      return state.consumers
    }
    for consumer in consumers { consumer.resume(returning: nil) }
  }
}

/// What is between the reader and the end of its lane, in batches and in bytes. The reader waits while it is too much: that
/// is the pipeline's back-pressure, and what bounds its memory.
final class InFlight: Sendable {
  /// An amount of what is under way.
  struct Load: Sendable, Equatable {
    var batches = 0
    /// As `RawBatch.heldBytes` counts them.
    var bytes = 0

    static func += (load: inout Load, other: Load) {
      load.batches += other.batches
      load.bytes += other.bytes
    }

    static func -= (load: inout Load, other: Load) {
      load.batches -= other.batches
      load.bytes -= other.bytes
    }
  }

  private struct State: Sendable {
    var load = Load()
    var capacity: Load
    var isOpen = false
    var reader: CheckedContinuation<Void, Never>?
  }

  private let state: Mutex<State>

  init(batches: Int, bytes: Int) {
    precondition(batches > 0, "one batch must be under way at least")
    precondition(bytes >= 0, "there cannot be less than nothing under way")
    state = Mutex(State(capacity: Load(batches: batches, bytes: bytes)))
  }

  /// Batches that are under way.
  var batches: Int { state.withLock { $0.load.batches } }

  /// Counts what is about to be handed over.
  func enter(_ load: Load) { state.withLock { $0.load += load } }

  /// Waits while there is more than may be. One caller at a time.
  func waitForRoom() async {
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      let goesOn = state.withLock { state in
        if hasRoom(state) { return true }
        precondition(state.reader == nil, "a run has one reader")
        state.reader = continuation
        return false
      }
      if goesOn { continuation.resume() }
    }
  }

  /// What is done with, or given up.
  func leave(_ load: Load) { update { $0.load -= load } }

  /// There is memory for so many bytes.
  func limit(to bytes: Int) { update { $0.capacity.bytes = bytes } }

  /// Nobody waits any more: the run has failed.
  func open() { update { $0.isOpen = true } }

  private func hasRoom(_ state: State) -> Bool {
    state.isOpen || state.load.batches <= state.capacity.batches && state.load.bytes <= state.capacity.bytes
  }

  private func update(_ change: @Sendable (inout State) -> Void) {
    let reader = state.withLock { state -> CheckedContinuation<Void, Never>? in
      change(&state)
      guard hasRoom(state) else { return nil }
      defer { state.reader = nil }
      return state.reader
    }
    reader?.resume()
  }
}

/// Puts results back in the order of their tickets. Tickets are 0, 1, 2 …, each submitted exactly once, by any worker;
/// one consumer takes them in that order. How far results may run ahead is bounded by `InFlight`.
final class OrderedQueue<Element: Sendable>: Sendable {
  /// What the consumer gets.
  enum Turn: Sendable {
    case element(Element)
    /// Time has passed: a moment to take a checkpoint although nothing arrived.
    case tick
    /// Nothing has come for a while behind what was taken so far.
    case idle
    /// Everything has come.
    case end
    /// The rest will not come.
    case aborted
  }

  private struct State: Sendable {
    var next: UInt64 = 0
    var waiting: [UInt64: Element] = [:]
    var end: UInt64?
    var isAborted = false
    var isTicking = false
    /// Behind how many tickets nothing came for a while.
    var idle: UInt64?
    var consumer: CheckedContinuation<Turn, Never>?

    /// What the consumer may have now; nil if it must wait.
    mutating func take() -> Turn? {
      if isAborted { return .aborted }
      if let element = waiting.removeValue(forKey: next) {
        next += 1
        return .element(element)
      }
      if let end, next >= end { return .end }
      if isTicking {
        isTicking = false
        return .tick
      }
      if let idle, next >= idle {
        self.idle = nil
        return .idle
      }
      return nil
    }
  }

  private let state = Mutex(State())

  func submit(_ element: Element, ticket: UInt64) {
    update { state in
      precondition(ticket >= state.next && state.waiting[ticket] == nil, "ticket \(ticket) was submitted twice")
      if state.isAborted { return }
      state.waiting[ticket] = element
    }
  }

  /// Wakes the consumer with a tick if it is waiting, or as soon as it would wait.
  func tick() { update { $0.isTicking = true } }

  /// Nothing has come for a while behind so many tickets: the consumer is told when it has come there, unless more has.
  func idle(after tickets: UInt64) { update { $0.idle = tickets } }

  /// Tells how many tickets were handed out in all: `next()` gives `.end` behind the last one.
  func finish(after tickets: UInt64) { update { $0.end = tickets } }

  /// Gives up whatever is waiting or still to come: `next()` gives `.aborted` from now on, whatever is called afterwards.
  func abort() {
    update { state in
      state.waiting = [:]
      state.isAborted = true
    }
  }

  /// The next element in order, waiting for it.
  func next() async -> Turn {
    await withCheckedContinuation { (continuation: CheckedContinuation<Turn, Never>) in
      let turn = state.withLock { state -> Turn? in
        if let turn = state.take() { return turn }
        precondition(state.consumer == nil, "an ordered queue has one consumer")
        state.consumer = continuation
        return nil
      }
      if let turn { continuation.resume(returning: turn) }
    }
  }

  private func update(_ change: @Sendable (inout State) -> Void) {
    let (consumer, turn) = state.withLock { state -> (CheckedContinuation<Turn, Never>?, Turn?) in
      change(&state)
      guard let consumer = state.consumer, let turn = state.take() else { return (nil, nil) }
      state.consumer = nil
      return (consumer, turn)
    }
    if let consumer, let turn { consumer.resume(returning: turn) }
  }
}
