// The open windows of one operator: from (start, values of `by`) to a slot, by open addressing with linear probing.
// Slots of closed windows are used again. Invariants: at most half of the table is filled; a table entry is the upper
// half of the key's hash above the slot + 1, 0 where free; a removal moves later entries of the run back, so there are
// no tombstones.

/// Slots of open windows and their keys.
struct WindowTable {
  struct Slot {
    var start: Int64 = 0
    /// The key, if it is one int, timestamp, bool or double (its normalised bits); 0 for NULL, no `by` and other keys.
    var word: Int64 = 0
    var hash: UInt64 = 0
    var isNull = false
    var isOpen = false
    /// The segment that has it as it is; `SegmentLedger.open` where it is to be stored, `moving` where it is new.
    var segment = SegmentLedger.moving
  }

  private(set) var slots: [Slot] = []
  /// Keys of strings or several values; empty for word keys.
  private(set) var keys: [[UInt8]] = []
  private var free: [Int32] = []
  private var table = [UInt64](repeating: 0, count: 1024)
  private var mask = 1023

  /// Number of open windows.
  var openCount: Int { slots.count - free.count }

  /// Bytes of the keys that have an allocation of their own.
  private var keyBytes = 0

  var heldBytes: Int { slots.heldBytes + keys.heldBytes + free.heldBytes + table.heldBytes + keyBytes }

  /// Bytes of an open window, nearly; a key of bytes beside.
  static let bytesPerWindow = MemoryLayout<Slot>.stride + MemoryLayout<[UInt8]>.stride + 3 * MemoryLayout<UInt64>.stride

  /// The hash of a key with its start.
  @inline(__always)
  static func hash(_ key: UInt64, _ start: Int64) -> UInt64 { TableHash.hash(key, UInt64(bitPattern: start)) }

  /// The slot of a window with a word key; nil if it is not open.
  @inline(__always)
  func find(_ start: Int64, word: Int64, isNull: Bool, _ hash: UInt64) -> Int? {
    var at = Int(truncatingIfNeeded: hash) & mask
    while table[at] != 0 {
      if (table[at] ^ hash) >> 32 == 0 {
        let slot = Int(table[at] & 0xFFFF_FFFF) - 1
        if slots[slot].start == start, slots[slot].word == word, slots[slot].isNull == isNull { return slot }
      }
      at = (at + 1) & mask
    }
    return nil
  }

  /// The slot of a window with a key of bytes; nil if it is not open.
  func find(_ start: Int64, _ key: [UInt8], _ hash: UInt64) -> Int? {
    var at = Int(truncatingIfNeeded: hash) & mask
    while table[at] != 0 {
      if (table[at] ^ hash) >> 32 == 0 {
        let slot = Int(table[at] & 0xFFFF_FFFF) - 1
        if slots[slot].start == start, keys[slot] == key { return slot }
      }
      at = (at + 1) & mask
    }
    return nil
  }

  /// Opens a window that is not open and returns its slot.
  mutating func insert(_ start: Int64, word: Int64, isNull: Bool, key: [UInt8], _ hash: UInt64) -> Int {
    if openCount * 2 >= table.count { enlarge() }
    let slot: Int
    if let reused = free.popLast() {
      slot = Int(reused)
    } else {
      slot = slots.count
      slots.append(Slot())
      keys.append([])
    }
    slots[slot] = Slot(start: start, word: word, hash: hash, isNull: isNull, isOpen: true)
    keys[slot] = key
    keyBytes += Allocation.bytes(key.count)
    place(slot)
    return slot
  }

  /// Frees the slot of an open window.
  mutating func remove(_ slot: Int) {
    var hole = Int(truncatingIfNeeded: slots[slot].hash) & mask
    while table[hole] & 0xFFFF_FFFF != UInt64(slot + 1) { hole = (hole + 1) & mask }
    var at = hole
    while true {
      at = (at + 1) & mask
      if table[at] == 0 { break }
      let home = Int(truncatingIfNeeded: slots[Int(table[at] & 0xFFFF_FFFF) - 1].hash) & mask
      // The entry may fill the hole if its home is not between the hole and itself.
      if (at - home) & mask >= (at - hole) & mask {
        table[hole] = table[at]
        hole = at
      }
    }
    table[hole] = 0
    slots[slot] = Slot()
    keyBytes -= Allocation.bytes(keys[slot].count)
    keys[slot] = []
    free.append(Int32(slot))
  }

  /// Marks windows as changed since they were stored.
  mutating func markChanged(_ changed: [Int32], in ledger: inout SegmentLedger) {
    var slots = slots.mutableSpan
    for slot in changed where slots[Int(slot)].segment != SegmentLedger.open {
      let segment = slots[Int(slot)].segment
      if segment != SegmentLedger.moving { ledger.lose(segment) }
      slots[Int(slot)].segment = SegmentLedger.open
      ledger.gain(record: UInt32(slot))
    }
  }

  /// Moves an open window from one segment to another; false when it is not in that one.
  mutating func move(_ slot: UInt32, from segment: UInt32, to other: UInt32) -> Bool {
    guard slots[Int(slot)].isOpen, slots[Int(slot)].segment == segment else { return false }
    slots[Int(slot)].segment = other
    return true
  }

  /// A segment was read that has a window.
  mutating func keep(_ slot: Int, in segment: UInt32) { slots[slot].segment = segment }

  private mutating func place(_ slot: Int) {
    let hash = slots[slot].hash
    var at = Int(truncatingIfNeeded: hash) & mask
    while table[at] != 0 { at = (at + 1) & mask }
    table[at] = hash & 0xFFFF_FFFF_0000_0000 | UInt64(slot + 1)
  }

  private mutating func enlarge() {
    table = [UInt64](repeating: 0, count: table.count * 2)
    mask = table.count - 1
    for slot in slots.indices where slots[slot].isOpen { place(slot) }
  }
}
