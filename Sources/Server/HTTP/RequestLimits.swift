// What a request may take. Each limit is answered with a sentence that says it.

import HTTPTypes

/// Bounds of requests and connections.
public struct RequestLimits: Sendable {
  /// Bytes of an address, with its query.
  public var targetBytes = 8 << 10
  /// Bytes of all headers.
  public var headerBytes = 32 << 10
  public var headers = 100
  /// Bytes of an address and its headers beyond which no more of them is read, and the connection is closed behind the answer.
  public var headBytes = 128 << 10
  /// Seconds in which a body has to arrive.
  public var bodySeconds = 30.0
  /// Seconds after which a connection on which nothing happens is closed.
  public var idleSeconds = 60
  /// Connections at the same time; others wait for one to end.
  public var connections = 2_000
  /// Requests that are worked on at the same time; live streams do not count.
  public var requests = 256
  /// Requests with a body that may be large at the same time: each may have 16 MiB.
  public var largeBodies = 16
  /// Requests that one caller may send a second for as long as it likes, and at once: more than a machine answers, so that
  /// one caller that repeats itself without a pause leaves room for others.
  public var perSecond = 10_000.0
  public var burst = 20_000.0
  /// Requests that are refused because nobody is known to send them, of one address: tokens are not to be guessed.
  public var refusedPerSecond = 20.0
  public var refusedBurst = 200.0

  public init() {}
}

extension Problem {
  static func addressTooLong(_ limits: RequestLimits) -> Problem {
    Problem(.uriTooLong, "The address is too long", "At most \(limits.targetBytes) bytes.")
  }

  static func headersTooLarge(_ limits: RequestLimits) -> Problem {
    Problem(
      .requestHeaderFieldsTooLarge, "The headers are too large",
      "At most \(limits.headers) headers of \(limits.headerBytes) bytes together.")
  }
}
