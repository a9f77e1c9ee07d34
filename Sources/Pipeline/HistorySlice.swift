// Rows of history that wait, as pieces of the batches they came in, and those of days of which only few wait.

import Detection

/// Some neighbouring rows of columns.
struct HistorySlice {
  var columns: [Column]
  var rows: Range<Int>

  /// The rows of all slices, in their order.
  static func joined(_ slices: [HistorySlice], _ layout: HistoryLayout) -> HistoryRows {
    let count = slices.reduce(0) { $0 + $1.rows.count }
    var builders = layout.columns.map { ColumnBuilder($0.type, capacity: count) }
    for slice in slices {
      for index in builders.indices { builders[index].append(slice.columns[index], rows: slice.rows) }
    }
    return HistoryRows(layout: layout, columns: builders.map { $0.finish() })
  }
}

extension [HistorySlice] {
  /// Rows of one batch at most of which are joined: a default batch is left alone.
  private static let mergedRows = 2_048

  /// Keeps the number of slices small where batches are: neighbours of similar size are joined, so a row is copied
  /// log(n) times and a slow stream does not hold an array per event and column.
  mutating func mergeSmall(_ layout: HistoryLayout) {
    while count > 1 {
      let (a, b) = (self[count - 2].rows.count, self[count - 1].rows.count)
      guard a <= 2 * b, a + b <= Self.mergedRows else { return }
      let joined = HistorySlice.joined(Array(suffix(2)), layout)
      removeLast(2)
      append(HistorySlice(columns: joined.columns, rows: 0..<a + b))
    }
  }

  /// The slices of some of the rows, which are counted over all slices.
  func rows(_ range: Range<Int>) -> [HistorySlice] {
    var found: [HistorySlice] = []
    var start = 0
    for slice in self where start < range.upperBound {
      let part = range.clamped(to: start..<start + slice.rows.count)
      if !part.isEmpty {
        let first = slice.rows.lowerBound + part.lowerBound - start
        found.append(HistorySlice(columns: slice.columns, rows: first..<first + part.count))
      }
      start += slice.rows.count
    }
    return found
  }
}

/// Rows of days of which only few wait, all days together in the order of the partition: a day of one row would else
/// take an array for each of its columns. A row is named by its place; rows that are taken leave theirs unused until the
/// rows that are still needed are kept alone.
struct ScatteredRows {
  private let layout: HistoryLayout
  /// One after another, from place 0; each slice has all rows of its columns.
  private var slices: [HistorySlice] = []
  /// The place of the first row of each slice.
  private var starts: [Int] = []
  /// The day of the row at each place.
  private(set) var days: [Int64] = []

  init(layout: HistoryLayout) { self.layout = layout }

  /// The place that the next row gets.
  var end: Int { days.count }

  /// Copies rows of a batch.
  /// - Parameter runs: rows in the order of the batch, each run of one day.
  mutating func append(_ columns: [Column], _ runs: [(rows: Range<Int>, day: Int64)]) {
    guard !runs.isEmpty else { return }
    let copy = HistorySlice.joined(runs.map { HistorySlice(columns: columns, rows: $0.rows) }, layout)
    slices.append(HistorySlice(columns: copy.columns, rows: 0..<copy.count))
    for run in runs { days.append(contentsOf: repeatElement(run.day, count: run.rows.count)) }
    slices.mergeSmall(layout)
    starts.removeLast(starts.count - (slices.count - 1))
    starts.append(end - slices[slices.count - 1].rows.count)
  }

  /// The rows at some places, which ascend.
  func rows(at places: some Sequence<Int>) -> [HistorySlice] {
    var found: [HistorySlice] = []
    var slice = 0
    var previous = -1
    for place in places {
      let isNext = place == previous + 1
      previous = place
      if slice + 1 < starts.count, starts[slice + 1] <= place {
        slice = starts.partitioningIndex { $0 > place } - 1
      } else if isNext, !found.isEmpty {
        found[found.count - 1].rows = found[found.count - 1].rows.lowerBound..<place - starts[slice] + 1
        continue
      }
      let row = place - starts[slice]
      found.append(HistorySlice(columns: slices[slice].columns, rows: row..<row + 1))
    }
    return found
  }

  /// Leaves the rows at some places, which ascend, and gives them the places from 0 on in this order.
  mutating func keep(_ places: [Int]) {
    let (rows, kept) = (HistorySlice.joined(rows(at: places), layout), places.map { days[$0] })
    self = ScatteredRows(layout: layout)
    guard rows.count > 0 else { return }
    slices = [HistorySlice(columns: rows.columns, rows: 0..<rows.count)]
    starts = [0]
    days = kept
  }
}

extension Array {
  /// The first index whose element meets a condition that all behind it meet as well; `count` where none does.
  fileprivate func partitioningIndex(where isBehind: (Element) -> Bool) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if isBehind(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
