// What event time makes of whole pipelines: gaps and broken clocks come out right with the defaults, events that wait are
// missing nowhere once they are believed, the end of an input can be put on record, and no crash changes any of it.

import Configuration
import Detection
import Logging
import TestKit
import Testing

@testable import Pipeline

@Suite("Event time", .timeLimit(.minutes(15)))
struct EventTimeTests {
  private static let friday = 1_772_180_000
  private static let day = 86_400

  private static func pipeline(_ event: String = "") -> String {
    """
    name: times
    event:
      time: at
      key: user
      \(event)
      fields:
        at: {type: timestamp, required: true, format: seconds}
        user: {type: string, required: true}
        host: {type: string}
        failed: {type: bool, default: false}
        note: {type: string}
    classify:
      into: kind
      cases: [{failure: failed}]
      else: success
    rules:
      - {name: burst, when: failed, per: user, within: 1m, having: count(*) >= 10}
      - {name: any, when: failed AND user = 'u1'}
    windows:
      - {name: minutes, type: tumbling, size: 1m, by: [user], aggregates: {n: count(*)}}
    """
  }

  private static func record(
    _ time: Int, user: String = "u1", failed: Bool = false, host: String = "h", note: String = ""
  ) -> [UInt8] {
    let note = note.isEmpty ? "null" : "\"\(note)\""
    return Array(
      #"{"at": \#(time), "user": "\#(user)", "failed": \#(failed), "host": "\#(host)", "note": \#(note)}"#.utf8)
  }

  /// Runs until it succeeds.
  private static func run(
    _ records: [[UInt8]], into store: MemoryStore = MemoryStore(MemoryHistory()), event: String = "",
    sizes: [Int] = [4096], workers: Int = 2, closing: Bool = false, failing: Set<Int> = [],
    changing edit: (String) -> String = { $0 }
  ) async throws -> MemoryStore.Contents {
    let text = edit(pipeline(event))
    let check = UseCaseChecker.check(text: text)
    let plan = try #require(check.plan, "\(check.rendered)")
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    store.fail(at: failing)
    for attempt in 0...failing.count {
      do {
        try await Pipeline(
          plan: plan, version: ConfigurationVersion(plan.useCase, text: text),
          source: MemorySource(records, batchSizes: sizes), store: store, encoder: store.history,
          options: Pipeline.Options(workers: workers, checkpointInterval: .milliseconds(1), closesInput: closing),
          logger: logger
        ).run()
        break
      } catch {
        guard attempt < failing.count else { throw error }
      }
    }
    return store.contents
  }

  private static func bursts(_ contents: MemoryStore.Contents) -> Int {
    contents.anomalies.keys.filter { $0.hasSuffix(".burst") }.count
  }

  private static func windowed(_ contents: MemoryStore.Contents) -> Int {
    contents.windows.values.reduce(0) { sum, text in
      let count = text.split(separator: "events: ").dropFirst().first.flatMap { Int($0.prefix { $0.isNumber }) }
      return sum + (count ?? 0)
    }
  }

  // MARK: Gaps and broken clocks

  @Test("forty failures after a weekend are found", arguments: [[1], [7], [4096]])
  func gap(sizes: [Int]) async throws {
    var records = (0..<200).map { Self.record(Self.friday + $0) }
    records += (0..<40).map { Self.record(Self.friday + 3 * Self.day + $0, user: "u2", failed: true) }
    let contents = try await Self.run(records, sizes: sizes)
    #expect(Self.bursts(contents) == 1)
    #expect(contents.anomalies.keys.contains("times.memory.0.0-209.burst"), "at the tenth")
    #expect(Self.windowed(contents) == 240)
    #expect(contents.totals.waitingEvents == 0 && contents.totals.aheadEvents == 0)
    #expect(contents.totals.lateEvents.isEmpty && contents.totals.ruleSkips.isEmpty)
  }

  @Test("one clock two hours ahead makes nothing late, and silences no entity", arguments: [[1], [7], [4096]])
  func liar(sizes: [Int]) async throws {
    var records = (0..<750).map { Self.record(Self.friday + $0, failed: (700..<720).contains($0)) }
    records[150] = Self.record(Self.friday + 150 + 7200, failed: true)
    let contents = try await Self.run(records, sizes: sizes)
    #expect(contents.totals.lateEvents.isEmpty)
    #expect(contents.totals.aheadEvents == 1 && contents.totals.waitingEvents == 0)
    #expect(contents.totals.ruleSkips == ["burst/ahead": 1])
    #expect(contents.anomalies.keys.contains("times.memory.0.0-709.burst"))
    // What it says by itself is said at once, and it is in the window that it names.
    #expect(contents.anomalies.count == 2 + 20 - 0 && Self.windowed(contents) == 750)
  }

  @Test("hundreds of days ahead open no windows, and the stream goes on")
  func farAhead() async throws {
    var random = SeededRandom(seed: 4)
    let records = (0..<20_000).map { row in
      let isWrong = Int.random(in: 0..<10, using: &random) == 0
      return Self.record(
        Self.friday + row + (isWrong ? Int.random(in: 2 * Self.day...3000 * Self.day, using: &random) : 0),
        user: isWrong ? "wrong\(row)" : "right")
    }
    let contents = try await Self.run(records)
    #expect(contents.totals.lateEvents.isEmpty)
    #expect(contents.windows.keys.filter { $0.contains("wrong") }.isEmpty)
    #expect(contents.totals.aheadEvents > 1900)
  }

  @Test("producers with clocks of their own, an hour apart")
  func clocks() async throws {
    let records = (0..<600).map { row in
      let host = row % 2
      return Self.record(
        Self.friday + row + 3600 * host, user: "u\(host)", failed: (400..<440).contains(row), host: "h\(host)")
    }
    let contents = try await Self.run(records, event: "clock_of: host")
    #expect(contents.totals.lateEvents.isEmpty && contents.totals.aheadEvents == 0)
    #expect(Self.bursts(contents) == 2)
    // With one clock the slow one is complete, the fast one is in its windows, and what its rules miss is told.
    let one = try await Self.run(records)
    #expect(one.totals.lateEvents.isEmpty && Self.windowed(one) == 600)
    #expect(one.totals.aheadEvents + one.totals.waitingEvents > 290 && Self.bursts(one) == 1)
  }

  @Test("`clock_idle` alone is refused")
  func clockIdle() {
    let check = UseCaseChecker.check(text: Self.pipeline("clock_idle: 1m"))
    #expect(check.plan == nil && check.rendered.contains("`clock_of`"))
  }

  // MARK: The end of an input

  @Test("three events show windows, and close them if told so", arguments: [false, true])
  func few(closing: Bool) async throws {
    let records = (0..<3).map { Self.record(Self.friday + 60 * $0, failed: true) }
    let contents = try await Self.run(records, closing: closing)
    #expect(contents.windows.count == 3 && Self.windowed(contents) == 3)
    #expect(contents.windows.values.allSatisfy { $0.contains("closed: \(closing)") })
    #expect(contents.anomalies.count == 3)
  }

  @Test("what waits at the end is told, and decided by closing")
  func waiting() async throws {
    var records = (0..<200).map { Self.record(Self.friday + $0) }
    records += (0..<5).map { Self.record(Self.friday + 3 * Self.day + $0) }
    let store = MemoryStore(MemoryHistory())
    var contents = try await Self.run(records, into: store)
    #expect(contents.totals.waitingEvents == 5 && Self.windowed(contents) == 200)
    // The same command with --close.
    contents = try await Self.run(records, into: store, closing: true)
    #expect(contents.totals.waitingEvents == 0 && Self.windowed(contents) == 205)
    // What a handful tells is closed; what five tell may still be wrong.
    #expect(contents.windows.filter { $0.value.contains("closed: false") }.count == 1)
    #expect(store.log(of: MemorySource.partition()).filter { $0.kind == .close }.map(\.from.offset) == [205])
    // And again: it is on record once.
    _ = try await Self.run(records, into: store, closing: true)
    #expect(store.log(of: MemorySource.partition()).filter { $0.kind == .close }.count == 1)
    let whole = try await Self.run(records, closing: true)
    #expect(whole == contents)
  }

  @Test("an input that goes on behind its close gives the same in a replay of the log", arguments: [[1], [3], [4096]])
  func replay(sizes: [Int]) async throws {
    let records = (0..<300).map { Self.record(Self.friday + $0) }
    let store = MemoryStore(MemoryHistory())
    _ = try await Self.run(Array(records[..<90]), into: store, closing: true)
    let contents = try await Self.run(records, into: store)
    // The window that was closed early takes no more: it held fifty of its events.
    #expect(contents.totals.lateEvents == ["minutes": 10])
    let again = MemoryStore(MemoryHistory())
    again.record(store.log(of: MemorySource.partition()))
    let replayed = try await Self.run(records, into: again, sizes: sizes)
    #expect(replayed == contents)
  }

  @Test("closing moves nothing that retention goes by")
  func closingAndRetention() async throws {
    let records = (0..<200).map { Self.record(Self.friday + $0) } + [Self.record(Self.friday + 7200)]
    let contents = try await Self.run(records, closing: true) {
      $0.replacing("size: 1m, by", with: "size: 30d, by") + "\nhistory: {retain: 7d}"
    }
    #expect(contents.history.values.reduce(0) { $0 + $1.count } == 201)
    #expect(contents.windows.values.allSatisfy { $0.contains("closed: true") })
  }

  @Test("a pair of events behind a pause counts with those before it when the input is closed")
  func pausedBurst() async throws {
    var records = (0..<100).map { Self.record(Self.friday + $0, user: "u2") }
    records += (0..<8).map { Self.record(Self.friday + 100 + $0, failed: true) }
    records += (0..<2).map { Self.record(Self.friday + 230 + $0, failed: true) }
    let contents = try await Self.run(records, closing: true) { $0.replacing("within: 1m", with: "within: 5m") }
    #expect(Self.bursts(contents) == 1)
  }

  @Test("a restart behind a clock that was set back drops no window")
  func restartBehindStepBack() async throws {
    let records =
      (0..<200).map { Self.record(Self.friday + $0) } + (0..<200).map { Self.record(Self.friday - 40 * Self.day + $0) }
    let whole = try await Self.run(records)
    let store = MemoryStore(MemoryHistory())
    _ = try await Self.run(Array(records[..<350]), into: store)
    #expect(try await Self.run(records, into: store) == whole)
  }

  // MARK: Bounds

  @Test("whether too many bytes wait does not depend on batches")
  func waitingBytes() async throws {
    // Each host in turn has been away for two hours and sends eight large events: seven wait until the eighth.
    var records = (0..<400).map { Self.record(Self.friday + $0, host: "h\($0 % 20)") }
    let note = String(repeating: "x", count: Limits.maxWaitingEventBytes / 120)
    for host in 0..<20 {
      for index in 0..<8 {
        records.append(
          Self.record(Self.friday + 7600 + index, user: "u\(host)", failed: true, host: "h\(host)", note: note))
      }
    }
    let whole = try await Self.run(records, event: "clock_of: host")
    #expect(whole.totals.undecidedEvents == 0 && whole.totals.aheadEvents == 0 && whole.totals.waitingEvents == 0)
    for sizes in [[1], [50]] { #expect(try await Self.run(records, event: "clock_of: host", sizes: sizes) == whole) }
  }

  @Test("what is given up because too many bytes wait is told as such", arguments: [[1], [4096]])
  func surplus(sizes: [Int]) async throws {
    var records = (0..<400).map { Self.record(Self.friday + $0, host: "h\($0 % 20)") }
    let note = String(repeating: "x", count: Limits.maxWaitingEventBytes / 60)
    for host in 0..<20 {
      for index in 0..<5 {
        records.append(Self.record(Self.friday + 7600 + index, failed: true, host: "h\(host)", note: note))
      }
    }
    let contents = try await Self.run(records, event: "clock_of: host", sizes: sizes)
    #expect(contents.totals.waitingEvents == 59 && contents.totals.undecidedEvents == 41)
    #expect(contents.totals.ruleSkips == ["burst/undecided": 41] && contents.totals.aheadEvents == 0)
  }

  @Test("what waits when the use case changes its fields or clocks is counted")
  func changedUseCase() async throws {
    var records = (0..<200).map { Self.record(Self.friday + $0) }
    records += (0..<5).map { Self.record(Self.friday + 3 * Self.day + $0, failed: true) }
    for edit in [
      { $0.replacing("failed: {type: bool", with: "extra: {type: int}\n    failed: {type: bool") },
      { $0.replacing("key: user", with: "key: user\n  clock_of: host") },
    ] as [(String) -> String] {
      let store = MemoryStore(MemoryHistory())
      #expect(try await Self.run(records, into: store).totals.waitingEvents == 5)
      let contents = try await Self.run(records + [Self.record(Self.friday + 200)], into: store, changing: edit)
      #expect(contents.totals.undecidedEvents == 5)
      #expect(contents.totals.waitingEvents == 0 && contents.totals.aheadEvents == 0)
    }
  }

  @Test("bursts of a broken clock leave no windows and end no run", arguments: [[7], [4096]])
  func bursts(sizes: [Int]) async throws {
    let records = (0..<20_000).map { row in
      let isWrong = row % 2000 >= 1900 && row % 2000 < 1960
      return Self.record(
        Self.friday + row + (isWrong ? 20 * Self.day : 0), user: isWrong ? "wrong\(row)" : "u\(row % 5)")
    }
    let contents = try await Self.run(records, sizes: sizes)
    #expect(contents.windows.keys.filter { $0.contains("wrong") }.isEmpty)
    #expect(contents.totals.lateEvents.isEmpty)
  }

  @Test(
    "what was heard, then dismissed and taken from windows again is told", arguments: [5, 8, 20, 99], [[7], [4096]])
  func heard(count: Int, sizes: [Int]) async throws {
    var records = (0..<1000).map { Self.record(Self.friday + $0) }
    records += (0..<count).map { Self.record(Self.friday + 30 * Self.day + $0, user: "wrong") }
    records += (1000..<2000).map { Self.record(Self.friday + $0) }
    let contents = try await Self.run(records, sizes: sizes)
    #expect(contents.totals.aheadEvents == count && contents.totals.waitingEvents == 0)
    #expect(contents.totals.lateEvents.isEmpty && Self.windowed(contents) == 2000)
  }

  @Test("events of a clock absurdly far ahead are left out when they are released too", arguments: [[1], [4096]])
  func absurdClock(sizes: [Int]) async throws {
    var records = (0..<400).map { Self.record(Self.friday + $0, host: "h\($0 % 4)") }
    for index in 0..<60 {
      records.append(Self.record(Self.friday + 400 + 3 * index, host: "h\(index % 3)"))
      records.append(
        Self.record(
          Self.friday + 3000 * Self.day + index, user: "wrong\(index)", failed: true, host: "h3"))
    }
    let contents = try await Self.run(records, event: "clock_of: host", sizes: sizes)
    #expect(contents.windows.keys.filter { $0.contains("wrong") }.isEmpty)
    #expect(contents.totals.aheadEvents == 60 && contents.totals.waitingEvents == 0)
  }

  // MARK: Crashes

  /// What tells two outcomes apart.
  private static func differences(_ a: MemoryStore.Contents, _ b: MemoryStore.Contents) -> String {
    let names = Set(a.anomalies.keys).symmetricDifference(b.anomalies.keys).sorted()
    let windows = Set(a.windows.keys).union(b.windows.keys).filter { a.windows[$0] != b.windows[$0] }.sorted()
    let counts = a.totals == b.totals ? "" : "\(a.totals)\n\(b.totals)"
    return "\(names) \(windows.map { "\($0): \(a.windows[$0] ?? "") \(b.windows[$0] ?? "")" }) \(counts)"
  }

  /// Gaps, broken clocks, stragglers, a clock that is set back.
  private static func stream(_ random: inout SeededRandom) -> [[UInt8]] {
    var now = friday
    var records: [[UInt8]] = []
    for _ in 0..<12 {
      switch Int.random(in: 0..<4, using: &random) {
      case 0: now += Int.random(in: 3600...9 * day, using: &random)
      case 1: now -= Int.random(in: 60...7200, using: &random)
      default: break
      }
      let wrong = [0, 5, 30].randomElement(using: &random)!
      if Int.random(in: 0..<3, using: &random) == 0 {
        // A broken producer whose events agree.
        let offset = Int.random(in: 7200...60 * day, using: &random)
        for index in 0..<Int.random(in: 5...60, using: &random) {
          records.append(record(now + offset + index, user: "u\(index % 4)", failed: true, host: "h\(index % 2)"))
        }
      }
      for _ in 0..<Int.random(in: 1...120, using: &random) {
        now += Int.random(in: 0...2, using: &random)
        let isWrong = Int.random(in: 0..<100, using: &random) < wrong
        let offset = isWrong ? Int.random(in: 100...40 * day, using: &random) : 0
        records.append(
          record(
            now + offset, user: "u\(Int.random(in: 0..<3, using: &random))",
            failed: Int.random(in: 0..<2, using: &random) == 0, host: "h\(Int.random(in: 0..<3, using: &random))"))
      }
    }
    return records
  }

  @Test("neither batches nor workers nor crashes change results", arguments: 0..<6, ["", "clock_of: host"])
  func crashes(seed: UInt64, event: String) async throws {
    var random = SeededRandom(seed: seed + 77)
    let records = Self.stream(&random)
    let whole = try await Self.run(records, event: event, closing: true)
    #expect(whole.totals.events == records.count && whole.totals.waitingEvents == 0)
    for sizes in [[1], [7, 30], [4096]] {
      let failing = Set((0..<6).map { _ in Int.random(in: 1..<(sizes == [4096] ? 6 : 60), using: &random) })
      let contents = try await Self.run(
        records, event: event, sizes: sizes, workers: 1 + Int(seed % 3), closing: true, failing: failing)
      #expect(contents == whole, "batches of \(sizes): \(Self.differences(contents, whole))")
    }
  }
}
