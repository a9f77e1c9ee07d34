// What every reader must say of what a run has stored, whatever the store is made of. Each check takes a reader of an empty
// store and a way to run `RuntimeUseCase` into it, and returns what is wrong.

import Detection
public import Pipeline

/// The contract of `ResultReader`.
public struct ResultReaderContract: Contract {
  private let reader: any ResultReader
  /// The same input in a store in memory.
  private let reference: any ResultReader
  private let run: @Sendable (_ partitions: [[[UInt8]]]) async throws -> Void

  /// - Parameter run: runs the use case over the records of some partitions into both stores.
  public init(
    _ reader: any ResultReader, _ reference: any ResultReader,
    run: @escaping @Sendable (_ partitions: [[[UInt8]]]) async throws -> Void
  ) {
    self.reader = reader
    self.reference = reference
    self.run = run
  }

  public static let checks = [
    Check(name: "an empty store has nothing") { try await $0.empty() },
    Check(name: "lists, windows of several partitions and everything else are as in memory") { try await $0.whole() },
    Check(name: "filters leave what they say, in the same order") { try await $0.filters() },
    Check(name: "pages of any size make the whole list") { try await $0.pages() },
    Check(name: "a cursor of a page is its text, and one of another list is refused") { try await $0.cursors() },
    Check(name: "a snapshot sees one moment, whatever is committed meanwhile") { try await $0.moment() },
    Check(name: "snapshots are many at a time, and are given back") { try await $0.many() },
  ]

  private static func has(_ words: [String]) -> (StoredAnomaly) -> Bool {
    { anomaly in
      words.allSatisfy { word in
        [anomaly.reason, anomaly.key, anomaly.event].contains { $0.lowercased().contains(word.lowercased()) }
      }
    }
  }

  private static let useCase = "runtime"

  private func fill() async throws {
    try await run([
      RuntimeUseCase.records(700, seed: 11), RuntimeUseCase.records(400, seed: 12),
      RuntimeUseCase.records(90, seed: 13),
    ])
  }

  private var all: ResultFilter {
    var filter = ResultFilter()
    filter.limit = 0
    return filter
  }

  private func empty() async throws -> [String] {
    var notes = ContractNotes()
    try await reader.read { results in
      notes.expect(try await results.useCases() == [], "no use cases")
      notes.expect(try await results.anomalies(all).isEmpty, "no anomalies")
      notes.expect(try await results.deadLetters(all).isEmpty, "no dead letters")
      notes.expect(try await results.windows(all).isEmpty, "no windows")
      notes.expect(try await results.status(of: nil).isEmpty, "no partitions")
      notes.expect(try await results.drift(of: "x", detector: nil).isEmpty, "no drift")
      notes.expect(try await results.activations(of: "x").isEmpty, "no activations")
      notes.expect(try await results.modelUses(of: "x").isEmpty, "no models")
      notes.expect(try await results.names(of: nil) == ResultNames(detectors: [], windows: []), "no names")
      notes.expect(try await results.topEntities(of: "x", window: "w", by: "n", limit: 3).isEmpty, "no entities")
      notes.expect(try await results.anomaly(id: "x.s.0.1-2.d") == nil, "no anomaly")
      notes.expect(try await results.anomaly(id: "not an id") == nil, "no id")
      notes.expect(try await results.latestChange(of: nil) == ChangeCursor(), "no change")
    }
    return notes.wrong
  }

  private func whole() async throws -> [String] {
    var notes = ContractNotes()
    try await fill()
    let (all, useCase) = (all, Self.useCase)
    func compare<Value: Equatable>(
      _ what: String, _ read: @Sendable (any ResultSnapshot) async throws -> Value, isEmpty: (Value) -> Bool
    ) async throws {
      let (found, expected) = (try await reader.read(read), try await reference.read(read))
      notes.expect(
        found == expected, "\(what) differ: \("\(found)".prefix(400)) instead of \("\(expected)".prefix(400))")
      notes.expect(!isEmpty(expected), "there are \(what)")
    }
    try await compare("use cases", { try await $0.useCases() }, isEmpty: \.isEmpty)
    try await compare("names", { try await $0.names(of: nil) }, isEmpty: \.windows.isEmpty)
    try await compare("anomalies", { try await $0.anomalies(all) }, isEmpty: \.isEmpty)
    try await compare("anomalies as JSON", { try await $0.anomalies(all).map(\.json) }, isEmpty: \.isEmpty)
    try await compare("dead letters", { try await $0.deadLetters(all) }, isEmpty: \.isEmpty)
    try await compare("windows", { try await $0.windows(all) }, isEmpty: \.isEmpty)
    try await compare(
      "activations", { try await $0.activations(of: useCase).map { "\($0)" }.sorted() }, isEmpty: \.isEmpty)
    try await compare(
      "counts", { try await $0.anomalyCounts(of: useCase).map { "\($0.detector) \($0.count)" } }, isEmpty: \.isEmpty)
    try await compare(
      "entities", { try await $0.topEntities(of: useCase, window: "minutes", by: "p90", limit: 3) },
      isEmpty: { $0.count != 3 })
    try await compare(
      "positions",
      { try await $0.anomalyPositions(of: "large", useCase: useCase, in: MemorySource.partition(1)) },
      isEmpty: \.isEmpty)
    try await compare(
      "status",
      {
        try await $0.status(of: useCase).map { status in
          // How history is cut into files is a matter of time.
          var status = status
          status.shardRows += status.waitingRows
          (status.waitingRows, status.shards, status.shardBytes) = (0, 0, 0)
          return status.json
        }
      }, isEmpty: { $0.count != 3 })
    // Every anomaly is found by its id, with the use case it was found under.
    let (anomalies, version) = try await reader.read { results in
      (try await results.anomalies(all), try await results.status(of: useCase)[0].version)
    }
    for anomaly in anomalies.prefix(5) {
      let found = try await reader.read { try await $0.anomaly(id: anomaly.id) }
      notes.expect(found?.anomaly == anomaly && found?.configuration == RuntimeUseCase.text, "by its id: \(anomaly.id)")
    }
    notes.expect(version != nil, "the version in force")
    return notes.wrong
  }

  private func filters() async throws -> [String] {
    var notes = ContractNotes()
    try await fill()
    let (everything, letters, windows) = try await reader.read { results in
      (try await results.anomalies(all), try await results.deadLetters(all), try await results.windows(all))
    }
    let middle = everything[everything.count / 2]
    func filter(_ change: (inout ResultFilter) -> Void) -> ResultFilter {
      var filter = all
      change(&filter)
      return filter
    }
    let since = middle.eventTime - 60_000_000
    let filters: [(ResultFilter, (StoredAnomaly) -> Bool)] = [
      (filter { $0.name = "burst" }, { $0.detector == "burst" }),
      (filter { $0.keys = [middle.key] }, { $0.key == middle.key }),
      (filter { $0.from = middle.eventTime }, { $0.eventTime >= middle.eventTime }),
      (filter { $0.to = middle.eventTime }, { $0.eventTime < middle.eventTime }),
      (
        filter { ($0.useCase, $0.name, $0.keys, $0.from) = (Self.useCase, "large", [middle.key], since) },
        { $0.detector == "large" && $0.key == middle.key && $0.eventTime >= since }
      ),
      (filter { $0.useCase = "other" }, { _ in false }),
      (filter { $0.keep(from: .critical) }, { $0.severity == "critical" }),
      (filter { $0.keep(from: .info) }, { _ in true }),
      (filter { $0.severities = [.low, .high] }, { ["low", "high"].contains($0.severity) }),
      (filter { $0.keys = [middle.key, everything[0].key] }, { [middle.key, everything[0].key].contains($0.key) }),
      (filter { $0.keys = [] }, { _ in false }),
      (filter { $0.leastScore = middle.score }, { $0.score >= middle.score }),
      (filter { $0.words = [middle.key.uppercased()] }, Self.has([middle.key])),
      (filter { $0.words = ["%", middle.detector] }, Self.has(["%", middle.detector])),
    ]
    for (filter, condition) in filters {
      let found = try await reader.read { try await $0.anomalies(filter) }
      notes.expect(found == everything.filter(condition), "\(filter): \(found.count)")
    }
    let malformed = filter { $0.name = "malformed" }
    notes.expect(
      try await reader.read { try await $0.deadLetters(malformed) } == letters.filter { $0.reason == "malformed" },
      "dead letters by reason")
    let start = windows[windows.count / 2].start
    let sliding = filter { ($0.name, $0.from) = ("sliding", start) }
    let found = try await reader.read { try await $0.windows(sliding) }
    notes.expect(
      found == windows.filter { $0.window == "sliding" && $0.start >= start } && !found.isEmpty,
      "windows by name and start")
    let seven = filter { $0.limit = 7 }
    notes.expect(
      try await reader.read { try await $0.anomalies(seven) } == Array(everything.prefix(7)), "seven of them")
    notes.expect(try await reader.read { try await $0.windows(seven) } == Array(windows.prefix(7)), "seven windows")
    return notes.wrong
  }

  private func pages() async throws -> [String] {
    var notes = ContractNotes()
    try await fill()
    func list<Row: Sendable>(
      _ size: Int, _ next: @Sendable (any ResultSnapshot, ResultFilter, PageCursor?) async throws -> ResultPage<Row>
    ) async throws -> [Row] {
      var rows: [Row] = []
      var cursor: PageCursor?
      var filter = all
      filter.limit = size
      while true {
        let (asked, after) = (filter, try cursor.map { try PageCursor($0.text) })
        // Each page by a snapshot of its own, as an API does.
        let page = try await reader.read { try await next($0, asked, after) }
        rows += page.rows
        if page.rows.count > size { notes.wrong.append("a page has \(page.rows.count) rows instead of \(size)") }
        guard let following = page.next else { return rows }
        cursor = following
      }
    }
    let (anomalies, letters, windows) = try await reader.read { results in
      (try await results.anomalies(all), try await results.deadLetters(all), try await results.windows(all))
    }
    notes.expect(anomalies.count > 100 && letters.count > 10 && windows.count > 100, "there is enough")
    for size in [1, 2, 3, 7, 50, 499] {
      notes.expect(
        try await list(size) { try await $0.anomalies($1, after: $2) } == anomalies, "anomalies by \(size)")
      notes.expect(
        try await list(size) { try await $0.deadLetters($1, after: $2) } == letters, "dead letters by \(size)")
      notes.expect(try await list(size) { try await $0.windows($1, after: $2) } == windows, "windows by \(size)")
    }
    return notes.wrong
  }

  private func cursors() async throws -> [String] {
    var notes = ContractNotes()
    let cursor = PageCursor([.int(-5), .string("a\0ä"), .null, .int(.max)])
    notes.expect(try PageCursor(cursor.text) == cursor, "text and back")
    notes.expect(cursor.text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_".contains($0)) }, "one word")
    for wrong in ["?", "A", "////", "ZZZZ"] {
      notes.expect((try? PageCursor(wrong)) == nil, "no cursor: \(wrong)")
      notes.expect((try? ChangeCursor(wrong)) == nil, "no cursor of changes: \(wrong)")
    }
    return notes.wrong
  }

  private func moment() async throws -> [String] {
    var notes = ContractNotes()
    let records = RuntimeUseCase.records(600, seed: 21)
    try await run([Array(records.prefix(300))])
    let snapshot = try await reader.snapshot()
    let before = (
      try await snapshot.anomalies(all), try await snapshot.windows(all), try await snapshot.latestChange(of: nil)
    )
    try await run([records])
    let after = (
      try await snapshot.anomalies(all), try await snapshot.windows(all), try await snapshot.latestChange(of: nil)
    )
    notes.expect(before == after, "it sees what it saw")
    notes.expect(try await snapshot.status(of: nil).map(\.totals.records) == [300], "also what it looks at later")
    await snapshot.end()
    let now = try await reader.read { try await $0.status(of: nil).map(\.totals.records) }
    notes.expect(now == [600], "another one sees more: \(now)")
    return notes.wrong
  }

  private func many() async throws -> [String] {
    var notes = ContractNotes()
    try await run([RuntimeUseCase.records(100, seed: 31)])
    let counts = try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<40 {
        group.addTask { [reader] in try await reader.read { try await $0.status(of: nil).count } }
      }
      return try await group.reduce(into: [Int]()) { $0.append($1) }
    }
    notes.expect(counts == [Int](repeating: 1, count: 40), "\(counts)")
    do {
      _ = try await reader.read { _ in throw PlannedFault() }
      notes.wrong.append("what the body throws is thrown")
    } catch is PlannedFault {}
    return notes.wrong
  }
}
