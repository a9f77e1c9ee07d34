// So many events of a kind in a row: failed logins without a successful one between them.
//
// Definition. The streak of an entity is its events that meet `when` behind its last one that meets `until`, by event time
// and of equal times in the order in which they came. It is found where its newest N events lie within `within` of the
// entity's clock T, in (T - within, T]. An event that meets both breaks. What comes out of order counts in its place: an
// event behind the last break belongs to a streak that is over and counts for nothing, a break takes away what is not later.
//
// The times of the newest N are kept, which is all that this takes, and the last break's. How many there are in a row is
// counted beside them for people to read; after a break that came out of order it is what is still known, at least N where
// there are as many.

/// A run of events, broken by others.
struct Streak: EntityProfile {
  /// Bits of the conditions.
  static let (counts, breaks): (UInt8, UInt8) = (1, 2)
  static let valueNames = ["streak", "since"]

  /// How many make a finding.
  let length: Int
  /// Within which time, microseconds.
  let within: Int64

  // Places of the words. The flags: there was a break; what was found last is over.
  private static let (kept, run, flags, broken, times) = (0, 1, 2, 3, 4)
  private static let (hasBroken, isOver): (UInt64, UInt64) = (1, 2)
  private var found = 0

  init(length: Int, within: Int64) {
    self.length = length
    self.within = within
  }

  var layout: [ProfileWord] {
    [.count(upTo: length), .anyCount, .count(upTo: 3), .time] + [ProfileWord](repeating: .time, count: length)
  }

  @inline(__always)
  mutating func take(_ event: ProfileEvent, in words: inout [UInt64], at base: Int) -> Bool {
    let first = base + Self.times
    var kept = ProfileTimes.remove(
      upTo: event.clock.subtractingSaturated(within), from: &words, at: first, count: Int(words[base + Self.kept]))
    if kept == 0 { words[base + Self.run] = 0 }
    defer { words[base + Self.kept] = UInt64(kept) }
    let hasBroken = words[base + Self.flags] & Self.hasBroken != 0
    let isBehind = hasBroken && event.time < Int64(bitPattern: words[base + Self.broken])
    guard !isBehind else { return false }
    if event.conditions & Self.breaks != 0 {
      kept = ProfileTimes.remove(upTo: event.time, from: &words, at: first, count: kept)
      words[base + Self.run] = UInt64(kept)
      words[base + Self.broken] = UInt64(bitPattern: event.time)
      words[base + Self.flags] |= Self.hasBroken
      if let last = event.lastFinding, event.time >= last { words[base + Self.flags] |= Self.isOver }
      return false
    }
    guard event.conditions & Self.counts != 0 else { return false }
    kept = ProfileTimes.insert(event.time, into: &words, at: first, count: kept, limit: length)
    words[base + Self.run] += 1
    found = Int(words[base + Self.run])
    return kept == length
  }

  @inline(__always)
  func isOver(_ words: [UInt64], at base: Int) -> Bool { words[base + Self.flags] & Self.isOver != 0 }

  @inline(__always)
  func noteFinding(in words: inout [UInt64], at base: Int) { words[base + Self.flags] &= ~Self.isOver }

  func values(_ words: [UInt64], at base: Int) -> [Scalar] {
    [.int(Int64(found)), .timestamp(ProfileTimes.time(words, base + Self.times))]
  }

  var score: Double { Double(found) / Double(length) }
}
