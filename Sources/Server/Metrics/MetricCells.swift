// Where numbers of a process are kept between two looks at them: a counter, a gauge, a duration, a spread of values.

import Histogram
import Metrics
import Pipeline
import Synchronization

/// A number, or several, under one set of labels.
protocol MetricCell: AnyObject, Sendable {
  static var kind: MetricFamily.Kind { get }
  /// Nil where nothing was recorded that could be shown.
  var content: MetricFamily.Content? { get }
}

final class CounterCell: CounterHandler, MetricCell {
  static let kind = MetricFamily.Kind.counter
  private let value = Atomic<Int64>(0)

  func increment(by amount: Int64) { value.wrappingAdd(amount, ordering: .relaxed) }
  func reset() { value.store(0, ordering: .relaxed) }
  var content: MetricFamily.Content? { .value(Double(value.load(ordering: .relaxed))) }
}

final class GaugeCell: RecorderHandler, MeterHandler, MetricCell {
  static let kind = MetricFamily.Kind.gauge
  private let value = Mutex<Double?>(nil)

  func record(_ value: Int64) { set(Double(value)) }
  func record(_ value: Double) { set(value) }
  func set(_ value: Int64) { set(Double(value)) }
  func set(_ value: Double) { self.value.withLock { $0 = value } }
  func increment(by amount: Double) { value.withLock { $0 = ($0 ?? 0) + amount } }
  func decrement(by amount: Double) { increment(by: -amount) }
  var content: MetricFamily.Content? { value.withLock { $0 }.map { .value($0) } }
}

/// Durations, kept to 1 % in an HdrHistogram of microseconds: in some kilobytes all that lies between a microsecond and a
/// day, so that a bucket's bound says nothing about what is measured. Shown in fixed buckets, which can be added up.
final class DurationCell: WeightedTimer, MetricCell {
  static let kind = MetricFamily.Kind.histogram

  private struct State: Sendable {
    var histogram = Histogram<UInt64>(numberOfSignificantValueDigits: .two)
    var seconds = 0.0
  }

  /// Seconds, ascending.
  private let bounds: [Double]
  private let state = Mutex(State())
  private static let longest: UInt64 = 86_400_000_000

  init(bounds: [Double]) { self.bounds = bounds }

  func recordNanoseconds(_ duration: Int64) { recordNanoseconds(duration, times: 1) }

  func recordNanoseconds(_ duration: Int64, times count: Int) {
    guard count > 0 else { return }
    let nanoseconds = UInt64(max(duration, 0))
    state.withLock { state in
      state.histogram.record(min(nanoseconds / 1_000, Self.longest), count: UInt64(count))
      state.seconds += Double(nanoseconds) / 1e9 * Double(count)
    }
  }

  var content: MetricFamily.Content? {
    let state = state.withLock { $0 }
    let counts = bounds.map { Int(clamping: state.histogram.count(within: 0...UInt64($0 * 1e6))) }
    return .histogram(
      HistogramContent(
        bounds: bounds, cumulative: counts + [Int(clamping: state.histogram.totalCount)], sum: state.seconds))
  }
}

/// Values of any kind, in decades.
final class RecorderCell: RecorderHandler, MetricCell {
  static let kind = MetricFamily.Kind.histogram

  private struct State: Sendable {
    var counts: [Int]
    var sum = 0.0
  }

  private static let bounds = [0.001, 0.01, 0.1, 1, 10, 100, 1_000, 10_000, 100_000, 1_000_000]
  private let state = Mutex(State(counts: Array(repeating: 0, count: bounds.count + 1)))

  func record(_ value: Int64) { record(Double(value)) }

  func record(_ value: Double) {
    guard !value.isNaN else { return }
    let bucket = Self.bounds.firstIndex { value <= $0 } ?? Self.bounds.count
    state.withLock { state in
      state.counts[bucket] += 1
      state.sum += value
    }
  }

  var content: MetricFamily.Content? {
    let state = state.withLock { $0 }
    return .histogram(HistogramContent(bounds: Self.bounds, counts: state.counts, sum: state.sum))
  }
}

extension HistogramContent {
  /// - Parameter counts: values by bucket, those beyond the last bound behind them.
  init(bounds: [Double], counts: [Int], sum: Double) {
    var all = 0
    let cumulative = counts.map { count in
      all += count
      return all
    }
    self.init(bounds: bounds, cumulative: cumulative, sum: sum)
  }
}
