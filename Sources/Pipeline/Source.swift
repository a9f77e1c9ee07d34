// Where batches come from. A source knows partitions and positions; it neither decodes nor decides what is kept.

public import Detection

/// What a source hands to the pipeline.
public enum SourceOutput: Sendable {
  /// The next records of a partition.
  case batch(RawBatch)
  /// Nothing more will come.
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
  public var partition: PartitionID
  /// What is missing, why, and where reading goes on, in one sentence.
  public var description: String

  public init(partition: PartitionID, description: String) {
    self.partition = partition
    self.description = description
  }
}

/// A supplier of raw batches. Calls are serial: the pipeline has one reader. What blocks (files, C clients) blocks on a
/// thread of the source's own, never on the cooperative pool.
public protocol Source: AnyObject, Sendable {
  /// Name of the source in positions and identities.
  var name: String { get }

  /// Whether the input is there and could be read from its beginning, as far as that can be told without reading it.
  /// - Throws: `OperatingError` where `open` without points would.
  func check() async throws

  /// Prepares to continue behind the given points; a partition without one starts at its beginning. Called once,
  /// before `next`.
  /// - Throws: `OperatingError` when the input is not the one the points belong to.
  func open(resumingAt points: [PartitionID: ResumePoint]) async throws

  /// The next batch, waiting as long as there is none. Records of a partition come in order, each exactly once.
  /// After `stop()` it returns `.end` soon.
  /// - Throws: `OperatingError` when the input cannot be read further.
  func next() async throws -> SourceOutput

  /// What the source must know to continue this partition at `position`, beside the position: a file's manifest. Asked
  /// when a checkpoint is taken, so it must not block; it may know more than the position has reached, never less.
  /// - Parameter position: the `next` of a batch, or where the partition was resumed.
  func checkpointState(of partition: PartitionID, at position: Position) -> [UInt8]

  /// What of the source's state is kept as entries, because all of it is too much for every checkpoint: those that have
  /// changed since the last call, or since `open`. Asked after `checkpointState(of:at:)`, under the same terms.
  func takeStateChanges(of partition: PartitionID, at position: Position) -> StateChanges

  /// Whether what a resumed run needs to find `segment` again was among what the last `takeStateChanges` or
  /// `open(resumingAt:)` had. Where it was not, a checkpoint is taken before the segment's first result is committed.
  func isRecorded(_ segment: UInt32, of partition: PartitionID) -> Bool

  /// The breaks that were accepted when the source was opened. Each is put on record before anything is read.
  var acceptedGaps: [InputGap] { get async }

  /// Called after a checkpoint that contains everything before `position` is durable.
  func acknowledge(_ partition: PartitionID, upTo position: Position) async throws

  /// Ends the input early: `next` returns `.end` once it is called or wakes. Callable from any thread.
  func stop()
}

extension Source {
  public func check() async throws {}

  public func takeStateChanges(of partition: PartitionID, at position: Position) -> StateChanges { StateChanges() }

  /// A source whose state is the same for all segments.
  public func isRecorded(_ segment: UInt32, of partition: PartitionID) -> Bool { true }

  public var acceptedGaps: [InputGap] { get async { [] } }

  public func acknowledge(_ partition: PartitionID, upTo position: Position) async throws {}
}
