// One clock of event time: how far it has come, judged from nothing but the event times that carry it, in their order.
// Its question is whether a time far ahead is a jump of the stream (a weekend without events) or a broken clock (a zone
// error, a default date). A single event cannot tell, so such an event waits for the ones that follow it.
//
// - The *front* is the highest time that is believed. A time up to the *reach* beyond the front is believed at once and
//   becomes the front. The reach is eight times the usual distance between events, at least a minute (or `maxAhead`, if
//   that is less) and at least `outOfOrder`.
// - The usual distance is a running quantile (about the 93rd percentile) of the steps by which the front advances: raised by
//   half, at most to the step, where a step exceeds it, and lowered by a 32nd where it does not. So one long step hardly
//   changes it, and a source that has become sparse is known after some steps.
// - The clock *opens* with its eighth event: the usual distance is then the median of the distances between the eight sorted
//   times, and the front the end of the first group (no distance within it above the reach) that has at least half as
//   many times as the largest: the slower of two producers, but not a stray default date. Before, everything is taken as it
//   comes, except what is absurdly far (32 times `maxAhead`) beyond the lower median of the times so far.
// - A time beyond the reach is *in doubt* and joins a run of others that lie within the reach of the run, or begins one. It
//   supports its run and those of earlier times, because time that has come further has come that far. Events that tell
//   an earlier time (not more than `maxAhead` behind the front) contradict a run. A run with the support of eight, and at
//   most one contradiction for ten, is *heard*: its events count from then on in everything but the watermark. With the
//   support of a hundred (of sixteen, where others have clocks of their own) it is *settled*: it is the new front. Eight
//   contradictions that are too many for the support end a run, as do a thousand events of the clock without an answer. When
//   the front arrives at a run by itself, it is believed too. Who knows of other clocks may ask for a decision before
//   (`decideRuns`), and the end of the input does.
// - Where several events had agreed on a time and were contradicted, a broken producer is among the others: the next run
//   needs twice the support to be heard, up to a hundred, and half of it again after every thousand calm events.
// - Eight events one after the other that are behind the front by more than the reach, and agree with each other, do not
//   follow it: its next step is in doubt, so a clock that runs fast does not take the front along. A hundred are a clock
//   that was set back. The front stays, because what was closed is closed; but what is *believed* is now the earlier time,
//   so that rules do not wait for hours until the front is reached again.
//
// Invariant: everything is a function of the times in their order; no time, however absurd, overflows anything.

/// What a clock needs to know of the use case, microseconds.
struct EventClockSettings: Sendable, Hashable {
  /// How far times may be behind the front without telling anything about the clock.
  var outOfOrder: Int64
  /// How far beyond the watermark an event in doubt still counts in its windows, and how far behind it is heard as a
  /// contradiction.
  var maxAhead: Int64
  /// Members of a run that move the front.
  var settling: Int

  /// How far ahead a time is absurd: what a clock that was not open yet took from beyond is taken back.
  var absurd: Int64 { maxAhead.multipliedSaturated(by: Limits.absurdlyAhead) }

  /// The least reach.
  var floor: Int64 { max(outOfOrder, min(Limits.leastClockReach, maxAhead)) }
}

/// Events in doubt that agree with each other.
struct DoubtfulRun: Sendable, Hashable {
  /// Unique in the partition.
  var id: UInt64
  var low: Int64
  var high: Int64
  var steps: UsualStep
  /// Its own events and later ones in doubt.
  var support = 1
  /// Its own events.
  var members = 1
  var contradictions = 0
  /// The first times that supported the run, at most `Limits.learnedSupport`: what the usual step is learned from.
  var times: [Int64]
  /// The clock's count of events when the run began.
  var began: UInt64
  /// The partition's count of events when the run began; 0 where the partition has one clock.
  var beganAt: UInt64 = 0
  var isHeard = false

  /// Learns the usual step from the times that support the run, as a clock does that opens, and moves the run's end to the
  /// end of the first group of these times.
  mutating func learn(_ settings: EventClockSettings) {
    let sorted = times.sorted()
    let distances = zip(sorted.dropFirst(), sorted).map { $0.subtractingSaturated($1) }.sorted()
    if !distances.isEmpty { steps.value = max(steps.value, distances[(distances.count - 1) / 2]) }
    let reach = steps.reach(settings)
    for time in sorted where time > high && time <= high.addingSaturated(reach) { high = time }
  }

  /// Takes in a time within the reach.
  mutating func add(_ time: Int64) {
    low = min(low, time)
    if time > high {
      steps.note(time.subtractingSaturated(high))
      high = time
    }
  }

  /// What ends it as dismissed.
  var dismissal: EventClock.Decision {
    .dismissed(run: id, heard: isHeard ? EventTimeMarks.Heard(events: members, from: low) : nil)
  }

  /// What ends it as believed: what waits with it and is absurdly far beyond it is not.
  func belief(_ settings: EventClockSettings) -> EventClock.Decision {
    .believed(run: id, latest: high.addingSaturated(settings.absurd))
  }

  /// Whether the contradictions are few enough for the support.
  var isClear: Bool { contradictions * Limits.watermarkContradiction <= support }
}

/// The usual step by which a series of times advances: a running quantile that costs one comparison a step.
struct UsualStep: Sendable, Hashable {
  var value: Int64

  @inline(__always)
  mutating func note(_ step: Int64) {
    if step > value {
      value = value == 0 ? step : min(step, value.addingSaturated(value >> 1).addingSaturated(1))
    } else {
      value -= value >> 5
    }
  }

  /// How long a step may be to be taken for granted.
  @inline(__always)
  func reach(_ settings: EventClockSettings) -> Int64 {
    max(settings.floor, value.multipliedSaturated(by: Limits.clockReach))
  }
}

/// One clock.
struct EventClock: Sendable, Hashable {
  /// What the clock says of a time.
  enum Judgement: Sendable, Hashable {
    /// It counts.
    case taken
    /// It is in doubt and waits for the decision on a run.
    case waits(run: UInt64)
  }

  /// A decision on a run, in the order in which they fell.
  enum Decision: Sendable, Hashable {
    /// Its events count from here on, those that wait too and are not later than `latest`.
    case believed(run: UInt64, latest: Int64)
    /// Its events stay out of what they were kept from, and leave it where they were heard.
    case dismissed(run: UInt64, heard: EventTimeMarks.Heard?)
    /// The clock has opened, and something that came before and is absurdly far ahead was taken in error.
    case opened
  }

  /// Times from before the clock opened, fewer than `Limits.clockOpening`.
  var opening: [Int64] = []
  /// Whether the clock has opened.
  var isOpen = false
  /// Highest believed time; before the clock opens the lower median of its times.
  var front = Int64.min
  var steps = UsualStep(value: 0)
  /// Times beyond this one are in doubt.
  private(set) var horizon = Int64.max
  var runs: [DoubtfulRun] = []
  /// Support that a run needs to be heard.
  var hearing = Limits.clockHearing
  /// Events since `hearing` was changed.
  var calm = 0
  /// Events in all.
  var seen: UInt64 = 0
  /// Events one after the other that are behind the front by more than the reach, the last of them and the highest.
  var behind = 0
  var lastBehind = Int64.min
  var highestBehind = Int64.min
  /// The latest time that is believed now: an entity whose clock is beyond it owes that to a time that is not. `Int64.max`
  /// until the clock opens.
  private(set) var believed = Int64.max

  /// Takes the next time.
  /// - Parameters:
  ///   - nextRun: identity of the next run.
  ///   - decisions: what was decided with this event is appended; it holds before the event itself is counted.
  @inline(__always)
  mutating func take(
    _ time: Int64, _ settings: EventClockSettings, nextRun: inout UInt64, into decisions: inout [Decision]
  ) -> Judgement {
    seen &+= 1
    if time > front, time <= horizon, isOpen {
      steps.note(time.subtractingSaturated(front))
      advance(to: time, settings)
      if !runs.isEmpty { contradictRuns(by: time, settings, into: &decisions) }
      if hearing > Limits.clockHearing { grow(calm: 1) }
      return .taken
    }
    return takeUnusual(time, settings, nextRun: &nextRun, into: &decisions)
  }

  /// A time that does not simply advance the front: before the clock is open, behind the front, or in doubt.
  private mutating func takeUnusual(
    _ time: Int64, _ settings: EventClockSettings, nextRun: inout UInt64, into decisions: inout [Decision]
  ) -> Judgement {
    guard isOpen else { return takeOpening(time, settings, nextRun: &nextRun, into: &decisions) }
    if time > horizon { return doubt(time, settings, nextRun: &nextRun, into: &decisions) }
    let reach = steps.reach(settings)
    let distance = front.subtractingSaturated(time)
    if distance <= reach {
      if behind > 0 { endStepBack(reach) }
    } else {
      noteBehind(time, reach)
    }
    if !runs.isEmpty {
      if distance <= max(settings.maxAhead, reach) {
        contradictRuns(by: time, settings, into: &decisions)
      } else {
        endOldRuns(into: &decisions)
      }
    }
    if hearing > Limits.clockHearing { grow(calm: 1) }
    return .taken
  }

  private mutating func advance(to time: Int64, _ settings: EventClockSettings) {
    front = time
    horizon = time.addingSaturated(steps.reach(settings))
    behind = 0
    if runs.isEmpty { believed = time } else { updateBelieved() }
  }

  // MARK: Opening

  private mutating func takeOpening(
    _ time: Int64, _ settings: EventClockSettings, nextRun: inout UInt64, into decisions: inout [Decision]
  ) -> Judgement {
    opening.append(time)
    if opening.count == Limits.clockOpening {
      open(settings, into: &decisions)
      believeReached(settings, into: &decisions)
      return time > horizon ? doubt(time, settings, nextRun: &nextRun, into: &decisions) : .taken
    }
    front = opening.sorted()[(opening.count - 1) / 2]
    believeReached(settings, into: &decisions)
    guard time > front.addingSaturated(settings.absurd) else { return .taken }
    return doubt(time, settings, nextRun: &nextRun, into: &decisions)
  }

  /// Opens with what there is.
  /// - Precondition: there is a time.
  private mutating func open(_ settings: EventClockSettings, into decisions: inout [Decision]) {
    let times = opening.sorted()
    let distances = zip(times.dropFirst(), times).map { $0.subtractingSaturated($1) }.sorted()
    steps.value = distances.isEmpty ? 0 : distances[(distances.count - 1) / 2]
    let reach = steps.reach(settings)
    var groups: [Range<Int>] = []
    var first = 0
    for index in 1...times.count
    where index == times.count || times[index].subtractingSaturated(times[index - 1]) > reach {
      groups.append(first..<index)
      first = index
    }
    let largest = groups.map(\.count).max() ?? 0
    let chosen = groups.first { $0.count * 2 >= largest } ?? 0..<times.count
    opening = []
    isOpen = true
    advance(to: times[chosen.upperBound - 1], settings)
    if times[times.count - 1] > front.addingSaturated(settings.absurd) { decisions.append(.opened) }
  }

  // MARK: Doubt

  private mutating func doubt(
    _ time: Int64, _ settings: EventClockSettings, nextRun: inout UInt64, into decisions: inout [Decision]
  ) -> Judgement {
    endOldRuns(into: &decisions)
    let reach = steps.reach(settings)
    var joined: UInt64?
    var index = 0
    while index < runs.count {
      let room = max(reach, runs[index].steps.reach(settings))
      if time < runs[index].low.subtractingSaturated(room) {
        if contradict(index, into: &decisions) { continue }
      } else {
        runs[index].support += 1
        if runs[index].times.count < Limits.learnedSupport { runs[index].times.append(time) }
        if joined == nil, time <= runs[index].high.addingSaturated(room) {
          joined = runs[index].id
          runs[index].add(time)
          runs[index].members += 1
        }
      }
      index += 1
    }
    let id = joined ?? begin(with: time, settings, nextRun: &nextRun, into: &decisions)
    if isOpen { hear(settings, into: &decisions) }
    // A run that is gone was settled or reached.
    return runs.first { $0.id == id }?.isHeard ?? true ? .taken : .waits(run: id)
  }

  private mutating func begin(
    with time: Int64, _ settings: EventClockSettings, nextRun: inout UInt64, into decisions: inout [Decision]
  ) -> UInt64 {
    if runs.count >= Limits.clockRuns {
      // Behind a run that waits it waits with that run: which of the times in between are right is not known yet.
      let before = runs.indices.filter { index in
        !runs[index].isHeard && runs[index].low <= time && time <= runs[index].high.addingSaturated(settings.absurd)
      }
      if let before = before.max(by: { runs[$0].low < runs[$1].low }) { return runs[before].id }
      // There is room for one that is absurdly far beyond them, and else the one with the least support goes; of several
      // the farthest, because later times support earlier ones.
      let least = runs.indices.min { left, right in
        let (left, right) = (runs[left], runs[right])
        if left.isHeard != right.isHeard { return right.isHeard }
        return left.support != right.support ? left.support < right.support : left.low > right.low
      }
      if runs.count > Limits.clockRuns, let least { end(least, into: &decisions) }
    }
    runs.append(
      DoubtfulRun(id: nextRun, low: time, high: time, steps: UsualStep(value: 0), times: [time], began: seen))
    nextRun += 1
    return nextRun - 1
  }

  /// Believes the runs that have enough support.
  private mutating func hear(_ settings: EventClockSettings, into decisions: inout [Decision]) {
    let needed = min(hearing, settings.settling)
    while let index = runs.firstIndex(where: { !$0.isHeard && $0.isClear && $0.support >= needed }) {
      runs[index].isHeard = true
      runs[index].learn(settings)
      decisions.append(runs[index].belief(settings))
      joinNeighbours(of: runs[index].id, settings, into: &decisions)
    }
    // What is within the reach of the front was in doubt only because others were behind.
    let reach = steps.reach(settings)
    while let run = runs.first(where: {
      $0.isHeard && $0.isClear && ($0.support >= settings.settling || $0.low <= front.addingSaturated(reach))
    }) {
      settle(run, settings, into: &decisions)
    }
    updateBelieved()
  }

  /// Takes the runs into a heard one that lie within its reach: those of a source that has become sparse.
  private mutating func joinNeighbours(
    of id: UInt64, _ settings: EventClockSettings, into decisions: inout [Decision]
  ) {
    while let own = runs.firstIndex(where: { $0.id == id }),
      let other = runs.firstIndex(where: {
        $0.id != id && $0.low >= runs[own].low
          && $0.low <= runs[own].high.addingSaturated(runs[own].steps.reach(settings))
      })
    {
      let joined = runs[other]
      runs[own].high = max(runs[own].high, joined.high)
      runs[own].contradictions = max(runs[own].contradictions, joined.contradictions)
      runs[own].members += joined.members
      if !joined.isHeard { decisions.append(joined.belief(settings)) }
      runs.remove(at: other)
    }
  }

  /// The run is the new front.
  private mutating func settle(
    _ run: DoubtfulRun, _ settings: EventClockSettings, into decisions: inout [Decision]
  ) {
    runs.removeAll { $0.id == run.id }
    steps.value = max(steps.value, run.steps.value)
    advance(to: run.high, settings)
    believeReached(settings, into: &decisions)
  }

  /// An event that is not in doubt tells a time; runs of later times are contradicted.
  private mutating func contradictRuns(
    by time: Int64, _ settings: EventClockSettings, into decisions: inout [Decision]
  ) {
    believeReached(settings, into: &decisions)
    var index = 0
    while index < runs.count {
      if runs[index].low > time, contradict(index, into: &decisions) { continue }
      index += 1
    }
    endOldRuns(into: &decisions)
  }

  /// - Returns: whether the run has ended.
  private mutating func contradict(_ index: Int, into decisions: inout [Decision]) -> Bool {
    runs[index].contradictions += 1
    guard runs[index].contradictions >= Limits.clockContradictions, !runs[index].isClear else { return false }
    end(index, into: &decisions)
    return true
  }

  /// Believes the runs whose time the front has reached by itself.
  private mutating func believeReached(_ settings: EventClockSettings, into decisions: inout [Decision]) {
    guard runs.contains(where: { $0.low <= front }) else { return }
    for index in runs.indices where runs[index].low <= front && !runs[index].isHeard {
      runs[index].isHeard = true
      decisions.append(runs[index].belief(settings))
    }
    // One whose end is still ahead stays heard until the front has come there.
    runs.removeAll { $0.high <= front }
    updateBelieved()
  }

  /// Ends the runs that have waited too long for an answer.
  private mutating func endOldRuns(into decisions: inout [Decision]) {
    while let old = runs.firstIndex(where: { !$0.isHeard && seen &- $0.began >= UInt64(Limits.clockPatience) }) {
      end(old, into: &decisions)
    }
  }

  private mutating func end(_ index: Int, into decisions: inout [Decision]) {
    let run = runs.remove(at: index)
    decisions.append(run.dismissal)
    if run.support > 2 {
      hearing = min(hearing * 2, Limits.watermarkAgreement)
      calm = 0
    }
    updateBelieved()
  }

  private mutating func grow(calm events: Int) {
    calm += events
    guard calm >= Limits.clockPatience else { return }
    hearing = max(hearing / 2, Limits.clockHearing)
    calm = 0
  }

  // MARK: Stepping back

  private mutating func noteBehind(_ time: Int64, _ reach: Int64) {
    let agrees =
      behind > 0 && time <= lastBehind.addingSaturated(reach) && time >= lastBehind.subtractingSaturated(reach)
    behind = agrees ? min(behind + 1, Limits.clockStepBack) : 1
    highestBehind = agrees ? max(highestBehind, time) : time
    lastBehind = time
    // While the others do not follow the front, its next step is in doubt. A function of what is stored, so that a restart
    // changes nothing.
    horizon = behind >= Limits.clockContradictions ? front : front.addingSaturated(reach)
    updateBelieved()
  }

  private mutating func endStepBack(_ reach: Int64) {
    behind = 0
    horizon = front.addingSaturated(reach)
    updateBelieved()
  }

  private mutating func updateBelieved() {
    guard isOpen else { return }
    let now = behind >= Limits.clockStepBack ? highestBehind : front
    believed = runs.reduce(now) { $1.isHeard ? max($0, $1.high) : $0 }
  }

  // MARK: Decisions without more events

  /// Decides whatever is open, because nothing more will come: a clock with few events opens with them, and a run that
  /// little contradicts is heard. The front does not move: the next input may show that the clock of a run was wrong.
  mutating func close(_ settings: EventClockSettings, into decisions: inout [Decision]) {
    if !isOpen {
      if opening.isEmpty { return }
      open(settings, into: &decisions)
      believeReached(settings, into: &decisions)
    }
    decideRuns(upTo: .max, settings, into: &decisions)
  }

  /// Decides about runs without waiting for more events: one that little contradicts and that lies within what the other
  /// clocks tell is heard, any other ends.
  /// - Parameters:
  ///   - limit: the latest time that the others tell.
  ///   - id: the only run that is looked at; nil for all.
  /// - Returns: whether something changed.
  @discardableResult
  mutating func decideRuns(
    upTo limit: Int64, only id: UInt64? = nil, _ settings: EventClockSettings, into decisions: inout [Decision]
  ) -> Bool {
    let before = decisions.count
    while let doubtful = runs.firstIndex(where: {
      (id == nil || $0.id == id) && (!$0.isHeard || limit == .max) && !($0.isClear && $0.high <= limit)
    }) {
      end(doubtful, into: &decisions)
    }
    for index in runs.indices where !runs[index].isHeard && (id == nil || runs[index].id == id) {
      runs[index].isHeard = true
      decisions.append(runs[index].belief(settings))
    }
    updateBelieved()
    return decisions.count > before
  }

  /// The latest time up to which windows close at the end of an input: that of the front, or of a run that a handful
  /// supports.
  var closingTime: Int64 {
    runs.reduce(front) { $1.isHeard && $1.support >= Limits.clockHearing ? max($0, $1.high) : $0 }
  }

  // MARK: State

  /// Computes what is derived from restored properties.
  mutating func restoreDerived(_ settings: EventClockSettings) {
    guard isOpen else { return }
    horizon = behind >= Limits.clockContradictions ? front : front.addingSaturated(steps.reach(settings))
    updateBelieved()
  }
}
