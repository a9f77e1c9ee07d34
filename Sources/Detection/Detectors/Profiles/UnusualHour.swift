// An hour of the day at which an entity is seldom active, by its own history.
//
// Definition. Each hour in which an entity has an event counts once, however many events it has, so that a burst does not make
// its hour a usual one. It counts 2^(-age / half_life) as of the entity's clock. The weight of an hour of the day is half its
// own and a quarter of each of its neighbours', because nobody keeps to the hour; its share is that of all. An event is found
// where the share of its hour is below `share`, by what was counted before it. That needs `learn` hours, as they count now,
// and a first event at least `learn_for` ago; until then, events that meet `until_learned` are found.
//
// Weights are kept relative to a landmark (forward decay: G. Cormode, V. Shkapenyuk, D. Srivastava, B. Xu, "Forward Decay: A
// Practical Time Decay Model for Streaming Systems", 2009): an hour adds 2^((t - landmark) / half_life) and nothing else has
// to change. The landmark moves by whole half-lives, so weights are multiplied by a power of two, which is exact. Which of
// the last 64 hours have been counted is kept as bits; an hour behind them is not counted.

/// Hours of the day at which an entity is active.
struct UnusualHour: EntityProfile {
  /// Bit of the condition for entities of whom too little is known.
  static let untilLearned: UInt8 = 1
  static let valueNames = ["share", "hour", "usual"]
  /// Half-lives without an event after which nothing is known any more.
  static let lifetime: Int64 = 8

  let share: Double
  let halfLife: Int64
  let learning: LearningDefinition

  // Places of the words: whether there was an event, the landmark, the time of the first event, the newest hour counted since
  // 1970, bits of that and those before it, weights of the hours of the day.
  private static let (begun, landmark, first, newest, counted, weights) = (0, 1, 2, 3, 4, 5)
  private static let hour: Int64 = 3_600_000_000
  private static let day: Int64 = 24 * hour
  /// Half-lives by which the landmark may lag behind.
  private static let lag: Int64 = 64
  private var found = (share: 0.0, hour: 0, hasLearned: false, usual: "")

  init(share: Double, halfLife: Int64, learning: LearningDefinition) {
    self.share = share
    self.halfLife = halfLife
    self.learning = learning
  }

  var layout: [ProfileWord] {
    [.count(upTo: 1), .time, .time, .integer(upTo: .max / Self.hour + 1), .bits]
      + [ProfileWord](repeating: .bits, count: 24)
  }

  /// Times of day in any zone lie within a day of the event.
  @inline(__always)
  func accepts(_ values: (UInt64, UInt64), time: Int64) -> Bool {
    let local = Int64(bitPattern: values.0)
    return local >= time.subtractingSaturated(Self.day) && local <= time.addingSaturated(Self.day)
  }

  @inline(__always)
  private static func floor(_ value: Int64, by step: Int64) -> Int64 {
    value / step - (value % step < 0 ? 1 : 0)
  }

  @inline(__always)
  mutating func take(_ event: ProfileEvent, in words: inout [UInt64], at base: Int) -> Bool {
    let hour = Self.floor(Int64(bitPattern: event.values.0), by: Self.hour)
    let ofDay = Int(hour - 24 * Self.floor(hour, by: 24))
    let isFirst = words[base + Self.begun] == 0
    if isFirst {
      words[base + Self.begun] = 1
      words[base + Self.landmark] = UInt64(bitPattern: Self.floor(event.time, by: halfLife) &* halfLife)
      words[base + Self.first] = UInt64(bitPattern: event.time)
    }
    moveLandmark(event.clock, in: &words, at: base)
    let holds = judge(event, hour: ofDay, in: words, at: base)
    let first = min(event.time, Int64(bitPattern: words[base + Self.first]))
    words[base + Self.first] = UInt64(bitPattern: first)
    if count(hour, isFirst: isFirst, in: &words, at: base) {
      let landmark = Int64(bitPattern: words[base + Self.landmark])
      let place = base + Self.weights + ofDay
      let weight =
        Double(bitPattern: words[place]) + MathFunctions.exp2(Double(event.time &- landmark) / Double(halfLife))
      words[place] = weight.bitPattern
    }
    return holds
  }

  @inline(__always)
  private func moveLandmark(_ clock: Int64, in words: inout [UInt64], at base: Int) {
    let landmark = Int64(bitPattern: words[base + Self.landmark])
    let behind = clock.subtractingSaturated(landmark) / halfLife
    guard behind >= Self.lag else { return }
    let factor = MathFunctions.exp2(-Double(behind))
    for place in base + Self.weights..<base + Self.weights + 24 {
      words[place] = (Double(bitPattern: words[place]) * factor).bitPattern
    }
    words[base + Self.landmark] = UInt64(bitPattern: landmark &+ behind &* halfLife)
  }

  @inline(__always)
  private mutating func judge(_ event: ProfileEvent, hour: Int, in words: [UInt64], at base: Int) -> Bool {
    @inline(__always)
    func weight(_ hour: Int) -> Double { Double(bitPattern: words[base + Self.weights + hour]) }
    var total = 0.0
    for hour in 0..<24 { total += weight(hour) }
    let landmark = Int64(bitPattern: words[base + Self.landmark])
    let now = MathFunctions.exp2(Double(event.clock &- landmark) / Double(halfLife))
    let first = Int64(bitPattern: words[base + Self.first])
    let hasLearned =
      total >= Double(learning.count) * now && first <= event.clock.subtractingSaturated(learning.time)
    let near = 0.5 * weight(hour) + 0.25 * (weight((hour + 23) % 24) + weight((hour + 1) % 24))
    found.share = total > 0 ? near / total : 0
    found.hour = hour
    found.hasLearned = hasLearned
    let holds = hasLearned ? found.share < share : event.conditions & Self.untilLearned != 0
    if holds { found.usual = hasLearned ? Self.usual(words, at: base, total) : "not known yet" }
    return holds
  }

  /// Whether an hour counts, because it has not been counted before.
  @inline(__always)
  private func count(_ hour: Int64, isFirst: Bool, in words: inout [UInt64], at base: Int) -> Bool {
    let newest = isFirst ? hour : Int64(bitPattern: words[base + Self.newest])
    if hour > newest || isFirst {
      let mask = words[base + Self.counted]
      words[base + Self.counted] = (hour - newest < 64 ? mask << UInt64(hour - newest) : 0) | 1
      words[base + Self.newest] = UInt64(bitPattern: hour)
      return true
    }
    guard newest - hour < 64 else { return false }
    let bit: UInt64 = 1 << UInt64(newest - hour)
    guard words[base + Self.counted] & bit == 0 else { return false }
    words[base + Self.counted] |= bit
    return true
  }

  /// The shortest stretch of the day with nine tenths of all that counts, the earliest of equal ones: `8:00 to 17:59`.
  private static func usual(_ words: [UInt64], at base: Int, _ total: Double) -> String {
    for length in 1..<24 {
      for start in 0..<24 {
        var weight = 0.0
        for hour in start..<start + length { weight += Double(bitPattern: words[base + weights + hour % 24]) }
        if weight >= 0.9 * total { return "\(start):00 to \((start + length - 1) % 24):59" }
      }
    }
    return "0:00 to 23:59"
  }

  func values(_ words: [UInt64], at base: Int) -> [Scalar] {
    [found.hasLearned ? .double(found.share) : .null, .int(Int64(found.hour)), .string(found.usual)]
  }

  /// Ten at most: what has never been and what has hardly been are alike.
  var score: Double { found.hasLearned ? share / max(found.share, share / 10) : 1 }
}
