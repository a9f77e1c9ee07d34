// What people and routes may write beside the results of runs: feedback, mutes, an audit trail, jobs, and records that are
// handed in. None of it needs a claim, and all of it may be written from another process than a run's. It changes what is
// announced and asked for, never what is stored as a result.

import Detection

/// What people and routes may write. Each call is one transaction and durable when it returns; all throw
/// `OperatingError`s. Times are microseconds since 1970-01-01 00:00 UTC and given by the caller.
public protocol Actions: Inbox {
  // MARK: Feedback

  /// Records what somebody thinks of findings, with a line of the audit trail. A later word of the same person on a finding
  /// takes the place of an earlier one.
  func record(_ feedback: [Feedback], noting line: AuditLine) async throws

  /// What was said of a finding, by who said it.
  func feedback(on finding: String, of useCase: String) async throws -> [Feedback]

  /// Everything that was said of findings of a use case, by finding and then by time.
  func feedback(of useCase: String) async throws -> [Feedback]

  /// Takes back what somebody said of findings, with a line of the audit trail.
  /// - Returns: of how many of them they had said something; the line is added where that is any.
  @discardableResult
  func withdraw(_ feedback: [Feedback], noting line: AuditLine) async throws -> Int

  // MARK: Mutes

  /// Lets findings be found in silence.
  /// - Returns: its number.
  func add(_ mute: Mute) async throws -> Int64

  /// Ends a mute before its time.
  /// - Returns: whether it was in force at that time.
  func liftMute(_ number: Int64, by who: String, at time: Int64) async throws -> Bool

  /// The mutes in force at a time, by number.
  func mutes(at time: Int64) async throws -> [NumberedMute]

  // MARK: Audit

  /// Adds a line to the audit trail. Nothing of it is ever changed or removed.
  /// - Returns: its number.
  func append(_ line: AuditLine) async throws -> Int64

  /// Lines of the audit trail, the newest first.
  /// - Parameter number: those before this one; nil for the newest.
  func auditLines(before number: Int64?, limit: Int) async throws -> [NumberedAuditLine]

  // MARK: Jobs

  /// Asks for something to be done. See `Job.State` for what becomes of it.
  /// - Parameter key: names what is asked for: while a job with this key is not over, another one is not made.
  /// - Returns: the job, new or under way.
  func createJob(_ kind: String, arguments: String, key: String?, by who: String, at time: Int64) async throws -> Job

  func job(_ number: Int64) async throws -> Job?

  /// Jobs, the newest first.
  /// - Parameter number: those before this one; nil for the newest.
  func jobs(before number: Int64?, limit: Int) async throws -> [Job]

  /// Takes the oldest job of some kinds that is waiting, or whose worker has not been heard of since its lease ended.
  /// - Parameter until: the lease: until then nobody else takes it.
  /// - Returns: nil where there is none.
  func claimJob(_ kinds: [String], worker: String, at time: Int64, until: Int64) async throws -> Job?

  /// Says how far a job has come, and extends its lease.
  /// - Parameter progress: 0 to 1.
  /// - Returns: what is asked of the worker: `running`, or `cancelling`; nil where the job is not this worker's any more,
  ///   who has to leave it alone then.
  func reportProgress(
    of number: Int64, worker: String, progress: Double, until: Int64
  ) async throws -> Job.State?

  /// Ends a job.
  /// - Parameter outcome: what came of it, a JSON value; for a failed one the reason as text.
  /// - Returns: whether it was this worker's.
  func finishJob(
    _ number: Int64, worker: String, as state: Job.Ending, outcome: String, at time: Int64
  ) async throws -> Bool

  /// Asks for a job to be given up. One that waits is over at once; one that runs is `cancelling` until its worker says so.
  /// - Returns: its state now; nil where there is no such job.
  func cancelJob(_ number: Int64, at time: Int64) async throws -> Job.State?
}

/// What somebody thinks of a finding.
public struct Feedback: Sendable, Hashable {
  public enum Verdict: String, Sendable, Hashable, CaseIterable {
    /// It was worth knowing.
    case real
    /// It was not.
    case falseAlarm = "false_alarm"
    /// Somebody has seen it, and says nothing more yet.
    case acknowledged
    case unsure
  }

  public var useCase: String
  /// Its id.
  public var finding: String
  public var verdict: Verdict
  public var who: String
  public var time: Int64
  public var note: String

  public init(useCase: String, finding: String, verdict: Verdict, who: String, time: Int64, note: String = "") {
    self.useCase = useCase
    self.finding = finding
    self.verdict = verdict
    self.who = who
    self.time = time
    self.note = note
  }
}

/// That findings are not announced for a while.
public struct Mute: Sendable, Hashable {
  /// What it is about; nil stands for all. One without any is refused.
  public var useCase: String?
  public var detector: String?
  public var key: String?
  /// Exclusive.
  public var until: Int64
  public var who: String
  public var why: String
  public var time: Int64

  public init(
    useCase: String? = nil, detector: String? = nil, key: String? = nil, until: Int64, who: String, why: String,
    time: Int64
  ) {
    self.useCase = useCase
    self.detector = detector
    self.key = key
    self.until = until
    self.who = who
    self.why = why
    self.time = time
  }

  /// Whether a finding is one that it is about.
  public func covers(useCase: String, detector: String, key: String) -> Bool {
    (self.useCase ?? useCase) == useCase && (self.detector ?? detector) == detector && (self.key ?? key) == key
  }

  /// - Throws: `OperatingError` where it is about everything, or over before it begins.
  public func check() throws {
    if useCase == nil && detector == nil && key == nil {
      throw OperatingError(.input, "a mute is about a use case, a detector or a key: found none of them")
    }
    if until <= time { throw OperatingError(.input, "a mute ends behind its beginning: found an end before it") }
  }
}

/// A mute with its number.
public struct NumberedMute: Sendable, Hashable {
  public var number: Int64
  public var mute: Mute

  public init(number: Int64, mute: Mute) {
    self.number = number
    self.mute = mute
  }
}

/// Who did what.
public struct AuditLine: Sendable, Hashable {
  public var time: Int64
  public var who: String
  /// What was done: `models.promote`.
  public var action: String
  /// What it was done to.
  public var subject: String
  /// More of it, a JSON value; empty for none.
  public var details: String

  public init(time: Int64, who: String, action: String, subject: String, details: String = "") {
    self.time = time
    self.who = who
    self.action = action
    self.subject = subject
    self.details = details
  }
}

/// A line of the audit trail with its number.
public struct NumberedAuditLine: Sendable, Hashable {
  public var number: Int64
  public var line: AuditLine

  public init(number: Int64, line: AuditLine) {
    self.number = number
    self.line = line
  }
}

/// Something that is to be done by a worker.
public struct Job: Sendable, Hashable {
  /// A job is `waiting` until a worker claims it; `running` until the worker ends it as `finished` or `failed`; it goes
  /// back to a worker when the lease of the one before has ended. `cancelling` is a running one whose worker is asked to
  /// give it up, and which ends as `cancelled`, or as `finished` or `failed` where that came first; nobody takes it when
  /// its lease has ended: it is cancelled then. The last three are for good.
  ///
  ///     waiting ─claim→ running ─finish→ finished | failed
  ///        │              │ └lease ends→ (claimed again)
  ///        │ cancel       │ cancel
  ///        ↓              ↓
  ///     cancelled ←── cancelling
  public enum State: String, Sendable, Hashable, CaseIterable {
    case waiting, running, cancelling, finished, failed, cancelled

    public var isOver: Bool { self == .finished || self == .failed || self == .cancelled }
  }

  /// How a worker ends a job.
  public enum Ending: String, Sendable, Hashable { case finished, failed, cancelled }

  public var number: Int64
  public var kind: String
  /// A JSON value.
  public var arguments: String
  public var key: String?
  public var state: State
  public var who: String
  public var created: Int64
  /// Who has it or had it last.
  public var worker: String?
  /// How often it was claimed.
  public var attempts: Int
  /// The end of the lease.
  public var leasedUntil: Int64?
  /// 0 to 1.
  public var progress: Double
  public var ended: Int64?
  /// What came of it.
  public var outcome: String?

  public init(
    number: Int64, kind: String, arguments: String, key: String?, state: State, who: String, created: Int64,
    worker: String? = nil, attempts: Int = 0, leasedUntil: Int64? = nil, progress: Double = 0, ended: Int64? = nil,
    outcome: String? = nil
  ) {
    self.number = number
    self.kind = kind
    self.arguments = arguments
    self.key = key
    self.state = state
    self.who = who
    self.created = created
    self.worker = worker
    self.attempts = attempts
    self.leasedUntil = leasedUntil
    self.progress = progress
    self.ended = ended
    self.outcome = outcome
  }
}
