// Runs of events in doubt that are more than there may be, or that were heard before they were dismissed.

import Testing

@testable import Detection

private let second: Int64 = 1_000_000
private let hour = 3600 * second
private let day = 24 * hour
private let origin: Int64 = 1_772_000_000_000_000

@Suite struct DoubtfulRunTests {
  @Test func `what is absurdly far beyond all runs waits with none of them`() {
    var times = (0..<100).map { origin + Int64($0) * second }
    // Three of a broken clock make the next run need sixteen.
    times += (0..<3).map { origin + 2 * hour + Int64($0) * second }
    times += (100..<110).map { origin + Int64($0) * second }
    // A stream that has become sparse begins more runs than there may be.
    let sparse = times.count
    times += (0..<30).map { origin + (2 + Int64($0)) * hour }
    // Amid it one of the year 2080.
    let liar = sparse + 9
    times.insert(origin + 20_000 * day, at: liar)
    let outcome = StreamOutcome(times, Watermark(outOfOrder: 0, maxAhead: day))
    #expect(!outcome.isTaken(liar))
    #expect((sparse..<times.count).filter { !outcome.isTaken($0) } == [liar])
  }

  @Test func `what was heard and then dismissed is counted with its earliest time`() {
    var times = (0..<100).map { origin + Int64($0) * second }
    times += (0..<20).map { origin + 30 * day + Int64($0) * second }
    times += (100..<1000).map { origin + Int64($0) * second }
    let marks = Watermark(outOfOrder: 0, maxAhead: day).mark(times)
    let kinds = marks.decisions.map(\.kind)
    #expect(kinds.last == .dismissed(run: 0, heard: .init(events: 20, from: origin + 30 * day)), "\(kinds)")
  }
}
