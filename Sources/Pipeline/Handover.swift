// The two hand-overs between the stages of the pipeline. Batches are values (columns with copy-on-write storage that
// nobody else holds), so moving one is moving a few references, and the compiler proves that nothing is shared. The
// lock inside is taken once per batch, never per event; waiting is suspension, never blocking.

import DequeModule
import Synchronization

/// Work on its way from the reader to the workers. Bounds what is in flight, in elements and in bytes: an element counts
/// from `send` until `release`, which the last stage calls when it has done with it. That is the pipeline's back-pressure.
final class WorkQueue<Element: Sendable>: Sendable {
  private struct State: Sendable {
    var elements: Deque<Element> = []
    var inFlight = 0
    var bytesInFlight = 0
    var isFinished = false
    var isDiscarding = false
    var producer: CheckedContinuation<Void, Never>?
    var consumers: Deque<CheckedContinuation<Element?, Never>> = []
  }

  private let capacity: Int
  private let byteCapacity: Int
  private let state = Mutex(State())

  init(capacity: Int, bytes byteCapacity: Int) {
    precondition(capacity > 0, "a queue needs room for one element")
    precondition(byteCapacity >= 0, "a queue cannot hold less than nothing")
    self.capacity = capacity
    self.byteCapacity = byteCapacity
  }

  /// Appends an element, then waits while more than `capacity` are in flight, or elements of more bytes than there is room
  /// for. One producer at a time.
  func send(_ element: Element, bytes: Int) async {
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      let (consumer, proceed) = state.withLock { state -> (CheckedContinuation<Element?, Never>?, Bool) in
        state.inFlight += 1
        state.bytesInFlight += bytes
        if state.isDiscarding { return (nil, true) }
        let consumer = state.consumers.popFirst()
        if consumer == nil { state.elements.append(element) }
        if hasRoom(state) || state.isFinished { return (consumer, true) }
        precondition(state.producer == nil, "a work queue has one producer")
        state.producer = continuation
        return (consumer, false)
      }
      consumer?.resume(returning: element)
      if proceed { continuation.resume() }
    }
  }

  /// The next element, waiting while there is none; nil once the queue is finished and empty.
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

  /// Elements that were sent and not released.
  var depth: Int { state.withLock { $0.inFlight } }

  private func hasRoom(_ state: State) -> Bool {
    state.inFlight <= capacity && state.bytesInFlight <= byteCapacity
  }

  /// One element has left the pipeline.
  /// - Parameter bytes: as it was sent with.
  func release(bytes: Int) {
    let producer = state.withLock { state -> CheckedContinuation<Void, Never>? in
      state.inFlight -= 1
      state.bytesInFlight -= bytes
      guard hasRoom(state) else { return nil }
      defer { state.producer = nil }
      return state.producer
    }
    producer?.resume()
  }

  /// No more elements will be sent, or whatever is sent will be discarded: waiting consumers get nil once the queue is
  /// empty, and a waiting producer goes on.
  func finish(discarding: Bool = false) {
    let (consumers, producer) = state.withLock { state in
      state.isFinished = true
      if discarding {
        state.isDiscarding = true
        state.elements = []
      }
      defer {
        state.consumers = []
        state.producer = nil
      }
      return (state.consumers, state.producer)
    }
    for consumer in consumers { consumer.resume(returning: nil) }
    producer?.resume()
  }
}

/// Puts results back in the order of their tickets. Tickets are 0, 1, 2 …, each submitted exactly once, by any worker;
/// one consumer takes them in that order. How far results may run ahead is bounded by the work queue.
final class OrderedQueue<Element: Sendable>: Sendable {
  /// What the consumer gets.
  enum Turn: Sendable {
    case element(Element)
    /// Time has passed: a moment to take a checkpoint although nothing arrived.
    case tick
    case end
  }

  private struct State: Sendable {
    var next: UInt64 = 0
    var waiting: [UInt64: Element] = [:]
    var end: UInt64?
    var isAborted = false
    var isTicking = false
    var consumer: CheckedContinuation<Turn, Never>?

    /// What the consumer may have now; nil if it must wait.
    mutating func take() -> Turn? {
      if isAborted { return .end }
      if let element = waiting.removeValue(forKey: next) {
        next += 1
        return .element(element)
      }
      if let end, next >= end { return .end }
      if isTicking {
        isTicking = false
        return .tick
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

  /// Tells how many tickets were handed out in all: `next()` gives `.end` behind the last one.
  func finish(after tickets: UInt64) { update { $0.end = tickets } }

  /// Gives up whatever is waiting or still to come: `next()` gives `.end` from now on, whatever is called afterwards.
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
