// Tokens are not to be guessed at any speed. What is refused counts for the address that it comes from; one that has had too much
// refused is not told of further tokens whether they are right, so that a right one among many guesses does not show itself
// either. Tokens that were right from there before go on: many people may share the address of a proxy.

import Crypto
import Synchronization

/// Counts what is refused, and knows whose tokens were right.
final class TokenGuesses: Sendable {
  private let refused: RequestRate
  private let right = Mutex<Set<[UInt8]>>([])

  /// Pairs of an address and a token that are known, 32 bytes each; when there are more, all are forgotten.
  private static let most = 10_000

  init(perSecond: Double, burst: Double) { refused = RequestRate(perSecond: perSecond, burst: burst) }

  /// Asked before a token is looked at.
  /// - Parameters:
  ///   - token: nil where the request has none: nothing is guessed.
  ///   - now: seconds since some instant.
  /// - Returns: the seconds after which it may be looked at; nil where that is now.
  func wait(for token: String?, from address: String, at now: Double) -> Double? {
    guard let token, let seconds = refused.wait(address, at: now) else { return nil }
    let pair = Self.pair(token, address)
    return right.withLock { $0.contains(pair) } ? nil : seconds
  }

  /// Notes that a token was right.
  func note(right token: String, from address: String) {
    let pair = Self.pair(token, address)
    right.withLock { right in
      if right.count >= Self.most { right.removeAll() }
      right.insert(pair)
    }
  }

  /// Counts a request that is refused.
  /// - Returns: the seconds after which there is room for another one where there is none now; nil where there is.
  func take(refusedFrom address: String, at now: Double) -> Double? { refused.take(address, at: now) }

  private static func pair(_ token: String, _ address: String) -> [UInt8] {
    Array(SHA256.hash(data: Array("\(address)\n\(token)".utf8)))
  }
}
