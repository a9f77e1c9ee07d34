// How many requests one caller may send: a bucket of tokens for each, which fills as time goes on.

import Synchronization

/// Counts the requests of each caller.
final class RequestRate: Sendable {
  private struct Bucket: Sendable {
    var tokens: Double
    /// Seconds since some instant.
    var filled: Double
  }

  /// Requests that a caller may send each second for as long as it likes.
  private let perSecond: Double
  /// Requests that it may send at once.
  private let burst: Double
  private let buckets = Mutex<[String: Bucket]>([:])

  /// Callers that are told apart; when there are more, those who have been quiet are forgotten.
  private static let most = 10_000

  init(perSecond: Double, burst: Double) {
    self.perSecond = perSecond
    self.burst = burst
  }

  /// How long a caller has to wait, as `take` would say, without taking a request.
  func wait(_ caller: String, at now: Double) -> Double? {
    buckets.withLock { buckets in
      guard let bucket = buckets[caller] else { return nil }
      let tokens = min(burst, bucket.tokens + max(0, now - bucket.filled) * perSecond)
      return tokens >= 1 ? nil : (1 - tokens) / perSecond
    }
  }

  /// Takes a request of a caller.
  /// - Parameter now: seconds since some instant. A clock that is put back brings no room and takes none.
  /// - Returns: the seconds after which there is room for another one where there is none now; nil where it may go on.
  func take(_ caller: String, at now: Double) -> Double? {
    buckets.withLock { buckets in
      if buckets.count >= Self.most, buckets[caller] == nil {
        buckets = buckets.filter { $0.value.tokens + (now - $0.value.filled) * perSecond < burst }
        // All of them are busy: whoever comes anew waits.
        if buckets.count >= Self.most { return 1 }
      }
      var bucket = buckets[caller] ?? Bucket(tokens: burst, filled: now)
      bucket.tokens = min(burst, bucket.tokens + max(0, now - bucket.filled) * perSecond)
      bucket.filled = now
      guard bucket.tokens >= 1 else {
        buckets[caller] = bucket
        return (1 - bucket.tokens) / perSecond
      }
      bucket.tokens -= 1
      buckets[caller] = bucket
      return nil
    }
  }
}
