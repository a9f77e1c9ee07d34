// A value that an entity has not had before: a place from which somebody never logged in.
//
// Definition. A value is known of an entity while the latest event with it lies in (T - expire, T], T being the entity's
// clock, and while it is remembered: of more than `remember` values the one that was seen longest ago is forgotten. An event
// with a value that is not known is found, once enough has been learned: `learn` events of the entity were taken before, and
// the earliest of them lies at least `learn_for` before T. From then on the value is known. An event that comes out of order
// makes its value known as well, as of its own time.
//
// Values are kept as 64 bits: numbers as they are, strings as half of their identity, so that an event finds a wrong one with
// a probability of `remember` in 2^64.

/// Values that an entity has had.
struct NewValue: EntityProfile {
  static let valueNames = ["known"]

  let remember: Int
  let expire: Int64
  let learning: LearningDefinition

  // Places of the words: events taken, the earliest of their times, values held; then of each value itself and its time.
  private static let (taken, first, held, values) = (0, 1, 2, 3)
  private var clock: Int64 = 0

  init(remember: Int, expire: Int64, learning: LearningDefinition) {
    self.remember = remember
    self.expire = expire
    self.learning = learning
  }

  var layout: [ProfileWord] {
    [.anyCount, .time, .count(upTo: remember)] + (0..<remember).flatMap { _ in [ProfileWord.bits, .time] }
  }

  @inline(__always)
  mutating func take(_ event: ProfileEvent, in words: inout [UInt64], at base: Int) -> Bool {
    clock = event.clock
    let taken = words[base + Self.taken]
    let earliest = taken == 0 ? event.time : min(event.time, Int64(bitPattern: words[base + Self.first]))
    let hasLearned =
      taken >= UInt64(learning.count)
      && Int64(bitPattern: words[base + Self.first]) <= event.clock.subtractingSaturated(learning.time)
    words[base + Self.taken] = taken + 1
    words[base + Self.first] = UInt64(bitPattern: earliest)
    let held = Int(words[base + Self.held])
    // The place of the value, or of the one that was seen longest ago.
    var (place, oldest) = (base + Self.values, Int64.max)
    for index in 0..<held {
      let at = base + Self.values + 2 * index
      let seen = Int64(bitPattern: words[at + 1])
      if words[at] == event.values.0 {
        words[at + 1] = UInt64(bitPattern: max(seen, event.time))
        return hasLearned && seen <= event.clock.subtractingSaturated(expire)
      }
      if seen < oldest { (place, oldest) = (at, seen) }
    }
    if held < remember {
      place = base + Self.values + 2 * held
      words[base + Self.held] = UInt64(held + 1)
    }
    words[place] = event.values.0
    words[place + 1] = UInt64(bitPattern: event.time)
    return hasLearned
  }

  func values(_ words: [UInt64], at base: Int) -> [Scalar] {
    let known = (0..<Int(words[base + Self.held])).filter {
      Int64(bitPattern: words[base + Self.values + 2 * $0 + 1]) > clock.subtractingSaturated(expire)
    }
    // The new one is among them.
    return [.int(Int64(known.count - 1))]
  }
}
