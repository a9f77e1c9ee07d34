// Where batches come from. A source knows partitions and positions; it neither decodes nor decides what is kept.

public import Detection

/// What a source says. Of one partition: `assigned`, then, once the pipeline has answered, batches, then perhaps `revoked`
/// or `lost`, after which it may be assigned again.
public enum SourceEvent: Sendable {
  /// A partition is this process's to read. Nothing of it is handed over before the answer, `resume(_:at:)`.
  case assigned(PartitionID)
  /// The next records of a partition.
  case batch(RawBatch)
  /// Another process is to have the partition: what was handed over of it is processed and stored, and then the source is
  /// answered, `release(_:)`. Nothing more of it is handed over.
  case revoked(PartitionID)
  /// Another process may have the partition already: what is under way of it is given up. Nothing more of it is handed
  /// over, and the answer is the same.
  case lost(PartitionID)
  /// Nothing has come of the partition for a while. A source that knows it says so; the pipeline notices by itself where
  /// nothing comes for `Options.idleAfter`.
  case idle(PartitionID)
  /// Nothing more will come of any partition.
  case end
}

/// Where to continue a partition, as the last checkpoint recorded it.
public struct ResumePoint: Sendable, Hashable {
  public var position: Position
  /// What the source reported with `checkpointState(of:at:)` when the checkpoint was taken.
  public var sourceState: [UInt8]
  /// What all changes that the source reported with `takeStateChanges(of:at:)` have left behind.
  public var stateEntries: [[UInt8]: [UInt8]]

  public init(position: Position, sourceState: [UInt8], stateEntries: [[UInt8]: [UInt8]] = [:]) {
    self.position = position
    self.sourceState = sourceState
    self.stateEntries = stateEntries
  }

  init(_ snapshot: PartitionSnapshot) {
    let entries = snapshot.states[Checkpoint.sourceSpace]?.entries ?? []
    self.init(
      position: snapshot.position, sourceState: snapshot.sourceState,
      stateEntries: Dictionary(entries.map { ($0.key, $0.value) }, uniquingKeysWith: { $1 }))
  }
}

/// A break in an input that a person has accepted: something that was to be read cannot be, and the input goes on.
public struct InputGap: Sendable, Hashable {
  /// What is missing, why, and where reading goes on, in one sentence.
  public var description: String

  public init(_ description: String) { self.description = description }
}

/// A supplier of raw batches. Calls of `next` are serial: the pipeline has one reader; answers come beside them, from the
/// lanes of the partitions. What blocks (files, C clients) blocks on a thread of the source's own, never on the
/// cooperative pool.
public protocol Source: AnyObject, Sendable {
  /// Name of the source in positions and identities.
  var name: String { get }

  /// Whether the input is there and could be read from its beginning, as far as that can be told without reading it.
  /// - Throws: `OperatingError` where `resume` without a point would.
  func check() async throws

  /// What happens next, waiting as long as nothing does. Records of a partition come in order, each exactly once for each
  /// time the partition is assigned. After `stop()` it returns `.end` soon, whatever was not answered.
  /// - Throws: `OperatingError` when the input cannot be read further.
  func next() async throws -> SourceEvent

  /// The answer to `assigned`: the partition is claimed and prepared, and reading goes on behind a point.
  /// - Parameter point: nil where nothing is stored of the partition: it starts at its beginning.
  /// - Returns: breaks in the input that a person has accepted, to be put on record before anything behind them is.
  /// - Throws: `OperatingError` when the input is not the one the point belongs to.
  func resume(_ partition: PartitionID, at point: ResumePoint?) async throws -> [InputGap]

  /// The last answer of an assignment: nothing of it is under way here any more. It follows `revoked`, `lost` and the end,
  /// and comes of itself where this process may not write the partition any more. Of each assignment there is one, and
  /// those of one partition follow one another: an answer belongs to the oldest assignment without a last one, which may
  /// have been revoked or lost before it was resumed.
  func release(_ partition: PartitionID) async

  /// What the source must know to continue this partition at `position`, beside the position: a file's manifest. Asked
  /// when a checkpoint is taken, so it must not block; it may know more than the position has reached, never less. Never
  /// asked before `resume` has returned; where that came too late, for an assignment that was taken back, what the point has
  /// is the answer.
  /// - Parameter position: the `next` of a batch, or where the partition was resumed.
  func checkpointState(of partition: PartitionID, at position: Position) -> [UInt8]

  /// What of the source's state is kept as entries, because all of it is too much for every checkpoint: those that have
  /// changed since the last call, or since `resume`. Asked after `checkpointState(of:at:)`, under the same terms.
  func takeStateChanges(of partition: PartitionID, at position: Position) -> StateChanges

  /// Whether what a resumed run needs to find `segment` again was among what the last `takeStateChanges` or `resume` had.
  /// Where it was not, a checkpoint is taken before the segment's first result is committed.
  func isRecorded(_ segment: UInt32, of partition: PartitionID) -> Bool

  /// Whether everything that there is was handed over, and the source waits for what is not there yet. False while it
  /// reads, and where it cannot know. Callable from any thread.
  var waitsForMore: Bool { get }

  /// What it knows of itself. Asked once for each checkpoint interval, so it must not wait for anybody. Callable from any
  /// thread.
  func figures() -> SourceFigures

  /// Called after a checkpoint that contains everything before `position` is durable.
  func acknowledge(_ partition: PartitionID, upTo position: Position) async throws

  /// Ends the input early: `next` returns `.end` once it is called or wakes. Callable from any thread.
  func stop()
}

extension Source {
  public func check() async throws {}

  /// A source that never waits for more than it has, or cannot know.
  public var waitsForMore: Bool { false }

  /// A source that knows nothing of itself.
  public func figures() -> SourceFigures { SourceFigures() }

  public func takeStateChanges(of partition: PartitionID, at position: Position) -> StateChanges { StateChanges() }

  /// A source whose state is the same for all segments.
  public func isRecorded(_ segment: UInt32, of partition: PartitionID) -> Bool { true }

  public func acknowledge(_ partition: PartitionID, upTo position: Position) async throws {}
}
