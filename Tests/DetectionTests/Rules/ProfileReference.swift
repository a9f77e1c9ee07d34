// What rules with a profile are defined to find, in the plainest way: all events of an entity are kept, and whether the last
// one is found is decided from all of them anew.

@testable import Detection

/// The definition of a rule with a profile, per user.
struct ProfileReference {
  /// Of an event that came as number `arrival`.
  struct Taken {
    var event: RuleEvent
    var arrival: Int

    /// By event time, then as they came.
    static func precedes(_ a: Taken, _ b: Taken) -> Bool { (a.event.time, a.arrival) < (b.event.time, b.arrival) }
  }

  var within: Int64
  var coolDown: Int64
  /// Events that the rule looks at, and of these those whose values can be used.
  var looksAt: (RuleEvent) -> Bool
  var isUsable: (RuleEvent) -> Bool = { _ in true }
  /// Whether the last event of a life is found, as of the clock.
  var holds: (_ events: [Taken], _ clock: Int64) -> Bool
  /// Whether an event ends the cool-down of a finding at that clock.
  var endsCoolDown: (RuleEvent, _ finding: Int64) -> Bool = { _, _ in false }

  private struct Life {
    var clock = Int64.min
    var stamp = Int64.min
    var lastFinding: Int64?
    var events: [Taken] = []
  }

  /// Rows that are findings; counts of late, ahead and ownerless events.
  func run(_ stream: RuleStream) -> (rows: [Int], counts: DetectorCounts) {
    var lives: [Int64: Life] = [:]
    var counts = DetectorCounts()
    var rows: [Int] = []
    for (row, event) in stream.events.enumerated() where looksAt(event) {
      let watermark = stream.watermarks[row]
      if event.ahead {
        counts.ahead += 1
        continue
      }
      if watermark != .min { lives = lives.filter { $0.value.stamp > watermark - max(within, coolDown) } }
      guard isUsable(event) else { continue }
      guard let user = event.user else {
        counts.withoutEntity += 1
        continue
      }
      var life = lives[user] ?? Life()
      if life.clock > stream.believed[row] {
        life = Life(lastFinding: life.lastFinding.flatMap { $0 <= stream.believed[row] ? $0 : nil })
      }
      if life.clock != .min && event.time <= life.clock - within {
        counts.late += 1
        continue
      }
      if life.clock != .min && event.time >= life.clock + within { life.events = [] }
      life.clock = max(life.clock, event.time)
      life.stamp = max(life.stamp, life.clock, watermark)
      life.events.append(Taken(event: event, arrival: row))
      if let last = life.lastFinding, endsCoolDown(event, last) { life.lastFinding = nil }
      if holds(life.events, life.clock), life.lastFinding.map({ life.clock >= $0 + coolDown }) ?? true {
        rows.append(row)
        life.lastFinding = life.clock
      }
      lives[user] = life
    }
    return (rows, counts)
  }

  // MARK: Kinds

  /// Logins in a row, until a logout.
  static func streak(_ length: Int, within: Int64, coolDown: Int64) -> ProfileReference {
    ProfileReference(
      within: within, coolDown: coolDown, looksAt: { $0.kind == "login" || $0.kind == "logout" },
      holds: { events, clock in
        let (last, ordered) = (events[events.count - 1], events.sorted(by: Taken.precedes))
        let start = (ordered.lastIndex { $0.event.kind == "logout" } ?? -1) + 1
        let row = ordered[start...]
        guard last.event.kind == "login", row.contains(where: { $0.arrival == last.arrival }) else { return false }
        return row.count >= length && row.suffix(length).allSatisfy { $0.event.time > clock - within }
      },
      endsCoolDown: { $0.kind == "logout" && $0.time >= $1 })
  }

  /// Values of n of events that are no others.
  static func newValue(remember: Int, expire: Int64, coolDown: Int64, learning: LearningDefinition) -> ProfileReference
  {
    ProfileReference(
      within: expire, coolDown: coolDown, looksAt: { $0.kind != nil && $0.kind != "other" },
      isUsable: { $0.n != nil },
      holds: { events, clock in
        let (last, before) = (events[events.count - 1].event, events.dropLast().map(\.event))
        guard before.count >= learning.count, let first = before.map(\.time).min(), first <= clock - learning.time
        else {
          return false
        }
        // What is remembered, one event after the other; the first of those that were seen longest ago goes.
        var known: [(value: Int64, seen: Int64)] = []
        for event in before {
          if let place = known.firstIndex(where: { $0.value == event.n! }) {
            known[place].seen = max(known[place].seen, event.time)
          } else if known.count < remember {
            known.append((event.n!, event.time))
          } else {
            let oldest = known.indices.min { (known[$0].seen, $0) < (known[$1].seen, $1) }!
            known[oldest] = (event.n!, event.time)
          }
        }
        return !known.contains { $0.value == last.n! && $0.seen > clock - expire }
      })
  }

  static let hour: Int64 = 3_600_000_000

  /// Hours of the event time of events that are no others; until enough is known, logouts.
  static func unusualHour(
    share: Double, halfLife: Int64, coolDown: Int64, learning: LearningDefinition
  ) -> ProfileReference {
    ProfileReference(
      within: 8 * halfLife, coolDown: coolDown, looksAt: { $0.kind != nil && $0.kind != "other" },
      holds: { events, clock in
        func hour(_ time: Int64) -> Int64 { Int64((Double(time) / Double(Self.hour)).rounded(.down)) }
        var counted: Set<Int64> = []
        var weights = [Double](repeating: 0, count: 24)
        for event in events.dropLast().map(\.event) {
          let place = hour(event.time)
          if let newest = counted.max(), newest - place >= 64 { continue }
          guard counted.insert(place).inserted else { continue }
          weights[Int((place % 24 + 24) % 24)] += MathFunctions.pow(2, Double(event.time - clock) / Double(halfLife))
        }
        let total = weights.reduce(0, +)
        let last = events[events.count - 1].event
        let first = events.dropLast().map(\.event.time).min() ?? clock
        guard total >= Double(learning.count), first <= clock - learning.time else { return last.kind == "logout" }
        let place = Int((hour(last.time) % 24 + 24) % 24)
        let near = weights[place] / 2 + (weights[(place + 23) % 24] + weights[(place + 1) % 24]) / 4
        return near / total < share
      })
  }

  /// A login, then a logout or an n above 3, without an n above 6 between.
  static func sequence(within: Int64, coolDown: Int64) -> ProfileReference {
    func begins(_ event: RuleEvent) -> Bool { event.kind == "login" }
    func ends(_ event: RuleEvent) -> Bool { event.kind == "logout" || event.n ?? 0 > 3 }
    func breaks(_ event: RuleEvent) -> Bool { event.n ?? 0 > 6 }
    return ProfileReference(
      within: within, coolDown: coolDown, looksAt: { begins($0) || ends($0) || breaks($0) },
      holds: { events, clock in
        let (last, ordered) = (events[events.count - 1], events.sorted(by: Taken.precedes))
        // The event that breaks may begin anew, and has nothing before it.
        let row = ordered[(ordered.lastIndex { breaks($0.event) } ?? 0)...]
        guard row.contains(where: { $0.arrival == last.arrival }) else { return false }
        let others = row.filter { $0.arrival != last.arrival }
        let time = last.event.time
        if ends(last.event) {
          let beginning = others.filter { begins($0.event) }.suffix(4).last { $0.event.time <= time }
          if let beginning, beginning.event.time > time - within { return true }
        }
        guard begins(last.event) else { return false }
        let ending = others.filter { ends($0.event) }.suffix(4).first { $0.event.time > time }
        return ending.map { $0.event.time - time < within } ?? false
      })
  }

  /// Places at four times n degrees north and seven times n degrees east.
  static func travel(speed: Double, distance: Double, within: Int64, coolDown: Int64) -> ProfileReference {
    ProfileReference(
      within: within, coolDown: coolDown, looksAt: { $0.kind != nil && $0.kind != "other" },
      isUsable: { $0.n.map { $0.magnitude <= 22 } ?? false },
      holds: { events, clock in
        let last = events[events.count - 1].event
        guard let before = events.dropLast().max(by: Taken.precedes)?.event else { return false }
        let kilometres = ImpossibleTravel.distance(
          4 * Double(before.n!), 7 * Double(before.n!), 4 * Double(last.n!), 7 * Double(last.n!))
        let hours = Double(abs(last.time - before.time)) / Double(Self.hour)
        return kilometres > distance && kilometres > speed * hours
      })
  }
}
