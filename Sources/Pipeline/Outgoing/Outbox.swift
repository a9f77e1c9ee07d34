// What leaves the product: committed changes, read from the store behind a stored cursor and delivered to a sink, at least
// once and in order. The commits of a run only wake it; so a sink that is slow or away holds up nothing, and what a crash
// keeps from being delivered is delivered afterwards. See also `ResultFeed`, for those who need not see everything.

import Detection
public import Logging

/// Where changes are delivered: a Kafka topic, a webhook.
public protocol Sink: Sendable {
  /// Delivers changes, those of a partition in order. What was delivered before may come again behind a crash or a
  /// failure: identities (`ResultChange.id`) and numbers are the same then.
  /// - Throws: where not all of them were taken: they come again.
  func deliver(_ changes: [ResultChange]) async throws
}

/// Where the cursors of outgoing sinks are kept: beside the results.
public protocol OutboxCursors: Sendable {
  /// How far a sink has come; before all changes where it is new.
  func cursor(of outbox: String) async throws -> ChangeCursor

  /// Moves a sink's cursor, durably. What it keeps stays.
  /// - Returns: whether it was at `old`; nothing is moved otherwise.
  func advance(_ outbox: String, from old: ChangeCursor, to new: ChangeCursor) async throws -> Bool

  /// Where a sink is, with what it keeps; nil where it is new.
  func place(of outbox: String) async throws -> OutboxPlace?

  /// Moves a sink's cursor and keeps something beside it, in one transaction and durably.
  /// - Returns: whether it was at `old`, before all changes where it is new; nothing is moved or kept otherwise.
  func advance(_ outbox: String, from old: ChangeCursor, to new: OutboxPlace) async throws -> Bool
}

/// Where an outgoing sink is.
public struct OutboxPlace: Sendable, Hashable {
  public var cursor: ChangeCursor
  /// What it has taken from the changes before the cursor, and is not done with; in a form of its own.
  public var kept: String

  public init(cursor: ChangeCursor, kept: String) {
    (self.cursor, self.kept) = (cursor, kept)
  }
}

/// A named sink with its place among the changes.
public struct Outbox: Sendable {
  /// How it delivers.
  public struct Options: Sendable {
    /// Changes at a time.
    public var batch = 500
    /// A look at the store although nothing was announced: another process may write.
    public var interval = Duration.seconds(5)
    /// Before a delivery that has failed is tried again; doubled each time it fails again.
    public var retry = Duration.milliseconds(200)
    public var longestRetry = Duration.seconds(30)

    public init() {}
  }

  public let name: String
  private let useCase: String?
  private let reader: any ResultReader
  private let cursors: any OutboxCursors
  private let sink: any Sink
  private let options: Options
  private let logger: Logger

  /// - Parameter useCase: of this one only; nil for all. An outbox keeps to one of the two.
  public init(
    _ name: String, of useCase: String? = nil, from reader: any ResultReader, cursors: any OutboxCursors,
    to sink: any Sink, options: Options = Options(), logger: Logger
  ) {
    self.name = name
    self.useCase = useCase
    self.reader = reader
    self.cursors = cursors
    self.sink = sink
    self.options = options
    self.logger = logger
  }

  /// Delivers whatever is committed and not delivered yet.
  /// - Returns: the number of changes.
  /// - Throws: what the sink or the store throws. Batches that were delivered before that stay so.
  @discardableResult
  public func drain() async throws -> Int {
    var delivered = 0
    var cursor = try await cursors.cursor(of: name)
    while !Task.isCancelled {
      let (since, useCase, limit) = (cursor, useCase, options.batch)
      let page = try await reader.read { try await $0.changes(since: since, of: useCase, limit: limit) }
      if !page.changes.isEmpty { try await sink.deliver(page.changes) }
      if page.next != cursor, try await !cursors.advance(name, from: cursor, to: page.next) {
        throw OperatingError(
          .store, "the outbox \(name) is delivered by another process as well: end one of them, or give it another name"
        )
      }
      delivered += page.changes.count
      cursor = page.next
      if !page.hasMore { break }
    }
    return delivered
  }

  /// Delivers for as long as the task is not cancelled. What fails is tried again, later each time.
  /// - Parameter signal: announces that there is something to deliver.
  public func run(wokenBy signal: ChangeSignal) async {
    var pause = options.retry
    while !Task.isCancelled {
      do {
        let seen = signal.count
        try await drain()
        pause = options.retry
        await signal.wait(behind: seen, atMost: options.interval)
      } catch {
        if Task.isCancelled { return }
        logger.error("the outbox \(name) could not deliver, and tries again in \(pause): \(error)")
        try? await Task.sleep(for: pause)
        pause = min(pause * 2, options.longestRetry)
      }
    }
  }
}
