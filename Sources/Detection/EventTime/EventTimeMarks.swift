// Facts about event time that the watermark establishes for every event of a batch, once, in partition order.

/// The watermark before each event of a batch, which events are in doubt, and what was decided about earlier ones.
public struct EventTimeMarks: Sendable, Hashable {
  /// An event that waits for the decision on a run of events in doubt.
  public struct Waiting: Sendable, Hashable {
    public var row: Int
    public var run: UInt64
  }

  /// Events that counted in rules and windows until it was decided that their time is wrong.
  public struct Heard: Sendable, Hashable {
    /// How many.
    public var events: Int
    /// The earliest of their times, microseconds.
    public var from: Int64
  }

  /// A decision that holds from a row on, before the row's event is counted.
  public struct Decision: Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
      /// The events of the run count from here on; those that wait and are not later than `latest` are taken now, in
      /// their order.
      case believed(run: UInt64, latest: Int64)
      /// The events of the run that wait are given up. If the run had been heard, what it left in rules and windows goes
      /// as far as it is more than `max_ahead` beyond the watermark and beyond what is believed.
      case dismissed(run: UInt64, heard: Heard?)
      /// A clock has opened, or the watermark is known: what was taken before and is absurdly far ahead goes.
      case opened
    }

    public var row: Int
    public var kind: Kind
  }

  /// Watermark before each event, microseconds; `Int64.min` while it is not yet known.
  public var watermarks: [Int64]
  /// The latest time that is believed as of each event, the event included; `Int64.max` while it is not yet known. An
  /// entity whose clock lies beyond owes that to an event that was not to be believed.
  public var believed: [Int64]
  /// The same as the event's own clock has it, for entities that carry no other clock's events; nil where the partition
  /// has one clock.
  public var ownBelieved: [Int64]?
  /// How far beyond the watermark an event is left out whatever its own clock says, microseconds; nil where the partition
  /// has one clock.
  public var absurdlyAhead: Int64?
  /// Events whose time is in doubt. They do not move the watermark and take no part in stateful rules.
  public var doubtful: Bitmap
  /// Events that are not added to windows: the doubtful ones more than `event.max_ahead` beyond the watermark.
  public var outsideWindows: Bitmap
  /// Doubtful events that are given up with a later event of the batch.
  public var dismissed: Bitmap
  /// Whether these are events that have waited: their expressions have been evaluated before, and failures counted.
  public var areReleased = false
  /// Whether these are events that were given up before it was decided whether their time is right.
  public var areUndecided = false
  /// The doubtful events by run, ascending by row.
  public var waiting: [Waiting] = []
  /// Ascending by row.
  public var decisions: [Decision] = []
  /// The watermark after the last event.
  public var watermarkAfter: Int64

  /// - Parameter believed: nothing is doubted where there is none.
  public init(
    watermarks: [Int64], believed: [Int64]? = nil, doubtful: Bitmap? = nil, outsideWindows: Bitmap? = nil,
    watermarkAfter: Int64
  ) {
    let none = Bitmap(repeating: false, count: watermarks.count)
    self.watermarks = watermarks
    self.believed = believed ?? [Int64](repeating: .max, count: watermarks.count)
    self.doubtful = doubtful ?? none
    self.outsideWindows = outsideWindows ?? none
    dismissed = none
    self.watermarkAfter = watermarkAfter
    precondition(
      self.believed.count == watermarks.count && self.doubtful.count == watermarks.count
        && self.outsideWindows.count == watermarks.count, "marks differ in length")
  }

  /// The latest time that is taken at a watermark.
  public func latestTaken(at watermark: Int64) -> Int64 {
    guard let absurdlyAhead, watermark != .min else { return .max }
    return watermark.addingSaturated(absurdlyAhead)
  }

  /// The marks of some rows, without what waits and what was decided.
  public func rows(_ range: Range<Int>) -> EventTimeMarks {
    var marks = EventTimeMarks(
      watermarks: Array(watermarks[range]), believed: Array(believed[range]), doubtful: doubtful.rows(range),
      outsideWindows: outsideWindows.rows(range),
      watermarkAfter: range.upperBound < watermarks.count ? watermarks[range.upperBound] : watermarkAfter)
    marks.ownBelieved = ownBelieved.map { Array($0[range]) }
    marks.absurdlyAhead = absurdlyAhead
    marks.dismissed = dismissed.rows(range)
    return marks
  }
}

extension Bitmap {
  /// The bits of a range of rows.
  func rows(_ range: Range<Int>) -> Bitmap { Bitmap(count: range.count) { self[range.lowerBound + $0] } }
}
