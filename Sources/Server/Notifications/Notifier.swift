// Tells one sink of what is committed: reads the changes behind its place in the store, gathers what it is to be told, sends
// it, and keeps all of that in the store before and after each step. So what was committed is told at least once, whatever
// ends this process; what was sent and not yet known to be taken comes again, under the same id.

import Detection
import Foundation
import Logging
import Metrics
import Pipeline

/// Tells a sink.
actor Notifier {
  private let sink: NotificationSink
  private let reader: any ResultReader
  private let store: any Actions & OutboxCursors
  private let signal: ChangeSignal
  private let logger: Logger
  /// Microseconds since 1970-01-01 00:00 UTC.
  private let clock: @Sendable () -> Int64
  private let metrics: NotificationMetrics
  private var state = NotificationState()
  /// How far the changes were read, and how far that is kept.
  private var cursor = ChangeCursor()
  private var keptCursor = ChangeCursor()
  private var kept = NotificationState()
  private var lastKept: Int64 = 0
  private var outcomes = NotificationState.Outcomes()

  private static let page = 500
  /// Time between looks: commits come many times a second.
  private static let pause = Duration.milliseconds(500)
  /// A look although nothing was announced: another process may write.
  private static let interval = 1.0
  /// Microseconds after which a place that has moved is kept although nothing else has changed.
  private static let patience: Int64 = 5_000_000
  private static let retry = Duration.seconds(1)

  /// - Parameter factory: of the metrics; nil takes what the program has installed.
  init(
    of sink: NotificationSink, from reader: any ResultReader, _ store: any Actions & OutboxCursors,
    wokenBy signal: ChangeSignal, clock: @escaping @Sendable () -> Int64, metrics factory: (any MetricsFactory)? = nil,
    logger: Logger
  ) {
    (self.sink, self.reader, self.store, self.signal) = (sink, reader, store, signal)
    (self.clock, self.logger) = (clock, logger)
    metrics = NotificationMetrics(sink: sink.name, factory: factory)
  }

  /// Gives a sink that is new its place: it is told of what is committed from now on, and not of everything that is stored.
  static func begin(_ sink: NotificationSink, _ reader: any ResultReader, _ store: any OutboxCursors) async throws {
    if try await store.place(of: sink.outbox) != nil { return }
    let latest = try await reader.read { try await $0.latestChange(of: nil) }
    // Where another process was quicker its place counts.
    _ = try await store.advance(
      sink.outbox, from: ChangeCursor(), to: OutboxPlace(cursor: latest, kept: try NotificationState().text()))
  }

  /// Tells until the task is cancelled.
  func run(by client: OutgoingHTTP) async {
    var isLoaded = false
    while !Task.isCancelled {
      let seen = signal.count
      do {
        if !isLoaded { try await load() }
        isLoaded = true
        try await step(by: client)
        let wait = state.next(sink.rules).map { Double($0 - clock()) / 1e6 } ?? Self.interval
        await signal.wait(behind: seen, atMost: .seconds(min(max(wait, 0), Self.interval)))
        try? await Task.sleep(for: Self.pause)
      } catch {
        if Task.isCancelled { return }
        isLoaded = false
        logger.error("notifications wait: \(error)", metadata: ["sink": "\(sink.name)"])
        try? await Task.sleep(for: Self.retry)
      }
    }
  }

  /// Goes on from what is in the store.
  func load() async throws {
    try await Self.begin(sink, reader, store)
    guard let place = try await store.place(of: sink.outbox) else { return }
    state = try NotificationState(kept: place.kept)
    (cursor, keptCursor, kept) = (place.cursor, place.cursor, state)
  }

  /// Reads what is new, makes notifications of what is due, and sends them.
  func step(by client: OutgoingHTTP) async throws {
    let mutes = try await store.mutes(at: clock()).map(\.mute)
    try await follow(mutes)
    _ = state.plan(sink.rules, mutes: mutes, at: clock(), &outcomes)
    try await keep()
    report()
    while !Task.isCancelled, let next = state.dueDelivery(at: clock()) {
      let outcome = await sink.send(next, by: client, at: clock())
      // One that this process gave up because it ends was not refused by anybody.
      if Task.isCancelled, outcome != .taken { return }
      state.note(outcome, of: next.id, sink.rules, at: clock(), &outcomes)
      say(outcome, next)
      // What was taken is kept as such although this process is about to end: it would be sent again otherwise.
      try await Task { try await self.keep() }.value
      report()
      // The others would wait as long for one that is away.
      if case .notTaken = outcome { return }
    }
  }

  private func follow(_ mutes: [Mute]) async throws {
    while !Task.isCancelled {
      let since = cursor
      let page = try await reader.read { try await $0.changes(since: since, of: nil, limit: Self.page) }
      let now = clock()
      for change in page.changes { _ = state.take(change, sink.rules, mutes: mutes, at: now, &outcomes) }
      cursor = page.next
      if !page.hasMore { return }
    }
  }

  /// Puts state and place into the store, where they are not there as they are.
  private func keep() async throws {
    let now = clock()
    guard state != kept || (cursor != keptCursor && now - lastKept >= Self.patience) else { return }
    let place = OutboxPlace(cursor: cursor, kept: try state.text())
    guard try await store.advance(sink.outbox, from: keptCursor, to: place) else {
      throw OperatingError(.store, "the place of \(sink.outbox) was moved by another process")
    }
    (keptCursor, kept, lastKept) = (cursor, state, now)
  }

  private func report() {
    metrics.add(outcomes)
    outcomes = NotificationState.Outcomes()
  }

  private func say(_ outcome: NotificationState.Outcome, _ notification: AnomalyNotification) {
    let metadata: Logger.Metadata = [
      "sink": "\(sink.name)", "to": "\(sink.place)", "notification": "\(notification.id)",
      "attempt": "\(notification.attempts + 1)",
    ]
    switch outcome {
    case .taken: logger.debug("a notification was taken", metadata: metadata)
    case .notTaken(let why, _) where notification.attempts + 1 < sink.rules.attempts:
      logger.warning("a notification was not taken, and is sent again: \(why)", metadata: metadata)
    case .notTaken(let why, _), .refused(let why):
      logger.error("a notification was given up, and is kept as a dead letter: \(why)", metadata: metadata)
    }
  }
}

/// `pulse_notifications_total` of a sink.
struct NotificationMetrics: Sendable {
  private let delivered: Counter
  private let retried: Counter
  private let givenUp: Counter
  private let muted: Counter
  private let heldBack: Counter

  init(sink: String, factory: (any MetricsFactory)?) {
    let factory = factory ?? MetricsSystem.factory
    func counter(_ outcome: String) -> Counter {
      Counter(
        label: "pulse_notifications_total", dimensions: [("sink", sink), ("outcome", outcome)], factory: factory)
    }
    (delivered, retried, givenUp) = (counter("delivered"), counter("retried"), counter("dead_letter"))
    (muted, heldBack) = (counter("muted"), counter("held_back"))
    // An alert on what stays at zero can be written.
    add(NotificationState.Outcomes())
  }

  func add(_ outcomes: NotificationState.Outcomes) {
    delivered.increment(by: outcomes.delivered)
    retried.increment(by: outcomes.retried)
    givenUp.increment(by: outcomes.givenUp)
    muted.increment(by: outcomes.muted)
    heldBack.increment(by: outcomes.heldBack)
  }
}
