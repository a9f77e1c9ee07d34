// The most frequent values of a window: Space-Saving. Metwally, Agrawal, El Abbadi: "Efficient computation of frequent and
// top-k elements in data streams", ICDT 2005; merged as in Agarwal, Cormode, Huang, Phillips, Wei, Yi: "Mergeable
// summaries", PODS 2012.
//
// The first `Limits.topCounters` different values get a counter each, and their counts are exact. Each further value takes
// the counter with the least count, of several the first: that count is how far its own may be too high. Merged, a value
// that only one side has a counter for may have had as many on the other as any value without one there (`unseen`), and the
// largest counts keep their counters.
//
// Invariants, n being the number of values and m that of counters there may be:
// - a value with a counter occurred at most `count` times and at least `count` − `error` times;
// - one without occurred at most `unseen` times, which is 0 while there are fewer values than counters, and never above the
//   least count. The counts add up to at most n, so the least is at most n / m: so is `unseen`, and so is every error;
// - the content is a function of the sequence of values: counters keep their places, also in stored bytes.

/// Counters of the most frequent values.
struct TopCounts<Value: CountedValue>: Accumulator {
  private var values: [Value] = []
  private var hashes: [UInt64] = []
  private var counts: [Int64] = []
  private var errors: [Int64] = []
  /// How often a value without a counter occurred at most.
  private(set) var unseen: Int64 = 0
  /// The counter of a hash plus one, 0 for none: open addressing with linear probing, at most half full.
  private var table: [UInt16] = []
  /// Bytes that the values have allocated.
  private var valueBytes = 0

  static var tag: UInt8 { Value.tag }
  static var isAllocated: Bool { true }

  var allocatedBytes: Int {
    if values.isEmpty { return 0 }
    return 4 * Allocation.bytes(8) + values.capacity * (MemoryLayout<Value>.stride + 24) + 2 * table.count + valueBytes
  }

  init() {}

  @specialized(where Value == CountedWord)
  @specialized(where Value == CountedDouble)
  @specialized(where Value == CountedText)
  static func fold(
    _ column: Column, times: [Int64], _ entries: WindowEntries, into slots: inout [Self]
  ) {
    let source = Value.Source(column)
    var states = slots.mutableSpan
    for index in entries.rows.indices {
      states[Int(entries.slots[index])].add(source, Int(entries.rows[index]))
    }
  }

  private mutating func add(_ source: Value.Source, _ row: Int) {
    let hash = source.hash(row)
    if let counter = counter(of: hash, where: { source.isEqual($0, row) }) {
      counts[counter] += 1
    } else if values.count < Limits.topCounters {
      append(source.value(row), hash, count: 1, error: 0)
    } else {
      takeLeast(source.value(row), hash)
    }
  }

  /// Gives the counter with the least count to a value that has none.
  private mutating func takeLeast(_ value: Value, _ hash: UInt64) {
    var least = 0
    for counter in 1..<counts.count where counts[counter] < counts[least] { least = counter }
    leave(least)
    unseen = counts[least]
    errors[least] = counts[least]
    counts[least] += 1
    valueBytes += value.allocatedBytes - values[least].allocatedBytes
    values[least] = value
    hashes[least] = hash
    enter(least)
  }

  @specialized(where Value == CountedWord)
  @specialized(where Value == CountedDouble)
  @specialized(where Value == CountedText)
  mutating func merge(_ later: Self) {
    var merged = counters.map { mine in
      let theirs = later.counter(of: mine.hash) { $0 == mine.value }
      return mine.adding(
        count: theirs.map { later.counts[$0] } ?? later.unseen,
        error: theirs.map { later.errors[$0] } ?? later.unseen)
    }
    for theirs in later.counters
    where counter(of: theirs.hash, where: { $0 == theirs.value }) == nil {
      merged.append(theirs.adding(count: unseen, error: unseen))
    }
    var left = unseen.addingSaturated(later.unseen)
    if merged.count > Limits.topCounters {
      merged.sort(by: Counter.isBefore)
      left = merged[Limits.topCounters].count
      merged.removeSubrange(Limits.topCounters...)
    }
    self = Self()
    unseen = left
    for counter in merged {
      append(counter.value, counter.hash, count: counter.count, error: counter.error)
    }
  }

  /// The values with the highest counts, at most as many as the call asks for; of equal counts the one with the least error,
  /// then the least value.
  func result(of reading: AggregateReading, seconds: Double) -> AggregateValue {
    guard let limit = reading.limit else { preconditionFailure("the most frequent values need a number of them") }
    let rows = counters.sorted(by: Counter.isBefore).prefix(limit).map { counter -> [Scalar] in
      [counter.value.scalar(reading.type), .int(counter.count), .int(counter.error)]
    }
    return .rows(names: ["value", "count", "error"], rows)
  }
}

// MARK: - Counters

extension TopCounts {
  struct Counter {
    var value: Value
    var hash: UInt64
    var count: Int64
    var error: Int64

    func adding(count: Int64, error: Int64) -> Counter {
      Counter(
        value: value, hash: hash, count: self.count.addingSaturated(count),
        error: self.error.addingSaturated(error))
    }

    static func isBefore(_ a: Counter, _ b: Counter) -> Bool {
      if a.count != b.count { return a.count > b.count }
      if a.error != b.error { return a.error < b.error }
      return Value.isLess(a.value, than: b.value)
    }
  }

  /// The counters in their places.
  var counters: [Counter] {
    values.indices.map {
      Counter(value: values[$0], hash: hashes[$0], count: counts[$0], error: errors[$0])
    }
  }

  @inline(__always)
  private func counter(of hash: UInt64, where matches: (Value) -> Bool) -> Int? {
    guard !table.isEmpty else { return nil }
    let mask = table.count - 1
    var at = Int(truncatingIfNeeded: hash) & mask
    while table[at] != 0 {
      let counter = Int(table[at]) - 1
      if hashes[counter] == hash, matches(values[counter]) { return counter }
      at = (at + 1) & mask
    }
    return nil
  }

  private mutating func append(_ value: Value, _ hash: UInt64, count: Int64, error: Int64) {
    values.append(value)
    valueBytes += value.allocatedBytes
    hashes.append(hash)
    counts.append(count)
    errors.append(error)
    if values.count * 2 > table.count {
      table = [UInt16](repeating: 0, count: Swift.max(8, table.count * 2))
      for counter in values.indices { enter(counter) }
    } else {
      enter(values.count - 1)
    }
  }

  /// Enters a counter that is not in the table.
  private mutating func enter(_ counter: Int) {
    let mask = table.count - 1
    var at = Int(truncatingIfNeeded: hashes[counter]) & mask
    while table[at] != 0 { at = (at + 1) & mask }
    table[at] = UInt16(counter + 1)
  }

  /// Takes a counter out of the table and closes the gap (Knuth, The Art of Computer Programming 3, 6.4, algorithm R).
  private mutating func leave(_ counter: Int) {
    let mask = table.count - 1
    var gap = Int(truncatingIfNeeded: hashes[counter]) & mask
    while Int(table[gap]) != counter + 1 { gap = (gap + 1) & mask }
    var at = gap
    while true {
      at = (at + 1) & mask
      guard table[at] != 0 else { break }
      let home = Int(truncatingIfNeeded: hashes[Int(table[at]) - 1]) & mask
      if (at - home) & mask >= (at - gap) & mask {
        table[gap] = table[at]
        gap = at
      }
    }
    table[gap] = 0
  }
}

// MARK: - Encoding

extension TopCounts {
  /// `unseen`, the number of counters, then of each, by place: the value, its count and its error.
  func encode(into writer: inout ByteWriter) {
    writer.write(unsigned: UInt64(unseen))
    writer.write(unsigned: UInt64(values.count))
    for counter in values.indices {
      values[counter].encode(into: &writer)
      writer.write(unsigned: UInt64(counts[counter]))
      writer.write(unsigned: UInt64(errors[counter]))
    }
  }

  init(from reader: inout ByteReader) throws(CodingError) {
    unseen = try reader.readTally()
    let number = try reader.readCount(upTo: Limits.topCounters)
    guard unseen == 0 || number == Limits.topCounters else {
      throw CodingError(
        "most frequent values with \(number) counters and others that are not counted")
    }
    for place in 0..<number {
      let value = try Value(from: &reader)
      let (count, error) = (try reader.readTally(), try reader.readTally())
      guard count > error, count >= unseen, counter(of: value.hash, where: { $0 == value }) == nil
      else {
        throw CodingError(
          "counter \(place) of the most frequent values cannot be or is a second one of its value")
      }
      append(value, value.hash, count: count, error: error)
    }
  }
}
