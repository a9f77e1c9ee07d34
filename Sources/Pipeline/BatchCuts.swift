// Where the batches of a partition are cut before they are handed out: where a model takes over, and where the input was
// declared to be at its end (`--close`). Both are on record in the activation log, so that a run that comes past such a
// place again does there what the first one did.

import Detection

/// The cuts of one partition. Used by its lane's dispatcher alone, once for each batch.
final class BatchCuts {
  private let ends: [Position]
  /// Nil where the use case has no learned detectors.
  private let schedule: ModelSchedule?

  init(_ log: [Activation], _ schedule: ModelSchedule?) {
    ends = Self.ends(log)
    self.schedule = schedule
  }

  /// The batch in pieces, each with the models that score it.
  /// - Throws: where an activation cannot be recorded.
  func pieces(of raw: RawBatch) async throws -> [ScoredPiece] {
    var pieces: [ScoredPiece] = []
    for part in parts(of: raw) {
      pieces += try await schedule?.pieces(of: part) ?? [ScoredPiece(raw: part, models: .none)]
    }
    return pieces
  }

  /// The batch, cut at the ends of the input within it.
  private func parts(of raw: RawBatch) -> [RawBatch] {
    guard let first = raw.first else { return [raw] }
    var parts: [RawBatch] = []
    var rest = raw
    for position in ends where position > first {
      guard let split = rest.split(at: position) else { continue }
      parts.append(split.before)
      rest = split.behind
    }
    return parts + [rest]
  }

  /// The ends on record, ascending, each once.
  static func ends(_ log: [Activation]) -> [Position] {
    Set(log.filter { $0.kind == .close }.map(\.from)).sorted()
  }
}

/// The ends of the input that a lane has not come to yet.
struct ComingEnds {
  private var positions: ArraySlice<Position> = []

  init() {}

  /// - Parameter position: where the partition continues.
  init(_ log: [Activation], from position: Position) {
    positions = BatchCuts.ends(log).filter { $0 >= position }[...]
  }

  /// Whether an end lies at or before `position`; then it is past.
  mutating func pass(_ position: Position) -> Bool {
    let isPassed = positions.first.map { $0 <= position } ?? false
    positions = positions.drop { $0 <= position }
    return isPassed
  }
}
