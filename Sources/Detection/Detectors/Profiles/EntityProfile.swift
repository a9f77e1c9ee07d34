// What rules keep of each entity beside its times: a fixed number of words, in which each kind of profile keeps what it
// needs. All words are zero for an entity that is new. A profile is a function of the events of an entity in the order of
// the partition, so it does not matter how they were cut into batches or how often it was stored in between.

/// What a word of a profile is, and so how it is stored.
enum ProfileWord: Sendable, Hashable {
  /// More events than there will be.
  static let anyCount = ProfileWord.count(upTo: 1 << 62)

  /// An integer from 0 to a bound, seldom large.
  case count(upTo: Int)
  /// An integer between a bound and its negative.
  case integer(upTo: Int64)
  /// Event time, microseconds; stored as its distance from the entity's clock.
  case time
  /// The bits of a double, of a hash or of a mask.
  case bits
}

/// An event as a profile sees it.
struct ProfileEvent: Sendable {
  var time: Int64
  /// The highest event time of the entity, this event's included.
  var clock: Int64
  /// Bit c: the event meets condition c of the rule.
  var conditions: UInt8
  /// The values that the rule looks at, as words; none of them is null.
  var values: (UInt64, UInt64)
  /// The entity's clock at its last finding.
  var lastFinding: Int64?
}

/// One kind of profile. Values of this type hold the rule's parameters, and of the event that was taken last what a finding
/// about it says.
protocol EntityProfile: Sendable {
  /// What its words are, in their order.
  var layout: [ProfileWord] { get }
  /// Whether values can be used; events with others are left out like those with NULL.
  func accepts(_ values: (UInt64, UInt64), time: Int64) -> Bool
  /// Takes in an event whose words begin at `base`.
  /// - Returns: whether the rule's condition holds as of the entity's clock.
  mutating func take(_ event: ProfileEvent, in words: inout [UInt64], at base: Int) -> Bool
  /// Whether what was found last is over before its cool-down.
  func isOver(_ words: [UInt64], at base: Int) -> Bool
  /// Notes that the event taken last was found.
  func noteFinding(in words: inout [UInt64], at base: Int)
  /// What a finding about the event taken last says, in the order of the kind's names of values.
  func values(_ words: [UInt64], at base: Int) -> [Scalar]
  /// The score of that finding: 1 at the bound.
  var score: Double { get }
}

extension EntityProfile {
  @inline(__always)
  func accepts(_ values: (UInt64, UInt64), time: Int64) -> Bool { true }
  @inline(__always)
  func isOver(_ words: [UInt64], at base: Int) -> Bool { false }
  @inline(__always)
  func noteFinding(in words: inout [UInt64], at base: Int) {}
  var score: Double { 1 }

  /// How far a value lies beyond its bound, for a score.
  static func excess(_ value: Double, over bound: Double) -> Double {
    guard bound > 0, value > bound else { return 1 }
    return min(value / bound, Limits.maxRuleScore)
  }
}

/// Times in ascending order in words: those of equal time in the order of their arrival.
enum ProfileTimes {
  @inline(__always)
  static func time(_ words: [UInt64], _ place: Int) -> Int64 { Int64(bitPattern: words[place]) }

  /// Puts a time into its place among `count` times; where there are `limit` of them the oldest goes, be it this one.
  /// - Returns: how many there are now.
  @inline(__always)
  static func insert(_ time: Int64, into words: inout [UInt64], at first: Int, count: Int, limit: Int) -> Int {
    if count < limit {
      var place = first + count
      while place > first, Self.time(words, place - 1) > time {
        words[place] = words[place - 1]
        place -= 1
      }
      words[place] = UInt64(bitPattern: time)
      return count + 1
    }
    // The oldest goes, so what is older than the new one moves down.
    guard time >= Self.time(words, first) else { return count }
    var place = first
    while place + 1 < first + count, Self.time(words, place + 1) <= time {
      words[place] = words[place + 1]
      place += 1
    }
    words[place] = UInt64(bitPattern: time)
    return count
  }

  /// Removes the times up to a bound, the bound included. Words that are not used any more become zero.
  /// - Returns: how many are left.
  @inline(__always)
  static func remove(upTo bound: Int64, from words: inout [UInt64], at first: Int, count: Int) -> Int {
    var gone = 0
    while gone < count, Self.time(words, first + gone) <= bound { gone += 1 }
    guard gone > 0 else { return count }
    for place in 0..<count { words[first + place] = place + gone < count ? words[first + place + gone] : 0 }
    return count - gone
  }
}
