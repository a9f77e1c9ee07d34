// The watermark of events that carry several clocks: how long something can wait, how many clocks there are, whom a broken
// one can harm, and what an event costs.

import TestKit
import Testing

@testable import Detection

private let second: Int64 = 1_000_000
private let hour = 3600 * second
private let day = 24 * hour
private let origin: Int64 = 1_772_000_000_000_000

@Suite struct SeveralClocksTests {
  private static func standard(maxClocks: Int = Limits.maxClocks) -> Watermark {
    Watermark(outOfOrder: 0, maxAhead: day, clockIdle: 600 * second, maxClocks: maxClocks)
  }

  // MARK: Waiting

  @Test func `the one event in doubt of a host that falls silent is dismissed when the others have come further`() {
    var times = (0..<300).map { origin + Int64($0) * second }
    var hosts = (0..<300).map { Int64($0 % 3) }
    times.append(origin + 2 * hour)
    hosts.append(0)
    times += (300..<2000).map { origin + Int64($0) * second }
    hosts += (300..<2000).map { Int64(1 + $0 % 2) }
    let outcome = StreamOutcome(times, Self.standard(), clockOf: hosts)
    #expect(outcome.dismissed == [300] && outcome.waiting.isEmpty)
    let decision = outcome.marks.decisions.first { $0.kind != .opened }
    #expect(decision.map { (895...910).contains($0.row) } == true, "ten minutes of the others")
  }

  @Test func `where the others have come as far it is believed`() {
    // A host that was down for three hours says one thing and is down again.
    var times = (0..<300).map { origin + Int64($0) * second }
    var hosts = (0..<300).map { Int64($0 % 3) }
    times += (300..<11_100).map { origin + Int64($0) * second }
    hosts += (300..<11_100).map { Int64(1 + $0 % 2) }
    times.append(origin + 11_100 * second)
    hosts.append(0)
    times += (11_101..<12_000).map { origin + Int64($0) * second }
    hosts += (11_101..<12_000).map { Int64(1 + $0 % 2) }
    let outcome = StreamOutcome(times, Self.standard(), clockOf: hosts)
    #expect(outcome.dismissed.isEmpty && outcome.waiting.isEmpty && outcome.late(0..<300).isEmpty)
    #expect(outcome.believed[11_100].map { (11_690...11_710).contains($0) } == true)
  }

  @Test func `where the time of the others stands still it waits for so many events`() {
    var times = (0..<300).map { origin + Int64($0) * second }
    times.append(origin + 2 * hour)
    times += [Int64](repeating: origin + 300 * second, count: Limits.waitingPatience + 10)
    let hosts = times.indices.map { $0 == 300 ? 0 : Int64($0 % 3 + ($0 > 300 && $0 % 3 == 0 ? 1 : 0)) }
    let outcome = StreamOutcome(times, Self.standard(), clockOf: hosts)
    #expect(outcome.dismissed == [300] && outcome.waiting.isEmpty)
    #expect(outcome.marks.decisions.last?.row == 300 + Limits.waitingPatience)
  }

  // MARK: Keys and places

  @Test func `keys are bounded, and long ones are told apart`() throws {
    let watermark = Self.standard()
    let names = (0..<4).map { String(repeating: "x", count: 1 << 16) + "\($0)" } + ["short"]
    let rows = 0..<500
    let column = Column(.string, rows.map { .string(names[$0 % 5]) })
    _ = watermark.mark(rows.map { origin + Int64($0) * second }, clockOf: column)
    #expect(watermark.clocks.count == 5)
    let changes = watermark.takeChanges()
    #expect(changes.puts.allSatisfy { $0.key.count <= 5 + Limits.clockKeyBytes } && changes.puts.count == 6)
    let restored = Self.standard()
    try restored.restore(from: changes.puts)
    let more = (500..<600).map { origin + Int64($0) * second }
    let next = Column(.string, (500..<600).map { .string(names[$0 % 5]) })
    #expect(restored.mark(more, clockOf: next) == watermark.mark(more, clockOf: next))
    #expect(restored.clocks.count == 5)
  }

  @Test func `hosts that never speak again make room`() {
    // A new host every other second, with two events: a pod, a browser, a session.
    let watermark = Self.standard(maxClocks: 1000)
    var stored: Set<[UInt8]> = []
    for round in 0..<20 {
      let rows = round * 500..<(round + 1) * 500
      _ = watermark.mark(rows.map { origin + Int64($0) * second }, clockOf: Column(.int(rows.map { Int64($0 / 2) })))
      let changes = watermark.takeChanges()
      for key in changes.deletes { #expect(stored.remove(key) != nil) }
      stored.formUnion(changes.puts.map(\.key))
      #expect(watermark.clocks.count <= 999 && stored.count <= 1000, "nobody has to share")
    }
    #expect(watermark.clocks.count == 999 && watermark.several.index(of: []) == nil)
    // Those of the last ten minutes are waited for.
    #expect((9380...9410).contains((watermark.current - origin) / second))
  }

  @Test func `hosts for which there is no room share a clock that a few liars do not move`() {
    // Two hosts have clocks and fall silent; of the many that share the third one, twenty in a row are two hours ahead.
    var times = (0..<200).map { origin + Int64($0) * second }
    var hosts = (0..<200).map { Int64($0 % 2) }
    for row in 200..<2000 {
      times.append(origin + Int64(row) * second + (row % 100 < 20 ? 2 * hour : 0))
      hosts.append(row < 300 ? Int64(row % 2) : Int64(10 + row % 50))
      if row < 300 { times[row] = origin + Int64(row) * second }
    }
    let watermark = Self.standard(maxClocks: 3)
    let outcome = StreamOutcome(times, watermark, clockOf: hosts)
    let right = (300..<2000).filter { $0 % 100 >= 20 }
    #expect(outcome.late(right).isEmpty)
    #expect(watermark.several.index(of: []) != nil && watermark.current < origin + 2000 * second)
  }

  // MARK: Broken clocks

  @Test(arguments: [0, 3])
  func `a host that says 1970 neither holds the others up nor makes them absurd`(_ broken: Int) {
    let times = (0..<2000).map { row -> Int64 in
      row % 4 == broken ? Int64(row) * second : origin + Int64(row) * second
    }
    let outcome = StreamOutcome(times, Self.standard(), clockOf: (0..<2000).map { Int64($0 % 4) })
    #expect(outcome.marks.outsideWindows.isEmpty && outcome.marks.dismissed.isEmpty)
    #expect(outcome.marks.watermarkAfter >= origin + 1990 * second)
  }

  @Test func `a host that is set back among others is followed by rules of its own`() {
    var times = (0..<600).map { origin + Int64($0) * second }
    times += (600..<1500).map { origin + Int64($0) * second - ($0 % 2 == 0 ? hour : 0) }
    let marks = Self.standard().mark(times, clockOf: Column(.int((0..<1500).map { Int64($0 % 2) })))
    let own = marks.ownBelieved
    // The other one still tells the later time, which holds for entities of both.
    #expect(marks.believed[1498] == times[1497] && own?[1498] == times[1498])
    #expect(own?[796] == times[598], "after a hundred events")
    #expect(own?[800] == times[800])
  }

  @Test func `when what the leading clock had heard is dismissed, the others lead`() {
    var times = (0..<300).map { origin + Int64($0) * second }
    var hosts = (0..<300).map { Int64($0 % 3) }
    // Ten events agree, too few for the clock to settle; then it tells the old time again.
    for index in 0..<10 {
      times.append(origin + 5 * hour + Int64(index) * second)
      hosts.append(0)
    }
    let heard = times.count - 1
    for index in 0..<60 {
      times.append(origin + Int64(300 + index) * second)
      hosts.append(Int64(index % 3))
    }
    let outcome = StreamOutcome(times, Self.standard(), clockOf: hosts)
    #expect(outcome.marks.believed[heard] == times[heard])
    #expect(outcome.marks.believed[times.count - 1] == times[times.count - 1])
    let dismissed = outcome.marks.decisions.filter { decision in
      if case .dismissed(_, heard: .some) = decision.kind { true } else { false }
    }
    #expect(dismissed.count == 1)
  }

  // MARK: Cuts and restarts

  @Test(arguments: 0..<12)
  func `neither cuts nor restarts change anything where clocks come and go`(_ seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    var times: [Int64] = []
    var hosts: [String] = []
    var now = origin
    for round in 0..<40 {
      if random.chance(0.2) { now += Int64.random(in: hour...40 * day, using: &random) }
      let offset = [0, 2 * hour, -hour, 90 * day].randomElement(using: &random)!
      let liar = Int.random(in: 0..<24, using: &random)
      for _ in 0..<Int.random(in: 10...150, using: &random) {
        now += Int64.random(in: 0...2 * second, using: &random)
        let host = (round / 4 + Int.random(in: 0..<12, using: &random)) % 24
        times.append(host == liar ? now + offset : now)
        hosts.append(host % 5 == 0 ? String(repeating: "h", count: 100) + "\(host)" : "\(host)")
      }
    }
    func fresh() -> Watermark {
      Watermark(outOfOrder: 5, maxAhead: day, clockIdle: 20 * second, maxClocks: 8)
    }
    func column(_ rows: Range<Int>) -> Column { Column(.string, hosts[rows].map { .string($0) }) }
    let end = fresh()
    let whole = end.mark(times, clockOf: column(times.indices))
    let closing = end.close()
    #expect(!whole.doubtful.isEmpty && !whole.decisions.isEmpty && end.several.index(of: []) != nil)
    for cut in [1, 7, 0] {
      var watermark = fresh()
      var stored: [[UInt8]: [UInt8]] = [:]
      var watermarks: [Int64] = []
      var believed: [Int64] = []
      var own: [Int64] = []
      var waiting: [EventTimeMarks.Waiting] = []
      var decisions: [EventTimeMarks.Decision] = []
      while watermarks.count < times.count {
        let at = watermarks.count
        let rows = at..<min(at + (cut == 0 ? Int.random(in: 1...50, using: &random) : cut), times.count)
        let part = watermark.mark(Array(times[rows]), clockOf: column(rows))
        watermarks += part.watermarks
        believed += part.believed
        own += part.ownBelieved ?? []
        waiting += part.waiting.map { .init(row: $0.row + at, run: $0.run) }
        decisions += part.decisions.map { .init(row: $0.row + at, kind: $0.kind) }
        guard random.chance(0.2) else { continue }
        let changes = watermark.takeChanges()
        for key in changes.deletes { #expect(stored.removeValue(forKey: key) != nil) }
        for put in changes.puts { stored[put.key] = put.value }
        let entries = stored.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map {
          StateEntry(key: $0.key, value: $0.value)
        }
        let restored = fresh()
        try restored.restore(from: entries)
        #expect(restored.current == watermark.current && restored.takeChanges().isEmpty)
        watermark = restored
      }
      #expect(watermarks == whole.watermarks && believed == whole.believed && own == whole.ownBelieved)
      #expect(waiting == whole.waiting && decisions == whole.decisions)
      #expect(watermark.close() == closing && watermark.current == end.current && watermark.believed == end.believed)
    }
  }

  @Test func `what version 3 stored goes on`() throws {
    let long = [2, 200, 0, 0, 0] + [UInt8](repeating: 120, count: 200)
    let watermark = Self.standard()
    // As docs/state.md has them: a watermark of 3 s, a field without a name, and two clocks with a front of 4 s.
    let clock: [UInt8] = [3, 1, 0, 0x80, 0xA4, 0xE8, 3, 0, 8, 8, 0, 0, 0xFF, 1, 0xFF, 1, 0, 1, 0, 0]
    let entries: [StateEntry] = [
      StateEntry(key: Array("clock".utf8) + [1, 1, 0, 0, 0, 0, 0, 0, 0], value: clock),
      StateEntry(key: Array("clock".utf8) + long, value: clock),
      StateEntry(key: Array("watermark".utf8), value: [3, 0x80, 0x9B, 0xEE, 2, 0, 1, 0, 0, 0, 100]),
    ]
    #expect(watermark.continues("watermark 3"))
    try watermark.restore(from: entries)
    #expect(watermark.current == 3 * second && watermark.clocks.count == 2)
    let changes = watermark.takeChanges()
    #expect(changes.puts.count == 3 && changes.deletes == [Array("clock".utf8) + long])
    #expect(changes.puts.allSatisfy { $0.value[0] == 5 })
    let names = Column(.string, (0..<20).map { _ in .string(String(repeating: "x", count: 200)) })
    _ = watermark.mark((0..<20).map { 4 * second + $0 * second }, clockOf: names)
    #expect(watermark.clocks.count == 2 && watermark.current == 4 * second)
  }

  // MARK: Costs

  private typealias Stream = (times: [Int64], hosts: [Int64])

  /// The processor time of one pass.
  private static func cost(_ stream: Stream, batch: Int) -> Duration {
    let watermark = standard()
    return processorTime {
      for start in stride(from: 0, to: stream.times.count, by: batch) {
        let rows = start..<min(start + batch, stream.times.count)
        _ = watermark.mark(Array(stream.times[rows]), clockOf: Column(.int(Array(stream.hosts[rows]))))
        _ = watermark.reached
      }
    }
  }

  /// How many times what `few` costs `many` costs. Both are measured in turns, and the lowest of each counts: what else runs
  /// on the machine takes caches away from some passes, and never makes one faster. Rounds end as soon as one shows `enough`.
  private static func ratio(_ many: Stream, to few: Stream, batch: Int = 4096, enough: Double) -> Double {
    var lowest = (many: Duration.seconds(3600), few: Duration.seconds(3600))
    for round in 1...30 {
      lowest.many = min(lowest.many, cost(many, batch: batch))
      lowest.few = min(lowest.few, cost(few, batch: batch))
      if round >= 3, lowest.many / lowest.few < enough { break }
    }
    return lowest.many / lowest.few
  }

  @Test(arguments: [16, 4096]) func `ten thousand clocks cost little more than ten`(batch: Int) {
    let times = (0..<20_000).map { origin + Int64($0) * 10_000 }
    let (few, many) = (times.indices.map { Int64($0 % 10) }, times.indices.map { Int64($0 % 10_000) })
    #expect(Self.ratio((times, many), to: (times, few), batch: batch, enough: 6) < 6)
  }

  @Test func `leaders that turn out wrong cost little more with ten thousand clocks than with ten`() {
    // Each host in turn tells a time two hours ahead, is heard and then contradicted by itself.
    func stream(_ count: Int64) -> Stream {
      var times: [Int64] = []
      var hosts: [Int64] = []
      var now = origin
      func add(_ host: Int64, _ ahead: Int64) {
        now += 1000
        times.append(now + ahead)
        hosts.append(host)
      }
      for host in 0..<count { for _ in 0..<(count > 1000 ? 1 : 9) { add(host, 0) } }
      for turn in 0..<Int64(500) {
        let host = turn % min(count, 300)
        for _ in 0..<9 { add(host, 0) }
        for _ in 0..<9 { add(host, 2 * hour + turn * second) }
        for _ in 0..<10 { add(host, 0) }
      }
      let silent = (0..<count).map { $0 + 100_000 }
      return (silent.map { _ in origin } + times.suffix(14_000), silent + hosts.suffix(14_000))
    }
    #expect(Self.ratio(stream(10_000), to: stream(10), enough: 6) < 6)
  }

  @Test(arguments: 0..<3)
  func `the tree of maxima is right`(_ seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var tree = MaximumTree()
    var values: [Int: Int64] = [:]
    for _ in 0..<2000 {
      let index = Int.random(in: 0..<Int.random(in: 1...200, using: &random), using: &random)
      let value = random.chance(0.2) ? Int64.min : .random(in: -50...50, using: &random)
      values[index] = value
      tree.set(index, value)
      #expect(tree.maximum == values.values.max())
    }
  }
}
