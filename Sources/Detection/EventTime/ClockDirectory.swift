// What is known of the several clocks of a partition beside the clocks themselves: whose they are, who spoke when, who is
// slowest and what the latest time is that any of them believes. Everything here is found in logarithmic time at most,
// however many clocks there are. Invariant: all of it is a function of the clocks, their places and the watermark, so it is
// built anew from stored clocks.

/// Keys, places and orders of the clocks of a partition, by index.
struct ClockDirectory: Sendable {
  /// What is known of a clock among others.
  struct Place: Sendable, Hashable {
    /// How far it has advanced step by step, on the scale of `progress`.
    var progress: Int64
    /// `progress` of the partition at its last event.
    var spokeAt: Int64
    /// The partition's count of events at its last event.
    var lastEvent: UInt64 = 0
    /// Tells the clock from earlier ones with its index.
    var id: UInt64 = 0
    var isChanged = true
    /// Whether there is an entry of it in the state.
    var isStored = false
    /// Its entry among the slowest is the one with this number; nil while it has none.
    fileprivate(set) var slowEntry: UInt64?
    /// Its lowest entry among those that are absurdly far ahead.
    fileprivate var farEntry: Int64?
    /// Neighbours in the order of last events.
    fileprivate var previous = -1
    fileprivate var next = -1

    init(progress: Int64, spokeAt: Int64) {
      self.progress = progress
      self.spokeAt = spokeAt
    }
  }

  private(set) var places: [Place] = []
  /// The encoded value of the field, or its hash; empty for the clock that is shared.
  private(set) var keys: [[UInt8]] = []
  private var indices: [[UInt8]: Int] = [:]
  private var nextID: UInt64 = 0
  /// Clocks with changes that are not stored.
  private var changed: [Int] = []

  /// How far the partition has come.
  var progress: Int64 = 0
  /// The running median of the steps of all clocks.
  var commonStep: Int64 = 0
  /// How far the events of clocks that have not opened tell that it has come.
  var newcomers = Place(progress: 0, spokeAt: 0)
  /// The highest front so far, for display before a clock has opened.
  var latestFront = Int64.min

  // The order of last events: the clock that spoke longest ago, the last one, and the first that is not known to be silent.
  private(set) var oldest = -1
  private var newest = -1
  private(set) var firstSpeaking = -1

  /// Clocks that speak, by their fronts when they were put here, which only rise from then on.
  private var slowest = StampHeap()
  private var nextSlowEntry: UInt64 = 0
  /// Clocks that are absurdly far ahead, by what they believe.
  private var far = StampHeap()
  private var believed = MaximumTree()

  /// Runs in doubt in the order of their beginning, those before `firstAwaited` done with.
  private var awaited: [(since: UInt64, index: Int, id: UInt64, run: UInt64)] = []
  private var firstAwaited = 0

  /// The latest time that any open clock believes, without those that are absurdly far ahead.
  var lead: Int64 { believed.maximum }

  /// The key of a value: longer ones are hashed, so that what is kept does not depend on their length.
  static func bounded(_ key: [UInt8]) -> [UInt8] {
    guard key.count > Limits.clockKeyBytes else { return key }
    let hash = EntityKey(hashing: key, key.indices)
    // No encoded value begins with 3.
    var bounded: [UInt8] = [3]
    for word in [hash.low, hash.high] {
      for byte in 0..<8 { bounded.append(UInt8(truncatingIfNeeded: word >> UInt64(8 * byte))) }
    }
    return bounded
  }

  func index(of key: [UInt8]) -> Int? { indices[key] }

  /// Clocks that are not shared.
  var ownCount: Int { places.count - (indices[[]] == nil ? 0 : 1) }

  /// Whether a clock is the one of all for which there was no room.
  func isShared(_ index: Int) -> Bool { keys[index].isEmpty }

  /// Adds a clock behind the others; it has spoken last.
  mutating func append(_ key: [UInt8], _ place: Place) {
    let index = places.count
    places.append(place)
    keys.append(key)
    settle(index, key)
    if place.isChanged { changed.append(index) }
  }

  /// Gives the place of a clock to a new one.
  mutating func replace(_ index: Int, by key: [UInt8]) {
    unlink(index)
    indices[keys[index]] = nil
    let wasChanged = places[index].isChanged
    places[index] = Place(progress: progress, spokeAt: progress)
    // It stays among the changed ones.
    places[index].isChanged = wasChanged
    keys[index] = key
    believed.set(index, .min)
    settle(index, key)
  }

  private mutating func settle(_ index: Int, _ key: [UInt8]) {
    places[index].id = nextID
    nextID += 1
    indices[key] = index
    link(index)
  }

  // MARK: Changes

  mutating func noteChange(_ index: Int) {
    guard !places[index].isChanged else { return }
    places[index].isChanged = true
    changed.append(index)
  }

  /// The clocks that changed since the last call.
  mutating func takeChanged() -> [Int] {
    let taken = changed
    for index in taken {
      places[index].isChanged = false
      places[index].isStored = true
    }
    changed = []
    return taken
  }

  // MARK: Who spoke when

  /// Notes that a clock has spoken and by how much it has advanced.
  mutating func speak(_ index: Int, steppingBy step: Int64, isSilent: Bool, event: UInt64) {
    noteChange(index)
    var place = places[index]
    advance(&place, by: step, isSilent: isSilent)
    places[index] = place
    places[index].lastEvent = event
    if newest != index {
      unlink(index)
      link(index)
    } else if firstSpeaking == -1 {
      firstSpeaking = index
    }
  }

  /// Notes a step of the clock that the events of clocks make which have not opened.
  mutating func advanceNewcomers(by step: Int64, idle: Int64) {
    var place = newcomers
    advance(&place, by: step, isSilent: progress.subtractingSaturated(place.spokeAt) >= idle)
    newcomers = place
  }

  private mutating func advance(_ place: inout Place, by step: Int64, isSilent: Bool) {
    // One that comes back starts where the others are.
    if isSilent { place.progress = progress }
    if step > 0 {
      if step <= max(commonStep.multipliedSaturated(by: Limits.commonStepReach), Limits.leastClockReach) {
        place.progress = place.progress.addingSaturated(step)
        progress = max(progress, place.progress)
      }
      if step > commonStep {
        commonStep = commonStep == 0 ? step : min(step, commonStep.addingSaturated(commonStep >> 2).addingSaturated(1))
      } else {
        commonStep -= commonStep >> 2
      }
    }
    place.spokeAt = progress
  }

  /// Whether the others have come `idle` further since a clock's last event.
  @inline(__always)
  func isSilent(_ index: Int, idle: Int64) -> Bool {
    progress.subtractingSaturated(places[index].spokeAt) >= idle
  }

  /// The next clock that has fallen silent, each once until it speaks again.
  mutating func takeSilent(idle: Int64) -> Int? {
    guard firstSpeaking != -1, isSilent(firstSpeaking, idle: idle) else { return nil }
    defer { firstSpeaking = places[firstSpeaking].next }
    return firstSpeaking
  }

  /// The clock that spoke longest ago and may go for another one; nil where that one still speaks.
  func leastRecent(idle: Int64) -> Int? {
    var index = oldest
    if index != -1, isShared(index) { index = places[index].next }
    return index != -1 && isSilent(index, idle: idle) ? index : nil
  }

  private mutating func link(_ index: Int) {
    places[index].previous = newest
    places[index].next = -1
    if newest != -1 { places[newest].next = index }
    newest = index
    if oldest == -1 { oldest = index }
    if firstSpeaking == -1 { firstSpeaking = index }
  }

  private mutating func unlink(_ index: Int) {
    let (previous, next) = (places[index].previous, places[index].next)
    if previous != -1 { places[previous].next = next } else { oldest = next }
    if next != -1 { places[next].previous = previous } else { newest = previous }
    if firstSpeaking == index { firstSpeaking = next }
  }

  // MARK: Who is slowest

  /// Puts a clock among the slowest, where its entry is missing or too high.
  mutating func enter(_ index: Int, front: Int64) {
    if slowest.count > 2 * places.count + 64 {
      let places = places
      slowest.removeAll { places[Int($0.slot)].slowEntry != $0.id }
    }
    slowest.insert(stamp: front, slot: UInt32(index), id: nextSlowEntry)
    places[index].slowEntry = nextSlowEntry
    nextSlowEntry += 1
  }

  /// The front of the slowest clock that speaks.
  /// - Parameter least: clocks with an earlier front are not waited for.
  mutating func slowestFront(idle: Int64, least: Int64, frontOf: (Int) -> Int64) -> Int64? {
    while let top = slowest.top {
      let index = Int(top.slot)
      let front = frontOf(index)
      if places[index].slowEntry != top.id {
        slowest.removeTop()
      } else if isSilent(index, idle: idle) || front < least {
        slowest.removeTop()
        places[index].slowEntry = nil
      } else if front > top.stamp {
        slowest.replaceTop(stamp: front)
      } else {
        return top.stamp
      }
    }
    return nil
  }

  // MARK: What is believed

  /// Notes what a clock believes.
  /// - Parameters:
  ///   - time: nil where it has not opened.
  ///   - latest: later ones are absurd.
  mutating func noteBelieved(_ index: Int, _ time: Int64?, latest: Int64) {
    guard let time, time > latest else { return believed.set(index, time ?? .min) }
    believed.set(index, .min)
    guard places[index].farEntry.map({ time < $0 }) ?? true else { return }
    if far.count > 2 * places.count + 64 {
      let places = places
      far.removeAll { places[Int($0.slot)].id != $0.id || places[Int($0.slot)].farEntry != $0.stamp }
    }
    places[index].farEntry = time
    far.insert(stamp: time, slot: UInt32(index), id: places[index].id)
  }

  /// Takes out a clock that may not be absurdly far ahead any more.
  mutating func takeNear(latest: Int64) -> Int? {
    while let top = far.top, top.stamp <= latest {
      far.removeTop()
      let index = Int(top.slot)
      guard places[index].id == top.id, places[index].farEntry == top.stamp else { continue }
      places[index].farEntry = nil
      return index
    }
    return nil
  }

  // MARK: What waits

  /// Notes a run that has begun.
  mutating func noteAwaited(_ run: UInt64, of index: Int, since event: UInt64) {
    awaited.append((event, index, places[index].id, run))
  }

  /// The next run that began that many events ago and may still be in doubt.
  mutating func takeOverdue(_ event: UInt64, patience: UInt64) -> (index: Int, run: UInt64)? {
    while firstAwaited < awaited.count, event &- awaited[firstAwaited].since >= patience {
      let first = awaited[firstAwaited]
      firstAwaited += 1
      if firstAwaited > awaited.count / 2 + 64 {
        awaited.removeFirst(firstAwaited)
        firstAwaited = 0
      }
      if places[first.index].id == first.id { return (first.index, first.run) }
    }
    return nil
  }
}

/// The maximum of values by index, kept in logarithmic time: a complete binary tree in an array.
struct MaximumTree: Sendable {
  private var nodes: [Int64] = [.min, .min]
  private var capacity = 1

  var maximum: Int64 { nodes[1] }

  mutating func set(_ index: Int, _ value: Int64) {
    while index >= capacity { grow() }
    var at = capacity + index
    guard nodes[at] != value else { return }
    nodes[at] = value
    while at > 1 {
      at >>= 1
      let maximum = max(nodes[2 * at], nodes[2 * at + 1])
      if nodes[at] == maximum { return }
      nodes[at] = maximum
    }
  }

  private mutating func grow() {
    let values = nodes[capacity...]
    capacity *= 2
    nodes = [Int64](repeating: .min, count: capacity) + values + [Int64](repeating: .min, count: capacity / 2)
    for at in (1..<capacity).reversed() { nodes[at] = max(nodes[2 * at], nodes[2 * at + 1]) }
  }
}
