// What a run does while its database is away, full, read-only or in somebody else's hands: it waits, goes on, and what it has
// stored in the end is what it would have stored anyway.

import Detection
import Foundation
import Pipeline
import Synchronization
import TestKit
import Testing

@testable import Connectors

@Suite(
  "Faults of PostgreSQL", .serialized, .timeLimit(.minutes(15)),
  .enabled(if: PostgreSQLServer.isInstalled, Comment(rawValue: PostgreSQLServer.missing)))
struct PostgreSQLFaultTests {
  private static let partition = PartitionID(source: "s", number: 0)

  private static func results(_ claim: Claim, _ offsets: Range<Int64>) -> Results {
    Results(
      claim: claim,
      anomalies: offsets.map { offset in
        Anomaly(
          useCase: claim.useCase, partition: claim.partition,
          position: Position(segment: 0, offset: offset, row: offset),
          detector: "d", eventTime: offset, key: "k\0\(offset)", score: 1, severity: .high, reason: "r",
          explanation: Explanation(), event: "{}")
      })
  }

  private static func offsets(_ reader: PostgreSQLReader) async throws -> [Int64] {
    var all = ResultFilter()
    all.limit = 0
    let filter = all
    return try await reader.read { try await $0.anomalies(filter) }.map(\.position.offset).sorted()
  }

  /// Begins to commit while something is wrong, and puts it right a little later.
  private static func commit(
    _ store: PostgreSQLStore, _ claim: Claim, _ offsets: Range<Int64>, while wrong: () async throws -> Void,
    until right: () async throws -> Void
  ) async throws {
    try await wrong()
    let committing = Task { try await store.commit([Self.results(claim, offsets)]) }
    try await Task.sleep(for: .milliseconds(400))
    try await right()
    #expect(try await committing.value.isEmpty)
  }

  @Test("a commit waits for a server that was stopped in order, or has crashed")
  func restarts() async throws {
    let server = try await PostgreSQLServer.off { try PostgreSQLServer() }
    let fixture = try await PostgreSQLFixture(on: server)
    let (store, reader) = (try await fixture.store(), try await fixture.reader())
    let claim = try await store.claim(useCase: "u", partition: Self.partition).claim
    _ = try await store.commit([Self.results(claim, 0..<10)])
    var next: Int64 = 10
    for how in [PostgreSQLServer.Stop.fast, .immediate] {
      try await Self.commit(store, claim, next..<next + 30) {
        try await PostgreSQLServer.off { try server.stop(how) }
        // Who reads is told at once.
        await #expect(throws: OperatingError.self) { try await Self.offsets(reader) }
      } until: {
        try await PostgreSQLServer.off { try server.start() }
      }
      next += 30
      #expect(try await Self.offsets(reader) == Array(0..<next))
    }
    withExtendedLifetime((fixture, server)) {}
  }

  @Test("a commit waits while the server takes no writes, has no room, or was told to cancel")
  func refusals() async throws {
    let server = try await PostgreSQLServer.off { try PostgreSQLServer() }
    let fixture = try await PostgreSQLFixture(on: server)
    let (store, reader) = (try await fixture.store(), try await fixture.reader())
    let claim = try await store.claim(useCase: "u", partition: Self.partition).claim
    _ = try await store.commit([Self.results(claim, 0..<10)])
    var next: Int64 = 10
    func trouble(_ begin: String, _ end: @escaping @Sendable () async throws -> Void) async throws {
      try await Self.commit(store, claim, next..<next + 30) {
        try await fixture.database.execute(begin)
      } until: {
        try await end()
      }
      next += 30
      #expect(try await Self.offsets(reader) == Array(0..<next), "\(begin)")
    }
    let readOnly = "ALTER DATABASE \(fixture.database.name) SET default_transaction_read_only"
    // Connections that were made before keep what they have: these end.
    let ended =
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname IS NOT NULL"
    try await trouble("\(readOnly) = on; \(ended)") {
      // From another one, of which that was not said.
      try await PostgreSQLServer.off { _ = try server.execute("\(readOnly) = off") }
    }
    // The codes of a full disk and of a statement that took too long.
    for code in ["53100", "57014", "40001"] {
      try await trouble(
        """
        CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS
          $$ BEGIN RAISE EXCEPTION 'trouble' USING ERRCODE = '\(code)'; END $$;
        CREATE TRIGGER trouble BEFORE INSERT ON pulse.anomalies EXECUTE FUNCTION trouble()
        """
      ) { _ = try await fixture.database.execute("DROP FUNCTION trouble() CASCADE") }
    }
    withExtendedLifetime((fixture, server)) {}
  }

  @Test("what cannot pass by itself ends the run, with what is wrong")
  func hopeless() async throws {
    let fixture = try await PostgreSQLFixture()
    let store = try await fixture.store()
    let claim = try await store.claim(useCase: "u", partition: Self.partition).claim
    try await fixture.database.execute("DROP TABLE pulse.anomalies")
    await #expect(throws: OperatingError.self) { try await store.commit([Self.results(claim, 0..<1)]) }
    let gone = try #require(PostgreSQLAddress(fixture.database.server.address("is_not_there")))
    let directory = try TestFolder()
    await #expect {
      try await PostgreSQLServer.off {
        try PostgreSQLStore(at: gone, in: DataDirectory(path: directory.path), logger: PostgreSQLFixture.quiet)
      }
    } throws: { "\($0)".contains("does not exist") }
    withExtendedLifetime(fixture) {}
  }

  @Test("of two processes that write, only the one that has claimed the partition last does")
  func fencing() async throws {
    let fixture = try await PostgreSQLFixture()
    let other = try TestFolder()
    let stores = [
      try await fixture.store(),
      try await PostgreSQLServer.off { [address = fixture.address] in
        try PostgreSQLStore(at: address, in: DataDirectory(path: other.path), logger: PostgreSQLFixture.quiet)
      },
    ]
    // Both write as much as they can and claim the partition from each other; a result counts where it was granted.
    let granted = GrantedOffsets()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (index, store) in stores.enumerated() {
        group.addTask {
          for round: Int64 in 0..<12 {
            let claim = try await store.claim(useCase: "u", partition: Self.partition).claim
            for step: Int64 in 0..<4 {
              let offset = (Int64(index) * 100 + round) * 10 + step
              let refused = try await store.commit([Self.results(claim, offset..<offset + 1)])
              if refused.isEmpty { granted.offsets.withLock { _ = $0.insert(offset) } } else { break }
            }
          }
        }
      }
      try await group.waitForAll()
    }
    let reader = try await fixture.reader()
    #expect(try await Self.offsets(reader) == granted.offsets.withLock { $0.sorted() })
    // Whoever is behind sees each change once, and none is missing.
    let page = try await reader.read { try await $0.changes(since: ChangeCursor(), of: nil, limit: 1_000) }
    #expect(page.changes.map(\.number) == Array(1...Int64(granted.offsets.withLock { $0.count })))
    withExtendedLifetime((fixture, other)) {}
  }

  @Test("who is suspended in the midst of a transaction loses it, and its successor goes on")
  func suspended() async throws {
    let fixture = try await PostgreSQLFixture()
    let store = try await fixture.store()
    let claim = try await store.claim(useCase: "u", partition: Self.partition).claim
    let address = fixture.address
    // As a process that was stopped after it had locked its claim.
    let stopped = PostgreSQLSession(address, role: .writing)
    try await stopped.run { connection in
      try connection.script("BEGIN")
      _ = try PostgreSQLClaim.hold([claim], on: connection)
    }
    let start = ContinuousClock.now
    let next = try await store.claim(useCase: "u", partition: Self.partition).claim
    #expect(ContinuousClock.now - start < .seconds(40))
    #expect(try await store.commit([Self.results(claim, 0..<1), Self.results(next, 1..<2)]) == [claim])
    // When it wakes it writes nothing.
    await #expect(throws: PostgreSQLFailure.self) { try await stopped.run { try $0.script("COMMIT") } }
    #expect(try await Self.offsets(fixture.reader()) == [1])
    withExtendedLifetime(fixture) {}
  }

  @Test("the rights that the documentation names are enough")
  func rights() async throws {
    let fixture = try await PostgreSQLFixture()
    _ = try await fixture.store()
    let (name, database) = (fixture.database.name, fixture.database)
    try await database.execute(
      """
      REVOKE ALL ON DATABASE \(name) FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC;
      CREATE ROLE run_\(name) LOGIN; GRANT CONNECT, TEMPORARY ON DATABASE \(name) TO run_\(name);
      GRANT USAGE ON SCHEMA pulse TO run_\(name);
      GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA pulse TO run_\(name);
      CREATE ROLE read_\(name) LOGIN; GRANT CONNECT, TEMPORARY ON DATABASE \(name) TO read_\(name);
      GRANT USAGE ON SCHEMA pulse TO read_\(name); GRANT SELECT ON ALL TABLES IN SCHEMA pulse TO read_\(name)
      """)
    func address(_ role: String) throws -> PostgreSQLAddress {
      try #require(PostgreSQLAddress(database.address.replacing("pulse@", with: "\(role)_\(name)@")))
    }
    let (running, reading) = (try address("run"), try address("read"))
    let folder = try TestFolder()
    let directory = DataDirectory(path: folder.path)
    let store = try await PostgreSQLServer.off {
      try PostgreSQLStore(at: running, in: directory, logger: PostgreSQLFixture.quiet)
    }
    let claim = try await store.claim(useCase: "u", partition: Self.partition).claim
    #expect(try await store.commit([Self.results(claim, 0..<100)]).isEmpty)
    let reader = try await PostgreSQLServer.off { try PostgreSQLReader(reading, in: directory) }
    #expect(try await Self.offsets(reader).count == 100)
    #expect(try await reader.read { try await $0.windows(ResultFilter(), after: nil).rows }.isEmpty)
    let readOnly = try await PostgreSQLServer.off { try PostgreSQLActions(at: reading) }
    await #expect { _ = try await readOnly.append(AuditLine(time: 1, who: "w", action: "a", subject: "s")) } throws: {
      "\($0)".contains("may not")
    }
    let actions = try await PostgreSQLServer.off { try PostgreSQLActions(at: running) }
    #expect(try await actions.append(AuditLine(time: 1, who: "w", action: "a", subject: "s")) == 1)
    withExtendedLifetime((fixture, folder)) {}
  }

  @Test("processes that begin together make the tables once")
  func migrations() async throws {
    let fixture = try await PostgreSQLFixture()
    let folders = try (0..<6).map { _ in try TestFolder() }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for folder in folders {
        group.addTask { [address = fixture.address] in
          _ = try await PostgreSQLServer.off {
            try PostgreSQLStore(at: address, in: DataDirectory(path: folder.path), logger: PostgreSQLFixture.quiet)
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(try await fixture.database.execute("SELECT count(*) FROM pulse.pulse_schema") == "1\n")
    // Those of a later version are refused.
    try await fixture.database.execute("INSERT INTO pulse.pulse_schema (version) VALUES (99)")
    await #expect { try await fixture.store() } throws: { "\($0)".contains("newer version") }
    await #expect { try await fixture.reader() } throws: { "\($0)".contains("newer version") }
    withExtendedLifetime(fixture) {}
  }

  @Test("commits of another process are heard of, also behind a lost connection")
  func announcements() async throws {
    let fixture = try await PostgreSQLFixture()
    let store = try await fixture.store()
    let claim = try await store.claim(useCase: "u", partition: Self.partition).claim
    let signal = ChangeSignal()
    let listener = PostgreSQLListener(fixture.address, waking: signal)
    let listening = Task { await listener.run() }
    func expectToHear(_ offset: Int64) async throws {
      for _ in 0..<200 where !listener.hears { try await Task.sleep(for: .milliseconds(50)) }
      // What it says of itself when it begins.
      try await Task.sleep(for: .milliseconds(300))
      let seen = signal.count
      _ = try await store.commit([Self.results(claim, offset..<offset + 1)])
      for _ in 0..<100 where signal.count == seen { try await Task.sleep(for: .milliseconds(50)) }
      #expect(signal.count > seen)
    }
    try await expectToHear(1)
    let before = signal.count
    try await fixture.database.execute(
      """
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()
        AND datname = current_database() AND query LIKE 'LISTEN%'
      """)
    // The next connection says so.
    for _ in 0..<200 where signal.count == before { try await Task.sleep(for: .milliseconds(50)) }
    #expect(signal.count > before)
    try await expectToHear(2)
    listening.cancel()
    await listening.value
    withExtendedLifetime(fixture) {}
  }

  @Test("a run whose connections are cut, and whose server crashes, stores what an undisturbed one does")
  func disturbed() async throws {
    let server = try await PostgreSQLServer.off { try PostgreSQLServer() }
    let fixture = try await PostgreSQLFixture(on: server)
    let (plan, version) = try RuntimeUseCase.plan()
    let partitions = [RuntimeUseCase.records(4_000, seed: 41), RuntimeUseCase.records(3_000, seed: 42)]
    let history = MemoryHistory()
    let memory = MemoryStore(history)
    func run(_ store: any Store, _ encoder: any HistoryEncoder) async throws {
      try await Pipeline(
        plan: plan, version: version, source: MemorySource(partitions: partitions, batchSizes: [16]), store: store,
        encoder: encoder, options: Pipeline.Options(workers: 2, checkpointInterval: .milliseconds(10)),
        logger: PostgreSQLFixture.quiet
      ).run()
    }
    try await run(memory, history)
    let store = try await fixture.store()
    let isOver = Mutex(false)
    let cuts = Mutex(0)
    let disturbing = Task {
      var round = 0
      while !isOver.withLock({ $0 }) {
        round += 1
        try await PostgreSQLServer.off { [round] in
          if round % 8 == 0 {
            try server.stop(round % 16 == 0 ? .fast : .immediate)
            try server.start()
          } else {
            let cut = try server.execute(
              """
              SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
              WHERE datname = '\(fixture.database.name)' AND pid <> pg_backend_pid()
              """)
            cuts.withLock { $0 += Int(cut.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0 }
          }
        }
        try await Task.sleep(for: .milliseconds(150))
      }
    }
    try await run(store, ArrowHistory(in: fixture.directory, useCase: "runtime", codec: .none))
    isOver.withLock { $0 = true }
    try await disturbing.value
    #expect(cuts.withLock { $0 } > 3)
    let reader = try await fixture.reader()
    var all = ResultFilter()
    all.limit = 0
    let filter = all
    func compare<Value: Equatable & Sendable>(
      _ what: String, _ read: @Sendable (any ResultSnapshot) async throws -> Value
    ) async throws {
      #expect(try await reader.read(read) == memory.read(read), "\(what)")
    }
    try await compare("anomalies") { try await $0.anomalies(filter) }
    try await compare("dead letters") { try await $0.deadLetters(filter) }
    try await compare("totals") { try await $0.status(of: nil).map(\.totals) }
    try await compare("entities") {
      try await $0.topEntities(of: "runtime", window: "minutes", by: "p90", limit: 5)
    }
    withExtendedLifetime((fixture, server)) {}
  }
}

/// What several writers were granted.
private final class GrantedOffsets: Sendable {
  let offsets = Mutex<Set<Int64>>([])
}
