// Who may write a partition. A process that was thought dead and wakes must not write over what its successor has written:
// every write names its claim, and the store refuses it, in the same transaction, once another claim has superseded it.

public import Detection

/// The right to write one partition of a use case, until it is claimed again.
public struct Claim: Sendable, Hashable {
  public var useCase: String
  public var partition: PartitionID
  /// Counts the claims of the partition: the highest one counts.
  public var epoch: Int64

  public init(useCase: String, partition: PartitionID, epoch: Int64) {
    self.useCase = useCase
    self.partition = partition
    self.epoch = epoch
  }
}

/// That a claim was refused because another one has superseded it.
public struct Superseded: Error, Hashable {
  public var claim: Claim

  public init(_ claim: Claim) { self.claim = claim }
}

/// What of a commit was not written, and what became of the rest. What is of one claim is written whole or not at all.
public struct CommitOutcome: Sendable {
  /// Claims that have been superseded: nothing of theirs was written.
  public var refused: Set<Claim>
  /// Of the others: paths of the shards that the store no longer lists, relative to the data directory.
  public var removedShards: [Claim: [String]]

  public init(refused: Set<Claim> = [], removedShards: [Claim: [String]] = [:]) {
    self.refused = refused
    self.removedShards = removedShards
  }
}

/// A partition that was claimed.
public struct ClaimedPartition: Sendable {
  public var claim: Claim
  /// What is stored of it; nil where nothing is.
  public var snapshot: PartitionSnapshot?

  public init(_ claim: Claim, _ snapshot: PartitionSnapshot?) {
    self.claim = claim
    self.snapshot = snapshot
  }
}
