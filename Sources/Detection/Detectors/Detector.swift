// The contract of detectors. A detector takes a batch and reports findings. Stateless ones score each event on its own
// and run on any worker; stateful ones see the events of a partition in order and keep what they need between batches.
// Both are pure: the same batches give the same findings, however the events are cut into batches.

/// A detector that looks at one event at a time.
public protocol StatelessDetector: Sendable {
  /// Name in results and metrics.
  var name: String { get }
  /// Appends the findings about a batch, in ascending order of rows.
  func detect(in batch: EventBatch, into findings: inout [Finding])
}

/// A detector that looks at an event and at what came before it in its partition.
public protocol StatefulDetector: Stateful {
  /// Name in results and metrics.
  var name: String { get }
  /// Appends the findings about the next batch of the partition, in ascending order of rows.
  func detect(in batch: EventBatch, marks: EventTimeMarks, into findings: inout [Finding])
}
