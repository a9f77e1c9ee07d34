// The contract of detectors. A detector takes a batch and reports findings. Stateless ones score each event on its own
// and run on any worker; stateful ones see the events of a partition in order and keep what they need between batches.
// Both are pure: the same batches give the same findings, however the events are cut into batches.

/// A detector that looks at one event at a time.
public protocol StatelessDetector: Sendable {
  /// Name in results and metrics.
  var name: String { get }
  /// Appends the findings about a batch, in ascending order of rows, and adds to the counts.
  func detect(in batch: EventBatch, into findings: inout [Finding], counts: inout DetectorCounts)
}

/// A detector that looks at an event and at what came before it in its partition.
public protocol StatefulDetector: Stateful {
  /// Name in results and metrics.
  var name: String { get }
  /// Appends the findings about the next batch of the partition, in ascending order of rows, and adds to the counts.
  func detect(
    in batch: EventBatch, marks: EventTimeMarks, into findings: inout [Finding], counts: inout DetectorCounts
  ) throws
  /// Drops what events with a wrong time have left behind: entities whose clock lies beyond a time start afresh.
  /// - Parameters:
  ///   - bound: beyond it, times were taken in error; at least `max_ahead` beyond the watermark.
  ///   - believed: the latest time that is believed.
  ///   - watermark: the partition's.
  func discard(beyond bound: Int64, believed: Int64, watermark: Int64)
}

extension StatelessDetector {
  /// The same for a caller that does not count.
  public func detect(in batch: EventBatch, into findings: inout [Finding]) {
    var counts = DetectorCounts()
    detect(in: batch, into: &findings, counts: &counts)
  }
}

extension StatefulDetector {
  /// The same for a caller that does not count.
  public func detect(in batch: EventBatch, marks: EventTimeMarks, into findings: inout [Finding]) throws {
    var counts = DetectorCounts()
    try detect(in: batch, marks: marks, into: &findings, counts: &counts)
  }
}

/// What a detector did besides finding: events that its expressions could not judge or that it left out, for metrics.
/// Every count is a function of the events, so those of batches can be added up.
public struct DetectorCounts: Sendable, Hashable {
  /// Operations on an event that gave NULL because of an overflow or a failed cast.
  public var failures = 0
  /// Events behind the window of their entity.
  public var late = 0
  /// Events whose time turned out to be wrong.
  public var ahead = 0
  /// Events that were given up before it was decided whether their time is right.
  public var undecided = 0
  /// Events without an entity: a field that makes it is null.
  public var withoutEntity = 0

  public init() {}
}

/// A bound of `Limits` that was reached, where going on would mean wrong results or unbounded memory.
public struct LimitError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What reached it: "rule high_frequency_login".
  public var subject: String
  /// What is bounded, with the bound and what to do about it, as a sentence.
  public var message: String

  public init(subject: String, message: String) {
    self.subject = subject
    self.message = message
  }

  public var description: String { "\(subject): \(message)" }
}
