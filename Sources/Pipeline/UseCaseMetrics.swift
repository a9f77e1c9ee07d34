// The metrics of a use case's own in a run: what its batches have added up to. Counted by this process, in the order in which
// its lanes come to their batches; once a batch, and not at all where there are none.

import Detection
import Synchronization

/// The metrics of a use case's own.
final class UseCaseMetrics: Sendable {
  private let totals: Mutex<[MetricTotals]>

  init(_ metrics: [CompiledMetric]) { totals = Mutex(metrics.map { MetricTotals($0) }) }

  /// Adds what a batch counted, in the order of the plan.
  func add(_ counts: [MetricCounts]) {
    if counts.isEmpty { return }
    totals.withLock { totals in
      for (index, counts) in zip(totals.indices, counts) { totals[index].add(counts) }
    }
  }

  var now: [MetricTotals] { totals.withLock { $0 } }
}
