// The simulator as a source: the events of a use case's generator, without a file in between. It is deterministic, so it
// resumes by generating again and skipping what was processed.

import Crypto
public import Detection
import Foundation
public import Pipeline
import Synchronization

/// A bounded, simulated stream. Positions are event numbers; partition 0.
public final class SimulatorSource: Source {
  /// How fast simulated time passes.
  public enum Pace: Sendable, Hashable {
    case asFastAsPossible
    /// So many simulated seconds a second.
    case speedup(Double)
  }

  public let name = "simulator"
  private let identity: [UInt8]
  private let limit: Int
  private let batchRows: Int
  private let pace: Pace
  private let isStopped = Atomic(false)
  private let generator: Generator

  /// - Parameters:
  ///   - text: the definition as it was read, which with the seed identifies the stream.
  ///   - events: where the stream ends.
  public init(
    _ definition: SimulationDefinition, text: String, seed: UInt64, events: Int, pace: Pace, batchRows: Int
  ) {
    identity = Array(SHA256.hash(data: Data("\(seed)\n\(text)".utf8)))
    limit = events
    self.batchRows = batchRows
    self.pace = pace
    generator = Generator(Simulator(definition, seed: seed))
  }

  public func open(resumingAt points: [PartitionID: ResumePoint]) async throws {
    guard let point = points[partition] else { return }
    guard point.sourceState == identity else {
      throw OperatingError(
        .input,
        "the data directory holds results of another simulation (another seed or simulation.yaml). Choose another "
          + "--data, or start over with --reset")
    }
    await generator.skip(Int(point.position.offset))
  }

  public func next() async throws -> SourceOutput {
    if isStopped.load(ordering: .relaxed) { return .end }
    let first = await generator.row
    let count = min(batchRows, limit - first)
    guard count > 0 else { return .end }
    let size = pace == .asFastAsPossible ? count : min(count, 64)
    let events = await generator.next(size, pace: pace)
    if isStopped.load(ordering: .relaxed) { return .end }
    let rows = (first..<first + events.count).map(Int64.init)
    let bytes = RecordBytes(
      bytes: events.bytes + [UInt8](repeating: 0, count: Limits.bytePadding), starts: events.starts, ends: events.ends)
    return .batch(
      RawBatch(
        partition: partition, positions: RecordPositions(segment: 0, offsets: rows, rows: rows), payload: .json(bytes),
        next: Position(segment: 0, offset: Int64(first + events.count), row: Int64(first + events.count))))
  }

  public func checkpointState(of partition: PartitionID, at position: Position) -> [UInt8] { identity }

  public func stop() { isStopped.store(true, ordering: .relaxed) }

  private var partition: PartitionID { PartitionID(source: name, number: 0) }
}

/// The generator and the clock that paces it.
private actor Generator {
  private var simulator: Simulator
  /// When the first event was handed over, and its arrival in simulated time.
  private var origin: (instant: ContinuousClock.Instant, arrival: Int64)?

  init(_ simulator: Simulator) { self.simulator = simulator }

  var row: Int { simulator.row }

  func skip(_ count: Int) { simulator.skip(count) }

  func next(_ count: Int, pace: SimulatorSource.Pace) async -> SimulatedEvents {
    let events = simulator.next(count)
    if case .speedup(let factor) = pace, let last = events.arrivals.last {
      if origin == nil { origin = (.now, events.arrivals[0]) }
      if let origin {
        let due = origin.instant + .microseconds(Int64(Double(last - origin.arrival) / factor))
        try? await Task.sleep(until: due, clock: .continuous)
      }
    }
    return events
  }
}
