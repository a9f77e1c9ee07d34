// How the time of a training is divided: the oldest part is learned from, the next sets thresholds and what is usual for
// entities, the newest decides whether the model may replace the one in use. No part sees another's events, and none
// sees the future of the one it judges.

import Detection
public import Pipeline

/// The stretches of time of one training. Times are microseconds; each stretch is half open.
public struct TrainingWindow: Sendable, Hashable {
  public enum Part: Sendable, Hashable, CaseIterable { case training, calibration, gate }

  /// First time that is learned from.
  public var from: Int64
  public var calibration: Int64
  public var gate: Int64
  /// Behind the last time.
  public var until: Int64

  /// Shares of the events.
  static let trainingShare = 0.7
  static let calibrationShare = 0.15

  /// Divides the last `length` microseconds of history. Events of a shard are taken to be evenly spread over its time,
  /// so that where to cut is known before anything is read.
  /// - Parameter until: how far event time has come: an event beyond it has a time that nobody believes.
  /// - Returns: nil where no shard has events in the window.
  public init?(_ shards: [ArchivedShard], until: Int64, length: Int64) {
    let start = until > Int64.min + length ? until - length : .min
    let spans = shards.compactMap { shard -> (first: Int64, last: Int64, rows: Double)? in
      let (first, last) = (max(shard.firstTime, start), min(shard.lastTime, until))
      guard first <= last else { return nil }
      let whole = Double(shard.lastTime - shard.firstTime) + 1
      return (first, last, Double(shard.rows) * (Double(last - first) + 1) / whole)
    }
    guard let first = spans.map(\.first).min(), let last = spans.map(\.last).max() else { return nil }
    let total = spans.reduce(0) { $0 + $1.rows }
    func time(before share: Double) -> Int64 {
      // Rows before a time grow with it, so halving finds the time.
      var (low, high) = (first, last)
      while low < high {
        let middle = low + (high - low) / 2
        let rows = spans.reduce(0) { sum, span in
          let part = (Double(middle - span.first) + 1) / (Double(span.last - span.first) + 1)
          return sum + span.rows * min(max(part, 0), 1)
        }
        if rows >= total * share { high = middle } else { low = middle + 1 }
      }
      return low
    }
    from = first
    self.until = last + 1
    calibration = time(before: Self.trainingShare)
    gate = time(before: Self.trainingShare + Self.calibrationShare)
  }

  /// The part that an event belongs to; nil outside the window.
  func part(of time: Int64) -> Part? {
    guard time >= from, time < until else { return nil }
    return time < calibration ? .training : time < gate ? .calibration : .gate
  }
}

/// Takes at most so many of all rows, evenly: every k-th, for a k that need not be whole.
struct EvenSample {
  let total: Int
  let wanted: Int
  private var seen = 0

  init(of total: Int, wanted: Int) {
    self.total = total
    self.wanted = wanted
  }

  /// The rows of the next `count` that are taken.
  mutating func next(_ count: Int) -> Bitmap {
    defer { seen += count }
    if total <= wanted { return Bitmap(repeating: true, count: count) }
    let start = seen
    return Bitmap(count: count) { row in
      let index = start + row
      return place(index + 1) > place(index)
    }
  }

  private func place(_ index: Int) -> UInt64 {
    let product = UInt64(index).multipliedFullWidth(by: UInt64(wanted))
    return UInt64(total).dividingFullWidth(product).quotient
  }
}

/// The events that are kept: evenly at most so many of all, and more of those for calibration. A threshold is as
/// uncertain as the number of events above it is small, and what calibration needs of an event is one score; of 400,000
/// events over a week 60,000 would calibrate, 60 above a threshold for one in a thousand, which is off by 13 % by chance.
struct TrainingSample {
  private var sparse: EvenSample
  private var dense: EvenSample

  /// Most events for calibration, as a share of those wanted of all.
  static let calibrationShare = 0.5

  init(of total: Int, wanted: Int) {
    sparse = EvenSample(of: total, wanted: wanted)
    dense = EvenSample(of: total, wanted: Self.calibrationDensity(of: total, wanted: wanted))
  }

  /// How many of all events would be kept if all were as dense as those for calibration.
  private static func calibrationDensity(of total: Int, wanted: Int) -> Int {
    Int(min(Double(wanted) * calibrationShare / TrainingWindow.calibrationShare, Double(total)))
  }

  /// About how many are kept.
  static func rows(of total: Int, wanted: Int) -> Int {
    let dense = min(total, calibrationDensity(of: total, wanted: wanted))
    let share = TrainingWindow.calibrationShare
    return Int((Double(min(total, wanted)) * (1 - share) + Double(dense) * share).rounded())
  }

  /// Events that will not come: those of a shard that is gone.
  mutating func skip(_ count: Int) { _ = (sparse.next(count), dense.next(count)) }

  /// The events of the next batch that are kept.
  mutating func next(_ times: [Int64], _ window: TrainingWindow) -> Bitmap {
    let (few, many) = (sparse.next(times.count), dense.next(times.count))
    return Bitmap(count: times.count) { row in
      window.part(of: times[row]) == .calibration ? many[row] : few[row]
    }
  }
}
