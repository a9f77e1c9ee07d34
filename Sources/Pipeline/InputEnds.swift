// Where the input of a partition was declared to be at its end (`--close`): on record in the activation log, so that a
// run that comes past such a place again does there what the first one did.

import Detection

/// The reader's part: batches end where an input ended. Used by the reader's task alone.
final class InputEnds {
  private let store: any Store
  private let useCase: String
  private var ends: [PartitionID: [Position]] = [:]

  init(_ store: any Store, useCase: String) {
    self.store = store
    self.useCase = useCase
  }

  /// The batch, cut at the ends within it.
  func pieces(of raw: RawBatch) async throws -> [RawBatch] {
    guard let first = raw.first else { return [raw] }
    if ends[raw.partition] == nil {
      ends[raw.partition] = Self.positions(try await store.activations(useCase: useCase, partition: raw.partition))
    }
    var pieces: [RawBatch] = []
    var rest = raw
    for position in ends[raw.partition] ?? [] where position > first {
      guard let (before, behind) = rest.split(at: position) else { continue }
      pieces.append(before)
      rest = behind
    }
    return pieces + [rest]
  }

  /// The ends on record, ascending, each once.
  static func positions(_ log: [Activation]) -> [Position] {
    Set(log.filter { $0.kind == .close }.map(\.from)).sorted()
  }
}

/// The lane's part: ends that it has not come to yet.
struct ComingEnds {
  private var positions: ArraySlice<Position> = []

  init() {}

  /// - Parameter position: where the partition continues.
  init(_ log: [Activation], from position: Position) {
    positions = InputEnds.positions(log).filter { $0 >= position }[...]
  }

  /// Whether an end lies at or before `position`; then it is past.
  mutating func pass(_ position: Position) -> Bool {
    let isPassed = positions.first.map { $0 <= position } ?? false
    positions = positions.drop { $0 <= position }
    return isPassed
  }
}
