// The watermark of a partition whose events carry several clocks. It follows the slowest of those that still speak.
//
// - It is unknown for the first `Limits.watermarkAgreement` events of the partition, so that a slow clock is among those that
//   have spoken. Clocks absurdly far behind it are not waited for (first: behind the median of all clocks), and events
//   absurdly far ahead of it are left out whatever their own clock says.
// - A clock falls silent when the others have come `clockIdle` further since its last event. How far they have come is the
//   most that any of them has advanced step by step. Jumps, and steps far above the common one (a running median), do not
//   count: a host whose clock is set forward or runs wild would make all others silent. The events of clocks that have not
//   opened make one clock together for this, or hosts that say little and never speak again would all be waited for.
// - What waits for a clock is decided without more of its events when it falls silent, and `Limits.waitingPatience` events
//   of the partition after the run began: it is heard where nothing contradicts it and others have come as far.
// - When there is no room for another clock, the one that spoke longest ago goes, if it is silent; if it is not, the new one
//   shares a clock with all others for which there was no room. That one needs as much to settle as that of a partition with
//   one clock, because its events are those of many.

extension Watermark {
  func markSeveral(_ eventTimes: [Int64], _ clockOf: Column, _ marking: inout Marking) {
    let groups = WindowGroups([clockOf])
    // The clock of each group of equal values, with what tells it from later ones with its index.
    var known = [(index: Int, id: UInt64)](repeating: (-1, 0), count: groups.count)
    var key: [UInt8] = []
    for (row, time) in eventTimes.enumerated() {
      marking.watermarks.append(current)
      let group = Int(groups.codes[row])
      var index = known[group].index
      if index < 0 || several.places[index].id != known[group].id {
        WindowKeys.write([clockOf], row, into: &key)
        index = self.index(of: ClockDirectory.bounded(key), into: &marking.pending)
        // For one that shares a clock there may be room at its next event.
        if !several.isShared(index) { known[group] = (index, several.places[index].id) }
      }
      let judgement = take(time, of: index, into: &marking.pending)
      // A clock that is absurdly far ahead of the others would open windows that they never close.
      if judgement == .taken, isAbsurd(time) { marking.dismiss(row) }
      let beyond = current == .min ? clocks[index].front : current
      marking.note(judgement, row, time, beyond: beyond, settings)
      marking.believed.append(several.lead == .min ? .max : several.lead)
      marking.ownBelieved.append(clocks[index].believed)
    }
  }

  /// The clock of a value, a new one for a new value.
  private func index(of key: [UInt8], into decisions: inout [EventClock.Decision]) -> Int {
    if let known = several.index(of: key) { return known }
    // The last one is for whoever comes when there are too many.
    if several.ownCount < maxClocks - 1 { return append(key) }
    if let gone = several.leastRecent(idle: clockIdle ?? .max) {
      for run in clocks[gone].runs { decisions.append(run.dismissal) }
      if several.places[gone].isStored { staleKeys.insert(several.keys[gone]) }
      clocks[gone] = EventClock()
      several.replace(gone, by: key)
      return gone
    }
    return several.index(of: []) ?? append([])
  }

  private func append(_ key: [UInt8]) -> Int {
    clocks.append(EventClock())
    several.append(key, ClockDirectory.Place(progress: several.progress, spokeAt: several.progress))
    return clocks.count - 1
  }

  private func take(
    _ time: Int64, of index: Int, into decisions: inout [EventClock.Decision]
  ) -> EventClock.Judgement {
    events &+= 1
    let idle = clockIdle ?? .max
    let (wasOpen, front, horizon) = (clocks[index].isOpen, clocks[index].front, clocks[index].horizon)
    let believed = clocks[index].believed
    let run = nextRun
    let settings = several.isShared(index) ? sharedSettings : settings
    let judgement = clocks[index].take(time, settings, nextRun: &nextRun, into: &decisions)
    if nextRun != run, let began = clocks[index].runs.lastIndex(where: { $0.id == run }) {
      clocks[index].runs[began].beganAt = events
      several.noteAwaited(run, of: index, since: events)
    }
    if !wasOpen { takeNewcomer(time) }
    let isSilent = several.isSilent(index, idle: idle)
    let now = clocks[index].front
    several.speak(
      index, steppingBy: wasOpen && time <= horizon ? now.subtractingSaturated(front) : 0, isSilent: isSilent,
      event: events)
    if !isAbsurd(now) { several.latestFront = max(several.latestFront, now) }
    if now < front || several.places[index].slowEntry == nil { several.enter(index, front: now) }
    if clocks[index].believed != believed || clocks[index].isOpen != wasOpen { noteBelieved(index) }
    advance(into: &decisions)
    decideWaiting(into: &decisions)
    return judgement
  }

  /// Notes the time of a clock that has not opened.
  private func takeNewcomer(_ time: Int64) {
    let (wasOpen, front, horizon) = (newcomers.isOpen, newcomers.front, newcomers.horizon)
    // Nothing waits for its runs.
    var run: UInt64 = newcomers.seen
    var decisions: [EventClock.Decision] = []
    _ = newcomers.take(time, sharedSettings, nextRun: &run, into: &decisions)
    let step = wasOpen && time <= horizon ? newcomers.front.subtractingSaturated(front) : 0
    several.advanceNewcomers(by: step, idle: clockIdle ?? .max)
  }

  /// Moves the watermark to the slowest clock.
  private func advance(into decisions: inout [EventClock.Decision]) {
    guard events >= UInt64(Limits.watermarkAgreement) else { return }
    let isFirst = current == .min
    follow(least: isFirst ? median.subtractingSaturated(settings.absurd) : leastFront)
    // What was taken before may be absurdly far ahead.
    if isFirst, current != .min { decisions.append(.opened) }
  }

  /// - Parameter least: clocks with an earlier front are not waited for.
  private func follow(least: Int64) {
    let slowest = several.slowestFront(idle: clockIdle ?? .max, least: least) { clocks[$0].front }
    guard let slowest else { return }
    let before = current
    current = max(current, Self.watermark(of: slowest, settings))
    if before == .min {
      for index in clocks.indices { noteBelieved(index) }
    } else if current > before {
      while let near = several.takeNear(latest: latestTaken) { noteBelieved(near) }
    }
  }

  private var leastFront: Int64 { current.subtractingSaturated(settings.absurd) }

  /// The lower median of the fronts. Looks at all of them.
  private var median: Int64 {
    let fronts = clocks.map(\.front).sorted()
    return fronts[(fronts.count - 1) / 2]
  }

  private var sharedSettings: EventClockSettings {
    var settings = settings
    settings.settling = Limits.watermarkAgreement
    return settings
  }

  private func noteBelieved(_ index: Int) {
    several.noteBelieved(index, clocks[index].isOpen ? clocks[index].believed : nil, latest: latestTaken)
  }

  /// Decides what waits for clocks that have fallen silent, and what has waited for too many events.
  private func decideWaiting(into decisions: inout [EventClock.Decision]) {
    while let silent = several.takeSilent(idle: clockIdle ?? .max) {
      if !clocks[silent].runs.isEmpty { decide(silent, only: nil, into: &decisions) }
    }
    while let (index, run) = several.takeOverdue(events, patience: UInt64(Limits.waitingPatience)) {
      if clocks[index].runs.contains(where: { $0.id == run }) { decide(index, only: run, into: &decisions) }
    }
  }

  private func decide(_ index: Int, only run: UInt64?, into decisions: inout [EventClock.Decision]) {
    guard clocks[index].decideRuns(upTo: several.lead, only: run, settings, into: &decisions) else { return }
    several.noteChange(index)
    noteBelieved(index)
  }

  /// The end of the input.
  func closeSeveral(into decisions: inout [EventClock.Decision]) {
    guard !clocks.isEmpty else { return }
    for index in clocks.indices {
      let front = clocks[index].front
      clocks[index].close(settings, into: &decisions)
      several.noteChange(index)
      if clocks[index].front < front { several.enter(index, front: clocks[index].front) }
      noteBelieved(index)
    }
    follow(least: current == .min ? median.subtractingSaturated(settings.absurd) : leastFront)
  }

  /// Takes up restored clocks.
  func restoreClocks(_ restored: [(clock: EventClock, place: ClockDirectory.Place, key: [UInt8])]) {
    clocks = []
    let (progress, commonStep, newcomers) = (several.progress, several.commonStep, several.newcomers)
    several = ClockDirectory()
    (several.progress, several.commonStep, several.newcomers) = (progress, commonStep, newcomers)
    guard clockIdle != nil else {
      clocks = restored.map(\.clock)
      return
    }
    for (_, entry) in restored.enumerated().sorted(by: {
      ($0.element.place.lastEvent, $0.offset) < ($1.element.place.lastEvent, $1.offset)
    }) {
      clocks.append(entry.clock)
      several.append(entry.key, entry.place)
      several.enter(clocks.count - 1, front: entry.clock.front)
      if !isAbsurd(entry.clock.front) { several.latestFront = max(several.latestFront, entry.clock.front) }
      noteBelieved(clocks.count - 1)
    }
    let waiting = clocks.indices.flatMap { index in clocks[index].runs.map { (since: $0.beganAt, run: $0.id, index) } }
    for (since, run, index) in waiting.sorted(by: { ($0.since, $0.run) < ($1.since, $1.run) }) {
      several.noteAwaited(run, of: index, since: since)
    }
  }
}
