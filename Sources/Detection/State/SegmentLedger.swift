// Keyed state in segments: which stored segment holds what. A segment is a part of what one checkpoint wrote: records, one
// of each key that changed, and entries, which come and go and never change. It is never changed; it is deleted when nothing
// in it is needed any more, or when what is left of it has been written again with that of others. So a checkpoint costs
// what changed and not a row for each key, and a restart reads few large values in their order.
//
// Who has the state keeps, with each record and entry, the index of the segment that it is stored in. Invariants: `live` is
// the number of entries and records whose own segment is this one; the lists hold all of those, and others that have gone
// since (their segment says so). Of a segment whose members have left memory only their number is known.
//
// Cost. Members weigh what their user says: one each, or about their bytes; those of a segment all the same. Segments are
// sorted into tiers by what is live in them, each tier eight times the one below, up to half a segment;
// eight of one tier are merged, so an entry is rewritten at most once a tier. A segment of which less than a quarter is live
// is merged too, paid for by what has died. A checkpoint rewrites no more than it writes anew, or one segment where that is
// more: what has to be merged is at most a third of what has died, so that keeps up. So restoring reads at most about four
// times the live content, and no checkpoint waits for a large merge.

/// What is in a segment, or is to be: indices of the caller's.
struct SegmentContent: Sendable {
  var entries: [UInt32] = []
  var records: [UInt32] = []

  var count: Int { entries.count + records.count }
  var heldBytes: Int { entries.heldBytes + records.heldBytes }

  /// The content in pieces of at most `size`.
  func pieces(of size: Int) -> [SegmentContent] {
    stride(from: 0, to: count, by: size).map { start in
      let end = min(start + size, count)
      func part(_ list: [UInt32], behind first: Int) -> [UInt32] {
        let (low, high) = (max(start - first, 0), min(end - first, list.count))
        return low < high ? Array(list[low..<high]) : []
      }
      return SegmentContent(entries: part(entries, behind: records.count), records: part(records, behind: 0))
    }
  }
}

/// The segments of a keyed state.
struct SegmentLedger: Sendable {
  /// Index of what is not stored yet.
  static let open: UInt32 = 0
  /// In place of a segment: the member is stored nowhere, and on its way into one.
  static let moving = UInt32.max - 1
  private static let tierRatio = 8

  struct Segment: Sendable {
    /// The number it is stored under; 0 for the open one and for a free place.
    var number: UInt64 = 0
    var content = SegmentContent()
    var live = 0
    /// Entries and records when it was written.
    var stored = 0
    /// What they weighed.
    var weight = 0
    /// Live ones that are not in memory, and not in the lists: then it is not written again.
    var parked = 0
  }

  /// What one checkpoint does with segments.
  struct Round: Sendable {
    /// Segments whose live members are written again, the open one first.
    let sources: [UInt32]
    /// Segments in which nothing is live.
    let dead: [UInt32]
  }

  private(set) var segments: [Segment] = [Segment()]
  /// Places that a segment has left.
  private var free: [UInt32] = []
  /// The highest number used so far; numbers start at 1.
  private(set) var lastNumber: UInt64 = 0
  /// What a segment that is written weighs at most, unless one member weighs more.
  let size: Int

  init(size: Int = 1 << 16) { self.size = size }

  var heldBytes: Int { segments.reduce(segments.heldBytes) { $0 + $1.content.heldBytes } }

  // MARK: Members come and go

  /// Adds an entry to the open segment.
  @inline(__always)
  mutating func gain(entry: UInt32) {
    segments[0].content.entries.append(entry)
    segments[0].live += 1
  }

  /// Adds a record to the open segment.
  @inline(__always)
  mutating func gain(record: UInt32) {
    segments[0].content.records.append(record)
    segments[0].live += 1
  }

  /// An entry or record of a segment is gone or is stored elsewhere.
  @inline(__always)
  mutating func lose(_ segment: UInt32) { segments[Int(segment)].live -= 1 }

  // MARK: Rounds

  /// What the next checkpoint does.
  /// - Parameters:
  ///   - isRewriting: whether all that is live is written again.
  ///   - new: what the members of the open segment weigh; nil where each weighs one.
  ///   - old: segments up to this number are written again before others, as there is room for them.
  func round(rewriting isRewriting: Bool = false, new: Int? = nil, old: UInt64 = 0) -> Round {
    let live = closed.filter { segments[Int($0)].live > 0 && segments[Int($0)].parked == 0 }
    return Round(
      sources: [Self.open] + (isRewriting ? live : worthMerging(of: live, new: new ?? segments[0].live, old: old)),
      dead: closed.filter { segments[Int($0)].live == 0 })
  }

  /// The segments of a round have been written again: their stored values go.
  mutating func end(_ round: Round, into changes: inout StateChanges) {
    for index in round.sources + round.dead {
      if index != Self.open {
        changes.deletes.append(Self.key(segments[Int(index)].number))
        free.append(index)
      }
      segments[Int(index)] = Segment()
    }
  }

  /// Segments that are worth writing again together, no more than a checkpoint has room for.
  private func worthMerging(of live: [UInt32], new: Int, old: UInt64) -> [UInt32] {
    func left(_ index: UInt32) -> Int {
      let segment = segments[Int(index)]
      return segment.live * segment.weight / max(segment.stored, 1)
    }
    func isMostlyDead(_ index: UInt32) -> Bool { segments[Int(index)].live * 4 < segments[Int(index)].stored }
    func isOld(_ index: UInt32) -> Bool { segments[Int(index)].number <= old }
    var room = max(size, new)
    var merged: [UInt32] = []
    func take(_ index: UInt32) {
      // One that an earlier version made too large goes by itself.
      guard left(index) <= room || merged.isEmpty else { return }
      room -= left(index)
      merged.append(index)
    }
    for index in live.filter(isOld).sorted(by: { segments[Int($0)].number < segments[Int($1)].number }) { take(index) }
    let live = live.filter { !isOld($0) }
    for index in live.filter(isMostlyDead).sorted(by: { (left($0), $0) < (left($1), $1) }) { take(index) }
    var tiers: [Int: [UInt32]] = [:]
    for index in live where !isMostlyDead(index) && left(index) * 2 <= size {
      tiers[(Int.bitWidth - left(index).leadingZeroBitCount) / 3, default: []].append(index)
    }
    for (_, tier) in tiers.sorted(by: { $0.key < $1.key }) where tier.count >= Self.tierRatio {
      for index in tier { take(index) }
    }
    return merged.sorted()
  }

  // MARK: Segments

  /// The lowest number of a closed segment; nil where there is none.
  var oldestNumber: UInt64? { closed.lazy.map { segments[Int($0)].number }.min() }

  private var closed: [UInt32] {
    segments.indices.dropFirst().filter { segments[$0].number != 0 }.map { UInt32($0) }
  }

  /// Opens a place for a segment with the next number, or with one that was stored.
  mutating func place(number: UInt64? = nil) -> UInt32 {
    let number = number ?? lastNumber + 1
    lastNumber = max(lastNumber, number)
    let index = free.popLast() ?? UInt32(segments.count)
    if index == segments.count { segments.append(Segment()) }
    segments[Int(index)].number = number
    return index
  }

  /// States what of a closed segment is live, and how much was stored in it.
  /// - Parameter weight: of what was stored; nil where each member weighs one.
  mutating func fill(_ segment: UInt32, _ content: SegmentContent, stored: Int, weight: Int? = nil) {
    segments[Int(segment)].content = content
    segments[Int(segment)].live = content.count
    segments[Int(segment)].stored = stored
    segments[Int(segment)].weight = weight ?? stored
  }

  /// States that members of a closed segment are live and not in memory.
  mutating func fill(_ segment: UInt32, parked: Int) {
    segments[Int(segment)].live = parked
    segments[Int(segment)].parked = parked
  }

  /// Members of a segment that were not in memory are stored elsewhere, or gone: one, or all of them.
  mutating func loseParked(_ segment: UInt32, _ count: Int? = nil) {
    let count = count ?? segments[Int(segment)].parked
    segments[Int(segment)].live -= count
    segments[Int(segment)].parked -= count
  }

  /// The key of a segment's value: its number, 8 bytes big-endian.
  static func key(_ number: UInt64) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: number >> UInt64(56 - 8 * $0)) }
  }

  /// - Returns: nil where it is no key of a segment.
  static func number(of key: [UInt8]) -> UInt64? {
    key.count == 8 ? key.reduce(0) { $0 << 8 | UInt64($1) } : nil
  }
}
