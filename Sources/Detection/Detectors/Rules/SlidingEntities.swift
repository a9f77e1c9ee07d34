// The sliding windows of all entities of one rule in one partition: exact, in event time, in bounded memory.
//
// Definitions. T, an entity's clock, is the highest event time of its events. Its window holds its events with a time in
// (T - within, T]; an event behind that is late and changes nothing. The stamp of an entity is the higher of T and of the
// watermark before its last event. An entity is forgotten when the watermark before an event (of any entity) has reached
// stamp + horizon, the horizon being the longer of `within` and the cool-down; a later event of it starts afresh. So does
// the next event of an entity whose clock lies beyond the time that is believed as of that event: its clock was set by an
// event that turned out wrong, or the source's clock has been set back.
//
// Why forgetting is sound. It depends on times and on the order of events alone, not on how they were cut into batches or
// on when memory was freed: it is decided before each event by comparing times, and stamps and watermarks only ascend. An
// event that is not behind the watermark finds the same either way: its time is at least T + horizon, so every earlier
// entry has left the window, a profile begins anew, and every cool-down is over. An entity whose clock lags behind the
// partition's keeps its window, because its stamp follows the watermark for as long as its events come.
//
// Structure. Entries are nodes of one pool. Those that came in order form a list per entity, the others a heap by time
// (rare), so that the oldest is found and a new one placed in O(1), or O(log n) out of order. Entities wait for being
// forgotten in one heap by stamp, each once, with the stamp it had when it was put there; its true stamp is looked at
// when it surfaces (what surfaces of one that is gone, or whose slot has another tenant, is dropped; so are all of these
// once they are most of the heap). Entities whose clock was far ahead of the watermark when it was set are in a list, so
// that those of wrong times are found without a look at all. Nothing is ever proportional to a window.

/// The windows and aggregates of a rule's entities.
struct SlidingEntities: Sendable {
  let within: Int64
  let horizon: Int64
  /// A clock this far beyond the watermark is out of the ordinary.
  let maxAhead: Int64
  /// Whether events are held; a rule without aggregates needs only the entities.
  let holdsEntries: Bool
  let plans: [ArgumentPlan]
  let width: Int

  private(set) var entities: [Entity] = []
  private(set) var entries: [Entry] = []
  /// `width` words a node.
  private(set) var words: [UInt64] = []
  private(set) var arguments: [ArgumentWindows]
  /// What the rule keeps of entities in place of a window.
  var profiles: ProfileTable
  private var slots = EntityTable()
  private var freeSlots: [UInt32] = []
  private var freeNode = PairingHeap.none
  private var disorder = DisorderedEntries()
  private var waiting = StampHeap()
  /// Slots of entities forgotten since `recycle`; their records stay readable until then.
  private var retired: [UInt32] = []
  /// Entities that have started afresh since `recycle`, by slot: that of the life before, and what was believed.
  private var restarts: [UInt32: (from: UInt32, believed: Int64)] = [:]
  /// Items of `waiting` whose entity ended before its time.
  private var staleStamps = 0
  /// Entities whose clock was more than `maxAhead` beyond the watermark when it was set, each once; some have gone or been
  /// reached since.
  private var far: [(slot: UInt32, id: UInt64)] = []
  /// `far` is looked through when it has come to this many.
  private var farLimit = 64
  /// Stored entities that ended before their time, and what is stored of them.
  var ended = EndedEntities()
  /// Identity of the next new entity; above every one that a stored segment mentions.
  var nextID: UInt64 = 0
  /// What is stored where.
  var ledger = SegmentLedger()
  /// Entities that are stored and not in memory.
  var parked = ParkedEntities()
  /// The watermark before the last event.
  private(set) var watermark = Int64.min

  /// Entries in all windows.
  private(set) var entryCount = 0
  var entityCount: Int { slots.count + parked.count }

  init(
    within: Int64, horizon: Int64, maxAhead: Int64, plans: [ArgumentPlan], holdsEntries: Bool,
    layout: [ProfileWord] = []
  ) {
    self.within = within
    self.horizon = horizon
    self.maxAhead = maxAhead
    self.holdsEntries = holdsEntries
    self.plans = plans
    profiles = ProfileTable(layout: layout)
    width = plans.reduce(0) { $0 + $1.words }
    arguments = plans.map(ArgumentWindows.init)
  }

  /// Bytes in memory.
  var heldBytes: Int {
    let held = entities.heldBytes + entries.heldBytes + words.heldBytes + arguments.reduce(0) { $0 + $1.heldBytes }
    let found = slots.heldBytes + waiting.heldBytes + disorder.heldBytes + far.heldBytes + restarts.heldBytes
    let free = freeSlots.heldBytes + retired.heldBytes
    return held + found + free + ended.heldBytes + ledger.heldBytes + parked.heldBytes + profiles.heldBytes
  }

  // MARK: Events

  /// Forgets the entities whose time has come, as of the watermark before an event.
  @inline(__always)
  mutating func forget(watermark: Int64) {
    guard watermark != .min else { return }
    self.watermark = watermark
    let bound = watermark.subtractingSaturated(horizon)
    while let top = waiting.top, top.stamp <= bound {
      let stamp = entities[Int(top.slot)].stamp
      if entities[Int(top.slot)].id != top.id || entities[Int(top.slot)].segment == Entry.noSegment {
        waiting.removeTop()
        staleStamps -= 1
      } else if stamp > top.stamp {
        waiting.replaceTop(stamp: stamp)
      } else {
        waiting.removeTop()
        retire(top.slot)
      }
    }
  }

  /// Takes in an event; nil when it is late. Otherwise the slot of its entity, whose window is now as of its clock.
  @inline(__always)
  mutating func insert(
    _ key: EntityKey, time: Int64, watermark: Int64, believed: Int64, staged: StagedArguments, ordinal: Int
  ) -> UInt32? {
    let slot: UInt32
    var found = slots.find(key, keyOf: { entities[Int($0)].key })
    var ended: UInt32?
    if let known = found, entities[Int(known)].clock > believed {
      end(known)
      ended = known
      found = nil
    }
    if let known = found {
      slot = known
      let clock = entities[Int(slot)].clock
      if time <= clock.subtractingSaturated(within) { return nil }
      if time > clock {
        entities[Int(slot)].clock = time
        noteClock(slot, watermark)
        if !profiles.isEmpty, clock <= time.subtractingSaturated(within) { profiles.clear(slot) }
      }
      if holdsEntries { hold(slot, time, inOrder: time >= clock, staged, ordinal) }
      if time > clock { expire(slot) }
    } else {
      slot = create(
        Entity(
          key: key, id: nextID, clock: time, stamp: time, lastFinding: nil, segment: Entry.noSegment))
      if let ended { restarts[slot] = (ended, believed) }
      waiting.insert(stamp: time, slot: slot, id: nextID)
      nextID += 1
      noteClock(slot, watermark)
      if holdsEntries { hold(slot, time, inOrder: true, staged, ordinal) }
    }
    let stamp = max(entities[Int(slot)].clock, watermark)
    if stamp > entities[Int(slot)].stamp { entities[Int(slot)].stamp = stamp }
    touch(slot)
    return slot
  }

  /// Notes a finding of an entity at the given clock. The entity may have been forgotten since, but not recycled.
  mutating func noteFinding(_ slot: UInt32, at clock: Int64) { entities[Int(slot)].lastFinding = clock }

  /// `clock` at the last finding of an entity. Of one that has started afresh it is that of its life before, so that its
  /// cool-down goes on; findings are noted when all events of a batch are in, so it is asked for then.
  mutating func lastFinding(_ slot: UInt32) -> Int64? {
    if !restarts.isEmpty { takeOver(slot) }
    return entities[Int(slot)].lastFinding
  }

  private mutating func takeOver(_ slot: UInt32) {
    guard let restart = restarts.removeValue(forKey: slot) else { return }
    takeOver(restart.from)
    entities[Int(slot)].lastFinding = believedFinding(restart.from, restart.believed)
  }

  /// The time of an entity's last finding, unless that is not to be believed either.
  private func believedFinding(_ slot: UInt32, _ believed: Int64) -> Int64? {
    entities[Int(slot)].lastFinding.flatMap { $0 <= believed ? $0 : nil }
  }

  /// Lets the slots of forgotten entities be used again.
  mutating func recycle() {
    if !restarts.isEmpty { for slot in restarts.keys.sorted() { takeOver(slot) } }
    freeSlots.append(contentsOf: retired)
    retired.removeAll(keepingCapacity: true)
  }

  // MARK: Restoring

  /// Adds an entity as it was stored in a segment, or replaces what an earlier record said of it.
  mutating func restore(_ entity: Entity, profile: [UInt64]) {
    guard let slot = slots.find(entity.key, keyOf: { entities[Int($0)].key }) else {
      profiles.set(create(entity), to: profile)
      return
    }
    guard entity.isNoEarlier(than: entities[Int(slot)]) else { return }
    entities[Int(slot)] = entity
    profiles.set(slot, to: profile)
  }

  /// Drops an entity as it was stored in a segment, for one that is parked and no earlier; false where it is earlier.
  mutating func supersede(by entity: Entity) -> Bool {
    guard let slot = slots.find(entity.key, keyOf: { entities[Int($0)].key }) else { return true }
    guard entity.isNoEarlier(than: entities[Int(slot)]) else { return false }
    slots.remove(entity.key) { entities[Int($0)].key }
    entities[Int(slot)].segment = Entry.noSegment
    freeSlots.append(slot)
    return true
  }

  /// All records are in their places.
  /// - Returns: the slots in use.
  mutating func finishEntities() -> [UInt32] {
    let used = entities.indices.filter { entities[$0].segment != Entry.noSegment }
    for slot in used {
      // How far ahead it is shows when the list is looked through.
      entities[slot].isFar = true
      far.append((UInt32(slot), entities[slot].id))
      waiting.insert(stamp: entities[slot].stamp, slot: UInt32(slot), id: entities[slot].id)
    }
    return used.map { UInt32($0) }
  }

  /// Adds an entity that was parked, under a new identity and in no window yet.
  mutating func unpark(_ entity: Entity, profile: [UInt64]) -> UInt32 {
    var entity = entity
    (entity.id, entity.segment) = (nextID, Entry.noSegment)
    nextID += 1
    let slot = create(entity)
    profiles.set(slot, to: profile)
    waiting.insert(stamp: entity.stamp, slot: slot, id: entity.id)
    touch(slot)
    return slot
  }

  /// Adds an entry as it was stored; it is in no window before `attach`.
  mutating func restore(_ entry: Entry, words values: [UInt64]) -> UInt32 {
    let node = allocate(entry)
    for (index, value) in values.enumerated() { words[Int(node) * width + index] = value }
    return node
  }

  /// Puts entries into their windows that are in none.
  mutating func attach(_ nodes: [UInt32]) {
    var nodes = nodes
    nodes.sort { entries[Int($0)].time < entries[Int($1)].time }
    for node in nodes { attach(node, entries[Int(node)].slot, inOrder: true) }
  }

  /// Moves a node or an entity's record from one segment to another; false when it is not in that one any more.
  mutating func move(node: UInt32, from segment: UInt32, to other: UInt32) -> Bool {
    guard entries[Int(node)].segment == segment else { return false }
    entries[Int(node)].segment = other
    return true
  }

  mutating func move(slot: UInt32, from segment: UInt32, to other: UInt32) -> Bool {
    guard entities[Int(slot)].segment == segment else { return false }
    entities[Int(slot)].segment = other
    return true
  }

  // MARK: Entities

  private mutating func create(_ entity: Entity) -> UInt32 {
    let slot: UInt32
    if let free = freeSlots.popLast() {
      slot = free
      entities[Int(slot)] = entity
      profiles.clear(slot)
    } else {
      slot = UInt32(entities.count)
      entities.append(entity)
      profiles.append()
      for index in arguments.indices { arguments[index].growSlots(to: entities.count) }
    }
    slots.insert(entity.key, slot: slot) { entities[Int($0)].key }
    return slot
  }

  /// Marks the record of an entity as to be stored in the open segment.
  @inline(__always)
  private mutating func touch(_ slot: UInt32) {
    let segment = entities[Int(slot)].segment
    guard segment != SegmentLedger.open else { return }
    if segment != Entry.noSegment { ledger.lose(segment) }
    entities[Int(slot)].segment = SegmentLedger.open
    ledger.gain(record: slot)
  }

  /// Drops the entities whose clock lies beyond a time, as of a watermark. Those that have found something start afresh
  /// at once, so that their cool-down goes on.
  mutating func discard(beyond bound: Int64, believed: Int64, watermark: Int64) {
    guard !far.isEmpty else { return }
    lookThroughFar(watermark)
    for (slot, id) in far where isLive(slot, id) && entities[Int(slot)].clock > bound {
      let key = entities[Int(slot)].key
      end(slot)
      guard let finding = believedFinding(slot, believed) else { continue }
      let stamp = max(finding, watermark)
      let fresh = create(
        Entity(
          key: key, id: nextID, clock: finding, stamp: stamp, lastFinding: finding, segment: Entry.noSegment))
      waiting.insert(stamp: stamp, slot: fresh, id: nextID)
      nextID += 1
      touch(fresh)
    }
    recycle()
  }

  /// Notes an entity whose clock is far ahead.
  @inline(__always)
  private mutating func noteClock(_ slot: UInt32, _ watermark: Int64) {
    guard entities[Int(slot)].clock > watermark.addingSaturated(maxAhead), !entities[Int(slot)].isFar else { return }
    noteFar(slot, watermark)
  }

  private mutating func noteFar(_ slot: UInt32, _ watermark: Int64) {
    if far.count >= farLimit { lookThroughFar(watermark) }
    entities[Int(slot)].isFar = true
    far.append((slot, entities[Int(slot)].id))
  }

  /// Takes those off the list that have gone or are far ahead no more.
  private mutating func lookThroughFar(_ watermark: Int64) {
    let bound = watermark.addingSaturated(maxAhead)
    var kept: [(slot: UInt32, id: UInt64)] = []
    for (slot, id) in far where isLive(slot, id) {
      entities[Int(slot)].isFar = entities[Int(slot)].clock > bound
      if entities[Int(slot)].isFar { kept.append((slot, id)) }
    }
    far = kept
    farLimit = max(64, 2 * far.count)
  }

  private func isLive(_ slot: UInt32, _ id: UInt64) -> Bool {
    entities[Int(slot)].id == id && entities[Int(slot)].segment != Entry.noSegment
  }

  /// Ends an entity before its time, because its clock is not to be believed.
  private mutating func end(_ slot: UInt32) {
    retire(slot)
    ended.note(entities[Int(slot)].id, ledger.lastNumber)
    noteStaleStamp()
  }

  private mutating func noteStaleStamp() {
    staleStamps += 1
    guard staleStamps > slots.count + 64 else { return }
    var live = StampHeap()
    swap(&live, &waiting)
    live.removeAll { !isLive($0.slot, $0.id) }
    swap(&live, &waiting)
    staleStamps = 0
  }

  /// Whether more entities take more memory, so that it is time to park some.
  var isFull: Bool {
    guard slots.count >= Self.leastParked else { return false }
    let lacksSlots = freeSlots.count * 8 < entities.count
    return lacksSlots || (entries.count - entryCount) * 8 < entries.count && holdsEntries
  }

  /// Fewer entities are not worth it.
  private static let leastParked = 4096

  /// Entities that may be parked, those that have been quiet for longest first.
  mutating func parkable() -> [UInt32] {
    lookThroughFar(watermark)
    let slots = entities.indices.filter { entities[$0].segment != Entry.noSegment && !entities[$0].isFar }
    return slots.map { UInt32($0) }.sorted { (entities[Int($0)].stamp, $0) < (entities[Int($1)].stamp, $1) }
  }

  /// Takes the entries of an entity out of its window; they stay until `park`.
  mutating func detach(_ slot: UInt32) -> [UInt32] {
    var nodes: [UInt32] = []
    while entities[Int(slot)].head != PairingHeap.none { nodes.append(popInOrder(slot)) }
    while entities[Int(slot)].disordered != PairingHeap.none { nodes.append(popDisordered(slot)) }
    return nodes
  }

  /// Lets go of an entity and its detached entries, which are stored.
  mutating func park(_ slot: UInt32, _ nodes: [UInt32]) {
    for node in nodes { release(node, slot) }
    retire(slot)
    noteStaleStamp()
  }

  private mutating func retire(_ slot: UInt32) {
    while entities[Int(slot)].head != PairingHeap.none { release(popInOrder(slot), slot) }
    while entities[Int(slot)].disordered != PairingHeap.none { release(popDisordered(slot), slot) }
    slots.remove(entities[Int(slot)].key) { entities[Int($0)].key }
    ledger.lose(entities[Int(slot)].segment)
    entities[Int(slot)].segment = Entry.noSegment
    retired.append(slot)
  }

  // MARK: Entries

  @inline(__always)
  private mutating func hold(
    _ slot: UInt32, _ time: Int64, inOrder: Bool, _ staged: StagedArguments, _ ordinal: Int
  ) {
    let entry = Entry(time: time, segment: SegmentLedger.open, nulls: staged.nulls[ordinal], slot: slot)
    let node = allocate(entry)
    let first = Int(node) * width
    for index in 0..<width { words[first + index] = staged.words[ordinal * width + index] }
    attach(node, slot, inOrder: inOrder)
    ledger.gain(entry: node)
  }

  /// Puts a filled node into its entity's window.
  @inline(__always)
  private mutating func attach(_ node: UInt32, _ slot: UInt32, inOrder: Bool) {
    if inOrder {
      let tail = entities[Int(slot)].tail
      if tail == PairingHeap.none {
        entities[Int(slot)].head = node
      } else {
        entries[Int(tail)].next = node
      }
      entities[Int(slot)].tail = node
    } else {
      let root = entities[Int(slot)].disordered
      entities[Int(slot)].disordered = disorder.insert(node, time: entries[Int(node)].time, into: root)
    }
    entities[Int(slot)].entryCount += 1
    entryCount += 1
    let nulls = entries[Int(node)].nulls
    for index in plans.indices where nulls >> UInt32(index) & 1 == 0 {
      arguments[index].add(value(of: node, plans[index]), node: node, slot: Int(slot))
    }
  }

  /// Drops what has left the window of an entity.
  @inline(__always)
  private mutating func expire(_ slot: UInt32) {
    let bound = entities[Int(slot)].clock.subtractingSaturated(within)
    while true {
      let head = entities[Int(slot)].head
      guard head != PairingHeap.none, entries[Int(head)].time <= bound else { break }
      release(popInOrder(slot), slot)
    }
    while true {
      let root = entities[Int(slot)].disordered
      guard root != PairingHeap.none, disorder.time(of: root) <= bound else { break }
      release(popDisordered(slot), slot)
    }
  }

  @inline(__always)
  private mutating func popInOrder(_ slot: UInt32) -> UInt32 {
    let node = entities[Int(slot)].head
    entities[Int(slot)].head = entries[Int(node)].next
    if entities[Int(slot)].head == PairingHeap.none { entities[Int(slot)].tail = PairingHeap.none }
    return node
  }

  private mutating func popDisordered(_ slot: UInt32) -> UInt32 {
    let (node, root) = disorder.pop(entities[Int(slot)].disordered)
    entities[Int(slot)].disordered = root
    return node
  }

  /// Takes a node that is linked nowhere out of the aggregates and frees it.
  @inline(__always)
  private mutating func release(_ node: UInt32, _ slot: UInt32) {
    let nulls = entries[Int(node)].nulls
    for index in plans.indices where nulls >> UInt32(index) & 1 == 0 {
      arguments[index].remove(value(of: node, plans[index]), node: node, slot: Int(slot))
    }
    ledger.lose(entries[Int(node)].segment)
    entries[Int(node)].segment = Entry.noSegment
    entries[Int(node)].next = freeNode
    freeNode = node
    entities[Int(slot)].entryCount -= 1
    entryCount -= 1
  }

  @inline(__always)
  private mutating func allocate(_ entry: Entry) -> UInt32 {
    if freeNode != PairingHeap.none {
      let node = freeNode
      freeNode = entries[Int(node)].next
      entries[Int(node)] = entry
      return node
    }
    let node = UInt32(entries.count)
    entries.append(entry)
    for _ in 0..<width { words.append(0) }
    for index in arguments.indices { arguments[index].growNodes(to: entries.count) }
    return node
  }

  @inline(__always)
  func value(of node: UInt32, _ plan: ArgumentPlan) -> EntityKey {
    let first = Int(node) * width + plan.offset
    switch plan.words {
    case 0: return EntityKey(low: 0)
    case 1: return EntityKey(low: words[first])
    default: return EntityKey(low: words[first], high: words[first + 1])
    }
  }
}
