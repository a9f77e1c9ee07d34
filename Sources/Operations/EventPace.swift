// When events of a stream that is sent on are due.

/// What paces a stream that is sent on: event time passes `speedup` times as fast as it did.
public struct EventPace: Sendable {
  private let speedup: Double
  private var origin: (instant: ContinuousClock.Instant, time: Int64)?

  /// - Parameter speedup: seconds of event time in a second; 0 waits for nothing.
  public init(speedup: Double) { self.speedup = speedup }

  /// When an event of this time is due; nil for at once. Events that are late are due at once.
  public mutating func due(_ time: Int64) -> ContinuousClock.Instant? {
    guard speedup > 0 else { return nil }
    guard let origin else {
      self.origin = (.now, time)
      return nil
    }
    return time <= origin.time ? nil : origin.instant + .microseconds(Int64(Double(time - origin.time) / speedup))
  }
}
