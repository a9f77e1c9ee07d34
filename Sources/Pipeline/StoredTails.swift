// Which rows of history that wait are in which stored tail.

import Detection

/// The tails of one partition that the store has.
struct StoredTails {
  /// Rows of one day, in the order in which the tail has them.
  typealias Part = (day: Int64, rows: Int)

  private var parts: [Int: [Part]] = [:]
  private var next = 0
  private var changed: Set<Int> = []
  /// The place of the first scattered row that no tail has.
  var firstUnstored = 0

  /// Takes up a tail that was found in the store.
  mutating func restore(_ number: Int, _ parts: [Part]) {
    self.parts[number] = parts
    next = max(next, number + 1)
  }

  /// - Returns: the number of a new tail.
  mutating func add(_ parts: [Part]) -> Int {
    defer { next += 1 }
    self.parts[next] = parts
    return next
  }

  /// Notes that rows of a tail have gone.
  mutating func noteChange(of tail: Int) { changed.insert(tail) }

  /// The tails that changed since the last call, ascending, with what still waits of them: the rows of a day go all
  /// together, and then the day is of the tail no more.
  mutating func takeChanged(waitingIn days: [Int64: HistoryBuffer.Day]) -> [(number: Int, parts: [Part])] {
    defer { changed = [] }
    return changed.sorted().map { number in
      let left = (parts[number] ?? []).filter { part in
        days[part.day]?.stored.contains { $0.tail == number } ?? false
      }
      parts[number] = left.isEmpty ? nil : left
      return (number, left)
    }
  }
}

extension TailJob {
  init(number: Int, parts: [StoredTails.Part], rows: HistoryRows) {
    let days = parts.map { HistoryTail.DayRows(day: ShardNames.name(of: $0.day), rows: $0.rows) }
    self.init(number: number, days: days, rows: rows)
  }
}

/// Names and places of the shards of one partition.
struct ShardNames {
  /// The folder of shards with rows of several days, as Hive names the partition of rows that have no value.
  static let severalDays = "__HIVE_DEFAULT_PARTITION__"

  private let timeColumn: String
  private let folder: String
  private let stem: String
  private let epoch: Int64

  /// - Parameters:
  ///   - timeColumn: name of the column with the event time.
  ///   - folder: where shards go, relative to the data directory: `history/redset`.
  ///   - epoch: of the claim that the shards are written under.
  init(timeColumn: String, folder: String, partition: PartitionID, epoch: Int64) {
    self.epoch = epoch
    self.timeColumn = timeColumn
    self.folder = folder
    stem = "\(partition.source)-\(partition.number)"
  }

  /// A shard that is not written yet.
  /// - Parameter number: of the shard among those with the same last day.
  func shard(of days: ClosedRange<Int64>, number: Int, rows: HistoryRows) -> HistoryShard {
    // Rows that waited when the use case was changed have the columns of before. Where none of them is its event time now,
    // they lie somewhere in their days.
    var times = [
      days.lowerBound * Timestamp.microsecondsPerDay, (days.upperBound + 1) * Timestamp.microsecondsPerDay - 1,
    ]
    if let column = rows.layout.columns.firstIndex(where: { $0.name == timeColumn }),
      case .timestamp(let values) = rows.columns[column].values
    {
      times = values
    }
    let last = Self.name(of: days.upperBound)
    let isOneDay = days.count == 1
    let file = (isOneDay ? stem : "\(stem)-\(last)") + "-\(String(number).leftPadded(to: 6)).arrow"
    let folder = "\(folder)/day=\(isOneDay ? last : Self.severalDays)"
    return HistoryShard(
      day: last, number: number, rows: rows.count, bytes: 0, firstTime: times.min() ?? 0, lastTime: times.max() ?? 0,
      // Who does not know yet that his claim was superseded, writes to no file of the one who has it now.
      temporaryPath: "\(folder)/.\(file).\(epoch).tmp", path: "\(folder)/\(file)")
  }

  /// `YYYY-MM-DD` of a day by its number since 1970-01-01.
  static func name(of number: Int64) -> String { Timestamp.day(of: number * Timestamp.microsecondsPerDay) }

  /// The inverse of `name`.
  static func number(of day: String) throws(CodingError) -> Int64 {
    guard let time = Timestamp.parse(day + "T00:00:00Z") else { throw CodingError("'\(day)' is not a day of history") }
    return Timestamp.dayNumber(of: time)
  }
}

extension String {
  fileprivate func leftPadded(to width: Int) -> String {
    String(repeating: "0", count: max(0, width - count)) + self
  }
}
