// Which stored segment holds what. A segment is what one checkpoint wrote: entries and records of entities. It is never
// changed; it is deleted when nothing in it is needed any more, or when what is left of it has been written again with
// that of others. Invariants: `live` is the number of entries and records whose own `segment` is this one; the lists hold
// all of those, and others that have gone since (their `segment` says so).
//
// Cost. Segments are sorted into tiers by what is live in them, each tier eight times the one below; eight of one tier
// are merged, so an entry is rewritten at most once a tier, and there are at most seven segments a tier (7 x 8 for 4 M
// live things). A segment of which less than a quarter is live is merged too, paid for by what has died. So
// restoring reads at most about four times the live content, in a bounded number of segments.

/// The segments of one rule's state.
struct SegmentLedger: Sendable {
  /// Index of what is not stored yet.
  static let open: UInt32 = 0
  private static let tierRatio = 8

  struct Segment: Sendable {
    /// The key it is stored under; 0 for the open one and for a free place.
    var number: UInt64 = 0
    var nodes: [UInt32] = []
    var slots: [UInt32] = []
    var live = 0
    /// Entries and records when it was written.
    var stored = 0
  }

  private(set) var segments: [Segment] = [Segment()]
  /// The highest key used so far; keys start at 1.
  private(set) var lastNumber: UInt64 = 0

  /// Adds an entry to the open segment.
  @inline(__always)
  mutating func gain(node: UInt32) {
    segments[0].nodes.append(node)
    segments[0].live += 1
  }

  /// Adds an entity's record to the open segment.
  @inline(__always)
  mutating func gain(slot: UInt32) {
    segments[0].slots.append(slot)
    segments[0].live += 1
  }

  /// An entry or record of a segment is gone or is stored elsewhere.
  @inline(__always)
  mutating func lose(_ segment: UInt32) { segments[Int(segment)].live -= 1 }

  /// Closed segments in which nothing is live.
  var dead: [UInt32] { closed.filter { segments[Int($0)].live == 0 } }

  /// Closed segments in which something is live.
  var live: [UInt32] { closed.filter { segments[Int($0)].live > 0 } }

  /// The lowest key of a closed segment; nil where there is none.
  var oldestNumber: UInt64? { closed.lazy.map { segments[Int($0)].number }.min() }

  /// Closed segments that are worth writing again together.
  var worthMerging: [UInt32] {
    var tiers: [Int: [UInt32]] = [:]
    var merged: [UInt32] = []
    for index in closed where segments[Int(index)].live > 0 {
      let segment = segments[Int(index)]
      if segment.live * 4 < segment.stored {
        merged.append(index)
      } else {
        tiers[(Int.bitWidth - segment.live.leadingZeroBitCount) / 3, default: []].append(index)
      }
    }
    for (_, tier) in tiers where tier.count >= Self.tierRatio { merged += tier }
    return merged.sorted()
  }

  private var closed: [UInt32] {
    segments.indices.dropFirst().filter { segments[$0].number != 0 }.map { UInt32($0) }
  }

  /// Opens a place for a segment with the next key, or with one that was stored.
  mutating func place(number: UInt64? = nil) -> UInt32 {
    let number = number ?? lastNumber + 1
    lastNumber = max(lastNumber, number)
    let index = segments.indices.dropFirst().first { segments[$0].number == 0 } ?? segments.count
    if index == segments.count { segments.append(Segment()) }
    segments[index].number = number
    return UInt32(index)
  }

  /// States what a closed segment holds.
  mutating func fill(_ segment: UInt32, nodes: [UInt32], slots: [UInt32], stored: Int) {
    segments[Int(segment)].nodes = nodes
    segments[Int(segment)].slots = slots
    segments[Int(segment)].live = nodes.count + slots.count
    segments[Int(segment)].stored = stored
  }

  /// Forgets a segment; of the open one, what is in it.
  mutating func clear(_ segment: UInt32) { segments[Int(segment)] = Segment() }
}
