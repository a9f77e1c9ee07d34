// Actions in memory.

import Detection
public import Pipeline
import Synchronization

/// Keeps what people and routes write, and the cursors of outboxes.
public final class MemoryActions: Actions, OutboxCursors {
  private struct Inbox: Sendable {
    var state = InboxState()
    var records: [InboxRecord] = []
    var keys: [String: (handed: HandedIn, time: Int64, digest: [UInt8])] = [:]
  }

  private struct State: Sendable {
    var feedback: [String: Feedback] = [:]
    var mutes: [(mute: Mute, lifted: Int64?)] = []
    var audit: [AuditLine] = []
    var jobs: [Job] = []
    var inboxes: [String: Inbox] = [:]
    var outboxes: [String: OutboxPlace] = [:]
  }

  private let state = Mutex(State())

  public init() {}

  public func record(_ feedback: [Feedback], noting line: AuditLine) async throws {
    state.withLock { state in
      for one in feedback { state.feedback["\(one.useCase) \(one.finding) \(one.who)"] = one }
      state.audit.append(line)
    }
  }

  public func feedback(on finding: String, of useCase: String) async throws -> [Feedback] {
    state.withLock { $0.feedback.values.filter { $0.finding == finding && $0.useCase == useCase } }
      .sorted { $0.who < $1.who }
  }

  public func feedback(of useCase: String) async throws -> [Feedback] {
    state.withLock { $0.feedback.values.filter { $0.useCase == useCase } }
      .sorted { ($0.finding, $0.time, $0.who) < ($1.finding, $1.time, $1.who) }
  }

  public func withdraw(_ feedback: [Feedback], noting line: AuditLine) async throws -> Int {
    state.withLock { state in
      let count = feedback.count { state.feedback.removeValue(forKey: "\($0.useCase) \($0.finding) \($0.who)") != nil }
      if count > 0 { state.audit.append(line) }
      return count
    }
  }

  public func add(_ mute: Mute) async throws -> Int64 {
    try mute.check()
    return state.withLock { state in
      state.mutes.append((mute, nil))
      return Int64(state.mutes.count)
    }
  }

  public func liftMute(_ number: Int64, by who: String, at time: Int64) async throws -> Bool {
    state.withLock { state in
      let index = Int(number) - 1
      guard state.mutes.indices.contains(index), state.mutes[index].lifted == nil, state.mutes[index].mute.time <= time,
        state.mutes[index].mute.until > time
      else { return false }
      state.mutes[index].lifted = time
      return true
    }
  }

  public func mutes(at time: Int64) async throws -> [NumberedMute] {
    state.withLock { state in
      state.mutes.enumerated().filter {
        $1.mute.time <= time && $1.mute.until > time && $1.lifted ?? .max > time
      }.map { NumberedMute(number: Int64($0 + 1), mute: $1.mute) }
    }
  }

  public func append(_ line: AuditLine) async throws -> Int64 {
    state.withLock { state in
      state.audit.append(line)
      return Int64(state.audit.count)
    }
  }

  public func auditLines(before number: Int64?, limit: Int) async throws -> [NumberedAuditLine] {
    state.withLock { state in
      let lines = state.audit.enumerated().map { NumberedAuditLine(number: Int64($0 + 1), line: $1) }
      return Array(lines.filter { $0.number < number ?? .max }.reversed().prefix(limit))
    }
  }

  public func createJob(
    _ kind: String, arguments: String, key: String?, by who: String, at time: Int64
  ) async throws -> Job {
    state.withLock { state in
      if let key, let underWay = state.jobs.first(where: { $0.key == key && !$0.state.isOver }) { return underWay }
      let job = Job(
        number: Int64(state.jobs.count + 1), kind: kind, arguments: arguments, key: key, state: .waiting, who: who,
        created: time)
      state.jobs.append(job)
      return job
    }
  }

  public func job(_ number: Int64) async throws -> Job? {
    state.withLock { state in state.jobs.first { $0.number == number } }
  }

  public func jobs(before number: Int64?, limit: Int) async throws -> [Job] {
    state.withLock { Array($0.jobs.filter { $0.number < number ?? .max }.reversed().prefix(limit)) }
  }

  public func claimJob(_ kinds: [String], worker: String, at time: Int64, until: Int64) async throws -> Job? {
    state.withLock { state in
      for index in state.jobs.indices
      where state.jobs[index].state == .cancelling && state.jobs[index].leasedUntil ?? .max <= time {
        state.jobs[index].state = .cancelled
        state.jobs[index].ended = time
      }
      let index = state.jobs.firstIndex {
        kinds.contains($0.kind)
          && ($0.state == .waiting || $0.state == .running && $0.leasedUntil ?? .max <= time)
      }
      guard let index else { return nil }
      state.jobs[index].state = .running
      state.jobs[index].worker = worker
      state.jobs[index].attempts += 1
      state.jobs[index].leasedUntil = until
      return state.jobs[index]
    }
  }

  private func change<Value>(_ number: Int64, of worker: String, _ body: (inout Job) -> Value) -> Value? {
    state.withLock { state in
      let index = state.jobs.firstIndex {
        $0.number == number && $0.worker == worker && ($0.state == .running || $0.state == .cancelling)
      }
      guard let index else { return nil }
      return body(&state.jobs[index])
    }
  }

  public func reportProgress(
    of number: Int64, worker: String, progress: Double, until: Int64
  ) async throws -> Job.State? {
    change(number, of: worker) { job in
      job.progress = min(max(progress, 0), 1)
      job.leasedUntil = until
      return job.state
    }
  }

  public func finishJob(
    _ number: Int64, worker: String, as ending: Job.Ending, outcome: String, at time: Int64
  ) async throws -> Bool {
    change(number, of: worker) { job in
      job.state = Job.State(rawValue: ending.rawValue) ?? .failed
      job.outcome = outcome
      job.ended = time
      job.leasedUntil = nil
      if ending == .finished { job.progress = 1 }
      return true
    } ?? false
  }

  public func cancelJob(_ number: Int64, at time: Int64) async throws -> Job.State? {
    state.withLock { state in
      guard let index = state.jobs.firstIndex(where: { $0.number == number }) else { return nil }
      let job = state.jobs[index]
      let isLeft = !job.state.isOver && job.leasedUntil ?? .max <= time
      if job.state == .waiting || isLeft {
        state.jobs[index].state = .cancelled
        state.jobs[index].ended = time
      } else if job.state == .running {
        state.jobs[index].state = .cancelling
      }
      return state.jobs[index].state
    }
  }

  public func handIn(
    _ records: [HandedRecord], to inbox: String, key: String?, at time: Int64
  ) async throws -> HandedIn {
    try state.withLock { state in
      var box = state.inboxes[inbox] ?? Inbox()
      let digest = HandedIn.digest(of: records)
      if let key, let known = box.keys[key] {
        return HandedIn(
          first: known.handed.first, count: known.handed.count, isRepeated: true, isSame: known.digest == digest)
      }
      let bytes = records.reduce(Int64(0)) { $0 + Int64($1.size) }
      guard box.state.bytes == 0 || box.state.bytes + bytes <= Limits.maxInboxBytes else {
        throw OperatingError(.limit, "the inbox \(inbox) is full")
      }
      let first = box.state.next
      for record in records {
        box.records.append(InboxRecord(number: box.state.next, record))
        box.state.next += 1
      }
      box.state.bytes += bytes
      let handed = HandedIn(first: first, count: records.count, isRepeated: false)
      if let key { box.keys[key] = (handed, time, digest) }
      state.inboxes[inbox] = box
      return handed
    }
  }

  public func records(of inbox: String, from number: Int64, limit: Int, bytes: Int) async throws -> [InboxRecord] {
    state.withLock { state in
      var (records, size): ([InboxRecord], Int) = ([], 0)
      for record in state.inboxes[inbox]?.records ?? [] where record.number >= number {
        guard records.count < limit, size < bytes || records.isEmpty else { break }
        records.append(record)
        size += record.record.size
      }
      return records
    }
  }

  public func acknowledge(_ inbox: String, before number: Int64, at time: Int64) async throws {
    state.withLock { state in
      guard var box = state.inboxes[inbox] else { return }
      box.state.first = min(max(number, box.state.first), box.state.next)
      box.records.removeAll { $0.number < box.state.first }
      box.state.bytes = box.records.reduce(0) { $0 + Int64($1.record.size) }
      box.keys = box.keys.filter { _, known in
        known.handed.first + Int64(known.handed.count) > box.state.first
          || known.time >= time - Limits.inboxKeyLifetime
      }
      state.inboxes[inbox] = box
    }
  }

  public func state(of inbox: String) async throws -> InboxState {
    state.withLock { $0.inboxes[inbox]?.state ?? InboxState() }
  }

  public func cursor(of outbox: String) async throws -> ChangeCursor {
    state.withLock { $0.outboxes[outbox]?.cursor ?? ChangeCursor() }
  }

  public func place(of outbox: String) async throws -> OutboxPlace? { state.withLock { $0.outboxes[outbox] } }

  public func advance(_ outbox: String, from old: ChangeCursor, to new: ChangeCursor) async throws -> Bool {
    move(outbox, from: old, to: new, keeping: nil)
  }

  public func advance(_ outbox: String, from old: ChangeCursor, to new: OutboxPlace) async throws -> Bool {
    move(outbox, from: old, to: new.cursor, keeping: new.kept)
  }

  private func move(_ outbox: String, from old: ChangeCursor, to new: ChangeCursor, keeping kept: String?) -> Bool {
    state.withLock { state in
      let place = state.outboxes[outbox] ?? OutboxPlace(cursor: ChangeCursor(), kept: "")
      guard place.cursor == old else { return false }
      state.outboxes[outbox] = OutboxPlace(cursor: new, kept: kept ?? place.kept)
      return true
    }
  }
}
