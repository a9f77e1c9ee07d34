// What a use case says of rules that remember something of each entity other than the events of a window: how many in a row,
// which values, at which hours, what came first, where it was.

/// When what an entity did before is enough to judge by.
public struct LearningDefinition: Sendable, Hashable {
  /// How many there must have been: events with a value, or active hours.
  public var count: Int
  /// How long ago the first must have been, microseconds of event time.
  public var time: Int64

  public init(count: Int, time: Int64) {
    self.count = count
    self.time = time
  }
}

/// What a rule remembers of an entity. All conditions look at single events.
public enum ProfileDefinition: Sendable, Hashable {
  /// So many events that meet `when` in a row, with none between them that meets `until`.
  case streak(length: Int, until: LocatedText)
  /// A value that the entity has not had. `remember` values are kept, each until it was not seen for `expire` microseconds.
  case newValue(of: LocatedText, remember: Int, expire: Int64, learning: LearningDefinition)
  /// An hour of the day with less than `share` of the active hours of the entity, each of which counts half after `halfLife`
  /// microseconds. Where too little is known, events that meet `untilLearned` are found.
  case unusualHour(
    of: LocatedText, share: Double, halfLife: Int64, untilLearned: LocatedText?, learning: LearningDefinition)
  /// An event that meets `first`, then one that meets `then`, and none between them that meets `without`.
  case sequence(first: LocatedText, then: LocatedText, without: LocatedText?)
  /// Two places, in degrees, too far apart for the time between them: further than `distance` kilometres, and faster than
  /// `speed` kilometres an hour.
  case travel(latitude: LocatedText, longitude: LocatedText, speed: Double, distance: Double)

  /// All that is written as an expression.
  var expressions: [LocatedText] {
    switch self {
    case .streak(_, let until): [until]
    case .newValue(let of, _, _, _): [of]
    case .unusualHour(let of, _, _, let untilLearned, _): [of] + [untilLearned].compactMap(\.self)
    case .sequence(let first, let then, let without): [first, then] + [without].compactMap(\.self)
    case .travel(let latitude, let longitude, _, _): [latitude, longitude]
    }
  }

  /// What holds where a use case says nothing.
  public static let defaultRemember = 16
  public static let defaultExpire = 90 * DurationText.day
  public static let defaultHalfLife = 30 * DurationText.day
  public static let defaultShare = 0.02
  public static let newValueLearning = LearningDefinition(count: 10, time: 0)
  public static let hourLearning = LearningDefinition(count: 40, time: 7 * DurationText.day)
  public static let hourCoolDown: Int64 = 3_600_000_000
  public static let defaultSpeed = 900.0
  public static let defaultDistance = 100.0
}
