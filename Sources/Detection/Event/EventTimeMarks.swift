// Facts about event time that the watermark establishes for every event of a batch, once, in partition order.

/// The watermark before each event of a batch, and which events are implausibly far ahead.
public struct EventTimeMarks: Sendable, Hashable {
  /// Watermark before each event, microseconds; `Int64.min` while it is not yet known.
  public var watermarks: [Int64]
  /// Events more than `event.max_ahead` beyond the watermark. They do not move it and take no part in stateful rules.
  public var ahead: Bitmap
  /// The watermark after the last event.
  public var watermarkAfter: Int64

  public init(watermarks: [Int64], ahead: Bitmap, watermarkAfter: Int64) {
    precondition(watermarks.count == ahead.count, "marks differ in length")
    self.watermarks = watermarks
    self.ahead = ahead
    self.watermarkAfter = watermarkAfter
  }
}
