// Follows the stores and tells those who watch: anomalies as they are committed, retractions, that there are new figures, how
// the use case stands. One task looks at the stores; any number of clients are told by it, and one that does not keep up
// loses its connection, since it can go on from the last event that it saw.

import Detection
import Foundation
import HTTPTypes
import Logging
import Operations
import Pipeline
import ServiceLifecycle
import Synchronization

/// Brings figures up to date, and tells what is new.
final class LiveHub: Service {
  private struct State: Sendable {
    var observers: [String: StatusObserver] = [:]
    /// Behind what clients were told last, by use case.
    var cursors: [String: ChangeCursor] = [:]
    var clients: [Int: LiveClient] = [:]
    var nextClient = 0
    /// Whether the server stops: nobody is told of anything any more.
    var hasEnded = false
  }

  private let catalog: ServedCatalog
  private let notifications: [NotificationService]
  private let view: (any RunView)?
  private let signal: ChangeSignal
  private let clock: @Sendable () -> Int64
  private let logger: Logger
  private let state = Mutex(State())

  /// Clients at most.
  static let mostClients = 1_000
  /// Time between looks where nothing is announced: another process may write.
  private static let interval = Duration.seconds(1)
  /// Time between looks at least: commits come many times a second, figures need not.
  private static let pause = Duration.milliseconds(250)
  /// Looks between those for new use cases.
  private static let looksBetween = 8

  /// - Parameter signal: announces commits of this process.
  init(
    _ catalog: ServedCatalog, run view: (any RunView)?, notifications: [NotificationService] = [],
    signal: ChangeSignal, clock: @escaping @Sendable () -> Int64, logger: Logger
  ) {
    self.catalog = catalog
    self.notifications = notifications
    self.view = view
    self.signal = signal
    self.clock = clock
    self.logger = logger
  }

  func run() async throws {
    await cancelWhenGracefulShutdown {
      var looks = 0
      while !Task.isCancelled {
        let seen = self.signal.count
        if looks % Self.looksBetween == 0 || self.isIncomplete { await self.catalog.refresh() }
        looks += 1
        for useCase in self.catalog.all {
          await self.look(at: useCase)
          // One at a time: whoever waits for figures waits no longer than for that.
          _ = try? await blocking { useCase.versions.lookAtNext(of: useCase.plan.detectors.map(\.name)) }
        }
        await self.signal.wait(behind: seen, atMost: Self.interval)
        try? await Task.sleep(for: Self.pause)
      }
    }
    end()
  }

  /// Whether what is to be served is not known yet: a run in a new directory has only begun.
  private var isIncomplete: Bool {
    let names = catalog.all.map(\.name)
    return names.isEmpty || view.map { !names.contains($0.useCase) } ?? false
  }

  /// Ends all connections, and takes no more.
  func end() {
    let clients = state.withLock { state in
      state.hasEnded = true
      return Array(state.clients.values)
    }
    for client in clients { client.finish() }
  }

  private func look(at useCase: ServedUseCase) async {
    var isLost = false
    do {
      let changes = try await useCase.figures.follow(useCase.store.reader)
      // Until it is told: what fails before then is to be read anew.
      isLost = !changes.anomalies.isEmpty
      try await useCase.refreshFeedback()
      tell(LiveEvent(kind: "status", data: try await status(of: useCase).json), of: useCase.name)
      if changes.isReset { tell(LiveEvent(kind: "reset", data: "{}"), of: useCase.name) }
      var cursor = state.withLock { $0.cursors[useCase.name] } ?? changes.cursor ?? ChangeCursor()
      let view = AnomalyView(useCase: useCase, feedback: try await useCase.feedback())
      for change in changes.anomalies {
        cursor.pass(change)
        if let event = Self.event(change, view, cursor) { tell(event, of: useCase.name) }
      }
      state.withLock { $0.cursors[useCase.name] = changes.cursor }
      isLost = false
      guard changes.hasChanged else { return }
      let until = useCase.figures.dataUntil.map(JSONText.time) ?? "null"
      tell(
        LiveEvent(kind: "figures", data: JSONText.object([("data_until", until)]), id: changes.cursor?.text),
        of: useCase.name)
    } catch is CancellationError {
      return
    } catch {
      if isLost { tell(LiveEvent(kind: "reset", data: "{}"), of: useCase.name) }
      logger.error("the use case \(useCase.name) could not be looked at: \(error)")
    }
  }

  private static func event(_ change: ResultChange, _ view: AnomalyView, _ cursor: ChangeCursor) -> LiveEvent? {
    switch change.content {
    case .anomaly(let anomaly): LiveEvent(kind: "anomaly", data: view.json(anomaly), id: cursor.text)
    case .retraction(.anomaly):
      LiveEvent(
        kind: "retraction", data: JSONText.object([("id", JSONText.string(change.id))]), id: cursor.text)
    case .window, .deadLetter, .reset, .retraction: nil
    }
  }

  // MARK: Clients

  /// Begins to tell somebody about a use case.
  /// - Parameter last: the id of the last event that they have seen.
  /// - Returns: what they are sent, until they let go of it.
  /// - Throws: `Problem` where too many watch or the server stops; `CodingError` where the id is none.
  func subscribe(to useCase: ServedUseCase, behind last: String?) async throws -> AsyncStream<[UInt8]> {
    let cursor = try last.map { try ChangeCursor($0) }
    let number = try state.withLock { state in
      guard !state.hasEnded else { throw CancellationError() }
      guard state.clients.count < Self.mostClients else {
        throw Problem(
          .tooManyRequests, "Too many watch", "\(Self.mostClients) at a time.", headers: [.retryAfter: "10"])
      }
      state.nextClient += 1
      return state.nextClient
    }
    let (client, chunks) = LiveClient.make(useCase: useCase.name) { [weak self] in
      _ = self?.state.withLock { $0.clients.removeValue(forKey: number) }
    }
    let hasEnded = state.withLock { state in
      state.clients[number] = client
      return state.hasEnded
    }
    if hasEnded { client.finish() }
    client.offer(LiveEvent(kind: "status", data: try await status(of: useCase).json))
    if let cursor { try await catchUp(client, useCase, behind: cursor) }
    return chunks
  }

  /// Tells what was committed while somebody was away. Some of it may come again.
  private func catchUp(_ client: LiveClient, _ useCase: ServedUseCase, behind cursor: ChangeCursor) async throws {
    let page = try await useCase.store.reader.read {
      try await $0.changes(since: cursor, of: useCase.name, limit: LiveClient.mostWaiting / 2)
    }
    var passed = cursor
    let view = AnomalyView(useCase: useCase, feedback: try await useCase.feedback())
    for change in page.changes where change.isOfAnomaly {
      passed.pass(change)
      if let event = Self.event(change, view, passed) { client.offer(event) }
    }
    // Too much to be told one by one: it is to be read anew.
    let isLost = page.hasMore || page.changes.contains { if case .reset = $0.content { true } else { false } }
    if isLost { client.offer(LiveEvent(kind: "reset", data: "{}")) }
    if !page.changes.isEmpty {
      let until = useCase.figures.dataUntil.map(JSONText.time) ?? "null"
      client.offer(LiveEvent(kind: "figures", data: JSONText.object([("data_until", until)]), id: page.next.text))
    }
  }

  /// How many watch.
  var watching: Int { state.withLock { $0.clients.count } }

  /// Tells those who watch a use case.
  func tell(_ event: LiveEvent, of useCase: String) {
    let clients = state.withLock { $0.clients.values.filter { $0.useCase == useCase } }
    for client in clients { client.offer(event) }
  }

  // MARK: Status

  /// Names of the sources that a use case was read from.
  func sources(of useCase: String) -> Set<String> { state.withLock { $0.observers[useCase]?.sources ?? [] } }

  /// How a use case stands.
  func status(of useCase: ServedUseCase) async throws -> UseCaseStatus {
    let observed = try await StatusObserver.Look(useCase, run: view)
    let now = clock()
    let telling = await notifications.first { $0.tells(of: useCase.store) }?.component(of: useCase.name, at: now)
    return state.withLock { state in
      var observer = state.observers[useCase.name] ?? StatusObserver()
      var status = observer.status(observed, of: useCase, at: now)
      if let telling { status.components.append(observer.settled(telling, now)) }
      state.observers[useCase.name] = observer
      return status
    }
  }
}
