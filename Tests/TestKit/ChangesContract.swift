// What every store must say of its changes, whatever it is made of. Each check takes an empty store and returns what is
// wrong.

import Detection
public import Pipeline

/// The contract of the changes that `Store` commits and `ResultSnapshot` reads.
public struct ChangesContract: Contract {
  private let store: any Store
  private let reader: any ResultReader

  public init(_ store: any Store, _ reader: any ResultReader) {
    self.store = store
    self.reader = reader
  }

  public static let checks = [
    Check(name: "changes come once, in the order of the commits, behind an opaque cursor") { try await $0.order() },
    Check(name: "what was committed late is not missed, whatever other partitions did") { try await $0.interleaved() },
    Check(name: "an equal result is confirmed, another one is a change") { try await $0.confirmation() },
    Check(name: "what is not found again is retracted with the checkpoint that passes it") {
      try await $0.unconfirmed()
    },
    Check(name: "what lies behind the end of a run is retracted with its last checkpoint") { try await $0.ending() },
    Check(name: "an activation retracts what lies behind it") { try await $0.activation() },
    Check(name: "windows are changes when they have closed, and retracted when they are removed") {
      try await $0.windows()
    },
  ]

  private static let useCase = "contract"
  private let first = PartitionID(source: "s", number: 0)
  private let second = PartitionID(source: "s", number: 1)

  private func claim(_ partition: PartitionID) async throws -> Claim {
    try await store.claim(useCase: Self.useCase, partition: partition).claim
  }

  static func position(_ offset: Int64) -> Position { Position(segment: 0, offset: offset, row: offset) }

  private func anomaly(_ claim: Claim, _ offset: Int64, subject: String = "", score: Double = 1) -> Anomaly {
    Anomaly(
      useCase: claim.useCase, partition: claim.partition, position: Self.position(offset), detector: "d",
      subject: subject, eventTime: offset, key: "k", score: score, severity: .high, reason: "r\0s",
      explanation: Explanation(clause: "c"), event: #"{"a":1}"#)
  }

  private func letter(_ offset: Int64) -> DatedDeadLetter {
    DatedDeadLetter(
      letter: DeadLetter(
        position: Self.position(offset), stage: .decode, reason: .malformed, message: "m", raw: [0x7B, 0xFF]),
      watermark: offset == 0 ? .min : offset)
  }

  private func commit(_ results: Results...) async throws {
    let refused = try await store.commit(results)
    precondition(refused.isEmpty, "a claim was refused")
  }

  private func commit(
    _ claim: Claim, to offset: Int64, isLast: Bool = false, _ change: (inout Checkpoint) -> Void = { _ in }
  ) async throws {
    var checkpoint = Checkpoint(
      claim: claim, position: Self.position(offset), sourceState: [], watermark: offset, totals: Totals(), windows: [],
      windowRetention: [], resultsKeepFrom: nil, states: [], history: HistoryChanges())
    checkpoint.isLast = isLast
    change(&checkpoint)
    let refused = try await store.commit([checkpoint]).refused
    precondition(refused.isEmpty, "a claim was refused")
  }

  /// Everything behind a cursor, which is passed, read in pages, as `kind id`.
  private func follow(_ cursor: inout String, limit: Int = 3) async throws -> [String] {
    var found: [String] = []
    while true {
      let since = try ChangeCursor(cursor)
      let page = try await reader.read { try await $0.changes(since: since, of: nil, limit: limit) }
      found += page.changes.map(Self.text)
      precondition(page.changes.count <= limit || limit == 1, "a page is larger than it was asked for")
      cursor = page.next.text
      if !page.hasMore { return found }
    }
  }

  private static func text(_ change: ResultChange) -> String {
    let kind =
      switch change.content {
      case .anomaly: "anomaly"
      case .deadLetter: "letter"
      case .window: "window"
      // Who reads by entity has to find the one it was about.
      case .retraction(.anomaly(let gone)): "retract \(gone.key ?? "?") \(gone.eventTime ?? -1)"
      case .retraction: "retract"
      case .reset: "reset"
      }
    return "\(kind) \(change.id)"
  }

  private func found(_ claim: Claim, _ offset: Int64, subject: String = "") -> String {
    "anomaly \(anomaly(claim, offset, subject: subject).id)"
  }

  private func retracted(_ claim: Claim, _ offset: Int64) -> String {
    "retract k \(offset) \(anomaly(claim, offset).id)"
  }

  private func broken(_ claim: Claim, _ offset: Int64, _ kind: String = "letter") -> String {
    "\(kind) \(DeadLetterID(useCase: claim.useCase, partition: claim.partition, position: Self.position(offset)))"
  }

  private func order() async throws -> [String] {
    var notes = ContractNotes()
    let claim = try await claim(first)
    var (one, all) = ("", "")
    notes.expect(try await follow(&one) == [], "an empty store has no changes")
    try await commit(
      Results(claim: claim, anomalies: [anomaly(claim, 7), anomaly(claim, 3)], deadLetters: [letter(0)]))
    // Two findings of a detector about the same event, by subject.
    try await commit(Results(claim: claim, anomalies: [anomaly(claim, 3, subject: "ä.1~x"), anomaly(claim, 4)]))
    let expected = [
      found(claim, 7), found(claim, 3), broken(claim, 0), found(claim, 3, subject: "ä.1~x"), found(claim, 4),
    ]
    for limit in [1, 2, 3, 100] {
      var cursor = ""
      let changes = try await follow(&cursor, limit: limit)
      notes.expect(changes == expected, "in pages of \(limit): \(changes)")
    }
    notes.expect(try await follow(&one) == expected, "behind an empty cursor")
    notes.expect(try await follow(&one) == [], "once")
    try await commit(Results(claim: claim, anomalies: [anomaly(claim, 1)]))
    notes.expect(try await follow(&one) == [found(claim, 1)], "what came since")
    notes.expect(try await follow(&all).count == 6, "all of it for another reader")
    let since = try ChangeCursor(all)
    notes.expect(since.text == all, "a cursor is its text")
    let stored = try await reader.read { try await $0.changes(since: ChangeCursor(), of: Self.useCase, limit: 10) }
    guard case .anomaly(let content)? = stored.changes.first?.content else { return ["the content is an anomaly"] }
    notes.expect(content == StoredAnomaly(anomaly(claim, 7)), "with everything it says: \(content)")
    let letters = stored.changes.compactMap { change -> StoredDeadLetter? in
      if case .deadLetter(let letter) = change.content { letter } else { nil }
    }
    let dated = letter(0)
    let expectedLetter = StoredDeadLetter(
      dated.letter, watermark: dated.watermark, useCase: Self.useCase, partition: first)
    notes.expect(letters == [expectedLetter], "and a dead letter: \(letters)")
    let other = try await reader.read { try await $0.changes(since: ChangeCursor(), of: "other", limit: 10) }
    notes.expect(other.changes.isEmpty && !other.hasMore, "none of another use case")
    return notes.wrong
  }

  private func interleaved() async throws -> [String] {
    var notes = ContractNotes()
    var claims: [Claim] = []
    for number: Int32 in 0..<5 { claims.append(try await claim(PartitionID(source: "s", number: number))) }
    var random = SeededRandom(seed: 3)
    var cursor = ""
    var seen: [String] = []
    var expected: [[String]] = claims.map { _ in [] }
    for step: Int64 in 0..<60 {
      let index = Int.random(in: 0..<5, using: &random)
      let claim = claims[index]
      try await commit(Results(claim: claim, anomalies: [anomaly(claim, step)]))
      expected[index].append(found(claim, step))
      // A reader that reads a little now and then.
      if step % 4 == 0 {
        let since = try ChangeCursor(cursor)
        let page = try await reader.read { try await $0.changes(since: since, of: nil, limit: 3) }
        seen += page.changes.map(Self.text)
        cursor = page.next.text
      }
    }
    seen += try await follow(&cursor)
    notes.expect(seen.count == 60 && Set(seen).count == 60, "each once: \(seen.count)")
    for (claim, expected) in zip(claims, expected) {
      let ofThis = seen.filter { $0.contains(".s.\(claim.partition.number).") }
      notes.expect(ofThis == expected, "those of a partition in order: \(ofThis)")
    }
    return notes.wrong
  }

  private func confirmation() async throws -> [String] {
    var notes = ContractNotes()
    let old = try await claim(first)
    var cursor = ""
    try await commit(Results(claim: old, anomalies: [anomaly(old, 1), anomaly(old, 2)], deadLetters: [letter(3)]))
    notes.expect(try await follow(&cursor).count == 3, "three changes")
    try await commit(Results(claim: old, anomalies: [anomaly(old, 1)]))
    let new = try await claim(first)
    try await commit(
      Results(claim: new, anomalies: [anomaly(new, 1), anomaly(new, 2, score: 5)], deadLetters: [letter(3)]))
    try await commit(new, to: 10)
    let changes = try await follow(&cursor)
    notes.expect(changes == [found(new, 2)], "what says something else: \(changes)")
    let all = try await reader.read { try await $0.anomalies(ResultFilter()) }
    notes.expect(all.map(\.score) == [5, 1], "and replaces what was there: \(all.map(\.score))")
    return notes.wrong
  }

  private func unconfirmed() async throws -> [String] {
    var notes = ContractNotes()
    let old = try await claim(first)
    let other = try await claim(second)
    try await commit(old, to: 2)
    try await commit(
      Results(claim: old, anomalies: [1, 2, 3, 5, 8].map { anomaly(old, $0) }, deadLetters: [letter(4), letter(9)]),
      Results(claim: other, anomalies: [anomaly(other, 3)]))
    var cursor = ""
    notes.expect(try await follow(&cursor).count == 8, "what there is")
    // Killed and resumed behind 2: the input has changed at 3 and 4.
    let new = try await claim(first)
    notes.expect(try await follow(&cursor) == [], "a claim alone changes nothing")
    try await commit(Results(claim: new, anomalies: [anomaly(new, 2), anomaly(new, 5)]))
    try await commit(new, to: 6)
    let changes = try await follow(&cursor)
    notes.expect(
      changes.sorted() == [retracted(new, 3), broken(new, 4, "retract")].sorted(), "what was not found: \(changes)")
    try await commit(Results(claim: new, anomalies: [anomaly(new, 7)]))
    try await commit(new, to: 10)
    let later = try await follow(&cursor)
    notes.expect(
      later.first == found(new, 7)
        && later.dropFirst().sorted() == [retracted(new, 8), broken(new, 9, "retract")].sorted(),
      "and behind it: \(later)")
    let left = try await reader.read { try await $0.anomalies(ResultFilter()) }.map(\.id).sorted()
    notes.expect(
      left == ([1, 2, 5, 7].map { anomaly(new, $0).id } + [anomaly(other, 3).id]).sorted(), "the others stay: \(left)")
    // One that was retracted and is found again is told again.
    try await commit(Results(claim: new, anomalies: [anomaly(new, 8)]))
    notes.expect(try await follow(&cursor) == [found(new, 8)], "found again")
    var fresh = ""
    let whole = try await follow(&fresh).filter { $0.contains(".s.0.") }
    notes.expect(whole.last == found(new, 8), "behind its retraction for whoever begins: \(whole)")
    return notes.wrong
  }

  private func ending() async throws -> [String] {
    var notes = ContractNotes()
    let old = try await claim(first)
    try await commit(Results(claim: old, anomalies: [1, 5].map { anomaly(old, $0) }))
    var cursor = ""
    _ = try await follow(&cursor)
    let new = try await claim(first)
    try await commit(Results(claim: new, anomalies: [anomaly(new, 1)]))
    try await commit(new, to: 3, isLast: true)
    notes.expect(try await follow(&cursor) == [retracted(new, 5)], "the input is shorter now")
    return notes.wrong
  }

  private func activation() async throws -> [String] {
    var notes = ContractNotes()
    let claim = try await claim(first)
    try await commit(
      Results(claim: claim, anomalies: [1, 5, 9].map { anomaly(claim, $0) }, deadLetters: [letter(6)]))
    var cursor = ""
    _ = try await follow(&cursor)
    try await store.activate(
      Activation(partition: first, from: Self.position(5), kind: .configuration, version: "v"), under: claim, text: "t")
    let changes = try await follow(&cursor)
    notes.expect(
      changes.sorted() == [retracted(claim, 5), retracted(claim, 9), broken(claim, 6, "retract")].sorted(),
      "what will be scored again: \(changes)")
    try await commit(Results(claim: claim, anomalies: [anomaly(claim, 5)]))
    notes.expect(try await follow(&cursor) == [found(claim, 5)], "and was")
    let waiting = WaitingResults(events: [Self.position(1)], detectors: ["d"])
    try await store.retract(waiting, under: claim)
    notes.expect(try await follow(&cursor) == [retracted(claim, 1)], "what waits")
    return notes.wrong
  }

  /// Open ones are as earlier versions stored them.
  private func row(_ start: Int64, by: String, closed: Bool, events: Int64 = 1) -> Checkpoint.WindowRow {
    Checkpoint.WindowRow(
      part: WindowPart(
        window: "w", start: start, end: start + 10, by: [.string(by)], closed: closed, state: [UInt8(events)],
        events: events),
      result: WindowResult(
        events: events, names: WindowResultNames(aggregates: ["n"]), values: [.scalar(.int(events))], counts: []),
      byNames: ["user"], definition: "definition")
  }

  private func windows() async throws -> [String] {
    var notes = ContractNotes()
    let claim = try await claim(first)
    var cursor = ""
    try await commit(claim, to: 1) { $0.windows = [row(0, by: "a", closed: false), row(0, by: "b", closed: false)] }
    notes.expect(try await follow(&cursor) == [], "open windows are no results")
    try await commit(claim, to: 2) {
      $0.windows = [row(0, by: "a", closed: true, events: 2), row(10, by: "a", closed: false)]
    }
    let page = try await reader.read { try await $0.changes(since: ChangeCursor(), of: nil, limit: 10) }
    guard case .window(let part)? = page.changes.first?.content, page.changes.count == 1 else {
      return notes.wrong + ["one that has closed is: \(page.changes)"]
    }
    notes.expect(
      part.by == #"{"user":"a"}"# && part.aggregates == #"{"n":2}"# && part.events == 2 && part.end == 10,
      "with its values: \(part)")
    cursor = page.next.text
    try await commit(claim, to: 3) { $0.windows = [row(0, by: "a", closed: true, events: 2)] }
    notes.expect(try await follow(&cursor) == [], "the same again is no change")
    try await commit(claim, to: 4) { $0.windows = [row(0, by: "a", closed: true, events: 3)] }
    notes.expect(try await follow(&cursor) == ["window \(part.id)"], "another value is")
    // Two sessions that become one: the parts go, the merged one takes their place.
    func key(_ start: Int64, _ by: String) -> Checkpoint.WindowKey {
      Checkpoint.WindowKey(window: "w", start: start, by: [.string(by)], definition: "definition")
    }
    try await commit(claim, to: 5) {
      $0.removedWindows = [key(0, "a"), key(10, "a")]
      $0.windows = [row(0, by: "a", closed: false, events: 5)]
    }
    notes.expect(try await follow(&cursor) == ["retract \(part.id)"], "a closed part that goes is retracted")
    let merged = try await reader.read { try await $0.windows(ResultFilter()) }
    notes.expect(
      merged.map { "\($0.start) \($0.by) \($0.events) \($0.closed)" }
        == [#"0 {"user":"a"} 5 false"#, #"0 {"user":"b"} 1 false"#], "what is left: \(merged)")
    // A definition that no longer applies: what is open counts as closed.
    try await commit(claim, to: 6) {
      $0.leftWindows = [Checkpoint.WindowVersion(window: "w", definition: "definition")]
    }
    let left = try await follow(&cursor)
    notes.expect(left.count == 2 && left.first == "window \(part.id)", "what was left open: \(left)")
    return notes.wrong
  }
}
