// Reading what runs have stored, from this process or another one, whatever the store is.

public import Detection

/// What runs have stored, for whoever only reads. Implementations keep what blocks off the cooperative pool.
public protocol ResultReader: Sendable {
  /// What is read, as messages name it: a directory, a database.
  var place: String { get }

  /// A view of the store as it is now. It holds a connection until it is ended: see `read(_:)`.
  /// - Throws: `OperatingError`.
  func snapshot() async throws -> any ResultSnapshot
}

extension ResultReader {
  /// Calls `body` with a view of the store as it is now, and ends it.
  public func read<Value>(
    isolation: isolated (any Actor)? = #isolation, _ body: (any ResultSnapshot) async throws -> Value
  ) async throws -> Value {
    let snapshot = try await snapshot()
    do {
      let value = try await body(snapshot)
      await snapshot.end()
      return value
    } catch {
      await snapshot.end()
      throw error
    }
  }
}

/// A store as it was at one moment: all reads see that, whatever is committed meanwhile. Calls are serial: one at a time.
/// Lists come in pages, so any number of rows takes bounded memory. All calls throw `OperatingError`s.
public protocol ResultSnapshot: Sendable {
  /// The use cases that have run here, by name.
  func useCases() async throws -> [String]

  /// The names of detectors (rules among them) and windows that a use case, or any, has had, ascending: those that are on
  /// record in its configurations, found something or not, and those that results have.
  func names(of useCase: String?) async throws -> ResultNames

  /// Anomalies, newest event time first.
  /// - Parameter page: where a list goes on; nil for its beginning.
  func anomalies(_ filter: ResultFilter, after page: PageCursor?) async throws -> ResultPage<StoredAnomaly>

  /// Dead letters, last read first.
  func deadLetters(_ filter: ResultFilter, after page: PageCursor?) async throws -> ResultPage<StoredDeadLetter>

  /// Windows, newest start first, then by their values. Parts of several definitions of a window (it was changed between
  /// runs) cannot be added up: each definition has a row of its own, the newest first.
  func windows(_ filter: ResultFilter, after page: PageCursor?) async throws -> ResultPage<StoredWindow>

  /// A stored anomaly with the text of the configuration in force at its position; nil where there is none of this id.
  func anomaly(id: String) async throws -> (anomaly: StoredAnomaly, configuration: String)?

  /// The text of the configuration of a use case that was applied last; nil where none was.
  func configuration(of useCase: String) async throws -> String?

  /// Where the anomalies of a detector are in a partition, ascending.
  func anomalyPositions(of detector: String, useCase: String, in partition: PartitionID) async throws -> [Position]

  /// Number of anomalies of a use case by detector, most first.
  func anomalyCounts(of useCase: String) async throws -> [(detector: String, count: Int)]

  /// The entities of a window definition with the highest value of an aggregate over all stored windows together, as far
  /// as they belong to the definition that applies now.
  /// - Returns: at most `limit` entities, highest first.
  func topEntities(
    of useCase: String, window name: String, by aggregate: String, limit: Int
  ) async throws -> [TopEntity]

  /// The state of every partition, of a use case or of all, in order.
  /// - Parameter isCounting: whether what is stored is counted, which takes as long as there is much of it.
  func status(of useCase: String?, counting isCounting: Bool) async throws -> [PartitionStatus]

  /// What the events of a use case looked like to its models, as of the last checkpoints, over all partitions: by
  /// detector, version and day, ascending.
  /// - Parameter detector: of this one only.
  func drift(of useCase: String, detector: String?) async throws -> [DriftCounts]

  /// The activations of a use case, in the order in which they were recorded; see `Activation`.
  func activations(of useCase: String) async throws -> [Activation]

  /// The versions of models that stored anomalies name, and those that the partitions may still be scored with: of each
  /// partition and detector the version in force at the checkpoint, and all that were activated from behind it on.
  func modelUses(of useCase: String) async throws -> Set<ModelUse>

  /// Changes behind a cursor, some at a time, those of a partition in order.
  /// - Parameters:
  ///   - useCase: of this one only. A cursor belongs to the use case it was made for.
  ///   - limit: changes at most, from 1 on.
  func changes(since cursor: ChangeCursor, of useCase: String?, limit: Int) async throws -> ChangePage

  /// Behind all changes of a use case, or of all: whoever begins here sees what is committed from now on.
  func latestChange(of useCase: String?) async throws -> ChangeCursor

  /// Gives back what the view holds. Nothing is read behind it.
  func end() async
}

extension ResultSnapshot {
  /// The state of every partition, of a use case or of all, in order, with what is stored counted.
  public func status(of useCase: String?) async throws -> [PartitionStatus] {
    try await status(of: useCase, counting: true)
  }

  /// Calls `body` with one anomaly after another, in the order of the list: any number takes the memory of a page.
  public func forEachAnomaly(
    _ filter: ResultFilter, isolation: isolated (any Actor)? = #isolation, _ body: (StoredAnomaly) throws -> Void
  ) async throws {
    try await forEach(filter, { try await self.anomalies($0, after: $1) }, body)
  }

  /// Calls `body` with one dead letter after another.
  public func forEachDeadLetter(
    _ filter: ResultFilter, isolation: isolated (any Actor)? = #isolation, _ body: (StoredDeadLetter) throws -> Void
  ) async throws {
    try await forEach(filter, { try await self.deadLetters($0, after: $1) }, body)
  }

  /// Calls `body` with one window after another.
  public func forEachWindow(
    _ filter: ResultFilter, isolation: isolated (any Actor)? = #isolation, _ body: (StoredWindow) throws -> Void
  ) async throws {
    try await forEach(filter, { try await self.windows($0, after: $1) }, body)
  }

  private func forEach<Row>(
    _ filter: ResultFilter, isolation: isolated (any Actor)? = #isolation,
    _ next: (ResultFilter, PageCursor?) async throws -> ResultPage<Row>, _ body: (Row) throws -> Void
  ) async throws {
    var filter = filter
    var cursor: PageCursor?
    while true {
      let page = try await next(filter, cursor)
      for row in page.rows { try body(row) }
      guard let following = page.next else { return }
      if filter.limit > 0 {
        filter.limit -= page.rows.count
        if filter.limit <= 0 { return }
      }
      cursor = following
    }
  }

  /// Anomalies as the filter asks for, all in memory.
  public func anomalies(
    _ filter: ResultFilter, isolation: isolated (any Actor)? = #isolation
  ) async throws -> [StoredAnomaly] {
    var rows: [StoredAnomaly] = []
    try await forEachAnomaly(filter) { rows.append($0) }
    return rows
  }

  /// Dead letters as the filter asks for, all in memory.
  public func deadLetters(
    _ filter: ResultFilter, isolation: isolated (any Actor)? = #isolation
  ) async throws -> [StoredDeadLetter] {
    var rows: [StoredDeadLetter] = []
    try await forEachDeadLetter(filter) { rows.append($0) }
    return rows
  }

  /// Windows as the filter asks for, all in memory.
  public func windows(
    _ filter: ResultFilter, isolation: isolated (any Actor)? = #isolation
  ) async throws -> [StoredWindow] {
    var rows: [StoredWindow] = []
    try await forEachWindow(filter) { rows.append($0) }
    return rows
  }
}

/// Names that results can be asked for by.
public struct ResultNames: Sendable, Hashable {
  public var detectors: [String]
  public var windows: [String]

  public init(detectors: [String], windows: [String]) {
    self.detectors = detectors
    self.windows = windows
  }
}

/// An entity by an aggregate over all its windows.
public struct TopEntity: Sendable, Hashable {
  /// Its values, a JSON object.
  public var by: String
  public var events: Int64
  public var value: Double

  public init(by: String, events: Int64, value: Double) {
    self.by = by
    self.events = events
    self.value = value
  }
}

/// A version of a model that a store names.
public struct ModelUse: Sendable, Hashable {
  /// Nil where the store does not say: a version of this name of any detector.
  public var detector: String?
  public var version: String

  public init(detector: String?, version: String) {
    self.detector = detector
    self.version = version
  }
}

extension ModelUse {
  /// The versions that activations may still let score.
  /// - Parameters:
  ///   - activations: in the order in which they were recorded.
  ///   - checkpoints: of the partitions that have one.
  public static func inForce(
    _ activations: [Activation], checkpoints: [PartitionID: Position]
  ) -> Set<ModelUse> {
    struct Scored: Hashable {
      var partition: PartitionID
      var detector: String
    }
    var uses: Set<ModelUse> = []
    // Those in force at the checkpoint have been seen.
    var settled: Set<Scored> = []
    for activation in activations.reversed() where activation.kind == .model {
      if let checkpoint = checkpoints[activation.partition], let detector = activation.detector,
        activation.from <= checkpoint
      {
        guard settled.insert(Scored(partition: activation.partition, detector: detector)).inserted else { continue }
      }
      // Without a version a detector was silenced.
      if !activation.version.isEmpty {
        uses.insert(ModelUse(detector: activation.detector, version: activation.version))
      }
    }
    return uses
  }
}
