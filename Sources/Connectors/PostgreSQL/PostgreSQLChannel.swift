// Announcements of commits. Whoever commits changes tells the server so, in the same transaction, and whoever follows changes
// is woken by it; nothing depends on that, since followers look at the store by themselves now and then.

import Detection
import Pipeline
import Synchronization

/// The channel of a database on which commits are announced.
enum PostgreSQLChannel {
  private static let name = "pulse_changes"

  /// Announces what the transaction commits, once it does. Told once a transaction, however often it is said.
  static func announce(on connection: PostgreSQLConnection) throws { try connection.script("NOTIFY \(name)") }

  static func listen(on connection: PostgreSQLConnection) throws { try connection.script("LISTEN \(name)") }
}

/// Hears of commits of any process and passes them on to those of this one who follow changes.
final class PostgreSQLListener: CommitListener {
  private let address: PostgreSQLAddress
  private let signal: ChangeSignal
  private let isListening = Mutex(false)

  /// How long a wait lasts before it is looked whether it is still wanted.
  private static let interval: Int32 = 250

  init(_ address: PostgreSQLAddress, waking signal: ChangeSignal) {
    self.address = address
    self.signal = signal
  }

  /// Whether announcements are heard now.
  var hears: Bool { isListening.withLock { $0 } }

  /// Listens for as long as the task is not cancelled. While the server is away nothing is heard, and it is tried again.
  func run() async {
    // A session opens another connection by itself where one was lost, so each begins with that.
    let session = PostgreSQLSession(address, role: .listening) { [self] connection in
      try PostgreSQLChannel.listen(on: connection)
      isListening.withLock { $0 = true }
      // What was committed before it was heard of.
      signal.announce()
    }
    var backoff = Backoff()
    while !Task.isCancelled {
      do {
        let isTold = try await session.run { try $0.waitForNotice(milliseconds: Self.interval) }
        if isTold { signal.announce() }
        backoff = Backoff()
      } catch {
        isListening.withLock { $0 = false }
        await session.close()
        try? await Task.sleep(for: backoff.next())
      }
    }
    await session.close()
  }
}
