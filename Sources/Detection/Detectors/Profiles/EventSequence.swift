// One event, then another, and none of a third kind between them: access from a new device, then a large transfer, without
// a confirmation.
//
// Definition. Events count in the order of their times, those of equal time in that in which they came. Behind the last event
// that meets `without`, an event that meets `then` is found if one that meets `first` is not later and less than `within`
// older. Of several the latest counts. Where the two come out of order the one that comes last is found. An event that meets
// several of the conditions breaks first, then ends a sequence, then begins another one. What is behind the last event of
// `without` counts for nothing.
//
// The newest four of either kind are remembered. That is all there is to know while events come in order; where they do not,
// an event that lies behind four later ones of the other kind may find nothing.

/// Two events, one behind the other.
struct EventSequence: EntityProfile {
  /// Bits of the conditions.
  static let (begins, ends, breaks): (UInt8, UInt8, UInt8) = (1, 2, 4)
  static let valueNames = ["elapsed", "started"]
  /// Events of either kind that are remembered.
  static let remembered = 4

  /// Less than this lies between the two, microseconds.
  let within: Int64

  // Places of the words.
  private static let (begun, ended, hasBroken, broken, beginnings, endings) = (0, 1, 2, 3, 4, 4 + remembered)
  private var found: (start: Int64, end: Int64) = (0, 0)

  init(within: Int64) { self.within = within }

  var layout: [ProfileWord] {
    [.count(upTo: Self.remembered), .count(upTo: Self.remembered), .count(upTo: 1), .time]
      + [ProfileWord](repeating: .time, count: 2 * Self.remembered)
  }

  @inline(__always)
  mutating func take(_ event: ProfileEvent, in words: inout [UInt64], at base: Int) -> Bool {
    let time = event.time
    if words[base + Self.hasBroken] != 0, time < Int64(bitPattern: words[base + Self.broken]) { return false }
    let (beginnings, endings) = (base + Self.beginnings, base + Self.endings)
    var (begun, ended) = (Int(words[base + Self.begun]), Int(words[base + Self.ended]))
    if event.conditions & Self.breaks != 0 {
      begun = ProfileTimes.remove(upTo: time, from: &words, at: beginnings, count: begun)
      ended = ProfileTimes.remove(upTo: time, from: &words, at: endings, count: ended)
      words[base + Self.hasBroken] = 1
      words[base + Self.broken] = UInt64(bitPattern: time)
    }
    var holds = false
    if event.conditions & Self.ends != 0 {
      var place = beginnings + begun - 1
      while place >= beginnings, ProfileTimes.time(words, place) > time { place -= 1 }
      if place >= beginnings { holds = note(ProfileTimes.time(words, place), time) }
    }
    if event.conditions & Self.begins != 0 {
      // An event that ended a sequence which comes to light only now is later; one of the same time was first.
      var place = endings
      while place < endings + ended, ProfileTimes.time(words, place) <= time { place += 1 }
      if !holds, place < endings + ended { holds = note(time, ProfileTimes.time(words, place)) }
      begun = ProfileTimes.insert(time, into: &words, at: beginnings, count: begun, limit: Self.remembered)
    }
    if event.conditions & Self.ends != 0 {
      ended = ProfileTimes.insert(time, into: &words, at: endings, count: ended, limit: Self.remembered)
    }
    words[base + Self.begun] = UInt64(begun)
    words[base + Self.ended] = UInt64(ended)
    return holds
  }

  @inline(__always)
  private mutating func note(_ start: Int64, _ end: Int64) -> Bool {
    guard start > end.subtractingSaturated(within) else { return false }
    found = (start, end)
    return true
  }

  func values(_ words: [UInt64], at base: Int) -> [Scalar] {
    [.string(DurationText.format(found.end &- found.start)), .timestamp(found.start)]
  }
}
