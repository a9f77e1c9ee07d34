// What a sliding rule holds of an entity and of an event: see `SlidingEntities.swift`.

/// An event held in a window.
struct Entry: Sendable {
  var time: Int64
  /// The next one in order of the same entity, or of the free nodes.
  var next: UInt32 = PairingHeap.none
  /// The segment in which it is stored; `noSegment` for a free node.
  var segment: UInt32
  /// Bit a: argument a is null.
  var nulls: UInt32
  var slot: UInt32

  static let noSegment = UInt32.max
}

/// What is known of an entity.
struct Entity: Sendable {
  var key: EntityKey
  /// Tells this life of the entity from others before it was forgotten.
  var id: UInt64
  /// T: the highest event time.
  var clock: Int64
  /// The higher of `clock` and the watermark before the last event.
  var stamp: Int64
  /// `clock` at its last finding; nil when there was none.
  var lastFinding: Int64?
  /// Whether it is in the list of those far ahead.
  var isFar = false
  /// The segment in which this record is stored last; `Entry.noSegment` for a free slot.
  var segment: UInt32
  /// Entries that came in order, ascending.
  var head = PairingHeap.none
  var tail = PairingHeap.none
  /// Root of the entries that came out of order.
  var disordered = PairingHeap.none
  var entryCount = 0
}

extension Entity {
  /// Whether this record of the same key is of a later life, or of the same and written no earlier: its times only ascend.
  func isNoEarlier(than other: Entity) -> Bool {
    (id, clock, stamp, lastFinding ?? .min) >= (other.id, other.clock, other.stamp, other.lastFinding ?? .min)
  }
}

extension SlidingEntities {
  /// Bytes of an entity and of an event, nearly: tables and lists are half to wholly full.
  static func bytesPerEntity(_ plans: [ArgumentPlan]) -> Int {
    let places = 3 * MemoryLayout<UInt32>.stride + MemoryLayout<StampHeap.Item>.stride + MemoryLayout<UInt32>.stride
    return MemoryLayout<Entity>.stride + places + plans.reduce(0) { $0 + $1.bytesPerEntity }
  }

  static func bytesPerEvent(_ plans: [ArgumentPlan]) -> Int {
    let place = MemoryLayout<UInt32>.stride
    return MemoryLayout<Entry>.stride + place + plans.reduce(0) { $0 + 8 * $1.words + $1.bytesPerEntry }
  }
}
