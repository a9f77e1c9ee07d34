// A checkpoint: positions and state that belong together, committed as one transaction. It carries what changed since
// the last one, and what a restart needs is what all of them together left behind.

public import Detection

/// Everything of one partition that one transaction commits.
public struct Checkpoint: Sendable {
  public var claim: Claim
  /// Where to read on.
  public var position: Position
  /// What the source needs to continue there.
  public var sourceState: [UInt8]
  /// Microseconds; `Int64.min` while unknown.
  public var watermark: Int64
  public var totals: Totals
  /// Windows that have closed. Open ones are in `states`, in a space of each window (`WindowSpace`); where such a space is
  /// written, the open windows that earlier versions have stored one by one under its definition are removed first.
  public var windows: WindowRows
  /// Definitions (fingerprints) that no longer apply: what earlier versions have stored one by one of their open windows takes
  /// no more events and counts as closed.
  public var leftWindows: [WindowVersion]
  /// Stored windows of a definition that start before the bound are removed.
  public var windowRetention: [WindowRetention]
  /// Anomalies and dead letters before this time are removed, microseconds; nil keeps everything.
  public var resultsKeepFrom: Int64?
  public var states: [StateSpace]
  /// Full drift counts of the days that changed.
  public var drift: [DriftCounts]
  /// Drift counts of days before this one (days since 1970-01-01 UTC) are removed; nil keeps everything.
  public var driftKeepFrom: Int64?
  /// Name of the state space that belongs to the source.
  static let sourceSpace = "source"
  public var history: HistoryChanges
  /// Stored parts of windows that go before `windows` are written: what was merged into another part, or is no window any
  /// more. One that was closed is retracted.
  public var removedWindows: [WindowKey] = []
  /// Whether the lane ends here, and the partition is not handed to another process: what an earlier claim has left
  /// behind the position is found by nobody again.
  public var isLast = false

  /// What names a part of a window within its partition.
  public struct WindowKey: Sendable, Hashable {
    /// Name of the definition.
    public var window: String
    /// Start, microseconds.
    public var start: Int64
    /// The values of `by`.
    public var by: [Scalar]
    /// Fingerprint of the definition.
    public var definition: String

    public init(window: String, start: Int64, by: [Scalar], definition: String) {
      self.window = window
      self.start = start
      self.by = by
      self.definition = definition
    }
  }

  /// One of the definitions that a window has had.
  public struct WindowVersion: Sendable, Hashable {
    /// Name of the window.
    public var window: String
    /// Fingerprint of the definition.
    public var definition: String

    public init(window: String, definition: String) {
      self.window = window
      self.definition = definition
    }
  }

  /// Up to where the windows of a definition are out of retention.
  public struct WindowRetention: Sendable {
    /// Name of the window.
    public var window: String
    /// Microseconds.
    public var startsBefore: Int64

    public init(window: String, startsBefore: Int64) {
      self.window = window
      self.startsBefore = startsBefore
    }
  }

  /// The changes of one stateful part.
  public struct StateSpace: Sendable {
    public var name: String
    public var fingerprint: String
    public var changes: StateChanges
    /// More entries to insert, each made when it is asked for.
    public var segments: WindowSegments

    public init(
      name: String, fingerprint: String, changes: StateChanges, segments: WindowSegments = WindowSegments()
    ) {
      self.name = name
      self.fingerprint = fingerprint
      self.changes = changes
      self.segments = segments
    }

    /// All entries to insert or replace, one after another.
    public var puts: AnyIterator<StateEntry> {
      var (first, rest) = (changes.puts.makeIterator(), segments.makeIterator())
      return AnyIterator { first.next() ?? rest.next() }
    }
  }

  public init(
    claim: Claim, position: Position, sourceState: [UInt8], watermark: Int64, totals: Totals, windows: WindowRows,
    leftWindows: [WindowVersion] = [], windowRetention: [WindowRetention],
    resultsKeepFrom: Int64?, states: [StateSpace], history: HistoryChanges, drift: [DriftCounts] = [],
    driftKeepFrom: Int64? = nil
  ) {
    self.claim = claim
    self.position = position
    self.sourceState = sourceState
    self.watermark = watermark
    self.totals = totals
    self.windows = windows
    self.leftWindows = leftWindows
    self.windowRetention = windowRetention
    self.resultsKeepFrom = resultsKeepFrom
    self.states = states
    self.history = history
    self.drift = drift
    self.driftKeepFrom = driftKeepFrom
  }
}

extension Checkpoint {
  public var useCase: String { claim.useCase }
  public var partition: PartitionID { claim.partition }

  /// Bytes of memory that windows and state take until they are let go.
  var heldBytes: Int {
    states.reduce(windows.heldBytes) { sum, space in
      space.changes.puts.reduce(sum + space.segments.heldBytes) { $0 + $1.key.count + $1.value.count }
    }
  }
}

/// What a restart finds of one partition.
public struct PartitionSnapshot: Sendable {
  /// Up to where the windows of a definition have closed.
  public struct ClosedWindows: Sendable {
    /// Name of the window.
    public var window: String
    /// Fingerprint of the definition.
    public var definition: String
    /// The latest start of one that has closed, microseconds.
    public var through: Int64

    public init(window: String, definition: String, through: Int64) {
      self.window = window
      self.definition = definition
      self.through = through
    }
  }

  /// A state space as it is stored.
  public struct StoredState: Sendable {
    /// What its entries were written under.
    public var fingerprint: String
    /// Keys ascending.
    public var entries: [StateEntry]

    public init(fingerprint: String, entries: [StateEntry] = []) {
      self.fingerprint = fingerprint
      self.entries = entries
    }
  }

  public var position: Position
  public var sourceState: [UInt8]
  public var totals: Totals
  /// Open windows that earlier versions have stored one by one; the others are in `states`.
  public var openWindows: StoredWindows
  /// The latest start of a closed window of each window and definition (its fingerprint).
  public var closedWindows: [ClosedWindows]
  /// Every state space, by name.
  public var states: [String: StoredState]
  /// Texts of the configurations that the use case has had, that applied last first: by them open windows of definitions
  /// that no longer apply are read.
  public var configurations: [String] = []
  /// History rows that are not yet in a shard, in order.
  public var tails: [HistoryTail]
  /// Number of the next shard of each day.
  public var nextShard: [String: Int]
  /// What its events looked like to the models, by detector, version and day.
  public var drift: [DriftCounts]

  public init(
    position: Position, sourceState: [UInt8], totals: Totals, openWindows: StoredWindows,
    closedWindows: [ClosedWindows], states: [String: StoredState], tails: [HistoryTail], nextShard: [String: Int],
    drift: [DriftCounts] = []
  ) {
    self.position = position
    self.sourceState = sourceState
    self.totals = totals
    self.openWindows = openWindows
    self.closedWindows = closedWindows
    self.states = states
    self.tails = tails
    self.nextShard = nextShard
    self.drift = drift
  }
}

/// The recorded decision that a version of the configuration, or of the model of one detector, applies from a position
/// on, that the input ended at a position, or that it goes on there although something of it is missing. Of those of one kind
/// and detector whose position is at or before an event's, the last one recorded counts; every close and gap counts.
/// Together with the input, the activation log determines all results.
public struct Activation: Sendable, Hashable {
  public enum Kind: String, Sendable, Hashable {
    case configuration, model, gap
    /// The input was declared to be at its end: before the events at the position, whatever waits is decided and every
    /// window closes.
    case close
  }

  public var partition: PartitionID
  /// First position it applies to.
  public var from: Position
  public var kind: Kind
  /// For a model, the detector it scores for; nil for a configuration.
  public var detector: String?
  /// For a configuration the SHA-256 of its canonical text, in hexadecimal. For a model its version; empty where the
  /// detector has none from there on. For a gap what is missing, in one sentence. Empty for a close.
  public var version: String

  public init(partition: PartitionID, from: Position, kind: Kind, detector: String? = nil, version: String) {
    self.partition = partition
    self.from = from
    self.kind = kind
    self.detector = detector
    self.version = version
  }
}

/// Findings that are yet to come as of a checkpoint: what detectors that see events in order will say of those that wait.
public struct WaitingResults: Sendable, Hashable {
  public var events: [Position] = []
  /// Names of the detectors.
  public var detectors: [String] = []

  public init(events: [Position] = [], detectors: [String] = []) {
    self.events = events
    self.detectors = detectors
  }

  /// Whether there are none.
  public var isEmpty: Bool { events.isEmpty || detectors.isEmpty }
}

/// Where results and checkpoints are kept, together, so that one transaction covers both. Calls may come from several
/// lanes at once; each is durable when it returns. Writes under a claim that was superseded are refused.
///
/// The results of a partition that are committed, change or are retracted get a number each, ascending within the
/// partition and in the transaction that writes them (`ResultChange`). A partition has one writer, so its numbers are in
/// the order of the commits, whatever the store is.
public protocol Store: Sendable {
  /// Claims a partition: whoever had it before cannot write it any more. What a crash has left half done of it is
  /// finished.
  func claim(useCase: String, partition: PartitionID) async throws -> ClaimedPartition

  /// Stored entries of a state space, as of the last checkpoint of a claim.
  /// - Parameter keys: of entries; those that are not there are left out.
  /// - Returns: entries in the order of their keys (unsigned bytes).
  /// - Throws: `Superseded`.
  func state(
    of claim: Claim, in space: String, under keys: [[UInt8]]
  ) async throws -> [StateEntry]

  /// The activations of a partition in the order in which they were recorded.
  func activations(useCase: String, partition: PartitionID) async throws -> [Activation]

  /// Records an activation before the first event scored by it, and retracts anomalies and dead letters at or behind its
  /// position: they were scored under another version and will be scored again.
  /// - Parameter text: of a configuration, kept by its version.
  /// - Throws: `Superseded`.
  func activate(_ activation: Activation, under claim: Claim, text: String?) async throws

  /// Retracts findings of events that wait as of the last checkpoint: a run that was killed had committed them behind it.
  /// - Throws: `Superseded`.
  func retract(_ waiting: WaitingResults, under claim: Claim) async throws

  /// Commits results at once, of any number of partitions in one transaction; positions stay. Upserts: writing an equal
  /// one again only confirms it under the claim, which is no change.
  /// - Returns: the claims that were refused.
  func commit(_ results: [Results]) async throws -> Set<Claim>

  /// Commits checkpoints, one of a partition, in one transaction. Their new shards get their final names afterwards, by
  /// the caller.
  ///
  /// What an earlier claim has committed behind its last checkpoint stays at first, because most of it is found again. Of
  /// that, a checkpoint retracts what lies before its position and was not confirmed meanwhile: its input has changed.
  func commit(_ checkpoints: [Checkpoint]) async throws -> CommitOutcome
}
