// Live results: what is committed, as it is committed, for any number of subscribers. One task reads the changes from the
// store behind the commits, and only while somebody subscribes, so what is offered has been committed, retractions are
// among it, and it has the numbers of the store. A subscriber that falls behind loses changes and is told from where on to
// read them from the store; the others and the pipeline do not notice.

import DequeModule
import Synchronization

/// Offers committed changes to subscribers.
public final class ResultFeed: Sendable {
  /// What a subscriber gets.
  public enum Event: Sendable, Hashable {
    case change(ResultChange)
    /// Changes were lost because the subscriber was slow: those behind this cursor. They are in the store; what follows
    /// here may repeat some of them.
    case missed(from: ChangeCursor)
  }

  private struct State: Sendable {
    var subscribers: [ObjectIdentifier: FeedSubscription] = [:]
    /// How far the changes were offered; nil while nobody subscribes.
    var cursor: ChangeCursor?
  }

  private let reader: any ResultReader
  private let useCase: String?
  private let signal: ChangeSignal
  private let interval: Duration
  private let state = Mutex(State())

  /// Changes that are read at a time.
  private static let page = 500

  /// - Parameters:
  ///   - useCase: of this one only; nil for all.
  ///   - signal: announces commits of this process.
  ///   - interval: between looks at the store although nothing was announced: another process may write.
  public init(
    _ reader: any ResultReader, of useCase: String? = nil, wokenBy signal: ChangeSignal,
    interval: Duration = .seconds(1)
  ) {
    self.reader = reader
    self.useCase = useCase
    self.signal = signal
    self.interval = interval
  }

  /// A subscription and where it begins: what is behind this cursor will be offered.
  public struct Beginning: Sendable {
    public let subscription: FeedSubscription
    public let from: ChangeCursor
  }

  /// Begins to offer what is committed from now on; perhaps a little of what was committed just before.
  /// - Parameters:
  ///   - items: changes that wait at most.
  ///   - bytes: of large values in them, at most; one change always has room.
  public func subscribe(items: Int, bytes: Int) async throws -> Beginning {
    let latest = try await reader.read { try await $0.latestChange(of: self.useCase) }
    let subscription = FeedSubscription(items: items, bytes: bytes, feed: self)
    let from = state.withLock { state in
      state.subscribers[ObjectIdentifier(subscription)] = subscription
      let from = state.cursor ?? latest
      state.cursor = from
      return from
    }
    subscription.begin(at: from)
    // What was committed between the look and now.
    signal.announce()
    return Beginning(subscription: subscription, from: from)
  }

  func remove(_ subscription: FeedSubscription) {
    state.withLock { state in
      state.subscribers[ObjectIdentifier(subscription)] = nil
      if state.subscribers.isEmpty { state.cursor = nil }
    }
  }

  /// Offers for as long as the task is not cancelled.
  /// - Parameter failed: is told what keeps the store from being read; it is tried again.
  public func run(failed: @Sendable (any Error) -> Void = { _ in }) async {
    while !Task.isCancelled {
      let seen = signal.count
      do { try await offer() } catch {
        if Task.isCancelled { break }
        failed(error)
      }
      await signal.wait(behind: seen, atMost: interval)
    }
    for subscription in state.withLock({ Array($0.subscribers.values) }) { subscription.finish() }
  }

  private func offer() async throws {
    while let since = state.withLock({ $0.cursor }), !Task.isCancelled {
      let useCase = useCase
      let page = try await reader.read { try await $0.changes(since: since, of: useCase, limit: Self.page) }
      let subscribers = state.withLock { state in
        // Who has come since begins at the same place.
        if state.cursor != nil { state.cursor = page.next }
        return Array(state.subscribers.values)
      }
      for subscription in subscribers { subscription.offer(page.changes, from: since, to: page.next) }
      if !page.hasMore { return }
    }
  }
}

/// The changes that one subscriber is offered, in the order of the store. One task reads them.
public final class FeedSubscription: AsyncSequence, Sendable {
  public typealias Element = ResultFeed.Event

  private struct State: Sendable {
    var waiting: Deque<ResultChange> = []
    var bytes = 0
    /// Behind the last change that was put in, or that the reader was told to read from the store.
    var cursor = ChangeCursor()
    /// Whether changes were lost behind those that wait.
    var hasLost = false
    var isOver = false
    var reader: CheckedContinuation<Void, Never>?
  }

  private let items: Int
  private let bytes: Int
  private let feed: ResultFeed
  private let state = Mutex(State())

  init(items: Int, bytes: Int, feed: ResultFeed) {
    self.items = items
    self.bytes = bytes
    self.feed = feed
  }

  func begin(at cursor: ChangeCursor) { state.withLock { $0.cursor = cursor } }

  /// Puts changes in as far as there is room. Never waits.
  func offer(_ changes: [ResultChange], from since: ChangeCursor, to next: ChangeCursor) {
    let reader = state.withLock { state -> CheckedContinuation<Void, Never>? in
      guard !state.isOver else { return nil }
      // What is lost is lost up to now: the reader goes on from where it was.
      if state.hasLost { return nil }
      if state.waiting.isEmpty { state.cursor = since }
      for change in changes {
        let size = change.bytes
        guard state.waiting.isEmpty || state.waiting.count < items && state.bytes + size <= bytes else {
          state.hasLost = true
          break
        }
        state.waiting.append(change)
        state.bytes += size
        state.cursor.pass(change)
      }
      if !state.hasLost { state.cursor = next }
      guard !state.waiting.isEmpty || state.hasLost else { return nil }
      defer { state.reader = nil }
      return state.reader
    }
    reader?.resume()
  }

  /// Ends the sequence behind what waits.
  func finish() {
    let reader = state.withLock { state in
      state.isOver = true
      defer { state.reader = nil }
      return state.reader
    }
    reader?.resume()
  }

  /// Ends the subscription.
  public func cancel() {
    feed.remove(self)
    finish()
  }

  fileprivate func next() async -> ResultFeed.Event? {
    while true {
      if Task.isCancelled { return nil }
      let (event, isOver) = state.withLock { state -> (ResultFeed.Event?, Bool) in
        if let change = state.waiting.popFirst() {
          state.bytes -= change.bytes
          return (.change(change), false)
        }
        if state.hasLost {
          state.hasLost = false
          return (.missed(from: state.cursor), false)
        }
        return (nil, state.isOver)
      }
      if let event { return event }
      if isOver { return nil }
      await withTaskCancellationHandler {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
          let isReady = state.withLock { state in
            let isReady = !state.waiting.isEmpty || state.hasLost || state.isOver || Task.isCancelled
            if !isReady { state.reader = continuation }
            return isReady
          }
          if isReady { continuation.resume() }
        }
      } onCancel: {
        let reader = state.withLock { state in
          defer { state.reader = nil }
          return state.reader
        }
        reader?.resume()
      }
    }
  }

  public struct Iterator: AsyncIteratorProtocol {
    fileprivate let subscription: FeedSubscription

    public mutating func next() async -> ResultFeed.Event? { await subscription.next() }
  }

  public func makeAsyncIterator() -> Iterator { Iterator(subscription: self) }
}
