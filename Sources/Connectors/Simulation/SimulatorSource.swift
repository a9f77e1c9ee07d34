// The simulator as a source: the events of a use case's generator, without a file in between. It is deterministic, so it
// resumes by generating again and skipping what was processed.

import Crypto
public import Detection
import Foundation
public import Pipeline

/// A bounded, simulated stream. Positions are event numbers; partition 0.
public final class SimulatorSource: Source {
  /// How fast simulated time passes.
  public enum Pace: Sendable, Hashable {
    case asFastAsPossible
    /// So many simulated seconds a second.
    case speedup(Double)
  }

  public let name = "simulator"
  private let partition = PartitionID(source: "simulator", number: 0)
  private let partitions: OwnPartitions
  private let identity: [UInt8]
  private let limit: Int
  private let batchRows: Int
  private let mostAtOnce: Int
  private let pace: Pace
  private let sleep = StoppableSleep()
  private let generator: Generator

  /// - Parameters:
  ///   - text: the definition as it was read, which with the seed identifies the stream.
  ///   - events: where the stream ends.
  public init(
    _ definition: SimulationDefinition, text: String, seed: UInt64, events: Int, pace: Pace, batchRows: Int
  ) {
    partitions = OwnPartitions([partition])
    identity = Array(SHA256.hash(data: Data("\(seed)\n\(text)".utf8)))
    limit = events
    self.batchRows = batchRows
    self.pace = pace
    let simulator = Simulator(definition, seed: seed)
    mostAtOnce = simulator.mostAtOnce
    generator = Generator(simulator)
  }

  public func resume(_ partition: PartitionID, at point: ResumePoint?) async throws -> [InputGap] {
    if let point {
      guard point.sourceState == identity else {
        throw OperatingError(
          .input,
          "the data directory holds results of another simulation (another seed or simulation.yaml). Choose another "
            + "--data, or start over with --reset")
      }
      await generator.skip(Int(point.position.offset))
    }
    partitions.resume(partition)
    return []
  }

  public func release(_ partition: PartitionID) async { partitions.release(partition) }

  public func next() async throws -> SourceEvent {
    if let event = await partitions.next() { return event }
    let first = await generator.row
    let count = min(batchRows, limit - first, mostAtOnce)
    guard count > 0, !sleep.isStopped, let events = await generator.next(count, pace: pace, sleep) else { return .end }
    let rows = (first..<first + events.count).map(Int64.init)
    let bytes = RecordBytes(
      bytes: events.bytes + [UInt8](repeating: 0, count: Limits.bytePadding), starts: events.starts, ends: events.ends)
    return .batch(
      RawBatch(
        partition: partition, positions: RecordPositions(segment: 0, offsets: rows, rows: rows), payload: .json(bytes),
        next: Position(segment: 0, offset: Int64(first + events.count), row: Int64(first + events.count))))
  }

  public func checkpointState(of partition: PartitionID, at position: Position) -> [UInt8] { identity }

  public func stop() {
    sleep.stop()
    partitions.stop()
  }

  /// How long it takes until so many microseconds of simulated time have passed; at most 31 years.
  public static func wait(for microseconds: Int64, speedup: Double) -> Duration {
    .microseconds(Int64(min(Double(microseconds) / speedup, 1e15)))
  }
}

/// The generator and the clock that paces it.
private actor Generator {
  /// How long the first event of a batch waits for others, as everywhere.
  private static let batchAge = Duration.milliseconds(5)
  /// Events that are generated at once when they are paced.
  private static let eventsAhead = 1024

  private var simulator: Simulator
  /// What was generated; it was handed over up to `used`.
  private var ahead = SimulatedEvents()
  private var used = 0
  /// When the first event was due, and its arrival in simulated time.
  private var origin: (instant: ContinuousClock.Instant, arrival: Int64)?

  init(_ simulator: Simulator) { self.simulator = simulator }

  /// Number of the next event.
  var row: Int { simulator.row - (ahead.count - used) }

  func skip(_ count: Int) { simulator.skip(count) }

  /// The next events, at most `count`; nil when stopped. A paced batch is closed by size, or by age: it holds what is
  /// due a moment after its first event is.
  func next(_ count: Int, pace: SimulatorSource.Pace, _ sleep: StoppableSleep) async -> SimulatedEvents? {
    guard case .speedup(let speedup) = pace else { return simulator.next(count) }
    if used == ahead.count { (ahead, used) = (simulator.next(min(count, Self.eventsAhead, simulator.mostAtOnce)), 0) }
    let origin = origin ?? (.now, ahead.arrivals[used])
    self.origin = origin
    func due(_ index: Int) -> ContinuousClock.Instant {
      origin.instant + SimulatorSource.wait(for: ahead.arrivals[index] - origin.arrival, speedup: speedup)
    }
    let last = min(used + count, ahead.count) - 1
    guard await sleep.sleep(until: min(due(used) + Self.batchAge, due(last))) else { return nil }
    let now = ContinuousClock.now
    var end = used + 1
    while end <= last, due(end) <= now { end += 1 }
    defer { used = end }
    return ahead.part(used..<end)
  }
}

extension SimulatedEvents {
  /// Some of the events, without labels.
  fileprivate func part(_ rows: Range<Int>) -> SimulatedEvents {
    let start = starts[rows.lowerBound]
    var part = SimulatedEvents()
    part.bytes = Array(bytes[Int(start)..<(rows.upperBound < count ? Int(starts[rows.upperBound]) : bytes.count)])
    part.starts = starts[rows].map { $0 - start }
    part.ends = ends[rows].map { $0 - start }
    part.arrivals = Array(arrivals[rows])
    return part
  }
}
