// How much a partition has seen, stored with its checkpoints.

/// That something stored has a version that this program does not know.
public struct NewerVersion: Error, Hashable, CustomStringConvertible {
  public let description: String

  /// - Parameter what: has the version `found`: `the counts`.
  public init(_ what: String, found: Int, known: Int) {
    description = "\(what) have version \(found), expected at most \(known): a newer version of pulse wrote them"
  }
}

/// Counts of a partition since its beginning. Part of the checkpoint, so they are as exact as the results.
public struct Totals: Sendable, Hashable, Codable {
  /// Events that were decoded and valid.
  public var events = 0
  /// Records read, dead letters included.
  public var records = 0
  /// How often an event was too late for one of its windows, by window definition: of a sliding window an event counts
  /// once for each that had closed.
  public var lateEvents: [String: Int] = [:]
  /// Events whose time turned out to be wrong: far ahead of what the others told.
  public var aheadEvents = 0
  /// Events that waited and were given up before it was decided whether their time is right: too many bytes waited, or the
  /// use case has changed.
  public var undecidedEvents = 0
  /// Events that wait because it is not decided yet whether their time is right.
  public var waitingEvents = 0
  /// Values that became NULL because an expression overflowed or a cast failed.
  public var expressionFailures = 0
  /// Events that stateful rules left out, by rule and why: `burst/late`, `burst/ahead`, `burst/undecided`,
  /// `burst/without_entity`.
  public var ruleSkips: [String: Int] = [:]
  public var classes: [String: Int] = [:]
  public var anomalies: [String: Int] = [:]
  /// By `stage/reason`.
  public var deadLetters: [String: Int] = [:]

  public init() {}

  /// Version of the stored form. It changes with every counter that comes or changes its meaning, so that a program that
  /// does not know it refuses the counts instead of losing it. Version 1 did not say so.
  public static let version = 2

  private enum CodingKeys: String, CodingKey {
    case version, events, records, lateEvents, aheadEvents, undecidedEvents, waitingEvents, expressionFailures
    case ruleSkips, classes, anomalies, deadLetters
  }

  /// What an earlier version did not count is 0.
  /// - Throws: `NewerVersion`.
  public init(from decoder: any Swift.Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    let version = try values.decodeIfPresent(Int.self, forKey: .version) ?? 1
    guard version <= Self.version else { throw NewerVersion("the counts", found: version, known: Self.version) }
    func count(_ key: CodingKeys) throws -> Int { try values.decodeIfPresent(Int.self, forKey: key) ?? 0 }
    func counts(_ key: CodingKeys) throws -> [String: Int] {
      try values.decodeIfPresent([String: Int].self, forKey: key) ?? [:]
    }
    // These are as old as the counts.
    events = try values.decode(Int.self, forKey: .events)
    records = try values.decode(Int.self, forKey: .records)
    lateEvents = try counts(.lateEvents)
    aheadEvents = try count(.aheadEvents)
    undecidedEvents = try count(.undecidedEvents)
    waitingEvents = try count(.waitingEvents)
    expressionFailures = try count(.expressionFailures)
    ruleSkips = try counts(.ruleSkips)
    classes = try counts(.classes)
    anomalies = try counts(.anomalies)
    deadLetters = try counts(.deadLetters)
  }

  public func encode(to encoder: any Swift.Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(Self.version, forKey: .version)
    try values.encode(events, forKey: .events)
    try values.encode(records, forKey: .records)
    try values.encode(lateEvents, forKey: .lateEvents)
    try values.encode(aheadEvents, forKey: .aheadEvents)
    try values.encode(undecidedEvents, forKey: .undecidedEvents)
    try values.encode(waitingEvents, forKey: .waitingEvents)
    try values.encode(expressionFailures, forKey: .expressionFailures)
    try values.encode(ruleSkips, forKey: .ruleSkips)
    try values.encode(classes, forKey: .classes)
    try values.encode(anomalies, forKey: .anomalies)
    try values.encode(deadLetters, forKey: .deadLetters)
  }

  /// Adds the counts of another partition.
  public static func + (a: Totals, b: Totals) -> Totals {
    var sum = a
    sum.events += b.events
    sum.records += b.records
    sum.aheadEvents += b.aheadEvents
    sum.undecidedEvents += b.undecidedEvents
    sum.waitingEvents += b.waitingEvents
    sum.expressionFailures += b.expressionFailures
    sum.lateEvents.merge(b.lateEvents, uniquingKeysWith: +)
    sum.ruleSkips.merge(b.ruleSkips, uniquingKeysWith: +)
    sum.classes.merge(b.classes, uniquingKeysWith: +)
    sum.anomalies.merge(b.anomalies, uniquingKeysWith: +)
    sum.deadLetters.merge(b.deadLetters, uniquingKeysWith: +)
    return sum
  }

  /// The counts since an earlier moment of the same partition.
  public static func - (a: Totals, b: Totals) -> Totals {
    func negated(_ counts: [String: Int]) -> [String: Int] { counts.mapValues { -$0 } }
    var minus = Totals()
    minus.events = -b.events
    minus.records = -b.records
    minus.aheadEvents = -b.aheadEvents
    minus.undecidedEvents = -b.undecidedEvents
    minus.waitingEvents = -b.waitingEvents
    minus.expressionFailures = -b.expressionFailures
    minus.lateEvents = negated(b.lateEvents)
    minus.ruleSkips = negated(b.ruleSkips)
    minus.classes = negated(b.classes)
    minus.anomalies = negated(b.anomalies)
    minus.deadLetters = negated(b.deadLetters)
    return a + minus
  }
}

extension Totals {
  /// The counts since an earlier moment of the same partition, without what did not change.
  func increase(over earlier: Totals) -> Totals {
    var change = self - earlier
    for counts in [
      \Totals.lateEvents, \Totals.ruleSkips, \Totals.classes, \Totals.anomalies, \Totals.deadLetters,
    ] as [WritableKeyPath<Totals, [String: Int]>] {
      change[keyPath: counts] = change[keyPath: counts].filter { $0.value != 0 }
    }
    return change
  }
}
