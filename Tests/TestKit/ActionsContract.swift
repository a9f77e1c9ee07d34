// What every place for actions must do, whatever it is made of. Each check takes an empty one, as seen by two processes,
// and returns what is wrong.

import Detection
public import Pipeline

/// The contract of `Actions` and `OutboxCursors`.
public struct ActionsContract: Contract {
  private let one: any Actions & OutboxCursors
  private let other: any Actions & OutboxCursors

  /// - Parameter other: the same, on another connection; may be the same one.
  public init(_ one: any Actions & OutboxCursors, _ other: any Actions & OutboxCursors) {
    self.one = one
    self.other = other
  }

  public static let checks = [
    Check(name: "feedback is kept by person, the last word counts") { try await $0.feedback() },
    Check(name: "mutes are in force until they end or are lifted") { try await $0.mutes() },
    Check(name: "the audit trail comes back whole, page by page") { try await $0.audit() },
    Check(name: "a job goes to one worker at a time, and ends once") { try await $0.jobs() },
    Check(name: "a job whose worker is gone goes to another one") { try await $0.leases() },
    Check(name: "jobs are cancelled, waiting and running") { try await $0.cancelling() },
    Check(name: "many workers take many jobs, each one once") { try await $0.contention() },
    Check(name: "records that are handed in come back in order, the same ones once") { try await $0.inbox() },
    Check(name: "a cursor moves only from where it was") { try await $0.cursors() },
    Check(name: "what a sink keeps moves with its cursor") { try await $0.kept() },
  ]

  private func feedback() async throws -> [String] {
    var notes = ContractNotes()
    func said(_ who: String, _ verdict: Feedback.Verdict, _ time: Int64) -> Feedback {
      Feedback(useCase: "u", finding: "f", verdict: verdict, who: who, time: time, note: "n\0ote")
    }
    func line(_ subject: String) -> AuditLine { AuditLine(time: 5, who: "b", action: "feedback", subject: subject) }
    let before = try await one.auditLines(before: nil, limit: 100).count
    try await one.record([said("b", .real, 1)], noting: line("1"))
    try await other.record([said("a", .unsure, 2), said("b", .falseAlarm, 3)], noting: line("2"))
    try await one.record([Feedback(useCase: "u", finding: "g", verdict: .real, who: "a", time: 4)], noting: line("3"))
    let found = try await one.feedback(on: "f", of: "u")
    notes.expect(found == [said("a", .unsure, 2), said("b", .falseAlarm, 3)], "\(found)")
    notes.expect(try await other.feedback(on: "f", of: "v").isEmpty, "of another use case")
    let all = try await other.feedback(of: "u")
    notes.expect(all.map { "\($0.finding) \($0.who)" } == ["f a", "f b", "g a"], "all of a use case: \(all)")
    let words = [said("b", .falseAlarm, 3), said("c", .real, 3)]
    notes.expect(try await one.withdraw(words, noting: line("4")) == 1, "a word is taken back")
    notes.expect(try await one.withdraw(words, noting: line("5")) == 0, "once")
    let lines = try await other.auditLines(before: nil, limit: 100)
    notes.expect(
      lines.count == before + 4 && lines.prefix(4).map(\.line) == ["4", "3", "2", "1"].map(line),
      "each change leaves a line: \(lines)")
    notes.expect(try await other.feedback(on: "f", of: "u") == [said("a", .unsure, 2)], "and is gone")
    return notes.wrong
  }

  private func mutes() async throws -> [String] {
    var notes = ContractNotes()
    let first = Mute(detector: "d", key: "k", until: 100, who: "a", why: "known", time: 10)
    let second = Mute(useCase: "u", until: 50, who: "b", why: "planned", time: 20)
    let numbers = [try await one.add(first), try await other.add(second)]
    func inForce(_ time: Int64) async throws -> [Mute] { try await one.mutes(at: time).map(\.mute) }
    notes.expect(try await inForce(9).isEmpty, "not before its time")
    notes.expect(try await inForce(20) == [first, second], "both")
    notes.expect(try await inForce(50) == [first], "the end is exclusive")
    notes.expect(try await other.liftMute(numbers[0], by: "c", at: 60), "one in force is lifted")
    notes.expect(try await !one.liftMute(numbers[0], by: "c", at: 61), "once")
    notes.expect(try await !one.liftMute(numbers[1], by: "c", at: 61), "one that is over is not")
    notes.expect(try await inForce(59) == [first], "it was in force until then")
    notes.expect(try await inForce(60).isEmpty, "and is no more")
    notes.expect(
      first.covers(useCase: "x", detector: "d", key: "k") && !first.covers(useCase: "x", detector: "d", key: "l"),
      "what it covers")
    for wrong in [
      Mute(until: 5, who: "a", why: "", time: 1), Mute(useCase: "u", until: 5, who: "a", why: "", time: 5),
    ] {
      do {
        _ = try await one.add(wrong)
        notes.wrong.append("refused: \(wrong)")
      } catch let error as OperatingError { notes.expect(error.kind == .input, "as wrong input") }
    }
    return notes.wrong
  }

  private func audit() async throws -> [String] {
    var notes = ContractNotes()
    var lines: [AuditLine] = []
    for index: Int64 in 0..<7 {
      lines.append(AuditLine(time: index, who: "w", action: "models.promote", subject: "s\(index)", details: "{}"))
      _ = try await (index % 2 == 0 ? one : other).append(lines[Int(index)])
    }
    var found: [NumberedAuditLine] = []
    while true {
      let page = try await one.auditLines(before: found.last?.number, limit: 3)
      found += page
      if page.count < 3 { break }
    }
    notes.expect(found.map(\.line) == lines.reversed(), "\(found)")
    notes.expect(found.map(\.number) == found.map(\.number).sorted(by: >), "numbers descend")
    return notes.wrong
  }

  private func jobs() async throws -> [String] {
    var notes = ContractNotes()
    let job = try await one.createJob("train", arguments: #"{"a":1}"#, key: "train u", by: "p", at: 1)
    notes.expect(job.state == .waiting && job.attempts == 0, "it waits: \(job)")
    notes.expect(
      try await other.createJob("train", arguments: "{}", key: "train u", by: "q", at: 2) == job, "there is one")
    notes.expect(try await one.claimJob(["other"], worker: "w", at: 3, until: 10) == nil, "of its kind only")
    let claimed = try await other.claimJob(["other", "train"], worker: "w", at: 3, until: 10)
    notes.expect(claimed?.number == job.number && claimed?.state == .running && claimed?.attempts == 1, "it runs")
    notes.expect(try await one.claimJob(["train"], worker: "v", at: 9, until: 20) == nil, "for one worker")
    notes.expect(
      try await one.reportProgress(of: job.number, worker: "v", progress: 0.5, until: 30) == nil, "not for another one")
    notes.expect(
      try await one.reportProgress(of: job.number, worker: "w", progress: 0.5, until: 30) == .running, "who goes on")
    notes.expect(try await one.job(job.number)?.progress == 0.5, "as far as it is")
    notes.expect(
      try await !one.finishJob(job.number, worker: "v", as: .finished, outcome: "1", at: 31), "not by another one")
    notes.expect(try await one.finishJob(job.number, worker: "w", as: .finished, outcome: "1", at: 32), "and ends")
    notes.expect(
      try await !other.finishJob(job.number, worker: "w", as: .failed, outcome: "2", at: 33), "once")
    let ended = try await other.job(job.number)
    notes.expect(
      ended?.state == .finished && ended?.outcome == "1" && ended?.ended == 32 && ended?.progress == 1,
      "\(ended as Any)")
    let again = try await one.createJob("train", arguments: "{}", key: "train u", by: "q", at: 40)
    notes.expect(again.number > job.number, "another one with its key, when it is over")
    notes.expect(try await one.jobs(before: nil, limit: 1).map(\.number) == [again.number], "the newest first")
    notes.expect(try await one.jobs(before: again.number, limit: 5).map(\.number) == [job.number], "then the others")
    return notes.wrong
  }

  private func leases() async throws -> [String] {
    var notes = ContractNotes()
    let job = try await one.createJob("k", arguments: "", key: nil, by: "p", at: 1)
    _ = try await one.claimJob(["k"], worker: "w", at: 1, until: 10)
    let taken = try await other.claimJob(["k"], worker: "v", at: 10, until: 20)
    notes.expect(taken?.number == job.number && taken?.attempts == 2 && taken?.worker == "v", "\(taken as Any)")
    notes.expect(
      try await one.reportProgress(of: job.number, worker: "w", progress: 1, until: 90) == nil, "the first has lost it")
    notes.expect(
      try await !one.finishJob(job.number, worker: "w", as: .finished, outcome: "", at: 12), "and does not end it")
    notes.expect(
      try await one.finishJob(job.number, worker: "v", as: .failed, outcome: "why", at: 13), "the second does")
    notes.expect(try await one.job(job.number)?.state == .failed, "as failed")
    return notes.wrong
  }

  private func cancelling() async throws -> [String] {
    var notes = ContractNotes()
    let waiting = try await one.createJob("k", arguments: "", key: nil, by: "p", at: 1)
    notes.expect(try await other.cancelJob(waiting.number, at: 2) == .cancelled, "one that waits is over")
    notes.expect(try await other.claimJob(["k"], worker: "w", at: 3, until: 9) == nil, "nobody takes it")
    let running = try await one.createJob("k", arguments: "", key: nil, by: "p", at: 4)
    _ = try await one.claimJob(["k"], worker: "w", at: 5, until: 20)
    notes.expect(try await other.cancelJob(running.number, at: 6) == .cancelling, "one that runs is asked to end")
    notes.expect(
      try await one.reportProgress(of: running.number, worker: "w", progress: 0.1, until: 30) == .cancelling, "and told"
    )
    notes.expect(
      try await one.finishJob(running.number, worker: "w", as: .cancelled, outcome: "", at: 8), "and says so")
    notes.expect(try await one.cancelJob(running.number, at: 9) == .cancelled, "again: nothing more")
    let left = try await one.createJob("k", arguments: "", key: nil, by: "p", at: 10)
    _ = try await one.claimJob(["k"], worker: "w", at: 10, until: 20)
    _ = try await one.cancelJob(left.number, at: 11)
    notes.expect(try await other.claimJob(["k"], worker: "v", at: 30, until: 40) == nil, "its worker is gone")
    notes.expect(try await one.job(left.number)?.state == .cancelled, "it is over")
    notes.expect(try await one.cancelJob(9_999, at: 12) == nil, "there is no such job")
    return notes.wrong
  }

  private func contention() async throws -> [String] {
    var notes = ContractNotes()
    for index: Int64 in 0..<20 { _ = try await one.createJob("k", arguments: "", key: nil, by: "p", at: index) }
    let taken = try await withThrowingTaskGroup(of: [Int64].self) { group in
      for worker in 0..<4 {
        group.addTask {
          var taken: [Int64] = []
          let actions = worker % 2 == 0 ? one : other
          while let job = try await actions.claimJob(["k"], worker: "\(worker)", at: 100, until: 200) {
            taken.append(job.number)
          }
          return taken
        }
      }
      return try await group.reduce(into: [Int64]()) { $0 += $1 }
    }
    notes.expect(taken.count == 20 && Set(taken).count == 20, "\(taken.sorted())")
    return notes.wrong
  }

  private func inbox() async throws -> [String] {
    var notes = ContractNotes()
    func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
    let first = try await one.handIn([bytes("a"), bytes("b")], to: "in", key: "1", at: 1)
    notes.expect(first == HandedIn(first: 0, count: 2, isRepeated: false), "\(first)")
    let second = try await other.handIn([bytes("c"), [], [0, 255]], to: "in", key: "2", at: 2)
    notes.expect(second == HandedIn(first: 2, count: 3, isRepeated: false), "\(second)")
    let again = try await other.handIn([bytes("a"), bytes("b")], to: "in", key: "1", at: 3)
    notes.expect(again == HandedIn(first: 0, count: 2, isRepeated: true), "\(again)")
    let others = try await other.handIn([bytes("ab"), []], to: "in", key: "1", at: 3)
    notes.expect(others == HandedIn(first: 0, count: 2, isRepeated: true, isSame: false), "other records: \(others)")
    for _ in 0..<2 {
      notes.expect(
        try await one.handIn([bytes("x")], to: "without", key: nil, at: 3).isRepeated == false, "without a key")
    }
    notes.expect(try await one.state(of: "without").next == 2, "without a key each is new")
    notes.expect(try await one.handIn([bytes("x")], to: "another", key: "1", at: 3).first == 0, "one of many inboxes")
    let all = [bytes("a"), bytes("b"), bytes("c"), [], [0, 255]]
    let found = try await one.records(of: "in", from: 0, limit: 10, bytes: 100)
    notes.expect(found.map(\.bytes) == all && found.map(\.number) == [0, 1, 2, 3, 4], "\(found)")
    notes.expect(
      try await one.records(of: "in", from: 1, limit: 2, bytes: 100).map(\.number) == [1, 2], "some of them")
    notes.expect(try await one.records(of: "in", from: 0, limit: 9, bytes: 2).map(\.number) == [0, 1], "or bytes")
    notes.expect(try await one.state(of: "in") == InboxState(first: 0, next: 5, bytes: 5), "how much waits")
    try await other.acknowledge("in", before: 3, at: 4)
    notes.expect(try await one.records(of: "in", from: 0, limit: 9, bytes: 99).map(\.number) == [3, 4], "what is left")
    notes.expect(try await one.state(of: "in") == InboxState(first: 3, next: 5, bytes: 2), "up to where it was taken")
    notes.expect(try await one.handIn([bytes("a")], to: "in", key: "1", at: 5).isRepeated, "a key is remembered")
    try await other.acknowledge("in", before: 5, at: 10 + Limits.inboxKeyLifetime)
    let late = try await one.handIn([bytes("z")], to: "in", key: "1", at: 11 + Limits.inboxKeyLifetime)
    notes.expect(late == HandedIn(first: 5, count: 1, isRepeated: false), "for a while: \(late)")
    let header = RecordHeader("h\0", [0, 255])
    let returned = HandedRecord(
      bytes("k"), envelope: RecordEnvelope(key: [1, 255], timestamp: 7, headers: [header, RecordHeader("n", nil)]),
      origin: "topic")
    _ = try await one.handIn([returned, HandedRecord([])], to: "kept", key: nil, at: 1)
    let kept = try await other.records(of: "kept", from: 0, limit: 9, bytes: 1_000)
    notes.expect(kept.map(\.record) == [returned, HandedRecord([])], "what a log kept beside a record: \(kept)")
    notes.expect(try await one.state(of: "kept").bytes == Int64(returned.size), "and takes room")
    try await one.acknowledge("kept", before: 2, at: 2)
    notes.expect(try await one.state(of: "kept").bytes == 0, "which it gives back")
    return notes.wrong
  }

  private func cursors() async throws -> [String] {
    var notes = ContractNotes()
    let start = try await one.cursor(of: "sink")
    notes.expect(start == ChangeCursor(), "a new one is at the beginning")
    var next = ChangeCursor()
    next[ChangeCursor.Place(useCase: "u", partition: PartitionID(source: "s", number: 3))] = 7
    notes.expect(try await other.advance("sink", from: start, to: next), "it moves")
    notes.expect(try await !one.advance("sink", from: start, to: ChangeCursor()), "not from where it is not")
    notes.expect(try await one.cursor(of: "sink") == next, "and is kept")
    notes.expect(try await one.cursor(of: "another") == start, "by name")
    return notes.wrong
  }

  private func kept() async throws -> [String] {
    var notes = ContractNotes()
    notes.expect(try await one.place(of: "keeper") == nil, "a new one has no place")
    var first = ChangeCursor()
    first[ChangeCursor.Place(useCase: "u", partition: PartitionID(source: "s", number: 0))] = 1
    let place = OutboxPlace(cursor: first, kept: "a\0b")
    notes.expect(try await one.advance("keeper", from: ChangeCursor(), to: place), "it moves")
    notes.expect(try await other.place(of: "keeper") == place, "and keeps what it is given, whole")
    let later = OutboxPlace(cursor: first, kept: "c")
    notes.expect(try await other.advance("keeper", from: first, to: later), "it may stay where it is")
    notes.expect(
      try await !one.advance("keeper", from: ChangeCursor(), to: place), "one that is elsewhere changes nothing")
    notes.expect(try await one.place(of: "keeper") == later, "neither place nor what is kept")
    notes.expect(try await one.advance("keeper", from: first, to: ChangeCursor()), "it may move alone")
    notes.expect(
      try await other.place(of: "keeper") == OutboxPlace(cursor: ChangeCursor(), kept: "c"), "what it keeps stays then")
    return notes.wrong
  }
}
