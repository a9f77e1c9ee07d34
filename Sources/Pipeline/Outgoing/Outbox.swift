// What leaves the product: committed changes, read from the store behind a stored cursor and delivered to a sink, at least
// once and in order. The commits of a run only wake it; so a sink that is slow or away holds up nothing, and what a crash
// keeps from being delivered is delivered afterwards. See also `ResultFeed`, for those who need not see everything.

import Detection
public import Logging

/// Where changes are delivered: a Kafka topic, a webhook.
public protocol Sink: Sendable {
  /// Delivers changes, those of a partition in order. What was delivered before may come again behind a crash or a
  /// failure: identities (`ResultChange.id`) and numbers are the same then.
  /// - Throws: where not all of them were taken: they come again. `SinkEnded` where the sink takes no more.
  func deliver(_ changes: [ResultChange]) async throws
}

/// That a sink takes no more, and why: somebody else delivers in its place.
public struct SinkEnded: Error, Hashable, CustomStringConvertible {
  public let description: String

  public init(_ description: String) { self.description = description }
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

extension OutboxCursors {
  /// What tells an outbox of this store from one of the same name over another store: a word that is drawn when it is first
  /// asked for, and kept beside the cursor.
  public func identity(of outbox: String) async throws -> String {
    while true {
      let place = try await place(of: outbox) ?? OutboxPlace(cursor: ChangeCursor(), kept: "")
      if !place.kept.isEmpty { return place.kept }
      let word = (0..<2).map { _ in String(UInt64.random(in: .min ... .max), radix: 16) }.joined()
      // Where another process was quicker its word counts.
      let named = OutboxPlace(cursor: place.cursor, kept: word)
      if try await advance(outbox, from: place.cursor, to: named) { return word }
    }
  }
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
    /// Whether a change waits until the checkpoint of its partition has passed its event: a run that is killed may find
    /// something else behind that, with other models.
    public var waitsForCheckpoints = false

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
  public func drain() async throws -> Int { try await drain(until: nil) }

  /// - Parameter deadline: behind it no batch is begun; nil for none.
  private func drain(until deadline: ContinuousClock.Instant?) async throws -> Int {
    var delivered = 0
    var cursor = try await cursors.cursor(of: name)
    while !Task.isCancelled {
      if let deadline, ContinuousClock.now >= deadline { throw Unfinished() }
      let page = try await page(behind: cursor)
      if !page.changes.isEmpty { try await sink.deliver(page.changes) }
      if page.next != cursor, try await !move(from: cursor, to: page.next) {
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

  /// Moves the cursor although the task may be about to end: what was delivered would come again.
  private func move(from old: ChangeCursor, to new: ChangeCursor) async throws -> Bool {
    try await Task { try await cursors.advance(name, from: old, to: new) }.value
  }

  /// That the time was over before everything was delivered.
  private struct Unfinished: Error, CustomStringConvertible { let description = "the time was too short" }

  private func page(behind cursor: ChangeCursor) async throws -> ChangePage {
    let (useCase, options) = (useCase, options)
    return try await reader.read { snapshot -> ChangePage in
      let page = try await snapshot.changes(since: cursor, of: useCase, limit: options.batch)
      if !options.waitsForCheckpoints || page.changes.isEmpty { return page }
      // Of the same moment: a checkpoint and what it retracts are one transaction.
      return page.settled(since: cursor, by: try await snapshot.status(of: useCase, counting: false))
    }
  }

  /// Delivers for as long as the task is not cancelled. What fails is tried again, later each time.
  /// - Parameter signal: announces that there is something to deliver.
  /// - Returns: whether the sink takes more; once it does not, that is said in the log, and this returns at once.
  @discardableResult
  public func run(wokenBy signal: ChangeSignal) async -> Bool {
    var pause = options.retry
    while !Task.isCancelled {
      do {
        let seen = signal.count
        try await drain()
        pause = options.retry
        await signal.wait(behind: seen, atMost: options.interval)
      } catch let ended as SinkEnded {
        say(ended)
        return false
      } catch {
        if Task.isCancelled { return true }
        logger.error("the outbox \(name) could not deliver, and tries again in \(pause): \(error)")
        try? await Task.sleep(for: pause)
        pause = min(pause * 2, options.longestRetry)
      }
    }
    return true
  }

  /// Delivers what is left, behind the end of a run. What fails is tried again.
  /// - Parameter limit: behind it nothing is begun; what is under way is waited for. What is left then is said in the log,
  ///   and delivered by the next run.
  public func finish(within limit: Duration) async {
    let deadline = ContinuousClock.now + limit
    var pause = options.retry
    while true {
      do {
        _ = try await drain(until: deadline)
        return
      } catch let ended as SinkEnded {
        return say(ended)
      } catch {
        if error is Unfinished || Task.isCancelled || ContinuousClock.now + pause >= deadline {
          logger.error("the outbox \(name) has not delivered everything, and goes on with the next run: \(error)")
          return
        }
        try? await Task.sleep(for: pause)
        pause = min(pause * 2, options.longestRetry)
      }
    }
  }

  private func say(_ ended: SinkEnded) { logger.error("the outbox \(name) delivers no more: \(ended)") }
}
