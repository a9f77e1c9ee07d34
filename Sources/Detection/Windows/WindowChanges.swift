// What changed of the windows of one definition, as it was when it was taken. A part is made when it is asked for, so that a
// checkpoint of very many windows takes what their accumulators take, and one part.

/// Some windows as they were at a moment.
struct WindowSnapshot: Sendable {
  struct Key: Sendable {
    let start: Int64
    /// The key as a word: of strings and several values the hash, the same in every process.
    let order: Int64
    /// The key, if it is a word.
    let word: Int64
    let isNull: Bool
    /// The key of strings and several values.
    let bytes: [UInt8]
  }

  let keys: [Key]
  let areClosed: Bool
  let aggregates: AggregateSnapshot
  /// Bytes in memory.
  let heldBytes: Int

  init(keys: [Key], areClosed: Bool, aggregates: AggregateSnapshot) {
    self.keys = keys
    self.areClosed = areClosed
    self.aggregates = aggregates
    heldBytes = keys.reduce(keys.heldBytes + aggregates.heldBytes) { $0 + Allocation.bytes($1.bytes.count) }
  }
}

/// The windows of one definition that changed, each once, by start and then in a fixed order of keys.
public struct WindowChanges: RandomAccessCollection, Sendable {
  /// Where a window stands.
  private struct Place: Sendable {
    var start: Int64
    var order: Int64
    var isNull: Bool
    var snapshot: Int32
    var index: Int32
  }

  private let window: String
  private let size: Int64
  private let keys: WindowKeys
  private let snapshots: [WindowSnapshot]
  private let places: [Place]
  /// Bytes of memory that they take until they are let go.
  public let heldBytes: Int

  init(of window: String, size: Int64, keys: WindowKeys, _ snapshots: [WindowSnapshot]) {
    self.window = window
    self.size = size
    self.keys = keys
    self.snapshots = snapshots
    var places: [Place] = []
    places.reserveCapacity(snapshots.reduce(0) { $0 + $1.keys.count })
    for (number, snapshot) in snapshots.enumerated() {
      for (index, key) in snapshot.keys.enumerated() {
        places.append(
          Place(
            start: key.start, order: key.order, isNull: key.isNull, snapshot: Int32(number), index: Int32(index)))
      }
    }
    places.sort { a, b in
      if a.start != b.start { return a.start < b.start }
      if a.order != b.order { return a.order < b.order }
      if a.isNull != b.isNull { return b.isNull }
      func bytes(_ place: Place) -> [UInt8] { snapshots[Int(place.snapshot)].keys[Int(place.index)].bytes }
      return bytes(a).lexicographicallyPrecedes(bytes(b))
    }
    self.places = places
    heldBytes = snapshots.reduce(places.heldBytes) { $0 + $1.heldBytes }
  }

  public var startIndex: Int { 0 }
  public var endIndex: Int { places.count }

  public subscript(position: Int) -> WindowChange {
    let (snapshot, index) = (snapshots[Int(places[position].snapshot)], Int(places[position].index))
    let key = snapshot.keys[index]
    let part = WindowPart(
      window: window, start: key.start, end: key.start + size,
      by: keys.scalars(word: key.word, isNull: key.isNull, bytes: key.bytes), closed: snapshot.areClosed,
      state: snapshot.aggregates.encode(index), events: snapshot.aggregates.events[index])
    return WindowChange(part: part, result: snapshot.aggregates.result(index))
  }
}
