// Which fitted models a store still speaks of, so that they are kept.

public import Detection
import GRDB
import Pipeline

extension StoreReader {
  /// A version of a model that the store names.
  public struct ModelUse: Sendable, Hashable {
    /// Nil where the store does not say: a version of this name of any detector.
    public var detector: String?
    public var version: String
  }

  /// The versions that stored anomalies name, and those that the partitions may still be scored with: of each partition and
  /// detector the version in force at the checkpoint, and all that were activated from behind it on.
  public func modelUses(of useCase: String) throws -> Set<ModelUse> {
    try read { database in
      var uses = Set(
        try Row.fetchAll(
          database, sql: "SELECT DISTINCT detector, model FROM anomalies WHERE use_case = ? AND model IS NOT NULL",
          arguments: [useCase]
        ).map { ModelUse(detector: $0["detector"], version: $0["model"]) })
      var checkpoints: [PartitionID: Position] = [:]
      for row in try Row.fetchAll(database, sql: "SELECT * FROM partitions WHERE use_case = ?", arguments: [useCase]) {
        checkpoints[Self.partition(row)] = Self.position(row)
      }
      let activations = try Row.fetchAll(
        database, sql: "SELECT * FROM activations WHERE use_case = ? AND kind = 'model' ORDER BY sequence DESC",
        arguments: [useCase])
      // Those in force at the checkpoint have been seen, by partition and detector.
      var settled: Set<Activated> = []
      for row in activations {
        let use = ModelUse(detector: row.hasColumn("detector") ? row["detector"] : nil, version: row["version"])
        let partition = Self.partition(row)
        if let checkpoint = checkpoints[partition], let detector = use.detector, Self.position(row) <= checkpoint {
          guard settled.insert(Activated(partition: partition, detector: detector)).inserted else { continue }
        }
        // Without a version a detector was silenced.
        if !use.version.isEmpty { uses.insert(use) }
      }
      return uses
    }
  }

  /// A model that took over, and where.
  public struct ModelActivation: Sendable, Hashable {
    public var partition: PartitionID
    public var from: Position
    public var detector: String
    /// Empty where a detector was silenced.
    public var version: String
  }

  /// The activations of models, in the order in which they were recorded.
  public func modelActivations(of useCase: String) throws -> [ModelActivation] {
    try read { database in
      try Row.fetchAll(
        database, sql: "SELECT * FROM activations WHERE use_case = ? AND kind = 'model' ORDER BY sequence",
        arguments: [useCase]
      ).map {
        ModelActivation(
          partition: Self.partition($0), from: Self.position($0), detector: $0["detector"], version: $0["version"])
      }
    }
  }

  /// Where the anomalies of a detector are in a partition, ascending.
  public func anomalyPositions(of detector: String, useCase: String, in partition: PartitionID) throws -> [Position] {
    try read { database in
      try Row.fetchAll(
        database,
        sql: """
          SELECT segment, offset, row FROM anomalies
          WHERE use_case = ? AND source = ? AND partition = ? AND detector = ? ORDER BY segment, offset
          """, arguments: [useCase, partition.source, partition.number, detector]
      ).map(Self.position)
    }
  }

  private struct Activated: Hashable {
    var partition: PartitionID
    var detector: String
  }

  private static func partition(_ row: Row) -> PartitionID {
    PartitionID(source: row["source"], number: row["partition"])
  }

  private static func position(_ row: Row) -> Position {
    Position(segment: row["segment"], offset: row["offset"], row: row["row"])
  }
}
